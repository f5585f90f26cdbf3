// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What happens inside a guest's group in the lab, made to order and counted by its maker:
 *
 *   storm flip BASE LEAF HOME AWAY THREADS ESCAPES   threads that flip between two CPUs
 *   storm touch BASE LEAF MIB NODE HOME WIDE SECONDS a thread far from the memory that it reads
 *
 * This process joins the group BASE, the guest's threaded domain, and its threads the group LEAF.
 * HOME and AWAY are lists of CPUs: thread I flips between HOME[I % n] and AWAY[I % m], so that each
 * escape is one by construction.
 *
 * flip prints "ready" when all threads sit at home and waits for a line; then they flip. It prints
 * "done N", the number of escapes made, and waits for another line before it ends.
 *
 * touch has its memory on NODE and sits on the CPUs HOME when it prints "ready" and its tid; on a line
 * it lets the scheduler choose among WIDE and goes through its memory again and again.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/set.h"

#define THREADS_MAX 256

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *fmt, ...)
{
	int code = errno;
	va_list args;

	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fprintf(stderr, ": %s\n", strerror(code));
	exit(1);
}

static void join(const char *group, const char *file, long number)
{
	char path[4096], text[24];
	int fd, len = snprintf(text, sizeof(text), "%ld", number);

	snprintf(path, sizeof(path), "%s/%s", group, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, (size_t)len) != len)
		die("write %s to %s", text, path);
	close(fd);
}

static void sit_on_all(const struct pf_set *cpus)
{
	cpu_set_t mask;

	CPU_ZERO(&mask);
	pf_set_for_each(cpu, cpus)
		CPU_SET((size_t)cpu, &mask);
	if (sched_setaffinity(0, sizeof(mask), &mask))
		die("sit on the CPUs asked for");
}

static void sit_on(unsigned int cpu)
{
	struct pf_set one = {};

	pf_set_add(&one, cpu);
	sit_on_all(&one);
}

static struct pf_set list_of(const char *text)
{
	struct pf_set set;

	if (pf_set_parse(text, &set, NULL) < 0 || pf_set_empty(&set)) {
		errno = EINVAL;
		die("'%s' is no list of CPUs", text);
	}
	return set;
}

static unsigned int nth(const struct pf_set *set, unsigned int n)
{
	n %= pf_set_count(set);
	pf_set_for_each(cpu, set)
		if (!n--)
			return cpu;
	return 0;
}

/* ---- flip -------------------------------------------------------------------------------- */

struct flipper {
	pthread_t thread;
	const char *leaf;
	unsigned int home, away;
	uint64_t escapes;
};

static pthread_barrier_t all_ready, all_go;

static void *flip(void *arg)
{
	struct flipper *me = arg;

	join(me->leaf, "cgroup.threads", (long)syscall(SYS_gettid));
	sit_on(me->home);
	pthread_barrier_wait(&all_ready);
	pthread_barrier_wait(&all_go);
	for (uint64_t i = 0; i < me->escapes; i++) {
		sit_on(me->away);
		sit_on(me->home);
	}
	return NULL;
}

static void wait_for_line(void)
{
	char line[16];

	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		exit(0);
}

static int storm(const char *base, const char *leaf, char **args)
{
	struct pf_set home = list_of(args[0]), away = list_of(args[1]);
	unsigned int threads = (unsigned int)atoi(args[2]);
	uint64_t escapes = strtoull(args[3], NULL, 10), made = 0;
	static struct flipper flippers[THREADS_MAX];

	if (!threads || threads > THREADS_MAX) {
		errno = EINVAL;
		die("%u threads", threads);
	}
	/* This thread stays at home, too: somebody may count by the process's name. */
	join(base, "cgroup.procs", getpid());
	sit_on_all(&home);
	pthread_barrier_init(&all_ready, NULL, threads + 1);
	pthread_barrier_init(&all_go, NULL, threads + 1);
	for (unsigned int i = 0; i < threads; i++) {
		flippers[i] = (struct flipper){
			.leaf = leaf,
			.home = nth(&home, i),
			.away = nth(&away, i),
			.escapes = escapes / threads + (i < escapes % threads),
		};
		made += flippers[i].escapes;
		if (pthread_create(&flippers[i].thread, NULL, flip, &flippers[i]))
			die("start thread %u", i);
	}
	pthread_barrier_wait(&all_ready);
	puts("ready");
	wait_for_line();
	pthread_barrier_wait(&all_go);
	for (unsigned int i = 0; i < threads; i++)
		pthread_join(flippers[i].thread, NULL);
	printf("done %lu\n", (unsigned long)made);
	wait_for_line();
	return 0;
}

/* ---- touch ------------------------------------------------------------------------------- */

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Fills memory on @node, whatever CPU it runs on; from then on the kernel may move it. */
static volatile char *memory_on(unsigned int node, size_t bytes)
{
	unsigned long mask = 1UL << node;
	char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		die("map %zu bytes", bytes);
	madvise(memory, bytes, MADV_NOHUGEPAGE);
	if (syscall(SYS_set_mempolicy, MPOL_PREFERRED, &mask, 64))
		die("prefer node %u", node);
	memset(memory, 1, bytes);
	if (syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0))
		die("give the policy up");
	return memory;
}

static int touch(const char *base, const char *leaf, char **args)
{
	size_t bytes = strtoull(args[0], NULL, 10) << 20;
	struct pf_set home = list_of(args[2]), wide = list_of(args[3]);
	volatile char *memory;
	uint64_t until;

	sit_on_all(&home);
	memory = memory_on((unsigned int)atoi(args[1]), bytes);
	join(base, "cgroup.procs", getpid());
	join(leaf, "cgroup.threads", (long)syscall(SYS_gettid));
	sit_on_all(&home);
	printf("ready %ld\n", (long)syscall(SYS_gettid));
	wait_for_line();
	until = now_ns() + strtoull(args[4], NULL, 10) * 1000000000;
	sit_on_all(&wide);
	while (now_ns() < until)
		for (size_t at = 0; at < bytes; at += 4096)
			memory[at]++;
	puts("done");
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 8 && strcmp(argv[1], "flip") == 0)
		return storm(argv[2], argv[3], argv + 4);
	if (argc == 9 && strcmp(argv[1], "touch") == 0)
		return touch(argv[2], argv[3], argv + 4);
	fputs("usage: storm flip BASE LEAF HOME AWAY THREADS ESCAPES\n"
	      "       storm touch BASE LEAF MIB NODE HOME WIDE SECONDS\n", stderr);
	return 2;
}
