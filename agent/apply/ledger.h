/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ledger: what was found before our first change, per guest, so that `pinfold release` can put
 * it back, also by an agent that was started later. One file a guest, STATE_DIR/guests/UUID.json,
 * replaced as a whole before a change is made. STATE_DIR is a tmpfs (/run/pinfold): groups and
 * threads do not outlive the host either.
 *
 * A file that cannot be understood is set aside as UUID.json.corrupt: the call that came across it
 * says so with -EBADMSG, and the guest's record starts anew.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "agent/apply/apply.h"
#include "agent/base/err.h"
#include "agent/model/policy.h"

struct pf_ledger;

/* Makes @state_dir/guests (0700) when it is missing. Return: 0 or -errno. */
int pf_ledger_open(const char *state_dir, struct pf_ledger **out, struct pf_err *err);
void pf_ledger_free(struct pf_ledger **ledger);

/**
 * pf_ledger_adopt - takes up what is known of a guest that was seen running
 * @pid: of its process; a record about another process of that guest is dropped: that run is over,
 *	and its groups and threads with it
 * @released: whether it was let go in this run
 *
 * Return: 0; -EBADMSG when its file was set aside (@released is false then); another -errno.
 */
int pf_ledger_adopt(struct pf_ledger *ledger, const char *uuid, pid_t pid, bool *released,
		    struct pf_err *err);

/* `pinfold release` and `pinfold hold`: the mark outlives the agent. */
int pf_ledger_set_released(struct pf_ledger *ledger, const char *uuid, bool released,
			   struct pf_err *err);
bool pf_ledger_released(struct pf_ledger *ledger, const char *uuid);

/*
 * Whether libvirt's group of the guest was made anew by us in this run, or was about to be when the
 * agent ended: a process that is on its way there is then ours to place.
 */
bool pf_ledger_brought_back(struct pf_ledger *ledger, const char *uuid);

/* `pinfold mode`, likewise; @mode NULL: none is chosen any more. It ends with the guest's run. */
int pf_ledger_set_mode(struct pf_ledger *ledger, const char *uuid, const enum pf_mode *mode,
		       struct pf_err *err);

/* Return: whether an operator chose one; only then @out is set. */
bool pf_ledger_mode(struct pf_ledger *ledger, const char *uuid, enum pf_mode *out);

/**
 * pf_ledger_release - puts back what was found
 * @apply: its cg and unit_set are used
 *
 * Per knob and thread only where the present value is still the one that we wrote; what somebody
 * changed since is left alone. Threads go back to their groups, groups that we made are removed
 * (threads born in them go where their siblings came from), controllers that we enabled are
 * disabled. A cpuset that was found empty and that the kernel will not empty while threads are in
 * it (ENOSPC, Linux 6.1 and 6.12) gets its parent's effective set, which means the same. A process
 * that was brought back stays where libvirt had put it, in the groups that were made anew.
 *
 * An error does not keep the rest from being put back; what failed stays on record, so that
 * another release tries again. Released twice is released once.
 *
 * Return: 0, or the first -errno; the words say how many could not be put back, and the first why.
 */
int pf_ledger_release(struct pf_ledger *ledger, struct pf_apply *apply, const char *uuid,
		      struct pf_err *err);

/*
 * The same in three parts, so that another thread may do what takes long: pf_release_run() changes
 * the guest, from a copy of its record, and does not touch the ledger.
 */
struct pf_release;

/* @out: the caller's, NULL when there is nothing to put back. Return: 0 or -errno. */
int pf_release_begin(struct pf_ledger *ledger, const char *uuid, struct pf_release **out,
		     struct pf_err *err);
void pf_release_run(struct pf_apply *apply, struct pf_release *release);

/* Nothing is noted when the guest's run has ended meanwhile. Return: as pf_ledger_release(). */
int pf_release_end(struct pf_ledger *ledger, struct pf_release *release, struct pf_err *err);
void pf_release_free(struct pf_release **release);

/* The guest has ended: its record goes, in memory and on disk. Return: 0 or -errno. */
int pf_ledger_forget(struct pf_ledger *ledger, const char *uuid, struct pf_err *err);

/**
 * pf_ledger_sweep - forgets the guests that ended while there was no agent to notice it
 *
 * A guest has ended when its process is gone. Also removes pages that were never written to their
 * end. Return: 0, or the first -errno; the rest is swept.
 */
int pf_ledger_sweep(struct pf_ledger *ledger, struct pf_cgroup *cg, struct pf_err *err);

/**
 * pf_ledger_list - the guests that there are records of, on disk
 * @uuids: malloc'ed array of malloc'ed strings, ascending; the caller's (pf_ledger_list_free())
 */
int pf_ledger_list(struct pf_ledger *ledger, char ***uuids, size_t *count, struct pf_err *err);
void pf_ledger_list_free(char **uuids, size_t count);
