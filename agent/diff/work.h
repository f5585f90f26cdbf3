/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Internal to diff/: one comparison in the making. */
#pragma once

#include "agent/diff/diff.h"

struct pf_diff {
	const struct pf_host *host;
	const struct pf_placement *placement;
	const struct pf_actual *actual;
	struct pf_plan *plan;
	struct pf_guest_status *status;
	unsigned int act;
	bool renew_cpuset; /* the base's controllers are enabled anew: all leaf values are gone */
	bool renew_cpu;
	bool widens; /* a unit above is widened: what the groups are given now is not what counts */
	/* What the base's parent gives once the plan is done: the scope, with systemd. */
	struct pf_set above_cpus;
	struct pf_set above_mems;
	bool renew_base_cpu; /* the base's own cpu knobs come back with their defaults */
	/* What the leaves' parent gives once the plan is done. */
	struct pf_set base_cpus;
	struct pf_set base_mems;
};

/* A new step of the current act, or NULL when out of memory. */
struct pf_step *pf_diff_step(struct pf_diff *diff, enum pf_step_kind kind, const char *group);

/* A step that writes @value to @knob, through systemd for a unit's own group. 0 or -ENOMEM. */
int pf_diff_knob_step(struct pf_diff *diff, const struct pf_group *group, const char *knob,
		      const char *value, const char *was);

/* Adds a knob to the status. Return: 0 or -ENOMEM. */
int pf_diff_report(struct pf_diff *diff, const struct pf_group *group, const char *knob,
		   const char *desired, const char *actual, enum pf_state state);

/* Is cpuset.cpus of that group (index) about to be written, made or renewed? */
bool pf_diff_cpus_change(const struct pf_diff *diff, size_t group);

/* What cpuset.cpus.effective of that leaf will be once the plan is done. */
void pf_diff_expected_cpus(const struct pf_diff *diff, size_t group, struct pf_set *out);

/* above.c */
int pf_diff_above(struct pf_diff *diff);

/*
 * Which group above the base keeps @missing (CPUs or nodes) from the guest, and on whose word:
 * "machine.slice allows (AllowedCPUs=2-4, by systemd's word)". Return: malloc'ed; NULL when no
 * group above does, or out of memory.
 */
char *pf_diff_above_words(const struct pf_diff *diff, bool cpus, const struct pf_set *missing);

/* stray.c */
int pf_diff_stray(struct pf_diff *diff);

/* groups.c */
int pf_diff_base(struct pf_diff *diff);
int pf_diff_leaf_cpuset(struct pf_diff *diff, size_t group);
int pf_diff_group_cpu(struct pf_diff *diff, size_t group);

/* threads.c */
int pf_diff_leaf_threads(struct pf_diff *diff, size_t group);
int pf_diff_threads_report(struct pf_diff *diff);
