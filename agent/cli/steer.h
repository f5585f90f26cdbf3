/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What `pinfold hold`, `pinfold release` and `pinfold mode` have in common. */
#pragma once

#include "agent/cli/cli.h"

/* Asks the agent to @verb the guest of the command line and shows how it stands now. */
enum pf_exit pf_steer(const struct pf_cli *cli, const char *verb);
