/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Carrying out a plan. A step has succeeded when the kernel, read back, says so; a write that
 * returned 0 says nothing (facts 3: cpuset.cpus is a request).
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/err.h"
#include "agent/model/plan.h"
#include "cgroup/cgroup.h"

struct pf_ledger;

/* A guest's scope as libvirt had it made. */
struct pf_unit_machine {
	const char *unit;  /* "machine-qemu\\x2d1\\x2dNAME.scope" */
	const char *slice; /* "machine.slice" */
	const char *uuid;
	pid_t pid;
};

struct pf_apply {
	struct pf_cgroup *cg; /* not owned, like everything in here */
	/*
	 * Sets a systemd unit's knob, pf_unit_set(); NULL where there is no systemd: unit steps
	 * fail then.
	 */
	int (*unit_set)(void *ctx, const char *unit, const char *knob, const char *value,
			struct pf_err *err);
	/*
	 * Has the guest's scope made with its process in it, pf_unit_make(), and asks for systemd's
	 * word on a cpuset, pf_unit_allowed(); NULL where there is no systemd.
	 */
	int (*unit_make)(void *ctx, const struct pf_unit_machine *machine, struct pf_err *err);
	int (*unit_allowed)(void *ctx, const char *unit, const char *knob, struct pf_set *out,
			    struct pf_err *err);
	void *unit_ctx;
	struct pf_ledger *ledger; /* may be NULL: nothing is recorded then */
	/*
	 * What went wrong with the ledger in the last pf_apply_plan(); code 0: nothing. A record
	 * that cannot be written stays in memory and does not keep a guest from being held.
	 */
	struct pf_err ledger_err;
};

enum pf_outcome_result {
	PF_OUTCOME_NOT_RUN, /* put off, or an earlier step of its act failed */
	PF_OUTCOME_DONE,    /* done, and read back */
	PF_OUTCOME_SKIPPED, /* it is so already, or the thread or guest has ended */
	PF_OUTCOME_FAILED,
	PF_OUTCOME_UNDONE, /* done, and taken back because a later step of its act failed */
};

struct pf_outcome {
	enum pf_outcome_result result;
	struct pf_err err;   /* words for everything but done; code 0 unless failed */
	uint64_t settled_ns; /* CLOCK_MONOTONIC, as bpf_ktime_get_ns(): when it was read back */
};

const char *pf_outcome_name(enum pf_outcome_result result);

struct pf_undo;

/*
 * A plan on its way: pf_apply_begin() and pf_apply_end() keep the ledger, pf_apply_run() between
 * them changes the guest, in whatever thread; what is not atomic is that thread's meanwhile, but for
 * the plan, which nobody changes.
 */
struct pf_run {
	struct pf_plan plan;
	struct pf_outcome *outcomes; /* one a step */
	struct pf_undo *undos;
	struct pf_err ledger_err; /* as in struct pf_apply */
	atomic_size_t at;	  /* the step that is being done; plan.count: none */
	atomic_bool superseded;	  /* from outside: the plan holds no longer, nothing new is begun */
};

/* @plan is taken over and zeroed, but not on failure. Return: 0 or -ENOMEM. */
int pf_run_new(struct pf_plan *plan, struct pf_run **out);
void pf_run_free(struct pf_run **run);

/* What is found goes on record, before the first change. Return: 0; -ENOMEM: it must not be run. */
int pf_apply_begin(struct pf_apply *apply, struct pf_run *run);

/**
 * pf_apply_run - carries out run->plan step by step, as pf_apply_plan() says
 * @apply: of the thread that calls it; its ledger is not used
 *
 * Once run->superseded, the next step is not begun, neither is what follows; what was done by then
 * stands, and the next plan goes on from there.
 */
void pf_apply_run(struct pf_apply *apply, struct pf_run *run);

/* What came of it goes on record. */
void pf_apply_end(struct pf_apply *apply, struct pf_run *run);

/**
 * pf_apply_plan - carries out @plan step by step
 * @outcomes: one for each step, in its order; one malloc'ed block, the caller's
 * @count: of @outcomes: plan->count
 *
 * When a step fails, those before it in the same act are undone in reverse order, the rest of the
 * act is not run, and the next act goes on. What the kernel took of the failing step itself stays
 * (a cpuset that it accepted and does not honour yet, a part of an affinity): it is as near to the
 * promise as the kernel goes now, a CPU that comes back makes it whole without us, and taking it
 * back would change the guest to and fro at every attempt.
 *
 * When a process that strayed could not be brought back, nothing after it is run: what follows
 * builds on it.
 *
 * Undoing a cpuset or a move sets the affinities that threads had before it, since either resets
 * them on some kernels (facts 6).
 *
 * Return: 0 when it was run, whatever came of it; -ENOMEM when nothing was.
 */
int pf_apply_plan(struct pf_apply *apply, const struct pf_plan *plan, struct pf_outcome **outcomes,
		  size_t *count);
