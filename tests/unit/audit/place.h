/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A folder of the test's own with a record in it. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "agent/audit/query.h"
#include "agent/audit/store.h"
#include "agent/audit/verify.h"
#include "agent/base/cleanup.h"

struct place {
	char dir[64];
	char path[128];
};

static inline int make_place(void **state)
{
	struct place *place = calloc(1, sizeof(*place));

	strcpy(place->dir, "/tmp/pinfold-audit-XXXXXX");
	assert_non_null(mkdtemp(place->dir));
	snprintf(place->path, sizeof(place->path), "%s/sub/audit.db", place->dir);
	*state = place;
	return 0;
}

static inline int remove_place(void **state)
{
	struct place *place = *state;
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", place->dir);
	free(place);
	return system(command);
}

static inline struct pf_audit *open_audit(const struct place *place, size_t queue_max)
{
	const struct pf_audit_options options = {.path = place->path, .queue_max = queue_max};
	struct pf_audit *audit = NULL;
	struct pf_err err = {};

	if (pf_audit_open(&options, &audit, &err) < 0)
		fail_msg("%s", err.text);
	return audit;
}

/* One of each kind in turn, guests "g0" to "g2", every second one with all that it can have. */
static inline void make_event(struct pf_event *event, unsigned int i)
{
	pf_event_init(event, (enum pf_event_kind)(i % 7), (enum pf_event_cause)(i % 10),
		      (enum pf_event_action)(i % 4));
	assert_true(asprintf(&event->guest, "g%u", i % 3) > 0);
	snprintf(event->uuid, sizeof(event->uuid), "0000000%u-0000-0000-0000-00000000000a", i % 3);
	event->wall_ns = UINT64_C(1700000000000000000) + i * UINT64_C(1000000000);
	event->boot_ns = i + 1;
	event->suppressed = i;
	if (i % 2)
		return;
	event->has_thread = event->has_actor = event->has_latency = event->has_outside = true;
	event->tid = 100 + (pid_t)i;
	strcpy(event->comm, "CPU 0/KVM\xff");
	event->role = (struct pf_role){PF_ROLE_VCPU, i};
	event->from_cpu = 1;
	event->to_cpu = 4095;
	event->to_node = 1023;
	event->actor.pid = 7;
	event->actor.uid = (uid_t)-2;
	strcpy(event->actor.comm, "taskset");
	event->actor.cgroup = strdup("/user.slice/\xff'x");
	event->latency_ns = UINT64_C(1) << 40;
	event->outside_ns = i;
	event->detail = strdup("write 2 to '/x' (was \"3\")");
}

static inline void add_events(struct pf_audit *audit, unsigned int first, unsigned int count)
{
	for (unsigned int i = first; i < first + count; i++) {
		struct pf_event event;

		make_event(&event, i);
		pf_audit_add(audit, &event);
		assert_null(event.guest);
	}
}

/* A record of @count events, closed. */
static inline void fill(const struct place *place, unsigned int count)
{
	struct pf_audit *audit = open_audit(place, 0);
	struct pf_err err = {};

	add_events(audit, 0, count);
	if (pf_audit_flush(audit, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(pf_audit_close(&audit), 0);
}

/* Somebody else's hands in the file. */
static inline void tamper(const struct place *place, const char *sql)
{
	sqlite3 *db = NULL;
	char *words = NULL;

	assert_int_equal(sqlite3_open(place->path, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, 5000);
	if (sqlite3_exec(db, sql, NULL, NULL, &words) != SQLITE_OK)
		fail_msg("%s: %s", sql, words);
	sqlite3_close(db);
}

static inline int64_t ask_db(const struct place *place, const char *sql)
{
	sqlite3_stmt *result = NULL;
	sqlite3 *db = NULL;
	int64_t value;

	assert_int_equal(sqlite3_open(place->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &result, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(result), SQLITE_ROW);
	value = sqlite3_column_int64(result, 0);
	sqlite3_finalize(result);
	sqlite3_close(db);
	return value;
}

static inline void assert_intact(const struct place *place, uint64_t first, uint64_t head)
{
	struct pf_verdict verdict;
	struct pf_err err = {};

	if (pf_audit_verify(place->path, &verdict, &err) < 0)
		fail_msg("%s", err.text);
	if (!verdict.intact)
		fail_msg("seq %llu: %s", (unsigned long long)verdict.wrong, verdict.text);
	assert_int_equal(verdict.first, first);
	assert_int_equal(verdict.head, head);
	assert_int_equal(verdict.count, head ? head - first + 1 : 0);
	assert_int_equal(strlen(verdict.head_hash), 64);
}

/* The seqs that fit a filter, as "1 2 3 ". */
static inline char *seqs(const struct place *place, const struct pf_event_filter *filter)
{
	struct pf_audit_reader *reader = NULL;
	struct pf_err err = {};
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	int r;

	if (pf_audit_reader_open(place->path, filter, &reader, &err) < 0)
		fail_msg("%s", err.text);
	do {
		struct pf_event event = {};

		r = pf_audit_reader_next(reader, &event, &err);
		if (r > 0)
			fprintf(out, "%llu ", (unsigned long long)event.seq);
		pf_event_clear(&event);
	} while (r >= 0);
	if (r != -61 /* ENODATA */)
		fail_msg("%s", err.text);
	pf_audit_reader_close(&reader);
	fclose(out);
	return text;
}
