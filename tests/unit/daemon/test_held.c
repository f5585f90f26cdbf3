// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/base/array.h"
#include "agent/daemon/held.h"

#define SECOND UINT64_C(1000000)

static struct pf_step *add_step(struct pf_held *held, const char *knob, const char *value,
				const char *was)
{
	struct pf_step *step = pf_append(&held->plan.steps, &held->plan.count);

	step->kind = PF_STEP_KNOB;
	step->role = (struct pf_role){PF_ROLE_EMULATOR, 0};
	step->group = strdup("/g/emulator");
	step->knob = strdup(knob);
	step->value = strdup(value);
	step->was = strdup(was);
	return step;
}

static struct pf_held drifting(void)
{
	struct pf_held held = {.present = true, .status.mode = PF_MODE_ENFORCE};

	add_step(&held, "cpuset.cpus", "8", "3");
	return held;
}

static void libvirt_is_asked_before_a_repair(void **state)
{
	struct pf_held held = drifting();
	uint64_t when = 0;

	(void)state;
	pf_held_note(&held, 5 * SECOND);
	assert_int_equal(pf_held_turn(&held, 0, 5 * SECOND, &when), PF_TURN_ASK);
	held.ticket = 7;
	held.ticket_deadline_usec = 6 * SECOND;
	assert_int_equal(pf_held_turn(&held, 6, 5 * SECOND, &when), PF_TURN_WAIT);
	assert_int_equal(when, 6 * SECOND);
	assert_int_equal(pf_held_turn(&held, 7, 5 * SECOND, &when), PF_TURN_APPLY);
	pf_held_clear(&held);
}

static void a_hung_libvirt_does_not_stop_repairs(void **state)
{
	struct pf_held held = drifting();
	uint64_t when = 0;

	(void)state;
	pf_held_note(&held, 5 * SECOND);
	held.ticket = 7;
	held.ticket_deadline_usec = 6 * SECOND;
	assert_int_equal(pf_held_turn(&held, 0, 6 * SECOND, &when), PF_TURN_APPLY);
	pf_held_clear(&held);
}

static void observed_and_released_guests_are_left_alone(void **state)
{
	struct pf_held held = drifting();
	uint64_t when = 0;

	(void)state;
	held.status.mode = PF_MODE_OBSERVE;
	assert_int_equal(pf_held_turn(&held, 0, SECOND, &when), PF_TURN_NOTHING);
	held.status.mode = PF_MODE_ENFORCE;
	held.released = true;
	assert_int_equal(pf_held_turn(&held, 0, SECOND, &when), PF_TURN_NOTHING);
	pf_held_clear(&held);
}

static void an_emulator_opened_to_more_nodes_is_given_a_second(void **state)
{
	struct pf_held held = {.present = true, .status.mode = PF_MODE_ENFORCE};
	uint64_t when = 0;

	(void)state;
	add_step(&held, "cpuset.mems", "1", "0-3");
	pf_held_note(&held, 5 * SECOND);
	assert_int_equal(pf_held_turn(&held, 0, 5 * SECOND, &when), PF_TURN_WAIT);
	assert_int_equal(when, 6 * SECOND);
	/* It does not begin anew with each look. */
	pf_held_note(&held, 5 * SECOND + 500000);
	assert_int_equal(pf_held_turn(&held, 0, 6 * SECOND, &when), PF_TURN_ASK);
	pf_held_clear(&held);
}

static void a_new_vcpu_thread_is_given_a_second(void **state)
{
	struct pf_held held = drifting();
	struct pf_thread_status *thread;
	uint64_t when = 0;

	(void)state;
	thread = pf_append(&held.status.threads, &held.status.thread_count);
	thread->role = (struct pf_role){PF_ROLE_VCPU, 0};
	pf_held_note(&held, SECOND);
	assert_int_equal(pf_held_turn(&held, 0, SECOND, &when), PF_TURN_ASK);
	thread = pf_append(&held.status.threads, &held.status.thread_count);
	thread->role = (struct pf_role){PF_ROLE_VCPU, 1};
	pf_held_note(&held, 2 * SECOND);
	assert_int_equal(pf_held_turn(&held, 0, 2 * SECOND, &when), PF_TURN_WAIT);
	assert_int_equal(when, 3 * SECOND);
	pf_held_clear(&held);
}

static void no_fight(const struct pf_step *step, const struct pf_event *doer, const char *text,
		     void *ctx)
{
	(void)step, (void)doer, (void)ctx;
	fail_msg("%s", text);
}

static void outcome(struct pf_held *held, enum pf_outcome_result result, uint64_t now)
{
	struct pf_outcome outcomes[2] = {{.result = result}, {.result = PF_OUTCOME_NOT_RUN}};

	assert_int_equal(pf_held_tried(held, outcomes, now, no_fight, NULL), 0);
}

static void what_does_not_help_is_repeated_ever_more_rarely(void **state)
{
	struct pf_held held = drifting();
	uint64_t now = 100 * SECOND, last = 0, when = 0;

	(void)state;
	pf_held_note(&held, now);
	for (int i = 0; i < 10; i++) {
		outcome(&held, PF_OUTCOME_FAILED, now);
		assert_int_equal(pf_held_turn(&held, 0, now, &when), PF_TURN_WAIT);
		assert_true(when - now >= last);
		last = when - now;
		now = when;
	}
	assert_int_equal(last, 60 * SECOND);
	pf_held_clear(&held);
}

static void success_ends_the_waiting(void **state)
{
	struct pf_held held = drifting();
	uint64_t when = 0;

	(void)state;
	pf_held_note(&held, SECOND);
	outcome(&held, PF_OUTCOME_FAILED, SECOND);
	pf_plan_clear(&held.plan);
	pf_held_note(&held, 2 * SECOND);
	add_step(&held, "cpuset.cpus", "8", "3");
	pf_held_note(&held, 2 * SECOND);
	assert_int_equal(pf_held_turn(&held, 0, 2 * SECOND, &when), PF_TURN_ASK);
	pf_held_clear(&held);
}

static void add_act(struct pf_held *held, const char *knob, bool by_libvirt)
{
	struct pf_act act = {.kind = PF_ACT_KNOB, .by_libvirt = by_libvirt};

	pf_event_init(&act.event, PF_EVENT_DRIFT, PF_EVENT_CPUSET, PF_EVENT_OBSERVED);
	act.event.has_actor = true;
	act.event.actor.pid = 77;
	act.group = strdup("/g/emulator");
	act.knob = strdup(knob);
	pf_acts_add(&held->acts, &act, false, SECOND);
}

static void what_a_stranger_was_seen_to_do_is_put_right_without_asking(void **state)
{
	struct pf_held held = drifting();
	uint64_t when = 0;

	(void)state;
	add_act(&held, "cpuset.cpus", false);
	pf_held_note(&held, 5 * SECOND);
	assert_int_equal(pf_held_turn(&held, 0, 5 * SECOND, &when), PF_TURN_APPLY);
	assert_false(held.plan.steps[0].put_off);
	pf_held_clear(&held);
}

static void what_libvirt_was_seen_to_do_is_asked_about(void **state)
{
	struct pf_held held = drifting();
	uint64_t when = 0;

	(void)state;
	add_act(&held, "cpuset.cpus", true);
	pf_held_note(&held, 5 * SECOND);
	assert_int_equal(pf_held_turn(&held, 0, 5 * SECOND, &when), PF_TURN_ASK);
	pf_held_clear(&held);
}

static void what_is_certain_does_not_wait_for_what_is_in_doubt(void **state)
{
	struct pf_held held = drifting();
	uint64_t when = 0;

	(void)state;
	add_step(&held, "cpu.weight", "100", "7")->act = 1;
	add_act(&held, "cpu.weight", false);
	pf_held_note(&held, 5 * SECOND);
	assert_int_equal(pf_held_turn(&held, 0, 5 * SECOND, &when), PF_TURN_ASK);
	held.ticket = 3;
	held.ticket_deadline_usec = 6 * SECOND;
	assert_int_equal(pf_held_turn(&held, 0, 5 * SECOND, &when), PF_TURN_APPLY);
	assert_true(held.plan.steps[0].put_off);
	assert_false(held.plan.steps[1].put_off);
	/* The word that was asked for is still waited for. */
	assert_int_equal(pf_held_tried(&held, (struct pf_outcome[2]){{}, {PF_OUTCOME_DONE, {}, 0}},
				       5 * SECOND, no_fight, NULL), 0);
	assert_int_equal(held.ticket, 3);
	pf_held_clear(&held);
}

static void a_step_that_fails_holds_up_no_other(void **state)
{
	struct pf_held held = drifting();
	uint64_t when = 0;

	(void)state;
	pf_held_note(&held, 5 * SECOND);
	outcome(&held, PF_OUTCOME_FAILED, 5 * SECOND);
	add_step(&held, "cpu.weight", "100", "7")->act = 1;
	add_act(&held, "cpu.weight", false);
	pf_held_note(&held, 5 * SECOND);
	assert_int_equal(pf_held_turn(&held, 0, 5 * SECOND, &when), PF_TURN_APPLY);
	assert_true(held.plan.steps[0].put_off);
	assert_false(held.plan.steps[1].put_off);
	pf_held_clear(&held);
}

static void an_emulator_that_a_stranger_opened_is_closed_at_once(void **state)
{
	struct pf_held held = {.present = true, .status.mode = PF_MODE_ENFORCE};
	uint64_t when = 0;

	(void)state;
	add_step(&held, "cpuset.mems", "1", "0-3");
	add_act(&held, "cpuset.mems", false);
	pf_held_note(&held, 5 * SECOND);
	assert_int_equal(pf_held_turn(&held, 0, 5 * SECOND, &when), PF_TURN_APPLY);
	pf_held_clear(&held);
}

/* A strayed guest: the act that brings it back, and a knob of a leaf that is made anew. */
static struct pf_held strayed(void)
{
	struct pf_held held = {.present = true, .status.mode = PF_MODE_ENFORCE};
	struct pf_step *step = pf_append(&held.plan.steps, &held.plan.count);

	step->kind = PF_STEP_BRING_BACK;
	step->act = 1;
	step->pid = 99;
	step->group = strdup("/g");
	add_step(&held, "cpuset.cpus", "8", "")->act = 2;
	return held;
}

static void who_moved_a_guest_out_is_why_all_of_it_is_put_back_at_once(void **state)
{
	struct pf_act act = {.kind = PF_ACT_MOVED, .whole = true, .event.has_actor = true};
	struct pf_held held = strayed();
	uint64_t when = 0;

	(void)state;
	pf_held_note(&held, 5 * SECOND);
	assert_int_equal(pf_held_turn(&held, 0, 5 * SECOND, &when), PF_TURN_ASK);
	pf_acts_add(&held.acts, &act, false, 5 * SECOND);
	assert_int_equal(pf_held_turn(&held, 0, 5 * SECOND, &when), PF_TURN_APPLY);
	assert_false(held.plan.steps[0].put_off);
	assert_false(held.plan.steps[1].put_off);
	pf_held_clear(&held);
}

static void while_a_guest_cannot_be_brought_back_nothing_of_it_is_tried(void **state)
{
	struct pf_outcome outcomes[2] = {{.result = PF_OUTCOME_FAILED}};
	struct pf_held held = strayed();
	uint64_t when = 0;

	(void)state;
	strcpy(outcomes[0].err.text, "no machined");
	held.ticket = 1;
	pf_held_note(&held, 5 * SECOND);
	assert_int_equal(pf_held_turn(&held, 1, 5 * SECOND, &when), PF_TURN_APPLY);
	assert_int_equal(pf_held_tried(&held, outcomes, 5 * SECOND, NULL, NULL), 0);
	held.ticket = 2;
	pf_held_note(&held, 5 * SECOND);
	assert_int_equal(pf_held_turn(&held, 2, 5 * SECOND, &when), PF_TURN_WAIT);
	assert_int_equal(when, 6 * SECOND);
	assert_true(held.plan.steps[1].put_off);
	assert_int_equal(pf_held_turn(&held, 2, 6 * SECOND, &when), PF_TURN_APPLY);
	pf_held_clear(&held);
}

static void a_word_from_before_libvirts_newest_act_is_asked_for_again(void **state)
{
	struct pf_held held = drifting();
	uint64_t when = 0;

	(void)state;
	add_act(&held, "cpuset.cpus", true);
	pf_held_note(&held, 5 * SECOND);
	held.ticket = 7;
	held.ticket_asked_usec = SECOND / 2;
	held.ticket_deadline_usec = 6 * SECOND;
	assert_int_equal(pf_held_turn(&held, 7, 5 * SECOND, &when), PF_TURN_ASK);
	held.ticket = 8;
	held.ticket_asked_usec = 5 * SECOND;
	assert_int_equal(pf_held_turn(&held, 8, 5 * SECOND, &when), PF_TURN_APPLY);
	pf_held_clear(&held);
}

static void add_managers_act(struct pf_held *held, uint64_t now_usec)
{
	struct pf_act act = {.kind = PF_ACT_KNOB, .by_manager = true};

	pf_event_init(&act.event, PF_EVENT_DRIFT, PF_EVENT_WEIGHT, PF_EVENT_OBSERVED);
	act.event.has_actor = true;
	act.event.actor.pid = 1;
	act.group = strdup("/g");
	act.knob = strdup("cpu.weight");
	pf_acts_add(&held->acts, &act, false, now_usec);
}

static void what_the_service_manager_wrote_since_may_be_a_newer_word(void **state)
{
	struct pf_held held = drifting();
	uint64_t when = 0;

	(void)state;
	add_managers_act(&held, SECOND);
	pf_held_note(&held, 5 * SECOND);
	held.ticket = 7;
	held.ticket_asked_usec = SECOND / 2;
	held.ticket_deadline_usec = 6 * SECOND;
	assert_int_equal(pf_held_turn(&held, 7, 5 * SECOND, &when), PF_TURN_ASK);
	/* and once more of the same */
	add_managers_act(&held, 5 * SECOND);
	held.ticket = 8;
	held.ticket_asked_usec = 4 * SECOND;
	assert_int_equal(pf_held_turn(&held, 8, 5 * SECOND, &when), PF_TURN_ASK);
	held.ticket = 9;
	held.ticket_asked_usec = 5 * SECOND;
	assert_int_equal(pf_held_turn(&held, 9, 5 * SECOND, &when), PF_TURN_APPLY);
	pf_held_clear(&held);
}

static void a_promise_that_libvirt_is_still_writing_is_waited_for(void **state)
{
	struct pf_held held = {.present = true, .status.mode = PF_MODE_ENFORCE};
	uint64_t when = 0;

	(void)state;
	add_step(&held, "cpuset.mems", "1", "2");
	add_act(&held, "cpuset.mems", true);
	held.acts.items[0].begun = true;
	held.ticket_asked_usec = 2 * SECOND;
	pf_held_note(&held, 5 * SECOND);
	held.ticket = 7;
	held.ticket_deadline_usec = 6 * SECOND;
	assert_int_equal(pf_held_turn(&held, 0, 30 * SECOND, &when), PF_TURN_WAIT);
	assert_int_equal(when, 31 * SECOND);
	/* A libvirtd that hangs in it holds nothing up for ever. */
	assert_int_equal(pf_held_turn(&held, 0, 100 * SECOND, &when), PF_TURN_APPLY);
	pf_held_clear(&held);
}

/* Under memory that has to be moved first, libvirt's write may take longer than the second. */
static void the_second_of_a_hotplug_begins_when_the_nodes_are_written(void **state)
{
	struct pf_held held = {.present = true, .status.mode = PF_MODE_ENFORCE};
	uint64_t when = 0;

	(void)state;
	add_step(&held, "cpuset.mems", "1", "0-3");
	add_act(&held, "cpuset.mems", true);
	held.acts.items[0].begun = true;
	pf_held_note(&held, 5 * SECOND);
	assert_int_equal(pf_held_turn(&held, 0, 5 * SECOND, &when), PF_TURN_WAIT);
	pf_held_note(&held, 9 * SECOND);
	assert_int_equal(pf_held_turn(&held, 0, 9 * SECOND, &when), PF_TURN_ASK);
	held.acts.items[0].begun = false;
	pf_held_note(&held, 15 * SECOND);
	assert_int_equal(pf_held_turn(&held, 0, 15 * SECOND, &when), PF_TURN_WAIT);
	assert_int_equal(when, 16 * SECOND);
	/* Once. */
	pf_held_note(&held, 15 * SECOND + 500000);
	assert_int_equal(pf_held_turn(&held, 0, 16 * SECOND, &when), PF_TURN_ASK);
	pf_held_clear(&held);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			who_moved_a_guest_out_is_why_all_of_it_is_put_back_at_once),
		cmocka_unit_test(
			while_a_guest_cannot_be_brought_back_nothing_of_it_is_tried),
		cmocka_unit_test(libvirt_is_asked_before_a_repair),
		cmocka_unit_test(a_hung_libvirt_does_not_stop_repairs),
		cmocka_unit_test(a_word_from_before_libvirts_newest_act_is_asked_for_again),
		cmocka_unit_test(what_the_service_manager_wrote_since_may_be_a_newer_word),
		cmocka_unit_test(a_promise_that_libvirt_is_still_writing_is_waited_for),
		cmocka_unit_test(observed_and_released_guests_are_left_alone),
		cmocka_unit_test(an_emulator_opened_to_more_nodes_is_given_a_second),
		cmocka_unit_test(the_second_of_a_hotplug_begins_when_the_nodes_are_written),
		cmocka_unit_test(a_new_vcpu_thread_is_given_a_second),
		cmocka_unit_test(what_does_not_help_is_repeated_ever_more_rarely),
		cmocka_unit_test(success_ends_the_waiting),
		cmocka_unit_test(what_a_stranger_was_seen_to_do_is_put_right_without_asking),
		cmocka_unit_test(what_libvirt_was_seen_to_do_is_asked_about),
		cmocka_unit_test(what_is_certain_does_not_wait_for_what_is_in_doubt),
		cmocka_unit_test(a_step_that_fails_holds_up_no_other),
		cmocka_unit_test(an_emulator_that_a_stranger_opened_is_closed_at_once),
	};

	return cmocka_run_group_tests_name("held", tests, NULL, NULL);
}
