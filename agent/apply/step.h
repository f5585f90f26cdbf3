/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One step: doing it and taking it back. Internal to apply/. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "agent/apply/apply.h"

struct pf_saved_thread {
	pid_t tid;
	uint64_t start_ticks;
	struct pf_set cpus;
};

/* What a step changed, so that it can be taken back. */
struct pf_undo {
	bool changed;
	char *was; /* knob: its text; attach: the group; NULL when there was none */
	struct pf_saved_thread *threads; /* affinities from before */
	size_t thread_count;
};

void pf_undo_clear(struct pf_undo *undo);

/**
 * pf_step_run - does one step
 * @undo: zeroed; filled with what was there before the first change
 *
 * @outcome gets DONE, SKIPPED or FAILED, with words.
 */
void pf_step_run(struct pf_apply *apply, const struct pf_plan *plan, const struct pf_step *step,
		 struct pf_undo *undo, struct pf_outcome *outcome);

/* Takes back what pf_step_run() did. Return: 0 or -errno, with words. */
int pf_step_undo(struct pf_apply *apply, const struct pf_step *step, const struct pf_undo *undo,
		 struct pf_err *err);

/* Whether all of "+cpuset +cpu" stands in "cpuset cpu memory". */
bool pf_step_enabled(const char *wanted, const char *now);

/* Disables again what "+cpuset +cpu" in @value enabled beyond @was. */
int pf_step_undo_controllers(struct pf_cgroup *cg, const char *group, const char *value,
			     const char *was, struct pf_err *err);

/*
 * The thread that is meant, and not another one with the same number. @start_ticks 0: any.
 * Return: 0, -ESRCH, or another -errno; @task is the caller's to clear in any case.
 */
int pf_step_task(struct pf_cgroup *cg, pid_t tid, uint64_t start_ticks, struct pf_task *task,
		 struct pf_err *err);
