// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/base/cleanup.h"
#include "agent/model/promise_diff.h"

static struct pf_vcpu vcpus[2], others[2];
static struct pf_iothread iothread = {.index = 1};
static struct pf_promise old, new;

static int set_up(void **state)
{
	(void)state;
	memset(vcpus, 0, sizeof(vcpus));
	vcpus[0].online = true;
	vcpus[0].pin.set = true;
	pf_set_parse("2", &vcpus[0].pin.cpus, NULL);
	vcpus[1].index = 1;
	memcpy(others, vcpus, sizeof(others));
	old = new = (struct pf_promise){.vcpus = vcpus, .vcpu_count = 2};
	new.vcpus = others;
	return 0;
}

static void differs(const char *want)
{
	pf_auto_free char *text = NULL;

	assert_int_equal(pf_promise_diff(&old, &new, &text), 0);
	if (want)
		assert_string_equal(text, want);
	else
		assert_null(text);
}

static void equal_promises_do_not_differ(void **state)
{
	(void)state;
	differs(NULL);
	others[0].tid = 4242; /* a fact, not a promise */
	differs(NULL);
}

static void each_change_is_told_with_both_values(void **state)
{
	(void)state;
	pf_set_parse("3-4", &others[0].pin.cpus, NULL);
	others[1].online = true;
	new.has_shares = true;
	new.shares = 600;
	differs("vcpu 0 cpus 2 -> 3-4; vcpu 1 state offline -> online; shares - -> 600");
}

static void what_is_no_longer_promised_is_told(void **state)
{
	(void)state;
	others[0].pin.set = false;
	old.iothreads = &iothread;
	old.iothread_count = 1;
	old.memory.mode = PF_MEMORY_STRICT;
	old.memory.nodes_known = true;
	pf_set_parse("1", &old.memory.nodes, NULL);
	new.memory = old.memory;
	pf_set_parse("0-1", &new.memory.nodes, NULL);
	old.vcpu_bandwidth.has_quota = true;
	old.vcpu_bandwidth.quota_usec = -1;
	new.policy.has_mode = true;
	new.policy.mode = PF_MODE_OBSERVE;
	differs("memory nodes 1 -> 0-1; mode - -> observe; vcpu 0 cpus 2 -> -; iothread 1 state "
		"there -> -; vcpu quota -1 -> -");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(equal_promises_do_not_differ, set_up),
		cmocka_unit_test_setup(each_change_is_told_with_both_values, set_up),
		cmocka_unit_test_setup(what_is_no_longer_promised_is_told, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
