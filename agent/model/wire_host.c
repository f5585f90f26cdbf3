// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/model/wire.h"

#include <stdio.h>

#include "agent/base/cleanup.h"
#include "agent/model/promised.h"
#include "agent/model/wire_json.h"
#include "agent/model/wire_text.h"

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
			"cpus", pf_json_make_set(&node->cpus),
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
		if (json_array_append_new(roles, pf_json_make_role(role)) < 0) {
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
				   "node", pf_json_make_known(cpu->node),
				   "package", pf_json_make_known(cpu->package),
				   "core", pf_json_make_known(cpu->core),
				   "siblings", pf_json_make_set(&cpu->siblings));

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
	return pf_json_dump(json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "hostname",
				      pf_wire_text(host->hostname), "kernel",
				      pf_wire_text(host->kernel), "cpus_possible",
				      pf_json_make_set(&host->cpus_possible), "cpus_present",
				      pf_json_make_set(&host->cpus_present), "cpus_online",
				      pf_json_make_set(&host->cpus_online), "nodes_online",
				      pf_json_make_set(&host->nodes_online), "nodes_with_memory",
				      pf_json_make_set(&host->nodes_with_memory), "nodes",
				      make_nodes(host), "cpus", make_cpus(host, status)),
			    JSON_COMPACT, out);
}
