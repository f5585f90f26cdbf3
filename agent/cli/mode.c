// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <string.h>

#include "agent/cli/steer.h"
#include "agent/model/policy.h"

enum pf_exit pf_cmd_mode(const struct pf_cli *cli)
{
	const char *word = cli->args[1];
	enum pf_mode mode;
	char verb[32];

	if (strcmp(word, "default") != 0 && !pf_mode_parse(word, &mode)) {
		fprintf(stderr, "pinfold: mode '%.40s' is none of observe, enforce, guard and default\n",
			word);
		return PF_EXIT_USAGE;
	}
	snprintf(verb, sizeof(verb), "mode?mode=%s", word);
	return pf_steer(cli, verb);
}
