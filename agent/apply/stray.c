// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/apply/stray.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/apply/knob.h"
#include "agent/base/cleanup.h"

#define ALREADY 1
#define GONE_POLL_USEC 10000
#define GONE_POLLS 100

static bool is_within(const char *path, const char *above)
{
	size_t len = strlen(above);

	return strncmp(path, above, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/* All threads of @pid, through the group's cgroup.procs. */
static int move(struct pf_cgroup *cg, const char *group, pid_t pid, struct pf_err *err)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", (int)pid);
	return cg->ops->write(cg, group, "cgroup.procs", text, err);
}

static int check_place(struct pf_cgroup *cg, const struct pf_step *step, struct pf_err *err)
{
	PF_CLEANUP(pf_task_clear) struct pf_task task = {};
	int r = cg->ops->task(cg, step->pid, &task, err);

	if (!r && strcmp(task.cgroup, step->group))
		r = pf_fail_plain(err, EXDEV, "process %d is in %.180s after it was moved to %.180s",
				  (int)step->pid, task.cgroup, step->group);
	return r;
}

/* "/machine.slice/a.scope": "machine.slice". A scope that is in no slice is in the root's. */
static char *slice_of(const char *group)
{
	const char *end = strrchr(group, '/'), *begin = end;

	while (begin > group && begin[-1] != '/')
		begin--;
	return end == begin ? strdup("-.slice") : strndup(begin, (size_t)(end - begin));
}

/*
 * systemd removes an emptied scope in its own time, and machined makes no other of that name before.
 * Return: whether it is gone.
 */
static bool wait_until_gone(struct pf_cgroup *cg, const char *scope)
{
	uint64_t cgid;
	unsigned int i;

	for (i = 0; i < GONE_POLLS && cg->ops->id(cg, scope, &cgid, NULL) == 0; i++)
		usleep(GONE_POLL_USEC);
	return i < GONE_POLLS;
}

static int do_make_unit(struct pf_apply *apply, const struct pf_plan *plan,
			const struct pf_step *step, struct pf_undo *undo, struct pf_err *err)
{
	PF_CLEANUP(pf_task_clear) struct pf_task task = {};
	pf_auto_free char *slice = slice_of(step->group);
	const struct pf_unit_machine machine = {step->unit, slice, plan->uuid, step->pid};
	int r = slice ? apply->cg->ops->task(apply->cg, step->pid, &task, err)
		      : pf_fail(err, ENOMEM, "make %.200s", step->unit);

	if (r < 0)
		return r;
	if (is_within(task.cgroup, step->group))
		return ALREADY;
	if (!wait_until_gone(apply->cg, step->group))
		return ALREADY;
	if (!apply->unit_make)
		return pf_fail_plain(err, EOPNOTSUPP, "no systemd here to make %.300s", step->unit);
	undo->was = pf_take_ptr(task.cgroup);
	r = apply->unit_make(apply->unit_ctx, &machine, err);
	if (r < 0)
		return r;
	undo->changed = true;
	return check_place(apply->cg, step, err);
}

static int do_make_base(struct pf_apply *apply, const struct pf_step *step, struct pf_undo *undo,
			struct pf_err *err)
{
	uint64_t cgid;
	int r = apply->cg->ops->id(apply->cg, step->group, &cgid, err);

	if (!r)
		return ALREADY;
	if (r == -ENOENT)
		r = apply->cg->ops->make(apply->cg, step->group, err);
	undo->changed = r == 0;
	return r;
}

static int do_bring_back(struct pf_apply *apply, const struct pf_step *step, struct pf_undo *undo,
			 struct pf_err *err)
{
	PF_CLEANUP(pf_task_clear) struct pf_task task = {};
	int r = apply->cg->ops->task(apply->cg, step->pid, &task, err);

	if (r < 0)
		return r;
	if (is_within(task.cgroup, step->group))
		return ALREADY;
	r = move(apply->cg, step->group, step->pid, err);
	if (r < 0)
		return r;
	undo->changed = true;
	undo->was = pf_take_ptr(task.cgroup);
	return check_place(apply->cg, step, err);
}

/* An administrator may have spoken since the plan was made. */
static int check_word(struct pf_apply *apply, const struct pf_step *step, struct pf_err *err)
{
	pf_auto_free char *text = malloc(PF_SET_TEXT_MAX);
	struct pf_set word;
	int r;

	if (!text)
		return pf_fail(err, ENOMEM, "widen %.200s", step->group);
	if (!apply->unit_allowed)
		return pf_fail_plain(err, EOPNOTSUPP, "no systemd here to ask about %.300s",
				     step->unit);
	r = apply->unit_allowed(apply->unit_ctx, step->unit, step->knob, &word, err);
	if (!r && !pf_set_empty(&word))
		r = pf_fail_plain(err, EPERM, "systemd has been told '%.120s' for %s of %.200s: "
				  "that is left as it is",
				  pf_set_format(&word, text, PF_SET_TEXT_MAX), step->knob,
				  step->unit);
	return r;
}

static int do_widen(struct pf_apply *apply, const struct pf_step *step, struct pf_undo *undo,
		    struct pf_err *err)
{
	struct pf_cgroup *cg = apply->cg;
	pf_auto_free char *now = NULL;
	int r = cg->ops->read(cg, step->group, step->knob, &undo->was, err);

	if (r < 0)
		return r;
	/* empty: the kernel has taken it at last */
	if (!undo->was[0] || pf_knob_equal(step->knob, undo->was, step->value))
		return ALREADY;
	r = check_word(apply, step, err);
	r = r ?: cg->ops->write(cg, step->group, step->knob, step->value, err);
	if (r < 0)
		return r;
	undo->changed = true;
	r = cg->ops->read(cg, step->group, step->knob, &now, err);
	if (!r && !pf_knob_equal(step->knob, now, step->value))
		r = pf_fail_plain(err, EXDEV, "%s of %.200s reads '%.60s' after '%.60s' was written",
				  step->knob, step->group, now, step->value);
	return r;
}

int pf_stray_do(struct pf_apply *apply, const struct pf_plan *plan, const struct pf_step *step,
		struct pf_undo *undo, struct pf_err *err)
{
	switch (step->kind) {
	case PF_STEP_MAKE_UNIT:
		return do_make_unit(apply, plan, step, undo, err);
	case PF_STEP_MAKE_BASE:
		return do_make_base(apply, step, undo, err);
	case PF_STEP_BRING_BACK:
		return do_bring_back(apply, step, undo, err);
	case PF_STEP_WIDEN:
		return do_widen(apply, step, undo, err);
	default:
		return pf_fail_plain(err, EINVAL, "unknown kind of step %d", (int)step->kind);
	}
}

/* systemd removes the scope when the process has left it. */
static int move_back(struct pf_cgroup *cg, const struct pf_step *step, const struct pf_undo *undo,
		     struct pf_err *err)
{
	PF_CLEANUP(pf_task_clear) struct pf_task task = {};
	int r = cg->ops->task(cg, step->pid, &task, err);

	if (!r && strcmp(task.cgroup, undo->was))
		r = move(cg, undo->was, step->pid, err);
	return r == -ESRCH ? 0 : r;
}

int pf_stray_undo(struct pf_apply *apply, const struct pf_step *step, const struct pf_undo *undo,
		  struct pf_err *err)
{
	struct pf_cgroup *cg = apply->cg;

	switch (step->kind) {
	case PF_STEP_MAKE_UNIT:
	case PF_STEP_BRING_BACK:
		return move_back(cg, step, undo, err);
	case PF_STEP_MAKE_BASE:
		return cg->ops->remove(cg, step->group, err);
	case PF_STEP_WIDEN:
		return pf_knob_put_back(cg, step->group, step->knob, undo->was, err);
	default:
		return 0;
	}
}
