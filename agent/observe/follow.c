// SPDX-License-Identifier: GPL-2.0-or-later
/* Which groups the programs look at, and what each was promised. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/array.h"
#include "agent/observe/watched.h"

struct pf_watched *pf_watched_find(const struct pf_watch *watch, const char *uuid)
{
	for (size_t i = 0; i < watch->guest_count; i++)
		if (strcmp(watch->guests[i].uuid, uuid) == 0)
			return &watch->guests[i];
	return NULL;
}

struct pf_spot *pf_spot_find(const struct pf_watched *guest, uint64_t cgid)
{
	for (size_t i = 0; i < guest->spot_count; i++)
		if (guest->spots[i].cgid == cgid)
			return &guest->spots[i];
	return NULL;
}

void pf_watched_clear(struct pf_watched *guest)
{
	for (size_t i = 0; i < guest->spot_count; i++)
		free(guest->spots[i].path);
	free(guest->spots);
	*guest = (struct pf_watched){};
}

void pf_watched_add(struct pf_counters *sum, const struct pf_counters *more)
{
	const __u64 *from = (const __u64 *)more;
	__u64 *to = (__u64 *)sum;

	for (size_t i = 0; i < sizeof(*sum) / sizeof(*to); i++)
		to[i] += from[i];
}

int pf_watch_node_of(const struct pf_host_cpu *cpu)
{
	return cpu->node >= 0 && cpu->node < PF_NODES ? cpu->node : -1;
}

void pf_watch_host(struct pf_watch *watch, const struct pf_host *host)
{
	struct pf_policy *policy = pf_bpf_policy(watch->bpf);
	struct pf_slot_promise promise;
	bool changed = false;

	for (size_t i = 0; i < host->cpu_count; i++) {
		unsigned int cpu = host->cpus[i].cpu;
		int node = pf_watch_node_of(&host->cpus[i]);

		if (cpu >= PF_CPUS || node < 0 || policy->node_of_cpu[cpu] == node)
			continue;
		policy->node_of_cpu[cpu] = (uint16_t)node;
		changed = true;
	}
	for (uint32_t slot = 0; changed && slot < policy->head.slots; slot++)
		if (pf_slot_get(policy, slot, &promise))
			pf_slot_update(policy, slot, &promise, NULL);
	watch->unsettled |= changed;
}

static int free_number(struct pf_watch *watch, uint32_t *out, struct pf_err *err)
{
	struct pf_policy *policy = pf_bpf_policy(watch->bpf);
	bool taken[PF_GUESTS] = {};

	for (size_t i = 0; i < watch->guest_count; i++)
		taken[watch->guests[i].number] = true;
	for (uint32_t slot = 0; slot < policy->head.slots; slot++)
		if (pf_slot_get(policy, slot, NULL) && policy->slot[slot].guest < PF_GUESTS)
			taken[policy->slot[slot].guest] = true;
	for (uint32_t number = 0; number < PF_GUESTS; number++) {
		if (!taken[number]) {
			*out = number;
			return 0;
		}
	}
	return pf_fail_plain(err, ENOSPC, "all %d guests that can be watched are in use",
			     PF_GUESTS);
}

/* The number that the pins have for one of its leaves, or the first that nobody has. */
static int choose_number(struct pf_watch *watch, const struct pf_placement *placement,
			 const struct pf_actual *actual, uint32_t *out, struct pf_err *err)
{
	struct pf_policy *policy = pf_bpf_policy(watch->bpf);
	struct pf_left left = {};

	for (size_t i = 0; i < placement->group_count; i++) {
		int slot = actual->groups[i].exists ? pf_group_find(policy, actual->groups[i].cgid)
						    : -ENOENT;

		if (slot >= 0) {
			*out = policy->slot[slot].guest;
			return 0;
		}
	}
	if (placement->strayed && !pf_left_find(watch, placement->pid, &left)) {
		*out = left.guest;
		return 0;
	}
	return free_number(watch, out, err);
}

static struct pf_watched *add_guest(struct pf_watch *watch, const struct pf_placement *placement,
				    const struct pf_actual *actual, struct pf_err *err)
{
	struct pf_watched *guest;
	uint32_t number = 0;

	if (choose_number(watch, placement, actual, &number, err) < 0)
		return NULL;
	guest = pf_append(&watch->guests, &watch->guest_count);
	if (!guest) {
		pf_fail(err, ENOMEM, "watch guest '%s'", placement->name);
		return NULL;
	}
	memcpy(guest->uuid, placement->uuid, sizeof(guest->uuid));
	guest->number = number;
	if (placement->strayed)
		pf_left_adopt(watch, guest, placement);
	return guest;
}

enum pf_rec_role pf_watch_role_number(struct pf_role role)
{
	static const enum pf_rec_role numbers[] = {
		[PF_ROLE_EMULATOR] = PF_REC_ROLE_EMULATOR,
		[PF_ROLE_VCPU] = PF_REC_ROLE_VCPU,
		[PF_ROLE_IOTHREAD] = PF_REC_ROLE_IOTHREAD,
		[PF_ROLE_HELPER] = PF_REC_ROLE_HELPER,
	};

	return numbers[role.kind];
}

/* CPUs beyond the host's are not promised to anybody: "all" needs no more than there can be. */
static void promise_of(const struct pf_watch *watch, const struct pf_placement *placement,
		       size_t group, uint32_t number, bool guard, struct pf_slot_promise *out)
{
	const struct pf_group *leaf = &placement->groups[group];
	const struct pf_policy *policy = pf_bpf_policy(watch->bpf);
	bool pinned = leaf->cpus_rule == PF_SET_EXACT;

	*out = (struct pf_slot_promise){
		.guest = number,
		.role = pf_watch_role_number(leaf->role),
		.role_index = leaf->role.index,
		.flags = guard ? PF_SLOT_GUARD : 0,
		.cpus = pinned ? leaf->cpus : watch->all,
	};
	pf_set_add_range(&out->nodes, 0, PF_NODES - 1);
	for (size_t i = 0; i < placement->thread_count; i++) {
		const struct pf_thread_placement *thread = &placement->threads[i];

		if (thread->group == group && !pf_set_empty(&thread->nodes)) {
			out->nodes = thread->nodes;
			break;
		}
	}
	if (pinned)
		pf_set_for_each (cpu, &leaf->cpus)
			pf_set_add(&out->nodes, policy->node_of_cpu[cpu]);
}

static bool same_promise(const struct pf_slot_promise *a, const struct pf_slot_promise *b)
{
	return a->guest == b->guest && a->role == b->role && a->role_index == b->role_index &&
	       a->flags == b->flags && pf_set_equal(&a->cpus, &b->cpus) &&
	       pf_set_equal(&a->nodes, &b->nodes);
}

static bool same_role(const struct pf_slot_promise *a, const struct pf_slot_promise *b)
{
	return a->guest == b->guest && a->role == b->role && a->role_index == b->role_index;
}

/* A group in the table keeps its slot when that is its role's; a child had its parent's. */
static int follow_leaf(struct pf_watch *watch, struct pf_watched *guest, struct pf_spot *spot,
		       const struct pf_slot_promise *promise, struct pf_err *err)
{
	struct pf_policy *policy = pf_bpf_policy(watch->bpf);
	struct pf_slot_promise now;
	int slot = pf_group_find(policy, spot->cgid), r;

	if (slot >= 0 && pf_slot_get(policy, (uint32_t)slot, &now) && same_role(&now, promise)) {
		spot->slot = (uint32_t)slot;
		spot->leaf = true;
		if (same_promise(&now, promise))
			return 0;
		watch->unsettled = true;
		return pf_slot_update(policy, spot->slot, promise, err);
	}
	watch->unsettled = true;
	guest->widened = true;
	r = spot->leaf ? pf_slot_update(policy, spot->slot, promise, err)
		       : pf_bpf_slot_add(watch->bpf, promise, &spot->slot, err);
	if (r < 0)
		return r;
	spot->leaf = true;
	return pf_group_set(policy, spot->cgid, spot->slot, err);
}

/* A group that was made anew at its old place keeps what was counted there. */
static struct pf_spot *find_path(const struct pf_watched *guest, const char *path)
{
	for (size_t i = 0; i < guest->spot_count; i++)
		if (guest->spots[i].path && strcmp(guest->spots[i].path, path) == 0)
			return &guest->spots[i];
	return NULL;
}

/* What is watched at @cgid or, where that is new, at @path. */
static struct pf_spot *spot_for(struct pf_watch *watch, struct pf_watched *guest, const char *path,
				uint64_t cgid)
{
	struct pf_spot *spot = pf_spot_find(guest, cgid);

	if (spot)
		return spot;
	spot = find_path(guest, path);
	if (!spot) {
		spot = pf_append(&guest->spots, &guest->spot_count);
		if (!spot)
			return NULL;
		spot->path = strdup(path);
	}
	if (spot->told)
		pf_bpf_unwatch(watch->bpf, spot->cgid, NULL);
	spot->told = false;
	spot->cgid = cgid;
	return spot->path ? spot : NULL;
}

static int follow_group(struct pf_watch *watch, struct pf_watched *guest,
			const struct pf_placement *placement, size_t group, uint64_t cgid,
			bool guard, struct pf_err *err)
{
	struct pf_slot_promise promise;
	struct pf_spot *spot;

	spot = spot_for(watch, guest, placement->groups[group].path, cgid);
	if (!spot)
		return pf_fail(err, ENOMEM, "watch guest '%s'", placement->name);
	spot->role = placement->groups[group].role;
	spot->named = true;
	if (placement->groups[group].level != PF_GROUP_LEAF)
		return 0;
	promise_of(watch, placement, group, guest->number, guard, &promise);
	return follow_leaf(watch, guest, spot, &promise, err);
}

/* Its threads may have left a leaf that is gone: they are judged by its slot. */
static void keep_gone(struct pf_watched *guest, const char *path)
{
	struct pf_spot *spot = find_path(guest, path);

	if (spot)
		spot->named = true;
}

static void leave_spot(struct pf_watch *watch, struct pf_watched *guest, struct pf_spot *spot)
{
	struct pf_counters last;

	if (spot->leaf) {
		if (!pf_bpf_counters(watch->bpf, spot->slot, &last, NULL))
			pf_watched_add(&guest->gone, &last);
		pf_slot_free(pf_bpf_policy(watch->bpf), spot->slot);
	} else {
		pf_bpf_unwatch(watch->bpf, spot->cgid, NULL);
	}
	free(spot->path);
	watch->unsettled = true;
}

/* Groups that the guest has no role for any more. */
static void leave_unnamed(struct pf_watch *watch, struct pf_watched *guest)
{
	for (size_t i = 0; i < guest->spot_count;) {
		if (guest->spots[i].named) {
			i++;
			continue;
		}
		leave_spot(watch, guest, &guest->spots[i]);
		guest->spots[i] = guest->spots[--guest->spot_count];
	}
}

/* Scope and base have no slot of their own: they are guarded by one of a leaf's. */
static uint32_t guard_slot(const struct pf_watched *guest, bool guard)
{
	for (size_t i = 0; guard && i < guest->spot_count; i++)
		if (guest->spots[i].leaf)
			return guest->spots[i].slot + 1;
	return 0;
}

static int follow_around(struct pf_watch *watch, struct pf_watched *guest, bool guard,
			 struct pf_err *err)
{
	uint32_t slot_plus_1 = guard_slot(guest, guard);

	for (size_t i = 0; i < guest->spot_count; i++) {
		struct pf_spot *spot = &guest->spots[i];
		int r;

		if (spot->leaf || (spot->told && spot->guard_slot_plus_1 == slot_plus_1))
			continue;
		r = pf_bpf_watch(watch->bpf, spot->cgid, slot_plus_1, err);
		if (r < 0)
			return r;
		guest->widened |= !spot->told;
		spot->told = true;
		spot->guard_slot_plus_1 = slot_plus_1;
	}
	return 0;
}

int pf_watch_guest(struct pf_watch *watch, const struct pf_placement *placement,
		   const struct pf_actual *actual, bool guard, struct pf_err *err)
{
	struct pf_watched *guest = pf_watched_find(watch, placement->uuid);
	int first = 0, r;

	if (!guest)
		guest = add_guest(watch, placement, actual, err);
	if (!guest)
		return -ENOSPC;
	guest->widened = false;
	for (size_t i = 0; i < guest->spot_count; i++)
		guest->spots[i].named = false;
	for (size_t i = 0; i < placement->group_count; i++) {
		if (!actual->groups[i].exists) {
			keep_gone(guest, placement->groups[i].path);
			continue;
		}
		r = follow_group(watch, guest, placement, i, actual->groups[i].cgid, guard,
				 first ? NULL : err);
		first = first ?: r;
	}
	/* Threads that strayed are judged by the groups that they left, gone or not. */
	if (!placement->strayed)
		leave_unnamed(watch, guest);
	r = follow_around(watch, guest, guard, first ? NULL : err);
	return first ?: r ?: guest->widened;
}

bool pf_watch_held_back(const struct pf_watch *watch, const char *uuid)
{
	const struct pf_watched *guest = pf_watched_find(watch, uuid);

	return !guest || pf_bpf_unlooked(watch->bpf, guest->number);
}

void pf_watch_looking(struct pf_watch *watch, const char *uuid)
{
	const struct pf_watched *guest = pf_watched_find(watch, uuid);

	if (guest)
		pf_bpf_looking(watch->bpf, guest->number);
}

void pf_watch_drop(struct pf_watch *watch, const char *uuid)
{
	struct pf_watched *guest = pf_watched_find(watch, uuid);

	if (!guest)
		return;
	while (guest->spot_count)
		leave_spot(watch, guest, &guest->spots[--guest->spot_count]);
	pf_watched_clear(guest);
	*guest = watch->guests[--watch->guest_count];
}

void pf_watch_sweep(struct pf_watch *watch)
{
	struct pf_policy *policy = pf_bpf_policy(watch->bpf);
	bool known[PF_SLOTS] = {};

	for (size_t i = 0; i < watch->guest_count; i++)
		for (size_t j = 0; j < watch->guests[i].spot_count; j++)
			if (watch->guests[i].spots[j].leaf)
				known[watch->guests[i].spots[j].slot] = true;
	for (uint32_t slot = 0; slot < policy->head.slots; slot++)
		if (!known[slot])
			pf_slot_free(policy, slot);
}
