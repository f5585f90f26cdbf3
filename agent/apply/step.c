// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/apply/step.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/apply/knob.h"
#include "agent/apply/stray.h"
#include "agent/base/array.h"
#include "agent/base/cleanup.h"

/* systemd applies what it is told in its own loop, after it has answered. */
#define UNIT_WAIT_NS 1000000000ULL
#define UNIT_POLL_USEC 10000

/* The step's own answer, beside 0 (done) and -errno. */
enum { ALREADY = 1 };

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

void pf_undo_clear(struct pf_undo *undo)
{
	free(undo->was);
	free(undo->threads);
	*undo = (struct pf_undo){};
}

int pf_step_task(struct pf_cgroup *cg, pid_t tid, uint64_t start_ticks, struct pf_task *task,
		 struct pf_err *err)
{
	int r = cg->ops->task(cg, tid, task, err);

	if (!r && start_ticks && task->start_ticks != start_ticks)
		return pf_fail_plain(err, ESRCH, "thread %d has ended, its number is another's now",
				     (int)tid);
	return r;
}

/* --- affinities from before ----------------------------------------------------------------- */

static int save_thread(struct pf_undo *undo, pid_t tid, const struct pf_task *task,
		       struct pf_err *err)
{
	struct pf_saved_thread *saved = pf_append(&undo->threads, &undo->thread_count);

	if (!saved)
		return pf_fail(err, ENOMEM, "note the affinity of thread %d", (int)tid);
	saved->tid = tid;
	saved->start_ticks = task->start_ticks;
	saved->cpus = task->cpus_allowed;
	return 0;
}

/* A write of the cpuset may reset the masks of all threads in it. */
static int save_group(struct pf_cgroup *cg, const char *group, struct pf_undo *undo,
		      struct pf_err *err)
{
	pf_auto_free pid_t *tids = NULL;
	size_t count = 0;
	int r = cg->ops->threads(cg, group, &tids, &count, err);

	for (size_t i = 0; !r && i < count; i++) {
		PF_CLEANUP(pf_task_clear) struct pf_task task = {};

		r = cg->ops->task(cg, tids[i], &task, err);
		if (r == -ESRCH)
			r = 0;
		else if (!r)
			r = save_thread(undo, tids[i], &task, err);
	}
	return r;
}

static int restore_threads(struct pf_cgroup *cg, const struct pf_undo *undo, struct pf_err *err)
{
	int first = 0;

	for (size_t i = 0; i < undo->thread_count; i++) {
		const struct pf_saved_thread *saved = &undo->threads[i];
		PF_CLEANUP(pf_task_clear) struct pf_task task = {};
		struct pf_err own = {};
		int r = pf_step_task(cg, saved->tid, saved->start_ticks, &task, &own);

		if (!r && !pf_set_equal(&task.cpus_allowed, &saved->cpus))
			r = cg->ops->affinity(cg, saved->tid, &saved->cpus, &own);
		if (r < 0 && r != -ESRCH && !first) {
			first = r;
			if (err)
				*err = own;
		}
	}
	return first;
}

/* --- groups --------------------------------------------------------------------------------- */

static int make_threaded(struct pf_cgroup *cg, const struct pf_step *step, struct pf_err *err)
{
	pf_auto_free char *type = NULL;
	int r = cg->ops->read(cg, step->group, "cgroup.type", &type, err);

	if (r < 0)
		return r;
	if (strcmp(type, "threaded") == 0)
		return ALREADY;
	r = cg->ops->write(cg, step->group, "cgroup.type", "threaded", err);
	if (r < 0)
		return r;
	free(pf_take_ptr(type));
	r = cg->ops->read(cg, step->group, "cgroup.type", &type, err);
	if (!r && strcmp(type, "threaded"))
		r = pf_fail_plain(err, EXDEV, "%.300s is '%s' after it was made threaded",
				  step->group, type);
	return r;
}

static int do_make_group(struct pf_apply *apply, const struct pf_step *step, struct pf_undo *undo,
			 struct pf_err *err)
{
	struct pf_cgroup *cg = apply->cg;
	uint64_t cgid;
	int r = cg->ops->id(cg, step->group, &cgid, err);

	if (!r)
		return make_threaded(cg, step, err);
	if (r != -ENOENT)
		return r;
	r = cg->ops->make(cg, step->group, err);
	if (r < 0)
		return r; /* -EEXIST too: somebody else's, and the next pass sees it as that */
	undo->changed = true;
	r = make_threaded(cg, step, err);
	if (r < 0) /* a group that is not threaded makes its siblings' parent useless */
		cg->ops->remove(cg, step->group, NULL);
	return r == ALREADY ? 0 : r;
}

/* --- controllers ---------------------------------------------------------------------------- */

bool pf_step_enabled(const char *wanted, const char *now)
{
	char word[32];

	while (*wanted) {
		size_t len = strcspn(wanted, " ");

		if (len > 1 && len < sizeof(word)) {
			memcpy(word, wanted + 1, len - 1);
			word[len - 1] = '\0';
			if (pf_knob_has_word(now, word) != (*wanted == '+'))
				return false;
		}
		wanted += len;
		wanted += strspn(wanted, " ");
	}
	return true;
}

static int do_controllers(struct pf_apply *apply, const struct pf_step *step, struct pf_undo *undo,
			  struct pf_err *err)
{
	static const char file[] = "cgroup.subtree_control";
	struct pf_cgroup *cg = apply->cg;
	pf_auto_free char *now = NULL;
	int r = cg->ops->read(cg, step->group, file, &undo->was, err);

	if (r < 0)
		return r;
	if (pf_step_enabled(step->value, undo->was))
		return ALREADY;
	r = cg->ops->write(cg, step->group, file, step->value, err);
	if (r < 0)
		return r;
	undo->changed = true;
	r = cg->ops->read(cg, step->group, file, &now, err);
	if (!r && !pf_step_enabled(step->value, now))
		r = pf_fail_plain(err, EXDEV, "%s of %.200s reads '%.60s' after '%.60s'", file,
				  step->group, now, step->value);
	return r;
}

int pf_step_undo_controllers(struct pf_cgroup *cg, const char *group, const char *value,
			     const char *was, struct pf_err *err)
{
	static const char *const names[] = {"cpu", "cpuset"};
	int first = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char plus[16], minus[16];
		int r;

		snprintf(plus, sizeof(plus), "+%s", names[i]);
		snprintf(minus, sizeof(minus), "-%s", names[i]);
		if (!pf_knob_has_word(value, plus) || pf_knob_has_word(was, names[i]))
			continue;
		r = cg->ops->write(cg, group, "cgroup.subtree_control", minus, first ? NULL : err);
		first = first ?: r;
	}
	return first;
}

/* --- knobs ---------------------------------------------------------------------------------- */

static int check_knob(struct pf_cgroup *cg, const struct pf_step *step, const char *value,
		      struct pf_err *err)
{
	pf_auto_free char *now = NULL;
	int r = cg->ops->read(cg, step->group, step->knob, &now, err);

	if (r < 0)
		return r;
	if (!pf_knob_equal(step->knob, now, value))
		return pf_fail_plain(err, EXDEV,
				     "%s of %.200s reads '%.60s' after '%.60s' was written",
				     step->knob, step->group, now, step->value);
	return pf_knob_honoured(cg, step->group, step->knob, value, err);
}

static int do_knob(struct pf_apply *apply, const struct pf_step *step, struct pf_undo *undo,
		   struct pf_err *err)
{
	struct pf_cgroup *cg = apply->cg;
	int r = cg->ops->read(cg, step->group, step->knob, &undo->was, err);

	if (r < 0)
		return r;
	if (pf_knob_equal(step->knob, undo->was, step->value)) {
		r = pf_knob_honoured(cg, step->group, step->knob, step->value, err);
		return r ?: ALREADY;
	}
	if (strcmp(step->knob, "cpuset.cpus") == 0) {
		r = save_group(cg, step->group, undo, err);
		if (r < 0)
			return r;
	}
	r = cg->ops->write(cg, step->group, step->knob, step->value, err);
	if (r < 0)
		return r;
	undo->changed = true;
	return check_knob(cg, step, step->value, err);
}

/*
 * systemd writes "max 100000" for no limit, whatever period it is told with it (seen on 252): to
 * wait for another one would be in vain, and without a limit it means nothing.
 */
static const char *as_systemd_has_it(const struct pf_step *step)
{
	return strncmp(step->value, "max", 3) == 0 ? "max" : step->value;
}

static int do_unit_knob(struct pf_apply *apply, const struct pf_step *step, struct pf_undo *undo,
			struct pf_err *err)
{
	const char *value = as_systemd_has_it(step);
	struct pf_cgroup *cg = apply->cg;
	uint64_t deadline;
	int r = cg->ops->read(cg, step->group, step->knob, &undo->was, err);

	/* systemd enables the controller when it is first asked for one of its knobs */
	if (r < 0 && !pf_knob_missing(r))
		return r;
	if (!r && pf_knob_equal(step->knob, undo->was, value))
		return ALREADY;
	if (!apply->unit_set)
		return pf_fail_plain(err, EOPNOTSUPP, "no systemd here to set %s of %.300s",
				     step->knob, step->unit);
	r = apply->unit_set(apply->unit_ctx, step->unit, step->knob, step->value, err);
	if (r < 0)
		return r;
	undo->changed = true;
	deadline = now_ns() + UNIT_WAIT_NS;
	while ((r = check_knob(cg, step, value, err)) < 0 && now_ns() < deadline)
		usleep(UNIT_POLL_USEC);
	return r;
}

/* --- threads -------------------------------------------------------------------------------- */

static int do_attach(struct pf_apply *apply, const struct pf_step *step, struct pf_undo *undo,
		     struct pf_err *err)
{
	PF_CLEANUP(pf_task_clear) struct pf_task before = {}, after = {};
	struct pf_cgroup *cg = apply->cg;
	int r = pf_step_task(cg, step->tid, step->start_ticks, &before, err);

	if (r < 0)
		return r;
	if (strcmp(before.cgroup, step->group) == 0)
		return ALREADY;
	r = save_thread(undo, step->tid, &before, err);
	r = r ?: cg->ops->attach(cg, step->group, step->tid, err);
	if (r < 0)
		return r;
	undo->changed = true;
	undo->was = pf_take_ptr(before.cgroup);
	r = pf_step_task(cg, step->tid, step->start_ticks, &after, err);
	if (!r && strcmp(after.cgroup, step->group))
		r = pf_fail_plain(err, EXDEV, "thread %d is in %.180s after it was moved to %.180s",
				  (int)step->tid, after.cgroup, step->group);
	return r;
}

static int check_affinity(struct pf_cgroup *cg, const struct pf_step *step, struct pf_err *err)
{
	PF_CLEANUP(pf_task_clear) struct pf_task task = {};
	pf_auto_free char *text = malloc(2 * PF_SET_TEXT_MAX);
	int r = text ? pf_step_task(cg, step->tid, step->start_ticks, &task, err)
		     : pf_fail(err, ENOMEM, "check the affinity of thread %d", (int)step->tid);

	if (r < 0 || pf_set_equal(&task.cpus_allowed, &step->cpus))
		return r;
	return pf_fail_plain(
		err, EXDEV,
		"thread %d may run on '%.120s' after its affinity was set to '%.120s': "
		"the rest is offline or outside its cpuset",
		(int)step->tid, pf_set_format(&task.cpus_allowed, text, PF_SET_TEXT_MAX),
		pf_set_format(&step->cpus, text + PF_SET_TEXT_MAX, PF_SET_TEXT_MAX));
}

static int do_affinity(struct pf_apply *apply, const struct pf_step *step, struct pf_undo *undo,
		       struct pf_err *err)
{
	PF_CLEANUP(pf_task_clear) struct pf_task task = {};
	struct pf_cgroup *cg = apply->cg;
	int r = pf_step_task(cg, step->tid, step->start_ticks, &task, err);

	if (r < 0)
		return r;
	if (pf_set_equal(&task.cpus_allowed, &step->cpus))
		return ALREADY;
	r = save_thread(undo, step->tid, &task, err);
	r = r ?: cg->ops->affinity(cg, step->tid, &step->cpus, err);
	if (r < 0)
		return r;
	undo->changed = true;
	return check_affinity(cg, step, err);
}

/* --- doing and taking back ------------------------------------------------------------------ */

static int do_step(struct pf_apply *apply, const struct pf_plan *plan, const struct pf_step *step,
		   struct pf_undo *undo, struct pf_err *err)
{
	switch (step->kind) {
	case PF_STEP_MAKE_GROUP:
		return do_make_group(apply, step, undo, err);
	case PF_STEP_CONTROLLERS:
		return do_controllers(apply, step, undo, err);
	case PF_STEP_KNOB:
		return do_knob(apply, step, undo, err);
	case PF_STEP_UNIT_KNOB:
		return do_unit_knob(apply, step, undo, err);
	case PF_STEP_ATTACH:
		return do_attach(apply, step, undo, err);
	case PF_STEP_AFFINITY:
		return do_affinity(apply, step, undo, err);
	case PF_STEP_MAKE_UNIT:
	case PF_STEP_MAKE_BASE:
	case PF_STEP_BRING_BACK:
	case PF_STEP_WIDEN:
		return pf_stray_do(apply, plan, step, undo, err);
	}
	return pf_fail_plain(err, EINVAL, "unknown kind of step %d", (int)step->kind);
}

/* A thread that ended, or a group that went with its guest, is no failure. */
static bool has_ended(struct pf_apply *apply, const struct pf_plan *plan,
		      const struct pf_step *step, int r)
{
	PF_CLEANUP(pf_task_clear) struct pf_task task = {};

	if (r == -ESRCH && (step->tid || step->pid))
		return true;
	return pf_knob_missing(r) && plan->pid &&
	       apply->cg->ops->task(apply->cg, plan->pid, &task, NULL) == -ESRCH;
}

void pf_step_run(struct pf_apply *apply, const struct pf_plan *plan, const struct pf_step *step,
		 struct pf_undo *undo, struct pf_outcome *outcome)
{
	int r = do_step(apply, plan, step, undo, &outcome->err);

	outcome->settled_ns = now_ns();
	if (r == 0) {
		outcome->result = PF_OUTCOME_DONE;
		outcome->err = (struct pf_err){};
	} else if (r == ALREADY) {
		outcome->result = PF_OUTCOME_SKIPPED;
		pf_fail_plain(&outcome->err, 0, "it is so already");
	} else if (has_ended(apply, plan, step, r)) {
		outcome->result = PF_OUTCOME_SKIPPED;
		pf_fail_plain(&outcome->err, 0, "the %s has ended", step->tid ? "thread" : "guest");
	} else {
		outcome->result = PF_OUTCOME_FAILED;
	}
}

static int undo_attach(struct pf_apply *apply, const struct pf_step *step,
		       const struct pf_undo *undo, struct pf_err *err)
{
	PF_CLEANUP(pf_task_clear) struct pf_task task = {};
	int r = pf_step_task(apply->cg, step->tid, step->start_ticks, &task, err);

	if (!r && strcmp(task.cgroup, undo->was))
		r = apply->cg->ops->attach(apply->cg, undo->was, step->tid, err);
	if (r == -ESRCH)
		return 0;
	return r ?: restore_threads(apply->cg, undo, err);
}

int pf_step_undo(struct pf_apply *apply, const struct pf_step *step, const struct pf_undo *undo,
		 struct pf_err *err)
{
	struct pf_cgroup *cg = apply->cg;
	int r = 0;

	if (!undo->changed)
		return 0;
	switch (step->kind) {
	case PF_STEP_MAKE_GROUP:
		return cg->ops->remove(cg, step->group, err);
	case PF_STEP_CONTROLLERS:
		return pf_step_undo_controllers(cg, step->group, step->value, undo->was, err);
	case PF_STEP_KNOB:
		r = pf_knob_put_back(cg, step->group, step->knob, undo->was, err);
		return r ?: restore_threads(cg, undo, err);
	case PF_STEP_UNIT_KNOB:
		if (!undo->was)
			return pf_fail_plain(err, ENOENT, "%s of %.300s was not there before",
					     step->knob, step->group);
		return apply->unit_set(apply->unit_ctx, step->unit, step->knob, undo->was, err);
	case PF_STEP_ATTACH:
		return undo_attach(apply, step, undo, err);
	case PF_STEP_AFFINITY:
		return restore_threads(cg, undo, err);
	case PF_STEP_MAKE_UNIT:
	case PF_STEP_MAKE_BASE:
	case PF_STEP_BRING_BACK:
	case PF_STEP_WIDEN:
		return pf_stray_undo(apply, step, undo, err);
	}
	return r;
}
