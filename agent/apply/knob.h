/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Knobs as values: what counts as the same, and putting one back. Internal to apply/. */
#pragma once

#include <stdbool.h>

#include "agent/base/err.h"
#include "cgroup/cgroup.h"

/* No such file or group: ENOENT, or ENODEV while a group is being removed. */
bool pf_knob_missing(int r);

/*
 * Whether two texts of @knob mean the same: cpusets as sets, weights as numbers, cpu.max with any
 * period where one of them names none, anything else letter by letter.
 */
bool pf_knob_equal(const char *knob, const char *a, const char *b);

/* Whether @text, as in cgroup.subtree_control, has @word among its words. */
bool pf_knob_has_word(const char *text, const char *word);

/**
 * pf_knob_honoured - whether the kernel gives what a cpuset asks for
 *
 * cpuset.cpus.effective (or mems) must not be empty nor hold more than @value; fewer is fine, as
 * with a CPU that is offline. Other knobs, and the empty value, are always honoured.
 *
 * Return: 0, -EXDEV with the sets in words when it gives something else, or the errno of a read.
 */
int pf_knob_honoured(struct pf_cgroup *cg, const char *group, const char *knob, const char *value,
		     struct pf_err *err);

/**
 * pf_knob_put_back - writes what a knob held before, and reads it back
 *
 * Linux 6.1 and 6.12 refuse an empty cpuset where threads are (ENOSPC): the parent's effective set
 * is written then, which gives the threads the same CPUs or nodes, though it does not follow the
 * parent when that changes.
 */
int pf_knob_put_back(struct pf_cgroup *cg, const char *group, const char *knob, const char *value,
		     struct pf_err *err);
