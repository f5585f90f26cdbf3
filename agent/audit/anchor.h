/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The two ends of the chain: rows 'anchor' and 'head' of the table `chain`. */
#pragma once

#include <stdint.h>

#include "agent/audit/row.h"

/* 'head' is the newest row, 'anchor' the last that retention removed (0: none). */
struct pf_link {
	uint64_t seq;
	struct pf_hash hash;
};

/* The words by which an anchor is told in the event of its retention: verify looks for them. */
#define PF_ANCHOR_TEXT_MAX (PF_HASH_BYTES * 2 + 64)
char *pf_anchor_format(uint64_t seq, const struct pf_hash *hash, char buf[PF_ANCHOR_TEXT_MAX]);
