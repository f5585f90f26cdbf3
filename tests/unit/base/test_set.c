// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/base/set.h"

static struct pf_set parse(const char *text)
{
	struct pf_set set = {};

	assert_int_equal(pf_set_parse(text, &set, NULL), 0);
	return set;
}

static void assert_text(const struct pf_set *set, const char *text)
{
	static char buf[PF_SET_TEXT_MAX];

	assert_string_equal(pf_set_format(set, buf, sizeof(buf)), text);
}

static void a_list_is_written_the_way_the_kernel_does(void **state)
{
	static const char *const pairs[][2] = {
		{"", ""}, {"\n", ""}, {"0", "0"}, {"0-3", "0-3"}, {"3,1,2", "1-3"},
		{"0,2,4", "0,2,4"}, {" 8 , 0-1\n", "0-1,8"}, {"5-5", "5"}, {"0-2,1-4", "0-4"},
		{"63-64", "63-64"}, {"4095", "4095"}, {"0-4095", "0-4095"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		struct pf_set set = parse(pairs[i][0]);

		assert_text(&set, pairs[i][1]);
	}
}

static void what_is_no_list_is_refused_and_changes_nothing(void **state)
{
	static const char *const bad[] = {"a", "1,", ",1", "1-", "-1", "3-1", "1 2", "^1",
					  "0x3", "1--2", "1,,2"};
	struct pf_set set = parse("7");
	struct pf_err err = {};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(pf_set_parse(bad[i], &set, &err), -EINVAL);
		assert_non_null(strstr(err.text, bad[i]));
		assert_text(&set, "7");
	}
	assert_int_equal(pf_set_parse("4096", &set, &err), -ERANGE);
	assert_int_equal(pf_set_parse("99999999999999999999999", &set, &err), -ERANGE);
	assert_text(&set, "7");
}

static void every_set_survives_text_and_back(void **state)
{
	static char buf[PF_SET_TEXT_MAX];

	(void)state;
	srandom(1);
	for (int round = 0; round < 200; round++) {
		struct pf_set set = {}, back = {};

		for (long i = random() % 300; i > 0; i--)
			pf_set_add(&set, (unsigned int)(random() % PF_SET_BITS));
		pf_set_format(&set, buf, sizeof(buf));
		assert_int_equal(pf_set_parse(buf, &back, NULL), 0);
		assert_true(pf_set_equal(&set, &back));
	}
}

static void the_longest_list_fits(void **state)
{
	static char buf[PF_SET_TEXT_MAX];
	struct pf_set set = {}, back = {};

	(void)state;
	for (unsigned int i = 0; i < PF_SET_BITS; i += 2)
		pf_set_add(&set, i);
	pf_set_format(&set, buf, sizeof(buf));
	assert_null(strstr(buf, "..."));
	assert_int_equal(pf_set_parse(buf, &back, NULL), 0);
	assert_true(pf_set_equal(&set, &back));
}

static void a_short_buffer_says_that_it_was_cut(void **state)
{
	struct pf_set set = parse("0,2,4,6,8,10,12,14");
	char buf[10];

	(void)state;
	pf_set_format(&set, buf, sizeof(buf));
	assert_true(strlen(buf) < sizeof(buf));
	assert_string_equal(buf + strlen(buf) - 3, "...");
}

static void members_beyond_the_end_are_ignored(void **state)
{
	struct pf_set set = {};

	(void)state;
	pf_set_add(&set, PF_SET_BITS);
	pf_set_add_range(&set, PF_SET_BITS - 1, PF_SET_BITS + 5);
	assert_false(pf_set_has(&set, PF_SET_BITS));
	assert_text(&set, "4095");
	assert_int_equal(pf_set_next(&set, PF_SET_BITS), -1);
	pf_set_remove(&set, PF_SET_BITS - 1);
	assert_true(pf_set_empty(&set));
}

static void algebra_agrees_with_membership(void **state)
{
	struct pf_set a = parse("0-3,64,100"), b = parse("2-5,64,4000"), out;

	(void)state;
	pf_set_and(&out, &a, &b);
	assert_text(&out, "2-3,64");
	pf_set_or(&out, &a, &b);
	assert_text(&out, "0-5,64,100,4000");
	pf_set_andnot(&out, &a, &b);
	assert_text(&out, "0-1,100");
	assert_true(pf_set_intersects(&a, &b));
	assert_false(pf_set_intersects(&out, &b));
	assert_true(pf_set_subset(&out, &a));
	assert_false(pf_set_subset(&a, &out));
	pf_set_and(&a, &a, &b); /* an operand may be the result */
	assert_text(&a, "2-3,64");
	assert_int_equal(pf_set_count(&a), 3);
}

static void walking_meets_every_member_in_order(void **state)
{
	static const int want[] = {0, 63, 64, 127, 4095};
	struct pf_set set = parse("0,63-64,127,4095");
	size_t at = 0;

	(void)state;
	pf_set_for_each(member, &set)
		assert_int_equal(member, want[at++]);
	assert_int_equal(at, 5);
}

static void many_sets_are_kept_in_one_block(void **state)
{
	static const char *const texts[] = {"", "0", "63-64", "4095", "0-4095", "1,128", ""};
	enum { COUNT = sizeof(texts) / sizeof(texts[0]) };
	struct pf_sets sets = {};
	size_t at[COUNT];

	(void)state;
	for (size_t i = 0; i < COUNT; i++) {
		struct pf_set set;

		assert_int_equal(pf_set_parse(texts[i], &set, NULL), 0);
		assert_int_equal(pf_sets_add(&sets, &set, &at[i]), 0);
	}
	for (size_t i = 0; i < COUNT; i++) {
		struct pf_set set, out;

		assert_int_equal(pf_set_parse(texts[i], &set, NULL), 0);
		memset(&out, 0xff, sizeof(out));
		pf_sets_get(&sets, at[i], &out);
		assert_memory_equal(&set, &out, sizeof(set));
	}
	/* as long as the highest member asks for, and a word that says how long */
	assert_int_equal(sets.count, 1 + 2 + 3 + 65 + 65 + 4 + 1);
	pf_sets_clear(&sets);
	assert_null(sets.words);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_is_written_the_way_the_kernel_does),
		cmocka_unit_test(what_is_no_list_is_refused_and_changes_nothing),
		cmocka_unit_test(every_set_survives_text_and_back),
		cmocka_unit_test(the_longest_list_fits),
		cmocka_unit_test(a_short_buffer_says_that_it_was_cut),
		cmocka_unit_test(members_beyond_the_end_are_ignored),
		cmocka_unit_test(algebra_agrees_with_membership),
		cmocka_unit_test(walking_meets_every_member_in_order),
		cmocka_unit_test(many_sets_are_kept_in_one_block),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
