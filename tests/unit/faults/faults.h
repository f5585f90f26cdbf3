/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest about which everything has to be mended, in the fake kernel, with a ledger on disk: what
 * the fault tests break at every place in turn.
 */
#pragma once

#include <unistd.h>

#include "agent/apply/ledger.h"
#include "agent/base/file.h"
#include "tests/unit/diff/world.h"

#define FAULT_UUID "00000000-0000-0000-0000-00000000000a"
#define OTHER "/machine.slice/b.scope"

struct faults {
	struct world w;
	char dir[64];
	char file[128]; /* the ledger's page about the guest */
	struct pf_ledger *ledger;
	struct pf_apply apply;
	char *found; /* picture() before the first change */
};

/* Every group of the guest with its files, and every thread with its place and its CPUs. */
static inline char *picture(struct faults *f)
{
	static const char *const groups[] = {
		SCOPE,         BASE,          BASE "/emulator", BASE "/vcpu0",
		BASE "/vcpu1", BASE "/vcpu2", BASE "/helper",   BASE "/iothread1"};
	static const char *const files[] = {"cgroup.type", "cgroup.subtree_control",
					    "cpuset.cpus", "cpuset.mems",
					    "cpu.max",     "cpu.weight"};
	struct pf_cgroup *cg = f->w.cg;
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		for (size_t j = 0; j < sizeof(files) / sizeof(files[0]); j++) {
			pf_auto_free char *value = NULL;

			cg->ops->read(cg, groups[i], files[j], &value, NULL);
			fprintf(out, "%s/%s %s\n", groups[i], files[j], value ?: "-");
		}
	}
	for (size_t i = 0; i < f->w.guest.thread_count; i++) {
		PF_CLEANUP(pf_task_clear) struct pf_task task = {};
		char cpus[PF_SET_TEXT_MAX];

		if (cg->ops->task(cg, f->w.guest.threads[i].tid, &task, NULL) < 0)
			continue;
		fprintf(out, "%s %s %s\n", f->w.guest.threads[i].comm, task.cgroup,
			pf_set_format(&task.cpus_allowed, cpus, sizeof(cpus)));
	}
	fclose(out);
	return text;
}

/* Fails with the first line that has changed. */
static inline void assert_as_found(struct faults *f)
{
	pf_auto_free char *now = picture(f);
	size_t line = 0;

	for (size_t i = 0; f->found[i] || now[i]; i++) {
		if (f->found[i] != now[i])
			fail_msg("found: %.*s; now: %.*s", (int)strcspn(f->found + line, "\n"),
				 f->found + line, (int)strcspn(now + line, "\n"), now + line);
		if (now[i] == '\n')
			line = i + 1;
	}
}

/* As after the agent was started anew: all that it knows is in the file. */
static inline void next_agent(struct faults *f)
{
	struct pf_err err = {};

	pf_ledger_free(&f->ledger);
	if (pf_ledger_open(f->dir, &f->ledger, &err))
		fail_msg("%s", err.text);
	f->apply.ledger = f->ledger;
}

static inline void break_all(struct faults *f)
{
	const struct pf_cgroup_ops *ops = f->w.cg->ops;
	struct pf_cgroup *cg = f->w.cg;
	struct pf_set one = {};

	pf_set_add(&one, 6);
	assert_int_equal(ops->write(cg, SCOPE, "cpu.weight", "7", NULL), 0);
	assert_int_equal(ops->write(cg, BASE, "cpu.max", "50000 100000", NULL), 0);
	assert_int_equal(ops->write(cg, BASE, "cgroup.subtree_control", "-cpuset -cpu", NULL), 0);
	assert_int_equal(ops->affinity(cg, f->w.guest.promise.vcpus[1].tid, &one, NULL), 0);
}

static inline void widen_all(struct faults *f)
{
	static const char *const leaves[] = {"emulator", "vcpu0", "vcpu1", "vcpu2", "iothread1"};

	for (size_t i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++) {
		char group[256];

		snprintf(group, sizeof(group), BASE "/%s", leaves[i]);
		assert_int_equal(f->w.cg->ops->write(f->w.cg, group, "cpuset.cpus", "1-6", NULL),
				 0);
		assert_int_equal(f->w.cg->ops->write(f->w.cg, group, "cpuset.mems", "0-2", NULL),
				 0);
		assert_int_equal(f->w.cg->ops->write(f->w.cg, group, "cpu.weight", "9", NULL), 0);
	}
}

/* @controllers: those of the leaves are taken away, too; else their values are merely wrong. */
static inline void faults_begin(struct faults *f, bool controllers)
{
	*f = (struct faults){};
	make_world(&f->w);
	strcpy(f->dir, "/dev/shm/pinfold-faults-XXXXXX"); /* every page is synced */
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->file, sizeof(f->file), "%s/guests/" FAULT_UUID ".json", f->dir);
	f->apply = (struct pf_apply){.cg = f->w.cg, .unit_set = unit_set, .unit_ctx = &f->w};
	next_agent(f);
	if (controllers)
		break_all(f);
	else
		widen_all(f);
	f->found = picture(f);
	pf_fake_watch(f->w.fake, OTHER);
}

static inline void faults_end(struct faults *f)
{
	char guests[96];

	assert_int_equal(pf_fake_touched(f->w.fake), 0);
	pf_ledger_free(&f->ledger);
	free_world(&f->w);
	free(f->found);
	unlink(f->file);
	snprintf(guests, sizeof(guests), "%s/guests", f->dir);
	assert_int_equal(rmdir(guests), 0); /* no half-written page either */
	assert_int_equal(rmdir(f->dir), 0);
}

/* Return: how many steps the guest's plan has now. */
static inline size_t steps_left(struct faults *f)
{
	PF_CLEANUP(pf_plan_clear) struct pf_plan plan = {};
	PF_CLEANUP(pf_guest_status_clear) struct pf_guest_status status = {};

	plan_of(&f->w, &plan, &status);
	return plan.count;
}

/* One pass, and its plan carried out. Return: how many steps failed. */
static inline size_t attempt(struct faults *f)
{
	PF_CLEANUP(pf_plan_clear) struct pf_plan plan = {};
	PF_CLEANUP(pf_guest_status_clear) struct pf_guest_status status = {};
	pf_auto_free struct pf_outcome *outcomes = NULL;
	size_t count = 0, failed = 0;

	plan_of(&f->w, &plan, &status);
	assert_int_equal(pf_apply_plan(&f->apply, &plan, &outcomes, &count), 0);
	for (size_t i = 0; i < count; i++)
		failed += outcomes[i].result == PF_OUTCOME_FAILED;
	return failed;
}

/* Passes of a kernel that refuses nothing any more: the guest is held after the second at most. */
static inline void converge(struct faults *f)
{
	attempt(f);
	if (steps_left(f))
		attempt(f);
	assert_held(&f->w);
	assert_int_equal(f->apply.ledger_err.code, 0);
}

static inline void release_as_found(struct faults *f)
{
	struct pf_err err = {};

	if (pf_ledger_release(f->ledger, &f->apply, FAULT_UUID, &err))
		fail_msg("%s", err.text);
	assert_as_found(f);
}
