// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Out of memory at every allocation in turn: of a pass, of a plan, of a release, of reading what an
 * agent before has left. Nothing crashes or leaks, what fails says -ENOMEM, and the next time all is
 * well. Linked with --wrap (Makefile), so that every allocation of ours comes through here.
 */
#include <jansson.h>

#include "agent/source/proc.h"
#include "tests/unit/faults/faults.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t size);
int __real_vasprintf(char **out, const char *fmt, va_list ap);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t size);
int __wrap_vasprintf(char **out, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
int __wrap_asprintf(char **out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static bool armed;
static unsigned int left; /* allocations before the one that fails */
static unsigned int run;  /* so many fail from there on */
static bool came_to_it;

/* Whether this allocation fails. */
static bool short_of_memory(void)
{
	if (!armed)
		return false;
	if (left) {
		left--;
		return false;
	}
	if (!run)
		return false;
	run--;
	came_to_it = true;
	return true;
}

void *__wrap_malloc(size_t size)
{
	return short_of_memory() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return short_of_memory() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return short_of_memory() ? NULL : __real_realloc(old, size);
}

char *__wrap_strdup(const char *text)
{
	return short_of_memory() ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t size)
{
	return short_of_memory() ? NULL : __real_strndup(text, size);
}

int __wrap_vasprintf(char **out, const char *fmt, va_list ap)
{
	return short_of_memory() ? -1 : __real_vasprintf(out, fmt, ap);
}

int __wrap_asprintf(char **out, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = __wrap_vasprintf(out, fmt, ap);
	va_end(ap);
	return n;
}

static void arm(unsigned int nth, unsigned int count)
{
	left = nth;
	run = count;
	came_to_it = false;
	armed = true;
}

/* Return: whether it came to a failure. */
static bool disarm(void)
{
	armed = false;
	return came_to_it;
}

/* @view: what is seen is kept there, and recalled; or NULL */
static int pass_with(struct world *w, struct pf_view *view, struct pf_plan *plan,
		     struct pf_guest_status *status)
{
	PF_CLEANUP(pf_placement_clear) struct pf_placement placement = {};
	PF_CLEANUP(pf_actual_clear) struct pf_actual actual = {};
	struct pf_err err = {};
	int r = pf_desire(&w->host, &w->guests, &w->guest, &w->config, &placement);

	r = r ?: pf_observe_doubted(w->cg, &placement, view, &actual, &err);
	r = r ?: pf_diff(&w->host, &placement, &actual, plan, status);
	if (!r && view)
		pf_view_keep(view, &w->guest, &placement, &actual);
	return r;
}

static int pass(struct world *w, struct pf_plan *plan, struct pf_guest_status *status)
{
	return pass_with(w, NULL, plan, status);
}

static void a_pass_without_memory_says_so_and_the_next_one_is_whole(void **state)
{
	struct faults f;
	bool failed = true;
	unsigned int nth;
	size_t steps;

	(void)state;
	faults_begin(&f, true);
	steps = steps_left(&f);
	for (nth = 0; failed; nth++) {
		PF_CLEANUP(pf_plan_clear) struct pf_plan plan = {};
		PF_CLEANUP(pf_guest_status_clear) struct pf_guest_status status = {};
		unsigned int changes = pf_fake_changes(f.w.fake);
		int r;

		arm(nth, 1);
		r = pass(&f.w, &plan, &status);
		failed = disarm();
		assert_int_equal(r, failed ? -ENOMEM : 0);
		assert_int_equal(plan.count, failed ? 0 : steps);
		assert_int_equal(pf_fake_changes(f.w.fake), changes);
	}
	assert_true(nth > 100);
	faults_end(&f);
}

static void passes_with(struct faults *f, struct pf_view *view, size_t steps)
{
	PF_CLEANUP(pf_plan_clear) struct pf_plan plan = {};
	PF_CLEANUP(pf_guest_status_clear) struct pf_guest_status status = {};

	assert_int_equal(pass_with(&f->w, view, &plan, &status), 0);
	assert_true(view->known);
	assert_int_equal(plan.count, steps);
}

/* Return: whether memory ran short. */
static bool pass_short_of_memory(struct faults *f, struct pf_view *view, unsigned int nth,
				 size_t steps)
{
	PF_CLEANUP(pf_plan_clear) struct pf_plan plan = {};
	PF_CLEANUP(pf_guest_status_clear) struct pf_guest_status status = {};
	bool failed;
	int r;

	arm(nth, 1);
	r = pass_with(&f->w, view, &plan, &status);
	failed = disarm();
	assert_true(r == 0 || (failed && r == -ENOMEM));
	assert_int_equal(plan.count, r ? 0 : steps);
	return failed;
}

/* What can't be kept is read, and what is kept is whole. */
static void what_was_seen_is_known_in_full_or_not_at_all(void **state)
{
	struct faults f;
	size_t steps;

	(void)state;
	faults_begin(&f, true);
	steps = steps_left(&f);
	for (int known = 0; known < 2; known++) {
		bool failed = true;
		unsigned int nth;

		for (nth = 0; failed; nth++) {
			PF_CLEANUP(pf_view_clear) struct pf_view view = {};

			if (known)
				passes_with(&f, &view, steps);
			failed = pass_short_of_memory(&f, &view, nth, steps);
			passes_with(&f, &view, steps);
		}
		assert_true(nth > 100);
	}
	faults_end(&f);
}

/* Return: whether memory ran short. */
static bool attempt_without_memory(struct faults *f, unsigned int nth, unsigned int count)
{
	PF_CLEANUP(pf_plan_clear) struct pf_plan plan = {};
	PF_CLEANUP(pf_guest_status_clear) struct pf_guest_status status = {};
	pf_auto_free struct pf_outcome *outcomes = NULL;
	unsigned int changes = pf_fake_changes(f->w.fake);
	size_t n = 0;
	bool failed;
	int r;

	plan_of(&f->w, &plan, &status);
	arm(nth, count);
	r = pf_apply_plan(&f->apply, &plan, &outcomes, &n);
	failed = disarm();
	assert_true(r == 0 || r == -ENOMEM);
	if (r < 0)
		assert_int_equal(pf_fake_changes(f->w.fake), changes);
	return failed;
}

static void a_plan_without_memory_is_made_good_by_the_next(void **state)
{
	static const unsigned int counts[] = {1, 7, 1000};

	(void)state;
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		bool failed = true;
		unsigned int nth;

		for (nth = 0; failed; nth += counts[i] > 1 ? 5 : 1) {
			struct faults f;

			faults_begin(&f, true);
			failed = attempt_without_memory(&f, nth, counts[i]);
			if (nth % 2)
				next_agent(&f);
			converge(&f);
			release_as_found(&f);
			faults_end(&f);
		}
		assert_true(nth > 200);
	}
}

static void a_release_without_memory_is_finished_by_the_next(void **state)
{
	bool failed = true;
	unsigned int nth;

	(void)state;
	for (nth = 0; failed; nth++) {
		struct faults f;

		faults_begin(&f, true);
		assert_int_equal(attempt(&f), 0);
		arm(nth, 3);
		pf_ledger_release(f.ledger, &f.apply, FAULT_UUID, NULL);
		failed = disarm();
		if (nth % 2)
			next_agent(&f);
		release_as_found(&f);
		faults_end(&f);
	}
	assert_true(nth > 50);
}

static void a_page_that_cannot_be_read_for_lack_of_memory_is_not_lost(void **state)
{
	bool failed = true, released = false;
	unsigned int nth;

	(void)state;
	for (nth = 0; failed; nth++) {
		struct faults f;
		struct pf_err err;

		faults_begin(&f, true);
		assert_int_equal(attempt(&f), 0);
		assert_int_equal(pf_ledger_set_released(f.ledger, FAULT_UUID, true, NULL), 0);
		next_agent(&f);
		arm(nth, 2);
		pf_ledger_adopt(f.ledger, FAULT_UUID, f.w.guest.pid, &released, &err);
		failed = disarm();
		/* what is saved now must not be a page that begins anew */
		assert_int_equal(
			f.w.cg->ops->write(f.w.cg, BASE "/vcpu0", "cpuset.cpus", "7", NULL), 0);
		assert_int_equal(attempt(&f), 0);
		next_agent(&f);
		assert_int_equal(
			pf_ledger_adopt(f.ledger, FAULT_UUID, f.w.guest.pid, &released, &err), 0);
		if (!released)
			fail_msg("lost after allocation %u", nth);
		release_as_found(&f);
		faults_end(&f);
	}
	assert_true(nth > 20);
}

static void a_process_is_read_or_not_at_all(void **state)
{
	bool failed = true;
	unsigned int nth;

	(void)state;
	for (nth = 0; failed; nth++) {
		pf_auto_close int root =
			pf_root_open("tests/unit/source/data/proc-hotplugged", NULL);
		PF_CLEANUP(pf_guest_clear) struct pf_guest guest = {.pid = 0};
		struct pf_err err = {};
		int r;

		guest.pid = 287;
		assert_true(root >= 0);
		arm(nth, 1);
		r = pf_proc_fill(root, &guest, &err);
		failed = disarm();
		assert_true(failed ? r == -ENOMEM : r == 0);
	}
	/* the stat of each of the eight threads, their array as it grows, and the cgroup */
	assert_true(nth > 8 + 4 + 1);
}

static void *failing_malloc(size_t size)
{
	return __wrap_malloc(size);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pass_without_memory_says_so_and_the_next_one_is_whole),
		cmocka_unit_test(what_was_seen_is_known_in_full_or_not_at_all),
		cmocka_unit_test(a_plan_without_memory_is_made_good_by_the_next),
		cmocka_unit_test(a_release_without_memory_is_finished_by_the_next),
		cmocka_unit_test(a_page_that_cannot_be_read_for_lack_of_memory_is_not_lost),
		cmocka_unit_test(a_process_is_read_or_not_at_all),
	};

	json_set_alloc_funcs(failing_malloc, free);
	return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
