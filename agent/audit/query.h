/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading the record, in the agent and in `pinfold audit --file`, beside its writer.
 *
 * A reader works in small bites: each call looks at a bounded number of records and holds nothing
 * of the file between two of them, so that it neither keeps the agent's loop nor, however slowly
 * it is read, the log from being folded into the database.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "agent/base/err.h"
#include "agent/model/event.h"
#include "agent/model/event_filter.h"

struct pf_audit_reader;

/**
 * pf_audit_reader_open - begins to read @path
 * @filter: copied. An `after` beyond the newest record counts as 0: the file is another one
 *
 * Return: 0; -ENOENT when there is no such file; -EBADMSG when it is damaged; else the errno.
 */
int pf_audit_reader_open(const char *path, const struct pf_event_filter *filter,
			 struct pf_audit_reader **out, struct pf_err *err);

void pf_audit_reader_close(struct pf_audit_reader **reader);

/**
 * pf_audit_reader_next - the next event that fits, by ascending seq
 *
 * Return: 1 with @out filled (the caller's); 0 when none was found in this bite, and there is more
 * to look at; -ENODATA at the end; else -errno with words.
 */
int pf_audit_reader_next(struct pf_audit_reader *reader, struct pf_event *out, struct pf_err *err);

/* Lets go of the file until the next call: before waiting for anything. */
void pf_audit_reader_pause(struct pf_audit_reader *reader);

/**
 * pf_audit_lines - the same as text for HTTP: JSON, one object a line
 * @lines: kept between two calls, zeroed before the first
 *
 * An empty line is nothing found yet; an error is a last line {"error": "..."}.
 * Return: bytes in @buf, or -ENODATA at the end.
 */
struct pf_audit_lines {
	struct pf_audit_reader *reader; /* owned */
	char *line;                     /* what did not fit; owned */
	size_t len;
	size_t at;
	int ended;
};
ssize_t pf_audit_lines_read(struct pf_audit_lines *lines, char *buf, size_t size);
void pf_audit_lines_clear(struct pf_audit_lines *lines);
