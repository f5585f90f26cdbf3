// SPDX-License-Identifier: GPL-2.0-or-later
/* What a cpu.max is to systemd, and what it writes of that. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

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

static void a_scopes_name_tells_the_machines(void **state)
{
	static const char *const bad[] = {"", "machine-.scope", "web.scope", "machine-web.slice"};
	char *name = NULL;

	(void)state;
	assert_int_equal(pf_unit_machine_name("machine-qemu\\x2d1\\x2dab.c\\x2dd.scope", &name), 0);
	assert_string_equal(name, "qemu-1-ab.c-d");
	free(name);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(pf_unit_machine_name(bad[i], &name), -EINVAL);
}

static void a_mask_is_read_from_its_lowest_bit(void **state)
{
	static const uint8_t bytes[] = {0x0c, 0, 0x81};
	struct pf_set set = {};
	char text[64];

	(void)state;
	pf_set_add(&set, 5);
	pf_unit_mask(bytes, sizeof(bytes), &set);
	assert_string_equal(pf_set_format(&set, text, sizeof(text)), "2-3,16,23");
	pf_unit_mask(NULL, 0, &set);
	assert_true(pf_set_empty(&set));
}

static void what_it_was_told_is_what_it_writes(void **state)
{
	struct pf_unit_word word = {};

	(void)state;
	pf_unit_told(UINT64_MAX, UINT64_MAX, UINT64_MAX, &word);
	assert_int_equal(word.weight, 100);
	assert_true(word.max.quota_usec == PF_QUOTA_MAX);
	pf_unit_told(7, 500000, UINT64_MAX, &word);
	assert_int_equal(word.weight, 7);
	assert_int_equal(word.max.quota_usec, 50000);
	assert_int_equal(word.max.period_usec, 100000);
	pf_unit_told(7, 1000, 10000, &word);
	assert_int_equal(word.max.quota_usec, 1000); /* not less than a millisecond */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_quota_survives_the_way_through_systemd),
		cmocka_unit_test(no_limit_is_infinity),
		cmocka_unit_test(nonsense_is_refused),
		cmocka_unit_test(a_scopes_name_tells_the_machines),
		cmocka_unit_test(a_mask_is_read_from_its_lowest_bit),
		cmocka_unit_test(what_it_was_told_is_what_it_writes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
