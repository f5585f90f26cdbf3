/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libcgroup, as far as it is used: where the controllers are mounted, and cold-path writes of
 * cpuset.cpus, cpuset.mems, cpu.max and cpu.weight. docs/decisions/0003-libcgroup-and-dirfds.md
 * says why this much and no more. The same source builds on 2.0.2 and 3.1.
 */
#pragma once

#include "agent/base/err.h"

/**
 * pf_library_mounts - where libcgroup found the two controllers
 * @cpuset: malloc'ed mount point, or NULL when it is mounted nowhere; the caller's
 * @cpu: the same for the cpu controller
 *
 * Initialises libcgroup: once, before threads are started.
 *
 * Return: 0, or -errno when libcgroup cannot say (no /proc, out of memory).
 */
int pf_library_mounts(char **cpuset, char **cpu, struct pf_err *err);

/**
 * pf_library_write - one knob through libcgroup
 * @mount: where cgroup v2 is mounted
 * @group: with leading slash (3.x puts its default group in front of other names)
 *
 * Return: 0 when written; -errno, the kernel's own answer to the write; 1 when libcgroup would not
 * carry this name or value as it is, or has lost the errno: the caller writes by dirfd then.
 */
int pf_library_write(const char *mount, const char *group, const char *controller, const char *knob,
		     const char *value);
