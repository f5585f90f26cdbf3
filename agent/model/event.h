/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An event: one thing that happened to a guest's promise, or that the agent did about it. What the
 * record keeps (docs/audit-schema.md) and `pinfold audit` shows. Plain data.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/model/role.h"

enum pf_event_kind {
	PF_EVENT_ESCAPE,    /* a thread was put on a CPU or node outside its promise */
	PF_EVENT_DRIFT,	    /* a mask, group or knob left what was promised */
	PF_EVENT_INTRUSION, /* somebody else ran on a CPU that was promised alone */
	PF_EVENT_MEMORY,
	PF_EVENT_QOS,
	PF_EVENT_POLICY, /* a promise changed: libvirt, metadata, hold, release */
	PF_EVENT_AGENT,	 /* the agent itself: start, stop, records lost, store set aside */
};

enum pf_event_cause {
	PF_EVENT_UNKNOWN,
	PF_EVENT_AFFINITY,
	PF_EVENT_CPUSET,
	PF_EVENT_CGROUP_MOVE,
	PF_EVENT_CPU_OFFLINE,
	PF_EVENT_CPU_ONLINE,
	PF_EVENT_NUMA_BALANCING,
	PF_EVENT_FALLBACK,
	PF_EVENT_WEIGHT,
	PF_EVENT_QUOTA,
	PF_EVENT_CONTROL,   /* another cgroup.* file */
	PF_EVENT_SCHEDULER, /* the scheduler's own choice inside the mask it was given */
	PF_EVENT_SYSCALL,   /* move_pages(2), migrate_pages(2), mbind(2) */
	PF_EVENT_KERNEL_MEMORY, /* compaction, offlining, demotion */
	PF_EVENT_LIBVIRT,
	PF_EVENT_OPERATOR, /* pinfold hold, release, a reload */
	PF_EVENT_START,
	PF_EVENT_STOP,
	PF_EVENT_LOST, /* events that were not recorded; detail says how many and why */
	PF_EVENT_RETENTION, /* the oldest events were removed, by age or size */
	PF_EVENT_DAMAGE,    /* the record could not be read; it was set aside and a new one begun */
};

enum pf_event_action {
	PF_EVENT_OBSERVED,
	PF_EVENT_REPAIRED,
	PF_EVENT_REFUSED,
	PF_EVENT_FAILED,
};

struct pf_event_actor {
	pid_t pid;
	char comm[16];
	uid_t uid;
	char *cgroup; /* path from the cgroup root; NULL when it is gone */
};

struct pf_event {
	uint64_t seq;	  /* given by the store, from 1 without gaps; 0 before */
	uint64_t wall_ns; /* CLOCK_REALTIME */
	uint64_t boot_ns; /* CLOCK_BOOTTIME: when the kernel saw it */
	char uuid[37];	  /* "" for events of the agent itself */
	char *guest;	  /* name; NULL for events of the agent itself */
	enum pf_event_kind kind;
	enum pf_event_cause cause;
	enum pf_event_action action;
	bool has_thread;
	pid_t tid;
	char comm[16];
	struct pf_role role;
	int from_cpu; /* -1: no such place */
	int from_node;
	int to_cpu;
	int to_node;
	bool has_actor;
	struct pf_event_actor actor;
	bool has_latency;
	uint64_t latency_ns; /* from the cause to the repair that was read back */
	bool has_outside;
	uint64_t outside_ns; /* how long the thread ran outside */
	uint64_t suppressed; /* events of the same thread held back before this one */
	char *detail;	     /* one line; NULL when there is nothing to add */
	uint64_t record_seq; /* the eBPF record that it is made of, 0: of none; not stored */
};

/* "escape", "cgroup-move", "repaired": the words of `pinfold audit` and its JSON. */
const char *pf_event_kind_name(enum pf_event_kind kind);
const char *pf_event_cause_name(enum pf_event_cause cause);
const char *pf_event_action_name(enum pf_event_action action);

/* Each reads its name back. Return: 0 or -EINVAL, @out untouched. */
int pf_event_kind_parse(const char *text, enum pf_event_kind *out);
int pf_event_cause_parse(const char *text, enum pf_event_cause *out);
int pf_event_action_parse(const char *text, enum pf_event_action *out);

/* An event without places, thread and actor: all -1, 0 and NULL as they should be. */
void pf_event_init(struct pf_event *event, enum pf_event_kind kind, enum pf_event_cause cause,
		   enum pf_event_action action);

/* Frees what it owns and zeroes it. */
void pf_event_clear(struct pf_event *event);
