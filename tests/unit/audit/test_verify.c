// SPDX-License-Identifier: GPL-2.0-or-later
/* What somebody does to the file is found, and where. */
#include "tests/unit/audit/place.h"

#include <errno.h>

/* @sql on a record of 20 events is found at @seq, with @words. */
static void found(struct place *place, const char *sql, uint64_t seq, const char *words)
{
	struct pf_verdict verdict;
	struct pf_err err = {};

	fill(place, 20);
	assert_intact(place, 1, 20);
	tamper(place, sql);
	if (pf_audit_verify(place->path, &verdict, &err) < 0)
		fail_msg("%s", err.text);
	if (verdict.intact || verdict.wrong != seq || !strstr(verdict.text, words))
		fail_msg("%s: intact %d, seq %llu, '%s'", sql, verdict.intact,
			 (unsigned long long)verdict.wrong, verdict.text);
}

static void a_record_left_alone_is_intact(void **state)
{
	struct place *place = *state;

	fill(place, 0);
	assert_intact(place, 0, 0);
	fill(place, 1500);
	assert_intact(place, 1, 1500);
	fill(place, 3);
	assert_intact(place, 1, 1503);
}

static void a_changed_row_is_found(void **state)
{
	found(*state, "UPDATE event SET actor_uid = 0 WHERE seq = 7", 7,
	      "record 7 is not as it was");
}

static void a_letter_changed_is_found(void **state)
{
	found(*state, "UPDATE event SET actor_comm = 'tbskset' WHERE seq = 7", 7,
	      "record 7 is not");
}

/* Whole in itself, and with the same seq: only the chain tells that it came from elsewhere. */
static void a_row_of_another_record_is_found(void **state)
{
	struct place *place = *state;
	struct place other = *place;
	struct pf_audit *audit;
	char sql[256];

	snprintf(other.path, sizeof(other.path), "%s/other.db", place->dir);
	audit = open_audit(&other, 0);
	add_events(audit, 100, 20);
	pf_audit_close(&audit);
	snprintf(sql, sizeof(sql),
		 "ATTACH '%s' AS other; REPLACE INTO event SELECT * FROM other.event WHERE seq = 5",
		 other.path);
	found(place, sql, 5, "record 5 is not as it was");
}

static void a_number_made_text_is_found(void **state)
{
	found(*state, "UPDATE event SET detail = x'41' WHERE seq = 3", 3, "record 3 is not");
}

static void a_value_taken_out_is_found(void **state)
{
	found(*state, "UPDATE event SET guest = NULL WHERE seq = 20", 20, "record 20 is not");
}

static void a_value_moved_to_another_column_is_found(void **state)
{
	found(*state, "UPDATE event SET to_cpu = NULL, from_node = 4095 WHERE seq = 5", 5,
	      "record 5 is not");
}

static void every_column_counts(void **state)
{
	static const char *const columns[] = {
		"wall_ns",    "boot_ns",    "uuid",       "guest",      "kind",      "cause",
		"action",     "tid",        "comm",       "role",       "from_cpu",  "from_node",
		"to_cpu",     "to_node",    "actor_pid",  "actor_comm", "actor_uid", "actor_cgroup",
		"latency_ns", "outside_ns", "suppressed", "detail",
	};
	struct place *place = *state;

	fill(place, 5);
	for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
		struct pf_verdict verdict;
		char sql[256];

		snprintf(sql, sizeof(sql),
			 "CREATE TABLE keep AS SELECT %s AS v FROM event WHERE seq = 3;"
			 "UPDATE event SET %s = 'x' || coalesce(%s, '') WHERE seq = 3",
			 columns[i], columns[i], columns[i]);
		tamper(place, sql);
		assert_int_equal(pf_audit_verify(place->path, &verdict, NULL), 0);
		if (verdict.intact || verdict.wrong != 3)
			fail_msg("%s", columns[i]);
		snprintf(
			sql, sizeof(sql),
			"UPDATE event SET %s = (SELECT v FROM keep) WHERE seq = 3; DROP TABLE keep",
			columns[i]);
		tamper(place, sql);
		assert_intact(place, 1, 5);
	}
}

static void a_removed_row_is_found(void **state)
{
	found(*state, "DELETE FROM event WHERE seq = 12", 12, "record 12 was removed");
}

static void a_removed_row_with_its_gap_closed_is_found(void **state)
{
	found(*state,
	      "DELETE FROM event WHERE seq = 12;"
	      "UPDATE event SET seq = seq - 1 WHERE seq > 12;"
	      "UPDATE chain SET seq = 19 WHERE name = 'head'",
	      12, "record 12 is not as it was");
}

static void reordered_rows_are_found(void **state)
{
	found(*state,
	      "UPDATE event SET seq = 0 WHERE seq = 8; UPDATE event SET seq = 8 WHERE seq = 9;"
	      "UPDATE event SET seq = 9 WHERE seq = 0",
	      8, "record 8 is not as it was");
}

static void an_added_row_is_found(void **state)
{
	found(*state,
	      "INSERT INTO event SELECT 21, wall_ns, boot_ns, uuid, guest, kind, cause, action, "
	      "tid, comm, "
	      "role, from_cpu, from_node, to_cpu, to_node, actor_pid, actor_comm, actor_uid, "
	      "actor_cgroup, latency_ns, outside_ns, suppressed, detail, hash "
	      "FROM event WHERE seq = 20",
	      21, "record 21 is not as it was");
}

static void a_row_put_before_the_first_is_found(void **state)
{
	found(*state, "UPDATE event SET seq = -5 WHERE seq = 1", 1,
	      "record -5 stands "
	      "before the oldest");
}

static void a_cut_off_end_is_found(void **state)
{
	found(*state, "DELETE FROM event WHERE seq > 17", 18, "18 to 20 were removed");
}

static void everything_removed_is_found(void **state)
{
	found(*state, "DELETE FROM event", 1, "1 to 20 were removed");
}

static void a_cut_off_beginning_is_found(void **state)
{
	found(*state, "DELETE FROM event WHERE seq < 4", 1,
	      "record 1 and more behind it were removed");
}

static void a_cut_off_beginning_with_its_anchor_moved_is_found(void **state)
{
	found(*state,
	      "UPDATE chain SET seq = 3, hash = (SELECT hash FROM event WHERE seq = 3) "
	      "WHERE name = 'anchor';"
	      "DELETE FROM event WHERE seq < 4",
	      3, "retention does not say");
}

static void another_head_is_found(void **state)
{
	found(*state, "UPDATE chain SET hash = zeroblob(32) WHERE name = 'head'", 20,
	      "not the one that was written last");
}

static void a_missing_end_of_the_chain_is_found(void **state)
{
	found(*state, "DELETE FROM chain WHERE name = 'anchor'", 0,
	      "an end of the chain is missing");
}

static void what_is_no_record_is_an_error(void **state)
{
	struct place *place = *state;
	struct pf_verdict verdict;
	struct pf_err err = {};
	FILE *file;

	assert_int_equal(pf_audit_verify(place->path, &verdict, &err), -ENOENT);
	snprintf(place->path, sizeof(place->path), "%s/x", place->dir);
	file = fopen(place->path, "we");
	fputs("this is no database, and it is long enough to be looked at as one..............."
	      "........................................................................",
	      file);
	fclose(file);
	assert_int_equal(pf_audit_verify(place->path, &verdict, &err), -EBADMSG);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_place, remove_place)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_record_left_alone_is_intact),
		TEST(a_changed_row_is_found),
		TEST(a_letter_changed_is_found),
		TEST(a_row_of_another_record_is_found),
		TEST(a_number_made_text_is_found),
		TEST(a_value_taken_out_is_found),
		TEST(a_value_moved_to_another_column_is_found),
		TEST(every_column_counts),
		TEST(a_removed_row_is_found),
		TEST(a_removed_row_with_its_gap_closed_is_found),
		TEST(reordered_rows_are_found),
		TEST(an_added_row_is_found),
		TEST(a_row_put_before_the_first_is_found),
		TEST(a_cut_off_end_is_found),
		TEST(everything_removed_is_found),
		TEST(a_cut_off_beginning_is_found),
		TEST(a_cut_off_beginning_with_its_anchor_moved_is_found),
		TEST(another_head_is_found),
		TEST(a_missing_end_of_the_chain_is_found),
		TEST(what_is_no_record_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
