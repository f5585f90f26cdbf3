// SPDX-License-Identifier: GPL-2.0-or-later
/* What a look costs, and that it misses nothing: counted and compared on the fake. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/base/cleanup.h"
#include "agent/observe/read.h"
#include "agent/observe/view.h"
#include "tests/fake/cgroup.h"

#define SCOPE "/machine.slice/machine-qemu\\x2d1\\x2dweb.scope"
#define BASE SCOPE "/libvirt"

enum { LEAVES = 4, GROUPS = LEAVES + 2, THREADS = 6 };
/* Of a group: four sets, cpu.max, cpu.weight. Of the base besides: what its children have. */
enum { LEAF_READS = 6, BASE_READS = 3 };

struct fixture {
	struct pf_fake *fake;
	struct pf_cgroup *cg;
	struct pf_cgroup_ops ops;
	const struct pf_cgroup_ops *inner;
	char paths[GROUPS][128];
	uint64_t cgids[GROUPS];
	pid_t tids[THREADS]; /* the first is the main one */
	struct pf_group groups[GROUPS];
	struct pf_thread_placement threads[THREADS];
	struct pf_thread facts[THREADS];
	struct pf_placement placement;
	struct pf_guest guest;
	struct pf_view view;
	unsigned int reads, tasks;
};

static struct fixture f;

static void must(int r)
{
	assert_int_equal(r, 0);
}

static void count_read(void *ctx, const char *group, const char *file)
{
	(void)ctx, (void)group, (void)file;
	f.reads++;
}

static int count_task(struct pf_cgroup *cg, pid_t tid, struct pf_task *out, struct pf_err *err)
{
	f.tasks++;
	return f.inner->task(cg, tid, out, err);
}

static void write_file(size_t group, const char *file, const char *value)
{
	must(f.cg->ops->write(f.cg, f.paths[group], file, value, NULL));
}

static void set_affinity(pid_t tid, const char *cpus)
{
	struct pf_set set;

	must(pf_set_parse(cpus, &set, NULL));
	must(f.cg->ops->affinity(f.cg, tid, &set, NULL));
}

static void add_thread(size_t i)
{
	PF_CLEANUP(pf_task_clear) struct pf_task task = {};
	size_t leaf = 2 + i % LEAVES;

	f.tids[i] = pf_fake_spawn(f.fake, i ? f.paths[leaf] : BASE, i ? f.tids[0] : 0);
	assert_true(f.tids[i] > 0);
	must(f.cg->ops->task(f.cg, f.tids[i], &task, NULL));
	f.facts[i] = (struct pf_thread){.tid = f.tids[i], .start_ticks = task.start_ticks};
	f.threads[i] = (struct pf_thread_placement){
		.tid = f.tids[i], .start_ticks = task.start_ticks, .group = leaf};
}

static void add_group(size_t i)
{
	bool leaf = i >= 2;

	if (leaf) {
		snprintf(f.paths[i], sizeof(f.paths[i]), BASE "/vcpu%zu", i - 2);
		must(f.cg->ops->make(f.cg, f.paths[i], NULL));
		write_file(i, "cgroup.type", "threaded");
	}
	must(f.cg->ops->id(f.cg, f.paths[i], &f.cgids[i], NULL));
	f.groups[i] = (struct pf_group){.level = leaf ? PF_GROUP_LEAF : (enum pf_group_level)i,
					.path = f.paths[i],
					.hold_max = true,
					.hold_weight = true};
}

static void fill_guest(void)
{
	static char cgroup[] = BASE;

	f.placement = (struct pf_placement){.base = f.paths[PF_GROUP_BASE],
					    .groups = f.groups,
					    .group_count = GROUPS,
					    .threads = f.threads,
					    .thread_count = THREADS};
	f.guest = (struct pf_guest){.pid = f.tids[0],
				    .cgroup = cgroup,
				    .threads = f.facts,
				    .thread_count = THREADS};
}

static int setup(void **state)
{
	(void)state;
	f = (struct fixture){};
	must(pf_fake_new(8, 4, &f.fake));
	f.cg = pf_fake_cgroup(f.fake);
	must(pf_fake_mkdir_all(f.fake, BASE));
	strcpy(f.paths[PF_GROUP_UNIT], SCOPE);
	strcpy(f.paths[PF_GROUP_BASE], BASE);
	add_group(PF_GROUP_UNIT);
	add_group(PF_GROUP_BASE);
	add_thread(0);
	for (size_t i = 2; i < GROUPS; i++)
		add_group(i);
	write_file(PF_GROUP_BASE, "cgroup.subtree_control", "+cpuset +cpu");
	for (size_t i = 1; i < THREADS; i++)
		add_thread(i);
	must(f.cg->ops->attach(f.cg, f.paths[2], f.tids[0], NULL));
	fill_guest();
	f.inner = f.cg->ops;
	f.ops = *f.inner;
	f.ops.task = count_task;
	f.cg->ops = &f.ops;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	pf_view_clear(&f.view);
	f.cg->ops = f.inner;
	pf_fake_free(&f.fake);
	return 0;
}

static void look(const struct pf_view *view, struct pf_actual *out)
{
	f.reads = f.tasks = 0;
	pf_fake_read_hook(f.fake, count_read, NULL);
	must(pf_observe_doubted(f.cg, &f.placement, view, out, NULL));
	pf_fake_read_hook(f.fake, NULL, NULL);
}

static void same_set(const struct pf_set *a, const struct pf_set *b)
{
	assert_memory_equal(a, b, sizeof(*a));
}

static void same_group(const struct pf_group_actual *a, const struct pf_group_actual *b)
{
	assert_int_equal(a->exists, b->exists);
	assert_int_equal(a->threaded, b->threaded);
	assert_int_equal(a->has_cpuset, b->has_cpuset);
	assert_int_equal(a->has_cpu, b->has_cpu);
	assert_int_equal(a->cgid, b->cgid);
	assert_int_equal(a->max.quota_usec, b->max.quota_usec);
	assert_int_equal(a->max.period_usec, b->max.period_usec);
	assert_int_equal(a->weight, b->weight);
	same_set(&a->cpus, &b->cpus);
	same_set(&a->cpus_effective, &b->cpus_effective);
	same_set(&a->mems, &b->mems);
	same_set(&a->mems_effective, &b->mems_effective);
}

static void same_thread(const struct pf_thread_actual *a, const struct pf_thread_actual *b)
{
	assert_int_equal(a->alive, b->alive);
	if (!a->alive)
		return;
	assert_string_equal(a->cgroup, b->cgroup);
	assert_int_equal(a->on_cpu, b->on_cpu);
	same_set(&a->cpus_allowed, &b->cpus_allowed);
	same_set(&a->mems_allowed, &b->mems_allowed);
}

/* What was seen by looking at what is in doubt is what a look at everything sees. */
static void misses_nothing(const struct pf_actual *seen)
{
	PF_CLEANUP(pf_actual_clear) struct pf_actual all = {};

	must(pf_observe(f.cg, &f.placement, &all, NULL));
	assert_int_equal(seen->base_exists, all.base_exists);
	assert_int_equal(seen->base_enables_cpu, all.base_enables_cpu);
	assert_int_equal(seen->base_enables_cpuset, all.base_enables_cpuset);
	same_set(&seen->base_cpus_effective, &all.base_cpus_effective);
	same_set(&seen->base_mems_effective, &all.base_mems_effective);
	for (size_t i = 0; i < GROUPS; i++)
		same_group(&seen->groups[i], &all.groups[i]);
	for (size_t i = 0; i < THREADS; i++)
		same_thread(&seen->threads[i], &all.threads[i]);
}

/* Looks at what is in doubt, and keeps it. */
static void look_again(void)
{
	PF_CLEANUP(pf_actual_clear) struct pf_actual actual = {};

	look(&f.view, &actual);
	misses_nothing(&actual);
	pf_view_keep(&f.view, &f.guest, &f.placement, &actual);
}

/* After an act, a look costs that much; the first look costs everything. */
static void costs(unsigned int reads, unsigned int tasks)
{
	PF_CLEANUP(pf_actual_clear) struct pf_actual actual = {};

	look(&f.view, &actual);
	assert_int_equal(f.reads, reads);
	assert_int_equal(f.tasks, tasks);
	misses_nothing(&actual);
	pf_view_keep(&f.view, &f.guest, &f.placement, &actual);
	assert_true(f.view.known);
}

/* But for the leaves' types, which were seen for good. */
static void costs_everything(void)
{
	unsigned int types = f.view.group_count ? 0 : LEAVES;

	costs(BASE_READS + GROUPS * LEAF_READS + types, THREADS);
}

static void what_is_not_in_doubt_is_not_read(void **state)
{
	(void)state;
	costs_everything();
	costs(0, 0);
}

static void a_mask_costs_its_thread(void **state)
{
	(void)state;
	look_again();
	set_affinity(f.tids[3], "1");
	pf_view_doubt_thread(&f.view, f.tids[3]);
	costs(0, 1);
	costs(0, 0);
}

static void a_moved_thread_costs_itself(void **state)
{
	(void)state;
	look_again();
	must(f.cg->ops->attach(f.cg, f.paths[4], f.tids[3], NULL));
	pf_view_doubt_move(&f.view, f.cgids[4], f.tids[3]);
	costs(0, 1);
}

static void a_leafs_cpuset_costs_the_leaf_and_who_is_in_it(void **state)
{
	(void)state;
	look_again();
	write_file(3, "cpuset.cpus", "2-3");
	pf_view_doubt_knob(&f.view, f.cgids[3], "cpuset.cpus");
	costs(LEAF_READS, 2); /* threads 1 and 5 */
	write_file(4, "cpuset.mems", "1");
	pf_view_doubt_knob(&f.view, f.cgids[4], "cpuset.mems");
	costs(LEAF_READS, 1);
}

static void bandwidth_costs_its_group_alone(void **state)
{
	(void)state;
	look_again();
	write_file(3, "cpu.max", "50000 100000");
	pf_view_doubt_knob(&f.view, f.cgids[3], "cpu.max");
	costs(LEAF_READS, 0);
	write_file(PF_GROUP_UNIT, "cpu.weight", "300");
	pf_view_doubt_knob(&f.view, f.cgids[PF_GROUP_UNIT], "cpu.weight");
	costs(LEAF_READS, 0);
}

static void whatever_may_reach_further_costs_everything(void **state)
{
	static const struct {
		size_t group;
		const char *knob;
	} knobs[] = {
		{3, "cpuset.cpus.partition"}, {3, "cgroup.subtree_control"},
		{PF_GROUP_BASE, "cpuset.cpus"}, {PF_GROUP_UNIT, "cpuset.mems"},
		{PF_GROUP_BASE, "cgroup.subtree_control"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(knobs) / sizeof(knobs[0]); i++) {
		look_again();
		pf_view_doubt_knob(&f.view, f.cgids[knobs[i].group], knobs[i].knob);
		costs_everything();
	}
	pf_view_doubt_knob(&f.view, 4711, "cpu.max"); /* a group that nobody knows */
	costs_everything();
	pf_view_doubt_move(&f.view, 4711, f.tids[3]);
	costs_everything();
	pf_view_doubt_thread(&f.view, 4711);
	costs_everything();
	pf_view_doubt_thread(&f.view, f.tids[0]); /* its place is the guest's */
	costs_everything();
}

static void a_repair_costs_what_it_wrote(void **state)
{
	struct pf_step steps[] = {
		{.kind = PF_STEP_KNOB, .group = f.paths[3], .knob = (char *)"cpu.max"},
		{.kind = PF_STEP_AFFINITY, .tid = f.tids[2]},
		{.kind = PF_STEP_ATTACH, .tid = f.tids[3], .group = f.paths[4]},
		{.kind = PF_STEP_MAKE_GROUP, .group = f.paths[5], .put_off = true},
	};
	struct pf_plan plan = {.steps = steps, .count = 4};

	(void)state;
	look_again();
	write_file(3, "cpu.max", "50000 100000");
	set_affinity(f.tids[2], "1");
	must(f.cg->ops->attach(f.cg, f.paths[4], f.tids[3], NULL));
	pf_view_doubt_plan(&f.view, &plan);
	costs(LEAF_READS, 2);
	steps[3].put_off = false;
	pf_view_doubt_plan(&f.view, &plan);
	costs_everything();
}

static void the_guests_threads_are_recalled_while_they_are_known(void **state)
{
	struct pf_guest guest = {.pid = f.tids[0]};

	(void)state;
	assert_false(pf_view_recall_guest(&f.view, &guest));
	look_again();
	assert_true(pf_view_recall_guest(&f.view, &guest));
	assert_string_equal(guest.cgroup, BASE);
	assert_int_equal(guest.thread_count, THREADS);
	assert_memory_equal(guest.threads, f.facts, sizeof(f.facts));
	guest.pid++; /* started anew */
	assert_false(pf_view_recall_guest(&f.view, &guest));
	free(guest.cgroup);
	free(guest.threads);
}

static void a_thread_that_ended_puts_all_in_doubt(void **state)
{
	(void)state;
	look_again();
	pf_fake_kill(f.fake, f.tids[3]);
	pf_view_doubt_thread(&f.view, f.tids[3]);
	look_again();
	assert_false(f.view.known);
}

static void a_number_that_was_given_away_is_not_the_old_thread(void **state)
{
	PF_CLEANUP(pf_actual_clear) struct pf_actual actual = {};

	(void)state;
	look_again();
	f.threads[3].start_ticks++;
	look(&f.view, &actual);
	assert_int_equal(f.tasks, 1);
	assert_false(actual.threads[3].alive);
}

static void a_group_that_is_missing_is_looked_for_each_time(void **state)
{
	PF_CLEANUP(pf_actual_clear) struct pf_actual actual = {};

	(void)state;
	strcpy(f.paths[5], BASE "/vcpu9");
	look_again();
	assert_true(f.view.known);
	must(f.cg->ops->make(f.cg, f.paths[5], NULL));
	look(&f.view, &actual);
	assert_true(actual.groups[5].exists);
	misses_nothing(&actual);
}

/* Made anew under its old name, it is another group. */
static void the_type_of_a_group_made_anew_is_read(void **state)
{
	PF_CLEANUP(pf_actual_clear) struct pf_actual actual = {};

	(void)state;
	strcpy(f.paths[5], BASE "/vcpu9");
	must(f.cg->ops->make(f.cg, f.paths[5], NULL));
	write_file(5, "cgroup.type", "threaded");
	look_again();
	must(f.cg->ops->remove(f.cg, f.paths[5], NULL));
	must(f.cg->ops->make(f.cg, f.paths[5], NULL));
	pf_view_doubt_all(&f.view);
	look(&f.view, &actual);
	assert_false(actual.groups[5].threaded);
	misses_nothing(&actual);
}

static void a_guest_out_of_its_place_is_looked_at_in_full(void **state)
{
	(void)state;
	f.placement.strayed = true;
	look_again();
	assert_false(f.view.known);
	f.placement.strayed = false;
	f.placement.brought_back = true;
	look_again();
	assert_false(f.view.known);
}

static void a_guest_that_a_group_above_holds_back_is_looked_at_in_full(void **state)
{
	PF_CLEANUP(pf_actual_clear) struct pf_actual actual = {};

	(void)state;
	look(&f.view, &actual);
	pf_view_keep(&f.view, &f.guest, &f.placement, &actual);
	assert_false(f.view.held_back);
	actual.above = calloc(1, sizeof(*actual.above));
	assert_non_null(actual.above);
	actual.above_count = 1;
	pf_view_keep(&f.view, &f.guest, &f.placement, &actual);
	assert_true(f.view.held_back);
	assert_false(f.view.known);
	look_again();
	assert_false(f.view.held_back);
}

/* ---- any acts in any order ----------------------------------------------------------------- */

static size_t any(size_t count)
{
	return (size_t)rand() % count;
}

static const char *any_of(const char *const *texts, size_t count)
{
	return texts[any(count)];
}

#define ANY(...)                                                                                   \
	any_of((const char *const[]){__VA_ARGS__}, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *))

static void any_knob(void)
{
	size_t group = any(GROUPS);
	const char *knob = ANY("cpuset.cpus", "cpuset.mems", "cpu.max", "cpu.weight"), *value;

	if (strcmp(knob, "cpuset.cpus") == 0)
		value = ANY("0-7", "1", "2-5", "6-7");
	else if (strcmp(knob, "cpuset.mems") == 0)
		value = ANY("0-3", "1", "2-3");
	else
		value = strcmp(knob, "cpu.max") ? ANY("1", "100", "10000") : ANY("max", "2000 9000");
	if (f.cg->ops->write(f.cg, f.paths[group], knob, value, NULL) == 0)
		pf_view_doubt_knob(&f.view, f.cgids[group], knob);
}

/* What the eBPF programs tell of it is what the agent doubts (agent/daemon/incoming.c). */
static void any_act(void)
{
	size_t thread = any(THREADS), leaf = 2 + any(LEAVES);
	struct pf_set cpus;

	switch (any(3)) {
	case 0:
		any_knob();
		break;
	case 1:
		must(pf_set_parse(ANY("0-7", "1", "2-5", "6"), &cpus, NULL));
		if (f.cg->ops->affinity(f.cg, f.tids[thread], &cpus, NULL) == 0)
			pf_view_doubt_thread(&f.view, f.tids[thread]);
		break;
	case 2:
		if (f.cg->ops->attach(f.cg, f.paths[leaf], f.tids[thread], NULL) == 0)
			pf_view_doubt_move(&f.view, f.cgids[leaf], f.tids[thread]);
		break;
	}
}

static void acts_of_every_kind_hide_none_of_each_other(void **state)
{
	unsigned int short_looks = 0;

	(void)state;
	srand(1);
	for (int kept = 0; kept < 2; kept++) {
		pf_fake_keep_affinity(f.fake, kept);
		for (int i = 0; i < 3000; i++) {
			for (size_t acts = any(4); acts; acts--)
				any_act();
			look_again();
			short_looks += f.reads < LEAVES * LEAF_READS;
		}
	}
	assert_true(short_looks > 1000);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_is_not_in_doubt_is_not_read),
		TEST(a_mask_costs_its_thread),
		TEST(a_moved_thread_costs_itself),
		TEST(a_leafs_cpuset_costs_the_leaf_and_who_is_in_it),
		TEST(bandwidth_costs_its_group_alone),
		TEST(whatever_may_reach_further_costs_everything),
		TEST(a_repair_costs_what_it_wrote),
		TEST(the_guests_threads_are_recalled_while_they_are_known),
		TEST(a_thread_that_ended_puts_all_in_doubt),
		TEST(a_number_that_was_given_away_is_not_the_old_thread),
		TEST(a_group_that_is_missing_is_looked_for_each_time),
		TEST(the_type_of_a_group_made_anew_is_read),
		TEST(a_guest_out_of_its_place_is_looked_at_in_full),
		TEST(a_guest_that_a_group_above_holds_back_is_looked_at_in_full),
		TEST(acts_of_every_kind_hide_none_of_each_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
