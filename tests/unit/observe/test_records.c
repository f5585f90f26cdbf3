// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/base/cleanup.h"
#include "agent/observe/records.h"

static const struct pf_clocks clocks = {.wall_ahead_ns = 1000000, .sleep_ns = 500};

static struct pf_record record_of(enum pf_rec_kind kind)
{
	return (struct pf_record){
		.boot_ns = 77,
		.seq = 5,
		.tid = 4711,
		.comm = "CPU 3/KVM",
		.role = PF_REC_ROLE_VCPU,
		.role_index = 3,
		.kind = (uint16_t)kind,
		.from_cpu = 2,
		.to_cpu = 9,
		.from_node = 0,
		.to_node = 1,
		.actor = {.pid = 12, .tgid = 10, .uid = 1000, .comm = "taskset"},
		.flags = PF_RF_ACTOR | PF_RF_OUT_CPU,
	};
}

static void an_escape_has_its_thread_place_and_doer(void **state)
{
	PF_CLEANUP(pf_event_clear) struct pf_event event = {};
	struct pf_record record = record_of(PF_REC_ESCAPE);

	(void)state;
	record.cause = PF_CAUSE_AFFINITY;
	record.suppressed = 6;
	assert_int_equal(pf_record_event(&record, NULL, &clocks, &event), 0);
	assert_int_equal(event.kind, PF_EVENT_ESCAPE);
	assert_int_equal(event.cause, PF_EVENT_AFFINITY);
	assert_int_equal(event.action, PF_EVENT_OBSERVED);
	assert_int_equal(event.boot_ns, 77);
	assert_int_equal(event.wall_ns, 1000077);
	assert_true(event.has_thread && event.has_actor && !event.has_outside);
	assert_int_equal(event.tid, 4711);
	assert_string_equal(event.comm, "CPU 3/KVM");
	assert_true(pf_role_equal(event.role, (struct pf_role){PF_ROLE_VCPU, 3}));
	assert_int_equal(event.from_cpu, 2);
	assert_int_equal(event.to_cpu, 9);
	assert_int_equal(event.from_node, 0);
	assert_int_equal(event.to_node, 1);
	assert_int_equal(event.actor.pid, 10);
	assert_int_equal(event.actor.uid, 1000);
	assert_string_equal(event.actor.comm, "taskset");
	assert_int_equal(event.suppressed, 6);
	assert_null(event.detail);
}

static void each_kind_and_cause_has_its_words(void **state)
{
	static const struct {
		enum pf_rec_kind kind;
		enum pf_rec_cause cause;
		enum pf_event_kind event;
		enum pf_event_cause word;
	} rows[] = {
		{PF_REC_PLACED, PF_CAUSE_SCHEDULER, PF_EVENT_ESCAPE, PF_EVENT_SCHEDULER},
		{PF_REC_RETURN, PF_CAUSE_CPUSET, PF_EVENT_ESCAPE, PF_EVENT_CPUSET},
		{PF_REC_ESCAPE, PF_CAUSE_FALLBACK, PF_EVENT_ESCAPE, PF_EVENT_FALLBACK},
		{PF_REC_ESCAPE, PF_CAUSE_NUMA_BALANCING, PF_EVENT_ESCAPE, PF_EVENT_NUMA_BALANCING},
		{PF_REC_MOVED, PF_CAUSE_CGROUP_MOVE, PF_EVENT_DRIFT, PF_EVENT_CGROUP_MOVE},
		{PF_REC_MASK, PF_CAUSE_AFFINITY, PF_EVENT_DRIFT, PF_EVENT_AFFINITY},
		{PF_REC_KNOB, PF_CAUSE_WEIGHT, PF_EVENT_DRIFT, PF_EVENT_WEIGHT},
		{PF_REC_KNOB, PF_CAUSE_QUOTA, PF_EVENT_DRIFT, PF_EVENT_QUOTA},
		{PF_REC_KNOB, PF_CAUSE_CONTROL, PF_EVENT_DRIFT, PF_EVENT_CONTROL},
		{PF_REC_PAGES, PF_CAUSE_SYSCALL, PF_EVENT_MEMORY, PF_EVENT_SYSCALL},
		{PF_REC_PAGES, PF_CAUSE_MEMORY, PF_EVENT_MEMORY, PF_EVENT_KERNEL_MEMORY},
		{PF_REC_CPU, PF_CAUSE_CPU_OFFLINE, PF_EVENT_AGENT, PF_EVENT_CPU_OFFLINE},
		{PF_REC_ESCAPE, (enum pf_rec_cause)999, PF_EVENT_ESCAPE, PF_EVENT_UNKNOWN},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pf_knob_record knob = {.rec = record_of(rows[i].kind)};
		PF_CLEANUP(pf_event_clear) struct pf_event event = {};

		knob.rec.cause = (uint16_t)rows[i].cause;
		assert_int_equal(pf_record_event(&knob.rec, "/g", &clocks, &event), 0);
		assert_int_equal(event.kind, rows[i].event);
		assert_int_equal(event.cause, rows[i].word);
	}
}

static void a_cpu_that_comes_back_is_online(void **state)
{
	PF_CLEANUP(pf_event_clear) struct pf_event event = {};
	struct pf_record record = record_of(PF_REC_CPU);

	(void)state;
	record.cause = PF_CAUSE_CPU_OFFLINE;
	record.value = 1;
	assert_int_equal(pf_record_event(&record, NULL, &clocks, &event), 0);
	assert_int_equal(event.cause, PF_EVENT_CPU_ONLINE);
}

static void a_return_says_how_long_it_was(void **state)
{
	PF_CLEANUP(pf_event_clear) struct pf_event event = {};
	struct pf_record record = record_of(PF_REC_RETURN);

	(void)state;
	record.value = 123456;
	record.flags = PF_RF_OUT_NODE | PF_RF_FALLBACK;
	assert_int_equal(pf_record_event(&record, NULL, &clocks, &event), 0);
	assert_true(event.has_outside);
	assert_int_equal(event.outside_ns, 123456);
	assert_false(event.has_actor);
	assert_string_equal(event.detail, "returned; outside its memory nodes; "
					  "the kernel found no allowed CPU");
}

static void what_was_written_where_is_told_in_one_line(void **state)
{
	PF_CLEANUP(pf_event_clear) struct pf_event event = {};
	struct pf_knob_record knob = {.rec = record_of(PF_REC_KNOB)};

	(void)state;
	knob.rec.tid = 0;
	strcpy(knob.knob, "cpuset.cpus");
	strcpy(knob.text, "0-7\nsecond line");
	assert_int_equal(pf_record_event(&knob.rec, "/machine.slice", &clocks, &event), 0);
	assert_false(event.has_thread);
	assert_string_equal(event.detail, "wrote '0-7' to cpuset.cpus of /machine.slice");
}

/* A path may be 4 KiB and the text fills its field: nothing is written beyond the detail. */
static void the_longest_detail_is_cut(void **state)
{
	PF_CLEANUP(pf_event_clear) struct pf_event event = {};
	struct pf_knob_record knob = {.rec = record_of(PF_REC_KNOB)};
	char path[4097];

	(void)state;
	memset(path, 'p', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	memset(knob.knob, 'k', sizeof(knob.knob) - 1);
	memset(knob.text, 't', sizeof(knob.text) - 1);
	knob.rec.flags = 0xffff;
	assert_int_equal(pf_record_event(&knob.rec, path, &clocks, &event), 0);
	assert_true(strlen(event.detail) < 512);
}

static void pages_have_a_number_and_no_cpu(void **state)
{
	PF_CLEANUP(pf_event_clear) struct pf_event event = {};
	struct pf_record record = record_of(PF_REC_PAGES);

	(void)state;
	record.value = 300;
	record.from_cpu = 5; /* the kernel's reason */
	record.to_cpu = record.from_node = record.to_node = PF_NOWHERE;
	record.flags = PF_RF_ACTOR;
	assert_int_equal(pf_record_event(&record, NULL, &clocks, &event), 0);
	assert_int_equal(event.from_cpu, -1);
	assert_int_equal(event.to_node, -1);
	assert_string_equal(event.detail, "300 pages");
}

static void a_record_without_role_names_none(void **state)
{
	struct pf_record record = record_of(PF_REC_KNOB);
	struct pf_role role = {PF_ROLE_IOTHREAD, 9};

	(void)state;
	record.role = PF_REC_ROLE_NONE;
	assert_false(pf_record_role(&record, &role));
	assert_int_equal(role.index, 9);
	record.role = PF_REC_ROLE_IOTHREAD;
	assert_true(pf_record_role(&record, &role));
	assert_true(pf_role_equal(role, (struct pf_role){PF_ROLE_IOTHREAD, 3}));
	record.role = PF_REC_ROLE_HELPER;
	assert_true(pf_record_role(&record, &role));
	assert_true(pf_role_equal(role, (struct pf_role){PF_ROLE_HELPER, 0}));
}

static void a_group_that_is_nowhere_has_no_path(void **state)
{
	(void)state;
	assert_null(pf_record_group_path(UINT64_MAX - 5, 0));
}

static void a_living_process_says_which_group_it_is_in(void **state)
{
	pf_auto_free char *path = pf_record_group_path(UINT64_MAX - 5, getpid());

	(void)state;
	if (path) /* cgroup v2 alone */
		assert_int_equal(path[0], '/');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_escape_has_its_thread_place_and_doer),
		cmocka_unit_test(each_kind_and_cause_has_its_words),
		cmocka_unit_test(a_cpu_that_comes_back_is_online),
		cmocka_unit_test(a_return_says_how_long_it_was),
		cmocka_unit_test(what_was_written_where_is_told_in_one_line),
		cmocka_unit_test(the_longest_detail_is_cut),
		cmocka_unit_test(pages_have_a_number_and_no_cpu),
		cmocka_unit_test(a_record_without_role_names_none),
		cmocka_unit_test(a_group_that_is_nowhere_has_no_path),
		cmocka_unit_test(a_living_process_says_which_group_it_is_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
