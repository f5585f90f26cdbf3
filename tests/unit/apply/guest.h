/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest in the fake, as libvirt leaves it, and plans for it. */
#pragma once

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/apply/apply.h"
#include "agent/base/array.h"
#include "agent/base/cleanup.h"
#include "tests/fake/cgroup.h"

#define UUID "6f1c0d3e-0000-4000-8000-00000000abcd"
#define SCOPE "/machine.slice/machine-qemu\\x2d1\\x2dweb.scope"
#define BASE SCOPE "/libvirt"
#define EMULATOR BASE "/emulator"
#define VCPU0 BASE "/vcpu0"
#define HELPER BASE "/helper"

struct guest {
	struct pf_fake *fake;
	struct pf_cgroup *cg;
	struct pf_apply apply;
	pid_t pid, vcpu, worker; /* all in emulator to begin with, but for vcpu */
	struct pf_plan plan;
	struct pf_outcome *outcomes;
	size_t count;
	/* a systemd that writes what it is told, @unit_lag reads later */
	unsigned int unit_calls, unit_lag;
	const char *unit_says; /* what it writes instead */
	char unit_group[256], unit_knob[32], unit_value[64];
};

static inline void must(int r)
{
	if (r)
		fail_msg("%d", r);
}

static inline struct pf_set set(const char *text)
{
	struct pf_set out;

	must(pf_set_parse(text, &out, NULL));
	return out;
}

static inline void g_write(struct guest *g, const char *group, const char *file, const char *value)
{
	struct pf_err err = {};

	if (g->cg->ops->write(g->cg, group, file, value, &err))
		fail_msg("%s", err.text);
}

static inline void assert_file(struct guest *g, const char *group, const char *file,
			       const char *value)
{
	pf_auto_free char *text = NULL;

	must(g->cg->ops->read(g->cg, group, file, &text, NULL));
	assert_string_equal(text, value);
}

static inline bool group_exists(struct guest *g, const char *group)
{
	uint64_t cgid;

	return g->cg->ops->id(g->cg, group, &cgid, NULL) == 0;
}

static inline uint64_t ticks_of(struct guest *g, pid_t tid)
{
	PF_CLEANUP(pf_task_clear) struct pf_task task = {};

	must(g->cg->ops->task(g->cg, tid, &task, NULL));
	return task.start_ticks;
}

static inline void assert_thread(struct guest *g, pid_t tid, const char *group, const char *cpus)
{
	PF_CLEANUP(pf_task_clear) struct pf_task task = {};
	char text[PF_SET_TEXT_MAX];

	must(g->cg->ops->task(g->cg, tid, &task, NULL));
	assert_string_equal(task.cgroup, group);
	assert_string_equal(pf_set_format(&task.cpus_allowed, text, sizeof(text)), cpus);
}

static inline int unit_arrives(struct guest *g)
{
	pf_fake_read_hook(g->fake, NULL, NULL);
	return g->cg->ops->write(g->cg, g->unit_group, g->unit_knob, g->unit_value, NULL);
}

static inline void unit_waits(void *ctx, const char *group, const char *file)
{
	struct guest *g = ctx;

	(void)group;
	if (strcmp(file, g->unit_knob) == 0 && g->unit_lag-- == 0)
		unit_arrives(g);
}

static inline int unit_set(void *ctx, const char *unit, const char *knob, const char *value,
			   struct pf_err *err)
{
	struct guest *g = ctx;

	assert_string_equal(unit, "machine-qemu\\x2d1\\x2dweb.scope");
	g->unit_calls++;
	snprintf(g->unit_group, sizeof(g->unit_group), "%s", SCOPE);
	snprintf(g->unit_knob, sizeof(g->unit_knob), "%s", knob);
	snprintf(g->unit_value, sizeof(g->unit_value), "%s", g->unit_says ?: value);
	if (!g->unit_lag && unit_arrives(g) < 0)
		return pf_fail(err, EBUSY, "set %s", knob);
	if (g->unit_lag)
		pf_fake_read_hook(g->fake, unit_waits, g);
	return 0;
}

static inline int guest_setup(void **state)
{
	static struct guest g;

	g = (struct guest){};
	must(pf_fake_new(8, 4, &g.fake));
	g.cg = pf_fake_cgroup(g.fake);
	g.apply = (struct pf_apply){.cg = g.cg, .unit_set = unit_set, .unit_ctx = &g};
	must(pf_fake_mkdir_all(g.fake, BASE));
	must(g.cg->ops->make(g.cg, EMULATOR, NULL));
	must(g.cg->ops->make(g.cg, VCPU0, NULL));
	g_write(&g, EMULATOR, "cgroup.type", "threaded");
	g_write(&g, VCPU0, "cgroup.type", "threaded");
	g_write(&g, BASE, "cgroup.subtree_control", "+cpuset +cpu");
	g_write(&g, EMULATOR, "cpuset.cpus", "0-3");
	g_write(&g, VCPU0, "cpuset.cpus", "2");
	g.pid = pf_fake_spawn(g.fake, EMULATOR, 0);
	g.vcpu = pf_fake_spawn(g.fake, VCPU0, g.pid);
	g.worker = pf_fake_spawn(g.fake, EMULATOR, g.pid);
	strcpy(g.plan.uuid, UUID);
	g.plan.pid = g.pid;
	*state = &g;
	return 0;
}

static inline void plan_clear(struct guest *g)
{
	pid_t pid = g->plan.pid;

	pf_plan_clear(&g->plan);
	free(pf_take_ptr(g->outcomes));
	strcpy(g->plan.uuid, UUID);
	g->plan.pid = pid;
}

static inline int guest_teardown(void **state)
{
	struct guest *g = *state;

	plan_clear(g);
	pf_fake_free(&g->fake);
	return 0;
}

static inline struct pf_step *add_step(struct guest *g, unsigned int act, enum pf_step_kind kind,
				       const char *group)
{
	struct pf_step *step = pf_append(&g->plan.steps, &g->plan.count);

	assert_non_null(step);
	step->act = act;
	step->kind = kind;
	step->group = group ? strdup(group) : NULL;
	return step;
}

static inline void add_knob(struct guest *g, unsigned int act, const char *group, const char *knob,
			    const char *value)
{
	struct pf_step *step = add_step(g, act, PF_STEP_KNOB, group);

	step->knob = strdup(knob);
	step->value = strdup(value);
}

static inline void add_unit_knob(struct guest *g, unsigned int act, const char *knob,
				 const char *value)
{
	struct pf_step *step = add_step(g, act, PF_STEP_UNIT_KNOB, SCOPE);

	step->unit = strdup("machine-qemu\\x2d1\\x2dweb.scope");
	step->knob = strdup(knob);
	step->value = strdup(value);
}

static inline void add_attach(struct guest *g, unsigned int act, const char *group, pid_t tid)
{
	struct pf_step *step = add_step(g, act, PF_STEP_ATTACH, group);

	step->tid = tid;
	step->start_ticks = ticks_of(g, tid);
}

static inline void add_affinity(struct guest *g, unsigned int act, pid_t tid, const char *cpus)
{
	struct pf_step *step = add_step(g, act, PF_STEP_AFFINITY, NULL);

	step->tid = tid;
	step->start_ticks = ticks_of(g, tid);
	step->cpus = set(cpus);
}

/* Everything that there is to do to a guest: a helper leaf, a new pin, a weight, a quota. */
static inline void add_whole_plan(struct guest *g)
{
	add_unit_knob(g, 1, "cpu.weight", "2048");
	add_step(g, 2, PF_STEP_MAKE_GROUP, HELPER);
	add_knob(g, 2, HELPER, "cpuset.mems", "1");
	add_knob(g, 2, HELPER, "cpuset.cpus", "4-5");
	add_attach(g, 2, HELPER, g->worker);
	add_affinity(g, 2, g->worker, "5");
	add_knob(g, 3, VCPU0, "cpuset.mems", "1");
	add_knob(g, 3, VCPU0, "cpuset.cpus", "6-7");
	add_affinity(g, 3, g->vcpu, "7");
	add_knob(g, 4, VCPU0, "cpu.max", "50000 100000");
}

static inline void apply(struct guest *g)
{
	free(pf_take_ptr(g->outcomes));
	must(pf_apply_plan(&g->apply, &g->plan, &g->outcomes, &g->count));
	assert_int_equal(g->count, g->plan.count);
}

static inline void assert_result(struct guest *g, size_t step, enum pf_outcome_result result)
{
	if (g->outcomes[step].result != result)
		fail_msg("step %zu: %s, expected %s (%s)", step,
			 pf_outcome_name(g->outcomes[step].result), pf_outcome_name(result),
			 g->outcomes[step].err.text);
	/* whatever was not done has words, and only failures have a code */
	assert_true((result == PF_OUTCOME_DONE) == !g->outcomes[step].err.text[0]);
	assert_true((result == PF_OUTCOME_FAILED) == (g->outcomes[step].err.code < 0));
}

static inline void assert_all(struct guest *g, enum pf_outcome_result result)
{
	for (size_t i = 0; i < g->count; i++)
		assert_result(g, i, result);
}

static inline void assert_as_planned(struct guest *g)
{
	assert_file(g, SCOPE, "cpu.weight", "2048");
	assert_file(g, HELPER, "cgroup.type", "threaded");
	assert_file(g, HELPER, "cpuset.cpus", "4-5");
	assert_file(g, HELPER, "cpuset.mems", "1");
	assert_thread(g, g->worker, HELPER, "5");
	assert_file(g, VCPU0, "cpuset.cpus", "6-7");
	assert_file(g, VCPU0, "cpuset.mems", "1");
	assert_file(g, VCPU0, "cpu.max", "50000 100000");
	assert_thread(g, g->vcpu, VCPU0, "7");
}
