// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the eBPF programs cost, on this machine. Prints JSON; tests/bench/run makes the page of it.
 *
 *   bench cost ROUNDS MOVES        ns a run above an empty program's, every variant in each round
 *   bench cold ROUNDS MOVES        the same, each move after two context switches
 *   bench whole PAIRS SECONDS      CPU time of a workload with and without the programs
 *   bench storm EVENTS THREADS     the storm alone, for rivals to watch
 *   bench ours EVENTS THREADS      the storm, watched by our programs and an agent-like reader
 *   bench all EVENTS THREADS       the same without a rate limit: each move is told
 *   bench drain ROUNDS             how fast a full ring is emptied
 *   bench stats                    keeps bpf statistics on until its input ends
 *
 * Programs are keyed by cgroup id; the group is the one that this process is in, and groups of the
 * machine are left alone: a mask without CPU 1 (or without any) makes escapes of moves there.
 */
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "tests/bench/bench.h"
#include "agent/base/cleanup.h"
#include "bpf/internal.h"
#include "bpf/loader.h"
#include "tests/bench/bench.skel.h"
#include "tests/unit/bpf/kernel_test.h"

#define THREADS_MAX 256
#define ROUNDS_MAX 4000
#define CHUNKS 20 /* samples a step: what disturbs one for a moment leaves the others alone */
#define CHUNKS_A_TURN 5

static uint64_t process_cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

static struct pf_bpf *open_programs(pf_bpf_record_fn fn, void *arg, int only_tgid)
{
	struct pf_bpf_options options = {.on_record = fn, .arg = arg, .only_tgid = only_tgid};
	struct pf_bpf *bpf;
	struct pf_err err;

	if (pf_bpf_open(&options, &bpf, &err))
		die("%s", err.text);
	return bpf;
}

static void set_rate(struct pf_bpf *bpf, bool tell)
{
	struct pf_policy_head *head = &pf_bpf_policy(bpf)->head;

	head->bucket_cost = tell ? 0 : 1ULL << 60;
	head->bucket_depth = tell ? 1ULL << 60 : 0;
}

/* A promise of the CPUs in @cpus for the group that this process is in. */
static uint32_t promise(struct pf_bpf *bpf, const char *cpus, uint32_t flags)
{
	struct pf_slot_promise p = {.guest = 1, .role = PF_REC_ROLE_VCPU, .flags = flags};
	struct pf_err err;
	uint32_t slot = 0;

	pf_set_add_range(&p.nodes, 0, PF_NODES - 1);
	if (pf_set_parse(cpus, &p.cpus, &err) || pf_bpf_slot_add(bpf, &p, &slot, &err) ||
	    pf_group_set(pf_bpf_policy(bpf), own_group_id(), slot, &err))
		die("%s", err.text);
	return slot;
}

static void other_guests(struct pf_bpf *bpf)
{
	struct pf_slot_promise p = {.guest = 2, .role = PF_REC_ROLE_VCPU};
	struct pf_err err;
	uint32_t slot;

	if (pf_bpf_slot_add(bpf, &p, &slot, &err))
		die("%s", err.text);
	for (uint64_t cgid = 1000000; cgid < 1001000; cgid++)
		if (pf_group_set(pf_bpf_policy(bpf), cgid, slot, &err))
			die("%s", err.text);
}

static void flip(uint64_t times)
{
	for (uint64_t i = 0; i < times; i++)
		go_to(i & 1);
}

/*
 * Threads that are runnable but never run, because something better is there: moving one of them
 * is done in the mover's context, so migrations follow each other as fast as can be.
 */
#define QUEUED 8
static pid_t queued[QUEUED];

static void *spin_for_ever(void *arg)
{
	__atomic_store_n((pid_t *)arg, gettid(), __ATOMIC_RELEASE);
	for (;;)
		__asm__ volatile("pause");
	return NULL;
}

static void start_queued(void)
{
	const struct sched_param none = {0};
	static pid_t hog;
	pthread_t thread;

	go_to(1);
	pthread_create(&thread, NULL, spin_for_ever, &hog);
	go_to(0);
	for (int i = 0; i < QUEUED; i++) {
		pthread_create(&thread, NULL, spin_for_ever, &queued[i]);
		while (!__atomic_load_n(&queued[i], __ATOMIC_ACQUIRE))
			sched_yield();
		if (sched_setscheduler(queued[i], SCHED_IDLE, &none))
			die("SCHED_IDLE: %s", strerror(errno));
	}
}

static void move_queued(uint64_t times)
{
	cpu_set_t cpu[2];

	for (int i = 0; i < 2; i++) {
		CPU_ZERO(&cpu[i]);
		CPU_SET(i, &cpu[i]);
	}
	for (uint64_t i = 0; i < times; i++)
		if (sched_setaffinity(queued[i % QUEUED], sizeof(cpu_set_t),
				      &cpu[~(i / QUEUED) & 1]))
			die("sched_setaffinity: %s", strerror(errno));
}

static void consume(struct pf_bpf *bpf)
{
	unsigned int again;
	struct pf_err err;

	if (pf_bpf_consume(bpf, &again, &err) < 0)
		die("%s", err.text);
}

/* ---- cost a run -------------------------------------------------------------------------- */

struct runs {
	uint64_t count;
	uint64_t ns;
};

static struct runs runs_of_fd(int fd)
{
	struct bpf_prog_info info = {0};
	__u32 size = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &size))
		die("program info: %s", strerror(errno));
	return (struct runs){info.run_cnt, info.run_time_ns};
}

static double mean(struct runs before, struct runs after)
{
	if (after.count == before.count)
		die("the program never ran: are bpf statistics off?");
	return (double)(after.ns - before.ns) / (after.count - before.count);
}

enum variant { EMPTY, STRANGER, HOME, SUPPRESSED, EMITTED, FLIP_BACK, HASH, CLASSIC, VARIANTS };

static const char *const variant_names[VARIANTS] = {
	"empty",   "stranger",     "home",        "suppressed",
	"emitted", "out-and-back", "hash-tp_btf", "hash-classic",
};

/*
 * Programs on the same tracepoint are not equal: the first finds the clock and the statistics'
 * counters cold, the others find them warm, by as much as what is to be measured. So each is
 * measured in the same place, which is also where it runs in earnest: alone on the tracepoint. The
 * empty program and the variant take turns there, in random order; a pair of turns makes a sample.
 * Two empty programs at random, and ours loaded anew now and then, because where the code of a
 * program comes to lie makes a difference, too.
 */
#define EMPTIES 2
#define RELOAD_ROUNDS 5
#define TURN_PAIRS (CHUNKS / CHUNKS_A_TURN)

struct bench_cost {
	struct bench *skel;
	struct pf_bpf *bpf;
	int empty[EMPTIES];
	int ours; /* pf_migrate, loaded and not attached */
	uint32_t slot;
	bool has_classic;
	void (*move)(uint64_t times);
	double floor[VARIANTS * ROUNDS_MAX * CHUNKS];
	double ns[VARIANTS][ROUNDS_MAX * CHUNKS];
	int floors;
};

static void prepare(struct bench_cost *b, enum variant variant)
{
	static const char *const cpus[VARIANTS] = {"0-4095", "0-4095", "0-4095", "2",
						   "2",      "0",      "2",      "2"};
	struct pf_slot_promise p = {.guest = 1, .role = PF_REC_ROLE_VCPU};
	struct pf_policy *policy = pf_bpf_policy(b->bpf);
	struct pf_err err;

	pf_set_add_range(&p.nodes, 0, PF_NODES - 1);
	p.flags = variant == EMITTED ? PF_SLOT_EVERY : 0;
	set_rate(b->bpf, variant == EMITTED || variant == FLIP_BACK);
	if (variant == SUPPRESSED)
		p.flags = PF_SLOT_EVERY;
	if (pf_set_parse(cpus[variant], &p.cpus, &err) || pf_slot_update(policy, b->slot, &p, &err))
		die("%s", err.text);
	if (variant <= STRANGER || variant >= HASH)
		pf_group_remove(policy, own_group_id());
	else if (pf_group_set(policy, own_group_id(), b->slot, &err))
		die("%s", err.text);
}

/* Each program is attached in its own way. Return: what detach() takes. */
static struct bpf_link *attach_program(struct bench_cost *b, enum variant variant, int program,
				       int *link)
{
	*link = -1;
	if (variant == CLASSIC)
		return bpf_program__attach(b->skel->progs.hash_classic);
	*link = bpf_raw_tracepoint_open(NULL, program);
	if (*link < 0)
		die("attach %s: %s", variant_names[variant], strerror(errno));
	return NULL;
}

static int program_of(struct bench_cost *b, enum variant variant)
{
	switch (variant) {
	case EMPTY:
		return b->empty[rand() % EMPTIES];
	case HASH:
		return bpf_program__fd(b->skel->progs.hash_tp_btf);
	case CLASSIC:
		return bpf_program__fd(b->skel->progs.hash_classic);
	default:
		return b->ours;
	}
}

/* The program alone on the tracepoint: ns a run, some samples in a row. */
static void turn(struct bench_cost *b, enum variant variant, uint64_t moves, double *ns)
{
	int program = program_of(b, variant), link;
	struct bpf_link *classic = attach_program(b, variant, program, &link);

	b->move(200);
	for (int i = 0; i < CHUNKS_A_TURN; i++) {
		struct runs before;

		consume(b->bpf); /* as the agent does, which comes every 10 ms at this pace */
		before = runs_of_fd(program);
		b->move(moves / CHUNKS);
		ns[i] = mean(before, runs_of_fd(program));
	}
	if (link >= 0)
		close(link);
	bpf_link__destroy(classic);
}

static void pair_of_turns(struct bench_cost *b, enum variant variant, int at, uint64_t moves)
{
	double *floor = &b->floor[b->floors], *ns = &b->ns[variant][at], sum = 0;
	bool floor_first = rand() & 1;

	if (floor_first)
		turn(b, EMPTY, moves, floor);
	turn(b, variant, moves, ns);
	if (!floor_first)
		turn(b, EMPTY, moves, floor);
	b->floors += CHUNKS_A_TURN;
	for (int i = 0; i < CHUNKS_A_TURN; i++)
		sum += floor[i];
	for (int i = 0; i < CHUNKS_A_TURN; i++)
		ns[i] -= sum / CHUNKS_A_TURN;
}

static void one_step(struct bench_cost *b, enum variant variant, int round, uint64_t moves)
{
	prepare(b, variant);
	for (int i = 0; i < TURN_PAIRS; i++)
		pair_of_turns(b, variant, round * CHUNKS + i * CHUNKS_A_TURN, moves);
	consume(b->bpf);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void print_numbers(const char *name, double *values, int count, const char *end)
{
	static double sorted[VARIANTS * ROUNDS_MAX * CHUNKS];

	memcpy(sorted, values, count * sizeof(*values));
	qsort(sorted, count, sizeof(*sorted), by_value);
	printf("\"%s\":{\"median\":%.2f,\"low\":%.2f,\"high\":%.2f,\"all\":[", name,
	       sorted[count / 2], sorted[count / 4], sorted[count * 3 / 4]);
	for (int i = 0; i < count; i++)
		printf("%s%.2f", i ? "," : "", values[i]);
	printf("]}%s", end);
}

static void know_threads(struct bench_cost *b)
{
	for (int i = -1; i < QUEUED; i++) {
		uint32_t tid = i < 0 ? gettid() : queued[i];
		uint64_t mask = 1ULL << 63;

		if (tid && bpf_map__update_elem(b->skel->maps.by_tid, &tid, sizeof(tid), &mask,
						sizeof(mask), BPF_ANY))
			die("by_tid: %s", strerror(errno));
	}
}

static void print_costs(struct bench_cost *b, int rounds)
{
	printf("{");
	print_numbers("floor", b->floor, b->floors, "");
	for (int v = 0; v < VARIANTS; v++) {
		if (v == CLASSIC && !b->has_classic)
			continue;
		printf(",");
		print_numbers(variant_names[v], b->ns[v], rounds * CHUNKS, "");
	}
	printf("}\n");
}

/* Our programs, all attached as in the agent but for the one that is measured. */
static void load_ours(struct bench_cost *b)
{
	struct pf_program_cost rows[32];
	int count, *link;

	b->bpf = open_programs(NULL, NULL, 0);
	count = pf_bpf_costs(b->bpf, rows, 32, NULL);
	b->ours = -1;
	for (int i = 0; i < count; i++)
		if (!strcmp(rows[i].name, "pf_migrate"))
			b->ours = bpf_prog_get_fd_by_id(rows[i].id);
	if (b->ours < 0)
		die("pf_migrate is not attached");
	link = &b->bpf->now.link[PF_HOOK_MIGRATE_ROW][0];
	close(*link);
	*link = -1;
	other_guests(b->bpf);
	b->slot = promise(b->bpf, "0-4095", 0);
}

static void unload_ours(struct bench_cost *b)
{
	if (b->bpf)
		close(b->ours);
	pf_bpf_close(&b->bpf);
}

static void start_cost(struct bench_cost *b, bool cold)
{
	srand(clock_ns(CLOCK_MONOTONIC));
	b->move = cold ? flip : move_queued;
	if (!cold)
		start_queued();
	b->has_classic = !access("/sys/kernel/tracing/events/sched", F_OK);
	b->skel = bench__open_and_load();
	if (!b->skel)
		die("bench programs: %s", strerror(errno));
	b->empty[0] = bpf_program__fd(b->skel->progs.empty_a);
	b->empty[1] = bpf_program__fd(b->skel->progs.empty_b);
	know_threads(b);
}

static int bench_cost(int rounds, uint64_t moves, bool cold)
{
	static struct bench_cost b;
	int stats = bpf_enable_stats(BPF_STATS_RUN_TIME);

	if (stats < 0)
		die("bpf statistics: %s", strerror(errno));
	if (rounds < 1 || rounds > ROUNDS_MAX)
		die("between 1 and %d rounds", ROUNDS_MAX);
	start_cost(&b, cold);
	for (int round = 0; round < rounds; round++) {
		if (round % RELOAD_ROUNDS == 0) {
			unload_ours(&b);
			load_ours(&b);
		}
		for (int v = 0; v < VARIANTS; v++)
			if (v != CLASSIC || b.has_classic)
				one_step(&b, v, round, moves);
	}
	print_costs(&b, rounds);
	unload_ours(&b);
	bench__destroy(b.skel);
	close(stats);
	return 0;
}

/* ---- a whole workload -------------------------------------------------------------------- */

#define MIGRATIONS_PER_S 30000
#define LINKS_MAX 32

/*
 * One side of a ping-pong. Its partner sleeps until the ball comes, so changing the partner's CPU
 * before that makes a migration in the waker's context, as most migrations are.
 */
struct side {
	int in, out;
	uint64_t rounds;
	double moves_a_round;
	pid_t tid;
	const struct side *partner;
	bool first;
};

static void send_away(const struct side *s, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(s->partner->tid, sizeof(set), &set))
		die("sched_setaffinity: %s", strerror(errno));
}

static void *play(void *arg)
{
	double due = 0;
	struct side *s = arg;
	int cpu = 0;
	char ball = 0;

	__atomic_store_n(&s->tid, gettid(), __ATOMIC_RELEASE);
	while (!__atomic_load_n(&s->partner->tid, __ATOMIC_ACQUIRE))
		sched_yield();
	for (uint64_t i = 0; i < s->rounds; i++) {
		if (!s->first && read(s->in, &ball, 1) != 1)
			die("pipe: %s", strerror(errno));
		for (due += s->moves_a_round; due >= 1; due--)
			send_away(s, cpu = !cpu);
		if (write(s->out, &ball, 1) != 1 || (s->first && read(s->in, &ball, 1) != 1))
			die("pipe: %s", strerror(errno));
	}
	return NULL;
}

struct whole {
	double cpu_ns; /* a ping-pong */
	double rounds_per_s;
};

static struct whole play_once(uint64_t rounds, double moves_a_round)
{
	int there[2], back[2];
	pthread_t threads[2];
	struct side sides[2];
	uint64_t cpu, wall;
	struct whole result;

	if (pipe(there) || pipe(back))
		die("pipe: %s", strerror(errno));
	sides[0] = (struct side){back[0], there[1], rounds, moves_a_round / 2, 0, &sides[1], true};
	sides[1] = (struct side){there[0], back[1], rounds, moves_a_round / 2, 0, &sides[0], false};
	cpu = process_cpu_ns();
	wall = clock_ns(CLOCK_MONOTONIC);
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, play, &sides[i]);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	wall = clock_ns(CLOCK_MONOTONIC) - wall;
	result.cpu_ns = (double)(process_cpu_ns() - cpu) / rounds;
	result.rounds_per_s = rounds * 1e9 / wall;
	for (int i = 0; i < 2; i++) {
		close(there[i]);
		close(back[i]);
	}
	return result;
}

/* How many moves a round make 30,000 a second here. Return: that; @rounds: rounds a second. */
static double calibrate(double *rounds)
{
	double moves = 0.2;

	for (int i = 0; i < 12; i++) {
		double now = play_once(4000, moves).rounds_per_s;

		*rounds = i ? (*rounds + now) / 2 : now;
		moves = MIGRATIONS_PER_S / *rounds;
	}
	return moves;
}

/* Our programs, loaded and not attached: an attachment a program, made and ended in a moment. */
struct attachments {
	int program[LINKS_MAX], link[LINKS_MAX];
	int count;
};

static void keep_programs(struct attachments *a, struct pf_bpf **bpf)
{
	struct pf_program_cost rows[LINKS_MAX];
	int count = pf_bpf_costs(*bpf, rows, LINKS_MAX, NULL);

	for (int i = 0; i < count; i++)
		if (strcmp(rows[i].name, "pf_settle"))
			a->program[a->count++] = bpf_prog_get_fd_by_id(rows[i].id);
	pf_bpf_close(bpf);
}

static void attach_all(struct attachments *a)
{
	for (int i = 0; i < a->count; i++) {
		a->link[i] = bpf_raw_tracepoint_open(NULL, a->program[i]);
		if (a->link[i] < 0)
			die("attach: %s", strerror(errno));
	}
}

static void detach_all(struct attachments *a)
{
	for (int i = 0; i < a->count; i++)
		close(a->link[i]);
}

static struct whole play_with(struct attachments *a, bool attached, uint64_t rounds, double moves)
{
	struct whole result;

	if (attached)
		attach_all(a);
	play_once(rounds / 8, moves); /* caches and clock speed as in the other half of the pair */
	result = play_once(rounds, moves);
	if (attached)
		detach_all(a);
	return result;
}

/*
 * Pairs of short runs, one with the programs and one without, in random order: what the machine
 * does besides changes slower than that. The pairs' median is told with the interval in which the
 * true median is with 95 % certainty, which needs no assumption but that pairs are independent.
 */
static int bench_whole(int pairs, double seconds)
{
	static double with[ROUNDS_MAX], without[ROUNDS_MAX], percent[ROUNDS_MAX], rate[ROUNDS_MAX];
	struct attachments attachments = {.count = 0};
	struct pf_bpf *bpf = open_programs(NULL, NULL, 0);
	double rounds, moves;
	int half = ceil(0.98 * sqrt(pairs));

	if (pairs < 6 || pairs > ROUNDS_MAX)
		die("between 6 and %d pairs", ROUNDS_MAX);
	other_guests(bpf);
	promise(bpf, "0-4095", 0);
	keep_programs(&attachments, &bpf);
	moves = calibrate(&rounds);
	srand(clock_ns(CLOCK_MONOTONIC));
	for (int i = 0; i < pairs; i++) {
		bool attached = rand() & 1;
		struct whole a = play_with(&attachments, attached, rounds * seconds, moves);
		struct whole b = play_with(&attachments, !attached, rounds * seconds, moves);

		with[i] = attached ? a.cpu_ns : b.cpu_ns;
		without[i] = attached ? b.cpu_ns : a.cpu_ns;
		percent[i] = (with[i] / without[i] - 1) * 100;
		rate[i] = a.rounds_per_s * moves;
	}
	printf("{");
	print_numbers("without_ns", without, pairs, ",");
	print_numbers("with_ns", with, pairs, ",");
	print_numbers("migrations_per_s", rate, pairs, ",");
	print_numbers("percent", percent, pairs, ",");
	qsort(percent, pairs, sizeof(*percent), by_value);
	printf("\"pairs\":%d,\"moves_a_round\":%.4f,\"least\":%.3f,\"most\":%.3f}\n", pairs, moves,
	       percent[pairs / 2 - half < 0 ? 0 : pairs / 2 - half],
	       percent[pairs / 2 + half >= pairs ? pairs - 1 : pairs / 2 + half]);
	return 0;
}

/* ---- storm ------------------------------------------------------------------------------- */

static void *storm_thread(void *arg)
{
	go_to(0);
	for (uint64_t i = 0; i < *(uint64_t *)arg; i++) {
		go_to(1);
		go_to(0);
	}
	return NULL;
}

/* @escapes moves to CPU 1, and as many back. Return: wall time. */
static uint64_t storm(uint64_t escapes, int threads)
{
	pthread_t thread[THREADS_MAX];
	uint64_t each = escapes / threads, begin;

	if (threads > THREADS_MAX)
		die("at most %d threads", THREADS_MAX);
	begin = clock_ns(CLOCK_MONOTONIC);
	for (int i = 0; i < threads; i++)
		pthread_create(&thread[i], NULL, storm_thread, &each);
	for (int i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
	return clock_ns(CLOCK_MONOTONIC) - begin;
}

static int bench_storm(uint64_t events, int threads)
{
	uint64_t escapes = events / 2 / threads * threads;
	uint64_t cpu = process_cpu_ns(), wall = storm(escapes, threads);

	printf("{\"escapes\":%llu,\"wall_ns\":%llu,\"cpu_ns\":%llu}\n", (unsigned long long)escapes,
	       (unsigned long long)wall, (unsigned long long)(process_cpu_ns() - cpu));
	return 0;
}

static int count_record(const struct pf_record *record, void *arg)
{
	uint64_t *count = arg;

	count[record->kind == PF_REC_ESCAPE ? 0 : 1]++;
	return 0;
}

/* Reads like the agent: sleeps in poll, comes by the clock while records come fast. */
static void read_until(struct pf_bpf *bpf, int stop)
{
	for (;;) {
		struct pollfd fds[2] = {{.fd = pf_bpf_poll_fd(bpf), .events = POLLIN},
					{.fd = stop, .events = POLLIN}};
		unsigned int again = 0;
		struct pf_err err;

		if (pf_bpf_consume(bpf, &again, &err) < 0)
			die("%s", err.text);
		if (again)
			fds[0].fd = -1;
		if (poll(fds, 2, again ? (int)again / 1000 : -1) < 0)
			die("poll: %s", strerror(errno));
		if (fds[1].revents)
			break;
	}
	consume(bpf);
}

static pid_t start_storm(uint64_t events, int threads, int go, int done)
{
	pid_t pid = fork();
	char byte;

	if (pid)
		return pid;
	if (read(go, &byte, 1) != 1)
		_exit(1);
	/* The main thread begins at home, so that it never escapes itself. */
	go_to(0);
	storm(events / 2 / threads * threads, threads);
	close(done);
	_exit(0);
}

static int bench_ours(uint64_t events, int threads, bool all)
{
	uint64_t seen[2] = {0}, cpu, wall;
	int go[2], done[2], status = 0;
	struct pf_counters sum;
	struct bench *skel;
	struct pf_bpf *bpf;
	struct pf_err err;
	uint32_t slot;
	pid_t child;

	if (pipe(go) || pipe(done))
		die("pipe: %s", strerror(errno));
	child = start_storm(events, threads, go[0], done[1]);
	close(done[1]);
	skel = bench__open_and_load();
	if (!skel)
		die("bench programs: %s", strerror(errno));
	skel->bss->count_tgid = child;
	skel->links.independent = bpf_program__attach(skel->progs.independent);
	bpf = open_programs(count_record, seen, child);
	slot = promise(bpf, "0", 0);
	if (all)
		set_rate(bpf, true);
	cpu = process_cpu_ns();
	wall = clock_ns(CLOCK_MONOTONIC);
	if (write(go[1], "g", 1) != 1)
		die("pipe: %s", strerror(errno));
	read_until(bpf, done[0]);
	wall = clock_ns(CLOCK_MONOTONIC) - wall;
	cpu = process_cpu_ns() - cpu;
	waitpid(child, &status, 0);
	consume(bpf);
	if (pf_bpf_counters(bpf, slot, &sum, &err) || status)
		die("storm: %s", err.text);
	printf("{\"escapes\":%llu,\"independent\":%llu,\"counted\":%llu,\"told\":%llu,"
	       "\"read\":%llu,\"suppressed\":%llu,\"dropped\":%llu,\"untimed\":%llu,"
	       "\"away_ns\":%llu,\"wall_ns\":%llu,\"reader_cpu_ns\":%llu}\n",
	       (unsigned long long)(events / 2 / threads * threads),
	       (unsigned long long)skel->bss->flips, (unsigned long long)sum.escapes,
	       (unsigned long long)sum.told, (unsigned long long)(seen[0] + seen[1]),
	       (unsigned long long)sum.suppressed, (unsigned long long)sum.dropped,
	       (unsigned long long)sum.untimed, (unsigned long long)sum.away_ns,
	       (unsigned long long)wall, (unsigned long long)cpu);
	pf_bpf_close(&bpf);
	bench__destroy(skel);
	return 0;
}

/* ---- drain ------------------------------------------------------------------------------- */

static int bench_drain(int rounds)
{
	static double rate[ROUNDS_MAX];
	uint64_t seen[2] = {0}, told = 0;
	struct pf_bpf *bpf = open_programs(count_record, seen, getpid());
	uint32_t slot = promise(bpf, "0", 0);
	struct pf_counters sum = {0};

	set_rate(bpf, true);
	for (int i = 0; i < rounds; i++) {
		uint64_t before = seen[0] + seen[1], begin;

		flip(50000);
		begin = clock_ns(CLOCK_MONOTONIC);
		consume(bpf);
		rate[i] = (seen[0] + seen[1] - before) * 1e3 / (clock_ns(CLOCK_MONOTONIC) - begin);
	}
	if (pf_bpf_counters(bpf, slot, &sum, NULL))
		die("counters");
	told = sum.told;
	printf("{");
	print_numbers("million_per_s", rate, rounds, ",");
	printf("\"told\":%llu,\"read\":%llu,\"dropped\":%llu}\n", (unsigned long long)told,
	       (unsigned long long)(seen[0] + seen[1]), (unsigned long long)sum.dropped);
	pf_bpf_close(&bpf);
	return 0;
}

static int bench_stats(void)
{
	int fd = bpf_enable_stats(BPF_STATS_RUN_TIME);
	char byte;

	if (fd < 0)
		die("bpf statistics: %s", strerror(errno));
	puts("on");
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	close(fd);
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	uint64_t first = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
	double second = argc > 3 ? strtod(argv[3], NULL) : 0;

	if (!strcmp(what, "cost") && argc == 4)
		return bench_cost(first, second, false);
	if (!strcmp(what, "cold") && argc == 4)
		return bench_cost(first, second, true);
	if (!strcmp(what, "whole") && argc == 4)
		return bench_whole(first, second);
	if (!strcmp(what, "storm") && argc == 4)
		return bench_storm(first, second);
	if (!strcmp(what, "ours") && argc == 4)
		return bench_ours(first, second, false);
	if (!strcmp(what, "all") && argc == 4)
		return bench_ours(first, second, true);
	if (!strcmp(what, "stats") && argc == 2)
		return bench_stats();
	if (!strcmp(what, "drain") && argc == 3)
		return bench_drain(first);
	fprintf(stderr, "usage: bench cost|cold ROUNDS MOVES | whole PAIRS SECONDS | "
			"storm|ours|all EVENTS THREADS | drain ROUNDS | stats\n");
	return 2;
}
