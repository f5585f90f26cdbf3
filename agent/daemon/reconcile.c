// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/reconcile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/base/array.h"
#include "agent/base/cleanup.h"
#include "agent/base/log.h"
#include "agent/daemon/carry.h"
#include "agent/daemon/cpus.h"
#include "agent/daemon/guarding.h"
#include "agent/daemon/pass.h"
#include "agent/daemon/report.h"
#include "agent/daemon/tell.h"
#include "agent/daemon/watching.h"

#define AGAIN_USEC UINT64_C(20000)
#define CROWD_USEC UINT64_C(1000000)
#define WORD_EVERY_USEC UINT64_C(2000000)
/* The safety net's pace, whatever there is to look at. */
#define SWEEP_EVERY_USEC UINT64_C(180000000)
/* Besides, whom the guard lets past is looked up with it: a libvirtd that was just upgraded waits. */
#define SWEEP_GUARDED_USEC UINT64_C(10000000)

struct pf_held *pf_reconcile_find(struct pf_agent *agent, const char *guest)
{
	for (size_t i = 0; i < agent->held_count; i++) {
		struct pf_held *held = &agent->held[i];

		if (held->present &&
		    (strcmp(held->name, guest) == 0 || strcasecmp(held->uuid, guest) == 0))
			return held;
	}
	return NULL;
}

static struct pf_held *find_uuid(struct pf_agent *agent, const char *uuid)
{
	for (size_t i = 0; i < agent->held_count; i++)
		if (strcmp(agent->held[i].uuid, uuid) == 0)
			return &agent->held[i];
	return NULL;
}

static struct pf_held *add_held(struct pf_agent *agent, const struct pf_guest *guest)
{
	struct pf_held *held = pf_append(&agent->held, &agent->held_count);

	if (!held)
		return NULL;
	memcpy(held->uuid, guest->uuid, sizeof(held->uuid));
	return held;
}

/* A release that an earlier agent was killed in: nobody else would end it. */
static void finish_release(struct pf_agent *agent, struct pf_held *held)
{
	struct pf_err err;

	if (held->released && pf_carry_back(agent, held, &err) < 0)
		pf_log(LOG_WARNING, "guest '%s': it is released, and %s", held->name, err.text);
}

static void pass_over(struct pf_agent *agent);

/* Told by the kernel: libvirtd may be away, and looking comes seldom. */
static int on_exit_of_guest(sd_event_source *source, int fd, uint32_t events, void *ctx)
{
	struct pf_agent *agent = ctx;

	(void)fd, (void)events;
	sd_event_source_set_enabled(source, SD_EVENT_OFF);
	for (size_t i = 0; i < agent->held_count; i++)
		if (agent->held[i].exit == source)
			agent->held[i].present = false;
	pass_over(agent);
	return 0;
}

/* Without it, a process that has ended is found by the next look. */
static void watch_exit(struct pf_agent *agent, struct pf_held *held)
{
	int fd = agent->event ? (int)syscall(SYS_pidfd_open, held->pid, 0) : -1;

	held->exit = sd_event_source_disable_unref(held->exit);
	if (fd < 0)
		return;
	if (sd_event_add_io(agent->event, &held->exit, fd, EPOLLIN, on_exit_of_guest, agent) < 0)
		close(fd);
	else
		sd_event_source_set_io_fd_own(held->exit, true);
}

/* A guest that was started anew is another guest: what was remembered of it is dropped. */
static int renew(struct pf_agent *agent, struct pf_held *held, const struct pf_guest *guest)
{
	struct pf_err err;
	int r;

	if (held->pid && held->pid != guest->pid) {
		struct pf_held fresh = {};

		pf_watching_ended(agent, held);
		memcpy(fresh.uuid, held->uuid, sizeof(fresh.uuid));
		pf_held_clear(held);
		*held = fresh;
	}
	held->present = true;
	if (!held->name || strcmp(held->name, guest->name) != 0) {
		char *name = strdup(guest->name);

		if (!name)
			return -ENOMEM;
		free(held->name);
		held->name = name;
	}
	/* The same word once more puts nothing in doubt. */
	if (held->words != guest->words) {
		held->promised |= held->pid == guest->pid;
		pf_held_look_anew(held);
		pf_held_supersede(held);
	}
	held->words = guest->words;
	if (held->pid == guest->pid)
		return 0;
	r = pf_ledger_adopt(agent->ledger, guest->uuid, guest->pid, &held->released, &err);
	if (r == -ENOMEM)
		return r; /* asked again at the next pass */
	if (r < 0)
		pf_log(LOG_WARNING, "guest '%s': %s", guest->name, err.text);
	held->pid = guest->pid;
	watch_exit(agent, held);
	held->has_mode = pf_ledger_mode(agent->ledger, guest->uuid, &held->mode);
	finish_release(agent, held);
	return 0;
}

/* Those of the last snapshot that are not in the new one have ended. */
static void drop_absent(struct pf_agent *agent)
{
	for (size_t i = 0; i < agent->held_count;) {
		struct pf_held *held = &agent->held[i];
		struct pf_err err;

		if (held->present) {
			i++;
			continue;
		}
		pf_log(LOG_INFO, "guest '%s': ended", held->name ?: held->uuid);
		pf_watching_ended(agent, held);
		if (pf_ledger_forget(agent->ledger, held->uuid, &err) < 0)
			pf_log(LOG_WARNING, "guest '%s': %s", held->name ?: held->uuid, err.text);
		pf_held_clear(held);
		agent->held[i] = agent->held[--agent->held_count];
		agent->held[agent->held_count] = (struct pf_held){};
	}
}

static void match(struct pf_agent *agent, const struct pf_guest *guest)
{
	struct pf_held *held = find_uuid(agent, guest->uuid) ?: add_held(agent, guest);

	if (!held || renew(agent, held, guest) < 0)
		pf_log(LOG_ERR, "guest '%s': out of memory, not held until the next pass", guest->name);
}

static void match_all(struct pf_agent *agent)
{
	for (size_t i = 0; i < agent->held_count; i++)
		agent->held[i].present = false;
	for (size_t i = 0; i < agent->guests.count; i++)
		match(agent, &agent->guests.items[i]);
}

/* What libvirt says of some guests, into agent->guests: @news keeps the UUIDs, to find them by. */
static void take_some(struct pf_agent *agent, struct pf_libvirt_news *news)
{
	for (size_t i = 0; i < news->gone_count; i++)
		pf_guests_remove(&agent->guests, news->gone[i]);
	for (size_t i = 0; i < news->guests.count; i++) {
		struct pf_guest *guest = &news->guests.items[i];
		char uuid[sizeof(guest->uuid)];

		memcpy(uuid, guest->uuid, sizeof(uuid));
		if (pf_guests_put(&agent->guests, guest) < 0)
			pf_log(LOG_ERR, "guest '%s': out of memory, not held until the next pass",
			       guest->name);
		memcpy(guest->uuid, uuid, sizeof(uuid));
	}
}

/* Return: whether there was news; @news to be cleared then. */
static bool take_news(struct pf_agent *agent, struct pf_libvirt_news *news)
{
	if (!pf_libvirt_take(agent->libvirt, news))
		return false;
	pf_report_promises(agent, &agent->guests, &news->guests);
	agent->answered = news->ticket;
	if (news->all) {
		pf_guests_clear(&agent->guests);
		agent->guests = news->guests;
		news->guests = (struct pf_guests){};
		agent->known = true;
	} else {
		take_some(agent, news);
	}
	return true;
}

/*
 * Only what is told is in doubt; where something may not have been told, all is, as while a thread
 * is at it. To be decided before anything is read, so that what happens meanwhile counts for the
 * next look.
 */
static void doubt(struct pf_agent *agent, struct pf_held *held)
{
	if (held->view.known && !held->job && pf_watching_tells_all(agent, held))
		return;
	pf_view_doubt_all(&held->view);
	pf_watching_looking(agent, held);
	held->swept_usec = pf_now_usec();
}

static void look_at(struct pf_agent *agent, struct pf_held *held, const struct pf_guest *guest)
{
	const struct pf_unit_words words = {pf_unit_allowed, pf_unit_get, agent->bus};
	const struct pf_pass pass = {
		.config = &agent->config,
		.host = &agent->host,
		.guests = &agent->guests,
		.cgroup = agent->cgroup,
		.root = agent->root,
		.view = &held->view,
		.words = agent->bus ? &words : NULL,
		.brought_back = pf_ledger_brought_back(agent->ledger, guest->uuid),
		.operators_mode = held->has_mode ? &held->mode : NULL,
		.no_guard = pf_guarding_refusal(agent),
		.seen = pf_watching_guest,
		.ctx = agent,
	};
	struct pf_guest_status status;
	struct pf_plan plan;
	struct pf_err err;
	int r;

	doubt(agent, held);
	r = pf_pass_guest(&pass, guest, &plan, &status, &err);
	if (r == -ESRCH) {
		held->present = false;
		return;
	}
	if (r < 0) {
		pf_log(LOG_ERR, "%s", err.text);
		return;
	}
	pf_plan_clear(&held->plan);
	pf_guest_status_clear(&held->status);
	held->plan = plan;
	held->status = status;
	pf_held_note(held, pf_now_usec());
}

static void look(struct pf_agent *agent)
{
	pf_cpus_refresh(agent);
	match_all(agent);
	for (size_t i = 0; i < agent->guests.count; i++) {
		struct pf_held *held = find_uuid(agent, agent->guests.items[i].uuid);

		if (!held)
			continue;
		pf_view_doubt_all(&held->view);
		look_at(agent, held, &agent->guests.items[i]);
	}
	drop_absent(agent);
}

static const struct pf_guest *guest_of(const struct pf_agent *agent, const struct pf_held *held)
{
	return pf_guests_find(&agent->guests, held->uuid);
}

/* Carries the plan out and looks again: only what is read back counts. */
static void carry_out(struct pf_agent *agent, struct pf_held *held)
{
	const struct pf_guest *guest = guest_of(agent, held);

	pf_carry_out(agent, held);
	pf_view_doubt_plan(&held->view, &held->plan);
	if (guest)
		look_at(agent, held, guest);
}

static void ask(struct pf_agent *agent, struct pf_held *held)
{
	held->ticket = pf_libvirt_refresh(agent->libvirt, held->uuid);
	held->ticket_asked_usec = pf_now_usec();
	held->ticket_deadline_usec = pf_now_usec() + agent->config.libvirt_timeout_usec;
}

/* One guest's turn. Return: when to look again (us), 0 for no time in particular. */
static uint64_t take_turn(struct pf_agent *agent, struct pf_held *held)
{
	uint64_t when = 0;

	if (held->plan.count)
		pf_watching_catch_up(agent); /* who did it */
	/* At most: ask, apply what is certain, apply the rest or wait; then wait or nothing. */
	for (int i = 0; i < 4; i++) {
		held->pages_move = pf_carry_pages_move(agent);
		switch (pf_held_turn(held, agent->answered, pf_now_usec(), &when)) {
		case PF_TURN_NOTHING:
		case PF_TURN_WAIT:
			return when;
		case PF_TURN_ASK:
			ask(agent, held);
			break;
		case PF_TURN_APPLY:
			if (!pf_carry_has_room(agent))
				return pf_now_usec() + CROWD_USEC;
			carry_out(agent, held);
			break;
		}
	}
	return pf_now_usec() + AGAIN_USEC; /* undone while it was done */
}

/* Wakes the loop when the first guest is due. */
static void set_wake(struct pf_agent *agent)
{
	uint64_t when = 0;

	for (size_t i = 0; i < agent->held_count; i++) {
		uint64_t due = agent->held[i].due_usec;

		if (due && (!when || due < when))
			when = due;
	}
	if (!agent->wake)
		return;
	if (!when) {
		sd_event_source_set_enabled(agent->wake, SD_EVENT_OFF);
		return;
	}
	sd_event_source_set_time(agent->wake, when);
	sd_event_source_set_enabled(agent->wake, SD_EVENT_ONESHOT);
}

/* The end of every pass. */
static void pass_over(struct pf_agent *agent)
{
	drop_absent(agent);
	set_wake(agent);
	pf_watching_passed(agent);
}

/* When to look for the sake of new threads: they may not have had their names in this look. 0: never. */
static uint64_t newcomers_look(const struct pf_held *held)
{
	if (held->newcomer_usec > held->looked_usec)
		return held->newcomer_usec;
	return held->late_name_usec > held->looked_usec ? held->late_name_usec : 0;
}

/*
 * What keeps CPUs from a guest may be a word to systemd, and no hook hears when that is taken back: it
 * is asked for again and again.
 */
static void turn(struct pf_agent *agent, struct pf_held *held)
{
	uint64_t when = pf_earlier(take_turn(agent, held), newcomers_look(held));

	if (agent->bus && held->view.held_back)
		when = pf_earlier(when, pf_now_usec() + WORD_EVERY_USEC);
	held->due_usec = when;
	pf_tell_state(held);
}

static void pass_over_all(struct pf_agent *agent)
{
	look(agent);
	pf_watching_looked(agent);
	for (size_t i = 0; i < agent->held_count; i++)
		if (agent->held[i].present)
			turn(agent, &agent->held[i]);
	pass_over(agent);
}

void pf_reconcile(struct pf_agent *agent)
{
	struct pf_libvirt_news news;

	if (take_news(agent, &news))
		pf_libvirt_news_clear(&news);
	pass_over_all(agent);
}

/* At what is in doubt of the guest. */
static void look_again(struct pf_agent *agent, struct pf_held *held)
{
	const struct pf_guest *guest = guest_of(agent, held);

	held->woken = false;
	held->due_usec = 0;
	if (!guest || !held->present)
		return;
	look_at(agent, held, guest);
	if (held->present)
		turn(agent, held);
}

/* At all of it. */
static void look_anew(struct pf_agent *agent, struct pf_held *held)
{
	pf_view_doubt_all(&held->view);
	look_again(agent, held);
}

static void pass_over_some(struct pf_agent *agent, const struct pf_libvirt_news *news)
{
	for (size_t i = 0; i < news->gone_count; i++) {
		struct pf_held *held = find_uuid(agent, news->gone[i]);

		if (held && !guest_of(agent, held))
			held->present = false;
	}
	for (size_t i = 0; i < news->guests.count; i++) {
		const struct pf_guest *guest =
			pf_guests_find(&agent->guests, news->guests.items[i].uuid);
		struct pf_held *held;

		if (!guest)
			continue;
		match(agent, guest);
		held = find_uuid(agent, guest->uuid);
		if (held)
			look_again(agent, held);
	}
	pass_over(agent);
}

/* Of all guests, those of which libvirt says something else than before. */
static void pass_over_changed(struct pf_agent *agent)
{
	match_all(agent);
	for (size_t i = 0; i < agent->held_count; i++)
		if (agent->held[i].woken)
			look_again(agent, &agent->held[i]);
	pass_over(agent);
}

bool pf_reconcile_news(struct pf_agent *agent)
{
	struct pf_libvirt_news news;
	bool all;

	if (!take_news(agent, &news))
		return false;
	all = news.all && !pf_watching_sees_all(agent);
	if (all)
		pass_over_all(agent);
	else if (news.all)
		pass_over_changed(agent);
	else
		pass_over_some(agent, &news);
	pf_libvirt_news_clear(&news);
	return all;
}

uint64_t pf_reconcile_sweep_usec(const struct pf_agent *agent)
{
	uint64_t each = agent->config.sweep_usec / (agent->held_count ?: 1);
	uint64_t most = pf_guarding_active(agent) ? SWEEP_GUARDED_USEC : SWEEP_EVERY_USEC;

	return each < most ? each : most;
}

void pf_reconcile_sweep(struct pf_agent *agent)
{
	struct pf_held *oldest = NULL;

	pf_cpus_refresh(agent);
	for (size_t i = 0; i < agent->held_count; i++)
		if (!oldest || agent->held[i].swept_usec < oldest->swept_usec)
			oldest = &agent->held[i];
	if (oldest)
		look_anew(agent, oldest);
	pass_over(agent);
}

void pf_reconcile_guest(struct pf_agent *agent, struct pf_held *held)
{
	look_again(agent, held);
	pass_over(agent);
}

void pf_reconcile_at(struct pf_agent *agent, struct pf_held *held, uint64_t when)
{
	if (!held->due_usec || when < held->due_usec)
		held->due_usec = when;
	set_wake(agent);
}

void pf_reconcile_due(struct pf_agent *agent)
{
	uint64_t now = pf_now_usec();

	for (size_t i = 0; i < agent->held_count; i++)
		if (agent->held[i].due_usec && agent->held[i].due_usec <= now)
			look_anew(agent, &agent->held[i]);
	pass_over(agent);
}

void pf_reconcile_carried(struct pf_agent *agent)
{
	struct pf_held *held;

	while (pf_carry_take(agent, &held))
		if (held)
			look_anew(agent, held);
	/* Its pages may be those that others have waited for. */
	for (size_t i = 0; i < agent->held_count; i++)
		if (agent->held[i].waits_for_pages)
			look_anew(agent, &agent->held[i]);
	pass_over(agent);
}

void pf_reconcile_look(struct pf_agent *agent)
{
	uint64_t now = pf_now_usec();

	look(agent);
	/* What it found is put right in its turn: the answer does not wait for that. */
	for (size_t i = 0; i < agent->held_count; i++) {
		struct pf_held *held = &agent->held[i];

		if (held->plan.count && !held->job && !held->due_usec && !held->released &&
		    held->status.mode != PF_MODE_OBSERVE)
			pf_reconcile_at(agent, held, now);
	}
}

/* A guest that was let go is refused nothing any more, at once. */
static void unguard(struct pf_agent *agent, struct pf_held *held)
{
	const struct pf_guest *guest = guest_of(agent, held);

	pf_view_doubt_all(&held->view); /* our own writes are not told */
	if (guest)
		look_at(agent, held, guest);
	pf_guarding_follow(agent);
}

int pf_reconcile_release(struct pf_agent *agent, struct pf_held *held, struct pf_err *err)
{
	bool again = held->released && !held->not_put_back;
	int r;

	r = pf_ledger_set_released(agent->ledger, held->uuid, true, err);
	if (r < 0)
		return r;
	held->released = true;
	r = pf_carry_back(agent, held, err);
	unguard(agent, held);
	if (!again || r < 0)
		pf_log(LOG_NOTICE, "guest '%s': released; %s", held->name,
		       r < 0 ? err->text
			     : r ? "what was found is put back as soon as the kernel lets it be"
				 : "what was found was put back");
	if (r > 0)
		return 0;
	if (again && !r)
		return pf_fail_plain(err, EALREADY, "guest '%s' is released already", held->name);
	return r;
}

int pf_reconcile_hold(struct pf_agent *agent, struct pf_held *held, struct pf_err *err)
{
	int r;

	if (!held->released)
		return pf_fail_plain(err, EALREADY, "guest '%s' is held already", held->name);
	r = pf_ledger_set_released(agent->ledger, held->uuid, false, err);
	if (r < 0)
		return r;
	held->released = false;
	free(held->not_put_back);
	held->not_put_back = NULL;
	pf_tries_clear(&held->tries);
	held->kept_count = 0; /* what is put right now was our own doing */
	pf_log(LOG_NOTICE, "guest '%s': held again", held->name);
	pf_reconcile(agent);
	return 0;
}

int pf_reconcile_mode(struct pf_agent *agent, struct pf_held *held, const enum pf_mode *mode,
		      struct pf_err *err)
{
	const char *refusal = pf_guarding_refusal(agent);
	int r;

	if (mode && *mode == PF_MODE_GUARD && refusal)
		return pf_fail_plain(err, EOPNOTSUPP, "mode guard is not available: %s", refusal);
	r = pf_ledger_set_mode(agent->ledger, held->uuid, mode, err);
	if (r < 0)
		return r;
	held->has_mode = mode != NULL;
	held->mode = mode ? *mode : PF_MODE_OBSERVE;
	pf_held_supersede(held);
	pf_log(LOG_NOTICE, "guest '%s': an operator chose mode %s", held->name,
	       mode ? pf_mode_name(*mode) : "default");
	pf_reconcile(agent);
	return 0;
}
