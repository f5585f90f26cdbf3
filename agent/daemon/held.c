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
#define MAX_RETRY_USEC (60 * SECOND)

static size_t count_vcpu_threads(const struct pf_guest_status *status)
{
	size_t count = 0;

	for (size_t i = 0; i < status->thread_count; i++)
		count += status->threads[i].role.kind == PF_ROLE_VCPU;
	return count;
}

/* Memory nodes opened in the emulator's leaf: what libvirt does before it plugs a vCPU. */
static bool looks_like_hotplug(const struct pf_plan *plan)
{
	struct pf_set now, back;

	for (size_t i = 0; i < plan->count; i++) {
		const struct pf_step *step = &plan->steps[i];

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
	if (held->released || held->status.mode == PF_MODE_OBSERVE || !held->status.thread_count)
		return;
	held->kept = calloc(held->status.thread_count, sizeof(*held->kept));
	if (!held->kept)
		return;
	held->kept_count = held->status.thread_count;
	for (size_t i = 0; i < held->kept_count; i++)
		held->kept[i] = (struct pf_kept){held->status.threads[i].tid,
						 held->status.threads[i].role};
}

void pf_held_note(struct pf_held *held, uint64_t now_usec)
{
	size_t vcpu_threads = count_vcpu_threads(&held->status);

	held->looked_usec = now_usec;
	held->woken = false;
	if (!held->plan.count || held->released || held->status.mode == PF_MODE_OBSERVE)
		keep_threads(held);
	if (held->vcpu_threads && vcpu_threads != held->vcpu_threads)
		settle(held, now_usec);
	held->vcpu_threads = vcpu_threads;
	if (!held->plan.count) {
		held->drift_since_usec = 0;
		held->ticket = 0;
		held->attempts = 0;
		held->retry_at_usec = 0;
		pf_findings_clear(&held->failures);
		return;
	}
	if (held->drift_since_usec)
		return;
	held->drift_since_usec = now_usec;
	if (looks_like_hotplug(&held->plan))
		settle(held, now_usec);
}

enum pf_turn pf_held_turn(const struct pf_held *held, uint64_t answered, uint64_t now_usec,
			  uint64_t *when)
{
	if (!held->plan.count || held->released || held->status.mode == PF_MODE_OBSERVE)
		return PF_TURN_NOTHING;
	*when = held->settle_until_usec > held->retry_at_usec ? held->settle_until_usec
							      : held->retry_at_usec;
	if (now_usec < *when)
		return PF_TURN_WAIT;
	if (!held->ticket)
		return PF_TURN_ASK;
	*when = held->ticket_deadline_usec;
	if (answered < held->ticket && now_usec < *when)
		return PF_TURN_WAIT;
	return PF_TURN_APPLY;
}

void pf_held_tried(struct pf_held *held, bool done, uint64_t now_usec)
{
	uint64_t pause = MAX_RETRY_USEC;

	held->ticket = 0;
	if (done)
		return;
	if (held->attempts < 6)
		pause = SECOND << held->attempts;
	held->attempts++;
	held->retry_at_usec = now_usec + pause;
}

void pf_held_clear(struct pf_held *held)
{
	pf_plan_clear(&held->plan);
	pf_guest_status_clear(&held->status);
	pf_findings_clear(&held->failures);
	pf_acts_clear(&held->acts);
	pf_aways_clear(&held->aways);
	free(held->kept);
	free(held->name);
	free(held->told);
	*held = (struct pf_held){};
}
