// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/model/wire_counts.h"

#include <errno.h>
#include <limits.h>

static const struct {
	const char *name;
	size_t offset;
} fields[] = {
	{"escapes", offsetof(struct pf_counts, escapes)},
	{"remote", offsetof(struct pf_counts, remote)},
	{"stays", offsetof(struct pf_counts, stays)},
	{"away_ns", offsetof(struct pf_counts, away_ns)},
	{"remote_ns", offsetof(struct pf_counts, remote_ns)},
	{"told", offsetof(struct pf_counts, told)},
	{"suppressed", offsetof(struct pf_counts, suppressed)},
	{"dropped", offsetof(struct pf_counts, dropped)},
	{"untimed", offsetof(struct pf_counts, untimed)},
	{"pages", offsetof(struct pf_counts, pages)},
	{"refused", offsetof(struct pf_counts, refused)},
};
#define FIELDS (sizeof(fields) / sizeof(fields[0]))
_Static_assert(sizeof(struct pf_counts) == FIELDS * sizeof(uint64_t), "each counter is told");

static json_t *add_fields(json_t *object, const struct pf_counts *counts)
{
	for (size_t i = 0; object && i < FIELDS; i++) {
		const uint64_t *value = (const void *)((const char *)counts + fields[i].offset);

		if (json_object_set_new(object, fields[i].name,
					json_integer((json_int_t)*value)) < 0) {
			json_decref(object);
			return NULL;
		}
	}
	return object;
}

static json_t *make_role(const struct pf_role_counts *role)
{
	return add_fields(json_pack("{s:o}", "role", pf_json_make_role(role->role)),
			  &role->counts);
}

json_t *pf_json_make_counts(const struct pf_guest_status *guest)
{
	json_t *object;

	if (!guest->counted)
		return json_null();
	object = add_fields(json_object(), &guest->counts);
	if (object && json_object_set_new(object, "roles",
					  make_array(guest->roles, guest->role_count,
						     make_role)) < 0) {
		json_decref(object);
		return NULL;
	}
	return object;
}

json_t *pf_json_make_time(bool timed, uint64_t ns)
{
	return timed ? json_integer((json_int_t)ns) : json_null();
}

static int read_fields(const json_t *object, struct pf_counts *counts, struct pf_err *err)
{
	for (size_t i = 0; i < FIELDS; i++) {
		uint64_t *value = (void *)((char *)counts + fields[i].offset);
		json_int_t number = 0;
		int r = pf_json_get_number(object, fields[i].name, 0, LLONG_MAX, &number, err);

		if (r < 0)
			return r;
		*value = (uint64_t)number;
	}
	return 0;
}

static int read_role(const json_t *json, struct pf_role_counts *role, struct pf_err *err)
{
	int r = pf_json_get_role(json, &role->role, err);

	return r ?: read_fields(json, &role->counts, err);
}

int pf_json_get_counts(const json_t *json, struct pf_guest_status *guest, struct pf_err *err)
{
	const json_t *object = json_object_get(json, "counters");
	int r;

	if (!object || json_is_null(object))
		return 0;
	if (!json_is_object(object))
		return pf_json_wrong(err, "counters", "an object");
	guest->counted = true;
	r = read_fields(object, &guest->counts, err);
	return r ?: read_array(object, "roles", &guest->roles, &guest->role_count, read_role, err);
}

int pf_json_get_times(const json_t *json, struct pf_thread_status *thread, struct pf_err *err)
{
	const json_t *away = json_object_get(json, "away_ns");
	json_int_t number = 0;
	int r;

	if (!away || json_is_null(away))
		return 0;
	thread->timed = true;
	r = pf_json_get_number(json, "away_ns", 0, LLONG_MAX, &number, err);
	thread->away_ns = (uint64_t)number;
	r = r ?: pf_json_get_number(json, "remote_ns", 0, LLONG_MAX, &number, err);
	thread->remote_ns = (uint64_t)number;
	return r;
}
