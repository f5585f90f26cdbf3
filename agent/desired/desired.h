/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "agent/model/config.h"
#include "agent/model/guest.h"
#include "agent/model/host.h"
#include "agent/model/placement.h"

/**
 * pf_desire - what @guest's groups and threads should look like
 * @guests: all guests of the host, @guest among them; for promises that exclude each other
 * @out: owned by the caller, cleared with pf_placement_clear(); zeroed on failure
 *
 * Pure: reads nothing but its arguments. What cannot be kept whatever the kernel says (a CPU that
 * is offline, a weight beyond the kernel's range, a node without memory) becomes a finding in @out;
 * everything else stands.
 *
 * Rules: libvirt's formatdomain (CPU tuning, NUMA node tuning) for what an element promises and
 * what it falls back to; Documentation/admin-guide/cgroup-v2.rst for ranges.
 *
 * Return: 0 or -ENOMEM.
 */
int pf_desire(const struct pf_host *host, const struct pf_guests *guests,
	      const struct pf_guest *guest, const struct pf_config *config,
	      struct pf_placement *out);
