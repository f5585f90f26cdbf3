// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/base/cleanup.h"
#include "agent/cli/client.h"
#include "agent/cli/plan_view.h"

enum pf_exit pf_cmd_plan(const struct pf_cli *cli)
{
	PF_CLEANUP(pf_reply_clear) struct pf_reply reply = {};
	PF_CLEANUP(pf_plans_clear) struct pf_plans plans = {};
	struct pf_err err = {};
	struct pf_view view;

	if (pf_client_get(cli->socket, "plan", cli->arg_count ? cli->args[0] : NULL, &reply,
			  &err) < 0)
		return pf_cli_fail(&err);
	if (pf_wire_decode_plans(reply.body, reply.len, &plans, &err) < 0) {
		pf_wrap(&err, "the agent's answer");
		return pf_cli_fail(&err);
	}
	if (cli->seen & PF_OPTION_JSON) {
		enum pf_exit code = pf_cli_print_json(reply.body, reply.len);

		if (code != PF_EXIT_OK)
			return code;
	} else {
		pf_view_init(&view, cli);
		pf_plans_print(&view, &plans);
	}
	return pf_plans_steps(&plans) ? PF_EXIT_NO : PF_EXIT_OK;
}
