/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest: who it is, what it was promised, and which threads it has. Plain data: a source fills
 * it (libvirt's live XML and QEMU's thread ids, /proc), desired/ reads it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/base/set.h"
#include "agent/model/finding.h"
#include "agent/model/policy.h"
#include "agent/model/role.h"

enum pf_guest_source {
	PF_SOURCE_LIBVIRT,
	PF_SOURCE_QEMU,
};

/* <vcpupin>, <emulatorpin>, <iothreadpin>: what the element says, "^" already taken out. */
struct pf_pin {
	bool set;
	bool unreadable; /* the element is there, and what it says could not be understood */
	struct pf_set cpus;
};

/*
 * period/quota as libvirt states them (https://libvirt.org/formatdomain.html#cpu-tuning): in
 * microseconds; a negative quota is no limit; a value that is not in the XML has its flag false.
 */
struct pf_bandwidth {
	bool has_period;
	bool has_quota;
	uint64_t period_usec;
	int64_t quota_usec;
};

enum pf_memory_mode {
	PF_MEMORY_NONE, /* nothing said */
	PF_MEMORY_STRICT,
	PF_MEMORY_PREFERRED,
	PF_MEMORY_INTERLEAVE,
	PF_MEMORY_RESTRICTIVE,
};

struct pf_memory_promise {
	enum pf_memory_mode mode;
	bool automatic;	     /* placement='auto': numad chose, at start */
	bool nodes_known;    /* false for automatic ones whose choice libvirt does not tell */
	bool unreadable;     /* the element is there, and what it says could not be understood */
	struct pf_set nodes;
};

struct pf_vcpu {
	unsigned int index;
	bool online;
	bool hotpluggable;
	struct pf_pin pin;
	pid_t tid; /* 0: not known (offline, or not yet) */
};

struct pf_iothread {
	unsigned int index;
	struct pf_pin pin;
	pid_t tid;
};

/* One guest NUMA cell: <cpu><numa><cell> with its <memnode>. */
struct pf_cell {
	unsigned int cell;
	struct pf_set vcpus;
	uint64_t memory_kib;
	struct pf_memory_promise memory; /* mode NONE: the guest's own <memory> counts */
};

/* What <pinfold:policy> says; what it does not say comes from the configuration. */
struct pf_guest_policy {
	bool has_mode;
	bool has_isolation;
	bool has_unpinned;
	enum pf_mode mode;
	enum pf_isolation isolation;
	enum pf_unpinned unpinned;
};

/* What the guest was promised. */
struct pf_promise {
	struct pf_pin vcpu_default; /* <vcpu cpuset>: for everything that has no pin of its own */
	bool vcpu_automatic;	    /* <vcpu placement='auto'> */
	struct pf_vcpu *vcpus;	    /* all up to the maximum, ascending */
	size_t vcpu_count;
	struct pf_pin emulator;
	struct pf_iothread *iothreads; /* ascending */
	size_t iothread_count;
	bool has_shares;
	uint64_t shares;
	struct pf_bandwidth vcpu_bandwidth; /* each vCPU */
	struct pf_bandwidth global_bandwidth;
	struct pf_bandwidth emulator_bandwidth;
	struct pf_bandwidth iothread_bandwidth; /* each iothread */
	struct pf_memory_promise memory;
	struct pf_cell *cells;
	size_t cell_count;
	struct pf_guest_policy policy;
};

/* A thread as /proc/PID/task shows it. */
struct pf_thread {
	pid_t tid;
	uint64_t start_ticks; /* field 22 of stat: with the tid, it names one thread for good */
	char comm[16];
	bool immovable; /* the kernel lets nobody move it or set its affinity: io-wq workers */
};

struct pf_guest {
	char uuid[37];
	char *name;
	enum pf_guest_source source;
	pid_t pid;
	int id; /* libvirt's number of this run; 0: none */
	/*
	 * <resource><partition> as libvirt has it for a running guest: below it, it made the guest a
	 * group of its own. NULL: it made none.
	 */
	char *partition;
	bool brought_back; /* that group was made anew by us, or is being made */
	uint64_t words; /* hash of all that libvirt says of it: another one, and something changed */
	struct pf_promise promise;
	/* What is wrong with the promise itself: malformed or unknown metadata, say. */
	struct pf_findings findings;

	/*
	 * Facts of the process; source/proc.c fills them. Of a guest that has strayed, base, unit and
	 * unit_path are those that libvirt gave it, and may be gone.
	 */
	char *cgroup; /* where its main thread is */
	bool strayed; /* the whole process is outside the group that libvirt made for it */
	char *base;   /* cgroup that holds the leaves, from the cgroup root: "/machine.slice/..." */
	char *unit;   /* systemd unit above or at base, as systemd names it; NULL without one */
	char *unit_path; /* that unit's cgroup; NULL without one */
	struct pf_thread *threads; /* ascending by tid */
	size_t thread_count;
};

const char *pf_memory_mode_name(enum pf_memory_mode mode);

/* The vCPU or iothread with that number, or NULL. */
const struct pf_vcpu *pf_promise_vcpu(const struct pf_promise *promise, unsigned int index);
const struct pf_iothread *pf_promise_iothread(const struct pf_promise *promise,
					      unsigned int index);

/* Frees what it owns and zeroes it; fine on a zeroed one. */
void pf_promise_clear(struct pf_promise *promise);
void pf_guest_clear(struct pf_guest *guest);

/* Copies all of it; @to is zeroed beforehand by the callee. Return: 0 or -ENOMEM (@to empty). */
int pf_guest_copy(struct pf_guest *to, const struct pf_guest *from);

/* The thread with that id, or NULL. */
const struct pf_thread *pf_guest_thread(const struct pf_guest *guest, pid_t tid);

struct pf_guests {
	struct pf_guest *items;
	size_t count;
};

/* The guest of that UUID, or NULL. */
struct pf_guest *pf_guests_find(const struct pf_guests *guests, const char *uuid);

/*
 * Takes @guest over and zeroes it, in place of the one with its UUID. Return: 0, or -ENOMEM: then it
 * stays the caller's and @guests as it is.
 */
int pf_guests_put(struct pf_guests *guests, struct pf_guest *guest);

/* Drops the guest of that UUID, if there is one; the last takes its place. */
void pf_guests_remove(struct pf_guests *guests, const char *uuid);

void pf_guests_clear(struct pf_guests *guests);
