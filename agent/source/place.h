/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest's place in the cgroup tree: the groups that belong to it, told from the one that its main
 * thread is in. Internal to source/.
 */
#pragma once

#include "agent/base/err.h"
#include "agent/model/guest.h"

#define PROC_PATH_MAX 64 /* of a file of one thread, with its numbers */

/**
 * pf_place_read - the cgroup v2 path that a file of /proc tells
 * @file: ".../cgroup", below @root
 * @out: owned by the caller; as the kernel writes it, without any escapes: "\x2d" in it is what
 *	systemd named the group
 *
 * Return: 0, -EBADMSG without a line of v2, -ENOMEM, or the errno of reading.
 */
int pf_place_read(int root, const char *file, char **out, struct pf_err *err);

/* Sets base, unit, unit_path and strayed by cgroup (pf_proc_fill()). Return: 0 or -ENOMEM. */
int pf_place_fill(int root, struct pf_guest *guest, struct pf_err *err);
