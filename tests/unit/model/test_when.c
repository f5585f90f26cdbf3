// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "agent/model/when.h"

#define S UINT64_C(1000000000)
/* 2026-11-23T00:40:03Z, in Berlin 01:40:03 of the same day, in winter time */
#define NOW (UINT64_C(1795394403) * S)

static int in_berlin(void **state)
{
	(void)state;
	/* As a rule, so that no zone file is needed. */
	setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
	tzset();
	return 0;
}

static void points_in_time_are_read(void **state)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} good[] = {
		{"2026-11-23T00:40:03Z", NOW},
		{"2026-11-23T00:40:03.5Z", NOW + S / 2},
		{"2026-11-23T00:40:03.123456789Z", NOW + 123456789},
		{"2026-11-23T00:40:03.1234567899z", NOW + 123456789},
		{"2026-11-23T01:40:03+01:00", NOW},
		{"2026-11-22T19:10:03-05:30", NOW},
		{"2026-11-23 01:40:03", NOW},
		{"2026-11-23 01:40", NOW - 3 * S},
		{"2026-11-23", NOW - 6003 * S},
		{"01:40:03", NOW},
		{"02:40", NOW + 3597 * S},
		{"now", NOW},
		{"today", NOW - 6003 * S},
		{"yesterday", NOW - 6003 * S - 86400 * S},
		{"-1h", NOW - 3600 * S},
		{"-90min", NOW - 5400 * S},
		{"-7d", NOW - 7 * 86400 * S},
		{"-30", NOW - 30 * S},
		{"+5s", NOW + 5 * S},
		{"-9999w", 0},
		{"@1795394403", NOW},
		{"@1795394403.25", NOW + S / 4},
		{"1970-01-01T00:00:00Z", 0},
		{"2026-07-01 12:00", UINT64_C(1782900000) * S}, /* summer time */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		uint64_t ns = 77;

		if (pf_when_parse(good[i].text, NOW, &ns) < 0 || ns != good[i].ns)
			fail_msg("%s: %llu, not %llu", good[i].text, (unsigned long long)ns,
				 (unsigned long long)good[i].ns);
	}
}

static void what_is_no_time_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"tomorrow",
		"-",
		"-h",
		"-1y",
		"1h",
		"@",
		"@-1",
		"@1x",
		"2026",
		"2026-11",
		"2026-13-01",
		"2026-11-32",
		"2026-11-23T",
		"2026-11-23T00",
		"2026-11-23T24:00",
		"2026-11-23T00:60",
		"2026-11-23T00:40:03.Z",
		"2026-11-23T00:40:03+1",
		"2026-11-23T00:40:03ZZ",
		"2026-11-23 ",
		"00:4",
		"00:40:0",
		"12:00x",
		"1969-12-31",
		"-99999999999999999999s",
		"@99999999999999999",
		"2026-11-23Tnoon",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint64_t ns = 77;

		if (pf_when_parse(bad[i], NOW, &ns) != -EINVAL || ns != 77)
			fail_msg("'%s' was read", bad[i]);
	}
}

static void what_is_written_is_read_back(void **state)
{
	static const uint64_t times[] = {0, 1, NOW, NOW + 999999999, UINT64_C(4102444800) * S};
	char text[PF_WHEN_TEXT_MAX];

	(void)state;
	assert_string_equal(pf_when_format(NOW + 5, text), "2026-11-23T00:40:03.000000005Z");
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		uint64_t ns = 77;

		assert_int_equal(pf_when_parse(pf_when_format(times[i], text), 0, &ns), 0);
		assert_int_equal(ns, times[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(points_in_time_are_read),
		cmocka_unit_test(what_is_no_time_is_refused),
		cmocka_unit_test(what_is_written_is_read_back),
	};

	return cmocka_run_group_tests(tests, in_berlin, NULL);
}
