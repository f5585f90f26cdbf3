// SPDX-License-Identifier: GPL-2.0-or-later
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "agent/apply/ledger.h"
#include "agent/apply/note.h"
#include "agent/apply/record.h"
#include "agent/base/file.h"
#include "tests/unit/apply/guest.h"

static char dir[64];
static char file[160];
static struct pf_ledger *ledger;

static void reopen(struct guest *g)
{
	struct pf_err err = {};

	pf_ledger_free(&ledger);
	if (pf_ledger_open(dir, &ledger, &err))
		fail_msg("%s", err.text);
	g->apply.ledger = ledger;
}

static int setup(void **state)
{
	guest_setup(state);
	strcpy(dir, "/tmp/pinfold-ledger-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/guests/" UUID ".json", dir);
	reopen(*state);
	return 0;
}

static int teardown(void **state)
{
	char command[128];

	pf_ledger_free(&ledger);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	must(system(command));
	return guest_teardown(state);
}

/* The state of everything that the whole plan changes. */
static char *picture(struct guest *g)
{
	static const char *const files[][2] = {
		{SCOPE, "cpu.weight"},        {EMULATOR, "cpuset.cpus"},
		{EMULATOR, "cgroup.threads"}, {VCPU0, "cpuset.cpus"},
		{VCPU0, "cpuset.mems"},       {VCPU0, "cpu.max"},
		{VCPU0, "cgroup.threads"},    {BASE, "cgroup.subtree_control"}};
	pid_t tids[] = {g->pid, g->vcpu, g->worker};
	char *text = strdup(""), *longer = NULL;

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		pf_auto_free char *value = NULL;

		must(g->cg->ops->read(g->cg, files[i][0], files[i][1], &value, NULL));
		assert_true(asprintf(&longer, "%s%s=%s\n", text, files[i][1], value) > 0);
		free(text);
		text = longer;
	}
	for (size_t i = 0; i < 3; i++) {
		PF_CLEANUP(pf_task_clear) struct pf_task task = {};
		char cpus[PF_SET_TEXT_MAX];

		must(g->cg->ops->task(g->cg, tids[i], &task, NULL));
		pf_set_format(&task.cpus_allowed, cpus, sizeof(cpus));
		assert_true(asprintf(&longer, "%s%s %s helper=%d\n", text, task.cgroup, cpus,
				     group_exists(g, HELPER)) > 0);
		free(text);
		text = longer;
	}
	return text;
}

static void release(struct guest *g)
{
	struct pf_err err = {};

	if (pf_ledger_release(ledger, &g->apply, UUID, &err))
		fail_msg("%s", err.text);
}

static void prepare_apart(struct guest *g)
{
	/* affinities narrower than the cpusets, so that a reset of them shows */
	struct pf_set one = set("1");

	must(g->cg->ops->affinity(g->cg, g->worker, &one, NULL));
	g_write(g, VCPU0, "cpuset.cpus", "2-3");
	g_write(g, VCPU0, "cpuset.mems", "0-1");
	one = set("3");
	must(g->cg->ops->affinity(g->cg, g->vcpu, &one, NULL));
}

static void release_puts_everything_back(void **state)
{
	struct guest *g = *state;
	pf_auto_free char *before = NULL, *after = NULL;

	prepare_apart(g);
	before = picture(g);
	add_whole_plan(g);
	apply(g);
	assert_all(g, PF_OUTCOME_DONE);
	assert_int_equal(g->apply.ledger_err.code, 0);
	assert_as_planned(g);
	release(g);
	after = picture(g);
	assert_string_equal(before, after);
}

static void an_agent_started_later_releases_as_well(void **state)
{
	struct guest *g = *state;
	pf_auto_free char *before = NULL, *after = NULL;
	bool released = true;

	prepare_apart(g);
	before = picture(g);
	add_whole_plan(g);
	apply(g);
	reopen(g);
	must(pf_ledger_adopt(ledger, UUID, g->pid, &released, NULL));
	assert_false(released);
	release(g);
	after = picture(g);
	assert_string_equal(before, after);
}

/* What was found counts, not what stood there before the second repair. */
static void repairs_do_not_change_what_was_found(void **state)
{
	struct guest *g = *state;
	pf_auto_free char *before = NULL, *after = NULL;

	prepare_apart(g);
	before = picture(g);
	add_whole_plan(g);
	apply(g);
	g_write(g, VCPU0, "cpuset.cpus", "0-7");
	g_write(g, SCOPE, "cpu.weight", "1");
	reopen(g);
	apply(g);
	assert_as_planned(g);
	plan_clear(g);
	add_knob(g, 1, VCPU0, "cpuset.cpus", "5");
	apply(g);
	reopen(g);
	release(g);
	after = picture(g);
	assert_string_equal(before, after);
}

/* Killed between the write and the note of it, and again before what another promise asks for. */
static void an_affinity_written_before_a_kill_is_ours(void **state)
{
	struct guest *g = *state;
	struct pf_set one = set("1");

	add_affinity(g, 1, g->worker, "1");
	must(pf_note_before(ledger, g->cg, &g->plan, NULL));
	must(g->cg->ops->affinity(g->cg, g->worker, &one, NULL));
	reopen(g);
	plan_clear(g);
	add_affinity(g, 1, g->worker, "2");
	must(pf_note_before(ledger, g->cg, &g->plan, NULL));
	reopen(g);
	release(g);
	assert_thread(g, g->worker, EMULATOR, "0-3");
}

static void what_others_changed_since_is_left(void **state)
{
	struct guest *g = *state;
	struct pf_set two = set("6");

	add_whole_plan(g);
	apply(g);
	g_write(g, SCOPE, "cpu.weight", "555");
	g_write(g, VCPU0, "cpuset.mems", "3");
	must(g->cg->ops->affinity(g->cg, g->vcpu, &two, NULL));
	must(g->cg->ops->attach(g->cg, VCPU0, g->worker, NULL));
	release(g);
	assert_file(g, SCOPE, "cpu.weight", "555");
	assert_file(g, VCPU0, "cpuset.mems", "3");
	assert_file(g, VCPU0, "cpuset.cpus", "2");
	assert_file(g, VCPU0, "cpu.max", "max 100000");
	assert_thread(g, g->worker, VCPU0, "2");
	assert_false(group_exists(g, HELPER));
}

static void released_twice_is_released_once(void **state)
{
	struct guest *g = *state;
	unsigned int changes;

	add_whole_plan(g);
	apply(g);
	release(g);
	g_write(g, VCPU0, "cpuset.cpus", "6-7"); /* as we had it */
	changes = pf_fake_changes(g->fake);
	release(g);
	reopen(g);
	release(g);
	assert_int_equal(pf_fake_changes(g->fake), changes);
	assert_file(g, VCPU0, "cpuset.cpus", "6-7");
}

static void an_empty_cpuset_becomes_the_parents(void **state)
{
	struct guest *g = *state;

	g_write(g, "/machine.slice", "cpuset.mems", "1-2");
	add_knob(g, 1, VCPU0, "cpuset.mems", "1");
	apply(g);
	assert_all(g, PF_OUTCOME_DONE);
	release(g);
	assert_file(g, VCPU0, "cpuset.mems", "1-2");
	assert_file(g, VCPU0, "cpuset.mems.effective", "1-2");
}

static void threads_born_in_a_group_of_ours_go_where_the_others_came_from(void **state)
{
	struct guest *g = *state;
	pid_t born;

	add_whole_plan(g);
	apply(g);
	born = pf_fake_spawn(g->fake, HELPER, g->pid);
	release(g);
	assert_false(group_exists(g, HELPER));
	assert_thread(g, born, EMULATOR, "0-3");
}

static void a_group_that_was_there_is_never_removed(void **state)
{
	struct guest *g = *state;

	must(g->cg->ops->make(g->cg, HELPER, NULL));
	g_write(g, HELPER, "cgroup.type", "threaded");
	add_whole_plan(g);
	apply(g);
	assert_result(g, 1, PF_OUTCOME_SKIPPED);
	release(g);
	assert_true(group_exists(g, HELPER));
	assert_thread(g, g->worker, EMULATOR, "0-3");
}

static void controllers_of_ours_are_disabled(void **state)
{
	struct guest *g = *state;
	struct pf_step *step;

	g_write(g, BASE, "cgroup.subtree_control", "-cpuset");
	step = add_step(g, 1, PF_STEP_CONTROLLERS, BASE);
	step->value = strdup("+cpuset");
	add_knob(g, 2, VCPU0, "cpuset.cpus", "4");
	apply(g);
	assert_all(g, PF_OUTCOME_DONE);
	release(g);
	assert_file(g, BASE, "cgroup.subtree_control", "cpu");
}

/* Everything but what fails is put back, and another release does the rest. */
static void a_failure_keeps_its_entry(void **state)
{
	struct guest *g = *state;
	pf_auto_free char *before = NULL, *after = NULL;
	struct pf_err err = {};

	prepare_apart(g);
	before = picture(g);
	add_whole_plan(g);
	apply(g);
	pf_fake_fail(g->fake, "cpu.max", 1, EIO);
	assert_int_equal(pf_ledger_release(ledger, &g->apply, UUID, &err), -EIO);
	assert_non_null(strstr(err.text, "1 of "));
	assert_non_null(strstr(err.text, "cpu.max"));
	assert_file(g, VCPU0, "cpuset.cpus", "2-3");
	reopen(g);
	release(g);
	after = picture(g);
	assert_string_equal(before, after);
}

/* The nth change of a release fails, whichever: the next release does what is left. */
static void any_failure_is_made_good_by_the_next_release(void **state)
{
	for (unsigned int nth = 1; nth < 25; nth++) {
		pf_auto_free char *before = NULL, *after = NULL;
		struct guest *g;

		teardown(state);
		setup(state);
		g = *state;
		prepare_apart(g);
		before = picture(g);
		add_whole_plan(g);
		apply(g);
		pf_fake_fail(g->fake, "*", nth, EBUSY);
		pf_ledger_release(ledger, &g->apply, UUID, NULL);
		pf_fake_heal(g->fake);
		release(g);
		after = picture(g);
		assert_string_equal(before, after);
	}
}

struct crash {
	struct guest *g;
	unsigned int left;
	char *json;
};

static void remember_file(void *ctx, const char *what)
{
	struct crash *crash = ctx;
	int root = pf_root_open("/", NULL);

	(void)what;
	if (crash->left && --crash->left == 0)
		must(pf_file_read(root, file, &crash->json, NULL));
	close(root);
}

/* An agent killed at any point of a plan: what is on disk then is enough to go back. */
static void a_kill_at_any_point_loses_nothing(void **state)
{
	for (unsigned int nth = 1; nth < 12; nth++) {
		pf_auto_free char *before = NULL, *after = NULL;
		struct crash crash = {.left = nth};
		struct guest *g;

		teardown(state);
		setup(state);
		g = *state;
		crash.g = g;
		prepare_apart(g);
		before = picture(g);
		add_whole_plan(g);
		pf_fake_hook(g->fake, remember_file, &crash);
		/* all that comes after the kill does not happen */
		pf_fake_fail(g->fake, "*", nth, ENOTSUP);
		apply(g);
		pf_fake_hook(g->fake, NULL, NULL);
		assert_non_null(crash.json);
		must(pf_file_replace(file, crash.json, 0600, NULL));
		reopen(g);
		release(g);
		after = picture(g);
		assert_string_equal(before, after);
		free(crash.json);
	}
}

static void the_record_is_on_disk_before_the_change(void **state)
{
	struct guest *g = *state;
	struct crash crash = {.g = g, .left = 1};

	add_knob(g, 1, VCPU0, "cpuset.cpus", "6");
	pf_fake_hook(g->fake, remember_file, &crash);
	apply(g);
	assert_non_null(crash.json);
	assert_non_null(strstr(crash.json, "\"found\": \"2\""));
	assert_non_null(strstr(crash.json, "\"writing\": \"6\""));
	free(crash.json);
}

static void what_failed_is_not_called_ours(void **state)
{
	struct guest *g = *state;
	int root = pf_root_open("/", NULL);
	pf_auto_free char *json = NULL;

	add_knob(g, 1, VCPU0, "cpu.weight", "20000");
	apply(g);
	assert_result(g, 0, PF_OUTCOME_FAILED);
	must(pf_file_read(root, file, &json, NULL));
	assert_null(strstr(json, "20000"));
	assert_null(strstr(json, "cpu.weight"));
	close(root);
}

static void threads_that_ended_are_dropped(void **state)
{
	struct guest *g = *state;
	pf_auto_free char *json = NULL;
	int root = pf_root_open("/", NULL);
	char tid[32];

	add_attach(g, 1, VCPU0, g->worker);
	apply(g);
	snprintf(tid, sizeof(tid), "\"tid\": %d", (int)g->worker);
	must(pf_file_read(root, file, &json, NULL));
	assert_non_null(strstr(json, tid));
	pf_fake_kill(g->fake, g->worker);
	plan_clear(g);
	add_attach(g, 1, VCPU0, pf_fake_spawn(g->fake, BASE, g->pid));
	apply(g);
	free(pf_take_ptr(json));
	must(pf_file_read(root, file, &json, NULL));
	assert_null(strstr(json, tid));
	close(root);
}

static void count_file(void *ctx, const char *group, const char *knob)
{
	(void)group, (void)knob;
	(*(unsigned int *)ctx)++;
}

/* What is put right the second time is on record: neither looked up nor written there again. */
static void a_second_repair_leaves_the_record_alone(void **state)
{
	struct guest *g = *state;
	struct stat before, after;
	unsigned int reads = 0;

	add_knob(g, 1, VCPU0, "cpu.weight", "200");
	add_affinity(g, 2, g->worker, "2");
	apply(g);
	must(stat(file, &before));
	must(g->cg->ops->write(g->cg, VCPU0, "cpu.weight", "300", NULL));
	plan_clear(g);
	add_knob(g, 1, VCPU0, "cpu.weight", "200");
	add_affinity(g, 2, g->worker, "2");
	pf_fake_read_hook(g->fake, count_file, &reads);
	apply(g);
	pf_fake_read_hook(g->fake, NULL, NULL);
	assert_int_equal(reads, 2); /* before the write and after it */
	must(stat(file, &after));
	assert_int_equal(before.st_ino, after.st_ino);
	must(unlink(file));
	apply(g);
	must(stat(file, &after)); /* removed by somebody */
}

static void the_released_mark_outlives_the_agent(void **state)
{
	struct guest *g = *state;
	bool released = false;

	assert_false(pf_ledger_released(ledger, UUID));
	must(pf_ledger_adopt(ledger, UUID, g->pid, &released, NULL));
	must(pf_ledger_set_released(ledger, UUID, true, NULL));
	reopen(g);
	assert_true(pf_ledger_released(ledger, UUID));
	must(pf_ledger_adopt(ledger, UUID, g->pid, &released, NULL));
	assert_true(released);
	must(pf_ledger_set_released(ledger, UUID, false, NULL));
	reopen(g);
	assert_false(pf_ledger_released(ledger, UUID));
}

static void another_run_of_the_guest_starts_anew(void **state)
{
	struct guest *g = *state;
	unsigned int changes;
	bool released = true;

	add_whole_plan(g);
	apply(g);
	must(pf_ledger_set_released(ledger, UUID, true, NULL));
	reopen(g);
	must(pf_ledger_adopt(ledger, UUID, g->pid + 1, &released, NULL));
	assert_false(released);
	changes = pf_fake_changes(g->fake);
	reopen(g);
	release(g);
	assert_int_equal(pf_fake_changes(g->fake), changes);
}

static void a_forgotten_guest_leaves_no_file(void **state)
{
	struct guest *g = *state;
	char **uuids = NULL;
	size_t count = 0;
	struct stat st;

	add_knob(g, 1, VCPU0, "cpuset.cpus", "6");
	apply(g);
	must(stat(file, &st));
	assert_int_equal(st.st_mode & 0777, 0600);
	must(pf_ledger_set_released(ledger, "00000000-0000-4000-8000-000000000001", true, NULL));
	must(pf_ledger_list(ledger, &uuids, &count, NULL));
	assert_int_equal(count, 2);
	assert_string_equal(uuids[0], "00000000-0000-4000-8000-000000000001");
	assert_string_equal(uuids[1], UUID);
	pf_ledger_list_free(uuids, count);
	must(pf_ledger_forget(ledger, UUID, NULL));
	assert_int_equal(stat(file, &st), -1);
	must(pf_ledger_forget(ledger, UUID, NULL));
	must(pf_ledger_list(ledger, &uuids, &count, NULL));
	assert_int_equal(count, 1);
	pf_ledger_list_free(uuids, count);
}

static void a_corrupt_file_is_set_aside_and_told(void **state)
{
	static const char *const bad[] = {
		"{",
		"",
		"[]",
		"null",
		"{\"uuid\": \"" UUID "\"}",
		"{\"uuid\": \"" UUID
		"\", \"pid\": 1, \"released\": false, \"made\": [], \"knobs\": "
		"[{\"group\": 7}], \"threads\": []}",
		"{\"uuid\": \"" UUID
		"\", \"pid\": 1, \"released\": false, \"made\": [], \"knobs\": "
		"[], \"threads\": [{\"tid\": 1, \"start_ticks\": 1, \"group\": \"/\", \"cpus\": \"x\"}]}",
		"{\"uuid\": \"11111111-0000-4000-8000-000000000001\", \"pid\": 1, \"released\": true, "
		"\"made\": [], \"knobs\": [], \"threads\": []}"};
	struct guest *g = *state;
	char aside[200];

	snprintf(aside, sizeof(aside), "%s.corrupt", file);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		bool released = true;
		struct pf_err err = {};
		struct stat st;

		must(pf_file_replace(file, bad[i], 0600, NULL));
		reopen(g);
		assert_int_equal(pf_ledger_adopt(ledger, UUID, g->pid, &released, &err), -EBADMSG);
		assert_false(released);
		assert_non_null(strstr(err.text, "set aside"));
		assert_non_null(strstr(err.text, UUID));
		must(stat(aside, &st));
		assert_int_equal(stat(file, &st), -1);
		must(pf_ledger_adopt(ledger, UUID, g->pid, &released, &err));
		must(unlink(aside));
	}
	add_whole_plan(g);
	apply(g);
	assert_all(g, PF_OUTCOME_DONE);
	release(g);
}

/* Promises come first: a full file system keeps no guest from being held. */
static void a_ledger_that_cannot_be_written_is_told(void **state)
{
	struct guest *g = *state;
	char command[256];

	snprintf(command, sizeof(command), "rm -r %s/guests && touch %s/guests", dir, dir);
	must(system(command));
	add_whole_plan(g);
	apply(g);
	assert_all(g, PF_OUTCOME_DONE);
	assert_true(g->apply.ledger_err.code < 0);
	assert_non_null(strstr(g->apply.ledger_err.text, "guests"));
	/* it is in memory still */
	pf_ledger_release(ledger, &g->apply, UUID, NULL);
	assert_file(g, VCPU0, "cpuset.cpus", "2");
}

static void an_operators_mode_outlives_the_agent_but_not_the_guests_run(void **state)
{
	const enum pf_mode enforce = PF_MODE_ENFORCE;
	enum pf_mode mode = PF_MODE_OBSERVE;
	struct guest *g = *state;
	bool released;

	must(pf_ledger_adopt(ledger, UUID, 7, &released, NULL));
	assert_false(pf_ledger_mode(ledger, UUID, &mode));
	must(pf_ledger_set_mode(ledger, UUID, &enforce, NULL));
	reopen(g);
	must(pf_ledger_adopt(ledger, UUID, 7, &released, NULL));
	assert_true(pf_ledger_mode(ledger, UUID, &mode));
	assert_int_equal(mode, PF_MODE_ENFORCE);
	must(pf_ledger_set_mode(ledger, UUID, NULL, NULL));
	reopen(g);
	assert_false(pf_ledger_mode(ledger, UUID, &mode));
	must(pf_ledger_set_mode(ledger, UUID, &enforce, NULL));
	must(pf_ledger_adopt(ledger, UUID, 8, &released, NULL));
	assert_false(pf_ledger_mode(ledger, UUID, &mode));
	assert_int_equal(pf_ledger_set_mode(ledger, "../x", &enforce, NULL), -EINVAL);
}

static void only_uuids_become_file_names(void **state)
{
	struct pf_err err = {};

	(void)state;
	assert_int_equal(pf_ledger_set_released(ledger, "../../etc/passwd", true, &err), -EINVAL);
	assert_int_equal(pf_ledger_forget(ledger, "", &err), -EINVAL);
	assert_false(pf_ledger_released(ledger, "a/b"));
}

static void a_record_reads_back_as_it_was_written(void **state)
{
	struct pf_record_thread threads[] = {{.tid = 7,
					      .start_ticks = 1ULL << 62,
					      .group = "/a\\x2db/Käse \"x\"",
					      .cpus = set("0-3,4095"),
					      .moved_to = "/b",
					      .has_writing = true,
					      .writing = set("")}};
	struct pf_record_knob knobs[] = {
		{.group = "/g", .knob = "cpuset.cpus", .found = "", .wrote = "1"},
		{.group = "/u", .knob = "cpu.weight", .unit = "u.scope", .writing = "2"}};
	char *made[] = {"/one", "/two"};
	struct pf_record record = {.uuid = UUID,
				   .pid = 12,
				   .released = true,
				   .has_mode = true,
				   .mode = PF_MODE_GUARD,
				   .made = made,
				   .made_count = 2,
				   .knobs = knobs,
				   .knob_count = 2,
				   .threads = threads,
				   .thread_count = 1};
	PF_CLEANUP(pf_record_clear) struct pf_record back = {};
	pf_auto_free char *text = NULL, *again = NULL;

	(void)state;
	must(pf_record_format(&record, &text, NULL));
	must(pf_record_parse(text, &back, NULL));
	must(pf_record_format(&back, &again, NULL));
	assert_string_equal(text, again);
	assert_int_equal(back.threads[0].start_ticks, 1ULL << 62);
	assert_string_equal(back.threads[0].group, threads[0].group);
	assert_true(back.threads[0].has_writing && !back.threads[0].has_wrote);
	assert_string_equal(back.knobs[0].found, "");
	assert_null(back.knobs[1].found);
	assert_string_equal(back.knobs[1].unit, "u.scope");
	assert_true(back.released);
	assert_true(back.has_mode && back.mode == PF_MODE_GUARD);
	free(pf_take_ptr(text));
	made[1] = "/\xff";
	assert_int_equal(pf_record_format(&record, &text, NULL), -EILSEQ);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(release_puts_everything_back),
		TEST(an_agent_started_later_releases_as_well),
		TEST(repairs_do_not_change_what_was_found),
		TEST(an_affinity_written_before_a_kill_is_ours),
		TEST(what_others_changed_since_is_left),
		TEST(released_twice_is_released_once),
		TEST(an_empty_cpuset_becomes_the_parents),
		TEST(threads_born_in_a_group_of_ours_go_where_the_others_came_from),
		TEST(a_group_that_was_there_is_never_removed),
		TEST(controllers_of_ours_are_disabled),
		TEST(a_failure_keeps_its_entry),
		TEST(any_failure_is_made_good_by_the_next_release),
		TEST(a_kill_at_any_point_loses_nothing),
		TEST(the_record_is_on_disk_before_the_change),
		TEST(what_failed_is_not_called_ours),
		TEST(threads_that_ended_are_dropped),
		TEST(a_second_repair_leaves_the_record_alone),
		TEST(the_released_mark_outlives_the_agent),
		TEST(another_run_of_the_guest_starts_anew),
		TEST(a_forgotten_guest_leaves_no_file),
		TEST(a_corrupt_file_is_set_aside_and_told),
		TEST(a_ledger_that_cannot_be_written_is_told),
		TEST(an_operators_mode_outlives_the_agent_but_not_the_guests_run),
		TEST(only_uuids_become_file_names),
		TEST(a_record_reads_back_as_it_was_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
