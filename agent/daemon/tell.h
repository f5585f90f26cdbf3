/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the agent says: in the log when something changes, and as pf_status when asked. */
#pragma once

#include "agent/daemon/agent.h"

/* One line per step that was carried out or failed. */
void pf_tell_outcomes(const struct pf_held *held, const struct pf_outcome *outcomes, size_t count);

/* One line when the guest's state or reason is another than the log has. */
void pf_tell_state(struct pf_held *held);

/**
 * pf_tell_status - the agent's knowledge as a status
 * @only: one guest, or NULL for all of them
 * @out: owned by the caller. Return: 0 or -ENOMEM (@out zeroed).
 */
int pf_tell_status(struct pf_agent *agent, const struct pf_held *only, struct pf_status *out);

/* "connected", "reconnecting: reason". Return: malloc'ed, or NULL. */
char *pf_tell_libvirt(const struct pf_agent *agent);
