// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/model/wire_text.h"

#include <stdlib.h>
#include <string.h>

#include "agent/base/cleanup.h"

/*
 * Length of the UTF-8 character at @s, 0 where there is none (RFC 3629: no overlong forms, no
 * surrogates, nothing beyond U+10FFFF).
 */
static size_t utf8_length(const unsigned char *s)
{
	size_t len = s[0] < 0x80   ? 1
		     : s[0] < 0xc2 ? 0
		     : s[0] < 0xe0 ? 2
		     : s[0] < 0xf0 ? 3
		     : s[0] < 0xf5 ? 4
				   : 0;

	for (size_t i = 1; i < len; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return len;
}

json_t *pf_wire_text(const char *text)
{
	pf_auto_free char *clean = NULL;
	size_t len = 0;

	if (!text)
		return json_null();
	clean = malloc(strlen(text) * 3 + 1);
	if (!clean)
		return NULL;
	for (const unsigned char *s = (const unsigned char *)text; *s;) {
		size_t n = utf8_length(s);

		memcpy(clean + len, n ? (const char *)s : "\xef\xbf\xbd", n ?: 3);
		len += n ?: 3;
		s += n ?: 1;
	}
	return json_stringn(clean, len);
}

void pf_wire_cut(const char *text, char *out, size_t size)
{
	size_t len = 0, n;

	while (text[len] && (n = utf8_length((const unsigned char *)text + len)) && len + n < size)
		len += n;
	memcpy(out, text, len);
	out[len] = '\0';
}
