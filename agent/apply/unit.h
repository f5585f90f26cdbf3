/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * systemd units, through its D-Bus API: what is written raw to a scope or slice is reverted by the
 * next daemon-reload (facts 10).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/base/err.h"

struct pf_unit_bus;

/* Whether systemd is PID 1 here, sd_booted(3). */
bool pf_unit_present(void);

/* Does not connect yet. Return: 0 or -ENOMEM. */
int pf_unit_bus_new(struct pf_unit_bus **out, struct pf_err *err);
void pf_unit_bus_free(struct pf_unit_bus **bus);

/**
 * pf_unit_set - SetUnitProperties(unit, runtime = true), org.freedesktop.systemd1(5)
 * @ctx: struct pf_unit_bus *
 * @knob: "cpu.weight" (CPUWeight) or "cpu.max" (CPUQuotaPerSecUSec and CPUQuotaPeriodUSec)
 * @value: as the cgroup file has it
 *
 * Connects when there is no connection, and once more when it has been lost. Waits for systemd for
 * 2 s at most. systemd answers before it has written the cgroup's file: read that back.
 *
 * Return: 0, -EINVAL for a knob or value it does not know, -ETIMEDOUT, or systemd's own errno.
 */
int pf_unit_set(void *ctx, const char *unit, const char *knob, const char *value,
		struct pf_err *err);

/* What a cpu.max is to systemd. Return: 0 or -EINVAL. */
int pf_unit_quota(const char *value, uint64_t *per_sec_usec, uint64_t *period_usec);
