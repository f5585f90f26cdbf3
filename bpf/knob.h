/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a control file of a group is for, by its name. Kernel side only. */
#pragma once

#include "bpf/programs.h"

/*
 * By the letters in which the names differ (there is no memcmp() in a program): cpuset.*,
 * cpu.weight*, cpu.idle, cpu.*, cgroup.threads, cgroup.procs, cgroup.*.
 */
pf_inline u16 cause_of_knob(const char *knob)
{
	if (knob[0] != 'c')
		return PF_CAUSE_UNKNOWN;
	if (knob[1] == 'p' && knob[2] == 'u') {
		if (knob[3] == 's')
			return PF_CAUSE_CPUSET;
		if (knob[3] != '.')
			return PF_CAUSE_UNKNOWN;
		return knob[4] == 'w' || knob[4] == 'i' ? PF_CAUSE_WEIGHT : PF_CAUSE_QUOTA;
	}
	if (knob[1] != 'g' || knob[6] != '.')
		return PF_CAUSE_UNKNOWN;
	if ((knob[7] == 't' && knob[8] == 'h') || (knob[7] == 'p' && knob[9] == 'o'))
		return PF_CAUSE_CGROUP_MOVE;
	return PF_CAUSE_CONTROL;
}
