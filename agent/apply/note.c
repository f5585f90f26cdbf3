// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/apply/note.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/apply/knob.h"
#include "agent/apply/step.h"
#include "agent/base/array.h"
#include "agent/base/cleanup.h"

static int no_memory(struct pf_err *err)
{
	return pf_fail(err, ENOMEM, "record what is found");
}

static int set_text(char **at, const char *text)
{
	char *copy = text ? strdup(text) : NULL;

	if (text && !copy)
		return -ENOMEM;
	free(*at);
	*at = copy;
	return 0;
}

/* --- before --------------------------------------------------------------------------------- */

/* Where others are added, so that the record does not grow with what comes and goes. */
static void drop_ended(struct pf_cgroup *cg, struct pf_record *record)
{
	for (size_t i = 0; i < record->thread_count;) {
		PF_CLEANUP(pf_task_clear) struct pf_task task = {};
		const struct pf_record_thread *thread = &record->threads[i];

		if (pf_step_task(cg, thread->tid, thread->start_ticks, &task, NULL) == -ESRCH)
			pf_record_thread_remove(record, i);
		else
			i++;
	}
}

static int note_thread(struct pf_cgroup *cg, struct pf_record *record, pid_t tid,
		       uint64_t start_ticks, struct pf_record_thread **out, struct pf_err *err)
{
	PF_CLEANUP(pf_task_clear) struct pf_task task = {};
	struct pf_record_thread *thread;
	int r;

	*out = start_ticks ? pf_record_thread_find(record, tid, start_ticks) : NULL;
	if (*out)
		return 0;
	r = pf_step_task(cg, tid, start_ticks, &task, err);
	if (r < 0)
		return r == -ESRCH ? 0 : r;
	*out = pf_record_thread_find(record, tid, task.start_ticks);
	if (*out)
		return 0;
	thread = pf_append(&record->threads, &record->thread_count);
	if (!thread)
		return no_memory(err);
	thread->tid = tid;
	thread->start_ticks = task.start_ticks;
	thread->group = pf_take_ptr(task.cgroup);
	thread->cpus = task.cpus_allowed;
	*out = thread;
	return 0;
}

/* A write of its cpuset, or the enabling of the controller, may reset the masks of these. */
static int note_threads_of(struct pf_cgroup *cg, struct pf_record *record, const char *group,
			   struct pf_err *err)
{
	pf_auto_free pid_t *tids = NULL;
	struct pf_record_thread *thread;
	size_t count = 0;
	int r = cg->ops->threads(cg, group, &tids, &count, err);

	if (pf_knob_missing(r))
		return 0;
	for (size_t i = 0; !r && i < count; i++)
		r = note_thread(cg, record, tids[i], 0, &thread, err);
	return r;
}

static int note_group(struct pf_cgroup *cg, struct pf_record *record, const char *group,
		      struct pf_err *err)
{
	uint64_t cgid;
	char **slot;

	if (cg->ops->id(cg, group, &cgid, NULL) != -ENOENT || pf_record_made(record, group))
		return 0;
	slot = pf_append(&record->made, &record->made_count);
	if (slot)
		*slot = strdup(group);
	if (slot && *slot)
		return 0;
	if (slot)
		record->made_count--;
	return no_memory(err);
}

static const char *knob_of(const struct pf_step *step)
{
	return step->kind == PF_STEP_CONTROLLERS ? "cgroup.subtree_control" : step->knob;
}

/* A new entry. Nothing is left behind on failure. */
static int add_knob(struct pf_record *record, const struct pf_step *step, const char *found,
		    struct pf_record_knob **out)
{
	struct pf_record_knob *knob = pf_append(&record->knobs, &record->knob_count);

	if (!knob)
		return -ENOMEM;
	if (set_text(&knob->group, step->group) || set_text(&knob->knob, knob_of(step)) ||
	    set_text(&knob->unit, step->unit) || set_text(&knob->found, found)) {
		pf_record_knob_remove(record, record->knob_count - 1);
		return -ENOMEM;
	}
	*out = knob;
	return 0;
}

/* "+cpuset +cpu" is written, and "cpuset cpu" is read. */
static bool is_value(const char *knob, const char *now, const char *written)
{
	return strcmp(knob, "cgroup.subtree_control") ? pf_knob_equal(knob, now, written)
						      : pf_step_enabled(written, now);
}

/*
 * A write whose end was never noted, since the agent was killed then: if the kernel has its value,
 * that is ours, and stays on record when something else is about to be written.
 */
static void settle_late(struct pf_cgroup *cg, struct pf_record_knob *knob)
{
	pf_auto_free char *now = NULL;

	if (!knob->writing || cg->ops->read(cg, knob->group, knob->knob, &now, NULL) < 0 ||
	    !is_value(knob->knob, now, knob->writing))
		return;
	free(knob->wrote);
	knob->wrote = pf_take_ptr(knob->writing);
}

/* On record already as our own word, and no other is under way. */
static bool is_ours(const struct pf_record_knob *knob, const char *value)
{
	return knob->wrote && !knob->writing && strcmp(knob->wrote, value) == 0;
}

static int note_knob(struct pf_cgroup *cg, struct pf_record *record, const struct pf_step *step,
		     struct pf_err *err)
{
	struct pf_record_knob *knob = pf_record_knob_find(record, step->group, knob_of(step));
	pf_auto_free char *found = NULL;
	int r = 0;

	if (!knob) {
		r = cg->ops->read(cg, step->group, knob_of(step), &found, err);
		if (r < 0 && !pf_knob_missing(r))
			return r;
		if (found && pf_knob_equal(knob_of(step), found, step->value))
			return 0; /* it will not be changed */
		r = add_knob(record, step, found, &knob);
	} else {
		settle_late(cg, knob);
	}
	if (r == 0 && !is_ours(knob, step->value))
		r = set_text(&knob->writing, step->value);
	if (r < 0)
		return no_memory(err);
	return strcmp(knob_of(step), "cpuset.cpus") ? 0
						    : note_threads_of(cg, record, step->group, err);
}

static void settle_late_thread(struct pf_cgroup *cg, struct pf_record_thread *thread)
{
	PF_CLEANUP(pf_task_clear) struct pf_task task = {};

	if (!thread->has_writing ||
	    pf_step_task(cg, thread->tid, thread->start_ticks, &task, NULL) < 0 ||
	    !pf_set_equal(&task.cpus_allowed, &thread->writing))
		return;
	thread->has_wrote = true;
	thread->wrote = thread->writing;
}

/* On record already as ours, and nothing else is under way. */
static bool is_wrote(const struct pf_record_thread *thread, const struct pf_set *cpus)
{
	return thread->has_wrote && !thread->has_writing && pf_set_equal(&thread->wrote, cpus);
}

static int note_thread_step(struct pf_cgroup *cg, struct pf_record *record,
			    const struct pf_step *step, struct pf_err *err)
{
	struct pf_record_thread *thread;
	int r = note_thread(cg, record, step->tid, step->start_ticks, &thread, err);

	if (r < 0 || !thread)
		return r;
	if (step->kind == PF_STEP_ATTACH && set_text(&thread->moved_to, step->group))
		return no_memory(err);
	if (step->kind != PF_STEP_AFFINITY || is_wrote(thread, &step->cpus))
		return 0;
	settle_late_thread(cg, thread);
	thread->has_writing = true;
	thread->writing = step->cpus;
	return 0;
}

/*
 * Of a thread that is brought back with its process, what counts as found is where libvirt had it
 * and what it was promised: the place that a stranger moved it to is not put back by a release.
 */
static int home_of(const struct pf_step *step, char **out)
{
	const char *leaf = strrchr(step->group, '/');

	if (step->role.kind != PF_ROLE_HELPER || !leaf) {
		*out = strdup(step->group);
		return *out ? 0 : -ENOMEM;
	}
	if (asprintf(out, "%.*s/emulator", (int)(leaf - step->group), step->group) < 0)
		*out = NULL;
	return *out ? 0 : -ENOMEM;
}

static void promised_cpus(const struct pf_plan *plan, pid_t tid, struct pf_set *out)
{
	for (size_t i = 0; i < plan->count; i++)
		if (plan->steps[i].kind == PF_STEP_AFFINITY && plan->steps[i].tid == tid)
			*out = plan->steps[i].cpus;
}

static int note_stray(struct pf_cgroup *cg, struct pf_record *record, const struct pf_plan *plan,
		      const struct pf_step *step, struct pf_err *err)
{
	bool known = pf_record_thread_find(record, step->tid, step->start_ticks) != NULL;
	struct pf_record_thread *thread;
	int r = note_thread(cg, record, step->tid, step->start_ticks, &thread, err);

	if (r < 0 || !thread || known || step->kind != PF_STEP_ATTACH)
		return r;
	promised_cpus(plan, step->tid, &thread->cpus);
	free(pf_take_ptr(thread->group));
	return home_of(step, &thread->group) < 0 ? no_memory(err) : 0;
}

/* libvirt's leaves that are made anew are not ours to remove; a helper leaf is. */
static int note_remade(struct pf_cgroup *cg, struct pf_record *record, const struct pf_step *step,
		       struct pf_err *err)
{
	const char *leaf = strrchr(step->group, '/');

	return leaf && strcmp(leaf, "/helper") == 0 ? note_group(cg, record, step->group, err) : 0;
}

static int note_base(struct pf_record *record, const struct pf_step *step, struct pf_err *err)
{
	return set_text(&record->brought_back, step->group) < 0 ? no_memory(err) : 0;
}

static int note_step(struct pf_cgroup *cg, struct pf_record *record, const struct pf_plan *plan,
		     const struct pf_step *step, struct pf_err *err)
{
	/* what an agent that died over it has left to do belongs to the bringing back */
	bool stray = pf_plan_brings_back(plan) || record->brought_back;
	int r = 0;

	switch (step->kind) {
	case PF_STEP_MAKE_BASE:
		return note_base(record, step, err);
	case PF_STEP_MAKE_UNIT:
	case PF_STEP_BRING_BACK:
	case PF_STEP_WIDEN: /* of the host's, not of the guest's */
		return 0;
	case PF_STEP_MAKE_GROUP:
		return stray ? note_remade(cg, record, step, err)
			     : note_group(cg, record, step->group, err);
	case PF_STEP_CONTROLLERS:
	case PF_STEP_KNOB:
	case PF_STEP_UNIT_KNOB:
		return note_knob(cg, record, step, err);
	case PF_STEP_ATTACH:
	case PF_STEP_AFFINITY:
		r = stray ? note_stray(cg, record, plan, step, err) : 0;
		return r ?: note_thread_step(cg, record, step, err);
	}
	return 0;
}

int pf_note_before(struct pf_ledger *ledger, struct pf_cgroup *cg, const struct pf_plan *plan,
		   struct pf_err *err)
{
	struct pf_record *record = NULL;
	int first = pf_ledger_record(ledger, plan->uuid, &record, err), r;
	size_t had;

	if (!record)
		return first;
	if (plan->pid && record->pid && record->pid != plan->pid)
		pf_record_drop(record); /* of a run that is over */
	if (plan->pid)
		record->pid = plan->pid;
	had = record->thread_count;
	for (size_t i = 0; i < plan->count; i++) {
		struct pf_err own = {}; /* also gets words for what is no failure here */

		r = note_step(cg, record, plan, &plan->steps[i], &own);
		if (r < 0 && !first && err)
			*err = own;
		first = first ?: r;
	}
	if (record->thread_count > had)
		drop_ended(cg, record);
	r = pf_ledger_save(ledger, record, first ? NULL : err);
	return first ?: r;
}

/* --- after ---------------------------------------------------------------------------------- */

static bool stands(const struct pf_outcome *outcome)
{
	return outcome->result == PF_OUTCOME_DONE || outcome->result == PF_OUTCOME_SKIPPED;
}

/*
 * What the kernel took of a step that failed stays (see pf_apply_plan()), and is ours as well; so is
 * what cannot be read now: a release looks again.
 */
static bool knob_stands(struct pf_cgroup *cg, const struct pf_record_knob *knob,
			const struct pf_outcome *outcome)
{
	pf_auto_free char *now = NULL;
	int r;

	if (stands(outcome) || outcome->result != PF_OUTCOME_FAILED)
		return stands(outcome);
	r = cg->ops->read(cg, knob->group, knob->knob, &now, NULL);
	if (r < 0)
		return !pf_knob_missing(r);
	return is_value(knob->knob, now, knob->writing);
}

static void settle_knob(struct pf_cgroup *cg, struct pf_record *record, const struct pf_step *step,
			const struct pf_outcome *outcome)
{
	struct pf_record_knob *knob = pf_record_knob_find(record, step->group, knob_of(step));

	if (!knob || !knob->writing)
		return;
	if (knob_stands(cg, knob, outcome)) {
		free(knob->wrote);
		knob->wrote = pf_take_ptr(knob->writing);
		return;
	}
	free(pf_take_ptr(knob->writing));
	if (!knob->wrote)
		pf_record_knob_remove(record, (size_t)(knob - record->knobs));
}

/* The same for threads: whether the kernel took the move, or a part of the affinity. */
static void settle_failed_thread(struct pf_cgroup *cg, struct pf_record_thread *thread,
				 const struct pf_step *step)
{
	PF_CLEANUP(pf_task_clear) struct pf_task task = {};

	if (pf_step_task(cg, step->tid, step->start_ticks, &task, NULL) < 0)
		return;
	if (step->kind == PF_STEP_ATTACH && thread->moved_to &&
	    strcmp(task.cgroup, thread->moved_to))
		free(pf_take_ptr(thread->moved_to));
	if (step->kind == PF_STEP_AFFINITY && pf_set_subset(&task.cpus_allowed, &step->cpus)) {
		thread->has_wrote = true;
		thread->wrote = task.cpus_allowed;
	}
}

static void settle_thread(struct pf_cgroup *cg, struct pf_record *record,
			  const struct pf_step *step, const struct pf_outcome *outcome)
{
	struct pf_record_thread *thread =
		pf_record_thread_find(record, step->tid, step->start_ticks);

	if (!thread)
		return;
	if (outcome->result == PF_OUTCOME_FAILED) {
		settle_failed_thread(cg, thread, step);
	} else if (step->kind == PF_STEP_AFFINITY && thread->has_writing && stands(outcome)) {
		thread->has_wrote = true;
		thread->wrote = thread->writing;
	} else if (step->kind == PF_STEP_ATTACH && !stands(outcome)) {
		free(pf_take_ptr(thread->moved_to));
	}
	if (step->kind == PF_STEP_AFFINITY)
		thread->has_writing = false;
}

/* A group is ours for as long as it is there, whatever came of the step that was to make it. */
static void settle_group(struct pf_cgroup *cg, struct pf_record *record, const struct pf_step *step)
{
	uint64_t cgid;

	if (cg->ops->id(cg, step->group, &cgid, NULL) != -ENOENT)
		return;
	for (size_t i = 0; i < record->made_count; i++) {
		if (strcmp(record->made[i], step->group))
			continue;
		pf_record_made_remove(record, i);
		return;
	}
}

int pf_note_after(struct pf_ledger *ledger, struct pf_cgroup *cg, const struct pf_plan *plan,
		  const struct pf_outcome *outcomes, struct pf_err *err)
{
	struct pf_record *record = NULL;
	bool failed_before = err && err->code;
	int r = pf_ledger_record(ledger, plan->uuid, &record, failed_before ? NULL : err);

	if (!record)
		return r;
	for (size_t i = 0; i < plan->count; i++) {
		const struct pf_step *step = &plan->steps[i];

		if (step->kind == PF_STEP_MAKE_BASE &&
		    outcomes[i].result == PF_OUTCOME_SKIPPED)
			free(pf_take_ptr(record->brought_back)); /* it was there all the time */
		if (step->kind == PF_STEP_MAKE_GROUP)
			settle_group(cg, record, step);
		else if (step->tid)
			settle_thread(cg, record, step, &outcomes[i]);
		else if (step->kind == PF_STEP_CONTROLLERS || step->kind == PF_STEP_KNOB ||
			 step->kind == PF_STEP_UNIT_KNOB)
			settle_knob(cg, record, step, &outcomes[i]);
	}
	return pf_ledger_save(ledger, record, failed_before ? NULL : err);
}
