/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The record: events go in and are kept, in a database and in the journal. pf_audit_add() only
 * queues; a thread of the store's own waits for disk and journal, so that the caller never does.
 *
 * Nothing is lost silently. What could not be stored waits in memory, up to a bound; what did not
 * fit there is counted, and told by an event of cause `lost` as soon as something can be stored
 * again. A damaged database is set aside and a new one begun, which is told likewise.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/err.h"
#include "agent/model/event.h"

struct pf_audit_options {
	const char *path;
	uint64_t max_age_usec;   /* 0: for ever */
	uint64_t max_size_bytes; /* 0: no bound */
	bool journal;
	size_t queue_max; /* events in memory: as many in the queue, as many waiting for a disk
			     that has no room; 0: 8192 */
};

/* What the agent says of its record. */
struct pf_audit_state {
	bool open;         /* the database was opened, or tried: problem is meaningful */
	char problem[512]; /* why nothing can be stored now; "" when all is well */
	char notice[512];  /* what happened since the last look: a file set aside; "" for nothing */
	uint64_t head;     /* seq of the newest stored event; 0: none by this agent */
	uint64_t waiting;  /* queued and not stored */
	uint64_t lost;     /* since the start */
};

struct pf_audit;

/**
 * pf_audit_open - begins to keep a record
 * @options: not kept
 *
 * Opens no file itself: that may take time, and a record that can't be kept is no reason not to
 * hold guests. Return: 0 with @out owned by the caller, or -errno when there is no thread.
 */
int pf_audit_open(const struct pf_audit_options *options, struct pf_audit **out,
		  struct pf_err *err);

/*
 * Stores what is queued, ends the thread and frees all. Fine on NULL.
 * Return: how many events could not be stored.
 */
uint64_t pf_audit_close(struct pf_audit **audit);

/**
 * pf_audit_add - queues an event
 * @event: taken over and zeroed, also when it is dropped; wall and boot time of 0 become now
 *
 * Never waits. From any thread. @audit may be NULL: nothing is kept then.
 */
void pf_audit_add(struct pf_audit *audit, struct pf_event *event);

/**
 * pf_audit_flush - waits until all that was added has been tried
 *
 * Not for the agent's loop. Return: 0 when all of it is stored (but for what was counted as lost),
 * -EIO with words when it waits.
 */
int pf_audit_flush(struct pf_audit *audit, struct pf_err *err);

/* How many events were added and are not stored yet. 0 for NULL. */
uint64_t pf_audit_unstored(struct pf_audit *audit);

/* Retention and journal of a new configuration; its path and queue_max do not count. */
void pf_audit_configure(struct pf_audit *audit, const struct pf_audit_options *options);

/* Readable when the state's problem or notice is another; -1 for NULL. */
int pf_audit_fd(const struct pf_audit *audit);

/* Copies the state, and takes its notice and what made the fd readable. */
void pf_audit_take_state(struct pf_audit *audit, struct pf_audit_state *out);
