/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the eBPF programs tell user space through the ring buffer. Included by both sides; every
 * field has an explicit width, and a change of layout is a change of PF_ABI (policy.h).
 *
 * The words are fixed in docs/architecture.md, the fields of each kind in docs/bpf-abi.md.
 */
#pragma once

#include <linux/types.h>

#define PF_COMM_LEN 16
#define PF_KNOB_LEN 24
#define PF_TEXT_LEN 80

/* "no such CPU" and "no such node" in a record's 16-bit fields */
#define PF_NOWHERE 0xffff

enum pf_rec_role {
	PF_REC_ROLE_NONE = 0,
	PF_REC_ROLE_VCPU = 1,
	PF_REC_ROLE_EMULATOR = 2,
	PF_REC_ROLE_IOTHREAD = 3,
	PF_REC_ROLE_HELPER = 4,
};

enum pf_rec_kind {
	PF_REC_ESCAPE = 1, /* put on a CPU outside; value: 0 */
	PF_REC_PLACED = 2, /* first placement of a new thread, outside; value: 0 */
	PF_REC_RETURN = 3, /* a stay outside is over; value: ns it ran outside */
	PF_REC_MOVED = 4,  /* attached to a group; value: id of the group it was in, 0 unknown */
	PF_REC_MASK = 5,   /* affinity changed by sched_setaffinity(2) */
	PF_REC_KNOB = 6,   /* a control file was written; struct pf_knob_record */
	PF_REC_CPU = 7,    /* to_cpu came online or is going offline; value: 1 or 0 */
	PF_REC_NUMA = 8,   /* NUMA balancing moves the thread from from_cpu to to_cpu */
	PF_REC_PAGES = 9,  /* pages were migrated; value: how many, reason in from_cpu */
	PF_REC_GROUP = 10, /* a child group was made in a guest's group and inherits its slot */
	PF_REC_REFUSED = 11, /* the guard refused it; struct pf_knob_record, see there */
	PF_REC_THREAD = 12, /* a new thread; one record until user space has looked at the guest */
};

enum pf_rec_cause {
	PF_CAUSE_UNKNOWN = 0, /* a hook that would have told is missing (capabilities) */
	PF_CAUSE_AFFINITY = 1,
	PF_CAUSE_CPUSET = 2,
	PF_CAUSE_CGROUP_MOVE = 3,
	PF_CAUSE_CPU_OFFLINE = 4,
	PF_CAUSE_NUMA_BALANCING = 5,
	PF_CAUSE_FALLBACK = 6, /* the kernel found no allowed CPU and took another */
	PF_CAUSE_WEIGHT = 7,
	PF_CAUSE_QUOTA = 8,
	PF_CAUSE_CONTROL = 9,	/* another cgroup.* file: subtree_control, type, freeze */
	PF_CAUSE_SCHEDULER = 10, /* the scheduler's own choice inside the mask it was given */
	PF_CAUSE_SYSCALL = 11,	/* pages: move_pages(2), migrate_pages(2), mbind(2) */
	PF_CAUSE_MEMORY = 12,	/* pages: compaction, offlining, demotion and the like */
};

enum pf_rec_flag {
	PF_RF_OUT_CPU = 1 << 0,	    /* to_cpu is outside the promised CPUs */
	PF_RF_OUT_NODE = 1 << 1,    /* to_node is outside the promised nodes */
	PF_RF_LEFT = 1 << 2,	    /* judged by the promise of the group that the thread left */
	PF_RF_THREADGROUP = 1 << 3, /* the whole process was moved, the record names the leader */
	PF_RF_ACTOR = 1 << 4,	    /* the actor's fields are valid */
	PF_RF_INFERRED = 1 << 5,    /* cause deduced from masks: a hook is missing, no actor */
	PF_RF_FALLBACK = 1 << 6,    /* the kernel had to widen the thread's mask */
	PF_RF_BEGUN = 1 << 7,	    /* the write goes on; another record, of the same time, ends it */
};

/* Who did it. */
struct pf_actor {
	__u64 cgid;
	__u32 pid; /* the thread */
	__u32 tgid;
	__u32 uid; /* in the initial user namespace */
	__u32 reserved;
	char comm[PF_COMM_LEN];
};
_Static_assert(sizeof(struct pf_actor) == 40, "pf_actor is ABI");

struct pf_record {
	__u64 boot_ns; /* CLOCK_BOOTTIME; user space adds the offset to wall time */
	__u64 seq;     /* from 1, unique for as long as the pins live; a gap is a lost record */
	__u64 cgid;    /* the thread's group, or the group that the act was done to */
	__u64 value;   /* by kind, see enum pf_rec_kind */
	struct pf_actor actor;
	char comm[PF_COMM_LEN];
	__u32 tid; /* in the initial pid namespace; 0 when no thread is concerned */
	__u32 tgid;
	__u32 guest;	  /* the number that user space gave the guest */
	__u32 role_index; /* vCPU or iothread number */
	__u16 slot;
	__u16 role;
	__u16 kind;
	__u16 cause;
	__u16 flags;
	__u16 from_cpu;
	__u16 to_cpu;
	__u16 from_node;
	__u16 to_node;
	__u16 reserved;
	__u32 suppressed; /* records of this thread that the token bucket held back before it */
};
_Static_assert(sizeof(struct pf_record) == 128, "pf_record is ABI");

/*
 * A PF_REC_KNOB record; only successful writes are told.
 *
 * PF_REC_REFUSED: with a thread, knob is the call that wanted to change it ("sched_setaffinity") or
 * the control file that it would have been moved by, text what was written there and value the
 * group it would have gone to; without one, knob is the control file and text empty.
 */
struct pf_knob_record {
	struct pf_record rec;
	char knob[PF_KNOB_LEN]; /* "cpuset.cpus"; cut, always terminated */
	char text[PF_TEXT_LEN]; /* what was written; cut, always terminated */
};
_Static_assert(sizeof(struct pf_knob_record) == 232, "pf_knob_record is ABI");

/* One line of the settle iterator: a guest's thread, and what it ran outside until now. */
struct pf_stay {
	__u64 cgid;
	__u64 away_ns;	 /* closed stays on CPUs outside the promised ones */
	__u64 remote_ns; /* closed stays on nodes outside the promised ones */
	__u64 open_ns;	 /* the stay that goes on, up to the scheduler's last update (<= 1 tick) */
	__u32 tid;
	__u32 tgid;
	__u32 cpu;
	__u16 slot;
	__u16 flags; /* PF_RF_OUT_CPU, PF_RF_OUT_NODE, PF_RF_LEFT */
	char comm[PF_COMM_LEN];
};
_Static_assert(sizeof(struct pf_stay) == 64, "pf_stay is ABI");
