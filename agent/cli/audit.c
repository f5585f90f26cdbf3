// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/audit/query.h"
#include "agent/audit/verify.h"
#include "agent/base/cleanup.h"
#include "agent/cli/audit_view.h"
#include "agent/cli/client.h"
#include "agent/model/config.h"
#include "agent/model/event_filter.h"
#include "agent/model/when.h"
#include "agent/model/wire_event.h"

#define PAGE UINT64_C(5000) /* events of one answer of the agent */
#define FOLLOW_MS 300
#define FOLLOW_LAST 10 /* what --follow begins with, as journalctl -f */

struct audit {
	const struct pf_cli *cli;
	struct pf_view view;
	struct pf_event_filter filter;
	const char *file; /* read itself; NULL: through the agent */
	uint64_t shown;
};

/* ---- what is asked for -------------------------------------------------------------------- */

static int read_filter(struct audit *audit, struct pf_err *err)
{
	const struct pf_cli *cli = audit->cli;
	struct timespec ts;
	uint64_t now;
	int r = 0;

	clock_gettime(CLOCK_REALTIME, &ts);
	now = (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
	for (size_t i = 0; i < PF_CLI_FILTERS && !r; i++)
		if (cli->filters[i])
			r = pf_event_filter_set(&audit->filter, pf_cli_filter_keys[i],
						cli->filters[i], now, err);
	if (r < 0)
		return r;
	if ((cli->seen & PF_OPTION_FOLLOW) && !audit->filter.last && !audit->filter.since_ns)
		audit->filter.last = FOLLOW_LAST;
	return 0;
}

/* ---- showing ------------------------------------------------------------------------------ */

/* @line: the event's JSON, or NULL for one to be made. */
static int show(struct audit *audit, const struct pf_event *event, const char *line, size_t len)
{
	pf_auto_free char *made = NULL;
	int r = 0;

	audit->filter.after = event->seq;
	audit->shown++;
	if (!(audit->cli->seen & PF_OPTION_JSON))
		return pf_audit_print(&audit->view, event);
	if (!line) {
		r = pf_wire_encode_event(event, &made);
		line = made;
		len = made ? strlen(made) : 0;
	}
	if (!r) {
		fwrite(line, 1, len, stdout);
		fputc('\n', stdout);
	}
	return r;
}

/* ---- from the file ------------------------------------------------------------------------ */

static int show_file(struct audit *audit, struct pf_err *err)
{
	struct pf_audit_reader *reader = NULL;
	int r = pf_audit_reader_open(audit->file, &audit->filter, &reader, err);

	while (r >= 0) {
		PF_CLEANUP(pf_event_clear) struct pf_event event = {};

		r = pf_audit_reader_next(reader, &event, err);
		if (r > 0 && show(audit, &event, NULL, 0) < 0)
			r = pf_fail(err, ENOMEM, "show an event");
	}
	pf_audit_reader_close(&reader);
	return r == -ENODATA ? 0 : r;
}

/* ---- through the agent -------------------------------------------------------------------- */

static int show_line(struct audit *audit, const char *line, size_t len, struct pf_err *err)
{
	PF_CLEANUP(pf_event_clear) struct pf_event event = {};
	int r;

	if (!len)
		return 0; /* the agent is still looking */
	r = pf_wire_decode_event(line, len, &event, err);
	if (r == -EBADMSG)
		pf_wrap(err, "the agent's answer");
	if (r < 0)
		return r;
	if (show(audit, &event, line, len) < 0)
		return pf_fail(err, ENOMEM, "show an event");
	return 0;
}

static int show_reply(struct audit *audit, const struct pf_reply *reply, struct pf_err *err)
{
	const char *at = reply->body, *end = reply->body + reply->len;

	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at)) ?: end;
		int r = show_line(audit, at, (size_t)(newline - at), err);

		if (r < 0)
			return r;
		at = newline + 1;
	}
	return 0;
}

/* One answer. @more: set when it was full, so that there may be another. */
static int show_page(struct audit *audit, bool *more, struct pf_err *err)
{
	const struct pf_event_filter *filter = &audit->filter;
	PF_CLEANUP(pf_reply_clear) struct pf_reply reply = {};
	char since[PF_WHEN_TEXT_MAX] = "", until[PF_WHEN_TEXT_MAX] = "";
	char after[24], limit[24], last[24];
	const struct pf_argument arguments[] = {
		{"guest", filter->guest},
		{"kind", filter->has_kind ? pf_event_kind_name(filter->kind) : NULL},
		{"cause", filter->has_cause ? pf_event_cause_name(filter->cause) : NULL},
		{"action", filter->has_action ? pf_event_action_name(filter->action) : NULL},
		{"since", filter->since_ns ? pf_when_format(filter->since_ns, since) : NULL},
		{"until", filter->until_ns ? pf_when_format(filter->until_ns, until) : NULL},
		{"after", after},
		{"limit", limit},
		{"last", filter->last ? last : NULL},
		{},
	};
	uint64_t before = audit->shown;
	int r;

	snprintf(after, sizeof(after), "%" PRIu64, filter->after);
	snprintf(limit, sizeof(limit), "%" PRIu64, PAGE);
	snprintf(last, sizeof(last), "%" PRIu64, filter->last);
	r = pf_client_query(audit->cli->socket, "audit", arguments, &reply, err);
	r = r ?: show_reply(audit, &reply, err);
	*more = audit->shown - before == PAGE;
	/* The next page is what came behind it, not the last N again. */
	if (!r || audit->shown > before)
		audit->filter.last = 0;
	return r;
}

static int show_agent(struct audit *audit, struct pf_err *err)
{
	bool more = true;
	int r = 0;

	while (more && !r)
		r = show_page(audit, &more, err);
	return r;
}

/* ---- the command -------------------------------------------------------------------------- */

static int show_all(struct audit *audit, struct pf_err *err)
{
	int r;

	if (audit->file)
		return show_file(audit, err);
	r = show_agent(audit, err);
	/* The record can be read without the agent; what it was asked for so far is shown. */
	if (r != -ENOTCONN || access(PF_AUDIT_PATH, R_OK) < 0)
		return r;
	if (!audit->shown)
		fprintf(stderr, "pinfold: %s; reading %s itself\n", err->text, PF_AUDIT_PATH);
	audit->file = PF_AUDIT_PATH;
	return show_file(audit, err);
}

static int follow(struct audit *audit, struct pf_err *err)
{
	const struct timespec pause = {0, FOLLOW_MS * 1000000L};
	int r;

	do {
		r = show_all(audit, err);
		/* What ended this one was only meant for its beginning. */
		audit->filter.last = 0;
		if (fflush(stdout) != 0)
			return pf_fail(err, errno, "write output");
		nanosleep(&pause, NULL);
	} while (r >= 0);
	return r;
}

static enum pf_exit verify(const struct pf_cli *cli)
{
	const char *file = cli->file ?: PF_AUDIT_PATH;
	struct pf_verdict verdict;
	struct pf_err err = {};

	if (pf_audit_verify(file, &verdict, &err) < 0)
		return pf_cli_fail(&err);
	if (!verdict.intact) {
		printf("%s is not intact at seq %" PRIu64 ": %s\n", file, verdict.wrong,
		       verdict.text);
		return PF_EXIT_NO;
	}
	if (!verdict.count)
		printf("%s is intact: no records\n", file);
	else
		printf("%s is intact: %" PRIu64 " records, seq %" PRIu64 " to %" PRIu64
		       ", hash %s\n",
		       file, verdict.count, verdict.first, verdict.head, verdict.head_hash);
	return PF_EXIT_OK;
}

enum pf_exit pf_cmd_audit(const struct pf_cli *cli)
{
	struct audit audit = {.cli = cli, .file = cli->file};
	struct pf_err err = {};
	int r;

	if (cli->arg_count && strcmp(cli->args[0], "verify") == 0)
		return verify(cli);
	if (cli->arg_count) {
		fprintf(stderr, "pinfold: audit: '%.80s' is not 'verify'\n", cli->args[0]);
		return PF_EXIT_USAGE;
	}
	pf_view_init(&audit.view, cli);
	r = read_filter(&audit, &err);
	if (r < 0) {
		pf_event_filter_clear(&audit.filter);
		fprintf(stderr, "pinfold: %s\n", err.text);
		return PF_EXIT_USAGE;
	}
	r = cli->seen & PF_OPTION_FOLLOW ? follow(&audit, &err) : show_all(&audit, &err);
	pf_event_filter_clear(&audit.filter);
	return r < 0 ? pf_cli_fail(&err) : PF_EXIT_OK;
}
