// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/base/cleanup.h"
#include "agent/observe/counts.h"

static const struct pf_role vcpu0 = {PF_ROLE_VCPU, 0}, vcpu1 = {PF_ROLE_VCPU, 1},
			    emulator = {PF_ROLE_EMULATOR, 0};

static void each_counter_arrives_at_its_role_and_in_the_sum(void **state)
{
	PF_CLEANUP(pf_guest_status_clear) struct pf_guest_status guest = {};
	struct pf_counters one, two;
	const uint64_t *sum = (const uint64_t *)&guest.counts;

	(void)state;
	for (size_t i = 0; i < sizeof(struct pf_counts) / sizeof(uint64_t); i++) {
		((__u64 *)&one)[i] = i + 1;
		((__u64 *)&two)[i] = 100 * (i + 1);
	}
	assert_int_equal(pf_counts_slot(&guest, vcpu0, &one), 0);
	assert_int_equal(pf_counts_slot(&guest, emulator, &two), 0);
	assert_true(guest.counted);
	assert_int_equal(guest.role_count, 2);
	for (size_t i = 0; i < sizeof(struct pf_counts) / sizeof(uint64_t); i++) {
		assert_int_equal(((const uint64_t *)&guest.roles[0].counts)[i], i + 1);
		assert_int_equal(((const uint64_t *)&guest.roles[1].counts)[i], 100 * (i + 1));
		assert_int_equal(sum[i], 101 * (i + 1));
	}
	assert_int_equal(guest.counts.escapes, 101);
	assert_int_equal(guest.counts.pages, 1010);
}

static void two_slots_of_one_role_are_one_row(void **state)
{
	PF_CLEANUP(pf_guest_status_clear) struct pf_guest_status guest = {};
	const struct pf_counters one = {.escapes = 3};

	(void)state;
	assert_int_equal(pf_counts_slot(&guest, vcpu0, &one), 0);
	assert_int_equal(pf_counts_slot(&guest, vcpu1, &one), 0);
	assert_int_equal(pf_counts_slot(&guest, vcpu0, &one), 0);
	assert_int_equal(guest.role_count, 2);
	assert_int_equal(guest.roles[0].counts.escapes, 6);
	assert_int_equal(guest.roles[1].counts.escapes, 3);
	assert_int_equal(guest.counts.escapes, 9);
}

static void roles_that_are_gone_count_in_the_sum_alone(void **state)
{
	PF_CLEANUP(pf_guest_status_clear) struct pf_guest_status guest = {};
	const struct pf_counters gone = {.escapes = 5, .away_ns = 7};

	(void)state;
	pf_counts_gone(&guest, &gone);
	assert_true(guest.counted);
	assert_int_equal(guest.role_count, 0);
	assert_int_equal(guest.counts.escapes, 5);
	assert_int_equal(guest.counts.away_ns, 7);
}

static void a_stay_that_goes_on_counts_in_the_respects_in_which_it_is_outside(void **state)
{
	const struct pf_stay stays[] = {
		{.open_ns = 10, .away_ns = 1000, .flags = PF_RF_OUT_CPU},
		{.open_ns = 200, .remote_ns = 1000, .flags = PF_RF_OUT_NODE | PF_RF_LEFT},
		{.open_ns = 3000, .flags = PF_RF_OUT_CPU | PF_RF_OUT_NODE},
		{.open_ns = 0, .away_ns = 50000},
	};
	PF_CLEANUP(pf_guest_status_clear) struct pf_guest_status guest = {};

	(void)state;
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pf_counts_stay(&guest, i == 1 ? vcpu1 : vcpu0, &stays[i]), 0);
	assert_int_equal(guest.counts.away_ns, 3010);
	assert_int_equal(guest.counts.remote_ns, 3200);
	assert_int_equal(guest.roles[0].counts.remote_ns, 3000);
	assert_int_equal(guest.roles[1].counts.remote_ns, 200);
	assert_int_equal(guest.counts.escapes, 0);
}

static void each_thread_finds_its_own_times_and_strangers_none(void **state)
{
	struct pf_stay stays[] = {
		{.tid = 30, .away_ns = 1, .remote_ns = 2, .open_ns = 4, .flags = PF_RF_OUT_NODE},
		{.tid = 10, .away_ns = 100, .remote_ns = 200, .open_ns = 400,
		 .flags = PF_RF_OUT_CPU},
		{.tid = 4000000000u, .away_ns = 9},
		{.tid = 20},
	};
	struct pf_thread_status threads[] = {{.tid = 10}, {.tid = 11}, {.tid = 20}, {.tid = 30}};
	struct pf_guest_status guest = {.threads = threads, .thread_count = 4};

	(void)state;
	qsort(stays, 4, sizeof(stays[0]), pf_stay_by_tid);
	assert_int_equal(stays[3].tid, 4000000000u);
	pf_counts_threads(&guest, stays, 4);
	assert_true(threads[0].timed && threads[2].timed && threads[3].timed);
	assert_false(threads[1].timed);
	assert_int_equal(threads[0].away_ns, 500);
	assert_int_equal(threads[0].remote_ns, 200);
	assert_int_equal(threads[2].away_ns + threads[2].remote_ns, 0);
	assert_int_equal(threads[3].away_ns, 1);
	assert_int_equal(threads[3].remote_ns, 6);
	pf_counts_threads(&guest, NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_counter_arrives_at_its_role_and_in_the_sum),
		cmocka_unit_test(two_slots_of_one_role_are_one_row),
		cmocka_unit_test(roles_that_are_gone_count_in_the_sum_alone),
		cmocka_unit_test(
			a_stay_that_goes_on_counts_in_the_respects_in_which_it_is_outside),
		cmocka_unit_test(each_thread_finds_its_own_times_and_strangers_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
