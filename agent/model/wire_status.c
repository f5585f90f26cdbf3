// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/model/wire.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "agent/base/cleanup.h"
#include "agent/model/wire_counts.h"
#include "agent/model/wire_json.h"
#include "agent/model/wire_text.h"

static const char *const sources[] = {
	[PF_SOURCE_LIBVIRT] = "libvirt",
	[PF_SOURCE_QEMU] = "qemu",
};

static const char *const severities[] = {
	[PF_FINDING_NOTE] = "note",
	[PF_FINDING_IMPOSSIBLE] = "impossible",
};

/* ---- status to JSON ----------------------------------------------------------------------- */

static json_t *make_desired(const struct pf_set *desired, const struct pf_set *actual)
{
	return json_pack("{s:o, s:o}", "desired", pf_json_make_set(desired), "actual",
			 pf_json_make_set(actual));
}

static json_t *make_thread(const struct pf_thread_status *thread)
{
	return json_pack("{s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:o, s:o}",
			 "tid", (int)thread->tid,
			 "comm", pf_wire_text(thread->comm),
			 "role", pf_json_make_role(thread->role),
			 "cgroup", pf_wire_text(thread->cgroup),
			 "cpus", make_desired(&thread->cpus_desired, &thread->cpus_actual),
			 "nodes", make_desired(&thread->nodes_desired, &thread->nodes_actual),
			 "on_cpu", pf_json_make_known(thread->on_cpu),
			 "on_node", pf_json_make_known(thread->on_node),
			 "state", pf_state_name(thread->state),
			 "away_ns", pf_json_make_time(thread->timed, thread->away_ns),
			 "remote_ns", pf_json_make_time(thread->timed, thread->remote_ns));
}

static json_t *make_knob(const struct pf_knob_status *knob)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:s}",
			 "group", pf_wire_text(knob->group),
			 "knob", pf_wire_text(knob->knob),
			 "desired", pf_wire_text(knob->desired),
			 "actual", pf_wire_text(knob->actual),
			 "state", pf_state_name(knob->state));
}

static json_t *make_cell(const struct pf_cell *cell)
{
	return json_pack("{s:i, s:s, s:o, s:I}",
			 "cell", (int)cell->cell,
			 "mode", pf_memory_mode_name(cell->memory.mode),
			 "nodes", pf_json_make_set(&cell->memory.nodes),
			 "memory_kib", (json_int_t)cell->memory_kib);
}

static json_t *make_finding(const struct pf_finding *finding)
{
	return json_pack("{s:s, s:o}", "severity", severities[finding->severity], "text",
			 pf_wire_text(finding->text));
}

static json_t *make_guest(const struct pf_guest_status *guest)
{
	return json_pack("{s:o, s:o, s:i, s:s, s:s, s:s, s:b, s:s, s:o, s:o, s:o, s:I, s:o, s:o, s:o, s:o, s:o}",
			 "uuid", pf_wire_text(guest->uuid),
			 "name", pf_wire_text(guest->name ?: ""),
			 "pid", (int)guest->pid,
			 "source", sources[guest->source],
			 "mode", pf_mode_name(guest->mode),
			 "isolation", pf_isolation_name(guest->isolation),
			 "released", guest->released,
			 "state", pf_state_name(guest->state),
			 "reason", pf_wire_text(guest->reason),
			 "under_way", pf_wire_text(guest->under_way),
			 "not_put_back", pf_wire_text(guest->not_put_back),
			 "untold", (json_int_t)guest->untold,
			 "threads", make_array(guest->threads, guest->thread_count, make_thread),
			 "knobs", make_array(guest->knobs, guest->knob_count, make_knob),
			 "memory", make_array(guest->cells, guest->cell_count, make_cell),
			 "findings",
			 make_array(guest->findings.items, guest->findings.count, make_finding),
			 "counters", pf_json_make_counts(guest));
}

static json_t *make_capabilities(const struct pf_status *status)
{
	json_t *object = json_object();

	for (size_t i = 0; object && i < status->capability_count; i++) {
		const struct pf_capability *capability = &status->capabilities[i];
		json_t *value = json_pack("{s:b, s:o}", "available", capability->available,
					  "reason", pf_wire_text(capability->reason));

		if (json_object_set_new(object, capability->name, value) < 0) {
			json_decref(object);
			object = NULL;
		}
	}
	return object;
}

static json_t *make_status_host(const struct pf_status *status)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o}",
			 "hostname", pf_wire_text(status->hostname),
			 "kernel", pf_wire_text(status->kernel),
			 "cpus_online", pf_json_make_set(&status->cpus_online),
			 "nodes_online", pf_json_make_set(&status->nodes_online),
			 "agent_version", pf_wire_text(status->agent_version));
}

int pf_wire_encode_status(const struct pf_status *status, char **out)
{
	return pf_json_dump(json_pack("{s:o, s:o, s:I, s:o, s:o}", "host",
				      make_status_host(status), "libvirt",
				      pf_wire_text(status->libvirt), "unstored",
				      (json_int_t)status->unstored, "capabilities",
				      make_capabilities(status), "guests",
				      make_array(status->guests, status->guest_count, make_guest)),
			    JSON_COMPACT, out);
}

/* ---- and back ----------------------------------------------------------------------------- */

static int get_state(const json_t *object, enum pf_state *out, struct pf_err *err)
{
	const char *text;
	int r = pf_json_get_string(object, "state", &text, err);

	if (r < 0)
		return r;
	return pf_state_parse(text, out) < 0 ? pf_json_wrong(err, "state", "a state") : 0;
}

static int get_desired(const json_t *object, const char *key, struct pf_set *desired,
		       struct pf_set *actual, struct pf_err *err)
{
	const json_t *pair = json_object_get(object, key);

	if (!json_is_object(pair))
		return pf_json_wrong(err, key, "an object");
	if (pf_json_get_set(pair, "desired", desired, err) < 0 ||
	    pf_json_get_set(pair, "actual", actual, err) < 0)
		return pf_fail_plain(err, EBADMSG, "'%s' is not a pair of lists", key);
	return 0;
}

static int read_thread(const json_t *json, struct pf_thread_status *thread, struct pf_err *err)
{
	int r = pf_json_get_pid(json, "tid", &thread->tid, err);

	r = r ?: pf_json_copy_fixed(json, "comm", thread->comm, sizeof(thread->comm), err);
	r = r ?: pf_json_get_role(json, &thread->role, err);
	r = r ?: pf_json_copy_optional(json, "cgroup", &thread->cgroup, err);
	r = r ?: get_desired(json, "cpus", &thread->cpus_desired, &thread->cpus_actual, err);
	r = r ?: get_desired(json, "nodes", &thread->nodes_desired, &thread->nodes_actual, err);
	r = r ?: pf_json_get_known(json, "on_cpu", &thread->on_cpu, err);
	r = r ?: pf_json_get_known(json, "on_node", &thread->on_node, err);
	r = r ?: get_state(json, &thread->state, err);
	return r ?: pf_json_get_times(json, thread, err);
}

static int read_knob(const json_t *json, struct pf_knob_status *knob, struct pf_err *err)
{
	int r = pf_json_copy_string(json, "group", &knob->group, err);

	r = r ?: pf_json_copy_string(json, "knob", &knob->knob, err);
	r = r ?: pf_json_copy_optional(json, "desired", &knob->desired, err);
	r = r ?: pf_json_copy_optional(json, "actual", &knob->actual, err);
	return r ?: get_state(json, &knob->state, err);
}

static int read_cell(const json_t *json, struct pf_cell *cell, struct pf_err *err)
{
	static const char *names[PF_MEMORY_RESTRICTIVE + 1];
	json_int_t number = 0, kib = 0;
	unsigned int mode = 0;
	int r;

	for (unsigned int i = 0; i <= PF_MEMORY_RESTRICTIVE; i++)
		names[i] = pf_memory_mode_name((enum pf_memory_mode)i);
	r = pf_json_get_number(json, "cell", 0, INT_MAX, &number, err);
	r = r ?: pf_json_get_name(json, "mode", names, PF_MEMORY_RESTRICTIVE + 1, &mode, err);
	r = r ?: pf_json_get_set(json, "nodes", &cell->memory.nodes, err);
	r = r ?: pf_json_get_number(json, "memory_kib", 0, LLONG_MAX, &kib, err);
	cell->cell = (unsigned int)number;
	cell->memory.mode = (enum pf_memory_mode)mode;
	cell->memory.nodes_known = !pf_set_empty(&cell->memory.nodes);
	cell->memory_kib = (uint64_t)kib;
	return r;
}

static int read_finding(const json_t *json, struct pf_finding *finding, struct pf_err *err)
{
	unsigned int severity = 0;
	int r = pf_json_get_name(json, "severity", severities, 2, &severity, err);

	finding->severity = (enum pf_severity)severity;
	return r ?: pf_json_copy_string(json, "text", &finding->text, err);
}

static int read_policy(const json_t *json, struct pf_guest_status *guest, struct pf_err *err)
{
	const char *mode, *isolation;
	int r = pf_json_get_string(json, "mode", &mode, err);

	r = r ?: pf_json_get_string(json, "isolation", &isolation, err);
	if (r < 0)
		return r;
	if (!pf_mode_parse(mode, &guest->mode))
		return pf_json_wrong(err, "mode", "a mode");
	if (!pf_isolation_parse(isolation, &guest->isolation))
		return pf_json_wrong(err, "isolation", "an isolation");
	return 0;
}

static int read_guest(const json_t *json, struct pf_guest_status *guest, struct pf_err *err)
{
	unsigned int source = 0;
	int r = pf_json_copy_fixed(json, "uuid", guest->uuid, sizeof(guest->uuid), err);

	r = r ?: pf_json_copy_string(json, "name", &guest->name, err);
	r = r ?: pf_json_get_pid(json, "pid", &guest->pid, err);
	r = r ?: pf_json_get_name(json, "source", sources, 2, &source, err);
	guest->source = (enum pf_guest_source)source;
	r = r ?: read_policy(json, guest, err);
	r = r ?: pf_json_get_bool(json, "released", &guest->released, err);
	r = r ?: get_state(json, &guest->state, err);
	r = r ?: pf_json_copy_optional(json, "reason", &guest->reason, err);
	r = r ?: pf_json_copy_optional(json, "under_way", &guest->under_way, err);
	r = r ?: pf_json_copy_optional(json, "not_put_back", &guest->not_put_back, err);
	r = r ?: pf_json_get_count(json, "untold", &guest->untold, err);
	r = r ?: read_array(json, "threads", &guest->threads, &guest->thread_count, read_thread,
			    err);
	r = r ?: read_array(json, "knobs", &guest->knobs, &guest->knob_count, read_knob, err);
	r = r ?: read_array(json, "memory", &guest->cells, &guest->cell_count, read_cell, err);
	r = r ?: read_array(json, "findings", &guest->findings.items, &guest->findings.count,
			    read_finding, err);
	return r ?: pf_json_get_counts(json, guest, err);
}

static int read_capabilities(const json_t *json, struct pf_status *status, struct pf_err *err)
{
	json_t *object = json_object_get(json, "capabilities");
	const char *name;
	json_t *value;

	if (object && !json_is_object(object))
		return pf_json_wrong(err, "capabilities", "an object");
	json_object_foreach(object, name, value) {
		struct pf_capability *capability =
			pf_append(&status->capabilities, &status->capability_count);
		int r;

		if (!capability || !(capability->name = strdup(name)))
			return pf_fail(err, ENOMEM, "read 'capabilities'");
		r = pf_json_get_bool(value, "available", &capability->available, err);
		r = r ?: pf_json_copy_optional(value, "reason", &capability->reason, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_status(const json_t *json, struct pf_status *status, struct pf_err *err)
{
	const json_t *host = json_object_get(json, "host");
	int r;

	r = pf_json_copy_fixed(host, "hostname", status->hostname, sizeof(status->hostname), err);
	r = r ?: pf_json_copy_fixed(host, "kernel", status->kernel, sizeof(status->kernel), err);
	r = r ?: pf_json_get_set(host, "cpus_online", &status->cpus_online, err);
	r = r ?: pf_json_get_set(host, "nodes_online", &status->nodes_online, err);
	r = r ?: pf_json_copy_optional(host, "agent_version", &status->agent_version, err);
	r = r ?: pf_json_copy_optional(json, "libvirt", &status->libvirt, err);
	r = r ?: pf_json_get_count(json, "unstored", &status->unstored, err);
	r = r ?: read_capabilities(json, status, err);
	return r ?: read_array(json, "guests", &status->guests, &status->guest_count, read_guest,
			       err);
}

int pf_wire_decode_status(const char *text, size_t len, struct pf_status *out, struct pf_err *err)
{
	PF_CLEANUP(pf_status_clear) struct pf_status status = {};
	auto_json *json = NULL;
	int r = pf_json_load(text, len, &json, err);

	r = r ?: read_status(json, &status, err);
	if (r < 0)
		return r;
	*out = status;
	status = (struct pf_status){};
	return 0;
}
