// SPDX-License-Identifier: GPL-2.0-or-later
#define SD_JOURNAL_SUPPRESS_LOCATION
#include "agent/audit/journal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <syslog.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>

#include "agent/base/cleanup.h"

#define FIELDS_MAX 16

struct entry {
	struct iovec fields[FIELDS_MAX];
	int count;
};

/* A field that finds no memory or room is left out: the others still tell what happened. */
static void add(struct entry *entry, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void add(struct entry *entry, const char *fmt, ...)
{
	char *text;
	va_list ap;
	int len;

	if (entry->count == FIELDS_MAX)
		return;
	va_start(ap, fmt);
	len = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (len >= 0)
		entry->fields[entry->count++] = (struct iovec){text, (size_t)len};
}

static int priority(const struct pf_event *event)
{
	if (event->action == PF_EVENT_FAILED || event->cause == PF_EVENT_LOST ||
	    event->cause == PF_EVENT_DAMAGE)
		return LOG_WARNING;
	return event->kind == PF_EVENT_AGENT || event->kind == PF_EVENT_POLICY ? LOG_INFO
									       : LOG_NOTICE;
}

char *pf_journal_message(const struct pf_event *event)
{
	pf_auto_free char *text = NULL;
	char role[PF_ROLE_TEXT_MAX] = "";
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	if (event->guest)
		fprintf(out, "guest '%s': ", event->guest);
	fprintf(out, "%s", pf_event_kind_name(event->kind));
	if (event->cause != PF_EVENT_UNKNOWN)
		fprintf(out, " (%s)", pf_event_cause_name(event->cause));
	if (event->has_thread)
		fprintf(out, " of %s [%d]", pf_role_format(event->role, role), event->tid);
	if (event->from_cpu >= 0 && event->to_cpu >= 0)
		fprintf(out, " from CPU %d to %d", event->from_cpu, event->to_cpu);
	if (event->has_actor)
		fprintf(out, " by %s[%d] uid %u", event->actor.comm, event->actor.pid,
			event->actor.uid);
	fprintf(out, ", %s", pf_event_action_name(event->action));
	if (event->has_latency)
		fprintf(out, " after %" PRIu64 " us", event->latency_ns / 1000);
	if (event->detail)
		fprintf(out, ": %s", event->detail);
	if (fclose(out) != 0)
		return NULL;
	return pf_take_ptr(text);
}

static void add_who(struct entry *entry, const struct pf_event *event)
{
	char role[PF_ROLE_TEXT_MAX];

	if (event->guest)
		add(entry, "PINFOLD_GUEST=%s", event->guest);
	if (*event->uuid)
		add(entry, "PINFOLD_GUEST_UUID=%s", event->uuid);
	if (event->has_thread)
		add(entry, "PINFOLD_THREAD=%d", event->tid);
	if (event->has_thread)
		add(entry, "PINFOLD_ROLE=%s", pf_role_format(event->role, role));
	if (event->has_actor)
		add(entry, "PINFOLD_ACTOR=%s[%d] uid %u", event->actor.comm, event->actor.pid,
		    event->actor.uid);
	if (event->has_latency)
		add(entry, "PINFOLD_LATENCY_NS=%" PRIu64, event->latency_ns);
}

void pf_journal_send(const struct pf_event *event, const struct pf_hash *hash)
{
	pf_auto_free char *message = pf_journal_message(event);
	char digits[PF_HASH_BYTES * 2 + 1];
	struct entry entry = {};

	add(&entry, "MESSAGE=%s", message ?: pf_event_kind_name(event->kind));
	add(&entry, "PRIORITY=%d", priority(event));
	add(&entry, "PINFOLD_KIND=%s", pf_event_kind_name(event->kind));
	add(&entry, "PINFOLD_CAUSE=%s", pf_event_cause_name(event->cause));
	add(&entry, "PINFOLD_ACTION=%s", pf_event_action_name(event->action));
	add_who(&entry, event);
	if (hash) {
		add(&entry, "PINFOLD_SEQ=%" PRIu64, event->seq);
		add(&entry, "PINFOLD_HASH=%s", pf_hash_format(hash, digits));
	}
	/* 0 where nobody listens; of a failure there is nobody to tell: the store has the event. */
	sd_journal_sendv(entry.fields, entry.count);
	for (int i = 0; i < entry.count; i++)
		free(entry.fields[i].iov_base);
}
