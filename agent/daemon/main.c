// SPDX-License-Identifier: GPL-2.0-or-later
/* pinfoldd(8) */
#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <sysexits.h>

#include "agent/base/cleanup.h"
#include "agent/base/log.h"
#include "agent/daemon/loop.h"
#include "agent/source/config_file.h"
#include "bpf/loader.h"

const char *argp_program_version = "pinfoldd " PF_VERSION;

struct arguments {
	const char *config;
	bool once;
	bool unpin;
};

static const struct argp_option options[] = {
	{"config", 'c', "FILE", 0, "read FILE instead of " PF_CONFIG_PATH, 0},
	{"once", '1', NULL, 0, "hold every guest once and exit: 0 when nothing is left to do, 1 else",
	 0},
	{"unpin", 'u', NULL, 0, "end the eBPF programs that go on counting without an agent, and exit", 0},
	{},
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case 'c':
		arguments->config = arg;
		return 0;
	case '1':
		arguments->once = true;
		return 0;
	case 'u':
		arguments->unpin = true;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "'%s': no argument is expected", arg);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = options,
	.parser = parse_option,
	.doc = "Keep every guest's threads and memory on the CPUs and NUMA nodes they were promised."
	       "\vSee pinfoldd(8) and pinfold.conf(5).",
};

/* A host or configuration that cannot work: sysexits(3), so that systemd does not try again. */
static int exit_code(int r)
{
	switch (r) {
	case -EINVAL:
	case -ENODEV:
	case -EMEDIUMTYPE:
		return EX_CONFIG;
	default:
		return EXIT_FAILURE;
	}
}

static int unpin(const struct arguments *arguments, struct pf_err *err)
{
	PF_CLEANUP(pf_config_clear) struct pf_config config = {};
	int r = pf_config_load(arguments->config ?: PF_CONFIG_PATH, arguments->config != NULL,
			       &config, err);

	return r < 0 ? r : pf_bpf_uninstall(config.pin_path, err);
}

static int run(const struct arguments *arguments, struct pf_agent *agent, struct pf_err *err)
{
	int r;

	if (arguments->unpin)
		return unpin(arguments, err);
	r = pf_agent_open(agent, err);
	if (r < 0)
		return r;
	return arguments->once ? pf_loop_once(agent, err) : pf_loop_run(agent, err);
}

int main(int argc, char **argv)
{
	struct arguments arguments = {};
	struct pf_agent agent = {};
	struct pf_err err = {};
	int r;

	argp_err_exit_status = 2;
	argp_parse(&argp, argc, argv, 0, NULL, &arguments);
	agent.config_path = arguments.config ?: PF_CONFIG_PATH;
	agent.config_must_exist = arguments.config != NULL;
	if (!arguments.once && pf_loop_block_signals() < 0)
		return EXIT_FAILURE;
	r = run(&arguments, &agent, &err);
	if (r < 0)
		pf_log(LOG_ERR, "%s", err.text);
	if (!arguments.unpin)
		pf_agent_close(&agent);
	return r < 0 ? exit_code(r) : r;
}
