// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The programs on this kernel, against counts that are kept without them. The group is the one
 * that the test runs in; only_tgid keeps its other processes out of the counters. CPU 0 is home,
 * CPU 1 is outside.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "agent/base/cleanup.h"
#include "bpf/dedupe.h"
#include "bpf/loader.h"
#include "tests/unit/bpf/kernel_test.h"

#define GUEST 7
#define FLIPS 2000u

struct seen {
	struct pf_dedupe dedupe;
	uint64_t escapes, returns, placed, threads;
	uint64_t outside_ns; /* sum of the return records */
	uint64_t first_seq, unordered;
	struct pf_record last;
};

static struct seen seen;

static int note(const struct pf_record *record, void *arg)
{
	struct seen *s = arg;

	if (!s->first_seq)
		s->first_seq = record->seq;
	s->unordered += record->seq <= s->last.seq;
	pf_dedupe_note(&s->dedupe, record->seq);
	s->escapes += record->kind == PF_REC_ESCAPE;
	s->placed += record->kind == PF_REC_PLACED;
	s->returns += record->kind == PF_REC_RETURN;
	s->threads += record->kind == PF_REC_THREAD;
	if (record->kind == PF_REC_RETURN)
		s->outside_ns += record->value;
	s->last = *record;
	return 0;
}

static struct pf_bpf_options options_for(const char *pins)
{
	return (struct pf_bpf_options){ .pin_path = pins,
					.only_tgid = getpid(),
					.tell_rate = 4000000,
					.tell_burst = 1000000,
					.on_record = note,
					.arg = &seen };
}

static struct pf_bpf *open_bpf(const char *pins)
{
	struct pf_bpf_options options = options_for(pins);
	struct pf_bpf *bpf = NULL;
	struct pf_err err;

	if (pf_bpf_open(&options, &bpf, &err))
		fail_msg("%s", err.text);
	/* Its own calls of sched_setaffinity(2) are not of interest. */
	pf_bpf_set_self(bpf, getpid());
	return bpf;
}

static uint32_t promise_cpu0(struct pf_bpf *bpf, uint32_t flags)
{
	struct pf_slot_promise promise = { .guest = GUEST,
				      .role = PF_REC_ROLE_VCPU,
				      .role_index = 2,
				      .flags = flags };
	struct pf_err err;
	uint32_t slot = 0;

	pf_set_add(&promise.cpus, 0);
	pf_set_add_range(&promise.nodes, 0, PF_NODES - 1);
	if (pf_bpf_slot_add(bpf, &promise, &slot, &err) ||
	    pf_group_set(pf_bpf_policy(bpf), own_group_id(), slot, &err) ||
	    pf_bpf_settle(bpf, NULL, NULL, &err))
		fail_msg("%s", err.text);
	return slot;
}

static struct pf_counters counters_of(struct pf_bpf *bpf, uint32_t slot)
{
	struct pf_counters sum;
	struct pf_err err;

	if (pf_bpf_counters(bpf, slot, &sum, &err))
		fail_msg("%s", err.text);
	return sum;
}

static void consume(struct pf_bpf *bpf)
{
	unsigned int again;

	assert_true(pf_bpf_consume(bpf, &again, NULL) >= 0);
}

static void flip(unsigned int times)
{
	for (unsigned int i = 0; i < times; i++) {
		go_to(1);
		go_to(0);
	}
}

static int begin(void **state)
{
	(void)state;
	memset(&seen, 0, sizeof(seen));
	pf_dedupe_start(&seen.dedupe, 0);
	go_to(0);
	return 0;
}

static void every_escape_is_counted_and_told(void **state)
{
	PF_CLEANUP(pf_bpf_close) struct pf_bpf *bpf = open_bpf(NULL);
	uint32_t slot = promise_cpu0(bpf, 0);
	struct pf_counters sum;

	(void)state;
	for (unsigned int i = 0; i < FLIPS / 100; i++) {
		flip(100);
		consume(bpf);
	}
	sum = counters_of(bpf, slot);
	assert_int_equal(sum.escapes, FLIPS);
	assert_int_equal(sum.stays, FLIPS);
	assert_int_equal(sum.remote, 0);
	assert_int_equal(sum.told, 2 * FLIPS);
	assert_int_equal(sum.suppressed + sum.dropped + sum.untimed, 0);
	assert_int_equal(seen.escapes, FLIPS);
	assert_int_equal(seen.returns, FLIPS);
	assert_int_equal(seen.dedupe.newest, 2 * FLIPS);
	assert_int_equal(seen.dedupe.repeated + seen.dedupe.missing, 0);
}

static struct pf_bpf *open_with(struct pf_bpf_options options)
{
	struct pf_bpf *bpf = NULL;
	struct pf_err err;

	if (pf_bpf_open(&options, &bpf, &err))
		fail_msg("%s", err.text);
	pf_bpf_set_self(bpf, getpid());
	return bpf;
}

/* More than the lanes hold while nobody reads, then again what they hold. */
static void a_full_lane_goes_on_in_the_ring(void **state)
{
	struct pf_bpf_options options = options_for(NULL);
	PF_CLEANUP(pf_bpf_close) struct pf_bpf *bpf = NULL;
	struct pf_counters sum;
	uint32_t slot;

	(void)state;
	options.lane_records = 64;
	bpf = open_with(options);
	slot = promise_cpu0(bpf, 0);
	for (int i = 0; i < 3; i++) {
		flip(FLIPS / 4);
		consume(bpf);
		flip(20);
		consume(bpf);
	}
	sum = counters_of(bpf, slot);
	assert_int_equal(sum.told, 2 * sum.escapes);
	assert_int_equal(sum.dropped + sum.suppressed, 0);
	assert_int_equal(seen.escapes + seen.returns, sum.told);
	assert_int_equal(seen.dedupe.newest, sum.told);
	assert_int_equal(seen.dedupe.repeated + seen.dedupe.missing + seen.unordered, 0);
}

static void what_finds_no_room_is_counted(void **state)
{
	struct pf_bpf_options options = options_for(NULL);
	PF_CLEANUP(pf_bpf_close) struct pf_bpf *bpf = NULL;
	struct pf_counters sum;
	uint32_t slot;

	(void)state;
	options.lane_records = 64;
	options.ring_bytes = 4 * (uint32_t)sysconf(_SC_PAGESIZE);
	bpf = open_with(options);
	slot = promise_cpu0(bpf, 0);
	flip(FLIPS);
	consume(bpf);
	sum = counters_of(bpf, slot);
	assert_int_equal(sum.escapes, FLIPS);
	assert_in_range(sum.told, 64, FLIPS / 2);
	/* Of an escape that found no room no return is due. */
	assert_in_range(sum.told + sum.dropped, FLIPS, 2 * FLIPS);
	assert_int_equal(seen.escapes + seen.returns, sum.told);
	assert_int_equal(seen.dedupe.missing + seen.unordered, 0);
}

static bool rings(struct pf_bpf *bpf, int timeout_ms)
{
	struct pollfd fd = { .fd = pf_bpf_poll_fd(bpf), .events = POLLIN };

	return poll(&fd, 1, timeout_ms) > 0;
}

static void sleep_well(struct pf_bpf *bpf)
{
	unsigned int again = 1;

	for (int i = 0; i < 100 && again; i++) {
		assert_true(pf_bpf_consume(bpf, &again, NULL) >= 0);
		usleep(again);
	}
	assert_int_equal(again, 0);
}

static void a_sleeping_reader_is_woken(void **state)
{
	PF_CLEANUP(pf_bpf_close) struct pf_bpf *bpf = open_bpf(NULL);

	(void)state;
	promise_cpu0(bpf, 0);
	for (int i = 0; i < 10; i++) {
		sleep_well(bpf);
		assert_false(rings(bpf, 0));
		go_to(~i & 1);
		assert_true(rings(bpf, 10000));
	}
	sleep_well(bpf);
	assert_int_equal(seen.escapes + seen.returns, 10);
	assert_int_equal(seen.dedupe.missing + seen.unordered, 0);
}

/* A number that was taken and has no record yet: the reader stays awake, for a second at most. */
static void a_record_under_way_is_waited_for(void **state)
{
	PF_CLEANUP(pf_bpf_close) struct pf_bpf *bpf = open_bpf(NULL);
	unsigned int again = 0, waited_usec = 0;

	(void)state;
	promise_cpu0(bpf, 0);
	go_to(1);
	sleep_well(bpf);
	__atomic_add_fetch(&pf_bpf_policy(bpf)->head.seq, 1, __ATOMIC_SEQ_CST);
	do {
		assert_true(pf_bpf_consume(bpf, &again, NULL) == 0);
		waited_usec += again;
	} while (again);
	assert_in_range(waited_usec, 500000, 2000000);
	go_to(0);
	assert_true(rings(bpf, 10000));
}

/* One that comes by the clock is woken for a lane that fills up only. */
static void a_lane_that_fills_up_wakes(void **state)
{
	struct pf_bpf_options options = options_for(NULL);
	PF_CLEANUP(pf_bpf_close) struct pf_bpf *bpf = NULL;
	unsigned int again;

	(void)state;
	options.lane_records = 1024;
	bpf = open_with(options);
	promise_cpu0(bpf, 0);
	flip(100);
	assert_true(pf_bpf_consume(bpf, &again, NULL) == 200);
	assert_true(again > 0);
	assert_false(rings(bpf, 0));
	flip(100);
	assert_false(rings(bpf, 0));
	flip(1000);
	assert_true(rings(bpf, 10000));
}

static bool available(const struct pf_bpf *bpf, const char *name)
{
	size_t count;
	const struct pf_hook_capability *all = pf_bpf_capabilities(bpf, &count);

	for (size_t i = 0; i < count; i++)
		if (!strcmp(all[i].name, name))
			return all[i].available;
	return false;
}

static bool kernel_is_before(int major, int minor)
{
	struct utsname name;
	int at[2] = { 0 };

	uname(&name);
	sscanf(name.release, "%d.%d", &at[0], &at[1]);
	return at[0] < major || (at[0] == major && at[1] < minor);
}

static void a_record_names_thread_role_and_cpus(void **state)
{
	PF_CLEANUP(pf_bpf_close) struct pf_bpf *bpf = open_bpf(NULL);
	bool told = available(bpf, "masks") && available(bpf, "affinity");
	uint32_t slot = promise_cpu0(bpf, 0);
	struct timespec now;
	uint64_t boot_ns;

	(void)state;
	go_to(1);
	clock_gettime(CLOCK_BOOTTIME, &now);
	boot_ns = now.tv_sec * 1000000000ULL + now.tv_nsec;
	consume(bpf);
	go_to(0);
	assert_int_equal(seen.last.kind, PF_REC_ESCAPE);
	assert_int_equal(seen.last.tid, syscall(SYS_gettid));
	assert_int_equal(seen.last.tgid, getpid());
	assert_int_equal(seen.last.guest, GUEST);
	assert_int_equal(seen.last.role, PF_REC_ROLE_VCPU);
	assert_int_equal(seen.last.role_index, 2);
	assert_int_equal(seen.last.slot, slot);
	assert_int_equal(seen.last.cgid, own_group_id());
	assert_int_equal(seen.last.from_cpu, 0);
	assert_int_equal(seen.last.to_cpu, 1);
	assert_int_equal(seen.last.flags & (PF_RF_OUT_CPU | PF_RF_OUT_NODE), PF_RF_OUT_CPU);
	/* Told by the hook; inferred from the mask without it; before 6.2 there is nothing to see. */
	if (told)
		assert_int_equal(seen.last.flags & (PF_RF_ACTOR | PF_RF_INFERRED), PF_RF_ACTOR);
	else if (seen.last.cause != PF_CAUSE_UNKNOWN)
		assert_int_equal(seen.last.flags & (PF_RF_ACTOR | PF_RF_INFERRED), PF_RF_INFERRED);
	assert_true(seen.last.cause == PF_CAUSE_AFFINITY || (!told && kernel_is_before(6, 2)));
	assert_string_equal(seen.last.comm, "test_kernel");
	assert_true(seen.last.boot_ns < boot_ns && boot_ns - seen.last.boot_ns < 1000000000);
}

/* Between the calls that move it out and back, and around them, by the thread's own clock. */
static void time_outside_is_exact(void **state)
{
	PF_CLEANUP(pf_bpf_close) struct pf_bpf *bpf = open_bpf(NULL);
	uint32_t slot = promise_cpu0(bpf, 0);
	uint64_t least = 0, most = 0;
	struct pf_counters sum;

	(void)state;
	for (int i = 0; i < 50; i++) {
		uint64_t before = own_cpu_ns(), inside, after;

		go_to(1);
		inside = own_cpu_ns();
		spin_ns(i * 100000);
		after = own_cpu_ns();
		go_to(0);
		least += after - inside;
		most += own_cpu_ns() - before;
		spin_ns(200000);
	}
	consume(bpf);
	sum = counters_of(bpf, slot);
	print_message("# outside: %llu ns, between %llu and %llu\n",
		      (unsigned long long)sum.away_ns, (unsigned long long)least,
		      (unsigned long long)most);
	assert_true(sum.away_ns >= least);
	assert_true(sum.away_ns <= most);
	assert_int_equal(sum.away_ns, seen.outside_ns);
	assert_int_equal(sum.remote_ns, 0);
}

static int keep_own_stay(const struct pf_stay *stay, void *arg)
{
	if ((pid_t)stay->tid == syscall(SYS_gettid))
		*(struct pf_stay *)arg = *stay;
	return 0;
}

static void an_open_stay_is_read_by_settling(void **state)
{
	PF_CLEANUP(pf_bpf_close) struct pf_bpf *bpf = open_bpf(NULL);
	struct pf_stay stay = { 0 };
	struct pf_slot_promise promise;
	uint32_t slot;

	(void)state;
	go_to(1);
	slot = promise_cpu0(bpf, 0);
	spin_ns(50000000);
	assert_int_equal(pf_bpf_settle(bpf, keep_own_stay, &stay, NULL), 0);
	assert_int_equal(stay.flags, PF_RF_OUT_CPU);
	assert_in_range(stay.open_ns, 40000000, 70000000);
	assert_int_equal(counters_of(bpf, slot).away_ns, 0);
	/* Promised CPU 1, too: the stay is over without a move. */
	assert_true(pf_slot_get(pf_bpf_policy(bpf), slot, &promise));
	pf_set_add(&promise.cpus, 1);
	assert_int_equal(pf_slot_update(pf_bpf_policy(bpf), slot, &promise, NULL), 0);
	assert_int_equal(pf_bpf_settle(bpf, keep_own_stay, &stay, NULL), 0);
	assert_int_equal(stay.open_ns, 0);
	assert_in_range(stay.away_ns, 40000000, 70000000);
	assert_in_range(counters_of(bpf, slot).away_ns, 40000000, 70000000);
	assert_int_equal(counters_of(bpf, slot).escapes, 0);
}

static void *nothing(void *arg)
{
	return arg;
}

/* Born outside: no migration tells, the first placement does. */
static void a_new_thread_outside_is_seen(void **state)
{
	PF_CLEANUP(pf_bpf_close) struct pf_bpf *bpf = open_bpf(NULL);
	uint32_t slot;
	struct pf_counters sum;

	(void)state;
	go_to(1);
	slot = promise_cpu0(bpf, 0);
	for (int i = 0; i < 100; i++) {
		pthread_t thread;

		assert_int_equal(pthread_create(&thread, NULL, nothing, NULL), 0);
		pthread_join(thread, NULL);
	}
	consume(bpf);
	sum = counters_of(bpf, slot);
	go_to(0);
	assert_int_equal(sum.escapes, 100);
	assert_int_equal(seen.placed, 100);
	assert_int_equal(seen.last.kind, PF_REC_PLACED);
}

static void make_threads(unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		pthread_t thread;

		assert_int_equal(pthread_create(&thread, NULL, nothing, NULL), 0);
		pthread_join(thread, NULL);
	}
}

/* At home as well as outside; but a guest whose threads come and go all the time is no storm. */
static void new_threads_are_told_once_until_somebody_looks(void **state)
{
	PF_CLEANUP(pf_bpf_close) struct pf_bpf *bpf = open_bpf(NULL);
	uint32_t slot;

	(void)state;
	go_to(0);
	slot = promise_cpu0(bpf, 0);
	make_threads(50);
	consume(bpf);
	assert_int_equal(seen.threads, 1);
	assert_int_equal(seen.last.slot, slot);
	assert_int_equal(seen.last.guest, GUEST);
	assert_int_equal(seen.last.tgid, getpid());
	pf_bpf_looking(bpf, GUEST + 1);
	make_threads(50);
	consume(bpf);
	assert_int_equal(seen.threads, 1);
	pf_bpf_looking(bpf, GUEST);
	make_threads(50);
	consume(bpf);
	assert_int_equal(seen.threads, 2);
	assert_int_equal(seen.dedupe.missing, 0);
}

static struct pf_bpf *acting;
static int acts_left;

/* What is told by the ring while a lane's record is handed over comes in the next look, and so on. */
static int note_and_act(const struct pf_record *record, void *arg)
{
	if (acts_left > 0 && (record->kind == PF_REC_ESCAPE || record->kind == PF_REC_THREAD)) {
		acts_left--;
		pf_bpf_looking(acting, GUEST);
		make_threads(1);
	}
	return note(record, arg);
}

/* What rings while the reader looks for the last time may be read along with its bell. */
static void what_rings_in_the_last_look_leaves_it_awake(void **state)
{
	struct pf_bpf_options options = options_for(NULL);
	PF_CLEANUP(pf_bpf_close) struct pf_bpf *bpf = NULL;

	(void)state;
	options.on_record = note_and_act;
	acting = bpf = open_with(options);
	promise_cpu0(bpf, 0);
	acts_left = 2;
	go_to(1);
	sleep_well(bpf);
	assert_int_equal(acts_left, 0);
	assert_false(rings(bpf, 0));
	pf_bpf_looking(bpf, GUEST);
	make_threads(1);
	assert_true(rings(bpf, 10000));
	sleep_well(bpf);
	assert_int_equal(seen.threads, 3);
	assert_int_equal(seen.dedupe.missing, 0);
}

static void what_the_bucket_holds_back_is_counted(void **state)
{
	struct pf_bpf_options options = options_for(NULL);
	struct pf_bpf *bpf = NULL;
	struct pf_counters sum;
	struct pf_err err;
	uint32_t slot;

	(void)state;
	options.tell_rate = 1;
	options.tell_burst = 10;
	assert_int_equal(pf_bpf_open(&options, &bpf, &err), 0);
	pf_bpf_set_self(bpf, getpid());
	slot = promise_cpu0(bpf, 0);
	flip(FLIPS);
	consume(bpf);
	sum = counters_of(bpf, slot);
	pf_bpf_close(&bpf);
	assert_int_equal(sum.escapes, FLIPS);
	assert_in_range(sum.told, 10, 20);
	assert_int_equal(sum.told, seen.escapes + seen.returns);
	/* A return is due only when its escape was told. */
	assert_in_range(sum.suppressed + seen.escapes, FLIPS, FLIPS + seen.escapes);
}

static void strangers_are_not_counted(void **state)
{
	PF_CLEANUP(pf_bpf_close) struct pf_bpf *bpf = open_bpf(NULL);
	uint32_t slot = promise_cpu0(bpf, 0);

	(void)state;
	assert_int_equal(pf_group_remove(pf_bpf_policy(bpf), own_group_id()), 0);
	pf_slot_free(pf_bpf_policy(bpf), slot);
	assert_int_equal(pf_bpf_settle(bpf, NULL, NULL, NULL), 0);
	flip(100);
	consume(bpf);
	assert_int_equal(counters_of(bpf, slot).escapes, 0);
	assert_int_equal(seen.dedupe.newest, 0);
}

/* Groups of others, with ids that have their place where ours has. */
static void crowd(struct pf_bpf *bpf, uint32_t groups)
{
	struct pf_slot_promise promise = {.guest = GUEST + 1, .role = PF_REC_ROLE_VCPU};
	uint64_t cgid = own_group_id();
	uint32_t slot = 0;

	assert_int_equal(pf_bpf_slot_add(bpf, &promise, &slot, NULL), 0);
	for (uint32_t i = 0; i < groups; i++)
		assert_int_equal(pf_group_set(pf_bpf_policy(bpf), cgid += PF_BUCKETS, slot, NULL),
				 0);
}

static void a_group_is_found_behind_others_in_its_place(void **state)
{
	static const uint32_t before[] = {1, 2, PF_PROBES - 1};

	(void)state;
	for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++) {
		PF_CLEANUP(pf_bpf_close) struct pf_bpf *bpf = open_bpf(NULL);
		uint32_t slot;

		crowd(bpf, before[i]);
		slot = promise_cpu0(bpf, 0);
		flip(100);
		assert_int_equal(counters_of(bpf, slot).escapes, 100);
		assert_int_equal(pf_group_remove(pf_bpf_policy(bpf), own_group_id()), 0);
		pf_slot_free(pf_bpf_policy(bpf), slot);
		assert_int_equal(pf_bpf_settle(bpf, NULL, NULL, NULL), 0);
		flip(100);
		consume(bpf);
		assert_int_equal(counters_of(bpf, slot).escapes, 100);
	}
}

static const char *pin_path(void)
{
	static char path[256];

	if (!private_bpffs())
		fail_msg("no private bpffs: %s", strerror(errno));
	snprintf(path, sizeof(path), "%s/pinfold", private_bpffs());
	return path;
}

static void a_restarted_agent_adopts_the_pins(void **state)
{
	const char *pins = pin_path();
	struct pf_bpf *bpf = open_bpf(pins);
	struct pf_bpf_options options = options_for(pins);
	uint32_t slot = promise_cpu0(bpf, 0);
	struct pf_bpf *second = NULL;
	struct pf_err err;

	(void)state;
	assert_int_equal(pf_bpf_origin(bpf), PF_BPF_LOADED);
	assert_int_equal(pf_bpf_open(&options, &second, &err), -EBUSY);
	flip(10);
	pf_bpf_close(&bpf);
	flip(100); /* while nobody listens */
	bpf = open_bpf(pins);
	assert_int_equal(pf_bpf_origin(bpf), PF_BPF_ADOPTED);
	flip(5);
	consume(bpf);
	assert_int_equal(counters_of(bpf, slot).escapes, 115);
	assert_int_equal(seen.escapes, 115);
	assert_int_equal(seen.dedupe.missing + seen.dedupe.repeated, 0);
	pf_bpf_close(&bpf);
	assert_int_equal(pf_bpf_uninstall(pins, NULL), 0);
	assert_int_equal(access(pins, F_OK), -1);
	assert_int_equal(pf_bpf_uninstall(pins, NULL), 0);
}

#define KILLED_AT 37

static int die_at(const struct pf_record *record, void *arg)
{
	(void)arg;
	return record->seq == KILLED_AT ? kill(getpid(), SIGKILL) : 0;
}

static int read_and_die(const char *pins)
{
	struct pf_bpf_options options = options_for(pins);
	struct pf_bpf *bpf = NULL;
	unsigned int again;

	options.on_record = die_at;
	options.lane_records = 64;
	if (pf_bpf_open(&options, &bpf, NULL))
		return 1;
	pf_bpf_consume(bpf, &again, NULL);
	return 2;
}

/* Killed while it handles a record; that one comes again, and nothing else is missed or repeated. */
static void a_killed_reader_repeats_one_record_at_most(void **state)
{
	struct pf_bpf_options options = options_for(pin_path());
	struct pf_bpf *bpf;
	int status;
	pid_t child;

	(void)state;
	options.lane_records = 64;
	bpf = open_with(options);
	promise_cpu0(bpf, 0);
	flip(200);
	pf_bpf_close(&bpf);
	child = fork();
	if (!child)
		_exit(read_and_die(options.pin_path));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	pf_dedupe_start(&seen.dedupe, KILLED_AT);
	flip(200);
	bpf = open_with(options);
	assert_int_equal(pf_bpf_origin(bpf), PF_BPF_ADOPTED);
	flip(200);
	sleep_well(bpf);
	assert_int_equal(seen.first_seq, KILLED_AT);
	assert_int_equal(seen.dedupe.repeated, 1);
	assert_int_equal(seen.dedupe.missing + seen.unordered, 0);
	assert_int_equal(seen.dedupe.newest, 1200);
	pf_bpf_close(&bpf);
	assert_int_equal(pf_bpf_uninstall(options.pin_path, NULL), 0);
}

/* Another build with the same ABI: its numbers and its waiting records are carried over. */
static void another_build_is_replaced_without_loss(void **state)
{
	const char *pins = pin_path();
	struct pf_bpf *bpf = open_bpf(pins);
	uint32_t slot = promise_cpu0(bpf, 0);
	uint64_t away_ns;

	(void)state;
	flip(50);
	away_ns = counters_of(bpf, slot).away_ns;
	pf_bpf_policy(bpf)->head.build ^= 1;
	pf_bpf_close(&bpf);
	bpf = open_bpf(pins);
	assert_int_equal(pf_bpf_origin(bpf), PF_BPF_REPLACED);
	assert_int_equal(seen.escapes, 50);
	flip(30);
	consume(bpf);
	assert_int_equal(counters_of(bpf, slot).escapes, 80);
	assert_true(counters_of(bpf, slot).away_ns > away_ns);
	assert_int_equal(seen.escapes, 80);
	assert_int_equal(seen.dedupe.missing + seen.dedupe.repeated, 0);
	pf_bpf_close(&bpf);
	bpf = open_bpf(pins);
	assert_int_equal(pf_bpf_origin(bpf), PF_BPF_ADOPTED);
	pf_bpf_close(&bpf);
	assert_int_equal(pf_bpf_uninstall(pins, NULL), 0);
}

static void another_version_or_damage_is_renewed(void **state)
{
	const char *pins = pin_path();
	struct pf_bpf *bpf = open_bpf(pins);
	char from[300], to[400];

	(void)state;
	pf_bpf_close(&bpf);
	snprintf(from, sizeof(from), "%s/v%d", pins, PF_ABI);
	snprintf(to, sizeof(to), "%s/v%d", pins, PF_ABI + 41);
	assert_int_equal(rename(from, to), 0);
	bpf = open_bpf(pins);
	assert_int_equal(pf_bpf_origin(bpf), PF_BPF_RENEWED);
	assert_int_equal(access(to, F_OK), -1);
	pf_bpf_close(&bpf);
	snprintf(to, sizeof(to), "%s/link-pf_migrate", from);
	assert_int_equal(unlink(to), 0);
	bpf = open_bpf(pins);
	assert_int_equal(pf_bpf_origin(bpf), PF_BPF_RENEWED);
	pf_bpf_close(&bpf);
	assert_int_equal(pf_bpf_uninstall(pins, NULL), 0);
}

static void capabilities_say_what_is_missing(void **state)
{
	PF_CLEANUP(pf_bpf_close) struct pf_bpf *bpf = open_bpf(NULL);
	const struct pf_hook_capability *all;
	size_t count;

	(void)state;
	all = pf_bpf_capabilities(bpf, &count);
	assert_true(count > 0);
	for (size_t i = 0; i < count; i++) {
		print_message("# %-15s %s\n", all[i].name,
			      all[i].available ? "yes" : strerror(all[i].reason));
		assert_true(all[i].available == !all[i].reason);
		assert_true(all[i].available || all[i].fallback[0]);
	}
	assert_true(all[0].available);
}

#define KERNEL_TEST(name) cmocka_unit_test_setup(name, begin)

int main(void)
{
	const struct CMUnitTest tests[] = {
		KERNEL_TEST(every_escape_is_counted_and_told),
		KERNEL_TEST(a_full_lane_goes_on_in_the_ring),
		KERNEL_TEST(what_finds_no_room_is_counted),
		KERNEL_TEST(a_sleeping_reader_is_woken),
		KERNEL_TEST(a_record_under_way_is_waited_for),
		KERNEL_TEST(a_lane_that_fills_up_wakes),
		KERNEL_TEST(a_record_names_thread_role_and_cpus),
		KERNEL_TEST(time_outside_is_exact),
		KERNEL_TEST(an_open_stay_is_read_by_settling),
		KERNEL_TEST(a_new_thread_outside_is_seen),
		KERNEL_TEST(new_threads_are_told_once_until_somebody_looks),
		KERNEL_TEST(what_rings_in_the_last_look_leaves_it_awake),
		KERNEL_TEST(what_the_bucket_holds_back_is_counted),
		KERNEL_TEST(strangers_are_not_counted),
		KERNEL_TEST(a_group_is_found_behind_others_in_its_place),
		KERNEL_TEST(a_restarted_agent_adopts_the_pins),
		KERNEL_TEST(a_killed_reader_repeats_one_record_at_most),
		KERNEL_TEST(another_build_is_replaced_without_loss),
		KERNEL_TEST(another_version_or_damage_is_renewed),
		KERNEL_TEST(capabilities_say_what_is_missing),
	};
	int failed;

	if (geteuid() || !own_group_id() || sysconf(_SC_NPROCESSORS_ONLN) < 2) {
		printf("# SKIP needs root, a cgroup2 file system and two CPUs\n");
		return 0;
	}
	failed = cmocka_run_group_tests_name("bpf kernel", tests, NULL, NULL);
	remove_private_bpffs();
	return failed;
}
