// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/audit/verify.h"

#include <errno.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/audit/anchor.h"
#include "agent/audit/row.h"
#include "agent/base/cleanup.h"

#define BUSY_MS 5000

struct walk {
	const char *path;
	sqlite3 *db;
	struct pf_verdict *verdict;
	struct pf_link anchor;
	struct pf_link head;
	struct pf_link at;                   /* the last record that was looked at */
	char told[PF_ANCHOR_TEXT_MAX + 128]; /* the newest word on an anchor in the record itself */
};

static void cleanup_db(sqlite3 **db)
{
	sqlite3_close(*db);
}

static void cleanup_stmt(sqlite3_stmt **stmt)
{
	sqlite3_finalize(*stmt);
}

static int fail(const struct walk *walk, struct pf_err *err)
{
	int code = sqlite3_errcode(walk->db) & 0xff;

	return pf_fail_plain(err, code == SQLITE_CORRUPT || code == SQLITE_NOTADB ? EBADMSG : EIO,
			     "read %s: %s", walk->path, sqlite3_errmsg(walk->db));
}

static void wrong(struct walk *walk, uint64_t seq, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The first finding counts: what follows a break in the chain follows from it. */
static void wrong(struct walk *walk, uint64_t seq, const char *fmt, ...)
{
	va_list ap;

	if (!walk->verdict->intact)
		return;
	walk->verdict->intact = false;
	walk->verdict->wrong = seq;
	va_start(ap, fmt);
	vsnprintf(walk->verdict->text, sizeof(walk->verdict->text), fmt, ap);
	va_end(ap);
}

/* Both ends of the chain. */
static int read_ends(struct walk *walk, struct pf_err *err)
{
	PF_CLEANUP(cleanup_stmt) sqlite3_stmt *ends = NULL;
	int code, found = 0;

	if (sqlite3_prepare_v2(walk->db, "SELECT name, seq, hash FROM chain", -1, &ends, NULL) !=
	    SQLITE_OK)
		return fail(walk, err);
	while ((code = sqlite3_step(ends)) == SQLITE_ROW) {
		const char *name = (const char *)sqlite3_column_text(ends, 0);
		struct pf_link *link = name && strcmp(name, "anchor") == 0 ? &walk->anchor
				       : name && strcmp(name, "head") == 0 ? &walk->head
									   : NULL;

		if (!link || sqlite3_column_bytes(ends, 2) != PF_HASH_BYTES)
			continue;
		link->seq = (uint64_t)sqlite3_column_int64(ends, 1);
		memcpy(link->hash.byte, sqlite3_column_blob(ends, 2), PF_HASH_BYTES);
		found++;
	}
	if (code != SQLITE_DONE)
		return fail(walk, err);
	if (found != 2)
		wrong(walk, 0, "an end of the chain is missing from the table 'chain'");
	return 0;
}

static bool same_hash(const struct pf_hash *a, const struct pf_hash *b)
{
	return memcmp(a->byte, b->byte, PF_HASH_BYTES) == 0;
}

static void check_row(struct walk *walk, sqlite3_stmt *rows)
{
	uint64_t seq = (uint64_t)sqlite3_column_int64(rows, 0), expected = walk->at.seq + 1;
	struct pf_hash computed, stored = {};
	struct pf_row row;

	pf_row_from_result(rows, &row);
	if (sqlite3_column_bytes(rows, PF_ROW_CELLS) == PF_HASH_BYTES)
		memcpy(stored.byte, sqlite3_column_blob(rows, PF_ROW_CELLS), PF_HASH_BYTES);
	if ((int64_t)seq < (int64_t)expected)
		wrong(walk, expected,
		      "record %" PRId64 " stands before the oldest that there can be",
		      (int64_t)seq);
	else if (seq > expected)
		wrong(walk, expected, "record %" PRIu64 "%s removed", expected,
		      seq > expected + 1 ? " and more behind it were" : " was");
	pf_row_hash(&walk->at.hash, &row, &computed);
	if (!same_hash(&computed, &stored))
		wrong(walk, seq,
		      "record %" PRIu64 " is not as it was written: it was changed, or is another "
		      "one in its place",
		      seq);
	walk->at.seq = seq;
	walk->at.hash = stored;
	walk->verdict->count++;
}

/* The record's own word on where it begins, from the newest `retention` event. */
static void note_retention(struct walk *walk, sqlite3_stmt *rows)
{
	const char *cause = (const char *)sqlite3_column_text(rows, 6);
	const char *detail = (const char *)sqlite3_column_text(rows, PF_ROW_CELLS - 1);

	if (cause && strcmp(cause, "retention") == 0)
		snprintf(walk->told, sizeof(walk->told), "%s", detail ?: "");
}

static int walk_rows(struct walk *walk, struct pf_err *err)
{
	PF_CLEANUP(cleanup_stmt) sqlite3_stmt *rows = NULL;
	int code;

	if (sqlite3_prepare_v2(walk->db, "SELECT " PF_ROW_COLUMNS ", hash FROM event ORDER BY seq",
			       -1, &rows, NULL) != SQLITE_OK)
		return fail(walk, err);
	walk->at = walk->anchor;
	while ((code = sqlite3_step(rows)) == SQLITE_ROW && walk->verdict->intact) {
		if (!walk->verdict->first)
			walk->verdict->first = (uint64_t)sqlite3_column_int64(rows, 0);
		check_row(walk, rows);
		note_retention(walk, rows);
	}
	if (code != SQLITE_DONE && code != SQLITE_ROW)
		return fail(walk, err);
	return 0;
}

static void check_ends(struct walk *walk)
{
	char anchor[PF_ANCHOR_TEXT_MAX];

	if (walk->at.seq < walk->head.seq)
		wrong(walk, walk->at.seq + 1,
		      "the newest records are missing: %" PRIu64 " to %" PRIu64 " were removed",
		      walk->at.seq + 1, walk->head.seq);
	else if (walk->at.seq != walk->head.seq || !same_hash(&walk->at.hash, &walk->head.hash))
		wrong(walk, walk->at.seq,
		      "record %" PRIu64 " is the last one and not the one that was written last",
		      walk->at.seq);
	if (!walk->anchor.seq)
		return;
	pf_anchor_format(walk->anchor.seq, &walk->anchor.hash, anchor);
	if (!strstr(walk->told, anchor))
		wrong(walk, walk->anchor.seq,
		      "all records up to %" PRIu64 " are missing, and retention does not say that "
		      "it removed them",
		      walk->anchor.seq);
}

int pf_audit_verify(const char *path, struct pf_verdict *out, struct pf_err *err)
{
	PF_CLEANUP(cleanup_db) sqlite3 *db = NULL;
	struct walk walk = {.path = path, .verdict = out};
	int r;

	*out = (struct pf_verdict){.intact = true};
	if (access(path, F_OK) < 0)
		return pf_fail(err, errno, "open %s", path);
	r = sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL);
	walk.db = db;
	if (r != SQLITE_OK)
		return fail(&walk, err);
	sqlite3_busy_timeout(db, BUSY_MS);
	/* One transaction: the ends belong to the rows, whatever is written meanwhile. */
	if (sqlite3_exec(db, "BEGIN", NULL, NULL, NULL) != SQLITE_OK)
		return fail(&walk, err);
	r = read_ends(&walk, err);
	r = r ?: walk_rows(&walk, err);
	if (r < 0)
		return r;
	if (out->intact)
		check_ends(&walk);
	out->head = walk.at.seq;
	pf_hash_format(&walk.at.hash, out->head_hash);
	return 0;
}
