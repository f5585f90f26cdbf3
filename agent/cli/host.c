// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "agent/base/cleanup.h"
#include "agent/cli/client.h"
#include "agent/cli/host_view.h"
#include "agent/model/wire.h"
#include "agent/source/topology.h"

/*
 * Who is promised what, as far as an agent answers: the host can be shown without one, and a dump
 * of another host has none. Return: whether @out was filled; otherwise @err says why not.
 */
static bool ask_agent(const struct pf_cli *cli, struct pf_status *out, struct pf_err *err)
{
	PF_CLEANUP(pf_reply_clear) struct pf_reply reply = {};

	if (cli->sysroot)
		return false;
	return pf_client_get(cli->socket, "status", NULL, &reply, err) == 0 &&
	       pf_wire_decode_status(reply.body, reply.len, out, err) == 0;
}

static enum pf_exit print_json(const struct pf_host *host, const struct pf_status *status)
{
	pf_auto_free char *text = NULL;

	if (pf_wire_encode_host(host, status, &text) < 0) {
		fputs("pinfold: out of memory\n", stderr);
		return PF_EXIT_NO;
	}
	return pf_cli_print_json(text, strlen(text));
}

enum pf_exit pf_cmd_host(const struct pf_cli *cli)
{
	PF_CLEANUP(pf_host_clear) struct pf_host host = {};
	PF_CLEANUP(pf_status_clear) struct pf_status status = {};
	struct pf_err err = {}, agent_err = {};
	struct pf_view view;
	bool asked;

	if (pf_topology_read(cli->sysroot, &host, &err) < 0)
		return pf_cli_fail(&err);
	asked = ask_agent(cli, &status, &agent_err);
	if (cli->seen & PF_OPTION_JSON)
		return print_json(&host, asked ? &status : NULL);
	pf_view_init(&view, cli);
	if (pf_host_print(&view, &host, asked ? &status : NULL) < 0) {
		fputs("pinfold: out of memory\n", stderr);
		return PF_EXIT_NO;
	}
	if (*agent_err.text)
		pf_term_wrap(&view, "\nNot known who is promised which CPU: ", agent_err.text, 2);
	return PF_EXIT_OK;
}
