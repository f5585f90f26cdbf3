// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/audit/clock.h"

/* A record without an event for longer than so many leaps is no witness. */
#define WITNESS_LEAPS 30

uint64_t pf_clock_leap(uint64_t max_age_ns)
{
	return max_age_ns / 2 < PF_CLOCK_DAY_NS ? max_age_ns / 2 : PF_CLOCK_DAY_NS;
}

void pf_clock_start(struct pf_audit_clock *clock, uint64_t wall_ns, uint64_t boot_ns,
		    uint64_t leap_ns, uint64_t witness_ns)
{
	bool doubted = witness_ns && wall_ns > witness_ns &&
		       wall_ns - witness_ns > WITNESS_LEAPS * leap_ns;

	*clock = (struct pf_audit_clock){true, (int64_t)(wall_ns - boot_ns),
					 doubted ? boot_ns : UINT64_MAX};
}

bool pf_clock_believed(struct pf_audit_clock *clock, uint64_t wall_ns, uint64_t boot_ns,
		       uint64_t leap_ns, bool *jumped)
{
	int64_t ahead_ns = (int64_t)(wall_ns - boot_ns);

	*jumped = ahead_ns - clock->ahead_ns > (int64_t)leap_ns;
	if (*jumped)
		clock->doubted_since_ns = boot_ns;
	clock->ahead_ns = ahead_ns;
	if (clock->doubted_since_ns != UINT64_MAX &&
	    boot_ns - clock->doubted_since_ns >= PF_CLOCK_DAY_NS)
		clock->doubted_since_ns = UINT64_MAX;
	return clock->doubted_since_ns == UINT64_MAX;
}
