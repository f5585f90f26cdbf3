# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Sourced by test files that look at what comes after an event of the record, by its number.

EVENTS_FROM=/tmp/events.from

# since: what follows counts from here; what was done before is on record.
since()
{
	local last
	[[ ! -e /tmp/pinfoldd.pid ]] || wait_for "$PATIENCE" on_record
	last=$("$PINFOLD" audit --json -n 1 | jq -r '.seq // 0')
	echo "${last:-0}" > "$EVENTS_FROM"
}
