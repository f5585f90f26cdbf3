/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the eBPF programs say, in the words of the record: struct pf_record -> struct pf_event. */
#pragma once

#include <stdint.h>

#include "agent/model/event.h"
#include "bpf/events.h"

/* How far CLOCK_REALTIME and CLOCK_MONOTONIC are from CLOCK_BOOTTIME now, ns. */
struct pf_clocks {
	int64_t wall_ahead_ns;	/* realtime minus boottime */
	int64_t sleep_ns;	/* boottime minus monotonic */
};

void pf_clocks_read(struct pf_clocks *clocks);

/**
 * pf_record_event - the event that a record stands for
 * @group: path of record->cgid, of a refused move the one that record->value names; NULL: gone
 * @out: without guest and actor's cgroup; action is observed or refused; owned by the caller
 *
 * Kinds: escapes, placements and returns are `escape`; moves, masks, knobs and what the guard refused
 * `drift`; page moves, also refused ones, `memory`; the rest `agent`. Detail says what the fields can't: which knob got which text, the
 * group that a thread went to, what the flags mean.
 *
 * Return: 0 or -ENOMEM (@out is cleared).
 */
int pf_record_event(const struct pf_record *record, const char *group,
		    const struct pf_clocks *clocks, struct pf_event *out);

/* The role of the thread or leaf. Return: false when the record names none. */
bool pf_record_role(const struct pf_record *record, struct pf_role *out);

/**
 * pf_record_group_path - the path of the group with that id, from the cgroup root
 *
 * By the id alone (open_by_handle_at), so that it is the group of the moment of the record, or
 * else by a living process in it. Return: malloc'ed; NULL when neither is there any more.
 */
char *pf_record_group_path(uint64_t cgid, pid_t pid);
