/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The host's CPUs as they go offline and come back. */
#pragma once

#include "agent/daemon/agent.h"

/* Reads anew which CPUs are online. Return: whether that has changed. */
bool pf_cpus_refresh(struct pf_agent *agent);

/*
 * A CPU begins to go or to come: looks at the host again and again for some seconds, since the
 * kernel tells before it is done, and its cpusets follow later. Passes over all guests when it is.
 */
void pf_cpus_changing(struct pf_agent *agent);
