// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/daemon/tries.h"

#define SECOND UINT64_C(1000000)

static struct pf_step knob = {
	.kind = PF_STEP_KNOB,
	.group = (char *)"/g/vcpu0",
	.knob = (char *)"cpuset.cpus",
};
static struct pf_step mask = {
	.kind = PF_STEP_AFFINITY,
	.tid = 100,
	.start_ticks = 5,
	.role = {PF_ROLE_VCPU, 0},
};
static const struct pf_plan nothing;

static const struct pf_event *bash(void)
{
	static struct pf_event event;

	pf_event_init(&event, PF_EVENT_DRIFT, PF_EVENT_CPUSET, PF_EVENT_OBSERVED);
	event.has_actor = true;
	event.actor.pid = 77;
	event.actor.uid = 1000;
	memcpy(event.actor.comm, "bash", 5);
	event.actor.cgroup = (char *)"/user.slice";
	return &event;
}

/* Repairs @step @times, one each @pause. Return: whether a fight began, at the last of them. */
static bool repair(struct pf_tries *tries, const struct pf_step *step, int times, uint64_t pause,
		   uint64_t *now)
{
	const char *fight = NULL;

	for (int i = 0; i < times; i++) {
		assert_null(fight);
		*now += pause;
		assert_int_equal(pf_tries_repaired(tries, step, bash(), *now, &fight), 0);
	}
	return fight;
}

static void failures_wait_and_are_forgotten_when_it_is_as_promised(void **state)
{
	struct pf_tries tries = {};
	struct pf_findings findings = {};
	struct pf_plan plan = {.steps = &knob, .count = 1};

	(void)state;
	assert_int_equal(pf_tries_when(&tries, &knob), 0);
	assert_int_equal(pf_tries_failed(&tries, &knob, "no room", 10 * SECOND), 0);
	assert_int_equal(pf_tries_when(&tries, &knob), 11 * SECOND);
	assert_int_equal(pf_tries_when(&tries, &mask), 0);
	assert_int_equal(pf_tries_failed(&tries, &knob, "no room at all", 11 * SECOND), 0);
	assert_int_equal(pf_tries_when(&tries, &knob), 13 * SECOND);
	assert_int_equal(pf_tries_failures(&tries, &knob), 2);
	pf_tries_looked(&tries, &plan, 12 * SECOND);
	assert_true(pf_tries_failing(&tries));
	assert_int_equal(pf_tries_findings(&tries, &findings), 0);
	assert_int_equal(findings.count, 1);
	assert_string_equal(findings.items[0].text, "no room at all");
	pf_tries_looked(&tries, &nothing, 12 * SECOND);
	assert_false(pf_tries_failing(&tries));
	assert_int_equal(pf_tries_when(&tries, &knob), 0);
	pf_findings_clear(&findings);
	pf_tries_clear(&tries);
}

static void a_thread_that_was_ended_is_another(void **state)
{
	struct pf_step later = mask;
	struct pf_tries tries = {};

	(void)state;
	later.start_ticks = 6;
	assert_int_equal(pf_tries_failed(&tries, &mask, "no", SECOND), 0);
	assert_int_equal(pf_tries_when(&tries, &later), 0);
	pf_tries_clear(&tries);
}

static void now_and_then_is_no_fight(void **state)
{
	struct pf_tries tries = {};
	uint64_t now = SECOND;

	(void)state;
	assert_false(repair(&tries, &knob, 100, 2 * SECOND, &now));
	assert_int_equal(pf_tries_when(&tries, &knob), 0);
	assert_false(repair(&tries, &mask, 8, 1000, &now));
	assert_null(pf_tries_fight(&tries));
	pf_tries_clear(&tries);
}

static void a_fight_names_the_opponent_once_and_is_backed_off_from(void **state)
{
	struct pf_tries tries = {};
	struct pf_findings findings = {};
	const char *again;
	uint64_t now = SECOND, last = 0;

	(void)state;
	assert_true(repair(&tries, &knob, 9, 20000, &now));
	assert_int_equal(pf_tries_when(&tries, &knob), now + SECOND);
	assert_non_null(strstr(pf_tries_fight(&tries),
			       "/g/vcpu0/cpuset.cpus is changed again and again by bash[77] (uid "
			       "1000, in /user.slice)"));
	for (int i = 0; i < 8; i++) {
		now = pf_tries_when(&tries, &knob);
		assert_int_equal(pf_tries_repaired(&tries, &knob, NULL, now, &again), 0);
		assert_null(again);
		assert_true(pf_tries_when(&tries, &knob) - now >= last);
		last = pf_tries_when(&tries, &knob) - now;
	}
	assert_int_equal(last, 32 * SECOND);
	assert_int_equal(pf_tries_findings(&tries, &findings), 0);
	assert_int_equal(findings.count, 1);
	assert_non_null(strstr(findings.items[0].text, "bash[77]"));
	pf_findings_clear(&findings);
	pf_tries_clear(&tries);
}

static void a_fight_ends_when_it_was_left_alone(void **state)
{
	struct pf_plan undone = {.steps = &knob, .count = 1};
	struct pf_tries tries = {};
	uint64_t now = SECOND;

	(void)state;
	assert_true(repair(&tries, &knob, 9, 20000, &now));
	assert_int_equal(pf_tries_next(&tries), now + 10 * SECOND);
	pf_tries_looked(&tries, &undone, now + 20 * SECOND); /* it goes on */
	assert_non_null(pf_tries_fight(&tries));
	pf_tries_looked(&tries, &nothing, now + 9 * SECOND);
	assert_non_null(pf_tries_fight(&tries));
	pf_tries_looked(&tries, &nothing, now + 10 * SECOND);
	assert_null(pf_tries_fight(&tries));
	assert_int_equal(pf_tries_next(&tries), 0);
	assert_int_equal(tries.count, 0);
	pf_tries_clear(&tries);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(failures_wait_and_are_forgotten_when_it_is_as_promised),
		cmocka_unit_test(a_thread_that_was_ended_is_another),
		cmocka_unit_test(now_and_then_is_no_fight),
		cmocka_unit_test(a_fight_names_the_opponent_once_and_is_backed_off_from),
		cmocka_unit_test(a_fight_ends_when_it_was_left_alone),
	};

	return cmocka_run_group_tests_name("tries", tests, NULL, NULL);
}
