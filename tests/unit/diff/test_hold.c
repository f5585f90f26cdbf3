// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * desired -> observe -> diff -> apply against the fake kernel: whatever is broken by hand, one plan
 * puts right, and a second one is empty.
 */
#include "tests/unit/diff/world.h"

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
	switch ((unsigned)rand_r(seed) % 13) {
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
	case 9:
		ops->write(w->cg, SCOPE, "cpu.max", "2000 10000", NULL);
		break;
	case 10:
		ops->write(w->cg, BASE, "cpu.max", "2000 10000", NULL);
		break;
	case 11:
		ops->write(w->cg, BASE, "cgroup.subtree_control",
			   rand_r(seed) % 2 ? "-cpuset" : "-cpu", NULL);
		break;
	case 12:
		ops->write(w->cg, BASE, "cgroup.subtree_control", "-cpuset -cpu", NULL);
		ops->write(w->cg, SCOPE, "cgroup.subtree_control", "-cpuset -cpu", NULL);
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
	w.cg->ops->write(w.cg, "/machine.slice", "cpuset.cpus", "0-4", NULL);
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

/* ---- the unit ----------------------------------------------------------------------------- */

static void what_was_written_past_systemd_is_put_right(void **state)
{
	struct world w;

	(void)state;
	make_world(&w);
	hold(&w);
	w.guest.promise.has_shares = false;
	w.cg->ops->write(w.cg, SCOPE, "cpu.max", "1000 100000", NULL);
	w.cg->ops->write(w.cg, SCOPE, "cpu.weight", "7", NULL);
	assert_int_equal(hold(&w), 0);
	assert_held(&w);
	assert_file(&w, SCOPE, "cpu.max", "max 100000");
	assert_file(&w, SCOPE, "cpu.weight", "100");
	free_world(&w);
}

static void what_systemd_was_told_is_not_fought(void **state)
{
	unsigned int changes;
	struct world w;

	(void)state;
	make_world(&w);
	hold(&w);
	w.word.max = (struct pf_cpu_max){50000, 100000};
	w.cg->ops->write(w.cg, SCOPE, "cpu.max", "50000 100000", NULL);
	changes = pf_fake_changes(w.fake);
	hold(&w);
	assert_held(&w);
	assert_int_equal(pf_fake_changes(w.fake), changes);
	/* What differs from it is put right to it. */
	w.cg->ops->write(w.cg, SCOPE, "cpu.max", "1000 100000", NULL);
	hold(&w);
	assert_file(&w, SCOPE, "cpu.max", "50000 100000");
	free_world(&w);
}

static void without_systemds_answer_its_unit_is_left_alone(void **state)
{
	struct world w;

	(void)state;
	make_world(&w);
	hold(&w);
	w.word.known = false;
	w.cg->ops->write(w.cg, SCOPE, "cpu.max", "1000 100000", NULL);
	hold(&w);
	assert_file(&w, SCOPE, "cpu.max", "1000 100000");
	free_world(&w);
}

static void controllers_taken_from_the_unit_come_back_with_all_values(void **state)
{
	struct world w;

	(void)state;
	make_world(&w);
	w.guest.promise.global_bandwidth = (struct pf_bandwidth){true, true, 100000, 300000};
	hold(&w);
	w.cg->ops->write(w.cg, BASE, "cgroup.subtree_control", "-cpuset -cpu", NULL);
	assert_int_equal(w.cg->ops->write(w.cg, SCOPE, "cgroup.subtree_control", "-cpuset -cpu",
					  NULL),
			 0);
	assert_int_equal(hold(&w), 0);
	assert_held(&w);
	assert_file(&w, BASE, "cpu.max", "300000 100000");
	assert_file(&w, BASE "/vcpu0", "cpuset.cpus", "2");
	assert_file(&w, BASE "/vcpu0", "cpu.max", "50000 100000");
	assert_allowed(&w, w.guest.promise.vcpus[0].tid, "2");
	free_world(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_written_past_systemd_is_put_right),
		cmocka_unit_test(what_systemd_was_told_is_not_fought),
		cmocka_unit_test(without_systemds_answer_its_unit_is_left_alone),
		cmocka_unit_test(controllers_taken_from_the_unit_come_back_with_all_values),
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
