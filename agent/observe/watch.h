/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The eBPF side of observing: which groups the programs look at and what each was promised, and
 * the records that they send. Owns the programs' handle.
 *
 * A guest is known to the programs by a number; pins that a former agent left are recognised by
 * their groups' ids, so that a guest keeps its number, its slots and their counters.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/base/err.h"
#include "agent/model/actual.h"
#include "agent/model/host.h"
#include "agent/model/placement.h"
#include "agent/model/status.h"
#include "bpf/loader.h"

struct pf_watch;

/**
 * Called for each record that was not seen before.
 * @record: valid during the call; a PF_REC_KNOB record is a struct pf_knob_record
 * @uuid: the guest that it concerns, NULL when it concerns the host or a guest that has ended
 * @group: path of record->cgid where it is a group of that guest's placement, else NULL
 */
typedef void (*pf_watch_fn)(const struct pf_record *record, const char *uuid, const char *group,
			    void *arg);

struct pf_watch_options {
	const char *pin_path;  /* a folder in a bpffs */
	const char *seen_path; /* file that keeps the number of the last record that was handled */
	const char *spool_path; /* file that keeps the records of which nothing was told yet */
	pf_watch_fn on_record;
	void *arg;
};

/**
 * pf_watch_open - adopts or loads the programs
 * @out: ends with pf_watch_close()
 *
 * Return: 0, or what pf_bpf_open() answers where the kernel does not let us.
 */
int pf_watch_open(const struct pf_watch_options *options, const struct pf_host *host,
		  struct pf_watch **out, struct pf_err *err);

/* Lets go; the pinned programs go on counting. */
void pf_watch_close(struct pf_watch **watch);

/* The programs' handle, for what works beside the watching (bpf/guard.h). Lives as long as @watch. */
struct pf_bpf *pf_watch_programs(struct pf_watch *watch);

enum pf_bpf_origin pf_watch_origin(const struct pf_watch *watch);

/* Whether a successor will know what was handled; false when there was no room for the two files. */
bool pf_watch_is_kept(const struct pf_watch *watch);

/*
 * Whether every change of what is held is told: affinities, groups' files, threads that come or are
 * moved, CPUs that come or go. If not, only looking finds it.
 */
bool pf_watch_sees_all(const struct pf_watch *watch);

/* Lives as long as @watch. */
const struct pf_hook_capability *pf_watch_capabilities(const struct pf_watch *watch,
						       size_t *count);

/* Takes in which CPU is on which node: one that was offline may only tell when it comes back. */
void pf_watch_host(struct pf_watch *watch, const struct pf_host *host);

/**
 * pf_watch_guest - makes the programs follow a guest's placement; changes only what differs
 *
 * One slot for each leaf's role; it stays while the placement has the leaf, whether or not the group
 * is there. Without a promise of CPUs or nodes it's all of them. The nodes of
 * CPUs that were promised by name count as promised: a pin wins over the memory's place.
 * @guard: the guard's programs, while they are attached, refuse that strangers change it
 *
 * Return: 0; 1 when groups are watched now that were not before, so that what was done to them until
 * now was not told; or the first failure (no slot, no bucket free): the rest was done.
 */
int pf_watch_guest(struct pf_watch *watch, const struct pf_placement *placement,
		   const struct pf_actual *actual, bool guard, struct pf_err *err);

/*
 * Before its threads are read: the next one that comes is told (PF_REC_THREAD), one record for all
 * that come until this is called again.
 */
void pf_watch_looking(struct pf_watch *watch, const char *uuid);

/*
 * Whether the programs may have kept records of this guest's acts to themselves since then: only a
 * look at all of it finds what those were about. True without a guest of that UUID.
 */
bool pf_watch_held_back(const struct pf_watch *watch, const char *uuid);

/* The guest has ended. Without a guest of that UUID: nothing. */
void pf_watch_drop(struct pf_watch *watch, const char *uuid);

/* Frees what pins hold for guests that ended while no agent ran: after the first full pass. */
void pf_watch_sweep(struct pf_watch *watch);

/* Makes the kernel's view of threads follow, when something changed since the last call. */
int pf_watch_settle(struct pf_watch *watch, struct pf_err *err);

/* Hands over again what an agent that was killed had taken in and not told: before consuming. */
void pf_watch_replay(struct pf_watch *watch);

/* Whether records are kept for such a case. */
bool pf_watch_remembers(const struct pf_watch *watch);

/* Of the records handed over only these are still to be told. @seqs are sorted by this. */
void pf_watch_pending(struct pf_watch *watch, uint64_t *seqs, size_t count);

/* Readable when records wait. */
int pf_watch_fd(const struct pf_watch *watch);

/* As pf_bpf_consume(). */
int pf_watch_consume(struct pf_watch *watch, unsigned int *again_usec, struct pf_err *err);

/* The sum over a guest's slots. Return: 0, -ENOENT when it isn't watched, or -errno. */
int pf_watch_counters(struct pf_watch *watch, const char *uuid, struct pf_counters *out,
		      struct pf_err *err);

/**
 * pf_watch_fill - counters and times into the statuses of guests
 *
 * Looks at every task of the host once. A guest that isn't watched stays as it is.
 * Return: 0, -ENOMEM, or what the kernel said; some guests may have been filled.
 */
int pf_watch_fill(struct pf_watch *watch, struct pf_guest_status *guests, size_t count,
		  struct pf_err *err);

/* Record numbers that were never handed over, since the agent began. */
uint64_t pf_watch_missing(const struct pf_watch *watch);
