// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/audit/store.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "agent/audit/clock.h"
#include "agent/audit/database.h"
#include "agent/audit/journal.h"
#include "agent/base/cleanup.h"
#include "agent/model/when.h"

#define QUEUE_MAX 8192
#define BATCH 512                       /* events of one transaction */
#define DELAY_NS UINT64_C(200000000)    /* so long an event may wait for company */
#define RETRY_NS UINT64_C(1000000000)   /* after a failure */
#define TRIM_NS UINT64_C(3600000000000) /* age is looked at so often */
#define TRIM_EVENTS 1024                /* size is looked at after so many */

struct pf_audit {
	pthread_t thread;
	int news_fd;

	/* ---- shared, under lock */
	pthread_mutex_t lock;
	pthread_cond_t work; /* for the thread */
	pthread_cond_t done; /* for pf_audit_flush() */
	struct pf_audit_options options;
	struct pf_event *queue; /* a ring of queue_max */
	size_t first;
	size_t count;
	uint64_t queued_ns;  /* when the first of the queue came */
	uint64_t lost;       /* in all */
	uint64_t lost_since; /* wall clock of the first that is not told yet; 0: all are told */
	size_t under_way;    /* events that the thread is storing now */
	uint64_t asked;      /* rounds that pf_audit_flush() asked for */
	uint64_t answered;   /* of those, how many are over */
	bool stop;
	struct pf_audit_state state;

	/* ---- the thread's own */
	char *path;
	struct pf_database *database; /* NULL: to be opened */
	struct pf_event **backlog;    /* taken from the queue, not stored yet: 2 * queue_max */
	size_t backlog_count;
	size_t journaled;     /* of them, the first so many are in the journal already */
	uint64_t lost_told;   /* of lost */
	uint64_t retry_at_ns; /* 0: no failure */
	uint64_t trim_at_ns;
	uint64_t stored_since_trim;
	struct pf_audit_clock clock;
	char *aside; /* a damaged file that is not told yet */
};

static uint64_t now_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void wake_reader(struct pf_audit *audit)
{
	uint64_t one = 1;

	/* Full (EAGAIN) means that it is readable already. */
	if (write(audit->news_fd, &one, sizeof(one)) < 0)
		return;
}

/* ---- loss --------------------------------------------------------------------------------- */

/* Under the lock. */
static void count_lost(struct pf_audit *audit, const struct pf_event *event)
{
	audit->lost++;
	if (!audit->lost_since || event->wall_ns < audit->lost_since)
		audit->lost_since = event->wall_ns;
}

static void lose(struct pf_audit *audit, struct pf_event *event)
{
	pthread_mutex_lock(&audit->lock);
	count_lost(audit, event);
	pthread_mutex_unlock(&audit->lock);
	pf_event_clear(event);
}

/* ---- state -------------------------------------------------------------------------------- */

static void set_problem(struct pf_audit *audit, const char *text)
{
	pthread_mutex_lock(&audit->lock);
	if (strcmp(audit->state.problem, text) != 0) {
		snprintf(audit->state.problem, sizeof(audit->state.problem), "%s", text);
		wake_reader(audit);
	}
	audit->state.open = true;
	pthread_mutex_unlock(&audit->lock);
}

static void set_notice(struct pf_audit *audit, const char *text)
{
	pthread_mutex_lock(&audit->lock);
	snprintf(audit->state.notice, sizeof(audit->state.notice), "%s", text);
	wake_reader(audit);
	pthread_mutex_unlock(&audit->lock);
}

/* ---- the database ------------------------------------------------------------------------- */

static void failed(struct pf_audit *audit, const struct pf_err *err)
{
	set_problem(audit, err->text);
	audit->retry_at_ns = now_ns(CLOCK_MONOTONIC) + RETRY_NS;
}

/* A damaged file is renamed, so that the next attempt begins a new one. */
static void set_aside(struct pf_audit *audit, const struct pf_err *damage)
{
	struct pf_err err = {};
	char *to = NULL, *text;

	pf_database_close(&audit->database);
	if (pf_database_set_aside(audit->path, &to, &err) < 0) {
		pf_wrap(&err, "%s", damage->text);
		failed(audit, &err);
		return;
	}
	if (asprintf(&text, "%s: set aside as %s, a new one is begun", damage->text, to) >= 0) {
		set_notice(audit, text);
		free(audit->aside);
		audit->aside = text;
	}
	free(to);
}

static int open_database(struct pf_audit *audit, struct pf_err *err)
{
	int r = pf_database_open(audit->path, &audit->database, err);

	if (r == -EBADMSG) {
		set_aside(audit, err);
		r = pf_database_open(audit->path, &audit->database, err);
	}
	return r;
}

/* A file that was removed would swallow everything without an error. */
static void check_gone(struct pf_audit *audit)
{
	char *text;

	if (!audit->database || !pf_database_gone(audit->database))
		return;
	pf_database_close(&audit->database);
	if (asprintf(&text, "%s was removed or replaced: what it held is gone, a new one is begun",
		     audit->path) >= 0) {
		set_notice(audit, text);
		free(audit->aside);
		audit->aside = text;
	}
}

static bool is_ready(struct pf_audit *audit)
{
	struct pf_err err = {};

	check_gone(audit);
	if (audit->database)
		return true;
	if (open_database(audit, &err) < 0) {
		failed(audit, &err);
		return false;
	}
	audit->trim_at_ns = 0;
	return true;
}

static bool is_journal(struct pf_audit *audit)
{
	bool journal;

	pthread_mutex_lock(&audit->lock);
	journal = audit->options.journal;
	pthread_mutex_unlock(&audit->lock);
	return journal;
}

/* Those that the journal has already are not sent again. */
static void send_stored(struct pf_audit *audit, struct pf_event *const *events,
			const struct pf_hash *hashes, size_t count)
{
	bool journal = is_journal(audit);

	for (size_t i = audit->journaled; journal && i < count; i++)
		pf_journal_send(events[i], &hashes[i]);
	audit->journaled -= audit->journaled < count ? audit->journaled : count;
}

static void stored(struct pf_audit *audit, struct pf_event *const *events, size_t count)
{
	audit->retry_at_ns = 0;
	audit->stored_since_trim += count;
	pthread_mutex_lock(&audit->lock);
	audit->state.head = events[count - 1]->seq;
	pthread_mutex_unlock(&audit->lock);
}

static bool store(struct pf_audit *audit, struct pf_event *const *events, size_t count,
		  struct pf_hash *hashes)
{
	struct pf_err err = {};
	int r = pf_database_store(audit->database, events, count, hashes, &err);

	if (r == -EBADMSG) {
		set_aside(audit, &err);
		if (!is_ready(audit))
			return false;
		r = pf_database_store(audit->database, events, count, hashes, &err);
	}
	if (r < 0) {
		failed(audit, &err);
		return false;
	}
	stored(audit, events, count);
	return true;
}

/* Stores one event of the store's own, which is then in the journal as well. */
static bool store_own(struct pf_audit *audit, enum pf_event_cause cause, const char *detail)
{
	PF_CLEANUP(pf_event_clear) struct pf_event event = {};
	struct pf_event *events[] = {&event};
	struct pf_hash hash;

	pf_event_init(&event, PF_EVENT_AGENT, cause, PF_EVENT_OBSERVED);
	pf_event_stamp(&event);
	event.detail = strdup(detail);
	if (!store(audit, events, 1, &hash))
		return false;
	if (is_journal(audit))
		pf_journal_send(&event, &hash);
	return true;
}

/* Takes @count stored ones out of the backlog. */
static void drop_first(struct pf_audit *audit, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		pf_event_clear(audit->backlog[i]);
		free(audit->backlog[i]);
	}
	audit->backlog_count -= count;
	memmove(audit->backlog, audit->backlog + count,
		audit->backlog_count * sizeof(*audit->backlog));
}

static bool tell_aside(struct pf_audit *audit)
{
	pf_auto_free char *text = audit->aside;

	if (!text)
		return true;
	audit->aside = NULL;
	if (store_own(audit, PF_EVENT_DAMAGE, text))
		return true;
	if (!audit->aside)
		audit->aside = pf_take_ptr(text);
	return false;
}

static void tell_lost(struct pf_audit *audit)
{
	pf_auto_free char *text = NULL;
	char since_text[PF_WHEN_TEXT_MAX];
	uint64_t lost, since;

	pthread_mutex_lock(&audit->lock);
	lost = audit->lost;
	since = audit->lost_since;
	pthread_mutex_unlock(&audit->lock);
	if (lost == audit->lost_told)
		return;
	if (asprintf(&text,
		     "%" PRIu64 " events since %s were not recorded: there was no room for them",
		     lost - audit->lost_told, pf_when_format(since, since_text)) < 0) {
		text = NULL;
		return;
	}
	if (!store_own(audit, PF_EVENT_LOST, text))
		return;
	audit->lost_told = lost;
	pthread_mutex_lock(&audit->lock);
	if (audit->lost == lost)
		audit->lost_since = 0;
	pthread_mutex_unlock(&audit->lock);
}

/* Return: whether the backlog is empty now. */
static bool store_backlog(struct pf_audit *audit)
{
	struct pf_hash hashes[BATCH];

	while (audit->backlog_count) {
		size_t count = audit->backlog_count < BATCH ? audit->backlog_count : BATCH;

		if (!store(audit, audit->backlog, count, hashes))
			return false;
		send_stored(audit, audit->backlog, hashes, count);
		drop_first(audit, count);
	}
	return true;
}

/* What can't be stored now goes to the journal, and what doesn't fit in memory is counted. */
static void keep_backlog(struct pf_audit *audit)
{
	bool journal = is_journal(audit);

	for (; audit->journaled < audit->backlog_count; audit->journaled++)
		if (journal)
			pf_journal_send(audit->backlog[audit->journaled], NULL);
	while (audit->backlog_count > audit->options.queue_max) {
		struct pf_event *event = audit->backlog[--audit->backlog_count];

		lose(audit, event);
		free(event);
	}
	if (audit->journaled > audit->backlog_count)
		audit->journaled = audit->backlog_count;
}

/* What is older goes; 0: nothing does, since it may go on or the clock is not to be believed. */
static int too_old(struct pf_audit *audit, uint64_t max_age, uint64_t *before, struct pf_err *err)
{
	static const char words[] =
		"the wall clock has gone ahead: no event is removed for its age before it has "
		"stayed so for a day";
	uint64_t wall = now_ns(CLOCK_REALTIME), boot = now_ns(CLOCK_BOOTTIME), witness = 0;
	uint64_t leap = pf_clock_leap(max_age);
	bool jumped = false, known = audit->clock.known, believed;
	int r;

	*before = 0;
	if (!max_age || max_age >= wall)
		return 0;
	if (!known) {
		r = pf_database_newest(audit->database, wall - leap, &witness, err);
		if (r < 0)
			return r;
		pf_clock_start(&audit->clock, wall, boot, leap, witness);
	}
	believed = pf_clock_believed(&audit->clock, wall, boot, leap, &jumped);
	if (!believed && (jumped || !known))
		set_notice(audit, words);
	if (believed)
		*before = wall - max_age;
	return 0;
}

/* Return: whether more is to be removed at once. */
static bool trim(struct pf_audit *audit)
{
	uint64_t now = now_ns(CLOCK_MONOTONIC), before = 0, max_age, max_size;
	struct pf_err err = {};
	bool more = false;
	int r;

	if (now < audit->trim_at_ns && audit->stored_since_trim < TRIM_EVENTS)
		return false;
	pthread_mutex_lock(&audit->lock);
	max_age = audit->options.max_age_usec * 1000;
	max_size = audit->options.max_size_bytes ?: UINT64_MAX;
	pthread_mutex_unlock(&audit->lock);
	audit->stored_since_trim = 0;
	audit->trim_at_ns = now + TRIM_NS;
	r = too_old(audit, max_age, &before, &err);
	r = r ?: pf_database_trim(audit->database, before, max_size, &more, &err);
	if (r == -EBADMSG)
		set_aside(audit, &err);
	else if (r < 0)
		failed(audit, &err);
	if (more)
		audit->trim_at_ns = 0;
	return more;
}

/* ---- the thread --------------------------------------------------------------------------- */

static struct timespec at(uint64_t ns)
{
	return (struct timespec){(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
}

/* When there is something to do if nothing else comes. Under the lock. */
static uint64_t next_time(const struct pf_audit *audit)
{
	uint64_t when = audit->trim_at_ns;

	/* Without a database there is nothing to trim, and a failure's time counts. */
	if (audit->retry_at_ns)
		when = audit->retry_at_ns;
	if (audit->count && audit->queued_ns + DELAY_NS < when)
		when = audit->queued_ns + DELAY_NS;
	return when;
}

/* Waits until there is something to do. Under the lock. */
static void wait_for_work(struct pf_audit *audit)
{
	while (!audit->stop && audit->asked == audit->answered && audit->count < BATCH) {
		struct timespec when = at(next_time(audit));

		if (pthread_cond_timedwait(&audit->work, &audit->lock, &when) == ETIMEDOUT)
			return;
	}
}

/* Moves the queue into the backlog, which has room for all of it. Under the lock. */
static void take_queue(struct pf_audit *audit)
{
	while (audit->count) {
		struct pf_event *event = malloc(sizeof(*event)), *from;

		from = &audit->queue[audit->first];
		if (event) {
			*event = *from;
			audit->backlog[audit->backlog_count++] = event;
		} else {
			count_lost(audit, from);
			pf_event_clear(from);
		}
		*from = (struct pf_event){};
		audit->first = (audit->first + 1) % audit->options.queue_max;
		audit->count--;
	}
}

/* Return: whether there is more to do at once. */
static bool work(struct pf_audit *audit, bool must_try)
{
	bool due = must_try || now_ns(CLOCK_MONOTONIC) >= audit->retry_at_ns, more = false;

	if (due && is_ready(audit) && tell_aside(audit) && store_backlog(audit)) {
		tell_lost(audit);
		if (audit->database)
			more = trim(audit);
		if (!audit->retry_at_ns)
			set_problem(audit, "");
	}
	if (audit->backlog_count)
		keep_backlog(audit);
	return more;
}

static void *run(void *ctx)
{
	struct pf_audit *audit = ctx;
	bool stop = false, more = true; /* opens the database before there is an event */

	while (!stop) {
		uint64_t asked;
		bool must_try;

		pthread_mutex_lock(&audit->lock);
		if (!more)
			wait_for_work(audit);
		stop = audit->stop;
		asked = audit->asked;
		must_try = stop || asked > audit->answered;
		take_queue(audit);
		audit->under_way = audit->backlog_count;
		pthread_mutex_unlock(&audit->lock);

		audit->retry_at_ns = must_try ? 0 : audit->retry_at_ns;
		more = work(audit, must_try);

		pthread_mutex_lock(&audit->lock);
		audit->answered = asked;
		audit->state.waiting = audit->backlog_count;
		audit->under_way = 0;
		pthread_cond_broadcast(&audit->done);
		pthread_mutex_unlock(&audit->lock);
	}
	return NULL;
}

/* ---- outside ------------------------------------------------------------------------------ */

static int start_thread(struct pf_audit *audit)
{
	sigset_t all, before;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&audit->thread, NULL, run, audit);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -r;
}

static void init_locks(struct pf_audit *audit)
{
	pthread_condattr_t monotonic;

	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&audit->work, &monotonic);
	pthread_cond_init(&audit->done, &monotonic);
	pthread_condattr_destroy(&monotonic);
	pthread_mutex_init(&audit->lock, NULL);
}

static void free_all(struct pf_audit *audit)
{
	if (audit->news_fd >= 0)
		close(audit->news_fd);
	drop_first(audit, audit->backlog_count);
	free(audit->backlog);
	free(audit->queue);
	free(audit->path);
	free(audit->aside);
	pthread_cond_destroy(&audit->work);
	pthread_cond_destroy(&audit->done);
	pthread_mutex_destroy(&audit->lock);
	free(audit);
}

int pf_audit_open(const struct pf_audit_options *options, struct pf_audit **out, struct pf_err *err)
{
	struct pf_audit *audit = calloc(1, sizeof(*audit));
	int r = -ENOMEM;

	if (!audit)
		return pf_fail(err, ENOMEM, "keep a record");
	init_locks(audit);
	audit->options = *options;
	audit->options.path = NULL;
	audit->options.queue_max = options->queue_max ?: QUEUE_MAX;
	audit->path = strdup(options->path);
	audit->queue = calloc(audit->options.queue_max, sizeof(*audit->queue));
	audit->backlog = calloc(2 * audit->options.queue_max, sizeof(*audit->backlog));
	audit->news_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (audit->news_fd < 0)
		r = -errno;
	else if (audit->path && audit->queue && audit->backlog)
		r = start_thread(audit);
	if (r < 0) {
		free_all(audit);
		return pf_fail(err, r, "keep a record in %s", options->path);
	}
	*out = audit;
	return 0;
}

uint64_t pf_audit_close(struct pf_audit **audit)
{
	struct pf_audit *old = pf_take_ptr(*audit);
	uint64_t lost;

	if (!old)
		return 0;
	pthread_mutex_lock(&old->lock);
	old->stop = true;
	pthread_cond_signal(&old->work);
	pthread_mutex_unlock(&old->lock);
	pthread_join(old->thread, NULL);
	pf_database_close(&old->database);
	lost = old->backlog_count + old->lost - old->lost_told;
	free_all(old);
	return lost;
}

void pf_audit_add(struct pf_audit *audit, struct pf_event *event)
{
	pf_event_stamp(event);
	if (!audit) {
		pf_event_clear(event);
		return;
	}
	pthread_mutex_lock(&audit->lock);
	if (audit->count == audit->options.queue_max) {
		count_lost(audit, event);
		pf_event_clear(event);
	} else {
		if (!audit->count)
			audit->queued_ns = now_ns(CLOCK_MONOTONIC);
		audit->queue[(audit->first + audit->count++) % audit->options.queue_max] = *event;
		*event = (struct pf_event){};
	}
	/* The first sets the time, the 512th ends the waiting. */
	if (audit->count == 1 || audit->count == BATCH)
		pthread_cond_signal(&audit->work);
	pthread_mutex_unlock(&audit->lock);
}

int pf_audit_flush(struct pf_audit *audit, struct pf_err *err)
{
	uint64_t ticket;
	int r = 0;

	pthread_mutex_lock(&audit->lock);
	ticket = ++audit->asked;
	pthread_cond_signal(&audit->work);
	while (audit->answered < ticket)
		pthread_cond_wait(&audit->done, &audit->lock);
	if (audit->state.waiting)
		r = pf_fail_plain(err, EIO, "%s", audit->state.problem);
	pthread_mutex_unlock(&audit->lock);
	return r;
}

/* Under the lock. */
static uint64_t unstored(const struct pf_audit *audit)
{
	return audit->count + (audit->under_way ?: audit->state.waiting);
}

uint64_t pf_audit_unstored(struct pf_audit *audit)
{
	uint64_t count;

	if (!audit)
		return 0;
	pthread_mutex_lock(&audit->lock);
	count = unstored(audit);
	pthread_mutex_unlock(&audit->lock);
	return count;
}

void pf_audit_configure(struct pf_audit *audit, const struct pf_audit_options *options)
{
	if (!audit)
		return;
	pthread_mutex_lock(&audit->lock);
	audit->options.max_age_usec = options->max_age_usec;
	audit->options.max_size_bytes = options->max_size_bytes;
	audit->options.journal = options->journal;
	pthread_mutex_unlock(&audit->lock);
}

int pf_audit_fd(const struct pf_audit *audit)
{
	return audit ? audit->news_fd : -1;
}

void pf_audit_take_state(struct pf_audit *audit, struct pf_audit_state *out)
{
	uint64_t count;

	*out = (struct pf_audit_state){};
	if (!audit)
		return;
	pthread_mutex_lock(&audit->lock);
	if (read(audit->news_fd, &count, sizeof(count)) < 0)
		count = 0;
	*out = audit->state;
	out->waiting = unstored(audit);
	out->lost = audit->lost;
	audit->state.notice[0] = '\0';
	pthread_mutex_unlock(&audit->lock);
}
