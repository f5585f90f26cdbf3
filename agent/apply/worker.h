/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel may take minutes for is done by threads of their own. A write to a cpuset, whatever
 * group it is about, and a move of a thread or process between groups return when the pages that the
 * kernel is moving have arrived, another guest's included (decision 0021); such a thread cannot be
 * interrupted, not even by SIGKILL. So there is one thread for each guest that is waited for, and one
 * more that waits for work. All calls are the owner's, from one thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/apply/apply.h"
#include "agent/apply/ledger.h"

/* One thing to do to one guest. */
struct pf_job {
	struct pf_run *run;         /* a plan, begun */
	struct pf_release *release; /* or what was found is put back; begun */
	struct pf_job *next;        /* the workers' own, like what follows */
	uint64_t started_usec;
	bool done;
};

void pf_job_free(struct pf_job **job);

/* Nothing new is begun for it; a release always goes to its end. */
void pf_job_supersede(struct pf_job *job);

struct pf_workers;

/**
 * pf_workers_new - starts no thread yet
 * @like: what a thread gets one of its own of: a handle on the tree, a connection to systemd where
 *	there is one. Not owned, must outlive the workers
 */
int pf_workers_new(const struct pf_apply *like, struct pf_workers **out, struct pf_err *err);

/**
 * pf_workers_start - has @job done
 * @job: malloc'ed; the workers' until pf_workers_wait() or pf_workers_take() hands it back. What is
 *	atomic in it, and its plan, may be looked at meanwhile
 *
 * Return: 0; -errno when no thread could be had, @job stays the caller's.
 */
int pf_workers_start(struct pf_workers *workers, struct pf_job *job);

/* Waits until @job is done, @usec at most. Return: whether it is; then it is the caller's. */
bool pf_workers_wait(struct pf_workers *workers, struct pf_job *job, uint64_t usec);

/* Readable when a job is done that nobody waited for. */
int pf_workers_fd(const struct pf_workers *workers);

/* The next of those, the caller's; NULL: none. */
struct pf_job *pf_workers_take(struct pf_workers *workers);

/* How many jobs are not done yet that were started so long ago at least; 0: any time. */
size_t pf_workers_busy(struct pf_workers *workers, uint64_t usec);

/* Whether one that is not done yet has a plan that has the kernel move pages. */
bool pf_workers_move_pages(struct pf_workers *workers);

/**
 * pf_workers_free - ends the threads that wait for work
 *
 * A thread that the kernel holds is left behind with all that it uses, and begins nothing more: it
 * ends with the process, which ends when the kernel lets go of it. Return: how many these are.
 */
size_t pf_workers_free(struct pf_workers **workers);
