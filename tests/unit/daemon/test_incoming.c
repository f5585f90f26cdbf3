// SPDX-License-Identifier: GPL-2.0-or-later
/* What a record puts in doubt of what was seen of its guest, and whether it asks for a look. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/daemon/incoming.h"

#define BASE "/machine/qemu-1-web.libvirt-qemu"
#define UUID "6f1c0d3e-0000-4000-8000-00000000abcd"

enum { MAIN, VCPU, THREADS };
enum { BASE_GROUP, VCPU0, VCPU1, GROUPS };

static const pid_t tids[THREADS] = {100, 101};

static struct pf_agent agent;
static struct pf_held held;

static void see_guest(void)
{
	static char main_leaf[] = BASE "/vcpu1", leaf[] = BASE "/vcpu0", base[] = BASE;
	struct pf_group groups[GROUPS] = {
		[BASE_GROUP] = {.level = PF_GROUP_BASE, .path = base},
		[VCPU0] = {.level = PF_GROUP_LEAF, .path = leaf},
		[VCPU1] = {.level = PF_GROUP_LEAF, .path = main_leaf},
	};
	struct pf_group_actual group_actuals[GROUPS] = {};
	struct pf_thread_placement threads[THREADS] = {{.tid = tids[MAIN]}, {.tid = tids[VCPU]}};
	struct pf_thread_actual thread_actuals[THREADS] = {
		{.alive = true, .cgroup = main_leaf},
		{.alive = true, .cgroup = leaf},
	};
	struct pf_thread facts[THREADS] = {{.tid = tids[MAIN]}, {.tid = tids[VCPU]}};
	const struct pf_placement placement = {.base = base,
					       .groups = groups,
					       .group_count = GROUPS,
					       .threads = threads,
					       .thread_count = THREADS};
	const struct pf_actual actual = {.groups = group_actuals,
					 .group_count = GROUPS,
					 .threads = thread_actuals,
					 .thread_count = THREADS,
					 .base_exists = true};
	const struct pf_guest guest = {.pid = tids[MAIN],
				       .cgroup = main_leaf,
				       .threads = facts,
				       .thread_count = THREADS};

	for (size_t i = 0; i < GROUPS; i++)
		group_actuals[i] = (struct pf_group_actual){.exists = true, .cgid = 1000 + i};
	pf_view_keep(&held.view, &guest, &placement, &actual);
	held.woken = false;
	assert_true(held.view.known);
}

static int setup(void **state)
{
	(void)state;
	agent = (struct pf_agent){.held = &held, .held_count = 1};
	held = (struct pf_held){.present = true, .name = strdup("web")};
	strcpy(held.uuid, UUID);
	held.status.name = strdup("web");
	held.status.mode = PF_MODE_ENFORCE;
	see_guest();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	pf_held_clear(&held);
	free(agent.watching.doer.cgroup);
	return 0;
}

static void tell(enum pf_rec_kind kind, uint64_t cgid, pid_t tid, uint16_t cause, uint16_t flags,
		 const char *knob)
{
	struct pf_knob_record record = {
		.rec = {.kind = kind,
			.cgid = cgid,
			.tid = (uint32_t)tid,
			.cause = cause,
			.flags = flags,
			.seq = 1},
	};

	strcpy(record.knob, knob);
	pf_incoming_record(&record.rec, UUID, BASE "/vcpu0", &agent);
}

/* What is in doubt: a letter for each thread and group that would be read again; "all". */
static const char *doubted(void)
{
	static char text[THREADS + GROUPS + 1];
	char *at = text;

	if (!held.view.known)
		return "all";
	for (size_t i = 0; i < held.view.task_count; i++)
		if (held.view.tasks[i].doubted)
			*at++ = "MV"[i];
	for (size_t i = 0; i < held.view.group_count; i++)
		if (held.view.groups[i].doubted)
			*at++ = "b01"[i];
	*at = '\0';
	see_guest();
	return text;
}

static void an_act_on_a_thread_puts_it_in_doubt(void **state)
{
	(void)state;
	tell(PF_REC_MASK, 1000 + VCPU0, tids[VCPU], PF_CAUSE_AFFINITY, 0, "");
	assert_true(held.woken);
	assert_string_equal(doubted(), "V");
	tell(PF_REC_MOVED, 1000 + VCPU1, tids[VCPU], PF_CAUSE_CGROUP_MOVE, 0, "");
	assert_true(held.woken);
	assert_string_equal(doubted(), "V");
	tell(PF_REC_ESCAPE, 1000 + VCPU0, tids[VCPU], PF_CAUSE_AFFINITY, PF_RF_OUT_CPU, "");
	assert_true(held.woken);
	assert_string_equal(doubted(), "V");
}

/* What is only observed is looked at later, and then with all that was done to it until then. */
static void doubt_needs_no_wish_to_look(void **state)
{
	(void)state;
	held.status.mode = PF_MODE_OBSERVE;
	tell(PF_REC_MASK, 1000 + VCPU0, tids[VCPU], PF_CAUSE_AFFINITY, 0, "");
	assert_false(held.woken);
	assert_string_equal(doubted(), "V");
}

static void where_the_scheduler_puts_a_thread_is_no_doubt(void **state)
{
	(void)state;
	tell(PF_REC_ESCAPE, 1000 + VCPU0, tids[VCPU], PF_CAUSE_SCHEDULER, PF_RF_OUT_NODE, "");
	tell(PF_REC_RETURN, 1000 + VCPU0, tids[VCPU], PF_CAUSE_SCHEDULER, 0, "");
	tell(PF_REC_NUMA, 1000 + VCPU0, tids[VCPU], PF_CAUSE_NUMA_BALANCING, 0, "");
	assert_false(held.woken);
	assert_string_equal(doubted(), "");
}

static void a_leafs_knob_puts_the_leaf_in_doubt(void **state)
{
	(void)state;
	tell(PF_REC_KNOB, 1000 + VCPU0, 0, PF_CAUSE_CPUSET, 0, "cpuset.cpus");
	assert_true(held.woken);
	assert_string_equal(doubted(), "V0");
	tell(PF_REC_KNOB, 1000 + VCPU0, 0, PF_CAUSE_QUOTA, 0, "cpu.max");
	assert_string_equal(doubted(), "0");
	tell(PF_REC_KNOB, 1000 + BASE_GROUP, 0, PF_CAUSE_WEIGHT, 0, "cpu.weight");
	assert_string_equal(doubted(), "b");
}

static void whatever_may_reach_further_puts_all_in_doubt(void **state)
{
	static const struct {
		enum pf_rec_kind kind;
		uint64_t cgid;
		pid_t tid;
		uint16_t flags;
		const char *knob;
	} acts[] = {
		{PF_REC_KNOB, 1000 + BASE_GROUP, 0, 0, "cpuset.cpus"},
		{PF_REC_KNOB, 1000 + BASE_GROUP, 0, 0, "cgroup.subtree_control"},
		{PF_REC_KNOB, 1000 + VCPU0, 0, 0, "cpuset.cpus.partition"},
		{PF_REC_KNOB, 4711, 0, 0, "cpu.max"},
		{PF_REC_MOVED, 1000 + VCPU0, 100, PF_RF_THREADGROUP, ""},
		{PF_REC_MOVED, 1000 + VCPU0, 101, PF_RF_THREADGROUP, ""},
		{PF_REC_MOVED, 4711, 101, 0, ""},
		{PF_REC_MASK, 1000 + VCPU0, 4711, 0, ""},
		{PF_REC_GROUP, 1000 + VCPU0, 0, 0, ""},
		{PF_REC_CPU, 0, 0, 0, ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
		see_guest();
		tell(acts[i].kind, acts[i].cgid, acts[i].tid, PF_CAUSE_UNKNOWN, acts[i].flags,
		     acts[i].knob);
		assert_true(held.woken);
		assert_string_equal(doubted(), "all");
	}
}

/* A new thread has no name yet: the look waits for that, and is one at everything. */
static void a_new_thread_puts_all_in_doubt_and_the_look_off(void **state)
{
	(void)state;
	tell(PF_REC_THREAD, 1000 + VCPU0, 4711, 0, 0, "");
	assert_false(held.woken);
	assert_int_not_equal(held.due_usec, 0);
	assert_string_equal(doubted(), "all");
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(an_act_on_a_thread_puts_it_in_doubt),
		TEST(doubt_needs_no_wish_to_look),
		TEST(where_the_scheduler_puts_a_thread_is_no_doubt),
		TEST(a_leafs_knob_puts_the_leaf_in_doubt),
		TEST(whatever_may_reach_further_puts_all_in_doubt),
		TEST(a_new_thread_puts_all_in_doubt_and_the_look_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
