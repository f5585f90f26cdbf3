// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/source/libvirt_worker.h"

#include <libvirt/virterror.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/array.h"
#include "agent/base/cleanup.h"

uint64_t pf_lv_now_usec(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * SEC + (uint64_t)ts.tv_nsec / 1000;
}

void pf_lv_raise_fd(int fd)
{
	uint64_t one = 1;

	/* Fails only when the counter is full, and then the reader is awake anyway. */
	(void)!write(fd, &one, sizeof(one));
}

void pf_lv_drain_fd(int fd)
{
	uint64_t count;

	(void)!read(fd, &count, sizeof(count));
}

void pf_lv_wanted_clear(struct pf_lv_wanted *wanted)
{
	free(wanted->uuids);
	*wanted = (struct pf_lv_wanted){};
}

void pf_lv_want(struct pf_lv_wanted *wanted, const char *uuid)
{
	char(*item)[37];

	if (!uuid) {
		wanted->all = true;
		return;
	}
	for (size_t i = 0; i < wanted->count; i++)
		if (strcmp(wanted->uuids[i], uuid) == 0)
			return;
	item = pf_append(&wanted->uuids, &wanted->count);
	if (item)
		snprintf(*item, sizeof(*item), "%s", uuid);
	else
		wanted->all = true;
}

void pf_lv_drop_hold(struct pf_libvirt *lv)
{
	unsigned int holders;

	pthread_mutex_lock(&lv->lock);
	holders = --lv->holders;
	pthread_mutex_unlock(&lv->lock);
	if (holders)
		return;
	pthread_mutex_destroy(&lv->lock);
	free(lv->uri);
	free(lv->state_dir);
	pf_cleanup_close(&lv->root);
	pf_cleanup_close(&lv->post_fd);
	pf_cleanup_close(&lv->kick_fd);
	pf_cleanup_close(&lv->inotify_fd);
	pf_lv_wanted_clear(&lv->asked);
	pf_lv_wanted_clear(&lv->dirty);
	pf_libvirt_news_clear(&lv->posted);
	pf_guests_clear(&lv->guests);
	free(lv);
}

/* ---- state ------------------------------------------------------------------------------ */

static void set_state(struct pf_libvirt *lv, enum pf_libvirt_link link, const char *reason)
{
	pthread_mutex_lock(&lv->lock);
	if (lv->state.link != link)
		lv->state.since_usec = pf_lv_now_usec();
	lv->state.link = link;
	snprintf(lv->state.reason, sizeof(lv->state.reason), "%s", reason);
	pthread_mutex_unlock(&lv->lock);
	pf_lv_raise_fd(lv->post_fd);
}

void pf_lv_call_begin(struct pf_libvirt *lv)
{
	pthread_mutex_lock(&lv->lock);
	lv->call_since = pf_lv_now_usec();
	pthread_mutex_unlock(&lv->lock);
}

void pf_lv_call_end(struct pf_libvirt *lv)
{
	pthread_mutex_lock(&lv->lock);
	lv->call_since = 0;
	pthread_mutex_unlock(&lv->lock);
}

const char *pf_lv_says(void)
{
	const char *text = virGetLastErrorMessage();

	return text ? text : "no reason given";
}

/* ---- connection ------------------------------------------------------------------------- */

static void retry_later(struct pf_libvirt *lv, const char *reason)
{
	pf_lv_disconnect(lv);
	lv->connect_at = pf_lv_now_usec() + lv->backoff;
	lv->backoff = lv->backoff * 2 > BACKOFF_MAX_USEC ? BACKOFF_MAX_USEC : lv->backoff * 2;
	set_state(lv, PF_LIBVIRT_RECONNECTING, reason);
}

static void try_connect(struct pf_libvirt *lv)
{
	const char *failed = "connect";
	char why[sizeof(lv->state.reason)];

	lv->lost = false;
	pf_lv_call_begin(lv);
	lv->conn = virConnectOpenReadOnly(lv->uri);
	if (lv->conn)
		failed = pf_lv_subscribe(lv);
	if (failed)
		snprintf(why, sizeof(why), "%s to %s: %s", failed, lv->uri, pf_lv_says());
	pf_lv_call_end(lv);
	if (failed) {
		retry_later(lv, why);
		return;
	}
	lv->backoff = BACKOFF_MIN_USEC;
	lv->sweep_at = pf_lv_now_usec();
	set_state(lv, PF_LIBVIRT_CONNECTED, "");
}

/* ---- the loop --------------------------------------------------------------------------- */

/* Does what is due. */
static void step(struct pf_libvirt *lv)
{
	uint64_t now = pf_lv_now_usec();

	pf_lv_watch_state_dir(lv);
	if (lv->conn && lv->lost)
		retry_later(lv, lv->lost_why);
	if (!lv->conn && now >= lv->connect_at)
		try_connect(lv);
	if (!lv->conn || lv->lost)
		return;
	if (pf_lv_now_usec() >= lv->sweep_at)
		pf_lv_want(&lv->dirty, NULL);
	if (pf_lv_now_usec() >= lv->sweep_at || now >= lv->read_at || pf_lv_is_asked(lv))
		pf_lv_read_and_post(lv);
}

/* Milliseconds until something is due, rounded up so that it is. */
static int next_due(const struct pf_libvirt *lv)
{
	uint64_t now = pf_lv_now_usec(), at;

	if (lv->lost)
		return 0;
	if (!lv->conn)
		at = lv->connect_at;
	else
		at = lv->read_at < lv->sweep_at ? lv->read_at : lv->sweep_at;
	return at <= now ? 0 : (int)((at - now) / MSEC) + 1;
}

static bool is_stopping(struct pf_libvirt *lv)
{
	bool stopping;

	pthread_mutex_lock(&lv->lock);
	stopping = lv->stopping;
	pthread_mutex_unlock(&lv->lock);
	return stopping;
}

void *pf_lv_work(void *opaque)
{
	struct pf_libvirt *lv = opaque;

	while (!is_stopping(lv)) {
		step(lv);
		virEventUpdateTimeout(lv->timer, next_due(lv));
		if (!is_stopping(lv))
			virEventRunDefaultImpl();
	}
	pf_lv_disconnect(lv);
	pf_lv_remove_watches(lv);
	pf_lv_drop_hold(lv);
	return NULL;
}
