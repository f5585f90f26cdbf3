// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/model/event.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const kinds[] = {"escape", "drift",  "intrusion", "memory",
				    "qos",    "policy", "agent"};
static const char *const causes[] = {
	"unknown",    "affinity",       "cpuset",   "cgroup-move",   "cpu-offline",
	"cpu-online", "numa-balancing", "fallback", "weight",        "quota",
	"control",    "scheduler",      "syscall",  "kernel-memory", "libvirt",
	"operator",   "start",          "stop",     "lost",          "retention",
	"damage",
};
static const char *const actions[] = {"observed", "repaired", "refused", "failed"};

#define COUNT(names) (sizeof(names) / sizeof((names)[0]))

static int find(const char *const *names, size_t count, const char *text)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(names[i], text) == 0)
			return (int)i;
	return -EINVAL;
}

const char *pf_event_kind_name(enum pf_event_kind kind)
{
	return kinds[kind];
}

const char *pf_event_cause_name(enum pf_event_cause cause)
{
	return causes[cause];
}

const char *pf_event_action_name(enum pf_event_action action)
{
	return actions[action];
}

int pf_event_kind_parse(const char *text, enum pf_event_kind *out)
{
	int i = find(kinds, COUNT(kinds), text);

	if (i < 0)
		return i;
	*out = (enum pf_event_kind)i;
	return 0;
}

int pf_event_cause_parse(const char *text, enum pf_event_cause *out)
{
	int i = find(causes, COUNT(causes), text);

	if (i < 0)
		return i;
	*out = (enum pf_event_cause)i;
	return 0;
}

int pf_event_action_parse(const char *text, enum pf_event_action *out)
{
	int i = find(actions, COUNT(actions), text);

	if (i < 0)
		return i;
	*out = (enum pf_event_action)i;
	return 0;
}

void pf_event_init(struct pf_event *event, enum pf_event_kind kind, enum pf_event_cause cause,
		   enum pf_event_action action)
{
	*event = (struct pf_event){
		.kind = kind,
		.cause = cause,
		.action = action,
		.from_cpu = -1,
		.from_node = -1,
		.to_cpu = -1,
		.to_node = -1,
	};
}

void pf_event_clear(struct pf_event *event)
{
	free(event->guest);
	free(event->actor.cgroup);
	free(event->detail);
	*event = (struct pf_event){};
}
