// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/answer.h"

#include <errno.h>
#include <stdlib.h>

#include "agent/audit/query.h"
#include "agent/base/cleanup.h"
#include "agent/daemon/agent.h"
#include "agent/daemon/reconcile.h"
#include "agent/daemon/report.h"
#include "agent/daemon/tell.h"
#include "agent/daemon/watching.h"
#include "agent/model/wire.h"
#include "agent/source/topology.h"

/* @held stays NULL when all guests are meant. */
static int find(struct pf_agent *agent, const char *guest, struct pf_held **held,
		struct pf_err *err)
{
	*held = NULL;
	if (!agent->known)
		return pf_fail_plain(err, EAGAIN,
				     "the agent has not heard from libvirt yet and knows no guest");
	if (!guest)
		return 0;
	*held = pf_reconcile_find(agent, guest);
	if (!*held)
		return pf_fail_plain(err, ENOENT, "no running guest is called '%s'", guest);
	return 0;
}

static int answer_status(void *ctx, const char *name, char **body, struct pf_err *err)
{
	PF_CLEANUP(pf_status_clear) struct pf_status status = {};
	struct pf_agent *agent = ctx;
	struct pf_held *held = NULL;
	int r = 0;

	pf_watching_catch_up(agent); /* what was done by now is in it */
	pf_reconcile_look(agent);
	if (name)
		r = find(agent, name, &held, err);
	if (r < 0)
		return r;
	r = pf_tell_status(agent, held, &status);
	if (!r)
		r = pf_wire_encode_status(&status, body);
	return r < 0 ? pf_fail(err, r, "tell the status") : 0;
}

/* Each plan is borrowed as it stands in its guest: only the array is ours. */
static int collect_plans(struct pf_agent *agent, const struct pf_held *only, struct pf_plan **plans,
			 size_t *count)
{
	*plans = calloc(agent->held_count + 1, sizeof(**plans));
	*count = 0;
	if (!*plans)
		return -ENOMEM;
	for (size_t i = 0; i < agent->held_count; i++) {
		const struct pf_held *held = &agent->held[i];

		if (held->present && held->plan.count && (!only || held == only))
			(*plans)[(*count)++] = held->plan;
	}
	return 0;
}

static int answer_plan(void *ctx, const char *name, char **body, struct pf_err *err)
{
	pf_auto_free struct pf_plan *plans = NULL;
	struct pf_agent *agent = ctx;
	struct pf_held *held;
	size_t count;
	int r;

	pf_reconcile_look(agent);
	r = find(agent, name, &held, err);
	if (r < 0)
		return r;
	r = collect_plans(agent, held, &plans, &count);
	if (!r)
		r = pf_wire_encode_plans(plans, count, body);
	return r < 0 ? pf_fail(err, r, "tell the plan") : 0;
}

static int answer_host(void *ctx, char **body, struct pf_err *err)
{
	PF_CLEANUP(pf_status_clear) struct pf_status status = {};
	PF_CLEANUP(pf_host_clear) struct pf_host host = {};
	struct pf_agent *agent = ctx;
	int r;

	r = pf_topology_read("/", &host, err);
	if (r < 0)
		return r;
	pf_reconcile_look(agent);
	r = pf_tell_status(agent, NULL, &status);
	if (!r)
		r = pf_wire_encode_host(&host, &status, body);
	return r < 0 ? pf_fail(err, r, "tell the host") : 0;
}

static int answer_guest(struct pf_agent *agent, struct pf_held *held, char **body,
			struct pf_err *err)
{
	PF_CLEANUP(pf_status_clear) struct pf_status status = {};
	int r;

	r = pf_tell_status(agent, held, &status);
	if (!r)
		r = pf_wire_encode_status(&status, body);
	return r < 0 ? pf_fail(err, r, "tell the status") : 0;
}

static int answer_hold(void *ctx, const char *name, char **body, struct pf_err *err)
{
	struct pf_agent *agent = ctx;
	struct pf_held *held;
	int r;

	r = find(agent, name, &held, err);
	if (!r)
		r = pf_reconcile_hold(agent, held, err);
	if (!r)
		pf_report_operator(agent, held, pf_api_asker(agent->api), "held again");
	if (!r)
		r = find(agent, name, &held, err);
	return r ?: answer_guest(agent, held, body, err);
}

static int answer_release(void *ctx, const char *name, char **body, struct pf_err *err)
{
	struct pf_agent *agent = ctx;
	struct pf_held *held;
	int r;

	r = find(agent, name, &held, err);
	if (!r)
		r = pf_reconcile_release(agent, held, err);
	if (!r)
		pf_report_operator(agent, held, pf_api_asker(agent->api), "released");
	return r ?: answer_guest(agent, held, body, err);
}

static int answer_mode(void *ctx, const char *name, const enum pf_mode *mode, char **body,
		       struct pf_err *err)
{
	struct pf_agent *agent = ctx;
	struct pf_held *held;
	int r;

	r = find(agent, name, &held, err);
	if (!r)
		r = pf_reconcile_mode(agent, held, mode, err);
	if (!r)
		r = find(agent, name, &held, err);
	if (!r)
		pf_report_operator(agent, held, pf_api_asker(agent->api), "mode %s",
				 mode ? pf_mode_name(*mode) : "default");
	return r ?: answer_guest(agent, held, body, err);
}

static ssize_t read_lines(void *ctx, char *buf, size_t size)
{
	return pf_audit_lines_read(ctx, buf, size);
}

static void close_lines(void *ctx)
{
	pf_audit_lines_clear(ctx);
	free(ctx);
}

static int answer_audit(void *ctx, const struct pf_event_filter *filter, struct pf_api_stream *out,
			struct pf_err *err)
{
	struct pf_audit_lines *lines = calloc(1, sizeof(*lines));
	struct pf_agent *agent = ctx;
	int r;

	if (!lines)
		return pf_fail(err, ENOMEM, "read the record");
	r = pf_audit_reader_open(agent->config.audit_path, filter, &lines->reader, err);
	if (r < 0) {
		free(lines);
		/* 404 would say that there is no such path in the API. */
		return r == -ENOENT ? -EAGAIN : r;
	}
	*out = (struct pf_api_stream){read_lines, close_lines, lines};
	return 0;
}

const struct pf_api_ops pf_answer_ops = {
	.status = answer_status,
	.plan = answer_plan,
	.host = answer_host,
	.hold = answer_hold,
	.release = answer_release,
	.mode = answer_mode,
	.audit = answer_audit,
};
