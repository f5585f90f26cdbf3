// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/losses.h"

#include <inttypes.h>
#include <stdio.h>

#include "agent/base/cleanup.h"
#include "agent/daemon/watching.h"
#include "agent/observe/watch.h"

#define LOSSES_EVERY_USEC UINT64_C(10000000)

static void tell_loss(struct pf_agent *agent, struct pf_held *held, uint64_t suppressed,
		      uint64_t lost, const char *why)
{
	PF_CLEANUP(pf_event_clear) struct pf_event event = {};
	struct pf_clocks clocks;

	pf_event_init(&event, PF_EVENT_AGENT, PF_EVENT_LOST, PF_EVENT_OBSERVED);
	pf_clocks_read(&clocks);
	event.boot_ns = pf_now_usec() * 1000 + (uint64_t)clocks.sleep_ns;
	event.wall_ns = event.boot_ns + (uint64_t)clocks.wall_ahead_ns;
	event.suppressed = suppressed + lost;
	if (asprintf(&event.detail, "%s: %" PRIu64 " held back, %" PRIu64 " lost", why, suppressed,
		     lost) < 0)
		event.detail = NULL;
	pf_watching_tell(agent, held, &event);
}

static void tell_pages(struct pf_agent *agent, struct pf_held *held, enum pf_event_cause cause,
		       uint64_t *pages)
{
	PF_CLEANUP(pf_event_clear) struct pf_event event = {};

	if (!*pages)
		return;
	pf_event_init(&event, PF_EVENT_MEMORY, cause, PF_EVENT_OBSERVED);
	if (asprintf(&event.detail, "%" PRIu64 " pages since the last count", *pages) < 0)
		event.detail = NULL;
	*pages = 0;
	pf_watching_tell(agent, held, &event);
}

static void count_guest(struct pf_agent *agent, struct pf_held *held)
{
	uint64_t suppressed, lost = held->acts.lost + held->aways.lost;
	struct pf_counters now;
	struct pf_err err;

	tell_pages(agent, held, PF_EVENT_NUMA_BALANCING, &held->pages_balanced);
	tell_pages(agent, held, PF_EVENT_KERNEL_MEMORY, &held->pages_moved);
	held->counting = false;
	if (pf_watch_counters(agent->watching.watch, held->uuid, &now, &err) < 0)
		return;
	/* A slot that was given back takes its counts along. */
	suppressed =
		now.suppressed > held->suppressed_told ? now.suppressed - held->suppressed_told : 0;
	lost += now.dropped > held->dropped_told ? now.dropped - held->dropped_told : 0;
	held->suppressed_told = now.suppressed;
	held->dropped_told = now.dropped;
	held->acts.lost = held->aways.lost = 0;
	if (!suppressed && !lost)
		return;
	tell_loss(agent, held, suppressed, lost, "records of this guest");
	pf_held_look_anew(held);
	/* The last ones may be held back or lost, too. */
	held->counting = agent->watching.counting = true;
}

uint64_t pf_losses_count(struct pf_agent *agent)
{
	struct pf_watching *watching = &agent->watching;
	uint64_t missing, now = pf_now_usec();

	if (!watching->reading || !watching->counting)
		return 0;
	if (now < watching->counted_usec + LOSSES_EVERY_USEC)
		return watching->counted_usec + LOSSES_EVERY_USEC;
	watching->counted_usec = now;
	watching->counting = false;
	for (size_t i = 0; i < agent->held_count; i++)
		if (agent->held[i].counting)
			count_guest(agent, &agent->held[i]);
	missing = pf_watch_missing(watching->watch);
	if (missing > watching->missing_told) {
		tell_loss(agent, NULL, 0, missing - watching->missing_told, "numbered records");
		for (size_t i = 0; i < agent->held_count; i++)
			pf_held_look_anew(&agent->held[i]);
	}
	watching->missing_told = missing;
	return watching->counting ? now + LOSSES_EVERY_USEC : 0;
}
