// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/model/actual.h"

#include <stdlib.h>

void pf_actual_clear(struct pf_actual *actual)
{
	for (size_t i = 0; i < actual->thread_count; i++)
		free(actual->threads[i].cgroup);
	free(actual->threads);
	free(actual->groups);
	*actual = (struct pf_actual){};
}
