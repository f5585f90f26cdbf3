/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Carrying out what was planned for a guest. What may have to wait in the kernel is done by a thread
 * of its own (decision 0021): the loop waits for it as long as such a thing usually takes, then goes
 * on with other guests and takes the outcome in when it is there. held->job says that it is.
 */
#pragma once

#include "agent/daemon/agent.h"

/* For the loop: from now on threads are used. Return: 0 or -errno. */
int pf_carry_start(struct pf_agent *agent, struct pf_err *err);

/* Ends what can be ended within a few seconds; the rest is left to the kernel. */
void pf_carry_stop(struct pf_agent *agent);

/*
 * Carries held->plan out, which is used up. Unless held->job is set then, its outcome has been taken
 * in: told, recorded, and held->plan is what was carried out. Only what is read back counts: look.
 */
void pf_carry_out(struct pf_agent *agent, struct pf_held *held);

/* Whether it may be called: not while very many guests wait for the kernel. */
bool pf_carry_has_room(struct pf_agent *agent);

/**
 * pf_carry_back - puts back what was found before the first change
 *
 * Return: 0; 1 when it goes on (held->job is set, and may still be a plan that ends first);
 * otherwise as pf_ledger_release().
 */
int pf_carry_back(struct pf_agent *agent, struct pf_held *held, struct pf_err *err);

/*
 * Takes in a job that has ended after the loop had gone on.
 * Return: whether there was one. @held: whose it was; NULL when that guest has ended.
 */
bool pf_carry_take(struct pf_agent *agent, struct pf_held **held);

/*
 * Whether threads should stay where they are: memory is being moved on our word, and this kernel has
 * a move of threads wait for that with its lock of all groups.
 */
bool pf_carry_pages_move(struct pf_agent *agent);

/* What the guest waits for, a sentence. Return: malloc'ed; NULL: nothing, or out of memory. */
char *pf_carry_words(const struct pf_held *held, uint64_t now_usec);
