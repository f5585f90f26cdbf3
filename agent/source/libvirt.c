// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/source/libvirt.h"

#include <errno.h>
#include <libvirt/virterror.h>
#include <libxml/parser.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <time.h>

#include "agent/base/file.h"
#include "agent/source/libvirt_worker.h"

#define HUNG_USEC (3 * SEC)
#define STOP_SECONDS 1

/* libvirt prints each error on standard error unless there is a handler. */
static void be_quiet(void *opaque, virErrorPtr error)
{
	(void)opaque;
	(void)error;
}

static bool library_ready;

static void library_init(void)
{
	virSetErrorFunc(NULL, be_quiet);
	xmlInitParser(); /* before a second thread uses it */
	library_ready = virInitialize() == 0 && virEventRegisterDefaultImpl() == 0;
}

/* Everything but the thread. On failure the caller drops the one hold there is. */
static int set_up(struct pf_libvirt *lv, const struct pf_config *config, struct pf_err *err)
{
	lv->uri = strdup(config->uri);
	lv->state_dir = strdup(config->libvirt_state_dir);
	if (!lv->uri || !lv->state_dir)
		return pf_fail(err, ENOMEM, "start the libvirt worker");
	lv->root = pf_root_open("/", err);
	if (lv->root < 0)
		return lv->root;
	lv->post_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	lv->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	lv->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (lv->post_fd < 0 || lv->kick_fd < 0 || lv->inotify_fd < 0)
		return pf_fail(err, errno, "eventfd or inotify for the libvirt worker");
	return pf_lv_add_watches(lv, err);
}

/* Signals are the main thread's business. */
static int start_thread(struct pf_libvirt *lv)
{
	sigset_t all, before;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&lv->thread, NULL, pf_lv_work, lv);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -r;
}

int pf_libvirt_start(const struct pf_config *config, struct pf_libvirt **out, struct pf_err *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct pf_libvirt *lv;
	int r;

	pthread_once(&once, library_init);
	if (!library_ready)
		return pf_fail_plain(err, EIO, "initialise libvirt: %s", pf_lv_says());
	lv = calloc(1, sizeof(*lv));
	if (!lv)
		return pf_fail(err, ENOMEM, "start the libvirt worker");
	pthread_mutex_init(&lv->lock, NULL);
	lv->holders = 1;
	lv->root = lv->post_fd = lv->kick_fd = lv->inotify_fd = lv->watched = -1;
	lv->backoff = BACKOFF_MIN_USEC;
	lv->read_at = lv->sweep_at = NEVER;
	lv->state.since_usec = pf_lv_now_usec();
	r = set_up(lv, config, err);
	if (r == 0) {
		lv->holders = 2;
		r = start_thread(lv);
		if (r < 0) {
			lv->holders = 1;
			pf_lv_remove_watches(lv);
			pf_fail(err, r, "start the libvirt worker");
		}
	}
	if (r < 0) {
		pf_lv_drop_hold(lv);
		return r;
	}
	*out = lv;
	return 0;
}

int pf_libvirt_fd(const struct pf_libvirt *lv)
{
	return lv->post_fd;
}

void pf_libvirt_news_clear(struct pf_libvirt_news *news)
{
	pf_guests_clear(&news->guests);
	free(news->gone);
	*news = (struct pf_libvirt_news){};
}

bool pf_libvirt_take(struct pf_libvirt *lv, struct pf_libvirt_news *out)
{
	bool taken;

	pf_lv_drain_fd(lv->post_fd);
	pthread_mutex_lock(&lv->lock);
	taken = lv->has_posted;
	if (taken) {
		*out = lv->posted;
		lv->posted = (struct pf_libvirt_news){};
		lv->has_posted = false;
	}
	pthread_mutex_unlock(&lv->lock);
	return taken;
}

uint64_t pf_libvirt_refresh(struct pf_libvirt *lv, const char *uuid)
{
	uint64_t ticket;

	pthread_mutex_lock(&lv->lock);
	pf_lv_want(&lv->asked, uuid);
	ticket = ++lv->tickets;
	pthread_mutex_unlock(&lv->lock);
	pf_lv_raise_fd(lv->kick_fd);
	return ticket;
}

const char *pf_libvirt_link_name(enum pf_libvirt_link link)
{
	static const char *const names[] = {"connecting", "connected", "hung", "reconnecting"};

	return names[link];
}

void pf_libvirt_state(struct pf_libvirt *lv, struct pf_libvirt_state *out)
{
	uint64_t now = pf_lv_now_usec(), call_since;

	pthread_mutex_lock(&lv->lock);
	*out = lv->state;
	call_since = lv->call_since;
	pthread_mutex_unlock(&lv->lock);
	if (!call_since || now < call_since + HUNG_USEC)
		return;
	out->link = PF_LIBVIRT_HUNG;
	out->since_usec = call_since;
	snprintf(out->reason, sizeof(out->reason), "libvirtd has not answered for %llu s",
		 (unsigned long long)((now - call_since) / SEC));
}

void pf_libvirt_stop(struct pf_libvirt **lv)
{
	struct timespec until;
	struct pf_libvirt *own = *lv;

	*lv = NULL;
	if (!own)
		return;
	pthread_mutex_lock(&own->lock);
	own->stopping = true;
	pthread_mutex_unlock(&own->lock);
	pf_lv_raise_fd(own->kick_fd);
	clock_gettime(CLOCK_MONOTONIC, &until); /* nobody sets that one */
	until.tv_sec += STOP_SECONDS;
	if (pthread_clockjoin_np(own->thread, NULL, CLOCK_MONOTONIC, &until) != 0)
		pthread_detach(own->thread);
	pf_lv_drop_hold(own);
}
