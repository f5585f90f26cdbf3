/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command line of pinfold(1): its options, its commands, its exit codes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "agent/base/err.h"

#define PF_CLI_SOCKET "/run/pinfold/api.sock"

enum pf_exit {
	PF_EXIT_OK = 0,
	PF_EXIT_NO = 1, /* a guest isn't held, a plan has steps, the agent refused, it failed */
	PF_EXIT_USAGE = 2,
	PF_EXIT_UNREACHABLE = 3,
};

enum pf_option {
	PF_OPTION_JSON = 1 << 0,
	PF_OPTION_CHECK = 1 << 1,
	PF_OPTION_ALL = 1 << 2,
	PF_OPTION_SYSROOT = 1 << 3,
	PF_OPTION_FILTER = 1 << 4, /* --guest, --kind and their kin */
	PF_OPTION_FOLLOW = 1 << 5,
	PF_OPTION_FILE = 1 << 6,
};

enum pf_color_when {
	PF_COLOR_AUTO, /* when standard output is a terminal and NO_COLOR is not set */
	PF_COLOR_ALWAYS,
	PF_COLOR_NEVER,
};

/* The options that choose events, in the order of pf_cli_filter_keys. */
#define PF_CLI_FILTERS 7

struct pf_cli {
	const char *socket;
	const char *sysroot; /* NULL: this host */
	const char *file;    /* NULL: the agent's */
	const char *filters[PF_CLI_FILTERS]; /* NULL: not given */
	enum pf_color_when color;
	unsigned int seen; /* enum pf_option, those that a command may or may not take */
	bool help;
	bool version;
	const char *command;
	char **args; /* the command's own */
	size_t arg_count;
};

struct pf_command {
	const char *name;
	const char *args; /* for the usage line */
	size_t args_min;
	size_t args_max;
	unsigned int options; /* enum pf_option it takes */
	const char *summary;
	enum pf_exit (*run)(const struct pf_cli *cli);
};

/* Each filter option's key for pf_event_filter_set(). */
extern const char *const pf_cli_filter_keys[PF_CLI_FILTERS];

/* All commands, ending with a zeroed one. */
extern const struct pf_command pf_commands[];

const struct pf_command *pf_command_find(const char *name);

/**
 * pf_cli_parse - reads the command line
 *
 * Options may stand before and after the command, "--" ends them. Return: 0, or -EINVAL with words
 * for standard error.
 */
int pf_cli_parse(int argc, char **argv, struct pf_cli *out, struct pf_err *err);

/* Says @err on standard error. Return: the exit code for it (-ENOTCONN: unreachable). */
enum pf_exit pf_cli_fail(const struct pf_err *err);

/* Prints JSON to standard output, indented. */
enum pf_exit pf_cli_print_json(const char *text, size_t len);

/* Usage of everything, or of one command. */
void pf_help_print(FILE *out);
void pf_help_print_command(FILE *out, const struct pf_command *command);

enum pf_exit pf_cmd_status(const struct pf_cli *cli);
enum pf_exit pf_cmd_plan(const struct pf_cli *cli);
enum pf_exit pf_cmd_host(const struct pf_cli *cli);
enum pf_exit pf_cmd_hold(const struct pf_cli *cli);
enum pf_exit pf_cmd_release(const struct pf_cli *cli);
enum pf_exit pf_cmd_mode(const struct pf_cli *cli);
enum pf_exit pf_cmd_audit(const struct pf_cli *cli);
enum pf_exit pf_cmd_help(const struct pf_cli *cli);
