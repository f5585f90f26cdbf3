/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The host: CPUs, NUMA nodes, what connects them. Plain data; source/topology.c fills it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/set.h"

struct pf_host_cpu {
	unsigned int cpu;
	bool online;
	/* -1 where the kernel does not tell, as for an offline CPU */
	int node;
	int package;
	int core;
	struct pf_set siblings; /* SMT threads of the same core, itself included */
};

struct pf_host_hugepages {
	uint64_t size_kib;
	uint64_t total;
	uint64_t free;
};

struct pf_host_node {
	unsigned int node;
	struct pf_set cpus; /* as the kernel lists them: online ones */
	uint64_t memory_total_kib;
	uint64_t memory_free_kib;
	struct pf_host_hugepages *hugepages;
	size_t hugepages_count;
	unsigned int *distances; /* node_count values, in the order of pf_host.nodes */
};

struct pf_host {
	char hostname[65];
	char kernel[65]; /* uname -r, or "" for a dump that does not say */
	struct pf_set cpus_possible;
	struct pf_set cpus_present;
	struct pf_set cpus_online;
	struct pf_set nodes_online;
	struct pf_set nodes_with_memory;
	struct pf_host_cpu *cpus; /* the present ones, ascending */
	size_t cpu_count;
	struct pf_host_node *nodes; /* the online ones, ascending */
	size_t node_count;
};

/* The node with that number, or NULL. */
const struct pf_host_node *pf_host_node_find(const struct pf_host *host, unsigned int node);

/* The CPU with that number, or NULL. */
const struct pf_host_cpu *pf_host_cpu_find(const struct pf_host *host, unsigned int cpu);

/* All CPUs of @nodes, online ones. */
void pf_host_cpus_of_nodes(const struct pf_host *host, const struct pf_set *nodes,
			   struct pf_set *out);

/* Frees what @host owns and zeroes it; fine on a zeroed one. */
void pf_host_clear(struct pf_host *host);
