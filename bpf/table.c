// SPDX-License-Identifier: GPL-2.0-or-later
#include "bpf/table.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define load(ptr) __atomic_load_n(ptr, __ATOMIC_ACQUIRE)
#define store(ptr, value) __atomic_store_n(ptr, value, __ATOMIC_RELEASE)

static bool in_use(const struct pf_slot *slot)
{
	return load(&slot->generation) & 1;
}

static struct pf_bucket *bucket_at(const struct pf_policy *policy, uint64_t cgid, uint32_t probe)
{
	uint32_t at = (pf_bucket_place(cgid) + probe) & (PF_BUCKETS - 1);

	return (struct pf_bucket *)&policy->bucket[at];
}

static uint64_t near_word(const struct pf_policy *policy, const struct pf_set *nodes, uint32_t word)
{
	uint64_t near = 0;

	for (uint32_t bit = 0; bit < 64; bit++)
		if (pf_set_has(nodes, policy->node_of_cpu[word * 64 + bit]))
			near |= 1ULL << bit;
	return near;
}

static void write_masks(struct pf_policy *policy, struct pf_slot *slot,
			const struct pf_slot_promise *promise)
{
	for (uint32_t word = 0; word < PF_NODES / 64; word++)
		store(&slot->nodes[word], promise->nodes.word[word]);
	for (uint32_t i = 0; i < PF_CPUS / 64; i++) {
		uint64_t near = near_word(policy, &promise->nodes, i);

		store(&slot->word[i].cpus, promise->cpus.word[i]);
		store(&slot->word[i].near, near);
		store(&slot->word[i].home, promise->cpus.word[i] & near);
	}
}

/* The slot's words are written before: what a program copies at the same time is as new. */
static void copy_home(const struct pf_policy *policy, struct pf_bucket *b, uint32_t slot)
{
	for (uint32_t i = 0; i < PF_BUCKET_WORDS; i++)
		store(&b->home[i], load(&policy->slot[slot].word[i].home));
}

/* Buckets that are claimed and have no key yet among them. */
static void copy_home_everywhere(struct pf_policy *policy, uint32_t slot)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (uint32_t i = 0; i < PF_BUCKETS; i++)
		if (load(&policy->bucket[i].slot_plus_1) == slot + 1)
			copy_home(policy, &policy->bucket[i], slot);
}

static void write_slot(struct pf_policy *policy, struct pf_slot *slot,
		       const struct pf_slot_promise *promise)
{
	slot->guest = promise->guest;
	slot->role = promise->role;
	slot->role_index = promise->role_index;
	slot->flags = promise->flags;
	write_masks(policy, slot, promise);
}

static int check_promise(const struct pf_slot_promise *promise, struct pf_err *err)
{
	if (promise->guest >= PF_GUESTS)
		return pf_fail_plain(err, EINVAL, "guest number %u is beyond the limit of %d",
				     promise->guest, PF_GUESTS);
	return 0;
}

int pf_slot_alloc(struct pf_policy *policy, const struct pf_slot_promise *promise, uint32_t *out,
		  struct pf_err *err)
{
	int r = check_promise(promise, err);

	if (r)
		return r;
	/* Below the hint all are in use: 200 guests' leaves are 3,000 slots in a row. */
	for (uint32_t i = policy->head.slot_hint; i < policy->head.slots; i++) {
		struct pf_slot *slot = &policy->slot[i];

		if (in_use(slot))
			continue;
		write_slot(policy, slot, promise);
		store(&slot->generation, slot->generation + 1);
		policy->head.slot_hint = i + 1;
		*out = i;
		return 0;
	}
	return pf_fail_plain(err, ENOSPC, "all %u slots for roles of guests are in use",
			     policy->head.slots);
}

int pf_slot_update(struct pf_policy *policy, uint32_t slot, const struct pf_slot_promise *promise,
		   struct pf_err *err)
{
	int r = check_promise(promise, err);

	if (r)
		return r;
	if (slot >= policy->head.slots || !in_use(&policy->slot[slot]))
		return pf_fail_plain(err, EINVAL, "slot %u is not in use", slot);
	write_slot(policy, &policy->slot[slot], promise);
	copy_home_everywhere(policy, slot);
	return 0;
}

/* After a tombstone that nothing follows, no search has a reason to go on. */
static void sweep_tombstones(struct pf_policy *policy, uint32_t at)
{
	while (!load(&policy->bucket[(at + 1) & (PF_BUCKETS - 1)].key)) {
		struct pf_bucket *b = &policy->bucket[at & (PF_BUCKETS - 1)];
		uint32_t unclaimed = 0;

		/* Claimed while it is cleared: a program may be about to put a key there. */
		if (load(&b->key) != PF_TOMBSTONE ||
		    !__atomic_compare_exchange_n(&b->slot_plus_1, &unclaimed, 1, false,
						 __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			return;
		store(&b->key, 0);
		store(&b->slot_plus_1, 0);
		at--;
	}
}

static void clear_bucket(struct pf_policy *policy, struct pf_bucket *b)
{
	store(&b->key, PF_TOMBSTONE);
	b->inherited = 0;
	store(&b->slot_plus_1, 0);
	sweep_tombstones(policy, b - policy->bucket);
}

void pf_slot_free(struct pf_policy *policy, uint32_t slot)
{
	struct pf_slot *s = &policy->slot[slot];

	if (slot >= policy->head.slots || !in_use(s))
		return;
	for (uint32_t i = 0; i < PF_BUCKETS; i++) {
		struct pf_bucket *b = &policy->bucket[i];
		uint64_t key = load(&b->key);

		if (key && key != PF_TOMBSTONE && load(&b->slot_plus_1) == slot + 1)
			clear_bucket(policy, b);
	}
	store(&s->generation, s->generation + 1);
	if (slot < policy->head.slot_hint)
		policy->head.slot_hint = slot;
}

bool pf_slot_get(const struct pf_policy *policy, uint32_t slot, struct pf_slot_promise *out)
{
	const struct pf_slot *s;

	if (slot >= policy->head.slots || !in_use(&policy->slot[slot]))
		return false;
	if (!out)
		return true;
	s = &policy->slot[slot];
	*out = (struct pf_slot_promise){ .guest = s->guest,
				    .role = s->role,
				    .role_index = s->role_index,
				    .flags = s->flags };
	for (uint32_t i = 0; i < PF_CPUS / 64; i++)
		out->cpus.word[i] = s->word[i].cpus;
	memcpy(out->nodes.word, s->nodes, sizeof(s->nodes));
	return true;
}

static struct pf_bucket *find_bucket(const struct pf_policy *policy, uint64_t cgid)
{
	for (uint32_t probe = 0; probe < PF_PROBES; probe++) {
		struct pf_bucket *b = bucket_at(policy, cgid, probe);
		uint64_t key = load(&b->key);

		if (key == cgid)
			return b;
		if (!key)
			return NULL;
	}
	return NULL;
}

int pf_group_set(struct pf_policy *policy, uint64_t cgid, uint32_t slot, struct pf_err *err)
{
	struct pf_bucket *b;

	if (!cgid || cgid == PF_TOMBSTONE || !pf_slot_get(policy, slot, NULL))
		return pf_fail_plain(err, EINVAL, "group id %" PRIu64 " or slot %u is not valid",
				     cgid, slot);
	b = find_bucket(policy, cgid);
	if (b) {
		b->inherited = 0;
		store(&b->slot_plus_1, slot + 1);
		copy_home(policy, b, slot);
		return 0;
	}
	for (uint32_t probe = 0; probe < PF_PROBES; probe++) {
		uint32_t unclaimed = 0;

		b = bucket_at(policy, cgid, probe);
		if (!__atomic_compare_exchange_n(&b->slot_plus_1, &unclaimed, slot + 1, false,
						 __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			continue;
		b->inherited = 0;
		copy_home(policy, b, slot);
		store(&b->key, cgid);
		return 0;
	}
	return pf_fail_plain(err, ENOSPC,
			     "no room for group id %" PRIu64 ": %u of %d buckets are taken", cgid,
			     pf_group_count(policy), PF_BUCKETS);
}

int pf_group_remove(struct pf_policy *policy, uint64_t cgid)
{
	int r = -ENOENT;

	/* A program may have added the same group at the same moment: look at the whole range. */
	for (uint32_t probe = 0; probe < PF_PROBES; probe++) {
		struct pf_bucket *b = bucket_at(policy, cgid, probe);

		if (load(&b->key) != cgid)
			continue;
		clear_bucket(policy, b);
		r = 0;
	}
	return r;
}

int pf_group_find(const struct pf_policy *policy, uint64_t cgid)
{
	struct pf_bucket *b = find_bucket(policy, cgid);
	uint32_t slot_plus_1 = b ? load(&b->slot_plus_1) : 0;

	return slot_plus_1 ? (int)slot_plus_1 - 1 : -ENOENT;
}

uint32_t pf_group_count(const struct pf_policy *policy)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < PF_BUCKETS; i++) {
		uint64_t key = load(&policy->bucket[i].key);

		count += key && key != PF_TOMBSTONE;
	}
	return count;
}
