// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/fake/cgroup.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/cleanup.h"

enum { CPUSET = 1, CPU = 2 };

struct node {
	char *path; /* "" is the root */
	uint64_t ino;
	struct node *parent;
	struct node *next; /* all groups, parents before children */
	bool threaded;
	unsigned int subtree; /* controllers enabled for the children */
	struct pf_set cpus, mems;
	struct pf_set cpus_seen; /* effective before the change under way */
	uint64_t quota, period;  /* quota UINT64_MAX: max */
	unsigned int weight;
};

struct task {
	pid_t tid, tgid;
	uint64_t start;
	struct node *group;
	struct pf_set allowed;
	bool has_user;
	struct pf_set user; /* what sched_setaffinity asked for */
	struct task *next;  /* ascending by tid */
};

struct pf_fake {
	struct pf_cgroup cg;
	struct node *root;
	struct task *tasks;
	struct pf_set possible, online, nodes;
	bool keep_affinity;
	uint64_t next_ino, clock;
	pid_t next_tid;
	unsigned int changes;
	char fault_what[32];
	unsigned int fault_nth;
	int fault_error;
	bool fault_stays;
	char watched[128];
	unsigned int touched;
	void (*hook)(void *ctx, const char *what);
	void *hook_ctx;
	void (*read_hook)(void *ctx, const char *group, const char *file);
	void *read_hook_ctx;
};

static struct pf_fake *fake_of(struct pf_cgroup *cg)
{
	return (struct pf_fake *)cg;
}

/* --- faults --------------------------------------------------------------------------------- */

static void touch(struct pf_fake *fake, const char *group)
{
	size_t len = strlen(fake->watched);

	fake->touched += len && strncmp(group, fake->watched, len) == 0;
}

/* Return: 0 to go on, -errno to fail with, 1 to pretend. */
static int changing(struct pf_fake *fake, const char *what, const char *group)
{
	fake->changes++;
	touch(fake, group);
	if (fake->hook)
		fake->hook(fake->hook_ctx, what);
	if (!fake->fault_nth || (strcmp(fake->fault_what, "*") && strcmp(fake->fault_what, what)))
		return 0;
	if (fake->fault_nth > 1) {
		fake->fault_nth--;
		return 0;
	}
	if (!fake->fault_stays)
		fake->fault_nth = 0;
	return fake->fault_error ? -fake->fault_error : 1;
}

/* --- the tree ------------------------------------------------------------------------------- */

static struct node *find(struct pf_fake *fake, const char *path)
{
	if (strcmp(path, "/") == 0)
		path = "";
	for (struct node *node = fake->root; node; node = node->next)
		if (strcmp(node->path, path) == 0)
			return node;
	return NULL;
}

static bool has_children(struct pf_fake *fake, const struct node *node)
{
	for (struct node *other = fake->root; other; other = other->next)
		if (other->parent == node)
			return true;
	return false;
}

static bool has_threaded_child(struct pf_fake *fake, const struct node *node)
{
	for (struct node *other = fake->root; other; other = other->next)
		if (other->parent == node && other->threaded)
			return true;
	return false;
}

static bool has_tasks(struct pf_fake *fake, const struct node *node)
{
	for (struct task *task = fake->tasks; task; task = task->next)
		if (task->group == node)
			return true;
	return false;
}

static bool within(const struct node *node, const struct node *ancestor)
{
	while (node && node != ancestor)
		node = node->parent;
	return node != NULL;
}

static bool populated(struct pf_fake *fake, const struct node *node)
{
	for (struct task *task = fake->tasks; task; task = task->next)
		if (within(task->group, node))
			return true;
	return false;
}

/* A domain that threads below it share: it has threaded children, or tasks and controllers. */
static bool thread_root(struct pf_fake *fake, const struct node *node)
{
	if (!node->parent || node->threaded)
		return false;
	return has_threaded_child(fake, node) || (has_tasks(fake, node) && node->subtree);
}

static struct node *domain(struct node *node)
{
	while (node->threaded)
		node = node->parent;
	return node;
}

/* cgroup_is_valid_domain() */
static bool valid_domain(struct pf_fake *fake, const struct node *node)
{
	if (node->threaded)
		return false;
	for (node = node->parent; node; node = node->parent)
		if (thread_root(fake, node) || node->threaded)
			return false;
	return true;
}

/* cgroup_can_be_thread_root() */
static bool can_be_thread_root(struct pf_fake *fake, const struct node *node)
{
	if (!node->parent)
		return true;
	for (struct node *other = fake->root; other; other = other->next)
		if (other->parent == node && !other->threaded && populated(fake, other))
			return false;
	return true;
}

static const char *type_of(struct pf_fake *fake, const struct node *node)
{
	if (node->threaded)
		return "threaded";
	if (!valid_domain(fake, node))
		return "domain invalid";
	return thread_root(fake, node) ? "domain threaded" : "domain";
}

/* --- cpusets -------------------------------------------------------------------------------- */

static bool enabled(const struct node *node, unsigned int controller)
{
	return node->parent && (node->parent->subtree & controller);
}

/* A request that gives nothing within the parent's set means the parent's whole set. */
static void effective(const struct pf_fake *fake, const struct node *node, bool cpus,
		      struct pf_set *out)
{
	struct pf_set own;

	if (!node->parent) {
		*out = cpus ? fake->online : fake->nodes;
		return;
	}
	effective(fake, node->parent, cpus, out);
	if (!enabled(node, CPUSET))
		return;
	pf_set_and(&own, out, cpus ? &node->cpus : &node->mems);
	if (!pf_set_empty(&own))
		*out = own;
}

/* The group whose cpuset counts for @node's tasks. */
static const struct node *cpuset_of(const struct node *node)
{
	while (node->parent && !enabled(node, CPUSET))
		node = node->parent;
	return node;
}

static void reset_affinity(struct pf_fake *fake, struct task *task)
{
	struct pf_set kept;

	effective(fake, task->group, true, &task->allowed);
	if (!fake->keep_affinity) {
		task->has_user = false;
		return;
	}
	if (!task->has_user)
		return;
	pf_set_and(&kept, &task->user, &task->allowed);
	if (!pf_set_empty(&kept))
		task->allowed = kept;
}

static void remember_effective(struct pf_fake *fake)
{
	for (struct node *node = fake->root; node; node = node->next)
		effective(fake, node, true, &node->cpus_seen);
}

/* Tasks are only touched where the effective set has become another one. */
static void spread_effective(struct pf_fake *fake)
{
	struct pf_set now;

	for (struct task *task = fake->tasks; task; task = task->next) {
		effective(fake, task->group, true, &now);
		if (!pf_set_equal(&now, &task->group->cpus_seen))
			reset_affinity(fake, task);
	}
}

static int write_set(struct pf_fake *fake, struct node *node, bool cpus, const char *value)
{
	struct pf_set *own = cpus ? &node->cpus : &node->mems;
	struct pf_set set;

	if (pf_set_parse(value, &set, NULL) < 0 ||
	    !pf_set_subset(&set, cpus ? &fake->possible : &fake->nodes))
		return -EINVAL;
	if (pf_set_equal(&set, own))
		return 0;
	if (pf_set_empty(&set) && !pf_set_empty(own) && populated(fake, node))
		return -ENOSPC;
	remember_effective(fake);
	*own = set;
	if (cpus)
		spread_effective(fake);
	return 0;
}

/* --- other files ---------------------------------------------------------------------------- */

static int write_max(struct node *node, const char *value)
{
	unsigned long long quota = UINT64_MAX, period = node->period;
	char word[24];
	int n = sscanf(value, "%20s %llu", word, &period);

	if (n < 1)
		return -EINVAL;
	/* the kernel's sscanf() takes no sign, unlike ours */
	if (strcmp(word, "max") && (*word == '-' || sscanf(word, "%llu", &quota) != 1))
		return -EINVAL;
	if (period < 1000 || period > 1000000 || quota < 1000)
		return -EINVAL;
	node->quota = quota;
	node->period = period;
	return 0;
}

static int write_weight(struct node *node, const char *value)
{
	unsigned long long weight;
	char *end;

	weight = strtoull(value, &end, 10);
	if (end == value || (*end && *end != '\n'))
		return -EINVAL;
	if (weight < 1 || weight > 10000)
		return -ERANGE;
	node->weight = (unsigned int)weight;
	return 0;
}

static int write_type(struct pf_fake *fake, struct node *node, const char *value)
{
	struct node *parent_domain;

	if (strcmp(value, "threaded"))
		return -EINVAL;
	if (node->threaded)
		return 0;
	parent_domain = domain(node->parent);
	if (populated(fake, node) || !valid_domain(fake, parent_domain) ||
	    !can_be_thread_root(fake, parent_domain))
		return -EOPNOTSUPP;
	node->threaded = true;
	return 0;
}

static int parse_controllers(const char *value, unsigned int *add, unsigned int *drop)
{
	pf_auto_free char *copy = strdup(value);
	char *save = NULL;

	if (!copy)
		return -ENOMEM;
	for (char *word = strtok_r(copy, " \n", &save); word; word = strtok_r(NULL, " \n", &save)) {
		unsigned int bit = strcmp(word + 1, "cpuset") == 0 ? CPUSET
				   : strcmp(word + 1, "cpu") == 0  ? CPU
								   : 0;

		if (!bit || (*word != '+' && *word != '-'))
			return -EINVAL;
		*(*word == '+' ? add : drop) |= bit;
	}
	return 0;
}

/* A controller taken away takes its values with it. */
static void reset_values(struct node *node, unsigned int controllers)
{
	if (controllers & CPUSET) {
		pf_set_clear(&node->cpus);
		pf_set_clear(&node->mems);
	}
	if (controllers & CPU) {
		node->quota = UINT64_MAX;
		node->period = 100000;
		node->weight = 100;
	}
}

/* Tasks below @parent come to belong to another cpuset: all they were allowed starts anew. */
static void switch_cpuset(struct pf_fake *fake, const struct node *parent)
{
	for (struct task *task = fake->tasks; task; task = task->next)
		if (task->group != parent && within(task->group, parent))
			reset_affinity(fake, task);
}

/* cgroup_vet_subtree_control_enable(), for threaded controllers */
static int vet_enable(struct pf_fake *fake, struct node *node, unsigned int add)
{
	if (node->parent && (add & ~node->parent->subtree))
		return -ENOENT;
	if (!valid_domain(fake, domain(node)))
		return -EOPNOTSUPP;
	/* no internal processes, but for the root and for (prospective) threaded subtrees */
	if (!node->parent || node->threaded || can_be_thread_root(fake, node))
		return 0;
	return has_tasks(fake, node) ? -EBUSY : 0;
}

static int write_subtree(struct pf_fake *fake, struct node *node, const char *value)
{
	unsigned int add = 0, drop = 0;
	int r = parse_controllers(value, &add, &drop);

	if (r < 0)
		return r;
	add &= ~node->subtree;
	drop &= node->subtree;
	r = add ? vet_enable(fake, node, add) : 0;
	if (r < 0)
		return r;
	for (struct node *child = fake->root; child; child = child->next)
		if (child->parent == node && (child->subtree & drop))
			return -EBUSY;
	node->subtree = (node->subtree | add) & ~drop;
	for (struct node *child = fake->root; child; child = child->next)
		if (child->parent == node)
			reset_values(child, add | drop);
	if ((add | drop) & CPUSET)
		switch_cpuset(fake, node);
	return 0;
}

/* --- threads -------------------------------------------------------------------------------- */

static struct task *find_task(struct pf_fake *fake, pid_t tid)
{
	for (struct task *task = fake->tasks; task; task = task->next)
		if (task->tid == tid)
			return task;
	return NULL;
}

static void move_task(struct pf_fake *fake, struct task *task, struct node *to)
{
	const struct node *from = cpuset_of(task->group);

	task->group = to;
	if (cpuset_of(to) != from)
		reset_affinity(fake, task);
}

/* cgroup_migrate_vet_dst() */
static int vet_destination(struct pf_fake *fake, struct node *to)
{
	if (!valid_domain(fake, domain(to)))
		return -EOPNOTSUPP;
	if (to->threaded || !to->parent || can_be_thread_root(fake, to))
		return 0;
	return to->subtree ? -EBUSY : 0;
}

static int write_threads(struct pf_fake *fake, struct node *to, const char *value, bool process)
{
	char *end;
	long tid = strtol(value, &end, 10);
	struct task *task;
	int r;

	if (end == value || tid < 0 || tid > INT_MAX)
		return -EINVAL;
	task = find_task(fake, (pid_t)tid);
	if (!task)
		return -ESRCH;
	touch(fake, task->group->path);
	r = vet_destination(fake, to);
	if (r < 0)
		return r;
	if (!process && domain(task->group) != domain(to))
		return -EOPNOTSUPP;
	for (struct task *other = fake->tasks; other; other = other->next)
		if (other == task || (process && other->tgid == task->tgid))
			move_task(fake, other, to);
	return 0;
}

/* --- the table: files ----------------------------------------------------------------------- */

static bool has_file(const struct node *node, const char *file)
{
	if (strcmp(file, "cpuset.cpus.effective") == 0 ||
	    strcmp(file, "cpuset.mems.effective") == 0)
		return !node->parent || enabled(node, CPUSET);
	if (strncmp(file, "cpuset.", 7) == 0)
		return enabled(node, CPUSET) &&
		       (strcmp(file + 7, "cpus") == 0 || strcmp(file + 7, "mems") == 0);
	if (strncmp(file, "cpu.", 4) == 0)
		return enabled(node, CPU) &&
		       (strcmp(file + 4, "max") == 0 || strcmp(file + 4, "weight") == 0);
	if (strcmp(file, "cgroup.type") == 0 || strcmp(file, "cgroup.events") == 0)
		return node->parent;
	return strcmp(file, "cgroup.threads") == 0 || strcmp(file, "cgroup.procs") == 0 ||
	       strcmp(file, "cgroup.controllers") == 0 ||
	       strcmp(file, "cgroup.subtree_control") == 0;
}

static char *set_text(const struct pf_set *set)
{
	char *text = malloc(PF_SET_TEXT_MAX);

	return text ? pf_set_format(set, text, PF_SET_TEXT_MAX) : NULL;
}

static char *controllers_text(unsigned int controllers)
{
	static const char *const text[] = {"", "cpuset", "cpu", "cpuset cpu"};

	return strdup(text[controllers]);
}

static char *max_text(const struct node *node)
{
	char *text = NULL;
	int n = node->quota == UINT64_MAX
			? asprintf(&text, "max %" PRIu64, node->period)
			: asprintf(&text, "%" PRIu64 " %" PRIu64, node->quota, node->period);

	return n < 0 ? NULL : text;
}

static char *weight_text(const struct node *node)
{
	char *text = NULL;

	return asprintf(&text, "%u", node->weight) < 0 ? NULL : text;
}

static char *tasks_text(struct pf_fake *fake, const struct node *node)
{
	char *text = strdup("");

	for (struct task *task = fake->tasks; task && text; task = task->next) {
		char *longer = NULL;

		if (task->group != node)
			continue;
		if (asprintf(&longer, "%s%s%d", text, *text ? "\n" : "", (int)task->tid) < 0)
			longer = NULL;
		free(text);
		text = longer;
	}
	return text;
}

static char *file_text(struct pf_fake *fake, const struct node *node, const char *file)
{
	struct pf_set set;

	if (strcmp(file, "cpuset.cpus") == 0)
		return set_text(&node->cpus);
	if (strcmp(file, "cpuset.mems") == 0)
		return set_text(&node->mems);
	if (strncmp(file, "cpuset.", 7) == 0) {
		effective(fake, node, strcmp(file, "cpuset.cpus.effective") == 0, &set);
		return set_text(&set);
	}
	if (strcmp(file, "cpu.max") == 0)
		return max_text(node);
	if (strcmp(file, "cpu.weight") == 0)
		return weight_text(node);
	if (strcmp(file, "cgroup.type") == 0)
		return strdup(type_of(fake, node));
	if (strcmp(file, "cgroup.events") == 0)
		return strdup(populated(fake, node) ? "populated 1\nfrozen 0"
						    : "populated 0\nfrozen 0");
	if (strcmp(file, "cgroup.controllers") == 0)
		return controllers_text(node->parent ? node->parent->subtree : CPUSET | CPU);
	if (strcmp(file, "cgroup.subtree_control") == 0)
		return controllers_text(node->subtree);
	return tasks_text(fake, node);
}

static int fake_read(struct pf_cgroup *cg, const char *group, const char *file, char **out,
		     struct pf_err *err)
{
	struct pf_fake *fake = fake_of(cg);
	struct node *node;
	char *text;

	if (fake->read_hook)
		fake->read_hook(fake->read_hook_ctx, group, file);
	node = find(fake, group);
	if (!node || !has_file(node, file))
		return pf_fail(err, ENOENT, "read %s of cgroup %s", file, group);
	if (strcmp(file, "cgroup.procs") == 0 && node->threaded)
		return pf_fail(err, EOPNOTSUPP, "read %s of cgroup %s", file, group);
	text = file_text(fake, node, file);
	if (!text)
		return pf_fail(err, ENOMEM, "read %s of cgroup %s", file, group);
	*out = text;
	return 0;
}

static int write_file(struct pf_fake *fake, struct node *node, const char *file, const char *value)
{
	if (!node || !has_file(node, file))
		return -ENOENT;
	if (strcmp(file, "cpuset.cpus") == 0)
		return write_set(fake, node, true, value);
	if (strcmp(file, "cpuset.mems") == 0)
		return write_set(fake, node, false, value);
	if (strcmp(file, "cpu.max") == 0)
		return write_max(node, value);
	if (strcmp(file, "cpu.weight") == 0)
		return write_weight(node, value);
	if (strcmp(file, "cgroup.type") == 0)
		return write_type(fake, node, value);
	if (strcmp(file, "cgroup.subtree_control") == 0)
		return write_subtree(fake, node, value);
	if (strcmp(file, "cgroup.threads") == 0 || strcmp(file, "cgroup.procs") == 0)
		return write_threads(fake, node, value, file[7] == 'p');
	return -EACCES; /* read-only files */
}

static int fake_write(struct pf_cgroup *cg, const char *group, const char *file, const char *value,
		      struct pf_err *err)
{
	struct pf_fake *fake = fake_of(cg);
	int r = changing(fake, file, group);

	if (!r)
		r = write_file(fake, find(fake, group), file, value);
	if (r < 0)
		return pf_fail(err, r, "write '%.60s' to %s of cgroup %s", value, file, group);
	return 0;
}

static int fake_id(struct pf_cgroup *cg, const char *group, uint64_t *out, struct pf_err *err)
{
	struct node *node = find(fake_of(cg), group);

	if (!node)
		return pf_fail(err, ENOENT, "look up cgroup %s", group);
	*out = node->ino;
	return 0;
}

static struct node *parent_of(struct pf_fake *fake, const char *group)
{
	pf_auto_free char *copy = strdup(group);
	char *slash = copy ? strrchr(copy, '/') : NULL;

	if (!slash || !slash[1])
		return NULL;
	*slash = '\0';
	return find(fake, copy);
}

static int make_node(struct pf_fake *fake, const char *group)
{
	struct node *parent = parent_of(fake, group), **last = &fake->root, *node;

	if (!parent)
		return -ENOENT;
	if (find(fake, group))
		return -EEXIST;
	node = calloc(1, sizeof(*node));
	if (!node)
		return -ENOMEM;
	node->path = strdup(group);
	if (!node->path) {
		free(node);
		return -ENOMEM;
	}
	node->parent = parent;
	node->ino = fake->next_ino++;
	reset_values(node, CPUSET | CPU);
	while (*last)
		last = &(*last)->next;
	*last = node;
	return 0;
}

static int fake_make(struct pf_cgroup *cg, const char *group, struct pf_err *err)
{
	struct pf_fake *fake = fake_of(cg);
	int r = changing(fake, "mkdir", group);

	r = r ?: make_node(fake, group);
	return r < 0 ? pf_fail(err, r, "make cgroup %s", group) : 0;
}

static int remove_node(struct pf_fake *fake, const char *group)
{
	struct node *node = find(fake, group), **link = &fake->root;

	if (!node)
		return -ENOENT;
	if (!node->parent || has_children(fake, node) || has_tasks(fake, node))
		return -EBUSY;
	while (*link != node)
		link = &(*link)->next;
	*link = node->next;
	free(node->path);
	free(node);
	return 0;
}

static int fake_remove(struct pf_cgroup *cg, const char *group, struct pf_err *err)
{
	struct pf_fake *fake = fake_of(cg);
	int r = changing(fake, "rmdir", group);

	r = r ?: remove_node(fake, group);
	return r < 0 ? pf_fail(err, r, "remove cgroup %s", group) : 0;
}

/* --- the table: threads --------------------------------------------------------------------- */

static int fake_attach(struct pf_cgroup *cg, const char *group, pid_t tid, struct pf_err *err)
{
	char text[16];
	int r;

	snprintf(text, sizeof(text), "%d", (int)tid);
	r = fake_write(cg, group, "cgroup.threads", text, err);
	return r;
}

static int fake_threads(struct pf_cgroup *cg, const char *group, pid_t **tids, size_t *count,
			struct pf_err *err)
{
	struct pf_fake *fake = fake_of(cg);
	pf_auto_free char *text = NULL;
	struct node *node = find(fake, group);
	size_t n = 0;
	int r;

	r = fake_read(cg, group, "cgroup.threads", &text, err);
	if (r < 0)
		return r;
	for (struct task *task = fake->tasks; task; task = task->next)
		n += task->group == node;
	*tids = n ? calloc(n, sizeof(**tids)) : NULL;
	if (n && !*tids)
		return pf_fail(err, ENOMEM, "list the threads of cgroup %s", group);
	*count = 0;
	for (struct task *task = fake->tasks; task; task = task->next)
		if (task->group == node)
			(*tids)[(*count)++] = task->tid;
	return 0;
}

static int fake_task(struct pf_cgroup *cg, pid_t tid, struct pf_task *out, struct pf_err *err)
{
	struct pf_fake *fake = fake_of(cg);
	const struct task *task = find_task(fake, tid);
	struct pf_task found = {};

	if (!task)
		return pf_fail(err, ESRCH, "read /proc/%d", (int)tid);
	found.cgroup = strdup(*task->group->path ? task->group->path : "/");
	if (!found.cgroup)
		return pf_fail(err, ENOMEM, "read /proc/%d", (int)tid);
	found.start_ticks = task->start;
	found.cpus_allowed = task->allowed;
	effective(fake, task->group, false, &found.mems_allowed);
	found.on_cpu = pf_set_next(&task->allowed, 0);
	*out = found;
	return 0;
}

static int set_affinity(struct pf_fake *fake, pid_t tid, const struct pf_set *cpus)
{
	struct task *task = find_task(fake, tid);
	struct pf_set allowed;

	if (!task)
		return -ESRCH;
	effective(fake, task->group, true, &allowed);
	pf_set_and(&allowed, &allowed, cpus);
	if (pf_set_empty(&allowed))
		return -EINVAL;
	task->allowed = allowed;
	task->user = *cpus;
	task->has_user = true;
	return 0;
}

static int fake_affinity(struct pf_cgroup *cg, pid_t tid, const struct pf_set *cpus,
			 struct pf_err *err)
{
	struct pf_fake *fake = fake_of(cg);
	const struct task *task = find_task(fake, tid);
	int r = changing(fake, "affinity", task ? task->group->path : "");

	r = r ?: set_affinity(fake, tid, cpus);
	return r < 0 ? pf_fail(err, r, "set the affinity of thread %d", (int)tid) : 0;
}

/* It is for one thread; tests/fake/gate.h makes it one for several. */
static int fake_again(const struct pf_cgroup *cg, struct pf_cgroup **out, struct pf_err *err)
{
	(void)cg, (void)out;
	return pf_fail(err, EOPNOTSUPP, "open the fake cgroup tree again");
}

static void fake_close(struct pf_cgroup *cg)
{
	struct pf_fake *fake = fake_of(cg);

	while (fake->root) {
		struct node *node = fake->root;

		fake->root = node->next;
		free(node->path);
		free(node);
	}
	while (fake->tasks) {
		struct task *task = fake->tasks;

		fake->tasks = task->next;
		free(task);
	}
	free(fake);
}

static const struct pf_cgroup_ops fake_ops = {
	.read = fake_read,
	.write = fake_write,
	.id = fake_id,
	.make = fake_make,
	.remove = fake_remove,
	.attach = fake_attach,
	.threads = fake_threads,
	.task = fake_task,
	.affinity = fake_affinity,
	.again = fake_again,
	.close = fake_close,
};

/* --- what tests do to it -------------------------------------------------------------------- */

int pf_fake_new(unsigned int cpus, unsigned int nodes, struct pf_fake **out)
{
	struct pf_fake *fake = calloc(1, sizeof(*fake));

	if (!fake)
		return -ENOMEM;
	fake->cg.ops = &fake_ops;
	pf_set_add_range(&fake->possible, 0, cpus - 1);
	pf_set_add_range(&fake->nodes, 0, nodes - 1);
	fake->online = fake->possible;
	fake->next_ino = 1;
	fake->next_tid = 1000;
	fake->clock = 1;
	fake->root = calloc(1, sizeof(*fake->root));
	if (fake->root)
		fake->root->path = strdup("");
	if (!fake->root || !fake->root->path) {
		fake_close(&fake->cg);
		return -ENOMEM;
	}
	fake->root->ino = fake->next_ino++;
	*out = fake;
	return 0;
}

struct pf_cgroup *pf_fake_cgroup(struct pf_fake *fake)
{
	return &fake->cg;
}

void pf_fake_free(struct pf_fake **fake)
{
	if (*fake)
		fake_close(&(*fake)->cg);
	*fake = NULL;
}

void pf_fake_keep_affinity(struct pf_fake *fake, bool keep)
{
	fake->keep_affinity = keep;
}

int pf_fake_mkdir_all(struct pf_fake *fake, const char *group)
{
	pf_auto_free char *path = strdup(group);
	int r = path ? 0 : -ENOMEM;

	for (char *slash = path; !r && slash;) {
		*slash = '\0'; /* all before it is the parent */
		r = write_subtree(fake, find(fake, path), "+cpuset +cpu");
		*slash = '/';
		slash = strchr(slash + 1, '/');
		if (slash)
			*slash = '\0';
		if (!r && !find(fake, path))
			r = make_node(fake, path);
	}
	return r;
}

pid_t pf_fake_spawn(struct pf_fake *fake, const char *group, pid_t tgid)
{
	struct node *node = find(fake, group);
	struct task *task, **last = &fake->tasks;

	if (!node)
		return -ENOENT;
	task = calloc(1, sizeof(*task));
	if (!task)
		return -ENOMEM;
	task->tid = fake->next_tid++;
	task->tgid = tgid ?: task->tid;
	task->start = fake->clock++;
	task->group = node;
	effective(fake, node, true, &task->allowed);
	while (*last)
		last = &(*last)->next;
	*last = task;
	return task->tid;
}

void pf_fake_kill(struct pf_fake *fake, pid_t tid)
{
	for (struct task **link = &fake->tasks; *link; link = &(*link)->next) {
		struct task *task = *link;

		if (task->tid != tid)
			continue;
		*link = task->next;
		free(task);
		return;
	}
}

void pf_fake_reuse(struct pf_fake *fake, pid_t tid)
{
	struct task *task = find_task(fake, tid);

	if (task)
		task->start = fake->clock++;
}

void pf_fake_online(struct pf_fake *fake, unsigned int cpu, bool online)
{
	remember_effective(fake);
	if (online)
		pf_set_add(&fake->online, cpu);
	else
		pf_set_remove(&fake->online, cpu);
	spread_effective(fake);
}

void pf_fake_fail(struct pf_fake *fake, const char *what, unsigned int nth, int error)
{
	snprintf(fake->fault_what, sizeof(fake->fault_what), "%s", what);
	fake->fault_nth = nth;
	fake->fault_error = error;
	fake->fault_stays = false;
}

void pf_fake_fail_from(struct pf_fake *fake, unsigned int nth, int error)
{
	pf_fake_fail(fake, "*", nth, error);
	fake->fault_stays = true;
}

void pf_fake_heal(struct pf_fake *fake)
{
	fake->fault_nth = 0;
}

void pf_fake_hook(struct pf_fake *fake, void (*hook)(void *ctx, const char *what), void *ctx)
{
	fake->hook = hook;
	fake->hook_ctx = ctx;
}

void pf_fake_read_hook(struct pf_fake *fake,
		       void (*hook)(void *ctx, const char *group, const char *file), void *ctx)
{
	fake->read_hook = hook;
	fake->read_hook_ctx = ctx;
}

void pf_fake_watch(struct pf_fake *fake, const char *prefix)
{
	snprintf(fake->watched, sizeof(fake->watched), "%s", prefix);
	fake->touched = 0;
}

unsigned int pf_fake_touched(const struct pf_fake *fake)
{
	return fake->touched;
}

unsigned int pf_fake_changes(const struct pf_fake *fake)
{
	return fake->changes;
}
