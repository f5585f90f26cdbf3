/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What user space tells the eBPF programs, and the counters they keep. Included by both sides.
 *
 * struct pf_policy is one memory-mapped array: user space writes it while the programs read it.
 * The order of writing is the contract: a slot first, then the bucket that leads to it, its key
 * last (bpf/table.h does it; the programs do the same for new child groups).
 */
#pragma once

#include <linux/types.h>

/* Version of everything that is pinned: this file, events.h and the map shapes. */
#define PF_ABI 2
#define PF_POLICY_MAGIC 0x70696e666f6c6431ULL /* "pinfold1" */

#define PF_CPUS 4096
#define PF_NODES 1024
#define PF_SLOTS 4096
#define PF_GUESTS 1024
#define PF_BUCKETS (1 << 14)
#define PF_PROBES 16 /* a key stands at most this far from its place */
#define PF_TOMBSTONE (~0ULL)
#define PF_BUCKET_WORDS 6 /* CPUs / 64 whose home is in the bucket itself */

/* Scale of the token bucket: jiffies << PF_TICK_SHIFT. */
#define PF_TICK_SHIFT 16

enum pf_wake {
	PF_WAKE_ANY = 0,      /* the consumer sleeps: wake it for the next record */
	PF_WAKE_PRESSURE = 1, /* it comes by itself: wake it only when the ring fills up */
	PF_WAKE_NONE = 2,     /* it has been woken for that, too */
};

enum pf_slot_flag {
	PF_SLOT_EVERY = 1 << 0,	 /* tell every move outside, not only the first of a stay */
	PF_SLOT_SILENT = 1 << 1, /* count and time, tell nothing */
	PF_SLOT_GUARD = 1 << 2,	 /* refuse that strangers change it (guard.bpf.c) */
};

/* Hooks whose absence changes what a record can say; bits of pf_policy_head.hooks. */
enum pf_hook {
	PF_HOOK_AFFINITY = 1 << 0,
	PF_HOOK_MASK = 1 << 1,
	PF_HOOK_KNOB = 1 << 2,
	PF_HOOK_FALLBACK = 1 << 3,
	PF_HOOK_HOTPLUG = 1 << 4,
	PF_HOOK_NUMA = 1 << 5,
	PF_HOOK_PAGES = 1 << 6,
	PF_HOOK_PAGES_TARGET = 1 << 7,
};

#define PF_CAPABILITIES_MAX 16

struct pf_policy_head {
	__u64 magic;
	__u64 build; /* hash of the object file that made the pins */
	__u32 abi;
	__u32 slots; /* rows of the counters map; at most PF_SLOTS */
	__u32 hooks;
	__u32 self_tgid;    /* whose own acts are not told, 0 nobody */
	__u64 bucket_cost;  /* one record, in jiffies << PF_TICK_SHIFT */
	__u64 bucket_depth; /* the burst, same unit */
	__u32 ring_bytes;
	__u32 live;				   /* 0: another generation of programs counts */
	__u32 cpus_down;			   /* CPUs that are going or have gone offline */
	__u32 slot_hint;			   /* user space's: slots below it are in use */
	__u32 lane_records;			   /* room of a CPU's lane, a power of two */
	__s32 capability[PF_CAPABILITIES_MAX];	   /* 0 attached, -errno refused; by loader.c's list */
	__u32 left __attribute__((aligned(64)));   /* guest threads may be in groups not in the table */
	__u32 moving;				   /* writes to cgroup.procs or .threads under way */
	__u64 seq __attribute__((aligned(64)));	   /* last record's */
	__u32 wake;				   /* enum pf_wake; read after seq was raised */
	__u32 reserved1;
	__u64 reserved2[6];
};

/*
 * slot_plus_1 is also the claim: whoever turns it from 0 owns the bucket and writes the key last.
 * key: 0 never used (ends a search), PF_TOMBSTONE free again (does not end a search).
 * home is a copy of the slot's, so that the common case looks at this cache line only; the slot is
 * written first, and then every bucket that leads to it.
 */
struct pf_bucket {
	__u64 key; /* cgroup id */
	__u32 slot_plus_1;
	__u32 inherited; /* made by the kernel side for a child group */
	__u64 home[PF_BUCKET_WORDS];
} __attribute__((aligned(64)));
_Static_assert(sizeof(struct pf_bucket) == 64, "pf_bucket is ABI");

/* What is promised about 64 CPUs; side by side, because they are asked for together. */
struct pf_cpu_word {
	__u64 home; /* promised, and on promised nodes */
	__u64 cpus; /* promised */
	__u64 near; /* on promised nodes */
};

/* What one role of one guest was promised. */
struct pf_slot {
	__u32 guest; /* < PF_GUESTS */
	__u32 role_index;
	__u16 role;
	__u16 flags;
	__u32 generation; /* odd while the slot is in use; a thread's memory of it expires */
	struct pf_cpu_word word[PF_CPUS / 64];
	__u64 nodes[PF_NODES / 64]; /* user space's own memory: the programs ask for near */
};
_Static_assert(sizeof(struct pf_slot) == 16 + 64 * 24 + 128, "pf_slot is ABI");

/* Of a guest, on a cache line of its own: token buckets as times at which they will be empty. */
struct pf_tat {
	__u64 empty_at;	     /* escapes, returns, pages */
	__u64 acts_empty_at; /* affinity calls */
	__u64 unlooked;	     /* 1: told out of turn to look, and user space has not looked since */
	__u64 reserved[5];
};

/*
 * How a run queue's clock relates to CLOCK_BOOTTIME. Reading the latter costs more than all the
 * rest of a record, the former is at hand when a queued thread is migrated.
 */
struct pf_clock {
	__u64 ahead_ns; /* boot time minus the run queue's clock */
	__u64 until;	/* jiffy after which it is measured again */
};

/*
 * Where a CPU's next record goes. The scheduler's hooks run with interrupts off: a lane has one
 * writer, the CPU itself. A record at pos is `records[cpu * lane_records + pos % lane_records]`; it
 * is there once its seq is higher than that of the record before it in the lane.
 */
struct pf_lane {
	__u64 head;  /* the CPU's: records ever written */
	__u64 room;  /* the CPU's: tail as it was when last looked at */
	__u64 reserved[6];
} __attribute__((aligned(64)));
_Static_assert(sizeof(struct pf_lane) == 64, "pf_lane is ABI");

struct pf_policy {
	struct pf_policy_head head;
	struct pf_bucket bucket[PF_BUCKETS];
	struct pf_slot slot[PF_SLOTS];
	struct pf_tat tat[PF_GUESTS];
	struct pf_clock clock[PF_CPUS];
	struct pf_lane lane[PF_CPUS];
	__u64 tail[PF_CPUS]; /* the consumer's: records of each lane that have been handled */
	__u16 node_of_cpu[PF_CPUS];
	__u8 cpu_down[PF_CPUS];
};

/* One row a slot and a CPU; user space adds the CPUs up. Exact, whatever happens to records. */
struct pf_counters {
	__u64 escapes;	  /* moves and first placements outside, CPU or node */
	__u64 remote;	  /* those of them outside the promised nodes */
	__u64 stays;	  /* home -> outside: what one escape record stands for */
	__u64 away_ns;	  /* ran on CPUs outside the promised ones */
	__u64 remote_ns;  /* ran on nodes outside the promised ones */
	__u64 told;	  /* records in a lane or the ring */
	__u64 suppressed; /* records that the token bucket held back */
	__u64 dropped;	  /* records that found lane and ring full */
	__u64 untimed;	  /* escapes whose thread state could not be kept: counted, not timed */
	__u64 pages;	  /* pages of the guest that somebody moved */
	__u64 refused;	  /* changes by strangers that the guard refused */
};
_Static_assert(sizeof(struct pf_counters) == 88, "pf_counters is ABI");

/*
 * A group's place is its id: ids count up, so groups made one after the other get places of their
 * own, and nothing is computed between the load of the id and that of the bucket.
 */
static inline __attribute__((always_inline)) __u32 pf_bucket_place(__u64 cgid)
{
	return cgid & (PF_BUCKETS - 1);
}
