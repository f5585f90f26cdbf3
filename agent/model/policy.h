/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The words of policy: how far a guest's promises are held, and whom it shares its CPUs with. */
#pragma once

#include <stdbool.h>

enum pf_mode {
	PF_MODE_OBSERVE, /* say what is broken, change nothing */
	PF_MODE_ENFORCE, /* put it right */
	PF_MODE_GUARD,	 /* also refuse, in the kernel, that others break it */
};

enum pf_isolation {
	PF_ISOLATION_SHARED,
	PF_ISOLATION_DEDICATED,	      /* these CPUs are this guest's alone */
	PF_ISOLATION_DEDICATED_CORES, /* their SMT siblings too */
};

enum pf_when_dead {
	PF_WHEN_DEAD_LIFT, /* the guard ends with the agent */
	PF_WHEN_DEAD_STAY, /* it goes on refusing, until an agent comes or pinfoldd --unpin */
};

enum pf_unpinned {
	PF_UNPINNED_FLOAT,	   /* a vCPU without a pin was promised no CPU */
	PF_UNPINNED_FOLLOW_MEMORY, /* it is kept on the CPUs of its memory nodes */
};

enum pf_shares_scale {
	PF_SHARES_LIBVIRT, /* <shares> is the weight itself, 1..10000 */
	PF_SHARES_V1,	   /* <shares> is a cgroup v1 cpu.shares: 1024 means weight 100 */
};

const char *pf_mode_name(enum pf_mode mode);
const char *pf_isolation_name(enum pf_isolation isolation);
const char *pf_unpinned_name(enum pf_unpinned unpinned);
const char *pf_shares_scale_name(enum pf_shares_scale scale);

/* Each reads its name back. Return: false for a word it does not know, @out untouched. */
bool pf_mode_parse(const char *text, enum pf_mode *out);
bool pf_when_dead_parse(const char *text, enum pf_when_dead *out);
bool pf_isolation_parse(const char *text, enum pf_isolation *out);
bool pf_unpinned_parse(const char *text, enum pf_unpinned *out);
bool pf_shares_scale_parse(const char *text, enum pf_shares_scale *out);
