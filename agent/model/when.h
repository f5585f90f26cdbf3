/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Points in time as text: RFC 3339 with nanoseconds, and what a person writes for --since. Pure. */
#pragma once

#include <stdint.h>

#define PF_WHEN_TEXT_MAX 32

/* CLOCK_REALTIME in ns as "2026-11-23T00:40:03.123456789Z". Return: @buf. */
char *pf_when_format(uint64_t wall_ns, char buf[PF_WHEN_TEXT_MAX]);

/**
 * pf_when_parse - reads a point in time
 * @text: RFC 3339 ("2026-11-23T00:40:03.5+01:00"); "2026-11-23", "2026-11-23 00:40[:03[.5]]" and
 *	"00:40[:03]" (of today) in the local time zone; "now", "today", "yesterday"; "-90min",
 *	"-2h", "-1d", "+5s" from now; "@SECONDS" since the epoch; much as systemd.time(7) has it
 * @now_ns: what relative times count from
 *
 * Return: 0, or -EINVAL with @out untouched.
 */
int pf_when_parse(const char *text, uint64_t now_ns, uint64_t *out);
