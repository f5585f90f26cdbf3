/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest in the fake kernel with another one beside it, and the way from promise to plan. */
#pragma once

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/apply/apply.h"
#include "agent/base/array.h"
#include "agent/base/cleanup.h"
#include "agent/desired/desired.h"
#include "agent/diff/diff.h"
#include "agent/observe/read.h"
#include "tests/fake/cgroup.h"

#define SCOPE "/machine.slice/a.scope"
#define BASE SCOPE "/libvirt"
#define CPUS 8
#define NODES 4

struct world {
	struct pf_fake *fake;
	struct pf_cgroup *cg;
	struct pf_host host;
	struct pf_config config;
	struct pf_guest guest;
	struct pf_guests guests;
	struct pf_unit_word word; /* what systemd was told */
	pid_t other; /* another guest's thread, which nothing may touch */
};

static inline void make_host(struct pf_host *host)
{
	pf_set_add_range(&host->cpus_possible, 0, CPUS - 1);
	host->cpus_present = host->cpus_online = host->cpus_possible;
	pf_set_add_range(&host->nodes_online, 0, NODES - 1);
	host->nodes_with_memory = host->nodes_online;
}

static inline void list_thread(struct world *w, pid_t tid, const char *comm)
{
	struct pf_thread *thread = pf_append(&w->guest.threads, &w->guest.thread_count);
	PF_CLEANUP(pf_task_clear) struct pf_task task = {};

	assert_int_equal(w->cg->ops->task(w->cg, tid, &task, NULL), 0);
	thread->tid = tid;
	thread->start_ticks = task.start_ticks;
	snprintf(thread->comm, sizeof(thread->comm), "%s", comm);
}

static inline void spawn(struct world *w, const char *leaf, const char *comm, pid_t *tid)
{
	char group[256];

	snprintf(group, sizeof(group), BASE "/%s", leaf);
	*tid = pf_fake_spawn(w->fake, group, w->guest.pid);
	assert_true(*tid > 0);
	list_thread(w, *tid, comm);
}

static inline void make_leaf(struct world *w, const char *leaf)
{
	char group[256];

	snprintf(group, sizeof(group), BASE "/%s", leaf);
	assert_int_equal(w->cg->ops->make(w->cg, group, NULL), 0);
	assert_int_equal(w->cg->ops->write(w->cg, group, "cgroup.type", "threaded", NULL), 0);
}

static inline void pin(struct pf_pin *pin, const char *list)
{
	pin->set = true;
	assert_int_equal(pf_set_parse(list, &pin->cpus, NULL), 0);
}

static inline void make_promise(struct pf_promise *promise)
{
	for (unsigned int i = 0; i < 3; i++) {
		struct pf_vcpu *vcpu = pf_append(&promise->vcpus, &promise->vcpu_count);

		vcpu->index = i;
		vcpu->online = true;
	}
	pf_append(&promise->iothreads, &promise->iothread_count)->index = 1;
	pin(&promise->vcpus[0].pin, "2");
	pin(&promise->vcpus[1].pin, "3-4");
	pin(&promise->emulator, "0-1");
	pin(&promise->iothreads[0].pin, "5");
	promise->memory.mode = PF_MEMORY_STRICT;
	promise->memory.nodes_known = true;
	pf_set_add(&promise->memory.nodes, 1);
	promise->vcpu_bandwidth = (struct pf_bandwidth){true, true, 100000, 50000};
	promise->has_shares = true;
	promise->shares = 300;
}

static inline void make_world(struct world *w)
{
	pid_t tid;

	*w = (struct world){};
	assert_int_equal(pf_fake_new(CPUS, NODES, &w->fake), 0);
	w->cg = pf_fake_cgroup(w->fake);
	assert_int_equal(pf_config_init(&w->config), 0);
	make_host(&w->host);
	assert_int_equal(pf_fake_mkdir_all(w->fake, "/machine.slice/b.scope"), 0);
	w->other = pf_fake_spawn(w->fake, "/machine.slice/b.scope", 0);
	assert_int_equal(pf_fake_mkdir_all(w->fake, BASE), 0);
	w->guest.pid = pf_fake_spawn(w->fake, BASE, 0);
	w->guest.name = strdup("a");
	w->guest.base = strdup(BASE);
	w->guest.unit = strdup("a.scope");
	w->guest.unit_path = strdup(SCOPE);
	snprintf(w->guest.uuid, sizeof(w->guest.uuid), "00000000-0000-0000-0000-00000000000a");
	make_promise(&w->guest.promise);
	w->word = (struct pf_unit_word){.known = true, .weight = 100};
	w->word.max.quota_usec = PF_QUOTA_MAX;
	w->guests = (struct pf_guests){.items = &w->guest, .count = 1};
	make_leaf(w, "emulator");
	make_leaf(w, "vcpu0");
	make_leaf(w, "vcpu1");
	make_leaf(w, "vcpu2");
	make_leaf(w, "iothread1");
	assert_int_equal(w->cg->ops->attach(w->cg, BASE "/emulator", w->guest.pid, NULL), 0);
	assert_int_equal(w->cg->ops->write(w->cg, BASE, "cgroup.subtree_control", "+cpuset +cpu",
					   NULL),
			 0);
	list_thread(w, w->guest.pid, "qemu-kvm");
	spawn(w, "vcpu0", "CPU 0/KVM", &w->guest.promise.vcpus[0].tid);
	spawn(w, "vcpu1", "CPU 1/KVM", &w->guest.promise.vcpus[1].tid);
	spawn(w, "vcpu2", "CPU 2/KVM", &w->guest.promise.vcpus[2].tid);
	spawn(w, "iothread1", "IO iothread1", &w->guest.promise.iothreads[0].tid);
	spawn(w, "vcpu0", "vhost-1", &tid);
}

static inline void free_world(struct world *w)
{
	pf_guest_clear(&w->guest);
	pf_config_clear(&w->config);
	pf_fake_free(&w->fake);
}

/* In place of systemd: writes the knob where systemd would. */
static inline int unit_set(void *ctx, const char *unit, const char *knob, const char *value,
		    struct pf_err *err)
{
	struct world *w = ctx;

	assert_string_equal(unit, "a.scope");
	return w->cg->ops->write(w->cg, SCOPE, knob, value, err);
}

static inline void plan_of(struct world *w, struct pf_plan *plan, struct pf_guest_status *status)
{
	PF_CLEANUP(pf_placement_clear) struct pf_placement placement = {};
	PF_CLEANUP(pf_actual_clear) struct pf_actual actual = {};

	assert_int_equal(pf_desire(&w->host, &w->guests, &w->guest, &w->config, &placement), 0);
	assert_int_equal(pf_observe(w->cg, &placement, &actual, NULL), 0);
	if (pf_actual_asks_unit(&placement, &actual))
		actual.word = w->word;
	assert_int_equal(pf_diff(&w->host, &placement, &actual, plan, status), 0);
}

/* Runs one plan. Return: how many steps failed. */
static inline size_t hold(struct world *w)
{
	PF_CLEANUP(pf_plan_clear) struct pf_plan plan = {};
	PF_CLEANUP(pf_guest_status_clear) struct pf_guest_status status = {};
	struct pf_apply apply = {.cg = w->cg, .unit_set = unit_set, .unit_ctx = w};
	pf_auto_free struct pf_outcome *outcomes = NULL;
	size_t count = 0, failed = 0;

	plan_of(w, &plan, &status);
	assert_int_equal(pf_apply_plan(&apply, &plan, &outcomes, &count), 0);
	assert_int_equal(count, plan.count);
	for (size_t i = 0; i < count; i++) {
		if (outcomes[i].result != PF_OUTCOME_FAILED)
			continue;
		failed++;
		print_message("# %s\n", outcomes[i].err.text);
	}
	return failed;
}

static inline void assert_held(struct world *w)
{
	PF_CLEANUP(pf_plan_clear) struct pf_plan plan = {};
	PF_CLEANUP(pf_guest_status_clear) struct pf_guest_status status = {};

	plan_of(w, &plan, &status);
	for (size_t i = 0; i < plan.count; i++) {
		pf_auto_free char *text = pf_step_describe(&plan.steps[i]);

		print_message("# left: %s\n", text);
	}
	assert_int_equal(plan.count, 0);
	assert_int_equal(status.state, PF_STATE_HELD);
}

static inline void assert_file(struct world *w, const char *group, const char *file, const char *want)
{
	pf_auto_free char *got = NULL;

	assert_int_equal(w->cg->ops->read(w->cg, group, file, &got, NULL), 0);
	assert_string_equal(got, want);
}

static inline void assert_allowed(struct world *w, pid_t tid, const char *want)
{
	PF_CLEANUP(pf_task_clear) struct pf_task task = {};
	char text[256];

	assert_int_equal(w->cg->ops->task(w->cg, tid, &task, NULL), 0);
	assert_string_equal(pf_set_format(&task.cpus_allowed, text, sizeof(text)), want);
}

static inline void assert_in_group(struct world *w, pid_t tid, const char *want)
{
	PF_CLEANUP(pf_task_clear) struct pf_task task = {};

	assert_int_equal(w->cg->ops->task(w->cg, tid, &task, NULL), 0);
	assert_string_equal(task.cgroup, want);
}
