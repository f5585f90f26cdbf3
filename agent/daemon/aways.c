// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/aways.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/array.h"

#define SECOND UINT64_C(1000000)
#define AWAYS_MAX 1024 /* of one guest */
#define SUM_USEC (10 * SECOND)
/* A thread that is sent out again this soon flips. */
#define FLIP_USEC SECOND

static struct pf_away *find(struct pf_aways *aways, pid_t tid)
{
	for (size_t i = 0; i < aways->count; i++)
		if (aways->items[i].event.tid == tid)
			return &aways->items[i];
	return NULL;
}

static void forget(struct pf_aways *aways, struct pf_away *away)
{
	pf_event_clear(&away->event);
	*away = aways->items[--aways->count];
}

static void set_detail(struct pf_event *event, char *text)
{
	free(event->detail);
	event->detail = text;
}

static void tell_sum(struct pf_away *away, pf_tell_fn tell, void *ctx)
{
	char *text;

	if (asprintf(&text, "%" PRIu64 " %sstay%s outside%s%s", away->stays,
		     away->again ? "more " : "", away->stays == 1 ? "" : "s",
		     away->summed ? " its memory nodes" : "",
		     away->open ? ", the last goes on" : "") < 0)
		text = NULL;
	set_detail(&away->event, text);
	away->event.suppressed += away->stays - 1;
	away->event.has_outside = away->event.outside_ns > 0;
	tell(&away->event, ctx);
}

/* A stay that is told as going on: its return is told for itself. */
static void now_told(struct pf_away *away)
{
	away->told = true;
	away->again = false;
	away->due_usec = 0;
	away->stays = 0;
	away->event.suppressed = 0;
	away->event.outside_ns = 0;
}

/* A stay is over and told: another one soon after is no news of its own. */
static void now_flips(struct pf_away *away, uint64_t now_usec)
{
	away->again = true;
	away->open = false;
	away->stays = 0;
	away->event.suppressed = 0;
	away->event.outside_ns = 0;
	away->back_usec = now_usec;
	away->due_usec = now_usec + FLIP_USEC;
}

/* Room for a stay: one that is only kept for its repetition makes place. */
static bool has_room(struct pf_aways *aways)
{
	for (size_t i = 0; aways->count >= AWAYS_MAX && i < aways->count; i++)
		if (aways->items[i].again && !aways->items[i].stays)
			forget(aways, &aways->items[i]);
	return aways->count < AWAYS_MAX;
}

static void begin(struct pf_aways *aways, struct pf_event *event, bool floats, uint64_t now_usec)
{
	struct pf_away *away = has_room(aways) ? pf_append(&aways->items, &aways->count) : NULL;

	if (!away) {
		aways->lost++;
		pf_event_clear(event);
		return;
	}
	*away = (struct pf_away){
		.event = *event,
		.summed = floats,
		.open = true,
		.stays = 1,
		.due_usec = now_usec + (floats ? SUM_USEC : SECOND),
	};
	*event = (struct pf_event){};
}

/* Another escape of a thread that is out already, that floats or flips. */
static void again(struct pf_away *away, struct pf_event *event, bool floats, uint64_t now_usec)
{
	away->event.suppressed += event->suppressed;
	if (away->again && !away->stays)
		away->due_usec = now_usec + SUM_USEC;
	if (away->again || (away->summed && floats)) {
		away->open = true;
		away->stays++;
	}
	pf_event_clear(event);
}

static bool same_doer(const struct pf_event *a, const struct pf_event *b)
{
	return a->cause == b->cause && a->has_actor == b->has_actor &&
	       (!a->has_actor || a->actor.pid == b->actor.pid);
}

/* Whether what is kept of the thread has nothing to do with its being put out now. */
static bool is_another(const struct pf_away *away, const struct pf_event *event, bool floats,
		       uint64_t now_usec)
{
	if (away->again)
		return !same_doer(&away->event, event) ||
		       now_usec > away->back_usec + FLIP_USEC;
	return !floats && (away->summed || away->told);
}

static void escaped(struct pf_aways *aways, struct pf_event *event, bool floats, uint64_t now_usec,
		    pf_tell_fn tell, void *ctx)
{
	struct pf_away *away = find(aways, event->tid);

	if (away && is_another(away, event, floats, now_usec)) {
		if (!away->told && away->stays)
			tell_sum(away, tell, ctx);
		forget(aways, away);
		away = NULL;
	}
	if (away)
		again(away, event, floats, now_usec);
	else
		begin(aways, event, floats, now_usec);
}

static void came_back(struct pf_aways *aways, struct pf_event *event, uint64_t now_usec,
		      pf_tell_fn tell, void *ctx)
{
	struct pf_away *away = find(aways, event->tid);

	if (away && !away->told && away->open) {
		away->open = false;
		away->event.has_outside = true;
		away->event.outside_ns += event->outside_ns;
		away->event.suppressed += event->suppressed;
		away->back_usec = now_usec;
		if (!away->summed && !away->again) {
			tell(&away->event, ctx);
			now_flips(away, now_usec);
		}
	} else {
		if (away)
			event->cause = away->event.cause;
		tell(event, ctx);
		if (away)
			forget(aways, away);
	}
	pf_event_clear(event);
}

void pf_aways_add(struct pf_aways *aways, struct pf_event *event, bool returned, bool floats,
		  uint64_t now_usec, pf_tell_fn tell, void *ctx)
{
	if (returned)
		came_back(aways, event, now_usec, tell, ctx);
	else
		escaped(aways, event, floats, now_usec, tell, ctx);
}

static void tell_due(struct pf_away *away, pf_tell_fn tell, void *ctx)
{
	if (!away->summed && !away->again)
		tell(&away->event, ctx);
	else if (away->stays)
		tell_sum(away, tell, ctx);
}

uint64_t pf_aways_expire(struct pf_aways *aways, uint64_t now_usec, pf_tell_fn tell, void *ctx)
{
	uint64_t next = 0;

	for (size_t i = 0; i < aways->count;) {
		struct pf_away *away = &aways->items[i];

		if (away->due_usec && now_usec >= away->due_usec) {
			tell_due(away, tell, ctx);
			if (!away->open) {
				forget(aways, away);
				continue;
			}
			now_told(away);
		}
		if (away->due_usec && (!next || away->due_usec < next))
			next = away->due_usec;
		i++;
	}
	return next;
}

size_t pf_aways_untold(const struct pf_aways *aways)
{
	size_t count = 0;

	for (size_t i = 0; i < aways->count; i++)
		if (aways->items[i].stays && !aways->items[i].told && !aways->items[i].summed)
			count++;
	return count;
}

void pf_aways_end(struct pf_aways *aways, pid_t tid, pf_tell_fn tell, void *ctx)
{
	struct pf_away *away = find(aways, tid);

	if (!away)
		return;
	if (!away->told)
		tell_due(away, tell, ctx);
	forget(aways, away);
}

void pf_aways_clear(struct pf_aways *aways)
{
	for (size_t i = 0; i < aways->count; i++)
		pf_event_clear(&aways->items[i].event);
	free(aways->items);
	*aways = (struct pf_aways){};
}
