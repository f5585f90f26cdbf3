/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "agent/model/guest.h"
#include "agent/model/placement.h"

/**
 * pf_isolation_check - says what of an isolation promise cannot be kept
 *
 * A guest whose CPUs are to be its own alone, and whose CPUs another guest was promised too, gets
 * a finding that names the other guest and the CPUs. That other processes of the host are kept off
 * these CPUs is not done by this version, and said. Return: 0 or -ENOMEM.
 */
int pf_isolation_check(const struct pf_guests *guests,
		       struct pf_placement *placement);
