/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control API: HTTP and JSON on a Unix socket, docs/control-api.md. It answers out of the
 * callbacks below and changes nothing itself.
 *
 * Everything runs inside the caller's event loop: sockets are non-blocking, so a slow client costs
 * one connection of 64 and at most 10 s of silence, never the loop.
 */
#pragma once

#include <sys/types.h>
#include <systemd/sd-event.h>

#include "agent/base/err.h"
#include "agent/model/config.h"
#include "agent/model/event_filter.h"
#include "agent/serve/peer.h"

/*
 * An answer that comes in pieces, for what may be long. Called from the loop: neither may block.
 */
struct pf_api_stream {
	/* Return: bytes put into @buf, at least one of @size; -ENODATA at the end. */
	ssize_t (*read)(void *ctx, char *buf, size_t size);
	void (*close)(void *ctx); /* always called, also when the client went away */
	void *ctx;
};

/*
 * What the agent answers. @guest is a name or UUID as the client wrote it, NULL for all. On
 * success @body is JSON, malloc'ed, handed over. On failure @err's words go to the client, and the
 * code chooses the status: -ENOENT 404, -EINVAL 400, -EPERM and -EACCES 403, -EALREADY, -EBUSY,
 * -EEXIST and -EOPNOTSUPP 409, -EAGAIN 503, all else 500. Called from the loop: none may block.
 */
struct pf_api_ops {
	int (*status)(void *ctx, const char *guest, char **body, struct pf_err *err);
	int (*plan)(void *ctx, const char *guest, char **body, struct pf_err *err);
	int (*host)(void *ctx, char **body, struct pf_err *err);
	int (*hold)(void *ctx, const char *guest, char **body, struct pf_err *err);
	int (*release)(void *ctx, const char *guest, char **body, struct pf_err *err);
	/* @mode: NULL: the guest's own again */
	int (*mode)(void *ctx, const char *guest, const enum pf_mode *mode, char **body,
		    struct pf_err *err);
	/* @filter: as asked; not kept. @out: on success, JSON lines. */
	int (*audit)(void *ctx, const struct pf_event_filter *filter, struct pf_api_stream *out,
		     struct pf_err *err);
};

struct pf_api;

/**
 * pf_api_new - opens the socket and serves it from @event
 * @config: socket, socket_group and others_read count; not kept. A group that does not exist is
 *	no error: then only root may connect (or everyone reads, with others_read)
 * @event: referenced for as long as the API lives
 * @ops: all of them; kept by pointer, with @ctx handed to each
 *
 * Return: 0, or -errno as of pf_listener_open() with words.
 */
int pf_api_new(const struct pf_config *config, sd_event *event, const struct pf_api_ops *ops,
	       void *ctx, struct pf_api **out, struct pf_err *err);

/* Closes every connection and removes the socket. Fine on NULL. */
void pf_api_free(struct pf_api **api);

/* Who is asking, in a callback; valid until it returns. */
const struct pf_peer *pf_api_asker(const struct pf_api *api);

/*
 * Replaces pf_peer_read() as the judge of who is at the other end, for tests: @identify returns 0
 * or -errno as it does.
 */
void pf_api_set_identify(struct pf_api *api, int (*identify)(int fd, struct pf_peer *out));
