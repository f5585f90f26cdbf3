/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>

#include "agent/model/guest.h"
#include "agent/model/placement.h"

/**
 * pf_bandwidth_max - a period and quota of libvirt as a cpu.max
 * @what: whose it is, for the finding ("vcpu", "emulator", ...)
 * @hold: set to false when it says nothing that the kernel could hold
 *
 * libvirt: period 1000..1000000 us, quota from 1000 us or negative for no limit
 * (formatdomain, CPU Tuning); a guest that says nothing was promised no limit. Kernel: period 1 ms
 * to 1 s, quota from 1 ms (cgroup-v2.rst, cpu.max). Return: 0 or -ENOMEM.
 */
int pf_bandwidth_max(const struct pf_bandwidth *bandwidth, const char *what,
		     struct pf_cpu_max *out, bool *hold, struct pf_findings *findings);

/**
 * pf_shares_weight - <shares> as a cpu.weight
 *
 * With the libvirt scale it is the weight itself, 1..10000; with the v1 scale 1024 means 100, as
 * systemd converts: CLAMP(shares * 100 / 1024, 1, 10000). Return: 0 or -ENOMEM.
 */
int pf_shares_weight(uint64_t shares, enum pf_shares_scale scale, unsigned int *weight, bool *hold,
		     struct pf_findings *findings);
