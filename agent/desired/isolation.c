// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/desired/isolation.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/cleanup.h"

static void add_pin(const struct pf_pin *pin, struct pf_set *out)
{
	if (pin->set)
		pf_set_or(out, out, &pin->cpus);
}

/* Every CPU that some thread of a guest was promised. */
static void promised(const struct pf_promise *promise, struct pf_set *out)
{
	pf_set_clear(out);
	add_pin(&promise->vcpu_default, out);
	add_pin(&promise->emulator, out);
	for (size_t i = 0; i < promise->vcpu_count; i++)
		add_pin(&promise->vcpus[i].pin, out);
	for (size_t i = 0; i < promise->iothread_count; i++)
		add_pin(&promise->iothreads[i].pin, out);
}

static void own_cpus(const struct pf_placement *placement, struct pf_set *out)
{
	pf_set_clear(out);
	for (size_t i = 0; i < placement->thread_count; i++)
		pf_set_or(out, out, &placement->threads[i].cpus);
}

static int check_other(const struct pf_guest *other, const struct pf_set *own,
		       struct pf_placement *placement)
{
	pf_auto_free char *text = malloc(PF_SET_TEXT_MAX);
	struct pf_set theirs, both;

	if (!text)
		return -ENOMEM;
	promised(&other->promise, &theirs);
	pf_set_and(&both, own, &theirs);
	if (pf_set_empty(&both))
		return 0;
	return pf_findings_add(&placement->findings, PF_FINDING_IMPOSSIBLE,
			       "CPU %s was promised to this guest alone, and to guest '%s' as well",
			       pf_set_format(&both, text, PF_SET_TEXT_MAX), other->name);
}

int pf_isolation_check(const struct pf_guests *guests,
		       struct pf_placement *placement)
{
	struct pf_set own;
	int r;

	if (placement->isolation == PF_ISOLATION_SHARED)
		return 0;
	own_cpus(placement, &own);
	for (size_t i = 0; i < guests->count; i++) {
		if (strcmp(guests->items[i].uuid, placement->uuid) == 0)
			continue;
		r = check_other(&guests->items[i], &own, placement);
		if (r < 0)
			return r;
	}
	return pf_findings_add(&placement->findings, PF_FINDING_IMPOSSIBLE,
			       "isolation %s: this version does not keep the host's other "
			       "processes off this guest's CPUs",
			       pf_isolation_name(placement->isolation));
}
