/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loading, pinning and reading the eBPF programs. Only files of this folder include libbpf.
 *
 * Life: pf_bpf_open() adopts what is pinned or loads it anew; the table (bpf/table.h) is changed
 * through pf_bpf_policy(); pf_bpf_close() leaves the pins working, pf_bpf_uninstall() ends them.
 * One handle is used by one thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/err.h"
#include "bpf/events.h"
#include "bpf/policy.h"
#include "bpf/table.h"

struct pf_bpf;

/**
 * Called for each record, in the order of their numbers.
 * @record: valid during the call; a PF_REC_KNOB record is a struct pf_knob_record
 *
 * Return: 0, or a negative number to stop here; the record then counts as handled.
 */
typedef int (*pf_bpf_record_fn)(const struct pf_record *record, void *arg);

struct pf_bpf_options {
	const char *pin_path;	     /* a folder in a bpffs, made when missing; NULL: no pins */
	const uint16_t *node_of_cpu; /* by CPU number; NULL: everything is node 0 */
	uint32_t cpus;		     /* entries of node_of_cpu, at most PF_CPUS */
	uint32_t slots;		     /* 0: by the number of CPUs */
	uint32_t ring_bytes;	     /* power of two; 0: 16 MiB */
	uint32_t lane_records;	     /* of each CPU, power of two; 0: by the number of CPUs */
	uint32_t tell_rate;	     /* records a second, guest and bucket; 0: 200 */
	uint32_t tell_burst;	     /* on top of that, at once; 0: 512 */
	int only_tgid;		     /* the benchmark's: see one process only; 0 all */
	pf_bpf_record_fn on_record;
	void *arg;
};

enum pf_bpf_origin {
	PF_BPF_LOADED = 0,   /* there were no pins */
	PF_BPF_ADOPTED = 1,  /* programs of this build were running: nothing was missed */
	PF_BPF_REPLACED = 2, /* another build's: table and counters carried over, its ring drained */
	PF_BPF_RENEWED = 3,  /* another ABI's or damaged pins: removed, counters begin at 0 */
};

/* Something that the kernel may refuse, and what is done about it. */
struct pf_hook_capability {
	const char *name;
	bool available;
	int reason;	      /* errno why not, 0 when available */
	const char *gives;    /* what it is for */
	const char *fallback; /* what stands in for it; "" for those that nothing can replace */
};

/**
 * pf_bpf_open - adopts or loads the programs
 * @out: owned by the caller, ends with pf_bpf_close()
 *
 * Return: 0; -EBUSY when another process holds the pins, -ENODEV when @pin_path is in no bpffs,
 * -ENOTSUP when the kernel has no BTF or refuses the one hook that nothing replaces
 * (sched_migrate_task), or what the kernel said.
 */
int pf_bpf_open(const struct pf_bpf_options *options, struct pf_bpf **out, struct pf_err *err);

/* Lets go of the handle. Pinned programs run on; without pins they end. */
void pf_bpf_close(struct pf_bpf **bpf);

/**
 * pf_bpf_uninstall - removes every version's pins below @pin_path, and the folder
 *
 * Return: 0 (also when there were none), -EBUSY when a process holds them.
 */
int pf_bpf_uninstall(const char *pin_path, struct pf_err *err);

enum pf_bpf_origin pf_bpf_origin(const struct pf_bpf *bpf);

/* The list is the same on every kernel; it lives as long as the handle. */
const struct pf_hook_capability *pf_bpf_capabilities(const struct pf_bpf *bpf, size_t *count);

/* The table that the programs read; for bpf/table.h. Valid until pf_bpf_close(). */
struct pf_policy *pf_bpf_policy(struct pf_bpf *bpf);

/**
 * pf_bpf_slot_add - pf_slot_alloc() with the slot's counters set to zero
 */
int pf_bpf_slot_add(struct pf_bpf *bpf, const struct pf_slot_promise *promise, uint32_t *out,
		    struct pf_err *err);

/* The sum over all CPUs, and over all generations of programs. Exact at the moment of reading. */
int pf_bpf_counters(struct pf_bpf *bpf, uint32_t slot, struct pf_counters *out,
		    struct pf_err *err);

/**
 * pf_bpf_watch - tells writes to control files of a group outside the table (slices, scopes)
 * @guard_slot_plus_1: a slot of the guest for which the guard refuses them (PF_SLOT_GUARD), plus
 *	one; 0: they are told only
 */
int pf_bpf_watch(struct pf_bpf *bpf, uint64_t cgid, uint32_t guard_slot_plus_1,
		 struct pf_err *err);

/* Ends it. A group that was not watched is no error. */
int pf_bpf_unwatch(struct pf_bpf *bpf, uint64_t cgid, struct pf_err *err);

/* Before user space looks at a guest's threads: the next that comes is told (PF_REC_THREAD). */
void pf_bpf_looking(struct pf_bpf *bpf, uint32_t guest);

/*
 * Whether one was told out of turn since then, a new thread or an act of a storm: others may be held
 * back until user space looks.
 */
bool pf_bpf_unlooked(const struct pf_bpf *bpf, uint32_t guest);

/* Whose acts are not told: the agent's own process. Kept in the pins until changed. */
void pf_bpf_set_self(struct pf_bpf *bpf, uint32_t tgid);

typedef int (*pf_bpf_stay_fn)(const struct pf_stay *stay, void *arg);

/**
 * pf_bpf_settle - makes the kernel's view of threads follow a changed table
 * @fn: called for each thread of a guest, with what it ran outside so far; may be NULL
 *
 * To be called after pf_group_set(), pf_slot_update() and pf_bpf_open(), and whenever open stays
 * are to be read. Looks at every task once.
 * Return: 0, -EOPNOTSUPP when the kernel refuses task iterators, or what @fn returned.
 */
int pf_bpf_settle(struct pf_bpf *bpf, pf_bpf_stay_fn fn, void *arg, struct pf_err *err);

/* Readable when records wait; for poll and sd-event. Owned by the handle. */
int pf_bpf_poll_fd(const struct pf_bpf *bpf);

/**
 * pf_bpf_consume - hands all waiting records to the callback
 * @again_usec: 0: wait for pf_bpf_poll_fd() again; otherwise don't poll it, but come back after
 *	this time: records come so fast that being woken for each would cost more than reading it
 *
 * Return: how many were handed over, or what the callback returned.
 */
int pf_bpf_consume(struct pf_bpf *bpf, unsigned int *again_usec, struct pf_err *err);

/* The programs' own numbers: runs, ns (only while bpf statistics are on), recursion misses. */
struct pf_program_cost {
	char name[32];
	uint32_t id; /* the kernel's, as bpftool shows it */
	uint64_t runs;
	uint64_t run_ns;
	uint64_t missed;
};

/* Fills at most @max rows. Return: how many there are, or -errno. */
int pf_bpf_costs(struct pf_bpf *bpf, struct pf_program_cost *rows, size_t max,
		 struct pf_err *err);
