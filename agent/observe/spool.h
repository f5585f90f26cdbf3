/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Records that were taken out of the ring and of which it isn't known yet what came of them. They
 * stand in a mapped file, so that an agent that was killed finds them again; a reboot ends them with
 * /run. One process at a time.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "agent/base/err.h"
#include "bpf/events.h"

struct pf_spool;

/*
 * Opens @path, made when missing. @out: ends with pf_spool_close(). Return: 0; 1 when there is no room
 * for it, and records are only kept while this process lives; or -errno.
 */
int pf_spool_open(const char *path, struct pf_spool **out, struct pf_err *err);

void pf_spool_close(struct pf_spool **spool);

/* How many records stand there. */
size_t pf_spool_count(const struct pf_spool *spool);

/*
 * Keeps a copy; a PF_REC_KNOB record is a struct pf_knob_record. Without room it is not kept, and
 * a kill before it is told loses it.
 */
void pf_spool_add(struct pf_spool *spool, const struct pf_record *record);

/* Drops every record whose seq is not among the @count @seqs, which this sorts. */
void pf_spool_keep(struct pf_spool *spool, uint64_t *seqs, size_t count);

/*
 * Hands the records over, the oldest first. They stay. @record is valid during the call and may be
 * a struct pf_knob_record; @fn must not change the spool.
 */
void pf_spool_replay(const struct pf_spool *spool,
		     void (*fn)(const struct pf_record *record, void *arg), void *arg);
