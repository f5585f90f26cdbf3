/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "agent/model/guest.h"
#include "agent/model/host.h"
#include "agent/model/placement.h"

/* Where a guest's memory may be. */
struct pf_memory_bound {
	enum pf_set_rule rule; /* inherit when a part of it may be anywhere */
	struct pf_set nodes;   /* exact: the union for every leaf's cpuset.mems */
};

/* The memory promise that counts for @cell: its own <memnode>, or else the guest's <memory>. */
const struct pf_memory_promise *pf_memory_of_cell(const struct pf_promise *promise,
						  const struct pf_cell *cell);

/**
 * pf_memory_bound_of - one union of nodes for the whole guest
 *
 * cpuset.mems is not per thread in effect (a write migrates the whole address space), so every
 * leaf gets the union of all nodes that were promised, when <memory> or else every cell binds
 * (strict, restrictive); otherwise the leaves inherit. Nodes without memory are findings and left
 * out. Return: 0 or -ENOMEM.
 */
int pf_memory_bound_of(const struct pf_host *host, const struct pf_promise *promise,
		       struct pf_memory_bound *out, struct pf_findings *findings);

/* The nodes near which a vCPU's thread should run: those of its cell, or of the guest; may be
 * empty. */
void pf_memory_nodes_of_vcpu(const struct pf_promise *promise, unsigned int vcpu,
			     struct pf_set *out);
