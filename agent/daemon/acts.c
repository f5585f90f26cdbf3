// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/acts.h"

#include <stdlib.h>
#include <string.h>

#include "agent/base/array.h"
#include "agent/base/cleanup.h"
#include "agent/daemon/remedy.h"

#define SECOND UINT64_C(1000000)
#define ACTS_MAX 512 /* of one guest */
/* Longer than libvirt's word and hot-plug's second together. */
#define PATIENCE_USEC (4 * SECOND)
/* A repair that fails is tried again after at most a minute. */
#define REPAIR_PATIENCE_USEC (90 * SECOND)

static void clear_act(struct pf_act *act)
{
	pf_event_clear(&act->event);
	free(act->group);
	free(act->knob);
	*act = (struct pf_act){};
}

static void forget(struct pf_acts *acts, size_t i)
{
	clear_act(&acts->items[i]);
	acts->count--;
	memmove(&acts->items[i], &acts->items[i + 1], (acts->count - i) * sizeof(acts->items[0]));
}

static bool same_text(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

/* ---- keeping ----------------------------------------------------------------------------- */

static bool same_doer(const struct pf_act *a, const struct pf_act *b, bool fight)
{
	if (strcmp(a->event.actor.comm, b->event.actor.comm) != 0)
		return false;
	return a->event.actor.pid == b->event.actor.pid ||
	       (fight && a->event.actor.uid == b->event.actor.uid);
}

static bool same_target(const struct pf_act *a, const struct pf_act *b, bool fight)
{
	if (a->begun || b->begun)
		return false; /* a write is the same only as its own end */
	if (a->by_libvirt && b->by_libvirt)
		return a->has_role == b->has_role &&
		       (!a->has_role || pf_role_equal(a->event.role, b->event.role));
	if (a->kind != b->kind || !same_doer(a, b, fight))
		return false;
	if (a->kind == PF_ACT_KNOB)
		return same_text(a->group, b->group) && same_text(a->knob, b->knob);
	return a->kind != PF_ACT_CPU && a->event.tid == b->event.tid;
}

/* libvirt has the service manager write the weight and the limits of a scope. */
static bool may_promise(const struct pf_act *act)
{
	return act->by_libvirt || act->by_manager;
}

/* Whether @act ends a write that was kept, or told, when it began. */
static bool ends_begun(struct pf_acts *acts, const struct pf_act *act, uint64_t now_usec)
{
	for (size_t i = 0; i < acts->count; i++) {
		struct pf_act *kept = &acts->items[i];

		if (!kept->begun || kept->event.boot_ns != act->event.boot_ns ||
		    kept->event.actor.pid != act->event.actor.pid)
			continue;
		kept->begun = false;
		kept->since_usec = now_usec;
		return true;
	}
	for (size_t i = 0; i < sizeof(acts->told_begun) / sizeof(acts->told_begun[0]); i++)
		if (act->event.boot_ns && acts->told_begun[i] == act->event.boot_ns)
			return true;
	return false;
}

/* Whether @act was done before the repair that goes on began. */
static bool is_in_time(const struct pf_acts *acts, const struct pf_act *act)
{
	return !acts->until_ns || act->event.boot_ns <= acts->until_ns;
}

void pf_acts_add(struct pf_acts *acts, struct pf_act *act, bool fight, uint64_t now_usec)
{
	struct pf_act *kept;

	if (!act->begun && act->kind == PF_ACT_KNOB && ends_begun(acts, act, now_usec)) {
		clear_act(act);
		return;
	}
	for (size_t i = acts->count; i-- > 0;) {
		if (!same_target(&acts->items[i], act, fight) || acts->items[i].failure_told ||
		    is_in_time(acts, &acts->items[i]) != is_in_time(acts, act))
			continue;
		acts->items[i].event.suppressed += !act->by_libvirt;
		if (may_promise(act))
			acts->items[i].since_usec = now_usec;
		clear_act(act);
		return;
	}
	kept = acts->count < ACTS_MAX ? pf_append(&acts->items, &acts->count) : NULL;
	if (!kept) {
		acts->lost++;
		clear_act(act);
		return;
	}
	*kept = *act;
	kept->since_usec = now_usec;
	*act = (struct pf_act){};
}

void pf_acts_clear(struct pf_acts *acts)
{
	for (size_t i = 0; i < acts->count; i++)
		clear_act(&acts->items[i]);
	free(acts->items);
	free(acts->unit);
	free(acts->made_unit);
	*acts = (struct pf_acts){};
}

/* ---- what repairs what ------------------------------------------------------------------- */

bool pf_acts_libvirt_after(const struct pf_acts *acts, uint64_t usec)
{
	for (size_t i = 0; i < acts->count; i++)
		if (may_promise(&acts->items[i]) && acts->items[i].since_usec > usec)
			return true;
	return false;
}

bool pf_acts_promised_after(const struct pf_acts *acts, uint64_t usec)
{
	for (size_t i = 0; i < acts->count; i++)
		if (acts->items[i].by_libvirt && acts->items[i].since_usec > usec)
			return true;
	return false;
}

bool pf_acts_libvirt_writes(const struct pf_acts *acts, uint64_t now_usec)
{
	for (size_t i = 0; i < acts->count; i++)
		if (acts->items[i].begun && acts->items[i].by_libvirt &&
		    now_usec < acts->items[i].since_usec + REPAIR_PATIENCE_USEC)
			return true;
	return false;
}

bool pf_acts_by_stranger(const struct pf_acts *acts, const struct pf_step *step)
{
	bool known = false;

	for (size_t i = 0; i < acts->count; i++) {
		const struct pf_act *act = &acts->items[i];

		if (pf_remedy_rank(act, step) == PF_RANK_NONE)
			continue;
		if (may_promise(act) || (act->kind != PF_ACT_CPU && !act->event.has_actor))
			return false;
		known = true;
	}
	return known;
}

const struct pf_event *pf_acts_doer(const struct pf_acts *acts, const struct pf_step *step)
{
	const struct pf_act *doer = NULL;

	for (size_t i = 0; i < acts->count; i++)
		if (is_in_time(acts, &acts->items[i]) &&
		    pf_remedy_rank(&acts->items[i], step) != PF_RANK_NONE &&
		    (!doer || pf_remedy_rank(&acts->items[i], step) >= pf_remedy_rank(doer, step)))
			doer = &acts->items[i];
	return doer ? &doer->event : NULL;
}

/*
 * As the rank of a remedy, but that of the whole plan counts, too.
 *
 * Where it brings the whole process back, all that it does to the guest, its groups that are made
 * anew included, is the remedy of what moved it. Where it follows a new promise, what libvirt had the
 * service manager write to the scope is not why a group below is another.
 */
static enum pf_rank rank_in(const struct pf_repair *repair, const struct pf_act *act,
			    const struct pf_step *step)
{
	enum pf_rank rank = pf_remedy_rank(act, step);

	if (repair->promised && act->kind == PF_ACT_KNOB && act->by_manager && !act->above &&
	    rank == PF_RANK_ABOVE)
		return PF_RANK_NONE;
	if (pf_plan_brings_back(repair->plan) && act->kind == PF_ACT_MOVED && act->whole &&
	    rank < PF_RANK_ABOVE && step->kind != PF_STEP_WIDEN)
		return PF_RANK_ABOVE;
	return rank;
}

/* Notes what became of a step with one of the acts that it is the remedy of. */
static void note_outcome(struct pf_act *act, const struct pf_outcome *outcome)
{
	if (outcome->result == PF_OUTCOME_NOT_RUN)
		act->unfinished = true;
	else if (outcome->result == PF_OUTCOME_FAILED)
		act->failed = true;
	else if (outcome->settled_ns > act->settled_ns)
		act->settled_ns = outcome->settled_ns;
}

/* Notes the step's end with the acts that are nearest to it. Return: whether there is one. */
static bool settle(struct pf_acts *acts, const struct pf_repair *repair, size_t step_index)
{
	const struct pf_outcome *outcome = &repair->outcomes[step_index];
	const struct pf_step *step = &repair->plan->steps[step_index];
	enum pf_rank best = PF_RANK_NONE;
	bool strangers = false;

	for (size_t i = 0; i < acts->count; i++) {
		enum pf_rank rank = rank_in(repair, &acts->items[i], step);

		if (!is_in_time(acts, &acts->items[i]))
			continue;
		if (rank > best)
			strangers = false;
		best = rank > best ? rank : best;
		strangers |= rank == best && !may_promise(&acts->items[i]);
	}
	for (size_t i = 0; best && i < acts->count; i++) {
		struct pf_act *act = &acts->items[i];

		/*
		 * libvirt writes what it promises, and the service manager what we tell it: where
		 * somebody else wrote, too, it's theirs.
		 */
		if (!is_in_time(acts, act) || rank_in(repair, act, step) != best ||
		    (strangers && may_promise(act)))
			continue;
		note_outcome(act, outcome);
	}
	return best != PF_RANK_NONE;
}

/* What libvirt leaves behind differently than its own XML promises is nobody's drift. */
static void name_act(struct pf_act *act)
{
	act->event.kind = act->by_libvirt ? PF_EVENT_POLICY : PF_EVENT_DRIFT;
	if (act->by_libvirt)
		act->event.cause = PF_EVENT_LIBVIRT;
}

static void remember_begun(struct pf_acts *acts, const struct pf_act *act)
{
	size_t room = sizeof(acts->told_begun) / sizeof(acts->told_begun[0]);

	if (act->begun)
		acts->told_begun[acts->next_begun++ % room] = act->event.boot_ns;
}

static void note_latency(struct pf_act *act, const struct pf_repair *repair)
{
	uint64_t settled = act->settled_ns + (uint64_t)repair->sleep_ns;

	act->event.has_latency = settled > act->event.boot_ns;
	act->event.latency_ns = act->event.has_latency ? settled - act->event.boot_ns : 0;
}

static void tell_repaired(struct pf_act *act, pf_tell_fn tell, void *ctx)
{
	name_act(act);
	act->event.action = PF_EVENT_REPAIRED;
	tell(&act->event, ctx);
}

/* A failed act stays: what repairs it later is told, too. */
static void tell_failed(struct pf_act *act, pf_tell_fn tell, void *ctx)
{
	act->failed = false;
	if (act->failure_told)
		return;
	act->failure_told = true;
	name_act(act);
	act->event.action = PF_EVENT_FAILED;
	tell(&act->event, ctx);
}

/* ---- repairs without a known act --------------------------------------------------------- */

/* A thread that was taken for another one before it had its name was not kept where it belongs. */
static bool thread_was_kept(const struct pf_repair *repair, const struct pf_step *step)
{
	for (size_t i = 0; i < repair->kept_count; i++)
		if (repair->kept[i].tid == step->tid &&
		    pf_role_equal(repair->kept[i].role, step->role))
			return true;
	return false;
}

static bool role_was_kept(const struct pf_repair *repair, struct pf_role role)
{
	for (size_t i = 0; i < repair->kept_count; i++)
		if (pf_role_equal(repair->kept[i].role, role))
			return true;
	return false;
}

/*
 * New threads and the leaves of new roles are put in place; that is no drift. What a guest was
 * found with, when the agent first looked, is told whatever it concerns.
 */
static bool was_kept(const struct pf_repair *repair, const struct pf_step *step)
{
	if (!repair->was_held)
		return step->kind != PF_STEP_MAKE_GROUP;
	switch (step->kind) {
	case PF_STEP_ATTACH:
	case PF_STEP_AFFINITY:
		return thread_was_kept(repair, step);
	case PF_STEP_KNOB:
		return role_was_kept(repair, step->role);
	case PF_STEP_UNIT_KNOB:
	case PF_STEP_CONTROLLERS:
	case PF_STEP_MAKE_UNIT:
	case PF_STEP_BRING_BACK:
	case PF_STEP_WIDEN:
		return true;
	case PF_STEP_MAKE_GROUP:
	case PF_STEP_MAKE_BASE:
		break;
	}
	return false;
}

static void tell_unknown(const struct pf_repair *repair, size_t i, pf_tell_fn tell, void *ctx)
{
	const struct pf_step *step = &repair->plan->steps[i];
	bool failed = repair->outcomes[i].result == PF_OUTCOME_FAILED;
	struct pf_event event;

	pf_event_init(&event, PF_EVENT_DRIFT, repair->was_held ? PF_EVENT_UNKNOWN : PF_EVENT_START,
		      failed ? PF_EVENT_FAILED : PF_EVENT_REPAIRED);
	/* Without a time of its own it gets that of its being stored. */
	if (!failed) {
		event.boot_ns = repair->outcomes[i].settled_ns + (uint64_t)repair->sleep_ns;
		event.wall_ns = event.boot_ns + (uint64_t)repair->wall_ahead_ns;
	}
	event.has_thread = step->tid > 0;
	event.tid = step->tid;
	event.role = step->role;
	event.detail = pf_step_describe(step);
	tell(&event, ctx);
	pf_event_clear(&event);
}

static bool counts(const struct pf_outcome *outcome)
{
	return outcome->result == PF_OUTCOME_DONE || outcome->result == PF_OUTCOME_FAILED;
}

/*
 * Whoever is told of one knob of a unit, systemd writes all of them anew: what the plan found
 * changed, and a later step finds as it should be, was put right with the earlier one.
 */
static bool came_along(const struct pf_repair *repair, size_t at)
{
	const struct pf_step *steps = repair->plan->steps;

	if (steps[at].kind != PF_STEP_UNIT_KNOB ||
	    repair->outcomes[at].result != PF_OUTCOME_SKIPPED)
		return false;
	for (size_t i = 0; i < at; i++)
		if (steps[i].kind == PF_STEP_UNIT_KNOB &&
		    repair->outcomes[i].result == PF_OUTCOME_DONE &&
		    same_text(steps[i].group, steps[at].group))
			return true;
	return false;
}

static bool is_news(const struct pf_repair *repair, size_t i)
{
	return repair->outcomes[i].result == PF_OUTCOME_DONE ||
	       pf_tries_failures(repair->tries, &repair->plan->steps[i]) <= 1;
}

/* The steps of one act of the plan, from @i on. Return: the first step behind them. */
static size_t repair_group(struct pf_acts *acts, const struct pf_repair *repair, size_t i,
			   pf_tell_fn tell, void *ctx)
{
	unsigned int act = repair->plan->steps[i].act;
	size_t strange = SIZE_MAX;
	bool known = false;

	for (; i < repair->count && repair->plan->steps[i].act == act; i++) {
		const struct pf_step *step = &repair->plan->steps[i];

		if (!counts(&repair->outcomes[i]) && !step->put_off && !came_along(repair, i))
			continue;
		if (settle(acts, repair, i))
			known = true;
		else if (strange == SIZE_MAX && counts(&repair->outcomes[i]) &&
			 is_news(repair, i) && was_kept(repair, step))
			strange = i;
	}
	if (!known && strange != SIZE_MAX &&
	    (!repair->promised || repair->outcomes[strange].result == PF_OUTCOME_FAILED))
		tell_unknown(repair, strange, tell, ctx);
	return i;
}

static void note_unit_written(struct pf_acts *acts, const struct pf_repair *repair)
{
	for (size_t i = 0; i < repair->count; i++) {
		if (repair->plan->steps[i].kind != PF_STEP_UNIT_KNOB ||
		    repair->outcomes[i].result != PF_OUTCOME_DONE)
			continue;
		free(acts->unit);
		acts->unit = strdup(repair->plan->steps[i].group);
		acts->unit_written_ns = repair->outcomes[i].settled_ns + (uint64_t)repair->sleep_ns;
	}
}

void pf_acts_repaired(struct pf_acts *acts, const struct pf_repair *repair, pf_tell_fn tell,
		      void *ctx)
{
	for (size_t i = 0; i < repair->count;)
		i = repair_group(acts, repair, i, tell, ctx);
	note_unit_written(acts, repair);
	for (size_t i = 0; i < acts->count;) {
		struct pf_act *act = &acts->items[i];

		if (act->failed) {
			tell_failed(act, tell, ctx);
			act->settled_ns = 0;
		} else if (act->settled_ns) {
			note_latency(act, repair);
			if (!act->unfinished) {
				remember_begun(acts, act);
				tell_repaired(act, tell, ctx);
				forget(acts, i);
				continue;
			}
		}
		act->unfinished = false;
		i++;
	}
}

void pf_acts_made(struct pf_acts *acts, const struct pf_plan *plan)
{
	for (size_t i = 0; i < plan->count; i++) {
		const struct pf_step *step = &plan->steps[i];

		if (step->kind != PF_STEP_MAKE_UNIT)
			continue;
		free(acts->made_unit);
		acts->made_unit = strdup(step->group);
	}
}

bool pf_acts_is_ours(const struct pf_acts *acts, const struct pf_act *act, const char *group)
{
	return act->kind == PF_ACT_MOVED && act->whole && act->by_manager &&
	       same_text(acts->made_unit, group);
}

/* ---- acts that nothing came of ----------------------------------------------------------- */

/* The service manager writes what it holds again and again: of its writes, those that change. */
static bool is_as_desired(const struct pf_act *act, const struct pf_guest_status *status)
{
	for (size_t i = 0; i < status->knob_count; i++)
		if (same_text(status->knobs[i].group, act->group) &&
		    same_text(status->knobs[i].knob, act->knob))
			return strcmp(status->knobs[i].desired, status->knobs[i].actual) == 0;
	return true;
}

static bool is_off(const struct pf_guest_status *status)
{
	return status->state == PF_STATE_DRIFTING || status->state == PF_STATE_IMPOSSIBLE ||
	       status->reason;
}

/*
 * What was written while the plan was made is in no step of it: systemd put it right all the same,
 * along with the knob that it was asked for.
 */
static bool was_written_along(const struct pf_acts *acts, const struct pf_act *act,
			      const struct pf_guest_status *status)
{
	return act->kind == PF_ACT_KNOB && !may_promise(act) && same_text(act->group, acts->unit) &&
	       act->event.boot_ns < acts->unit_written_ns && is_as_desired(act, status);
}

static void tell_observed(const struct pf_acts *acts, struct pf_act *act,
			  const struct pf_guest_status *status, pf_tell_fn tell, void *ctx)
{
	if (act->settled_ns) { /* what was to follow never came */
		tell_repaired(act, tell, ctx);
		return;
	}
	/* libvirt's are told as what they are for: a promise that has changed. */
	if (act->kind == PF_ACT_CPU || act->failure_told || act->by_libvirt || act->begun ||
	    (act->above && !is_off(status)) ||
	    (act->by_manager && !act->above && act->kind == PF_ACT_KNOB &&
	     is_as_desired(act, status)))
		return;
	if (was_written_along(acts, act, status)) {
		act->event.has_latency = true;
		act->event.latency_ns = acts->unit_written_ns - act->event.boot_ns;
		tell_repaired(act, tell, ctx);
		return;
	}
	act->event.action = PF_EVENT_OBSERVED;
	tell(&act->event, ctx);
}

void pf_acts_looked(struct pf_acts *acts, const struct pf_guest_status *status,
		    uint64_t looked_usec)
{
	for (size_t i = 0; i < acts->count;) {
		const struct pf_act *act = &acts->items[i];

		if (act->by_manager && !act->above && act->kind == PF_ACT_KNOB &&
		    !act->failure_told && act->since_usec < looked_usec &&
		    is_as_desired(act, status))
			forget(acts, i);
		else
			i++;
	}
}

uint64_t pf_acts_expire(struct pf_acts *acts, const struct pf_guest_status *status, bool repairing,
			uint64_t now_usec, pf_tell_fn tell, void *ctx)
{
	uint64_t patience = repairing ? REPAIR_PATIENCE_USEC : PATIENCE_USEC;
	uint64_t next = 0;

	for (size_t i = 0; i < acts->count;) {
		uint64_t end = acts->items[i].since_usec +
			       (acts->items[i].begun ? REPAIR_PATIENCE_USEC : patience);

		if (now_usec >= end) {
			tell_observed(acts, &acts->items[i], status, tell, ctx);
			forget(acts, i);
			continue;
		}
		/* A repair that ends meanwhile shortens the wait: look again soon enough. */
		end = end < now_usec + PATIENCE_USEC ? end : now_usec + PATIENCE_USEC;
		next = !next || end < next ? end : next;
		i++;
	}
	return next;
}
