/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `pinfold host` for a person. */
#pragma once

#include "agent/cli/term.h"
#include "agent/model/host.h"
#include "agent/model/status.h"

/*
 * Nodes, distances, CPUs. @status: who is promised what, or NULL when that is not known: then
 * there is no such column. Return: 0 or -ENOMEM.
 */
int pf_host_print(const struct pf_view *view, const struct pf_host *host,
		  const struct pf_status *status);
