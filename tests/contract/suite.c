// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/contract/suite.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/cleanup.h"
#include "tests/contract/plans.h"

#define FAIL(t, ...)                                                                               \
	({                                                                                         \
		int at_ = snprintf((t)->words, sizeof((t)->words), "line %d: ", __LINE__);         \
		snprintf((t)->words + at_, sizeof((t)->words) - (size_t)at_, __VA_ARGS__);         \
		return PF_CONTRACT_FAILED;                                                         \
	})

#define EXPECT(t, condition)                                                                       \
	do {                                                                                       \
		if (!(condition))                                                                  \
			FAIL(t, "not so: %s", #condition);                                         \
	} while (0)

/* @call answers @code */
#define EXPECT_CODE(t, call, code)                                                                 \
	do {                                                                                       \
		int r_;                                                                            \
                                                                                                   \
		(t)->err.text[0] = '\0';                                                           \
		r_ = (call);                                                                       \
		if (r_ != (code))                                                                  \
			FAIL(t, "%s: %d, expected %d (%s)", #call, r_, (code), (t)->err.text);     \
		if (r_ < 0 && !(t)->err.text[0])                                                   \
			FAIL(t, "%s: %d without words", #call, r_);                                \
	} while (0)

/* @group's @file reads @text */
#define EXPECT_TEXT(t, group, file, text)                                                          \
	do {                                                                                       \
		pf_auto_free char *got_ = NULL;                                                    \
		EXPECT_CODE(t, t_read(t, group, file, &got_, &t->err), 0);                         \
		if (strcmp(got_, (text)))                                                          \
			FAIL(t, "%s reads '%s', expected '%s'", file, got_, (text));               \
	} while (0)

#define EXPECT_SET(t, group, file, set)                                                            \
	do {                                                                                       \
		pf_auto_free char *want_ = list(set);                                              \
		EXPECT_TEXT(t, group, file, want_);                                                \
	} while (0)

/* The same, for what the kernel does in its own time after a CPU has come or gone. */
#define EXPECT_SET_SOON(t, group, file, set)                                                       \
	do {                                                                                       \
		settle(t, group, file, set);                                                       \
		EXPECT_SET(t, group, file, set);                                                   \
	} while (0)

#define EXPECT_ALLOWED(t, tid, set)                                                                \
	do {                                                                                       \
		struct pf_set allowed_ = {};                                                       \
		pf_auto_free char *want_ = list(set);                                              \
		pf_auto_free char *got_ = NULL;                                                    \
		EXPECT_CODE(t, allowed_of(t, tid, &allowed_, &t->err), 0);                         \
		got_ = list(&allowed_);                                                            \
		if (strcmp(got_, want_))                                                           \
			FAIL(t, "thread may run on '%s', expected '%s'", got_, want_);             \
	} while (0)

static int t_read(struct pf_contract *t, const char *group, const char *file, char **out,
		  struct pf_err *err)
{
	return t->cg->ops->read(t->cg, group, file, out, err);
}

static int t_write(struct pf_contract *t, const char *group, const char *file, const char *value,
		   struct pf_err *err)
{
	return t->cg->ops->write(t->cg, group, file, value, err);
}

static int t_write_set(struct pf_contract *t, const char *group, const char *file,
		       const struct pf_set *set, struct pf_err *err)
{
	pf_auto_free char *text = malloc(PF_SET_TEXT_MAX);

	if (!text)
		return -ENOMEM;
	return t_write(t, group, file, pf_set_format(set, text, PF_SET_TEXT_MAX), err);
}

static int t_id(struct pf_contract *t, const char *group, uint64_t *out, struct pf_err *err)
{
	return t->cg->ops->id(t->cg, group, out, err);
}

static int t_make(struct pf_contract *t, const char *group, struct pf_err *err)
{
	return t->cg->ops->make(t->cg, group, err);
}

static int t_remove(struct pf_contract *t, const char *group, struct pf_err *err)
{
	return t->cg->ops->remove(t->cg, group, err);
}

static int t_attach(struct pf_contract *t, const char *group, pid_t tid, struct pf_err *err)
{
	return t->cg->ops->attach(t->cg, group, tid, err);
}

static int t_affinity(struct pf_contract *t, pid_t tid, const struct pf_set *cpus,
		      struct pf_err *err)
{
	return t->cg->ops->affinity(t->cg, tid, cpus, err);
}

static int allowed_of(struct pf_contract *t, pid_t tid, struct pf_set *out, struct pf_err *err)
{
	PF_CLEANUP(pf_task_clear) struct pf_task task = {};
	int r = t->cg->ops->task(t->cg, tid, &task, err);

	if (!r)
		*out = task.cpus_allowed;
	return r;
}

static char *list(const struct pf_set *set)
{
	char *text = malloc(PF_SET_TEXT_MAX);

	if (!text)
		abort();
	return pf_set_format(set, text, PF_SET_TEXT_MAX);
}

/* Waits until @group's @file, or thread @tid's mask when @group is NULL, is @set; 10 s at most. */
static void settle_any(struct pf_contract *t, const char *group, const char *file, pid_t tid,
		       const struct pf_set *set)
{
	for (unsigned int i = 0; i < 200; i++) {
		pf_auto_free char *text = NULL;
		struct pf_set now = {};

		if (!group && allowed_of(t, tid, &now, NULL) == 0 && pf_set_equal(&now, set))
			return;
		if (group && t_read(t, group, file, &text, NULL) == 0 &&
		    pf_set_parse(text, &now, NULL) == 0 && pf_set_equal(&now, set))
			return;
		usleep(50000);
	}
}

static void settle(struct pf_contract *t, const char *group, const char *file,
		   const struct pf_set *set)
{
	settle_any(t, group, file, 0, set);
}

static void settle_allowed(struct pf_contract *t, pid_t tid, const struct pf_set *set)
{
	settle_any(t, NULL, NULL, tid, set);
}

/* "BASE/name", the caller's */
static char *sub(struct pf_contract *t, const char *name)
{
	char *path = NULL;

	if (asprintf(&path, "%s/%s", t->base, name) < 0)
		abort();
	return path;
}

/* The @nth member of @set, as a set of one. */
static struct pf_set nth(const struct pf_set *set, unsigned int n)
{
	struct pf_set one = {};
	int member = pf_set_next(set, 0);

	while (n-- && member >= 0)
		member = pf_set_next(set, (unsigned int)member + 1);
	if (member >= 0)
		pf_set_add(&one, (unsigned int)member);
	return one;
}

static struct pf_set both(struct pf_set a, struct pf_set b)
{
	pf_set_or(&a, &a, &b);
	return a;
}

static pid_t spawn(struct pf_contract *t)
{
	pid_t tid = t->thread_count < PF_CONTRACT_THREADS ? t->spawn(t) : -ENOSPC;

	if (tid > 0)
		t->threads[t->thread_count++] = tid;
	return tid;
}

static void end(struct pf_contract *t, pid_t tid)
{
	for (size_t i = 0; i < t->thread_count; i++) {
		if (t->threads[i] == tid) {
			t->threads[i] = t->threads[--t->thread_count];
			break;
		}
	}
	t->end(t, tid);
}

/* A threaded leaf below base, with cpuset and cpu. */
static int make_leaf(struct pf_contract *t, const char *name, char **out, struct pf_err *err)
{
	pf_auto_free char *path = sub(t, name);
	int r = t_make(t, path, err);

	r = r ?: t_write(t, path, "cgroup.type", "threaded", err);
	r = r ?: t_write(t, t->base, "cgroup.subtree_control", "+cpuset +cpu", err);
	if (!r)
		*out = pf_take_ptr(path);
	return r;
}

/* --- groups --------------------------------------------------------------------------------- */

static enum pf_contract_result groups_are_made_and_removed(struct pf_contract *t)
{
	pf_auto_free char *a = sub(t, "a"), *b = sub(t, "a/b");
	uint64_t id_a = 0, id_again = 0, id_base = 0;

	EXPECT_CODE(t, t_id(t, a, &id_a, &t->err), -ENOENT);
	EXPECT_CODE(t, t_make(t, b, &t->err), -ENOENT);
	EXPECT_CODE(t, t_make(t, a, &t->err), 0);
	EXPECT_CODE(t, t_make(t, a, &t->err), -EEXIST);
	EXPECT_CODE(t, t_make(t, b, &t->err), 0);
	EXPECT_CODE(t, t_id(t, a, &id_a, &t->err), 0);
	EXPECT_CODE(t, t_id(t, t->base, &id_base, &t->err), 0);
	EXPECT(t, id_a && id_base && id_a != id_base);
	EXPECT_CODE(t, t_remove(t, a, &t->err), -EBUSY);
	EXPECT_CODE(t, t_remove(t, b, &t->err), 0);
	EXPECT_CODE(t, t_remove(t, a, &t->err), 0);
	EXPECT_CODE(t, t_remove(t, a, &t->err), -ENOENT);
	EXPECT_CODE(t, t_make(t, a, &t->err), 0);
	EXPECT_CODE(t, t_id(t, a, &id_again, &t->err), 0);
	EXPECT(t, id_again != id_a);
	EXPECT_CODE(t, t_remove(t, a, &t->err), 0);
	return PF_CONTRACT_OK;
}

static enum pf_contract_result names_arrive_as_they_are(struct pf_contract *t)
{
	char long_name[201];
	const char *names[] = {"machine-qemu\\x2d1\\x2dweb.scope",
			       "two words",
			       "per%cent%s%n",
			       "Käsekästchen",
			       "dots..and.dots",
			       "*?[a]$HOME",
			       long_name};
	struct pf_set one = nth(&t->cpus, 1);

	memset(long_name, 'n', 200);
	long_name[200] = '\0';
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		pf_auto_free char *leaf = NULL;

		EXPECT_CODE(t, make_leaf(t, names[i], &leaf, &t->err), 0);
		EXPECT_CODE(t, t_write_set(t, leaf, "cpuset.cpus", &one, &t->err), 0);
		EXPECT_CODE(t, t_write(t, leaf, "cpu.weight", "321", &t->err), 0);
		EXPECT_SET(t, leaf, "cpuset.cpus", &one);
		EXPECT_TEXT(t, leaf, "cpu.weight", "321");
		EXPECT_CODE(t, t_remove(t, leaf, &t->err), 0);
	}
	return PF_CONTRACT_OK;
}

/* A guest's name of 200 characters that systemd escapes is 800 in its scope's, split in parts. */
static enum pf_contract_result deep_paths_are_reached(struct pf_contract *t)
{
	char part[242] = "/";
	pf_auto_free char *path = strdup(t->base);
	size_t depth = 0;

	memset(part + 1, 'd', 240);
	part[241] = '\0';
	while (strlen(path) + sizeof(part) < 3800) {
		char *deeper = NULL;

		EXPECT_CODE(t, t_write(t, path, "cgroup.subtree_control", "+cpu", &t->err), 0);
		EXPECT(t, asprintf(&deeper, "%s%s", path, part) > 0);
		free(path);
		path = deeper;
		EXPECT_CODE(t, t_make(t, path, &t->err), 0);
		EXPECT_CODE(t, t_write(t, path, "cgroup.type", "threaded", &t->err), 0);
		depth++;
	}
	EXPECT_CODE(t, t_write(t, path, "cpu.weight", "77", &t->err), 0);
	EXPECT_TEXT(t, path, "cpu.weight", "77");
	EXPECT_CODE(t, t_write(t, path, "cpu.weight", "0", &t->err), -ERANGE);
	for (; depth; depth--) {
		EXPECT_CODE(t, t_remove(t, path, &t->err), 0);
		*strrchr(path, '/') = '\0';
	}
	return PF_CONTRACT_OK;
}

static enum pf_contract_result paths_stay_inside(struct pf_contract *t)
{
	pf_auto_free char *up = sub(t, "../../../../../../etc");
	pf_auto_free char *text = NULL;
	uint64_t id = 0;

	EXPECT(t, t_id(t, up, &id, &t->err) < 0);
	EXPECT(t, t_read(t, up, "hostname", &text, &t->err) < 0);
	return PF_CONTRACT_OK;
}

static enum pf_contract_result types_follow_the_rules(struct pf_contract *t)
{
	pf_auto_free char *leaf = sub(t, "leaf"), *other = sub(t, "other"),
			  *deep = sub(t, "leaf/d");

	EXPECT_TEXT(t, t->base, "cgroup.type", "domain");
	EXPECT_CODE(t, t_make(t, leaf, &t->err), 0);
	EXPECT_CODE(t, t_make(t, other, &t->err), 0);
	EXPECT_TEXT(t, leaf, "cgroup.type", "domain");
	EXPECT_CODE(t, t_write(t, leaf, "cgroup.type", "threadedd", &t->err), -EINVAL);
	EXPECT_CODE(t, t_write(t, leaf, "cgroup.type", "threaded", &t->err), 0);
	EXPECT_TEXT(t, leaf, "cgroup.type", "threaded");
	EXPECT_TEXT(t, t->base, "cgroup.type", "domain threaded");
	EXPECT_TEXT(t, other, "cgroup.type", "domain invalid");
	EXPECT_CODE(t, t_write(t, leaf, "cgroup.type", "threaded", &t->err), 0);
	EXPECT_CODE(t, t_make(t, deep, &t->err), 0);
	EXPECT_TEXT(t, deep, "cgroup.type", "domain invalid");
	EXPECT_CODE(t, t_remove(t, deep, &t->err), 0);
	EXPECT_CODE(t, t_remove(t, other, &t->err), 0);
	EXPECT_CODE(t, t_remove(t, leaf, &t->err), 0);
	EXPECT_TEXT(t, t->base, "cgroup.type", "domain");
	return PF_CONTRACT_OK;
}

static enum pf_contract_result controllers_are_switched(struct pf_contract *t)
{
	pf_auto_free char *leaf = NULL, *deep = sub(t, "leaf/d"), *text = NULL;
	struct pf_set one = nth(&t->cpus, 0), none = {};

	EXPECT_TEXT(t, t->base, "cgroup.subtree_control", "");
	EXPECT_CODE(t, t_write(t, t->base, "cgroup.subtree_control", "+nonsense", &t->err),
		    -EINVAL);
	EXPECT_CODE(t, make_leaf(t, "leaf", &leaf, &t->err), 0);
	EXPECT_TEXT(t, t->base, "cgroup.subtree_control", "cpuset cpu");
	EXPECT_SET(t, leaf, "cpuset.cpus", &none);
	EXPECT_SET(t, leaf, "cpuset.mems", &none);
	EXPECT_TEXT(t, leaf, "cpu.max", "max 100000");
	EXPECT_TEXT(t, leaf, "cpu.weight", "100");
	EXPECT_CODE(t, t_write_set(t, leaf, "cpuset.cpus", &one, &t->err), 0);
	/* not given to the leaf's children, and so not to be given on by them */
	EXPECT_CODE(t, t_make(t, deep, &t->err), 0);
	EXPECT_CODE(t, t_write(t, deep, "cgroup.type", "threaded", &t->err), 0);
	EXPECT_CODE(t, t_write(t, deep, "cgroup.subtree_control", "+cpu", &t->err), -ENOENT);
	EXPECT_CODE(t, t_remove(t, deep, &t->err), 0);
	/* taking a controller away erases the values (facts 11) */
	EXPECT_CODE(t, t_write(t, t->base, "cgroup.subtree_control", "-cpuset", &t->err), 0);
	EXPECT(t, t_read(t, leaf, "cpuset.cpus", &text, &t->err) == -ENOENT);
	EXPECT_CODE(t, t_write_set(t, leaf, "cpuset.cpus", &one, &t->err), -ENOENT);
	EXPECT_CODE(t, t_write(t, t->base, "cgroup.subtree_control", "+cpuset", &t->err), 0);
	EXPECT_SET(t, leaf, "cpuset.cpus", &none);
	return PF_CONTRACT_OK;
}

/* --- threads -------------------------------------------------------------------------------- */

static enum pf_contract_result threads_are_moved(struct pf_contract *t)
{
	pf_auto_free char *one = NULL, *two = NULL, *plain = sub(t, "plain");
	PF_CLEANUP(pf_task_clear) struct pf_task task = {};
	pf_auto_free pid_t *tids = NULL;
	size_t count = 0;
	pid_t a = spawn(t), b = spawn(t), c = spawn(t);

	EXPECT(t, a > 0 && b > 0 && c > 0);
	EXPECT_CODE(t, make_leaf(t, "one", &one, &t->err), 0);
	EXPECT_CODE(t, make_leaf(t, "two", &two, &t->err), 0);
	EXPECT_CODE(t, t_attach(t, one, c, &t->err), 0);
	EXPECT_CODE(t, t_attach(t, one, a, &t->err), 0);
	EXPECT_CODE(t, t_attach(t, two, b, &t->err), 0);
	EXPECT_CODE(t, t_attach(t, two, b, &t->err), 0);
	EXPECT_CODE(t, t->cg->ops->threads(t->cg, one, &tids, &count, &t->err), 0);
	EXPECT(t, count == 2 && tids[0] < tids[1]);
	EXPECT(t, (tids[0] == a || tids[1] == a) && (tids[0] == c || tids[1] == c));
	EXPECT_CODE(t, t->cg->ops->task(t->cg, b, &task, &t->err), 0);
	EXPECT(t, strcmp(task.cgroup, two) == 0);
	EXPECT(t, task.start_ticks > 0);
	EXPECT(t, pf_set_equal(&task.mems_allowed, &t->nodes));
	EXPECT_CODE(t, t_remove(t, two, &t->err), -EBUSY);
	/* not threaded: another domain, and an invalid one */
	EXPECT_CODE(t, t_make(t, plain, &t->err), 0);
	EXPECT_CODE(t, t_attach(t, plain, b, &t->err), -EOPNOTSUPP);
	EXPECT_CODE(t, t_attach(t, t->base, b, &t->err), 0);
	EXPECT_CODE(t, t_remove(t, two, &t->err), 0);
	return PF_CONTRACT_OK;
}

static enum pf_contract_result threads_keep_to_their_domain(struct pf_contract *t)
{
	pid_t tid = spawn(t);
	pf_auto_free char *leaf = NULL;

	EXPECT(t, tid > 0);
	EXPECT_CODE(t, make_leaf(t, "leaf", &leaf, &t->err), 0);
	EXPECT_CODE(t, t_attach(t, "/", tid, &t->err), -EOPNOTSUPP);
	EXPECT_CODE(t, t_attach(t, leaf, tid, &t->err), 0);
	EXPECT_CODE(t, t_attach(t, "/", tid, &t->err), -EOPNOTSUPP);
	return PF_CONTRACT_OK;
}

/* All threads of the process that @tid belongs to. */
static int t_move(struct pf_contract *t, const char *group, pid_t tid, struct pf_err *err)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", (int)tid);
	return t_write(t, group, "cgroup.procs", text, err);
}

static bool is_in(struct pf_contract *t, pid_t tid, const char *group)
{
	PF_CLEANUP(pf_task_clear) struct pf_task task = {};

	return t->cg->ops->task(t->cg, tid, &task, NULL) == 0 && strcmp(task.cgroup, group) == 0;
}

/* How a strayed guest is brought back: facts 29's order, and what the other one comes to. */
static enum pf_contract_result a_process_moves_as_a_whole(struct pf_contract *t)
{
	pf_auto_free char *home = sub(t, "home"), *leaf = sub(t, "home/leaf");
	static const char control[] = "cgroup.subtree_control";
	pid_t a = spawn(t), b = spawn(t);

	EXPECT(t, a > 0 && b > 0);
	EXPECT_CODE(t, t_make(t, home, &t->err), 0);
	EXPECT_CODE(t, t_write(t, t->base, control, "+cpuset +cpu", &t->err), 0);
	EXPECT_CODE(t, t_move(t, home, a, &t->err), -EOPNOTSUPP);
	EXPECT_CODE(t, t_write(t, t->base, control, "-cpuset -cpu", &t->err), 0);
	EXPECT_CODE(t, t_move(t, home, a, &t->err), 0);
	EXPECT(t, is_in(t, a, home) && is_in(t, b, home));
	EXPECT_CODE(t, t_write(t, t->base, control, "+cpuset +cpu", &t->err), 0);
	EXPECT_CODE(t, t_write(t, home, control, "+cpuset +cpu", &t->err), 0);
	EXPECT_CODE(t, t_make(t, leaf, &t->err), 0);
	EXPECT_CODE(t, t_write(t, leaf, "cgroup.type", "threaded", &t->err), 0);
	EXPECT_CODE(t, t_attach(t, leaf, b, &t->err), 0);
	EXPECT(t, is_in(t, a, home) && is_in(t, b, leaf));
	EXPECT_CODE(t, t_move(t, t->base, b, &t->err), -EBUSY);
	/* into the thread root, out of its leaves */
	EXPECT_CODE(t, t_move(t, home, a, &t->err), 0);
	EXPECT(t, is_in(t, a, home) && is_in(t, b, home));
	EXPECT_CODE(t, t_remove(t, leaf, &t->err), 0);
	EXPECT_CODE(t, t_write(t, home, control, "-cpuset -cpu", &t->err), 0);
	EXPECT_CODE(t, t_write(t, t->base, control, "-cpuset -cpu", &t->err), 0);
	EXPECT_CODE(t, t_move(t, t->base, b, &t->err), 0);
	EXPECT(t, is_in(t, a, t->base));
	EXPECT_CODE(t, t_remove(t, home, &t->err), 0);
	return PF_CONTRACT_OK;
}

static enum pf_contract_result a_thread_that_ended_is_told(struct pf_contract *t)
{
	PF_CLEANUP(pf_task_clear) struct pf_task task = {};
	pf_auto_free char *leaf = NULL;
	pf_auto_free pid_t *tids = NULL;
	size_t count = 1;
	pid_t tid = spawn(t);

	EXPECT(t, tid > 0);
	EXPECT_CODE(t, make_leaf(t, "leaf", &leaf, &t->err), 0);
	EXPECT_CODE(t, t_attach(t, leaf, tid, &t->err), 0);
	end(t, tid);
	EXPECT_CODE(t, t->cg->ops->task(t->cg, tid, &task, &t->err), -ESRCH);
	EXPECT_CODE(t, t_attach(t, leaf, tid, &t->err), -ESRCH);
	EXPECT_CODE(t, t_affinity(t, tid, &t->cpus, &t->err), -ESRCH);
	EXPECT_CODE(t, t->cg->ops->threads(t->cg, leaf, &tids, &count, &t->err), 0);
	EXPECT(t, count == 0);
	return PF_CONTRACT_OK;
}

/* --- cpusets -------------------------------------------------------------------------------- */

static enum pf_contract_result a_cpuset_is_a_request(struct pf_contract *t)
{
	pf_auto_free char *leaf = NULL;
	struct pf_set first = nth(&t->cpus, 0), second = nth(&t->cpus, 1), node = nth(&t->nodes, 1);
	struct pf_set pair = both(first, second);

	EXPECT_CODE(t, make_leaf(t, "leaf", &leaf, &t->err), 0);
	EXPECT_SET(t, leaf, "cpuset.cpus.effective", &t->cpus);
	EXPECT_SET(t, leaf, "cpuset.mems.effective", &t->nodes);
	EXPECT_CODE(t, t_write_set(t, leaf, "cpuset.cpus", &pair, &t->err), 0);
	EXPECT_CODE(t, t_write_set(t, leaf, "cpuset.mems", &node, &t->err), 0);
	EXPECT_SET(t, leaf, "cpuset.cpus", &pair);
	EXPECT_SET(t, leaf, "cpuset.cpus.effective", &pair);
	EXPECT_SET(t, leaf, "cpuset.mems", &node);
	EXPECT_SET(t, leaf, "cpuset.mems.effective", &node);
	/* the parent shrinks: what is left of the request, and all of the parent's when nothing is */
	EXPECT_CODE(t, t_write_set(t, t->base, "cpuset.cpus", &first, &t->err), 0);
	EXPECT_SET(t, leaf, "cpuset.cpus", &pair);
	EXPECT_SET(t, leaf, "cpuset.cpus.effective", &first);
	EXPECT_CODE(t, t_write_set(t, leaf, "cpuset.cpus", &second, &t->err), 0);
	EXPECT_SET(t, leaf, "cpuset.cpus", &second);
	EXPECT_SET(t, leaf, "cpuset.cpus.effective", &first);
	EXPECT_CODE(t, t_write_set(t, t->base, "cpuset.cpus", &t->cpus, &t->err), 0);
	EXPECT_SET(t, leaf, "cpuset.cpus.effective", &second);
	return PF_CONTRACT_OK;
}

static enum pf_contract_result bad_cpusets_are_refused(struct pf_contract *t)
{
	static const char *const bad[] = {"x", "1-0", "0-", "1,,x", "3000-4000"};
	pf_auto_free char *leaf = NULL;
	struct pf_set one = nth(&t->cpus, 2);

	EXPECT_CODE(t, make_leaf(t, "leaf", &leaf, &t->err), 0);
	EXPECT_CODE(t, t_write_set(t, leaf, "cpuset.cpus", &one, &t->err), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int r = t_write(t, leaf, "cpuset.cpus", bad[i], &t->err);

		if (r != -EINVAL && r != -ERANGE)
			FAIL(t, "cpuset.cpus = '%s': %d (%s)", bad[i], r, t->err.text);
		if (!strstr(t->err.text, bad[i]) || !strstr(t->err.text, "cpuset.cpus"))
			FAIL(t, "the words do not say what was tried: %s", t->err.text);
	}
	EXPECT_SET(t, leaf, "cpuset.cpus", &one);
	return PF_CONTRACT_OK;
}

/* Longer than 100 characters: libcgroup 2.0.2 would cut it; longer than 4095: it would, too. */
static enum pf_contract_result long_values_arrive_whole(struct pf_contract *t)
{
	static const size_t repeats[] = {40, 60, 400, 1000};
	struct pf_set first = nth(&t->cpus, 0), last = nth(&t->cpus, 3);
	struct pf_set pair = both(first, last);
	pf_auto_free char *leaf = NULL, *a = list(&first), *b = list(&last);

	EXPECT_CODE(t, make_leaf(t, "leaf", &leaf, &t->err), 0);
	for (size_t i = 0; i < sizeof(repeats) / sizeof(repeats[0]); i++) {
		pf_auto_free char *value = calloc(repeats[i] + 2, strlen(a) + strlen(b) + 2);

		EXPECT(t, value);
		for (size_t n = 0; n < repeats[i]; n++)
			sprintf(value + strlen(value), "%s,", a);
		strcat(value, b);
		EXPECT_CODE(t, t_write_set(t, leaf, "cpuset.cpus", &first, &t->err), 0);
		EXPECT_CODE(t, t_write(t, leaf, "cpuset.cpus", value, &t->err), 0);
		EXPECT_SET(t, leaf, "cpuset.cpus", &pair);
	}
	return PF_CONTRACT_OK;
}

static enum pf_contract_result an_empty_group_takes_an_empty_cpuset(struct pf_contract *t)
{
	pf_auto_free char *leaf = NULL;
	struct pf_set one = nth(&t->cpus, 1), none = {};

	EXPECT_CODE(t, make_leaf(t, "leaf", &leaf, &t->err), 0);
	EXPECT_CODE(t, t_write_set(t, leaf, "cpuset.cpus", &one, &t->err), 0);
	EXPECT_CODE(t, t_write(t, leaf, "cpuset.cpus", "", &t->err), 0);
	EXPECT_SET(t, leaf, "cpuset.cpus", &none);
	EXPECT_SET(t, leaf, "cpuset.cpus.effective", &t->cpus);
	return PF_CONTRACT_OK;
}

/* 6.1 and 6.12 refuse it with ENOSPC; 7.x takes it, and then it is the parent's set. */
static enum pf_contract_result
a_populated_group_refuses_it_or_has_the_parents(struct pf_contract *t)
{
	pf_auto_free char *leaf = NULL;
	struct pf_set one = nth(&t->cpus, 1);
	pid_t tid = spawn(t);
	int r;

	EXPECT(t, tid > 0);
	EXPECT_CODE(t, make_leaf(t, "leaf", &leaf, &t->err), 0);
	EXPECT_CODE(t, t_attach(t, leaf, tid, &t->err), 0);
	/* empty already: nothing to refuse */
	EXPECT_CODE(t, t_write(t, leaf, "cpuset.cpus", "", &t->err), 0);
	EXPECT_CODE(t, t_write_set(t, leaf, "cpuset.cpus", &one, &t->err), 0);
	r = t_write(t, leaf, "cpuset.cpus", "", &t->err);
	EXPECT(t, r == 0 || r == -ENOSPC);
	EXPECT_SET(t, leaf, "cpuset.cpus.effective", r ? &one : &t->cpus);
	EXPECT_CODE(t, t_write_set(t, leaf, "cpuset.cpus", &t->cpus, &t->err), 0);
	EXPECT_SET(t, leaf, "cpuset.cpus.effective", &t->cpus);
	return PF_CONTRACT_OK;
}

/* --- affinity ------------------------------------------------------------------------------- */

static enum pf_contract_result affinity_keeps_to_the_cpuset(struct pf_contract *t)
{
	struct pf_set a = nth(&t->cpus, 0), b = nth(&t->cpus, 1), c = nth(&t->cpus, 2);
	struct pf_set ab = both(a, b), bc = both(b, c), none = {};
	pf_auto_free char *leaf = NULL;
	pid_t tid = spawn(t);

	EXPECT(t, tid > 0);
	EXPECT_CODE(t, make_leaf(t, "leaf", &leaf, &t->err), 0);
	EXPECT_CODE(t, t_write_set(t, leaf, "cpuset.cpus", &ab, &t->err), 0);
	EXPECT_CODE(t, t_attach(t, leaf, tid, &t->err), 0);
	EXPECT_ALLOWED(t, tid, &ab);
	EXPECT_CODE(t, t_affinity(t, tid, &a, &t->err), 0);
	EXPECT_ALLOWED(t, tid, &a);
	EXPECT_CODE(t, t_affinity(t, tid, &c, &t->err), -EINVAL);
	EXPECT_CODE(t, t_affinity(t, tid, &none, &t->err), -EINVAL);
	EXPECT_ALLOWED(t, tid, &a);
	EXPECT_CODE(t, t_affinity(t, tid, &bc, &t->err), 0);
	EXPECT_ALLOWED(t, tid, &b);
	return PF_CONTRACT_OK;
}

static enum pf_contract_result a_cpuset_change_undoes_affinity(struct pf_contract *t)
{
	struct pf_set a = nth(&t->cpus, 0), b = nth(&t->cpus, 1), c = nth(&t->cpus, 2);
	struct pf_set ab = both(a, b), bc = both(b, c), abc = both(ab, c);
	pf_auto_free char *leaf = NULL;
	pid_t tid = spawn(t);

	EXPECT(t, tid > 0);
	EXPECT_CODE(t, make_leaf(t, "leaf", &leaf, &t->err), 0);
	EXPECT_CODE(t, t_write_set(t, leaf, "cpuset.cpus", &ab, &t->err), 0);
	EXPECT_CODE(t, t_attach(t, leaf, tid, &t->err), 0);
	EXPECT_CODE(t, t_affinity(t, tid, &a, &t->err), 0);
	/* the same value again does nothing */
	EXPECT_CODE(t, t_write_set(t, leaf, "cpuset.cpus", &ab, &t->err), 0);
	EXPECT_ALLOWED(t, tid, &a);
	EXPECT_CODE(t, t_write_set(t, leaf, "cpuset.cpus", &abc, &t->err), 0);
	EXPECT_ALLOWED(t, tid, t->keeps_affinity ? &a : &abc);
	EXPECT_CODE(t, t_write_set(t, leaf, "cpuset.cpus", &bc, &t->err), 0);
	EXPECT_ALLOWED(t, tid, &bc);
	/* and so does the ancestor's */
	EXPECT_CODE(t, t_affinity(t, tid, &c, &t->err), 0);
	EXPECT_CODE(t, t_write_set(t, t->base, "cpuset.cpus", &abc, &t->err), 0);
	EXPECT_ALLOWED(t, tid, &c);
	EXPECT_CODE(t, t_write_set(t, t->base, "cpuset.cpus", &b, &t->err), 0);
	EXPECT_ALLOWED(t, tid, &b);
	return PF_CONTRACT_OK;
}

static enum pf_contract_result a_move_undoes_affinity(struct pf_contract *t)
{
	struct pf_set a = nth(&t->cpus, 0), b = nth(&t->cpus, 1), c = nth(&t->cpus, 2);
	struct pf_set ab = both(a, b), bc = both(b, c);
	pf_auto_free char *one = NULL, *two = NULL;
	pid_t tid = spawn(t);

	EXPECT(t, tid > 0);
	EXPECT_CODE(t, make_leaf(t, "one", &one, &t->err), 0);
	EXPECT_CODE(t, make_leaf(t, "two", &two, &t->err), 0);
	EXPECT_CODE(t, t_write_set(t, one, "cpuset.cpus", &ab, &t->err), 0);
	EXPECT_CODE(t, t_write_set(t, two, "cpuset.cpus", &bc, &t->err), 0);
	EXPECT_CODE(t, t_attach(t, one, tid, &t->err), 0);
	EXPECT_CODE(t, t_affinity(t, tid, &b, &t->err), 0);
	EXPECT_CODE(t, t_attach(t, one, tid, &t->err), 0);
	EXPECT_ALLOWED(t, tid, &b);
	EXPECT_CODE(t, t_attach(t, two, tid, &t->err), 0);
	EXPECT_ALLOWED(t, tid, t->keeps_affinity ? &b : &bc);
	EXPECT_CODE(t, t_affinity(t, tid, &c, &t->err), 0);
	EXPECT_CODE(t, t_attach(t, one, tid, &t->err), 0);
	EXPECT_ALLOWED(t, tid, &ab);
	return PF_CONTRACT_OK;
}

/* --- cpu ------------------------------------------------------------------------------------ */

static enum pf_contract_result quotas_have_their_ranges(struct pf_contract *t)
{
	static const char *const bad[] = {"999 100000", "1000 999", "1000 1000001", "x",
					  "-1 100000"};
	pf_auto_free char *leaf = NULL;

	EXPECT_CODE(t, make_leaf(t, "leaf", &leaf, &t->err), 0);
	EXPECT_CODE(t, t_write(t, leaf, "cpu.max", "50000 250000", &t->err), 0);
	EXPECT_TEXT(t, leaf, "cpu.max", "50000 250000");
	EXPECT_CODE(t, t_write(t, leaf, "cpu.max", "60000", &t->err), 0);
	EXPECT_TEXT(t, leaf, "cpu.max", "60000 250000");
	EXPECT_CODE(t, t_write(t, leaf, "cpu.max", "1000 1000", &t->err), 0);
	EXPECT_TEXT(t, leaf, "cpu.max", "1000 1000");
	EXPECT_CODE(t, t_write(t, leaf, "cpu.max", "max 1000000", &t->err), 0);
	EXPECT_TEXT(t, leaf, "cpu.max", "max 1000000");
	EXPECT_CODE(t, t_write(t, leaf, "cpu.max", "max", &t->err), 0);
	EXPECT_TEXT(t, leaf, "cpu.max", "max 1000000");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		EXPECT_CODE(t, t_write(t, leaf, "cpu.max", bad[i], &t->err), -EINVAL);
	EXPECT_TEXT(t, leaf, "cpu.max", "max 1000000");
	return PF_CONTRACT_OK;
}

static enum pf_contract_result weights_have_their_range(struct pf_contract *t)
{
	static const char *const good[] = {"1", "2", "99", "100", "101", "2048", "9999", "10000"};
	pf_auto_free char *leaf = NULL;

	EXPECT_CODE(t, make_leaf(t, "leaf", &leaf, &t->err), 0);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		EXPECT_CODE(t, t_write(t, leaf, "cpu.weight", good[i], &t->err), 0);
		EXPECT_TEXT(t, leaf, "cpu.weight", good[i]);
	}
	EXPECT_CODE(t, t_write(t, leaf, "cpu.weight", "0", &t->err), -ERANGE);
	EXPECT_CODE(t, t_write(t, leaf, "cpu.weight", "10001", &t->err), -ERANGE);
	EXPECT_CODE(t, t_write(t, leaf, "cpu.weight", "heavy", &t->err), -EINVAL);
	EXPECT_CODE(t, t_write(t, leaf, "cpu.weight", "", &t->err), -EINVAL);
	EXPECT_TEXT(t, leaf, "cpu.weight", "10000");
	return PF_CONTRACT_OK;
}

static enum pf_contract_result what_is_not_there_is_told(struct pf_contract *t)
{
	pf_auto_free char *nowhere = sub(t, "nowhere"), *bare = sub(t, "bare"), *text = NULL;
	struct pf_set one = nth(&t->cpus, 0);
	pf_auto_free pid_t *tids = NULL;
	size_t count = 0;

	EXPECT_CODE(t, t_make(t, bare, &t->err), 0);
	EXPECT(t, t_read(t, bare, "cpuset.cpus", &text, &t->err) == -ENOENT);
	EXPECT(t, t_read(t, nowhere, "cpuset.cpus", &text, &t->err) == -ENOENT);
	EXPECT_CODE(t, t_write_set(t, bare, "cpuset.cpus", &one, &t->err), -ENOENT);
	EXPECT_CODE(t, t_write(t, bare, "cpu.weight", "100", &t->err), -ENOENT);
	EXPECT_CODE(t, t_write(t, nowhere, "cpu.max", "max", &t->err), -ENOENT);
	EXPECT_CODE(t, t_write(t, nowhere, "cgroup.type", "threaded", &t->err), -ENOENT);
	EXPECT_CODE(t, t_attach(t, nowhere, 1, &t->err), -ENOENT);
	EXPECT_CODE(t, t->cg->ops->threads(t->cg, nowhere, &tids, &count, &t->err), -ENOENT);
	EXPECT_CODE(t, t_remove(t, bare, &t->err), 0);
	return PF_CONTRACT_OK;
}

/* --- CPUs that go ---------------------------------------------------------------------------- */

static enum pf_contract_result offline_cpu(struct pf_contract *t, const char *leaf, pid_t tid,
					   const struct pf_set *gone)
{
	struct pf_set rest = t->cpus;
	int cpu = pf_set_next(gone, 0);

	pf_set_andnot(&rest, &rest, gone);
	EXPECT_CODE(t, t_write_set(t, leaf, "cpuset.cpus", gone, &t->err), 0);
	EXPECT_CODE(t, t_attach(t, leaf, tid, &t->err), 0);
	EXPECT_ALLOWED(t, tid, gone);
	if (t->online(t, (unsigned int)cpu, false) < 0) {
		snprintf(t->words, sizeof(t->words), "CPU %d can't be switched off here", cpu);
		return PF_CONTRACT_SKIPPED;
	}
	/* it does not fail closed: the request stands, the thread runs on the parent's CPUs */
	EXPECT_SET(t, leaf, "cpuset.cpus", gone);
	EXPECT_SET_SOON(t, leaf, "cpuset.cpus.effective", &rest);
	EXPECT_SET_SOON(t, t->base, "cpuset.cpus.effective", &rest);
	settle_allowed(t, tid, &rest);
	EXPECT_ALLOWED(t, tid, &rest);
	EXPECT_CODE(t, t_affinity(t, tid, gone, &t->err), -EINVAL);
	EXPECT_CODE(t, t->online(t, (unsigned int)cpu, true), 0);
	EXPECT_SET_SOON(t, leaf, "cpuset.cpus.effective", gone);
	settle_allowed(t, tid, gone);
	EXPECT_ALLOWED(t, tid, gone);
	return PF_CONTRACT_OK;
}

static enum pf_contract_result an_offline_cpu_spills(struct pf_contract *t)
{
	struct pf_set gone = nth(&t->cpus, 3);
	pf_auto_free char *leaf = NULL;
	enum pf_contract_result result;
	pid_t tid = spawn(t);

	EXPECT(t, tid > 0);
	EXPECT_CODE(t, make_leaf(t, "leaf", &leaf, &t->err), 0);
	result = offline_cpu(t, leaf, tid, &gone);
	t->online(t, (unsigned int)pf_set_next(&gone, 0), true);
	return result;
}

#define CHECK(name)                                                                                \
	{                                                                                          \
#name, name                                                                        \
	}

const struct pf_contract_check pf_contract_checks[] = {
	CHECK(groups_are_made_and_removed),
	CHECK(names_arrive_as_they_are),
	CHECK(deep_paths_are_reached),
	CHECK(paths_stay_inside),
	CHECK(types_follow_the_rules),
	CHECK(controllers_are_switched),
	CHECK(threads_are_moved),
	CHECK(threads_keep_to_their_domain),
	CHECK(a_process_moves_as_a_whole),
	CHECK(a_thread_that_ended_is_told),
	CHECK(a_cpuset_is_a_request),
	CHECK(bad_cpusets_are_refused),
	CHECK(long_values_arrive_whole),
	CHECK(an_empty_group_takes_an_empty_cpuset),
	CHECK(a_populated_group_refuses_it_or_has_the_parents),
	CHECK(affinity_keeps_to_the_cpuset),
	CHECK(a_cpuset_change_undoes_affinity),
	CHECK(a_move_undoes_affinity),
	CHECK(quotas_have_their_ranges),
	CHECK(weights_have_their_range),
	CHECK(what_is_not_there_is_told),
	CHECK(an_offline_cpu_spills),
	CHECK(plans_come_true_and_are_released),
	CHECK(plans_that_fail_are_undone),
	CHECK(plans_survive_a_kill_after_any_change),
};

const size_t pf_contract_check_count = sizeof(pf_contract_checks) / sizeof(pf_contract_checks[0]);
