/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An event as a row of the table `event`, and the hash that chains rows; docs/audit-schema.md.
 *
 * Words instead of numbers for kind, cause, action and role: a row can be read without this
 * program, and a reordered enumeration doesn't change what was recorded.
 */
#pragma once

#include <sqlite3.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/err.h"
#include "agent/model/event.h"

#define PF_HASH_BYTES 32

/* All columns but the hash, in their order; the hash stands behind them. */
#define PF_ROW_COLUMNS                                                                             \
	"seq, wall_ns, boot_ns, uuid, guest, kind, cause, action, tid, comm, role, "               \
	"from_cpu, from_node, to_cpu, to_node, actor_pid, actor_comm, actor_uid, actor_cgroup, "   \
	"latency_ns, outside_ns, suppressed, detail"
#define PF_ROW_CELLS 23

struct pf_hash {
	unsigned char byte[PF_HASH_BYTES];
};

struct pf_row_cell {
	int type; /* SQLITE_INTEGER, _TEXT, _NULL; from a changed row also _FLOAT, _BLOB */
	sqlite3_int64 number;
	const char *text; /* borrowed: of the event, the row's own buffer, or SQLite's */
	size_t len;
};

struct pf_row {
	struct pf_row_cell cells[PF_ROW_CELLS];
	char role[PF_ROLE_TEXT_MAX];
};

/* @row borrows from @event and must not be copied. */
void pf_row_from_event(const struct pf_event *event, struct pf_row *row);

/* The current row of a SELECT PF_ROW_COLUMNS; borrows from it until it is stepped. */
void pf_row_from_result(sqlite3_stmt *result, struct pf_row *row);

/* Parameters 1 to PF_ROW_CELLS of @insert. Return: an SQLite code. */
int pf_row_bind(const struct pf_row *row, sqlite3_stmt *insert);

/* @out is owned by the caller. Return: 0, -ENOMEM, or -EBADMSG with words. */
int pf_row_to_event(const struct pf_row *row, struct pf_event *out, struct pf_err *err);

/**
 * pf_row_hash - SHA-256 over the previous row's hash and this row's cells
 *
 * Each cell that is not NULL counts with its index, its type and its value, so that a column which
 * a later schema adds leaves the hashes of older rows as they are.
 */
void pf_row_hash(const struct pf_hash *previous, const struct pf_row *row, struct pf_hash *out);

/* As hexadecimal digits. Return: @buf. */
char *pf_hash_format(const struct pf_hash *hash, char buf[PF_HASH_BYTES * 2 + 1]);
