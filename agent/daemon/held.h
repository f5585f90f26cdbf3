/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When a guest's plan may be carried out. Pure: time is an argument.
 *
 * A difference between promise and kernel is not always drift. It may be libvirt at work on a new
 * promise (virsh vcpupin writes the cpuset first and its XML afterwards), or libvirt placing the
 * thread of a hot-plugged vCPU. So a plan waits until libvirt was asked anew, and for a moment
 * when it looks like hot-plug; and one that did not help is not repeated at once.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/daemon/acts.h"
#include "agent/daemon/aways.h"
#include "agent/model/plan.h"
#include "agent/model/status.h"

struct pf_held {
	char uuid[37];
	char *name;
	pid_t pid;
	bool present; /* in the newest snapshot, its process alive */
	bool released;
	struct pf_plan plan; /* of the newest pass */
	struct pf_guest_status status;
	struct pf_findings failures; /* steps that failed, in the kernel's words */

	size_t vcpu_threads;
	uint64_t drift_since_usec; /* 0: none */
	uint64_t settle_until_usec;
	uint64_t retry_at_usec;
	unsigned int attempts; /* in a row, that left something to do */
	uint64_t ticket;       /* libvirt's word on this drift was asked for with it; 0: not yet */
	uint64_t ticket_deadline_usec;
	char *told; /* the state and reason that the log has */

	/* Its threads when the plan was last empty; none while the guest is not held. */
	struct pf_kept *kept;
	size_t kept_count;
	struct pf_acts acts;   /* what was done to it, not yet told */
	struct pf_aways aways; /* its threads outside */
	bool woken;	       /* something was seen that asks for a pass */
	uint64_t looked_usec;  /* the newest pass */
	uint64_t due_usec;     /* the next one, 0 for no time in particular */
	uint64_t suppressed_told;
	uint64_t dropped_told;
	uint64_t pages_balanced; /* not told yet */
	uint64_t pages_moved;
};

enum pf_turn {
	PF_TURN_NOTHING, /* nothing to do */
	PF_TURN_ASK,	 /* ask libvirt whether its word still stands */
	PF_TURN_WAIT,	 /* not before *when */
	PF_TURN_APPLY,
};

/* Takes in the result of a pass: notices new drift, its end, and hot-plug. */
void pf_held_note(struct pf_held *held, uint64_t now_usec);

/**
 * pf_held_turn - what is to be done for this guest now
 * @answered: the newest ticket that libvirt has answered
 * @when: set for PF_TURN_WAIT: the earliest time (monotonic, us) at which to look again
 */
enum pf_turn pf_held_turn(const struct pf_held *held, uint64_t answered, uint64_t now_usec,
			  uint64_t *when);

/* After a plan was carried out and looked at again: @done when nothing is left to do. */
void pf_held_tried(struct pf_held *held, bool done, uint64_t now_usec);

void pf_held_clear(struct pf_held *held);
