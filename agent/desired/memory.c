// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/desired/memory.h"

#include <errno.h>
#include <stdlib.h>

#include "agent/base/cleanup.h"

const struct pf_memory_promise *pf_memory_of_cell(const struct pf_promise *promise,
						  const struct pf_cell *cell)
{
	return cell->memory.mode != PF_MEMORY_NONE ? &cell->memory : &promise->memory;
}

/* strict and restrictive bind; preferred and interleave may spill anywhere when nodes fill up */
static bool binds(const struct pf_memory_promise *memory)
{
	return memory->mode == PF_MEMORY_STRICT || memory->mode == PF_MEMORY_RESTRICTIVE;
}

static bool unknown(const struct pf_memory_promise *memory)
{
	return memory->unreadable ||
	       (binds(memory) && memory->automatic && !memory->nodes_known);
}

/*
 * libvirt narrows every leaf to <memory>'s nodes when that binds, whatever the cells say; their
 * nodes are added, so that no cell is cut off from its own. Without it, it takes that each cell
 * binds: the memory of one that doesn't may be anywhere.
 */
static void add_cells(const struct pf_promise *promise, struct pf_memory_bound *bound)
{
	for (size_t i = 0; i < promise->cell_count; i++) {
		const struct pf_memory_promise *memory =
			pf_memory_of_cell(promise, &promise->cells[i]);

		if (!binds(memory) && !binds(&promise->memory))
			bound->rule = PF_SET_INHERIT;
		pf_set_or(&bound->nodes, &bound->nodes, &memory->nodes);
	}
}

static bool any_unknown(const struct pf_promise *promise)
{
	for (size_t i = 0; i < promise->cell_count; i++)
		if (unknown(&promise->cells[i].memory))
			return true;
	return unknown(&promise->memory);
}

static void add_all(const struct pf_promise *promise, struct pf_memory_bound *bound)
{
	bound->nodes = promise->memory.nodes;
	if (any_unknown(promise))
		bound->rule = PF_SET_UNHELD;
	else if (!binds(&promise->memory) && !promise->cell_count)
		bound->rule = PF_SET_INHERIT;
	else
		add_cells(promise, bound);
}

static int find_missing(const struct pf_host *host, struct pf_memory_bound *bound,
			struct pf_findings *findings)
{
	pf_auto_free char *text = malloc(PF_SET_TEXT_MAX);
	struct pf_set missing;

	if (!text)
		return -ENOMEM;
	pf_set_andnot(&missing, &bound->nodes, &host->nodes_with_memory);
	if (pf_set_empty(&missing))
		return 0;
	pf_set_andnot(&bound->nodes, &bound->nodes, &missing);
	if (pf_set_empty(&bound->nodes))
		bound->rule = PF_SET_UNHELD;
	return pf_findings_add(findings, PF_FINDING_IMPOSSIBLE,
			       "memory was promised on NUMA node %s, which has no memory on this "
			       "host",
			       pf_set_format(&missing, text, PF_SET_TEXT_MAX));
}

int pf_memory_bound_of(const struct pf_host *host, const struct pf_promise *promise,
		       struct pf_memory_bound *out, struct pf_findings *findings)
{
	struct pf_memory_bound bound = {.rule = PF_SET_EXACT};
	int r = 0;

	add_all(promise, &bound);
	if (bound.rule == PF_SET_UNHELD && promise->memory.automatic)
		r = pf_findings_add(findings, PF_FINDING_NOTE,
				    "memory placement is automatic and libvirt does not tell which "
				    "nodes numad chose: the nodes are not held");
	else if (bound.rule == PF_SET_EXACT)
		r = find_missing(host, &bound, findings);
	else
		pf_set_clear(&bound.nodes);
	*out = bound;
	return r;
}

void pf_memory_nodes_of_vcpu(const struct pf_promise *promise, unsigned int vcpu,
			     struct pf_set *out)
{
	*out = promise->memory.nodes;
	for (size_t i = 0; i < promise->cell_count; i++)
		if (pf_set_has(&promise->cells[i].vcpus, vcpu))
			*out = pf_memory_of_cell(promise, &promise->cells[i])->nodes;
}
