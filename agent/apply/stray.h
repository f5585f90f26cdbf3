/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The steps that bring a whole process back, and the one above it. Internal to apply/. */
#pragma once

#include "agent/apply/step.h"

/*
 * As pf_step_run() needs them. Return: 0 when done and read back, 1 when it is so already, -errno.
 *
 * MAKE_UNIT: machined's CreateMachine, which has systemd make the scope that libvirt had it make,
 * with the process in it. MAKE_BASE: mkdir; the group stays a domain of its own. BRING_BACK: the
 * process id into cgroup.procs, which moves all of its threads. WIDEN: the cpuset of a unit above
 * the guest, and only while systemd has no word on it.
 */
int pf_stray_do(struct pf_apply *apply, const struct pf_plan *plan, const struct pf_step *step,
		struct pf_undo *undo, struct pf_err *err);
int pf_stray_undo(struct pf_apply *apply, const struct pf_step *step, const struct pf_undo *undo,
		  struct pf_err *err);
