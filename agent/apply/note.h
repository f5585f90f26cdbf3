/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Keeping the ledger around a plan. Internal to apply/. */
#pragma once

#include "agent/apply/ledger.h"
#include "agent/apply/record.h"
#include "agent/model/plan.h"

/*
 * Records, before a plan is carried out, what it will change and has not been recorded yet, and
 * what it is about to write; one file write. Return: 0 or -errno: the record is in memory at least,
 * as far as it could be made.
 */
int pf_note_before(struct pf_ledger *ledger, struct pf_cgroup *cg, const struct pf_plan *plan,
		   struct pf_err *err);

/* Records what came of it, and drops threads that have ended. */
int pf_note_after(struct pf_ledger *ledger, struct pf_cgroup *cg, const struct pf_plan *plan,
		  const struct pf_outcome *outcomes, struct pf_err *err);

/* ledger.c: a guest's record, read or made; NULL when out of memory or @uuid is none. */
int pf_ledger_record(struct pf_ledger *ledger, const char *uuid, struct pf_record **out,
		     struct pf_err *err);
/* The same if it is in memory, as that of a guest that runs is; else NULL. */
struct pf_record *pf_ledger_known(const struct pf_ledger *ledger, const char *uuid);
int pf_ledger_save(struct pf_ledger *ledger, const struct pf_record *record, struct pf_err *err);
