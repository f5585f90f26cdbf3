// SPDX-License-Identifier: GPL-2.0-or-later
#include "bpf/dedupe.h"

#include <string.h>

static uint64_t bit_of(uint64_t seq)
{
	return 1ULL << (seq % 64);
}

static uint64_t *word_of(struct pf_dedupe *dedupe, uint64_t seq)
{
	return &dedupe->seen[seq % PF_DEDUPE_WINDOW / 64];
}

void pf_dedupe_start(struct pf_dedupe *dedupe, uint64_t newest)
{
	memset(dedupe, 0, sizeof(*dedupe));
	memset(dedupe->seen, 0xff, sizeof(dedupe->seen));
	dedupe->newest = newest;
}

void pf_dedupe_start_anywhere(struct pf_dedupe *dedupe)
{
	pf_dedupe_start(dedupe, 0);
	dedupe->anywhere = true;
}

/* Moves the window's head to @seq; what leaves at its tail unseen is missing. */
static void advance(struct pf_dedupe *dedupe, uint64_t seq)
{
	uint64_t steps = seq - dedupe->newest;

	if (steps > PF_DEDUPE_WINDOW) {
		/* Those between the old head's window and the new one's were never in any. */
		dedupe->missing += steps - PF_DEDUPE_WINDOW;
		dedupe->newest = seq - PF_DEDUPE_WINDOW;
	}
	while (dedupe->newest < seq) {
		dedupe->newest++;
		if (!(*word_of(dedupe, dedupe->newest) & bit_of(dedupe->newest)))
			dedupe->missing++;
		*word_of(dedupe, dedupe->newest) &= ~bit_of(dedupe->newest);
	}
}

bool pf_dedupe_note(struct pf_dedupe *dedupe, uint64_t seq)
{
	if (dedupe->anywhere)
		pf_dedupe_start(dedupe, seq - 1);
	if (seq > dedupe->newest) {
		advance(dedupe, seq);
	} else if (dedupe->newest - seq >= PF_DEDUPE_WINDOW ||
		   *word_of(dedupe, seq) & bit_of(seq)) {
		dedupe->repeated++;
		return false;
	}
	*word_of(dedupe, seq) |= bit_of(seq);
	return true;
}
