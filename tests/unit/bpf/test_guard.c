// SPDX-License-Identifier: GPL-2.0-or-later
/* Whether a host can refuse anything, by what its kernel says. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "bpf/guard.h"

static void an_active_bpf_lsm_can_refuse(void **state)
{
	static const char *const lists[] = {"bpf", "bpf\n", "lockdown,yama,bpf", "bpf,yama\n",
					    "capability,bpf,landlock"};
	struct pf_err err = {};

	(void)state;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		if (pf_guard_judge(lists[i], true, &err))
			fail_msg("%s: %s", lists[i], err.text);
}

static void a_host_that_cannot_says_why_and_what_to_do(void **state)
{
	static const struct {
		const char *lsm;
		bool built_in;
		const char *words;
	} bad[] = {
		{"lockdown,yama\n", true, "boot it with lsm=lockdown,yama,bpf on the kernel"},
		{"", true, "boot it with lsm=bpf on the kernel"},
		{"\n", true, "boot it with lsm=bpf on the kernel"},
		{"ebpf,bpfx", true, "boot it with lsm=ebpf,bpfx,bpf on the kernel"},
		{NULL, true, "mount securityfs"},
		{"lockdown,bpf", false, "built without BPF LSM (CONFIG_BPF_LSM)"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct pf_err err = {};

		assert_int_equal(pf_guard_judge(bad[i].lsm, bad[i].built_in, &err), -ENOTSUP);
		if (!strstr(err.text, bad[i].words))
			fail_msg("'%s': %s", bad[i].lsm ?: "-", err.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_active_bpf_lsm_can_refuse),
		cmocka_unit_test(a_host_that_cannot_says_why_and_what_to_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
