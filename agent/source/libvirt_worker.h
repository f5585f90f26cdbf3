/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inside of the libvirt worker, for its four files alone: libvirt.c (what others call),
 * libvirt_worker.c (its life: connect, wait, end), libvirt_events.c (what wakes it) and
 * libvirt_read.c (guests out of libvirt).
 */
#pragma once

#include <libvirt/libvirt.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/err.h"
#include "agent/model/guest.h"
#include "agent/source/libvirt.h"

#define MSEC UINT64_C(1000)
#define SEC UINT64_C(1000000)

#define BACKOFF_MIN_USEC (1 * SEC)
#define BACKOFF_MAX_USEC (10 * SEC)

#define NEVER UINT64_MAX

/* Guests to be read anew. */
struct pf_lv_wanted {
	bool all;
	char (*uuids)[37];
	size_t count;
};

struct pf_libvirt {
	char *uri;
	char *state_dir;
	int root;
	int post_fd; /* worker -> owner */
	int kick_fd; /* owner -> worker */
	pthread_t thread;

	/* Shared, under the lock. */
	pthread_mutex_t lock;
	unsigned int holders; /* owner and worker; the last one frees */
	bool stopping;
	struct pf_lv_wanted asked;
	uint64_t tickets; /* drawn so far */
	bool has_posted;
	struct pf_libvirt_news posted;
	struct pf_libvirt_state state;
	uint64_t call_since; /* of a libvirt call that has not returned, or 0 */

	/* The worker's alone; libvirt runs the callbacks in its event loop, that is, there too. */
	virConnectPtr conn;
	bool lost;
	char lost_why[200];
	uint64_t backoff;
	uint64_t connect_at, read_at, sweep_at;
	struct pf_lv_wanted dirty;
	struct pf_guests guests;
	int callbacks[8];
	size_t callback_count;
	int timer, kick_watch, inotify_watch;
	int inotify_fd;
	int watched; /* inotify's watch of the state folder, or -1 */
};

/* ---- libvirt_worker.c --------------------------------------------------------------------- */

/* CLOCK_MONOTONIC */
uint64_t pf_lv_now_usec(void);

/* Of an eventfd: makes it readable, and no longer so. */
void pf_lv_raise_fd(int fd);
void pf_lv_drain_fd(int fd);

/* @uuid: NULL for all. Where there is no memory for one, all are wanted. */
void pf_lv_want(struct pf_lv_wanted *wanted, const char *uuid);
void pf_lv_wanted_clear(struct pf_lv_wanted *wanted);

/* Gives up one hold; the last one frees @lv. */
void pf_lv_drop_hold(struct pf_libvirt *lv);

/* Brackets everything that may wait for libvirtd, so that pf_libvirt_state() sees it hang. */
void pf_lv_call_begin(struct pf_libvirt *lv);
void pf_lv_call_end(struct pf_libvirt *lv);

/* Why this thread's last call failed, in libvirt's words: never NULL, valid until the next one. */
const char *pf_lv_says(void);

/* The thread's body: @lv is a struct pf_libvirt with a hold of the thread's own. */
void *pf_lv_work(void *lv);

/* ---- libvirt_events.c --------------------------------------------------------------------- */

/* Puts the worker's timer and file descriptors into libvirt's event loop. Return: 0 or -EIO. */
int pf_lv_add_watches(struct pf_libvirt *lv, struct pf_err *err);
void pf_lv_remove_watches(struct pf_libvirt *lv);

/* libvirtd makes the folder: it may not be there yet, so this is tried again. */
void pf_lv_watch_state_dir(struct pf_libvirt *lv);

/* For lv->conn. Return: NULL, or what could not be set up; libvirt's error tells more. */
const char *pf_lv_subscribe(struct pf_libvirt *lv);

/* Undoes pf_lv_subscribe() and closes the connection, where there is one. */
void pf_lv_disconnect(struct pf_libvirt *lv);

/* ---- libvirt_read.c ----------------------------------------------------------------------- */

/* Whether the owner has asked for a read that is still to be made. */
bool pf_lv_is_asked(struct pf_libvirt *lv);

/* Reads what is dirty or asked for, and posts. What was not read stays wanted. */
void pf_lv_read_and_post(struct pf_libvirt *lv);
