/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What Pinfold relies on from a struct pf_cgroup, as checks that any implementation must pass:
 * the fake in the unit tests, the kernel's own tree in the lab.
 */
#pragma once

#include "cgroup/cgroup.h"

#define PF_CONTRACT_THREADS 16

struct pf_contract {
	struct pf_cgroup *cg;
	/*
	 * A group of the check's own: empty of groups, cpuset and cpu in its cgroup.controllers,
	 * of type domain, with one process in it.
	 */
	char *base;
	struct pf_set cpus;  /* what base gives: four CPUs at least */
	struct pf_set nodes; /* and two nodes */
	/* A new sleeping thread of the process in base. Return: tid, or -errno. */
	pid_t (*spawn)(struct pf_contract *t);
	/* Ends a thread; when it returns, the tid names nobody. */
	void (*end)(struct pf_contract *t, pid_t tid);
	/* Switches a CPU. Return: 0, or -errno when that can't be done here (the check is skipped). */
	int (*online)(struct pf_contract *t, unsigned int cpu, bool online);
	bool keeps_affinity; /* sched_setaffinity's mask outlives a cpuset change: from Linux 6.2 */
	void *ctx;
	pid_t threads
		[PF_CONTRACT_THREADS]; /* spawned by the check and not ended: the driver ends them */
	size_t thread_count;
	struct pf_err err; /* what the table said last */
	char words[1024];  /* why it failed, or was skipped */
};

enum pf_contract_result { PF_CONTRACT_OK, PF_CONTRACT_FAILED, PF_CONTRACT_SKIPPED };

struct pf_contract_check {
	const char *name;
	enum pf_contract_result (*run)(struct pf_contract *t);
};

extern const struct pf_contract_check pf_contract_checks[];
extern const size_t pf_contract_check_count;
