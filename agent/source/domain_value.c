// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/source/domain_value.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/source/domain_xml.h"

/* ---- lists -------------------------------------------------------------------------------- */

const char *pf_value_skip_space(const char *text)
{
	while (isspace((unsigned char)*text))
		text++;
	return text;
}

static int parse_member(const char **text, unsigned int *out)
{
	int r = pf_set_parse_member(text, out);

	if (!r)
		*text = pf_value_skip_space(*text);
	return r;
}

/* One field: N, N-M or ^N. An exclusion of a range is refused, as libvirt refuses it. */
static int parse_field(const char **text, struct pf_set *set)
{
	bool exclude = **text == '^';
	unsigned int first, last;
	int r;

	if (exclude)
		(*text)++;
	r = parse_member(text, &first);
	if (r < 0)
		return r;
	if (**text != '-') {
		(exclude ? pf_set_remove : pf_set_add)(set, first);
		return 0;
	}
	*text = pf_value_skip_space(*text + 1);
	r = parse_member(text, &last);
	if (r < 0)
		return r;
	if (exclude || last < first)
		return -EINVAL;
	pf_set_add_range(set, first, last);
	return 0;
}

int pf_cpulist_parse(const char *text, struct pf_set *out)
{
	struct pf_set set = {};
	int r;

	text = pf_value_skip_space(text);
	while (*text) {
		r = parse_field(&text, &set);
		if (r < 0)
			return r;
		if (*text && *text != ',')
			return -EINVAL;
		if (*text)
			text = pf_value_skip_space(text + 1);
	}
	if (pf_set_empty(&set))
		return -EINVAL;
	*out = set;
	return 0;
}

/* ---- numbers, sizes, UUIDs ---------------------------------------------------------------- */

bool pf_value_u64(const char *text, uint64_t *out)
{
	unsigned long long value;
	char *end;

	text = pf_value_skip_space(text);
	if (!isdigit((unsigned char)*text))
		return false;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || *pf_value_skip_space(end))
		return false;
	*out = value;
	return true;
}

bool pf_value_i64(const char *text, int64_t *out)
{
	long long value;
	char *end;

	text = pf_value_skip_space(text);
	if (!isdigit((unsigned char)*text) && *text != '-')
		return false;
	errno = 0;
	value = strtoll(text, &end, 10);
	if (errno || *pf_value_skip_space(end) || !isdigit((unsigned char)end[-1]))
		return false;
	*out = value;
	return true;
}

bool pf_value_unsigned(const void *text, unsigned int *out)
{
	uint64_t value;

	if (!text || !pf_value_u64((const char *)text, &value) || value > UINT32_MAX)
		return false;
	*out = (unsigned int)value;
	return true;
}

uint64_t pf_value_unit(const char *unit)
{
	static const char letters[] = "kmgtpe";
	const char *letter;
	uint64_t base, bytes = 1;

	if (strcasecmp(unit, "b") == 0 || strcasecmp(unit, "byte") == 0 ||
	    strcasecmp(unit, "bytes") == 0)
		return 1;
	letter = *unit ? strchr(letters, tolower((unsigned char)*unit)) : NULL;
	if (!letter)
		return 0;
	if (!unit[1] || strcasecmp(unit + 1, "ib") == 0)
		base = 1024;
	else if (strcasecmp(unit + 1, "b") == 0)
		base = 1000;
	else
		return 0;
	for (const char *l = letters; l <= letter; l++)
		bytes *= base;
	return bytes;
}

bool pf_value_uuid(const char *text, char out[37])
{
	size_t len = 0;

	text = pf_value_skip_space(text);
	for (; *text && !isspace((unsigned char)*text); text++) {
		if (*text == '-')
			continue;
		if (!isxdigit((unsigned char)*text) || len >= 36)
			return false;
		if (len == 8 || len == 13 || len == 18 || len == 23)
			out[len++] = '-';
		out[len++] = (char)tolower((unsigned char)*text);
	}
	out[len] = '\0';
	return len == 36 && !*pf_value_skip_space(text);
}
