// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * desired -> observe -> diff -> apply against the fake kernel: whatever is broken by hand, one plan
 * puts right, and a second one is empty.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/apply/apply.h"
#include "agent/base/array.h"
#include "agent/base/cleanup.h"
#include "agent/desired/desired.h"
#include "agent/diff/diff.h"
#include "agent/observe/read.h"
#include "tests/fake/cgroup.h"

#define SCOPE "/machine.slice/a.scope"
#define BASE SCOPE "/libvirt"
#define CPUS 8
#define NODES 4

struct world {
	struct pf_fake *fake;
	struct pf_cgroup *cg;
	struct pf_host host;
	struct pf_config config;
	struct pf_guest guest;
	struct pf_guests guests;
	pid_t other; /* another guest's thread, which nothing may touch */
};

static void make_host(struct pf_host *host)
{
	pf_set_add_range(&host->cpus_possible, 0, CPUS - 1);
	host->cpus_present = host->cpus_online = host->cpus_possible;
	pf_set_add_range(&host->nodes_online, 0, NODES - 1);
	host->nodes_with_memory = host->nodes_online;
}

static void list_thread(struct world *w, pid_t tid, const char *comm)
{
	struct pf_thread *thread = pf_append(&w->guest.threads, &w->guest.thread_count);
	PF_CLEANUP(pf_task_clear) struct pf_task task = {};

	assert_int_equal(w->cg->ops->task(w->cg, tid, &task, NULL), 0);
	thread->tid = tid;
	thread->start_ticks = task.start_ticks;
	snprintf(thread->comm, sizeof(thread->comm), "%s", comm);
}

static void spawn(struct world *w, const char *leaf, const char *comm, pid_t *tid)
{
	char group[256];

	snprintf(group, sizeof(group), BASE "/%s", leaf);
	*tid = pf_fake_spawn(w->fake, group, w->guest.pid);
	assert_true(*tid > 0);
	list_thread(w, *tid, comm);
}

static void make_leaf(struct world *w, const char *leaf)
{
	char group[256];

	snprintf(group, sizeof(group), BASE "/%s", leaf);
	assert_int_equal(w->cg->ops->make(w->cg, group, NULL), 0);
	assert_int_equal(w->cg->ops->write(w->cg, group, "cgroup.type", "threaded", NULL), 0);
}

static void pin(struct pf_pin *pin, const char *list)
{
	pin->set = true;
	assert_int_equal(pf_set_parse(list, &pin->cpus, NULL), 0);
}

static void make_promise(struct pf_promise *promise)
{
	for (unsigned int i = 0; i < 3; i++) {
		struct pf_vcpu *vcpu = pf_append(&promise->vcpus, &promise->vcpu_count);

		vcpu->index = i;
		vcpu->online = true;
	}
	pf_append(&promise->iothreads, &promise->iothread_count)->index = 1;
	pin(&promise->vcpus[0].pin, "2");
	pin(&promise->vcpus[1].pin, "3-4");
	pin(&promise->emulator, "0-1");
	pin(&promise->iothreads[0].pin, "5");
	promise->memory.mode = PF_MEMORY_STRICT;
	promise->memory.nodes_known = true;
	pf_set_add(&promise->memory.nodes, 1);
	promise->vcpu_bandwidth = (struct pf_bandwidth){true, true, 100000, 50000};
	promise->has_shares = true;
	promise->shares = 300;
}

static void make_world(struct world *w)
{
	pid_t tid;

	*w = (struct world){};
	assert_int_equal(pf_fake_new(CPUS, NODES, &w->fake), 0);
	w->cg = pf_fake_cgroup(w->fake);
	assert_int_equal(pf_config_init(&w->config), 0);
	make_host(&w->host);
	assert_int_equal(pf_fake_mkdir_all(w->fake, "/machine.slice/b.scope"), 0);
	w->other = pf_fake_spawn(w->fake, "/machine.slice/b.scope", 0);
	assert_int_equal(pf_fake_mkdir_all(w->fake, BASE), 0);
	w->guest.pid = pf_fake_spawn(w->fake, BASE, 0);
	w->guest.name = strdup("a");
	w->guest.base = strdup(BASE);
	w->guest.unit = strdup("a.scope");
	w->guest.unit_path = strdup(SCOPE);
	snprintf(w->guest.uuid, sizeof(w->guest.uuid), "00000000-0000-0000-0000-00000000000a");
	make_promise(&w->guest.promise);
	w->guests = (struct pf_guests){.items = &w->guest, .count = 1};
	make_leaf(w, "emulator");
	make_leaf(w, "vcpu0");
	make_leaf(w, "vcpu1");
	make_leaf(w, "vcpu2");
	make_leaf(w, "iothread1");
	assert_int_equal(w->cg->ops->attach(w->cg, BASE "/emulator", w->guest.pid, NULL), 0);
	assert_int_equal(w->cg->ops->write(w->cg, BASE, "cgroup.subtree_control", "+cpuset +cpu",
					   NULL),
			 0);
	list_thread(w, w->guest.pid, "qemu-kvm");
	spawn(w, "vcpu0", "CPU 0/KVM", &w->guest.promise.vcpus[0].tid);
	spawn(w, "vcpu1", "CPU 1/KVM", &w->guest.promise.vcpus[1].tid);
	spawn(w, "vcpu2", "CPU 2/KVM", &w->guest.promise.vcpus[2].tid);
	spawn(w, "iothread1", "IO iothread1", &w->guest.promise.iothreads[0].tid);
	spawn(w, "vcpu0", "vhost-1", &tid);
}

static void free_world(struct world *w)
{
	pf_guest_clear(&w->guest);
	pf_config_clear(&w->config);
	pf_fake_free(&w->fake);
}

/* In place of systemd: writes the knob where systemd would. */
static int unit_set(void *ctx, const char *unit, const char *knob, const char *value,
		    struct pf_err *err)
{
	struct world *w = ctx;

	assert_string_equal(unit, "a.scope");
	return w->cg->ops->write(w->cg, SCOPE, knob, value, err);
}

static void plan_of(struct world *w, struct pf_plan *plan, struct pf_guest_status *status)
{
	PF_CLEANUP(pf_placement_clear) struct pf_placement placement = {};
	PF_CLEANUP(pf_actual_clear) struct pf_actual actual = {};

	assert_int_equal(pf_desire(&w->host, &w->guests, &w->guest, &w->config, &placement), 0);
	assert_int_equal(pf_observe(w->cg, &placement, &actual, NULL), 0);
	assert_int_equal(pf_diff(&w->host, &placement, &actual, plan, status), 0);
}

/* Runs one plan. Return: how many steps failed. */
static size_t hold(struct world *w)
{
	PF_CLEANUP(pf_plan_clear) struct pf_plan plan = {};
	PF_CLEANUP(pf_guest_status_clear) struct pf_guest_status status = {};
	struct pf_apply apply = {.cg = w->cg, .unit_set = unit_set, .unit_ctx = w};
	pf_auto_free struct pf_outcome *outcomes = NULL;
	size_t count = 0, failed = 0;

	plan_of(w, &plan, &status);
	assert_int_equal(pf_apply_plan(&apply, &plan, &outcomes, &count), 0);
	assert_int_equal(count, plan.count);
	for (size_t i = 0; i < count; i++) {
		if (outcomes[i].result != PF_OUTCOME_FAILED)
			continue;
		failed++;
		print_message("# %s\n", outcomes[i].err.text);
	}
	return failed;
}

static void assert_held(struct world *w)
{
	PF_CLEANUP(pf_plan_clear) struct pf_plan plan = {};
	PF_CLEANUP(pf_guest_status_clear) struct pf_guest_status status = {};

	plan_of(w, &plan, &status);
	for (size_t i = 0; i < plan.count; i++) {
		pf_auto_free char *text = pf_step_describe(&plan.steps[i]);

		print_message("# left: %s\n", text);
	}
	assert_int_equal(plan.count, 0);
	assert_int_equal(status.state, PF_STATE_HELD);
}

static void assert_file(struct world *w, const char *group, const char *file, const char *want)
{
	pf_auto_free char *got = NULL;

	assert_int_equal(w->cg->ops->read(w->cg, group, file, &got, NULL), 0);
	assert_string_equal(got, want);
}

static void assert_allowed(struct world *w, pid_t tid, const char *want)
{
	PF_CLEANUP(pf_task_clear) struct pf_task task = {};
	char text[256];

	assert_int_equal(w->cg->ops->task(w->cg, tid, &task, NULL), 0);
	assert_string_equal(pf_set_format(&task.cpus_allowed, text, sizeof(text)), want);
}

static void assert_in_group(struct world *w, pid_t tid, const char *want)
{
	PF_CLEANUP(pf_task_clear) struct pf_task task = {};

	assert_int_equal(w->cg->ops->task(w->cg, tid, &task, NULL), 0);
	assert_string_equal(task.cgroup, want);
}

static void one_plan_holds_a_fresh_guest(void **state)
{
	struct world w;

	(void)state;
	make_world(&w);
	assert_int_equal(hold(&w), 0);
	assert_held(&w);
	assert_allowed(&w, w.guest.promise.vcpus[0].tid, "2");
	assert_allowed(&w, w.guest.promise.vcpus[1].tid, "3-4");
	assert_allowed(&w, w.guest.promise.vcpus[2].tid, "0-7");
	assert_allowed(&w, w.guest.pid, "0-1");
	assert_file(&w, BASE "/vcpu0", "cpuset.cpus", "2");
	assert_file(&w, BASE "/vcpu0", "cpuset.mems", "1");
	assert_file(&w, BASE "/vcpu0", "cpu.max", "50000 100000");
	assert_file(&w, SCOPE, "cpu.weight", "300");
	assert_file(&w, BASE "/helper", "cgroup.type", "threaded");
	assert_allowed(&w, w.guest.threads[5].tid, "0-1");
	free_world(&w);
}

static void a_held_guest_costs_no_write(void **state)
{
	struct world w;
	unsigned int changes;

	(void)state;
	make_world(&w);
	hold(&w);
	changes = pf_fake_changes(w.fake);
	hold(&w);
	assert_int_equal(pf_fake_changes(w.fake), changes);
	free_world(&w);
}

static const char *const leaves[] = {"emulator", "vcpu0", "vcpu1", "vcpu2", "iothread1", "helper"};

/* Something that a person might do to the guest by hand. */
static void break_something(struct world *w, unsigned int *seed)
{
	const struct pf_cgroup_ops *ops = w->cg->ops;
	static const char *const lists[] = {"0", "1-2", "0-7", "5", "6-7", "3"};
	static const char *const nodes[] = {"0", "1", "0-3", "2-3"};
	const struct pf_thread *thread = &w->guest.threads[(unsigned)rand_r(seed) %
							   w->guest.thread_count];
	const char *list = lists[(unsigned)rand_r(seed) % 6];
	struct pf_set set;
	char group[256];

	snprintf(group, sizeof(group), BASE "/%s", leaves[(unsigned)rand_r(seed) % 6]);
	pf_set_parse(list, &set, NULL);
	switch ((unsigned)rand_r(seed) % 9) {
	case 0:
	case 1:
		ops->write(w->cg, group, "cpuset.cpus", list, NULL);
		break;
	case 2:
		ops->write(w->cg, group, "cpuset.mems", nodes[(unsigned)rand_r(seed) % 4], NULL);
		break;
	case 3:
		ops->write(w->cg, group, "cpu.max", "2000 10000", NULL);
		break;
	case 4:
		ops->write(w->cg, group, "cpu.weight", "7", NULL);
		break;
	case 5:
		ops->attach(w->cg, group, thread->tid, NULL);
		break;
	case 6:
		ops->affinity(w->cg, thread->tid, &set, NULL);
		break;
	case 7:
		ops->write(w->cg, BASE, "cpuset.cpus", list, NULL);
		break;
	case 8:
		ops->write(w->cg, SCOPE, "cpu.weight", "55", NULL);
		break;
	}
}

static void whatever_is_broken_one_plan_puts_right(bool keep_affinity)
{
	for (unsigned int seed = 1; seed <= 400; seed++) {
		unsigned int random = seed;
		struct world w;

		make_world(&w);
		pf_fake_keep_affinity(w.fake, keep_affinity);
		hold(&w);
		for (unsigned int i = 0; i <= seed % 6; i++)
			break_something(&w, &random);
		assert_int_equal(hold(&w), 0);
		assert_held(&w);
		assert_allowed(&w, w.other, "0-7");
		free_world(&w);
	}
}

static void whatever_is_broken_one_plan_puts_right_on_6_1(void **state)
{
	(void)state;
	whatever_is_broken_one_plan_puts_right(false);
}

static void whatever_is_broken_one_plan_puts_right_on_newer_kernels(void **state)
{
	(void)state;
	whatever_is_broken_one_plan_puts_right(true);
}

static void a_pinned_cpu_offline_is_impossible_and_heals_by_itself(void **state)
{
	struct world w;

	(void)state;
	make_world(&w);
	hold(&w);
	pf_fake_online(w.fake, 2, false);
	pf_set_remove(&w.host.cpus_online, 2);
	for (int i = 0; i < 2; i++) {
		PF_CLEANUP(pf_plan_clear) struct pf_plan plan = {};
		PF_CLEANUP(pf_guest_status_clear) struct pf_guest_status status = {};

		hold(&w);
		plan_of(&w, &plan, &status);
		assert_int_equal(plan.count, 0);
		assert_int_equal(status.state, PF_STATE_IMPOSSIBLE);
		assert_non_null(strstr(status.reason, "CPU 2 is offline"));
	}
	assert_allowed(&w, w.guest.promise.vcpus[1].tid, "3-4");
	pf_fake_online(w.fake, 2, true);
	pf_set_add(&w.host.cpus_online, 2);
	assert_int_equal(hold(&w), 0);
	assert_held(&w);
	assert_allowed(&w, w.guest.promise.vcpus[0].tid, "2");
	free_world(&w);
}

static void what_the_parent_does_not_allow_is_impossible_and_the_rest_is_held(void **state)
{
	PF_CLEANUP(pf_plan_clear) struct pf_plan plan = {};
	PF_CLEANUP(pf_guest_status_clear) struct pf_guest_status status = {};
	struct world w;

	(void)state;
	make_world(&w);
	hold(&w);
	w.cg->ops->write(w.cg, SCOPE, "cpuset.cpus", "0-4", NULL);
	assert_int_equal(hold(&w), 0);
	plan_of(&w, &plan, &status);
	assert_int_equal(plan.count, 0);
	assert_int_equal(status.state, PF_STATE_IMPOSSIBLE);
	assert_non_null(strstr(status.reason, "iothread 1 was promised CPU 5, which is outside"));
	assert_allowed(&w, w.guest.promise.vcpus[0].tid, "2");
	assert_allowed(&w, w.guest.promise.vcpus[2].tid, "0-4");
	free_world(&w);
}

static void a_thread_that_nobody_may_move_is_left_where_it_is(void **state)
{
	struct world w;
	pid_t tid;

	(void)state;
	make_world(&w);
	spawn(&w, "vcpu1", "iou-wrk-7", &tid);
	w.guest.threads[w.guest.thread_count - 1].immovable = true;
	assert_int_equal(hold(&w), 0);
	assert_held(&w);
	assert_in_group(&w, tid, BASE "/vcpu1");
	free_world(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_thread_that_nobody_may_move_is_left_where_it_is),
		cmocka_unit_test(one_plan_holds_a_fresh_guest),
		cmocka_unit_test(a_held_guest_costs_no_write),
		cmocka_unit_test(whatever_is_broken_one_plan_puts_right_on_6_1),
		cmocka_unit_test(whatever_is_broken_one_plan_puts_right_on_newer_kernels),
		cmocka_unit_test(a_pinned_cpu_offline_is_impossible_and_heals_by_itself),
		cmocka_unit_test(what_the_parent_does_not_allow_is_impossible_and_the_rest_is_held),
	};

	return cmocka_run_group_tests_name("hold", tests, NULL, NULL);
}
