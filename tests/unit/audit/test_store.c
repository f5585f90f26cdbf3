// SPDX-License-Identifier: GPL-2.0-or-later
/* The record keeps what it is given, and says what it could not keep. */
#include "tests/unit/audit/place.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/audit/database.h"
#include "agent/audit/journal.h"

static void state_of(struct pf_audit *audit, struct pf_audit_state *out)
{
	pf_audit_take_state(audit, out);
}

/* The detail of the newest event of that cause. Return: malloc'ed. */
static char *newest(const struct place *place, enum pf_event_cause cause)
{
	const struct pf_event_filter filter = {.has_kind = true,
					       .kind = PF_EVENT_AGENT,
					       .has_cause = true,
					       .cause = cause,
					       .last = 1};
	struct pf_audit_reader *reader = NULL;
	char *detail = NULL;
	int r = 0;

	assert_int_equal(pf_audit_reader_open(place->path, &filter, &reader, NULL), 0);
	while (r >= 0) {
		PF_CLEANUP(pf_event_clear) struct pf_event event = {};

		r = pf_audit_reader_next(reader, &event, NULL);
		if (r > 0) {
			free(detail);
			detail = pf_take_ptr(event.detail);
		}
	}
	pf_audit_reader_close(&reader);
	return detail;
}

static void assert_told(const struct place *place, enum pf_event_cause cause, const char *words)
{
	pf_auto_free char *detail = newest(place, cause);

	if (!detail || !strstr(detail, words))
		fail_msg("'%s' has no '%s'", detail ?: "", words);
}

static size_t count_aside(const struct place *place)
{
	char pattern[160];
	glob_t found;
	size_t count;

	snprintf(pattern, sizeof(pattern), "%s.corrupt-*Z", place->path);
	count = glob(pattern, 0, NULL, &found) == 0 ? found.gl_pathc : 0;
	globfree(&found);
	return count;
}

static void what_goes_in_comes_out(void **state)
{
	struct place *place = *state;
	struct pf_audit_reader *reader = NULL;
	const struct pf_event_filter all = {};
	struct pf_err err = {};

	fill(place, 70);
	assert_int_equal(pf_audit_reader_open(place->path, &all, &reader, &err), 0);
	for (unsigned int i = 0; i < 70; i++) {
		PF_CLEANUP(pf_event_clear) struct pf_event want, got = {};

		make_event(&want, i);
		if (pf_audit_reader_next(reader, &got, &err) != 1)
			fail_msg("%s", err.text);
		assert_int_equal(got.seq, i + 1);
		assert_int_equal(got.wall_ns, want.wall_ns);
		assert_int_equal(got.boot_ns, want.boot_ns);
		assert_string_equal(got.uuid, want.uuid);
		assert_string_equal(got.guest, want.guest);
		assert_int_equal(got.kind, want.kind);
		assert_int_equal(got.cause, want.cause);
		assert_int_equal(got.action, want.action);
		assert_int_equal(got.has_thread, want.has_thread);
		assert_int_equal(got.tid, want.tid);
		assert_string_equal(got.comm, want.comm);
		assert_true(pf_role_equal(got.role, want.role));
		assert_int_equal(got.from_cpu, want.from_cpu);
		assert_int_equal(got.from_node, -1);
		assert_int_equal(got.to_cpu, want.to_cpu);
		assert_int_equal(got.to_node, want.to_node);
		assert_int_equal(got.has_actor, want.has_actor);
		assert_int_equal(got.actor.pid, want.actor.pid);
		assert_int_equal(got.actor.uid, want.actor.uid);
		assert_string_equal(got.actor.comm, want.actor.comm);
		assert_int_equal(got.has_latency, want.has_latency);
		assert_int_equal(got.latency_ns, want.latency_ns);
		assert_int_equal(got.has_outside, want.has_outside);
		assert_int_equal(got.outside_ns, want.outside_ns);
		assert_int_equal(got.suppressed, want.suppressed);
		if (i % 2) {
			assert_null(got.actor.cgroup);
			assert_null(got.detail);
		} else {
			assert_string_equal(got.actor.cgroup, want.actor.cgroup);
			assert_string_equal(got.detail, want.detail);
		}
	}
	pf_audit_reader_close(&reader);
}

static void events_get_the_time_at_which_they_came(void **state)
{
	struct place *place = *state;
	struct pf_audit *audit = open_audit(place, 0);
	struct pf_event event;
	uint64_t before = (uint64_t)time(NULL);
	int64_t wall;

	pf_event_init(&event, PF_EVENT_AGENT, PF_EVENT_START, PF_EVENT_OBSERVED);
	pf_audit_add(audit, &event);
	pf_audit_close(&audit);
	wall = ask_db(place, "SELECT wall_ns / 1000000000 FROM event");
	assert_in_range(wall, before, before + 5);
	assert_true(ask_db(place, "SELECT boot_ns FROM event") > 0);
}

static void events_are_stored_without_being_asked_to(void **state)
{
	struct place *place = *state;
	struct pf_audit *audit = open_audit(place, 0);
	struct pf_audit_state now = {};

	/* The thread has nothing to do and sleeps. */
	assert_int_equal(pf_audit_flush(audit, NULL), 0);
	usleep(50000);
	add_events(audit, 0, 3);
	for (int i = 0; i < 10000 && pf_audit_unstored(audit); i++)
		usleep(1000);
	state_of(audit, &now);
	assert_int_equal(now.head, 3);
	assert_int_equal(now.waiting, 0);
	assert_string_equal(now.problem, "");
	pf_audit_close(&audit);
}

static void nobody_but_root_and_the_group_reads_the_file(void **state)
{
	struct place *place = *state;
	struct stat st;
	mode_t before = umask(0);

	fill(place, 1);
	umask(before);
	assert_int_equal(stat(place->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
}

static void the_chain_goes_on_after_a_restart(void **state)
{
	struct place *place = *state;

	for (unsigned int i = 0; i < 5; i++)
		fill(place, 10);
	assert_intact(place, 1, 50);
}

static void a_killed_agent_loses_nothing_that_was_stored(void **state)
{
	struct place *place = *state;
	pid_t child = fork();
	int status;

	if (!child) {
		struct pf_audit *audit = open_audit(place, 0);

		add_events(audit, 0, 700);
		pf_audit_flush(audit, NULL);
		raise(SIGKILL);
	}
	waitpid(child, &status, 0);
	assert_true(WIFSIGNALED(status));
	assert_intact(place, 1, 700);
	fill(place, 5);
	assert_intact(place, 1, 705);
}

/* `pinfoldd --once` beside a running agent. */
static void two_writers_make_one_chain(void **state)
{
	struct place *place = *state;
	struct pf_audit *one = open_audit(place, 0), *two = open_audit(place, 0);
	struct pf_err err = {};

	for (unsigned int i = 0; i < 20; i++) {
		add_events(i % 2 ? one : two, i, 7);
		if (pf_audit_flush(i % 2 ? one : two, &err) < 0)
			fail_msg("%s", err.text);
	}
	pf_audit_close(&one);
	pf_audit_close(&two);
	assert_intact(place, 1, 140);
}

static void what_does_not_fit_is_counted_and_told(void **state)
{
	struct place *place = *state;
	struct pf_audit *audit;
	sqlite3 *db = NULL;
	char words[64];
	struct pf_audit_state now;

	fill(place, 1);
	audit = open_audit(place, 8);
	assert_int_equal(pf_audit_flush(audit, NULL), 0);
	/* Somebody else writes: the thread waits. */
	assert_int_equal(sqlite3_open(place->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	for (unsigned int i = 0; i < 1000; i++)
		add_events(audit, i, 1);
	state_of(audit, &now);
	assert_in_range(now.lost, 1000 - 3 * 8, 1000 - 8);
	assert_int_equal(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	assert_int_equal(pf_audit_flush(audit, NULL), 0);
	state_of(audit, &now);
	assert_int_equal(pf_audit_close(&audit), 0);
	snprintf(words, sizeof(words),
		 "%llu events since 2023-11-14T22:", (unsigned long long)now.lost);
	assert_told(place, PF_EVENT_LOST, words);
	assert_int_equal(ask_db(place, "SELECT count(*) FROM event WHERE cause = 'lost'"), 1);
	assert_int_equal(ask_db(place, "SELECT count(*) FROM event"), 1 + 1000 - now.lost + 1);
	assert_intact(place, 1, 1 + 1000 - now.lost + 1);
}

/* As on a full disk: every write of the file beyond a size fails, and later it doesn't. */
static void without_room_events_wait_and_the_rest_is_counted(void **state)
{
	struct place *place = *state;
	struct pf_audit_state now = {};
	struct rlimit limit, none;
	struct pf_audit *audit;
	struct pf_err err = {};
	char words[64];

	signal(SIGXFSZ, SIG_IGN);
	fill(place, 50);
	audit = open_audit(place, 100);
	assert_int_equal(pf_audit_flush(audit, &err), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	none = limit;
	none.rlim_cur = 1;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	add_events(audit, 0, 80);
	assert_int_equal(pf_audit_flush(audit, &err), -EIO);
	assert_true(*err.text);
	state_of(audit, &now);
	assert_string_equal(now.problem, err.text);
	assert_int_equal(now.waiting, 80);
	assert_int_equal(pf_audit_unstored(audit), 80);
	assert_int_equal(now.lost, 0);
	/* The next ones find 20 places: the oldest are kept. */
	add_events(audit, 80, 70);
	assert_int_equal(pf_audit_flush(audit, &err), -EIO);
	state_of(audit, &now);
	assert_int_equal(now.waiting, 100);
	assert_int_equal(now.lost, 50);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	if (pf_audit_flush(audit, &err) < 0)
		fail_msg("%s", err.text);
	state_of(audit, &now);
	assert_string_equal(now.problem, "");
	assert_int_equal(pf_audit_close(&audit), 0);
	snprintf(words, sizeof(words), "50 events since 2023-11-14T22:15:00.000000000Z");
	assert_told(place, PF_EVENT_LOST, words);
	assert_intact(place, 1, 151);
}

static void what_is_lost_at_the_end_is_returned(void **state)
{
	struct place *place = *state;
	struct pf_audit *audit;

	/* A folder where the file should be. */
	snprintf(place->path, sizeof(place->path), "%s", place->dir);
	audit = open_audit(place, 16);
	add_events(audit, 0, 5);
	assert_int_equal(pf_audit_flush(audit, NULL), -EIO);
	assert_int_equal(pf_audit_close(&audit), 5);
}

static void news_wake_the_loop_once(void **state)
{
	struct place *place = *state;
	struct pf_audit *audit;
	struct pf_audit_state now;
	struct pollfd news;

	snprintf(place->path, sizeof(place->path), "%s", place->dir);
	audit = open_audit(place, 16);
	news = (struct pollfd){.fd = pf_audit_fd(audit), .events = POLLIN};
	assert_int_equal(poll(&news, 1, 5000), 1);
	state_of(audit, &now);
	assert_non_null(strstr(now.problem, place->dir));
	assert_int_equal(poll(&news, 1, 0), 0);
	pf_audit_close(&audit);
}

static void scribble(const char *path, long at, const char *text)
{
	FILE *file = fopen(path, "r+e");

	assert_non_null(file);
	assert_int_equal(fseek(file, at, SEEK_SET), 0);
	fputs(text, file);
	fclose(file);
}

static void a_damaged_file_is_set_aside_and_a_new_one_begun(void **state)
{
	struct place *place = *state;
	struct pf_audit *audit;
	struct pf_audit_state now;

	fill(place, 100);
	scribble(place->path, 0, "not a database at all");
	audit = open_audit(place, 0);
	add_events(audit, 0, 3);
	assert_int_equal(pf_audit_flush(audit, NULL), 0);
	state_of(audit, &now);
	assert_non_null(strstr(now.notice, "set aside as"));
	state_of(audit, &now);
	assert_string_equal(now.notice, "");
	assert_int_equal(pf_audit_close(&audit), 0);
	assert_int_equal(count_aside(place), 1);
	assert_told(place, PF_EVENT_DAMAGE, ".corrupt-2");
	assert_intact(place, 1, 4);
}

static void a_damaged_page_is_found_at_the_start(void **state)
{
	struct place *place = *state;

	fill(place, 1000);
	/* One that adding events would not touch. */
	scribble(place->path, 4096 * 20, "scribbled over a page of the table of events");
	fill(place, 3);
	assert_int_equal(count_aside(place), 1);
	assert_intact(place, 1, 4);
}

static void a_file_damaged_while_it_is_open_is_set_aside(void **state)
{
	struct place *place = *state;
	struct pf_audit *audit;
	char blank[4096];

	fill(place, 1000);
	audit = open_audit(place, 0);
	assert_int_equal(pf_audit_flush(audit, NULL), 0);
	/* Another's write makes the cache worthless, so that the pages are read anew. */
	tamper(place, "UPDATE event SET suppressed = 1; PRAGMA wal_checkpoint(TRUNCATE)");
	memset(blank, 'z', sizeof(blank));
	blank[sizeof(blank) - 1] = '\0';
	for (long page = 1; page < 10; page++)
		scribble(place->path, 4096 * page, blank);
	add_events(audit, 0, 3);
	assert_int_equal(pf_audit_flush(audit, NULL), 0);
	assert_int_equal(pf_audit_close(&audit), 0);
	assert_int_equal(count_aside(place), 1);
	assert_told(place, PF_EVENT_DAMAGE, "set aside as");
	assert_intact(place, 1, 4);
}

static void a_second_damaged_file_does_not_overwrite_the_first(void **state)
{
	struct place *place = *state;
	char pattern[160];
	glob_t found;

	for (int i = 0; i < 3; i++) {
		fill(place, 1);
		scribble(place->path, 0, "not a database at all");
	}
	fill(place, 1);
	snprintf(pattern, sizeof(pattern), "%s.corrupt-*", place->path);
	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	assert_int_equal(found.gl_pathc, 3);
	globfree(&found);
}

static void a_file_that_is_removed_is_missed(void **state)
{
	struct place *place = *state;
	struct pf_audit *audit;

	fill(place, 10);
	audit = open_audit(place, 0);
	assert_int_equal(pf_audit_flush(audit, NULL), 0);
	assert_int_equal(unlink(place->path), 0);
	add_events(audit, 0, 3);
	assert_int_equal(pf_audit_flush(audit, NULL), 0);
	assert_int_equal(pf_audit_close(&audit), 0);
	assert_told(place, PF_EVENT_DAMAGE, "was removed or replaced");
	assert_intact(place, 1, 4);
}

/* Keeps nothing and leaves the file as it is. */
static void refuses(struct place *place, const char *words)
{
	struct pf_audit *audit = open_audit(place, 0);
	struct pf_err err = {};

	add_events(audit, 0, 3);
	assert_int_equal(pf_audit_flush(audit, &err), -EIO);
	if (!strstr(err.text, words))
		fail_msg("%s", err.text);
	assert_int_equal(pf_audit_close(&audit), 3);
	assert_int_equal(count_aside(place), 0);
}

static void a_newer_schema_is_refused(void **state)
{
	struct place *place = *state;

	fill(place, 5);
	tamper(place, "PRAGMA user_version = 99");
	refuses(place, "schema version 99");
	assert_int_equal(ask_db(place, "SELECT count(*) FROM event"), 5);
	assert_int_equal(ask_db(place, "PRAGMA user_version"), 99);
}

static void another_programs_database_is_refused(void **state)
{
	struct place *place = *state;

	snprintf(place->path, sizeof(place->path), "%s/other.db", place->dir);
	tamper(place, "CREATE TABLE t (a); INSERT INTO t VALUES (1)");
	refuses(place, "another program's database");
	assert_int_equal(ask_db(place, "SELECT count(*) FROM sqlite_schema"), 1);
}

/* What a later version does to the file of this one: its rows keep their hashes. */
static void a_migrated_record_is_still_intact(void **state)
{
	const char *const steps[] = {pf_schema_steps[0],
				     "ALTER TABLE event ADD COLUMN weather TEXT;"
				     "CREATE INDEX event_guest ON event (guest)"};
	struct place *place = *state;
	struct pf_err err = {};
	sqlite3 *db = NULL;

	fill(place, 30);
	assert_int_equal(sqlite3_open(place->path, &db), SQLITE_OK);
	if (pf_schema_migrate(db, steps, 2, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(pf_schema_migrate(db, steps, 2, &err), 0);
	assert_int_equal(pf_schema_migrate(db, steps, 1, &err), -EPROTONOSUPPORT);
	sqlite3_close(db);
	assert_int_equal(ask_db(place, "PRAGMA user_version"), 2);
	assert_int_equal(ask_db(place, "SELECT count(*) FROM event WHERE weather IS NULL"), 30);
	assert_intact(place, 1, 30);
}

static void a_migration_that_fails_changes_nothing(void **state)
{
	const char *const steps[] = {pf_schema_steps[0], "CREATE TABLE more (a)", "not SQL at all"};
	struct place *place = *state;
	struct pf_err err = {};
	sqlite3 *db = NULL;

	fill(place, 2);
	assert_int_equal(sqlite3_open(place->path, &db), SQLITE_OK);
	assert_true(pf_schema_migrate(db, steps, 3, &err) < 0);
	sqlite3_close(db);
	assert_int_equal(ask_db(place, "PRAGMA user_version"), 1);
	assert_int_equal(ask_db(place, "SELECT count(*) FROM sqlite_schema WHERE name = 'more'"),
			 0);
}

static void add_at(struct pf_audit *audit, uint64_t wall_ns)
{
	struct pf_event event;

	make_event(&event, 1);
	event.wall_ns = wall_ns;
	pf_audit_add(audit, &event);
}

static void add_now(struct pf_audit *audit)
{
	add_at(audit, (uint64_t)time(NULL) * UINT64_C(1000000000));
}

static void stamp_ago(const struct place *place, uint64_t seconds)
{
	struct pf_audit *audit = open_audit(place, 0);

	add_at(audit, ((uint64_t)time(NULL) - seconds) * UINT64_C(1000000000));
	assert_int_equal(pf_audit_flush(audit, NULL), 0);
	assert_int_equal(pf_audit_close(&audit), 0);
}

static void old_events_go_and_the_rest_can_be_verified(void **state)
{
	const struct pf_audit_options options = {.path = ((struct place *)*state)->path,
						 .max_age_usec = UINT64_C(3600000000)};
	struct pf_audit *audit = NULL;
	struct place *place = *state;

	/* 30 from 2023, one from before the last half hour, and one of now. */
	fill(place, 30);
	stamp_ago(place, 2700);
	assert_int_equal(pf_audit_open(&options, &audit, NULL), 0);
	assert_int_equal(pf_audit_flush(audit, NULL), 0);
	pf_audit_close(&audit);
	assert_told(place, PF_EVENT_RETENTION, "30 events removed for their age, up to 30, hash ");
	assert_int_equal(ask_db(place, "SELECT count(*) FROM event"), 2);
	assert_int_equal(ask_db(place, "SELECT seq FROM chain WHERE name = 'anchor'"), 30);
	assert_intact(place, 31, 32);
	/* The next start has nothing to remove. */
	assert_int_equal(pf_audit_open(&options, &audit, NULL), 0);
	pf_audit_close(&audit);
	assert_intact(place, 31, 32);
	fill(place, 5);
	assert_intact(place, 31, 37);
}

/* A clock that nothing vouches for: set ahead by years, or the agent was off for as long. */
static void a_clock_gone_ahead_takes_no_event_with_it(void **state)
{
	const struct pf_audit_options options = {.path = ((struct place *)*state)->path,
						 .max_age_usec = UINT64_C(3600000000)};
	struct pf_audit_state seen = {};
	struct pf_audit *audit = NULL;
	struct place *place = *state;

	fill(place, 30); /* from 2023 */
	for (int start = 0; start < 3; start++) {
		assert_int_equal(pf_audit_open(&options, &audit, NULL), 0);
		add_now(audit);
		assert_int_equal(pf_audit_flush(audit, NULL), 0);
		pf_audit_take_state(audit, &seen);
		assert_non_null(strstr(seen.notice, "the wall clock has gone ahead"));
		pf_audit_close(&audit);
		assert_intact(place, 1, 31 + (uint64_t)start);
	}
}

static void only_the_old_ones_at_the_beginning_go(void **state)
{
	struct place *place = *state;
	struct pf_database *database = NULL;
	struct pf_err err = {};
	bool more = true;

	fill(place, 30);
	assert_int_equal(pf_database_open(place->path, &database, &err), 0);
	/* Event i is i seconds old-est: 10 of them are before the 11th. */
	assert_int_equal(pf_database_trim(database,
					  UINT64_C(1700000000000000000) + 10 * UINT64_C(1000000000),
					  UINT64_MAX, &more, &err),
			 0);
	assert_false(more);
	pf_database_close(&database);
	assert_intact(place, 11, 31);
	assert_told(place, PF_EVENT_RETENTION, "10 events removed for their age, up to 10,");
	tamper(place, "DELETE FROM event WHERE seq = 11");
	{
		struct pf_verdict verdict;

		assert_int_equal(pf_audit_verify(place->path, &verdict, NULL), 0);
		assert_false(verdict.intact);
		assert_int_equal(verdict.wrong, 11);
	}
}

static void a_file_that_grows_too_large_loses_its_oldest(void **state)
{
	struct place *place = *state;
	const struct pf_audit_options options = {.path = place->path, .max_size_bytes = 1 << 20};
	struct pf_audit *audit = NULL;
	struct stat st;
	uint64_t first;

	assert_int_equal(pf_audit_open(&options, &audit, NULL), 0);
	for (unsigned int i = 0; i < 20; i++) {
		add_events(audit, i, 1000);
		assert_int_equal(pf_audit_flush(audit, NULL), 0);
	}
	assert_int_equal(pf_audit_close(&audit), 0);
	assert_int_equal(stat(place->path, &st), 0);
	assert_in_range(st.st_size, 512 << 10, (1 << 20) + (512 << 10));
	assert_told(place, PF_EVENT_RETENTION, "removed for their size");
	first = (uint64_t)ask_db(place, "SELECT min(seq) FROM event");
	assert_true(first > 10000);
	assert_intact(place, first, (uint64_t)ask_db(place, "SELECT max(seq) FROM event"));
}

static void a_large_removal_comes_in_pieces(void **state)
{
	struct place *place = *state;
	struct pf_database *database = NULL;
	struct pf_audit *audit = open_audit(place, 40000);
	struct stat st;
	bool more = false;

	add_events(audit, 0, 20000);
	assert_int_equal(pf_audit_flush(audit, NULL), 0);
	pf_audit_close(&audit);
	assert_int_equal(pf_database_open(place->path, &database, NULL), 0);
	assert_int_equal(pf_database_trim(database, 0, 65536, &more, NULL), 0);
	assert_true(more);
	assert_int_equal(ask_db(place, "SELECT seq FROM chain WHERE name = 'anchor'"), 16384);
	assert_int_equal(pf_database_trim(database, UINT64_MAX / 2, UINT64_MAX, &more, NULL), 0);
	assert_false(more);
	pf_database_close(&database);
	assert_intact(place, 20002, 20002);
	/* The file gives back what it no longer needs. */
	assert_int_equal(stat(place->path, &st), 0);
	assert_in_range(st.st_size, 1, 100000);
}

static void a_journal_entry_can_be_read_by_a_person(void **state)
{
	PF_CLEANUP(pf_event_clear) struct pf_event full, bare;
	pf_auto_free char *one = NULL, *two = NULL;

	(void)state;
	make_event(&full, 0);
	full.kind = PF_EVENT_DRIFT;
	full.cause = PF_EVENT_AFFINITY;
	full.action = PF_EVENT_REPAIRED;
	full.latency_ns = 1234567;
	one = pf_journal_message(&full);
	assert_string_equal(one,
			    "guest 'g0': drift (affinity) of vcpu 0 [100] from CPU 1 to 4095 by "
			    "taskset[7] uid 4294967294, repaired after 1234 us: write 2 to '/x' "
			    "(was \"3\")");
	pf_event_init(&bare, PF_EVENT_AGENT, PF_EVENT_UNKNOWN, PF_EVENT_OBSERVED);
	two = pf_journal_message(&bare);
	assert_string_equal(two, "agent, observed");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_place, remove_place)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_goes_in_comes_out),
		TEST(events_get_the_time_at_which_they_came),
		TEST(events_are_stored_without_being_asked_to),
		TEST(nobody_but_root_and_the_group_reads_the_file),
		TEST(the_chain_goes_on_after_a_restart),
		TEST(a_killed_agent_loses_nothing_that_was_stored),
		TEST(two_writers_make_one_chain),
		TEST(what_does_not_fit_is_counted_and_told),
		TEST(without_room_events_wait_and_the_rest_is_counted),
		TEST(what_is_lost_at_the_end_is_returned),
		TEST(news_wake_the_loop_once),
		TEST(a_damaged_file_is_set_aside_and_a_new_one_begun),
		TEST(a_damaged_page_is_found_at_the_start),
		TEST(a_file_damaged_while_it_is_open_is_set_aside),
		TEST(a_second_damaged_file_does_not_overwrite_the_first),
		TEST(a_file_that_is_removed_is_missed),
		TEST(a_newer_schema_is_refused),
		TEST(another_programs_database_is_refused),
		TEST(a_migrated_record_is_still_intact),
		TEST(a_migration_that_fails_changes_nothing),
		TEST(old_events_go_and_the_rest_can_be_verified),
		TEST(a_clock_gone_ahead_takes_no_event_with_it),
		TEST(only_the_old_ones_at_the_beginning_go),
		TEST(a_file_that_grows_too_large_loses_its_oldest),
		TEST(a_large_removal_comes_in_pieces),
		TEST(a_journal_entry_can_be_read_by_a_person),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
