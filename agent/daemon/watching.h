/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The eBPF half of the running agent: what the programs see wakes a pass over the guest concerned
 * and becomes events. Without eBPF the agent goes on by polling, and says so.
 */
#pragma once

#include "agent/daemon/agent.h"
#include "agent/model/actual.h"
#include "agent/model/event.h"
#include "agent/model/placement.h"

/*
 * Loads or adopts the programs. Where the kernel refuses them, that is said once in the log and in
 * every status; it is no error. Return: 0, or -errno when the event loop could not be set up.
 */
int pf_watching_start(struct pf_agent *agent, struct pf_err *err);

void pf_watching_stop(struct pf_agent *agent);

/* Whether every change that counts is told, so that looking is only a safety net. */
bool pf_watching_sees_all(const struct pf_agent *agent);

/*
 * Whether every act on this guest since its last look was told: what is not in doubt of its view is
 * as it was.
 */
bool pf_watching_tells_all(const struct pf_agent *agent, const struct pf_held *held);

/* All of the guest is about to be read. */
void pf_watching_looking(struct pf_agent *agent, const struct pf_held *held);

/* The host was read anew, before its guests are. */
void pf_watching_host(struct pf_agent *agent);

/* As pf_pass.seen: what a guest should look like and does. */
void pf_watching_guest(const struct pf_placement *placement, const struct pf_actual *actual,
		       void *agent);

/*
 * All guests have been looked at and nothing is put right yet. Records name guests by what is found
 * then, so the first time begins to read those that a former agent left.
 */
void pf_watching_looked(struct pf_agent *agent);

/* After passes: the kernel's view follows. */
void pf_watching_passed(struct pf_agent *agent);

/* Takes in what waits in the ring: before a repair, so that its cause is known. */
void pf_watching_catch_up(struct pf_agent *agent);

/* A plan was carried out: tells each act that it has put right, with the latency. */
void pf_watching_repaired(struct pf_agent *agent, struct pf_held *held,
			  const struct pf_outcome *outcomes, size_t count);

/* A fight over @step begins: @doer (or NULL) undoes it again and again, @text says so. */
void pf_watching_fight(struct pf_agent *agent, const struct pf_held *held,
		       const struct pf_step *step, const struct pf_event *doer, const char *text);

/* The guest has ended, or was started anew: what is kept of it is told. */
void pf_watching_ended(struct pf_agent *agent, struct pf_held *held);

/* Logs and records a copy of @event, of a guest or, where @held is NULL, of the agent itself. */
void pf_watching_tell(struct pf_agent *agent, const struct pf_held *held, struct pf_event *event);

/* The guest with that UUID, among those that are held; NULL for none or a NULL @uuid. */
struct pf_held *pf_watching_find(struct pf_agent *agent, const char *uuid);

/* For those that tell events by a callback: pf_watching_tell() to the guest of a struct pf_teller. */
struct pf_teller {
	struct pf_agent *agent;
	struct pf_held *held;
};
void pf_watching_tell_by(struct pf_event *event, void *teller);
