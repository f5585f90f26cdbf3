// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A whole process that was moved out of its guest's groups, and a unit above that keeps CPUs from
 * it: desired -> observe -> diff -> apply against the fake kernel.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/apply/apply.h"
#include "agent/apply/ledger.h"
#include "agent/base/array.h"
#include "agent/base/cleanup.h"
#include "agent/base/file.h"
#include "agent/desired/desired.h"
#include "agent/diff/diff.h"
#include "agent/observe/above.h"
#include "agent/observe/read.h"
#include "tests/fake/cgroup.h"

#define UUID "6f1c0d3e-0000-4000-8000-00000000abcd"
#define UNIT "machine-qemu\\x2d1\\x2dweb.scope"
#define SCOPE "/machine.slice/" UNIT
#define BASE SCOPE "/libvirt"
#define FOREIGN "/system.slice/other.service"

struct world {
	struct pf_fake *fake;
	struct pf_cgroup *cg;
	struct pf_host host;
	struct pf_config config;
	struct pf_guest guest;
	struct pf_guests guests;
	struct pf_ledger *ledger;
	char dir[32];
	pid_t vcpu, iothread, worker, other;
	unsigned int machines; /* how often machined was asked */
	int machined_fails;
	struct pf_set word; /* AllowedCPUs= of machine.slice */
	int word_fails;
	struct pf_plan plan;
	struct pf_guest_status status;
	struct pf_outcome *outcomes;
	size_t count;
};

static void must(int r)
{
	if (r)
		fail_msg("%d", r);
}

static void write_file(struct world *w, const char *group, const char *file, const char *value)
{
	struct pf_err err = {};

	if (w->cg->ops->write(w->cg, group, file, value, &err))
		fail_msg("%s", err.text);
}

static void assert_file(struct world *w, const char *group, const char *file, const char *want)
{
	pf_auto_free char *got = NULL;

	must(w->cg->ops->read(w->cg, group, file, &got, NULL));
	assert_string_equal(got, want);
}

static bool exists(struct world *w, const char *group)
{
	uint64_t cgid;

	return w->cg->ops->id(w->cg, group, &cgid, NULL) == 0;
}

static void assert_thread(struct world *w, pid_t tid, const char *group, const char *cpus)
{
	PF_CLEANUP(pf_task_clear) struct pf_task task = {};
	char text[256];

	must(w->cg->ops->task(w->cg, tid, &task, NULL));
	assert_string_equal(task.cgroup, group);
	assert_string_equal(pf_set_format(&task.cpus_allowed, text, sizeof(text)), cpus);
}

static pid_t spawn(struct world *w, const char *group, const char *comm)
{
	struct pf_thread *thread = pf_append(&w->guest.threads, &w->guest.thread_count);
	PF_CLEANUP(pf_task_clear) struct pf_task task = {};
	pid_t tid = pf_fake_spawn(w->fake, group, w->guest.pid);

	assert_true(tid > 0);
	must(w->cg->ops->task(w->cg, tid, &task, NULL));
	thread->tid = tid;
	thread->start_ticks = task.start_ticks;
	snprintf(thread->comm, sizeof(thread->comm), "%s", comm);
	return tid;
}

static void pin(struct pf_pin *pin, const char *list)
{
	pin->set = true;
	must(pf_set_parse(list, &pin->cpus, NULL));
}

static void make_promise(struct pf_promise *promise)
{
	pf_append(&promise->vcpus, &promise->vcpu_count)->online = true;
	pf_append(&promise->iothreads, &promise->iothread_count)->index = 1;
	pin(&promise->vcpus[0].pin, "5");
	pin(&promise->emulator, "0-1");
	pin(&promise->iothreads[0].pin, "6");
	promise->memory.mode = PF_MEMORY_STRICT;
	promise->memory.nodes_known = true;
	pf_set_add(&promise->memory.nodes, 1);
	promise->vcpu_bandwidth = (struct pf_bandwidth){true, true, 100000, 50000};
	promise->global_bandwidth = (struct pf_bandwidth){true, true, 100000, 90000};
	promise->has_shares = true;
	promise->shares = 300;
}

static void make_leaf(struct world *w, const char *group)
{
	must(w->cg->ops->make(w->cg, group, NULL));
	write_file(w, group, "cgroup.type", "threaded");
}

static void make_groups(struct world *w)
{
	must(pf_fake_mkdir_all(w->fake, FOREIGN));
	w->other = pf_fake_spawn(w->fake, FOREIGN, 0);
	must(pf_fake_mkdir_all(w->fake, BASE));
	make_leaf(w, BASE "/emulator");
	make_leaf(w, BASE "/vcpu0");
	make_leaf(w, BASE "/iothread1");
	w->guest.pid = pf_fake_spawn(w->fake, BASE "/emulator", 0);
	write_file(w, BASE, "cgroup.subtree_control", "+cpuset +cpu");
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct pf_err err;
	pid_t pid;

	assert_non_null(w);
	must(pf_fake_new(8, 4, &w->fake));
	w->cg = pf_fake_cgroup(w->fake);
	must(pf_config_init(&w->config));
	pf_set_add_range(&w->host.cpus_possible, 0, 7);
	w->host.cpus_present = w->host.cpus_online = w->host.cpus_possible;
	pf_set_add_range(&w->host.nodes_online, 0, 3);
	w->host.nodes_with_memory = w->host.nodes_online;
	make_groups(w);
	/* the process is listed as its own first thread */
	pid = w->guest.pid;
	w->worker = spawn(w, BASE "/emulator", "vhost-1");
	w->vcpu = spawn(w, BASE "/vcpu0", "CPU 0/KVM");
	w->iothread = spawn(w, BASE "/iothread1", "IO iothread1");
	{
		struct pf_thread *main = pf_append(&w->guest.threads, &w->guest.thread_count);
		PF_CLEANUP(pf_task_clear) struct pf_task task = {};

		must(w->cg->ops->task(w->cg, pid, &task, NULL));
		main->tid = pid;
		main->start_ticks = task.start_ticks;
		strcpy(main->comm, "qemu-kvm");
	}
	strcpy(w->guest.uuid, UUID);
	w->guest.name = strdup("web");
	w->guest.base = strdup(BASE);
	w->guest.unit = strdup(UNIT);
	w->guest.unit_path = strdup(SCOPE);
	make_promise(&w->guest.promise);
	w->guest.promise.vcpus[0].tid = w->vcpu;
	w->guest.promise.iothreads[0].tid = w->iothread;
	w->guests = (struct pf_guests){.items = &w->guest, .count = 1};
	strcpy(w->dir, "/tmp/pf-stray-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	must(pf_ledger_open(w->dir, &w->ledger, &err));
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	char path[80];

	pf_plan_clear(&w->plan);
	pf_guest_status_clear(&w->status);
	free(w->outcomes);
	must(pf_ledger_forget(w->ledger, UUID, NULL));
	pf_ledger_free(&w->ledger);
	snprintf(path, sizeof(path), "%s/guests", w->dir);
	rmdir(path);
	rmdir(w->dir);
	pf_guest_clear(&w->guest);
	pf_config_clear(&w->config);
	pf_fake_free(&w->fake);
	free(w);
	return 0;
}

/* ---- in place of systemd ------------------------------------------------------------------- */

static int unit_set(void *ctx, const char *unit, const char *knob, const char *value,
		    struct pf_err *err)
{
	struct world *w = ctx;

	assert_string_equal(unit, UNIT);
	return w->cg->ops->write(w->cg, SCOPE, knob, value, err);
}

/* As machined and systemd do it: a fresh scope, and the process right in it. */
static int unit_make(void *ctx, const struct pf_unit_machine *machine, struct pf_err *err)
{
	struct world *w = ctx;
	char pid[16];

	w->machines++;
	assert_string_equal(machine->unit, UNIT);
	assert_string_equal(machine->slice, "machine.slice");
	assert_string_equal(machine->uuid, UUID);
	assert_int_equal(machine->pid, w->guest.pid);
	if (w->machined_fails)
		return pf_fail(err, w->machined_fails, "make the scope");
	assert_false(exists(w, SCOPE));
	snprintf(pid, sizeof(pid), "%d", (int)machine->pid);
	return w->cg->ops->make(w->cg, SCOPE, err) ?: w->cg->ops->write(w->cg, SCOPE, "cgroup.procs", pid, err);
}

static int unit_allowed(void *ctx, const char *unit, const char *knob, struct pf_set *out,
			struct pf_err *err)
{
	struct world *w = ctx;

	if (w->word_fails)
		return pf_fail(err, w->word_fails, "ask");
	*out = (struct pf_set){};
	if (strcmp(unit, "machine.slice") == 0 && strcmp(knob, "cpuset.cpus") == 0)
		*out = w->word;
	return 0;
}

/* ---- what is done -------------------------------------------------------------------------- */

/* One thread id written elsewhere; systemd removes the emptied scope. */
static void move_out(struct world *w, bool with_scope)
{
	static const char *const groups[] = {BASE "/helper", BASE "/iothread1", BASE "/vcpu0",
					     BASE "/emulator", BASE, SCOPE};
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", (int)w->vcpu);
	write_file(w, FOREIGN, "cgroup.procs", pid);
	for (size_t i = 0; with_scope && i < sizeof(groups) / sizeof(groups[0]); i++)
		if (exists(w, groups[i]))
			must(w->cg->ops->remove(w->cg, groups[i], NULL));
	w->guest.strayed = true;
	free(w->guest.cgroup);
	w->guest.cgroup = strdup(FOREIGN);
}

static void look(struct world *w)
{
	PF_CLEANUP(pf_placement_clear) struct pf_placement placement = {};
	PF_CLEANUP(pf_actual_clear) struct pf_actual actual = {};
	const struct pf_unit_words words = {.allowed = unit_allowed, .ctx = w};

	pf_plan_clear(&w->plan);
	pf_guest_status_clear(&w->status);
	must(pf_desire(&w->host, &w->guests, &w->guest, &w->config, &placement));
	must(pf_observe(w->cg, &placement, &actual, NULL));
	must(pf_observe_above(w->cg, &words, &placement, &actual, NULL));
	must(pf_diff(&w->host, &placement, &actual, &w->plan, &w->status));
}

/* Return: how many steps failed. */
static size_t run(struct world *w)
{
	struct pf_apply apply = {.cg = w->cg,
				 .unit_set = unit_set,
				 .unit_make = unit_make,
				 .unit_allowed = unit_allowed,
				 .unit_ctx = w,
				 .ledger = w->ledger};
	size_t failed = 0;

	look(w);
	free(pf_take_ptr(w->outcomes));
	must(pf_apply_plan(&apply, &w->plan, &w->outcomes, &w->count));
	for (size_t i = 0; i < w->count; i++) {
		if (w->outcomes[i].result != PF_OUTCOME_FAILED)
			continue;
		failed++;
		print_message("# %s\n", w->outcomes[i].err.text);
	}
	return failed;
}

/* As source/proc.c sees it afterwards. */
static void came_home(struct world *w)
{
	w->guest.strayed = false;
	free(w->guest.cgroup);
	w->guest.cgroup = strdup(BASE "/emulator");
}

static void assert_held(struct world *w)
{
	came_home(w);
	look(w);
	for (size_t i = 0; i < w->plan.count; i++) {
		pf_auto_free char *text = pf_step_describe(&w->plan.steps[i]);

		print_message("# left: %s\n", text);
	}
	assert_int_equal(w->plan.count, 0);
	assert_int_equal(w->status.state, PF_STATE_HELD);
	assert_thread(w, w->vcpu, BASE "/vcpu0", "5");
	assert_thread(w, w->guest.pid, BASE "/emulator", "0-1");
	assert_thread(w, w->iothread, BASE "/iothread1", "6");
	assert_thread(w, w->worker, BASE "/helper", "0-1");
	assert_thread(w, w->other, FOREIGN, "0-7");
	assert_file(w, BASE "/vcpu0", "cpuset.cpus", "5");
	assert_file(w, BASE "/vcpu0", "cpuset.mems", "1");
	assert_file(w, BASE "/vcpu0", "cpu.max", "50000 100000");
	assert_file(w, BASE, "cpu.max", "90000 100000");
	assert_file(w, SCOPE, "cpu.weight", "300");
}

static enum pf_step_kind kind(const struct world *w, size_t step)
{
	assert_true(step < w->plan.count);
	return w->plan.steps[step].kind;
}

/* ---- astray -------------------------------------------------------------------------------- */

static void a_guest_moved_out_is_brought_back_and_its_scope_made_anew(void **state)
{
	struct world *w = *state;

	assert_int_equal(run(w), 0);
	assert_held(w);
	move_out(w, true);
	look(w);
	assert_int_equal(w->status.state, PF_STATE_DRIFTING);
	assert_non_null(strstr(w->status.reason, "was moved to " FOREIGN));
	assert_int_equal(kind(w, 0), PF_STEP_MAKE_UNIT);
	assert_int_equal(kind(w, 1), PF_STEP_MAKE_BASE);
	assert_int_equal(kind(w, 2), PF_STEP_BRING_BACK);
	assert_int_equal(kind(w, 3), PF_STEP_CONTROLLERS);
	assert_int_equal(w->plan.steps[0].act, w->plan.steps[3].act);
	assert_int_equal(run(w), 0);
	assert_int_equal(w->machines, 1);
	assert_true(pf_ledger_brought_back(w->ledger, UUID));
	assert_held(w);
}

static void an_agent_that_finds_it_astray_at_first_brings_it_back(void **state)
{
	struct world *w = *state;

	move_out(w, true);
	assert_int_equal(run(w), 0);
	assert_held(w);
}

/* A scope that somebody else is in, a TPM's process say, stays: the guest goes back into it. */
static void where_its_groups_stay_it_goes_back_into_them(void **state)
{
	struct world *w = *state;

	assert_true(pf_fake_spawn(w->fake, BASE "/emulator", 0) > 0);
	assert_int_equal(run(w), 0);
	assert_held(w);
	move_out(w, false);
	look(w);
	assert_int_equal(kind(w, 0), PF_STEP_BRING_BACK);
	assert_int_equal(kind(w, 1), PF_STEP_ATTACH);
	assert_int_equal(run(w), 0);
	assert_int_equal(w->machines, 0);
	assert_held(w);
}

/* As systemd does a moment after the process was moved out: while its scope is being looked at. */
static void systemd_removes(void *ctx, const char *what)
{
	static const char *const groups[] = {BASE "/helper", BASE "/iothread1", BASE "/vcpu0",
					     BASE "/emulator", BASE, SCOPE};
	struct world *w = ctx;

	(void)what;
	pf_fake_read_hook(w->fake, NULL, NULL);
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		if (exists(w, groups[i]))
			must(w->cg->ops->remove(w->cg, groups[i], NULL));
}

static void systemd_removes_late(void *ctx, const char *group, const char *file)
{
	(void)group;
	(void)file;
	systemd_removes(ctx, NULL);
}

static void a_scope_that_goes_after_the_look_is_made_anew(void **state)
{
	struct world *w = *state;
	struct pf_apply apply = {.unit_set = unit_set, .unit_make = unit_make, .unit_ctx = w,
				 .ledger = w->ledger};

	assert_int_equal(run(w), 0);
	assert_held(w);
	move_out(w, false);
	look(w);
	apply.cg = w->cg;
	free(pf_take_ptr(w->outcomes));
	pf_fake_read_hook(w->fake, systemd_removes_late, w);
	must(pf_apply_plan(&apply, &w->plan, &w->outcomes, &w->count));
	for (size_t i = 0; i < w->count; i++)
		if (w->outcomes[i].result == PF_OUTCOME_FAILED)
			fail_msg("%s", w->outcomes[i].err.text);
	assert_int_equal(w->machines, 1);
	assert_held(w);
}

static void where_systemd_leaves_its_groups_it_goes_back_into_them(void **state)
{
	struct world *w = *state;

	assert_int_equal(run(w), 0);
	assert_held(w);
	move_out(w, false);
	look(w);
	assert_int_equal(kind(w, 0), PF_STEP_MAKE_UNIT);
	assert_int_equal(run(w), 0);
	assert_int_equal(w->machines, 0);
	assert_false(pf_ledger_brought_back(w->ledger, UUID));
	assert_held(w);
}

/* Whatever fails on the way: the process is where it was, and nothing of ours is left. */
static void a_failure_on_the_way_leaves_it_where_it_was(void **state)
{
	static const char *const steps[] = {"mkdir", "cgroup.procs", "cgroup.subtree_control"};
	struct world *w = *state;

	move_out(w, true);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		/* the first of mkdir and cgroup.procs is the scope's own */
		pf_fake_fail(w->fake, steps[i], i == 2 ? 1 : 2, EBUSY);
		assert_int_equal(run(w), 1);
		pf_fake_heal(w->fake);
		assert_thread(w, w->guest.pid, FOREIGN, "0-7");
		assert_thread(w, w->vcpu, FOREIGN, "0-7");
		assert_false(exists(w, BASE));
		assert_int_equal(w->outcomes[w->count - 1].result, PF_OUTCOME_NOT_RUN);
		must(w->cg->ops->remove(w->cg, SCOPE, NULL)); /* systemd would */
	}
	assert_int_equal(run(w), 0);
	assert_held(w);
}

static void without_machined_it_stays_and_is_told(void **state)
{
	struct world *w = *state;

	move_out(w, true);
	w->machined_fails = EHOSTUNREACH;
	assert_int_equal(run(w), 1);
	assert_thread(w, w->vcpu, FOREIGN, "0-7");
	for (size_t i = 1; i < w->count; i++)
		assert_int_equal(w->outcomes[i].result, PF_OUTCOME_NOT_RUN);
	w->machined_fails = 0;
	assert_int_equal(run(w), 0);
	assert_held(w);
}

/* Its time has not come: what builds on it is not run either. */
static void put_off_it_takes_the_rest_along(void **state)
{
	struct world *w = *state;
	struct pf_apply apply = {.unit_make = unit_make, .unit_ctx = w};
	unsigned int changes;

	move_out(w, true);
	look(w);
	for (size_t i = 0; i < 4; i++)
		w->plan.steps[i].put_off = true;
	apply.cg = w->cg;
	changes = pf_fake_changes(w->fake);
	must(pf_apply_plan(&apply, &w->plan, &w->outcomes, &w->count));
	for (size_t i = 0; i < w->count; i++)
		assert_int_equal(w->outcomes[i].result, PF_OUTCOME_NOT_RUN);
	assert_int_equal(pf_fake_changes(w->fake), changes);
}

/* The agent died in the middle: the next one finds the process in the scope, and goes on. */
static void an_end_on_the_way_is_gone_on_from(void **state)
{
	struct pf_unit_machine machine = {UNIT, "machine.slice", UUID, 0};
	struct world *w = *state;

	move_out(w, true);
	machine.pid = w->guest.pid;
	must(unit_make(w, &machine, NULL));
	free(w->guest.cgroup);
	w->guest.cgroup = strdup(SCOPE);
	look(w);
	assert_int_equal(kind(w, 0), PF_STEP_MAKE_BASE);
	assert_int_equal(run(w), 0);
	assert_held(w);
}

/* ---- killed on the way --------------------------------------------------------------------- */

struct killing {
	struct world *w;
	unsigned int after; /* changes */
	bool done;
	char *page; /* the ledger's, when it was killed */
};

static char *page_path(const struct world *w)
{
	char *path;

	assert_true(asprintf(&path, "%s/guests/" UUID ".json", w->dir) > 0);
	return path;
}

static void dies(void *ctx, const char *what)
{
	struct killing *killing = ctx;
	pf_auto_free char *path = page_path(killing->w);
	pf_auto_close int root = pf_root_open("/", NULL);

	(void)what;
	if (killing->done || killing->after--)
		return;
	killing->done = true;
	pf_file_read(root, path, &killing->page, NULL);
	pf_fake_fail_from(killing->w->fake, 1, EIO);
}

/* What systemd does with a scope that was made and not filled, and what source/proc.c tells. */
static void next_agent(struct world *w)
{
	PF_CLEANUP(pf_task_clear) struct pf_task task = {};
	struct pf_err err;

	pf_ledger_free(&w->ledger);
	must(pf_ledger_open(w->dir, &w->ledger, &err));
	if (exists(w, SCOPE))
		w->cg->ops->remove(w->cg, SCOPE, NULL); /* refused unless it is empty */
	must(w->cg->ops->task(w->cg, w->guest.pid, &task, NULL));
	w->guest.brought_back = pf_ledger_brought_back(w->ledger, UUID);
	free(w->guest.cgroup);
	w->guest.cgroup = strdup(task.cgroup);
	w->guest.strayed = strncmp(task.cgroup, BASE, strlen(BASE)) != 0;
	if (strcmp(task.cgroup, SCOPE) == 0)
		assert_true(w->guest.brought_back);
}

static bool killed(struct world *w, unsigned int after)
{
	pf_auto_free char *path = page_path(w);
	struct killing killing = {.w = w, .after = after};

	pf_fake_hook(w->fake, dies, &killing);
	run(w);
	pf_fake_hook(w->fake, NULL, NULL);
	pf_fake_heal(w->fake);
	if (killing.page)
		must(pf_file_replace(path, killing.page, 0600, NULL));
	free(killing.page);
	next_agent(w);
	return killing.done;
}

static void killed_after_any_change_the_next_agent_goes_on(void **state)
{
	unsigned int after = 0;
	bool was_killed = true;

	(void)state;
	for (; was_killed; after++) {
		void *one = NULL;
		struct world *w;

		assert_int_equal(setup(&one), 0);
		w = one;
		move_out(w, true);
		was_killed = killed(w, after);
		run(w);
		next_agent(w);
		run(w);
		assert_held(w);
		assert_int_equal(teardown(&one), 0);
	}
	assert_true(after > 20);
}

static void released_it_stays_in_libvirts_groups(void **state)
{
	struct pf_apply apply = {.unit_set = unit_set};
	struct world *w = *state;
	struct pf_err err = {};

	move_out(w, true);
	assert_int_equal(run(w), 0);
	assert_held(w);
	apply.cg = w->cg;
	apply.unit_ctx = w;
	if (pf_ledger_release(w->ledger, &apply, UUID, &err))
		fail_msg("%s", err.text);
	assert_thread(w, w->vcpu, BASE "/vcpu0", "5");
	assert_thread(w, w->worker, BASE "/emulator", "0-1");
	assert_false(exists(w, BASE "/helper"));
	assert_file(w, BASE "/vcpu0", "cpuset.cpus", "5");
}

static void its_base_alone_may_be_gone(void **state)
{
	struct world *w = *state;

	/* as without systemd: libvirt's own group, and nothing of a unit */
	free(pf_take_ptr(w->guest.unit));
	free(pf_take_ptr(w->guest.unit_path));
	move_out(w, false);
	must(w->cg->ops->remove(w->cg, BASE "/vcpu0", NULL));
	must(w->cg->ops->remove(w->cg, BASE "/emulator", NULL));
	must(w->cg->ops->remove(w->cg, BASE "/iothread1", NULL));
	must(w->cg->ops->remove(w->cg, BASE, NULL));
	look(w);
	assert_int_equal(kind(w, 0), PF_STEP_MAKE_BASE);
	assert_int_equal(kind(w, 1), PF_STEP_BRING_BACK);
	assert_int_equal(run(w), 0);
	came_home(w);
	look(w);
	assert_int_equal(w->plan.count, 0);
	assert_thread(w, w->vcpu, BASE "/vcpu0", "5");
	assert_file(w, BASE, "cpu.weight", "300");
}

/* ---- above --------------------------------------------------------------------------------- */

static void what_an_administrator_told_systemd_is_his_word(void **state)
{
	struct world *w = *state;

	assert_int_equal(run(w), 0);
	write_file(w, "/machine.slice", "cpuset.cpus", "0-4");
	pf_set_add_range(&w->word, 0, 4);
	look(w);
	assert_int_equal(w->status.state, PF_STATE_IMPOSSIBLE);
	assert_non_null(strstr(w->status.reason, "machine.slice allows (AllowedCPUs=0-4"));
	assert_non_null(strstr(w->status.reason, "was promised CPU"));
	run(w);
	assert_file(w, "/machine.slice", "cpuset.cpus", "0-4");
}

static void what_only_the_kernel_still_holds_is_widened(void **state)
{
	struct world *w = *state;

	assert_int_equal(run(w), 0);
	write_file(w, "/machine.slice", "cpuset.cpus", "0-4");
	look(w);
	assert_int_equal(w->status.state, PF_STATE_DRIFTING);
	assert_int_equal(kind(w, 0), PF_STEP_WIDEN);
	assert_string_equal(w->plan.steps[0].group, "/machine.slice");
	assert_int_equal(run(w), 0);
	assert_file(w, "/machine.slice", "cpuset.cpus", "0-7");
	assert_held(w);
}

static void memory_nodes_above_go_the_same_way(void **state)
{
	struct world *w = *state;

	assert_int_equal(run(w), 0);
	write_file(w, SCOPE, "cpuset.mems", "2-3");
	assert_int_equal(run(w), 0);
	assert_file(w, SCOPE, "cpuset.mems", "0-3");
	assert_held(w);
}

/* Between the plan and its being carried out an administrator speaks. */
static void a_word_spoken_meanwhile_counts(void **state)
{
	struct world *w = *state;
	struct pf_apply apply = {.unit_allowed = unit_allowed, .unit_ctx = w};

	assert_int_equal(run(w), 0);
	write_file(w, "/machine.slice", "cpuset.cpus", "0-4");
	look(w);
	assert_int_equal(kind(w, 0), PF_STEP_WIDEN);
	pf_set_add_range(&w->word, 0, 4);
	apply.cg = w->cg;
	free(pf_take_ptr(w->outcomes));
	must(pf_apply_plan(&apply, &w->plan, &w->outcomes, &w->count));
	assert_int_equal(w->outcomes[0].result, PF_OUTCOME_FAILED);
	assert_file(w, "/machine.slice", "cpuset.cpus", "0-4");
}

static void where_systemd_does_not_answer_nothing_is_widened(void **state)
{
	struct world *w = *state;

	assert_int_equal(run(w), 0);
	write_file(w, "/machine.slice", "cpuset.cpus", "0-4");
	w->word_fails = ETIMEDOUT;
	look(w);
	assert_int_equal(w->status.state, PF_STATE_IMPOSSIBLE);
	assert_non_null(strstr(w->status.reason, "/machine.slice allows (its cpuset.cpus is 0-4)"));
	run(w);
	assert_file(w, "/machine.slice", "cpuset.cpus", "0-4");
}

#define IN_A_WORLD(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_A_WORLD(a_guest_moved_out_is_brought_back_and_its_scope_made_anew),
		IN_A_WORLD(an_agent_that_finds_it_astray_at_first_brings_it_back),
		IN_A_WORLD(where_its_groups_stay_it_goes_back_into_them),
		IN_A_WORLD(a_scope_that_goes_after_the_look_is_made_anew),
		IN_A_WORLD(where_systemd_leaves_its_groups_it_goes_back_into_them),
		IN_A_WORLD(a_failure_on_the_way_leaves_it_where_it_was),
		IN_A_WORLD(without_machined_it_stays_and_is_told),
		IN_A_WORLD(put_off_it_takes_the_rest_along),
		IN_A_WORLD(an_end_on_the_way_is_gone_on_from),
		cmocka_unit_test(killed_after_any_change_the_next_agent_goes_on),
		IN_A_WORLD(released_it_stays_in_libvirts_groups),
		IN_A_WORLD(its_base_alone_may_be_gone),
		IN_A_WORLD(what_an_administrator_told_systemd_is_his_word),
		IN_A_WORLD(what_only_the_kernel_still_holds_is_widened),
		IN_A_WORLD(memory_nodes_above_go_the_same_way),
		IN_A_WORLD(a_word_spoken_meanwhile_counts),
		IN_A_WORLD(where_systemd_does_not_answer_nothing_is_widened),
	};

	return cmocka_run_group_tests_name("stray", tests, NULL, NULL);
}
