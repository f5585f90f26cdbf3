// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/contract/plans.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/apply/apply.h"
#include "agent/apply/ledger.h"
#include "agent/base/array.h"
#include "agent/base/cleanup.h"
#include "tests/fake/after.h"

#define UUID "6f1c0d3e-0000-4000-8000-00000000abcd"

struct work {
	struct pf_contract *t;
	struct pf_plan plan;
	struct pf_outcome *outcomes;
	size_t count;
	struct pf_apply apply;
	struct pf_ledger *ledger;
	char dir[32];
	char *leaf, *helper;
	pid_t vcpu, worker;
	char *before, *after; /* pictures */
};

static void work_clear(struct work *work)
{
	char path[96];

	pf_plan_clear(&work->plan);
	free(work->outcomes);
	pf_ledger_free(&work->ledger);
	free(work->leaf);
	free(work->helper);
	free(work->before);
	free(work->after);
	snprintf(path, sizeof(path), "%s/guests/" UUID ".json", work->dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/guests", work->dir);
	rmdir(path);
	rmdir(work->dir);
}

static enum pf_contract_result failed(struct pf_contract *t, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static enum pf_contract_result failed(struct pf_contract *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(t->words, sizeof(t->words), fmt, ap);
	va_end(ap);
	return PF_CONTRACT_FAILED;
}

static struct pf_step *add(struct work *work, unsigned int act, enum pf_step_kind kind,
			   const char *group, const char *knob, const char *value)
{
	struct pf_step *step = pf_append(&work->plan.steps, &work->plan.count);

	if (!step)
		abort();
	step->act = act;
	step->kind = kind;
	step->group = group ? strdup(group) : NULL;
	step->knob = knob ? strdup(knob) : NULL;
	step->value = value ? strdup(value) : NULL;
	return step;
}

static void add_thread(struct work *work, unsigned int act, enum pf_step_kind kind, pid_t tid,
		       const char *group, int cpu)
{
	PF_CLEANUP(pf_task_clear) struct pf_task task = {};
	struct pf_step *step = add(work, act, kind, group, NULL, NULL);

	work->t->cg->ops->task(work->t->cg, tid, &task, NULL);
	step->tid = tid;
	step->start_ticks = task.start_ticks;
	if (kind == PF_STEP_AFFINITY)
		pf_set_add(&step->cpus, (unsigned int)cpu);
}

/* Group, affinity of both threads, and the knobs of the leaf. */
static char *picture(struct work *work)
{
	static const char *const files[] = {"cpuset.cpus.effective", "cpuset.mems.effective",
					    "cpu.max", "cpu.weight"};
	const struct pf_cgroup_ops *ops = work->t->cg->ops;
	pid_t tids[] = {work->vcpu, work->worker};
	pf_auto_free char *cpus = malloc(PF_SET_TEXT_MAX);
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	uint64_t cgid;

	if (!cpus || !out)
		abort();
	for (size_t i = 0; i < 2; i++) {
		PF_CLEANUP(pf_task_clear) struct pf_task task = {};

		ops->task(work->t->cg, tids[i], &task, NULL);
		fprintf(out, "%s %s\n", task.cgroup ?: "-",
			pf_set_format(&task.cpus_allowed, cpus, PF_SET_TEXT_MAX));
	}
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		pf_auto_free char *value = NULL;

		ops->read(work->t->cg, work->leaf, files[i], &value, NULL);
		fprintf(out, "%s %s\n", files[i], value ?: "-");
	}
	fprintf(out, "helper %d\n", ops->id(work->t->cg, work->helper, &cgid, NULL));
	fclose(out);
	return text;
}

/* A guest as libvirt leaves it: one leaf with a vCPU, another thread at the base. */
static int begin(struct work *work)
{
	struct pf_contract *t = work->t;
	const struct pf_cgroup_ops *ops = t->cg->ops;
	struct pf_set first = {};
	struct pf_err *err = &t->err;
	char cpus[64];
	int cpu = pf_set_next(&t->cpus, 0), r;

	snprintf(cpus, sizeof(cpus), "%d,%d", cpu, pf_set_next(&t->cpus, (unsigned int)cpu + 1));
	pf_set_add(&first, (unsigned int)cpu);
	strcpy(work->dir, "/tmp/pf-contract-XXXXXX");
	if (!mkdtemp(work->dir) || asprintf(&work->leaf, "%s/vcpu0", t->base) < 0 ||
	    asprintf(&work->helper, "%s/helper", t->base) < 0)
		return pf_fail(err, 5, "prepare");
	work->vcpu = t->threads[t->thread_count++] = t->spawn(t);
	work->worker = t->threads[t->thread_count++] = t->spawn(t);
	r = pf_ledger_open(work->dir, &work->ledger, err);
	r = r ?: ops->make(t->cg, work->leaf, err);
	r = r ?: ops->write(t->cg, work->leaf, "cgroup.type", "threaded", err);
	r = r ?: ops->write(t->cg, t->base, "cgroup.subtree_control", "+cpuset +cpu", err);
	r = r ?: ops->write(t->cg, work->leaf, "cpuset.cpus", cpus, err);
	r = r ?: ops->attach(t->cg, work->leaf, work->vcpu, err);
	r = r ?: ops->affinity(t->cg, work->vcpu, &first, err);
	r = r ?: ops->affinity(t->cg, work->worker, &first, err);
	work->apply = (struct pf_apply){.cg = t->cg, .ledger = work->ledger};
	strcpy(work->plan.uuid, UUID);
	work->before = picture(work);
	return r;
}

static void add_steps(struct work *work, const char *weight)
{
	const struct pf_contract *t = work->t;
	char cpu[16], node[16];
	int last = pf_set_next(&t->cpus, 3);

	snprintf(cpu, sizeof(cpu), "%d", last);
	snprintf(node, sizeof(node), "%d", pf_set_next(&t->nodes, 1));
	add(work, 1, PF_STEP_MAKE_GROUP, work->helper, NULL, NULL);
	add(work, 1, PF_STEP_KNOB, work->helper, "cpuset.mems", node);
	add(work, 1, PF_STEP_KNOB, work->helper, "cpuset.cpus", cpu);
	add_thread(work, 1, PF_STEP_ATTACH, work->worker, work->helper, 0);
	add(work, 1, PF_STEP_KNOB, work->leaf, "cpuset.mems", node);
	add(work, 1, PF_STEP_KNOB, work->leaf, "cpuset.cpus", cpu);
	add_thread(work, 1, PF_STEP_AFFINITY, work->vcpu, NULL, last);
	add(work, 1, PF_STEP_KNOB, work->leaf, "cpu.max", "50000 100000");
	add(work, 1, PF_STEP_KNOB, work->leaf, "cpu.weight", weight);
}

static int apply(struct work *work)
{
	free(pf_take_ptr(work->outcomes));
	return pf_apply_plan(&work->apply, &work->plan, &work->outcomes, &work->count);
}

/* The first step with another result than that, or NULL. */
static const char *other_than(struct work *work, enum pf_outcome_result a, enum pf_outcome_result b)
{
	for (size_t i = 0; i < work->count; i++) {
		pf_auto_free char *text = NULL;

		if (work->outcomes[i].result == a || work->outcomes[i].result == b)
			continue;
		text = pf_step_describe(&work->plan.steps[i]);
		snprintf(work->t->err.text, sizeof(work->t->err.text), "%.150s: %s: %.200s",
			 text ?: "", pf_outcome_name(work->outcomes[i].result),
			 work->outcomes[i].err.text);
		return work->t->err.text;
	}
	return NULL;
}

enum pf_contract_result plans_come_true_and_are_released(struct pf_contract *t)
{
	PF_CLEANUP(work_clear) struct work work = {.t = t};

	if (begin(&work) < 0)
		return failed(t, "%s", t->err.text);
	add_steps(&work, "2048");
	/* a leaf on its one CPU already has its thread there: an affinity may be skipped */
	if (apply(&work) || other_than(&work, PF_OUTCOME_DONE, PF_OUTCOME_SKIPPED) ||
	    work.outcomes[0].result != PF_OUTCOME_DONE)
		return failed(t, "first: %.600s", t->err.text);
	if (work.apply.ledger_err.code)
		return failed(t, "ledger: %s", work.apply.ledger_err.text);
	if (apply(&work) || other_than(&work, PF_OUTCOME_SKIPPED, PF_OUTCOME_SKIPPED))
		return failed(t, "second: %.600s", t->err.text);
	/* another agent, which knows of it from the file alone */
	pf_ledger_free(&work.ledger);
	if (pf_ledger_open(work.dir, &work.ledger, &t->err) ||
	    pf_ledger_release(work.ledger, &work.apply, UUID, &t->err))
		return failed(t, "release: %s", t->err.text);
	work.after = picture(&work);
	if (strcmp(work.before, work.after))
		return failed(t, "before: %.400s; after the release: %.400s", work.before,
			      work.after);
	return PF_CONTRACT_OK;
}

enum pf_contract_result plans_that_fail_are_undone(struct pf_contract *t)
{
	PF_CLEANUP(work_clear) struct work work = {.t = t};

	if (begin(&work) < 0)
		return failed(t, "%s", t->err.text);
	add_steps(&work, "10001");
	if (apply(&work) || work.outcomes[work.count - 1].result != PF_OUTCOME_FAILED)
		return failed(t, "a weight of 10001 was taken");
	work.count--;
	if (other_than(&work, PF_OUTCOME_UNDONE, PF_OUTCOME_SKIPPED))
		return failed(t, "%.600s", t->err.text);
	work.after = picture(&work);
	if (strcmp(work.before, work.after))
		return failed(t, "before: %.400s; after the undo: %.400s", work.before, work.after);
	return PF_CONTRACT_OK;
}

/* --- killed --------------------------------------------------------------------------------- */

static void count_down(void *ctx, const char *what, const char *where)
{
	unsigned int *left = ctx;

	(void)what, (void)where;
	if (!--*left)
		kill(getpid(), SIGKILL);
}

/* In a process of its own. Return: whether it was killed after @changes changes; -errno. */
static int apply_and_die(struct work *work, unsigned int changes)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		return -errno;
	if (!pid) {
		if (pf_after_new(work->t->cg, count_down, &changes, &work->apply.cg) < 0)
			_exit(1);
		_exit(apply(work) ? 1 : 0);
	}
	if (waitpid(pid, &status, 0) < 0)
		return -errno;
	return WIFSIGNALED(status) ? 1 : -WEXITSTATUS(status);
}

static int reopen(struct work *work)
{
	int r;

	pf_ledger_free(&work->ledger);
	r = pf_ledger_open(work->dir, &work->ledger, &work->t->err);
	work->apply.ledger = work->ledger;
	return r;
}

/* Return: 1 when it was killed and all came true, 0 when the plan has fewer changes, -1 with words. */
static int survive(struct work *work, unsigned int changes)
{
	struct pf_contract *t = work->t;
	int killed = apply_and_die(work, changes);

	if (killed < 0 || reopen(work) < 0)
		snprintf(t->words, sizeof(t->words), "change %u: %.600s", changes,
			 killed < 0 ? strerror(-killed) : t->err.text);
	else if (apply(work) || other_than(work, PF_OUTCOME_DONE, PF_OUTCOME_SKIPPED))
		failed(t, "killed after change %u, then: %.600s", changes, t->err.text);
	else if (work->apply.ledger_err.code || reopen(work) < 0 ||
		 pf_ledger_release(work->ledger, &work->apply, UUID, &t->err))
		failed(t, "killed after change %u, then released: %.300s %.300s", changes,
		       work->apply.ledger_err.text, t->err.text);
	else
		return killed;
	return -1;
}

enum pf_contract_result plans_survive_a_kill_after_any_change(struct pf_contract *t)
{
	PF_CLEANUP(work_clear) struct work work = {.t = t};
	unsigned int changes = 0;
	int killed = 1;

	if (begin(&work) < 0)
		return failed(t, "%s", t->err.text);
	add_steps(&work, "2048");
	while (killed > 0) {
		killed = survive(&work, ++changes);
		if (killed < 0)
			return PF_CONTRACT_FAILED;
		free(work.after);
		work.after = picture(&work);
		if (strcmp(work.before, work.after))
			return failed(t, "before: %.400s; killed after change %u and released: %.400s",
				      work.before, changes, work.after);
	}
	return changes > 8 ? PF_CONTRACT_OK : failed(t, "a plan of %u changes", changes - 1);
}
