// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/model/event_filter.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/model/when.h"

const char *const pf_event_filter_keys[] = {"guest", "kind",  "cause", "action", "since",
					    "until", "after", "limit", "last",   NULL};

static int set_guest(struct pf_event_filter *filter, const char *value, struct pf_err *err)
{
	char *guest = strdup(value);

	if (!guest)
		return pf_fail(err, ENOMEM, "read a filter");
	free(filter->guest);
	filter->guest = guest;
	return 0;
}

static int set_kind(struct pf_event_filter *filter, const char *value, struct pf_err *err)
{
	if (pf_event_kind_parse(value, &filter->kind) < 0)
		return pf_fail_plain(err, EINVAL,
				     "no kind '%.40s': there are escape, drift, intrusion, memory, "
				     "qos, policy and agent",
				     value);
	filter->has_kind = true;
	return 0;
}

static int set_cause(struct pf_event_filter *filter, const char *value, struct pf_err *err)
{
	if (pf_event_cause_parse(value, &filter->cause) < 0)
		return pf_fail_plain(err, EINVAL,
				     "no cause '%.40s': pinfold(1) lists them, such as affinity, "
				     "cpuset or cgroup-move",
				     value);
	filter->has_cause = true;
	return 0;
}

static int set_action(struct pf_event_filter *filter, const char *value, struct pf_err *err)
{
	if (pf_event_action_parse(value, &filter->action) < 0)
		return pf_fail_plain(err, EINVAL,
				     "no action '%.40s': there are observed, repaired, refused and "
				     "failed",
				     value);
	filter->has_action = true;
	return 0;
}

static int set_time(uint64_t *out, const char *key, const char *value, uint64_t now_ns,
		    struct pf_err *err)
{
	if (pf_when_parse(value, now_ns, out) < 0)
		return pf_fail_plain(err, EINVAL,
				     "%s '%.40s' is no time: write 2026-11-23T10:00:00Z, "
				     "\"2026-11-23 10:00\", 10:00, today, yesterday or -2h",
				     key, value);
	return 0;
}

static int set_number(uint64_t *out, const char *key, const char *value, struct pf_err *err)
{
	unsigned long long number;
	char *end;

	errno = 0;
	number = strtoull(value, &end, 10);
	if (!isdigit((unsigned char)*value) || *end || errno || number > INT64_MAX)
		return pf_fail_plain(err, EINVAL, "%s '%.40s' is no number", key, value);
	*out = number;
	return 0;
}

int pf_event_filter_set(struct pf_event_filter *filter, const char *key, const char *value,
			uint64_t now_ns, struct pf_err *err)
{
	if (strcmp(key, "guest") == 0)
		return set_guest(filter, value, err);
	if (strcmp(key, "kind") == 0)
		return set_kind(filter, value, err);
	if (strcmp(key, "cause") == 0)
		return set_cause(filter, value, err);
	if (strcmp(key, "action") == 0)
		return set_action(filter, value, err);
	if (strcmp(key, "since") == 0)
		return set_time(&filter->since_ns, key, value, now_ns, err);
	if (strcmp(key, "until") == 0)
		return set_time(&filter->until_ns, key, value, now_ns, err);
	if (strcmp(key, "after") == 0)
		return set_number(&filter->after, key, value, err);
	if (strcmp(key, "limit") == 0)
		return set_number(&filter->limit, key, value, err);
	if (strcmp(key, "last") == 0)
		return set_number(&filter->last, key, value, err);
	return pf_fail_plain(err, EINVAL, "no filter '%.40s'", key);
}

void pf_event_filter_clear(struct pf_event_filter *filter)
{
	free(filter->guest);
	*filter = (struct pf_event_filter){};
}
