// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/model/actual.h"

#include <stdlib.h>

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
