/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * systemd units, through its D-Bus API: what is written raw to a scope or slice is reverted by the
 * next daemon-reload (facts 10).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/apply/apply.h"
#include "agent/base/err.h"
#include "agent/base/set.h"
#include "agent/model/actual.h"

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

/**
 * pf_unit_make - org.freedesktop.machine1(5), CreateMachine(), as libvirt's
 *	virSystemdCreateMachine() calls it
 * @ctx: struct pf_unit_bus *
 *
 * machined has systemd make the scope, delegated, in @machine->slice with the process in it, and
 * knows the guest again. What it calls the machine is told from the scope's name. Waits for 5 s at
 * most: the job is done when it answers.
 *
 * Return: 0, -EINVAL for a name that is no machine's scope, -ETIMEDOUT, -EEXIST while machined has
 * not yet forgotten the old scope, or its own errno.
 */
int pf_unit_make(void *ctx, const struct pf_unit_machine *machine, struct pf_err *err);

/**
 * pf_unit_allowed - AllowedCPUs= or AllowedMemoryNodes= of a scope, slice or service,
 *	org.freedesktop.systemd1(5)
 * @ctx: struct pf_unit_bus *
 * @knob: "cpuset.cpus" or "cpuset.mems"
 * @out: empty when systemd has no such word; untouched on failure
 *
 * Waits for 2 s at most. When that was in vain, it isn't asked for the next 10 s: passes over guests
 * ask this, and they must not add up.
 *
 * Return: 0, -EINVAL for a knob or kind of unit that it does not know, -ETIMEDOUT, or systemd's
 * own errno.
 */
int pf_unit_allowed(void *ctx, const char *unit, const char *knob, struct pf_set *out,
		    struct pf_err *err);

/*
 * "machine-qemu\x2d1\x2dweb.scope": "qemu-1-web". Return: 0, -EINVAL when it is no machine's scope,
 * -ENOMEM.
 */
int pf_unit_machine_name(const char *unit, char **out);

/* systemd's byte array of a CPU set: bit 0 of the first byte is CPU 0. */
void pf_unit_mask(const uint8_t *bytes, size_t count, struct pf_set *out);

/* What a cpu.max is to systemd. Return: 0 or -EINVAL. */
int pf_unit_quota(const char *value, uint64_t *per_sec_usec, uint64_t *period_usec);

/**
 * pf_unit_get - what systemd was told of a unit's CPU time, by set-property or by whoever made it
 * @ctx: as in pf_unit_set(), also for connecting and waiting
 * @out: untouched on failure
 *
 * Return: 0, -EINVAL for a kind of unit that it does not know, -ETIMEDOUT, systemd's own errno.
 */
int pf_unit_get(void *ctx, const char *unit, struct pf_unit_word *out, struct pf_err *err);

/*
 * What systemd writes for CPUWeight, CPUQuotaPerSecUSec and CPUQuotaPeriodUSec; UINT64_MAX for what
 * was not set (systemd's cgroup.c: 100; max; 100 ms, and a quota of at least 1 ms).
 */
void pf_unit_told(uint64_t weight, uint64_t per_sec_usec, uint64_t period_usec,
		  struct pf_unit_word *out);
