/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A cgroup tree around another one, which says what is changed in it. */
#pragma once

#include "cgroup/cgroup.h"

/*
 * @what: the file written, or "mkdir", "rmdir", "attach", "affinity"; called when the change was
 * made or refused, before the caller has its result, in the caller's thread.
 */
typedef void (*pf_after_fn)(void *ctx, const char *what, const char *where);

/* @inner is taken over and closed with *out. Return: 0 or -ENOMEM. */
int pf_after_new(struct pf_cgroup *inner, pf_after_fn after, void *ctx, struct pf_cgroup **out);
