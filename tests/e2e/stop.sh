# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Sourced by test files whose agent is the test build (tests/stop): the agent's own objects with a stop
# linked around what it changes; without the file $STOP it does what the agent does.

PINFOLDD=$PWD/.build/stop/pinfoldd
STOP=/run/pf-stop
export PF_STOP_AT=$STOP

stop_is_built()
{
	[[ -x $PINFOLDD ]] || { echo "$PINFOLDD is not there: make stop"; return 1; }
}

# stop_after N KILL|STOP WHAT: the agent is to end or stop right after its Nth change of that name, or,
# with write:FILE, before it.
stop_after()
{
	echo "$*" > "$STOP.new"
	mv "$STOP.new" "$STOP"
}

stopped()
{
	[[ ! -e $STOP && $(cut -d' ' -f3 "/proc/$(agent_pid)/stat") == T ]]
}
