/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of cgroup/ share: the kernel's own tree behind struct pf_cgroup. */
#pragma once

#include <stdbool.h>

#include "cgroup/cgroup.h"

struct pf_kernel {
	struct pf_cgroup cg;
	char *mount; /* where cgroup v2 is mounted: for libcgroup and for words */
	int root_fd; /* O_PATH, of mount */
	int proc_fd; /* O_PATH, of /proc */
	char *near;  /* the group that was looked up last, which is read next; or NULL */
	int near_fd; /* O_PATH, of it */
};

/* What is mounted where, as far as pf_cgroup_open() needs it. Strings are owned. */
struct pf_cgroup_mounts {
	char *cpuset; /* libcgroup's mount point of the controller; NULL: mounted nowhere */
	char *cpu;
	bool cpuset_v2; /* fstatfs(2) says CGROUP2_SUPER_MAGIC */
	bool cpu_v2;
	char *v2;             /* a mounted cgroup v2 hierarchy, whatever it offers; may be NULL */
	char *v2_controllers; /* its cgroup.controllers */
};

/**
 * pf_cgroup_diagnose - whether @mounts is a host that Pinfold can work on
 *
 * Return: 0; -EMEDIUMTYPE with a controller on v1; -ENODEV with cgroup v2 not mounted or without
 * a controller. The words name what is missing and how to get it.
 */
int pf_cgroup_diagnose(const struct pf_cgroup_mounts *mounts, struct pf_err *err);

#define PF_GROUP_WORD 200

/*
 * A group's path for an error message, its middle cut when it is long: a guest's name of 200
 * characters is 800 in a unit's path once systemd has escaped it, and the words that follow must
 * still fit struct pf_err. Return: @group or @buf.
 */
const char *pf_group_word(const char *group, char buf[PF_GROUP_WORD]);

/* O_PATH directory fd of @group. Return: fd (the caller's) or -errno, -ENOENT when missing. */
int pf_group_open(const struct pf_kernel *kernel, const char *group);

/*
 * One write(2) of @value (which may be empty) to @group's @file, below a directory fd.
 * Return: 0 or -errno, without words.
 */
int pf_group_write_file(const struct pf_kernel *kernel, const char *group, const char *file,
			const char *value);

/* cpuset.c, cpu.c: whether @file is a knob of theirs, and the write of one, with words. */
bool pf_cpuset_owns(const char *file);
int pf_cpuset_write(const struct pf_kernel *kernel, const char *group, const char *file,
		    const char *value, struct pf_err *err);
bool pf_cpu_owns(const char *file);
int pf_cpu_write(const struct pf_kernel *kernel, const char *group, const char *file,
		 const char *value, struct pf_err *err);

/* threads.c: as in struct pf_cgroup_ops */
int pf_kernel_attach(struct pf_cgroup *cg, const char *group, pid_t tid, struct pf_err *err);
int pf_kernel_threads(struct pf_cgroup *cg, const char *group, pid_t **tids, size_t *count,
		      struct pf_err *err);
int pf_kernel_task(struct pf_cgroup *cg, pid_t tid, struct pf_task *out, struct pf_err *err);
int pf_kernel_affinity(struct pf_cgroup *cg, pid_t tid, const struct pf_set *cpus,
		       struct pf_err *err);
