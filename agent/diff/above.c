// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The groups above a guest's base, where one of them keeps a promised CPU or node from it. What an
 * administrator told systemd is his word, and the guest can't be held. What only the kernel still
 * holds, because it refused systemd's empty value (ENOSPC while threads are in it), nobody stands
 * for: that is widened.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/cleanup.h"
#include "agent/diff/work.h"

/* One of the two knobs, so that CPUs and nodes go through the same code. */
struct above_knob {
	const char *name;
	bool cpus;
	struct pf_set wants;	    /* of the leaves, as far as the host has it now */
	const struct pf_set *all;   /* the widest that can be written */
	const struct pf_set *given; /* what the host gives to a group below the root */
	struct pf_set *parent;	    /* what the base's parent will give */
};

static const struct pf_set *request_of(const struct above_knob *knob, const struct pf_above *above)
{
	return knob->cpus ? &above->cpus : &above->mems;
}

static const struct pf_set *word_of(const struct above_knob *knob, const struct pf_above *above)
{
	return knob->cpus ? &above->cpus_word : &above->mems_word;
}

static void sum_up(const struct pf_diff *diff, struct above_knob *knob)
{
	for (size_t i = 0; i < diff->placement->group_count; i++) {
		const struct pf_group *group = &diff->placement->groups[i];
		enum pf_set_rule rule = knob->cpus ? group->cpus_rule : group->mems_rule;

		if (group->level == PF_GROUP_LEAF && rule == PF_SET_EXACT)
			pf_set_or(&knob->wants, &knob->wants,
				  knob->cpus ? &group->cpus : &group->mems);
	}
	pf_set_and(&knob->wants, &knob->wants, knob->given);
}

static bool lacks(const struct pf_above *above, bool cpus, const struct pf_set *wants)
{
	const struct pf_set *request = cpus ? &above->cpus : &above->mems;

	return !pf_set_empty(request) && !pf_set_subset(wants, request);
}

/* Nobody's: a unit's cpuset that systemd has no word for, and no partition's. */
static bool is_leftover(const struct above_knob *knob, const struct pf_above *above)
{
	return above->unit && above->word_known && pf_set_empty(word_of(knob, above)) &&
	       !above->partition;
}

static int widen(struct pf_diff *diff, const struct above_knob *knob, const struct pf_above *above)
{
	pf_auto_free char *text = malloc(2 * PF_SET_TEXT_MAX);
	struct pf_step *step;

	if (!text)
		return -ENOMEM;
	diff->act++;
	step = pf_diff_step(diff, PF_STEP_WIDEN, above->path);
	if (!step)
		return -ENOMEM;
	step->unit = strdup(above->unit);
	step->knob = strdup(knob->name);
	step->value = strdup(pf_set_format(knob->all, text, PF_SET_TEXT_MAX));
	step->was = strdup(pf_set_format(request_of(knob, above), text + PF_SET_TEXT_MAX,
					 PF_SET_TEXT_MAX));
	return step->unit && step->knob && step->value && step->was ? 0 : -ENOMEM;
}

/* cpuset.cpus.effective as the kernel computes it: an empty intersection means the parent's. */
static void narrow(struct pf_set *given, const struct pf_set *request)
{
	struct pf_set both;

	pf_set_and(&both, given, request);
	if (!pf_set_empty(&both))
		*given = both;
}

/* From the top down: what a group gets depends on what those above it will give. */
static int diff_knob(struct pf_diff *diff, struct above_knob *knob)
{
	struct pf_set given = *knob->given;
	bool changed = false;

	sum_up(diff, knob);
	for (size_t i = diff->actual->above_count; i-- > 0;) {
		const struct pf_above *above = &diff->actual->above[i];
		bool leftover = lacks(above, knob->cpus, &knob->wants) &&
				is_leftover(knob, above);
		int r = leftover ? widen(diff, knob, above) : 0;

		if (r < 0)
			return r;
		changed |= leftover;
		if (!changed)
			given = knob->cpus ? above->cpus_effective : above->mems_effective;
		else if (!leftover)
			narrow(&given, request_of(knob, above));
	}
	if (changed)
		*knob->parent = given;
	diff->widens |= changed;
	return 0;
}

int pf_diff_above(struct pf_diff *diff)
{
	struct above_knob cpus = {
		.name = "cpuset.cpus",
		.cpus = true,
		.all = &diff->host->cpus_possible,
		.given = &diff->host->cpus_online,
		.parent = &diff->above_cpus,
	};
	struct above_knob mems = {
		.name = "cpuset.mems",
		.all = &diff->host->nodes_online,
		.given = &diff->host->nodes_with_memory,
		.parent = &diff->above_mems,
	};
	int r = diff_knob(diff, &mems);

	return r ?: diff_knob(diff, &cpus);
}

/* ---- words --------------------------------------------------------------------------------- */

/* The topmost group that keeps one of @missing from the guest, or NULL. */
static const struct pf_above *find_narrow(const struct pf_diff *diff, bool cpus,
					  const struct pf_set *missing)
{
	for (size_t i = diff->actual->above_count; i-- > 0;)
		if (lacks(&diff->actual->above[i], cpus, missing))
			return &diff->actual->above[i];
	return NULL;
}

char *pf_diff_above_words(const struct pf_diff *diff, bool cpus, const struct pf_set *missing)
{
	const struct pf_above *above = find_narrow(diff, cpus, missing);
	pf_auto_free char *set = malloc(PF_SET_TEXT_MAX);
	const char *property = cpus ? "AllowedCPUs" : "AllowedMemoryNodes";
	const char *knob = cpus ? "cpuset.cpus" : "cpuset.mems";
	char *text = NULL;
	int n;

	if (!set || !above)
		return NULL;
	if (above->word_known && !pf_set_empty(cpus ? &above->cpus_word : &above->mems_word))
		n = asprintf(&text, "%s allows (%s=%s, by systemd's word)", above->unit, property,
			     pf_set_format(cpus ? &above->cpus_word : &above->mems_word, set,
					   PF_SET_TEXT_MAX));
	else
		n = asprintf(&text, "%s allows (its %s is %s%s)", above->path, knob,
			     pf_set_format(cpus ? &above->cpus : &above->mems, set,
					   PF_SET_TEXT_MAX),
			     above->partition ? ", and it is a partition" : "");
	return n < 0 ? NULL : text;
}
