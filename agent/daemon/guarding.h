/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guard mode: that strangers change a guarded guest is refused in the kernel, while there is one
 * and, if so configured, also while no agent runs. Which guests are guarded is told to the programs
 * with everything else about them (observe/watch.h).
 */
#pragma once

#include "agent/daemon/agent.h"

/* After the other programs are there. A host that can't refuse is no error. */
void pf_guarding_start(struct pf_agent *agent);

/*
 * After a pass: attaches or ends the programs by whether some guest is guarded, and
 * makes them outlive the agent or not.
 */
void pf_guarding_follow(struct pf_agent *agent);

/* Why this host can't refuse anything; NULL when it can. Valid until the next call of the above. */
const char *pf_guarding_refusal(const struct pf_agent *agent);

/* Whether something is refused now. */
bool pf_guarding_active(const struct pf_agent *agent);

/* Lets go: what was configured to stay goes on refusing. */
void pf_guarding_stop(struct pf_agent *agent);
