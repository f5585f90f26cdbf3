#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Runs end-to-end suites in the lab: one boot for all files that want the same host.
#   tests/check/lab.sh FILE...      each file says "# lab: TOPOLOGY systemd|no-systemd" at its top
set -u
cd "$(dirname "$0")/../.." || exit 1
lab=tests/lab/lab

host_of() {
	sed -n 's/^# lab: //p' "$1" | head -n 1
}

run_group() {
	local host=$1 topology mode name status
	shift
	read -r topology mode <<< "$host"
	name="check-$topology-$mode"
	echo "# boot $topology $mode"
	if ! $lab boot --name "$name" --topology "$topology" "--$mode" 2>&1 | sed 's/^/# /'; then
		echo "not ok - lab: a host of $topology $mode boots"
		return 1
	fi
	echo "ok - lab: a host of $topology $mode boots"
	PF_LAB=1 $lab run --name "$name" --timeout 1500 --env PF_LAB=1 \
		--env "PF_ONLY=${PF_ONLY:-}" --env "PF_CONFIG=${PF_CONFIG:-}" \
		--env "PF_PATIENCE=${PF_PATIENCE:-}" tests/e2e/inside.sh "$@"
	status=$?
	if $lab off --name "$name" 2>&1 | sed 's/^/# /'; then
		echo "ok - lab: the host of $topology $mode powers off cleanly"
	else
		echo "not ok - lab: the host of $topology $mode powers off cleanly"
		status=1
	fi
	return $status
}

set -o pipefail
status=0
declare -A groups=()
order=()
for file in "$@"; do
	host=$(host_of "$file")
	if [[ -z $host ]]; then
		echo "not ok - $file: has no '# lab:' line"
		status=1
		continue
	fi
	[[ -n ${groups[$host]:-} ]] || order+=("$host")
	groups[$host]+=" $file"
done
for host in "${order[@]}"; do
	# shellcheck disable=SC2086
	run_group "$host" ${groups[$host]} || status=1
done
exit $status
