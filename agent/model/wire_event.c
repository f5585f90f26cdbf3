// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/model/wire_event.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/cleanup.h"
#include "agent/model/when.h"
#include "agent/model/wire_text.h"

static void cleanup_json(json_t **json)
{
	json_decref(*json);
}

#define auto_json PF_CLEANUP(cleanup_json) json_t

/* ---- event to JSON ------------------------------------------------------------------------ */

static json_t *make_guest(const struct pf_event *event)
{
	if (!event->guest && !*event->uuid)
		return json_null();
	return json_pack("{s:o, s:o}", "uuid", pf_wire_text(event->uuid), "name",
			 pf_wire_text(event->guest));
}

static json_t *make_thread(const struct pf_event *event)
{
	char role[PF_ROLE_TEXT_MAX];

	if (!event->has_thread)
		return json_null();
	return json_pack("{s:i, s:o, s:s}", "tid", (int)event->tid, "comm",
			 pf_wire_text(event->comm), "role", pf_role_format(event->role, role));
}

static json_t *make_known(int value)
{
	return value < 0 ? json_null() : json_integer(value);
}

static json_t *make_place(int cpu, int node)
{
	if (cpu < 0 && node < 0)
		return json_null();
	return json_pack("{s:o, s:o}", "cpu", make_known(cpu), "node", make_known(node));
}

static json_t *make_actor(const struct pf_event *event)
{
	const struct pf_event_actor *actor = &event->actor;

	if (!event->has_actor)
		return json_null();
	return json_pack("{s:i, s:o, s:I, s:o}", "pid", (int)actor->pid, "comm",
			 pf_wire_text(actor->comm), "uid", (json_int_t)actor->uid, "cgroup",
			 pf_wire_text(actor->cgroup));
}

static json_t *make_number(bool known, uint64_t value)
{
	return known ? json_integer((json_int_t)value) : json_null();
}

int pf_wire_encode_event(const struct pf_event *event, char **out)
{
	char time[PF_WHEN_TEXT_MAX];
	auto_json *json = json_pack(
		"{s:I, s:s, s:o, s:s, s:s, s:o, s:o, s:o, s:o, s:s, s:o, s:o, s:I, s:I, s:o}",
		"seq", (json_int_t)event->seq, "time", pf_when_format(event->wall_ns, time),
		"guest", make_guest(event), "kind", pf_event_kind_name(event->kind), "cause",
		pf_event_cause_name(event->cause), "thread", make_thread(event), "from",
		make_place(event->from_cpu, event->from_node), "to",
		make_place(event->to_cpu, event->to_node), "actor", make_actor(event), "action",
		pf_event_action_name(event->action), "latency_ns",
		make_number(event->has_latency, event->latency_ns), "outside_ns",
		make_number(event->has_outside, event->outside_ns), "suppressed",
		(json_int_t)event->suppressed, "boot_ns", (json_int_t)event->boot_ns, "detail",
		pf_wire_text(event->detail));
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

	if (!text)
		return -ENOMEM;
	*out = text;
	return 0;
}

/* ---- JSON to event ------------------------------------------------------------------------ */

static int wrong(struct pf_err *err, const char *key)
{
	return pf_fail_plain(err, EBADMSG, "an event's '%s' is missing or has the wrong shape",
			     key);
}

/*
 * A number from 0 to @max; null and absent leave @known false, which is an error where @known is
 * NULL.
 */
static int take_number(const json_t *object, const char *key, uint64_t max, uint64_t *out,
		       bool *known, struct pf_err *err)
{
	const json_t *value = json_object_get(object, key);

	if (known) {
		*known = value && !json_is_null(value);
		if (!*known)
			return 0;
	}
	if (!json_is_integer(value) || json_integer_value(value) < 0 ||
	    (uint64_t)json_integer_value(value) > max)
		return wrong(err, key);
	*out = (uint64_t)json_integer_value(value);
	return 0;
}

/* Text that is copied; null is NULL. */
static int take_text(const json_t *object, const char *key, char **out, struct pf_err *err)
{
	const json_t *value = json_object_get(object, key);

	*out = NULL;
	if (!value || json_is_null(value))
		return 0;
	if (!json_is_string(value))
		return wrong(err, key);
	*out = strdup(json_string_value(value));
	return *out ? 0 : pf_fail(err, ENOMEM, "read an event");
}

/* Text of at most @size - 1 bytes; a longer one (U+FFFD takes three bytes for one) is cut. */
static int take_short(const json_t *object, const char *key, char *out, size_t size,
		      struct pf_err *err)
{
	const char *text = json_string_value(json_object_get(object, key));

	if (!text)
		return wrong(err, key);
	pf_wire_cut(text, out, size);
	return 0;
}

static int take_guest(const json_t *json, struct pf_event *event, struct pf_err *err)
{
	const json_t *guest = json_object_get(json, "guest");
	int r;

	if (!guest || json_is_null(guest))
		return 0;
	r = take_short(guest, "uuid", event->uuid, sizeof(event->uuid), err);
	return r ?: take_text(guest, "name", &event->guest, err);
}

static int take_thread(const json_t *json, struct pf_event *event, struct pf_err *err)
{
	const json_t *thread = json_object_get(json, "thread");
	const char *role = json_string_value(json_object_get(thread, "role"));
	uint64_t tid;
	int r;

	if (!thread || json_is_null(thread))
		return 0;
	r = take_number(thread, "tid", INT_MAX, &tid, NULL, err);
	if (!r)
		r = take_short(thread, "comm", event->comm, sizeof(event->comm), err);
	if (r < 0)
		return r;
	if (!role || pf_role_parse(role, &event->role) < 0)
		return wrong(err, "role");
	event->has_thread = true;
	event->tid = (pid_t)tid;
	return 0;
}

static int take_place(const json_t *json, const char *key, int *cpu, int *node, struct pf_err *err)
{
	const json_t *place = json_object_get(json, key);
	uint64_t value = 0;
	bool known;
	int r;

	if (!place || json_is_null(place))
		return 0;
	r = take_number(place, "cpu", INT_MAX, &value, &known, err);
	if (r < 0)
		return r;
	*cpu = known ? (int)value : -1;
	r = take_number(place, "node", INT_MAX, &value, &known, err);
	if (r < 0)
		return r;
	*node = known ? (int)value : -1;
	return 0;
}

static int take_actor(const json_t *json, struct pf_event *event, struct pf_err *err)
{
	const json_t *actor = json_object_get(json, "actor");
	uint64_t pid = 0, uid = 0;
	int r;

	if (!actor || json_is_null(actor))
		return 0;
	event->has_actor = true;
	r = take_number(actor, "pid", INT_MAX, &pid, NULL, err);
	if (!r)
		r = take_number(actor, "uid", UINT_MAX, &uid, NULL, err);
	if (!r)
		r = take_short(actor, "comm", event->actor.comm, sizeof(event->actor.comm), err);
	if (!r)
		r = take_text(actor, "cgroup", &event->actor.cgroup, err);
	event->actor.pid = (pid_t)pid;
	event->actor.uid = (uid_t)uid;
	return r;
}

static int take_words(const json_t *json, struct pf_event *event, struct pf_err *err)
{
	const char *kind = json_string_value(json_object_get(json, "kind"));
	const char *cause = json_string_value(json_object_get(json, "cause"));
	const char *action = json_string_value(json_object_get(json, "action"));
	const char *time = json_string_value(json_object_get(json, "time"));

	if (!kind || pf_event_kind_parse(kind, &event->kind) < 0)
		return wrong(err, "kind");
	if (!cause || pf_event_cause_parse(cause, &event->cause) < 0)
		return wrong(err, "cause");
	if (!action || pf_event_action_parse(action, &event->action) < 0)
		return wrong(err, "action");
	if (!time || pf_when_parse(time, 0, &event->wall_ns) < 0)
		return wrong(err, "time");
	return 0;
}

static int take_numbers(const json_t *json, struct pf_event *event, struct pf_err *err)
{
	bool known;
	int r;

	r = take_number(json, "seq", INT64_MAX, &event->seq, NULL, err);
	if (!r)
		r = take_number(json, "latency_ns", INT64_MAX, &event->latency_ns,
				&event->has_latency, err);
	if (!r)
		r = take_number(json, "outside_ns", INT64_MAX, &event->outside_ns,
				&event->has_outside, err);
	if (!r)
		r = take_number(json, "suppressed", INT64_MAX, &event->suppressed, &known, err);
	return r ?: take_number(json, "boot_ns", INT64_MAX, &event->boot_ns, &known, err);
}

static int take_event(const json_t *json, struct pf_event *event, struct pf_err *err)
{
	int r = take_words(json, event, err);

	r = r ?: take_numbers(json, event, err);
	r = r ?: take_guest(json, event, err);
	r = r ?: take_thread(json, event, err);
	r = r ?: take_place(json, "from", &event->from_cpu, &event->from_node, err);
	r = r ?: take_place(json, "to", &event->to_cpu, &event->to_node, err);
	r = r ?: take_actor(json, event, err);
	return r ?: take_text(json, "detail", &event->detail, err);
}

int pf_wire_decode_event(const char *text, size_t len, struct pf_event *out, struct pf_err *err)
{
	auto_json *json = json_loadb(text, len, 0, NULL);
	const char *words = json_string_value(json_object_get(json, "error"));
	struct pf_event event;
	int r;

	if (words)
		return pf_fail_plain(err, EREMOTEIO, "%s", words);
	if (!json_is_object(json))
		return pf_fail_plain(err, EBADMSG, "an event that is not a JSON object");
	pf_event_init(&event, PF_EVENT_AGENT, PF_EVENT_UNKNOWN, PF_EVENT_OBSERVED);
	r = take_event(json, &event, err);
	if (r < 0) {
		pf_event_clear(&event);
		return r;
	}
	*out = event;
	return 0;
}
