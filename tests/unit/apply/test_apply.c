// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/apply/guest.h"

static void a_plan_is_carried_out(void **state)
{
	struct guest *g = *state;

	add_whole_plan(g);
	apply(g);
	assert_all(g, PF_OUTCOME_DONE);
	assert_as_planned(g);
	assert_int_equal(g->unit_calls, 1);
	for (size_t i = 1; i < g->count; i++)
		assert_true(g->outcomes[i].settled_ns >= g->outcomes[i - 1].settled_ns);
}

static void twice_is_once(void **state)
{
	struct guest *g = *state;
	unsigned int changes;

	add_whole_plan(g);
	apply(g);
	changes = pf_fake_changes(g->fake);
	apply(g);
	assert_all(g, PF_OUTCOME_SKIPPED);
	assert_int_equal(pf_fake_changes(g->fake), changes);
	assert_int_equal(g->unit_calls, 1);
	assert_as_planned(g);
}

static void the_same_in_other_words_is_left_alone(void **state)
{
	struct guest *g = *state;

	g_write(g, VCPU0, "cpu.max", "max 50000");
	add_knob(g, 1, EMULATOR, "cpuset.cpus", "0,1,2-3");
	add_knob(g, 2, VCPU0, "cpu.max", "max");
	add_knob(g, 3, VCPU0, "cpu.weight", "0100");
	apply(g);
	assert_all(g, PF_OUTCOME_SKIPPED);
	plan_clear(g);
	add_knob(g, 1, VCPU0, "cpu.max", "max 100000");
	apply(g);
	assert_all(g, PF_OUTCOME_DONE);
}

static void an_empty_plan_does_nothing(void **state)
{
	struct guest *g = *state;
	unsigned int changes = pf_fake_changes(g->fake);

	apply(g);
	assert_int_equal(g->count, 0);
	assert_int_equal(pf_fake_changes(g->fake), changes);
}

/* What is not the failing act's must be done, what is must be as it was. */
static void assert_act_2_undone(struct guest *g, bool group_stays)
{
	if (!group_stays)
		assert_false(group_exists(g, HELPER));
	assert_thread(g, g->worker, EMULATOR, "1");
	assert_file(g, VCPU0, "cpu.max", "50000 100000");
	assert_thread(g, g->vcpu, VCPU0, "7");
	assert_file(g, SCOPE, "cpu.weight", "2048");
}

static size_t failed_step(struct guest *g)
{
	size_t at = SIZE_MAX;

	for (size_t i = 0; i < g->count; i++) {
		if (g->outcomes[i].result != PF_OUTCOME_FAILED)
			continue;
		assert_int_equal(at, SIZE_MAX);
		at = i;
	}
	return at;
}

/* Every write of the second act fails once: the rest of that act is undone, all others done. */
static void a_failure_undoes_its_act_alone(void **state)
{
	static const struct {
		const char *what;
		size_t step;
	} faults[] = {{"mkdir", 1},       {"cgroup.type", 1},    {"cpuset.mems", 2},
		      {"cpuset.cpus", 3}, {"cgroup.threads", 4}, {"affinity", 5}};

	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		struct guest *g;

		if (i) {
			guest_teardown(state);
			guest_setup(state);
		}
		g = *state;
		must(g->cg->ops->affinity(g->cg, g->worker, &(struct pf_set){.word = {2}}, NULL));
		add_whole_plan(g);
		pf_fake_fail(g->fake, faults[i].what, 1, EIO);
		apply(g);
		assert_int_equal(failed_step(g), faults[i].step);
		assert_int_equal(g->outcomes[faults[i].step].err.code, -EIO);
		for (size_t step = 0; step < g->count; step++) {
			bool same_act = g->plan.steps[step].act == 2;

			if (!same_act)
				assert_result(g, step, PF_OUTCOME_DONE);
			else if (step < faults[i].step)
				assert_result(g, step, PF_OUTCOME_UNDONE);
			else if (step > faults[i].step)
				assert_result(g, step, PF_OUTCOME_NOT_RUN);
		}
		assert_act_2_undone(g, false);
	}
}

/* The nth change of all fails, whichever it is: the next time everything comes true. */
static void any_failure_is_made_good_by_the_next_attempt(void **state)
{
	for (unsigned int nth = 1; nth < 40; nth++) {
		struct guest *g;

		guest_teardown(state);
		guest_setup(state);
		g = *state;
		add_whole_plan(g);
		pf_fake_fail(g->fake, "*", nth, EBUSY);
		apply(g);
		pf_fake_heal(g->fake);
		apply(g);
		assert_int_equal(failed_step(g), SIZE_MAX);
		assert_as_planned(g);
	}
}

static void a_write_that_the_kernel_ignores_is_a_failure(void **state)
{
	static const char *const ignored[] = {"cgroup.type", "cpuset.mems", "cpuset.cpus",
					      "cgroup.threads", "affinity"};

	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++) {
		struct guest *g;

		guest_teardown(state);
		guest_setup(state);
		g = *state;
		must(g->cg->ops->affinity(g->cg, g->worker, &(struct pf_set){.word = {2}}, NULL));
		add_whole_plan(g);
		pf_fake_fail(g->fake, ignored[i], 1, 0);
		apply(g);
		assert_int_equal(failed_step(g), i + 1);
		assert_int_equal(g->outcomes[i + 1].err.code, -EXDEV);
		assert_act_2_undone(g, false);
	}
}

static void what_cannot_be_undone_is_a_failure_too(void **state)
{
	struct guest *g = *state;

	add_step(g, 1, PF_STEP_MAKE_GROUP, HELPER);
	add_knob(g, 1, VCPU0, "cpuset.cpus", "5");
	add_knob(g, 1, VCPU0, "cpu.max", "1 2 3");
	pf_fake_fail(g->fake, "rmdir", 1, EBUSY);
	apply(g);
	assert_result(g, 0, PF_OUTCOME_FAILED);
	assert_non_null(strstr(g->outcomes[0].err.text, "could not be undone"));
	assert_result(g, 1, PF_OUTCOME_UNDONE);
	assert_result(g, 2, PF_OUTCOME_FAILED);
	assert_file(g, VCPU0, "cpuset.cpus", "2");
}

static void a_request_that_is_not_honoured_is_a_failure(void **state)
{
	struct guest *g = *state;

	pf_fake_online(g->fake, 5, false);
	add_knob(g, 1, VCPU0, "cpuset.cpus", "5");
	add_affinity(g, 1, g->vcpu, "5");
	apply(g);
	assert_result(g, 0, PF_OUTCOME_FAILED);
	assert_non_null(strstr(g->outcomes[0].err.text, "cpuset.cpus 5 was taken and 0-4,6-7"));
	assert_result(g, 1, PF_OUTCOME_NOT_RUN);
	/* the request stays, and comes true with the CPU */
	assert_file(g, VCPU0, "cpuset.cpus", "5");
	apply(g);
	assert_result(g, 0, PF_OUTCOME_FAILED);
	pf_fake_online(g->fake, 5, true);
	apply(g);
	assert_result(g, 0, PF_OUTCOME_SKIPPED);
	assert_thread(g, g->vcpu, VCPU0, "5");
}

/* Fewer than asked for is what an offline CPU leaves; it is no one else's CPU. */
static void fewer_cpus_than_asked_for_is_fine(void **state)
{
	struct guest *g = *state;

	pf_fake_online(g->fake, 5, false);
	add_knob(g, 1, VCPU0, "cpuset.cpus", "5-6");
	apply(g);
	assert_result(g, 0, PF_OUTCOME_DONE);
	assert_file(g, VCPU0, "cpuset.cpus.effective", "6");
}

static void half_an_affinity_is_a_failure(void **state)
{
	struct guest *g = *state;

	add_affinity(g, 1, g->vcpu, "2-3"); /* its cpuset is 2 */
	add_affinity(g, 2, g->worker, "3-4");
	add_affinity(g, 3, g->worker, "6");
	apply(g);
	assert_result(g, 0, PF_OUTCOME_FAILED);
	assert_result(g, 1, PF_OUTCOME_FAILED);
	assert_non_null(strstr(g->outcomes[1].err.text, "may run on '3'"));
	assert_result(g, 2, PF_OUTCOME_FAILED);
	assert_int_equal(g->outcomes[2].err.code, -EINVAL);
}

static void a_thread_that_ended_is_skipped(void **state)
{
	struct guest *g = *state;

	add_attach(g, 1, VCPU0, g->worker);
	add_affinity(g, 1, g->worker, "2");
	add_knob(g, 1, VCPU0, "cpu.weight", "200");
	pf_fake_kill(g->fake, g->worker);
	apply(g);
	assert_result(g, 0, PF_OUTCOME_SKIPPED);
	assert_result(g, 1, PF_OUTCOME_SKIPPED);
	assert_non_null(strstr(g->outcomes[1].err.text, "thread has ended"));
	assert_result(g, 2, PF_OUTCOME_DONE);
}

static void another_thread_with_its_number_is_not_touched(void **state)
{
	struct guest *g = *state;

	add_attach(g, 1, VCPU0, g->worker);
	add_affinity(g, 1, g->worker, "1");
	pf_fake_reuse(g->fake, g->worker);
	apply(g);
	assert_all(g, PF_OUTCOME_SKIPPED);
	assert_thread(g, g->worker, EMULATOR, "0-3");
}

static void kill_worker(void *ctx, const char *what)
{
	struct guest *g = ctx;

	if (strcmp(what, "cgroup.threads") == 0)
		pf_fake_kill(g->fake, g->worker);
}

static void a_thread_that_ends_meanwhile_is_skipped(void **state)
{
	struct guest *g = *state;

	add_whole_plan(g);
	pf_fake_hook(g->fake, kill_worker, g);
	apply(g);
	assert_result(g, 4, PF_OUTCOME_SKIPPED);
	assert_result(g, 5, PF_OUTCOME_SKIPPED);
	assert_result(g, 3, PF_OUTCOME_DONE);
}

static void a_guest_that_ended_is_skipped(void **state)
{
	struct guest *g = *state;

	add_knob(g, 1, BASE "/vcpu9", "cpuset.cpus", "1");
	apply(g);
	assert_result(g, 0, PF_OUTCOME_FAILED);
	assert_int_equal(g->outcomes[0].err.code, -ENOENT);
	pf_fake_kill(g->fake, g->pid);
	apply(g);
	assert_result(g, 0, PF_OUTCOME_SKIPPED);
	assert_non_null(strstr(g->outcomes[0].err.text, "guest has ended"));
}

static void controllers_are_enabled_and_taken_back(void **state)
{
	struct guest *g = *state;
	struct pf_step *step;

	g_write(g, BASE, "cgroup.subtree_control", "-cpuset");
	step = add_step(g, 1, PF_STEP_CONTROLLERS, BASE);
	step->value = strdup("+cpuset +cpu");
	add_knob(g, 1, VCPU0, "cpuset.cpus", "bogus");
	apply(g);
	assert_result(g, 0, PF_OUTCOME_UNDONE);
	assert_file(g, BASE, "cgroup.subtree_control", "cpu");
	free(g->plan.steps[1].value);
	g->plan.steps[1].value = strdup("4");
	apply(g);
	assert_all(g, PF_OUTCOME_DONE);
	assert_file(g, BASE, "cgroup.subtree_control", "cpuset cpu");
	apply(g);
	assert_all(g, PF_OUTCOME_SKIPPED);
}

static void systemd_takes_its_time(void **state)
{
	struct guest *g = *state;

	g->unit_lag = 5;
	add_unit_knob(g, 1, "cpu.weight", "300");
	apply(g);
	assert_result(g, 0, PF_OUTCOME_DONE);
	assert_file(g, SCOPE, "cpu.weight", "300");
}

/* It has no period without a limit, and ends up at its own. */
static void systemd_keeps_no_period_without_a_limit(void **state)
{
	struct guest *g = *state;

	g_write(g, SCOPE, "cpu.max", "50000 100000");
	g->unit_says = "max 100000";
	add_unit_knob(g, 1, "cpu.max", "max 50000");
	apply(g);
	assert_result(g, 0, PF_OUTCOME_DONE);
	apply(g);
	assert_result(g, 0, PF_OUTCOME_SKIPPED);
}

static void systemd_that_never_does_it_is_a_failure(void **state)
{
	struct guest *g = *state;

	g->unit_lag = 1000000;
	add_unit_knob(g, 1, "cpu.weight", "300");
	apply(g);
	pf_fake_read_hook(g->fake, NULL, NULL);
	assert_result(g, 0, PF_OUTCOME_FAILED);
	assert_non_null(strstr(g->outcomes[0].err.text, "reads '100' after '300'"));
	/* a bounded wait */
	assert_true(g->outcomes[0].settled_ns != 0);
}

static void without_systemd_a_unit_step_says_so(void **state)
{
	struct guest *g = *state;

	g->apply.unit_set = NULL;
	add_unit_knob(g, 1, "cpu.weight", "300");
	apply(g);
	assert_result(g, 0, PF_OUTCOME_FAILED);
	assert_int_equal(g->outcomes[0].err.code, -EOPNOTSUPP);
}

/* cpu.max has no effective value beside it: what is read back is all there is. */
static void a_quota_that_the_kernel_ignores_is_a_failure(void **state)
{
	struct guest *g = *state;

	add_knob(g, 1, VCPU0, "cpu.max", "50000 100000");
	pf_fake_fail(g->fake, "cpu.max", 1, 0);
	apply(g);
	assert_result(g, 0, PF_OUTCOME_FAILED);
	assert_int_equal(g->outcomes[0].err.code, -EXDEV);
	assert_non_null(strstr(g->outcomes[0].err.text, "reads 'max 100000' after '50000 100000'"));
}

static void what_was_so_already_is_not_undone(void **state)
{
	struct guest *g = *state;

	add_knob(g, 1, VCPU0, "cpuset.cpus", "2");
	add_knob(g, 1, VCPU0, "cpu.weight", "0");
	apply(g);
	assert_result(g, 0, PF_OUTCOME_SKIPPED);
	assert_result(g, 1, PF_OUTCOME_FAILED);
	assert_file(g, VCPU0, "cpuset.cpus", "2");
}

/* 6.1 refuses the empty set that was there before: the parent's means the same. */
static void an_empty_cpuset_is_put_back_as_the_parents(void **state)
{
	struct guest *g = *state;

	add_knob(g, 1, VCPU0, "cpuset.mems", "2");
	add_knob(g, 1, VCPU0, "cpuset.cpus", "bogus");
	apply(g);
	assert_result(g, 0, PF_OUTCOME_UNDONE);
	assert_file(g, VCPU0, "cpuset.mems", "0-3");
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, guest_setup, guest_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_plan_is_carried_out),
		TEST(twice_is_once),
		TEST(the_same_in_other_words_is_left_alone),
		TEST(an_empty_plan_does_nothing),
		TEST(a_failure_undoes_its_act_alone),
		TEST(any_failure_is_made_good_by_the_next_attempt),
		TEST(a_write_that_the_kernel_ignores_is_a_failure),
		TEST(what_cannot_be_undone_is_a_failure_too),
		TEST(a_request_that_is_not_honoured_is_a_failure),
		TEST(fewer_cpus_than_asked_for_is_fine),
		TEST(half_an_affinity_is_a_failure),
		TEST(a_thread_that_ended_is_skipped),
		TEST(another_thread_with_its_number_is_not_touched),
		TEST(a_thread_that_ends_meanwhile_is_skipped),
		TEST(a_guest_that_ended_is_skipped),
		TEST(controllers_are_enabled_and_taken_back),
		TEST(systemd_takes_its_time),
		TEST(systemd_keeps_no_period_without_a_limit),
		TEST(systemd_that_never_does_it_is_a_failure),
		TEST(without_systemd_a_unit_step_says_so),
		TEST(a_quota_that_the_kernel_ignores_is_a_failure),
		TEST(what_was_so_already_is_not_undone),
		TEST(an_empty_cpuset_is_put_back_as_the_parents),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
