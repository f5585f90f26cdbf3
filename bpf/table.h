/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * User space's side of struct pf_policy: which group belongs to which slot, and what a slot was
 * promised. Pure memory work on the mapped array; the programs read it at the same time without a
 * lock, so the order of writing is what these functions are for.
 *
 * One writer in user space at a time (the pins' lock sees to that); the programs add and remove
 * child groups by themselves.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/base/err.h"
#include "agent/base/set.h"
#include "bpf/events.h"
#include "bpf/policy.h"

/* What one role of one guest was promised. */
struct pf_slot_promise {
	uint32_t guest; /* < PF_GUESTS; a guest's slots share its token bucket */
	enum pf_rec_role role;
	uint32_t role_index;
	uint32_t flags;	     /* enum pf_slot_flag */
	struct pf_set cpus;  /* all CPUs when it was promised none */
	struct pf_set nodes; /* all nodes when it was promised none */
};

/**
 * pf_slot_alloc - takes a free slot and fills it
 * @out: the slot; reachable by no thread until pf_group_set()
 *
 * Return: 0, -EINVAL (guest number, nodes beyond PF_NODES), -ENOSPC when all are in use.
 */
int pf_slot_alloc(struct pf_policy *policy, const struct pf_slot_promise *promise, uint32_t *out,
		  struct pf_err *err);

/**
 * pf_slot_update - changes what a slot in use promises
 *
 * Word by word, no word ever without its meaning: a thread that migrates meanwhile is judged by
 * the old promise or the new one for its CPU. Settle afterwards (pf_bpf_settle()).
 */
int pf_slot_update(struct pf_policy *policy, uint32_t slot, const struct pf_slot_promise *promise,
		   struct pf_err *err);

/* Gives a slot back, after pf_group_remove() of its groups; removes those that are left. */
void pf_slot_free(struct pf_policy *policy, uint32_t slot);

/* Whether @slot is in use; what it promises goes to @out unless that is NULL. */
bool pf_slot_get(const struct pf_policy *policy, uint32_t slot, struct pf_slot_promise *out);

/**
 * pf_group_set - makes group @cgid (its inode number in cgroupfs) lead to @slot
 *
 * A group that is in the table already is led to the new slot without a moment in between.
 * Return: 0, -EINVAL, -ENOSPC when no bucket within PF_PROBES of the hash is free.
 */
int pf_group_set(struct pf_policy *policy, uint64_t cgid, uint32_t slot, struct pf_err *err);

/* Takes a group out. Return: 0, or -ENOENT when it isn't there (any more). */
int pf_group_remove(struct pf_policy *policy, uint64_t cgid);

/* Return: the slot, or -ENOENT. */
int pf_group_find(const struct pf_policy *policy, uint64_t cgid);

/* How many groups are in the table, those included that the programs added. */
uint32_t pf_group_count(const struct pf_policy *policy);
