// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/apply/apply.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/apply/ledger.h"
#include "agent/apply/note.h"
#include "agent/apply/step.h"
#include "agent/base/cleanup.h"

/* A later plan will say what is still to be done. */
#define SUPERSEDED "the guest has ended or its promise has changed meanwhile"

const char *pf_outcome_name(enum pf_outcome_result result)
{
	static const char *const names[] = {"not run", "done", "skipped", "failed", "undone"};

	return names[result];
}

static void clear_results(struct pf_run *run)
{
	for (size_t i = 0; run->undos && i < run->plan.count; i++)
		pf_undo_clear(&run->undos[i]);
	free(run->undos);
	free(run->outcomes);
}

static int make_results(struct pf_run *run)
{
	/* one more than needed: calloc(0) may answer NULL */
	run->outcomes = calloc(run->plan.count + 1, sizeof(*run->outcomes));
	run->undos = calloc(run->plan.count + 1, sizeof(*run->undos));
	run->at = run->plan.count;
	return run->outcomes && run->undos ? 0 : -ENOMEM;
}

int pf_run_new(struct pf_plan *plan, struct pf_run **out)
{
	struct pf_run *run = calloc(1, sizeof(*run));

	if (!run)
		return -ENOMEM;
	run->plan = *plan;
	if (make_results(run) < 0) {
		clear_results(run);
		free(run);
		return -ENOMEM;
	}
	*plan = (struct pf_plan){};
	*out = run;
	return 0;
}

void pf_run_free(struct pf_run **run)
{
	if (!*run)
		return;
	clear_results(*run);
	pf_plan_clear(&(*run)->plan);
	free(*run);
	*run = NULL;
}

/* Takes back the steps [first, failed), the last one first. */
static void undo_act(struct pf_apply *apply, struct pf_run *run, size_t first, size_t failed)
{
	for (size_t i = failed; i-- > first;) {
		struct pf_outcome *outcome = &run->outcomes[i];

		if (outcome->result != PF_OUTCOME_DONE)
			continue;
		if (pf_step_undo(apply, &run->plan.steps[i], &run->undos[i], &outcome->err)) {
			outcome->result = PF_OUTCOME_FAILED;
			pf_wrap(&outcome->err,
				"done, and could not be undone when a later step failed");
			continue;
		}
		outcome->result = PF_OUTCOME_UNDONE;
		pf_fail_plain(&outcome->err, 0, "undone, because a later step failed");
	}
}

static void leave_out(struct pf_run *run, size_t first, size_t end, const char *why)
{
	for (size_t i = first; i < end; i++)
		pf_fail_plain(&run->outcomes[i].err, 0, "not run, because %s", why);
}

static size_t act_end(const struct pf_plan *plan, size_t first)
{
	size_t end = first + 1;

	while (end < plan->count && plan->steps[end].act == plan->steps[first].act)
		end++;
	return end;
}

/* What the rest of the plan builds on: without its groups and the process in them, all fails. */
static bool is_foundation(const struct pf_step *step)
{
	return step->kind == PF_STEP_MAKE_UNIT || step->kind == PF_STEP_MAKE_BASE ||
	       step->kind == PF_STEP_BRING_BACK;
}

/* Whether the rest has nothing to stand on: the act failed, or was put off. */
static bool has_collapsed(const struct pf_run *run, size_t first, size_t end)
{
	bool foundation = false, failed = run->plan.steps[first].put_off;

	for (size_t i = first; i < end; i++) {
		foundation |= is_foundation(&run->plan.steps[i]);
		failed |= run->outcomes[i].result == PF_OUTCOME_FAILED;
	}
	return foundation && failed;
}

static void run_act(struct pf_apply *apply, struct pf_run *run, size_t first, size_t end)
{
	if (run->plan.steps[first].put_off) {
		leave_out(run, first, end, "its time has not come");
		return;
	}
	for (size_t i = first; i < end; i++) {
		if (run->superseded) {
			leave_out(run, i, end, SUPERSEDED);
			return;
		}
		run->at = i;
		pf_step_run(apply, &run->plan, &run->plan.steps[i], &run->undos[i],
			    &run->outcomes[i]);
		if (run->outcomes[i].result != PF_OUTCOME_FAILED)
			continue;
		undo_act(apply, run, first, i);
		leave_out(run, i + 1, end, "an earlier step failed");
		return;
	}
}

void pf_apply_run(struct pf_apply *apply, struct pf_run *run)
{
	size_t i = 0, end;

	for (; i < run->plan.count && !run->superseded; i = end) {
		end = act_end(&run->plan, i);
		run_act(apply, run, i, end);
		if (has_collapsed(run, i, end)) {
			leave_out(run, end, run->plan.count, "the process is not in its place");
			end = run->plan.count;
		}
	}
	leave_out(run, i, run->plan.count, SUPERSEDED);
	for (i = 0; i < run->plan.count; i++)
		pf_undo_clear(&run->undos[i]);
	run->at = run->plan.count;
}

int pf_apply_begin(struct pf_apply *apply, struct pf_run *run)
{
	/* Without memory to note what is found it would be lost for good; the next pass comes. */
	if (apply->ledger && run->plan.count &&
	    pf_note_before(apply->ledger, apply->cg, &run->plan, &run->ledger_err) == -ENOMEM)
		return -ENOMEM;
	return 0;
}

void pf_apply_end(struct pf_apply *apply, struct pf_run *run)
{
	if (apply->ledger && run->plan.count)
		pf_note_after(apply->ledger, apply->cg, &run->plan, run->outcomes,
			      &run->ledger_err);
}

int pf_apply_plan(struct pf_apply *apply, const struct pf_plan *plan, struct pf_outcome **outcomes,
		  size_t *count)
{
	PF_CLEANUP(clear_results) struct pf_run run = {.plan = *plan}; /* which stays the caller's */
	int r = make_results(&run);

	apply->ledger_err = (struct pf_err){};
	r = r ?: pf_apply_begin(apply, &run);
	if (!r) {
		pf_apply_run(apply, &run);
		pf_apply_end(apply, &run);
		*count = plan->count;
		*outcomes = pf_take_ptr(run.outcomes);
	}
	apply->ledger_err = run.ledger_err;
	return r;
}
