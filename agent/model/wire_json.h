/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The model's small parts as JSON and back, for the files of the codec (wire.c, wire_status.c,
 * wire_plan.c, wire_host.c) alone.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "agent/base/array.h"
#include "agent/base/cleanup.h"
#include "agent/base/err.h"
#include "agent/base/set.h"
#include "agent/model/role.h"

/* For auto_json: drops the reference that is held. */
void pf_json_cleanup(json_t **json);

#define auto_json PF_CLEANUP(pf_json_cleanup) json_t

/* ---- to JSON: a new reference, or NULL when out of memory -------------------------------- */

/* A Linux list: "0-3,8". */
json_t *pf_json_make_set(const struct pf_set *set);

/* Numbers that the kernel may not tell: -1 is null. */
json_t *pf_json_make_known(int value);

json_t *pf_json_make_role(struct pf_role role);

/* An array with make(&items[i]) for each; NULL when out of memory. */
#define make_array(items, count, make)                                                             \
	({                                                                                         \
		json_t *array_ = json_array();                                                     \
		for (size_t i_ = 0; array_ && i_ < (count); i_++)                                  \
			if (json_array_append_new(array_, make(&(items)[i_])) < 0) {               \
				json_decref(array_);                                               \
				array_ = NULL;                                                     \
			}                                                                          \
		array_;                                                                            \
	})

/*
 * Consumes @json, which may be NULL: then something in it found no memory.
 * @flags: jansson's, for json_dumps(); @out: malloc'ed, owned by the caller.
 * Return: 0 or -ENOMEM.
 */
int pf_json_dump(json_t *json, size_t flags, char **out);

/* ---- and back ---------------------------------------------------------------------------- */

/*
 * @out: a new reference to an object; untouched on failure.
 * Return: 0, -ENOMEM, or -EBADMSG for what is not JSON or not an object.
 */
int pf_json_load(const char *text, size_t len, json_t **out, struct pf_err *err);

/* Return: -EBADMSG, with "'@key' is missing or not @want" in @err. */
int pf_json_wrong(struct pf_err *err, const char *key, const char *want);

/*
 * Each of these takes what is below @key of @object, which may be NULL.
 * Return: 0, -EBADMSG for what is missing or has the wrong shape, or -ENOMEM.
 */

/* A string, or NULL where the key is missing or null; it lives as long as @object. */
int pf_json_get_optional(const json_t *object, const char *key, const char **out,
			 struct pf_err *err);
int pf_json_get_string(const json_t *object, const char *key, const char **out,
		       struct pf_err *err);

/* The same, malloc'ed and owned by the caller. */
int pf_json_copy_optional(const json_t *object, const char *key, char **out, struct pf_err *err);
int pf_json_copy_string(const json_t *object, const char *key, char **out, struct pf_err *err);

/* Into @size bytes; what is too long is cut between two characters. */
int pf_json_copy_fixed(const json_t *object, const char *key, char *out, size_t size,
		       struct pf_err *err);

int pf_json_get_number(const json_t *object, const char *key, json_int_t min, json_int_t max,
		       json_int_t *out, struct pf_err *err);

/* The reverse of pf_json_make_known(). */
int pf_json_get_known(const json_t *object, const char *key, int *out, struct pf_err *err);

int pf_json_get_pid(const json_t *object, const char *key, pid_t *out, struct pf_err *err);

/* A missing one is false: an older agent does not say it. */
int pf_json_get_bool(const json_t *object, const char *key, bool *out, struct pf_err *err);

/* A missing one is 0, likewise. */
int pf_json_get_count(const json_t *object, const char *key, uint64_t *out, struct pf_err *err);

int pf_json_get_set(const json_t *object, const char *key, struct pf_set *out,
		    struct pf_err *err);

/* @out: the position of the text among the @count @names. */
int pf_json_get_name(const json_t *object, const char *key, const char *const *names,
		     size_t count, unsigned int *out, struct pf_err *err);

/* The key is "role". */
int pf_json_get_role(const json_t *object, struct pf_role *out, struct pf_err *err);

/* Reads each object of the array @key with read(); a missing array is an empty one. */
#define read_array(object, key, items, count, read, err)                                           \
	({                                                                                         \
		const json_t *array_ = json_object_get((object), (key));                           \
		int r_ = array_ && !json_is_array(array_)                                          \
				 ? pf_json_wrong((err), (key), "an array")                         \
				 : 0;                                                              \
		for (size_t i_ = 0; !r_ && i_ < json_array_size(array_); i_++) {                   \
			__typeof__(*(items)) item_ = pf_append(&*(items), (count));                \
			r_ = item_ ? read(json_array_get(array_, i_), item_, (err))                \
				   : pf_fail((err), ENOMEM, "read '%s'", (key));                   \
			if (r_ < 0)                                                                \
				pf_wrap((err), "%s[%zu]", (key), i_);                              \
		}                                                                                  \
		r_;                                                                                \
	})
