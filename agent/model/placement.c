// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/model/placement.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *pf_cpu_max_format(struct pf_cpu_max max, char buf[PF_CPU_MAX_TEXT])
{
	if (max.quota_usec == PF_QUOTA_MAX && !max.period_usec)
		snprintf(buf, PF_CPU_MAX_TEXT, "max");
	else if (max.quota_usec == PF_QUOTA_MAX)
		snprintf(buf, PF_CPU_MAX_TEXT, "max %" PRIu64, max.period_usec);
	else
		snprintf(buf, PF_CPU_MAX_TEXT, "%" PRIu64 " %" PRIu64, max.quota_usec,
			 max.period_usec);
	return buf;
}

bool pf_cpu_max_satisfied(struct pf_cpu_max desired, struct pf_cpu_max actual)
{
	return desired.quota_usec == actual.quota_usec &&
	       (!desired.period_usec || desired.period_usec == actual.period_usec);
}

int pf_cpu_max_parse(const char *text, struct pf_cpu_max *out)
{
	struct pf_cpu_max max = {.quota_usec = PF_QUOTA_MAX};
	int end = -1;

	if (strncmp(text, "max ", 4) == 0)
		sscanf(text, "max %" SCNu64 "%n", &max.period_usec, &end);
	else
		sscanf(text, "%" SCNu64 " %" SCNu64 "%n", &max.quota_usec, &max.period_usec, &end);
	if (end < 0 || text[end])
		return -EINVAL;
	*out = max;
	return 0;
}

const struct pf_group *pf_placement_leaf(const struct pf_placement *placement, struct pf_role role)
{
	for (size_t i = 0; i < placement->group_count; i++) {
		const struct pf_group *group = &placement->groups[i];

		if (group->level == PF_GROUP_LEAF && pf_role_equal(group->role, role))
			return group;
	}
	return NULL;
}

void pf_placement_clear(struct pf_placement *placement)
{
	for (size_t i = 0; i < placement->group_count; i++)
		free(placement->groups[i].path);
	free(placement->groups);
	free(placement->threads);
	free(placement->cells);
	free(placement->name);
	free(placement->base);
	free(placement->unit);
	free(placement->cgroup);
	pf_findings_clear(&placement->findings);
	*placement = (struct pf_placement){};
}
