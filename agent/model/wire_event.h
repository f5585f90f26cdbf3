/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An event as one line of JSON and back; docs/audit-schema.md shows the shape. */
#pragma once

#include <stddef.h>

#include "agent/base/err.h"
#include "agent/model/event.h"

/*
 * @out: one JSON object without a newline in it, malloc'ed, owned by the caller.
 * Return: 0 or -ENOMEM.
 */
int pf_wire_encode_event(const struct pf_event *event, char **out);

/*
 * @text: @len bytes of anything; @out: owned by the caller, untouched on failure.
 * Return: 0, -ENOMEM, or -EBADMSG with words; the words of an error object {"error": "..."}, with
 * which the agent ends an answer that it cannot complete, and -EREMOTEIO.
 */
int pf_wire_decode_event(const char *text, size_t len, struct pf_event *out, struct pf_err *err);
