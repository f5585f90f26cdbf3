// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "agent/model/role.h"

static const struct {
	struct pf_role role;
	const char *text;
	const char *leaf;
} names[] = {
	{{PF_ROLE_VCPU, 0}, "vcpu 0", "vcpu0"},
	{{PF_ROLE_VCPU, 4294967295U}, "vcpu 4294967295", "vcpu4294967295"},
	{{PF_ROLE_IOTHREAD, 1}, "iothread 1", "iothread1"},
	{{PF_ROLE_EMULATOR, 0}, "emulator", "emulator"},
	{{PF_ROLE_HELPER, 0}, "helper", "helper"},
};

static void a_role_reads_back_what_it_writes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct pf_role back = {PF_ROLE_HELPER, 99};
		char text[PF_ROLE_TEXT_MAX];

		assert_string_equal(pf_role_format(names[i].role, text), names[i].text);
		assert_int_equal(pf_role_parse(text, &back), 0);
		assert_true(pf_role_equal(back, names[i].role));
		assert_string_equal(pf_role_leaf(names[i].role, text), names[i].leaf);
	}
}

static void what_is_no_role_is_refused(void **state)
{
	static const char *const bad[] = {"", "vcpu", "vcpu ", "vcpu x", "vcpu 1x", "iothread",
					  "Emulator", "helper 1", "emulator "};
	struct pf_role role = {PF_ROLE_VCPU, 7};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(pf_role_parse(bad[i], &role), -EINVAL);
		assert_int_equal(role.kind, PF_ROLE_VCPU);
		assert_int_equal(role.index, 7);
	}
}

static void vcpus_differ_by_their_number(void **state)
{
	(void)state;
	assert_false(pf_role_equal((struct pf_role){PF_ROLE_VCPU, 0},
				   (struct pf_role){PF_ROLE_VCPU, 1}));
	assert_false(pf_role_equal((struct pf_role){PF_ROLE_VCPU, 1},
				   (struct pf_role){PF_ROLE_IOTHREAD, 1}));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_role_reads_back_what_it_writes),
		cmocka_unit_test(what_is_no_role_is_refused),
		cmocka_unit_test(vcpus_differ_by_their_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
