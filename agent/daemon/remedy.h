/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which step of a plan is the remedy of which act. */
#pragma once

#include "agent/daemon/acts.h"
#include "agent/model/plan.h"

/* How near an act is to a step that may be its remedy. */
enum pf_rank {
	PF_RANK_NONE,
	PF_RANK_HOST,  /* a CPU went or came */
	PF_RANK_ABOVE, /* the guest, or a group above */
	PF_RANK_LEAF,
	PF_RANK_SAME, /* that thread, that knob */
};

/* By what was written or moved and what the step changes alone; of time and doers the caller knows. */
enum pf_rank pf_remedy_rank(const struct pf_act *act, const struct pf_step *step);
