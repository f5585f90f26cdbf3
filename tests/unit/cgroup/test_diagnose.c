// SPDX-License-Identifier: GPL-2.0-or-later
/* What the agent says on a host that it can't work on. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cgroup/kernel.h"

static void assert_says(const struct pf_err *err, const char *word)
{
	if (!strstr(err->text, word))
		fail_msg("'%s' does not say '%s'", err->text, word);
}

static void both_on_v2_is_fine(void **state)
{
	struct pf_cgroup_mounts mounts = {.cpuset = "/sys/fs/cgroup",
					  .cpu = "/sys/fs/cgroup",
					  .cpuset_v2 = true,
					  .cpu_v2 = true};
	struct pf_err err = {};

	(void)state;
	assert_int_equal(pf_cgroup_diagnose(&mounts, &err), 0);
}

static void v1_names_the_command_line(void **state)
{
	struct pf_cgroup_mounts mounts = {.cpuset = "/sys/fs/cgroup/cpuset",
					  .cpu = "/sys/fs/cgroup/cpu,cpuacct",
					  .v2 = "/sys/fs/cgroup/unified",
					  .v2_controllers = "hugetlb"};
	struct pf_err err = {};

	(void)state;
	assert_int_equal(pf_cgroup_diagnose(&mounts, &err), -EMEDIUMTYPE);
	assert_int_equal(err.code, -EMEDIUMTYPE);
	assert_says(&err, "cpuset (/sys/fs/cgroup/cpuset)");
	assert_says(&err, "cpu (/sys/fs/cgroup/cpu,cpuacct)");
	assert_says(&err, "systemd.unified_cgroup_hierarchy=1 cgroup_no_v1=all");
}

static void one_on_v1_is_named_alone(void **state)
{
	struct pf_cgroup_mounts mounts = {.cpuset = "/sys/fs/cgroup/cpuset",
					  .cpu = "/sys/fs/cgroup/unified",
					  .cpu_v2 = true,
					  .v2 = "/sys/fs/cgroup/unified",
					  .v2_controllers = "cpu"};
	struct pf_err err = {};

	(void)state;
	assert_int_equal(pf_cgroup_diagnose(&mounts, &err), -EMEDIUMTYPE);
	assert_says(&err, "the controller cpuset (/sys/fs/cgroup/cpuset) is on cgroup v1");
}

static void a_missing_controller_is_named(void **state)
{
	struct pf_cgroup_mounts mounts = {.cpu = "/sys/fs/cgroup",
					  .cpu_v2 = true,
					  .v2 = "/sys/fs/cgroup",
					  .v2_controllers = "cpu io memory pids"};
	struct pf_err err = {};

	(void)state;
	assert_int_equal(pf_cgroup_diagnose(&mounts, &err), -ENODEV);
	assert_says(&err, "'cpu io memory pids', not cpuset");
	assert_says(&err, "CONFIG_CPUSETS");
	mounts = (struct pf_cgroup_mounts){.cpuset = "/sys/fs/cgroup",
					   .cpuset_v2 = true,
					   .v2 = "/sys/fs/cgroup",
					   .v2_controllers = "cpuset"};
	assert_int_equal(pf_cgroup_diagnose(&mounts, &err), -ENODEV);
	assert_says(&err, "'cpuset', not cpu:");
	assert_says(&err, "CONFIG_CFS_BANDWIDTH");
}

static void nothing_mounted_says_how_to_mount(void **state)
{
	struct pf_cgroup_mounts mounts = {};
	struct pf_err err = {};

	(void)state;
	assert_int_equal(pf_cgroup_diagnose(&mounts, &err), -ENODEV);
	assert_says(&err, "mount -t cgroup2 cgroup2 /sys/fs/cgroup");
	assert_says(&err, "cgroup_no_v1=all");
}

/* Mount points of any length leave the message whole: what to do stands at its end. */
static void long_mount_points_leave_room(void **state)
{
	char mount[1000];
	struct pf_cgroup_mounts mounts = {.cpuset = mount, .cpu = mount, .v2 = mount};
	struct pf_err err = {};

	(void)state;
	memset(mount, 'm', sizeof(mount) - 1);
	mount[sizeof(mount) - 1] = '\0';
	assert_int_equal(pf_cgroup_diagnose(&mounts, &err), -EMEDIUMTYPE);
	assert_says(&err, "on the kernel command line");
	mounts = (struct pf_cgroup_mounts){.v2 = mount, .v2_controllers = mount};
	assert_int_equal(pf_cgroup_diagnose(&mounts, &err), -ENODEV);
	assert_says(&err, "cgroup.subtree_control");
}

static void long_groups_are_cut_in_the_middle(void **state)
{
	char group[900] = "/machine.slice/", word[PF_GROUP_WORD];
	size_t len = strlen(group);
	const char *cut;

	(void)state;
	assert_string_equal(pf_group_word("/a/b", word), "/a/b");
	memset(group + len, 'x', sizeof(group) - len - 1);
	strcpy(group + sizeof(group) - 7, "/vcpu0");
	cut = pf_group_word(group, word);
	assert_true(strlen(cut) < PF_GROUP_WORD);
	assert_int_equal(strncmp(cut, "/machine.slice/xx", 17), 0);
	assert_string_equal(cut + strlen(cut) - 6, "/vcpu0");
	assert_non_null(strstr(cut, "..."));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_on_v2_is_fine),
		cmocka_unit_test(v1_names_the_command_line),
		cmocka_unit_test(one_on_v1_is_named_alone),
		cmocka_unit_test(a_missing_controller_is_named),
		cmocka_unit_test(nothing_mounted_says_how_to_mount),
		cmocka_unit_test(long_mount_points_leave_room),
		cmocka_unit_test(long_groups_are_cut_in_the_middle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
