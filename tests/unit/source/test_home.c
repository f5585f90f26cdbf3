// SPDX-License-Identifier: GPL-2.0-or-later
/* Where libvirt puts a guest; the names are those that libvirt 9 gave in the lab. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/base/cleanup.h"
#include "agent/source/home.h"

#define LONG "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggggggggg"

static void assert_home(int id, const char *name, const char *partition, bool machined,
			const char *unit_path, const char *base)
{
	PF_CLEANUP(pf_home_clear) struct pf_home home = {};
	struct pf_guest guest = {
		.id = id, .name = (char *)name, .partition = (char *)partition};

	assert_int_equal(pf_home_find(&guest, machined, &home), 1);
	assert_string_equal(home.base, base);
	if (unit_path) {
		assert_string_equal(home.unit_path, unit_path);
		assert_string_equal(home.unit, strrchr(unit_path, '/') + 1);
	} else {
		assert_null(home.unit_path);
		assert_null(home.unit);
	}
	assert_true(pf_home_owns(&guest, base));
	guest.id++;
	assert_false(pf_home_owns(&guest, base));
}

static void scopes_are_named_as_machined_names_them(void **state)
{
	(void)state;
	assert_home(1, "web", "/machine", true, "/machine.slice/machine-qemu\\x2d1\\x2dweb.scope",
		    "/machine.slice/machine-qemu\\x2d1\\x2dweb.scope/libvirt");
	assert_home(12, "odd \\name", "/machine", true,
		    "/machine.slice/machine-qemu\\x2d12\\x2doddname.scope",
		    "/machine.slice/machine-qemu\\x2d12\\x2doddname.scope/libvirt");
	assert_home(3, ".a_b..c- d.-", "/machine", true,
		    "/machine.slice/machine-qemu\\x2d3\\x2dab.c\\x2dd.scope",
		    "/machine.slice/machine-qemu\\x2d3\\x2dab.c\\x2dd.scope/libvirt");
}

static void a_long_name_is_cut(void **state)
{
	(void)state;
	assert_home(7, LONG, "/machine", false, NULL,
		    "/machine/qemu-7-aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeefffffff"
		    ".libvirt-qemu");
}

static void a_partition_is_a_slice_or_a_folder(void **state)
{
	(void)state;
	assert_home(2, "db", "/machine/gold-plated", true,
		    "/machine.slice/machine-gold\\x2dplated.slice/"
		    "machine-qemu\\x2d2\\x2ddb.scope",
		    "/machine.slice/machine-gold\\x2dplated.slice/"
		    "machine-qemu\\x2d2\\x2ddb.scope/libvirt");
	assert_home(2, "db", "/machine/gold", false, NULL,
		    "/machine/gold.partition/qemu-2-db.libvirt-qemu");
	assert_home(2, "db", "/mach/a.b", false, NULL,
		    "/mach.partition/a.b/qemu-2-db.libvirt-qemu");
}

static void what_libvirt_has_not_told_is_not_guessed(void **state)
{
	struct pf_guest guest = {.name = (char *)"web", .partition = (char *)"/machine"};
	struct pf_home home = {};

	(void)state;
	assert_int_equal(pf_home_find(&guest, true, &home), 0); /* no number: it does not run */
	guest.id = 1;
	guest.partition = NULL; /* libvirt made no group */
	assert_int_equal(pf_home_find(&guest, true, &home), 0);
	guest.partition = (char *)"/../etc";
	assert_int_equal(pf_home_find(&guest, true, &home), 0);
	guest.partition = (char *)"/machine";
	guest.source = PF_SOURCE_QEMU;
	assert_int_equal(pf_home_find(&guest, true, &home), 0);
}

static void another_guests_group_is_not_its_own(void **state)
{
	static const char *const others[] = {
		"/", "/foreign", "/machine/qemu-10-web.libvirt-qemu/emulator",
		"/machine/qemu-1.libvirt-qemu", "/user.slice/qemu-1-web",
		"/machine.slice/machine-qemu\\x2d11\\x2dweb.scope/libvirt/vcpu0",
		"/machine.slice/machine-qemu\\x2d1\\x2dweb.slice/libvirt",
		"/machine.slice/machine-qemu\\x2d99999999999\\x2dweb.scope/libvirt",
	};
	struct pf_guest guest = {.id = 1, .name = (char *)"web"};

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (pf_home_owns(&guest, others[i]))
			fail_msg("%s is taken for its own", others[i]);
	guest.id = 0;
	assert_true(pf_home_owns(&guest, others[2]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scopes_are_named_as_machined_names_them),
		cmocka_unit_test(a_long_name_is_cut),
		cmocka_unit_test(a_partition_is_a_slice_or_a_folder),
		cmocka_unit_test(what_libvirt_has_not_told_is_not_guessed),
		cmocka_unit_test(another_guests_group_is_not_its_own),
	};

	return cmocka_run_group_tests_name("home", tests, NULL, NULL);
}
