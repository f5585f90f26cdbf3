// SPDX-License-Identifier: GPL-2.0-or-later
/* What a cpu.max is to systemd, and what it writes of that. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "agent/apply/unit.h"

/* systemd's cgroup.c: quota = MAX(per_sec * period / 1 s, 1 ms) */
static uint64_t quota_of_systemd(uint64_t per_sec, uint64_t period)
{
	uint64_t quota = per_sec * period / 1000000;

	return quota > 1000 ? quota : 1000;
}

static void every_quota_survives_the_way_through_systemd(void **state)
{
	static const uint64_t periods[] = {1000, 1001, 33333, 50000, 100000, 999983, 1000000};

	(void)state;
	for (size_t i = 0; i < sizeof(periods) / sizeof(periods[0]); i++) {
		for (uint64_t quota = 1000; quota < 20000000; quota = quota * 3 / 2 + 1) {
			uint64_t per_sec = 0, period = 0;
			char value[64];

			snprintf(value, sizeof(value), "%lu %lu", quota, periods[i]);
			assert_int_equal(pf_unit_quota(value, &per_sec, &period), 0);
			assert_int_equal(period, periods[i]);
			assert_int_equal(quota_of_systemd(per_sec, period), quota);
		}
	}
}

static void no_limit_is_infinity(void **state)
{
	uint64_t per_sec = 0, period = 0;

	(void)state;
	assert_int_equal(pf_unit_quota("max 250000", &per_sec, &period), 0);
	assert_int_equal(per_sec, UINT64_MAX);
	assert_int_equal(period, 250000);
	assert_int_equal(pf_unit_quota("max", &per_sec, &period), 0);
	assert_int_equal(per_sec, UINT64_MAX);
	assert_int_equal(period, UINT64_MAX);
}

static void nonsense_is_refused(void **state)
{
	static const char *const bad[] = {"", "x", "1000", "1000 x", "-1 100000", "1000 1000 1"};
	uint64_t per_sec = 7, period = 7;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (pf_unit_quota(bad[i], &per_sec, &period) != -EINVAL)
			fail_msg("'%s' was taken", bad[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_quota_survives_the_way_through_systemd),
		cmocka_unit_test(no_limit_is_infinity),
		cmocka_unit_test(nonsense_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
