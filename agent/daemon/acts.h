/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One act, one record. What somebody did to a guest is kept until it is known what came of it: the
 * repair that was read back, or nothing within a few seconds. Pure: time is an argument.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/apply/apply.h"
#include "agent/daemon/tries.h"
#include "agent/model/event.h"
#include "agent/model/plan.h"
#include "agent/model/status.h"

enum pf_act_kind {
	PF_ACT_MASK,  /* a thread's affinity */
	PF_ACT_MOVED, /* a thread, or the whole process, into another group */
	PF_ACT_KNOB,
	PF_ACT_CPU, /* a CPU went or came: may be why something is repaired, is never told alone */
};

struct pf_act {
	enum pf_act_kind kind;
	struct pf_event event; /* as it will be told */
	bool whole;	       /* the whole process was moved */
	bool has_role;	       /* event.role counts: a thread, or a leaf's knob */
	bool by_libvirt;
	bool by_manager; /* the service manager, process 1 */
	bool begun;	 /* a write that has taken effect and not returned yet, or was refused */
	bool above;	 /* to a group above the guest's own: told when this guest is off, or repaired */
	char *group;	 /* of a knob */
	char *knob;
	/* pf_acts' own */
	uint64_t since_usec;
	uint64_t settled_ns; /* CLOCK_MONOTONIC, of the last step that put it right; 0: none */
	bool unfinished;     /* steps that put it right were put off: told when they are done */
	bool failed;	     /* a step that should have put it right failed */
	bool failure_told;
};

struct pf_acts {
	struct pf_act *items;
	size_t count;
	uint64_t lost; /* acts for which there was no room, not told yet */
	/*
	 * CLOCK_BOOTTIME: when the repair began that has not ended yet. What was done later it is no
	 * remedy for. 0: there is none, or nothing can have come between.
	 */
	uint64_t until_ns;
	char *unit;		  /* of which the manager wrote a knob for us, and so all */
	uint64_t unit_written_ns; /* CLOCK_BOOTTIME: when that was read back */
	char *made_unit; /* scope that we had made: the manager's move of the guest there is ours */
	uint64_t told_begun[8]; /* boot_ns of the newest that were told before they had returned */
	unsigned int next_begun;
};

/* A thread that was where it belongs before: only such a one can drift without a known act. */
struct pf_kept {
	pid_t tid;
	struct pf_role role;
};

struct pf_repair {
	const struct pf_plan *plan;
	const struct pf_outcome *outcomes; /* one a step */
	size_t count;
	const struct pf_kept *kept;
	size_t kept_count;
	const struct pf_tries *tries; /* a step's first failure is news */
	bool was_held;	      /* the plan was empty since the agent looks after this guest */
	bool promised;	      /* something else since then: nobody needs to have changed anything */
	int64_t sleep_ns;     /* CLOCK_BOOTTIME minus CLOCK_MONOTONIC */
	int64_t wall_ahead_ns; /* CLOCK_REALTIME minus CLOCK_BOOTTIME */
};

/* Takes an event to be told, without guest and uuid. It stays the caller's. */
typedef void (*pf_tell_fn)(struct pf_event *event, void *ctx);

/**
 * pf_acts_add - keeps an act
 * @act: what it owns is taken over
 *
 * A repetition by the same process is counted in the one that is kept (event.suppressed); so is
 * what libvirt does to one role in one go; and, in a fight, what the same user does by programs of
 * the same name.
 */
void pf_acts_add(struct pf_acts *acts, struct pf_act *act, bool fight, uint64_t now_usec);

/*
 * Whether libvirt, or the service manager for it, was seen to do something after that time: a word
 * asked for before may be old.
 */
bool pf_acts_libvirt_after(const struct pf_acts *acts, uint64_t usec);

/* The same, of libvirt itself only. */
bool pf_acts_promised_after(const struct pf_acts *acts, uint64_t usec);

/*
 * Whether libvirt is in the middle of a write that takes long, a minute and a half at most: it holds
 * the guest's lock meanwhile, and answers when it is done.
 */
bool pf_acts_libvirt_writes(const struct pf_acts *acts, uint64_t now_usec);

/*
 * Whether @step is the remedy of acts that were all seen to be a stranger's: neither libvirt's nor
 * the service manager's, who writes on its behalf. A CPU that goes or comes is nobody's new promise.
 */
bool pf_acts_by_stranger(const struct pf_acts *acts, const struct pf_step *step);

/* The newest of the nearest acts that @step is the remedy of; valid until @acts changes. Or NULL. */
const struct pf_event *pf_acts_doer(const struct pf_acts *acts, const struct pf_step *step);

/**
 * pf_acts_repaired - tells the acts that the carried out plan has put right, and forgets them
 *
 * A step belongs to the act that is nearest to it: the same thread or knob, else the same leaf,
 * else something above both, else a CPU that went or came. An act is told when the last of its
 * steps is done, those that were put off included, and its latency ends with that. Steps of a guest
 * that was held before and that belong to no act are told as one event an act of the plan, with
 * cause unknown, unless another promise is why they are there.
 */
void pf_acts_repaired(struct pf_acts *acts, const struct pf_repair *repair, pf_tell_fn tell,
		      void *ctx);

/* Notes the scope that the plan is about to have made, whatever comes of it. */
void pf_acts_made(struct pf_acts *acts, const struct pf_plan *plan);

/* Whether @act is the service manager's move of the guest into that scope. @group: where to. */
bool pf_acts_is_ours(const struct pf_acts *acts, const struct pf_act *act, const char *group);

/**
 * pf_acts_expire - tells and forgets the acts whose time is over, but for libvirt's own and for
 * what the service manager wrote without an effect; of what was done to a group above those that
 * may have left this guest off
 * @status: the guest as the last pass saw it
 * @repairing: a repair is still to come: wait longer
 *
 * Return: when to call again (CLOCK_MONOTONIC, us), 0: no act is kept.
 */
uint64_t pf_acts_expire(struct pf_acts *acts, const struct pf_guest_status *status, bool repairing,
			uint64_t now_usec, pf_tell_fn tell, void *ctx);

/**
 * pf_acts_looked - forgets what the service manager wrote without an effect
 * @status: the guest as the pass at @looked_usec saw it, with nothing to put right
 *
 * It writes all it holds at every daemon-reload; what is put right later has another reason.
 */
void pf_acts_looked(struct pf_acts *acts, const struct pf_guest_status *status,
		    uint64_t looked_usec);

/* Frees all without telling. */
void pf_acts_clear(struct pf_acts *acts);
