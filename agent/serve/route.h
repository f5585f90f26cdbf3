/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which request means which callback. Pure: no sockets. */
#pragma once

#include <stdbool.h>

#include "agent/serve/api.h"

enum pf_route_kind {
	PF_ROUTE_NONE,
	PF_ROUTE_STATUS,
	PF_ROUTE_PLAN,
	PF_ROUTE_HOST,
	PF_ROUTE_HOLD,
	PF_ROUTE_RELEASE,
	PF_ROUTE_MODE,	/* wants a word besides: not for pf_route_call() */
	PF_ROUTE_AUDIT, /* answered by a stream: not for pf_route_call() */
};

struct pf_route {
	enum pf_route_kind kind;
	char *guest; /* of hold, release and mode; malloc'ed */
};

/**
 * pf_route_find - reads a path, percent-escapes already resolved
 *
 * The guest's name is everything between "/v1/guests/" and the last "/", so that it may hold any
 * character. Return: 0 (kind NONE for no such path) or -ENOMEM.
 */
int pf_route_find(const char *path, struct pf_route *out);

/* Whether that path changes something, and so wants POST and the right to change. */
bool pf_route_changes(enum pf_route_kind kind);

/* Calls the callback. @guest: of the path or the query, or NULL. */
int pf_route_call(enum pf_route_kind kind, const struct pf_api_ops *ops, void *ctx,
		  const char *guest, char **body, struct pf_err *err);

/* The HTTP status for a callback's code. */
unsigned int pf_route_status(int code);
