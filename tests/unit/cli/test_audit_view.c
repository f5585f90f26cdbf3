// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/cli/view_test.h"

#include <locale.h>
#include <time.h>

#include "agent/cli/audit_view.h"

static struct pf_event full(void)
{
	struct pf_event event;

	pf_event_init(&event, PF_EVENT_ESCAPE, PF_EVENT_AFFINITY, PF_EVENT_REPAIRED);
	event.wall_ns = UINT64_C(1795394403123456789);
	event.guest = (char *)"web01";
	event.has_thread = true;
	event.tid = 4130;
	event.from_cpu = 2;
	event.from_node = 1;
	event.to_cpu = 5;
	event.role = (struct pf_role){PF_ROLE_VCPU, 3};
	event.has_actor = true;
	event.actor = (struct pf_event_actor){.pid = 77, .comm = "taskset", .uid = 1000};
	event.has_latency = true;
	event.latency_ns = 2345678;
	return event;
}

static void shows(const struct pf_event *event, size_t width, bool color, bool all,
		  const char *want)
{
	PF_CLEANUP(capture_end) struct capture capture;

	capture_start(&capture, width);
	capture.view.color = color;
	capture.view.all = all;
	assert_int_equal(pf_audit_print(&capture.view, event), 0);
	assert_string_equal(captured(&capture), want);
}

#define HEAD                                                                                       \
	"11-23 00:40:03.123 web01      escape/affinity   vcpu 3 cpu 2/n1->5 by taskset[77] uid 1000 "

static void an_event_is_one_line(void **state)
{
	struct pf_event event = full();

	(void)state;
	shows(&event, 0, false, false, HEAD "repaired in 2345us\n");
	event.detail = (char *)"write 2 to /x";
	event.suppressed = 4;
	event.has_outside = true;
	event.outside_ns = 999;
	shows(&event, 0, false, false,
	      HEAD "repaired in 2345us outside 999ns (+4 alike): write 2 to /x\n");
}

static void an_event_of_the_agent_is_short(void **state)
{
	struct pf_event event;

	(void)state;
	pf_event_init(&event, PF_EVENT_AGENT, PF_EVENT_START, PF_EVENT_OBSERVED);
	event.wall_ns = UINT64_C(1795394403000000000);
	event.detail = (char *)"pinfoldd 0.1.0";
	shows(&event, 80, false, false,
	      "11-23 00:40:03.000 -          agent/start       observed pinfoldd 0.1.0\n");
}

static void a_terminal_cuts_what_does_not_fit_and_all_does_not(void **state)
{
	struct pf_event event = full();

	(void)state;
	event.has_actor = event.has_latency = false;
	event.detail = (char *)"0123456789012345";
	shows(&event, 80, false, false,
	      "11-23 00:40:03.123 web01      escape/affinity   vcpu 3 cpu 2/n1->5 repaired 0...\n");
	shows(&event, 80, false, true,
	      "11-23 00:40:03.123 web01      escape/affinity   vcpu 3 cpu 2/n1->5 repaired "
	      "0123456789012345\n");
	/* Never inside a character: each of these has three bytes and one column. */
	event.detail =
		(char *)"\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac";
	shows(&event, 80, false, false,
	      "11-23 00:40:03.123 web01      escape/affinity   vcpu 3 cpu 2/n1->5 repaired "
	      "\xe2\x82\xac...\n");
}

static void colour_is_of_the_action_alone(void **state)
{
	struct pf_event event = full();

	(void)state;
	event.has_latency = false;
	event.action = PF_EVENT_FAILED;
	shows(&event, 0, true, false, HEAD PF_COLOR_RED "failed" PF_COLOR_RESET "\n");
}

static void no_name_steers_the_terminal(void **state)
{
	struct pf_event event = full();

	(void)state;
	event.guest = (char *)"a\033[2Jb\n";
	event.has_actor = event.has_latency = false;
	event.detail = (char *)"x\ry\xff";
	shows(&event, 0, false, false,
	      "11-23 00:40:03.123 a\\x1b[2Jb\\x0a    escape/affinity   vcpu 3 cpu 2/n1->5 repaired "
	      "x\\x0dy\\xff\n");
}

static int set_up(void **state)
{
	(void)state;
	setenv("TZ", "UTC0", 1);
	tzset();
	return setlocale(LC_ALL, "C.UTF-8") ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_event_is_one_line),
		cmocka_unit_test(an_event_of_the_agent_is_short),
		cmocka_unit_test(a_terminal_cuts_what_does_not_fit_and_all_does_not),
		cmocka_unit_test(colour_is_of_the_action_alone),
		cmocka_unit_test(no_name_steers_the_terminal),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
