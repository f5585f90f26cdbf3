# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Sourced by test files: what was done to guests since some moment, by the record, and, independent of
# the agent, by who wrote to the cgroup tree. SUBJECT is the guest that most of a file is about.

WRITES=/tmp/writes.log		# who wrote what to the cgroup tree below machine.slice
FROM=
SUBJECT=

watch_writes()
{
	python3 tests/lab/writes.py /sys/fs/cgroup/machine.slice > "$WRITES" &
	echo $! > /tmp/writes.pid
	disown
	wait_for 30 grep -q ready "$WRITES"
}

unwatch_writes()
{
	kill "$(cat /tmp/writes.pid)"
}

# ---- what is on record -----------------------------------------------------------------------

# since: what follows counts from here, in the record and among the writes.
since()
{
	FROM=$(date -u +%FT%T.%NZ)
	wc -l < "$WRITES" > /tmp/writes.from
}

# events JQ: those since then that the expression chooses.
events()
{
	"$PINFOLD" audit --json | jq -c --arg from "$FROM" "select(.time >= \$from) | select($1)"
}

has_one()
{
	[[ $(events "$1" | wc -l) == 1 ]]
}

# told JQ: there is exactly one such event.
told()
{
	wait_for 30 has_one "$1" || { echo "no single event with $1"; events true; return 1; }
}

# told_repaired CAUSE WRITER DETAIL [GUEST]: one act of that process, put right in a known time.
told_repaired()
{
	told ".guest.name == \"${4:-$SUBJECT}\" and .kind == \"drift\" and .action == \"repaired\" and
		.cause == \"$1\" and .actor.pid == $2 and (.actor.comm | length) > 0 and
		.latency_ns > 0 and (.detail // \"\" | contains(\"$3\"))"
}

# no_drift GUEST: nobody is said to have done anything to it since then.
no_drift()
{
	is 0 jq -s length <<< "$(events ".guest.name == \"$1\" and .kind == \"drift\"")" ||
		{ events true; return 1; }
}

# ---- what was written ------------------------------------------------------------------------

writes()
{
	tail -n "+$(($(cat /tmp/writes.from) + 1))" "$WRITES"
}

# ours GUEST: what the agent wrote to its groups since then.
ours()
{
	writes | awk -v pid="$(agent_pid)" -v dir="x2d$1.scope/" '$2 == pid && index($4, dir)'
}

never_ours()
{
	is "" ours "$1"
}

# values GUEST FILE: what it read after each write since then, on one line.
values()
{
	writes | awk -v file="x2d$1.scope/$2" \
		'(at = index($4, file)) && at + length(file) == length($4) + 1 {
			for (i = 5; i <= NF; i++) printf "%s ", $i }'
}
