// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/base/cleanup.h"
#include "agent/observe/read.h"
#include "tests/fake/cgroup.h"

#define SCOPE "/machine.slice/machine-qemu\\x2d1\\x2dweb.scope"
#define BASE SCOPE "/libvirt"
#define VCPU0 BASE "/vcpu0"
#define GONE BASE "/vcpu1"

enum { UNIT, BASE_INDEX, LEAF, MISSING, GROUPS };

struct fixture {
	struct pf_fake *fake;
	struct pf_cgroup *cg;
	pid_t pid, tid;
	struct pf_group groups[GROUPS];
	struct pf_thread_placement threads[3];
	struct pf_placement placement;
	unsigned int reads;
};

static void count_read(void *ctx, const char *group, const char *file)
{
	(void)group;
	(void)file;
	((struct fixture *)ctx)->reads++;
}

static void must(int r)
{
	assert_int_equal(r, 0);
}

static void write_file(struct fixture *f, const char *group, const char *file, const char *value)
{
	must(f->cg->ops->write(f->cg, group, file, value, NULL));
}

static struct pf_set set(const char *text)
{
	struct pf_set out;

	must(pf_set_parse(text, &out, NULL));
	return out;
}

static int setup(void **state)
{
	static struct fixture f;

	f = (struct fixture){};
	must(pf_fake_new(8, 4, &f.fake));
	f.cg = pf_fake_cgroup(f.fake);
	must(pf_fake_mkdir_all(f.fake, BASE));
	f.pid = pf_fake_spawn(f.fake, BASE, 0);
	f.tid = pf_fake_spawn(f.fake, BASE, f.pid);
	must(f.cg->ops->make(f.cg, VCPU0, NULL));
	write_file(&f, VCPU0, "cgroup.type", "threaded");
	write_file(&f, BASE, "cgroup.subtree_control", "+cpuset +cpu");
	f.groups[UNIT] =
		(struct pf_group){.level = PF_GROUP_UNIT, .path = SCOPE, .hold_weight = true};
	f.groups[BASE_INDEX] = (struct pf_group){.level = PF_GROUP_BASE, .path = BASE};
	f.groups[LEAF] = (struct pf_group){.level = PF_GROUP_LEAF, .path = VCPU0, .hold_max = true};
	f.groups[MISSING] = (struct pf_group){.level = PF_GROUP_LEAF, .path = GONE};
	f.placement = (struct pf_placement){
		.base = BASE, .groups = f.groups, .group_count = GROUPS, .threads = f.threads};
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	pf_fake_free(&((struct fixture *)*state)->fake);
	return 0;
}

static void reads_what_stands_there(void **state)
{
	PF_CLEANUP(pf_actual_clear) struct pf_actual actual = {};
	struct fixture *f = *state;
	struct pf_set cpus = set("2-3"), mems = set("1"), all = set("0-7"), nodes = set("0-3");
	const struct pf_group_actual *leaf;
	uint64_t cgid = 0;

	write_file(f, VCPU0, "cpuset.cpus", "2-3");
	write_file(f, VCPU0, "cpuset.mems", "1");
	write_file(f, VCPU0, "cpu.max", "50000 100000");
	write_file(f, SCOPE, "cpu.weight", "2048");
	must(pf_observe(f->cg, &f->placement, &actual, NULL));
	assert_int_equal(actual.group_count, GROUPS);
	leaf = &actual.groups[LEAF];
	must(f->cg->ops->id(f->cg, VCPU0, &cgid, NULL));
	assert_true(leaf->exists && leaf->threaded && leaf->has_cpuset && leaf->has_cpu);
	assert_int_equal(leaf->cgid, cgid);
	assert_true(pf_set_equal(&leaf->cpus, &cpus));
	assert_true(pf_set_equal(&leaf->cpus_effective, &cpus));
	assert_true(pf_set_equal(&leaf->mems, &mems));
	assert_true(pf_set_equal(&leaf->mems_effective, &mems));
	assert_int_equal(leaf->max.quota_usec, 50000);
	assert_int_equal(leaf->max.period_usec, 100000);
	assert_int_equal(actual.groups[UNIT].weight, 2048);
	assert_true(actual.groups[BASE_INDEX].has_cpu);
	assert_false(actual.groups[MISSING].exists);
	assert_true(actual.base_exists && actual.base_enables_cpuset && actual.base_enables_cpu);
	assert_true(pf_set_equal(&actual.base_cpus_effective, &all));
	assert_true(pf_set_equal(&actual.base_mems_effective, &nodes));
}

/* The kernel gives a group without a cpuset of its own its ancestor's. */
static void effective_sets_come_from_above(void **state)
{
	PF_CLEANUP(pf_actual_clear) struct pf_actual actual = {};
	struct fixture *f = *state;
	struct pf_set cpus = set("4-6");

	write_file(f, BASE, "cgroup.subtree_control", "-cpuset");
	write_file(f, "/machine.slice", "cpuset.cpus", "4-6");
	must(pf_observe(f->cg, &f->placement, &actual, NULL));
	assert_false(actual.groups[LEAF].has_cpuset);
	assert_true(actual.groups[LEAF].has_cpu);
	assert_false(actual.base_enables_cpuset);
	assert_true(pf_set_equal(&actual.groups[LEAF].cpus_effective, &cpus));
	assert_true(pf_set_equal(&actual.base_cpus_effective, &cpus));
}

static void a_controller_that_is_off_is_a_fact(void **state)
{
	PF_CLEANUP(pf_actual_clear) struct pf_actual actual = {};
	struct fixture *f = *state;

	write_file(f, BASE, "cgroup.subtree_control", "-cpu");
	must(pf_observe(f->cg, &f->placement, &actual, NULL));
	assert_false(actual.groups[LEAF].has_cpu);
	assert_true(actual.groups[LEAF].has_cpuset);
	assert_false(actual.base_enables_cpu);
}

static void nothing_there_is_no_error(void **state)
{
	PF_CLEANUP(pf_actual_clear) struct pf_actual actual = {};
	struct fixture *f = *state;

	f->placement.base = GONE "/deeper";
	for (size_t i = 0; i < GROUPS; i++)
		f->groups[i].path = GONE;
	must(pf_observe(f->cg, &f->placement, &actual, NULL));
	assert_false(actual.base_exists);
	for (size_t i = 0; i < GROUPS; i++)
		assert_false(actual.groups[i].exists);
}

static void threads_are_told_apart(void **state)
{
	PF_CLEANUP(pf_actual_clear) struct pf_actual actual = {};
	PF_CLEANUP(pf_task_clear) struct pf_task task = {}, main_task = {};
	struct fixture *f = *state;
	struct pf_set cpus = set("2-3");

	write_file(f, VCPU0, "cpuset.cpus", "2-3");
	must(f->cg->ops->attach(f->cg, VCPU0, f->tid, NULL));
	must(f->cg->ops->task(f->cg, f->tid, &task, NULL));
	must(f->cg->ops->task(f->cg, f->pid, &main_task, NULL));
	f->threads[0] =
		(struct pf_thread_placement){.tid = f->tid, .start_ticks = task.start_ticks};
	/* its number was given to another one; and one that is not there */
	f->threads[1] = (struct pf_thread_placement){.tid = f->pid,
						     .start_ticks = main_task.start_ticks + 7};
	f->threads[2] = (struct pf_thread_placement){.tid = 4711, .start_ticks = 1};
	f->placement.thread_count = 3;
	must(pf_observe(f->cg, &f->placement, &actual, NULL));
	assert_int_equal(actual.thread_count, 3);
	assert_true(actual.threads[0].alive);
	assert_string_equal(actual.threads[0].cgroup, VCPU0);
	assert_true(pf_set_equal(&actual.threads[0].cpus_allowed, &cpus));
	assert_int_equal(actual.threads[0].on_cpu, 2);
	assert_false(actual.threads[1].alive);
	assert_null(actual.threads[1].cgroup);
	assert_false(actual.threads[2].alive);
}

/* A leaf costs its type, four sets and what is held of cpu; no more. */
static void few_files_are_read(void **state)
{
	PF_CLEANUP(pf_actual_clear) struct pf_actual actual = {};
	struct fixture *f = *state;

	f->groups[0] = f->groups[LEAF];
	f->placement.group_count = 1;
	pf_fake_read_hook(f->fake, count_read, f);
	must(pf_observe(f->cg, &f->placement, &actual, NULL));
	assert_int_equal(f->reads, 3 /* the base */ + 6);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(reads_what_stands_there),
		TEST(effective_sets_come_from_above),
		TEST(a_controller_that_is_off_is_a_fact),
		TEST(nothing_there_is_no_error),
		TEST(threads_are_told_apart),
		TEST(few_files_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
