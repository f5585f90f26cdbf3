// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/incoming.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/cleanup.h"
#include "agent/daemon/cpus.h"
#include "agent/daemon/reconcile.h"
#include "agent/daemon/watching.h"

#define NEWCOMER_USEC UINT64_C(100000)
#define NEWCOMERS_EVERY_USEC UINT64_C(1000000)
#define LATE_NAME_USEC UINT64_C(2000000)
/* What is known of a doer is asked anew after this time: programs and groups change. */
#define DOER_USEC UINT64_C(1000000)

/* By the program that it runs: names can be chosen freely. */
static bool is_libvirt(pid_t tgid)
{
	char link[32], exe[512];
	const char *name;
	ssize_t len;

	snprintf(link, sizeof(link), "/proc/%d/exe", tgid);
	len = readlink(link, exe, sizeof(exe) - 1);
	if (len <= 0)
		return false;
	exe[len] = '\0';
	name = strrchr(exe, '/');
	name = name ? name + 1 : exe;
	return strcmp(name, "libvirtd") == 0 || strcmp(name, "virtqemud") == 0;
}

/* Who did it, beyond what the record says. In a storm it is the same one again and again. */
static const struct pf_doer *doer_of(struct pf_agent *agent, const struct pf_record *record)
{
	struct pf_doer *doer = &agent->watching.doer;
	const struct pf_actor *actor = &record->actor;
	uint64_t now = pf_now_usec();

	if (now < doer->until_usec && doer->tgid == (pid_t)actor->tgid &&
	    doer->cgid == actor->cgid && memcmp(doer->comm, actor->comm, sizeof(doer->comm)) == 0)
		return doer;
	free(doer->cgroup);
	doer->tgid = (pid_t)actor->tgid;
	doer->cgid = actor->cgid;
	memcpy(doer->comm, actor->comm, sizeof(doer->comm));
	doer->cgroup = pf_record_group_path(actor->cgid, doer->tgid);
	doer->is_libvirt = is_libvirt(doer->tgid);
	doer->until_usec = now + DOER_USEC;
	return doer;
}

static void name_doer(struct pf_agent *agent, const struct pf_record *record,
		      struct pf_event *event)
{
	const struct pf_doer *doer = event->has_actor ? doer_of(agent, record) : NULL;

	if (doer && doer->cgroup)
		event->actor.cgroup = strdup(doer->cgroup);
}

static void keep_act(struct pf_agent *agent, struct pf_held *held, const struct pf_record *record,
		     const char *group, bool above, struct pf_event *event)
{
	const struct pf_knob_record *knob = (const struct pf_knob_record *)record;
	struct pf_act act = {
		.event = *event,
		.whole = record->flags & PF_RF_THREADGROUP,
		.by_libvirt = event->has_actor && doer_of(agent, record)->is_libvirt,
		.by_manager = event->has_actor && event->actor.pid == 1,
		.begun = record->flags & PF_RF_BEGUN,
		.above = above,
	};

	act.has_role = pf_record_role(record, &act.event.role);
	switch (record->kind) {
	case PF_REC_MASK:
		act.kind = PF_ACT_MASK;
		break;
	case PF_REC_MOVED:
		act.kind = PF_ACT_MOVED;
		break;
	case PF_REC_CPU:
		act.kind = PF_ACT_CPU;
		break;
	default:
		act.kind = PF_ACT_KNOB;
		act.knob = strdup(knob->knob);
		act.group = strdup(group ?: "");
		break;
	}
	*event = (struct pf_event){};
	if ((act.kind == PF_ACT_KNOB && (!act.knob || !act.group)) ||
	    pf_acts_is_ours(&held->acts, &act, group)) {
		pf_event_clear(&act.event);
		free(act.knob);
		free(act.group);
		return;
	}
	pf_acts_add(&held->acts, &act, pf_tries_fight(&held->tries) != NULL, pf_now_usec());
}

/* A CPU that goes or comes concerns every guest; whom it does is seen by what is repaired. */
static void take_cpu(struct pf_agent *agent, const struct pf_record *record,
		     const struct pf_clocks *clocks)
{
	for (size_t i = 0; i < agent->held_count; i++) {
		struct pf_event event;

		if (pf_record_event(record, NULL, clocks, &event) < 0)
			return;
		name_doer(agent, record, &event);
		keep_act(agent, &agent->held[i], record, NULL, false, &event);
		pf_held_look_anew(&agent->held[i]);
	}
	pf_cpus_changing(agent);
}

static bool is_above(const struct pf_held *held, const char *group)
{
	const struct pf_guest_status *status = &held->status;
	const char *own = status->thread_count ? status->threads[0].cgroup : NULL;
	size_t len = strcmp(group, "/") == 0 ? 0 : strlen(group);

	return own && strncmp(own, group, len) == 0 && own[len] == '/';
}

static bool is_mems(const struct pf_record *record)
{
	return strcmp(((const struct pf_knob_record *)record)->knob, "cpuset.mems") == 0;
}

/*
 * A write to a group that is no guest's changed where guests' threads may run: above them, or
 * beside them where CPUs were taken for a partition. Whose they are is seen by looking. Of nodes
 * every write is told, and it reaches who is below.
 */
static void take_above(struct pf_agent *agent, const struct pf_record *record,
		       const struct pf_clocks *clocks)
{
	pf_auto_free char *group = pf_record_group_path(record->cgid, 0);

	for (size_t i = 0; group && i < agent->held_count; i++) {
		struct pf_held *held = &agent->held[i];
		struct pf_event event;

		if (is_mems(record) && !is_above(held, group))
			continue;
		pf_held_look_anew(held);
		/* Systemd writes the nodes whenever it writes the CPUs, nearly always in vain. */
		if (is_mems(record) || !is_above(held, group) ||
		    pf_record_event(record, group, clocks, &event) < 0)
			continue;
		name_doer(agent, record, &event);
		keep_act(agent, held, record, group, true, &event);
		pf_event_clear(&event);
	}
}

static bool is_float(const struct pf_record *record)
{
	return !(record->flags & PF_RF_OUT_CPU) &&
	       (record->cause == PF_CAUSE_SCHEDULER || record->cause == PF_CAUSE_UNKNOWN);
}

/* A thread's mask or place asks for a pass only where it would be put right. */
static bool asks_for_pass(const struct pf_held *held, const struct pf_record *record)
{
	bool enforced =
		held->status.name && held->status.mode != PF_MODE_OBSERVE && !held->released;

	switch ((enum pf_rec_kind)record->kind) {
	case PF_REC_ESCAPE:
	case PF_REC_PLACED:
		/* Where the scheduler puts a thread that may float is no reason either. */
		return enforced && !is_float(record);
	case PF_REC_MASK:
		return enforced;
	case PF_REC_MOVED:
	case PF_REC_KNOB:
	case PF_REC_GROUP:
		return true;
	case PF_REC_RETURN:
	case PF_REC_THREAD:
	case PF_REC_REFUSED:
	case PF_REC_PAGES:
	case PF_REC_NUMA:
	case PF_REC_CPU:
		break;
	}
	return false;
}

/* What the record puts in doubt, whether or not it asks for a look at once. */
static void doubt(struct pf_held *held, const struct pf_record *record)
{
	const struct pf_knob_record *knob = (const struct pf_knob_record *)record;

	switch ((enum pf_rec_kind)record->kind) {
	case PF_REC_ESCAPE:
	case PF_REC_PLACED:
		if (!is_float(record))
			pf_view_doubt_thread(&held->view, (pid_t)record->tid);
		break;
	case PF_REC_MASK:
		pf_view_doubt_thread(&held->view, (pid_t)record->tid);
		break;
	case PF_REC_MOVED:
		if (record->flags & PF_RF_THREADGROUP)
			pf_view_doubt_all(&held->view);
		else
			pf_view_doubt_move(&held->view, record->cgid, (pid_t)record->tid);
		break;
	case PF_REC_KNOB:
		pf_view_doubt_knob(&held->view, record->cgid, knob->knob);
		break;
	case PF_REC_THREAD:
	case PF_REC_GROUP:
		pf_view_doubt_all(&held->view);
		break;
	case PF_REC_RETURN:
	case PF_REC_REFUSED:
	case PF_REC_PAGES:
	case PF_REC_NUMA:
	case PF_REC_CPU: /* of all guests, before */
		break;
	}
}

/*
 * A worker that the kernel made for the guest puts itself where its maker is (vhost before 6.4): no
 * drift, but a newcomer. Nobody else can come from outside by a single thread (facts 1). Its mask
 * follows first, so that the programs may know it as the new group's before it is told.
 */
static bool comes_by_itself(const struct pf_record *record)
{
	return record->kind == PF_REC_MOVED && record->tid == record->actor.tgid &&
	       (!record->value || record->value == record->cgid) &&
	       !(record->flags & (PF_RF_THREADGROUP | PF_RF_LEFT));
}

static void take_event(struct pf_agent *agent, struct pf_held *held, const struct pf_record *record,
		       const char *group, struct pf_event *event)
{
	struct pf_teller teller = {agent, held};

	if (asks_for_pass(held, record)) {
		held->woken = true;
		held->look_records++;
	}
	switch ((enum pf_rec_kind)record->kind) {
	case PF_REC_ESCAPE:
	case PF_REC_PLACED:
		pf_aways_add(&held->aways, event, false, is_float(record), pf_now_usec(),
			     pf_watching_tell_by, &teller);
		break;
	case PF_REC_RETURN:
		pf_aways_add(&held->aways, event, true, false, pf_now_usec(), pf_watching_tell_by,
			     &teller);
		break;
	case PF_REC_MASK:
	case PF_REC_MOVED:
	case PF_REC_KNOB:
		if (!comes_by_itself(record))
			keep_act(agent, held, record, group, false, event);
		break;
	case PF_REC_REFUSED: /* nothing has changed: no pass, and nothing to wait for */
		pf_watching_tell(agent, held, event);
		break;
	case PF_REC_PAGES:
		/* The kernel moves pages one by one and all the time: those are summed up. */
		if (record->cause == PF_CAUSE_SYSCALL)
			pf_watching_tell(agent, held, event);
		else if (record->cause == PF_CAUSE_NUMA_BALANCING)
			held->pages_balanced += record->value;
		else
			held->pages_moved += record->value;
		break;
	case PF_REC_THREAD: /* taken before */
	case PF_REC_NUMA:   /* where it leaves the promise, that is told as an escape */
	case PF_REC_GROUP:
	case PF_REC_CPU:
		break;
	}
}

/*
 * Not at once: it is told before it has its name, and often others follow. On a busy host it may take
 * longer to name itself, hence a second look.
 */
static void take_newcomer(struct pf_agent *agent, struct pf_held *held)
{
	uint64_t when = pf_now_usec() + NEWCOMER_USEC;

	if (when < held->newcomer_usec + NEWCOMERS_EVERY_USEC)
		when = held->newcomer_usec + NEWCOMERS_EVERY_USEC;
	held->newcomer_usec = when;
	held->late_name_usec = when + LATE_NAME_USEC;
	pf_reconcile_at(agent, held, when);
}

void pf_incoming_record(const struct pf_record *record, const char *uuid, const char *group,
			void *ctx)
{
	PF_CLEANUP(pf_event_clear) struct pf_event event = {};
	pf_auto_free char *found = NULL;
	struct pf_agent *agent = ctx;
	struct pf_held *held = pf_watching_find(agent, uuid);
	const struct pf_clocks *clocks = &agent->watching.clocks;

	if (record->kind == PF_REC_CPU)
		take_cpu(agent, record, clocks);
	if (!uuid && record->kind == PF_REC_KNOB && record->slot == PF_NOWHERE)
		take_above(agent, record, clocks);
	if (!held)
		return;
	held->counting = agent->watching.counting = true;
	doubt(held, record);
	if (record->kind == PF_REC_THREAD) {
		take_newcomer(agent, held);
		return;
	}
	if (!group && record->kind == PF_REC_MOVED)
		group = found = pf_record_group_path(record->cgid, (pid_t)record->tid);
	if (record->kind == PF_REC_REFUSED && record->value)
		group = found = pf_record_group_path(record->value, 0);
	if (pf_record_event(record, group, clocks, &event) < 0)
		return;
	name_doer(agent, record, &event);
	take_event(agent, held, record, group, &event);
}
