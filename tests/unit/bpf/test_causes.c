// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who did it, on a real kernel with real groups. Makes groups and takes a CPU offline, so it runs
 * in the lab only (PF_LAB=1), with cgroup v2 alone and at least four CPUs.
 *
 * A victim spins on CPU 1, which is what its group was promised; a culprit, another process with
 * another name and another user, does one thing to it.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "agent/base/cleanup.h"
#include "bpf/loader.h"
#include "tests/unit/bpf/kernel_test.h"

#define ROOT "/sys/fs/cgroup"
#define GUEST_GROUP ROOT "/pf-guest"
#define OTHER_GROUP ROOT "/pf-other"
#define CHILD_GROUP GUEST_GROUP "/child"
#define CPU1_ONLINE "/sys/devices/system/cpu/cpu1/online"
#define CULPRIT_UID 4711
#define RECORDS_MAX 256
#define PATIENCE_MS 20000

static struct {
	struct pf_knob_record all[RECORDS_MAX];
	size_t count;
} heard;

static struct pf_bpf *bpf;
static uint32_t slot;
static pid_t victim;
/*
 * All hooks are there, so causes have actors. A kernel that takes one fentry program takes all of
 * ours: anything else is a fault of the programs, not of the kernel.
 */
static bool can_name;

static int hear(const struct pf_record *record, void *arg)
{
	size_t size = record->kind == PF_REC_KNOB ? sizeof(heard.all[0]) : sizeof(*record);

	(void)arg;
	if (heard.count < RECORDS_MAX)
		memcpy(&heard.all[heard.count++], record, size);
	return 0;
}

static int put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), r = 0;

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		r = -errno;
	if (fd >= 0)
		close(fd);
	return r;
}

static void must_put(const char *path, const char *text)
{
	int r = put(path, text);

	if (r)
		fail_msg("write %s to %s: %s", text, path, strerror(-r));
}

static uint64_t group_id(const char *path)
{
	struct stat group;

	assert_int_equal(stat(path, &group), 0);
	return group.st_ino;
}

static void pin(pid_t pid, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	assert_int_equal(sched_setaffinity(pid, sizeof(set), &set), 0);
}

static int cpu_of(pid_t pid)
{
	char path[64], text[1024];
	int cpu = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "re");
	if (file && fgets(text, sizeof(text), file)) {
		char *at = strrchr(text, ')');

		for (int field = 2; at && field < 39; field++)
			at = strchr(at + 1, ' ');
		cpu = at ? atoi(at + 1) : -1;
	}
	if (file)
		fclose(file);
	return cpu;
}

static void wait_for_cpu(int cpu)
{
	for (int ms = 0; ms < PATIENCE_MS && cpu_of(victim) != cpu; ms += 10)
		usleep(10000);
	assert_int_equal(cpu_of(victim), cpu);
}

static void catch_up(void)
{
	unsigned int again;

	assert_true(pf_bpf_consume(bpf, &again, NULL) >= 0);
}

/* The first record of @kind, waiting for it. NULL when none comes. */
static const struct pf_knob_record *wait_for(enum pf_rec_kind kind)
{
	for (int ms = 0; ms < PATIENCE_MS; ms += 10) {
		catch_up();
		for (size_t i = 0; i < heard.count; i++)
			if (heard.all[i].rec.kind == kind)
				return &heard.all[i];
		usleep(10000);
	}
	return NULL;
}

static size_t how_many(enum pf_rec_kind kind)
{
	size_t count = 0;

	usleep(300000);
	catch_up();
	for (size_t i = 0; i < heard.count; i++)
		count += heard.all[i].rec.kind == kind;
	return count;
}

/* Runs @act in a process of its own, as "culprit"; as another user when @user. */
static pid_t culprit(void (*act)(void), bool user)
{
	int status = -1;
	pid_t pid = fork();

	if (!pid) {
		prctl(PR_SET_NAME, "culprit");
		if (user && setresuid(CULPRIT_UID, CULPRIT_UID, CULPRIT_UID))
			_exit(2);
		act();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	return pid;
}

static void assert_actor(const struct pf_record *record, pid_t pid, uint32_t uid)
{
	assert_true(record->flags & PF_RF_ACTOR);
	assert_int_equal(record->actor.pid, pid);
	assert_string_equal(record->actor.comm, "culprit");
	assert_int_equal(record->actor.uid, uid);
	assert_int_equal(record->actor.cgid, own_group_id());
}

static void assert_victim(const struct pf_record *record)
{
	assert_int_equal(record->tid, victim);
	assert_string_equal(record->comm, "victim");
	assert_int_equal(record->role, PF_REC_ROLE_VCPU);
	assert_int_equal(record->role_index, 5);
	assert_int_equal(record->slot, slot);
}

static void assert_escape(enum pf_rec_cause cause, pid_t pid, uint32_t uid, int to)
{
	const struct pf_knob_record *escape = wait_for(PF_REC_ESCAPE);

	assert_non_null(escape);
	assert_victim(&escape->rec);
	if (can_name)
		assert_int_equal(escape->rec.from_cpu, 1);
	if (to >= 0)
		assert_int_equal(escape->rec.to_cpu, to);
	assert_true(escape->rec.flags & PF_RF_OUT_CPU);
	if (can_name || cause == PF_CAUSE_CPU_OFFLINE)
		assert_int_equal(escape->rec.cause, cause);
	if (can_name)
		assert_actor(&escape->rec, pid, uid);
	assert_int_equal(how_many(PF_REC_ESCAPE), 1);
}

static void set_mask(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(2, &set);
	if (sched_setaffinity(victim, sizeof(set), &set))
		_exit(3);
}

static void an_affinity_call_is_named(void **state)
{
	const struct pf_knob_record *mask;
	pid_t pid = culprit(set_mask, true);

	(void)state;
	assert_escape(PF_CAUSE_AFFINITY, pid, CULPRIT_UID, 2);
	if (!can_name)
		return;
	mask = wait_for(PF_REC_MASK);
	assert_non_null(mask);
	assert_victim(&mask->rec);
	assert_actor(&mask->rec, pid, CULPRIT_UID);
	assert_int_equal(how_many(PF_REC_MASK), 1);
}

static void write_cpuset(void)
{
	if (put(GUEST_GROUP "/cpuset.cpus", "3\n"))
		_exit(3);
}

static void a_cpuset_write_is_named(void **state)
{
	const struct pf_knob_record *knob;
	pid_t pid = culprit(write_cpuset, false);

	(void)state;
	assert_escape(PF_CAUSE_CPUSET, pid, 0, 3);
	if (!can_name)
		return;
	knob = wait_for(PF_REC_KNOB);
	assert_non_null(knob);
	assert_int_equal(knob->rec.cause, PF_CAUSE_CPUSET);
	assert_int_equal(knob->rec.cgid, group_id(GUEST_GROUP));
	assert_int_equal(knob->rec.slot, slot);
	assert_string_equal(knob->knob, "cpuset.cpus");
	assert_string_equal(knob->text, "3\n");
	assert_actor(&knob->rec, pid, 0);
	assert_int_equal(how_many(PF_REC_KNOB), 1);
}

static void write_weight(void)
{
	if (put(GUEST_GROUP "/cpu.weight", "77"))
		_exit(3);
}

static void a_weight_write_is_named(void **state)
{
	const struct pf_knob_record *knob;
	pid_t pid;

	(void)state;
	if (!can_name) {
		print_message("# this kernel refuses fentry: no record of knobs\n");
		return;
	}
	pid = culprit(write_weight, false);
	knob = wait_for(PF_REC_KNOB);
	assert_non_null(knob);
	assert_int_equal(knob->rec.cause, PF_CAUSE_WEIGHT);
	assert_string_equal(knob->knob, "cpu.weight");
	assert_string_equal(knob->text, "77");
	assert_actor(&knob->rec, pid, 0);
	assert_int_equal(how_many(PF_REC_ESCAPE), 0);
}

static void move_out(void)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", victim);
	if (put(OTHER_GROUP "/cgroup.procs", text))
		_exit(3);
}

/* Its new group is no guest's: it is judged by what it was promised all the same. */
static void a_move_to_another_group_is_named(void **state)
{
	const struct pf_knob_record *moved;
	pid_t pid = culprit(move_out, false);

	(void)state;
	assert_escape(PF_CAUSE_CGROUP_MOVE, pid, 0, 2);
	moved = wait_for(PF_REC_MOVED);
	assert_non_null(moved);
	assert_victim(&moved->rec);
	assert_actor(&moved->rec, pid, 0);
	assert_int_equal(moved->rec.cgid, group_id(OTHER_GROUP));
	assert_int_equal(moved->rec.value, group_id(GUEST_GROUP));
	assert_true(moved->rec.flags & PF_RF_LEFT);
	assert_int_equal(how_many(PF_REC_MOVED), 1);
	/* And from now on by tid: back to its CPU, and out again. */
	heard.count = 0;
	must_put(OTHER_GROUP "/cpuset.cpus", "1");
	wait_for_cpu(1);
	assert_non_null(wait_for(PF_REC_RETURN));
	must_put(OTHER_GROUP "/cpuset.cpus", "3");
	assert_non_null(wait_for(PF_REC_ESCAPE));
	for (size_t i = 0; i < heard.count; i++)
		if (heard.all[i].rec.kind == PF_REC_ESCAPE)
			assert_true(heard.all[i].rec.flags & PF_RF_LEFT);
}

static void take_offline(void)
{
	if (put(CPU1_ONLINE, "0"))
		_exit(3);
}

static void an_offline_cpu_is_named(void **state)
{
	const struct pf_knob_record *cpu;
	pid_t pid = culprit(take_offline, false);

	(void)state;
	assert_escape(PF_CAUSE_CPU_OFFLINE, pid, 0, -1);
	cpu = wait_for(PF_REC_CPU);
	assert_non_null(cpu);
	assert_int_equal(cpu->rec.to_cpu, 1);
	assert_int_equal(cpu->rec.value, 0);
	if (can_name)
		assert_actor(&cpu->rec, pid, 0);
	heard.count = 0;
	must_put(CPU1_ONLINE, "1");
	cpu = wait_for(PF_REC_CPU);
	assert_non_null(cpu);
	assert_int_equal(cpu->rec.value, 1);
	assert_int_equal(how_many(PF_REC_CPU), 1);
}

static void make_child(void)
{
	if (mkdir(CHILD_GROUP, 0755))
		_exit(3);
}

static void a_child_group_inherits_the_promise(void **state)
{
	const struct pf_knob_record *made;
	char text[16];
	pid_t pid = culprit(make_child, false);

	(void)state;
	made = wait_for(PF_REC_GROUP);
	assert_non_null(made);
	assert_actor(&made->rec, pid, 0);
	assert_int_equal(made->rec.cgid, group_id(CHILD_GROUP));
	assert_int_equal(pf_group_find(pf_bpf_policy(bpf), group_id(CHILD_GROUP)), slot);
	snprintf(text, sizeof(text), "%d", victim);
	must_put(CHILD_GROUP "/cgroup.procs", text);
	pin(victim, 2);
	assert_non_null(wait_for(PF_REC_ESCAPE));
	must_put(GUEST_GROUP "/cgroup.procs", text);
	assert_int_equal(rmdir(CHILD_GROUP), 0);
	assert_int_equal(pf_group_count(pf_bpf_policy(bpf)), 1);
}

/* Held and left alone: nothing is told. */
static void nothing_is_told_of_a_thread_at_home(void **state)
{
	(void)state;
	sleep(10);
	assert_int_equal(how_many(PF_REC_ESCAPE), 0);
	/* NUMA balancing may bring its pages nearer; that is no act of anybody. */
	for (size_t i = 0; i < heard.count; i++) {
		print_message("# kind %u cause %u\n", heard.all[i].rec.kind,
			      heard.all[i].rec.cause);
		assert_int_equal(heard.all[i].rec.kind, PF_REC_PAGES);
		assert_int_equal(heard.all[i].rec.cause, PF_CAUSE_NUMA_BALANCING);
	}
}

static void spin_victim(void)
{
	pid_t pid = fork();

	if (!pid) {
		prctl(PR_SET_NAME, "victim");
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* The culprit may touch it: it is of the same user. */
		if (setresuid(CULPRIT_UID, CULPRIT_UID, CULPRIT_UID))
			_exit(2);
		for (;;)
			__asm__ volatile("");
	}
	victim = pid;
}

static void promise_cpu1(void)
{
	struct pf_slot_promise promise = { .guest = 3, .role = PF_REC_ROLE_VCPU, .role_index = 5 };
	struct pf_err err;

	pf_set_add(&promise.cpus, 1);
	pf_set_add_range(&promise.nodes, 0, PF_NODES - 1);
	if (pf_bpf_slot_add(bpf, &promise, &slot, &err) ||
	    pf_group_set(pf_bpf_policy(bpf), group_id(GUEST_GROUP), slot, &err) ||
	    pf_bpf_settle(bpf, NULL, NULL, &err))
		fail_msg("%s", err.text);
}

static int begin(void **state)
{
	char text[16];

	(void)state;
	mkdir(GUEST_GROUP, 0755);
	mkdir(OTHER_GROUP, 0755);
	must_put(GUEST_GROUP "/cpuset.cpus", "0-3");
	must_put(OTHER_GROUP "/cpuset.cpus", "2");
	spin_victim();
	snprintf(text, sizeof(text), "%d", victim);
	must_put(GUEST_GROUP "/cgroup.procs", text);
	pin(victim, 1);
	wait_for_cpu(1);
	promise_cpu1();
	catch_up();
	heard.count = 0;
	return 0;
}

static int end(void **state)
{
	(void)state;
	kill(victim, SIGKILL);
	waitpid(victim, NULL, 0);
	pf_slot_free(pf_bpf_policy(bpf), slot);
	put(CPU1_ONLINE, "1");
	for (int i = 0; i < 100 && rmdir(GUEST_GROUP) && errno == EBUSY; i++)
		usleep(20000);
	rmdir(OTHER_GROUP);
	return 0;
}

/* Once for all tests: attaching to functions takes seconds in the lab. */
static int open_programs(void **state)
{
	struct pf_bpf_options options = { .on_record = hear };
	const struct pf_hook_capability *all;
	struct pf_err err;
	size_t count;

	(void)state;
	if (put(ROOT "/cgroup.subtree_control", "+cpuset +cpu")) {
		print_error("no cpuset and cpu controllers in %s\n", ROOT);
		return -1;
	}
	if (pf_bpf_open(&options, &bpf, &err)) {
		print_error("%s\n", err.text);
		return -1;
	}
	pf_bpf_set_self(bpf, getpid());
	all = pf_bpf_capabilities(bpf, &count);
	for (size_t i = 0; i < count; i++) {
		print_message("# %-15s %s\n", all[i].name,
			      all[i].available ? "yes" : strerror(all[i].reason));
		can_name |= !strcmp(all[i].name, "affinity") && all[i].available;
	}
	for (size_t i = 0; i < count; i++)
		if (can_name && !all[i].available) {
			print_error("%s is refused where fentry is not\n", all[i].name);
			return -1;
		}
	return 0;
}

static int close_programs(void **state)
{
	(void)state;
	pf_bpf_close(&bpf);
	return 0;
}

#define CAUSE_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CAUSE_TEST(nothing_is_told_of_a_thread_at_home),
		CAUSE_TEST(an_affinity_call_is_named),
		CAUSE_TEST(a_cpuset_write_is_named),
		CAUSE_TEST(a_weight_write_is_named),
		CAUSE_TEST(a_move_to_another_group_is_named),
		CAUSE_TEST(a_child_group_inherits_the_promise),
		CAUSE_TEST(an_offline_cpu_is_named),
	};

	if (!getenv("PF_LAB")) {
		printf("# SKIP makes groups and takes a CPU offline: in the lab only (PF_LAB=1)\n");
		return 0;
	}
	return cmocka_run_group_tests_name("bpf causes", tests, open_programs, close_programs);
}
