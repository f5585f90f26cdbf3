// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/audit/database.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent/audit/anchor.h"
#include "agent/base/cleanup.h"
#include "agent/base/file.h"

#define BUSY_MS 5000
#define TRIM_ROWS 16384 /* of one transaction: what waits meanwhile fits in the queue */

struct pf_database {
	char *path;
	dev_t dev;
	ino_t ino;
	sqlite3 *db;
	sqlite3_stmt *insert;
	sqlite3_stmt *get_link;
	sqlite3_stmt *set_link;
};

static int exec(struct pf_database *database, const char *sql, const char *what, struct pf_err *err)
{
	if (sqlite3_exec(database->db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return pf_database_fail(database->db, what, err);
	return 0;
}

/* Leaves no transaction open, whatever happened; the words of @err are kept. */
static void roll_back(struct pf_database *database)
{
	sqlite3_reset(database->insert);
	sqlite3_reset(database->get_link);
	sqlite3_reset(database->set_link);
	if (!sqlite3_get_autocommit(database->db))
		sqlite3_exec(database->db, "ROLLBACK", NULL, NULL, NULL);
}

void pf_event_stamp(struct pf_event *event)
{
	struct timespec ts;

	if (!event->wall_ns) {
		clock_gettime(CLOCK_REALTIME, &ts);
		event->wall_ns = (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
	}
	if (!event->boot_ns) {
		clock_gettime(CLOCK_BOOTTIME, &ts);
		event->boot_ns = (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
	}
}

/* ---- opening ------------------------------------------------------------------------------ */

/* Made here, so that its mode doesn't hang on the umask; SQLite gives its log the same. */
static int make_file(const char *path, struct pf_err *err)
{
	pf_auto_free char *folder = strdup(path);
	pf_auto_close int fd = -1;
	char *slash = folder ? strrchr(folder, '/') : NULL;
	int r;

	if (!folder)
		return pf_fail(err, ENOMEM, "open %s", path);
	if (slash && slash != folder) {
		*slash = '\0';
		r = pf_mkdir_all(folder, 0750, err);
		if (r < 0)
			return r;
	}
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	return fd < 0 ? pf_fail(err, errno, "open %s", path) : 0;
}

/* The one value of a PRAGMA. @out: @size bytes. */
static int ask(struct pf_database *database, const char *pragma, char *out, size_t size,
	       struct pf_err *err)
{
	sqlite3_stmt *result = NULL;
	int r = 0;

	if (sqlite3_prepare_v2(database->db, pragma, -1, &result, NULL) != SQLITE_OK ||
	    sqlite3_step(result) != SQLITE_ROW)
		r = pf_database_fail(database->db, "read", err);
	else
		snprintf(out, size, "%s", (const char *)sqlite3_column_text(result, 0) ?: "");
	sqlite3_finalize(result);
	return r;
}

static int ask_number(struct pf_database *database, const char *pragma, uint64_t *out,
		      struct pf_err *err)
{
	char text[32];
	int r = ask(database, pragma, text, sizeof(text), err);

	if (!r)
		*out = strtoull(text, NULL, 10);
	return r;
}

static int read_marks(struct pf_database *database, uint64_t *application, uint64_t *version,
		      uint64_t *tables, struct pf_err *err)
{
	int r = ask_number(database, "PRAGMA application_id", application, err);

	r = r ?: ask_number(database, "PRAGMA user_version", version, err);
	return r ?: ask_number(database, "SELECT count(*) FROM sqlite_schema", tables, err);
}

/*
 * Somebody else's SQLite file is nothing to add tables to. Read at one moment: another writer of
 * ours may just be making them.
 */
static int check_ours(struct pf_database *database, struct pf_err *err)
{
	uint64_t application = 0, version = 0, tables = 0;
	int r = exec(database, "BEGIN", "read", err);

	if (r < 0)
		return r;
	r = read_marks(database, &application, &version, &tables, err);
	sqlite3_exec(database->db, "ROLLBACK", NULL, NULL, NULL);
	if (r < 0 || application == PF_DATABASE_APPLICATION)
		return r;
	if (application || version || tables)
		return pf_fail_plain(err, EPROTONOSUPPORT,
				     "%s is another program's database: not touched; set [audit] "
				     "path to another file",
				     database->path);
	return 0;
}

static int check_sound(struct pf_database *database, struct pf_err *err)
{
	char answer[256];
	int r = ask(database, "PRAGMA quick_check(1)", answer, sizeof(answer), err);

	if (!r && strcmp(answer, "ok") != 0)
		r = pf_fail_plain(err, EBADMSG, "%s is damaged: %s", database->path, answer);
	return r;
}

/*
 * FULL: a transaction is on the disk when it is reported stored, also when power goes the moment
 * after. It costs one fsync a batch, and the thread that waits for it is nobody's but ours.
 */
static int configure(struct pf_database *database, struct pf_err *err)
{
	char mode[16];
	int r;

	sqlite3_busy_timeout(database->db, BUSY_MS);
	r = check_ours(database, err);
	/* Counts only for a file that is still empty. */
	r = r ?: exec(database, "PRAGMA auto_vacuum = INCREMENTAL", "set up", err);
	r = r ?: ask(database, "PRAGMA journal_mode = WAL", mode, sizeof(mode), err);
	if (!r && strcmp(mode, "wal") != 0)
		r = pf_fail_plain(err, EOPNOTSUPP,
				  "%s lies on a file system that can't hold a write-ahead log: set "
				  "[audit] path to a local one",
				  database->path);
	if (!r)
		r = exec(database,
			 "PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 8388608;"
			 "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON",
			 "set up", err);
	return r ?: check_sound(database, err);
}

static int prepare(struct pf_database *database, const char *sql, sqlite3_stmt **out,
		   struct pf_err *err)
{
	if (sqlite3_prepare_v3(database->db, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL) !=
	    SQLITE_OK)
		return pf_database_fail(database->db, "use", err);
	return 0;
}

static int remember_file(struct pf_database *database, struct pf_err *err)
{
	struct stat st;

	if (stat(database->path, &st) < 0)
		return pf_fail(err, errno, "look at %s", database->path);
	database->dev = st.st_dev;
	database->ino = st.st_ino;
	return 0;
}

static int get_link(struct pf_database *database, const char *name, struct pf_link *out,
		    struct pf_err *err);

static int open_all(struct pf_database *database, struct pf_err *err)
{
	struct pf_link head;
	int r = make_file(database->path, err);

	if (r < 0)
		return r;
	if (sqlite3_open_v2(database->path, &database->db,
			    SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
		return pf_database_fail(database->db, "open", err);
	r = configure(database, err);
	r = r ?: pf_schema_migrate(database->db, pf_schema_steps, pf_schema_version, err);
	if (!r)
		r = prepare(database,
			    "INSERT INTO event (" PF_ROW_COLUMNS ", hash) VALUES (?,?,?,?,?,?,?,?,"
			    "?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
			    &database->insert, err);
	if (!r)
		r = prepare(database, "SELECT seq, hash FROM chain WHERE name = ?",
			    &database->get_link, err);
	if (!r)
		r = prepare(database, "UPDATE chain SET seq = ?, hash = ? WHERE name = ?",
			    &database->set_link, err);
	r = r ?: get_link(database, "head", &head, err);
	roll_back(database);
	return r ?: remember_file(database, err);
}

int pf_database_open(const char *path, struct pf_database **out, struct pf_err *err)
{
	struct pf_database *database = calloc(1, sizeof(*database));
	int r;

	if (!database || !(database->path = strdup(path))) {
		free(database);
		return pf_fail(err, ENOMEM, "open %s", path);
	}
	r = open_all(database, err);
	if (r < 0) {
		pf_database_close(&database);
		return r;
	}
	*out = database;
	return 0;
}

void pf_database_close(struct pf_database **database)
{
	struct pf_database *old = pf_take_ptr(*database);

	if (!old)
		return;
	sqlite3_finalize(old->insert);
	sqlite3_finalize(old->get_link);
	sqlite3_finalize(old->set_link);
	sqlite3_close(old->db);
	free(old->path);
	free(old);
}

bool pf_database_gone(const struct pf_database *database)
{
	struct stat st;

	return stat(database->path, &st) < 0 || st.st_dev != database->dev ||
	       st.st_ino != database->ino;
}

/* ---- the chain ---------------------------------------------------------------------------- */

static int get_link(struct pf_database *database, const char *name, struct pf_link *out,
		    struct pf_err *err)
{
	sqlite3_stmt *get = database->get_link;
	int code;

	sqlite3_bind_text(get, 1, name, -1, SQLITE_STATIC);
	code = sqlite3_step(get);
	if (code == SQLITE_ROW && sqlite3_column_bytes(get, 1) == PF_HASH_BYTES) {
		out->seq = (uint64_t)sqlite3_column_int64(get, 0);
		memcpy(out->hash.byte, sqlite3_column_blob(get, 1), PF_HASH_BYTES);
		sqlite3_reset(get);
		return 0;
	}
	if (code == SQLITE_ROW || code == SQLITE_DONE)
		return pf_fail_plain(err, EBADMSG, "%s has lost the %s of its chain",
				     database->path, name);
	return pf_database_fail(database->db, "read", err);
}

static int set_link(struct pf_database *database, const char *name, const struct pf_link *link,
		    struct pf_err *err)
{
	sqlite3_stmt *set = database->set_link;

	sqlite3_bind_int64(set, 1, (sqlite3_int64)link->seq);
	sqlite3_bind_blob(set, 2, link->hash.byte, PF_HASH_BYTES, SQLITE_STATIC);
	sqlite3_bind_text(set, 3, name, -1, SQLITE_STATIC);
	if (sqlite3_step(set) != SQLITE_DONE)
		return pf_database_fail(database->db, "write", err);
	sqlite3_reset(set);
	return 0;
}

/* Adds a row behind @head, which moves to it. */
static int add_row(struct pf_database *database, struct pf_event *event, struct pf_link *head,
		   struct pf_err *err)
{
	sqlite3_stmt *insert = database->insert;
	struct pf_hash hash;
	struct pf_row row;
	int code;

	event->seq = head->seq + 1;
	pf_row_from_event(event, &row);
	pf_row_hash(&head->hash, &row, &hash);
	code = pf_row_bind(&row, insert);
	if (code == SQLITE_OK)
		code = sqlite3_bind_blob(insert, PF_ROW_CELLS + 1, hash.byte, PF_HASH_BYTES,
					 SQLITE_STATIC);
	if (code == SQLITE_OK)
		code = sqlite3_step(insert);
	if (code != SQLITE_DONE)
		return pf_database_fail(database->db, "write", err);
	sqlite3_reset(insert);
	head->seq++;
	head->hash = hash;
	return 0;
}

/* The head is read anew each time: `pinfoldd --once` may have written beside a running agent. */
static int store(struct pf_database *database, struct pf_event *const *events, size_t count,
		 struct pf_hash *hashes, struct pf_err *err)
{
	struct pf_link head = {};
	int r = exec(database, "BEGIN IMMEDIATE", "write", err);

	r = r ?: get_link(database, "head", &head, err);
	for (size_t i = 0; i < count && !r; i++) {
		r = add_row(database, events[i], &head, err);
		hashes[i] = head.hash;
	}
	r = r ?: set_link(database, "head", &head, err);
	return r ?: exec(database, "COMMIT", "write", err);
}

int pf_database_store(struct pf_database *database, struct pf_event *const *events, size_t count,
		      struct pf_hash *hashes, struct pf_err *err)
{
	int r = store(database, events, count, hashes, err);

	if (r < 0) {
		roll_back(database);
		for (size_t i = 0; i < count; i++)
			events[i]->seq = 0;
	}
	return r;
}

/* ---- retention ---------------------------------------------------------------------------- */

int pf_database_newest(struct pf_database *database, uint64_t until_ns, uint64_t *out,
		       struct pf_err *err)
{
	sqlite3_stmt *rows = NULL;
	int code, r = prepare(database,
			      "SELECT wall_ns FROM event WHERE wall_ns <= ? ORDER BY seq DESC "
			      "LIMIT 1",
			      &rows, err);

	if (r < 0)
		return r;
	sqlite3_bind_int64(rows, 1, (sqlite3_int64)until_ns);
	code = sqlite3_step(rows);
	*out = code == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(rows, 0) : 0;
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		r = pf_database_fail(database->db, "read", err);
	sqlite3_finalize(rows);
	return r;
}

/* The last of the rows behind @first, at most TRIM_ROWS of them, that are all older. */
static int find_old(struct pf_database *database, uint64_t first, uint64_t before_ns,
		    uint64_t *last, struct pf_err *err)
{
	sqlite3_stmt *rows = NULL;
	int code, r = prepare(database,
			      "SELECT seq FROM event WHERE seq >= ? AND seq < ? + ? AND "
			      "wall_ns >= ? ORDER BY seq LIMIT 1",
			      &rows, err);

	if (r < 0)
		return r;
	sqlite3_bind_int64(rows, 1, (sqlite3_int64)first);
	sqlite3_bind_int64(rows, 2, (sqlite3_int64)first);
	sqlite3_bind_int64(rows, 3, TRIM_ROWS);
	sqlite3_bind_int64(rows, 4, (sqlite3_int64)before_ns);
	code = sqlite3_step(rows);
	if (code == SQLITE_ROW)
		*last = (uint64_t)sqlite3_column_int64(rows, 0) - 1;
	else if (code == SQLITE_DONE)
		*last = first + TRIM_ROWS - 1;
	else
		r = pf_database_fail(database->db, "read", err);
	sqlite3_finalize(rows);
	return r;
}

static int used_bytes(struct pf_database *database, uint64_t *out, struct pf_err *err)
{
	uint64_t pages = 0, unused = 0, size = 0;
	int r = ask_number(database, "PRAGMA page_count", &pages, err);

	r = r ?: ask_number(database, "PRAGMA freelist_count", &unused, err);
	r = r ?: ask_number(database, "PRAGMA page_size", &size, err);
	if (!r)
		*out = (pages - unused) * size;
	return r;
}

/* Rows are much alike: as many go as their share of the bytes. */
static int find_excess(struct pf_database *database, uint64_t first, uint64_t head,
		       uint64_t max_bytes, uint64_t *last, struct pf_err *err)
{
	uint64_t used = 0, excess, rows = head - first + 1;
	int r = used_bytes(database, &used, err);

	if (r < 0)
		return r;
	if (used <= max_bytes) {
		*last = first - 1;
		return 0;
	}
	excess = used - max_bytes / 10 * 9;
	*last = first + (uint64_t)((double)rows * (double)excess / (double)used);
	return 0;
}

static int delete_rows(struct pf_database *database, uint64_t last, struct pf_err *err)
{
	char sql[64];

	snprintf(sql, sizeof(sql), "DELETE FROM event WHERE seq <= %" PRIu64, last);
	return exec(database, sql, "remove the oldest records of", err);
}

/* The hash of row @seq, which becomes the anchor. */
static int get_hash(struct pf_database *database, uint64_t seq, struct pf_hash *out,
		    struct pf_err *err)
{
	sqlite3_stmt *rows = NULL;
	int code, r = prepare(database, "SELECT hash FROM event WHERE seq = ?", &rows, err);

	if (r < 0)
		return r;
	sqlite3_bind_int64(rows, 1, (sqlite3_int64)seq);
	code = sqlite3_step(rows);
	if (code == SQLITE_ROW && sqlite3_column_bytes(rows, 0) == PF_HASH_BYTES)
		memcpy(out->byte, sqlite3_column_blob(rows, 0), PF_HASH_BYTES);
	else if (code == SQLITE_ROW || code == SQLITE_DONE)
		r = pf_fail_plain(err, EIO,
				  "%s: record %" PRIu64
				  " is missing, nothing is removed: see pinfold "
				  "audit verify",
				  database->path, seq);
	else
		r = pf_database_fail(database->db, "read", err);
	sqlite3_finalize(rows);
	return r;
}

static int tell_trim(struct pf_database *database, uint64_t count, const struct pf_link *anchor,
		     bool by_age, struct pf_link *head, struct pf_err *err)
{
	PF_CLEANUP(pf_event_clear) struct pf_event event = {};
	char text[PF_ANCHOR_TEXT_MAX];

	pf_event_init(&event, PF_EVENT_AGENT, PF_EVENT_RETENTION, PF_EVENT_OBSERVED);
	pf_event_stamp(&event);
	if (asprintf(&event.detail, "%" PRIu64 " events removed for their %s, %s", count,
		     by_age ? "age" : "size",
		     pf_anchor_format(anchor->seq, &anchor->hash, text)) < 0) {
		event.detail = NULL;
		return pf_fail(err, ENOMEM, "remove the oldest records");
	}
	return add_row(database, &event, head, err);
}

static int remove_until(struct pf_database *database, struct pf_link *anchor, struct pf_link *head,
			uint64_t last, bool by_age, struct pf_err *err)
{
	uint64_t count = last - anchor->seq;
	int r = get_hash(database, last, &anchor->hash, err);

	anchor->seq = last;
	r = r ?: delete_rows(database, last, err);
	r = r ?: set_link(database, "anchor", anchor, err);
	r = r ?: tell_trim(database, count, anchor, by_age, head, err);
	r = r ?: set_link(database, "head", head, err);
	r = r ?: exec(database, "COMMIT", "write", err);
	return r ?: exec(database, "PRAGMA incremental_vacuum", "shrink", err);
}

static int trim(struct pf_database *database, uint64_t before_ns, uint64_t max_bytes, bool *more,
		struct pf_err *err)
{
	struct pf_link anchor = {}, head = {};
	uint64_t old = 0, excess = 0, last, most;
	int r = exec(database, "BEGIN IMMEDIATE", "write", err);

	r = r ?: get_link(database, "anchor", &anchor, err);
	r = r ?: get_link(database, "head", &head, err);
	if (r < 0 || head.seq == anchor.seq)
		return r;
	r = find_old(database, anchor.seq + 1, before_ns, &old, err);
	r = r ?: find_excess(database, anchor.seq + 1, head.seq, max_bytes, &excess, err);
	if (r < 0)
		return r;
	most = anchor.seq + TRIM_ROWS;
	last = old > excess ? old : excess;
	if (last > head.seq)
		last = head.seq;
	*more = last > most || (last == most && last < head.seq);
	if (last > most)
		last = most;
	if (last == anchor.seq)
		return 0;
	return remove_until(database, &anchor, &head, last, old >= last, err);
}

int pf_database_trim(struct pf_database *database, uint64_t before_ns, uint64_t max_bytes,
		     bool *more, struct pf_err *err)
{
	int r;

	*more = false;
	r = trim(database, before_ns, max_bytes, more, err);
	roll_back(database);
	if (r < 0)
		*more = false;
	return r;
}

/* ---- damage ------------------------------------------------------------------------------- */

static int rename_with(const char *path, const char *to, const char *suffix, struct pf_err *err)
{
	pf_auto_free char *from = NULL, *behind = NULL;

	if (asprintf(&from, "%s%s", path, suffix) < 0) {
		from = NULL;
		return pf_fail(err, ENOMEM, "set %s aside", path);
	}
	if (asprintf(&behind, "%s%s", to, suffix) < 0) {
		behind = NULL;
		return pf_fail(err, ENOMEM, "set %s aside", path);
	}
	if (renameat2(AT_FDCWD, from, AT_FDCWD, behind, RENAME_NOREPLACE) < 0)
		return errno == ENOENT ? 0 : pf_fail(err, errno, "rename %s to %s", from, behind);
	return 0;
}

/* A name that is free: ".corrupt-20261123T004003Z", and a number behind it for the next one. */
static int free_name(const char *path, char **out, struct pf_err *err)
{
	char date[32];
	time_t now = time(NULL);
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(date, sizeof(date), "%Y%m%dT%H%M%SZ", &tm);
	for (unsigned int i = 0; i < 1000; i++) {
		char number[16] = "";

		if (i)
			snprintf(number, sizeof(number), "-%u", i);
		if (asprintf(out, "%s.corrupt-%s%s", path, date, number) < 0) {
			*out = NULL;
			return pf_fail(err, ENOMEM, "set %s aside", path);
		}
		if (access(*out, F_OK) < 0)
			return 0;
		free(pf_take_ptr(*out));
	}
	return pf_fail(err, EEXIST, "set %s aside", path);
}

int pf_database_set_aside(const char *path, char **to, struct pf_err *err)
{
	pf_auto_free char *name = NULL;
	int r = free_name(path, &name, err);

	/* The index of the log first: without it SQLite makes a new one of the log. */
	r = r ?: rename_with(path, name, "-shm", err);
	r = r ?: rename_with(path, name, "-wal", err);
	r = r ?: rename_with(path, name, "", err);
	if (!r)
		*to = pf_take_ptr(name);
	return r;
}
