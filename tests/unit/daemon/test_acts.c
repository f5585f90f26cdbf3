// SPDX-License-Identifier: GPL-2.0-or-later
/* One act, one record; one escape, one record. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/base/array.h"
#include "agent/daemon/acts.h"
#include "agent/daemon/aways.h"

#define SECOND UINT64_C(1000000)
#define BOOT UINT64_C(9000000000) /* when the acts happened */
#define SLEPT 4000000000	  /* boot time minus monotonic */

static const struct pf_role vcpu0 = {PF_ROLE_VCPU, 0};

static struct {
	enum pf_event_kind kind;
	enum pf_event_cause cause;
	enum pf_event_action action;
	pid_t doer;
	uint64_t latency_ns, outside_ns, suppressed;
	bool has_latency, has_outside;
	pid_t tid;
} told[16];
static size_t told_count;

static void tell(struct pf_event *event, void *ctx)
{
	(void)ctx;
	assert_true(told_count < 16);
	told[told_count].kind = event->kind;
	told[told_count].doer = event->has_actor ? event->actor.pid : 0;
	told[told_count].cause = event->cause;
	told[told_count].action = event->action;
	told[told_count].has_latency = event->has_latency;
	told[told_count].latency_ns = event->latency_ns;
	told[told_count].has_outside = event->has_outside;
	told[told_count].outside_ns = event->outside_ns;
	told[told_count].suppressed = event->suppressed;
	told[told_count++].tid = event->tid;
}

static struct pf_act act_of(enum pf_act_kind kind, enum pf_event_cause cause, pid_t tid, pid_t doer)
{
	struct pf_act act = {.kind = kind, .has_role = true};

	pf_event_init(&act.event, PF_EVENT_DRIFT, cause, PF_EVENT_OBSERVED);
	act.event.boot_ns = BOOT;
	act.event.has_thread = tid != 0;
	act.event.tid = tid;
	act.event.role = vcpu0;
	act.event.has_actor = true;
	act.event.actor.pid = doer;
	return act;
}

static void add_mask(struct pf_acts *acts, pid_t tid, pid_t doer)
{
	struct pf_act act = act_of(PF_ACT_MASK, PF_EVENT_AFFINITY, tid, doer);

	pf_acts_add(acts, &act, false, SECOND);
}

static void add_knob(struct pf_acts *acts, const char *group, const char *knob, bool by_manager)
{
	struct pf_act act = act_of(PF_ACT_KNOB, PF_EVENT_CPUSET, 0, 77);

	act.group = strdup(group);
	act.knob = strdup(knob);
	act.by_manager = by_manager;
	pf_acts_add(acts, &act, false, SECOND);
}

static void add_libvirts(struct pf_acts *acts, const char *group, const char *knob)
{
	struct pf_act act = act_of(PF_ACT_KNOB, PF_EVENT_CPUSET, 0, 55);

	act.group = strdup(group);
	act.knob = strdup(knob);
	act.by_libvirt = true;
	pf_acts_add(acts, &act, false, SECOND);
}

/* A plan of up to two steps, all in one act, each settled at its place in the plan. */
static void repair(struct pf_acts *acts, struct pf_step *steps, size_t count,
		   enum pf_outcome_result result, bool was_held)
{
	static const struct pf_tries no_tries;
	static const struct pf_kept kept = {100, {PF_ROLE_VCPU, 0}};
	struct pf_plan plan = {.steps = steps, .count = count};
	struct pf_outcome outcomes[2] = {};

	for (size_t i = 0; i < count; i++) {
		outcomes[i].result = result;
		outcomes[i].settled_ns = BOOT - SLEPT + (i + 1) * 1000;
	}
	pf_acts_repaired(acts, &(struct pf_repair){.plan = &plan, .outcomes = outcomes,
						   .count = count, .kept = &kept, .kept_count = 1,
						   .was_held = was_held, .tries = &no_tries,
						   .sleep_ns = SLEPT}, tell, NULL);
}

static void strangers_are_told_from_libvirt_and_its_manager(void **state)
{
	const struct pf_step step = {.kind = PF_STEP_KNOB, .group = (char *)"/g/vcpu0",
				     .knob = (char *)"cpuset.cpus"};
	struct pf_acts acts = {};
	struct pf_act act;

	(void)state;
	assert_false(pf_acts_by_stranger(&acts, &step));
	assert_null(pf_acts_doer(&acts, &step));
	add_knob(&acts, "/g/vcpu1", "cpuset.cpus", false);
	assert_false(pf_acts_by_stranger(&acts, &step));
	add_knob(&acts, "/g/vcpu0", "cpuset.cpus", false);
	assert_true(pf_acts_by_stranger(&acts, &step));
	assert_int_equal(pf_acts_doer(&acts, &step)->actor.pid, 77);
	/* One word of the manager's, or of libvirt's, on any group above puts it in doubt. */
	add_knob(&acts, "/g", "cpuset.cpus", true);
	assert_false(pf_acts_by_stranger(&acts, &step));
	pf_acts_clear(&acts);
	act = act_of(PF_ACT_KNOB, PF_EVENT_CPUSET, 0, 78);
	act.group = strdup("/g/vcpu0");
	act.knob = strdup("cpuset.cpus");
	act.by_libvirt = true;
	pf_acts_add(&acts, &act, false, SECOND);
	assert_false(pf_acts_by_stranger(&acts, &step));
	pf_acts_clear(&acts);
}

static void a_thread_that_was_named_late_has_not_drifted(void **state)
{
	struct pf_step step = {.kind = PF_STEP_ATTACH, .tid = 100, .role = {.kind = PF_ROLE_HELPER}};
	struct pf_acts acts = {};

	(void)state;
	repair(&acts, &step, 1, PF_OUTCOME_DONE, true);
	assert_int_equal(told_count, 0);
	step.role = vcpu0; /* as it was kept */
	repair(&acts, &step, 1, PF_OUTCOME_DONE, true);
	assert_int_equal(told_count, 1);
	pf_acts_clear(&acts);
}

/* A leaf of ours follows a new promise of its guest: only that it can't is news. */
static void what_follows_another_promise_is_no_drift(void **state)
{
	static const struct pf_tries no_tries;
	struct pf_step step = {.kind = PF_STEP_KNOB, .group = (char *)"/g/helper",
			       .knob = (char *)"cpuset.cpus", .role = vcpu0};
	const struct pf_plan plan = {.steps = &step, .count = 1};
	struct pf_outcome outcome = {.result = PF_OUTCOME_DONE, .settled_ns = BOOT - SLEPT + 1000};
	const struct pf_kept kept = {100, vcpu0};
	const struct pf_repair promised = {.plan = &plan, .outcomes = &outcome, .count = 1,
					   .was_held = true, .promised = true, .tries = &no_tries,
					   .sleep_ns = SLEPT, .kept = &kept, .kept_count = 1};
	struct pf_acts acts = {};

	(void)state;
	pf_acts_repaired(&acts, &promised, tell, NULL);
	assert_int_equal(told_count, 0);
	/* On its way libvirt had the service manager write to the scope. */
	add_knob(&acts, "/g", "cpuset.cpus", true);
	pf_acts_repaired(&acts, &promised, tell, NULL);
	assert_int_equal(told_count, 0);
	pf_acts_clear(&acts);
	outcome.result = PF_OUTCOME_FAILED;
	pf_acts_repaired(&acts, &promised, tell, NULL);
	assert_int_equal(told_count, 1);
	assert_int_equal(told[0].action, PF_EVENT_FAILED);
	pf_acts_clear(&acts);
}

/* Systemd writes the nodes of a unit along with its CPUs. */
static void nodes_written_above_are_not_why_cpus_differ(void **state)
{
	const struct pf_step cpus = {.kind = PF_STEP_KNOB, .group = (char *)"/g/vcpu0",
				     .knob = (char *)"cpuset.cpus"};
	const struct pf_step mems = {.kind = PF_STEP_KNOB, .group = (char *)"/g/vcpu0",
				     .knob = (char *)"cpuset.mems"};
	struct pf_acts acts = {};

	(void)state;
	add_knob(&acts, "/g", "cpuset.mems", false);
	assert_null(pf_acts_doer(&acts, &cpus));
	assert_non_null(pf_acts_doer(&acts, &mems));
	pf_acts_clear(&acts);
	add_knob(&acts, "/g", "cpuset.cpus", false);
	assert_non_null(pf_acts_doer(&acts, &cpus));
	assert_null(pf_acts_doer(&acts, &mems));
	pf_acts_clear(&acts);
}

static void an_act_without_a_doer_may_be_libvirts(void **state)
{
	const struct pf_step step = {.kind = PF_STEP_AFFINITY, .tid = 100, .role = vcpu0};
	struct pf_act act = act_of(PF_ACT_MASK, PF_EVENT_AFFINITY, 100, 7);
	struct pf_acts acts = {};

	(void)state;
	act.event.has_actor = false;
	pf_acts_add(&acts, &act, false, SECOND);
	assert_false(pf_acts_by_stranger(&acts, &step));
	pf_acts_clear(&acts);
}

static void in_a_fight_one_user_is_one_opponent(void **state)
{
	struct pf_acts acts = {};

	(void)state;
	for (pid_t doer = 7; doer < 12; doer++) {
		struct pf_act act = act_of(PF_ACT_MASK, PF_EVENT_AFFINITY, 100, doer);

		pf_acts_add(&acts, &act, doer > 8, SECOND);
	}
	assert_int_equal(acts.count, 2); /* 7 and 8 before it was a fight */
	pf_acts_clear(&acts);
}

static int setup(void **state)
{
	(void)state;
	told_count = 0;
	return 0;
}

static void a_cpuset_and_the_mask_behind_it_are_one_repair_that_ends_with_the_last(void **state)
{
	struct pf_acts acts = {};
	struct pf_step steps[] = {
		{.kind = PF_STEP_KNOB, .group = (char *)"/g/vcpu0", .knob = (char *)"cpuset.cpus"},
		{.kind = PF_STEP_AFFINITY, .tid = 100},
	};

	(void)state;
	steps[0].role = steps[1].role = vcpu0;
	add_knob(&acts, "/g/vcpu0", "cpuset.cpus", false);
	repair(&acts, steps, 2, PF_OUTCOME_DONE, true);
	assert_int_equal(told_count, 1);
	assert_int_equal(told[0].cause, PF_EVENT_CPUSET);
	assert_int_equal(told[0].action, PF_EVENT_REPAIRED);
	assert_true(told[0].has_latency);
	assert_int_equal(told[0].latency_ns, 2000);
	assert_int_equal(acts.count, 0);
	pf_acts_clear(&acts);
}

static void an_act_on_another_thread_is_not_what_was_repaired(void **state)
{
	struct pf_acts acts = {};
	struct pf_step step = {.kind = PF_STEP_AFFINITY, .tid = 100, .role = vcpu0};

	(void)state;
	add_mask(&acts, 101, 7);
	repair(&acts, &step, 1, PF_OUTCOME_DONE, true);
	assert_int_equal(told_count, 1);
	assert_int_equal(told[0].cause, PF_EVENT_UNKNOWN);
	assert_false(told[0].has_latency);
	assert_int_equal(acts.count, 1);
	pf_acts_clear(&acts);
}

static void a_new_thread_put_in_place_is_no_drift(void **state)
{
	struct pf_acts acts = {};
	struct pf_step step = {.kind = PF_STEP_AFFINITY, .tid = 555, .role = vcpu0};

	(void)state;
	repair(&acts, &step, 1, PF_OUTCOME_DONE, true);
	assert_int_equal(told_count, 0);
	repair(&acts, &step, 1, PF_OUTCOME_DONE, false);
	assert_int_equal(told_count, 1);
	assert_int_equal(told[0].cause, PF_EVENT_START);
}

static void what_nothing_came_of_is_told_once_when_its_time_is_over(void **state)
{
	const struct pf_guest_status status = {};
	struct pf_acts acts = {};

	(void)state;
	add_mask(&acts, 100, 7);
	add_mask(&acts, 100, 7); /* the same doer again */
	add_mask(&acts, 100, 8); /* another one */
	assert_int_equal(acts.count, 2);
	assert_true(pf_acts_expire(&acts, &status, false, 2 * SECOND, tell, NULL) > 2 * SECOND);
	assert_int_equal(told_count, 0);
	assert_true(pf_acts_expire(&acts, &status, true, 20 * SECOND, tell, NULL) > 20 * SECOND);
	assert_int_equal(told_count, 0);
	assert_int_equal(pf_acts_expire(&acts, &status, false, 20 * SECOND, tell, NULL), 0);
	assert_int_equal(told_count, 2);
	assert_int_equal(told[0].action, PF_EVENT_OBSERVED);
	assert_int_equal(told[0].suppressed, 1);
	pf_acts_clear(&acts);
}

static void what_the_service_manager_writes_without_effect_is_not_told(void **state)
{
	const struct pf_guest_status status = {};
	struct pf_acts acts = {};

	(void)state;
	add_knob(&acts, "/g", "cpuset.cpus", true);
	pf_acts_expire(&acts, &status, false, 20 * SECOND, tell, NULL);
	assert_int_equal(told_count, 0);
	add_knob(&acts, "/g", "cpuset.cpus", false);
	pf_acts_expire(&acts, &status, false, 20 * SECOND, tell, NULL);
	assert_int_equal(told_count, 1);
	pf_acts_clear(&acts);
}

static void what_the_service_manager_wrote_without_effect_repairs_nothing_later(void **state)
{
	struct pf_knob_status knob = {.group = (char *)"/g", .knob = (char *)"cpu.weight",
				      .desired = (char *)"300", .actual = (char *)"300"};
	struct pf_guest_status status = {.knobs = &knob, .knob_count = 1};
	struct pf_acts acts = {};

	(void)state;
	add_knob(&acts, "/g", "cpu.weight", true);
	pf_acts_looked(&acts, &status, SECOND); /* that look may have come before it */
	assert_int_equal(acts.count, 1);
	knob.actual = (char *)"7";
	pf_acts_looked(&acts, &status, 2 * SECOND);
	assert_int_equal(acts.count, 1);
	knob.actual = (char *)"300";
	pf_acts_looked(&acts, &status, 2 * SECOND);
	assert_int_equal(acts.count, 0);
	add_knob(&acts, "/g", "cpu.weight", false);
	pf_acts_looked(&acts, &status, 2 * SECOND);
	assert_int_equal(acts.count, 1);
	pf_acts_clear(&acts);
}

static void a_stranger_beside_libvirt_is_who_is_told(void **state)
{
	struct pf_acts acts = {};
	struct pf_step step = {.kind = PF_STEP_KNOB, .group = (char *)"/g/vcpu0",
			       .knob = (char *)"cpuset.cpus", .role = vcpu0};

	(void)state;
	add_libvirts(&acts, "/g/vcpu0", "cpuset.cpus");
	add_knob(&acts, "/g/vcpu0", "cpuset.cpus", false);
	repair(&acts, &step, 1, PF_OUTCOME_DONE, true);
	assert_int_equal(told_count, 1);
	assert_int_equal(told[0].doer, 77);
	assert_int_equal(told[0].kind, PF_EVENT_DRIFT);
	assert_int_equal(acts.count, 1);
	pf_acts_clear(&acts);
}

/* We had it write the weight, then a stranger did. */
static void a_stranger_beside_the_service_manager_is_who_is_told(void **state)
{
	struct pf_acts acts = {};
	struct pf_step step = {.kind = PF_STEP_UNIT_KNOB, .group = (char *)"/g",
			       .knob = (char *)"cpu.weight"};
	struct pf_act act = act_of(PF_ACT_KNOB, PF_EVENT_WEIGHT, 0, 1);

	(void)state;
	act.group = strdup("/g");
	act.knob = strdup("cpu.weight");
	act.by_manager = true;
	pf_acts_add(&acts, &act, false, SECOND);
	add_knob(&acts, "/g", "cpu.weight", false);
	repair(&acts, &step, 1, PF_OUTCOME_DONE, true);
	assert_int_equal(told_count, 1);
	assert_int_equal(told[0].doer, 77);
	pf_acts_clear(&acts);
}

static void what_libvirt_left_behind_is_no_drift(void **state)
{
	struct pf_acts acts = {};
	struct pf_step step = {.kind = PF_STEP_KNOB, .group = (char *)"/g/vcpu0",
			       .knob = (char *)"cpuset.cpus", .role = vcpu0};

	(void)state;
	add_libvirts(&acts, "/g/vcpu0", "cpuset.cpus");
	repair(&acts, &step, 1, PF_OUTCOME_DONE, true);
	assert_int_equal(told_count, 1);
	assert_int_equal(told[0].kind, PF_EVENT_POLICY);
	assert_int_equal(told[0].cause, PF_EVENT_LIBVIRT);
	assert_int_equal(told[0].action, PF_EVENT_REPAIRED);
	pf_acts_clear(&acts);
}

/* The kernel moves the pages before a write to cpuset.mems returns. */
static struct pf_act mems_write(bool begun, bool by_libvirt)
{
	struct pf_act act = act_of(PF_ACT_KNOB, PF_EVENT_CPUSET, 0, 77);

	act.group = strdup("/g/vcpu0");
	act.knob = strdup("cpuset.mems");
	act.begun = begun;
	act.by_libvirt = by_libvirt;
	return act;
}

static void a_write_that_is_repaired_before_it_returns_is_told_once(void **state)
{
	struct pf_step step = {.kind = PF_STEP_KNOB, .group = (char *)"/g/vcpu0",
			       .knob = (char *)"cpuset.mems", .role = vcpu0};
	struct pf_act begun = mems_write(true, false), ended = mems_write(false, false);
	struct pf_guest_status status = {};
	struct pf_acts acts = {};

	(void)state;
	pf_acts_add(&acts, &begun, false, SECOND);
	assert_true(pf_acts_by_stranger(&acts, &step));
	repair(&acts, &step, 1, PF_OUTCOME_DONE, true);
	assert_int_equal(told_count, 1);
	assert_int_equal(told[0].doer, 77);
	assert_true(told[0].has_latency);
	pf_acts_add(&acts, &ended, false, 2 * SECOND);
	assert_int_equal(acts.count, 0);
	pf_acts_expire(&acts, &status, false, UINT64_MAX, tell, NULL);
	assert_int_equal(told_count, 1);
	pf_acts_clear(&acts);
}

static void a_write_that_nothing_comes_of_is_told_when_it_has_returned(void **state)
{
	struct pf_act begun = mems_write(true, false), ended = mems_write(false, false);
	struct pf_act refused = mems_write(true, false);
	struct pf_guest_status status = {};
	struct pf_acts acts = {};

	(void)state;
	refused.event.boot_ns++;
	pf_acts_add(&acts, &begun, false, SECOND);
	pf_acts_add(&acts, &refused, false, SECOND);
	pf_acts_expire(&acts, &status, false, 20 * SECOND, tell, NULL);
	assert_int_equal(told_count, 0);
	pf_acts_add(&acts, &ended, false, 30 * SECOND);
	assert_int_equal(acts.count, 2);
	pf_acts_expire(&acts, &status, false, 200 * SECOND, tell, NULL);
	assert_int_equal(told_count, 1);
	assert_int_equal(told[0].action, PF_EVENT_OBSERVED);
	assert_int_equal(told[0].suppressed, 0);
	assert_int_equal(acts.count, 0);
	pf_acts_clear(&acts);
}

static void libvirt_is_known_to_write_until_it_has_written(void **state)
{
	struct pf_act begun = mems_write(true, true), ended = mems_write(false, true);
	struct pf_acts acts = {};

	(void)state;
	pf_acts_add(&acts, &begun, false, SECOND);
	assert_true(pf_acts_libvirt_writes(&acts, 60 * SECOND));
	assert_false(pf_acts_libvirt_writes(&acts, 100 * SECOND));
	pf_acts_add(&acts, &ended, false, 60 * SECOND);
	assert_false(pf_acts_libvirt_writes(&acts, 60 * SECOND));
	pf_acts_clear(&acts);
}

/* Told of one knob, systemd writes all of the unit's. */
static void what_systemd_put_right_along_with_another_knob_is_told_with_its_doer(void **state)
{
	struct pf_step steps[] = {
		{.kind = PF_STEP_UNIT_KNOB, .group = (char *)"/g", .knob = (char *)"cpuset.cpus"},
		{.kind = PF_STEP_UNIT_KNOB, .group = (char *)"/g", .knob = (char *)"cpu.max"},
	};
	struct pf_plan plan = {.steps = steps, .count = 2};
	struct pf_outcome outcomes[2] = {{.result = PF_OUTCOME_DONE, .settled_ns = BOOT},
					 {.result = PF_OUTCOME_SKIPPED, .settled_ns = BOOT}};
	struct pf_tries tries = {};
	struct pf_repair repair = {.plan = &plan, .outcomes = outcomes, .count = 2,
				   .was_held = true, .tries = &tries, .sleep_ns = SLEPT};
	struct pf_acts acts = {};

	(void)state;
	add_knob(&acts, "/g", "cpuset.cpus", false);
	add_knob(&acts, "/g", "cpu.max", false);
	pf_acts_repaired(&acts, &repair, tell, NULL);
	assert_int_equal(told_count, 2);
	assert_int_equal(told[1].doer, 77);
	assert_int_equal(told[1].action, PF_EVENT_REPAIRED);
	/* One that nothing was done for was put right by somebody else. */
	outcomes[0].result = PF_OUTCOME_SKIPPED;
	add_knob(&acts, "/g", "cpu.max", false);
	pf_acts_repaired(&acts, &repair, tell, NULL);
	assert_int_equal(told_count, 2);
	pf_acts_clear(&acts);
}

/* Written while the plan was made: in no step of it. */
static void what_systemd_put_right_along_and_no_plan_had_seen_is_told_with_its_doer(void **state)
{
	struct pf_step step = {.kind = PF_STEP_UNIT_KNOB, .group = (char *)"/g",
			       .knob = (char *)"cpu.weight"};
	struct pf_plan plan = {.steps = &step, .count = 1};
	struct pf_outcome outcome = {.result = PF_OUTCOME_DONE, .settled_ns = BOOT - SLEPT + 1000};
	struct pf_tries tries = {};
	struct pf_repair repair = {.plan = &plan, .outcomes = &outcome, .count = 1,
				   .was_held = true, .tries = &tries, .sleep_ns = SLEPT};
	const struct pf_guest_status held = {.state = PF_STATE_HELD};
	struct pf_acts acts = {};

	(void)state;
	add_knob(&acts, "/g", "cpu.max", false);
	add_knob(&acts, "/g", "cpu.weight", false);
	pf_acts_repaired(&acts, &repair, tell, NULL);
	assert_int_equal(told_count, 1);
	pf_acts_expire(&acts, &held, false, 20 * SECOND, tell, NULL);
	assert_int_equal(told_count, 2);
	assert_int_equal(told[1].action, PF_EVENT_REPAIRED);
	assert_int_equal(told[1].doer, 77);
	/* What came after that, and what is elsewhere, somebody else put right. */
	outcome.settled_ns = BOOT - SLEPT - 1000;
	pf_acts_repaired(&acts, &repair, tell, NULL);
	add_knob(&acts, "/g", "cpu.max", false);
	add_knob(&acts, "/g/libvirt", "cpu.max", false);
	told_count = 0;
	pf_acts_expire(&acts, &held, false, 20 * SECOND, tell, NULL);
	assert_int_equal(told_count, 2);
	assert_int_equal(told[0].action, PF_EVENT_OBSERVED);
	assert_int_equal(told[1].action, PF_EVENT_OBSERVED);
	pf_acts_clear(&acts);
}

static void an_act_is_told_when_what_was_put_off_is_done_or_its_time_is_over(void **state)
{
	static const struct pf_tries no_tries;
	struct pf_acts acts = {};
	struct pf_step steps[] = {
		{.kind = PF_STEP_CONTROLLERS, .group = (char *)"/g", .act = 1},
		{.kind = PF_STEP_KNOB, .group = (char *)"/g/libvirt", .knob = (char *)"cpu.max",
		 .role = vcpu0, .act = 2, .put_off = true},
	};
	struct pf_plan plan = {.steps = steps, .count = 2};
	struct pf_outcome outcomes[] = {
		{.result = PF_OUTCOME_DONE, .settled_ns = BOOT - SLEPT + 1000},
		{.result = PF_OUTCOME_NOT_RUN},
	};
	const struct pf_kept kept = {100, vcpu0};
	const struct pf_repair first = {.plan = &plan, .outcomes = outcomes, .count = 2,
					.was_held = true, .tries = &no_tries, .sleep_ns = SLEPT,
					.kept = &kept, .kept_count = 1};
	const struct pf_guest_status held = {.state = PF_STATE_HELD};

	(void)state;
	add_knob(&acts, "/g", "cgroup.subtree_control", false);
	pf_acts_repaired(&acts, &first, tell, NULL);
	assert_int_equal(told_count, 0);
	steps[1].put_off = false;
	repair(&acts, &steps[1], 1, PF_OUTCOME_DONE, true);
	assert_int_equal(told_count, 1);
	assert_int_equal(told[0].action, PF_EVENT_REPAIRED);
	assert_int_equal(acts.count, 0);
	/* What was put off was put right by somebody else: the repair is told as it was. */
	steps[1].put_off = true;
	add_knob(&acts, "/g", "cgroup.subtree_control", false);
	pf_acts_repaired(&acts, &first, tell, NULL);
	pf_acts_expire(&acts, &held, false, 60 * SECOND, tell, NULL);
	assert_int_equal(told_count, 2);
	assert_int_equal(told[1].action, PF_EVENT_REPAIRED);
	assert_int_equal(told[1].latency_ns, 1000);
	pf_acts_clear(&acts);
}

static void a_failure_is_told_once_and_its_repair_again(void **state)
{
	struct pf_acts acts = {};
	struct pf_step step = {.kind = PF_STEP_AFFINITY, .tid = 100, .role = vcpu0};

	(void)state;
	add_mask(&acts, 100, 7);
	repair(&acts, &step, 1, PF_OUTCOME_FAILED, true);
	repair(&acts, &step, 1, PF_OUTCOME_FAILED, true);
	assert_int_equal(told_count, 1);
	assert_int_equal(told[0].action, PF_EVENT_FAILED);
	repair(&acts, &step, 1, PF_OUTCOME_DONE, true);
	assert_int_equal(told_count, 2);
	assert_int_equal(told[1].action, PF_EVENT_REPAIRED);
	pf_acts_clear(&acts);
}

static void stay(struct pf_aways *aways, bool returned, bool floats, uint64_t outside_ns,
		 uint64_t now_usec)
{
	struct pf_event event;

	pf_event_init(&event, PF_EVENT_ESCAPE, PF_EVENT_CPUSET, PF_EVENT_OBSERVED);
	event.tid = 100;
	event.has_outside = returned;
	event.outside_ns = outside_ns;
	pf_aways_add(aways, &event, returned, floats, now_usec, tell, NULL);
}

static void a_short_stay_is_one_event_with_its_length(void **state)
{
	struct pf_aways aways = {};

	(void)state;
	stay(&aways, false, false, 0, SECOND);
	assert_int_equal(pf_aways_expire(&aways, SECOND, tell, NULL), 2 * SECOND);
	assert_int_equal(told_count, 0);
	assert_int_equal(pf_aways_untold(&aways), 1);
	stay(&aways, true, false, 1234, SECOND + 5);
	assert_int_equal(told_count, 1);
	assert_int_equal(pf_aways_untold(&aways), 0);
	assert_true(told[0].has_outside);
	assert_int_equal(told[0].outside_ns, 1234);
	assert_int_equal(pf_aways_expire(&aways, 9 * SECOND, tell, NULL), 0);
	assert_int_equal(told_count, 1);
	assert_int_equal(aways.count, 0);
	pf_aways_clear(&aways);
}

static void a_long_stay_is_told_when_it_is_a_second_old_and_when_it_ends(void **state)
{
	struct pf_aways aways = {};

	(void)state;
	stay(&aways, false, false, 0, SECOND);
	pf_aways_expire(&aways, 2 * SECOND, tell, NULL);
	pf_aways_expire(&aways, 3 * SECOND, tell, NULL);
	assert_int_equal(told_count, 1);
	assert_int_equal(pf_aways_untold(&aways), 0);
	assert_false(told[0].has_outside);
	stay(&aways, true, false, 5555, 4 * SECOND);
	assert_int_equal(told_count, 2);
	assert_int_equal(told[1].outside_ns, 5555);
	assert_int_equal(told[1].cause, PF_EVENT_CPUSET);
	pf_aways_clear(&aways);
}

static void a_floating_threads_stays_are_summed_up(void **state)
{
	struct pf_aways aways = {};

	(void)state;
	for (int i = 0; i < 5; i++) {
		stay(&aways, false, true, 0, SECOND);
		stay(&aways, true, false, 100, SECOND);
	}
	assert_int_equal(told_count, 0);
	assert_int_equal(pf_aways_untold(&aways), 0);
	pf_aways_expire(&aways, 11 * SECOND, tell, NULL);
	assert_int_equal(told_count, 1);
	assert_int_equal(told[0].outside_ns, 500);
	assert_int_equal(told[0].suppressed, 4);
	assert_int_equal(aways.count, 0);
	pf_aways_clear(&aways);
}

static void add_move(struct pf_acts *acts, pid_t tid)
{
	struct pf_act act = act_of(PF_ACT_MOVED, PF_EVENT_CGROUP_MOVE, tid, 77);

	act.whole = true;
	pf_acts_add(acts, &act, false, SECOND);
}

/* Everything that a plan which brings the guest back does is the remedy of the one act. */
static void a_guest_brought_back_is_one_repair(void **state)
{
	struct pf_acts acts = {};
	struct pf_step steps[] = {
		{.kind = PF_STEP_BRING_BACK, .group = (char *)"/g", .pid = 99, .act = 1},
		{.kind = PF_STEP_KNOB, .group = (char *)"/g/vcpu0", .knob = (char *)"cpuset.cpus",
		 .act = 2},
	};

	(void)state;
	steps[1].role = vcpu0;
	add_move(&acts, 100);
	repair(&acts, steps, 2, PF_OUTCOME_DONE, true);
	assert_int_equal(told_count, 1);
	assert_int_equal(acts.count, 0);
	pf_acts_clear(&acts);
}

/* Without a move back, the same knob is somebody else's doing. */
static void a_move_is_not_why_a_knob_differs(void **state)
{
	struct pf_acts acts = {};
	struct pf_step step = {.kind = PF_STEP_KNOB, .group = (char *)"/g/vcpu0",
			       .knob = (char *)"cpuset.cpus"};

	(void)state;
	step.role = vcpu0;
	add_move(&acts, 100);
	repair(&acts, &step, 1, PF_OUTCOME_DONE, true);
	assert_int_equal(acts.count, 1);
	pf_acts_clear(&acts);
}

static void the_managers_move_into_the_scope_we_asked_for_is_ours(void **state)
{
	struct pf_step step = {.kind = PF_STEP_MAKE_UNIT, .group = (char *)"/m/a.scope"};
	struct pf_plan plan = {.steps = &step, .count = 1};
	const struct pf_repair repair = {.plan = &plan, .count = 1};
	struct pf_act act = {.kind = PF_ACT_MOVED, .whole = true, .by_manager = true};
	struct pf_acts acts = {};

	(void)state;
	assert_false(pf_acts_is_ours(&acts, &act, "/m/a.scope"));
	pf_acts_made(&acts, repair.plan);
	assert_true(pf_acts_is_ours(&acts, &act, "/m/a.scope"));
	assert_false(pf_acts_is_ours(&acts, &act, "/m/b.scope"));
	act.by_manager = false;
	assert_false(pf_acts_is_ours(&acts, &act, "/m/a.scope"));
	pf_acts_clear(&acts);
}

static void flip(struct pf_aways *aways, pid_t actor, uint64_t outside_ns, uint64_t now_usec)
{
	for (int returned = 0; returned < 2; returned++) {
		struct pf_event event;

		pf_event_init(&event, PF_EVENT_ESCAPE, PF_EVENT_AFFINITY, PF_EVENT_OBSERVED);
		event.tid = 100;
		event.has_actor = true;
		event.actor.pid = actor;
		event.has_outside = returned;
		event.outside_ns = returned ? outside_ns : 0;
		pf_aways_add(aways, &event, returned, false, now_usec, tell, NULL);
	}
}

static void a_thread_that_flips_is_told_once_and_then_summed_up(void **state)
{
	struct pf_aways aways = {};

	(void)state;
	for (uint64_t i = 0; i < 100; i++)
		flip(&aways, 7, 10, SECOND + i * 1000);
	assert_int_equal(told_count, 1);
	assert_int_equal(told[0].outside_ns, 10);
	assert_int_equal(told[0].suppressed, 0);
	assert_int_equal(pf_aways_expire(&aways, 3 * SECOND, tell, NULL), 11 * SECOND + 1000);
	assert_int_equal(pf_aways_untold(&aways), 1);
	pf_aways_expire(&aways, 12 * SECOND, tell, NULL);
	assert_int_equal(told_count, 2);
	assert_int_equal(pf_aways_untold(&aways), 0);
	assert_int_equal(told[1].outside_ns, 990);
	assert_int_equal(told[1].suppressed, 98);
	assert_int_equal(aways.count, 0);
	pf_aways_clear(&aways);
}

static void another_doer_or_a_later_time_is_another_escape(void **state)
{
	struct pf_aways aways = {};

	(void)state;
	flip(&aways, 7, 10, SECOND);
	flip(&aways, 8, 20, SECOND + 10);
	assert_int_equal(told_count, 2);
	flip(&aways, 8, 30, 4 * SECOND);
	assert_int_equal(told_count, 3);
	flip(&aways, 8, 40, 4 * SECOND + 10);
	assert_int_equal(told_count, 3);
	flip(&aways, 7, 50, 4 * SECOND + 20);
	assert_int_equal(told_count, 5);
	assert_int_equal(told[3].outside_ns, 40);
	assert_int_equal(told[4].outside_ns, 50);
	pf_aways_end(&aways, 100, tell, NULL);
	assert_int_equal(told_count, 5);
	pf_aways_clear(&aways);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(strangers_are_told_from_libvirt_and_its_manager, setup),
		cmocka_unit_test_setup(what_follows_another_promise_is_no_drift, setup),
		cmocka_unit_test_setup(a_thread_that_was_named_late_has_not_drifted, setup),
		cmocka_unit_test_setup(nodes_written_above_are_not_why_cpus_differ, setup),
		cmocka_unit_test_setup(an_act_without_a_doer_may_be_libvirts, setup),
		cmocka_unit_test_setup(in_a_fight_one_user_is_one_opponent, setup),
		cmocka_unit_test_setup(
			a_cpuset_and_the_mask_behind_it_are_one_repair_that_ends_with_the_last,
			setup),
		cmocka_unit_test_setup(an_act_on_another_thread_is_not_what_was_repaired, setup),
		cmocka_unit_test_setup(a_new_thread_put_in_place_is_no_drift, setup),
		cmocka_unit_test_setup(what_nothing_came_of_is_told_once_when_its_time_is_over,
				       setup),
		cmocka_unit_test_setup(
			what_the_service_manager_writes_without_effect_is_not_told, setup),
		cmocka_unit_test_setup(
			what_the_service_manager_wrote_without_effect_repairs_nothing_later, setup),
		cmocka_unit_test_setup(
			what_systemd_put_right_along_with_another_knob_is_told_with_its_doer, setup),
		cmocka_unit_test_setup(
			what_systemd_put_right_along_and_no_plan_had_seen_is_told_with_its_doer, setup),
		cmocka_unit_test_setup(a_stranger_beside_libvirt_is_who_is_told, setup),
		cmocka_unit_test_setup(a_stranger_beside_the_service_manager_is_who_is_told, setup),
		cmocka_unit_test_setup(a_write_that_is_repaired_before_it_returns_is_told_once,
				       setup),
		cmocka_unit_test_setup(a_write_that_nothing_comes_of_is_told_when_it_has_returned,
				       setup),
		cmocka_unit_test_setup(libvirt_is_known_to_write_until_it_has_written, setup),
		cmocka_unit_test_setup(what_libvirt_left_behind_is_no_drift, setup),
		cmocka_unit_test_setup(
			an_act_is_told_when_what_was_put_off_is_done_or_its_time_is_over, setup),
		cmocka_unit_test_setup(a_failure_is_told_once_and_its_repair_again, setup),
		cmocka_unit_test_setup(a_guest_brought_back_is_one_repair, setup),
		cmocka_unit_test_setup(a_move_is_not_why_a_knob_differs, setup),
		cmocka_unit_test_setup(the_managers_move_into_the_scope_we_asked_for_is_ours, setup),
		cmocka_unit_test_setup(a_short_stay_is_one_event_with_its_length, setup),
		cmocka_unit_test_setup(
			a_long_stay_is_told_when_it_is_a_second_old_and_when_it_ends, setup),
		cmocka_unit_test_setup(a_floating_threads_stays_are_summed_up, setup),
		cmocka_unit_test_setup(a_thread_that_flips_is_told_once_and_then_summed_up, setup),
		cmocka_unit_test_setup(another_doer_or_a_later_time_is_another_escape, setup),
	};

	return cmocka_run_group_tests_name("daemon acts", tests, NULL, NULL);
}
