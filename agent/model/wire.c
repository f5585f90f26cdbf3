// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/model/wire.h"

#include <errno.h>
#include <string.h>

#include "agent/model/wire_json.h"
#include "agent/model/wire_text.h"

int pf_wire_encode_error(const char *text, char **out)
{
	return pf_json_dump(json_pack("{s:o}", "error", pf_wire_text(text)), JSON_COMPACT, out);
}

char *pf_wire_decode_error(const char *text, size_t len)
{
	auto_json *json = NULL;
	const char *words;

	if (pf_json_load(text, len, &json, NULL) < 0)
		return NULL;
	words = json_string_value(json_object_get(json, "error"));
	return words ? strdup(words) : NULL;
}

int pf_wire_pretty(const char *text, size_t len, char **out, struct pf_err *err)
{
	json_t *json = NULL;
	int r = pf_json_load(text, len, &json, err);

	if (r < 0)
		return r;
	r = pf_json_dump(json, JSON_INDENT(2), out);
	return r < 0 ? pf_fail(err, ENOMEM, "write JSON") : 0;
}
