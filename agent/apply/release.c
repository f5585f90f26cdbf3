// SPDX-License-Identifier: GPL-2.0-or-later
/* pf_ledger_release(): putting back what was found. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/apply/knob.h"
#include "agent/apply/note.h"
#include "agent/apply/step.h"
#include "agent/base/cleanup.h"

#define SUBTREE "cgroup.subtree_control"

struct pf_release {
	struct pf_apply *apply;
	struct pf_cgroup *cg;
	struct pf_record record; /* a copy: the ledger's stays as it is until the end */
	bool *affinity_ours; /* by thread: the mask it has now is the one that we gave it */
	bool *thread_failed; /* stays on record */
	size_t tried;
	size_t failed;
	struct pf_err first;
};

/* Counts one thing that was to be put back. Return: whether it was. */
static bool count(struct pf_release *release, int r, const struct pf_err *err)
{
	release->tried++;
	if (r >= 0)
		return true;
	if (!release->failed++)
		release->first = *err;
	return false;
}

/* --- threads -------------------------------------------------------------------------------- */

/*
 * The nearest group that has a cpuset counts: a release that was cut short has disabled it below.
 * Return: 1, 0, or -errno.
 */
static int has_group_cpus(struct pf_cgroup *cg, const char *group, const struct pf_set *cpus,
			  struct pf_err *err)
{
	pf_auto_free char *path = strdup(group);
	pf_auto_free char *text = NULL;
	struct pf_set set;
	int r = path ? -ENOENT : pf_fail(err, ENOMEM, "look at %.300s", group);

	for (char *end = path ? path + strlen(path) : NULL; pf_knob_missing(r) && end;
	     end = strrchr(path, '/')) {
		*end = '\0';
		r = cg->ops->read(cg, *path ? path : "/", "cpuset.cpus.effective", &text, err);
	}
	r = r ?: pf_set_parse(text, &set, err);
	return r ?: pf_set_equal(&set, cpus);
}

/*
 * Whether a thread's mask is nobody else's: it is the one that we set, or the whole cpuset, to which
 * the kernel resets it when we, or anyone, write that. Return: 1, 0, or -errno.
 */
static int affinity_is_ours(struct pf_cgroup *cg, const struct pf_record_thread *thread,
			    const struct pf_task *task, struct pf_err *err)
{
	if (thread->has_wrote && pf_set_equal(&task->cpus_allowed, &thread->wrote))
		return 1;
	if (thread->has_writing && pf_set_equal(&task->cpus_allowed, &thread->writing))
		return 1;
	return has_group_cpus(cg, task->cgroup, &task->cpus_allowed, err);
}

/* Asked before anything is changed: putting a cpuset back resets masks, too. */
static void look_at_threads(struct pf_release *release)
{
	for (size_t i = 0; i < release->record.thread_count; i++) {
		const struct pf_record_thread *thread = &release->record.threads[i];
		PF_CLEANUP(pf_task_clear) struct pf_task task = {};
		struct pf_err err = {};
		int r = pf_step_task(release->cg, thread->tid, thread->start_ticks, &task, &err);

		if (r == -ESRCH)
			continue;
		r = r ?: affinity_is_ours(release->cg, thread, &task, &err);
		release->affinity_ours[i] = r > 0;
		release->thread_failed[i] = !count(release, r, &err);
	}
}

static int move_back(struct pf_cgroup *cg, const struct pf_record_thread *thread,
		     struct pf_err *err)
{
	PF_CLEANUP(pf_task_clear) struct pf_task task = {};
	int r;

	if (!thread->moved_to || strcmp(thread->moved_to, thread->group) == 0)
		return 0;
	r = pf_step_task(cg, thread->tid, thread->start_ticks, &task, err);
	if (!r && strcmp(task.cgroup, thread->moved_to) == 0)
		r = cg->ops->attach(cg, thread->group, thread->tid, err);
	return r == -ESRCH ? 0 : r;
}

static void move_threads(struct pf_release *release)
{
	for (size_t i = 0; i < release->record.thread_count; i++) {
		struct pf_err err = {};

		if (!count(release, move_back(release->cg, &release->record.threads[i], &err),
			   &err))
			release->thread_failed[i] = true;
	}
}

static int set_back(struct pf_cgroup *cg, const struct pf_record_thread *thread, struct pf_err *err)
{
	PF_CLEANUP(pf_task_clear) struct pf_task task = {};
	int r = pf_step_task(cg, thread->tid, thread->start_ticks, &task, err);

	if (!r && !pf_set_equal(&task.cpus_allowed, &thread->cpus))
		r = cg->ops->affinity(cg, thread->tid, &thread->cpus, err);
	return r == -ESRCH ? 0 : r;
}

static void set_affinities(struct pf_release *release)
{
	for (size_t i = 0; i < release->record.thread_count; i++) {
		struct pf_err err = {};

		if (!release->affinity_ours[i])
			continue;
		if (!count(release, set_back(release->cg, &release->record.threads[i], &err),
			   &err))
			release->thread_failed[i] = true;
	}
}

static void drop_threads(struct pf_release *release)
{
	for (size_t i = release->record.thread_count; i-- > 0;)
		if (!release->thread_failed[i])
			pf_record_thread_remove(&release->record, i);
}

/* --- knobs ---------------------------------------------------------------------------------- */

static bool is_ours(const struct pf_record_knob *knob, const char *now)
{
	return (knob->wrote && pf_knob_equal(knob->knob, now, knob->wrote)) ||
	       (knob->writing && pf_knob_equal(knob->knob, now, knob->writing));
}

static int put_knob_back(struct pf_release *release, const struct pf_record_knob *knob,
			 struct pf_err *err)
{
	struct pf_apply *apply = release->apply;
	pf_auto_free char *now = NULL;
	int r;

	if (!knob->found || pf_record_made(&release->record, knob->group))
		return 0; /* it goes with its group, or with its controller */
	r = release->cg->ops->read(release->cg, knob->group, knob->knob, &now, err);
	if (r < 0)
		return pf_knob_missing(r) ? 0 : r;
	if (!is_ours(knob, now) || pf_knob_equal(knob->knob, now, knob->found))
		return 0;
	if (!knob->unit)
		return pf_knob_put_back(release->cg, knob->group, knob->knob, knob->found, err);
	if (!apply->unit_set)
		return pf_fail_plain(err, EOPNOTSUPP, "no systemd here to set %s of %.300s",
				     knob->knob, knob->unit);
	return apply->unit_set(apply->unit_ctx, knob->unit, knob->knob, knob->found, err);
}

static int disable_controllers(struct pf_release *release, const struct pf_record_knob *knob,
			       struct pf_err *err)
{
	const char *value = knob->wrote ?: knob->writing;
	pf_auto_free char *now = NULL;
	int r;

	if (!value || !knob->found)
		return 0;
	r = release->cg->ops->read(release->cg, knob->group, SUBTREE, &now, err);
	if (r < 0)
		return pf_knob_missing(r) ? 0 : r;
	return pf_step_undo_controllers(release->cg, knob->group, value, knob->found, err);
}

/* The last change first; @controllers: those knobs, or all the others. */
static void put_knobs_back(struct pf_release *release, bool controllers)
{
	for (size_t i = release->record.knob_count; i-- > 0;) {
		const struct pf_record_knob *knob = &release->record.knobs[i];
		struct pf_err err = {};
		int r;

		if ((strcmp(knob->knob, SUBTREE) == 0) != controllers)
			continue;
		r = controllers ? disable_controllers(release, knob, &err)
				: put_knob_back(release, knob, &err);
		if (count(release, r, &err))
			pf_record_knob_remove(&release->record, i);
	}
}

/* --- groups --------------------------------------------------------------------------------- */

/* Where threads that were born in a group of ours belong: where its first thread came from. */
static const char *home_of(const struct pf_release *release, const char *group)
{
	const struct pf_record *record = &release->record;
	const char *any = NULL;

	for (size_t i = 0; i < record->thread_count; i++) {
		const struct pf_record_thread *thread = &record->threads[i];

		if (pf_record_made(record, thread->group))
			continue;
		if (thread->moved_to && strcmp(thread->moved_to, group) == 0)
			return thread->group;
		any = any ?: thread->group;
	}
	return any;
}

static int send_home(struct pf_release *release, const char *group, struct pf_err *err)
{
	const char *home = home_of(release, group);
	pf_auto_free pid_t *tids = NULL;
	struct pf_cgroup *cg = release->cg;
	size_t n = 0;
	int r = cg->ops->threads(cg, group, &tids, &n, err);

	if (!r && n && !home)
		return pf_fail_plain(err, EBUSY,
				     "threads are in %.300s, and where they came from "
				     "is not known",
				     group);
	for (size_t i = 0; !r && i < n; i++) {
		r = cg->ops->attach(cg, home, tids[i], err);
		if (r == -ESRCH)
			r = 0;
	}
	return r;
}

static int remove_group(struct pf_release *release, const char *group, struct pf_err *err)
{
	int r = send_home(release, group, err);

	if (!r)
		r = release->cg->ops->remove(release->cg, group, err);
	return pf_knob_missing(r) ? 0 : r;
}

static void remove_groups(struct pf_release *release)
{
	for (size_t i = release->record.made_count; i-- > 0;) {
		struct pf_err err = {};

		if (count(release, remove_group(release, release->record.made[i], &err), &err))
			pf_record_made_remove(&release->record, i);
	}
}

/* --- all of it ------------------------------------------------------------------------------ */

/*
 * Threads first, since groups of ours must be empty to go; affinities last, since everything
 * before resets them.
 */
static void put_back(struct pf_release *release)
{
	look_at_threads(release);
	move_threads(release);
	put_knobs_back(release, false);
	remove_groups(release);
	put_knobs_back(release, true);
	set_affinities(release);
	drop_threads(release);
}

/* Through its text, which says all of it. */
static int copy_record(const struct pf_record *record, struct pf_record *out, struct pf_err *err)
{
	pf_auto_free char *text = NULL;
	int r = pf_record_format(record, &text, err);

	return r ?: pf_record_parse(text, out, err);
}

int pf_release_begin(struct pf_ledger *ledger, const char *uuid, struct pf_release **out,
		     struct pf_err *err)
{
	PF_CLEANUP(pf_release_free) struct pf_release *release = NULL;
	struct pf_record *record = NULL;
	int r = pf_ledger_record(ledger, uuid, &record, err);

	*out = NULL;
	if (r < 0 || pf_record_blank(record))
		return r;
	release = calloc(1, sizeof(*release));
	if (!release)
		return pf_fail(err, ENOMEM, "put back what was found");
	r = copy_record(record, &release->record, err);
	if (r < 0)
		return r;
	release->affinity_ours = calloc(record->thread_count + 1, sizeof(bool));
	release->thread_failed = calloc(record->thread_count + 1, sizeof(bool));
	if (!release->affinity_ours || !release->thread_failed)
		return pf_fail(err, ENOMEM, "put back what was found");
	*out = pf_take_ptr(release);
	return 0;
}

void pf_release_run(struct pf_apply *apply, struct pf_release *release)
{
	release->apply = apply;
	release->cg = apply->cg;
	put_back(release);
}

/* What was not put back stays on record; an operator's word that came meanwhile counts. */
static int settle(struct pf_ledger *ledger, struct pf_release *release, struct pf_err *err)
{
	struct pf_record *record = pf_ledger_known(ledger, release->record.uuid);

	if (!record || record->pid != release->record.pid)
		return 0; /* that run is over, and its record with it */
	release->record.released = record->released;
	release->record.has_mode = record->has_mode;
	release->record.mode = record->mode;
	pf_record_clear(record);
	*record = release->record;
	release->record = (struct pf_record){};
	return pf_ledger_save(ledger, record, err);
}

int pf_release_end(struct pf_ledger *ledger, struct pf_release *release, struct pf_err *err)
{
	int r = settle(ledger, release, err);

	if (!release->failed)
		return r;
	return pf_fail_plain(err, release->first.code,
			     "%zu of %zu could not be put back, first: %.380s", release->failed,
			     release->tried, release->first.text);
}

void pf_release_free(struct pf_release **release)
{
	if (!*release)
		return;
	pf_record_clear(&(*release)->record);
	free((*release)->affinity_ours);
	free((*release)->thread_failed);
	free(*release);
	*release = NULL;
}

int pf_ledger_release(struct pf_ledger *ledger, struct pf_apply *apply, const char *uuid,
		      struct pf_err *err)
{
	PF_CLEANUP(pf_release_free) struct pf_release *release = NULL;
	int r = pf_release_begin(ledger, uuid, &release, err);

	if (r < 0 || !release)
		return r;
	pf_release_run(apply, release);
	return pf_release_end(ledger, release, err);
}
