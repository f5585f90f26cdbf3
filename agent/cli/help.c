// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/cli/cli.h"

static const struct {
	enum pf_option option; /* 0: every command takes it */
	const char *text;
	const char *summary;
} options[] = {
	{PF_OPTION_JSON, "--json", "JSON instead of a table"},
	{PF_OPTION_CHECK, "--check", "say only what is off; exit 0 when every guest is held"},
	{PF_OPTION_ALL, "--all", "every thread and knob in a row of its own"},
	{PF_OPTION_FILTER, "--guest GUEST", "only this guest's"},
	{PF_OPTION_FILTER, "--kind KIND", "escape, drift, intrusion, memory, qos, policy, agent"},
	{PF_OPTION_FILTER, "--cause CAUSE", "affinity, cpuset, cgroup-move, ...: see pinfold(1)"},
	{PF_OPTION_FILTER, "--action ACTION", "observed, repaired, refused or failed"},
	{PF_OPTION_FILTER, "--since TIME", "2026-11-23T10:00:00Z, 10:00, today, -2h"},
	{PF_OPTION_FILTER, "--until TIME", "likewise"},
	{PF_OPTION_FILTER, "-n, --lines N", "only the last N"},
	{PF_OPTION_FOLLOW, "--follow", "go on with what comes"},
	{PF_OPTION_FILE, "--file PATH", "read the record itself, without the agent"},
	{PF_OPTION_SYSROOT, "--sysroot DIR", "read a dump of another host below DIR"},
	{0, "--socket PATH", "the agent's socket (" PF_CLI_SOCKET ")"},
	{0, "--color WHEN", "auto, always or never"},
	{0, "-h, --help", "this text"},
	{0, "-V, --version", "the version"},
};

static void print_options(FILE *out, unsigned int taken)
{
	fputs("\nOptions:\n", out);
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (!options[i].option || (options[i].option & taken))
			fprintf(out, "  %-16s %s\n", options[i].text, options[i].summary);
}

static void print_exit_codes(FILE *out)
{
	fputs("\nExit codes: 0 yes, nothing to do; 1 not held, steps to take, or failed;\n"
	      "            2 usage; 3 the agent can't be reached.\n",
	      out);
}

void pf_help_print(FILE *out)
{
	fputs("Usage: pinfold [OPTION]... COMMAND [ARGUMENT]...\n"
	      "Shows and steers how this host's guests are held to their CPUs and nodes.\n\n"
	      "Commands:\n",
	      out);
	for (const struct pf_command *command = pf_commands; command->name; command++)
		fprintf(out, "  %-8s %-9s %s\n", command->name, command->args, command->summary);
	fputs("\nGUEST is a name or a UUID.\n", out);
	print_options(out, ~0U);
	print_exit_codes(out);
}

void pf_help_print_command(FILE *out, const struct pf_command *command)
{
	fprintf(out, "Usage: pinfold %s [OPTION]...%s%s\n%s\n", command->name,
		*command->args ? " " : "", command->args, command->summary);
	print_options(out, command->options);
	print_exit_codes(out);
}

enum pf_exit pf_cmd_help(const struct pf_cli *cli)
{
	const struct pf_command *command;

	if (!cli->arg_count) {
		pf_help_print(stdout);
		return PF_EXIT_OK;
	}
	command = pf_command_find(cli->args[0]);
	if (!command) {
		fprintf(stderr, "pinfold: no command '%s'\n", cli->args[0]);
		return PF_EXIT_USAGE;
	}
	pf_help_print_command(stdout, command);
	return PF_EXIT_OK;
}
