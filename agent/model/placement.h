/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Placement: what one guest's groups and threads should look like. desired/ makes it out of a
 * guest, the host and the configuration; diff/ compares it with struct pf_actual.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/set.h"
#include "agent/model/finding.h"
#include "agent/model/guest.h"
#include "agent/model/policy.h"
#include "agent/model/role.h"

enum pf_group_level {
	PF_GROUP_UNIT, /* the guest's scope: systemd's own, changed through its D-Bus API only */
	PF_GROUP_BASE, /* the guest's group that holds the leaves */
	PF_GROUP_LEAF, /* one role */
};

enum pf_set_rule {
	PF_SET_UNHELD,	/* nothing promised here, whatever stands there is fine */
	PF_SET_INHERIT, /* whatever the parent has: the guest was promised no less */
	PF_SET_EXACT,
};

#define PF_QUOTA_MAX UINT64_MAX /* "max": no limit */

/* cpu.max, Documentation/admin-guide/cgroup-v2.rst */
struct pf_cpu_max {
	uint64_t quota_usec;
	uint64_t period_usec; /* 0, with no limit: whatever period stands there is fine */
};

/* "max 100000", "50000 100000", "max" */
#define PF_CPU_MAX_TEXT 48
char *pf_cpu_max_format(struct pf_cpu_max max, char buf[PF_CPU_MAX_TEXT]);
bool pf_cpu_max_satisfied(struct pf_cpu_max desired, struct pf_cpu_max actual);
int pf_cpu_max_parse(const char *text, struct pf_cpu_max *out); /* 0 or -EINVAL */

struct pf_group {
	enum pf_group_level level;
	struct pf_role role; /* of a leaf */
	char *path;	     /* from the cgroup root, with leading slash */
	bool ours;	     /* made by us when it is missing */
	enum pf_set_rule cpus_rule;
	enum pf_set_rule mems_rule;
	struct pf_set cpus; /* exact: that set; inherit: the widest set that can be written */
	struct pf_set mems;
	bool hold_max;
	bool hold_weight;
	struct pf_cpu_max max;
	unsigned int weight; /* cpu.weight, 1..10000 */
};

#define PF_NO_GROUP SIZE_MAX

struct pf_thread_placement {
	pid_t tid;
	uint64_t start_ticks;
	char comm[16];
	struct pf_role role;
	size_t group;	     /* index into groups, or PF_NO_GROUP */
	bool unheld;	     /* nothing known that could be held, or libvirt is still placing it */
	bool floats;	     /* allowed on all its leaf's CPUs; otherwise exactly on cpus */
	struct pf_set cpus;
	struct pf_set nodes; /* where its memory was promised; empty: nowhere in particular */
};

struct pf_placement {
	char uuid[37];
	char *name;
	pid_t pid;
	enum pf_guest_source source;
	enum pf_mode mode;
	enum pf_isolation isolation;
	char *base;
	char *unit;
	bool strayed; /* the whole process is elsewhere: it belongs below base */
	char *cgroup; /* where it is */
	bool brought_back; /* base was made anew by us */
	struct pf_group *groups; /* unit and base first, then leaves */
	size_t group_count;
	struct pf_thread_placement *threads; /* ascending by tid */
	size_t thread_count;
	struct pf_cell *cells; /* with the memory promise that counts for each */
	size_t cell_count;
	struct pf_findings findings; /* what cannot be kept, whatever the kernel says */
};

/* The leaf of that role, or NULL. */
const struct pf_group *pf_placement_leaf(const struct pf_placement *placement,
					 struct pf_role role);

void pf_placement_clear(struct pf_placement *placement);
