// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/model/wire.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/array.h"
#include "agent/base/cleanup.h"
#include "agent/model/promised.h"
#include "agent/model/wire_text.h"

static void cleanup_json(json_t **json)
{
	json_decref(*json);
}

#define auto_json PF_CLEANUP(cleanup_json) json_t

void pf_plans_clear(struct pf_plans *plans)
{
	for (size_t i = 0; i < plans->count; i++)
		pf_plan_clear(&plans->items[i]);
	free(plans->items);
	*plans = (struct pf_plans){};
}

static const char *const sources[] = {
	[PF_SOURCE_LIBVIRT] = "libvirt",
	[PF_SOURCE_QEMU] = "qemu",
};

static const char *const severities[] = {
	[PF_FINDING_NOTE] = "note",
	[PF_FINDING_IMPOSSIBLE] = "impossible",
};

static json_t *make_set(const struct pf_set *set)
{
	pf_auto_free char *text = malloc(PF_SET_TEXT_MAX);

	return text ? json_string(pf_set_format(set, text, PF_SET_TEXT_MAX)) : NULL;
}

/* Numbers that the kernel may not tell: -1 is null. */
static json_t *make_known(int value)
{
	return value < 0 ? json_null() : json_integer(value);
}

static json_t *make_role(struct pf_role role)
{
	char text[PF_ROLE_TEXT_MAX];

	return json_string(pf_role_format(role, text));
}

static json_t *make_desired(const struct pf_set *desired, const struct pf_set *actual)
{
	return json_pack("{s:o, s:o}", "desired", make_set(desired), "actual", make_set(actual));
}

static json_t *make_thread(const struct pf_thread_status *thread)
{
	return json_pack("{s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s}",
			 "tid", (int)thread->tid,
			 "comm", pf_wire_text(thread->comm),
			 "role", make_role(thread->role),
			 "cgroup", pf_wire_text(thread->cgroup),
			 "cpus", make_desired(&thread->cpus_desired, &thread->cpus_actual),
			 "nodes", make_desired(&thread->nodes_desired, &thread->nodes_actual),
			 "on_cpu", make_known(thread->on_cpu),
			 "on_node", make_known(thread->on_node),
			 "state", pf_state_name(thread->state));
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
			 "nodes", make_set(&cell->memory.nodes),
			 "memory_kib", (json_int_t)cell->memory_kib);
}

static json_t *make_finding(const struct pf_finding *finding)
{
	return json_pack("{s:s, s:o}", "severity", severities[finding->severity], "text",
			 pf_wire_text(finding->text));
}

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

static json_t *make_guest(const struct pf_guest_status *guest)
{
	return json_pack("{s:o, s:o, s:i, s:s, s:s, s:s, s:b, s:s, s:o, s:o, s:o, s:o, s:o}",
			 "uuid", pf_wire_text(guest->uuid),
			 "name", pf_wire_text(guest->name ?: ""),
			 "pid", (int)guest->pid,
			 "source", sources[guest->source],
			 "mode", pf_mode_name(guest->mode),
			 "isolation", pf_isolation_name(guest->isolation),
			 "released", guest->released,
			 "state", pf_state_name(guest->state),
			 "reason", pf_wire_text(guest->reason),
			 "threads", make_array(guest->threads, guest->thread_count, make_thread),
			 "knobs", make_array(guest->knobs, guest->knob_count, make_knob),
			 "memory", make_array(guest->cells, guest->cell_count, make_cell),
			 "findings",
			 make_array(guest->findings.items, guest->findings.count, make_finding));
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
			 "cpus_online", make_set(&status->cpus_online),
			 "nodes_online", make_set(&status->nodes_online),
			 "agent_version", pf_wire_text(status->agent_version));
}

/* Consumes @json, which may be NULL: then something in it found no memory. */
static int dump(json_t *json, size_t flags, char **out)
{
	char *text = json ? json_dumps(json, flags) : NULL;

	json_decref(json);
	if (!text)
		return -ENOMEM;
	*out = text;
	return 0;
}

int pf_wire_encode_status(const struct pf_status *status, char **out)
{
	return dump(json_pack("{s:o, s:o, s:o, s:o}",
			      "host", make_status_host(status),
			      "libvirt", pf_wire_text(status->libvirt),
			      "capabilities", make_capabilities(status),
			      "guests",
			      make_array(status->guests, status->guest_count, make_guest)),
		    JSON_COMPACT, out);
}

/* A key that does not belong to that kind of step is left out: @value NULL sets nothing. */
static int set_known(json_t *object, const char *key, const char *value)
{
	return value ? json_object_set_new(object, key, pf_wire_text(value)) : 0;
}

static int set_step_texts(json_t *object, const struct pf_step *step)
{
	pf_auto_free char *text = pf_step_describe(step);

	if (set_known(object, "group", step->group) < 0 ||
	    set_known(object, "knob", step->knob) < 0 ||
	    set_known(object, "value", step->value) < 0 ||
	    set_known(object, "was", step->was) < 0 || set_known(object, "unit", step->unit) < 0)
		return -1;
	if (step->tid > 0 && json_object_set_new(object, "tid", json_integer(step->tid)) < 0)
		return -1;
	if (json_object_set_new(object, "role", make_role(step->role)) < 0)
		return -1;
	if (step->kind == PF_STEP_AFFINITY &&
	    json_object_set_new(object, "cpus", make_set(&step->cpus)) < 0)
		return -1;
	return text ? set_known(object, "text", text) : -1;
}

static json_t *make_step(const struct pf_step *step)
{
	json_t *object = json_pack("{s:s, s:i}", "kind", pf_step_kind_name(step->kind), "act",
				   (int)step->act);

	if (object && set_step_texts(object, step) < 0) {
		json_decref(object);
		return NULL;
	}
	return object;
}

static json_t *make_plan(const struct pf_plan *plan)
{
	return json_pack("{s:{s:o, s:o}, s:o}",
			 "guest",
			 "uuid", pf_wire_text(plan->uuid),
			 "name", pf_wire_text(plan->name ?: ""),
			 "steps", make_array(plan->steps, plan->count, make_step));
}

int pf_wire_encode_plans(const struct pf_plan *plans, size_t count, char **out)
{
	return dump(json_pack("{s:o}", "plans", make_array(plans, count, make_plan)),
		    JSON_COMPACT, out);
}

int pf_wire_encode_error(const char *text, char **out)
{
	return dump(json_pack("{s:o}", "error", pf_wire_text(text)), JSON_COMPACT, out);
}

static json_t *make_hugepages(const struct pf_host_hugepages *pages)
{
	return json_pack("{s:I, s:I, s:I}",
			 "size_kib", (json_int_t)pages->size_kib,
			 "total", (json_int_t)pages->total,
			 "free", (json_int_t)pages->free);
}

/* {"0": 10, "8": 40}: by node number, since numbers need not be dense. */
static json_t *make_distances(const struct pf_host *host, const struct pf_host_node *node)
{
	json_t *object = json_object();

	for (size_t i = 0; object && node->distances && i < host->node_count; i++) {
		char key[16];

		snprintf(key, sizeof(key), "%u", host->nodes[i].node);
		if (json_object_set_new(object, key, json_integer(node->distances[i])) < 0) {
			json_decref(object);
			object = NULL;
		}
	}
	return object;
}

static json_t *make_nodes(const struct pf_host *host)
{
	json_t *array = json_array();

	for (size_t i = 0; array && i < host->node_count; i++) {
		const struct pf_host_node *node = &host->nodes[i];
		json_t *object = json_pack(
			"{s:i, s:o, s:I, s:I, s:o, s:o}",
			"node", (int)node->node,
			"cpus", make_set(&node->cpus),
			"memory_total_kib", (json_int_t)node->memory_total_kib,
			"memory_free_kib", (json_int_t)node->memory_free_kib,
			"hugepages",
			make_array(node->hugepages, node->hugepages_count, make_hugepages),
			"distances", make_distances(host, node));

		if (json_array_append_new(array, object) < 0) {
			json_decref(array);
			array = NULL;
		}
	}
	return array;
}

/* The roles of @guest on @cpu: an array, empty when it was promised nothing there. */
static json_t *make_roles(const struct pf_guest_status *guest, unsigned int cpu)
{
	json_t *roles = json_array();
	struct pf_role role;

	for (size_t at = 0; roles && pf_promised_next(guest, cpu, &at, &role);) {
		if (json_array_append_new(roles, make_role(role)) < 0) {
			json_decref(roles);
			roles = NULL;
		}
	}
	return roles;
}

static json_t *make_promised_to(const struct pf_status *status, unsigned int cpu)
{
	auto_json *array = json_array();

	for (size_t i = 0; array && i < status->guest_count; i++) {
		const struct pf_guest_status *guest = &status->guests[i];
		json_t *roles = make_roles(guest, cpu);
		json_t *entry;

		if (!roles)
			return NULL;
		if (!json_array_size(roles)) {
			json_decref(roles);
			continue;
		}
		entry = json_pack("{s:o, s:o, s:o}", "uuid", pf_wire_text(guest->uuid), "name",
				  pf_wire_text(guest->name ?: ""), "roles", roles);
		if (json_array_append_new(array, entry) < 0)
			return NULL;
	}
	return pf_take_ptr(array);
}

static json_t *make_cpu(const struct pf_host_cpu *cpu, const struct pf_status *status)
{
	json_t *object = json_pack("{s:i, s:b, s:o, s:o, s:o, s:o}",
				   "cpu", (int)cpu->cpu,
				   "online", cpu->online,
				   "node", make_known(cpu->node),
				   "package", make_known(cpu->package),
				   "core", make_known(cpu->core),
				   "siblings", make_set(&cpu->siblings));

	if (object && status &&
	    json_object_set_new(object, "promised_to", make_promised_to(status, cpu->cpu)) < 0) {
		json_decref(object);
		return NULL;
	}
	return object;
}

static json_t *make_cpus(const struct pf_host *host, const struct pf_status *status)
{
	json_t *array = json_array();

	for (size_t i = 0; array && i < host->cpu_count; i++) {
		if (json_array_append_new(array, make_cpu(&host->cpus[i], status)) < 0) {
			json_decref(array);
			array = NULL;
		}
	}
	return array;
}

int pf_wire_encode_host(const struct pf_host *host, const struct pf_status *status, char **out)
{
	return dump(json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
			      "hostname", pf_wire_text(host->hostname),
			      "kernel", pf_wire_text(host->kernel),
			      "cpus_possible", make_set(&host->cpus_possible),
			      "cpus_present", make_set(&host->cpus_present),
			      "cpus_online", make_set(&host->cpus_online),
			      "nodes_online", make_set(&host->nodes_online),
			      "nodes_with_memory", make_set(&host->nodes_with_memory),
			      "nodes", make_nodes(host),
			      "cpus", make_cpus(host, status)),
		    JSON_COMPACT, out);
}

static int load(const char *text, size_t len, json_t **out, struct pf_err *err)
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

static int wrong(struct pf_err *err, const char *key, const char *want)
{
	return pf_fail_plain(err, EBADMSG, "'%s' is missing or not %s", key, want);
}

/* A string, or NULL where the key is missing or null. */
static int get_optional(const json_t *object, const char *key, const char **out,
			struct pf_err *err)
{
	const json_t *value = json_object_get(object, key);

	if (value && !json_is_null(value) && !json_is_string(value))
		return wrong(err, key, "a string");
	*out = json_string_value(value);
	return 0;
}

static int get_string(const json_t *object, const char *key, const char **out, struct pf_err *err)
{
	int r = get_optional(object, key, out, err);

	return r < 0 || *out ? r : wrong(err, key, "a string");
}

static int copy_optional(const json_t *object, const char *key, char **out, struct pf_err *err)
{
	const char *text;
	int r = get_optional(object, key, &text, err);

	if (r < 0)
		return r;
	*out = text ? strdup(text) : NULL;
	return text && !*out ? pf_fail(err, ENOMEM, "read '%s'", key) : 0;
}

static int copy_string(const json_t *object, const char *key, char **out, struct pf_err *err)
{
	int r = copy_optional(object, key, out, err);

	return r < 0 || *out ? r : wrong(err, key, "a string");
}

/* Into @size bytes; what is too long is cut between two characters. */
static int copy_fixed(const json_t *object, const char *key, char *out, size_t size,
		      struct pf_err *err)
{
	const char *text;
	int r = get_string(object, key, &text, err);

	if (r < 0)
		return r;
	pf_wire_cut(text, out, size);
	return 0;
}

static int get_number(const json_t *object, const char *key, json_int_t min, json_int_t max,
		      json_int_t *out, struct pf_err *err)
{
	const json_t *value = json_object_get(object, key);

	if (!json_is_integer(value) || json_integer_value(value) < min ||
	    json_integer_value(value) > max)
		return wrong(err, key, "a number in its range");
	*out = json_integer_value(value);
	return 0;
}

/* The reverse of make_known(). */
static int get_known(const json_t *object, const char *key, int *out, struct pf_err *err)
{
	const json_t *value = json_object_get(object, key);
	json_int_t number = -1;
	int r = 0;

	if (value && !json_is_null(value))
		r = get_number(object, key, 0, INT_MAX, &number, err);
	*out = (int)number;
	return r;
}

static int get_pid(const json_t *object, const char *key, pid_t *out, struct pf_err *err)
{
	json_int_t number;
	int r = get_number(object, key, 0, INT_MAX, &number, err);

	if (r == 0)
		*out = (pid_t)number;
	return r;
}

/* A missing one is false: an older agent does not say it. */
static int get_bool(const json_t *object, const char *key, bool *out, struct pf_err *err)
{
	const json_t *value = json_object_get(object, key);

	if (value && !json_is_boolean(value))
		return wrong(err, key, "true or false");
	*out = json_is_true(value);
	return 0;
}

static int get_set(const json_t *object, const char *key, struct pf_set *out, struct pf_err *err)
{
	const char *text;
	int r = get_string(object, key, &text, err);

	if (r < 0)
		return r;
	if (pf_set_parse(text, out, err) < 0)
		return pf_fail_plain(err, EBADMSG, "'%s' is '%.40s', not a list such as 0-3,8",
				     key, text);
	return 0;
}

static int get_name(const json_t *object, const char *key, const char *const *names, size_t count,
		    unsigned int *out, struct pf_err *err)
{
	const char *text;
	int r = get_string(object, key, &text, err);

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

static int get_state(const json_t *object, enum pf_state *out, struct pf_err *err)
{
	const char *text;
	int r = get_string(object, "state", &text, err);

	if (r < 0)
		return r;
	return pf_state_parse(text, out) < 0 ? wrong(err, "state", "a state") : 0;
}

static int get_role(const json_t *object, struct pf_role *out, struct pf_err *err)
{
	const char *text;
	int r = get_string(object, "role", &text, err);

	if (r < 0)
		return r;
	return pf_role_parse(text, out) < 0 ? wrong(err, "role", "a role") : 0;
}

static int get_desired(const json_t *object, const char *key, struct pf_set *desired,
		       struct pf_set *actual, struct pf_err *err)
{
	const json_t *pair = json_object_get(object, key);

	if (!json_is_object(pair))
		return wrong(err, key, "an object");
	if (get_set(pair, "desired", desired, err) < 0 || get_set(pair, "actual", actual, err) < 0)
		return pf_fail_plain(err, EBADMSG, "'%s' is not a pair of lists", key);
	return 0;
}

static int read_thread(const json_t *json, struct pf_thread_status *thread, struct pf_err *err)
{
	int r = get_pid(json, "tid", &thread->tid, err);

	r = r ?: copy_fixed(json, "comm", thread->comm, sizeof(thread->comm), err);
	r = r ?: get_role(json, &thread->role, err);
	r = r ?: copy_optional(json, "cgroup", &thread->cgroup, err);
	r = r ?: get_desired(json, "cpus", &thread->cpus_desired, &thread->cpus_actual, err);
	r = r ?: get_desired(json, "nodes", &thread->nodes_desired, &thread->nodes_actual, err);
	r = r ?: get_known(json, "on_cpu", &thread->on_cpu, err);
	r = r ?: get_known(json, "on_node", &thread->on_node, err);
	return r ?: get_state(json, &thread->state, err);
}

static int read_knob(const json_t *json, struct pf_knob_status *knob, struct pf_err *err)
{
	int r = copy_string(json, "group", &knob->group, err);

	r = r ?: copy_string(json, "knob", &knob->knob, err);
	r = r ?: copy_optional(json, "desired", &knob->desired, err);
	r = r ?: copy_optional(json, "actual", &knob->actual, err);
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
	r = get_number(json, "cell", 0, INT_MAX, &number, err);
	r = r ?: get_name(json, "mode", names, PF_MEMORY_RESTRICTIVE + 1, &mode, err);
	r = r ?: get_set(json, "nodes", &cell->memory.nodes, err);
	r = r ?: get_number(json, "memory_kib", 0, LLONG_MAX, &kib, err);
	cell->cell = (unsigned int)number;
	cell->memory.mode = (enum pf_memory_mode)mode;
	cell->memory.nodes_known = !pf_set_empty(&cell->memory.nodes);
	cell->memory_kib = (uint64_t)kib;
	return r;
}

static int read_finding(const json_t *json, struct pf_finding *finding, struct pf_err *err)
{
	unsigned int severity = 0;
	int r = get_name(json, "severity", severities, 2, &severity, err);

	finding->severity = (enum pf_severity)severity;
	return r ?: copy_string(json, "text", &finding->text, err);
}

/* Reads each object of the array @key with read(); a missing array is an empty one. */
#define read_array(object, key, items, count, read, err)                                           \
	({                                                                                         \
		const json_t *array_ = json_object_get((object), (key));                           \
		int r_ = array_ && !json_is_array(array_) ? wrong((err), (key), "an array") : 0;   \
		for (size_t i_ = 0; !r_ && i_ < json_array_size(array_); i_++) {                   \
			__typeof__(*(items)) item_ = pf_append(&*(items), (count));                \
			r_ = item_ ? read(json_array_get(array_, i_), item_, (err))                \
				   : pf_fail((err), ENOMEM, "read '%s'", (key));                   \
			if (r_ < 0)                                                                \
				pf_wrap((err), "%s[%zu]", (key), i_);                              \
		}                                                                                  \
		r_;                                                                                \
	})

static int read_policy(const json_t *json, struct pf_guest_status *guest, struct pf_err *err)
{
	const char *mode, *isolation;
	int r = get_string(json, "mode", &mode, err);

	r = r ?: get_string(json, "isolation", &isolation, err);
	if (r < 0)
		return r;
	if (!pf_mode_parse(mode, &guest->mode))
		return wrong(err, "mode", "a mode");
	if (!pf_isolation_parse(isolation, &guest->isolation))
		return wrong(err, "isolation", "an isolation");
	return 0;
}

static int read_guest(const json_t *json, struct pf_guest_status *guest, struct pf_err *err)
{
	unsigned int source = 0;
	int r = copy_fixed(json, "uuid", guest->uuid, sizeof(guest->uuid), err);

	r = r ?: copy_string(json, "name", &guest->name, err);
	r = r ?: get_pid(json, "pid", &guest->pid, err);
	r = r ?: get_name(json, "source", sources, 2, &source, err);
	guest->source = (enum pf_guest_source)source;
	r = r ?: read_policy(json, guest, err);
	r = r ?: get_bool(json, "released", &guest->released, err);
	r = r ?: get_state(json, &guest->state, err);
	r = r ?: copy_optional(json, "reason", &guest->reason, err);
	r = r ?: read_array(json, "threads", &guest->threads, &guest->thread_count, read_thread,
			    err);
	r = r ?: read_array(json, "knobs", &guest->knobs, &guest->knob_count, read_knob, err);
	r = r ?: read_array(json, "memory", &guest->cells, &guest->cell_count, read_cell, err);
	return r ?: read_array(json, "findings", &guest->findings.items, &guest->findings.count,
			       read_finding, err);
}

static int read_capabilities(const json_t *json, struct pf_status *status, struct pf_err *err)
{
	json_t *object = json_object_get(json, "capabilities");
	const char *name;
	json_t *value;

	if (object && !json_is_object(object))
		return wrong(err, "capabilities", "an object");
	json_object_foreach(object, name, value) {
		struct pf_capability *capability =
			pf_append(&status->capabilities, &status->capability_count);
		int r;

		if (!capability || !(capability->name = strdup(name)))
			return pf_fail(err, ENOMEM, "read 'capabilities'");
		r = get_bool(value, "available", &capability->available, err);
		r = r ?: copy_optional(value, "reason", &capability->reason, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_status(const json_t *json, struct pf_status *status, struct pf_err *err)
{
	const json_t *host = json_object_get(json, "host");
	int r;

	r = copy_fixed(host, "hostname", status->hostname, sizeof(status->hostname), err);
	r = r ?: copy_fixed(host, "kernel", status->kernel, sizeof(status->kernel), err);
	r = r ?: get_set(host, "cpus_online", &status->cpus_online, err);
	r = r ?: get_set(host, "nodes_online", &status->nodes_online, err);
	r = r ?: copy_optional(host, "agent_version", &status->agent_version, err);
	r = r ?: copy_optional(json, "libvirt", &status->libvirt, err);
	r = r ?: read_capabilities(json, status, err);
	return r ?: read_array(json, "guests", &status->guests, &status->guest_count, read_guest,
			       err);
}

int pf_wire_decode_status(const char *text, size_t len, struct pf_status *out, struct pf_err *err)
{
	PF_CLEANUP(pf_status_clear) struct pf_status status = {};
	auto_json *json = NULL;
	int r = load(text, len, &json, err);

	r = r ?: read_status(json, &status, err);
	if (r < 0)
		return r;
	*out = status;
	status = (struct pf_status){};
	return 0;
}

/* What pf_step_describe() prints must be there. */
static int check_step(const struct pf_step *step, struct pf_err *err)
{
	bool knob = step->kind == PF_STEP_KNOB || step->kind == PF_STEP_UNIT_KNOB;

	if (!step->group && step->kind != PF_STEP_AFFINITY)
		return wrong(err, "group", "a string");
	if (!step->value && (knob || step->kind == PF_STEP_CONTROLLERS))
		return wrong(err, "value", "a string");
	if (!step->knob && knob)
		return wrong(err, "knob", "a string");
	return 0;
}

static int read_step(const json_t *json, struct pf_step *step, struct pf_err *err)
{
	const char *kind = NULL;
	json_int_t act = 0;
	int r = get_string(json, "kind", &kind, err);

	if (r == 0 && pf_step_kind_parse(kind, &step->kind) < 0)
		r = wrong(err, "kind", "a step");
	r = r ?: get_number(json, "act", 0, INT_MAX, &act, err);
	step->act = (unsigned int)act;
	r = r ?: copy_optional(json, "group", &step->group, err);
	r = r ?: copy_optional(json, "knob", &step->knob, err);
	r = r ?: copy_optional(json, "value", &step->value, err);
	r = r ?: copy_optional(json, "was", &step->was, err);
	r = r ?: copy_optional(json, "unit", &step->unit, err);
	r = r ?: get_role(json, &step->role, err);
	if (json_object_get(json, "tid"))
		r = r ?: get_pid(json, "tid", &step->tid, err);
	if (step->kind == PF_STEP_AFFINITY)
		r = r ?: get_set(json, "cpus", &step->cpus, err);
	return r ?: check_step(step, err);
}

static int read_plan(const json_t *json, struct pf_plan *plan, struct pf_err *err)
{
	const json_t *guest = json_object_get(json, "guest");
	int r = copy_fixed(guest, "uuid", plan->uuid, sizeof(plan->uuid), err);

	r = r ?: copy_string(guest, "name", &plan->name, err);
	return r ?: read_array(json, "steps", &plan->steps, &plan->count, read_step, err);
}

int pf_wire_decode_plans(const char *text, size_t len, struct pf_plans *out, struct pf_err *err)
{
	PF_CLEANUP(pf_plans_clear) struct pf_plans plans = {};
	auto_json *json = NULL;
	int r = load(text, len, &json, err);

	if (r == 0 && !json_is_array(json_object_get(json, "plans")))
		r = wrong(err, "plans", "an array");
	r = r ?: read_array(json, "plans", &plans.items, &plans.count, read_plan, err);
	if (r < 0)
		return r;
	*out = plans;
	plans = (struct pf_plans){};
	return 0;
}

char *pf_wire_decode_error(const char *text, size_t len)
{
	auto_json *json = NULL;
	const char *words;

	if (load(text, len, &json, NULL) < 0)
		return NULL;
	words = json_string_value(json_object_get(json, "error"));
	return words ? strdup(words) : NULL;
}

int pf_wire_pretty(const char *text, size_t len, char **out, struct pf_err *err)
{
	json_t *json = NULL;
	int r = load(text, len, &json, err);

	if (r < 0)
		return r;
	r = dump(json, JSON_INDENT(2), out);
	return r < 0 ? pf_fail(err, ENOMEM, "write JSON") : 0;
}
