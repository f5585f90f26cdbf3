// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/base/cleanup.h"
#include "agent/cli/cli.h"

#define ARGS_MAX 16

struct line {
	char text[256];
	char *argv[ARGS_MAX];
	int argc;
};

/* Splits at spaces. getopt may reorder the array, so that it is made anew for each call. */
static int parse(struct line *line, const char *text, struct pf_cli *cli, struct pf_err *err)
{
	char *rest = line->text;

	strcpy(line->text, text);
	for (line->argc = 0; rest; line->argc++)
		line->argv[line->argc] = strsep(&rest, " ");
	line->argv[line->argc] = NULL;
	return pf_cli_parse(line->argc, line->argv, cli, err);
}

static void options_may_stand_anywhere(void **state)
{
	static const char *const lines[] = {
		"pinfold status web --json --socket /s",
		"pinfold --socket=/s status --json web",
		"pinfold --json --socket /s status web",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct line line;
		struct pf_cli cli;

		assert_int_equal(parse(&line, lines[i], &cli, NULL), 0);
		assert_string_equal(cli.command, "status");
		assert_string_equal(cli.socket, "/s");
		assert_int_equal(cli.seen, PF_OPTION_JSON);
		assert_int_equal(cli.arg_count, 1);
		assert_string_equal(cli.args[0], "web");
	}
}

static void defaults_are_the_agents(void **state)
{
	struct line line;
	struct pf_cli cli;

	(void)state;
	assert_int_equal(parse(&line, "pinfold status", &cli, NULL), 0);
	assert_string_equal(cli.socket, "/run/pinfold/api.sock");
	assert_int_equal(cli.color, PF_COLOR_AUTO);
	assert_null(cli.sysroot);
	assert_int_equal(cli.arg_count, 0);
}

static void a_guest_may_be_called_like_an_option(void **state)
{
	struct line line;
	struct pf_cli cli;

	(void)state;
	assert_int_equal(parse(&line, "pinfold release -- --json", &cli, NULL), 0);
	assert_string_equal(cli.args[0], "--json");
	assert_int_equal(cli.seen, 0);
}

static void what_makes_no_sense_is_refused_with_words(void **state)
{
	static const char *const bad[][2] = {
		{"pinfold", "no command given"},
		{"pinfold dance", "unknown command 'dance'"},
		{"pinfold --frobnicate status", "unknown option --frobnicate"},
		{"pinfold status -x", "unknown option -x"},
		{"pinfold status --socket", "--socket wants a value"},
		{"pinfold status --color=blue", "not 'blue'"},
		{"pinfold plan --check", "plan does not take --check"},
		{"pinfold status --sysroot /x", "status does not take --sysroot"},
		{"pinfold host web", "host: 'web' is one argument too many"},
		{"pinfold status a b", "status: 'b' is one argument too many"},
		{"pinfold hold", "hold wants a GUEST"},
		{"pinfold mode web", "mode wants a GUEST MODE"},
		{"pinfold mode web guard now", "mode: 'now' is one argument too many"},
		{"pinfold status --kind drift", "status does not take a choice of events"},
		{"pinfold plan --follow", "plan does not take --follow"},
		{"pinfold audit -n", "-n wants a value"},
		{"pinfold audit verify now", "audit: 'now' is one argument too many"},
		{"pinfold release", "release wants a GUEST"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct pf_cli cli = {.command = "untouched"};
		struct pf_err err = {};
		struct line line;

		assert_int_equal(parse(&line, bad[i][0], &cli, &err), -EINVAL);
		if (!strstr(err.text, bad[i][1]))
			fail_msg("%s: '%s'", bad[i][0], err.text);
		assert_string_equal(cli.command, "untouched");
	}
}

static void events_are_chosen_by_options(void **state)
{
	struct line line;
	struct pf_cli cli;

	(void)state;
	assert_int_equal(parse(&line, "pinfold audit --guest web --since=-2h -n 7 --follow --file /f",
			       &cli, NULL),
			 0);
	assert_string_equal(pf_cli_filter_keys[0], "guest");
	assert_string_equal(cli.filters[0], "web");
	assert_null(cli.filters[1]);
	assert_string_equal(cli.filters[4], "-2h");
	assert_string_equal(pf_cli_filter_keys[6], "last");
	assert_string_equal(cli.filters[6], "7");
	assert_string_equal(cli.file, "/f");
	assert_int_equal(cli.seen, PF_OPTION_FILTER | PF_OPTION_FOLLOW | PF_OPTION_FILE);
	assert_int_equal(parse(&line, "pinfold audit --until x --action y --cause z --kind k", &cli,
			       NULL),
			 0);
	for (size_t i = 1; i < 6; i++)
		if (i != 4)
			assert_non_null(cli.filters[i]);
}

static void help_and_version_need_nothing_else(void **state)
{
	struct line line;
	struct pf_cli cli;

	(void)state;
	assert_int_equal(parse(&line, "pinfold --help", &cli, NULL), 0);
	assert_true(cli.help);
	assert_int_equal(parse(&line, "pinfold -V", &cli, NULL), 0);
	assert_true(cli.version);
	assert_int_equal(parse(&line, "pinfold hold --help", &cli, NULL), 0);
	assert_true(cli.help);
}

static void every_command_is_in_the_help(void **state)
{
	pf_auto_free char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	pf_help_print(out);
	fclose(out);
	for (const struct pf_command *command = pf_commands; command->name; command++) {
		assert_non_null(strstr(text, command->summary));
		assert_ptr_equal(pf_command_find(command->name), command);
		assert_non_null(command->run);
	}
	for (char *rest = text, *line; (line = strsep(&rest, "\n"));)
		assert_true(strlen(line) <= 80);
	assert_null(pf_command_find("dance"));
}

static void an_agent_out_of_reach_is_3_and_its_refusal_1(void **state)
{
	struct pf_err away = {.code = -ENOTCONN, .text = "away"};
	struct pf_err refused = {.code = -EREMOTEIO, .text = "no"};

	(void)state;
	assert_int_equal(pf_cli_fail(&away), 3);
	assert_int_equal(pf_cli_fail(&refused), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_may_stand_anywhere),
		cmocka_unit_test(defaults_are_the_agents),
		cmocka_unit_test(a_guest_may_be_called_like_an_option),
		cmocka_unit_test(what_makes_no_sense_is_refused_with_words),
		cmocka_unit_test(events_are_chosen_by_options),
		cmocka_unit_test(help_and_version_need_nothing_else),
		cmocka_unit_test(every_command_is_in_the_help),
		cmocka_unit_test(an_agent_out_of_reach_is_3_and_its_refusal_1),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
