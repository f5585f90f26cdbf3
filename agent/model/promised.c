// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/model/promised.h"

static bool seen_before(const struct pf_guest_status *guest, unsigned int cpu, size_t end)
{
	for (size_t i = 0; i < end; i++)
		if (pf_role_equal(guest->threads[i].role, guest->threads[end].role) &&
		    pf_set_has(&guest->threads[i].cpus_desired, cpu))
			return true;
	return false;
}

bool pf_promised_next(const struct pf_guest_status *guest, unsigned int cpu, size_t *at,
		      struct pf_role *role)
{
	while (*at < guest->thread_count) {
		size_t i = (*at)++;

		if (!pf_set_has(&guest->threads[i].cpus_desired, cpu) || seen_before(guest, cpu, i))
			continue;
		*role = guest->threads[i].role;
		return true;
	}
	return false;
}
