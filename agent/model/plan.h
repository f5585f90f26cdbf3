/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A plan: the ordered steps from actual to desired for one guest.
 *
 * Steps with the same act number belong together: when one fails, those before it in the same act
 * are undone, the rest of the act is skipped, and the next act goes on.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/base/set.h"
#include "agent/model/role.h"

enum pf_step_kind {
	PF_STEP_MAKE_GROUP,   /* mkdir group, cgroup.type = threaded */
	PF_STEP_CONTROLLERS,  /* group's cgroup.subtree_control: value such as "+cpuset +cpu" */
	PF_STEP_KNOB,	      /* write value to group/knob */
	PF_STEP_UNIT_KNOB,    /* the same for a systemd unit, through its D-Bus API */
	PF_STEP_ATTACH,	      /* tid into group's cgroup.threads */
	PF_STEP_AFFINITY,     /* sched_setaffinity(tid, cpus), when it is not that already */
	PF_STEP_MAKE_UNIT,    /* the guest's scope anew, by systemd, with the process in it */
	PF_STEP_MAKE_BASE,    /* mkdir group: it will hold the process and its leaves */
	PF_STEP_BRING_BACK,   /* the whole process into group's cgroup.procs */
	PF_STEP_WIDEN,	      /* knob of a systemd unit above the guest, that nobody stands for */
};

struct pf_step {
	enum pf_step_kind kind;
	unsigned int act;
	char *group; /* path from the cgroup root */
	char *knob;  /* file name in group: "cpuset.cpus", "cpu.weight", ... */
	char *value;
	char *was; /* what stands there now; NULL when not known */
	char *unit; /* unit steps */
	pid_t pid;  /* the process, of a step that moves all of it */
	pid_t tid;
	uint64_t start_ticks; /* the thread that is meant, should its tid be used again */
	struct pf_role role;  /* whose leaf or thread it is; emulator for guest-level groups */
	struct pf_set cpus;   /* affinity */
	bool put_off;	      /* not in this run, and so its whole act: its time has not come */
};

struct pf_plan {
	char uuid[37];
	char *name;
	pid_t pid;
	struct pf_step *steps;
	size_t count;
};

const char *pf_step_kind_name(enum pf_step_kind kind);
int pf_step_kind_parse(const char *text, enum pf_step_kind *out); /* 0 or -EINVAL */

/* One line for a person: "write 8 to /.../vcpu0/cpuset.cpus (was 3)". Return: malloc'ed or NULL. */
char *pf_step_describe(const struct pf_step *step);

/* What is off, of which the step is the remedy: "cpuset.cpus of vcpu0 is 3, promised 8". As above. */
char *pf_step_reason(const struct pf_step *step);

/* Whether it moves the whole process back to where it belongs. */
bool pf_plan_brings_back(const struct pf_plan *plan);

/*
 * Whether a step of it, of those that are not put off, may have to wait in the kernel until pages
 * have been moved, be they this guest's or another's (decision 0021).
 */
bool pf_plan_can_wait(const struct pf_plan *plan);

/* Whether one of those has the kernel move the guest's pages to other nodes. */
bool pf_plan_moves_pages(const struct pf_plan *plan);

/* Whether the step moves threads between groups, by us or by systemd on our behalf. */
bool pf_step_moves_threads(const struct pf_step *step);

void pf_step_clear(struct pf_step *step);
void pf_plan_clear(struct pf_plan *plan);
