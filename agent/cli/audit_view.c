// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/cli/audit_view.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/base/cleanup.h"

static void put_time(FILE *out, uint64_t wall_ns)
{
	time_t seconds = (time_t)(wall_ns / 1000000000);
	char text[32];
	struct tm tm;

	localtime_r(&seconds, &tm);
	strftime(text, sizeof(text), "%m-%d %H:%M:%S", &tm);
	fprintf(out, "%s.%03u", text, (unsigned int)(wall_ns / 1000000 % 1000));
}

/* "cpu 2/n1": what is not known is left out. */
static void put_place(FILE *out, int cpu, int node)
{
	if (cpu >= 0)
		fprintf(out, "%d", cpu);
	if (node >= 0)
		fprintf(out, "%sn%d", cpu >= 0 ? "/" : "", node);
	if (cpu < 0 && node < 0)
		fputc('?', out);
}

static void put_move(FILE *out, const struct pf_event *event)
{
	bool from = event->from_cpu >= 0 || event->from_node >= 0;
	bool to = event->to_cpu >= 0 || event->to_node >= 0;

	if (!from && !to)
		return;
	fputs(" cpu ", out);
	put_place(out, event->from_cpu, event->from_node);
	fputs("->", out);
	put_place(out, event->to_cpu, event->to_node);
}

static void put_span(FILE *out, const char *before, uint64_t ns)
{
	if (ns < 10000)
		fprintf(out, "%s%" PRIu64 "ns", before, ns);
	else if (ns < 10000000)
		fprintf(out, "%s%" PRIu64 "us", before, ns / 1000);
	else if (ns < UINT64_C(10000000000))
		fprintf(out, "%s%" PRIu64 "ms", before, ns / 1000000);
	else
		fprintf(out, "%s%" PRIu64 "s", before, ns / 1000000000);
}

/* Everything behind the action, which has a colour of its own. */
static char *make_tail(const struct pf_event *event)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	if (event->has_latency)
		put_span(out, " in ", event->latency_ns);
	if (event->has_outside)
		put_span(out, " outside ", event->outside_ns);
	if (event->suppressed)
		fprintf(out, " (+%" PRIu64 " alike)", event->suppressed);
	if (event->detail)
		fprintf(out, "%s", event->has_latency || event->has_outside ? ": " : " ");
	if (event->detail)
		fputs(event->detail, out);
	if (fclose(out) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

/* Time to action. */
static char *make_head(const struct pf_event *event)
{
	char role[PF_ROLE_TEXT_MAX], what[64], *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	put_time(out, event->wall_ns);
	snprintf(what, sizeof(what), "%s/%s", pf_event_kind_name(event->kind),
		 pf_event_cause_name(event->cause));
	fprintf(out, " %-10s %-17s", event->guest ?: "-", what);
	if (event->has_thread)
		fprintf(out, " %s", pf_role_format(event->role, role));
	put_move(out, event);
	if (event->has_actor)
		fprintf(out, " by %s[%d] uid %u", event->actor.comm, event->actor.pid,
			event->actor.uid);
	if (fclose(out) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

static const char *action_color(enum pf_event_action action)
{
	switch (action) {
	case PF_EVENT_REPAIRED:
		return PF_COLOR_GREEN;
	case PF_EVENT_REFUSED:
		return PF_COLOR_CYAN;
	case PF_EVENT_FAILED:
		return PF_COLOR_RED;
	case PF_EVENT_OBSERVED:
		break;
	}
	return PF_COLOR_YELLOW;
}

/* Prints at most @room columns of @text, ending in "..." where cut; 0: all. */
static void print_cut(const struct pf_view *view, char *text, size_t room)
{
	size_t len = strlen(text);

	if (room && pf_term_width(text) > room) {
		size_t keep = room > 3 ? room - 3 : 0;

		/* Byte by byte from the end, stopping between characters only. */
		while (len && (pf_term_width(text) > keep || (text[len] & 0xc0) == 0x80))
			text[--len] = '\0';
		fputs(text, view->out);
		fputs("...", view->out);
		return;
	}
	fputs(text, view->out);
}

int pf_audit_print(const struct pf_view *view, const struct pf_event *event)
{
	pf_auto_free char *raw_head = make_head(event), *raw_tail = make_tail(event);
	pf_auto_free char *head = raw_head ? pf_term_text(raw_head) : NULL;
	pf_auto_free char *tail = raw_tail ? pf_term_text(raw_tail) : NULL;
	const char *action = pf_event_action_name(event->action);
	size_t used, room = 0;

	if (!head || !tail)
		return -ENOMEM;
	used = pf_term_width(head) + 1 + strlen(action);
	fputs(head, view->out);
	fputc(' ', view->out);
	pf_term_color(view, action_color(event->action));
	fputs(action, view->out);
	pf_term_color(view, PF_COLOR_RESET);
	if (view->width && !view->all)
		room = view->width > used + 4 ? view->width - used : 4;
	print_cut(view, tail, room);
	fputc('\n', view->out);
	return 0;
}
