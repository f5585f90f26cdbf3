/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "agent/base/err.h"
#include "agent/model/actual.h"
#include "agent/model/placement.h"
#include "agent/observe/view.h"
#include "cgroup/cgroup.h"

/**
 * pf_observe - what the kernel says of everything that @placement names
 * @out: groups and threads at the same indices; owned by the caller, untouched on failure
 *
 * A group or a thread that is not there is a fact (exists, alive), not an error. Where a group
 * has no cpuset of its own, its effective sets are those of the nearest ancestor that has one, as
 * the kernel sees it (cgroup-v2.rst, cpuset.cpus.effective). cpu.max and cpu.weight are read where
 * they are held; everything about a thread that ended is left zero.
 *
 * Return: 0 or -errno, with the file that could not be read or understood.
 */
int pf_observe(struct pf_cgroup *cg, const struct pf_placement *placement, struct pf_actual *out,
	       struct pf_err *err);

/*
 * The same, but that only what is in doubt of @view is read, and what it does not know. @view may be
 * NULL.
 */
int pf_observe_doubted(struct pf_cgroup *cg, const struct pf_placement *placement,
		       const struct pf_view *view, struct pf_actual *out, struct pf_err *err);
