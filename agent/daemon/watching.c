// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/watching.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/base/cleanup.h"
#include "agent/base/log.h"
#include "agent/daemon/guarding.h"
#include "agent/daemon/incoming.h"
#include "agent/daemon/losses.h"
#include "agent/daemon/reconcile.h"
#include "agent/daemon/report.h"
#include "agent/observe/records.h"
#include "agent/observe/watch.h"

/* A storm of acts does not make more passes than this over one guest. */
#define LOOK_EVERY_USEC UINT64_C(20000)
#define NET_USEC UINT64_C(10000000)
/*
 * Passes for which so many records ask at once may take a tenth of a CPU, and a second of it at once.
 * However slow the host is, nobody waits longer than a second for one.
 */
#define LOOK_STORM 16
#define LOOK_SHARE 10
#define LOOK_BURST_USEC UINT64_C(1000000)
#define LOOK_DEBT_FREE (LOOK_SHARE * LOOK_BURST_USEC)
#define LOOK_DEBT_MOST (LOOK_DEBT_FREE + UINT64_C(1000000))
/*
 * So many records, each within that time of the one before: from then on they are read by the clock,
 * until only a few come at a time.
 */
#define QUICK_WAKES 16
#define QUICK_USEC UINT64_C(5000)
#define QUICK_PAUSE_USEC 10000
#define FEW_RECORDS 3

/* ---- telling ----------------------------------------------------------------------------- */

static void log_event(const struct pf_held *held, const struct pf_event *event)
{
	char role[PF_ROLE_TEXT_MAX], actor[64] = "-", latency[32] = "-", outside[32] = "-";

	if (event->has_actor)
		snprintf(actor, sizeof(actor), "%s[%d] uid=%u", event->actor.comm, event->actor.pid,
			 event->actor.uid);
	if (event->has_latency)
		snprintf(latency, sizeof(latency), "%" PRIu64, event->latency_ns);
	if (event->has_outside)
		snprintf(outside, sizeof(outside), "%" PRIu64, event->outside_ns);
	pf_log(LOG_DEBUG,
	       "guest '%s': event %s cause=%s action=%s tid=%d role='%s' actor=%s in %s cpu=%d->%d "
	       "latency_ns=%s outside_ns=%s: %s",
	       held ? held->name : "-", pf_event_kind_name(event->kind),
	       pf_event_cause_name(event->cause), pf_event_action_name(event->action),
	       event->has_thread ? event->tid : 0, pf_role_format(event->role, role), actor,
	       event->has_actor && event->actor.cgroup ? event->actor.cgroup : "-", event->from_cpu,
	       event->to_cpu, latency, outside, event->detail ?: "");
}

void pf_watching_tell(struct pf_agent *agent, const struct pf_held *held, struct pf_event *event)
{
	struct pf_event copy = *event;

	log_event(held, event);
	copy.guest = NULL;
	copy.actor.cgroup = event->actor.cgroup ? strdup(event->actor.cgroup) : NULL;
	copy.detail = event->detail ? strdup(event->detail) : NULL;
	pf_report_event(agent, held, &copy);
}

void pf_watching_tell_by(struct pf_event *event, void *ctx)
{
	const struct pf_teller *teller = ctx;

	pf_watching_tell(teller->agent, teller->held, event);
}

struct pf_held *pf_watching_find(struct pf_agent *agent, const char *uuid)
{
	for (size_t i = 0; uuid && i < agent->held_count; i++)
		if (strcmp(agent->held[i].uuid, uuid) == 0)
			return &agent->held[i];
	return NULL;
}

/* ---- time -------------------------------------------------------------------------------- */

/* When the guest may be looked at, so that a storm of acts costs no more than its share. */
static uint64_t may_look_at(const struct pf_held *held)
{
	uint64_t wait = LOOK_EVERY_USEC;

	if (held->look_debt_usec > LOOK_DEBT_FREE)
		wait += held->look_debt_usec - LOOK_DEBT_FREE;
	return held->looked_usec + wait;
}

static bool repairing(const struct pf_held *held)
{
	return (held->plan.count || held->job) && !held->released &&
	       held->status.mode != PF_MODE_OBSERVE;
}

static uint64_t expire_guest(struct pf_agent *agent, struct pf_held *held)
{
	struct pf_teller teller = {agent, held};
	uint64_t now = pf_now_usec();

	/* What is being done may put right what was done, however long it takes. */
	if (held->job)
		return pf_aways_expire(&held->aways, now, pf_watching_tell_by, &teller);
	if (!held->plan.count)
		pf_acts_looked(&held->acts, &held->status, held->looked_usec);
	return pf_earlier(pf_acts_expire(&held->acts, &held->status, repairing(held), now,
				      pf_watching_tell_by, &teller),
		       pf_aways_expire(&held->aways, now, pf_watching_tell_by, &teller));
}

static size_t add_pending(const struct pf_held *held, uint64_t *seqs)
{
	size_t count = 0;

	for (size_t i = 0; i < held->acts.count; i++)
		seqs[count++] = held->acts.items[i].event.record_seq;
	for (size_t i = 0; i < held->aways.count; i++)
		if (!held->aways.items[i].told && !held->aways.items[i].again)
			seqs[count++] = held->aways.items[i].event.record_seq;
	return count;
}

/* What a successor has to tell, should this agent be killed now. */
static void note_pending(struct pf_agent *agent)
{
	pf_auto_free uint64_t *seqs = NULL;
	size_t most = 0, count = 0;

	if (!agent->watching.watch || !pf_watch_remembers(agent->watching.watch))
		return;
	for (size_t i = 0; i < agent->held_count; i++)
		most += agent->held[i].acts.count + agent->held[i].aways.count;
	seqs = most ? malloc(most * sizeof(*seqs)) : NULL;
	for (size_t i = 0; seqs && i < agent->held_count; i++)
		count += add_pending(&agent->held[i], seqs + count);
	if (seqs || !most)
		pf_watch_pending(agent->watching.watch, seqs, count);
}

static void expire_all(struct pf_agent *agent)
{
	uint64_t next = pf_losses_count(agent);

	for (size_t i = 0; i < agent->held_count; i++)
		next = pf_earlier(next, expire_guest(agent, &agent->held[i]));
	for (size_t i = 0; i < agent->held_count; i++)
		if (agent->held[i].woken)
			next = pf_earlier(next, may_look_at(&agent->held[i]));
	note_pending(agent);
	if (!agent->watching.expiry)
		return;
	if (next)
		sd_event_source_set_time(agent->watching.expiry, next);
	sd_event_source_set_enabled(agent->watching.expiry, next ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

/* ---- the ring ---------------------------------------------------------------------------- */

/* Waits as the ring wants it: for the next record, or for some time. */
static void wait_again(struct pf_watching *watching, unsigned int again_usec)
{
	sd_event_source_set_enabled(watching->ring, again_usec ? SD_EVENT_OFF : SD_EVENT_ON);
	if (again_usec)
		sd_event_source_set_time_relative(watching->again, again_usec);
	sd_event_source_set_enabled(watching->again, again_usec ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

/* Return: how many records there were. */
static int take_in(struct pf_agent *agent)
{
	struct pf_watching *watching = &agent->watching;
	unsigned int again_usec = 0;
	struct pf_err err;
	int count;

	if (!watching->reading)
		return 0;
	pf_clocks_read(&watching->clocks);
	count = pf_watch_consume(watching->watch, &again_usec, &err);
	if (count < 0)
		pf_log(LOG_ERR, "the eBPF programs' records can't be read: %s", err.text);
	if (!again_usec && watching->quick_wakes >= QUICK_WAKES)
		again_usec = QUICK_PAUSE_USEC;
	wait_again(watching, again_usec);
	return count;
}

void pf_watching_catch_up(struct pf_agent *agent)
{
	take_in(agent);
}

/* Whether records come so fast that being woken for each costs more than what it says. */
static void note_wake(struct pf_watching *watching)
{
	uint64_t now = pf_now_usec();

	if (now - watching->woken_usec > QUICK_USEC)
		watching->quick_wakes = 0;
	else
		watching->quick_wakes++;
	watching->woken_usec = now;
}

/* Waiting, for libvirt or the kernel, costs nobody anything. */
static uint64_t cpu_usec(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void look_and_count(struct pf_agent *agent, struct pf_held *held, uint64_t now)
{
	uint64_t since = now - held->looked_usec;
	bool storm = held->look_records > LOOK_STORM;
	uint64_t began = cpu_usec();

	held->look_debt_usec -= since < held->look_debt_usec ? since : held->look_debt_usec;
	held->look_records = 0;
	pf_reconcile_guest(agent, held);
	if (storm)
		held->look_debt_usec += LOOK_SHARE * (cpu_usec() - began);
	if (held->look_debt_usec > LOOK_DEBT_MOST)
		held->look_debt_usec = LOOK_DEBT_MOST;
}

static void pass_over_woken(struct pf_agent *agent)
{
	for (size_t i = 0; i < agent->held_count; i++) {
		struct pf_held *held = &agent->held[i];
		uint64_t now = pf_now_usec();

		if (held->woken && now >= may_look_at(held))
			look_and_count(agent, held, now);
	}
	expire_all(agent);
}

static int on_expiry(sd_event_source *source, uint64_t usec, void *ctx)
{
	(void)source, (void)usec;
	pass_over_woken(ctx);
	return 0;
}

static int on_ring(sd_event_source *source, int fd, uint32_t events, void *ctx)
{
	struct pf_agent *agent = ctx;

	(void)source, (void)fd, (void)events;
	note_wake(&agent->watching);
	pf_watching_catch_up(ctx);
	pass_over_woken(ctx);
	return 0;
}

static int on_again(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct pf_agent *agent = ctx;

	(void)source, (void)usec;
	if (take_in(agent) < FEW_RECORDS)
		agent->watching.quick_wakes = 0;
	pass_over_woken(agent);
	return 0;
}

/*
 * Records that wait though nothing has rung, and guests of which one was told that never arrived. None
 * of it should be; it costs a few system calls to be sure.
 */
static int on_net(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct pf_agent *agent = ctx;
	int count = take_in(agent);

	(void)usec;
	for (size_t i = 0; i < agent->held_count; i++) {
		struct pf_held *held = &agent->held[i];

		if (held->present && pf_watch_held_back(agent->watching.watch, held->uuid))
			held->woken = true;
	}
	if (count > 0)
		pf_log(LOG_DEBUG, "%d records were read without being announced", count);
	pass_over_woken(agent);
	sd_event_source_set_time_relative(source, NET_USEC);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* ---- what the reconciler calls ----------------------------------------------------------- */

void pf_watching_host(struct pf_agent *agent)
{
	if (agent->watching.watch)
		pf_watch_host(agent->watching.watch, &agent->host);
}

bool pf_watching_sees_all(const struct pf_agent *agent)
{
	return agent->watching.reading && pf_watch_sees_all(agent->watching.watch);
}

bool pf_watching_tells_all(const struct pf_agent *agent, const struct pf_held *held)
{
	return pf_watching_sees_all(agent) &&
	       !pf_watch_held_back(agent->watching.watch, held->uuid);
}

void pf_watching_looking(struct pf_agent *agent, const struct pf_held *held)
{
	if (agent->watching.watch)
		pf_watch_looking(agent->watching.watch, held->uuid);
}

static bool is_released(struct pf_agent *agent, const char *uuid)
{
	const struct pf_held *held = pf_watching_find(agent, uuid);

	return held && held->released;
}

/* What was seen before it was watched may have changed since, and nobody would have told. */
static void forget_view(struct pf_agent *agent, const char *uuid)
{
	struct pf_held *held = pf_watching_find(agent, uuid);

	if (held)
		pf_view_doubt_all(&held->view);
}

void pf_watching_guest(const struct pf_placement *placement, const struct pf_actual *actual,
		       void *ctx)
{
	struct pf_agent *agent = ctx;
	struct pf_err err;
	bool guard;
	int r;

	if (!agent->watching.watch)
		return;
	guard = placement->mode == PF_MODE_GUARD && !is_released(agent, placement->uuid);
	r = pf_watch_guest(agent->watching.watch, placement, actual, guard, &err);
	if (r)
		forget_view(agent, placement->uuid);
	if (r >= 0) {
		agent->watching.full_told = false;
		return;
	}
	if (!agent->watching.full_told)
		pf_log(LOG_WARNING, "guest '%s' is not watched in full: %s", placement->name,
		       err.text);
	agent->watching.full_told = true;
}

void pf_watching_looked(struct pf_agent *agent)
{
	if (!agent->watching.watch || agent->watching.reading || !agent->known)
		return;
	agent->watching.reading = true;
	pf_watch_sweep(agent->watching.watch);
	pf_guarding_follow(agent);
	pf_clocks_read(&agent->watching.clocks);
	pf_watch_replay(agent->watching.watch);
	pf_watching_catch_up(agent);
}

void pf_watching_passed(struct pf_agent *agent)
{
	struct pf_watching *watching = &agent->watching;
	struct pf_err err;

	if (watching->watch && pf_watch_settle(watching->watch, &err) < 0)
		pf_log(LOG_WARNING, "threads outside are not timed: %s", err.text);
	pf_guarding_follow(agent);
	expire_all(agent); /* records that came in meanwhile are about others, too */
}

void pf_watching_repaired(struct pf_agent *agent, struct pf_held *held,
			  const struct pf_outcome *outcomes, size_t count)
{
	struct pf_teller teller = {agent, held};
	struct pf_clocks clocks;
	struct pf_repair repair = {
		.plan = &held->plan,
		.outcomes = outcomes,
		.count = count < held->plan.count ? count : held->plan.count,
		.kept = held->kept,
		.kept_count = held->kept_count,
		.was_held = held->kept_count > 0,
		.promised = held->promised,
		.tries = &held->tries,
	};

	pf_clocks_read(&clocks);
	repair.sleep_ns = clocks.sleep_ns;
	repair.wall_ahead_ns = clocks.wall_ahead_ns;
	pf_acts_repaired(&held->acts, &repair, pf_watching_tell_by, &teller);
}

void pf_watching_fight(struct pf_agent *agent, const struct pf_held *held,
		       const struct pf_step *step, const struct pf_event *doer, const char *text)
{
	PF_CLEANUP(pf_event_clear) struct pf_event event = {};
	struct pf_clocks clocks;

	pf_event_init(&event, PF_EVENT_DRIFT, doer ? doer->cause : PF_EVENT_UNKNOWN,
		      PF_EVENT_FAILED);
	pf_clocks_read(&clocks);
	event.boot_ns = pf_now_usec() * 1000 + (uint64_t)clocks.sleep_ns;
	event.wall_ns = event.boot_ns + (uint64_t)clocks.wall_ahead_ns;
	event.has_thread = step->tid > 0;
	event.tid = step->tid;
	event.role = step->role;
	event.detail = strdup(text);
	if (doer && doer->has_actor) {
		event.has_actor = true;
		event.actor = doer->actor;
		event.actor.cgroup = doer->actor.cgroup ? strdup(doer->actor.cgroup) : NULL;
	}
	pf_watching_tell(agent, held, &event);
}

void pf_watching_ended(struct pf_agent *agent, struct pf_held *held)
{
	struct pf_teller teller = {agent, held};

	pf_acts_expire(&held->acts, &held->status, false, UINT64_MAX, pf_watching_tell_by, &teller);
	while (held->aways.count)
		pf_aways_end(&held->aways, held->aways.items[0].event.tid, pf_watching_tell_by,
			     &teller);
	if (agent->watching.watch)
		pf_watch_drop(agent->watching.watch, held->uuid);
}

/* ---- start and stop ---------------------------------------------------------------------- */

static int open_watch(struct pf_agent *agent, struct pf_err *err)
{
	pf_auto_free char *seen = NULL, *spool = NULL;
	struct pf_watch_options options = {
		.pin_path = agent->config.pin_path,
		.on_record = pf_incoming_record,
		.arg = agent,
	};

	if (asprintf(&seen, "%s/records-seen", agent->config.state_dir) < 0)
		seen = NULL;
	if (asprintf(&spool, "%s/records-pending", agent->config.state_dir) < 0)
		spool = NULL;
	if (!seen || !spool)
		return pf_fail(err, ENOMEM, "start to watch");
	options.seen_path = seen;
	options.spool_path = spool;
	return pf_watch_open(&options, &agent->host, &agent->watching.watch, err);
}

static void say_origin(const struct pf_watch *watch)
{
	static const char *const texts[] = {
		[PF_BPF_LOADED] = "eBPF programs loaded",
		[PF_BPF_ADOPTED] = "eBPF programs adopted: nothing was missed",
		[PF_BPF_REPLACED] =
			"eBPF programs of another build replaced, counters carried over",
		[PF_BPF_RENEWED] = "eBPF programs loaded anew: the pins that were there could not "
				   "be used, counters begin at 0",
	};

	pf_log(LOG_INFO, "%s", texts[pf_watch_origin(watch)]);
}

static int add_sources(struct pf_agent *agent)
{
	struct pf_watching *watching = &agent->watching;
	int r;

	r = sd_event_add_time(agent->event, &watching->expiry, CLOCK_MONOTONIC, 0, 1000, on_expiry,
			      agent);
	if (r >= 0)
		r = sd_event_source_set_enabled(watching->expiry, SD_EVENT_OFF);
	if (r < 0 || !watching->watch)
		return r;
	r = sd_event_add_io(agent->event, &watching->ring, pf_watch_fd(watching->watch), POLLIN,
			    on_ring, agent);
	if (r >= 0)
		r = sd_event_source_set_enabled(watching->ring, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_time(agent->event, &watching->again, CLOCK_MONOTONIC, 0, 1,
				      on_again, agent);
	if (r >= 0)
		r = sd_event_source_set_enabled(watching->again, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_time_relative(agent->event, &watching->net, CLOCK_MONOTONIC, NET_USEC,
					       0, on_net, agent);
	return r;
}

int pf_watching_start(struct pf_agent *agent, struct pf_err *err)
{
	struct pf_err why;
	int r = open_watch(agent, &why);

	if (r < 0) {
		pf_log(LOG_WARNING,
		       "eBPF is not used, drift is found by looking every %" PRIu64
		       " ms and without its doer: %s",
		       agent->config.interval_usec / 1000, why.text);
		agent->watching.refusal = strdup(why.text);
	} else {
		say_origin(agent->watching.watch);
		if (!pf_watch_is_kept(agent->watching.watch))
			pf_log(LOG_WARNING,
			       "%s has no room for what is noted for an agent to come: should this one "
			       "be killed, events may be lost or told twice",
			       agent->config.state_dir);
	}
	pf_guarding_start(agent);
	r = add_sources(agent);
	return r < 0 ? pf_fail(err, r, "set up the event loop") : 0;
}

void pf_watching_stop(struct pf_agent *agent)
{
	struct pf_watching *watching = &agent->watching;

	for (size_t i = 0; i < agent->held_count; i++) {
		struct pf_teller teller = {agent, &agent->held[i]};

		pf_acts_expire(&agent->held[i].acts, &agent->held[i].status, false, UINT64_MAX,
			       pf_watching_tell_by, &teller);
		while (agent->held[i].aways.count)
			pf_aways_end(&agent->held[i].aways, agent->held[i].aways.items[0].event.tid,
				     pf_watching_tell_by, &teller);
	}
	note_pending(agent);
	sd_event_source_unref(watching->ring);
	sd_event_source_unref(watching->again);
	sd_event_source_unref(watching->net);
	sd_event_source_unref(watching->expiry);
	pf_guarding_stop(agent);
	pf_watch_close(&watching->watch);
	free(watching->refusal);
	free(watching->doer.cgroup);
	*watching = (struct pf_watching){};
}
