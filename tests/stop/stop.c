// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Linked around pinfoldd (build.mk, --wrap): ends or stops the agent right after the nth thing that
 * it changes, before it reads back what came of it. A change is a write to a group's file, a group
 * made or removed, a thread moved or given an affinity, a call to systemd, a page of the ledger
 * saved. The file named by PF_STOP_AT says which: "3 KILL *" after the third of all, "1 STOP mkdir"
 * at the first of those. Changes are counted from when the file appears; it is removed when the agent
 * stops. "1 STOP write:FILE" is before the write to a group's file instead, with the file open: what
 * the kernel answers then is said afterwards. (What libcgroup writes, cpuset.* and cpu.*, is not seen
 * that way.)
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/apply/note.h"
#include "agent/apply/unit.h"
#include "tests/fake/after.h"

int __real_pf_cgroup_open(struct pf_cgroup **out, struct pf_err *err);
int __wrap_pf_cgroup_open(struct pf_cgroup **out, struct pf_err *err);
int __real_pf_unit_set(void *ctx, const char *unit, const char *knob, const char *value,
		       struct pf_err *err);
int __wrap_pf_unit_set(void *ctx, const char *unit, const char *knob, const char *value,
		       struct pf_err *err);
int __real_pf_unit_make(void *ctx, const struct pf_unit_machine *machine, struct pf_err *err);
int __wrap_pf_unit_make(void *ctx, const struct pf_unit_machine *machine, struct pf_err *err);
int __real_pf_ledger_save(struct pf_ledger *ledger, const struct pf_record *record,
			  struct pf_err *err);
int __wrap_pf_ledger_save(struct pf_ledger *ledger, const struct pf_record *record,
			  struct pf_err *err);
ssize_t __real_write(int fd, const void *data, size_t size);
ssize_t __wrap_write(int fd, const void *data, size_t size);

static bool stop_at_once(const char *what, const char *where, const char *when, bool any)
{
	static unsigned int count;
	const char *path = getenv("PF_STOP_AT");
	FILE *file = path ? fopen(path, "re") : NULL;
	unsigned int nth = 0;
	char how[8] = "", which[32] = "";
	int words = file ? fscanf(file, "%u %7s %31s", &nth, how, which) : 0;

	if (!file) {
		count = 0;
		return false;
	}
	fclose(file);
	if (words != 3 || (strcmp(which, what) && (!any || strcmp(which, "*"))) || ++count != nth)
		return false;
	fprintf(stderr, "stopped (%s) %s %s of %s\n", how, when, what, where);
	unlink(path);
	raise(strcmp(how, "STOP") == 0 ? SIGSTOP : SIGKILL); /* this thread at once, then all */
	return true;
}

/*
 * Guests are changed by several threads. @any: counts for "*". Return: whether the agent was stopped
 * here, and goes on.
 */
static bool stop_at(const char *what, const char *where, const char *when, bool any)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	bool stopped;

	pthread_mutex_lock(&lock);
	stopped = stop_at_once(what, where, when, any);
	pthread_mutex_unlock(&lock);
	return stopped;
}

static void passed(void *ctx, const char *what, const char *where)
{
	(void)ctx;
	stop_at(what, where, "after", true);
}

/* Whether the agent was stopped before it writes to that file of a group. */
static bool stopped_before(int fd)
{
	char link[32], path[4096], what[32];
	const char *file;
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	file = strrchr(path, '/');
	if (strncmp(path, "/sys/fs/cgroup/", strlen("/sys/fs/cgroup/")) != 0 || !file)
		return false;
	snprintf(what, sizeof(what), "write:%.25s", file + 1);
	return stop_at(what, path, "before", false);
}

ssize_t __wrap_write(int fd, const void *data, size_t size)
{
	bool stopped = stopped_before(fd);
	ssize_t n = __real_write(fd, data, size);
	int code = n < 0 ? errno : 0;

	if (stopped)
		fprintf(stderr, "the write had waited: errno %d\n", code);
	errno = code;
	return n;
}

int __wrap_pf_cgroup_open(struct pf_cgroup **out, struct pf_err *err)
{
	struct pf_cgroup *inner = NULL;
	int r = __real_pf_cgroup_open(&inner, err);

	if (!r && pf_after_new(inner, passed, NULL, out) < 0) {
		pf_cgroup_free(&inner);
		return pf_fail(err, ENOMEM, "open the cgroup tree");
	}
	return r;
}

int __wrap_pf_unit_set(void *ctx, const char *unit, const char *knob, const char *value,
		       struct pf_err *err)
{
	int r = __real_pf_unit_set(ctx, unit, knob, value, err);

	passed(NULL, knob, unit);
	return r;
}

int __wrap_pf_ledger_save(struct pf_ledger *ledger, const struct pf_record *record,
			  struct pf_err *err)
{
	int r = __real_pf_ledger_save(ledger, record, err);

	passed(NULL, "page", record->uuid);
	return r;
}

int __wrap_pf_unit_make(void *ctx, const struct pf_unit_machine *machine, struct pf_err *err)
{
	int r = __real_pf_unit_make(ctx, machine, err);

	passed(NULL, "scope", machine->unit);
	return r;
}
