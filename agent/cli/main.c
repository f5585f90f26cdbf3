// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <locale.h>
#include <string.h>

#include "agent/cli/cli.h"

static enum pf_exit run(const struct pf_cli *cli)
{
	const struct pf_command *command;

	if (cli->version) {
		puts("pinfold " PF_VERSION);
		return PF_EXIT_OK;
	}
	if (!cli->command) {
		pf_help_print(stdout);
		return PF_EXIT_OK;
	}
	command = pf_command_find(cli->command);
	if (cli->help) {
		pf_help_print_command(stdout, command);
		return PF_EXIT_OK;
	}
	return command->run(cli);
}

int main(int argc, char **argv)
{
	struct pf_err err = {};
	struct pf_cli cli;
	enum pf_exit code;

	setlocale(LC_ALL, "");
	if (pf_cli_parse(argc, argv, &cli, &err) < 0) {
		fprintf(stderr, "pinfold: %s\nTry 'pinfold --help'.\n", err.text);
		return PF_EXIT_USAGE;
	}
	code = run(&cli);
	/* A full disk or a closed pipe must not look like success. */
	if (fflush(stdout) != 0 || ferror(stdout)) {
		fprintf(stderr, "pinfold: write output: %s\n", strerror(errno));
		return PF_EXIT_NO;
	}
	return (int)code;
}
