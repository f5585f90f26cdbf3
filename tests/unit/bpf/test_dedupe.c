// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bpf/dedupe.h"

static void a_repeated_record_is_seen_once(void **state)
{
	struct pf_dedupe dedupe;

	(void)state;
	pf_dedupe_start(&dedupe, 0);
	assert_true(pf_dedupe_note(&dedupe, 1));
	assert_true(pf_dedupe_note(&dedupe, 2));
	assert_false(pf_dedupe_note(&dedupe, 2));
	assert_false(pf_dedupe_note(&dedupe, 1));
	assert_int_equal(dedupe.repeated, 2);
	assert_int_equal(dedupe.missing, 0);
}

static void neighbours_in_either_order_are_new(void **state)
{
	struct pf_dedupe dedupe;

	(void)state;
	pf_dedupe_start(&dedupe, 0);
	for (uint64_t seq = 1; seq <= 5000; seq += 2) {
		assert_true(pf_dedupe_note(&dedupe, seq + 1));
		assert_true(pf_dedupe_note(&dedupe, seq));
	}
	assert_int_equal(dedupe.repeated, 0);
	assert_int_equal(dedupe.missing, 0);
}

static void what_was_stored_before_is_not_new(void **state)
{
	struct pf_dedupe dedupe;

	(void)state;
	pf_dedupe_start(&dedupe, 700);
	assert_false(pf_dedupe_note(&dedupe, 700));
	assert_false(pf_dedupe_note(&dedupe, 3));
	assert_true(pf_dedupe_note(&dedupe, 701));
	assert_int_equal(dedupe.missing, 0);
}

static void where_nothing_is_known_the_first_number_is_the_next(void **state)
{
	struct pf_dedupe dedupe;

	(void)state;
	pf_dedupe_start_anywhere(&dedupe);
	assert_true(pf_dedupe_note(&dedupe, 700));
	assert_false(pf_dedupe_note(&dedupe, 700));
	assert_false(pf_dedupe_note(&dedupe, 699));
	assert_true(pf_dedupe_note(&dedupe, 702));
	assert_true(pf_dedupe_note(&dedupe, 701));
	assert_int_equal(dedupe.missing, 0);
}

static void a_gap_is_missing_when_its_window_has_passed(void **state)
{
	struct pf_dedupe dedupe;

	(void)state;
	pf_dedupe_start(&dedupe, 0);
	for (uint64_t seq = 1; seq <= 3 * PF_DEDUPE_WINDOW; seq++)
		if (seq < 100 || seq >= 110)
			assert_true(pf_dedupe_note(&dedupe, seq));
	assert_int_equal(dedupe.missing, 10);
}

static void a_long_jump_counts_all_between(void **state)
{
	struct pf_dedupe dedupe;

	(void)state;
	pf_dedupe_start(&dedupe, 50);
	assert_true(pf_dedupe_note(&dedupe, 51));
	assert_true(pf_dedupe_note(&dedupe, 100052));
	for (uint64_t seq = 100053; seq < 100053 + PF_DEDUPE_WINDOW; seq++)
		assert_true(pf_dedupe_note(&dedupe, seq));
	assert_int_equal(dedupe.missing, 100000);
	assert_int_equal(dedupe.repeated, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_repeated_record_is_seen_once),
		cmocka_unit_test(neighbours_in_either_order_are_new),
		cmocka_unit_test(what_was_stored_before_is_not_new),
		cmocka_unit_test(where_nothing_is_known_the_first_number_is_the_next),
		cmocka_unit_test(a_gap_is_missing_when_its_window_has_passed),
		cmocka_unit_test(a_long_jump_counts_all_between),
	};

	return cmocka_run_group_tests_name("bpf dedupe", tests, NULL, NULL);
}
