// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/model/host.h"

#include <stdlib.h>

const struct pf_host_node *pf_host_node_find(const struct pf_host *host, unsigned int node)
{
	for (size_t i = 0; i < host->node_count; i++)
		if (host->nodes[i].node == node)
			return &host->nodes[i];
	return NULL;
}

const struct pf_host_cpu *pf_host_cpu_find(const struct pf_host *host, unsigned int cpu)
{
	for (size_t i = 0; i < host->cpu_count; i++)
		if (host->cpus[i].cpu == cpu)
			return &host->cpus[i];
	return NULL;
}

void pf_host_cpus_of_nodes(const struct pf_host *host, const struct pf_set *nodes,
			   struct pf_set *out)
{
	pf_set_clear(out);
	for (size_t i = 0; i < host->node_count; i++)
		if (pf_set_has(nodes, host->nodes[i].node))
			pf_set_or(out, out, &host->nodes[i].cpus);
}

void pf_host_clear(struct pf_host *host)
{
	for (size_t i = 0; i < host->node_count; i++) {
		free(host->nodes[i].hugepages);
		free(host->nodes[i].distances);
	}
	free(host->nodes);
	free(host->cpus);
	*host = (struct pf_host){};
}
