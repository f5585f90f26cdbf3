// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/apply/apply.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/apply/ledger.h"
#include "agent/apply/note.h"
#include "agent/apply/step.h"
#include "agent/base/cleanup.h"

const char *pf_outcome_name(enum pf_outcome_result result)
{
	static const char *const names[] = {"not run", "done", "skipped", "failed", "undone"};

	return names[result];
}

struct run {
	struct pf_apply *apply;
	const struct pf_plan *plan;
	struct pf_outcome *outcomes;
	struct pf_undo *undos;
};

static void run_clear(struct run *run)
{
	for (size_t i = 0; run->undos && i < run->plan->count; i++)
		pf_undo_clear(&run->undos[i]);
	free(run->undos);
	free(run->outcomes);
}

/* Takes back the steps [first, failed), the last one first. */
static void undo_act(struct run *run, size_t first, size_t failed)
{
	for (size_t i = failed; i-- > first;) {
		struct pf_outcome *outcome = &run->outcomes[i];

		if (outcome->result != PF_OUTCOME_DONE)
			continue;
		if (pf_step_undo(run->apply, &run->plan->steps[i], &run->undos[i], &outcome->err)) {
			outcome->result = PF_OUTCOME_FAILED;
			pf_wrap(&outcome->err,
				"done, and could not be undone when a later step failed");
			continue;
		}
		outcome->result = PF_OUTCOME_UNDONE;
		pf_fail_plain(&outcome->err, 0, "undone, because a later step failed");
	}
}

static void leave_out(struct run *run, size_t first, size_t end, const char *why)
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
static bool has_collapsed(const struct run *run, size_t first, size_t end)
{
	bool foundation = false, failed = run->plan->steps[first].put_off;

	for (size_t i = first; i < end; i++) {
		foundation |= is_foundation(&run->plan->steps[i]);
		failed |= run->outcomes[i].result == PF_OUTCOME_FAILED;
	}
	return foundation && failed;
}

static void run_act(struct run *run, size_t first, size_t end)
{
	if (run->plan->steps[first].put_off) {
		leave_out(run, first, end, "its time has not come");
		return;
	}
	for (size_t i = first; i < end; i++) {
		pf_step_run(run->apply, run->plan, &run->plan->steps[i], &run->undos[i],
			    &run->outcomes[i]);
		if (run->outcomes[i].result != PF_OUTCOME_FAILED)
			continue;
		undo_act(run, first, i);
		leave_out(run, i + 1, end, "an earlier step failed");
		return;
	}
}

static void run_all(struct run *run)
{
	for (size_t i = 0, end; i < run->plan->count; i = end) {
		end = act_end(run->plan, i);
		run_act(run, i, end);
		if (has_collapsed(run, i, end)) {
			leave_out(run, end, run->plan->count, "the process is not in its place");
			return;
		}
	}
}

int pf_apply_plan(struct pf_apply *apply, const struct pf_plan *plan, struct pf_outcome **outcomes,
		  size_t *count)
{
	PF_CLEANUP(run_clear) struct run run = {.apply = apply, .plan = plan};

	apply->ledger_err = (struct pf_err){};
	/* one more than needed: calloc(0) may answer NULL */
	run.outcomes = calloc(plan->count + 1, sizeof(*run.outcomes));
	run.undos = calloc(plan->count + 1, sizeof(*run.undos));
	if (!run.outcomes || !run.undos)
		return -ENOMEM;
	/* Without memory to note what is found it would be lost for good; the next pass comes. */
	if (apply->ledger && plan->count &&
	    pf_note_before(apply->ledger, apply->cg, plan, &apply->ledger_err) == -ENOMEM)
		return -ENOMEM;
	run_all(&run);
	if (apply->ledger && plan->count)
		pf_note_after(apply->ledger, apply->cg, plan, run.outcomes, &apply->ledger_err);
	*count = plan->count;
	*outcomes = pf_take_ptr(run.outcomes);
	return 0;
}
