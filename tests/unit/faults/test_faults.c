// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A fault at every place of a plan in turn: the kernel refuses, the agent is killed, the guest ends.
 * Afterwards the next pass holds the guest, the ledger still puts back what was found first, and no
 * other guest was touched.
 */
#include "tests/unit/faults/faults.h"

/* How many changes the whole plan makes. */
static unsigned int changes_of_plan(bool controllers)
{
	struct faults f;
	unsigned int before, changes;

	faults_begin(&f, controllers);
	before = pf_fake_changes(f.w.fake);
	assert_int_equal(attempt(&f), 0);
	changes = pf_fake_changes(f.w.fake) - before;
	assert_held(&f.w);
	release_as_found(&f);
	faults_end(&f);
	assert_true(changes > 15);
	return changes;
}

static const int errnos[] = {ENOSPC, EBUSY,  ENODEV, EINVAL,     ENOENT, EIO,
			     ENOMEM, EAGAIN, EPERM,  EOPNOTSUPP, ESRCH,  0};

#define ERRNOS (sizeof(errnos) / sizeof(errnos[0]))

static void any_change_refused_for_any_reason_is_made_good(void **state)
{
	(void)state;
	for (int controllers = 0; controllers < 2; controllers++) {
		unsigned int changes = changes_of_plan(controllers);

		for (unsigned int i = 0; i < changes * ERRNOS; i++) {
			struct faults f;

			faults_begin(&f, controllers);
			pf_fake_fail(f.w.fake, "*", i / ERRNOS + 1, errnos[i % ERRNOS]);
			attempt(&f);
			pf_fake_heal(f.w.fake);
			converge(&f);
			release_as_found(&f);
			faults_end(&f);
		}
	}
}

/* Undoing what was done before is refused as well. */
static void everything_refused_from_some_change_on_is_made_good(void **state)
{
	unsigned int changes = changes_of_plan(true);

	(void)state;
	for (unsigned int i = 0; i < changes * ERRNOS; i++) {
		struct faults f;

		faults_begin(&f, true);
		pf_fake_fail_from(f.w.fake, i / ERRNOS + 1, errnos[i % ERRNOS]);
		attempt(&f);
		attempt(&f);
		pf_fake_heal(f.w.fake);
		next_agent(&f);
		converge(&f);
		release_as_found(&f);
		faults_end(&f);
	}
}

/* --- the agent is killed -------------------------------------------------------------------- */

struct killing {
	struct faults *f;
	unsigned int after; /* changes */
	char *page;         /* the ledger's, when it was killed */
};

static void dies(void *ctx, const char *what)
{
	struct killing *killing = ctx;
	struct faults *f = killing->f;
	pf_auto_close int root = pf_root_open("/", NULL);

	(void)what;
	if (killing->page || killing->after--)
		return;
	if (pf_file_read(root, f->file, &killing->page, NULL) < 0)
		killing->page = strdup("");
	pf_fake_fail_from(f->w.fake, 1, EIO); /* this one and all that follow */
}

/*
 * After @after changes nothing changes any more, neither in the kernel nor in the ledger's file.
 * Return: whether it came to that.
 */
static bool killed_while(struct faults *f, unsigned int after, void (*work)(struct faults *f))
{
	struct killing killing = {.f = f, .after = after};
	bool killed;

	pf_fake_hook(f->w.fake, dies, &killing);
	work(f);
	pf_fake_hook(f->w.fake, NULL, NULL);
	pf_fake_heal(f->w.fake);
	killed = killing.page;
	if (killed && *killing.page)
		assert_int_equal(pf_file_replace(f->file, killing.page, 0600, NULL), 0);
	free(killing.page);
	next_agent(f);
	return killed;
}

static void attempts(struct faults *f)
{
	attempt(f);
}

static void killed_after_any_change_the_next_agent_holds_and_releases(void **state)
{
	bool killed = true;

	(void)state;
	for (unsigned int after = 0; killed; after++) {
		struct faults f;

		faults_begin(&f, true);
		killed = killed_while(&f, after, attempts);
		converge(&f);
		next_agent(&f);
		release_as_found(&f);
		assert_true(killed || after > 15);
		faults_end(&f);
	}
}

static void promise_anew(struct faults *f)
{
	pin(&f->w.guest.promise.vcpus[0].pin, "6");
	pin(&f->w.guest.promise.vcpus[1].pin, "7");
	pin(&f->w.guest.promise.emulator, "3-4");
	f->w.guest.promise.shares = 400;
	f->w.guest.promise.vcpu_bandwidth.quota_usec = 70000;
}

/* What the first one had written and not noted as written must not pass for somebody else's. */
static void killed_twice_with_a_new_promise_between(void **state)
{
	unsigned int changes = changes_of_plan(true);

	(void)state;
	for (unsigned int first = 0; first <= changes; first++) {
		for (unsigned int second = 0; second <= 12; second += 3) {
			struct faults f;

			faults_begin(&f, true);
			killed_while(&f, first, attempts);
			promise_anew(&f);
			killed_while(&f, second, attempts);
			release_as_found(&f);
			faults_end(&f);
		}
	}
}

static void releases(struct faults *f)
{
	pf_ledger_release(f->ledger, &f->apply, FAULT_UUID, NULL);
}

static void killed_in_a_release_another_one_finishes_it(void **state)
{
	bool killed = true;

	(void)state;
	for (unsigned int after = 0; killed; after++) {
		struct faults f;

		faults_begin(&f, true);
		assert_int_equal(attempt(&f), 0);
		killed = killed_while(&f, after, releases);
		release_as_found(&f);
		assert_true(killed || after > 5);
		faults_end(&f);
	}
}

/* --- the guest ends ------------------------------------------------------------------------- */

struct ending {
	struct faults *f;
	unsigned int after;
	bool ended;
};

static void guest_ends(void *ctx, const char *what)
{
	static const char *const groups[] = {
		BASE "/emulator",  BASE "/vcpu0",  BASE "/vcpu1", BASE "/vcpu2",
		BASE "/iothread1", BASE "/helper", BASE,          SCOPE};
	struct ending *ending = ctx;
	struct world *w = &ending->f->w;

	(void)what;
	if (ending->ended || ending->after--)
		return;
	ending->ended = true;
	for (size_t i = 0; i < w->guest.thread_count; i++)
		pf_fake_kill(w->fake, w->guest.threads[i].tid);
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		w->cg->ops->remove(w->cg, groups[i], NULL);
}

static void a_guest_that_ends_in_the_middle_fails_nothing(void **state)
{
	bool ended = true;

	(void)state;
	for (unsigned int after = 0; ended; after++) {
		struct faults f;
		struct ending ending = {.f = &f, .after = after};

		faults_begin(&f, true);
		pf_fake_hook(f.w.fake, guest_ends, &ending);
		assert_int_equal(attempt(&f), 0);
		pf_fake_hook(f.w.fake, NULL, NULL);
		ended = ending.ended;
		assert_true(ended || after > 15);
		assert_int_equal(pf_ledger_forget(f.ledger, FAULT_UUID, NULL), 0);
		faults_end(&f);
	}
}

/* Two guests' pages, of which one ended while no agent ran, and one that was never written out. */
static void a_guest_that_ended_without_an_agent_is_forgotten(void **state)
{
	char ended[128], half[160];
	struct faults f;
	bool released;
	pid_t other;

	(void)state;
	faults_begin(&f, true);
	assert_int_equal(attempt(&f), 0);
	other = pf_fake_spawn(f.w.fake, BASE "/emulator", 0);
	assert_int_equal(pf_ledger_adopt(f.ledger, "00000000-0000-0000-0000-00000000000e", other,
					 &released, NULL),
			 0);
	assert_int_equal(pf_ledger_set_released(f.ledger, "00000000-0000-0000-0000-00000000000e",
						true, NULL),
			 0);
	pf_fake_kill(f.w.fake, other);
	snprintf(ended, sizeof(ended), "%s/guests/00000000-0000-0000-0000-00000000000e.json",
		 f.dir);
	snprintf(half, sizeof(half), "%s/guests/00000000-0000-0000-0000-00000000000f.json.new",
		 f.dir);
	assert_int_equal(pf_file_replace(half, "{", 0600, NULL), 0);
	assert_int_equal(access(ended, F_OK), 0);
	next_agent(&f);
	assert_int_equal(pf_ledger_sweep(f.ledger, f.w.cg, NULL), 0);
	assert_int_equal(access(ended, F_OK), -1);
	assert_int_equal(access(half, F_OK), -1);
	release_as_found(&f); /* the other one's page is there */
	faults_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_change_refused_for_any_reason_is_made_good),
		cmocka_unit_test(everything_refused_from_some_change_on_is_made_good),
		cmocka_unit_test(killed_after_any_change_the_next_agent_holds_and_releases),
		cmocka_unit_test(killed_twice_with_a_new_promise_between),
		cmocka_unit_test(killed_in_a_release_another_one_finishes_it),
		cmocka_unit_test(a_guest_that_ended_without_an_agent_is_forgotten),
		cmocka_unit_test(a_guest_that_ends_in_the_middle_fails_nothing),
	};

	return cmocka_run_group_tests_name("faults", tests, NULL, NULL);
}
