// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/tries.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/array.h"
#include "agent/base/cleanup.h"

#define SECOND UINT64_C(1000000)
#define FAILURE_PAUSE_MAX_SHIFT 6
#define FAILURE_PAUSE_MAX (60 * SECOND)

/* More repairs of one thing than these in a row are a fight ... */
#define REPAIRS_MAX 8
/* ... and one of them is forgiven in this time. */
#define FORGIVE_USEC (2 * SECOND)
#define CALM_USEC (10 * SECOND)
#define FIGHT_PAUSE_MAX_SHIFT 5

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

/* Threads are known by themselves: the group that one is put into may change. */
static const char *group_of(const struct pf_step *step)
{
	return step->tid ? NULL : step->group;
}

static bool is_about(const struct pf_try *try, const struct pf_step *step)
{
	return try->kind == step->kind && try->tid == step->tid &&
	       try->start_ticks == step->start_ticks && same_text(try->group, group_of(step)) &&
	       same_text(try->knob, step->knob);
}

static struct pf_try *find(const struct pf_tries *tries, const struct pf_step *step)
{
	for (size_t i = 0; i < tries->count; i++)
		if (is_about(&tries->items[i], step))
			return &tries->items[i];
	return NULL;
}

static void clear_try(struct pf_try *try)
{
	free(try->group);
	free(try->knob);
	free(try->why);
	free(try->fight);
	*try = (struct pf_try){};
}

static void forget(struct pf_tries *tries, struct pf_try *try)
{
	clear_try(try);
	*try = tries->items[--tries->count];
	tries->items[tries->count] = (struct pf_try){};
}

static struct pf_try *find_or_add(struct pf_tries *tries, const struct pf_step *step)
{
	struct pf_try *try = find(tries, step);

	if (try)
		return try;
	try = pf_append(&tries->items, &tries->count);
	if (!try)
		return NULL;
	try->kind = step->kind;
	try->tid = step->tid;
	try->start_ticks = step->start_ticks;
	try->group = group_of(step) ? strdup(step->group) : NULL;
	try->knob = step->knob ? strdup(step->knob) : NULL;
	if ((group_of(step) && !try->group) || (step->knob && !try->knob)) {
		forget(tries, try);
		return NULL;
	}
	return try;
}

uint64_t pf_tries_when(const struct pf_tries *tries, const struct pf_step *step)
{
	const struct pf_try *try = find(tries, step);

	return try ? try->not_before_usec : 0;
}

unsigned int pf_tries_failures(const struct pf_tries *tries, const struct pf_step *step)
{
	const struct pf_try *try = find(tries, step);

	return try ? try->failures : 0;
}

int pf_tries_failed(struct pf_tries *tries, const struct pf_step *step, const char *why,
		    uint64_t now_usec)
{
	struct pf_try *try = find_or_add(tries, step);
	uint64_t pause = FAILURE_PAUSE_MAX;
	char *words = strdup(why);

	if (!try || !words) {
		free(words);
		return -ENOMEM;
	}
	free(try->why);
	try->why = words;
	if (try->failures < FAILURE_PAUSE_MAX_SHIFT)
		pause = SECOND << try->failures;
	try->failures++;
	try->not_before_usec = now_usec + pause;
	return 0;
}

/* ---- fights ------------------------------------------------------------------------------- */

static char *name_of_step(const struct pf_step *step)
{
	char role[PF_ROLE_TEXT_MAX];
	char *text;
	int n;

	pf_role_format(step->role, role);
	if (step->tid)
		n = asprintf(&text, "the %s of %s (thread %d)",
			     step->kind == PF_STEP_AFFINITY ? "affinity" : "group", role,
			     (int)step->tid);
	else if (step->pid)
		n = asprintf(&text, "the place of process %d", (int)step->pid);
	else
		n = asprintf(&text, "%s/%s", step->group ?: "",
			     step->knob ?: "cgroup.subtree_control");
	return n < 0 ? NULL : text;
}

static char *name_of_doer(const struct pf_event *doer)
{
	char *text;

	if (!doer || !doer->has_actor)
		return strdup("somebody unknown");
	if (asprintf(&text, "%s[%d] (uid %u%s%s)", doer->actor.comm, (int)doer->actor.pid,
		     doer->actor.uid, doer->actor.cgroup ? ", in " : "",
		     doer->actor.cgroup ?: "") < 0)
		return NULL;
	return text;
}

static char *describe_fight(const struct pf_step *step, const struct pf_event *doer)
{
	pf_auto_free char *what = name_of_step(step), *who = name_of_doer(doer);
	char *text;

	if (!what || !who ||
	    asprintf(&text,
		     "%s is changed again and again by %s: it is put right ever more rarely, at "
		     "last every %d s, until that ends",
		     what, who, 1 << FIGHT_PAUSE_MAX_SHIFT) < 0)
		return NULL;
	return text;
}

static void forgive(struct pf_try *try, uint64_t now_usec)
{
	uint64_t forgiven = (now_usec - try->repaired_usec) / FORGIVE_USEC;

	if (try->fight || !try->repairs)
		return;
	try->repairs = forgiven < try->repairs ? try->repairs - (unsigned int)forgiven : 0;
}

int pf_tries_repaired(struct pf_tries *tries, const struct pf_step *step,
		      const struct pf_event *doer, uint64_t now_usec, const char **fight)
{
	struct pf_try *try = find_or_add(tries, step);
	unsigned int over;

	*fight = NULL;
	if (!try)
		return -ENOMEM;
	forgive(try, now_usec);
	try->failures = 0;
	try->repairs++;
	try->repaired_usec = now_usec;
	try->not_before_usec = 0;
	if (try->repairs <= REPAIRS_MAX)
		return 0;
	over = try->repairs - REPAIRS_MAX - 1;
	try->not_before_usec =
		now_usec + (SECOND << (over < FIGHT_PAUSE_MAX_SHIFT ? over : FIGHT_PAUSE_MAX_SHIFT));
	if (try->fight)
		return 0;
	try->fight = describe_fight(step, doer);
	*fight = try->fight;
	return try->fight ? 0 : -ENOMEM;
}

/* ---- looking ------------------------------------------------------------------------------ */

static bool named(const struct pf_try *try, const struct pf_plan *plan)
{
	for (size_t i = 0; i < plan->count; i++)
		if (is_about(try, &plan->steps[i]))
			return true;
	return false;
}

static uint64_t calm_at(const struct pf_try *try)
{
	return try->repaired_usec + CALM_USEC;
}

void pf_tries_looked(struct pf_tries *tries, const struct pf_plan *plan, uint64_t now_usec)
{
	for (size_t i = 0; i < tries->count;) {
		struct pf_try *try = &tries->items[i];

		if (named(try, plan)) {
			i++;
			continue;
		}
		if (try->failures) {
			try->failures = 0;
			try->not_before_usec = 0;
		}
		if (!try->repairs || now_usec >= calm_at(try))
			forget(tries, try);
		else
			i++;
	}
}

uint64_t pf_tries_next(const struct pf_tries *tries)
{
	uint64_t next = 0;

	for (size_t i = 0; i < tries->count; i++)
		if (tries->items[i].fight && (!next || calm_at(&tries->items[i]) < next))
			next = calm_at(&tries->items[i]);
	return next;
}

bool pf_tries_failing(const struct pf_tries *tries)
{
	for (size_t i = 0; i < tries->count; i++)
		if (tries->items[i].failures)
			return true;
	return false;
}

const char *pf_tries_fight(const struct pf_tries *tries)
{
	for (size_t i = 0; i < tries->count; i++)
		if (tries->items[i].fight)
			return tries->items[i].fight;
	return NULL;
}

int pf_tries_findings(const struct pf_tries *tries, struct pf_findings *out)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < tries->count; i++) {
		const struct pf_try *try = &tries->items[i];

		if (try->failures)
			r = pf_findings_add(out, PF_FINDING_IMPOSSIBLE, "%s", try->why);
		if (r == 0 && try->fight)
			r = pf_findings_add(out, PF_FINDING_IMPOSSIBLE, "%s", try->fight);
	}
	return r;
}

void pf_tries_clear(struct pf_tries *tries)
{
	for (size_t i = 0; i < tries->count; i++)
		clear_try(&tries->items[i]);
	free(tries->items);
	*tries = (struct pf_tries){};
}
