/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The control socket as a file: made safely, replaced only when it is dead, removed at the end. */
#pragma once

#include <sys/types.h>

#include "agent/base/err.h"

struct pf_listener {
	char *path;
	int fd;	     /* listening, non-blocking; -1: handed over or none */
	int lock_fd; /* PATH.lock, held with flock(2) while the socket is ours */
	dev_t dev;   /* of the file that was made, so that only this one is removed */
	ino_t ino;
};

#define PF_LISTENER_NONE ((struct pf_listener){.fd = -1, .lock_fd = -1})

/**
 * pf_listener_open - makes a listening Unix stream socket
 * @path: absolute; missing parent folders are made with mode 0755
 * @gid: its group, (gid_t)-1 to leave it as it is
 * @mode: permission bits; set before anyone can connect
 *
 * A socket file that nobody listens on is replaced. Return: 0, or -errno: -EADDRINUSE when another
 * process holds it, -EEXIST when something else than a socket stands there.
 */
int pf_listener_open(const char *path, gid_t gid, mode_t mode, struct pf_listener *out,
		     struct pf_err *err);

/* Closes it and removes the file, unless another one stands there by now. */
void pf_listener_close(struct pf_listener *listener);
