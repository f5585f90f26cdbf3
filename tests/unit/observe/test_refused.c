// SPDX-License-Identifier: GPL-2.0-or-later
/* What the guard refused, in the words of the record. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/observe/records.h"

static const struct pf_clocks clocks = {.wall_ahead_ns = 1000};

static struct pf_knob_record refusal(uint16_t cause, uint32_t tid, const char *knob)
{
	struct pf_knob_record k = {.rec = {.kind = PF_REC_REFUSED,
					   .cause = cause,
					   .tid = tid,
					   .boot_ns = 5,
					   .cgid = 77,
					   .role = PF_REC_ROLE_VCPU,
					   .role_index = 3,
					   .flags = PF_RF_ACTOR,
					   .from_cpu = PF_NOWHERE,
					   .to_cpu = PF_NOWHERE,
					   .from_node = PF_NOWHERE,
					   .to_node = PF_NOWHERE,
					   .actor = {.tgid = 42, .uid = 7, .comm = "culprit"}}};

	strncpy(k.knob, knob, sizeof(k.knob) - 1);
	return k;
}

static void is_refused(const struct pf_knob_record *k, const char *group, enum pf_event_kind kind,
		       enum pf_event_cause cause, const char *detail)
{
	struct pf_event event;

	assert_int_equal(pf_record_event(&k->rec, group, &clocks, &event), 0);
	assert_int_equal(event.action, PF_EVENT_REFUSED);
	assert_int_equal(event.kind, kind);
	assert_int_equal(event.cause, cause);
	assert_int_equal(event.wall_ns, 1005);
	assert_true(event.has_thread == (k->rec.tid != 0));
	assert_int_equal(event.role.kind, PF_ROLE_VCPU);
	assert_int_equal(event.role.index, 3);
	assert_true(event.has_actor);
	assert_int_equal(event.actor.pid, 42);
	assert_int_equal(event.actor.uid, 7);
	assert_string_equal(event.actor.comm, "culprit");
	assert_string_equal(event.detail, detail);
	pf_event_clear(&event);
}

static void a_refused_call_names_the_call_and_the_thread(void **state)
{
	struct pf_knob_record k = refusal(PF_CAUSE_AFFINITY, 9, "sched_setaffinity");

	(void)state;
	is_refused(&k, "/g/vcpu3", PF_EVENT_DRIFT, PF_EVENT_AFFINITY, "sched_setaffinity(2)");
	k = refusal(PF_CAUSE_SYSCALL, 9, "migrate_pages");
	is_refused(&k, "/g/vcpu3", PF_EVENT_MEMORY, PF_EVENT_SYSCALL, "migrate_pages(2)");
}

static void a_refused_move_names_where_to(void **state)
{
	struct pf_knob_record k = refusal(PF_CAUSE_CGROUP_MOVE, 9, "cgroup.procs");

	(void)state;
	k.rec.value = 99;
	strncpy(k.text, "9\n", sizeof(k.text) - 1);
	is_refused(&k, "/foreign", PF_EVENT_DRIFT, PF_EVENT_CGROUP_MOVE,
		   "'9' to cgroup.procs of /foreign");
	is_refused(&k, NULL, PF_EVENT_DRIFT, PF_EVENT_CGROUP_MOVE,
		   "'9' to cgroup.procs of a group that is gone");
}

static void a_refused_write_names_the_file(void **state)
{
	struct pf_knob_record k = refusal(PF_CAUSE_QUOTA, 0, "cpu.max");

	(void)state;
	is_refused(&k, "/g", PF_EVENT_DRIFT, PF_EVENT_QUOTA, "write to cpu.max of /g");
	is_refused(&k, NULL, PF_EVENT_DRIFT, PF_EVENT_QUOTA,
		   "write to cpu.max of a group of the guest");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_refused_call_names_the_call_and_the_thread),
		cmocka_unit_test(a_refused_move_names_where_to),
		cmocka_unit_test(a_refused_write_names_the_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
