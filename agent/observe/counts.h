/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The programs' counters in the words of a status. Pure. */
#pragma once

#include <stddef.h>

#include "agent/model/status.h"
#include "bpf/events.h"
#include "bpf/policy.h"

/* For qsort() and bsearch() of struct pf_stay. */
int pf_stay_by_tid(const void *a, const void *b);

/* Adds a slot's counters to its role's and the guest's. Return: 0 or -ENOMEM. */
int pf_counts_slot(struct pf_guest_status *guest, struct pf_role role,
		   const struct pf_counters *counters);

/* Adds what was counted for roles that the guest has no more: to the guest's alone. */
void pf_counts_gone(struct pf_guest_status *guest, const struct pf_counters *counters);

/*
 * Adds what has been run in a stay that goes on: it is in no counter yet. To be read after the
 * counters: a stay that ends in between is missing for once, never there twice.
 * Return: 0 or -ENOMEM.
 */
int pf_counts_stay(struct pf_guest_status *guest, struct pf_role role,
		   const struct pf_stay *stay);

/* The times of each thread that is among @stays, which are sorted by pf_stay_by_tid(). */
void pf_counts_threads(struct pf_guest_status *guest, const struct pf_stay *stays,
		       size_t stay_count);
