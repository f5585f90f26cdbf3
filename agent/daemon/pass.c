// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/pass.h"

#include <errno.h>

#include "agent/base/cleanup.h"
#include "agent/base/log.h"
#include "agent/desired/desired.h"
#include "agent/diff/diff.h"
#include "agent/observe/read.h"
#include "agent/source/proc.h"

/* Without an answer what stands in the unit's knobs is left as it is. */
static void ask_unit(const struct pf_pass *pass, const struct pf_placement *placement,
		     struct pf_actual *actual)
{
	struct pf_err err;

	if (!pass->words || !placement->unit || actual->word.known ||
	    !pf_actual_asks_unit(placement, actual))
		return;
	if (pass->words->told(pass->words->ctx, placement->unit, &actual->word, &err) < 0)
		pf_log(LOG_WARNING, "guest '%s': %s", placement->name, err.text);
}

static int compare(const struct pf_pass *pass, const struct pf_guest *guest, struct pf_plan *plan,
		   struct pf_guest_status *status, struct pf_err *err)
{
	PF_CLEANUP(pf_placement_clear) struct pf_placement placement = {};
	PF_CLEANUP(pf_actual_clear) struct pf_actual actual = {};
	int r;

	r = pf_desire(pass->host, pass->guests, guest, pass->config, &placement);
	if (r < 0)
		return pf_fail(err, r, "guest '%s': work out its placement", guest->name);
	r = pf_observe_doubted(pass->cgroup, &placement, pass->view, &actual, err);
	r = r ?: pf_observe_above(pass->cgroup, pass->words, &placement, &actual, err);
	if (r < 0)
		return r;
	ask_unit(pass, &placement, &actual);
	r = pf_diff(pass->host, &placement, &actual, plan, status);
	if (r < 0)
		return pf_fail(err, r, "guest '%s': compare it with its placement", guest->name);
	if (pass->view)
		pf_view_keep(pass->view, guest, &placement, &actual);
	if (pass->seen)
		pass->seen(&placement, &actual, pass->ctx);
	return 0;
}

/* The operator's word counts before the guest's; the host's limits before both. */
static int decide_mode(const struct pf_pass *pass, struct pf_guest *guest)
{
	struct pf_guest_policy *policy = &guest->promise.policy;
	int r = 0;

	if (pass->operators_mode) {
		policy->has_mode = true;
		policy->mode = *pass->operators_mode;
		r = pf_findings_add(&guest->findings, PF_FINDING_NOTE,
				    "an operator chose mode %s; `pinfold mode GUEST default` gives "
				    "the guest back its own",
				    pf_mode_name(policy->mode));
	}
	if (r < 0 || !pass->no_guard ||
	    (policy->has_mode ? policy->mode : pass->config->mode) != PF_MODE_GUARD)
		return r;
	policy->has_mode = true;
	policy->mode = PF_MODE_ENFORCE;
	return pf_findings_add(&guest->findings, PF_FINDING_NOTE,
			       "mode guard is not available: %s; the guest is held in mode "
			       "enforce: foreign changes are put right, not refused",
			       pass->no_guard);
}

/* Threads and place of the process: as they were seen, where nothing puts that in doubt. */
static int fill(const struct pf_pass *pass, struct pf_guest *guest, struct pf_err *err)
{
	if (pass->view && pf_view_recall_guest(pass->view, guest))
		return pf_proc_tell(pass->root, guest, err);
	return pf_proc_fill(pass->root, guest, err);
}

static int pass_over(const struct pf_pass *pass, const struct pf_guest *guest, struct pf_plan *plan,
		     struct pf_guest_status *status, struct pf_err *err)
{
	PF_CLEANUP(pf_guest_clear) struct pf_guest now = {};
	int r;

	r = pf_guest_copy(&now, guest);
	if (r < 0)
		return pf_fail(err, r, "guest '%s': look at its process", guest->name);
	now.brought_back = pass->brought_back;
	r = fill(pass, &now, err);
	if (r < 0)
		return r == -ENOENT ? -ESRCH : r;
	r = decide_mode(pass, &now);
	if (r < 0)
		return pf_fail(err, r, "guest '%s': decide its mode", guest->name);
	return compare(pass, &now, plan, status, err);
}

int pf_pass_guest(const struct pf_pass *pass, const struct pf_guest *guest, struct pf_plan *plan,
		  struct pf_guest_status *status, struct pf_err *err)
{
	int r;

	*plan = (struct pf_plan){};
	*status = (struct pf_guest_status){};
	r = pass_over(pass, guest, plan, status, err);
	if (r < 0 && pass->view)
		pf_view_doubt_all(pass->view);
	return r;
}
