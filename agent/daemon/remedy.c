// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/remedy.h"

#include <string.h>

static bool starts_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool same_text(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

/* Whether @group is @above or in it. */
static bool is_below(const char *group, const char *above)
{
	size_t len = strlen(above);

	return starts_with(group, above) && (group[len] == '\0' || group[len] == '/');
}

static bool is_cpuset(const char *knob)
{
	return starts_with(knob, "cpuset.");
}

static bool is_control(const char *knob)
{
	return starts_with(knob, "cgroup.");
}

static bool is_nodes(const char *knob)
{
	return same_text(knob, "cpuset.mems");
}

/* Whether a write to @written can be why @knob of a group below differs: nodes are no CPUs. */
static bool reaches(const char *written, const char *knob)
{
	return is_cpuset(written) && knob && is_cpuset(knob) && is_nodes(written) == is_nodes(knob);
}

static enum pf_rank rank_thread_step(const struct pf_act *act, const struct pf_step *step)
{
	bool same = act->event.has_thread && act->event.tid == step->tid;
	bool leaf = act->has_role && pf_role_equal(act->event.role, step->role);
	bool mask = step->kind == PF_STEP_AFFINITY;

	switch (act->kind) {
	case PF_ACT_MASK:
		return mask && same ? PF_RANK_SAME : PF_RANK_NONE;
	case PF_ACT_MOVED:
		if (same)
			return mask ? PF_RANK_LEAF : PF_RANK_SAME;
		return act->whole ? PF_RANK_ABOVE : PF_RANK_NONE;
	case PF_ACT_KNOB:
		if (!is_control(act->knob) && !(mask && reaches(act->knob, "cpuset.cpus")))
			return PF_RANK_NONE;
		if (leaf)
			return PF_RANK_LEAF;
		return act->has_role ? PF_RANK_NONE : PF_RANK_ABOVE;
	case PF_ACT_CPU:
		return mask ? PF_RANK_HOST : PF_RANK_NONE;
	}
	return PF_RANK_NONE;
}

static enum pf_rank rank_knob_step(const struct pf_act *act, const struct pf_step *step)
{
	bool cpuset = step->knob && is_cpuset(step->knob);

	if (act->kind == PF_ACT_CPU)
		return cpuset ? PF_RANK_HOST : PF_RANK_NONE;
	if (act->kind != PF_ACT_KNOB || !act->group || !step->group)
		return PF_RANK_NONE;
	if (strcmp(act->group, step->group) == 0 &&
	    (step->kind == PF_STEP_CONTROLLERS ? is_control(act->knob)
					       : same_text(act->knob, step->knob)))
		return PF_RANK_SAME;
	if (is_below(step->group, act->group) &&
	    (is_control(act->knob) || reaches(act->knob, step->knob)))
		return PF_RANK_ABOVE;
	return PF_RANK_NONE;
}

enum pf_rank pf_remedy_rank(const struct pf_act *act, const struct pf_step *step)
{
	switch (step->kind) {
	case PF_STEP_ATTACH:
	case PF_STEP_AFFINITY:
		return rank_thread_step(act, step);
	case PF_STEP_KNOB:
	case PF_STEP_UNIT_KNOB:
	case PF_STEP_CONTROLLERS:
		return rank_knob_step(act, step);
	case PF_STEP_BRING_BACK:
	case PF_STEP_MAKE_UNIT:
		return act->kind == PF_ACT_MOVED && act->whole ? PF_RANK_SAME : PF_RANK_NONE;
	case PF_STEP_WIDEN:
		return rank_knob_step(act, step);
	case PF_STEP_MAKE_GROUP:
	case PF_STEP_MAKE_BASE:
		break;
	}
	return PF_RANK_NONE;
}
