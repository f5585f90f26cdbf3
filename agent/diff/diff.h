/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "agent/model/actual.h"
#include "agent/model/host.h"
#include "agent/model/placement.h"
#include "agent/model/plan.h"
#include "agent/model/status.h"

/**
 * pf_diff - what it takes to get from @actual to @placement, and how far the promise is kept
 * @actual: read for this placement (groups and threads at the same indices)
 * @plan: the steps, empty when all is held; owned by the caller
 * @status: desired beside actual for every thread and knob; owned by the caller
 *
 * Pure. Order within a plan: what stands above the guest in nobody's name; a process that strayed
 * back to its place; the scope and the base, then per leaf one act that makes it, sets
 * memory nodes and CPUs, moves the threads that belong there and sets their affinity, since a
 * cpuset write may reset or keep a thread's mask depending on the kernel; then bandwidth and
 * weight, each an act of its own. A mode of observe does not change the plan: who applies it
 * decides.
 *
 * Return: 0 or -ENOMEM; on failure both outputs are zeroed.
 */
int pf_diff(const struct pf_host *host, const struct pf_placement *placement,
	    const struct pf_actual *actual, struct pf_plan *plan, struct pf_guest_status *status);
