/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel says now of one guest. observe/ fills it for a placement: groups and threads
 * stand at the same indices as there.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/set.h"
#include "agent/model/placement.h"

struct pf_group_actual {
	bool exists;
	bool threaded; /* cgroup.type is "threaded" */
	bool has_cpuset;
	bool has_cpu;	/* the controller's files are there: the parent enables it */
	uint64_t cgid;	/* inode of the directory: the kernel's cgroup id */
	struct pf_set cpus; /* cpuset.cpus: the request; empty when never written */
	struct pf_set cpus_effective;
	struct pf_set mems;
	struct pf_set mems_effective;
	struct pf_cpu_max max;
	unsigned int weight;
};

struct pf_thread_actual {
	bool alive; /* tid is there and started when the placement says */
	char *cgroup;
	struct pf_set cpus_allowed; /* Cpus_allowed_list of /proc/TID/status */
	struct pf_set mems_allowed;
	int on_cpu; /* field 39 of /proc/TID/stat; -1 when not known */
};

/*
 * A group above the guest's base, and systemd's word on it. Read only while a promised CPU or node
 * is missing from what the base is given.
 */
struct pf_above {
	char *path;
	char *unit;	 /* as systemd names it; NULL: no unit's group */
	bool partition;	 /* cpuset.cpus.partition is not "member" */
	struct pf_set cpus; /* the request */
	struct pf_set cpus_effective;
	struct pf_set mems;
	struct pf_set mems_effective;
	bool word_known;	 /* systemd was asked about it and has answered */
	struct pf_set cpus_word; /* AllowedCPUs=, empty when it has none */
	struct pf_set mems_word; /* AllowedMemoryNodes= */
};

/* What systemd was told for the guest's unit, by whomever: an administrator's legitimate word. */
struct pf_unit_word {
	bool known;
	struct pf_cpu_max max;
	unsigned int weight; /* cpu.weight, 1..10000 */
};

struct pf_actual {
	struct pf_group_actual *groups;
	size_t group_count;
	struct pf_thread_actual *threads;
	size_t thread_count;
	/* What the leaves' parent, the guest's base, can give. */
	bool base_exists;
	struct pf_set base_cpus_effective;
	struct pf_set base_mems_effective;
	bool base_enables_cpuset; /* its cgroup.subtree_control */
	bool base_enables_cpu;
	/* Beside them, controllers that libvirt enables below a scope; asked of the root, for strays. */
	bool offers_io;
	bool offers_memory;
	struct pf_above *above; /* from the base's parent up; the root is not among them */
	size_t above_count;
	struct pf_unit_word word; /* on the guest's unit; asked for only when pf_actual_asks_unit() */
};

/*
 * Whether cpu.max or cpu.weight of the guest's unit is not as it is by default, and not for a
 * promise: only then what systemd was told makes a difference.
 */
bool pf_actual_asks_unit(const struct pf_placement *placement, const struct pf_actual *actual);

void pf_actual_clear(struct pf_actual *actual);
