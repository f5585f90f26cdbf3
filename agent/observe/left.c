// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A guest that is observed only may have strayed, its groups gone, when an agent comes that has
 * never seen it in its place. The programs have: they remember with each thread the slot that it
 * left, for as long as the slot is in use.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/array.h"
#include "agent/observe/watched.h"

/* The group that spots of groups have that are gone: no group's id (bpf/policy.h). */
#define GONE PF_TOMBSTONE

struct search {
	const struct pf_policy *policy;
	struct pf_left *left;
	bool found;
};

static int note_stay(const struct pf_stay *stay, void *arg)
{
	struct search *search = arg;
	struct pf_left *left = search->left;

	if ((pid_t)stay->tgid != left->pid || !(stay->flags & PF_RF_LEFT) || stay->slot >= PF_SLOTS)
		return 0;
	left->slot[stay->slot] = true;
	left->guest = search->policy->slot[stay->slot].guest;
	search->found = true;
	return 0;
}

int pf_left_find(struct pf_watch *watch, pid_t pid, struct pf_left *out)
{
	struct search search = { .policy = pf_bpf_policy(watch->bpf), .left = out };
	int r;

	*out = (struct pf_left){ .pid = pid };
	r = pf_bpf_settle(watch->bpf, note_stay, &search, NULL);
	return r < 0 ? r : search.found ? 0 : -ENOENT;
}

static const struct pf_group *leaf_of(const struct pf_placement *placement,
				      const struct pf_slot_promise *promise)
{
	for (size_t i = 0; i < placement->group_count; i++) {
		const struct pf_group *leaf = &placement->groups[i];

		if (leaf->level == PF_GROUP_LEAF &&
		    pf_watch_role_number(leaf->role) == promise->role &&
		    leaf->role.index == promise->role_index)
			return leaf;
	}
	return NULL;
}

static void adopt_slot(struct pf_watch *watch, struct pf_watched *guest,
		       const struct pf_placement *placement, uint32_t slot)
{
	struct pf_slot_promise promise;
	const struct pf_group *leaf;
	struct pf_spot *spot;

	if (!pf_slot_get(pf_bpf_policy(watch->bpf), slot, &promise) ||
	    promise.guest != guest->number)
		return;
	leaf = leaf_of(placement, &promise);
	spot = leaf ? pf_append(&guest->spots, &guest->spot_count) : NULL;
	if (!spot)
		return;
	*spot = (struct pf_spot){ .cgid = GONE,
				  .path = strdup(leaf->path),
				  .leaf = true,
				  .slot = slot,
				  .role = leaf->role };
	if (!spot->path)
		guest->spot_count--;
}

void pf_left_adopt(struct pf_watch *watch, struct pf_watched *guest,
		   const struct pf_placement *placement)
{
	struct pf_left left;

	if (pf_left_find(watch, placement->pid, &left) < 0)
		return;
	for (uint32_t slot = 0; slot < PF_SLOTS; slot++)
		if (left.slot[slot])
			adopt_slot(watch, guest, placement, slot);
}
