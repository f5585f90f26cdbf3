/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All running guests as libvirt tells them. Any libvirt call can block for as long as libvirtd
 * does, so they are made by a worker thread of its own; it posts finished snapshots, and what is
 * called here never waits for libvirtd.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/base/err.h"
#include "agent/model/config.h"
#include "agent/model/guest.h"

struct pf_libvirt;

/**
 * pf_libvirt_start - starts the worker thread; it connects by itself, now and after every loss
 * @config: uri and libvirt_state_dir are copied
 * @out: to be given to pf_libvirt_stop()
 *
 * The connection is a read-only one: domain XML, lifecycle, tunable and metadata events need no
 * more. What libvirt announces by no event (vCPU hot-plug, iothreads, numatune) is seen by its
 * status files in libvirt_state_dir being rewritten. Besides, all is read anew every hour, and
 * every 3 s where that folder can't be watched.
 *
 * libvirt's event loop and error handler are the process's: one instance at a time.
 *
 * Return: 0, -ENOMEM, or the errno of making the thread or its file descriptors. That libvirtd is
 * not there is no failure: pf_libvirt_state() tells.
 */
int pf_libvirt_start(const struct pf_config *config, struct pf_libvirt **out, struct pf_err *err);

/* An eventfd that is readable when a snapshot is there or the state has changed; stays owned. */
int pf_libvirt_fd(const struct pf_libvirt *lv);

/*
 * What libvirt has said since the last time. A guest has its pid, its promise and the vCPUs' thread
 * ids; the rest of the process's facts is pf_proc_fill()'s. Paused guests are there, one that
 * libvirt is still starting is not. Where both name a guest, @guests is the newer word.
 */
struct pf_libvirt_news {
	bool all;		 /* @guests are all that run; otherwise the others are as before */
	struct pf_guests guests; /* read anew */
	char (*gone)[37];	 /* UUIDs of guests that don't run; none with @all */
	size_t gone_count;
	/*
	 * The highest ticket of pf_libvirt_refresh() that this satisfies: everything in question
	 * was asked of libvirt after that ticket was drawn.
	 */
	uint64_t ticket;
};

void pf_libvirt_news_clear(struct pf_libvirt_news *news);

/**
 * pf_libvirt_take - hands over what there is since the last time
 * @out: overwritten when the return is true, and then owned by the caller
 *
 * Also empties the eventfd. While libvirtd is away nothing comes, and the last word stays valid.
 *
 * Return: whether there was something.
 */
bool pf_libvirt_take(struct pf_libvirt *lv, struct pf_libvirt_news *out);

/**
 * pf_libvirt_refresh - asks for a fresh read, of one guest or of all
 * @uuid: NULL for all
 *
 * Return: a ticket, greater than any before; see pf_libvirt_take(). It is satisfied as soon as
 * libvirtd answers, which may be never: bound the wait.
 */
uint64_t pf_libvirt_refresh(struct pf_libvirt *lv, const char *uuid);

enum pf_libvirt_link {
	PF_LIBVIRT_CONNECTING, /* not yet connected since the start */
	PF_LIBVIRT_CONNECTED,
	PF_LIBVIRT_HUNG,         /* connected, but an answer is overdue for 3 s or more */
	PF_LIBVIRT_RECONNECTING, /* lost; tried again after 1, 2, 4, 8 and then every 10 s */
};

struct pf_libvirt_state {
	enum pf_libvirt_link link;
	uint64_t since_usec; /* CLOCK_MONOTONIC */
	char reason[256];    /* why not connected, in libvirt's words; "" when connected */
};

const char *pf_libvirt_link_name(enum pf_libvirt_link link);

void pf_libvirt_state(struct pf_libvirt *lv, struct pf_libvirt_state *out);

/*
 * Ends the worker and sets *@lv to NULL. Waits for it for up to a second; a worker that is stuck
 * in a call is left to end, and to free what it uses, when the call returns.
 */
void pf_libvirt_stop(struct pf_libvirt **lv);
