/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One escape, one record: a stay outside that ends within a second is told once, with its length;
 * a longer one when it is a second old and again, as "returned", when it is over. What the
 * scheduler does with a thread that may float is summed up for ten seconds, and so are the stays of a
 * thread that the same doer sends out again within a second of its return: a storm of flips is a few
 * events, not one each. Pure: time is an argument.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/daemon/acts.h"
#include "agent/model/event.h"

struct pf_away {
	struct pf_event event;
	bool summed;  /* only far from its memory, by the scheduler's choice */
	bool open;    /* the thread is outside now */
	bool told;    /* of an open stay: that it began */
	bool again;   /* what came back and was told; from here on further stays are summed up */
	uint64_t stays;
	uint64_t back_usec; /* the newest return */
	uint64_t due_usec; /* 0: only its end is waited for */
};

struct pf_aways {
	struct pf_away *items;
	size_t count;
	uint64_t lost;
};

/**
 * pf_aways_add - an escape, a first placement outside, or a return
 * @event: what it owns is taken over
 * @returned: the stay is over; event->outside_ns says how long it was
 * @floats: on promised CPUs, but far from its memory
 */
void pf_aways_add(struct pf_aways *aways, struct pf_event *event, bool returned, bool floats,
		  uint64_t now_usec, pf_tell_fn tell, void *ctx);

/* Tells what is due. Return: when to call again, 0: nothing is waited for. */
uint64_t pf_aways_expire(struct pf_aways *aways, uint64_t now_usec, pf_tell_fn tell, void *ctx);

/*
 * How many threads have stays that are still to be told. Those of a thread that floats are not meant:
 * there are always some, until they are summed up.
 */
size_t pf_aways_untold(const struct pf_aways *aways);

/* The thread has ended: what was not told yet is told now. */
void pf_aways_end(struct pf_aways *aways, pid_t tid, pf_tell_fn tell, void *ctx);

void pf_aways_clear(struct pf_aways *aways);
