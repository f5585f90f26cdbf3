// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/cli/view_test.h"

#include <locale.h>

static void assert_safe(const char *text, const char *want)
{
	pf_auto_free char *safe = pf_term_text(text);

	assert_string_equal(safe, want);
}

static void control_characters_are_shown_not_sent(void **state)
{
	(void)state;
	assert_safe("web 01\\", "web 01\\");
	assert_safe("\x1b[31m\n\t\x7f", "\\x1b[31m\\x0a\\x09\\x7f");
	assert_safe("", "");
	assert_safe("\xc3\xa4", "\\xc3\\xa4"); /* the C locale has no such letter */
	assert_non_null(setlocale(LC_CTYPE, "C.UTF-8"));
	assert_safe("\xc3\xa4 \xe6\x97\xa5", "\xc3\xa4 \xe6\x97\xa5");
	assert_safe("\xc2\x9b" "31m", "\\xc2\\x9b31m");	 /* C1's CSI */
	assert_safe("a\xe2\x80\xae" "b", "a\\xe2\\x80\\xae" "b"); /* right-to-left override */
	assert_safe("\xe2\x80\x8b\xef\xbb\xbf", "\\xe2\\x80\\x8b\\xef\\xbb\\xbf");
	assert_safe("\xff\xc3", "\\xff\\xc3");
	setlocale(LC_CTYPE, "C");
}

static void assert_list(const char *list, size_t max, const char *want)
{
	pf_auto_free char *text = NULL;
	struct pf_set set = {};

	assert_int_equal(pf_set_parse(list, &set, NULL), 0);
	text = pf_term_list(&set, max);
	assert_string_equal(text, want);
}

static void a_cut_list_counts_what_it_leaves_out(void **state)
{
	(void)state;
	assert_list("", 10, "-");
	assert_list("0-3,8", 10, "0-3,8");
	assert_list("0,2,4,6,8,10,12,14", 0, "0,2,4,6,8,10,12,14");
	assert_list("0,2,4,6,8,10,12,14", 18, "0,2,4,6,8,10,12,14");
	assert_list("0,2,4,6,8,10,12,14", 17, "0,2,4,6,8,10,+2");
	assert_list("0,2,4,6,8,10,12,14", 10, "0,2,4,6,+4");
	assert_list("0,2,4,6,8,10,12,14", 9, "0,2,4,+5");
	assert_list("0-63,128-191,256", 13, "0-63,+65");
	/* A first range that is wider than the column stays: half a number would be a lie. */
	assert_list("1000-1001,2000", 6, "1000-1001,+1");
	assert_list("1000-2000", 4, "1000-2000");
}

static void text_folds_at_words(void **state)
{
	PF_CLEANUP(capture_end) struct capture capture;

	(void)state;
	capture_start(&capture, 12);
	pf_term_wrap(&capture.view, "a: ", "one two three verylongwordindeed x", 3);
	assert_string_equal(captured(&capture),
			    "a: one two\n   three\n   verylongwordindeed\n   x\n");
}

static void a_terminal_is_what_the_options_say(void **state)
{
	struct pf_cli cli = {.color = PF_COLOR_ALWAYS, .seen = PF_OPTION_ALL};
	struct pf_view view;

	(void)state;
	setenv("COLUMNS", "93", 1);
	pf_view_init(&view, &cli);
	assert_int_equal(view.width, 93);
	assert_true(view.color);
	assert_true(view.all);
	setenv("COLUMNS", "wide", 1);
	cli.color = PF_COLOR_NEVER;
	pf_view_init(&view, &cli);
	assert_false(view.color);
	unsetenv("COLUMNS");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(control_characters_are_shown_not_sent),
		cmocka_unit_test(a_cut_list_counts_what_it_leaves_out),
		cmocka_unit_test(text_folds_at_words),
		cmocka_unit_test(a_terminal_is_what_the_options_say),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
