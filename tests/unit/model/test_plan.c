// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/base/cleanup.h"
#include "agent/model/plan.h"

static void assert_says(const struct pf_step *step, const char *want)
{
	pf_auto_free char *text = pf_step_describe(step);

	assert_non_null(text);
	assert_string_equal(text, want);
}

static void each_step_says_what_it_does_and_what_was_there(void **state)
{
	struct pf_step step = {
		.kind = PF_STEP_KNOB,
		.group = (char *)"/m/vcpu0",
		.knob = (char *)"cpuset.cpus",
		.value = (char *)"8",
		.was = (char *)"0-3",
		.tid = 42,
		.role = {PF_ROLE_VCPU, 0},
	};

	(void)state;
	assert_says(&step, "write 8 to /m/vcpu0/cpuset.cpus (was 0-3)");
	step.was = (char *)"";
	assert_says(&step, "write 8 to /m/vcpu0/cpuset.cpus (was empty)");
	step.kind = PF_STEP_UNIT_KNOB;
	assert_says(&step, "write 8 to /m/vcpu0/cpuset.cpus through systemd (was empty)");
	step.was = NULL;
	step.kind = PF_STEP_MAKE_GROUP;
	assert_says(&step, "make threaded group /m/vcpu0");
	step.kind = PF_STEP_CONTROLLERS;
	step.value = (char *)"+cpuset +cpu";
	assert_says(&step, "enable +cpuset +cpu below /m/vcpu0");
	step.kind = PF_STEP_ATTACH;
	assert_says(&step, "move vcpu 0 (thread 42) to /m/vcpu0 (was in an unknown group)");
	step.was = (char *)"/m/emulator";
	assert_says(&step, "move vcpu 0 (thread 42) to /m/vcpu0 (was in /m/emulator)");
	step.kind = PF_STEP_AFFINITY;
	step.was = NULL;
	pf_set_add_range(&step.cpus, 8, 9);
	assert_says(&step, "set affinity of vcpu 0 (thread 42) to 8-9");
	step.was = (char *)"0-23";
	assert_says(&step, "set affinity of vcpu 0 (thread 42) to 8-9 (was 0-23)");
}

static void what_moves_a_whole_process_names_it(void **state)
{
	struct pf_step step = {.kind = PF_STEP_MAKE_UNIT, .group = (char *)"/m/a.scope", .pid = 9};

	(void)state;
	assert_says(&step, "have systemd make /m/a.scope with process 9 in it (was in an unknown "
			   "group)");
	step.was = (char *)"/x";
	assert_says(&step, "have systemd make /m/a.scope with process 9 in it (was in /x)");
	step.kind = PF_STEP_BRING_BACK;
	assert_says(&step, "move process 9 back to /m/a.scope (was in /x)");
	step.kind = PF_STEP_MAKE_BASE;
	assert_says(&step, "make group /m/a.scope");
	step.kind = PF_STEP_WIDEN;
	step.knob = (char *)"cpuset.cpus";
	step.value = (char *)"0-7";
	step.was = (char *)"2-4";
	assert_says(&step, "write 0-7 to /m/a.scope/cpuset.cpus, for which systemd has no word "
			   "(was 2-4)");
}

static void assert_reason(const struct pf_step *step, const char *want)
{
	pf_auto_free char *text = pf_step_reason(step);

	assert_non_null(text);
	assert_string_equal(text, want);
}

static void each_step_says_what_is_off(void **state)
{
	struct pf_step step = {
		.kind = PF_STEP_KNOB,
		.group = (char *)"/m/vcpu0",
		.knob = (char *)"cpuset.cpus",
		.value = (char *)"8",
		.was = (char *)"0-3",
		.tid = 42,
		.role = {PF_ROLE_VCPU, 0},
	};

	(void)state;
	assert_reason(&step, "cpuset.cpus of vcpu0 is 0-3, promised 8");
	step.was = (char *)"";
	assert_reason(&step, "cpuset.cpus of vcpu0 is empty, promised 8");
	step.kind = PF_STEP_MAKE_GROUP;
	assert_reason(&step, "there is no group /m/vcpu0");
	step.kind = PF_STEP_CONTROLLERS;
	step.value = (char *)"+cpu";
	assert_reason(&step, "controllers are not enabled below /m/vcpu0: +cpu");
	step.kind = PF_STEP_ATTACH;
	step.was = (char *)"/m/emulator";
	assert_reason(&step, "vcpu 0 (thread 42) is in /m/emulator, belongs in /m/vcpu0");
	step.kind = PF_STEP_AFFINITY;
	step.was = (char *)"0-23";
	pf_set_add_range(&step.cpus, 8, 9);
	assert_reason(&step, "vcpu 0 (thread 42) is allowed on 0-23, promised 8-9");
}

static void a_kind_reads_back_its_name(void **state)
{
	enum pf_step_kind back;

	(void)state;
	for (unsigned int kind = 0; kind <= PF_STEP_AFFINITY; kind++) {
		const char *name = pf_step_kind_name((enum pf_step_kind)kind);

		assert_int_equal(pf_step_kind_parse(name, &back), 0);
		assert_int_equal(back, kind);
	}
	assert_int_equal(pf_step_kind_parse("unknown", &back), -EINVAL);
	assert_int_equal(pf_step_kind_parse("", &back), -EINVAL);
}

static void clearing_frees_every_text_of_every_step(void **state)
{
	struct pf_plan plan = {.name = strdup("web"), .count = 2};

	(void)state;
	plan.steps = calloc(2, sizeof(*plan.steps));
	for (size_t i = 0; i < 2; i++) {
		plan.steps[i].group = strdup("g");
		plan.steps[i].knob = strdup("k");
		plan.steps[i].value = strdup("v");
		plan.steps[i].was = strdup("w");
		plan.steps[i].unit = strdup("u");
	}
	pf_plan_clear(&plan); /* the leak checker looks */
	assert_null(plan.steps);
	assert_int_equal(plan.count, 0);
	pf_plan_clear(&plan);
}

static void what_may_wait_for_pages_is_known_by_its_steps(void **state)
{
	static const struct {
		enum pf_step_kind kind;
		const char *knob;
		bool can_wait, moves_pages, moves_threads;
	} cases[] = {
		{PF_STEP_MAKE_GROUP, NULL, false, false, false},
		{PF_STEP_CONTROLLERS, NULL, false, false, false},
		{PF_STEP_KNOB, "cpuset.mems", true, true, false},
		{PF_STEP_KNOB, "cpuset.cpus", true, false, false},
		{PF_STEP_KNOB, "cpu.max", false, false, false},
		{PF_STEP_KNOB, "cpu.weight", false, false, false},
		{PF_STEP_UNIT_KNOB, "cpu.weight", false, false, false},
		{PF_STEP_ATTACH, NULL, true, false, true},
		{PF_STEP_AFFINITY, NULL, false, false, false},
		{PF_STEP_MAKE_UNIT, NULL, true, false, true},
		{PF_STEP_MAKE_BASE, NULL, false, false, false},
		{PF_STEP_BRING_BACK, NULL, true, false, true},
		{PF_STEP_WIDEN, "cpuset.mems", true, true, false},
		{PF_STEP_WIDEN, "cpuset.cpus", true, false, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pf_step steps[2] = {
			{.kind = PF_STEP_AFFINITY},
			{.kind = cases[i].kind, .knob = (char *)cases[i].knob},
		};
		struct pf_plan plan = {.steps = steps, .count = 2};

		assert_int_equal(pf_plan_can_wait(&plan), cases[i].can_wait);
		assert_int_equal(pf_plan_moves_pages(&plan), cases[i].moves_pages);
		assert_int_equal(pf_step_moves_threads(&steps[1]), cases[i].moves_threads);
		steps[1].put_off = true;
		assert_false(pf_plan_can_wait(&plan));
		assert_false(pf_plan_moves_pages(&plan));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_step_says_what_it_does_and_what_was_there),
		cmocka_unit_test(what_moves_a_whole_process_names_it),
		cmocka_unit_test(each_step_says_what_is_off),
		cmocka_unit_test(a_kind_reads_back_its_name),
		cmocka_unit_test(what_may_wait_for_pages_is_known_by_its_steps),
		cmocka_unit_test(clearing_frees_every_text_of_every_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
