// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/audit/row.h"

#include <endian.h>
#include <errno.h>
#include <nettle/sha2.h>
#include <stdlib.h>
#include <string.h>

enum column {
	SEQ,
	WALL,
	BOOT,
	UUID,
	GUEST,
	KIND,
	CAUSE,
	ACTION,
	TID,
	COMM,
	ROLE,
	FROM_CPU,
	FROM_NODE,
	TO_CPU,
	TO_NODE,
	ACTOR_PID,
	ACTOR_COMM,
	ACTOR_UID,
	ACTOR_CGROUP,
	LATENCY,
	OUTSIDE,
	SUPPRESSED,
	DETAIL,
	COLUMN_COUNT,
};

_Static_assert(COLUMN_COUNT == PF_ROW_CELLS, "a cell for each column");

static void set_number(struct pf_row *row, enum column column, sqlite3_int64 number)
{
	row->cells[column] = (struct pf_row_cell){.type = SQLITE_INTEGER, .number = number};
}

/* NULL stays NULL. */
static void set_text(struct pf_row *row, enum column column, const char *text)
{
	if (text)
		row->cells[column] = (struct pf_row_cell){SQLITE_TEXT, 0, text, strlen(text)};
}

static void set_place(struct pf_row *row, enum column column, int place)
{
	if (place >= 0)
		set_number(row, column, place);
}

static void set_thread(struct pf_row *row, const struct pf_event *event)
{
	set_number(row, TID, event->tid);
	set_text(row, COMM, event->comm);
	set_text(row, ROLE, pf_role_format(event->role, row->role));
}

static void set_actor(struct pf_row *row, const struct pf_event_actor *actor)
{
	set_number(row, ACTOR_PID, actor->pid);
	set_text(row, ACTOR_COMM, actor->comm);
	set_number(row, ACTOR_UID, actor->uid);
	set_text(row, ACTOR_CGROUP, actor->cgroup);
}

void pf_row_from_event(const struct pf_event *event, struct pf_row *row)
{
	for (size_t i = 0; i < PF_ROW_CELLS; i++)
		row->cells[i] = (struct pf_row_cell){.type = SQLITE_NULL};
	set_number(row, SEQ, (sqlite3_int64)event->seq);
	set_number(row, WALL, (sqlite3_int64)event->wall_ns);
	set_number(row, BOOT, (sqlite3_int64)event->boot_ns);
	set_text(row, UUID, *event->uuid ? event->uuid : NULL);
	set_text(row, GUEST, event->guest);
	set_text(row, KIND, pf_event_kind_name(event->kind));
	set_text(row, CAUSE, pf_event_cause_name(event->cause));
	set_text(row, ACTION, pf_event_action_name(event->action));
	if (event->has_thread)
		set_thread(row, event);
	set_place(row, FROM_CPU, event->from_cpu);
	set_place(row, FROM_NODE, event->from_node);
	set_place(row, TO_CPU, event->to_cpu);
	set_place(row, TO_NODE, event->to_node);
	if (event->has_actor)
		set_actor(row, &event->actor);
	if (event->has_latency)
		set_number(row, LATENCY, (sqlite3_int64)event->latency_ns);
	if (event->has_outside)
		set_number(row, OUTSIDE, (sqlite3_int64)event->outside_ns);
	set_number(row, SUPPRESSED, (sqlite3_int64)event->suppressed);
	set_text(row, DETAIL, event->detail);
}

void pf_row_from_result(sqlite3_stmt *result, struct pf_row *row)
{
	for (int i = 0; i < PF_ROW_CELLS; i++) {
		struct pf_row_cell *cell = &row->cells[i];

		*cell = (struct pf_row_cell){.type = sqlite3_column_type(result, i)};
		if (cell->type == SQLITE_INTEGER) {
			cell->number = sqlite3_column_int64(result, i);
		} else if (cell->type != SQLITE_NULL) {
			cell->text = sqlite3_column_blob(result, i);
			cell->len = (size_t)sqlite3_column_bytes(result, i);
		}
	}
}

int pf_row_bind(const struct pf_row *row, sqlite3_stmt *insert)
{
	int code = SQLITE_OK;

	for (int i = 0; i < PF_ROW_CELLS && code == SQLITE_OK; i++) {
		const struct pf_row_cell *cell = &row->cells[i];

		if (cell->type == SQLITE_INTEGER)
			code = sqlite3_bind_int64(insert, i + 1, cell->number);
		else if (cell->type == SQLITE_TEXT)
			code = sqlite3_bind_text(insert, i + 1, cell->text, (int)cell->len,
						 SQLITE_STATIC);
		else
			code = sqlite3_bind_null(insert, i + 1);
	}
	return code;
}

/* ---- back to an event --------------------------------------------------------------------- */

static int unreadable(const struct pf_row *row, const char *what, struct pf_err *err)
{
	return pf_fail_plain(err, EBADMSG,
			     "record %lld has no %s that can be read: see pinfold audit verify",
			     row->cells[SEQ].number, what);
}

/* Text of SQLite's has a NUL behind it, but may have others inside: such a row is not ours. */
static const char *get_text(const struct pf_row *row, enum column column)
{
	const struct pf_row_cell *cell = &row->cells[column];

	return cell->type == SQLITE_TEXT && cell->text && !memchr(cell->text, '\0', cell->len)
		       ? cell->text
		       : NULL;
}

static int copy_text(const struct pf_row *row, enum column column, char **out)
{
	const char *text = get_text(row, column);

	*out = text ? strndup(text, row->cells[column].len) : NULL;
	return text && !*out ? -ENOMEM : 0;
}

static void copy_short(const struct pf_row *row, enum column column, char *out, size_t size)
{
	const char *text = get_text(row, column) ?: "";
	size_t len = strnlen(text, size - 1);

	memcpy(out, text, len);
	out[len] = '\0';
}

static int get_place(const struct pf_row *row, enum column column)
{
	return row->cells[column].type == SQLITE_INTEGER ? (int)row->cells[column].number : -1;
}

static bool has(const struct pf_row *row, enum column column)
{
	return row->cells[column].type == SQLITE_INTEGER;
}

static uint64_t get_number(const struct pf_row *row, enum column column)
{
	return (uint64_t)row->cells[column].number;
}

static int get_words(const struct pf_row *row, struct pf_event *event, struct pf_err *err)
{
	const char *kind = get_text(row, KIND), *cause = get_text(row, CAUSE);
	const char *action = get_text(row, ACTION), *role = get_text(row, ROLE);

	if (!kind || pf_event_kind_parse(kind, &event->kind) < 0)
		return unreadable(row, "kind", err);
	if (!cause || pf_event_cause_parse(cause, &event->cause) < 0)
		return unreadable(row, "cause", err);
	if (!action || pf_event_action_parse(action, &event->action) < 0)
		return unreadable(row, "action", err);
	if (event->has_thread && (!role || pf_role_parse(role, &event->role) < 0))
		return unreadable(row, "role", err);
	return 0;
}

static void get_numbers(const struct pf_row *row, struct pf_event *event)
{
	event->seq = get_number(row, SEQ);
	event->wall_ns = get_number(row, WALL);
	event->boot_ns = get_number(row, BOOT);
	event->has_thread = has(row, TID);
	event->tid = (pid_t)get_number(row, TID);
	event->from_cpu = get_place(row, FROM_CPU);
	event->from_node = get_place(row, FROM_NODE);
	event->to_cpu = get_place(row, TO_CPU);
	event->to_node = get_place(row, TO_NODE);
	event->has_actor = has(row, ACTOR_PID);
	event->actor.pid = (pid_t)get_number(row, ACTOR_PID);
	event->actor.uid = (uid_t)get_number(row, ACTOR_UID);
	event->has_latency = has(row, LATENCY);
	event->latency_ns = get_number(row, LATENCY);
	event->has_outside = has(row, OUTSIDE);
	event->outside_ns = get_number(row, OUTSIDE);
	event->suppressed = get_number(row, SUPPRESSED);
}

int pf_row_to_event(const struct pf_row *row, struct pf_event *out, struct pf_err *err)
{
	struct pf_event event = {};
	int r;

	get_numbers(row, &event);
	copy_short(row, UUID, event.uuid, sizeof(event.uuid));
	copy_short(row, COMM, event.comm, sizeof(event.comm));
	copy_short(row, ACTOR_COMM, event.actor.comm, sizeof(event.actor.comm));
	r = get_words(row, &event, err);
	if (!r && (copy_text(row, GUEST, &event.guest) < 0 ||
		   copy_text(row, ACTOR_CGROUP, &event.actor.cgroup) < 0 ||
		   copy_text(row, DETAIL, &event.detail) < 0))
		r = pf_fail(err, ENOMEM, "read record %llu", (unsigned long long)event.seq);
	if (r < 0) {
		pf_event_clear(&event);
		return r;
	}
	*out = event;
	return 0;
}

/* ---- the hash ----------------------------------------------------------------------------- */

static void add_u64(struct sha256_ctx *sha, uint64_t value)
{
	uint64_t bytes = htobe64(value);

	sha256_update(sha, sizeof(bytes), (const uint8_t *)&bytes);
}

void pf_row_hash(const struct pf_hash *previous, const struct pf_row *row, struct pf_hash *out)
{
	struct sha256_ctx sha;

	sha256_init(&sha);
	sha256_update(&sha, sizeof(previous->byte), previous->byte);
	for (size_t i = 0; i < PF_ROW_CELLS; i++) {
		const struct pf_row_cell *cell = &row->cells[i];
		const uint8_t head[2] = {(uint8_t)i, (uint8_t)cell->type};

		if (cell->type == SQLITE_NULL)
			continue;
		sha256_update(&sha, sizeof(head), head);
		add_u64(&sha, cell->type == SQLITE_INTEGER ? (uint64_t)cell->number : cell->len);
		if (cell->len)
			sha256_update(&sha, cell->len, (const uint8_t *)cell->text);
	}
	sha256_digest(&sha, sizeof(out->byte), out->byte);
}

char *pf_hash_format(const struct pf_hash *hash, char buf[PF_HASH_BYTES * 2 + 1])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < PF_HASH_BYTES; i++) {
		buf[2 * i] = digits[hash->byte[i] >> 4];
		buf[2 * i + 1] = digits[hash->byte[i] & 15];
	}
	buf[PF_HASH_BYTES * 2] = '\0';
	return buf;
}
