// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/model/wire_json.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/cleanup.h"
#include "agent/model/wire_text.h"

void pf_json_cleanup(json_t **json)
{
	json_decref(*json);
}

/* ---- to JSON ------------------------------------------------------------------------------ */

json_t *pf_json_make_set(const struct pf_set *set)
{
	pf_auto_free char *text = malloc(PF_SET_TEXT_MAX);

	return text ? json_string(pf_set_format(set, text, PF_SET_TEXT_MAX)) : NULL;
}

json_t *pf_json_make_known(int value)
{
	return value < 0 ? json_null() : json_integer(value);
}

json_t *pf_json_make_role(struct pf_role role)
{
	char text[PF_ROLE_TEXT_MAX];

	return json_string(pf_role_format(role, text));
}

int pf_json_dump(json_t *json, size_t flags, char **out)
{
	char *text = json ? json_dumps(json, flags) : NULL;

	json_decref(json);
	if (!text)
		return -ENOMEM;
	*out = text;
	return 0;
}

/* ---- and back ----------------------------------------------------------------------------- */

int pf_json_load(const char *text, size_t len, json_t **out, struct pf_err *err)
{
	json_error_t error;
	json_t *json = json_loadb(text, len, 0, &error);

	if (!json && json_error_code(&error) == json_error_out_of_memory)
		return pf_fail(err, ENOMEM, "read JSON");
	if (!json)
		return pf_fail_plain(err, EBADMSG, "not JSON: %.160s at line %d", error.text,
				     error.line);
	if (!json_is_object(json)) {
		json_decref(json);
		return pf_fail_plain(err, EBADMSG, "not a JSON object");
	}
	*out = json;
	return 0;
}

int pf_json_wrong(struct pf_err *err, const char *key, const char *want)
{
	return pf_fail_plain(err, EBADMSG, "'%s' is missing or not %s", key, want);
}

int pf_json_get_optional(const json_t *object, const char *key, const char **out,
			 struct pf_err *err)
{
	const json_t *value = json_object_get(object, key);

	if (value && !json_is_null(value) && !json_is_string(value))
		return pf_json_wrong(err, key, "a string");
	*out = json_string_value(value);
	return 0;
}

int pf_json_get_string(const json_t *object, const char *key, const char **out, struct pf_err *err)
{
	int r = pf_json_get_optional(object, key, out, err);

	return r < 0 || *out ? r : pf_json_wrong(err, key, "a string");
}

int pf_json_copy_optional(const json_t *object, const char *key, char **out, struct pf_err *err)
{
	const char *text;
	int r = pf_json_get_optional(object, key, &text, err);

	if (r < 0)
		return r;
	*out = text ? strdup(text) : NULL;
	return text && !*out ? pf_fail(err, ENOMEM, "read '%s'", key) : 0;
}

int pf_json_copy_string(const json_t *object, const char *key, char **out, struct pf_err *err)
{
	int r = pf_json_copy_optional(object, key, out, err);

	return r < 0 || *out ? r : pf_json_wrong(err, key, "a string");
}

int pf_json_copy_fixed(const json_t *object, const char *key, char *out, size_t size,
		       struct pf_err *err)
{
	const char *text;
	int r = pf_json_get_string(object, key, &text, err);

	if (r < 0)
		return r;
	pf_wire_cut(text, out, size);
	return 0;
}

int pf_json_get_number(const json_t *object, const char *key, json_int_t min, json_int_t max,
		       json_int_t *out, struct pf_err *err)
{
	const json_t *value = json_object_get(object, key);

	if (!json_is_integer(value) || json_integer_value(value) < min ||
	    json_integer_value(value) > max)
		return pf_json_wrong(err, key, "a number in its range");
	*out = json_integer_value(value);
	return 0;
}

int pf_json_get_known(const json_t *object, const char *key, int *out, struct pf_err *err)
{
	const json_t *value = json_object_get(object, key);
	json_int_t number = -1;
	int r = 0;

	if (value && !json_is_null(value))
		r = pf_json_get_number(object, key, 0, INT_MAX, &number, err);
	*out = (int)number;
	return r;
}

int pf_json_get_pid(const json_t *object, const char *key, pid_t *out, struct pf_err *err)
{
	json_int_t number;
	int r = pf_json_get_number(object, key, 0, INT_MAX, &number, err);

	if (r == 0)
		*out = (pid_t)number;
	return r;
}

int pf_json_get_count(const json_t *object, const char *key, uint64_t *out, struct pf_err *err)
{
	json_int_t number = 0;
	int r = 0;

	if (json_object_get(object, key))
		r = pf_json_get_number(object, key, 0, LLONG_MAX, &number, err);
	if (r == 0)
		*out = (uint64_t)number;
	return r;
}

int pf_json_get_bool(const json_t *object, const char *key, bool *out, struct pf_err *err)
{
	const json_t *value = json_object_get(object, key);

	if (value && !json_is_boolean(value))
		return pf_json_wrong(err, key, "true or false");
	*out = json_is_true(value);
	return 0;
}

int pf_json_get_set(const json_t *object, const char *key, struct pf_set *out, struct pf_err *err)
{
	const char *text;
	int r = pf_json_get_string(object, key, &text, err);

	if (r < 0)
		return r;
	if (pf_set_parse(text, out, err) < 0)
		return pf_fail_plain(err, EBADMSG, "'%s' is '%.40s', not a list such as 0-3,8",
				     key, text);
	return 0;
}

int pf_json_get_name(const json_t *object, const char *key, const char *const *names, size_t count,
		     unsigned int *out, struct pf_err *err)
{
	const char *text;
	int r = pf_json_get_string(object, key, &text, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < count; i++) {
		if (strcmp(names[i], text) == 0) {
			*out = (unsigned int)i;
			return 0;
		}
	}
	return pf_fail_plain(err, EBADMSG, "'%s' is '%.40s', which is not known here", key, text);
}

int pf_json_get_role(const json_t *object, struct pf_role *out, struct pf_err *err)
{
	const char *text;
	int r = pf_json_get_string(object, "role", &text, err);

	if (r < 0)
		return r;
	return pf_role_parse(text, out) < 0 ? pf_json_wrong(err, "role", "a role") : 0;
}
