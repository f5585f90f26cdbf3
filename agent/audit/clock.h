/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether the wall clock is to be believed when events are removed for their age. A clock that was
 * set a year ahead, by a mistake or a dead battery, must not take the record with it: one that has
 * jumped ahead is believed when it has stayed so for a day. Pure: the clocks are arguments.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define PF_CLOCK_DAY_NS UINT64_C(86400000000000)

struct pf_audit_clock {
	bool known;
	int64_t ahead_ns;          /* wall minus boot time, at the last look */
	uint64_t doubted_since_ns; /* boot time; UINT64_MAX: it is believed */
};

/* How far ahead it may go at once: a day, or half of what events may age. */
uint64_t pf_clock_leap(uint64_t max_age_ns);

/**
 * pf_clock_start - the first look, when the record is opened
 * @witness_ns: wall clock of the newest event that is a leap old at least; 0: there is none
 *
 * The clock is believed when there was an event not much longer than a leap ago: then it has shown
 * this time for as long. Where no event is that old, none can be too old either.
 */
void pf_clock_start(struct pf_audit_clock *clock, uint64_t wall_ns, uint64_t boot_ns,
		    uint64_t leap_ns, uint64_t witness_ns);

/* Looks again. Return: whether it is believed; *jumped: it has gone ahead since the last look. */
bool pf_clock_believed(struct pf_audit_clock *clock, uint64_t wall_ns, uint64_t boot_ns,
		       uint64_t leap_ns, bool *jumped);
