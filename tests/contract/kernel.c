// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * contract-kernel [PARENT-GROUP]: the contract on the running kernel, in TAP. It makes a group of
 * its own below PARENT-GROUP ("/" when not given), moves itself in and out of it, and switches a
 * CPU off and on: for the lab only, and it refuses to start without PF_LAB=1.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "agent/base/cleanup.h"
#include "agent/base/file.h"
#include "cgroup/kernel.h"
#include "tests/contract/suite.h"

struct sleeper {
	pthread_t thread;
	pid_t tid;
	int stop[2];  /* pipe: closed to end it */
	int ready[2]; /* pipe: it tells its tid */
};

static struct sleeper sleepers[PF_CONTRACT_THREADS];

static void *sleep_until_told(void *data)
{
	struct sleeper *sleeper = data;
	pid_t tid = gettid();
	char byte;

	if (write(sleeper->ready[1], &tid, sizeof(tid)) < 0)
		abort();
	while (read(sleeper->stop[0], &byte, 1) < 0 && errno == EINTR)
		;
	return NULL;
}

static pid_t kernel_spawn(struct pf_contract *t)
{
	struct sleeper *sleeper = sleepers;

	(void)t;
	while (sleeper->tid)
		sleeper++;
	if (pipe2(sleeper->stop, O_CLOEXEC) < 0 || pipe2(sleeper->ready, O_CLOEXEC) < 0)
		return -errno;
	if (pthread_create(&sleeper->thread, NULL, sleep_until_told, sleeper))
		return -EAGAIN;
	if (read(sleeper->ready[0], &sleeper->tid, sizeof(sleeper->tid)) < 0)
		return -errno;
	return sleeper->tid;
}

/* pthread_join() returns a little before the kernel has forgotten the tid. */
static void kernel_end(struct pf_contract *t, pid_t tid)
{
	struct sleeper *sleeper = sleepers;

	while (sleeper->tid != tid)
		sleeper++;
	close(sleeper->stop[1]);
	pthread_join(sleeper->thread, NULL);
	close(sleeper->stop[0]);
	close(sleeper->ready[0]);
	close(sleeper->ready[1]);
	sleeper->tid = 0;
	for (unsigned int i = 0; i < 500; i++) {
		struct pf_task task = {};

		if (t->cg->ops->task(t->cg, tid, &task, NULL) == -ESRCH)
			return;
		pf_task_clear(&task);
		usleep(10000);
	}
}

static int kernel_online(struct pf_contract *t, unsigned int cpu, bool online)
{
	pf_auto_close int root = pf_root_open("/", NULL);
	char path[64];

	(void)t;
	if (root < 0)
		return root;
	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/online", cpu);
	return pf_file_write_value(root, path, online ? "1" : "0", NULL);
}

static bool keeps_affinity(void)
{
	struct utsname name;
	int major = 0, minor = 0;

	if (uname(&name) < 0 || sscanf(name.release, "%d.%d", &major, &minor) != 2)
		return true;
	return major > 6 || (major == 6 && minor >= 2);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)at;
	return type == FTW_DP ? rmdir(path) : 0;
}

static void remove_tree(struct pf_contract *t, const char *group)
{
	pf_auto_free char *path = NULL;

	if (asprintf(&path, "%s%s", ((struct pf_kernel *)t->cg)->mount, group) > 0)
		nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static int enter(struct pf_contract *t, const char *group, struct pf_err *err)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	return t->cg->ops->write(t->cg, group, "cgroup.procs", pid, err);
}

/* A new base with this process in it, and the one before gone. */
static int next_base(struct pf_contract *t, const char *top, size_t n, struct pf_err *err)
{
	pf_auto_free char *before = pf_take_ptr(t->base);
	int r;

	if (asprintf(&t->base, "%s/c%zu", top, n) < 0)
		return pf_fail(err, ENOMEM, "name a group");
	r = t->cg->ops->make(t->cg, t->base, err);
	r = r ?: enter(t, t->base, err);
	if (before)
		remove_tree(t, before);
	return r;
}

static int prepare(struct pf_contract *t, const char *parent, const char *top, struct pf_err *err)
{
	pf_auto_free char *cpus = NULL, *nodes = NULL;
	int r;

	r = t->cg->ops->write(t->cg, parent, "cgroup.subtree_control", "+cpuset +cpu", err);
	r = r ?: t->cg->ops->make(t->cg, top, err);
	r = r ?: t->cg->ops->write(t->cg, top, "cgroup.subtree_control", "+cpuset +cpu", err);
	r = r ?: t->cg->ops->read(t->cg, top, "cpuset.cpus.effective", &cpus, err);
	r = r ?: t->cg->ops->read(t->cg, top, "cpuset.mems.effective", &nodes, err);
	r = r ?: pf_set_parse(cpus, &t->cpus, err);
	return r ?: pf_set_parse(nodes, &t->nodes, err);
}

static unsigned int run_all(struct pf_contract *t, const char *top)
{
	unsigned int bad = 0;

	for (size_t i = 0; i < pf_contract_check_count; i++) {
		const struct pf_contract_check *check = &pf_contract_checks[i];
		enum pf_contract_result result = PF_CONTRACT_FAILED;
		struct pf_err err = {};

		if (next_base(t, top, i + 1, &err) < 0)
			snprintf(t->words, sizeof(t->words), "%s", err.text);
		else
			result = check->run(t);
		while (t->thread_count)
			kernel_end(t, t->threads[--t->thread_count]);
		printf("%s %zu - %s%s%s\n", result == PF_CONTRACT_FAILED ? "not ok" : "ok", i + 1,
		       check->name, result == PF_CONTRACT_SKIPPED ? " # SKIP " : "",
		       result == PF_CONTRACT_SKIPPED ? t->words : "");
		if (result == PF_CONTRACT_FAILED)
			printf("# %s\n", t->words);
		fflush(stdout);
		bad += result != PF_CONTRACT_OK; /* in the lab nothing may be skipped */
	}
	return bad;
}

static int bail(const char *words)
{
	printf("Bail out! %s\n", words);
	return 2;
}

int main(int argc, char **argv)
{
	struct pf_contract t = {.spawn = kernel_spawn, .end = kernel_end, .online = kernel_online};
	PF_CLEANUP(pf_task_clear) struct pf_task self = {};
	const char *parent = argc > 1 ? argv[1] : "/";
	pf_auto_free char *top = NULL;
	struct pf_err err = {};
	unsigned int bad;

	if (strcmp(getenv("PF_LAB") ?: "", "1"))
		return bail("this changes cgroups and CPUs: run it in the lab, with PF_LAB=1");
	if (pf_cgroup_open(&t.cg, &err) < 0)
		return bail(err.text);
	t.keeps_affinity = keeps_affinity();
	if (asprintf(&top, "%s/pinfold-contract-%d", strcmp(parent, "/") ? parent : "",
		     (int)getpid()) < 0 ||
	    t.cg->ops->task(t.cg, getpid(), &self, &err) < 0 || prepare(&t, parent, top, &err) < 0)
		return bail(err.text);
	printf("1..%zu\n", pf_contract_check_count);
	bad = run_all(&t, top);
	enter(&t, self.cgroup, NULL);
	remove_tree(&t, top);
	free(t.base);
	pf_cgroup_free(&t.cg);
	return bad != 0;
}
