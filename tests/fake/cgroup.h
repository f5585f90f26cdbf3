/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An in-memory cgroupfs with threads behind struct pf_cgroup. It behaves as the kernel does where
 * our code relies on it; tests/contract holds both to the same checks. Rules modelled: Linux 6.1's
 * kernel/cgroup/cgroup.c (types, controllers), cpuset.c (effective sets, refusals, what happens to
 * affinities), core.c (sched_setaffinity, cpu.max, cpu.weight).
 */
#pragma once

#include "cgroup/cgroup.h"

struct pf_fake;

/* CPUs 0..@cpus-1 and nodes 0..@nodes-1, all online, and a root. Return: 0 or -ENOMEM. */
int pf_fake_new(unsigned int cpus, unsigned int nodes, struct pf_fake **out);

/* The table; freed by pf_cgroup_free() or pf_fake_free(), not by both. */
struct pf_cgroup *pf_fake_cgroup(struct pf_fake *fake);
void pf_fake_free(struct pf_fake **fake);

/* As from 6.2 on: sched_setaffinity's mask is remembered and outlives a change of the cpuset. */
void pf_fake_keep_affinity(struct pf_fake *fake, bool keep);

/* mkdir -p with type and controllers: "+cpuset +cpu" written to each ancestor's subtree_control */
int pf_fake_mkdir_all(struct pf_fake *fake, const char *group);

/**
 * pf_fake_spawn - a thread starts in @group
 * @tgid: the process it belongs to; 0: it is the first thread of a new one
 *
 * Return: its tid, or -errno.
 */
pid_t pf_fake_spawn(struct pf_fake *fake, const char *group, pid_t tgid);

/* The thread ends. */
void pf_fake_kill(struct pf_fake *fake, pid_t tid);

/* The thread ends and its tid is given to another one in the same group, with all it allows. */
void pf_fake_reuse(struct pf_fake *fake, pid_t tid);

void pf_fake_online(struct pf_fake *fake, unsigned int cpu, bool online);

/*
 * Faults. An operation is named by the file it writes ("cpuset.cpus", "cgroup.threads"), or
 * "mkdir", "rmdir", "affinity"; "*" is any of them. The @nth from now on (1: the next) answers
 * -@error; @error 0 answers success and does nothing, as a kernel that takes and ignores.
 */
void pf_fake_fail(struct pf_fake *fake, const char *what, unsigned int nth, int error);
/* The @nth from now on, and all that follow it, whatever they are. */
void pf_fake_fail_from(struct pf_fake *fake, unsigned int nth, int error);
void pf_fake_heal(struct pf_fake *fake);

/* Called before each changing operation, with what it is as in pf_fake_fail(). */
void pf_fake_hook(struct pf_fake *fake, void (*hook)(void *ctx, const char *what), void *ctx);

/* Called before each read of a file. */
void pf_fake_read_hook(struct pf_fake *fake,
		       void (*hook)(void *ctx, const char *group, const char *file), void *ctx);

/* How many changing operations were asked for since the start, refused ones included. */
unsigned int pf_fake_changes(const struct pf_fake *fake);

/*
 * Counts the changing operations on groups whose path begins with @prefix, and on threads in them,
 * refused ones included.
 */
void pf_fake_watch(struct pf_fake *fake, const char *prefix);
unsigned int pf_fake_touched(const struct pf_fake *fake);
