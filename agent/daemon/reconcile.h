/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When a pass is run, and what is done with its result. */
#pragma once

#include "agent/daemon/agent.h"

/*
 * Takes libvirt's newest word, passes over every guest, carries out the plans whose turn it is,
 * and sets @agent->wake to the next time a guest waits for. Says in the log what changed.
 */
void pf_reconcile(struct pf_agent *agent);

/*
 * Takes libvirt's newest word, if there is one, and passes over the guests that it is about; where
 * it is about all and every change is told besides, over those of which it says something new.
 * Return: whether it was over all.
 */
bool pf_reconcile_news(struct pf_agent *agent);

/*
 * The safety net where every change is told: reads all of the guest of which that was done longest
 * ago, and takes its turn.
 * To be called every pf_reconcile_sweep_usec() (us), which keeps to [agent] sweep.
 */
void pf_reconcile_sweep(struct pf_agent *agent);
uint64_t pf_reconcile_sweep_usec(const struct pf_agent *agent);

/* Passes over one guest alone and takes its turn. */
void pf_reconcile_guest(struct pf_agent *agent, struct pf_held *held);

/* Does so at @when (CLOCK_MONOTONIC, us), or earlier. */
void pf_reconcile_at(struct pf_agent *agent, struct pf_held *held, uint64_t when);

/* Does so for the guests whose time has come. */
void pf_reconcile_due(struct pf_agent *agent);

/* Takes in what took long to carry out and has ended, and goes on with the guests concerned. */
void pf_reconcile_carried(struct pf_agent *agent);

/* Passes over every guest without writing anything: what status and plan answer with. */
void pf_reconcile_look(struct pf_agent *agent);

/* The guest of that name or UUID, or NULL. */
struct pf_held *pf_reconcile_find(struct pf_agent *agent, const char *guest);

/*
 * Lets go of a guest: puts back what was found and leaves it alone until pf_reconcile_hold() or
 * its end. Where that has to wait in the kernel it goes on after this returns, and the log and the
 * status say so. What could not be put back is tried again by another call. Return: 0; -EALREADY when
 * there was nothing left to put back; or the errno of the first thing that could not be put back
 * (the rest was, and the guest is released).
 */
int pf_reconcile_release(struct pf_agent *agent, struct pf_held *held, struct pf_err *err);

/* Holds a released guest again, now. Return: 0, -EALREADY, or -errno. */
int pf_reconcile_hold(struct pf_agent *agent, struct pf_held *held, struct pf_err *err);

/*
 * Puts the guest into a mode until it ends, whatever its metadata says; @mode NULL gives it back
 * its own. In force when this returns. Return: 0; -EOPNOTSUPP where the host has no guard; -errno.
 */
int pf_reconcile_mode(struct pf_agent *agent, struct pf_held *held, const enum pf_mode *mode,
		      struct pf_err *err);
