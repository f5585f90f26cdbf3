// SPDX-License-Identifier: GPL-2.0-or-later
/* Threads: cgroup.threads (cgroups(7)), /proc/TID (proc(5)), sched_setaffinity(2). */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/array.h"
#include "agent/base/cleanup.h"
#include "agent/base/file.h"
#include "cgroup/kernel.h"

/* --- cgroup.threads ------------------------------------------------------------------------- */

static const char *attach_hint(int code)
{
	switch (code) {
	case -EOPNOTSUPP:
		return " (a thread cannot leave its process's threaded domain)";
	case -ESRCH:
		return " (the thread is gone)";
	case -EBUSY:
		return " (the group has controllers enabled for its children)";
	case -ENOSPC:
		return " (the group's cpuset gives no CPU or no node)";
	default:
		return "";
	}
}

int pf_kernel_attach(struct pf_cgroup *cg, const char *group, pid_t tid, struct pf_err *err)
{
	char word[PF_GROUP_WORD], text[16];
	int r;

	snprintf(text, sizeof(text), "%d", (int)tid);
	r = pf_group_write_file((struct pf_kernel *)cg, group, "cgroup.threads", text);
	if (r < 0)
		return pf_fail(err, r, "move thread %d to cgroup %s%s", (int)tid,
			       pf_group_word(group, word), attach_hint(r));
	return 0;
}

static int compare_tids(const void *a, const void *b)
{
	pid_t left = *(const pid_t *)a, right = *(const pid_t *)b;

	return (left > right) - (left < right);
}

static int parse_tids(const char *text, pid_t **tids, size_t *count)
{
	while (*text) {
		char *end;
		long tid = strtol(text, &end, 10);
		pid_t *slot;

		if (end == text || (*end && *end != '\n') || tid < 0 || tid > INT_MAX)
			return -EBADMSG;
		slot = pf_append(tids, count);
		if (!slot)
			return -ENOMEM;
		*slot = (pid_t)tid;
		text = *end ? end + 1 : end;
	}
	return 0;
}

int pf_kernel_threads(struct pf_cgroup *cg, const char *group, pid_t **tids, size_t *count,
		      struct pf_err *err)
{
	pf_auto_free char *text = NULL;
	pf_auto_free pid_t *found = NULL;
	char word[PF_GROUP_WORD];
	size_t n = 0;
	int r;

	r = cg->ops->read(cg, group, "cgroup.threads", &text, err);
	if (r < 0)
		return r;
	r = parse_tids(text, &found, &n);
	if (r < 0)
		return pf_fail(err, r, "read cgroup.threads of cgroup %s",
			       pf_group_word(group, word));
	if (n)
		qsort(found, n, sizeof(*found), compare_tids);
	*tids = pf_take_ptr(found);
	*count = n;
	return 0;
}

/* --- /proc/TID ------------------------------------------------------------------------------ */

/* comm stands in parentheses and may hold anything, ')' included: fields count from the last. */
static int parse_stat(const char *text, struct pf_task *task)
{
	const char *at = strrchr(text, ')');
	unsigned long long start;
	int field = 2, n = -1, cpu;

	for (; at && field < 22; field++) {
		at = strchr(at, ' ');
		at = at ? at + 1 : NULL;
	}
	if (!at || sscanf(at, "%llu%n", &start, &n) != 1)
		return -EBADMSG;
	for (; at && field < 39; field++) {
		at = strchr(at, ' ');
		at = at ? at + 1 : NULL;
	}
	if (!at || sscanf(at, "%d", &cpu) != 1)
		return -EBADMSG;
	task->start_ticks = start;
	task->on_cpu = cpu;
	return 0;
}

/* The line "NAME:\tVALUE" of status. */
static int parse_status_set(const char *text, const char *name, struct pf_set *out)
{
	const char *line = strstr(text, name);
	pf_auto_free char *value = NULL;

	if (!line)
		return -EBADMSG;
	line += strlen(name);
	value = strndup(line, strcspn(line, "\n"));
	if (!value)
		return -ENOMEM;
	return pf_set_parse(value, out, NULL);
}

static int parse_status(const char *text, struct pf_task *task)
{
	int r = parse_status_set(text, "\nCpus_allowed_list:", &task->cpus_allowed);

	return r ?: parse_status_set(text, "\nMems_allowed_list:", &task->mems_allowed);
}

/* "0::/path": the v2 line. On a hybrid host others stand before it. */
static int parse_cgroup(const char *text, struct pf_task *task)
{
	const char *line = strncmp(text, "0::", 3) == 0 ? text : strstr(text, "\n0::");

	if (!line)
		return -EBADMSG;
	line = strchr(line, '/');
	if (!line)
		return -EBADMSG;
	task->cgroup = strndup(line, strcspn(line, "\n"));
	return task->cgroup ? 0 : -ENOMEM;
}

static int read_part(int dir, const char *file, struct pf_task *task,
		     int (*parse)(const char *text, struct pf_task *task))
{
	pf_auto_free char *text = NULL;
	int r = pf_file_read_once(dir, file, &text, NULL);

	return r < 0 ? r : parse(text, task);
}

int pf_kernel_task(struct pf_cgroup *cg, pid_t tid, struct pf_task *out, struct pf_err *err)
{
	const struct pf_kernel *kernel = (struct pf_kernel *)cg;
	PF_CLEANUP(pf_task_clear) struct pf_task task = {.on_cpu = -1};
	pf_auto_close int dir = -1;
	char name[16];
	int r = 0;

	/* One directory fd: all three files are of the same thread, should the tid be used again. */
	snprintf(name, sizeof(name), "%d", (int)tid);
	dir = openat(kernel->proc_fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		r = -errno;
	r = r ?: read_part(dir, "stat", &task, parse_stat);
	r = r ?: read_part(dir, "status", &task, parse_status);
	r = r ?: read_part(dir, "cgroup", &task, parse_cgroup);
	if (r == -ENOENT)
		r = -ESRCH;
	if (r < 0)
		return pf_fail(err, r, "read /proc/%d", (int)tid);
	*out = task;
	task = (struct pf_task){};
	return 0;
}

/* --- affinity ------------------------------------------------------------------------------- */

int pf_kernel_affinity(struct pf_cgroup *cg, pid_t tid, const struct pf_set *cpus,
		       struct pf_err *err)
{
	size_t size = CPU_ALLOC_SIZE(PF_SET_BITS);
	cpu_set_t *mask = CPU_ALLOC(PF_SET_BITS);
	pf_auto_free char *text = malloc(PF_SET_TEXT_MAX);
	int r = 0;

	(void)cg;
	if (!mask || !text) {
		CPU_FREE(mask);
		return pf_fail(err, ENOMEM, "set the affinity of thread %d", (int)tid);
	}
	CPU_ZERO_S(size, mask);
	pf_set_for_each (cpu, cpus)
		CPU_SET_S((size_t)cpu, size, mask);
	if (sched_setaffinity(tid, size, mask) < 0)
		r = -errno;
	CPU_FREE(mask);
	if (r < 0)
		return pf_fail(err, r, "set the affinity of thread %d to '%.100s'%s", (int)tid,
			       pf_set_format(cpus, text, PF_SET_TEXT_MAX),
			       r == -EINVAL ? " (none of them is in its cpuset and online)" : "");
	return 0;
}
