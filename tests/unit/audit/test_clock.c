// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "agent/audit/clock.h"

#define HOUR UINT64_C(3600000000000)
#define DAY PF_CLOCK_DAY_NS
#define NOW (20000 * DAY)
#define BOOT (3 * DAY)

static void a_leap_is_a_day_or_half_of_a_short_life(void **state)
{
	(void)state;
	assert_int_equal(pf_clock_leap(90 * DAY), DAY);
	assert_int_equal(pf_clock_leap(HOUR), HOUR / 2);
}

static void a_record_in_use_vouches_for_the_clock(void **state)
{
	struct pf_audit_clock clock = {};
	bool jumped;

	(void)state;
	pf_clock_start(&clock, NOW, BOOT, DAY, NOW - 2 * DAY);
	assert_true(pf_clock_believed(&clock, NOW, BOOT, DAY, &jumped));
	/* nothing old enough to be removed, either */
	pf_clock_start(&clock, NOW, BOOT, DAY, 0);
	assert_true(pf_clock_believed(&clock, NOW, BOOT, DAY, &jumped));
	/* the clock is behind the record */
	pf_clock_start(&clock, NOW, BOOT, DAY, NOW + 400 * DAY);
	assert_true(pf_clock_believed(&clock, NOW, BOOT, DAY, &jumped));
	assert_false(jumped);
}

static void an_old_record_does_not_for_a_day(void **state)
{
	struct pf_audit_clock clock = {};
	bool jumped;

	(void)state;
	pf_clock_start(&clock, NOW, BOOT, DAY, NOW - 365 * DAY);
	assert_false(pf_clock_believed(&clock, NOW, BOOT, DAY, &jumped));
	assert_false(pf_clock_believed(&clock, NOW + 23 * HOUR, BOOT + 23 * HOUR, DAY, &jumped));
	assert_true(pf_clock_believed(&clock, NOW + DAY, BOOT + DAY, DAY, &jumped));
	assert_true(pf_clock_believed(&clock, NOW + 2 * DAY, BOOT + 2 * DAY, DAY, &jumped));
}

static void a_jump_ahead_is_doubted_for_a_day(void **state)
{
	struct pf_audit_clock clock = {};
	bool jumped;

	(void)state;
	pf_clock_start(&clock, NOW, BOOT, DAY, NOW - 2 * DAY);
	assert_true(pf_clock_believed(&clock, NOW + HOUR, BOOT + HOUR, DAY, &jumped));
	assert_false(pf_clock_believed(&clock, NOW + 365 * DAY, BOOT + 2 * HOUR, DAY, &jumped));
	assert_true(jumped);
	assert_false(
		pf_clock_believed(&clock, NOW + 365 * DAY + HOUR, BOOT + 3 * HOUR, DAY, &jumped));
	assert_false(jumped);
	/* and back: still a day */
	assert_false(pf_clock_believed(&clock, NOW + 4 * HOUR, BOOT + 4 * HOUR, DAY, &jumped));
	assert_false(jumped);
	assert_true(pf_clock_believed(&clock, NOW + 27 * HOUR, BOOT + 27 * HOUR, DAY, &jumped));
}

static void small_steps_and_steps_back_are_nothing(void **state)
{
	struct pf_audit_clock clock = {};
	bool jumped;

	(void)state;
	pf_clock_start(&clock, NOW, BOOT, DAY, NOW - 2 * DAY);
	assert_true(pf_clock_believed(&clock, NOW + 23 * HOUR, BOOT + 1, DAY, &jumped));
	assert_false(jumped);
	assert_true(pf_clock_believed(&clock, NOW - 700 * DAY, BOOT + 2, DAY, &jumped));
	assert_false(jumped);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_leap_is_a_day_or_half_of_a_short_life),
		cmocka_unit_test(a_record_in_use_vouches_for_the_clock),
		cmocka_unit_test(an_old_record_does_not_for_a_day),
		cmocka_unit_test(a_jump_ahead_is_doubted_for_a_day),
		cmocka_unit_test(small_steps_and_steps_back_are_nothing),
	};

	return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
