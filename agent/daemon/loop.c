// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/loop.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "agent/audit/store.h"
#include "agent/base/cleanup.h"
#include "agent/base/log.h"
#include "agent/daemon/answer.h"
#include "agent/daemon/carry.h"
#include "agent/daemon/reconcile.h"
#include "agent/daemon/report.h"
#include "agent/daemon/tell.h"
#include "agent/daemon/watching.h"
#include "agent/source/config_file.h"

#define ONCE_USEC UINT64_C(30000000)

static void say_status(const struct pf_agent *agent)
{
	sd_notifyf(0, "STATUS=%zu guest%s", agent->held_count, agent->held_count == 1 ? "" : "s");
}

/* Until all guests are looked at, or, where that is a safety net only, one of them. */
static void wait_interval(struct pf_agent *agent)
{
	sd_event_source_set_time_relative(agent->interval,
					  pf_watching_sees_all(agent)
						  ? pf_reconcile_sweep_usec(agent)
						  : agent->config.interval_usec);
	sd_event_source_set_enabled(agent->interval, SD_EVENT_ONESHOT);
}

static void pass(struct pf_agent *agent)
{
	pf_reconcile(agent);
	wait_interval(agent);
	say_status(agent);
}

static int on_snapshot(sd_event_source *source, int fd, uint32_t events, void *ctx)
{
	struct pf_agent *agent = ctx;
	size_t count = agent->held_count;

	(void)source, (void)fd, (void)events;
	if (pf_reconcile_news(agent) || agent->held_count != count)
		wait_interval(agent);
	if (agent->held_count != count)
		say_status(agent);
	return 0;
}

static int on_time(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct pf_agent *agent = ctx;

	(void)source, (void)usec;
	if (!pf_watching_sees_all(agent)) {
		pass(agent);
		return 0;
	}
	pf_watching_catch_up(agent); /* a net for records, too */
	pf_reconcile_sweep(agent);
	wait_interval(agent);
	return 0;
}

static int on_wake(sd_event_source *source, uint64_t usec, void *ctx)
{
	(void)source, (void)usec;
	pf_reconcile_due(ctx);
	return 0;
}

static int on_record_news(sd_event_source *source, int fd, uint32_t events, void *ctx)
{
	(void)source, (void)fd, (void)events;
	pf_report_news(ctx);
	return 0;
}

static int on_carried(sd_event_source *source, int fd, uint32_t events, void *ctx)
{
	(void)source, (void)fd, (void)events;
	pf_reconcile_carried(ctx);
	return 0;
}

static bool same(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

/* What is opened once cannot change under a running agent. */
static bool needs_restart(const struct pf_config *old, const struct pf_config *new)
{
	return !same(old->uri, new->uri) || !same(old->libvirt_state_dir, new->libvirt_state_dir) ||
	       !same(old->state_dir, new->state_dir) || !same(old->pin_path, new->pin_path) ||
	       !same(old->socket, new->socket) ||
	       !same(old->socket_group, new->socket_group) || old->others_read != new->others_read ||
	       !same(old->audit_path, new->audit_path);
}

/* The other's goes with it. */
static void swap_text(char **a, char **b)
{
	char *text = *a;

	*a = *b;
	*b = text;
}

static void reload(struct pf_agent *agent)
{
	struct pf_config config;
	struct pf_err err;

	if (pf_config_load(agent->config_path, agent->config_must_exist, &config, &err) < 0) {
		pf_log(LOG_ERR, "configuration not reloaded, the one in force stays: %s", err.text);
		pf_report_agent(agent, PF_EVENT_OPERATOR, "configuration not reloaded: %s",
				err.text);
		return;
	}
	if (needs_restart(&agent->config, &config))
		pf_log(LOG_WARNING, "paths, the libvirt URI and the socket's settings of the new "
				    "configuration count after a restart");
	agent->config.mode = config.mode;
	agent->config.isolation = config.isolation;
	agent->config.unpinned = config.unpinned;
	agent->config.shares_scale = config.shares_scale;
	agent->config.interval_usec = config.interval_usec;
	agent->config.sweep_usec = config.sweep_usec;
	agent->config.when_dead = config.when_dead;
	swap_text(&agent->config.guard_allow, &config.guard_allow);
	agent->config.libvirt_timeout_usec = config.libvirt_timeout_usec;
	agent->config.log_level = config.log_level;
	agent->config.audit_max_age_usec = config.audit_max_age_usec;
	agent->config.audit_max_size_bytes = config.audit_max_size_bytes;
	agent->config.audit_journal = config.audit_journal;
	pf_report_configure(agent);
	pf_log_set_level(config.log_level);
	pf_config_clear(&config);
	pf_log(LOG_INFO, "configuration reloaded");
	pf_report_agent(agent, PF_EVENT_OPERATOR, "configuration reloaded: %s", agent->config_path);
}

static int on_hangup(sd_event_source *source, const struct signalfd_siginfo *info, void *ctx)
{
	struct pf_agent *agent = ctx;

	(void)source, (void)info;
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, pf_now_usec());
	reload(agent);
	pass(agent);
	sd_notify(0, "READY=1");
	return 0;
}

static int on_stop(sd_event_source *source, const struct signalfd_siginfo *info, void *ctx)
{
	struct pf_agent *agent = ctx;

	(void)source;
	sd_notify(0, "STOPPING=1");
	pf_report_agent(agent, PF_EVENT_STOP, "pinfoldd %s stops by signal %u from process %u",
			PF_VERSION, info->ssi_signo, info->ssi_pid);
	return sd_event_exit(agent->event, 0);
}

int pf_loop_block_signals(void)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	return sigprocmask(SIG_BLOCK, &signals, NULL) < 0 ? -errno : 0;
}

static int add_sources(struct pf_agent *agent)
{
	int r;

	r = sd_event_add_io(agent->event, NULL, pf_libvirt_fd(agent->libvirt), POLLIN, on_snapshot,
			    agent);
	if (r >= 0)
		r = sd_event_add_io(agent->event, NULL, pf_audit_fd(agent->audit), EPOLLIN,
				    on_record_news, agent);
	if (r >= 0)
		r = sd_event_add_io(agent->event, NULL, pf_workers_fd(agent->workers), EPOLLIN,
				    on_carried, agent);
	if (r >= 0)
		r = sd_event_add_time_relative(agent->event, &agent->interval, CLOCK_MONOTONIC,
					       agent->config.interval_usec, 0, on_time, agent);
	if (r >= 0)
		r = sd_event_add_time(agent->event, &agent->wake, CLOCK_MONOTONIC, 0, 1, on_wake,
				      agent);
	if (r >= 0)
		r = sd_event_source_set_enabled(agent->wake, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_signal(agent->event, NULL, SIGHUP, on_hangup, agent);
	if (r >= 0)
		r = sd_event_add_signal(agent->event, NULL, SIGTERM, on_stop, agent);
	if (r >= 0)
		r = sd_event_add_signal(agent->event, NULL, SIGINT, on_stop, agent);
	if (r >= 0)
		r = sd_event_set_watchdog(agent->event, true);
	return r < 0 ? r : 0;
}

int pf_loop_run(struct pf_agent *agent, struct pf_err *err)
{
	int r = pf_carry_start(agent, err);

	if (r < 0)
		return r;
	r = sd_event_new(&agent->event);
	if (r >= 0)
		r = add_sources(agent);
	if (r < 0)
		return pf_fail(err, r, "set up the event loop");
	r = pf_watching_start(agent, err);
	if (r < 0)
		return r;
	r = pf_api_new(&agent->config, agent->event, &pf_answer_ops, agent, &agent->api, err);
	if (r < 0)
		return r;
	pf_log(LOG_INFO, "pinfoldd %s: ready, mode %s", PF_VERSION,
	       pf_mode_name(agent->config.mode));
	pf_report_agent(agent, PF_EVENT_START, "pinfoldd %s, mode %s", PF_VERSION,
			pf_mode_name(agent->config.mode));
	sd_notify(0, "READY=1");
	r = sd_event_loop(agent->event);
	return r < 0 ? pf_fail(err, r, "run the event loop") : 0;
}

/* Waits for a snapshot until @deadline. Return: whether one may be there. */
static bool wait_snapshot(struct pf_agent *agent, uint64_t deadline)
{
	struct pollfd poll_fd = {.fd = pf_libvirt_fd(agent->libvirt), .events = POLLIN};
	uint64_t now = pf_now_usec();

	if (now >= deadline)
		return false;
	/* At most 0.2 s at a time: a guest's own waiting times run meanwhile. */
	poll(&poll_fd, 1, deadline - now > 200000 ? 200 : (int)((deadline - now) / 1000) + 1);
	return true;
}

static size_t unheld(const struct pf_agent *agent)
{
	size_t count = 0;

	for (size_t i = 0; i < agent->held_count; i++) {
		const struct pf_held *held = &agent->held[i];

		count += held->plan.count && !held->released &&
			 held->status.mode != PF_MODE_OBSERVE;
	}
	return count;
}

int pf_loop_once(struct pf_agent *agent, struct pf_err *err)
{
	uint64_t deadline = pf_now_usec() + ONCE_USEC;

	do
		pf_reconcile(agent);
	while ((!agent->known || unheld(agent)) && wait_snapshot(agent, deadline));
	if (!agent->known) {
		pf_auto_free char *state = pf_tell_libvirt(agent);

		return pf_fail_plain(err, ETIMEDOUT, "libvirt did not answer within 30 s: %s",
				     state ?: "");
	}
	return unheld(agent) ? 1 : 0;
}
