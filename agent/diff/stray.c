// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A process that was moved out of its guest's groups as a whole, by one thread id written to some
 * cgroup.procs. It goes back to where libvirt put it, and what is gone of that is made anew; the
 * threads follow one by one, as after any other move.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/diff/work.h"

static struct pf_step *add(struct pf_diff *diff, enum pf_step_kind kind, const char *group)
{
	struct pf_step *step = pf_diff_step(diff, kind, group);

	if (!step)
		return NULL;
	step->pid = diff->placement->pid;
	step->was = strdup(diff->placement->cgroup ?: "");
	return step->was ? step : NULL;
}

/* The scope by systemd, which alone may make one; libvirt's group below it, or in its place. */
static int make_place(struct pf_diff *diff, size_t base, bool delegated)
{
	const struct pf_group *groups = diff->placement->groups;
	const struct pf_group_actual *actual = diff->actual->groups;
	struct pf_step *step;

	if (delegated && !actual[base - 1].exists) {
		step = add(diff, PF_STEP_MAKE_UNIT, groups[base - 1].path);
		if (!step)
			return -ENOMEM;
		step->unit = strdup(diff->placement->unit);
		if (!step->unit)
			return -ENOMEM;
	}
	if (actual[base].exists)
		return 0;
	return pf_diff_step(diff, PF_STEP_MAKE_BASE, groups[base].path) ? 0 : -ENOMEM;
}

static int enable(struct pf_diff *diff, size_t unit)
{
	struct pf_step *step =
		pf_diff_step(diff, PF_STEP_CONTROLLERS, diff->placement->groups[unit].path);

	if (!step)
		return -ENOMEM;
	/* as libvirt does, which has memory and I/O limits of its own to set there */
	if (asprintf(&step->value, "+cpuset +cpu%s%s", diff->actual->offers_io ? " +io" : "",
		     diff->actual->offers_memory ? " +memory" : "") < 0) {
		step->value = NULL;
		return -ENOMEM;
	}
	return 0;
}

/*
 * Only once the process is in the base may the scope's controllers be enabled: with the process in
 * the scope itself that would make the scope a threaded domain, and nothing below it valid.
 */
static int bring_back(struct pf_diff *diff, size_t base, bool delegated)
{
	int r;

	diff->act++;
	r = make_place(diff, base, delegated);
	if (r < 0)
		return r;
	if (!add(diff, PF_STEP_BRING_BACK, diff->placement->groups[base].path))
		return -ENOMEM;
	return delegated && !diff->actual->groups[base].has_cpuset ? enable(diff, base - 1) : 0;
}

/* What an agent that died over it has left: the process is there, the controllers are not. */
static int finish(struct pf_diff *diff, size_t base)
{
	const struct pf_group_actual *actual = &diff->actual->groups[base];

	if (!actual->exists || (actual->has_cpuset && actual->has_cpu))
		return 0;
	diff->act++;
	return enable(diff, base - 1);
}

int pf_diff_stray(struct pf_diff *diff)
{
	size_t base = 0;

	if (!diff->placement->strayed && !diff->placement->brought_back)
		return 0;
	while (diff->placement->groups[base].level != PF_GROUP_BASE)
		base++;
	if (diff->placement->strayed)
		return bring_back(diff, base, base > 0);
	return base > 0 ? finish(diff, base) : 0;
}
