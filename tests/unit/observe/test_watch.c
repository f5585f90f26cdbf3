// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The programs follow a guest's placement: on this kernel, mostly without pins. The guest is the group that
 * this process is in; other processes there may add escapes of their own.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "agent/base/cleanup.h"
#include "agent/observe/watch.h"
#include "tests/unit/bpf/kernel_test.h"

#define UUID "00000000-0000-4000-8000-000000000001"
#define LEAF "/machine.slice/bench.scope/libvirt/vcpu0"

static char folder[] = "/tmp/pf-watch-XXXXXX";
static const char *pins; /* NULL: without */
static struct pf_watch *watch;
static struct pf_group leaf;
static struct pf_group_actual group;

static void ignore(const struct pf_record *record, const char *uuid, const char *path,
		   void *arg)
{
	(void)record, (void)uuid, (void)path, (void)arg;
}

static bool strayed;

static void follow(size_t groups)
{
	struct pf_placement placement = {
		.uuid = UUID,
		.name = (char *)"bench",
		.pid = getpid(),
		.strayed = strayed,
		.groups = &leaf,
		.group_count = groups,
	};
	struct pf_actual actual = {.groups = &group, .group_count = groups};
	struct pf_err err = {};

	if (pf_watch_guest(watch, &placement, &actual, false, &err) < 0 ||
	    pf_watch_settle(watch, &err) < 0)
		fail_msg("%s", err.text);
}

static int setup(void **state)
{
	char seen[64], spool[64];
	struct pf_host_cpu cpus[] = {{.cpu = 0, .online = true}, {.cpu = 1, .online = true}};
	const struct pf_host host = {.cpus = cpus, .cpu_count = 2};
	const struct pf_watch_options options = {
		.pin_path = pins,
		.seen_path = seen,
		.spool_path = spool,
		.on_record = ignore,
	};
	struct pf_err err = {};

	(void)state;
	if (!mkdtemp(folder))
		return -1;
	snprintf(seen, sizeof(seen), "%s/seen", folder);
	snprintf(spool, sizeof(spool), "%s/spool", folder);
	if (pf_watch_open(&options, &host, &watch, &err) < 0) {
		print_error("%s\n", err.text);
		return -1;
	}
	unlink(seen);
	unlink(spool);
	rmdir(folder);
	leaf = (struct pf_group){
		.level = PF_GROUP_LEAF,
		.role = {PF_ROLE_VCPU, 0},
		.path = (char *)LEAF,
		.cpus_rule = PF_SET_EXACT,
	};
	pf_set_add(&leaf.cpus, 0);
	group = (struct pf_group_actual){.exists = true, .cgid = own_group_id()};
	go_to(0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	pf_watch_close(&watch);
	return 0;
}

static void leave_and_come_back(void)
{
	go_to(1);
	spin_ns(2000000);
	go_to(0);
}

static uint64_t escapes(void)
{
	struct pf_counters sum = {};
	struct pf_err err = {};

	if (pf_watch_counters(watch, UUID, &sum, &err) < 0)
		fail_msg("%s", err.text);
	return sum.escapes;
}

static void a_guest_that_is_not_watched_has_no_counters(void **state)
{
	struct pf_guest_status guest = {.uuid = UUID};
	struct pf_counters sum;

	(void)state;
	assert_int_equal(pf_watch_counters(watch, UUID, &sum, NULL), -ENOENT);
	assert_int_equal(pf_watch_fill(watch, &guest, 1, NULL), 0);
	assert_false(guest.counted);
}

static void a_status_has_escapes_by_role_and_time_by_thread(void **state)
{
	struct pf_thread_status threads[] = {{.tid = gettid()}, {.tid = 1 << 30}};
	struct pf_guest_status guest = {.uuid = UUID, .threads = threads, .thread_count = 2};

	(void)state;
	follow(1);
	leave_and_come_back();
	assert_int_equal(pf_watch_fill(watch, &guest, 1, NULL), 0);
	assert_true(guest.counted);
	assert_int_equal(guest.role_count, 1);
	assert_true(pf_role_equal(guest.roles[0].role, leaf.role));
	assert_true(guest.roles[0].counts.escapes >= 1);
	assert_int_equal(guest.counts.escapes, guest.roles[0].counts.escapes);
	assert_true(threads[0].timed && !threads[1].timed);
	assert_true(threads[0].away_ns >= 2000000);
	assert_int_equal(threads[0].remote_ns, 0);
	assert_true(guest.counts.away_ns >= threads[0].away_ns);
	free(guest.roles);
}

static void a_stay_that_goes_on_counts(void **state)
{
	struct pf_thread_status thread = {.tid = gettid()};
	struct pf_guest_status guest = {.uuid = UUID, .threads = &thread, .thread_count = 1};

	(void)state;
	follow(1);
	go_to(1);
	spin_ns(30000000);
	assert_int_equal(pf_watch_fill(watch, &guest, 1, NULL), 0);
	go_to(0);
	assert_true(thread.away_ns >= 10000000);
	assert_true(guest.counts.away_ns >= thread.away_ns);
	free(guest.roles);
}

static void a_leaf_that_is_gone_keeps_its_count_and_goes_on_when_made_anew(void **state)
{
	uint64_t before;

	(void)state;
	follow(1);
	leave_and_come_back();
	before = escapes();
	assert_true(before >= 1);
	group.exists = false;
	follow(1);
	assert_true(escapes() >= before);
	leave_and_come_back(); /* its threads are judged by it all the same */
	assert_true(escapes() > before);
	before = escapes();
	group.exists = true;
	group.cgid = 1ULL << 60;
	follow(1);
	assert_true(escapes() >= before);
}

static void a_role_that_is_given_up_counts_in_the_sum_alone(void **state)
{
	struct pf_guest_status guest = {.uuid = UUID};
	uint64_t before;

	(void)state;
	follow(1);
	leave_and_come_back();
	before = escapes();
	follow(0);
	assert_true(escapes() >= before);
	before = escapes();
	leave_and_come_back();
	assert_int_equal(escapes(), before);
	assert_int_equal(pf_watch_fill(watch, &guest, 1, NULL), 0);
	assert_true(guest.counted);
	assert_int_equal(guest.role_count, 0);
	assert_int_equal(guest.counts.escapes, before);
	pf_watch_drop(watch, UUID);
	assert_int_equal(pf_watch_counters(watch, UUID, &(struct pf_counters){}, NULL), -ENOENT);
}

/* What rmdir(2) does to the table when all have left the group. */
static void lose_the_group(void)
{
	struct pf_policy *policy = pf_bpf_policy(pf_watch_programs(watch));

	assert_int_equal(pf_group_remove(policy, own_group_id()), 0);
	assert_int_equal(pf_bpf_settle(pf_watch_programs(watch), NULL, NULL, NULL), 0);
	group.exists = false;
	strayed = true;
}

static int setup_anew(void **state);

static void a_process_that_strayed_is_watched_on_by_the_next_agent(void **state)
{
	uint64_t before;

	follow(1);
	leave_and_come_back();
	lose_the_group();
	before = escapes();
	assert_true(before >= 1);
	pf_watch_close(&watch);
	assert_int_equal(setup_anew(state), 0);
	group.exists = false;
	assert_int_equal(pf_watch_origin(watch), PF_BPF_ADOPTED);
	follow(1);
	pf_watch_sweep(watch);
	assert_true(escapes() >= before);
	before = escapes();
	leave_and_come_back();
	assert_true(escapes() > before);
	group = (struct pf_group_actual){.exists = true, .cgid = own_group_id()};
	strayed = false;
	follow(1); /* brought back */
	assert_true(escapes() > before);
	before = escapes();
	leave_and_come_back();
	assert_true(escapes() > before);
}

#define in_turn(test) cmocka_unit_test_setup_teardown(test, setup_anew, teardown)

static char pin_folder[256];

static int setup_pinned(void **state)
{
	if (!private_bpffs())
		return -1;
	snprintf(pin_folder, sizeof(pin_folder), "%s/pinfold", private_bpffs());
	pins = pin_folder;
	return setup_anew(state);
}

static int teardown_pinned(void **state)
{
	int r = teardown(state);

	strayed = false;
	pins = NULL;
	return pf_bpf_uninstall(pin_folder, NULL) < 0 ? -1 : r;
}

static int setup_anew(void **state)
{
	strcpy(folder + strlen(folder) - 6, "XXXXXX");
	return setup(state);
}

int main(void)
{
	int failed;
	const struct CMUnitTest tests[] = {
		in_turn(a_guest_that_is_not_watched_has_no_counters),
		in_turn(a_status_has_escapes_by_role_and_time_by_thread),
		in_turn(a_stay_that_goes_on_counts),
		in_turn(a_leaf_that_is_gone_keeps_its_count_and_goes_on_when_made_anew),
		in_turn(a_role_that_is_given_up_counts_in_the_sum_alone),
		cmocka_unit_test_setup_teardown(
			a_process_that_strayed_is_watched_on_by_the_next_agent, setup_pinned,
			teardown_pinned),
	};

	if (geteuid() || !own_group_id() || sysconf(_SC_NPROCESSORS_ONLN) < 2) {
		printf("# SKIP needs root, a cgroup2 file system and two CPUs\n");
		return 0;
	}
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	remove_private_bpffs();
	return failed;
}
