// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/audit/anchor.h"

#include <inttypes.h>
#include <stdio.h>

char *pf_anchor_format(uint64_t seq, const struct pf_hash *hash, char buf[PF_ANCHOR_TEXT_MAX])
{
	char digits[PF_HASH_BYTES * 2 + 1];

	snprintf(buf, PF_ANCHOR_TEXT_MAX, "up to %" PRIu64 ", hash %s", seq,
		 pf_hash_format(hash, digits));
	return buf;
}
