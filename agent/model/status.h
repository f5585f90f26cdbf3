/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the agent says of its guests: desired beside actual, and whether the promise is kept.
 * diff/ makes one per guest; `pinfold status` shows it. Sets that were not promised are empty.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/set.h"
#include "agent/model/finding.h"
#include "agent/model/guest.h"
#include "agent/model/policy.h"
#include "agent/model/role.h"

enum pf_state {
	PF_STATE_HELD,	     /* as promised, read back from the kernel */
	PF_STATE_DRIFTING,   /* not as promised, and it can be put right */
	PF_STATE_IMPOSSIBLE, /* not as promised, and it can't be: the reason says why */
	PF_STATE_OBSERVED,   /* looked at only; a reason, where there is one, says what is off */
};

/*
 * What the eBPF programs have counted since they look at the guest. Times go on while a thread is
 * outside: they are exact up to the scheduler's last tick.
 */
struct pf_counts {
	uint64_t escapes;    /* put on a CPU outside its promised CPUs or nodes */
	uint64_t remote;     /* those of them outside the promised nodes */
	uint64_t stays;	     /* home -> outside */
	uint64_t away_ns;    /* ran outside the promised CPUs */
	uint64_t remote_ns;  /* ran outside the promised nodes */
	uint64_t told;	     /* records handed to the agent */
	uint64_t suppressed; /* records that the token bucket held back */
	uint64_t dropped;    /* records for which there was no room */
	uint64_t untimed;    /* escapes that could be counted but not timed */
	uint64_t pages;	     /* pages that somebody moved */
	uint64_t refused;    /* changes by strangers that the guard refused */
};

struct pf_role_counts {
	struct pf_role role;
	struct pf_counts counts;
};

struct pf_thread_status {
	pid_t tid;
	char comm[16];
	struct pf_role role;
	char *cgroup; /* where it is */
	struct pf_set cpus_desired;
	struct pf_set cpus_actual;
	struct pf_set nodes_desired;
	struct pf_set nodes_actual;
	int on_cpu; /* -1: not known */
	int on_node;
	enum pf_state state;
	bool timed; /* the programs know it: the two times count */
	uint64_t away_ns;
	uint64_t remote_ns;
};

struct pf_knob_status {
	char *group;
	char *knob;
	char *desired;
	char *actual;
	enum pf_state state;
};

struct pf_guest_status {
	char uuid[37];
	char *name;
	pid_t pid;
	enum pf_guest_source source;
	enum pf_mode mode;
	enum pf_isolation isolation;
	bool released; /* by `pinfold release`: mode is observe until `pinfold hold` */
	enum pf_state state;
	char *reason; /* NULL when there is nothing to say */
	char *under_way; /* what is being done to it and has not returned; NULL: nothing */
	char *not_put_back; /* why the last release left something; NULL: it did not */
	uint64_t untold; /* acts and stays outside of which it is not known yet what comes of them */
	struct pf_thread_status *threads;
	size_t thread_count;
	struct pf_knob_status *knobs;
	size_t knob_count;
	struct pf_cell *cells;
	size_t cell_count;
	struct pf_findings findings;
	bool counted; /* the programs look at it: what follows counts */
	struct pf_counts counts;
	struct pf_role_counts *roles; /* in the order in which they were met */
	size_t role_count;
};

struct pf_capability {
	char *name;
	bool available;
	char *reason; /* why not, and what is done instead; NULL when available */
};

struct pf_status {
	char hostname[65];
	char kernel[65];
	char *agent_version;
	struct pf_set cpus_online;
	struct pf_set nodes_online;
	char *libvirt; /* "connected", or what is wrong */
	uint64_t unstored; /* events that are told and not on record yet */
	struct pf_capability *capabilities;
	size_t capability_count;
	struct pf_guest_status *guests; /* ascending by name */
	size_t guest_count;
};

const char *pf_state_name(enum pf_state state);
int pf_state_parse(const char *text, enum pf_state *out); /* 0 or -EINVAL */

void pf_guest_status_clear(struct pf_guest_status *guest);
void pf_status_clear(struct pf_status *status);
