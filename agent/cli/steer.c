// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/cli/steer.h"

#include "agent/base/cleanup.h"
#include "agent/cli/client.h"
#include "agent/cli/status_view.h"
#include "agent/model/wire.h"

enum pf_exit pf_steer(const struct pf_cli *cli, const char *verb)
{
	PF_CLEANUP(pf_reply_clear) struct pf_reply reply = {};
	PF_CLEANUP(pf_status_clear) struct pf_status status = {};
	struct pf_err err = {};
	struct pf_view view;

	if (pf_client_post(cli->socket, cli->args[0], verb, &reply, &err) < 0)
		return pf_cli_fail(&err);
	if (pf_wire_decode_status(reply.body, reply.len, &status, &err) < 0) {
		pf_wrap(&err, "the agent's answer");
		return pf_cli_fail(&err);
	}
	pf_view_init(&view, cli);
	for (size_t i = 0; i < status.guest_count; i++)
		pf_status_print_line(&view, &status.guests[i]);
	return PF_EXIT_OK;
}
