// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/held.h"

#include <stdlib.h>
#include <string.h>

#define SECOND UINT64_C(1000000)

/*
 * libvirt leaves a hot-plugged vCPU in the emulator's group for about 170 ms and holds the
 * emulator's cpuset.mems open for 0.4 s meanwhile: nothing of the guest is touched for a second.
 */
#define SETTLE_USEC SECOND

static size_t count_vcpu_threads(const struct pf_guest_status *status)
{
	size_t count = 0;

	for (size_t i = 0; i < status->thread_count; i++)
		count += status->threads[i].role.kind == PF_ROLE_VCPU;
	return count;
}

/*
 * Memory nodes opened in the emulator's leaf: what libvirt does before it plugs a vCPU, unless a
 * stranger was seen to do it.
 */
static bool looks_like_hotplug(const struct pf_held *held)
{
	const struct pf_plan *plan = &held->plan;
	struct pf_set now, back;

	for (size_t i = 0; i < plan->count; i++) {
		const struct pf_step *step = &plan->steps[i];

		if (pf_acts_by_stranger(&held->acts, step))
			continue;
		if (step->kind == PF_STEP_KNOB && step->role.kind == PF_ROLE_EMULATOR &&
		    strcmp(step->knob, "cpuset.mems") == 0 &&
		    pf_set_parse(step->was, &now, NULL) == 0 &&
		    pf_set_parse(step->value, &back, NULL) == 0 && !pf_set_equal(&now, &back) &&
		    pf_set_subset(&back, &now))
			return true;
	}
	return false;
}

static void settle(struct pf_held *held, uint64_t now_usec)
{
	held->settle_until_usec = now_usec + SETTLE_USEC;
}

/* Without memory for them, a drift without a known act is not told. */
static void keep_threads(struct pf_held *held)
{
	free(held->kept);
	held->kept = NULL;
	held->kept_count = 0;
	held->promised = false;
	if (held->released || held->status.mode == PF_MODE_OBSERVE || !held->status.thread_count)
		return;
	held->kept = calloc(held->status.thread_count, sizeof(*held->kept));
	if (!held->kept)
		return;
	held->kept_count = held->status.thread_count;
	for (size_t i = 0; i < held->kept_count; i++)
		held->kept[i] =
			(struct pf_kept){held->status.threads[i].tid, held->status.threads[i].role};
}

void pf_held_note(struct pf_held *held, uint64_t now_usec)
{
	size_t vcpu_threads = count_vcpu_threads(&held->status);
	bool opened, writes;

	held->looked_usec = now_usec;
	held->woken = false;
	if (!held->job &&
	    (!held->plan.count || held->released || held->status.mode == PF_MODE_OBSERVE))
		keep_threads(held);
	if (held->vcpu_threads && vcpu_threads != held->vcpu_threads)
		settle(held, now_usec);
	held->vcpu_threads = vcpu_threads;
	if (!held->job)
		pf_tries_looked(&held->tries, &held->plan, now_usec);
	if (!held->plan.count && !held->job)
		held->ticket = 0;
	opened = looks_like_hotplug(held);
	writes = pf_acts_libvirt_writes(&held->acts, now_usec);
	/* Where the kernel takes long over the write, what libvirt opens it for comes afterwards. */
	if (opened && (!held->emulator_opened || (held->libvirt_writes && !writes)))
		settle(held, now_usec);
	held->emulator_opened = opened;
	held->libvirt_writes = writes;
}

void pf_held_look_anew(struct pf_held *held)
{
	pf_view_doubt_all(&held->view);
	held->woken = true;
}

uint64_t pf_earlier(uint64_t a, uint64_t b)
{
	if (!a || !b)
		return a ?: b;
	return a < b ? a : b;
}

static size_t act_end(const struct pf_plan *plan, size_t first)
{
	size_t end = first + 1;

	while (end < plan->count && plan->steps[end].act == plan->steps[first].act)
		end++;
	return end;
}

/* The latest time that one of the act's steps must wait for. */
static uint64_t act_when(const struct pf_held *held, size_t first, size_t end)
{
	uint64_t when = 0;

	for (size_t i = first; i < end; i++) {
		uint64_t step = pf_tries_when(&held->tries, &held->plan.steps[i]);

		when = step > when ? step : when;
	}
	return when;
}

/* The act that brings a strayed process back, on which all that follows builds. */
static bool find_bring_back(const struct pf_plan *plan, size_t *first, size_t *end)
{
	for (*first = 0; *first < plan->count; *first = *end) {
		*end = act_end(plan, *first);
		for (size_t i = *first; i < *end; i++)
			if (plan->steps[i].kind == PF_STEP_BRING_BACK)
				return true;
	}
	return false;
}

/* Who moved the process out is why the rest of the plan is there. */
static bool by_strangers(const struct pf_held *held, size_t first, size_t end)
{
	size_t back, back_end;

	if (find_bring_back(&held->plan, &back, &back_end)) {
		while (held->plan.steps[back].kind != PF_STEP_BRING_BACK)
			back++;
		return pf_acts_by_stranger(&held->acts, &held->plan.steps[back]);
	}
	for (size_t i = first; i < end; i++)
		if (!pf_acts_by_stranger(&held->acts, &held->plan.steps[i]))
			return false;
	return true;
}

struct choice {
	bool ready;    /* something may be done now */
	bool in_doubt; /* something may be libvirt's doing */
	uint64_t when; /* the first of what must wait */
};

/* Whether the act is about threads' groups, which are left as they are while pages move. */
static bool waits_for_pages(const struct pf_held *held, size_t first, size_t end)
{
	if (!held->pages_move)
		return false;
	for (size_t i = first; i < end; i++)
		if (pf_step_moves_threads(&held->plan.steps[i]))
			return true;
	return pf_plan_brings_back(&held->plan); /* on which the act builds */
}

/* Marks what is put off. */
static struct choice choose(struct pf_held *held, uint64_t now_usec)
{
	struct pf_plan *plan = &held->plan;
	struct choice choice = {};
	uint64_t back_when = 0;
	size_t first, last;

	if (find_bring_back(plan, &first, &last))
		back_when = act_when(held, first, last);
	for (size_t i = 0, end; i < plan->count; i = end) {
		uint64_t when = act_when(held, i, end = act_end(plan, i));
		bool put_off;

		when = when > back_when ? when : back_when;
		put_off = when > now_usec;
		if (put_off)
			choice.when = pf_earlier(choice.when, when);
		else if (waits_for_pages(held, i, end))
			held->waits_for_pages = put_off = true;
		else if (!held->asked && !by_strangers(held, i, end))
			choice.in_doubt = put_off = true;
		choice.ready |= !put_off;
		for (size_t j = i; j < end; j++)
			plan->steps[j].put_off = put_off;
	}
	return choice;
}

enum pf_turn pf_held_turn(struct pf_held *held, uint64_t answered, uint64_t now_usec,
			  uint64_t *when)
{
	struct choice choice;

	held->waits_for_pages = false;
	if (held->job) {
		if (pf_acts_promised_after(&held->acts, held->job_usec))
			pf_held_supersede(held);
		*when = 0;
		return PF_TURN_WAIT;
	}
	/* A promise that moves a big guest's memory takes long; its word comes when that is done. */
	if (held->ticket && pf_acts_libvirt_writes(&held->acts, now_usec))
		held->ticket_deadline_usec = now_usec + SECOND;
	held->asked = held->ticket &&
		      (answered >= held->ticket || now_usec >= held->ticket_deadline_usec);
	/* What libvirt has done since is not in its word: one promise follows upon another. */
	if (held->asked && pf_acts_libvirt_after(&held->acts, held->ticket_asked_usec)) {
		held->asked = false;
		held->ticket = 0;
	}
	*when = pf_tries_next(&held->tries);
	if (!held->plan.count || held->released || held->status.mode == PF_MODE_OBSERVE)
		return PF_TURN_NOTHING;
	if (now_usec < held->settle_until_usec) {
		*when = held->settle_until_usec;
		return PF_TURN_WAIT;
	}
	choice = choose(held, now_usec);
	if (choice.in_doubt && !held->ticket)
		return PF_TURN_ASK;
	if (choice.ready)
		return PF_TURN_APPLY;
	*when = pf_earlier(choice.when, *when);
	if (choice.in_doubt)
		*when = pf_earlier(*when, held->ticket_deadline_usec);
	return PF_TURN_WAIT;
}

static bool was_put_right(const struct pf_outcome *outcome)
{
	/* One that was so already counts, too: it is in the plan again and again, if it is. */
	return outcome->result == PF_OUTCOME_DONE || outcome->result == PF_OUTCOME_SKIPPED;
}

/* Of an act that was put right, the first step counts: the others follow from it. */
static int note_act(struct pf_held *held, const struct pf_outcome *outcomes, size_t first,
		    size_t end, uint64_t now_usec, pf_fight_fn fight, void *ctx)
{
	const struct pf_step *steps = held->plan.steps;
	const struct pf_event *doer;
	const char *text;
	int r;

	for (size_t i = first; i < end; i++)
		if (outcomes[i].result == PF_OUTCOME_FAILED)
			return pf_tries_failed(&held->tries, &steps[i], outcomes[i].err.text,
					       now_usec);
	while (first < end && !was_put_right(&outcomes[first]))
		first++;
	if (first == end)
		return 0;
	doer = pf_acts_doer(&held->acts, &steps[first]);
	r = pf_tries_repaired(&held->tries, &steps[first], doer, now_usec, &text);
	if (r == 0 && text)
		fight(&steps[first], doer, text, ctx);
	return r;
}

int pf_held_tried(struct pf_held *held, const struct pf_outcome *outcomes, uint64_t now_usec,
		  pf_fight_fn fight, void *ctx)
{
	int r = 0;

	for (size_t i = 0, end; r == 0 && i < held->plan.count; i = end)
		r = note_act(held, outcomes, i, end = act_end(&held->plan, i), now_usec, fight,
			     ctx);
	/* Libvirt's word was on what is done now, not on what comes. */
	if (held->asked)
		held->ticket = 0;
	return r;
}

void pf_held_supersede(struct pf_held *held)
{
	if (held->job)
		pf_job_supersede(held->job);
}

void pf_held_clear(struct pf_held *held)
{
	pf_held_supersede(held);
	pf_plan_clear(&held->plan);
	pf_guest_status_clear(&held->status);
	pf_view_clear(&held->view);
	pf_tries_clear(&held->tries);
	pf_acts_clear(&held->acts);
	pf_aways_clear(&held->aways);
	free(held->kept);
	free(held->name);
	free(held->told);
	free(held->not_put_back);
	sd_event_source_disable_unref(held->exit);
	*held = (struct pf_held){};
}
