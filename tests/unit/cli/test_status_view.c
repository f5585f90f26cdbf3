// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/cli/view_test.h"

#include <locale.h>

#include "agent/cli/status_view.h"

#define GOLDEN "tests/unit/cli/data/"

/* Every line but a guest's own: a name is never cut, so that it can be copied. */
static void assert_fits(const char *text, size_t width)
{
	pf_auto_free char *copy = strdup(text);
	char *rest = copy, *line;

	while ((line = strsep(&rest, "\n")))
		if (pf_term_width(line) > width && (*line == ' ' || !strchr(line, ':')))
			fail_msg("'%s' has more than %zu columns", line, width);
}

static void check(size_t width, bool all, bool color, const char *golden)
{
	PF_CLEANUP(pf_status_clear) struct pf_status status = {};
	PF_CLEANUP(capture_end) struct capture capture;
	const char *text;

	read_status(&status);
	capture_start(&capture, width);
	capture.view.all = all;
	capture.view.color = color;
	assert_int_equal(pf_status_print(&capture.view, &status, true), 0);
	text = captured(&capture);
	assert_golden(text, golden);
	if (width && !color)
		assert_fits(text, width);
}

static void a_terminal_of_80_columns(void **state)
{
	(void)state;
	check(80, false, false, GOLDEN "status-80.txt");
}

static void a_wide_terminal_shows_longer_lists(void **state)
{
	(void)state;
	check(132, false, false, GOLDEN "status-132.txt");
}

static void a_pipe_gets_everything_uncut(void **state)
{
	(void)state;
	check(0, false, false, GOLDEN "status-pipe.txt");
}

static void all_threads_in_rows_of_their_own(void **state)
{
	(void)state;
	check(0, true, false, GOLDEN "status-all.txt");
}

static void colour_is_in_states_and_names_only(void **state)
{
	(void)state;
	check(80, false, true, GOLDEN "status-color.txt");
}

static void in_utf8_letters_stay_and_steering_goes(void **state)
{
	(void)state;
	assert_non_null(setlocale(LC_CTYPE, "C.UTF-8"));
	check(80, false, false, GOLDEN "status-utf8.txt");
	setlocale(LC_CTYPE, "C");
}

static void no_escape_reaches_the_terminal(void **state)
{
	PF_CLEANUP(pf_status_clear) struct pf_status status = {};
	PF_CLEANUP(capture_end) struct capture capture;
	const char *text;

	(void)state;
	read_status(&status);
	capture_start(&capture, 0);
	capture.view.all = true;
	free(status.guests[0].reason);
	status.guests[0].reason = strdup("a\x1b]0;title\x07\r\nb");
	strcpy(status.guests[0].threads[0].comm, "\x1b[2J\x9b" "31m");
	assert_int_equal(pf_status_print(&capture.view, &status, true), 0);
	pf_status_print_off(&capture.view, &status);
	text = captured(&capture);
	for (; *text; text++)
		assert_true(*text == '\n' || (*text >= ' ' && *text <= '~'));
}

/* Whatever the agent's order: by role, vCPUs by number; and only equal rows are folded. */
static void rows_are_sorted_and_only_equal_ones_folded(void **state)
{
	struct pf_thread_status threads[] = {
		{.tid = 9, .role = {PF_ROLE_HELPER, 0}},
		{.tid = 8, .role = {PF_ROLE_EMULATOR, 0}},
		{.tid = 7, .role = {PF_ROLE_EMULATOR, 0}, .state = PF_STATE_DRIFTING},
		{.tid = 6, .role = {PF_ROLE_VCPU, 10}},
		{.tid = 4, .role = {PF_ROLE_EMULATOR, 0}},
		{.tid = 5, .role = {PF_ROLE_IOTHREAD, 1}},
		{.tid = 11, .role = {PF_ROLE_VCPU, 2}},
	};
	static const char *const order[] = {"vcpu 2 ", "vcpu 10 ", "iothread 1 ", "emulator ",
					    "emulator (x2) ", "helper "};
	struct pf_guest_status guest = {.name = (char *)"a", .threads = threads, .thread_count = 7};
	struct pf_status status = {.guests = &guest, .guest_count = 1};
	PF_CLEANUP(capture_end) struct capture capture;
	const char *at;

	(void)state;
	capture_start(&capture, 80);
	assert_int_equal(pf_status_print(&capture.view, &status, false), 0);
	at = captured(&capture);
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		at = strstr(at, order[i]);
		if (!at)
			fail_msg("'%s' is missing or out of order in:\n%s", order[i],
				 capture.text);
		at += strlen(order[i]);
	}
}

static void without_guests_it_says_so(void **state)
{
	PF_CLEANUP(capture_end) struct capture capture;
	struct pf_status status = {.hostname = "lab", .kernel = "6.1"};

	(void)state;
	capture_start(&capture, 80);
	assert_int_equal(pf_status_print(&capture.view, &status, false), 0);
	assert_string_equal(captured(&capture), "no guests\n");
}

static void checking_names_only_what_is_off(void **state)
{
	PF_CLEANUP(pf_status_clear) struct pf_status status = {};
	PF_CLEANUP(capture_end) struct capture capture;

	(void)state;
	read_status(&status);
	capture_start(&capture, 80);
	/* drifting, impossible, and the observed one with a reason; not held, not the other */
	assert_int_equal(pf_status_print_off(&capture.view, &status), 3);
	assert_golden(captured(&capture), GOLDEN "status-check.txt");
}

static void checking_is_quiet_when_all_is_held(void **state)
{
	PF_CLEANUP(capture_end) struct capture capture;
	struct pf_guest_status guests[] = {
		{.name = (char *)"a", .state = PF_STATE_HELD},
		{.name = (char *)"b", .state = PF_STATE_HELD, .reason = (char *)"word"},
		{.name = (char *)"c", .state = PF_STATE_OBSERVED},
	};
	struct pf_status status = {.guests = guests, .guest_count = 3};

	(void)state;
	capture_start(&capture, 80);
	assert_int_equal(pf_status_print_off(&capture.view, &status), 0);
	assert_string_equal(captured(&capture), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_terminal_of_80_columns),
		cmocka_unit_test(a_wide_terminal_shows_longer_lists),
		cmocka_unit_test(a_pipe_gets_everything_uncut),
		cmocka_unit_test(all_threads_in_rows_of_their_own),
		cmocka_unit_test(colour_is_in_states_and_names_only),
		cmocka_unit_test(in_utf8_letters_stay_and_steering_goes),
		cmocka_unit_test(no_escape_reaches_the_terminal),
		cmocka_unit_test(rows_are_sorted_and_only_equal_ones_folded),
		cmocka_unit_test(without_guests_it_says_so),
		cmocka_unit_test(checking_names_only_what_is_off),
		cmocka_unit_test(checking_is_quiet_when_all_is_held),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
