/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What `pinfold hold`, `pinfold release` and `pinfold mode` have in common. */
#pragma once

#include "agent/cli/cli.h"
#include "agent/cli/client.h"
#include "agent/model/status.h"

/* Asks the agent to @verb the guest of the command line and shows how it stands now. */
enum pf_exit pf_steer(const struct pf_cli *cli, const char *verb);

/*
 * The parts of it. @out is to be cleared by pf_status_clear().
 * Return: 0, or -errno as pf_client_post() and pf_wire_decode_status()
 */
int pf_steer_ask(const struct pf_cli *cli, const char *verb, struct pf_status *out,
		 struct pf_err *err);
int pf_steer_read(const struct pf_reply *reply, struct pf_status *out, struct pf_err *err);
void pf_steer_show(const struct pf_cli *cli, const struct pf_status *status);
