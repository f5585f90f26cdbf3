/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What became of the steps of a guest's plans, a memory for each thing that they put right: a knob,
 * a thread's place, its affinity. A step that fails is tried again after 1, 2, 4 ... 60 s. What
 * somebody undoes again and again is a fight: it is put right ever more rarely, at last every 32 s,
 * until it has been left alone for 10 s. Other steps do not wait for either. Pure: time is an
 * argument, CLOCK_MONOTONIC in us.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/model/event.h"
#include "agent/model/finding.h"
#include "agent/model/plan.h"

struct pf_try {
	/* What the step puts right. */
	enum pf_step_kind kind;
	char *group; /* of threads: NULL */
	char *knob;  /* or NULL */
	pid_t tid;
	uint64_t start_ticks;

	unsigned int failures; /* in a row */
	char *why;	       /* the newest one's words */
	unsigned int repairs;  /* that did not last */
	uint64_t repaired_usec;
	uint64_t not_before_usec;
	char *fight; /* a sentence that names the opponent; NULL while there is no fight */
};

struct pf_tries {
	struct pf_try *items;
	size_t count;
};

/* The earliest time at which to run @step; 0: any. */
uint64_t pf_tries_when(const struct pf_tries *tries, const struct pf_step *step);

/* How often in a row @step has failed. */
unsigned int pf_tries_failures(const struct pf_tries *tries, const struct pf_step *step);

/* @step has failed, in the kernel's words. Return: 0 or -ENOMEM. */
int pf_tries_failed(struct pf_tries *tries, const struct pf_step *step, const char *why,
		    uint64_t now_usec);

/**
 * pf_tries_repaired - @step was done and read back
 * @doer: the newest act that it was the remedy of, or NULL when none is known
 * @fight: set to the sentence when this is where a fight begins, else to NULL; stays @tries'
 *
 * Return: 0 or -ENOMEM.
 */
int pf_tries_repaired(struct pf_tries *tries, const struct pf_step *step,
		      const struct pf_event *doer, uint64_t now_usec, const char **fight);

/*
 * After a pass: what @plan does not name is as promised. Failures of it are forgotten, and fights
 * that it has seen the end of.
 */
void pf_tries_looked(struct pf_tries *tries, const struct pf_plan *plan, uint64_t now_usec);

/* When pf_tries_looked() should be called though nothing happens: the next fight's end; 0: never. */
uint64_t pf_tries_next(const struct pf_tries *tries);

bool pf_tries_failing(const struct pf_tries *tries);

/* The sentence of a fight that goes on, or NULL. */
const char *pf_tries_fight(const struct pf_tries *tries);

/* Adds failures and fights, a sentence each. Return: 0 or -ENOMEM. */
int pf_tries_findings(const struct pf_tries *tries, struct pf_findings *out);

void pf_tries_clear(struct pf_tries *tries);
