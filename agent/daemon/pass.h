/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "agent/base/err.h"
#include "agent/model/actual.h"
#include "agent/model/config.h"
#include "agent/model/guest.h"
#include "agent/model/host.h"
#include "agent/model/placement.h"
#include "agent/model/plan.h"
#include "agent/model/status.h"
#include "agent/observe/above.h"
#include "agent/observe/view.h"
#include "cgroup/cgroup.h"

/* What a pass looks at. */
struct pf_pass {
	const struct pf_config *config;
	const struct pf_host *host;
	const struct pf_guests *guests; /* as libvirt told them, without process facts */
	struct pf_cgroup *cgroup;
	int root; /* where /proc is */
	const struct pf_unit_words *words; /* systemd's; NULL without it */
	/* What the guest was seen to be: only what is in doubt of it is read. NULL: all is. */
	struct pf_view *view;
	bool brought_back; /* the guest's groups were made anew by us: pf_ledger_brought_back() */
	const enum pf_mode *operators_mode; /* instead of the guest's own; NULL: none chosen */
	const char *no_guard; /* why changes can't be refused on this host; NULL: they can */
	/* Told what the guest should look like and does; may be NULL. */
	void (*seen)(const struct pf_placement *placement, const struct pf_actual *actual,
		     void *ctx);
	void *ctx;
};

/**
 * pf_pass_guest - source -> desired -> observe -> diff for one of the guests; writes nothing
 * A guest of mode guard on a host that can't refuse is held in mode enforce, and told so.
 * @plan, @status: owned by the caller; zeroed on failure
 *
 * What it has seen is kept in the pass's view; after a failure that knows nothing.
 *
 * Return: 0; -ESRCH when its process is gone; another -errno when it could not be looked at.
 */
int pf_pass_guest(const struct pf_pass *pass, const struct pf_guest *guest, struct pf_plan *plan,
		  struct pf_guest_status *status, struct pf_err *err);
