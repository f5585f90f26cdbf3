// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/fake/gate.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct handle {
	struct pf_cgroup cg;
	struct pf_gate *gate;
};

struct pf_gate {
	struct handle own;
	struct pf_cgroup *inner;
	pthread_mutex_t lock; /* for inner and all that follows */
	pthread_cond_t changed;
	char *group; /* NULL: open */
	const char *file;
	unsigned int waiting;
};

static struct pf_gate *gate_of(const struct pf_cgroup *cg)
{
	return ((const struct handle *)cg)->gate;
}

static struct pf_gate *enter(struct pf_cgroup *cg)
{
	struct pf_gate *gate = gate_of(cg);

	pthread_mutex_lock(&gate->lock);
	return gate;
}

static int leave(struct pf_gate *gate, int r)
{
	pthread_mutex_unlock(&gate->lock);
	return r;
}

static bool is_shut(const struct pf_gate *gate, const char *group, const char *file)
{
	return gate->group && strcmp(gate->group, group) == 0 && strcmp(gate->file, file) == 0;
}

static int gate_read(struct pf_cgroup *cg, const char *group, const char *file, char **out,
		     struct pf_err *err)
{
	struct pf_gate *gate = enter(cg);

	return leave(gate, gate->inner->ops->read(gate->inner, group, file, out, err));
}

/* The handle of who shuts the gate is let through: it is a stranger's, or looks on. */
static int gate_write(struct pf_cgroup *cg, const char *group, const char *file, const char *value,
		      struct pf_err *err)
{
	struct pf_gate *gate = enter(cg);
	int r = gate->inner->ops->write(gate->inner, group, file, value, err);

	if (cg == &gate->own.cg)
		return leave(gate, r);
	gate->waiting++;
	while (is_shut(gate, group, file)) {
		pthread_cond_broadcast(&gate->changed);
		pthread_cond_wait(&gate->changed, &gate->lock);
	}
	gate->waiting--;
	return leave(gate, r);
}

static int gate_id(struct pf_cgroup *cg, const char *group, uint64_t *out, struct pf_err *err)
{
	struct pf_gate *gate = enter(cg);

	return leave(gate, gate->inner->ops->id(gate->inner, group, out, err));
}

static int gate_make(struct pf_cgroup *cg, const char *group, struct pf_err *err)
{
	struct pf_gate *gate = enter(cg);

	return leave(gate, gate->inner->ops->make(gate->inner, group, err));
}

static int gate_remove(struct pf_cgroup *cg, const char *group, struct pf_err *err)
{
	struct pf_gate *gate = enter(cg);

	return leave(gate, gate->inner->ops->remove(gate->inner, group, err));
}

static int gate_attach(struct pf_cgroup *cg, const char *group, pid_t tid, struct pf_err *err)
{
	struct pf_gate *gate = enter(cg);

	return leave(gate, gate->inner->ops->attach(gate->inner, group, tid, err));
}

static int gate_threads(struct pf_cgroup *cg, const char *group, pid_t **tids, size_t *count,
			struct pf_err *err)
{
	struct pf_gate *gate = enter(cg);

	return leave(gate, gate->inner->ops->threads(gate->inner, group, tids, count, err));
}

static int gate_task(struct pf_cgroup *cg, pid_t tid, struct pf_task *out, struct pf_err *err)
{
	struct pf_gate *gate = enter(cg);

	return leave(gate, gate->inner->ops->task(gate->inner, tid, out, err));
}

static int gate_affinity(struct pf_cgroup *cg, pid_t tid, const struct pf_set *cpus,
			 struct pf_err *err)
{
	struct pf_gate *gate = enter(cg);

	return leave(gate, gate->inner->ops->affinity(gate->inner, tid, cpus, err));
}

static int gate_again(const struct pf_cgroup *cg, struct pf_cgroup **out, struct pf_err *err)
{
	struct handle *handle = calloc(1, sizeof(*handle));

	if (!handle)
		return pf_fail(err, ENOMEM, "open the gate's tree again");
	*handle = (struct handle){{cg->ops}, gate_of(cg)};
	*out = &handle->cg;
	return 0;
}

static void gate_close(struct pf_cgroup *cg)
{
	if (cg != &gate_of(cg)->own.cg)
		free(cg);
}

static const struct pf_cgroup_ops gate_ops = {
	.read = gate_read,
	.write = gate_write,
	.id = gate_id,
	.make = gate_make,
	.remove = gate_remove,
	.attach = gate_attach,
	.threads = gate_threads,
	.task = gate_task,
	.affinity = gate_affinity,
	.again = gate_again,
	.close = gate_close,
};

int pf_gate_new(struct pf_cgroup *inner, struct pf_gate **out)
{
	struct pf_gate *gate = calloc(1, sizeof(*gate));

	if (!gate)
		return -ENOMEM;
	gate->own = (struct handle){{&gate_ops}, gate};
	gate->inner = inner;
	pthread_mutex_init(&gate->lock, NULL);
	pthread_cond_init(&gate->changed, NULL);
	*out = gate;
	return 0;
}

void pf_gate_free(struct pf_gate **gate)
{
	if (!*gate)
		return;
	pthread_cond_destroy(&(*gate)->changed);
	pthread_mutex_destroy(&(*gate)->lock);
	free((*gate)->group);
	free(*gate);
	*gate = NULL;
}

struct pf_cgroup *pf_gate_cgroup(struct pf_gate *gate)
{
	return &gate->own.cg;
}

void pf_gate_shut(struct pf_gate *gate, const char *group, const char *file)
{
	pthread_mutex_lock(&gate->lock);
	free(gate->group);
	gate->group = strdup(group);
	gate->file = file;
	pthread_mutex_unlock(&gate->lock);
}

void pf_gate_wait(struct pf_gate *gate)
{
	pthread_mutex_lock(&gate->lock);
	while (!gate->waiting)
		pthread_cond_wait(&gate->changed, &gate->lock);
	pthread_mutex_unlock(&gate->lock);
}

void pf_gate_open(struct pf_gate *gate)
{
	pthread_mutex_lock(&gate->lock);
	free(gate->group);
	gate->group = NULL;
	pthread_cond_broadcast(&gate->changed);
	pthread_mutex_unlock(&gate->lock);
}
