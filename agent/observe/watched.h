/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What watch.c (records, counters) and follow.c (the programs' table) share; nobody else's. */
#pragma once

#include "agent/observe/spool.h"
#include "agent/observe/watch.h"
#include "bpf/dedupe.h"

/* A group of a guest. */
struct pf_spot {
	uint64_t cgid;
	char *path;
	bool leaf; /* leads to a slot; otherwise only writes there are told */
	uint32_t slot;
	bool told;                  /* not a leaf: the programs know of it, with this: */
	uint32_t guard_slot_plus_1; /* the slot by which writes there are refused, or 0 */
	struct pf_role role;
	bool named; /* in the placement at hand */
};

struct pf_watched {
	char uuid[37];
	uint32_t number; /* what the programs call it */
	struct pf_spot *spots;
	size_t spot_count;
	struct pf_counters gone; /* of slots that were given back */
	bool widened;		 /* groups were added to what is watched */
};

struct pf_watch {
	struct pf_bpf *bpf;
	pf_watch_fn on_record;
	void *arg;
	struct pf_dedupe dedupe;
	uint64_t *seen;         /* in a shared mapping: what a killed agent had handled */
	bool unkept;            /* there was no room for what a successor should know */
	struct pf_spool *spool; /* and what it had not told yet */
	struct pf_watched *guests;
	size_t guest_count;
	struct pf_set all; /* every CPU or node that a set can hold */
	bool unsettled;
};

/* NULL when it is not watched. */
struct pf_watched *pf_watched_find(const struct pf_watch *watch, const char *uuid);

/* The guest's group of that id, or NULL. */
struct pf_spot *pf_spot_find(const struct pf_watched *guest, uint64_t cgid);

/* @sum += @more */
void pf_watched_add(struct pf_counters *sum, const struct pf_counters *more);

/* Its node, as the programs can know it; -1 for none. */
int pf_watch_node_of(const struct pf_host_cpu *cpu);

/* What the programs call a role. */
enum pf_rec_role pf_watch_role_number(struct pf_role role);

/* Forgets the guest here; its slots are pf_watch_drop()'s. */
void pf_watched_clear(struct pf_watched *guest);

/* ---- left.c: a process that strayed before this agent began ---- */

/* What the programs know of a process's threads by themselves: the slots that they left. */
struct pf_left {
	pid_t pid;
	uint32_t guest; /* the slots' */
	bool slot[PF_SLOTS];
};

/* Looks at every task of the host once. Return: 0, -ENOENT when no thread has left, or -errno. */
int pf_left_find(struct pf_watch *watch, pid_t pid, struct pf_left *out);

/*
 * Makes spots of the slots that the threads of a guest without a group are judged by, so that the
 * guest is watched on, its counts go on, and pf_watch_sweep() leaves them. What was not found stays
 * unwatched: without pins nobody knows where the threads belonged.
 */
void pf_left_adopt(struct pf_watch *watch, struct pf_watched *guest,
		   const struct pf_placement *placement);
