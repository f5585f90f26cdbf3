/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the agent writes into its record. Every event of the agent goes through here. */
#pragma once

#include "agent/daemon/agent.h"
#include "agent/model/event.h"

/* Opens the record of agent->config. Return: 0 or -errno with words. */
int pf_report_open(struct pf_agent *agent, struct pf_err *err);

/* Stores what is queued and closes the record; logs what could not be kept. */
void pf_report_close(struct pf_agent *agent);

/* After a reload: retention and journal follow agent->config. */
void pf_report_configure(struct pf_agent *agent);

/* Logs what the record has to say of itself: a file set aside, a disk without room. */
void pf_report_news(struct pf_agent *agent);

/*
 * Adds @event, which is taken over and zeroed. Its guest is @held's, or as it stands for NULL.
 */
void pf_report_event(struct pf_agent *agent, const struct pf_held *held, struct pf_event *event);

/* The agent itself: started, stopped, configuration reloaded. @fmt: the detail; NULL for none. */
void pf_report_agent(struct pf_agent *agent, enum pf_event_cause cause, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* An operator's word on @held through the API: hold, release, mode. @who: the client. */
void pf_report_operator(struct pf_agent *agent, const struct pf_held *held,
			const struct pf_peer *who, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Compares libvirt's newest word on guests with the one before: a policy event for each change. */
void pf_report_promises(struct pf_agent *agent, const struct pf_guests *old,
			const struct pf_guests *new);
