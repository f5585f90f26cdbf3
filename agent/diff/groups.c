// SPDX-License-Identifier: GPL-2.0-or-later
/* Groups: controllers, cpuset.cpus and cpuset.mems, cpu.max and cpu.weight. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/cleanup.h"
#include "agent/diff/work.h"

#define DEFAULT_WEIGHT 100

/* One of the two knobs of a cpuset, so that CPUs and nodes are compared by the same code. */
struct cpuset_knob {
	const char *name;
	const char *noun;
	enum pf_set_rule rule;
	const struct pf_set *desired;
	const struct pf_set *request;
	const struct pf_set *effective;
	const struct pf_set *parent; /* what the parent will give */
};

static struct cpuset_knob cpus_knob(const struct pf_diff *diff, size_t i)
{
	const struct pf_group *group = &diff->placement->groups[i];
	const struct pf_group_actual *actual = &diff->actual->groups[i];

	return (struct cpuset_knob){
		.name = "cpuset.cpus",
		.noun = "CPU",
		.rule = group->cpus_rule,
		.desired = &group->cpus,
		.request = &actual->cpus,
		.effective = &actual->cpus_effective,
		.parent = &diff->base_cpus,
	};
}

static struct cpuset_knob mems_knob(const struct pf_diff *diff, size_t i)
{
	const struct pf_group *group = &diff->placement->groups[i];
	const struct pf_group_actual *actual = &diff->actual->groups[i];

	return (struct cpuset_knob){
		.name = "cpuset.mems",
		.noun = "node",
		.rule = group->mems_rule,
		.desired = &group->mems,
		.request = &actual->mems,
		.effective = &actual->mems_effective,
		.parent = &diff->base_mems,
	};
}

/* Values of a group that is missing, or whose controller is being enabled, count as never set. */
static bool blank(const struct pf_diff *diff, size_t i)
{
	const struct pf_group_actual *actual = &diff->actual->groups[i];

	if (!actual->exists)
		return true;
	return diff->placement->groups[i].level == PF_GROUP_LEAF &&
	       (diff->renew_cpuset || !actual->has_cpuset);
}

/* An inheriting cpuset is fine as long as it was never narrowed. */
static bool must_write(const struct pf_diff *diff, size_t i, const struct cpuset_knob *knob)
{
	switch (knob->rule) {
	case PF_SET_UNHELD:
		return false;
	case PF_SET_EXACT:
		return blank(diff, i) || !pf_set_equal(knob->request, knob->desired);
	case PF_SET_INHERIT:
		return !blank(diff, i) && !pf_set_empty(knob->request) &&
		       !pf_set_subset(knob->parent, knob->request);
	}
	return false;
}

bool pf_diff_cpus_change(const struct pf_diff *diff, size_t group)
{
	struct cpuset_knob knob = cpus_knob(diff, group);

	return blank(diff, group) || must_write(diff, group, &knob);
}

static void expected(const struct cpuset_knob *knob, struct pf_set *out)
{
	*out = *knob->parent;
	if (knob->rule == PF_SET_UNHELD) {
		*out = *knob->effective;
		return;
	}
	if (knob->rule == PF_SET_EXACT)
		pf_set_and(out, knob->parent, knob->desired);
	if (pf_set_empty(out))
		*out = *knob->parent; /* cpuset.cpus: an empty intersection means the parent's */
}

void pf_diff_expected_cpus(const struct pf_diff *diff, size_t group, struct pf_set *out)
{
	struct cpuset_knob knob = cpus_knob(diff, group);

	expected(&knob, out);
}

/* Says that the parent, or the kernel, gives less than was promised. */
static int find_unhonoured(struct pf_diff *diff, const struct pf_group *group,
			   const struct cpuset_knob *knob, const struct pf_set *online)
{
	pf_auto_free char *text = malloc(3 * PF_SET_TEXT_MAX);
	char *missing_text = text, *parent_text = text + PF_SET_TEXT_MAX,
	     *got_text = text + 2 * PF_SET_TEXT_MAX;
	char role[PF_ROLE_TEXT_MAX];
	struct pf_set missing, want;

	if (!text)
		return -ENOMEM;
	pf_set_and(&want, knob->desired, online);
	pf_set_andnot(&missing, &want, knob->parent);
	pf_role_format(group->role, role);
	if (!pf_set_empty(&missing)) {
		pf_auto_free char *above =
			pf_diff_above_words(diff, knob->desired == &group->cpus, &missing);

		pf_set_format(&missing, missing_text, PF_SET_TEXT_MAX);
		if (above)
			return pf_findings_add(
				&diff->status->findings, PF_FINDING_IMPOSSIBLE,
				"%s was promised %s %s, which is outside what %s", role, knob->noun,
				missing_text, above);
		return pf_findings_add(
			&diff->status->findings, PF_FINDING_IMPOSSIBLE,
			"%s was promised %s %s, which is outside what %s allows (%s)", role,
			knob->noun, missing_text, diff->placement->base,
			pf_set_format(knob->parent, parent_text, PF_SET_TEXT_MAX));
	}
	expected(knob, &want);
	if (diff->widens || !pf_set_equal(knob->request, knob->desired) ||
	    pf_set_equal(knob->effective, &want))
		return 0;
	return pf_findings_add(&diff->status->findings, PF_FINDING_IMPOSSIBLE,
			       "%s: %s of %s asks for %s, and the kernel gives %s", role,
			       knob->name, group->path,
			       pf_set_format(knob->desired, missing_text, PF_SET_TEXT_MAX),
			       pf_set_format(knob->effective, got_text, PF_SET_TEXT_MAX));
}

static enum pf_state knob_state(const struct pf_diff *diff, bool write,
				const struct cpuset_knob *knob)
{
	struct pf_set want;

	expected(knob, &want);
	if (write || (diff->widens && !pf_set_equal(knob->effective, &want)))
		return PF_STATE_DRIFTING;
	if (knob->rule == PF_SET_EXACT &&
	    (!pf_set_equal(knob->effective, &want) || !pf_set_intersects(&want, knob->desired)))
		return PF_STATE_IMPOSSIBLE;
	return PF_STATE_HELD;
}

static int diff_knob(struct pf_diff *diff, size_t i, const struct cpuset_knob *knob,
		     const struct pf_set *online)
{
	const struct pf_group *group = &diff->placement->groups[i];
	pf_auto_free char *text = malloc(2 * PF_SET_TEXT_MAX);
	char *desired = text, *actual = text + PF_SET_TEXT_MAX;
	bool write = must_write(diff, i, knob);
	int r = 0;

	if (!text)
		return -ENOMEM;
	if (knob->rule == PF_SET_UNHELD)
		return 0;
	pf_set_format(knob->desired, desired, PF_SET_TEXT_MAX);
	pf_set_format(write ? knob->request : knob->effective, actual, PF_SET_TEXT_MAX);
	if (write)
		r = pf_diff_knob_step(diff, group, knob->name, desired, actual);
	if (!r && knob->rule == PF_SET_EXACT)
		r = find_unhonoured(diff, group, knob, online);
	if (knob->rule == PF_SET_INHERIT)
		pf_set_format(knob->parent, desired, PF_SET_TEXT_MAX);
	return r ?: pf_diff_report(diff, group, knob->name, desired, actual,
				   knob_state(diff, write, knob));
}

int pf_diff_leaf_cpuset(struct pf_diff *diff, size_t group)
{
	struct cpuset_knob mems = mems_knob(diff, group), cpus = cpus_knob(diff, group);
	int r = diff_knob(diff, group, &mems, &diff->host->nodes_with_memory);

	return r ?: diff_knob(diff, group, &cpus, &diff->host->cpus_online);
}

/* A group that the plan makes will have the kernel's defaults. */
static struct pf_cpu_max max_of(const struct pf_group_actual *actual)
{
	const struct pf_cpu_max fresh = {.quota_usec = PF_QUOTA_MAX, .period_usec = 100000};

	return actual->exists ? actual->max : fresh;
}

static unsigned int weight_of(const struct pf_group_actual *actual)
{
	return actual->exists ? actual->weight : DEFAULT_WEIGHT;
}

static int diff_max(struct pf_diff *diff, size_t i, bool renew)
{
	const struct pf_group *group = &diff->placement->groups[i];
	const struct pf_group_actual *actual = &diff->actual->groups[i];
	struct pf_cpu_max now = max_of(actual);
	char desired_text[PF_CPU_MAX_TEXT], actual_text[PF_CPU_MAX_TEXT];
	bool same = !renew && pf_cpu_max_satisfied(group->max, now);
	int r = 0;

	if (!group->hold_max)
		return 0;
	pf_cpu_max_format(group->max, desired_text);
	pf_cpu_max_format(now, actual_text);
	if (!same) {
		diff->act++;
		r = pf_diff_knob_step(diff, group, "cpu.max", desired_text, actual_text);
	}
	return r ?: pf_diff_report(diff, group, "cpu.max", desired_text, actual_text,
				   same ? PF_STATE_HELD : PF_STATE_DRIFTING);
}

static int diff_weight(struct pf_diff *diff, size_t i, bool renew)
{
	const struct pf_group *group = &diff->placement->groups[i];
	const struct pf_group_actual *actual = &diff->actual->groups[i];
	char desired_text[16], actual_text[16];
	unsigned int now = weight_of(actual);
	bool same = !renew && group->weight == now;
	int r = 0;

	if (!group->hold_weight)
		return 0;
	snprintf(desired_text, sizeof(desired_text), "%u", group->weight);
	snprintf(actual_text, sizeof(actual_text), "%u", now);
	if (!same) {
		diff->act++;
		r = pf_diff_knob_step(diff, group, "cpu.weight", desired_text, actual_text);
	}
	return r ?: pf_diff_report(diff, group, "cpu.weight", desired_text, actual_text,
				   same ? PF_STATE_HELD : PF_STATE_DRIFTING);
}

/* A fresh leaf has the kernel's defaults: only what differs from them is written. */
static bool renewed(const struct pf_diff *diff, size_t i)
{
	const struct pf_group *group = &diff->placement->groups[i];

	bool leaf = group->level == PF_GROUP_LEAF && diff->actual->groups[i].exists &&
		    (diff->renew_cpu || !diff->actual->groups[i].has_cpu);

	return (leaf || (group->level == PF_GROUP_BASE && diff->renew_base_cpu)) &&
	       (group->max.quota_usec != PF_QUOTA_MAX || group->weight != DEFAULT_WEIGHT);
}

int pf_diff_group_cpu(struct pf_diff *diff, size_t group)
{
	const struct pf_group_actual *actual = &diff->actual->groups[group];
	bool renew = renewed(diff, group);
	int r;

	if (!actual->exists && !diff->placement->groups[group].ours)
		return 0;
	if (actual->exists && !actual->has_cpu && !renew)
		return 0;
	r = diff_max(diff, group, renew);
	return r ?: diff_weight(diff, group, renew);
}

/* ---- the unit: systemd's ------------------------------------------------------------------ */

/* What systemd was told counts where nothing was promised; what was written past it does not. */
static int diff_unit_max(struct pf_diff *diff, size_t unit)
{
	const struct pf_group_actual *actual = &diff->actual->groups[unit];
	const struct pf_group *group = &diff->placement->groups[unit];
	char desired_text[PF_CPU_MAX_TEXT], actual_text[PF_CPU_MAX_TEXT];
	int r;

	if (group->hold_max || pf_cpu_max_satisfied(diff->actual->word.max, actual->max))
		return 0;
	pf_cpu_max_format(diff->actual->word.max, desired_text);
	pf_cpu_max_format(actual->max, actual_text);
	diff->act++;
	r = pf_diff_knob_step(diff, group, "cpu.max", desired_text, actual_text);
	return r ?: pf_diff_report(diff, group, "cpu.max", desired_text, actual_text,
				   PF_STATE_DRIFTING);
}

static int diff_unit_weight(struct pf_diff *diff, size_t unit)
{
	const struct pf_group_actual *actual = &diff->actual->groups[unit];
	const struct pf_group *group = &diff->placement->groups[unit];
	char desired_text[16], actual_text[16];
	int r;

	if (group->hold_weight || diff->actual->word.weight == actual->weight)
		return 0;
	snprintf(desired_text, sizeof(desired_text), "%u", diff->actual->word.weight);
	snprintf(actual_text, sizeof(actual_text), "%u", actual->weight);
	diff->act++;
	r = pf_diff_knob_step(diff, group, "cpu.weight", desired_text, actual_text);
	return r ?: pf_diff_report(diff, group, "cpu.weight", desired_text, actual_text,
				   PF_STATE_DRIFTING);
}

/* libvirt's own group has the controllers that the scope, delegated to it, enables. */
static int diff_unit_controllers(struct pf_diff *diff, size_t unit)
{
	const struct pf_group_actual *base = &diff->actual->groups[unit + 1];
	struct pf_step *step;

	if (!base->exists || (base->has_cpu && base->has_cpuset))
		return 0;
	diff->renew_base_cpu = !base->has_cpu;
	diff->act++;
	step = pf_diff_step(diff, PF_STEP_CONTROLLERS, diff->placement->groups[unit].path);
	if (!step)
		return -ENOMEM;
	step->value =
		strdup(base->has_cpuset ? "+cpu" : base->has_cpu ? "+cpuset" : "+cpuset +cpu");
	return step->value ? 0 : -ENOMEM;
}

static int diff_unit(struct pf_diff *diff, size_t unit)
{
	const struct pf_group_actual *actual = &diff->actual->groups[unit];
	int r = 0;

	if (!actual->exists)
		return 0;
	if (diff->actual->word.known && actual->has_cpu) {
		r = diff_unit_max(diff, unit);
		r = r ?: diff_unit_weight(diff, unit);
	}
	return r ?: diff_unit_controllers(diff, unit);
}

/* ---- the base ----------------------------------------------------------------------------- */

/* The base's own cpuset, which is measured against its parent, the unit. */
static int diff_base_cpuset(struct pf_diff *diff, size_t base)
{
	struct cpuset_knob cpus = cpus_knob(diff, base), mems = mems_knob(diff, base);
	int r;

	cpus.parent = &diff->above_cpus;
	mems.parent = &diff->above_mems;
	if (must_write(diff, base, &mems) || must_write(diff, base, &cpus))
		diff->act++;
	r = diff_knob(diff, base, &mems, &diff->host->nodes_with_memory);
	if (!r)
		r = diff_knob(diff, base, &cpus, &diff->host->cpus_online);
	diff->base_cpus = diff->above_cpus;
	diff->base_mems = diff->above_mems;
	return r;
}

static int diff_controllers(struct pf_diff *diff)
{
	struct pf_step *step;

	diff->renew_cpuset = !diff->actual->base_enables_cpuset;
	diff->renew_cpu = !diff->actual->base_enables_cpu;
	if (!diff->renew_cpuset && !diff->renew_cpu)
		return 0;
	diff->act++;
	step = pf_diff_step(diff, PF_STEP_CONTROLLERS, diff->placement->base);
	if (!step)
		return -ENOMEM;
	if (asprintf(&step->value, "%s%s%s", diff->renew_cpuset ? "+cpuset" : "",
		     diff->renew_cpuset && diff->renew_cpu ? " " : "",
		     diff->renew_cpu ? "+cpu" : "") < 0)
		return -ENOMEM;
	return 0;
}

int pf_diff_base(struct pf_diff *diff)
{
	int r;

	diff->base_cpus = diff->actual->base_cpus_effective;
	diff->base_mems = diff->actual->base_mems_effective;
	if (diff->placement->groups[0].level == PF_GROUP_UNIT) {
		diff->above_cpus = diff->actual->groups[0].cpus_effective;
		diff->above_mems = diff->actual->groups[0].mems_effective;
	}
	r = pf_diff_above(diff);
	r = r ?: pf_diff_stray(diff);
	if (r < 0)
		return r;
	for (size_t i = 0; i < diff->placement->group_count; i++) {
		const struct pf_group *group = &diff->placement->groups[i];

		if (group->level == PF_GROUP_LEAF)
			break;
		if (group->level == PF_GROUP_UNIT) {
			r = diff_unit(diff, i);
			if (r < 0)
				return r;
		}
		if (group->level == PF_GROUP_BASE && group->cpus_rule == PF_SET_INHERIT && i) {
			r = diff_base_cpuset(diff, i);
			if (r < 0)
				return r;
		}
		r = pf_diff_group_cpu(diff, i);
		if (r < 0)
			return r;
	}
	return diff_controllers(diff);
}
