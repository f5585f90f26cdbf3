// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bpf/table.h"

#define SLOTS 256u

static int make_policy(void **state)
{
	struct pf_policy *policy = calloc(1, sizeof(*policy));

	if (!policy)
		return -1;
	policy->head.slots = SLOTS;
	for (uint32_t cpu = 0; cpu < PF_CPUS; cpu++)
		policy->node_of_cpu[cpu] = cpu / 4 % PF_NODES;
	*state = policy;
	return 0;
}

static int free_policy(void **state)
{
	free(*state);
	return 0;
}

/* What the programs do with a group, step by step as in bpf/programs.h. */
static int lookup_as_programs(const struct pf_policy *policy, uint64_t cgid)
{
	uint32_t at = pf_bucket_place(cgid);

	for (uint32_t probe = 0; probe < PF_PROBES; probe++) {
		const struct pf_bucket *b = &policy->bucket[(at + probe) & (PF_BUCKETS - 1)];

		if (b->key == cgid)
			return (int)b->slot_plus_1 - 1;
		if (!b->key)
			return -1;
	}
	return -1;
}

static uint32_t add_slot(struct pf_policy *policy, uint32_t guest)
{
	struct pf_slot_promise promise = { .guest = guest, .role = PF_REC_ROLE_VCPU };
	uint32_t slot = UINT32_MAX;

	pf_set_add_range(&promise.cpus, 0, PF_CPUS - 1);
	pf_set_add_range(&promise.nodes, 0, PF_NODES - 1);
	assert_int_equal(pf_slot_alloc(policy, &promise, &slot, NULL), 0);
	return slot;
}

/* @n keys with one hash, so that they compete for the same buckets. */
static void colliding_keys(uint64_t *keys, size_t n)
{
	uint32_t hash = pf_bucket_place(12345);
	uint64_t key = 1;

	for (size_t found = 0; found < n; key++)
		if (pf_bucket_place(key) == hash)
			keys[found++] = key;
}

static void groups_lead_to_their_slots(void **state)
{
	struct pf_policy *policy = *state;
	uint32_t a = add_slot(policy, 1), b = add_slot(policy, 2);

	assert_int_not_equal(a, b);
	for (uint64_t cgid = 1000; cgid < 5000; cgid++)
		assert_int_equal(pf_group_set(policy, cgid, cgid % 2 ? a : b, NULL), 0);
	for (uint64_t cgid = 1000; cgid < 5000; cgid++)
		assert_int_equal(lookup_as_programs(policy, cgid), cgid % 2 ? a : b);
	assert_int_equal(lookup_as_programs(policy, 999), -1);
	assert_int_equal(pf_group_count(policy), 4000);
}

static void set_again_changes_the_slot_in_place(void **state)
{
	struct pf_policy *policy = *state;
	uint32_t a = add_slot(policy, 1), b = add_slot(policy, 2);

	assert_int_equal(pf_group_set(policy, 77, a, NULL), 0);
	assert_int_equal(pf_group_set(policy, 77, b, NULL), 0);
	assert_int_equal(lookup_as_programs(policy, 77), b);
	assert_int_equal(pf_group_count(policy), 1);
}

static void removal_hides_no_colliding_key(void **state)
{
	struct pf_policy *policy = *state;
	uint32_t slot = add_slot(policy, 1);
	uint64_t keys[PF_PROBES];

	colliding_keys(keys, PF_PROBES);
	for (size_t i = 0; i < PF_PROBES; i++)
		assert_int_equal(pf_group_set(policy, keys[i], slot, NULL), 0);
	for (size_t gone = 0; gone < PF_PROBES; gone += 2)
		assert_int_equal(pf_group_remove(policy, keys[gone]), 0);
	for (size_t i = 0; i < PF_PROBES; i++)
		assert_int_equal(lookup_as_programs(policy, keys[i]), i % 2 ? (int)slot : -1);
	assert_int_equal(pf_group_remove(policy, keys[0]), -ENOENT);
}

static void a_full_probe_range_is_an_error(void **state)
{
	struct pf_policy *policy = *state;
	uint32_t slot = add_slot(policy, 1);
	uint64_t keys[PF_PROBES + 1];
	struct pf_err err;

	colliding_keys(keys, PF_PROBES + 1);
	for (size_t i = 0; i < PF_PROBES; i++)
		assert_int_equal(pf_group_set(policy, keys[i], slot, NULL), 0);
	assert_int_equal(pf_group_set(policy, keys[PF_PROBES], slot, &err), -ENOSPC);
	assert_int_equal(pf_group_remove(policy, keys[3]), 0);
	assert_int_equal(pf_group_set(policy, keys[PF_PROBES], slot, &err), 0);
	assert_int_equal(lookup_as_programs(policy, keys[PF_PROBES]), slot);
}

static void tombstones_do_not_pile_up(void **state)
{
	struct pf_policy *policy = *state;
	uint32_t slot = add_slot(policy, 1), tombstones = 0;

	for (uint64_t cgid = 1; cgid < 100000; cgid++) {
		assert_int_equal(pf_group_set(policy, cgid, slot, NULL), 0);
		assert_int_equal(pf_group_remove(policy, cgid), 0);
	}
	for (uint32_t i = 0; i < PF_BUCKETS; i++)
		tombstones += policy->bucket[i].key == PF_TOMBSTONE;
	assert_int_equal(tombstones, 0);
	assert_int_equal(pf_group_count(policy), 0);
}

static void expect_home(const struct pf_bucket *b, uint64_t first, uint64_t last)
{
	assert_int_equal(b->home[0], first);
	assert_int_equal(b->home[PF_BUCKET_WORDS - 1], last);
}

/* What the programs look at first is a copy; it follows the slot wherever that leads. */
static void buckets_know_what_is_home(void **state)
{
	struct pf_policy *policy = *state;
	struct pf_slot_promise promise = { .guest = 1, .role = PF_REC_ROLE_VCPU };
	struct pf_bucket *own = &policy->bucket[pf_bucket_place(10)];
	struct pf_bucket *claimed = &policy->bucket[pf_bucket_place(999)];
	uint32_t all = add_slot(policy, 1), slot = UINT32_MAX;

	pf_set_add(&promise.cpus, 3);
	pf_set_add(&promise.cpus, 64 * PF_BUCKET_WORDS - 1);
	pf_set_add_range(&promise.nodes, 0, PF_NODES - 1);
	assert_int_equal(pf_slot_alloc(policy, &promise, &slot, NULL), 0);
	assert_int_equal(pf_group_set(policy, 10, slot, NULL), 0);
	expect_home(own, 1 << 3, 1ULL << 63);
	assert_int_equal(pf_group_set(policy, 10, all, NULL), 0);
	expect_home(own, UINT64_MAX, UINT64_MAX);
	assert_int_equal(pf_group_set(policy, 10, slot, NULL), 0);
	claimed->slot_plus_1 = slot + 1; /* by a program that hasn't put its key there yet */
	pf_set_add(&promise.cpus, 5);
	assert_int_equal(pf_slot_update(policy, slot, &promise, NULL), 0);
	expect_home(own, 1 << 3 | 1 << 5, 1ULL << 63);
	expect_home(claimed, 1 << 3 | 1 << 5, 1ULL << 63);
}

static void a_freed_slot_takes_its_groups_along(void **state)
{
	struct pf_policy *policy = *state;
	uint32_t a = add_slot(policy, 1), b = add_slot(policy, 2);
	uint32_t generation = policy->slot[a].generation;

	assert_int_equal(pf_group_set(policy, 10, a, NULL), 0);
	assert_int_equal(pf_group_set(policy, 11, b, NULL), 0);
	policy->bucket[pf_bucket_place(10)].inherited = 1;
	pf_slot_free(policy, a);
	assert_int_equal(lookup_as_programs(policy, 10), -1);
	assert_int_equal(lookup_as_programs(policy, 11), b);
	assert_false(pf_slot_get(policy, a, NULL));
	assert_int_equal(add_slot(policy, 3), a);
	assert_int_not_equal(policy->slot[a].generation, generation);
}

static void all_slots_in_use_is_an_error(void **state)
{
	struct pf_policy *policy = *state;
	struct pf_slot_promise promise = { .guest = 1 };
	struct pf_err err;
	uint32_t slot;

	for (uint32_t i = 0; i < SLOTS; i++)
		add_slot(policy, 1);
	assert_int_equal(pf_slot_alloc(policy, &promise, &slot, &err), -ENOSPC);
	promise.guest = PF_GUESTS;
	assert_int_equal(pf_slot_alloc(policy, &promise, &slot, &err), -EINVAL);
}

static void home_is_promised_cpus_on_promised_nodes(void **state)
{
	struct pf_policy *policy = *state;
	struct pf_slot_promise promise = { .guest = 1, .role = PF_REC_ROLE_IOTHREAD, .role_index = 3 };
	struct pf_slot_promise back;
	uint32_t slot;

	pf_set_add_range(&promise.cpus, 2, 9);
	pf_set_add(&promise.cpus, PF_CPUS - 1);
	pf_set_add(&promise.nodes, 1); /* CPUs 4-7, by make_policy() */
	pf_set_add(&promise.nodes, PF_NODES - 1);
	assert_int_equal(pf_slot_alloc(policy, &promise, &slot, NULL), 0);
	assert_true(policy->slot[slot].word[0].home == 0xf0);
	assert_true(policy->slot[slot].word[0].cpus == 0x3fc);
	assert_true(policy->slot[slot].word[0].near == 0xf0);
	assert_true(policy->slot[slot].word[PF_CPUS / 64 - 1].home == 1ULL << 63);
	assert_true(pf_slot_get(policy, slot, &back));
	assert_int_equal(back.role, PF_REC_ROLE_IOTHREAD);
	assert_int_equal(back.role_index, 3);
	assert_true(pf_set_equal(&back.cpus, &promise.cpus));
	pf_set_add(&promise.nodes, 2);
	assert_int_equal(pf_slot_update(policy, slot, &promise, NULL), 0);
	assert_true(policy->slot[slot].word[0].home == 0x3f0);
	assert_int_equal(pf_slot_update(policy, SLOTS, &promise, NULL), -EINVAL);
}

#define TABLE_TEST(name) cmocka_unit_test_setup_teardown(name, make_policy, free_policy)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TABLE_TEST(groups_lead_to_their_slots),
		TABLE_TEST(set_again_changes_the_slot_in_place),
		TABLE_TEST(removal_hides_no_colliding_key),
		TABLE_TEST(a_full_probe_range_is_an_error),
		TABLE_TEST(tombstones_do_not_pile_up),
		TABLE_TEST(buckets_know_what_is_home),
		TABLE_TEST(a_freed_slot_takes_its_groups_along),
		TABLE_TEST(all_slots_in_use_is_an_error),
		TABLE_TEST(home_is_promised_cpus_on_promised_nodes),
	};

	return cmocka_run_group_tests_name("bpf table", tests, NULL, NULL);
}
