// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/base/cleanup.h"
#include "agent/cli/client.h"
#include "agent/cli/status_view.h"
#include "agent/model/wire.h"

static enum pf_exit show(const struct pf_cli *cli, const struct pf_status *status)
{
	struct pf_view view;

	pf_view_init(&view, cli);
	if (cli->seen & PF_OPTION_CHECK)
		return pf_status_print_off(&view, status) ? PF_EXIT_NO : PF_EXIT_OK;
	if (pf_status_print(&view, status, cli->arg_count == 0) < 0) {
		fputs("pinfold: out of memory\n", stderr);
		return PF_EXIT_NO;
	}
	return PF_EXIT_OK;
}

/* JSON is shown whole; with --check its guests still decide the exit code. */
static enum pf_exit show_json(const struct pf_cli *cli, const struct pf_reply *reply,
			      const struct pf_status *status)
{
	enum pf_exit code = pf_cli_print_json(reply->body, reply->len);

	if (code != PF_EXIT_OK || !(cli->seen & PF_OPTION_CHECK))
		return code;
	for (size_t i = 0; i < status->guest_count; i++)
		if (pf_status_is_off(&status->guests[i]))
			return PF_EXIT_NO;
	return PF_EXIT_OK;
}

enum pf_exit pf_cmd_status(const struct pf_cli *cli)
{
	PF_CLEANUP(pf_reply_clear) struct pf_reply reply = {};
	PF_CLEANUP(pf_status_clear) struct pf_status status = {};
	struct pf_err err = {};

	if (pf_client_get(cli->socket, "status", cli->arg_count ? cli->args[0] : NULL, &reply,
			  &err) < 0)
		return pf_cli_fail(&err);
	if (pf_wire_decode_status(reply.body, reply.len, &status, &err) < 0) {
		pf_wrap(&err, "the agent's answer");
		return pf_cli_fail(&err);
	}
	return cli->seen & PF_OPTION_JSON ? show_json(cli, &reply, &status) : show(cli, &status);
}
