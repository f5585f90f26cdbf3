// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/fake/after.h"

#include <errno.h>
#include <stdlib.h>

struct after {
	struct pf_cgroup cg;
	struct pf_cgroup *inner;
	pf_after_fn changed;
	void *ctx;
};

static struct pf_cgroup *inner(struct pf_cgroup *cg)
{
	return ((struct after *)cg)->inner;
}

static void changed(struct pf_cgroup *cg, const char *what, const char *where)
{
	const struct after *after = (struct after *)cg;

	after->changed(after->ctx, what, where);
}

static int after_read(struct pf_cgroup *cg, const char *group, const char *file, char **out,
		      struct pf_err *err)
{
	return inner(cg)->ops->read(inner(cg), group, file, out, err);
}

static int after_write(struct pf_cgroup *cg, const char *group, const char *file, const char *value,
		       struct pf_err *err)
{
	int r = inner(cg)->ops->write(inner(cg), group, file, value, err);

	changed(cg, file, group);
	return r;
}

static int after_id(struct pf_cgroup *cg, const char *group, uint64_t *out, struct pf_err *err)
{
	return inner(cg)->ops->id(inner(cg), group, out, err);
}

static int after_make(struct pf_cgroup *cg, const char *group, struct pf_err *err)
{
	int r = inner(cg)->ops->make(inner(cg), group, err);

	changed(cg, "mkdir", group);
	return r;
}

static int after_remove(struct pf_cgroup *cg, const char *group, struct pf_err *err)
{
	int r = inner(cg)->ops->remove(inner(cg), group, err);

	changed(cg, "rmdir", group);
	return r;
}

static int after_attach(struct pf_cgroup *cg, const char *group, pid_t tid, struct pf_err *err)
{
	int r = inner(cg)->ops->attach(inner(cg), group, tid, err);

	changed(cg, "attach", group);
	return r;
}

static int after_threads(struct pf_cgroup *cg, const char *group, pid_t **tids, size_t *count,
			 struct pf_err *err)
{
	return inner(cg)->ops->threads(inner(cg), group, tids, count, err);
}

static int after_task(struct pf_cgroup *cg, pid_t tid, struct pf_task *out, struct pf_err *err)
{
	return inner(cg)->ops->task(inner(cg), tid, out, err);
}

static int after_affinity(struct pf_cgroup *cg, pid_t tid, const struct pf_set *cpus,
			  struct pf_err *err)
{
	int r = inner(cg)->ops->affinity(inner(cg), tid, cpus, err);

	changed(cg, "affinity", "a thread");
	return r;
}

static int after_again(const struct pf_cgroup *cg, struct pf_cgroup **out, struct pf_err *err)
{
	const struct after *after = (const struct after *)cg;
	struct pf_cgroup *within = NULL;
	int r = after->inner->ops->again(after->inner, &within, err);

	if (!r && pf_after_new(within, after->changed, after->ctx, out) < 0) {
		pf_cgroup_free(&within);
		return pf_fail(err, ENOMEM, "open the cgroup tree again");
	}
	return r;
}

static void after_close(struct pf_cgroup *cg)
{
	struct pf_cgroup *within = inner(cg);

	pf_cgroup_free(&within);
	free(cg);
}

static const struct pf_cgroup_ops after_ops = {
	.read = after_read,
	.write = after_write,
	.id = after_id,
	.make = after_make,
	.remove = after_remove,
	.attach = after_attach,
	.threads = after_threads,
	.task = after_task,
	.affinity = after_affinity,
	.again = after_again,
	.close = after_close,
};

int pf_after_new(struct pf_cgroup *inner_cg, pf_after_fn after, void *ctx, struct pf_cgroup **out)
{
	struct after *outer = calloc(1, sizeof(*outer));

	if (!outer)
		return -ENOMEM;
	*outer = (struct after){
		.cg.ops = &after_ops, .inner = inner_cg, .changed = after, .ctx = ctx};
	*out = &outer->cg;
	return 0;
}
