// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/diff/diff.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/array.h"
#include "agent/base/cleanup.h"
#include "agent/diff/work.h"

struct pf_step *pf_diff_step(struct pf_diff *diff, enum pf_step_kind kind, const char *group)
{
	struct pf_step *step = pf_append(&diff->plan->steps, &diff->plan->count);

	if (!step)
		return NULL;
	step->kind = kind;
	step->act = diff->act;
	step->group = group ? strdup(group) : NULL;
	return group && !step->group ? NULL : step;
}

int pf_diff_knob_step(struct pf_diff *diff, const struct pf_group *group, const char *knob,
		      const char *value, const char *was)
{
	bool unit = group->level == PF_GROUP_UNIT;
	struct pf_step *step =
		pf_diff_step(diff, unit ? PF_STEP_UNIT_KNOB : PF_STEP_KNOB, group->path);

	if (!step)
		return -ENOMEM;
	step->role = group->role;
	step->knob = strdup(knob);
	step->value = strdup(value);
	step->was = strdup(was);
	step->unit = unit ? strdup(diff->placement->unit) : NULL;
	return step->knob && step->value && step->was && (!unit || step->unit) ? 0 : -ENOMEM;
}

int pf_diff_report(struct pf_diff *diff, const struct pf_group *group, const char *knob,
		   const char *desired, const char *actual, enum pf_state state)
{
	struct pf_knob_status *out = pf_append(&diff->status->knobs, &diff->status->knob_count);

	if (!out)
		return -ENOMEM;
	out->group = strdup(group->path);
	out->knob = strdup(knob);
	out->desired = strdup(desired);
	out->actual = strdup(actual);
	out->state = state;
	return out->group && out->knob && out->desired && out->actual ? 0 : -ENOMEM;
}

static int find_missing_leaf(struct pf_diff *diff, size_t i)
{
	const struct pf_group *group = &diff->placement->groups[i];
	char role[PF_ROLE_TEXT_MAX];

	return pf_findings_add(&diff->status->findings, PF_FINDING_IMPOSSIBLE,
			       "%s has no group of its own: %s does not exist",
			       pf_role_format(group->role, role), group->path);
}

static int diff_leaf(struct pf_diff *diff, size_t i)
{
	const struct pf_group *group = &diff->placement->groups[i];
	const struct pf_group_actual *actual = &diff->actual->groups[i];
	int r = 0;

	diff->act++;
	if (!actual->exists && !group->ours)
		r = find_missing_leaf(diff, i);
	else if (group->ours && !actual->threaded) /* or half made by an agent that was killed */
		r = pf_diff_step(diff, PF_STEP_MAKE_GROUP, group->path) ? 0 : -ENOMEM;
	if (!r && (actual->exists || group->ours))
		r = pf_diff_leaf_cpuset(diff, i);
	return r ?: pf_diff_leaf_threads(diff, i);
}

static int diff_all(struct pf_diff *diff)
{
	size_t count = diff->placement->group_count;
	int r = diff->placement->base ? pf_diff_base(diff) : 0;

	for (size_t i = 0; !r && i < count; i++)
		if (diff->placement->groups[i].level == PF_GROUP_LEAF)
			r = diff_leaf(diff, i);
	for (size_t i = 0; !r && i < count; i++)
		if (diff->placement->groups[i].level == PF_GROUP_LEAF)
			r = pf_diff_group_cpu(diff, i);
	if (!r) {
		diff->act++;
		r = pf_diff_leaf_threads(diff, PF_NO_GROUP);
	}
	return r ?: pf_diff_threads_report(diff);
}

/* The guest's state is the worst of its parts; what can't be kept outranks what is being mended. */
static enum pf_state overall(const struct pf_diff *diff)
{
	bool drifting = diff->plan->count > 0;

	if (pf_findings_first(&diff->status->findings, PF_FINDING_IMPOSSIBLE))
		return PF_STATE_IMPOSSIBLE;
	for (size_t i = 0; i < diff->status->thread_count; i++) {
		if (diff->status->threads[i].state == PF_STATE_IMPOSSIBLE)
			return PF_STATE_IMPOSSIBLE;
		drifting |= diff->status->threads[i].state == PF_STATE_DRIFTING;
	}
	for (size_t i = 0; i < diff->status->knob_count; i++)
		drifting |= diff->status->knobs[i].state == PF_STATE_DRIFTING;
	return drifting ? PF_STATE_DRIFTING : PF_STATE_HELD;
}

static int conclude(struct pf_diff *diff)
{
	struct pf_guest_status *status = diff->status;
	const char *finding = pf_findings_first(&status->findings, PF_FINDING_IMPOSSIBLE);

	status->state = overall(diff);
	if (finding)
		status->reason = strdup(finding);
	else if (diff->plan->count)
		status->reason = pf_step_reason(&diff->plan->steps[0]);
	if ((finding || diff->plan->count) && !status->reason)
		return -ENOMEM;
	if (status->mode == PF_MODE_OBSERVE)
		status->state = PF_STATE_OBSERVED;
	return 0;
}

static int copy_cells(struct pf_diff *diff)
{
	for (size_t i = 0; i < diff->placement->cell_count; i++) {
		struct pf_cell *cell = pf_append(&diff->status->cells, &diff->status->cell_count);

		if (!cell)
			return -ENOMEM;
		*cell = diff->placement->cells[i];
	}
	return 0;
}

static int identify(struct pf_diff *diff)
{
	const struct pf_placement *placement = diff->placement;
	struct pf_guest_status *status = diff->status;

	memcpy(status->uuid, placement->uuid, sizeof(status->uuid));
	memcpy(diff->plan->uuid, placement->uuid, sizeof(diff->plan->uuid));
	status->pid = diff->plan->pid = placement->pid;
	status->source = placement->source;
	status->mode = placement->mode;
	status->isolation = placement->isolation;
	status->name = strdup(placement->name);
	diff->plan->name = strdup(placement->name);
	if (!status->name || !diff->plan->name)
		return -ENOMEM;
	return pf_findings_copy(&status->findings, &placement->findings);
}

int pf_diff(const struct pf_host *host, const struct pf_placement *placement,
	    const struct pf_actual *actual, struct pf_plan *plan, struct pf_guest_status *status)
{
	struct pf_diff diff = {
		.host = host,
		.placement = placement,
		.actual = actual,
		.plan = plan,
		.status = status,
	};
	int r;

	*plan = (struct pf_plan){};
	*status = (struct pf_guest_status){};
	r = identify(&diff);
	if (!r)
		r = diff_all(&diff);
	if (!r)
		r = copy_cells(&diff);
	if (!r)
		r = conclude(&diff);
	if (r < 0) {
		pf_plan_clear(plan);
		pf_guest_status_clear(status);
	}
	return r;
}
