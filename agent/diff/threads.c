// SPDX-License-Identifier: GPL-2.0-or-later
/* Threads: in the right leaf, with the right affinity. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/array.h"
#include "agent/base/cleanup.h"
#include "agent/diff/work.h"

static bool below(const char *cgroup, const char *base)
{
	size_t len = strlen(base);

	return strncmp(cgroup, base, len) == 0 && (cgroup[len] == '/' || cgroup[len] == '\0');
}

/* Where the thread should be allowed once the plan is done; empty when nothing is possible. */
static void wanted(const struct pf_diff *diff, const struct pf_thread_placement *thread,
		   struct pf_set *out)
{
	const struct pf_group_actual *leaf =
		thread->group == PF_NO_GROUP ? NULL : &diff->actual->groups[thread->group];

	if (leaf && (leaf->exists || diff->placement->groups[thread->group].ours))
		pf_diff_expected_cpus(diff, thread->group, out);
	else
		*out = diff->host->cpus_online;
	if (!thread->floats)
		pf_set_and(out, out, &thread->cpus);
}

static bool allowed_as_wanted(const struct pf_diff *diff, const struct pf_thread_actual *actual,
			      const struct pf_set *want)
{
	struct pf_set allowed;

	pf_set_and(&allowed, &actual->cpus_allowed, &diff->host->cpus_online);
	return pf_set_equal(&allowed, want);
}

static bool misplaced(const struct pf_diff *diff, size_t i)
{
	const struct pf_thread_placement *thread = &diff->placement->threads[i];
	const struct pf_thread_actual *actual = &diff->actual->threads[i];

	return thread->group != PF_NO_GROUP && actual->cgroup &&
	       strcmp(actual->cgroup, diff->placement->groups[thread->group].path) != 0;
}

/* Where the whole process has strayed, it is brought back before its threads are placed. */
static bool strayed(const struct pf_diff *diff, size_t i)
{
	return !diff->placement->strayed && misplaced(diff, i) &&
	       !below(diff->actual->threads[i].cgroup, diff->placement->base);
}

static int attach_step(struct pf_diff *diff, size_t i)
{
	const struct pf_thread_placement *thread = &diff->placement->threads[i];
	struct pf_step *step = pf_diff_step(diff, PF_STEP_ATTACH,
					    diff->placement->groups[thread->group].path);

	if (!step)
		return -ENOMEM;
	step->tid = thread->tid;
	step->start_ticks = thread->start_ticks;
	step->role = thread->role;
	step->was = strdup(diff->actual->threads[i].cgroup);
	return step->was ? 0 : -ENOMEM;
}

static int affinity_step(struct pf_diff *diff, size_t i, const struct pf_set *want)
{
	const struct pf_thread_placement *thread = &diff->placement->threads[i];
	pf_auto_free char *was = malloc(PF_SET_TEXT_MAX);
	struct pf_step *step = pf_diff_step(diff, PF_STEP_AFFINITY, NULL);

	if (!step || !was)
		return -ENOMEM;
	step->tid = thread->tid;
	step->start_ticks = thread->start_ticks;
	step->role = thread->role;
	step->cpus = *want;
	pf_set_format(&diff->actual->threads[i].cpus_allowed, was, PF_SET_TEXT_MAX);
	step->was = strdup(was);
	return step->was ? 0 : -ENOMEM;
}

static int find_strayed(struct pf_diff *diff, size_t i)
{
	const struct pf_thread_placement *thread = &diff->placement->threads[i];
	char role[PF_ROLE_TEXT_MAX];

	return pf_findings_add(&diff->status->findings, PF_FINDING_IMPOSSIBLE,
			       "%s (thread %d) is in %s, outside the guest's own %s",
			       pf_role_format(thread->role, role), (int)thread->tid,
			       diff->actual->threads[i].cgroup, diff->placement->base);
}

static int diff_thread(struct pf_diff *diff, size_t i, bool leaf_is_there)
{
	const struct pf_thread_placement *thread = &diff->placement->threads[i];
	const struct pf_thread_actual *actual = &diff->actual->threads[i];
	bool move = leaf_is_there && misplaced(diff, i) && !strayed(diff, i);
	struct pf_set want;
	int r = 0;

	if (!actual->alive || thread->unheld)
		return 0;
	if (strayed(diff, i))
		r = find_strayed(diff, i);
	else if (move)
		r = attach_step(diff, i);
	wanted(diff, thread, &want);
	if (r || pf_set_empty(&want))
		return r;
	if (move || (leaf_is_there && pf_diff_cpus_change(diff, thread->group)) ||
	    !allowed_as_wanted(diff, actual, &want))
		r = affinity_step(diff, i, &want);
	return r;
}

int pf_diff_leaf_threads(struct pf_diff *diff, size_t group)
{
	bool leaf_is_there = group != PF_NO_GROUP && (diff->actual->groups[group].exists ||
						      diff->placement->groups[group].ours);

	for (size_t i = 0; i < diff->placement->thread_count; i++) {
		int r;

		if (diff->placement->threads[i].group != group)
			continue;
		r = diff_thread(diff, i, leaf_is_there);
		if (r < 0)
			return r;
	}
	return 0;
}

static enum pf_state thread_state(const struct pf_diff *diff, size_t i)
{
	const struct pf_thread_placement *thread = &diff->placement->threads[i];
	struct pf_set want, online;

	if (thread->unheld)
		return PF_STATE_OBSERVED;
	if (strayed(diff, i))
		return PF_STATE_IMPOSSIBLE;
	wanted(diff, thread, &want);
	pf_set_and(&online, &thread->cpus, &diff->host->cpus_online);
	if (!thread->floats &&
	    (pf_set_empty(&want) || !pf_set_equal(&online, &thread->cpus) ||
	     !pf_set_equal(&want, &thread->cpus)))
		return PF_STATE_IMPOSSIBLE;
	if (misplaced(diff, i) || !allowed_as_wanted(diff, &diff->actual->threads[i], &want))
		return PF_STATE_DRIFTING;
	return PF_STATE_HELD;
}

static int node_of(const struct pf_host *host, int cpu)
{
	const struct pf_host_cpu *found = cpu < 0 ? NULL
						  : pf_host_cpu_find(host, (unsigned int)cpu);

	return found ? found->node : -1;
}

static int report_thread(struct pf_diff *diff, size_t i)
{
	const struct pf_thread_placement *thread = &diff->placement->threads[i];
	const struct pf_thread_actual *actual = &diff->actual->threads[i];
	struct pf_thread_status *out =
		pf_append(&diff->status->threads, &diff->status->thread_count);

	if (!out)
		return -ENOMEM;
	out->tid = thread->tid;
	memcpy(out->comm, thread->comm, sizeof(out->comm));
	out->role = thread->role;
	if (!thread->floats && !thread->unheld)
		out->cpus_desired = thread->cpus;
	out->cpus_actual = actual->cpus_allowed;
	out->nodes_desired = thread->nodes;
	out->nodes_actual = actual->mems_allowed;
	out->on_cpu = actual->on_cpu;
	out->on_node = node_of(diff->host, actual->on_cpu);
	out->state = thread_state(diff, i);
	out->cgroup = strdup(actual->cgroup ?: "");
	return out->cgroup ? 0 : -ENOMEM;
}

int pf_diff_threads_report(struct pf_diff *diff)
{
	for (size_t i = 0; i < diff->placement->thread_count; i++) {
		int r;

		if (!diff->actual->threads[i].alive)
			continue;
		r = report_thread(diff, i);
		if (r < 0)
			return r;
	}
	return 0;
}
