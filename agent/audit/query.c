// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/audit/query.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/audit/row.h"
#include "agent/base/cleanup.h"
#include "agent/model/wire.h"
#include "agent/model/wire_event.h"

#define BITE 2048 /* records looked at in one call: a few ms */
#define BUSY_MS 100

#define FITS                                                                                       \
	" FROM event WHERE seq > ?1 AND seq <= ?2"                                                 \
	" AND (?3 IS NULL OR guest = ?3 OR uuid = ?3 COLLATE NOCASE)"                              \
	" AND (?4 IS NULL OR kind = ?4) AND (?5 IS NULL OR cause = ?5)"                            \
	" AND (?6 IS NULL OR action = ?6) AND wall_ns >= ?7 AND (?8 = 0 OR wall_ns <= ?8) "

struct pf_audit_reader {
	struct pf_event_filter filter;
	char *path;
	sqlite3 *db;
	sqlite3_stmt *forward;
	sqlite3_stmt *backward;
	bool started;
	uint64_t first; /* seq below the oldest record */
	uint64_t head;  /* seq of the newest when reading began: newer ones are another reader's */
	uint64_t at;    /* all up to here were looked at */
	uint64_t bite;  /* where the current bite ends; 0: there is none */
	uint64_t given;
	uint64_t back;  /* the search for the last N has come down to here; 0: it is over */
	uint64_t found; /* of those N */
};

static int fail(struct pf_audit_reader *reader, struct pf_err *err)
{
	int code = sqlite3_errcode(reader->db) & 0xff;
	int r = code == SQLITE_CORRUPT || code == SQLITE_NOTADB ? EBADMSG
		: code == SQLITE_BUSY                           ? EAGAIN
		: code == SQLITE_CANTOPEN                       ? EACCES
								: EIO;

	return pf_fail_plain(err, r, "read %s: %s", reader->path, sqlite3_errmsg(reader->db));
}

static int bind_text(sqlite3_stmt *stmt, int index, const char *text)
{
	return text ? sqlite3_bind_text(stmt, index, text, -1, SQLITE_STATIC)
		    : sqlite3_bind_null(stmt, index);
}

static int prepare(struct pf_audit_reader *reader, const char *sql, sqlite3_stmt **out,
		   struct pf_err *err)
{
	const struct pf_event_filter *filter = &reader->filter;

	if (sqlite3_prepare_v2(reader->db, sql, -1, out, NULL) != SQLITE_OK)
		return fail(reader, err);
	bind_text(*out, 3, filter->guest);
	bind_text(*out, 4, filter->has_kind ? pf_event_kind_name(filter->kind) : NULL);
	bind_text(*out, 5, filter->has_cause ? pf_event_cause_name(filter->cause) : NULL);
	bind_text(*out, 6, filter->has_action ? pf_event_action_name(filter->action) : NULL);
	sqlite3_bind_int64(*out, 7, (sqlite3_int64)filter->since_ns);
	sqlite3_bind_int64(*out, 8, (sqlite3_int64)filter->until_ns);
	return 0;
}

static int copy_filter(struct pf_audit_reader *reader, const struct pf_event_filter *filter)
{
	reader->filter = *filter;
	reader->filter.guest = filter->guest ? strdup(filter->guest) : NULL;
	return filter->guest && !reader->filter.guest ? -ENOMEM : 0;
}

static int open_all(struct pf_audit_reader *reader, struct pf_err *err)
{
	int r;

	if (access(reader->path, F_OK) < 0)
		return pf_fail(err, errno, "open %s", reader->path);
	if (sqlite3_open_v2(reader->path, &reader->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX,
			    NULL) != SQLITE_OK)
		return fail(reader, err);
	sqlite3_busy_timeout(reader->db, BUSY_MS);
	r = prepare(reader, "SELECT " PF_ROW_COLUMNS FITS "ORDER BY seq", &reader->forward, err);
	return r ?: prepare(reader, "SELECT seq" FITS "ORDER BY seq DESC", &reader->backward, err);
}

int pf_audit_reader_open(const char *path, const struct pf_event_filter *filter,
			 struct pf_audit_reader **out, struct pf_err *err)
{
	struct pf_audit_reader *reader = calloc(1, sizeof(*reader));
	int r;

	if (!reader)
		return pf_fail(err, ENOMEM, "read %s", path);
	reader->path = strdup(path);
	if (!reader->path || copy_filter(reader, filter) < 0)
		r = pf_fail(err, ENOMEM, "read %s", path);
	else
		r = open_all(reader, err);
	if (r < 0) {
		pf_audit_reader_close(&reader);
		return r;
	}
	*out = reader;
	return 0;
}

void pf_audit_reader_close(struct pf_audit_reader **reader)
{
	struct pf_audit_reader *old = pf_take_ptr(*reader);

	if (!old)
		return;
	sqlite3_finalize(old->forward);
	sqlite3_finalize(old->backward);
	sqlite3_close(old->db);
	pf_event_filter_clear(&old->filter);
	free(old->path);
	free(old);
}

/* Where the record begins and ends now. */
static int start(struct pf_audit_reader *reader, struct pf_err *err)
{
	sqlite3_stmt *ends = NULL;
	int r = 0;

	/* Two queries of one row each: max() and min() together would read all rows. */
	if (sqlite3_prepare_v2(reader->db,
			       "SELECT (SELECT min(seq) FROM event), (SELECT max(seq) FROM event)",
			       -1, &ends, NULL) != SQLITE_OK ||
	    sqlite3_step(ends) != SQLITE_ROW) {
		r = fail(reader, err);
	} else if (sqlite3_column_type(ends, 0) != SQLITE_NULL) {
		reader->first = (uint64_t)sqlite3_column_int64(ends, 0) - 1;
		reader->head = (uint64_t)sqlite3_column_int64(ends, 1);
	}
	sqlite3_finalize(ends);
	if (r < 0)
		return r;
	reader->started = true;
	reader->at = reader->first;
	if (reader->filter.after > reader->at && reader->filter.after <= reader->head)
		reader->at = reader->filter.after;
	reader->back = reader->filter.last ? reader->head : 0;
	return 0;
}

static void set_bite(sqlite3_stmt *stmt, uint64_t above, uint64_t until)
{
	sqlite3_reset(stmt);
	sqlite3_bind_int64(stmt, 1, (sqlite3_int64)above);
	sqlite3_bind_int64(stmt, 2, (sqlite3_int64)until);
}

/* One bite of the search for the last N, from the newest down. */
static int search_back(struct pf_audit_reader *reader, struct pf_err *err)
{
	uint64_t low = reader->back > reader->at + BITE ? reader->back - BITE : reader->at;
	int code;

	set_bite(reader->backward, low, reader->back);
	while ((code = sqlite3_step(reader->backward)) == SQLITE_ROW) {
		if (++reader->found < reader->filter.last)
			continue;
		reader->at = (uint64_t)sqlite3_column_int64(reader->backward, 0) - 1;
		code = SQLITE_DONE;
		break;
	}
	sqlite3_reset(reader->backward);
	if (code != SQLITE_DONE)
		return fail(reader, err);
	reader->back = low > reader->at ? low : 0;
	return 0;
}

static bool is_over(const struct pf_audit_reader *reader)
{
	return reader->at >= reader->head ||
	       (reader->filter.limit && reader->given >= reader->filter.limit);
}

/* The next row of the bite that is under way. */
static int next_row(struct pf_audit_reader *reader, struct pf_event *out, struct pf_err *err)
{
	struct pf_row row;
	int r;

	switch (sqlite3_step(reader->forward)) {
	case SQLITE_ROW:
		pf_row_from_result(reader->forward, &row);
		r = pf_row_to_event(&row, out, err);
		if (r < 0)
			return r;
		reader->at = out->seq;
		reader->given++;
		return 1;
	case SQLITE_DONE:
		reader->at = reader->bite;
		pf_audit_reader_pause(reader);
		return is_over(reader) ? -ENODATA : 0;
	default:
		return fail(reader, err);
	}
}

int pf_audit_reader_next(struct pf_audit_reader *reader, struct pf_event *out, struct pf_err *err)
{
	int r = reader->started ? 0 : start(reader, err);

	if (r < 0)
		return r;
	if (reader->back)
		return search_back(reader, err);
	if (is_over(reader)) {
		pf_audit_reader_pause(reader);
		return -ENODATA;
	}
	if (!reader->bite) {
		reader->bite = reader->head - reader->at > BITE ? reader->at + BITE : reader->head;
		set_bite(reader->forward, reader->at, reader->bite);
	}
	return next_row(reader, out, err);
}

void pf_audit_reader_pause(struct pf_audit_reader *reader)
{
	sqlite3_reset(reader->forward);
	reader->bite = 0;
}

/* ---- as lines ----------------------------------------------------------------------------- */

static int take_line(struct pf_audit_lines *lines, const struct pf_err *failure)
{
	if (failure)
		lines->ended = 1;
	lines->at = 0;
	if (failure && pf_wire_encode_error(failure->text, &lines->line) < 0)
		return -ENODATA;
	lines->len = strlen(lines->line);
	lines->line[lines->len] = '\n'; /* in place of the NUL: it is bytes from here on */
	lines->len++;
	return 0;
}

/* Return: 1 with a line, 0 without one, -ENODATA at the end. */
static int next_line(struct pf_audit_lines *lines)
{
	PF_CLEANUP(pf_event_clear) struct pf_event event = {};
	struct pf_err err = {};
	int r;

	if (lines->ended)
		return -ENODATA;
	r = pf_audit_reader_next(lines->reader, &event, &err);
	if (r == 0 || r == -ENODATA)
		return r;
	if (r > 0 && pf_wire_encode_event(&event, &lines->line) < 0)
		r = pf_fail(&err, ENOMEM, "tell the record");
	return take_line(lines, r < 0 ? &err : NULL) ?: 1;
}

static size_t copy_out(struct pf_audit_lines *lines, char *buf, size_t size)
{
	size_t len = lines->len - lines->at < size ? lines->len - lines->at : size;

	memcpy(buf, lines->line + lines->at, len);
	lines->at += len;
	if (lines->at == lines->len)
		free(pf_take_ptr(lines->line));
	return len;
}

ssize_t pf_audit_lines_read(struct pf_audit_lines *lines, char *buf, size_t size)
{
	size_t used = 0;
	int r = 1;

	while (used < size) {
		if (!lines->line) {
			r = next_line(lines);
			if (r <= 0)
				break;
		}
		used += copy_out(lines, buf + used, size - used);
	}
	pf_audit_reader_pause(lines->reader);
	if (used)
		return (ssize_t)used;
	if (r < 0)
		return r;
	buf[0] = '\n';
	return 1;
}

void pf_audit_lines_clear(struct pf_audit_lines *lines)
{
	pf_audit_reader_close(&lines->reader);
	free(lines->line);
	*lines = (struct pf_audit_lines){};
}
