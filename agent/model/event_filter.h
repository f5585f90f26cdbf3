/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which events are asked for: the options of `pinfold audit`, the query of GET /v1/audit. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/base/err.h"
#include "agent/model/event.h"

struct pf_event_filter {
	char *guest; /* name or UUID; NULL: all, the agent's own included. Owned */
	bool has_kind;
	bool has_cause;
	bool has_action;
	enum pf_event_kind kind;
	enum pf_event_cause cause;
	enum pf_event_action action;
	uint64_t since_ns; /* wall clock; 0: from the first */
	uint64_t until_ns; /* 0: no end */
	uint64_t after;    /* a seq: only newer ones */
	uint64_t limit;    /* at most so many, the oldest first; 0: all */
	uint64_t last;     /* only the newest so many of those that fit; 0: all */
};

/**
 * pf_event_filter_set - takes one key and its value
 * @key: "guest", "kind", "cause", "action", "since", "until", "after", "limit" or "last"
 * @now_ns: what relative times count from
 *
 * Return: 0, -EINVAL with words that name what is allowed, or -ENOMEM.
 */
int pf_event_filter_set(struct pf_event_filter *filter, const char *key, const char *value,
			uint64_t now_ns, struct pf_err *err);

/* All keys, ending with NULL. */
extern const char *const pf_event_filter_keys[];

void pf_event_filter_clear(struct pf_event_filter *filter);
