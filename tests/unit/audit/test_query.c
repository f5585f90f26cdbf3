// SPDX-License-Identifier: GPL-2.0-or-later
/* What is asked for comes, in order, in small bites, and as lines. */
#include "tests/unit/audit/place.h"

#include <errno.h>

static void gives(const struct place *place, const struct pf_event_filter *filter, const char *want)
{
	pf_auto_free char *got = seqs(place, filter);

	assert_string_equal(got, want);
}

static uint64_t at(unsigned int i)
{
	return UINT64_C(1700000000000000000) + i * UINT64_C(1000000000);
}

static void each_filter_chooses(void **state)
{
	struct place *place = *state;
	const struct pf_event_filter guest = {.guest = (char *)"g1"};
	const struct pf_event_filter uuid = {
		.guest = (char *)"00000002-0000-0000-0000-00000000000A"};
	const struct pf_event_filter kind = {.has_kind = true, .kind = PF_EVENT_DRIFT};
	const struct pf_event_filter cause = {.has_cause = true, .cause = PF_EVENT_FALLBACK};
	const struct pf_event_filter action = {.has_action = true, .action = PF_EVENT_FAILED};
	const struct pf_event_filter since = {.since_ns = at(9)};
	const struct pf_event_filter until = {.until_ns = at(2)};
	const struct pf_event_filter after = {.after = 10};
	const struct pf_event_filter limit = {.limit = 3};
	const struct pf_event_filter last = {.last = 2};
	const struct pf_event_filter none = {.guest = (char *)"g"};

	fill(place, 12);
	gives(place, &guest, "2 5 8 11 ");
	gives(place, &uuid, "3 6 9 12 ");
	gives(place, &kind, "2 9 ");
	gives(place, &cause, "8 ");
	gives(place, &action, "4 8 12 ");
	gives(place, &since, "10 11 12 ");
	gives(place, &until, "1 2 3 ");
	gives(place, &after, "11 12 ");
	gives(place, &limit, "1 2 3 ");
	gives(place, &last, "11 12 ");
	gives(place, &none, "");
}

static void filters_count_together(void **state)
{
	struct place *place = *state;
	const struct pf_event_filter several = {
		.guest = (char *)"g0", .after = 2, .last = 2, .until_ns = at(9)};
	const struct pf_event_filter more_than_there_are = {.guest = (char *)"g0", .last = 99};
	const struct pf_event_filter last_and_limit = {.last = 5, .limit = 2};
	const struct pf_event_filter after_all = {.after = 12};

	fill(place, 12);
	gives(place, &several, "7 10 ");
	gives(place, &more_than_there_are, "1 4 7 10 ");
	gives(place, &last_and_limit, "8 9 ");
	gives(place, &after_all, "");
}

/* A follower of a file that was set aside begins with the new one. */
static void after_beyond_the_newest_is_another_file(void **state)
{
	struct place *place = *state;
	const struct pf_event_filter beyond = {.after = 4000};

	fill(place, 3);
	gives(place, &beyond, "1 2 3 ");
}

static void what_retention_removed_is_not_missed(void **state)
{
	struct place *place = *state;
	const struct pf_event_filter all = {}, after = {.after = 3}, last = {.last = 1};

	fill(place, 12);
	tamper(place, "DELETE FROM event WHERE seq <= 9");
	gives(place, &all, "10 11 12 ");
	gives(place, &after, "10 11 12 ");
	gives(place, &last, "12 ");
}

static void an_empty_record_has_nothing(void **state)
{
	struct place *place = *state;
	const struct pf_event_filter all = {}, last = {.last = 5};
	struct pf_audit_reader *reader = NULL;
	struct pf_err err = {};

	assert_int_equal(pf_audit_reader_open(place->path, &all, &reader, &err), -ENOENT);
	assert_null(reader);
	fill(place, 0);
	gives(place, &all, "");
	gives(place, &last, "");
}

/* 10,000 records, the one that fits first or last: each call looks at a part of them. */
static void a_long_search_comes_in_bites(void **state)
{
	struct place *place = *state;
	const struct pf_event_filter filters[] = {
		{.guest = (char *)"rare"},
		{.guest = (char *)"rare", .last = 1},
	};

	struct pf_audit *audit = open_audit(place, 10000);

	add_events(audit, 0, 10000);
	assert_int_equal(pf_audit_flush(audit, NULL), 0);
	pf_audit_close(&audit);
	for (size_t i = 0; i < 2; i++) {
		struct pf_audit_reader *reader = NULL;
		int r, nothing = 0, found = 0;

		tamper(place, i == 0 ? "UPDATE event SET guest = 'rare' WHERE seq = 9999"
				     : "UPDATE event SET guest = 'x' WHERE seq = 9999;"
				       "UPDATE event SET guest = 'rare' WHERE seq = 2");
		assert_int_equal(pf_audit_reader_open(place->path, &filters[i], &reader, NULL), 0);
		do {
			PF_CLEANUP(pf_event_clear) struct pf_event event = {};

			r = pf_audit_reader_next(reader, &event, NULL);
			nothing += r == 0;
			found += r == 1;
		} while (r >= 0);
		assert_int_equal(r, -ENODATA);
		assert_int_equal(found, 1);
		assert_in_range(nothing, 4, 12);
		pf_audit_reader_close(&reader);
	}
}

/* A reader that was left in the middle keeps no transaction open: the log can be emptied. */
static void a_paused_reader_holds_nothing(void **state)
{
	struct place *place = *state;
	const struct pf_event_filter all = {};
	PF_CLEANUP(pf_event_clear) struct pf_event one = {}, two = {};
	struct pf_audit_reader *reader = NULL;
	struct pf_audit *audit;

	fill(place, 10);
	audit = open_audit(place, 0);
	add_events(audit, 0, 10);
	assert_int_equal(pf_audit_flush(audit, NULL), 0);
	assert_int_equal(pf_audit_reader_open(place->path, &all, &reader, NULL), 0);
	assert_int_equal(pf_audit_reader_next(reader, &one, NULL), 1);
	pf_audit_reader_pause(reader);
	add_events(audit, 0, 10);
	assert_int_equal(pf_audit_flush(audit, NULL), 0);
	assert_int_equal(ask_db(place, "PRAGMA wal_checkpoint(TRUNCATE)"), 0);
	assert_int_equal(pf_audit_reader_next(reader, &two, NULL), 1);
	assert_int_equal(two.seq, 2);
	pf_audit_reader_close(&reader);
	pf_audit_close(&audit);
}

static void lines_are_whole_whatever_the_buffer_is(void **state)
{
	struct place *place = *state;
	const struct pf_event_filter all = {};
	static const size_t sizes[] = {1, 7, 300, 1 << 16};
	pf_auto_free char *first = NULL;

	fill(place, 40);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		PF_CLEANUP(pf_audit_lines_clear) struct pf_audit_lines lines = {};
		pf_auto_free char *text = calloc(1, 1 << 20), *buf = malloc(sizes[i]);
		size_t len = 0;
		ssize_t n;

		assert_int_equal(pf_audit_reader_open(place->path, &all, &lines.reader, NULL), 0);
		while ((n = pf_audit_lines_read(&lines, buf, sizes[i])) > 0) {
			memcpy(text + len, buf, (size_t)n);
			len += (size_t)n;
		}
		assert_int_equal(n, -ENODATA);
		assert_int_equal(pf_audit_lines_read(&lines, buf, sizes[i]), -ENODATA);
		if (!first)
			first = strdup(text);
		assert_non_null(strstr(text, "\"seq\":40,"));
		/* Empty lines may differ, events do not. */
		for (char *a = first, *b = text; *a || *b;) {
			a += strspn(a, "\n");
			b += strspn(b, "\n");
			assert_int_equal(strcspn(a, "\n"), strcspn(b, "\n"));
			assert_memory_equal(a, b, strcspn(a, "\n"));
			a += strcspn(a, "\n");
			b += strcspn(b, "\n");
		}
	}
}

static void a_row_that_cannot_be_read_ends_in_words(void **state)
{
	struct place *place = *state;
	const struct pf_event_filter all = {};
	PF_CLEANUP(pf_audit_lines_clear) struct pf_audit_lines lines = {};
	char text[8192] = "";
	ssize_t n;

	fill(place, 5);
	tamper(place, "UPDATE event SET kind = 'weather' WHERE seq = 3");
	assert_int_equal(pf_audit_reader_open(place->path, &all, &lines.reader, NULL), 0);
	n = pf_audit_lines_read(&lines, text, sizeof(text) - 1);
	assert_true(n > 0);
	assert_non_null(strstr(text, "\"seq\":2,"));
	assert_null(strstr(text, "\"seq\":3,"));
	assert_non_null(strstr(text,
			       "{\"error\":\"record 3 has no kind that can be read: see pinfold "
			       "audit verify\"}\n"));
	assert_int_equal(pf_audit_lines_read(&lines, text, sizeof(text)), -ENODATA);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_place, remove_place)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_filter_chooses),
		TEST(filters_count_together),
		TEST(after_beyond_the_newest_is_another_file),
		TEST(what_retention_removed_is_not_missed),
		TEST(an_empty_record_has_nothing),
		TEST(a_long_search_comes_in_bites),
		TEST(a_paused_reader_holds_nothing),
		TEST(lines_are_whole_whatever_the_buffer_is),
		TEST(a_row_that_cannot_be_read_ends_in_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
