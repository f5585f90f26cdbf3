/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When a guest's plan may be carried out, and what of it. Pure: time is an argument.
 *
 * A difference between promise and kernel is not always drift. It may be libvirt at work on a new
 * promise (virsh vcpupin writes the cpuset first and its XML afterwards), or libvirt placing the
 * thread of a hot-plugged vCPU. So what was not seen to be a stranger's act waits until libvirt was
 * asked anew, and for a moment when it looks like hot-plug. What did not help, or did not last, is
 * not repeated at once; that holds up nothing else.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "agent/apply/worker.h"
#include "agent/daemon/acts.h"
#include "agent/daemon/aways.h"
#include "agent/daemon/tries.h"
#include "agent/model/plan.h"
#include "agent/model/status.h"
#include "agent/observe/view.h"

struct pf_held {
	char uuid[37];
	char *name;
	pid_t pid;
	bool present; /* in the newest snapshot, its process alive */
	bool released;
	char *not_put_back; /* why its release could not put all back; NULL: it did, or does so now */
	bool has_mode; /* an operator's, by `pinfold mode` */
	enum pf_mode mode;
	struct pf_plan plan; /* of the newest pass */
	struct pf_guest_status status;
	struct pf_view view; /* what that pass saw, and what was done since */
	struct pf_tries tries;
	/*
	 * What a thread does to the guest now, the threads' until it is taken in; NULL: nothing. What
	 * a look finds meanwhile is half done, and nothing else is begun.
	 */
	struct pf_job *job;
	uint64_t job_usec; /* since when */
	bool pages_move;      /* on the host, so that its threads are not moved: pf_carry_pages_move() */
	bool waits_for_pages; /* and that is what its plan waits for */

	size_t vcpu_threads;
	bool emulator_opened; /* to more memory nodes, as for a vCPU to come */
	bool libvirt_writes;  /* it was in the middle of a write at the newest pass */
	uint64_t settle_until_usec;
	uint64_t ticket;       /* libvirt's word on this drift was asked for with it; 0: not yet */
	uint64_t ticket_deadline_usec;
	uint64_t ticket_asked_usec;
	bool asked; /* that word was in, or overdue, when the turn was chosen */
	char *told; /* the state and reason that the log has */

	/* Its threads when the plan was last empty; none while the guest is not held. */
	struct pf_kept *kept;
	size_t kept_count;
	struct pf_acts acts;   /* what was done to it, not yet told */
	struct pf_aways aways; /* its threads outside */
	bool promised;	       /* something else, since it was last held: what differs is no drift */
	bool woken;	       /* something was seen that asks for a pass */
	uint64_t looked_usec;  /* the newest pass */
	uint64_t swept_usec;   /* the newest that read all of it */
	uint64_t newcomer_usec; /* the newest look for the sake of new threads */
	uint64_t late_name_usec; /* the second one for their sake */
	unsigned int look_records; /* that asked for another one since then */
	uint64_t look_debt_usec; /* time that passes in a storm took beyond their share of it */
	uint64_t due_usec;     /* the next one, 0 for no time in particular */
	uint64_t words;	       /* pf_guest.words of the newest look */
	sd_event_source *exit; /* readable when the process has ended */
	bool counting;	       /* records came: what was lost is to be counted */
	uint64_t suppressed_told;
	uint64_t dropped_told;
	uint64_t pages_balanced; /* not told yet */
	uint64_t pages_moved;
};

/* The earlier of two times, of which 0 is none. */
uint64_t pf_earlier(uint64_t a, uint64_t b);

/* Something was done, and nothing says to what of the guest: all of it is looked at. */
void pf_held_look_anew(struct pf_held *held);

enum pf_turn {
	PF_TURN_NOTHING, /* nothing to do */
	PF_TURN_ASK,	 /* ask libvirt whether its word still stands */
	PF_TURN_WAIT,	 /* not before *when; 0: when something ends that is being done */
	PF_TURN_APPLY,
};

/* Takes in the result of a pass: notices new drift, its end, and hot-plug. */
void pf_held_note(struct pf_held *held, uint64_t now_usec);

/**
 * pf_held_turn - what is to be done for this guest now
 * @answered: the newest ticket that libvirt has answered
 * @when: the earliest time (monotonic, us) at which to look again; 0: none in particular
 *
 * For PF_TURN_APPLY the steps whose time has not come are marked put_off.
 */
enum pf_turn pf_held_turn(struct pf_held *held, uint64_t answered, uint64_t now_usec,
			  uint64_t *when);

/* Called where a fight begins: @doer (or NULL) undoes @step again and again; @text says so. */
typedef void (*pf_fight_fn)(const struct pf_step *step, const struct pf_event *doer,
			    const char *text, void *ctx);

/**
 * pf_held_tried - notes what came of carrying out the plan, before the acts are told
 * @outcomes: one a step
 *
 * Return: 0 or -ENOMEM; what was noted by then counts.
 */
int pf_held_tried(struct pf_held *held, const struct pf_outcome *outcomes, uint64_t now_usec,
		  pf_fight_fn fight, void *ctx);

/* What is being done to the guest is not what it needs any more: nothing more of it is begun. */
void pf_held_supersede(struct pf_held *held);

/* A job that is being done stays the threads', and is superseded. */
void pf_held_clear(struct pf_held *held);
