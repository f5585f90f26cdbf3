// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/apply/worker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "agent/apply/unit.h"
#include "agent/base/cleanup.h"

#define STACK_BYTES (1024 * 1024)

/*
 * A thread, with what it changes guests with. It hands its job back and waits for the next one,
 * unless another thread waits already: then it ends, and the owner takes its leave of it.
 */
struct worker {
	struct pf_workers *workers;
	struct worker *next;
	struct pf_apply apply;
	struct pf_unit_bus *bus;
	pthread_t thread;
	struct pf_job *job; /* NULL: it waits for one */
	bool ended;
};

struct pf_workers {
	const struct pf_apply *like;
	int fd;
	pthread_mutex_t lock; /* for all that follows */
	pthread_cond_t work;
	pthread_cond_t over; /* of a job, or of a thread */
	struct worker *threads;
	struct pf_job *done;
	bool stopping;
};

void pf_job_free(struct pf_job **job)
{
	if (!*job)
		return;
	pf_run_free(&(*job)->run);
	pf_release_free(&(*job)->release);
	free(*job);
	*job = NULL;
}

void pf_job_supersede(struct pf_job *job)
{
	if (job->run)
		job->run->superseded = true;
}

/* --- a thread ------------------------------------------------------------------------------- */

static void worker_free(struct worker **worker)
{
	if (!*worker)
		return;
	pf_cgroup_free(&(*worker)->apply.cg);
	pf_unit_bus_free(&(*worker)->bus);
	free(*worker);
	*worker = NULL;
}

static int worker_new(struct pf_workers *workers, struct worker **out)
{
	PF_CLEANUP(worker_free) struct worker *worker = calloc(1, sizeof(*worker));
	const struct pf_apply *like = workers->like;
	int r;

	if (!worker)
		return -ENOMEM;
	worker->workers = workers;
	worker->apply = *like;
	worker->apply.ledger = NULL;
	worker->apply.cg = NULL;
	r = like->cg->ops->again(like->cg, &worker->apply.cg, NULL);
	if (!r && like->unit_ctx) {
		r = pf_unit_bus_new(&worker->bus, NULL);
		worker->apply.unit_ctx = worker->bus;
	}
	if (!r)
		*out = pf_take_ptr(worker);
	return r;
}

static void post(struct pf_workers *workers)
{
	uint64_t one = 1;

	/* Fails only when the counter is full, and then the reader is awake anyway. */
	(void)!write(workers->fd, &one, sizeof(one));
}

/* Called with the lock. Return: whether there is another thread that waits for work. */
static bool another_waits(const struct worker *self)
{
	for (const struct worker *other = self->workers->threads; other; other = other->next)
		if (other != self && !other->job && !other->ended)
			return true;
	return false;
}

static void hand_back(struct worker *worker)
{
	struct pf_workers *workers = worker->workers;
	struct pf_job **last = &workers->done;

	while (*last)
		last = &(*last)->next;
	*last = worker->job;
	worker->job->done = true;
	worker->job = NULL;
	pthread_cond_broadcast(&workers->over);
	post(workers);
}

static void *work(void *arg)
{
	struct worker *worker = arg;
	struct pf_workers *workers = worker->workers;

	pthread_mutex_lock(&workers->lock);
	for (;;) {
		while (!worker->job && !workers->stopping)
			pthread_cond_wait(&workers->work, &workers->lock);
		if (!worker->job)
			break;
		pthread_mutex_unlock(&workers->lock);
		if (worker->job->run)
			pf_apply_run(&worker->apply, worker->job->run);
		else
			pf_release_run(&worker->apply, worker->job->release);
		pthread_mutex_lock(&workers->lock);
		hand_back(worker);
		if (another_waits(worker))
			break;
	}
	worker->ended = true;
	pthread_cond_broadcast(&workers->over);
	pthread_mutex_unlock(&workers->lock);
	return NULL;
}

/* Called with the lock. */
static int start_thread(struct worker *worker)
{
	pthread_attr_t attr;
	sigset_t all, before;
	int r;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&worker->thread, &attr, work, worker);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return -r;
}

static uint64_t now_usec(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* --- the owner ------------------------------------------------------------------------------ */

int pf_workers_new(const struct pf_apply *like, struct pf_workers **out, struct pf_err *err)
{
	struct pf_workers *workers = calloc(1, sizeof(*workers));
	pthread_condattr_t monotonic;

	if (!workers)
		return pf_fail(err, ENOMEM, "prepare threads for what takes long");
	workers->like = like;
	workers->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (workers->fd < 0) {
		free(workers);
		return pf_fail(err, errno, "prepare threads for what takes long");
	}
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&workers->over, &monotonic);
	pthread_cond_init(&workers->work, NULL);
	pthread_condattr_destroy(&monotonic);
	pthread_mutex_init(&workers->lock, NULL);
	*out = workers;
	return 0;
}

/* Called with the lock, which a thread that has ended needs no more. */
static void reap(struct pf_workers *workers)
{
	for (struct worker **at = &workers->threads; *at;) {
		struct worker *worker = *at;

		if (!worker->ended) {
			at = &worker->next;
			continue;
		}
		*at = worker->next;
		pthread_join(worker->thread, NULL);
		worker_free(&worker);
	}
}

static struct worker *find_idle(struct pf_workers *workers)
{
	struct worker *worker;

	for (worker = workers->threads; worker; worker = worker->next)
		if (!worker->job && !worker->ended)
			return worker;
	return NULL;
}

/* Called with the lock, which the new thread waits for. */
static int add_worker(struct pf_workers *workers, struct pf_job *job)
{
	struct worker *worker = NULL;
	int r = worker_new(workers, &worker);

	if (r < 0)
		return r;
	worker->job = job;
	r = start_thread(worker);
	if (r < 0) {
		worker_free(&worker);
		return r;
	}
	worker->next = workers->threads;
	workers->threads = worker;
	return 0;
}

int pf_workers_start(struct pf_workers *workers, struct pf_job *job)
{
	struct worker *idle;
	int r = 0;

	job->done = false;
	job->next = NULL;
	job->started_usec = now_usec();
	pthread_mutex_lock(&workers->lock);
	reap(workers);
	idle = find_idle(workers);
	if (idle) {
		idle->job = job;
		pthread_cond_broadcast(&workers->work);
	} else {
		r = add_worker(workers, job);
	}
	pthread_mutex_unlock(&workers->lock);
	return r;
}

/* Called with the lock. */
static void unlink_done(struct pf_workers *workers, struct pf_job *job)
{
	struct pf_job **at = &workers->done;
	uint64_t count;

	while (*at != job)
		at = &(*at)->next;
	*at = job->next;
	job->next = NULL;
	if (!workers->done)
		(void)!read(workers->fd, &count, sizeof(count));
}

static struct timespec time_in(uint64_t usec)
{
	struct timespec when;

	clock_gettime(CLOCK_MONOTONIC, &when);
	usec += (uint64_t)when.tv_nsec / 1000;
	when.tv_sec += (time_t)(usec / 1000000);
	when.tv_nsec = (long)(usec % 1000000) * 1000;
	return when;
}

bool pf_workers_wait(struct pf_workers *workers, struct pf_job *job, uint64_t usec)
{
	const struct timespec until = time_in(usec);
	bool done;

	pthread_mutex_lock(&workers->lock);
	while (!job->done &&
	       pthread_cond_timedwait(&workers->over, &workers->lock, &until) != ETIMEDOUT)
		;
	done = job->done;
	if (done)
		unlink_done(workers, job);
	pthread_mutex_unlock(&workers->lock);
	return done;
}

int pf_workers_fd(const struct pf_workers *workers)
{
	return workers->fd;
}

struct pf_job *pf_workers_take(struct pf_workers *workers)
{
	struct pf_job *job;

	pthread_mutex_lock(&workers->lock);
	job = workers->done;
	if (job)
		unlink_done(workers, job);
	pthread_mutex_unlock(&workers->lock);
	return job;
}

size_t pf_workers_busy(struct pf_workers *workers, uint64_t usec)
{
	uint64_t now = now_usec();
	size_t count = 0;

	pthread_mutex_lock(&workers->lock);
	for (struct worker *worker = workers->threads; worker; worker = worker->next)
		count += worker->job && now - worker->job->started_usec >= usec;
	pthread_mutex_unlock(&workers->lock);
	return count;
}

bool pf_workers_move_pages(struct pf_workers *workers)
{
	bool found = false;

	pthread_mutex_lock(&workers->lock);
	for (struct worker *worker = workers->threads; worker && !found; worker = worker->next)
		found = worker->job && worker->job->run &&
			pf_plan_moves_pages(&worker->job->run->plan);
	pthread_mutex_unlock(&workers->lock);
	return found;
}

size_t pf_workers_free(struct pf_workers **workers)
{
	struct pf_workers *w = *workers;
	size_t held = 0;

	if (!w)
		return 0;
	*workers = NULL;
	pthread_mutex_lock(&w->lock);
	w->stopping = true;
	pthread_cond_broadcast(&w->work);
	while (find_idle(w))
		pthread_cond_wait(&w->over, &w->lock);
	reap(w);
	for (struct worker *worker = w->threads; worker; worker = worker->next, held++)
		pf_job_supersede(worker->job);
	while (w->done) {
		struct pf_job *job = w->done;

		unlink_done(w, job);
		pf_job_free(&job);
	}
	pthread_mutex_unlock(&w->lock);
	if (held)
		return held;
	close(w->fd);
	pthread_cond_destroy(&w->work);
	pthread_cond_destroy(&w->over);
	pthread_mutex_destroy(&w->lock);
	free(w);
	return 0;
}
