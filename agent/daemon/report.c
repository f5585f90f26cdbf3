// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/report.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/audit/store.h"
#include "agent/base/cleanup.h"
#include "agent/base/file.h"
#include "agent/base/log.h"
#include "agent/model/promise_diff.h"
#include "agent/observe/records.h"

static struct pf_audit_options options_of(const struct pf_agent *agent)
{
	return (struct pf_audit_options){
		.path = agent->config.audit_path,
		.max_age_usec = agent->config.audit_max_age_usec,
		.max_size_bytes = agent->config.audit_max_size_bytes,
		.journal = agent->config.audit_journal,
	};
}

int pf_report_open(struct pf_agent *agent, struct pf_err *err)
{
	const struct pf_audit_options options = options_of(agent);

	return pf_audit_open(&options, &agent->audit, err);
}

void pf_report_close(struct pf_agent *agent)
{
	struct pf_audit_state state;
	uint64_t lost;

	pf_audit_take_state(agent->audit, &state);
	lost = pf_audit_close(&agent->audit);
	if (lost)
		pf_log(LOG_WARNING, "%" PRIu64 " events could not be recorded: %s", lost,
		       state.problem[0] ? state.problem : "there was no room for them");
}

void pf_report_configure(struct pf_agent *agent)
{
	const struct pf_audit_options options = options_of(agent);

	pf_audit_configure(agent->audit, &options);
}

void pf_report_news(struct pf_agent *agent)
{
	struct pf_audit_state state;

	pf_audit_take_state(agent->audit, &state);
	if (state.notice[0])
		pf_log(LOG_WARNING, "%s", state.notice);
	if (strcmp(agent->audit_problem, state.problem) == 0)
		return;
	if (state.problem[0])
		pf_log(LOG_WARNING, "events can't be recorded, guests are held all the same: %s",
		       state.problem);
	else
		pf_log(LOG_NOTICE, "events are recorded again");
	memcpy(agent->audit_problem, state.problem, sizeof(agent->audit_problem));
}

void pf_report_event(struct pf_agent *agent, const struct pf_held *held, struct pf_event *event)
{
	if (held) {
		memcpy(event->uuid, held->uuid, sizeof(event->uuid));
		if (!event->guest && held->name)
			event->guest = strdup(held->name);
	}
	pf_audit_add(agent->audit, event);
}

static void set_detail(struct pf_event *event, const char *fmt, va_list ap)
{
	if (fmt && vasprintf(&event->detail, fmt, ap) < 0)
		event->detail = NULL;
}

void pf_report_agent(struct pf_agent *agent, enum pf_event_cause cause, const char *fmt, ...)
{
	struct pf_event event;
	va_list ap;

	pf_event_init(&event, PF_EVENT_AGENT, cause, PF_EVENT_OBSERVED);
	va_start(ap, fmt);
	set_detail(&event, fmt, ap);
	va_end(ap);
	pf_report_event(agent, NULL, &event);
}

static void name_client(int root, struct pf_event *event, const struct pf_peer *who)
{
	pf_auto_free char *comm = NULL;
	char file[32];

	if (who->pid <= 0)
		return;
	snprintf(file, sizeof(file), "/proc/%d/comm", (int)who->pid);
	event->has_actor = true;
	event->actor.pid = who->pid;
	event->actor.uid = who->uid;
	if (pf_file_read(root, file, &comm, NULL) == 0)
		snprintf(event->actor.comm, sizeof(event->actor.comm), "%s", comm);
	event->actor.cgroup = pf_record_group_path(0, who->pid);
}

void pf_report_operator(struct pf_agent *agent, const struct pf_held *held,
			const struct pf_peer *who, const char *fmt, ...)
{
	struct pf_event event;
	va_list ap;

	pf_event_init(&event, PF_EVENT_POLICY, PF_EVENT_OPERATOR, PF_EVENT_OBSERVED);
	name_client(agent->root, &event, who);
	va_start(ap, fmt);
	set_detail(&event, fmt, ap);
	va_end(ap);
	pf_report_event(agent, held, &event);
}

/* ---- promises ----------------------------------------------------------------------------- */

static void report_promise(struct pf_agent *agent, const struct pf_guest *old,
			   const struct pf_guest *new)
{
	pf_auto_free char *text = NULL;
	struct pf_event event;

	if (pf_promise_diff(&old->promise, &new->promise, &text) < 0 || !text)
		return;
	pf_event_init(&event, PF_EVENT_POLICY, PF_EVENT_LIBVIRT, PF_EVENT_OBSERVED);
	memcpy(event.uuid, new->uuid, sizeof(event.uuid));
	event.guest = new->name ? strdup(new->name) : NULL;
	event.detail = pf_take_ptr(text);
	pf_report_event(agent, NULL, &event);
}

/* A guest that was started anew has a promise of its own, not a changed one. */
void pf_report_promises(struct pf_agent *agent, const struct pf_guests *old,
			const struct pf_guests *new)
{
	for (size_t i = 0; i < new->count; i++) {
		const struct pf_guest *before = pf_guests_find(old, new->items[i].uuid);

		if (before && before->pid == new->items[i].pid)
			report_promise(agent, before, &new->items[i]);
	}
}
