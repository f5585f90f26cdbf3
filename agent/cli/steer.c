// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/cli/steer.h"

#include "agent/base/cleanup.h"
#include "agent/cli/status_view.h"
#include "agent/model/wire.h"

int pf_steer_read(const struct pf_reply *reply, struct pf_status *out, struct pf_err *err)
{
	int r = pf_wire_decode_status(reply->body, reply->len, out, err);

	if (r < 0)
		pf_wrap(err, "the agent's answer");
	return r;
}

int pf_steer_ask(const struct pf_cli *cli, const char *verb, struct pf_status *out,
		 struct pf_err *err)
{
	PF_CLEANUP(pf_reply_clear) struct pf_reply reply = {};
	int r = pf_client_post(cli->socket, cli->args[0], verb, &reply, err);

	return r ?: pf_steer_read(&reply, out, err);
}

void pf_steer_show(const struct pf_cli *cli, const struct pf_status *status)
{
	struct pf_view view;

	pf_view_init(&view, cli);
	for (size_t i = 0; i < status->guest_count; i++)
		pf_status_print_line(&view, &status->guests[i]);
}

enum pf_exit pf_steer(const struct pf_cli *cli, const char *verb)
{
	PF_CLEANUP(pf_status_clear) struct pf_status status = {};
	struct pf_err err = {};

	if (pf_steer_ask(cli, verb, &status, &err) < 0)
		return pf_cli_fail(&err);
	pf_steer_show(cli, &status);
	return PF_EXIT_OK;
}
