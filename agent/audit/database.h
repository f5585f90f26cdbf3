/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The file that keeps the events, as its one writer sees it: docs/audit-schema.md. Every call may
 * wait for the disk; the thread in store.c makes them, nobody else.
 */
#pragma once

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/audit/row.h"
#include "agent/base/err.h"
#include "agent/model/event.h"

#define PF_DATABASE_APPLICATION 0x70666175 /* "pfau": PRAGMA application_id */

/*
 * The schema, one text of SQL for each version: what makes version N+1 of version N. Rows keep
 * their hashes over it (pf_row_hash()).
 */
extern const char *const pf_schema_steps[];
extern const size_t pf_schema_version;

/**
 * pf_schema_migrate - brings @db from its PRAGMA user_version to @version in one transaction
 *
 * Return: 0; -EPROTONOSUPPORT for a newer schema, which is left as it is; as pf_database_fail().
 */
int pf_schema_migrate(sqlite3 *db, const char *const *steps, size_t version, struct pf_err *err);

/**
 * pf_database_fail - SQLite's last error on @db with words
 *
 * Return: -EBADMSG when the file is damaged, -ENOSPC when there is no room, -EBUSY, -EROFS,
 * -EACCES, -ENOMEM, or -EIO for all else.
 */
int pf_database_fail(sqlite3 *db, const char *what, struct pf_err *err);

struct pf_database;

/**
 * pf_database_open - opens @path, checks it, and makes it where it isn't
 *
 * Its folder is made with mode 0750, the file with 0640. Return: 0 with @out owned by the caller;
 * -EBADMSG for one that is damaged; -EPROTONOSUPPORT for one that is of a newer version or not
 * ours at all; else the errno.
 */
int pf_database_open(const char *path, struct pf_database **out, struct pf_err *err);

void pf_database_close(struct pf_database **database);

/* Whether @path is no longer the file that was opened: removed, or another put in its place. */
bool pf_database_gone(const struct pf_database *database);

/**
 * pf_database_store - adds @count events in one transaction
 * @events: get their seq; on failure it is 0 again
 * @hashes: @count of them, each row's hash
 *
 * Return: 0 when they are on the disk; as pf_database_fail() when none is.
 */
int pf_database_store(struct pf_database *database, struct pf_event *const *events, size_t count,
		      struct pf_hash *hashes, struct pf_err *err);

/* The wall clock of the newest event that is not younger than @until_ns; *out is 0 without one. */
int pf_database_newest(struct pf_database *database, uint64_t until_ns, uint64_t *out,
		       struct pf_err *err);

/**
 * pf_database_trim - removes the oldest events, at most some thousand, and records that it did
 * @before_ns: events older than this wall-clock time; 0: none for their age
 * @max_bytes: when the data are larger, as many as bring them to 9/10 of it
 * @more: set when another call has more to remove
 *
 * What remains can still be verified: seq and hash of the last one removed stay as the anchor.
 * Return: 0, or as pf_database_fail().
 */
int pf_database_trim(struct pf_database *database, uint64_t before_ns, uint64_t max_bytes,
		     bool *more, struct pf_err *err);

/**
 * pf_database_set_aside - renames a damaged database and its log to @path.corrupt-DATE
 * @to: malloc'ed, the new name
 */
int pf_database_set_aside(const char *path, char **to, struct pf_err *err);

/* Fills in wall and boot time where they are 0. */
void pf_event_stamp(struct pf_event *event);
