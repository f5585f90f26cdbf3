# SPDX-License-Identifier: GPL-2.0-or-later
# Sourced by inside.sh before each test file: the agent, guests, and the kernel's own truth.
# shellcheck shell=bash
source tests/lab/guest.sh

PINFOLD=$PWD/.build/pinfold
PINFOLDD=$PWD/.build/pinfoldd
AGENT_LOG=/tmp/pinfoldd.log

# Where a failed test failed.
blame()
{
	echo "failed at ${BASH_SOURCE[1]}:${BASH_LINENO[0]}: $BASH_COMMAND"
}

# Where the agent's threads wait in the kernel.
agent_stacks()
{
	local task
	for task in "/proc/$(cat /tmp/pinfoldd.pid 2>/dev/null)"/task/[0-9]*; do
		[[ -e $task ]] || continue
		echo "--- thread ${task##*/} ($(cat "$task/comm")): $(cut -d' ' -f3 "$task/stat")"
		head -n 8 "$task/stack"
	done
}

# What one wants to see after a failure.
evidence()
{
	agent_stacks 2>/dev/null
	echo "--- agent"
	tail -n 25 "$AGENT_LOG" 2>/dev/null
	[[ ! -d /run/systemd/system ]] || journalctl -q -n 25 --no-pager -u pinfoldd 2>/dev/null
	"$PINFOLD" status 2>&1 | head -n 60
	"$PINFOLD" plan 2>&1 | head -n 20
}

# agent_start [CONFIG LINES]: runs the agent of this tree by itself, not as a unit. PF_CONFIG in the
# environment replaces the default lines: with `mode = observe` every repair has to be missed.
agent_start()
{
	mkdir -p /tmp/pinfold.d
	printf '%s\n' "${1:-${PF_CONFIG:-[agent]}}" > /tmp/pinfold.conf
	"$PINFOLDD" --config /tmp/pinfold.conf >> "$AGENT_LOG" 2>&1 &
	echo $! > /tmp/pinfoldd.pid
	disown # so that bash does not report how it ended
	wait_for 60 "$PINFOLD" status
}

agent_pid()
{
	cat /tmp/pinfoldd.pid
}

# agent_stop [SIGNAL]: ends it and waits until it is gone.
agent_stop()
{
	local pid
	pid=$(cat /tmp/pinfoldd.pid 2>/dev/null) || return 0
	kill "-${1:-TERM}" "$pid" 2>/dev/null || true
	wait_for 30 gone "$pid"
	rm -f /tmp/pinfoldd.pid
}

# What a suite that failed has left would be the next one's failure, too.
clean_slate()
{
	local guest
	while read -r guest; do
		[[ -z $guest ]] || { echo "left by an earlier suite: guest $guest"; virsh -q destroy "$guest"; }
	done < <(virsh list --name)
	[[ -e /tmp/pinfoldd.pid ]] || return 0
	echo "left by an earlier suite: an agent"
	agent_stop KILL
	"$PINFOLDD" --config /tmp/pinfold.conf --unpin
}

# log_line: where what the agent says from now on begins. said_since LINE PATTERN: it said so.
log_line()
{
	echo $(($(wc -l < "$AGENT_LOG") + 1))
}

said_since()
{
	tail -n "+$1" "$AGENT_LOG" | grep -E -- "$2"
}

gone()
{
	[[ ! -e /proc/$1 || $(cut -d' ' -f3 "/proc/$1/stat" 2>/dev/null) == Z ]]
}

# is EXPECTED COMMAND...: the command's output is exactly that.
is()
{
	local want=$1 got
	shift
	got=$("$@") || { echo "$*: failed"; return 1; }
	[[ $got == "$want" ]] || { echo "$*: '$got', expected '$want'"; return 1; }
}

# knob FILE, leaf GUEST LEAF FILE: a cgroup file's text.
knob()
{
	cat "$1"
}

leaf()
{
	local scope
	scope=$(lab_scope "$1") && cat "$scope/$2/$3"
}

# unit_knob GUEST FILE: the same of the guest's scope.
unit_dir()
{
	local scope
	scope=$(lab_scope "$1") && echo "${scope%/libvirt}"
}

write_knob()
{
	printf '%s\n' "$2" > "$1"
}

# How long a repair may take in the lab; shorter when failures are what one wants to see.
PATIENCE=${PF_PATIENCE:-60}

# becomes EXPECTED COMMAND...: within a minute, the command prints that.
becomes()
{
	wait_for "$PATIENCE" is "$@" || is "$@"
}

# held [GUEST]: the agent says so, and there is nothing left to do.
held()
{
	"$PINFOLD" status "$@" --check && "$PINFOLD" plan "$@"
}

becomes_held()
{
	wait_for "$PATIENCE" held "$@" || held "$@"
}

# on_record [GUEST]: of what was done to it by now, nothing is waited for to be told or stored.
on_record()
{
	"$PINFOLD" status "$@" --json | jq -e '.unstored == 0 and all(.guests[]; .untold == 0)'
}

# state GUEST, reason GUEST, finding GUEST
state()
{
	"$PINFOLD" status "$1" --json | jq -r '.guests[0].state'
}

reason()
{
	"$PINFOLD" status "$1" --json | jq -r '.guests[0].reason // ""'
}

findings()
{
	"$PINFOLD" status "$1" --json | jq -r '.guests[0].findings[].text'
}

says()
{
	findings "$1" | grep -F -- "$2"
}

# guest NAME OPTIONS...: starts it as lab_guest_xml describes it.
guest()
{
	local file
	file=$(mktemp /tmp/guest.XXXXXX)
	lab_guest_xml "$@" > "$file"
	lab_guest_start "$1" "$file"
}

# never COMMAND...: it must not succeed (bash's own ! does not stop a test).
never()
{
	if "$@"; then
		echo "$*: succeeded, and should not have"
		return 1
	fi
}

# denied COMMAND...: it ends with EPERM's words.
denied()
{
	local out
	if out=$("$@" 2>&1); then
		echo "$*: succeeded, and should have been refused"
		return 1
	fi
	[[ $out == *"Operation not permitted"* ]] || { echo "$*: $out"; return 1; }
}

# refuses STATUS COMMAND...: it ends with that exit status.
refuses()
{
	local want=$1 got=0
	shift
	"$@" > /tmp/refused.out 2>&1 || got=$?
	[[ $got == "$want" ]] || { echo "$*: exit status $got, expected $want"; cat /tmp/refused.out; return 1; }
}
