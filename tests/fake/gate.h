/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The fake kernel for several threads, with a write that does not return: as to cpuset.mems, which
 * takes effect at once and returns when the pages have been moved.
 */
#pragma once

#include "cgroup/cgroup.h"

struct pf_gate;

/* @inner stays the caller's, and is used by nobody else meanwhile. Return: 0 or -ENOMEM. */
int pf_gate_new(struct pf_cgroup *inner, struct pf_gate **out);
void pf_gate_free(struct pf_gate **gate); /* all handles are closed */

/* The caller's handle; ->again() makes others. Closed by pf_cgroup_free() or with the gate. */
struct pf_cgroup *pf_gate_cgroup(struct pf_gate *gate);

/* From now on writes to that file of @group wait, once they have taken effect. */
void pf_gate_shut(struct pf_gate *gate, const char *group, const char *file);

/* Waits until a write waits. */
void pf_gate_wait(struct pf_gate *gate);

/* The write that waits returns, and others don't wait. */
void pf_gate_open(struct pf_gate *gate);
