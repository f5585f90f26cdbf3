// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/observe/counts.h"

#include <errno.h>

#include "agent/base/array.h"

static void add(struct pf_counts *sum, const struct pf_counters *more)
{
	sum->escapes += more->escapes;
	sum->remote += more->remote;
	sum->stays += more->stays;
	sum->away_ns += more->away_ns;
	sum->remote_ns += more->remote_ns;
	sum->told += more->told;
	sum->suppressed += more->suppressed;
	sum->dropped += more->dropped;
	sum->untimed += more->untimed;
	sum->pages += more->pages;
	sum->refused += more->refused;
}
_Static_assert(sizeof(struct pf_counters) == sizeof(struct pf_counts), "add() adds all");

static uint64_t open_away(const struct pf_stay *stay)
{
	return stay->flags & PF_RF_OUT_CPU ? stay->open_ns : 0;
}

static uint64_t open_remote(const struct pf_stay *stay)
{
	return stay->flags & PF_RF_OUT_NODE ? stay->open_ns : 0;
}

static struct pf_role_counts *role_of(struct pf_guest_status *guest, struct pf_role role)
{
	struct pf_role_counts *found;

	for (size_t i = 0; i < guest->role_count; i++)
		if (pf_role_equal(guest->roles[i].role, role))
			return &guest->roles[i];
	found = pf_append(&guest->roles, &guest->role_count);
	if (found)
		found->role = role;
	return found;
}

int pf_counts_slot(struct pf_guest_status *guest, struct pf_role role,
		   const struct pf_counters *counters)
{
	struct pf_role_counts *one = role_of(guest, role);

	if (!one)
		return -ENOMEM;
	add(&one->counts, counters);
	pf_counts_gone(guest, counters);
	return 0;
}

void pf_counts_gone(struct pf_guest_status *guest, const struct pf_counters *counters)
{
	guest->counted = true;
	add(&guest->counts, counters);
}

int pf_counts_stay(struct pf_guest_status *guest, struct pf_role role, const struct pf_stay *stay)
{
	const struct pf_counters open = {
		.away_ns = open_away(stay),
		.remote_ns = open_remote(stay),
	};

	return pf_counts_slot(guest, role, &open);
}

int pf_stay_by_tid(const void *a, const void *b)
{
	const struct pf_stay *left = a, *right = b;

	return (left->tid > right->tid) - (left->tid < right->tid);
}

void pf_counts_threads(struct pf_guest_status *guest, const struct pf_stay *stays,
		       size_t stay_count)
{
	for (size_t i = 0; stay_count && i < guest->thread_count; i++) {
		struct pf_thread_status *thread = &guest->threads[i];
		const struct pf_stay key = {.tid = (uint32_t)thread->tid};
		const struct pf_stay *stay =
			bsearch(&key, stays, stay_count, sizeof(*stays), pf_stay_by_tid);

		if (!stay)
			continue;
		thread->timed = true;
		thread->away_ns = stay->away_ns + open_away(stay);
		thread->remote_ns = stay->remote_ns + open_remote(stay);
	}
}
