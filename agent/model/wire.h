/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The model as JSON and back: the only codec between the two, so that the API, the command line
 * and the tests cannot disagree. docs/control-api.md shows every shape.
 *
 * Sets are Linux lists ("0-3,8"), sizes KiB, unknown numbers null. Text that is not UTF-8 (the
 * kernel cuts a thread's comm anywhere) gets U+FFFD in place of each wrong byte. Decoding ignores
 * keys it does not know and refuses, with words and without touching @out, what has the wrong
 * shape.
 */
#pragma once

#include <stddef.h>

#include "agent/base/err.h"
#include "agent/model/host.h"
#include "agent/model/plan.h"
#include "agent/model/status.h"

struct pf_plans {
	struct pf_plan *items; /* grown by pf_append() */
	size_t count;
};

void pf_plans_clear(struct pf_plans *plans);

/* Each encoder: @out is compact JSON, malloc'ed, owned by the caller. Return: 0 or -ENOMEM. */
int pf_wire_encode_status(const struct pf_status *status, char **out);
int pf_wire_encode_plans(const struct pf_plan *plans, size_t count, char **out);
int pf_wire_encode_error(const char *text, char **out);

/* @status: NULL, or what is known of the guests: then each CPU says whom it is promised to. */
int pf_wire_encode_host(const struct pf_host *host, const struct pf_status *status, char **out);

/*
 * Each decoder: @text has @len bytes and may be anything; @out is owned by the caller. A plan's
 * steps come back without start_ticks, which does not travel.
 *
 * Return: 0, -ENOMEM, or -EBADMSG for text that is not JSON or not of that shape.
 */
int pf_wire_decode_status(const char *text, size_t len, struct pf_status *out, struct pf_err *err);
int pf_wire_decode_plans(const char *text, size_t len, struct pf_plans *out, struct pf_err *err);

/* The words of an error object; NULL when it is none. Return: malloc'ed. */
char *pf_wire_decode_error(const char *text, size_t len);

/**
 * pf_wire_pretty - the same JSON, indented for a person, every key kept in its place
 *
 * Return: 0 with @out malloc'ed, -ENOMEM, or -EBADMSG.
 */
int pf_wire_pretty(const char *text, size_t len, char **out, struct pf_err *err);
