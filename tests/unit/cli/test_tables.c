// SPDX-License-Identifier: GPL-2.0-or-later
/* `pinfold plan` and `pinfold host` as a person sees them. */
#include "tests/unit/cli/view_test.h"

#include "agent/cli/host_view.h"
#include "agent/cli/plan_view.h"
#include "agent/source/topology.h"

#define GOLDEN "tests/unit/cli/data/"
#define HOSTS "tests/unit/source/data/hosts"

static const char plan_text[] =
	"{\"plans\":[{\"guest\":{\"uuid\":\"u1\",\"name\":\"web\\u001b[2J\"},\"steps\":["
	"{\"kind\":\"make-group\",\"act\":1,\"role\":\"helper\",\"group\":\"/machine.slice/"
	"machine-qemu\\\\x2d1\\\\x2dweb.scope/libvirt/helper\"},"
	"{\"kind\":\"knob\",\"act\":2,\"role\":\"vcpu 0\",\"group\":\"/machine.slice/"
	"machine-qemu\\\\x2d1\\\\x2dweb.scope/libvirt/vcpu0\",\"knob\":\"cpuset.cpus\","
	"\"value\":\"8\",\"was\":\"0-23\"},"
	"{\"kind\":\"affinity\",\"act\":2,\"role\":\"vcpu 0\",\"tid\":4130,\"cpus\":\"8\"}]},"
	"{\"guest\":{\"uuid\":\"u2\",\"name\":\"quiet\"},\"steps\":[]},"
	"{\"guest\":{\"uuid\":\"u3\",\"name\":\"db\"},\"steps\":["
	"{\"kind\":\"attach\",\"act\":1,\"role\":\"helper\",\"tid\":7,\"group\":\"/g\"}]}]}";

static void a_plan_lists_its_steps_in_order(void **state)
{
	PF_CLEANUP(pf_plans_clear) struct pf_plans plans = {};
	PF_CLEANUP(capture_end) struct capture capture;
	struct pf_err err = {};

	(void)state;
	if (pf_wire_decode_plans(plan_text, strlen(plan_text), &plans, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(pf_plans_steps(&plans), 4);
	capture_start(&capture, 80);
	pf_plans_print(&capture.view, &plans);
	assert_golden(captured(&capture), GOLDEN "plan-80.txt");
}

static void a_plan_without_steps_says_so(void **state)
{
	PF_CLEANUP(capture_end) struct capture capture;
	struct pf_plans plans = {};

	(void)state;
	capture_start(&capture, 80);
	pf_plans_print(&capture.view, &plans);
	assert_string_equal(captured(&capture), "nothing to do\n");
}

static void no_name_steers_the_terminal(void **state)
{
	PF_CLEANUP(capture_end) struct capture capture;
	struct pf_host_cpu cpu = {.online = true};
	struct pf_host host = {.hostname = "h\x1b[2J", .cpus = &cpu, .cpu_count = 1};
	struct pf_thread_status thread = {};
	struct pf_guest_status guest = {
		.name = (char *)"n\x1b[2J\n", .threads = &thread, .thread_count = 1};
	struct pf_status status = {.guests = &guest, .guest_count = 1};

	(void)state;
	pf_set_add(&thread.cpus_desired, 0);
	capture_start(&capture, 80);
	assert_int_equal(pf_host_print(&capture.view, &host, &status), 0);
	assert_non_null(strstr(captured(&capture), "n\\x1b[2J\\x0a: emulator"));
	assert_null(strchr(capture.text, '\x1b'));
}

static void check_host(const char *dump, bool promised, size_t width, const char *golden)
{
	PF_CLEANUP(pf_status_clear) struct pf_status status = {};
	PF_CLEANUP(capture_end) struct capture capture;
	PF_CLEANUP(pf_host_clear) struct pf_host host = {};
	char sysroot[] = "/tmp/pinfold-tables-XXXXXX", command[256];
	int r;

	assert_non_null(mkdtemp(sysroot));
	snprintf(command, sizeof(command), HOSTS "/hostdump unpack " HOSTS "/%s.dump '%s'", dump,
		 sysroot);
	assert_int_equal(system(command), 0);
	r = pf_topology_read(sysroot, &host, NULL);
	snprintf(command, sizeof(command), "rm -rf '%s'", sysroot);
	assert_int_equal(system(command), 0);
	assert_int_equal(r, 0);
	read_status(&status);
	capture_start(&capture, width);
	assert_int_equal(pf_host_print(&capture.view, &host, promised ? &status : NULL), 0);
	assert_golden(captured(&capture), golden);
}

static void a_host_shows_whom_its_cpus_are_promised_to(void **state)
{
	(void)state;
	check_host("lab-2x12", true, 80, GOLDEN "host-2x12-80.txt");
}

static void a_pipe_gets_one_line_for_each_cpu(void **state)
{
	(void)state;
	check_host("lab-2x12", true, 0, GOLDEN "host-2x12-pipe.txt");
}

static void a_host_without_an_agent_has_no_such_column(void **state)
{
	(void)state;
	check_host("lab-2x2x2-offline", false, 80, GOLDEN "host-offline-80.txt");
}

static void sparse_nodes_and_long_lists_fit(void **state)
{
	(void)state;
	check_host("composed-power9-smt2", false, 80, GOLDEN "host-power9-80.txt");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_plan_lists_its_steps_in_order),
		cmocka_unit_test(a_plan_without_steps_says_so),
		cmocka_unit_test(a_host_shows_whom_its_cpus_are_promised_to),
		cmocka_unit_test(a_pipe_gets_one_line_for_each_cpu),
		cmocka_unit_test(a_host_without_an_agent_has_no_such_column),
		cmocka_unit_test(no_name_steers_the_terminal),
		cmocka_unit_test(sparse_nodes_and_long_lists_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
