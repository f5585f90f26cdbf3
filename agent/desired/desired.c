// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/desired/desired.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/array.h"
#include "agent/base/cleanup.h"
#include "agent/desired/bandwidth.h"
#include "agent/desired/isolation.h"
#include "agent/desired/memory.h"
#include "agent/desired/role.h"

#define DEFAULT_WEIGHT 100

/* One guest's placement in the making. */
struct build {
	const struct pf_host *host;
	const struct pf_guest *guest;
	const struct pf_promise *promise;
	const struct pf_config *config;
	enum pf_unpinned unpinned;
	struct pf_memory_bound memory;
	struct pf_placement *out;
};

/* What one role was promised of CPUs. */
struct cpu_promise {
	enum pf_set_rule rule;
	struct pf_set cpus;
};

static const struct pf_pin *own_pin(const struct pf_promise *promise, struct pf_role role)
{
	const struct pf_iothread *iothread;
	const struct pf_vcpu *vcpu;

	switch (role.kind) {
	case PF_ROLE_VCPU:
		vcpu = pf_promise_vcpu(promise, role.index);
		return vcpu ? &vcpu->pin : NULL;
	case PF_ROLE_IOTHREAD:
		iothread = pf_promise_iothread(promise, role.index);
		return iothread ? &iothread->pin : NULL;
	case PF_ROLE_EMULATOR:
	case PF_ROLE_HELPER:
		return &promise->emulator;
	}
	return NULL;
}

static void follow_memory(const struct build *b, struct pf_role role, struct cpu_promise *out)
{
	struct pf_set nodes;

	if (role.kind == PF_ROLE_VCPU)
		pf_memory_nodes_of_vcpu(b->promise, role.index, &nodes);
	else
		nodes = b->memory.nodes;
	pf_host_cpus_of_nodes(b->host, &nodes, &out->cpus);
	if (!pf_set_empty(&out->cpus))
		out->rule = PF_SET_EXACT;
}

/*
 * The order in which libvirt looks (formatdomain, vcpupin/emulatorpin/iothreadpin): a pin of its
 * own, or else placement='auto', or else <vcpu cpuset>, or else all CPUs. Where a word of it could
 * not be read, what libvirt made of it is left as it is.
 */
static struct cpu_promise promised_cpus(const struct build *b, struct pf_role role)
{
	const struct pf_pin *pin = own_pin(b->promise, role);
	struct cpu_promise promise = {.rule = PF_SET_INHERIT};

	if (pin && pin->set) {
		promise.rule = PF_SET_EXACT;
		promise.cpus = pin->cpus;
	} else if ((pin && pin->unreadable) || b->promise->vcpu_automatic ||
		   b->promise->vcpu_default.unreadable) {
		promise.rule = PF_SET_UNHELD;
	} else if (b->promise->vcpu_default.set) {
		promise.rule = PF_SET_EXACT;
		promise.cpus = b->promise->vcpu_default.cpus;
	} else if (b->unpinned == PF_UNPINNED_FOLLOW_MEMORY) {
		follow_memory(b, role, &promise);
	}
	return promise;
}

/* Says which CPUs of a promise are missing, and takes out those that the kernel cannot name. */
static int check_cpus(const struct build *b, struct pf_role role, struct cpu_promise *promise)
{
	pf_auto_free char *missing_text = malloc(PF_SET_TEXT_MAX);
	pf_auto_free char *all_text = malloc(PF_SET_TEXT_MAX);
	char role_text[PF_ROLE_TEXT_MAX];
	struct pf_set missing, present;
	int r;

	if (!missing_text || !all_text)
		return -ENOMEM;
	if (promise->rule != PF_SET_EXACT)
		return 0;
	pf_set_andnot(&missing, &promise->cpus, &b->host->cpus_online);
	if (pf_set_empty(&missing))
		return 0;
	pf_set_and(&present, &missing, &b->host->cpus_present);
	r = pf_findings_add(&b->out->findings, PF_FINDING_IMPOSSIBLE,
			    "%s was promised CPU %s, but CPU %s %s",
			    pf_role_format(role, role_text),
			    pf_set_format(&promise->cpus, all_text, PF_SET_TEXT_MAX),
			    pf_set_format(&missing, missing_text, PF_SET_TEXT_MAX),
			    pf_set_empty(&present) ? "does not exist on this host" : "is offline");
	pf_set_and(&promise->cpus, &promise->cpus, &b->host->cpus_possible);
	if (pf_set_empty(&promise->cpus))
		promise->rule = PF_SET_UNHELD;
	return r;
}

static char *join(const char *base, const char *name)
{
	char *path;

	return asprintf(&path, "%s/%s", base, name) < 0 ? NULL : path;
}

static struct pf_group *add_group(struct build *b, enum pf_group_level level, char *path)
{
	struct pf_group *group;

	if (!path)
		return NULL;
	group = pf_append(&b->out->groups, &b->out->group_count);
	if (!group) {
		free(path);
		return NULL;
	}
	group->level = level;
	group->path = path;
	/* what is gone of a stray's place is made anew, by an agent that died over it or by us */
	group->ours = b->guest->strayed || b->guest->brought_back;
	group->cpus = b->host->cpus_possible;
	group->mems = b->host->nodes_online;
	return group;
}

/* Where nothing was promised below the delegation, no less than the kernel's default is held. */
static void hold_defaults(struct pf_group *group)
{
	group->hold_weight = true;
	group->weight = DEFAULT_WEIGHT;
	group->hold_max = true;
	group->max = (struct pf_cpu_max){.quota_usec = PF_QUOTA_MAX};
}

static int hold_shares(struct build *b, struct pf_group *group)
{
	if (!b->promise->has_shares)
		return 0;
	return pf_shares_weight(b->promise->shares, b->config->shares_scale, &group->weight,
				&group->hold_weight, &b->out->findings);
}

/* The scope is systemd's: only what was promised is held there. */
static int add_unit(struct build *b)
{
	struct pf_group *group;

	if (!b->guest->unit_path || strcmp(b->guest->unit_path, b->guest->base) == 0)
		return 0;
	group = add_group(b, PF_GROUP_UNIT, strdup(b->guest->unit_path));
	if (!group)
		return -ENOMEM;
	return hold_shares(b, group);
}

static int add_base(struct build *b)
{
	struct pf_group *group = add_group(b, PF_GROUP_BASE, strdup(b->guest->base));
	bool delegated = b->out->group_count > 1;

	if (!group)
		return -ENOMEM;
	hold_defaults(group);
	if (delegated) {
		group->cpus_rule = PF_SET_INHERIT;
		group->mems_rule = PF_SET_INHERIT;
	} else {
		int r = hold_shares(b, group);

		if (r < 0)
			return r;
	}
	return pf_bandwidth_max(&b->promise->global_bandwidth, "global", &group->max,
				&group->hold_max, &b->out->findings);
}

static const struct pf_bandwidth *bandwidth_of(const struct pf_promise *promise,
					       struct pf_role role)
{
	switch (role.kind) {
	case PF_ROLE_VCPU:
		return &promise->vcpu_bandwidth;
	case PF_ROLE_IOTHREAD:
		return &promise->iothread_bandwidth;
	case PF_ROLE_EMULATOR:
	case PF_ROLE_HELPER:
		break;
	}
	return &promise->emulator_bandwidth;
}

static const char *bandwidth_name(struct pf_role role)
{
	if (role.kind == PF_ROLE_VCPU)
		return "vCPU";
	return role.kind == PF_ROLE_IOTHREAD ? "iothread" : "emulator";
}

static int add_leaf(struct build *b, struct pf_role role)
{
	struct cpu_promise promise = promised_cpus(b, role);
	char name[PF_ROLE_TEXT_MAX];
	struct pf_group *group;
	int r;

	r = check_cpus(b, role, &promise);
	if (r < 0)
		return r;
	group = add_group(b, PF_GROUP_LEAF, join(b->guest->base, pf_role_leaf(role, name)));
	if (!group)
		return -ENOMEM;
	group->role = role;
	group->ours |= role.kind == PF_ROLE_HELPER;
	group->cpus_rule = promise.rule;
	if (promise.rule == PF_SET_EXACT)
		group->cpus = promise.cpus;
	group->mems_rule = b->memory.rule;
	if (b->memory.rule == PF_SET_EXACT)
		group->mems = b->memory.nodes;
	hold_defaults(group);
	return pf_bandwidth_max(bandwidth_of(b->promise, role), bandwidth_name(role), &group->max,
				&group->hold_max, &b->out->findings);
}

static size_t group_of(const struct pf_placement *placement, struct pf_role role)
{
	for (size_t i = 0; i < placement->group_count; i++)
		if (placement->groups[i].level == PF_GROUP_LEAF &&
		    pf_role_equal(placement->groups[i].role, role))
			return i;
	return PF_NO_GROUP;
}

static void place(struct build *b, struct pf_thread_placement *thread)
{
	struct cpu_promise promise = promised_cpus(b, thread->role);

	pf_set_and(&thread->cpus, &promise.cpus, &b->host->cpus_possible);
	thread->floats = promise.rule == PF_SET_INHERIT;
	if (promise.rule == PF_SET_UNHELD ||
	    (promise.rule == PF_SET_EXACT && pf_set_empty(&thread->cpus)))
		thread->unheld = true;
	if (b->memory.rule == PF_SET_EXACT)
		thread->nodes = b->memory.nodes;
}

static int add_thread(struct build *b, const struct pf_thread *from)
{
	struct pf_thread_placement *thread;
	bool settled;

	thread = pf_append(&b->out->threads, &b->out->thread_count);
	if (!thread)
		return -ENOMEM;
	thread->tid = from->tid;
	thread->start_ticks = from->start_ticks;
	memcpy(thread->comm, from->comm, sizeof(thread->comm));
	thread->role = pf_desired_role(b->promise, from, &settled);
	thread->unheld = !settled || from->immovable;
	if (!thread->unheld && b->guest->base && group_of(b->out, thread->role) == PF_NO_GROUP) {
		int r = add_leaf(b, thread->role);

		if (r < 0)
			return r;
	}
	thread->group = group_of(b->out, thread->role);
	place(b, thread);
	return 0;
}

/* Leaves exist for the threads that exist; a vCPU that is offline has none. */
static int add_threads(struct build *b)
{
	for (size_t i = 0; i < b->guest->thread_count; i++) {
		int r = add_thread(b, &b->guest->threads[i]);

		if (r < 0)
			return r;
	}
	return 0;
}

static int add_cells(struct build *b)
{
	for (size_t i = 0; i < b->promise->cell_count; i++) {
		struct pf_cell *cell = pf_append(&b->out->cells, &b->out->cell_count);

		if (!cell)
			return -ENOMEM;
		*cell = b->promise->cells[i];
		cell->memory = *pf_memory_of_cell(b->promise, cell);
	}
	return 0;
}

static int note_automatic(struct build *b)
{
	if (!b->promise->vcpu_automatic)
		return 0;
	return pf_findings_add(&b->out->findings, PF_FINDING_NOTE,
			       "vCPU placement is automatic and libvirt does not tell which CPUs "
			       "numad chose: threads without a pin of their own are not held");
}

static int decide_policy(struct build *b)
{
	const struct pf_guest_policy *policy = &b->promise->policy;

	b->out->mode = policy->has_mode ? policy->mode : b->config->mode;
	b->out->isolation = policy->has_isolation ? policy->isolation : b->config->isolation;
	b->unpinned = policy->has_unpinned ? policy->unpinned : b->config->unpinned;
	return 0;
}

static int identify(struct build *b)
{
	const struct pf_guest *guest = b->guest;

	memcpy(b->out->uuid, guest->uuid, sizeof(b->out->uuid));
	b->out->pid = guest->pid;
	b->out->source = guest->source;
	b->out->name = strdup(guest->name);
	b->out->base = guest->base ? strdup(guest->base) : NULL;
	b->out->unit = guest->unit ? strdup(guest->unit) : NULL;
	b->out->strayed = guest->strayed;
	b->out->brought_back = guest->brought_back;
	b->out->cgroup = guest->cgroup ? strdup(guest->cgroup) : NULL;
	if (guest->cgroup && !b->out->cgroup)
		return -ENOMEM;
	if (!b->out->name || (guest->base && !b->out->base) || (guest->unit && !b->out->unit))
		return -ENOMEM;
	return pf_findings_copy(&b->out->findings, &guest->findings);
}

static int build(struct build *b)
{
	int (*const stages[])(struct build *) = {identify, decide_policy, note_automatic};
	int (*const groups[])(struct build *) = {add_unit, add_base};
	int r;

	for (size_t i = 0; i < sizeof(stages) / sizeof(stages[0]); i++) {
		r = stages[i](b);
		if (r < 0)
			return r;
	}
	r = pf_memory_bound_of(b->host, b->promise, &b->memory, &b->out->findings);
	for (size_t i = 0; !r && b->guest->base && i < sizeof(groups) / sizeof(groups[0]); i++)
		r = groups[i](b);
	if (!r)
		r = add_threads(b);
	return r ?: add_cells(b);
}

int pf_desire(const struct pf_host *host, const struct pf_guests *guests,
	      const struct pf_guest *guest, const struct pf_config *config,
	      struct pf_placement *out)
{
	struct build b = {
		.host = host,
		.guest = guest,
		.promise = &guest->promise,
		.config = config,
		.out = out,
	};
	int r;

	*out = (struct pf_placement){};
	r = build(&b);
	if (!r)
		r = pf_isolation_check(guests, out);
	if (r < 0)
		pf_placement_clear(out);
	return r;
}
