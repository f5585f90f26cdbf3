/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "agent/base/err.h"
#include "agent/base/set.h"
#include "agent/model/actual.h"
#include "agent/model/placement.h"
#include "cgroup/cgroup.h"

/* What systemd was told about its units, systemd.resource-control(5). */
struct pf_unit_words {
	/*
	 * The set that @unit's property behind @knob ("cpuset.cpus": AllowedCPUs=, "cpuset.mems":
	 * AllowedMemoryNodes=) holds, empty when it holds none. Return: 0 or -errno.
	 */
	int (*allowed)(void *ctx, const char *unit, const char *knob, struct pf_set *out,
		       struct pf_err *err);
	/* What it was told of the unit's CPU time. Return: 0 or -errno. */
	int (*told)(void *ctx, const char *unit, struct pf_unit_word *out, struct pf_err *err);
	void *ctx;
};

/**
 * pf_observe_above - the groups above a guest's base, when they keep a promised CPU or node from it
 * @words: systemd's; NULL without systemd: nothing is a unit's then
 * @actual: of pf_observe() for the same placement; above is filled
 *
 * Reads nothing while all that was promised is given. systemd is asked only about the units whose
 * own cpuset lacks something promised; one that does not answer leaves word_known false.
 *
 * Return: 0 or -errno, with the file that could not be read or understood.
 */
int pf_observe_above(struct pf_cgroup *cg, const struct pf_unit_words *words,
		     const struct pf_placement *placement, struct pf_actual *actual,
		     struct pf_err *err);
