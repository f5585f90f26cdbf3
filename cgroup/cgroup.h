/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The cgroup v2 tree and the threads in it, as a table of operations: the kernel's own
 * (pf_cgroup_kernel(), libcgroup and dirfds) and the tests' fake (tests/fake) stand behind the
 * same calls and pass the same contract suite.
 *
 * A group is named by its path from the cgroup root, with a leading slash; "/" is the root.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/base/err.h"
#include "agent/base/set.h"

/* A thread as /proc shows it. */
struct pf_task {
	uint64_t start_ticks; /* field 22 of stat */
	char *cgroup;	      /* path from the cgroup root, owned by the caller who asked */
	struct pf_set cpus_allowed;
	struct pf_set mems_allowed;
	int on_cpu; /* field 39 of stat: where it runs or ran last */
};

void pf_task_clear(struct pf_task *task);

struct pf_cgroup;

struct pf_cgroup_ops {
	/* Whole text of a group's file, last newline removed; *out is the caller's. */
	int (*read)(struct pf_cgroup *cg, const char *group, const char *file, char **out,
		    struct pf_err *err);
	/* One write(2) of @value; 0 says the kernel took it, not that it honours it. */
	int (*write)(struct pf_cgroup *cg, const char *group, const char *file, const char *value,
		     struct pf_err *err);
	/* The group's cgroup id (inode of its directory); -ENOENT when there is no such group. */
	int (*id)(struct pf_cgroup *cg, const char *group, uint64_t *out, struct pf_err *err);
	/* mkdir and rmdir; -EEXIST and -ENOENT are errors. make() never touches an existing one. */
	int (*make)(struct pf_cgroup *cg, const char *group, struct pf_err *err);
	int (*remove)(struct pf_cgroup *cg, const char *group, struct pf_err *err);
	/* Moves one thread through cgroup.threads. */
	int (*attach)(struct pf_cgroup *cg, const char *group, pid_t tid, struct pf_err *err);
	/* The tids in cgroup.threads, ascending, in a malloc'ed array that is the caller's. */
	int (*threads)(struct pf_cgroup *cg, const char *group, pid_t **tids, size_t *count,
		       struct pf_err *err);
	/* -ESRCH when there is no such thread. */
	int (*task)(struct pf_cgroup *cg, pid_t tid, struct pf_task *out, struct pf_err *err);
	/* sched_setaffinity(2); what came of it is read back through task(). */
	int (*affinity)(struct pf_cgroup *cg, pid_t tid, const struct pf_set *cpus,
			struct pf_err *err);
	/* Another handle on the same tree, for another thread: none is for two at a time. */
	int (*again)(const struct pf_cgroup *cg, struct pf_cgroup **out, struct pf_err *err);
	void (*close)(struct pf_cgroup *cg);
};

/* Implementations embed this first. */
struct pf_cgroup {
	const struct pf_cgroup_ops *ops;
};

/**
 * pf_cgroup_open - the kernel's cgroup v2 tree
 *
 * Return: 0, or -errno with one message that says what is missing and how to get it: cgroup v2
 * not mounted, cpuset or cpu on a v1 hierarchy (-EMEDIUMTYPE), the controllers not available.
 * Call once, before threads are started (libcgroup's cgroup_init() is not thread-safe).
 */
int pf_cgroup_open(struct pf_cgroup **out, struct pf_err *err);

/* Closes and frees; *cg becomes NULL. */
void pf_cgroup_free(struct pf_cgroup **cg);
