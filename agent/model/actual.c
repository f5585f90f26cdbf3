// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/model/actual.h"

#include <stdlib.h>

bool pf_actual_asks_unit(const struct pf_placement *placement, const struct pf_actual *actual)
{
	const struct pf_group *group = placement->group_count ? &placement->groups[0] : NULL;
	const struct pf_group_actual *unit = actual->groups;

	if (!group || group->level != PF_GROUP_UNIT || !unit->exists || !unit->has_cpu)
		return false;
	return unit->max.quota_usec != PF_QUOTA_MAX || (!group->hold_weight && unit->weight != 100);
}

void pf_actual_clear(struct pf_actual *actual)
{
	for (size_t i = 0; i < actual->thread_count; i++)
		free(actual->threads[i].cgroup);
	for (size_t i = 0; i < actual->above_count; i++) {
		free(actual->above[i].path);
		free(actual->above[i].unit);
	}
	free(actual->above);
	free(actual->threads);
	free(actual->groups);
	*actual = (struct pf_actual){};
}
