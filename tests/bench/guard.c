// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the guard costs somebody it has nothing to do with. Prints JSON; tests/bench/guard makes the
 * page of it. Runs in the lab: the machine it is built on need not have BPF LSM.
 *
 *   guard ROUNDS
 *
 * Each round takes the same steps three times, in turns: with the guard attached, with an empty
 * program on each of its hooks in its place, and with neither. The other programs are attached all
 * the time, and guests in other groups are guarded: this process is nobody's.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <sys/sysmacros.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "tests/bench/bench.h"
#include "agent/base/cleanup.h"
#include "bpf/guard.h"
#include "bpf/loader.h"
#include "tests/unit/bpf/kernel_test.h"

#define ROUNDS_MAX 200
#define GUESTS 50
#define LEAVES 20
#define GROUP "/sys/fs/cgroup/pf-bench"
#define DEEP "/tmp/pf-bench/a/b/c"
#define ROWS(array) (sizeof(array) / sizeof((array)[0]))

/* ---- what an uninvolved process does ----------------------------------------------------- */

static int null_fd, file_fd, procs_fd[2];

static void must(bool done, const char *what)
{
	if (!done)
		die("%s: %s", what, strerror(errno));
}

static void set_affinity(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	must(!sched_setaffinity(0, sizeof(set), &set), "sched_setaffinity");
}

static void move_itself(void)
{
	static int to;

	must(write(procs_fd[to ^= 1], "0", 1) == 1, "write to cgroup.procs");
}

static void write_null(void)
{
	must(write(null_fd, "x", 1) == 1, "write to /dev/null");
}

static void write_file(void)
{
	must(pwrite(file_fd, "x", 1, 0) == 1, "write to a file");
}

static void read_file(void)
{
	char byte;

	must(pread(file_fd, &byte, 1, 0) == 1, "read a file");
}

static void open_file(void)
{
	int fd = open(DEEP "/file", O_RDONLY | O_CLOEXEC);

	must(fd >= 0, "open " DEEP "/file");
	close(fd);
}

static const struct {
	const char *name;
	void (*act)(void);
	int times;
} steps[] = {
	{"sched_setaffinity(2) on itself", set_affinity, 400},
	{"a move to another group (cgroup.procs)", move_itself, 40},
	{"write(2) of a byte to /dev/null", write_null, 4000},
	{"pwrite(2) of a byte to a file in memory", write_file, 1500},
	{"pread(2) of a byte of that file", read_file, 2000},
	{"open(2) and close(2), five folders deep", open_file, 500},
};

static void make_stage(void)
{
	mkdir(GROUP, 0755);
	mkdir(GROUP "/a", 0755);
	mkdir(GROUP "/b", 0755);
	must(!system("mkdir -p " DEEP " && echo x > " DEEP "/file"), "make " DEEP);
	procs_fd[0] = open(GROUP "/a/cgroup.procs", O_WRONLY | O_CLOEXEC);
	procs_fd[1] = open(GROUP "/b/cgroup.procs", O_WRONLY | O_CLOEXEC);
	null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	file_fd = open(DEEP "/file", O_RDWR | O_CLOEXEC);
	must(procs_fd[0] >= 0 && procs_fd[1] >= 0 && null_fd >= 0 && file_fd >= 0,
	     "open the stage");
}

static void clear_stage(void)
{
	int fd = open("/sys/fs/cgroup/cgroup.procs", O_WRONLY | O_CLOEXEC);

	must(fd >= 0 && write(fd, "0", 1) == 1, "leave " GROUP);
	close(fd);
	rmdir(GROUP "/a");
	rmdir(GROUP "/b");
	rmdir(GROUP);
}

/* ---- programs ---------------------------------------------------------------------------- */

enum variant { NOTHING, EMPTY, GUARD, VARIANTS };
static const char *const variant_names[VARIANTS] = {"nothing", "empty", "guard"};

static const char *const hooks[] = {"task_setscheduler", "task_movememory", "inode_permission",
				    "file_permission"};
static int empty_prog[ROWS(hooks)], empty_link[ROWS(hooks)];

static int load_empty(const struct btf *kernel, const char *hook)
{
	const struct bpf_insn nothing[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, load, .expected_attach_type = BPF_LSM_MAC);
	char name[64];
	int fd;

	snprintf(name, sizeof(name), "bpf_lsm_%s", hook);
	load.attach_btf_id = (uint32_t)btf__find_by_name_kind(kernel, name, BTF_KIND_FUNC);
	snprintf(name, sizeof(name), "pf_e_%.10s", hook);
	fd = bpf_prog_load(BPF_PROG_TYPE_LSM, name, "GPL", nothing, ROWS(nothing), &load);
	if (fd < 0)
		die("load an empty program for %s: %s", hook, strerror(-fd));
	return fd;
}

/* The guard's own hooks and no others: below 6.2 it has nothing on inode_permission. */
static bool has_hook(const struct btf *kernel, size_t hook)
{
	return strcmp(hooks[hook], "inode_permission") ||
	       btf__find_by_name_kind(kernel, "bpf_task_from_pid", BTF_KIND_FUNC) > 0;
}

static void load_empties(void)
{
	struct btf *kernel = btf__load_vmlinux_btf();

	if (!kernel)
		die("no BTF of this kernel");
	for (size_t i = 0; i < ROWS(hooks); i++) {
		empty_link[i] = -1;
		empty_prog[i] = has_hook(kernel, i) ? load_empty(kernel, hooks[i]) : -1;
	}
	btf__free(kernel);
}

static void attach_empties(bool on)
{
	for (size_t i = 0; i < ROWS(hooks); i++) {
		if (!on && empty_link[i] >= 0)
			close(empty_link[i]);
		empty_link[i] = -1;
		if (!on || empty_prog[i] < 0)
			continue;
		empty_link[i] = bpf_raw_tracepoint_open(NULL, empty_prog[i]);
		if (empty_link[i] < 0)
			die("attach an empty program to %s: %s", hooks[i], strerror(errno));
	}
}

static void choose(struct pf_guard *guard, enum variant variant)
{
	static enum variant now = NOTHING;
	struct pf_err err;

	if (now == GUARD && pf_guard_detach(guard, &err))
		die("%s", err.text);
	if (now == EMPTY)
		attach_empties(false);
	if (variant == GUARD && pf_guard_attach(guard, false, &err))
		die("%s", err.text);
	if (variant == EMPTY)
		attach_empties(true);
	now = variant;
}

/* Guests as on a full host: leaves in the table, the groups around them watched. */
static void add_guests(struct pf_bpf *bpf)
{
	uint64_t cgid = 1000000;
	struct pf_err err;

	for (uint32_t guest = 0; guest < GUESTS; guest++) {
		struct pf_slot_promise p = {.guest = guest, .flags = PF_SLOT_GUARD};
		uint32_t slot = 0;

		for (int leaf = 0; leaf < LEAVES; leaf++)
			if (pf_bpf_slot_add(bpf, &p, &slot, &err) ||
			    pf_group_set(pf_bpf_policy(bpf), cgid++, slot, &err))
				die("%s", err.text);
		if (pf_bpf_watch(bpf, cgid++, slot + 1, &err))
			die("%s", err.text);
	}
}

/* ---- measuring --------------------------------------------------------------------------- */

static double each_ns[ROWS(steps)][VARIANTS][ROUNDS_MAX];

static double run_step(size_t step)
{
	uint64_t start;

	for (int i = 0; i < steps[step].times / 8; i++)
		steps[step].act();
	start = clock_ns(CLOCK_MONOTONIC);
	for (int i = 0; i < steps[step].times; i++)
		steps[step].act();
	return (double)(clock_ns(CLOCK_MONOTONIC) - start) / steps[step].times;
}

static void measure_wall(struct pf_guard *guard, int rounds)
{
	for (int round = 0; round < rounds; round++)
		for (int turn = 0; turn < VARIANTS; turn++) {
			enum variant variant = (enum variant)((round + turn) % VARIANTS);

			choose(guard, variant);
			for (size_t step = 0; step < ROWS(steps); step++)
				each_ns[step][variant][round] = run_step(step);
		}
	choose(guard, NOTHING);
}

struct cost {
	uint64_t runs;
	uint64_t ns;
};

/* What the kernel has counted of all programs whose names begin so. */
static struct cost cost_of(const char *prefix)
{
	struct cost sum = {};
	__u32 id = 0;

	while (!bpf_prog_get_next_id(id, &id)) {
		struct bpf_prog_info info = {};
		__u32 size = sizeof(info);
		pf_auto_close int fd = bpf_prog_get_fd_by_id(id);

		if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &size) ||
		    strncmp(info.name, prefix, strlen(prefix)))
			continue;
		sum.runs += info.run_cnt;
		sum.ns += info.run_time_ns;
	}
	return sum;
}

static struct cost cost_of_step(const char *prefix, size_t step)
{
	struct cost before = cost_of(prefix), after;

	run_step(step);
	after = cost_of(prefix);
	return (struct cost){after.runs - before.runs, after.ns - before.ns};
}

static void print_runs(const char *name, struct cost cost, size_t step)
{
	int times = steps[step].times + steps[step].times / 8;

	printf(", \"%s\": {\"runs\": %.3f, \"ns\": %.1f}", name, (double)cost.runs / times,
	       cost.runs ? (double)cost.ns / (double)cost.runs : 0);
}

static void print_walls(size_t step, int rounds)
{
	for (int variant = 0; variant < VARIANTS; variant++) {
		printf(", \"%s_ns\": [", variant_names[variant]);
		for (int round = 0; round < rounds; round++)
			printf("%s%.1f", round ? ", " : "", each_ns[step][variant][round]);
		printf("]");
	}
}

/* Last, with the kernel's statistics on: they cost time themselves. */
static void report(struct pf_guard *guard, int rounds)
{
	struct cost ours[ROWS(steps)], empty[ROWS(steps)];
	pf_auto_close int stats = bpf_enable_stats(BPF_STATS_RUN_TIME);

	if (stats < 0)
		die("bpf statistics: %s", strerror(errno));
	choose(guard, GUARD);
	for (size_t step = 0; step < ROWS(steps); step++)
		ours[step] = cost_of_step("pf_guard_", step);
	choose(guard, EMPTY);
	for (size_t step = 0; step < ROWS(steps); step++)
		empty[step] = cost_of_step("pf_e_", step);
	choose(guard, NOTHING);
	for (size_t step = 0; step < ROWS(steps); step++) {
		printf("{\"step\": \"%s\"", steps[step].name);
		print_walls(step, rounds);
		print_runs("guard", ours[step], step);
		print_runs("empty", empty[step], step);
		printf("}\n");
	}
}

int main(int argc, char **argv)
{
	int rounds = argc == 2 ? atoi(argv[1]) : 0;
	const struct pf_bpf_options options = {};
	struct pf_guard *guard = NULL;
	struct pf_bpf *bpf = NULL;
	struct pf_err err;

	if (rounds < 1 || rounds > ROUNDS_MAX)
		die("usage: guard ROUNDS (1 to %d)", ROUNDS_MAX);
	if (pf_bpf_open(&options, &bpf, &err) || pf_guard_open(bpf, &guard, &err))
		die("%s", err.text);
	load_empties();
	add_guests(bpf);
	make_stage();
	measure_wall(guard, rounds);
	report(guard, rounds);
	clear_stage();
	pf_guard_close(&guard);
	pf_bpf_close(&bpf);
	return 0;
}
