// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/cpus.h"

#include "agent/base/log.h"
#include "agent/daemon/reconcile.h"
#include "agent/daemon/watching.h"
#include "agent/source/topology.h"

#define FIRST_PAUSE_USEC UINT64_C(10000)
#define LAST_PAUSE_USEC UINT64_C(2560000)

bool pf_cpus_refresh(struct pf_agent *agent)
{
	struct pf_set before = agent->host.cpus_online;
	struct pf_err err;

	if (pf_topology_refresh(agent->root, &agent->host, &err) < 0)
		pf_log(LOG_WARNING, "the host's CPUs could not be read anew: %s", err.text);
	pf_watching_host(agent);
	return !pf_set_equal(&before, &agent->host.cpus_online);
}

static void look_in(struct pf_agent *agent, uint64_t pause_usec)
{
	agent->cpus_pause_usec = pause_usec;
	sd_event_source_set_time_relative(agent->cpus, pause_usec);
	sd_event_source_set_enabled(agent->cpus, SD_EVENT_ONESHOT);
}

static int on_time(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct pf_agent *agent = ctx;
	bool last = agent->cpus_pause_usec >= LAST_PAUSE_USEC;

	(void)source, (void)usec;
	if (pf_cpus_refresh(agent) || last)
		pf_reconcile(agent);
	if (!last)
		look_in(agent, agent->cpus_pause_usec * 2);
	return 0;
}

void pf_cpus_changing(struct pf_agent *agent)
{
	int r = 0;

	if (!agent->event)
		return;
	if (!agent->cpus)
		r = sd_event_add_time_relative(agent->event, &agent->cpus, CLOCK_MONOTONIC, 0, 1,
					       on_time, agent);
	if (r < 0)
		pf_log(LOG_ERR, "a change of the host's CPUs is seen later: out of memory");
	else
		look_in(agent, FIRST_PAUSE_USEC);
}
