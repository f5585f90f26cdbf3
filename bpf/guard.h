/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guard's programs (guard.bpf.c): loaded beside the others, attached while a guest is guarded.
 * Which guests those are is in the table: PF_SLOT_GUARD, pf_bpf_watch().
 *
 * Life: pf_guard_open() loads; pf_guard_attach() begins to refuse; pf_guard_detach() or the end of
 * the process ends it, unless pf_guard_keep() has pinned it. Used by the thread of its pf_bpf.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "agent/base/err.h"
#include "bpf/loader.h"

struct pf_guard;

/**
 * pf_guard_judge - whether a host can refuse anything
 * @lsm: what /sys/kernel/security/lsm says; NULL when it can't be read
 * @built_in: the kernel has the hooks' functions (CONFIG_BPF_LSM)
 *
 * A program for a hook of an LSM that is not active loads, attaches and is never called: this list
 * is the only way to know (Documentation/bpf/prog_lsm.rst). Pure.
 * Return: 0, or -ENOTSUP with the reason and what to do.
 */
int pf_guard_judge(const char *lsm, bool built_in, struct pf_err *err);

/**
 * pf_guard_open - loads the programs, for the table and ring of @bpf
 * @bpf: must outlive it
 * @out: ends with pf_guard_close()
 *
 * What a former agent has pinned goes on refusing until pf_guard_attach() or pf_guard_detach().
 * Return: 0, -ENOTSUP where BPF LSM is not active, or what the kernel said; in words for people.
 */
int pf_guard_open(struct pf_bpf *bpf, struct pf_guard **out, struct pf_err *err);

/* Ends what is attached and not pinned. */
void pf_guard_close(struct pf_guard **guard);

/**
 * pf_guard_allow - what these files' processes do is never refused
 * @fds: open executables; the caller's own
 *
 * For as long as the guard lives, also where the file has been replaced since: the process that
 * runs it may live on.
 */
int pf_guard_allow(struct pf_guard *guard, const int *fds, size_t count, struct pf_err *err);

/**
 * pf_guard_attach - begins to refuse, and takes the place of what was pinned, without a gap
 * @keep: go on when this process has ended
 *
 * Called again it follows a changed @keep. Return: 0, or -errno and nothing new is attached.
 */
int pf_guard_attach(struct pf_guard *guard, bool keep, struct pf_err *err);

/* Refuses nothing any more, pins included. Return: 0, or -errno when a pin could not be removed. */
int pf_guard_detach(struct pf_guard *guard, struct pf_err *err);

/* Ends what a former agent has pinned, where the guard can't be opened. Return: 0 or -errno. */
int pf_guard_unpin(struct pf_bpf *bpf, struct pf_err *err);

bool pf_guard_attached(const struct pf_guard *guard);
