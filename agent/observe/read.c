// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/observe/read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/cleanup.h"

/* A group that is being removed answers ENODEV where a missing one answers ENOENT. */
static bool is_missing(int r)
{
	return r == -ENOENT || r == -ENODEV;
}

/* Return: 0; 1 when the file (or its group) is not there; -errno. */
static int read_file(struct pf_cgroup *cg, const char *group, const char *file, char **out,
		     struct pf_err *err)
{
	int r = cg->ops->read(cg, group, file, out, err);

	return is_missing(r) ? 1 : r;
}

static int read_set(struct pf_cgroup *cg, const char *group, const char *file, struct pf_set *out,
		    struct pf_err *err)
{
	pf_auto_free char *text = NULL;
	int r = read_file(cg, group, file, &text, err);

	if (r)
		return r;
	r = pf_set_parse(text, out, err);
	if (r < 0)
		return pf_wrap(err, "%s of %.200s", file, group);
	return 0;
}

/* Goes up until a group has that file; the root always has its effective sets. */
static int read_effective(struct pf_cgroup *cg, const char *group, const char *file,
			  struct pf_set *out, struct pf_err *err)
{
	pf_auto_free char *path = strdup(group);
	int r;

	if (!path)
		return pf_fail(err, ENOMEM, "read %s", file);
	for (;;) {
		char *slash;

		r = read_set(cg, *path ? path : "/", file, out, err);
		slash = strrchr(path, '/');
		if (r != 1 || !slash)
			break;
		*slash = '\0';
	}
	return r == 1 ? pf_fail(err, ENOENT, "read %s of the root cgroup", file) : r;
}

/* What a group with a cpuset of its own is given. Return: 0; 1 when it has just gone; -errno. */
static int read_given(struct pf_cgroup *cg, const char *group, struct pf_group_actual *out,
		      struct pf_err *err)
{
	int r = read_set(cg, group, "cpuset.cpus.effective", &out->cpus_effective, err);

	return r ?: read_set(cg, group, "cpuset.mems.effective", &out->mems_effective, err);
}

static int read_cpuset(struct pf_cgroup *cg, const char *group, struct pf_group_actual *out,
		       struct pf_err *err)
{
	int r = read_set(cg, group, "cpuset.cpus", &out->cpus, err);

	out->has_cpuset = r == 0;
	if (!r)
		r = read_set(cg, group, "cpuset.mems", &out->mems, err);
	if (r < 0)
		return r;
	if (out->has_cpuset)
		return read_given(cg, group, out, err);
	r = read_effective(cg, group, "cpuset.cpus.effective", &out->cpus_effective, err);
	return r ?: read_effective(cg, group, "cpuset.mems.effective", &out->mems_effective, err);
}

static int read_max(struct pf_cgroup *cg, const char *group, struct pf_cpu_max *out,
		    struct pf_err *err)
{
	pf_auto_free char *text = NULL;
	int r = read_file(cg, group, "cpu.max", &text, err);

	if (!r && pf_cpu_max_parse(text, out) < 0)
		r = pf_fail_plain(err, EBADMSG, "cpu.max of %.200s reads '%.40s'", group, text);
	return r;
}

static int read_weight(struct pf_cgroup *cg, const char *group, unsigned int *out,
		       struct pf_err *err)
{
	pf_auto_free char *text = NULL;
	unsigned long weight;
	char *end;
	int r = read_file(cg, group, "cpu.weight", &text, err);

	if (r)
		return r;
	weight = strtoul(text, &end, 10);
	if (end == text || *end || weight > 10000)
		return pf_fail_plain(err, EBADMSG, "cpu.weight of %.200s reads '%.40s'", group,
				     text);
	*out = (unsigned int)weight;
	return 0;
}

/* "cpuset cpu memory" */
static bool has_word(const char *text, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = text; (at = strstr(at, word)); at += len)
		if ((at == text || at[-1] == ' ') && (at[len] == '\0' || at[len] == ' '))
			return true;
	return false;
}

/* Whether the cpu controller's files are there, told by one of them where one is read anyway. */
static int read_cpu(struct pf_cgroup *cg, const struct pf_group *group, struct pf_group_actual *out,
		    struct pf_err *err)
{
	/* What was promised for a unit is not all that counts there: systemd's word does, too. */
	bool unit = group->level == PF_GROUP_UNIT;
	pf_auto_free char *controllers = NULL;
	int r;

	if (!unit && !group->hold_max && !group->hold_weight) {
		r = read_file(cg, group->path, "cgroup.controllers", &controllers, err);
		out->has_cpu = r == 0 && has_word(controllers, "cpu");
		return r < 0 ? r : 0;
	}
	r = unit || group->hold_max ? read_max(cg, group->path, &out->max, err) : 0;
	if (!r && (unit || group->hold_weight))
		r = read_weight(cg, group->path, &out->weight, err);
	out->has_cpu = r == 0;
	return r < 0 ? r : 0;
}

/* Of a scope or base that is gone: what it would be given if it were made now. */
static int read_prospect(struct pf_cgroup *cg, const char *group, struct pf_group_actual *out,
			 struct pf_err *err)
{
	int r = read_effective(cg, group, "cpuset.cpus.effective", &out->cpus_effective, err);

	return r ?: read_effective(cg, group, "cpuset.mems.effective", &out->mems_effective, err);
}

/* Return: 0; 1 when some file was not there; -errno. */
static int read_files(struct pf_cgroup *cg, const struct pf_group *group,
		      const struct pf_view *view, struct pf_group_actual *out, struct pf_err *err)
{
	pf_auto_free char *type = NULL;
	int r;

	out->threaded = pf_view_is_threaded(view, group->path, out->cgid);
	if (group->level == PF_GROUP_LEAF && !out->threaded) {
		r = read_file(cg, group->path, "cgroup.type", &type, err);
		if (r < 0)
			return r;
		out->threaded = type && strcmp(type, "threaded") == 0;
	}
	r = read_cpuset(cg, group->path, out, err);
	r = r ?: read_cpu(cg, group, out, err);
	return r ?: !out->has_cpuset || !out->has_cpu;
}

/*
 * A group that goes while it is read, as a scope does that was emptied, is one that was not there:
 * half of its files would be taken for drift.
 */
static int read_group(struct pf_cgroup *cg, const struct pf_group *group,
		      const struct pf_view *view, struct pf_group_actual *out, struct pf_err *err)
{
	uint64_t cgid = 0;
	int r = cg->ops->id(cg, group->path, &out->cgid, err);

	if (!r) {
		out->exists = true;
		r = read_files(cg, group, view, out, err);
		if (r <= 0)
			return r;
		r = cg->ops->id(cg, group->path, &cgid, err);
		if (!r && cgid == out->cgid)
			return 0;
	}
	if (r < 0 && !is_missing(r))
		return r;
	*out = (struct pf_group_actual){};
	return group->level == PF_GROUP_LEAF ? 0 : read_prospect(cg, group->path, out, err);
}

static int read_thread(struct pf_cgroup *cg, const struct pf_thread_placement *thread,
		       struct pf_thread_actual *out, struct pf_err *err)
{
	PF_CLEANUP(pf_task_clear) struct pf_task task = {};
	int r;

	out->on_cpu = -1;
	r = cg->ops->task(cg, thread->tid, &task, err);
	if (r == -ESRCH)
		return 0;
	if (r < 0)
		return r;
	if (task.start_ticks != thread->start_ticks)
		return 0;
	out->alive = true;
	out->cgroup = pf_take_ptr(task.cgroup);
	out->cpus_allowed = task.cpus_allowed;
	out->mems_allowed = task.mems_allowed;
	out->on_cpu = task.on_cpu;
	return 0;
}

static int read_base(struct pf_cgroup *cg, const char *base, struct pf_actual *out,
		     struct pf_err *err)
{
	pf_auto_free char *enabled = NULL;
	int r;

	if (!base)
		return 0;
	r = read_file(cg, base, "cgroup.subtree_control", &enabled, err);
	if (r < 0)
		return r;
	out->base_exists = r == 0;
	out->base_enables_cpuset = enabled && has_word(enabled, "cpuset");
	out->base_enables_cpu = enabled && has_word(enabled, "cpu");
	r = read_effective(cg, base, "cpuset.cpus.effective", &out->base_cpus_effective, err);
	return r
		       ?: read_effective(cg, base, "cpuset.mems.effective",
					 &out->base_mems_effective, err);
}

/* What a scope that is made anew will be offered: systemd delegates all that the root has. */
static int read_offers(struct pf_cgroup *cg, struct pf_actual *out, struct pf_err *err)
{
	pf_auto_free char *offers = NULL;
	int r = read_file(cg, "/", "cgroup.controllers", &offers, err);

	if (r < 0)
		return r;
	out->offers_io = offers && has_word(offers, "io");
	out->offers_memory = offers && has_word(offers, "memory");
	return 0;
}

/* "populated 0": no process anywhere in it. */
static bool is_deserted(struct pf_cgroup *cg, const char *group)
{
	pf_auto_free char *events = NULL;

	return cg->ops->read(cg, group, "cgroup.events", &events, NULL) == 0 &&
	       strstr(events, "populated 0");
}

/*
 * The scope that a process strayed from and that nobody else is in: systemd is about to remove it,
 * and what stands there now is not what the process will come back to.
 */
static bool is_doomed(struct pf_cgroup *cg, const struct pf_placement *placement)
{
	return placement->strayed && placement->group_count &&
	       placement->groups[0].level == PF_GROUP_UNIT &&
	       is_deserted(cg, placement->groups[0].path);
}

static int read_doomed(struct pf_cgroup *cg, const struct pf_placement *placement,
		       struct pf_actual *out, struct pf_err *err)
{
	const char *unit = placement->groups[0].path;
	pf_auto_free char *above = strndup(unit, (size_t)(strrchr(unit, '/') - unit));
	struct pf_group_actual prospect = {};
	int r = above ? read_prospect(cg, above, &prospect, err)
		      : pf_fail(err, ENOMEM, "observe %.200s", unit);

	for (size_t i = 0; !r && i < placement->group_count; i++)
		if (placement->groups[i].level != PF_GROUP_LEAF)
			out->groups[i] = prospect;
	out->base_cpus_effective = prospect.cpus_effective;
	out->base_mems_effective = prospect.mems_effective;
	return r;
}

static int read_groups(struct pf_cgroup *cg, const struct pf_placement *placement,
		       const struct pf_view *view, struct pf_actual *out, struct pf_err *err)
{
	int r = 0;

	if (is_doomed(cg, placement))
		return read_doomed(cg, placement, out, err);
	if (!pf_view_recall_base(view, out))
		r = read_base(cg, placement->base, out, err);
	for (size_t i = 0; !r && i < placement->group_count; i++)
		if (!pf_view_recall_group(view, placement->groups[i].path, &out->groups[i]))
			r = read_group(cg, &placement->groups[i], view, &out->groups[i], err);
	return r;
}

static int read_threads(struct pf_cgroup *cg, const struct pf_placement *placement,
			const struct pf_view *view, struct pf_actual *out, struct pf_err *err)
{
	int r = 0;

	for (size_t i = 0; !r && i < placement->thread_count; i++) {
		const struct pf_thread_placement *thread = &placement->threads[i];

		if (!pf_view_recall_thread(view, thread->tid, thread->start_ticks,
					   &out->threads[i]))
			r = read_thread(cg, thread, &out->threads[i], err);
	}
	return r;
}

static int allocate(const struct pf_placement *placement, struct pf_actual *out)
{
	if (placement->group_count) {
		out->groups = calloc(placement->group_count, sizeof(*out->groups));
		if (!out->groups)
			return -ENOMEM;
	}
	out->group_count = placement->group_count;
	if (placement->thread_count) {
		out->threads = calloc(placement->thread_count, sizeof(*out->threads));
		if (!out->threads)
			return -ENOMEM;
	}
	out->thread_count = placement->thread_count;
	return 0;
}

int pf_observe_doubted(struct pf_cgroup *cg, const struct pf_placement *placement,
		       const struct pf_view *view, struct pf_actual *out, struct pf_err *err)
{
	static const struct pf_view nothing;
	PF_CLEANUP(pf_actual_clear) struct pf_actual actual = {};
	struct pf_err spare;
	int r;

	if (!err)
		err = &spare; /* pf_wrap() hands back what it holds */
	if (!view)
		view = &nothing;
	if (allocate(placement, &actual) < 0)
		return pf_fail(err, ENOMEM, "observe guest '%.200s'", placement->name ?: "");
	r = read_groups(cg, placement, view, &actual, err);
	if (!r && (placement->strayed || placement->brought_back))
		r = read_offers(cg, &actual, err);
	r = r ?: read_threads(cg, placement, view, &actual, err);
	if (r < 0)
		return r;
	*out = actual;
	actual = (struct pf_actual){};
	return 0;
}

int pf_observe(struct pf_cgroup *cg, const struct pf_placement *placement, struct pf_actual *out,
	       struct pf_err *err)
{
	return pf_observe_doubted(cg, placement, NULL, out, err);
}
