/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which record numbers have been seen. The ring hands its last record out twice when its consumer
 * was killed between handling it and saying so (facts 22), and two CPUs may put neighbouring
 * numbers into the ring in either order.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define PF_DEDUPE_WINDOW 1024

struct pf_dedupe {
	bool anywhere; /* the first number that comes says where they begin */
	uint64_t newest; /* the highest number seen, 0 none */
	uint64_t seen[PF_DEDUPE_WINDOW / 64]; /* by number modulo the window, up to newest */
	uint64_t missing; /* numbers that fell out of the window without having been seen */
	uint64_t repeated;
};

/**
 * pf_dedupe_start - begins after what is already stored
 * @newest: the highest number that was handled, 0 when none was; what lies below counts as seen
 */
void pf_dedupe_start(struct pf_dedupe *dedupe, uint64_t newest);

/* The same where nobody knows what was handled: the first number that comes counts as the next one. */
void pf_dedupe_start_anywhere(struct pf_dedupe *dedupe);

/* Notes @seq. Return: whether it is new; false for a repetition. */
bool pf_dedupe_note(struct pf_dedupe *dedupe, uint64_t seq);
