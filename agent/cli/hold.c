// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/cli/steer.h"

enum pf_exit pf_cmd_hold(const struct pf_cli *cli)
{
	return pf_steer(cli, "hold");
}
