// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/model/role.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

bool pf_role_equal(struct pf_role a, struct pf_role b)
{
	return a.kind == b.kind && a.index == b.index;
}

static char *format(struct pf_role role, const char *gap, char buf[PF_ROLE_TEXT_MAX])
{
	switch (role.kind) {
	case PF_ROLE_VCPU:
		snprintf(buf, PF_ROLE_TEXT_MAX, "vcpu%s%u", gap, role.index);
		break;
	case PF_ROLE_IOTHREAD:
		snprintf(buf, PF_ROLE_TEXT_MAX, "iothread%s%u", gap, role.index);
		break;
	case PF_ROLE_EMULATOR:
		snprintf(buf, PF_ROLE_TEXT_MAX, "emulator");
		break;
	case PF_ROLE_HELPER:
		snprintf(buf, PF_ROLE_TEXT_MAX, "helper");
		break;
	}
	return buf;
}

char *pf_role_format(struct pf_role role, char buf[PF_ROLE_TEXT_MAX])
{
	return format(role, " ", buf);
}

char *pf_role_leaf(struct pf_role role, char buf[PF_ROLE_TEXT_MAX])
{
	return format(role, "", buf);
}

int pf_role_parse(const char *text, struct pf_role *out)
{
	unsigned int index;
	int end = -1;

	if (strcmp(text, "emulator") == 0) {
		*out = (struct pf_role){PF_ROLE_EMULATOR, 0};
		return 0;
	}
	if (strcmp(text, "helper") == 0) {
		*out = (struct pf_role){PF_ROLE_HELPER, 0};
		return 0;
	}
	if (sscanf(text, "vcpu %u%n", &index, &end) == 1 && end > 0 && !text[end]) {
		*out = (struct pf_role){PF_ROLE_VCPU, index};
		return 0;
	}
	if (sscanf(text, "iothread %u%n", &index, &end) == 1 && end > 0 && !text[end]) {
		*out = (struct pf_role){PF_ROLE_IOTHREAD, index};
		return 0;
	}
	return -EINVAL;
}
