// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/agent.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/file.h"
#include "agent/base/log.h"
#include "agent/daemon/carry.h"
#include "agent/daemon/report.h"
#include "agent/daemon/watching.h"
#include "agent/source/config_file.h"
#include "agent/source/topology.h"

uint64_t pf_now_usec(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static int open_host(struct pf_agent *agent, struct pf_err *err)
{
	int r;

	/* Before anything that starts a thread: libcgroup initialises process-wide state. */
	r = pf_cgroup_open(&agent->cgroup, err);
	if (r < 0)
		return r;
	agent->root = pf_root_open("/", err);
	if (agent->root < 0)
		return agent->root;
	return pf_topology_read("/", &agent->host, err);
}

static int open_apply(struct pf_agent *agent, struct pf_err *err)
{
	int r = pf_ledger_open(agent->config.state_dir, &agent->ledger, err);

	if (r < 0)
		return r;
	if (pf_ledger_sweep(agent->ledger, agent->cgroup, err) < 0)
		pf_log(LOG_WARNING, "%s", err->text);
	agent->apply = (struct pf_apply){.cg = agent->cgroup, .ledger = agent->ledger};
	if (!pf_unit_present())
		return 0;
	r = pf_unit_bus_new(&agent->bus, err);
	if (r < 0)
		return r;
	agent->apply.unit_set = pf_unit_set;
	agent->apply.unit_make = pf_unit_make;
	agent->apply.unit_allowed = pf_unit_allowed;
	agent->apply.unit_ctx = agent->bus;
	return 0;
}

int pf_agent_open(struct pf_agent *agent, struct pf_err *err)
{
	int r;

	agent->root = -1;
	r = pf_config_load(agent->config_path, agent->config_must_exist, &agent->config, err);
	if (r < 0)
		return r;
	pf_log_set_level(agent->config.log_level);
	r = open_host(agent, err);
	if (!r)
		r = open_apply(agent, err);
	if (!r)
		r = pf_report_open(agent, err);
	if (!r)
		r = pf_libvirt_start(&agent->config, &agent->libvirt, err);
	return r;
}

void pf_agent_close(struct pf_agent *agent)
{
	pf_api_free(&agent->api);
	pf_carry_stop(agent);
	pf_watching_stop(agent);
	pf_libvirt_stop(&agent->libvirt);
	for (size_t i = 0; i < agent->held_count; i++)
		pf_held_clear(&agent->held[i]);
	free(agent->held);
	pf_guests_clear(&agent->guests);
	pf_report_close(agent);
	pf_unit_bus_free(&agent->bus);
	pf_ledger_free(&agent->ledger);
	pf_cgroup_free(&agent->cgroup);
	pf_host_clear(&agent->host);
	if (agent->root >= 0)
		close(agent->root);
	sd_event_source_unref(agent->interval);
	sd_event_source_unref(agent->wake);
	sd_event_source_unref(agent->cpus);
	sd_event_unref(agent->event);
	pf_config_clear(&agent->config);
}
