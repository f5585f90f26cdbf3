/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What one guest was seen to be when it was last looked at, and what of that is in doubt since. The
 * eBPF programs name the thread or the group that something was done to: the next look reads those
 * and takes the rest from here. A zeroed view knows nothing, and then everything is read.
 *
 * Whoever is not sure what an act reaches doubts all of it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/base/set.h"
#include "agent/model/actual.h"
#include "agent/model/guest.h"
#include "agent/model/placement.h"
#include "agent/model/plan.h"

struct pf_view_group {
	char *path;
	enum pf_group_level level;
	bool doubted;
	bool exists, threaded, has_cpuset, has_cpu;
	uint64_t cgid;
	struct pf_cpu_max max;
	unsigned int weight;
	size_t cpus, cpus_effective, mems, mems_effective; /* in sets */
};

struct pf_view_task {
	pid_t tid;
	uint64_t start_ticks;
	bool doubted;
	char *cgroup;
	int on_cpu;
	size_t cpus, mems; /* in sets */
};

struct pf_view {
	bool known;
	bool held_back; /* a group above keeps promised CPUs or nodes from it, known or not */
	pid_t pid;
	char *cgroup; /* as in struct pf_guest, and so are the threads */
	struct pf_thread *threads;
	size_t thread_count;
	struct pf_view_group *groups;
	size_t group_count;
	struct pf_view_task *tasks;
	size_t task_count;
	bool base_enables_cpuset, base_enables_cpu;
	size_t base_cpus, base_mems; /* in sets */
	struct pf_unit_word word;
	struct pf_sets sets;
};

/* Frees what it owns and zeroes it. */
void pf_view_clear(struct pf_view *view);

/* ---- doubt: each of these makes the next look read more, never less ---------------------- */

void pf_view_doubt_all(struct pf_view *view);

/*
 * The thread's mask or place has changed. A thread that is not known, and the main one, whose place
 * is the guest's, put all in doubt.
 */
void pf_view_doubt_thread(struct pf_view *view, pid_t tid);

/*
 * A file of the group with that id was written. What a leaf's own cpuset or bandwidth reaches is the
 * leaf and the threads in it; of scope and base, cpu.max and cpu.weight reach nothing else. Every
 * other file may change what other groups are given, and puts all in doubt.
 */
void pf_view_doubt_knob(struct pf_view *view, uint64_t cgid, const char *knob);

/* A thread was moved into the group with that id: if that is none of the known, all is in doubt. */
void pf_view_doubt_move(struct pf_view *view, uint64_t cgid, pid_t tid);

/* What the plan wrote, whatever came of it. */
void pf_view_doubt_plan(struct pf_view *view, const struct pf_plan *plan);

/* ---- looking ----------------------------------------------------------------------------- */

/*
 * Gives @guest the threads and the cgroup that were seen, for pf_proc_tell(). Return: whether they are
 * known; false with nothing changed.
 */
bool pf_view_recall_guest(const struct pf_view *view, struct pf_guest *guest);

/* What is not in doubt, into @out. Return: false when it is to be read. */
bool pf_view_recall_base(const struct pf_view *view, struct pf_actual *out);
bool pf_view_recall_group(const struct pf_view *view, const char *path, struct pf_group_actual *out);
bool pf_view_recall_thread(const struct pf_view *view, pid_t tid, uint64_t start_ticks,
			   struct pf_thread_actual *out);

/*
 * Whether the group of that id was seen to be threaded, whatever is in doubt: once it is, it stays so
 * (cgroup-v2.rst, Threads).
 */
bool pf_view_is_threaded(const struct pf_view *view, const char *path, uint64_t cgid);

/*
 * Keeps what a look has found, all doubts settled. A guest that is not in its place, or that a group
 * above holds back, is looked at in full the next time, and so is one whose thread has ended, and
 * any when there is no memory for it: nothing is known then.
 */
void pf_view_keep(struct pf_view *view, const struct pf_guest *guest,
		  const struct pf_placement *placement, const struct pf_actual *actual);
