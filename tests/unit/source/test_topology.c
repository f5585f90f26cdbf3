// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Dumps of hosts (data/hosts/README.md) give the JSON beside them. With PF_GOLDEN=write in the
 * environment the JSON is written anew, to be read in the diff before it is committed.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/base/cleanup.h"
#include "agent/base/file.h"
#include "agent/model/wire.h"
#include "agent/source/topology.h"

#define HOSTS "tests/unit/source/data/hosts"

static char sysroot[64];

static int set_up(void **state)
{
	(void)state;
	strcpy(sysroot, "/tmp/pinfold-topology-XXXXXX");
	return mkdtemp(sysroot) ? 0 : -1;
}

static int tear_down(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", sysroot);
	return system(command);
}

static void unpack(const char *name)
{
	char command[256];

	snprintf(command, sizeof(command), HOSTS "/hostdump unpack " HOSTS "/%s.dump '%s'", name,
		 sysroot);
	assert_int_equal(system(command), 0);
}

/* Replaces one file of the unpacked dump; NULL removes it. */
static void put(const char *path, const char *text)
{
	char full[256], parent[256];

	snprintf(full, sizeof(full), "%s%s", sysroot, path);
	if (!text) {
		assert_int_equal(unlink(full), 0);
		return;
	}
	strcpy(parent, full);
	*strrchr(parent, '/') = '\0';
	assert_int_equal(pf_mkdir_all(parent, 0755, NULL), 0);
	assert_int_equal(pf_file_replace(full, text, 0644, NULL), 0);
}

static char *as_json(const struct pf_host *host)
{
	pf_auto_free char *text = NULL;
	char *pretty = NULL;

	assert_int_equal(pf_wire_encode_host(host, NULL, &text), 0);
	assert_int_equal(pf_wire_pretty(text, strlen(text), &pretty, NULL), 0);
	return pretty;
}

static void check_golden(const char *name)
{
	PF_CLEANUP(pf_host_clear) struct pf_host host = {};
	pf_auto_free char *got = NULL, *want = NULL;
	struct pf_err err = {};
	char path[128];

	unpack(name);
	if (pf_topology_read(sysroot, &host, &err) < 0)
		fail_msg("%s: %s", name, err.text);
	got = as_json(&host);
	snprintf(path, sizeof(path), HOSTS "/%s.json", name);
	if (getenv("PF_GOLDEN"))
		assert_int_equal(pf_file_replace(path, got, 0644, NULL), 0);
	assert_int_equal(pf_file_read(AT_FDCWD, path, &want, NULL), 0);
	assert_string_equal(got, want);
}

#define GOLDEN(function, name)                                                                     \
	static void function(void **state)                                                         \
	{                                                                                          \
		(void)state;                                                                       \
		check_golden(name);                                                                \
	}

GOLDEN(a_small_virtual_machine, "small-vm")
GOLDEN(the_lab_with_4_nodes, "lab-4x2")
GOLDEN(the_lab_with_24_cpus, "lab-2x12")
GOLDEN(the_lab_with_2_sockets_of_4, "lab-2x2x2")
GOLDEN(the_lab_with_offline_cpus_and_huge_pages, "lab-2x2x2-offline")
GOLDEN(power9_with_sparse_nodes_and_smt2_of_4, "composed-power9-smt2")
GOLDEN(xeon_with_smt_and_1g_pages, "composed-xeon-smt")
GOLDEN(nodes_without_memory, "composed-memoryless")
GOLDEN(a_kernel_without_numa, "composed-without-numa")

static void sparse_nodes_keep_their_numbers(void **state)
{
	PF_CLEANUP(pf_host_clear) struct pf_host host = {};
	const struct pf_host_node *gpu;

	(void)state;
	unpack("composed-power9-smt2");
	assert_int_equal(pf_topology_read(sysroot, &host, NULL), 0);
	gpu = pf_host_node_find(&host, 252);
	assert_non_null(gpu);
	assert_true(pf_set_empty(&gpu->cpus));
	assert_int_equal(gpu->distances[2], 10);
	assert_int_equal(pf_host_cpu_find(&host, 77)->node, 8);
	/* CPU 79 is offline: its node is known from its link, its core isn't. */
	assert_false(pf_host_cpu_find(&host, 79)->online);
	assert_int_equal(pf_host_cpu_find(&host, 79)->node, 8);
	assert_int_equal(pf_host_cpu_find(&host, 79)->core, -1);
}

static void assert_refused(int code, const char *words)
{
	struct pf_host host = {.cpu_count = 77};
	struct pf_err err = {};

	assert_int_equal(pf_topology_read(sysroot, &host, &err), code);
	if (!strstr(err.text, words) || !strstr(err.text, sysroot))
		fail_msg("'%s' does not say '%s' and where", err.text, words);
	assert_int_equal(host.cpu_count, 77);
}

static void what_the_kernel_would_not_write_is_refused(void **state)
{
	(void)state;
	assert_refused(-ENOENT, "cpu/present");
	unpack("lab-4x2");
	put("/sys/devices/system/node/node1/distance", "20 10 20\n");
	assert_refused(-EBADMSG, "node1/distance holds '20 10 20', not 4 distances");
	put("/sys/devices/system/node/node1/distance", "20 10 20 20 20\n");
	assert_refused(-EBADMSG, "not 4 distances");
	put("/sys/devices/system/node/node1/distance", "20 10 20 20\n");
	put("/sys/devices/system/node/node1/meminfo", "Node 1 MemTotal: many kB\n");
	assert_refused(-EBADMSG, "node1/meminfo does not say MemTotal and MemFree");
	put("/sys/devices/system/node/node1/meminfo", NULL);
	assert_refused(-ENOENT, "node1/meminfo");
	put("/sys/devices/system/node/node1/meminfo", "MemTotal: 2 kB\nMemFree: 1 kB\n");
	put("/sys/devices/system/cpu/cpu2/topology/core_id", "zero");
	assert_refused(-EBADMSG, "core_id holds 'zero'");
	put("/sys/devices/system/cpu/cpu2/topology/core_id", "0");
	put("/sys/devices/system/cpu/online", "0-");
	assert_refused(-EINVAL, "cpu/online");
	put("/sys/devices/system/cpu/present", "\n");
	assert_refused(-EBADMSG, "names no CPU");
}

static void a_root_that_is_not_there_is_named(void **state)
{
	struct pf_host host = {};
	struct pf_err err = {};

	(void)state;
	assert_int_equal(pf_topology_read("/nonexistent/root", &host, &err), -ENOENT);
	assert_non_null(strstr(err.text, "/nonexistent/root"));
}

static void refreshing_follows_a_cpu_that_goes_and_returns(void **state)
{
	PF_CLEANUP(pf_host_clear) struct pf_host host = {};
	pf_auto_free char *before = NULL, *after = NULL;
	pf_auto_close int root = -1;
	struct pf_host_cpu *cpus;

	(void)state;
	unpack("lab-4x2");
	root = pf_root_open(sysroot, NULL);
	assert_int_equal(pf_topology_read(sysroot, &host, NULL), 0);
	before = as_json(&host);
	cpus = host.cpus;
	assert_int_equal(pf_topology_refresh(root, &host, NULL), 0);
	assert_ptr_equal(host.cpus, cpus); /* nothing changed, nothing was read again */

	put("/sys/devices/system/cpu/online", "0-4,6-7\n");
	assert_int_equal(pf_topology_refresh(root, &host, NULL), 0);
	assert_false(pf_host_cpu_find(&host, 5)->online);
	assert_false(pf_set_has(&pf_host_node_find(&host, 2)->cpus, 5));
	assert_int_equal(pf_host_cpu_find(&host, 5)->node, 2);

	put("/sys/devices/system/cpu/online", "0-7\n");
	assert_int_equal(pf_topology_refresh(root, &host, NULL), 0);
	after = as_json(&host);
	assert_string_equal(after, before);
}

static void a_failed_refresh_leaves_the_host_as_it_was(void **state)
{
	PF_CLEANUP(pf_host_clear) struct pf_host host = {};
	pf_auto_free char *before = NULL, *after = NULL;
	pf_auto_close int root = -1;
	struct pf_err err = {};

	(void)state;
	unpack("lab-4x2");
	root = pf_root_open(sysroot, NULL);
	assert_int_equal(pf_topology_read(sysroot, &host, NULL), 0);
	before = as_json(&host);
	put("/sys/devices/system/cpu/online", "0-6\n");
	put("/sys/devices/system/node/node3/cpulist", NULL);
	assert_int_equal(pf_topology_refresh(root, &host, &err), -ENOENT);
	assert_non_null(strstr(err.text, "node3/cpulist"));
	after = as_json(&host);
	assert_string_equal(after, before);
}

/*
 * On the live root memory and distances come from libnuma, below any other root from sysfs:
 * "/proc/self/root" is the same tree by another name, so both must say the same.
 */
static void libnuma_and_sysfs_agree_on_this_host(void **state)
{
	PF_CLEANUP(pf_host_clear) struct pf_host numa = {}, sysfs = {};
	pf_auto_free char *left = NULL, *right = NULL;

	(void)state;
	assert_int_equal(pf_topology_read(NULL, &numa, NULL), 0);
	assert_int_equal(pf_topology_read("/proc/self/root", &sysfs, NULL), 0);
	assert_int_equal(numa.node_count, sysfs.node_count);
	for (size_t i = 0; i < numa.node_count; i++) {
		assert_true(numa.nodes[i].memory_free_kib > 0 || !numa.nodes[i].memory_total_kib);
		/* What is free changes between two looks. */
		numa.nodes[i].memory_free_kib = sysfs.nodes[i].memory_free_kib = 0;
	}
	left = as_json(&numa);
	right = as_json(&sysfs);
	assert_string_equal(left, right);
	assert_true(numa.cpu_count > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_small_virtual_machine),
		TEST(the_lab_with_4_nodes),
		TEST(the_lab_with_24_cpus),
		TEST(the_lab_with_2_sockets_of_4),
		TEST(the_lab_with_offline_cpus_and_huge_pages),
		TEST(power9_with_sparse_nodes_and_smt2_of_4),
		TEST(xeon_with_smt_and_1g_pages),
		TEST(nodes_without_memory),
		TEST(a_kernel_without_numa),
		TEST(sparse_nodes_keep_their_numbers),
		TEST(what_the_kernel_would_not_write_is_refused),
		TEST(a_root_that_is_not_there_is_named),
		TEST(refreshing_follows_a_cpu_that_goes_and_returns),
		TEST(a_failed_refresh_leaves_the_host_as_it_was),
		TEST(libnuma_and_sysfs_agree_on_this_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
