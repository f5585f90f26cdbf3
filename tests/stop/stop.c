// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Linked around pinfoldd (build.mk, --wrap): ends or stops the agent right after the nth thing that
 * it changes, before it reads back what came of it. A change is a write to a group's file, a group
 * made or removed, a thread moved or given an affinity, a call to systemd, a page of the ledger
 * saved. The file named by PF_STOP_AT says which: "3 KILL *" after the third of all, "1 STOP mkdir"
 * at the first of those. Changes are counted from when the file appears; it is removed when the agent
 * stops.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/apply/note.h"
#include "agent/apply/unit.h"
#include "agent/base/cleanup.h"

int __real_pf_cgroup_open(struct pf_cgroup **out, struct pf_err *err);
int __wrap_pf_cgroup_open(struct pf_cgroup **out, struct pf_err *err);
int __real_pf_unit_set(void *ctx, const char *unit, const char *knob, const char *value,
		       struct pf_err *err);
int __wrap_pf_unit_set(void *ctx, const char *unit, const char *knob, const char *value,
		       struct pf_err *err);
int __real_pf_ledger_save(struct pf_ledger *ledger, const struct pf_record *record,
			  struct pf_err *err);
int __wrap_pf_ledger_save(struct pf_ledger *ledger, const struct pf_record *record,
			  struct pf_err *err);

struct stopping {
	struct pf_cgroup cg;
	struct pf_cgroup *real;
};

static void passed(const char *what, const char *where)
{
	static unsigned int count;
	const char *path = getenv("PF_STOP_AT");
	FILE *file = path ? fopen(path, "re") : NULL;
	unsigned int nth = 0;
	char how[8] = "", which[32] = "";
	int words = file ? fscanf(file, "%u %7s %31s", &nth, how, which) : 0;

	if (!file) {
		count = 0;
		return;
	}
	fclose(file);
	if (words != 3 || (strcmp(which, "*") && strcmp(which, what)) || ++count != nth)
		return;
	fprintf(stderr, "stopped (%s) after %s of %s\n", how, what, where);
	unlink(path);
	kill(getpid(), strcmp(how, "STOP") == 0 ? SIGSTOP : SIGKILL);
}

static struct pf_cgroup *real(struct pf_cgroup *cg)
{
	return ((struct stopping *)cg)->real;
}

static int stop_read(struct pf_cgroup *cg, const char *group, const char *file, char **out,
		     struct pf_err *err)
{
	return real(cg)->ops->read(real(cg), group, file, out, err);
}

static int stop_write(struct pf_cgroup *cg, const char *group, const char *file, const char *value,
		      struct pf_err *err)
{
	int r = real(cg)->ops->write(real(cg), group, file, value, err);

	passed(file, group);
	return r;
}

static int stop_id(struct pf_cgroup *cg, const char *group, uint64_t *out, struct pf_err *err)
{
	return real(cg)->ops->id(real(cg), group, out, err);
}

static int stop_make(struct pf_cgroup *cg, const char *group, struct pf_err *err)
{
	int r = real(cg)->ops->make(real(cg), group, err);

	passed("mkdir", group);
	return r;
}

static int stop_remove(struct pf_cgroup *cg, const char *group, struct pf_err *err)
{
	int r = real(cg)->ops->remove(real(cg), group, err);

	passed("rmdir", group);
	return r;
}

static int stop_attach(struct pf_cgroup *cg, const char *group, pid_t tid, struct pf_err *err)
{
	int r = real(cg)->ops->attach(real(cg), group, tid, err);

	passed("attach", group);
	return r;
}

static int stop_threads(struct pf_cgroup *cg, const char *group, pid_t **tids, size_t *count,
			struct pf_err *err)
{
	return real(cg)->ops->threads(real(cg), group, tids, count, err);
}

static int stop_task(struct pf_cgroup *cg, pid_t tid, struct pf_task *out, struct pf_err *err)
{
	return real(cg)->ops->task(real(cg), tid, out, err);
}

static int stop_affinity(struct pf_cgroup *cg, pid_t tid, const struct pf_set *cpus,
			 struct pf_err *err)
{
	int r = real(cg)->ops->affinity(real(cg), tid, cpus, err);

	passed("affinity", "a thread");
	return r;
}

static void stop_close(struct pf_cgroup *cg)
{
	struct pf_cgroup *inner = real(cg);

	pf_cgroup_free(&inner);
	free(cg);
}

static const struct pf_cgroup_ops stop_ops = {
	.read = stop_read,
	.write = stop_write,
	.id = stop_id,
	.make = stop_make,
	.remove = stop_remove,
	.attach = stop_attach,
	.threads = stop_threads,
	.task = stop_task,
	.affinity = stop_affinity,
	.close = stop_close,
};

int __wrap_pf_cgroup_open(struct pf_cgroup **out, struct pf_err *err)
{
	pf_auto_free struct stopping *stopping = calloc(1, sizeof(*stopping));
	int r;

	if (!stopping)
		return pf_fail(err, ENOMEM, "open the cgroup tree");
	r = __real_pf_cgroup_open(&stopping->real, err);
	if (r < 0)
		return r;
	stopping->cg.ops = &stop_ops;
	*out = &pf_take_ptr(stopping)->cg;
	return 0;
}

int __wrap_pf_unit_set(void *ctx, const char *unit, const char *knob, const char *value,
		       struct pf_err *err)
{
	int r = __real_pf_unit_set(ctx, unit, knob, value, err);

	passed(knob, unit);
	return r;
}

int __wrap_pf_ledger_save(struct pf_ledger *ledger, const struct pf_record *record,
			  struct pf_err *err)
{
	int r = __real_pf_ledger_save(ledger, record, err);

	passed("page", record->uuid);
	return r;
}
