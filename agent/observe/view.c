// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/observe/view.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/cleanup.h"

void pf_view_clear(struct pf_view *view)
{
	for (size_t i = 0; i < view->group_count; i++)
		free(view->groups[i].path);
	for (size_t i = 0; i < view->task_count; i++)
		free(view->tasks[i].cgroup);
	free(view->groups);
	free(view->tasks);
	free(view->threads);
	free(view->cgroup);
	pf_sets_clear(&view->sets);
	*view = (struct pf_view){};
}

/* ---- doubt ------------------------------------------------------------------------------- */

/* What was seen stays: some of it is so for good (pf_view_is_threaded()). */
void pf_view_doubt_all(struct pf_view *view)
{
	view->known = false;
}

void pf_view_doubt_thread(struct pf_view *view, pid_t tid)
{
	for (size_t i = 0; tid != view->pid && i < view->task_count; i++) {
		if (view->tasks[i].tid != tid)
			continue;
		view->tasks[i].doubted = true;
		return;
	}
	pf_view_doubt_all(view);
}

static bool is_within(const char *path, const char *above)
{
	size_t len = strlen(above);

	return strncmp(path, above, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/* A cpuset decides what its threads may do. */
static void doubt_leaf(struct pf_view *view, struct pf_view_group *leaf, bool cpuset)
{
	leaf->doubted = true;
	for (size_t i = 0; cpuset && i < view->task_count; i++)
		if (is_within(view->tasks[i].cgroup, leaf->path))
			view->tasks[i].doubted = true;
}

/* The files that reach no further than their group: "cpuset.cpus.partition", say, is none. */
static bool is_cpuset(const char *knob)
{
	return strcmp(knob, "cpuset.cpus") == 0 || strcmp(knob, "cpuset.mems") == 0;
}

static bool is_bandwidth(const char *knob)
{
	return strcmp(knob, "cpu.max") == 0 || strcmp(knob, "cpu.weight") == 0 ||
	       strcmp(knob, "cpu.weight.nice") == 0;
}

static void doubt_group(struct pf_view *view, struct pf_view_group *group, const char *knob)
{
	if (!group || !(is_bandwidth(knob) || (is_cpuset(knob) && group->level == PF_GROUP_LEAF))) {
		pf_view_doubt_all(view);
		return;
	}
	if (group->level == PF_GROUP_LEAF)
		doubt_leaf(view, group, is_cpuset(knob));
	group->doubted = true;
	/* systemd may have been given another word on its scope. */
	if (group->level == PF_GROUP_UNIT)
		view->word = (struct pf_unit_word){};
}

static struct pf_view_group *find_cgid(const struct pf_view *view, uint64_t cgid)
{
	for (size_t i = 0; view->known && i < view->group_count; i++)
		if (view->groups[i].exists && view->groups[i].cgid == cgid)
			return &view->groups[i];
	return NULL;
}

static struct pf_view_group *find_path(const struct pf_view *view, const char *path)
{
	for (size_t i = 0; path && i < view->group_count; i++)
		if (strcmp(view->groups[i].path, path) == 0)
			return &view->groups[i];
	return NULL;
}

void pf_view_doubt_knob(struct pf_view *view, uint64_t cgid, const char *knob)
{
	doubt_group(view, find_cgid(view, cgid), knob);
}

void pf_view_doubt_move(struct pf_view *view, uint64_t cgid, pid_t tid)
{
	if (find_cgid(view, cgid))
		pf_view_doubt_thread(view, tid);
	else
		pf_view_doubt_all(view);
}

static void doubt_step(struct pf_view *view, const struct pf_step *step)
{
	switch (step->kind) {
	case PF_STEP_KNOB:
		doubt_group(view, find_path(view, step->group), step->knob);
		break;
	case PF_STEP_ATTACH:
	case PF_STEP_AFFINITY:
		pf_view_doubt_thread(view, step->tid);
		break;
	case PF_STEP_MAKE_GROUP:
	case PF_STEP_CONTROLLERS:
	case PF_STEP_UNIT_KNOB: /* systemd writes all that it holds */
	case PF_STEP_MAKE_UNIT:
	case PF_STEP_MAKE_BASE:
	case PF_STEP_BRING_BACK:
	case PF_STEP_WIDEN:
		pf_view_doubt_all(view);
		break;
	}
}

void pf_view_doubt_plan(struct pf_view *view, const struct pf_plan *plan)
{
	for (size_t i = 0; view->known && i < plan->count; i++)
		if (!plan->steps[i].put_off)
			doubt_step(view, &plan->steps[i]);
}

/* ---- recalling --------------------------------------------------------------------------- */

bool pf_view_recall_guest(const struct pf_view *view, struct pf_guest *guest)
{
	size_t size = view->thread_count * sizeof(*view->threads);
	pf_auto_free struct pf_thread *threads = NULL;
	pf_auto_free char *cgroup = NULL;

	if (!view->known || view->pid != guest->pid)
		return false;
	threads = malloc(size);
	cgroup = strdup(view->cgroup);
	if (!threads || !cgroup)
		return false;
	memcpy(threads, view->threads, size);
	free(guest->threads);
	free(guest->cgroup);
	guest->threads = pf_take_ptr(threads);
	guest->thread_count = view->thread_count;
	guest->cgroup = pf_take_ptr(cgroup);
	return true;
}

bool pf_view_recall_base(const struct pf_view *view, struct pf_actual *out)
{
	if (!view->known)
		return false;
	out->base_exists = true;
	out->base_enables_cpuset = view->base_enables_cpuset;
	out->base_enables_cpu = view->base_enables_cpu;
	pf_sets_get(&view->sets, view->base_cpus, &out->base_cpus_effective);
	pf_sets_get(&view->sets, view->base_mems, &out->base_mems_effective);
	out->word = view->word;
	return true;
}

bool pf_view_recall_group(const struct pf_view *view, const char *path, struct pf_group_actual *out)
{
	const struct pf_view_group *group = view->known ? find_path(view, path) : NULL;

	if (!group || group->doubted)
		return false;
	out->exists = true;
	out->threaded = group->threaded;
	out->has_cpuset = group->has_cpuset;
	out->has_cpu = group->has_cpu;
	out->cgid = group->cgid;
	out->max = group->max;
	out->weight = group->weight;
	pf_sets_get(&view->sets, group->cpus, &out->cpus);
	pf_sets_get(&view->sets, group->cpus_effective, &out->cpus_effective);
	pf_sets_get(&view->sets, group->mems, &out->mems);
	pf_sets_get(&view->sets, group->mems_effective, &out->mems_effective);
	return true;
}

bool pf_view_is_threaded(const struct pf_view *view, const char *path, uint64_t cgid)
{
	const struct pf_view_group *group = find_path(view, path);

	return group && group->cgid == cgid && group->threaded;
}

static const struct pf_view_task *find_task(const struct pf_view *view, pid_t tid,
					    uint64_t start_ticks)
{
	for (size_t i = 0; i < view->task_count; i++)
		if (view->tasks[i].tid == tid && view->tasks[i].start_ticks == start_ticks)
			return &view->tasks[i];
	return NULL;
}

bool pf_view_recall_thread(const struct pf_view *view, pid_t tid, uint64_t start_ticks,
			   struct pf_thread_actual *out)
{
	const struct pf_view_task *task =
		view->known ? find_task(view, tid, start_ticks) : NULL;
	char *cgroup = task && !task->doubted ? strdup(task->cgroup) : NULL;

	if (!cgroup)
		return false;
	out->alive = true;
	out->cgroup = cgroup;
	out->on_cpu = task->on_cpu;
	pf_sets_get(&view->sets, task->cpus, &out->cpus_allowed);
	pf_sets_get(&view->sets, task->mems, &out->mems_allowed);
	return true;
}

/* ---- keeping ----------------------------------------------------------------------------- */

static bool is_settled(const struct pf_placement *placement, const struct pf_actual *actual)
{
	if (!placement->base || placement->strayed || placement->brought_back ||
	    !actual->base_exists || actual->above_count)
		return false;
	for (size_t i = 0; i < actual->thread_count; i++)
		if (!actual->threads[i].alive)
			return false;
	return true;
}

static int keep_facts(struct pf_view *view, const struct pf_guest *guest)
{
	size_t size = guest->thread_count * sizeof(*guest->threads);

	view->pid = guest->pid;
	view->cgroup = strdup(guest->cgroup ?: "");
	view->threads = malloc(size);
	if (!view->cgroup || !view->threads)
		return -ENOMEM;
	memcpy(view->threads, guest->threads, size);
	view->thread_count = guest->thread_count;
	return 0;
}

static int keep_base(struct pf_view *view, const struct pf_actual *actual)
{
	int r = pf_sets_add(&view->sets, &actual->base_cpus_effective, &view->base_cpus);

	view->base_enables_cpuset = actual->base_enables_cpuset;
	view->base_enables_cpu = actual->base_enables_cpu;
	view->word = actual->word;
	return r ?: pf_sets_add(&view->sets, &actual->base_mems_effective, &view->base_mems);
}

/* Nothing tells that a group is made which is not there: it's looked for again each time. */
static int keep_group(struct pf_view *view, const struct pf_group *group,
		      const struct pf_group_actual *actual, struct pf_view_group *out)
{
	struct pf_sets *sets = &view->sets;
	int r;

	*out = (struct pf_view_group){
		.path = strdup(group->path),
		.level = group->level,
		.doubted = !actual->exists,
		.exists = actual->exists,
		.threaded = actual->threaded,
		.has_cpuset = actual->has_cpuset,
		.has_cpu = actual->has_cpu,
		.cgid = actual->cgid,
		.max = actual->max,
		.weight = actual->weight,
	};
	r = out->path ? pf_sets_add(sets, &actual->cpus, &out->cpus) : -ENOMEM;
	r = r ?: pf_sets_add(sets, &actual->cpus_effective, &out->cpus_effective);
	r = r ?: pf_sets_add(sets, &actual->mems, &out->mems);
	return r ?: pf_sets_add(sets, &actual->mems_effective, &out->mems_effective);
}

static int keep_task(struct pf_view *view, const struct pf_thread_placement *thread,
		     const struct pf_thread_actual *actual, struct pf_view_task *out)
{
	int r;

	*out = (struct pf_view_task){
		.tid = thread->tid,
		.start_ticks = thread->start_ticks,
		.cgroup = strdup(actual->cgroup),
		.on_cpu = actual->on_cpu,
	};
	r = out->cgroup ? pf_sets_add(&view->sets, &actual->cpus_allowed, &out->cpus) : -ENOMEM;
	return r ?: pf_sets_add(&view->sets, &actual->mems_allowed, &out->mems);
}

static int keep(struct pf_view *view, const struct pf_guest *guest,
		const struct pf_placement *placement, const struct pf_actual *actual)
{
	int r = keep_facts(view, guest);

	r = r ?: keep_base(view, actual);
	view->groups = calloc(placement->group_count + 1, sizeof(*view->groups));
	view->tasks = calloc(placement->thread_count + 1, sizeof(*view->tasks));
	if (!view->groups || !view->tasks)
		return -ENOMEM;
	for (size_t i = 0; !r && i < placement->group_count; i++)
		r = keep_group(view, &placement->groups[i], &actual->groups[i],
			       &view->groups[view->group_count++]);
	for (size_t i = 0; !r && i < placement->thread_count; i++)
		r = keep_task(view, &placement->threads[i], &actual->threads[i],
			      &view->tasks[view->task_count++]);
	return r;
}

void pf_view_keep(struct pf_view *view, const struct pf_guest *guest,
		  const struct pf_placement *placement, const struct pf_actual *actual)
{
	pf_view_clear(view);
	view->held_back = actual->above_count > 0;
	if (!is_settled(placement, actual))
		return;
	view->known = true;
	if (keep(view, guest, placement, actual) < 0)
		pf_view_clear(view);
}
