// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/model/status.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const states[] = {"held", "drifting", "impossible", "observed"};

const char *pf_state_name(enum pf_state state)
{
	return states[state];
}

int pf_state_parse(const char *text, enum pf_state *out)
{
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		if (strcmp(states[i], text) == 0) {
			*out = (enum pf_state)i;
			return 0;
		}
	}
	return -EINVAL;
}

void pf_guest_status_clear(struct pf_guest_status *guest)
{
	for (size_t i = 0; i < guest->thread_count; i++)
		free(guest->threads[i].cgroup);
	for (size_t i = 0; i < guest->knob_count; i++) {
		free(guest->knobs[i].group);
		free(guest->knobs[i].knob);
		free(guest->knobs[i].desired);
		free(guest->knobs[i].actual);
	}
	free(guest->threads);
	free(guest->knobs);
	free(guest->cells);
	free(guest->roles);
	free(guest->name);
	free(guest->reason);
	free(guest->under_way);
	free(guest->not_put_back);
	pf_findings_clear(&guest->findings);
	*guest = (struct pf_guest_status){};
}

void pf_status_clear(struct pf_status *status)
{
	for (size_t i = 0; i < status->guest_count; i++)
		pf_guest_status_clear(&status->guests[i]);
	for (size_t i = 0; i < status->capability_count; i++) {
		free(status->capabilities[i].name);
		free(status->capabilities[i].reason);
	}
	free(status->guests);
	free(status->capabilities);
	free(status->agent_version);
	free(status->libvirt);
	*status = (struct pf_status){};
}
