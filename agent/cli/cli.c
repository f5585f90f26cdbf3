// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>

#include "agent/base/cleanup.h"
#include "agent/model/wire.h"

const struct pf_command pf_commands[] = {
	{"status", "[GUEST]", 0, 1, PF_OPTION_JSON | PF_OPTION_CHECK | PF_OPTION_ALL,
	 "what each guest was promised and what it has", pf_cmd_status},
	{"plan", "[GUEST]", 0, 1, PF_OPTION_JSON, "the steps that would be taken now",
	 pf_cmd_plan},
	{"host", "", 0, 0, PF_OPTION_JSON | PF_OPTION_SYSROOT,
	 "nodes, CPUs, memory, and who is promised which CPU", pf_cmd_host},
	{"audit", "[verify]", 0, 1,
	 PF_OPTION_JSON | PF_OPTION_ALL | PF_OPTION_FILTER | PF_OPTION_FOLLOW | PF_OPTION_FILE,
	 "what happened to the guests, or whether the record is whole", pf_cmd_audit},
	{"hold", "GUEST", 1, 1, 0, "hold a guest again after release", pf_cmd_hold},
	{"release", "GUEST", 1, 1, 0, "let a guest go and put back what was found",
	 pf_cmd_release},
	{"mode", "GUEST MODE", 2, 2, 0, "choose its mode: observe, enforce, guard, default",
	 pf_cmd_mode},
	{"help", "[COMMAND]", 0, 1, 0, "this list, or one command's usage", pf_cmd_help},
	{},
};

const char *const pf_cli_filter_keys[PF_CLI_FILTERS] = {"guest", "kind",  "cause", "action",
							"since", "until", "last"};

enum {
	LONG_SOCKET = 256,
	LONG_COLOR,
	LONG_JSON,
	LONG_CHECK,
	LONG_ALL,
	LONG_SYSROOT,
	LONG_FOLLOW,
	LONG_FILE,
	LONG_FILTER, /* and those behind it: the filters, in their order */
};

static const struct option long_options[] = {
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{"socket", required_argument, NULL, LONG_SOCKET},
	{"color", required_argument, NULL, LONG_COLOR},
	{"json", no_argument, NULL, LONG_JSON},
	{"check", no_argument, NULL, LONG_CHECK},
	{"all", no_argument, NULL, LONG_ALL},
	{"sysroot", required_argument, NULL, LONG_SYSROOT},
	{"follow", no_argument, NULL, LONG_FOLLOW},
	{"file", required_argument, NULL, LONG_FILE},
	{"guest", required_argument, NULL, LONG_FILTER},
	{"kind", required_argument, NULL, LONG_FILTER + 1},
	{"cause", required_argument, NULL, LONG_FILTER + 2},
	{"action", required_argument, NULL, LONG_FILTER + 3},
	{"since", required_argument, NULL, LONG_FILTER + 4},
	{"until", required_argument, NULL, LONG_FILTER + 5},
	{"lines", required_argument, NULL, 'n'},
	{},
};

/* The names of enum pf_option's bits, lowest first. */
static const char *const option_names[] = {"--json", "--check", "--all", "--sysroot",
					   "a choice of events", "--follow", "--file"};

const struct pf_command *pf_command_find(const char *name)
{
	for (const struct pf_command *command = pf_commands; command->name; command++)
		if (strcmp(command->name, name) == 0)
			return command;
	return NULL;
}

static int parse_color(const char *text, enum pf_color_when *out, struct pf_err *err)
{
	static const char *const names[] = {"auto", "always", "never"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(names[i], text) == 0) {
			*out = (enum pf_color_when)i;
			return 0;
		}
	}
	return pf_fail_plain(err, EINVAL, "--color is auto, always or never, not '%.40s'", text);
}

static int take_option(int option, char **argv, struct pf_cli *cli, struct pf_err *err)
{
	switch (option) {
	case 'h':
		cli->help = true;
		return 0;
	case 'V':
		cli->version = true;
		return 0;
	case LONG_SOCKET:
		cli->socket = optarg;
		return 0;
	case LONG_COLOR:
		return parse_color(optarg, &cli->color, err);
	case LONG_JSON:
		cli->seen |= PF_OPTION_JSON;
		return 0;
	case LONG_CHECK:
		cli->seen |= PF_OPTION_CHECK;
		return 0;
	case LONG_ALL:
		cli->seen |= PF_OPTION_ALL;
		return 0;
	case LONG_SYSROOT:
		cli->seen |= PF_OPTION_SYSROOT;
		cli->sysroot = optarg;
		return 0;
	case LONG_FOLLOW:
		cli->seen |= PF_OPTION_FOLLOW;
		return 0;
	case LONG_FILE:
		cli->seen |= PF_OPTION_FILE;
		cli->file = optarg;
		return 0;
	case 'n':
		option = LONG_FILTER + PF_CLI_FILTERS - 1;
		/* fallthrough */
	case LONG_FILTER ... LONG_FILTER + PF_CLI_FILTERS - 1:
		cli->seen |= PF_OPTION_FILTER;
		cli->filters[option - LONG_FILTER] = optarg;
		return 0;
	case ':':
		return pf_fail_plain(err, EINVAL, "%s wants a value", argv[optind - 1]);
	default:
		return pf_fail_plain(err, EINVAL, "unknown option %s", argv[optind - 1]);
	}
}

static int check_command(const struct pf_cli *cli, struct pf_err *err)
{
	const struct pf_command *command = pf_command_find(cli->command);
	unsigned int extra;

	if (!command)
		return pf_fail_plain(err, EINVAL, "unknown command '%.80s'", cli->command);
	extra = cli->seen & ~command->options;
	if (extra)
		return pf_fail_plain(err, EINVAL, "%s does not take %s", command->name,
				     option_names[__builtin_ctz(extra)]);
	if (cli->help)
		return 0;
	if (cli->arg_count < command->args_min)
		return pf_fail_plain(err, EINVAL, "%s wants a %s", command->name, command->args);
	if (cli->arg_count > command->args_max)
		return pf_fail_plain(err, EINVAL, "%s: '%.80s' is one argument too many",
				     command->name, cli->args[command->args_max]);
	return 0;
}

int pf_cli_parse(int argc, char **argv, struct pf_cli *out, struct pf_err *err)
{
	struct pf_cli cli = {.socket = PF_CLI_SOCKET};
	int option;

	optind = 0; /* glibc: begin anew, so that it can be called twice */
	while ((option = getopt_long(argc, argv, ":hVn:", long_options, NULL)) >= 0) {
		int r = take_option(option, argv, &cli, err);

		if (r < 0)
			return r;
	}
	if (optind < argc) {
		cli.command = argv[optind];
		cli.args = argv + optind + 1;
		cli.arg_count = (size_t)(argc - optind - 1);
	}
	if (cli.command && !cli.version) {
		int r = check_command(&cli, err);

		if (r < 0)
			return r;
	} else if (!cli.help && !cli.version) {
		return pf_fail_plain(err, EINVAL, "no command given");
	}
	*out = cli;
	return 0;
}

enum pf_exit pf_cli_fail(const struct pf_err *err)
{
	fprintf(stderr, "pinfold: %s\n", err->text);
	return err->code == -ENOTCONN ? PF_EXIT_UNREACHABLE : PF_EXIT_NO;
}

enum pf_exit pf_cli_print_json(const char *text, size_t len)
{
	pf_auto_free char *pretty = NULL;
	struct pf_err err = {};

	if (pf_wire_pretty(text, len, &pretty, &err) < 0)
		return pf_cli_fail(&err);
	puts(pretty);
	return PF_EXIT_OK;
}
