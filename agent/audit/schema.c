// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/audit/database.h"

#include <errno.h>
#include <stdio.h>

const char *const pf_schema_steps[] = {
	"PRAGMA application_id = 1885757813;" /* PF_DATABASE_APPLICATION */
	"CREATE TABLE event ("
	" seq INTEGER PRIMARY KEY,"
	" wall_ns INTEGER NOT NULL,"
	" boot_ns INTEGER NOT NULL,"
	" uuid TEXT,"
	" guest TEXT,"
	" kind TEXT NOT NULL,"
	" cause TEXT NOT NULL,"
	" action TEXT NOT NULL,"
	" tid INTEGER,"
	" comm TEXT,"
	" role TEXT,"
	" from_cpu INTEGER,"
	" from_node INTEGER,"
	" to_cpu INTEGER,"
	" to_node INTEGER,"
	" actor_pid INTEGER,"
	" actor_comm TEXT,"
	" actor_uid INTEGER,"
	" actor_cgroup TEXT,"
	" latency_ns INTEGER,"
	" outside_ns INTEGER,"
	" suppressed INTEGER NOT NULL,"
	" detail TEXT,"
	" hash BLOB NOT NULL);"
	"CREATE TABLE chain (name TEXT PRIMARY KEY, seq INTEGER NOT NULL, hash BLOB NOT NULL)"
	" WITHOUT ROWID;"
	"INSERT INTO chain VALUES ('anchor', 0, zeroblob(32)), ('head', 0, zeroblob(32));",
};

const size_t pf_schema_version = sizeof(pf_schema_steps) / sizeof(pf_schema_steps[0]);

int pf_database_fail(sqlite3 *db, const char *what, struct pf_err *err)
{
	const char *file = sqlite3_db_filename(db, "main") ?: "the database";
	int code;

	switch (sqlite3_errcode(db) & 0xff) {
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		code = EBADMSG;
		break;
	case SQLITE_FULL:
		code = ENOSPC;
		break;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		code = EBUSY;
		break;
	case SQLITE_READONLY:
		code = EROFS;
		break;
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
	case SQLITE_AUTH:
		code = EACCES;
		break;
	case SQLITE_NOMEM:
		code = ENOMEM;
		break;
	default:
		code = EIO;
	}
	return pf_fail_plain(err, code, "%s %s: %s", what, file, sqlite3_errmsg(db));
}

static int get_version(sqlite3 *db, size_t *out, struct pf_err *err)
{
	sqlite3_stmt *result = NULL;
	int r = 0;

	if (sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &result, NULL) != SQLITE_OK ||
	    sqlite3_step(result) != SQLITE_ROW)
		r = pf_database_fail(db, "read the version of", err);
	else
		*out = (size_t)sqlite3_column_int64(result, 0);
	sqlite3_finalize(result);
	return r;
}

static int run_steps(sqlite3 *db, const char *const *steps, size_t from, size_t version,
		     struct pf_err *err)
{
	char pragma[64];

	for (size_t i = from; i < version; i++)
		if (sqlite3_exec(db, steps[i], NULL, NULL, NULL) != SQLITE_OK)
			return pf_database_fail(db, "bring to this version", err);
	snprintf(pragma, sizeof(pragma), "PRAGMA user_version = %zu", version);
	if (sqlite3_exec(db, pragma, NULL, NULL, NULL) != SQLITE_OK ||
	    sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
		return pf_database_fail(db, "bring to this version", err);
	return 0;
}

int pf_schema_migrate(sqlite3 *db, const char *const *steps, size_t version, struct pf_err *err)
{
	size_t found = 0;
	int r;

	/* Immediate: of two that come at once, the second finds the work done. */
	if (sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
		return pf_database_fail(db, "begin to change", err);
	r = get_version(db, &found, err);
	if (!r && found > version)
		r = pf_fail_plain(
			err, EPROTONOSUPPORT,
			"%s is of schema version %zu, this program knows %zu: not touched; "
			"use the newer program, or set [audit] path to another file",
			sqlite3_db_filename(db, "main"), found, version);
	if (!r && found < version)
		r = run_steps(db, steps, found, version, err);
	if (!sqlite3_get_autocommit(db))
		sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	return r;
}
