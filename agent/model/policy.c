// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/model/policy.h"

#include <stddef.h>
#include <string.h>

static const char *const modes[] = {"observe", "enforce", "guard"};
static const char *const isolations[] = {"shared", "dedicated", "dedicated-cores"};
static const char *const when_deads[] = {"lift", "stay"};
static const char *const unpinneds[] = {"float", "follow-memory"};
static const char *const scales[] = {"libvirt", "v1"};

#define COUNT(names) (sizeof(names) / sizeof((names)[0]))

static bool find(const char *const *names, size_t count, const char *text, unsigned int *out)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(names[i], text) == 0) {
			*out = (unsigned int)i;
			return true;
		}
	}
	return false;
}

const char *pf_mode_name(enum pf_mode mode)
{
	return modes[mode];
}

const char *pf_isolation_name(enum pf_isolation isolation)
{
	return isolations[isolation];
}

const char *pf_unpinned_name(enum pf_unpinned unpinned)
{
	return unpinneds[unpinned];
}

const char *pf_shares_scale_name(enum pf_shares_scale scale)
{
	return scales[scale];
}

bool pf_mode_parse(const char *text, enum pf_mode *out)
{
	return find(modes, COUNT(modes), text, out);
}

bool pf_when_dead_parse(const char *text, enum pf_when_dead *out)
{
	return find(when_deads, COUNT(when_deads), text, out);
}

bool pf_isolation_parse(const char *text, enum pf_isolation *out)
{
	return find(isolations, COUNT(isolations), text, out);
}

bool pf_unpinned_parse(const char *text, enum pf_unpinned *out)
{
	return find(unpinneds, COUNT(unpinneds), text, out);
}

bool pf_shares_scale_parse(const char *text, enum pf_shares_scale *out)
{
	return find(scales, COUNT(scales), text, out);
}
