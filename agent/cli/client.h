/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One request to the agent's control API. */
#pragma once

#include <stddef.h>

#include "agent/base/err.h"

struct pf_reply {
	char *body; /* NUL-terminated; owned */
	size_t len;
};

void pf_reply_clear(struct pf_reply *reply);

/**
 * pf_client_get - asks GET /v1/@what
 * @what: "status", "plan", "host"
 * @guest: name or UUID, NULL for all
 *
 * Return: 0; -ENOTCONN when the agent can't be reached or does not answer in time; -EREMOTEIO when
 * it answers with an error, whose words @err has then.
 */
int pf_client_get(const char *socket, const char *what, const char *guest, struct pf_reply *out,
		  struct pf_err *err);

struct pf_argument {
	const char *key;
	const char *value; /* NULL: left out */
};

/**
 * pf_client_query - asks GET /v1/@what?KEY=VALUE&...
 * @arguments: ending with a key of NULL
 *
 * For answers that may take long: it waits as long as something comes. Return: as pf_client_get().
 */
int pf_client_query(const char *socket, const char *what, const struct pf_argument *arguments,
		    struct pf_reply *out, struct pf_err *err);

/* POST /v1/guests/@guest/@verb, likewise. */
int pf_client_post(const char *socket, const char *guest, const char *verb, struct pf_reply *out,
		   struct pf_err *err);
