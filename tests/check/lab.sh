#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Runs end-to-end suites in the lab: one boot for all files that want the same host.
#   tests/check/lab.sh FILE...
# Each file says at its top which hosts it wants, a line each:
#   # lab: TOPOLOGY systemd|no-systemd [lsm=LIST]  on Debian 12's kernel
#   # newer: TOPOLOGY systemd|no-systemd VERSION   as well, when PF_NEWER=1 is set
# An emulated host keeps two CPUs busy, so half as many as there are CPUs run side by side (or PF_LANES);
# each suite's output comes in one piece then.
set -u
cd "$(dirname "$0")/../.." || exit 1
lab=tests/lab/lab
make -s all e2e-tools stop deb .build/bench/standin || exit 1
work=$(mktemp -d)

# Hosts that are still up were left by somebody who interrupted us.
clean_up() {
	local file
	: > "$work/suites"
	for file in "$work"/up.*; do
		[[ ! -e $file ]] || $lab off --name "$(cat "$file")"
	done
	wait
	rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

hosts_of() {
	sed -n 's/^# lab: //p' "$1"
	[[ ${PF_NEWER:-} != 1 ]] || sed -n 's/^# newer: //p' "$1"
}

# Prints the next suite as "HOST|FILE" and takes it off the list: one for the host that is up, else
# the first.
next_suite() {
	local host=$1 line
	(
		flock 9
		line=$(grep -m 1 -nF -- "$host|" "$work/suites" || grep -m 1 -n . "$work/suites") || exit
		sed -i "${line%%:*}d" "$work/suites"
		printf '%s\n' "${line#*:}"
	) 9> "$work/lock"
}

# Prints standard input in one piece, or as it comes where nobody else prints.
in_one_piece() {
	if [[ $lanes == 1 ]]; then
		cat
		return
	fi
	local piece
	piece=$(mktemp -p "$work")
	cat > "$piece"
	( flock 8; cat "$piece" ) 8> "$work/print"
	rm "$piece"
}

# A host lives as long as its suites may take on a machine that has other things to do, too.
LIFETIME=5000

# The functions below use each other's variables: a lane is a subshell with one host at most.
# try_boot HOST SECONDS
try_boot() {
	local topology mode rest lsm='' kernel=''
	read -r topology mode rest <<< "$1"
	[[ $rest == lsm=* ]] && lsm=${rest#lsm=} || kernel=$rest
	name="check$lane-$topology-$mode${rest:+-${rest//[^a-z0-9.]/-}}"
	$lab boot --name "$name" --topology "$topology" "--$mode" --lifetime $LIFETIME --within "$2" \
		${kernel:+--kernel "$kernel"} ${lsm:+--lsm "$lsm"} 2>&1 | sed 's/^/# /'
}

boot() {
	echo "# boot $1"
	# An emulated kernel may lock up on its way; what runs in it does not count yet. It takes 20 s.
	if try_boot "$1" 120 || try_boot "$1" 120 || try_boot "$1" 300; then
		echo "ok - lab: a host of $1 boots"
		up=$1
		echo "$name" > "$work/up.$lane"
	else
		echo "not ok - lab: a host of $1 boots"
		return 1
	fi
}

off() {
	local host=$up
	[[ -n $host ]] || return 0
	up=''
	rm -f "$work/up.$lane"
	if $lab off --name "$name" 2>&1 | sed 's/^/# /'; then
		echo "ok - lab: the host of $host powers off cleanly"
	else
		echo "not ok - lab: the host of $host powers off cleanly"
		return 1
	fi
}

# A kernel that says for a minute that its CPUs are stuck does so for good: the host is ended.
#
# QEMU's software emulation may be why: it goes on with an instruction that another CPU has replaced.
# Seen where the guard attaches to bpf_lsm_file_permission, which all CPUs call all the time: they stand
# at the function's first byte, where the right instruction is in memory already. The suite is run once
# more then, on another host. CPUs that are stuck anywhere else are a failure: it may be ours.
LOCKED_UP=3

is_locked_up() {
	(($(grep -cE 'soft lockup - CPU#[0-9]+ stuck for ([6-9][0-9]|[1-9][0-9]{2,})s' "$console") >= 4))
}

is_stale_code() {
	grep -qE 'RIP: 0010:[a-zA-Z0-9_]+\+0x[01]/' "$console"
}

end_if_locked_up() {
	until is_locked_up; do
		sleep 5
	done
	: > "$work/locked.$lane"
	kill -KILL "$(cat ".build/lab/$name/pid")"
}

# Where its CPUs stood.
tell_lockup() {
	grep -E 'soft lockup|RIP: 0010:' "$console" | sort | uniq -c | sort -rn | head -n 30 | sed 's/^/# /'
	is_stale_code || echo "not ok - lab: the host of $up goes on running"
}

# In a shell of its own.
run_suite() (
	started=$SECONDS console=.build/lab/$name/console.log
	rm -f "$work/locked.$lane"
	end_if_locked_up > /dev/null 2>&1 &
	watcher=$!
	PF_LAB=1 $lab run --name "$name" --timeout 3600 --env PF_LAB=1 \
		--env "PF_ONLY=${PF_ONLY:-}" --env "PF_CONFIG=${PF_CONFIG:-}" \
		--env "PF_PATIENCE=${PF_PATIENCE:-}" tests/e2e/inside.sh "$1"
	status=$?
	kill "$watcher" 2> /dev/null
	echo "# $1 on $up: $((SECONDS - started)) s"
	if [[ -e $work/locked.$lane ]]; then
		tell_lockup
		is_stale_code && status=$LOCKED_UP
	fi
	exit $status
)

run_lane() {
	local lane=$1 up='' name='' suite host status=0 result
	while suite=$(next_suite "$up") && [[ -n $suite ]]; do
		host=${suite%%|*}
		if [[ $host != "$up" ]]; then
			off || status=1
			boot "$host" || { status=1; continue; }
		fi
		run_suite "${suite#*|}" > >(in_one_piece)
		result=$?
		wait $!
		if [[ $result == "$LOCKED_UP" ]]; then
			echo "# the emulation runs stale code: ${suite#*|} once more, on another host"
			boot "$host" || { status=1; up=''; continue; }
			run_suite "${suite#*|}" > >(in_one_piece)
			result=$?
			wait $!
		fi
		if [[ -e $work/locked.$lane ]]; then # it has been ended
			[[ $result != "$LOCKED_UP" ]] || echo "not ok - lab: a second host of $host goes on running"
			up=''
			rm -f "$work/up.$lane"
		fi
		[[ $result == 0 ]] || status=1
	done
	off || status=1
	return $status
}

set -o pipefail
status=0
for file in "$@"; do
	hosts_of "$file" | sed "s|\$|\|$file|" >> "$work/suites"
	if ! grep -qF -- "|$file" "$work/suites"; then
		echo "not ok - $file: has no '# lab:' line"
		status=1
	fi
done
lanes=${PF_LANES:-$((($(nproc) + 1) / 2))}
[[ $(wc -l < "$work/suites") -gt 1 ]] || lanes=1
pids=()
for ((lane = 1; lane <= lanes; lane++)); do
	run_lane "$lane" &
	pids+=($!)
done
for pid in "${pids[@]}"; do
	wait "$pid" || status=1
done
exit $status
