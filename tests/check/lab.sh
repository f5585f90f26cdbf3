#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Runs end-to-end suites in the lab: one boot for all files that want the same host.
#   tests/check/lab.sh FILE...
# Each file says at its top which hosts it wants, a line each:
#   # lab: TOPOLOGY systemd|no-systemd [lsm=LIST]  on Debian 12's kernel
#   # newer: TOPOLOGY systemd|no-systemd VERSION   as well, when PF_NEWER=1 is set
set -u
cd "$(dirname "$0")/../.." || exit 1
lab=tests/lab/lab
make -s all e2e-tools stop .build/bench/standin || exit 1

hosts_of() {
	sed -n 's/^# lab: //p' "$1"
	[[ ${PF_NEWER:-} != 1 ]] || sed -n 's/^# newer: //p' "$1"
}

# Of run_group, whose variables it uses.
boot_host() {
	$lab boot --name "$name" --topology "$topology" "--$mode" \
		${kernel:+--kernel "$kernel"} ${lsm:+--lsm "$lsm"} 2>&1 | sed 's/^/# /'
}

run_group() {
	local host=$1 topology mode kernel lsm='' name status
	shift
	read -r topology mode kernel <<< "$host"
	[[ $kernel != lsm=* ]] || lsm=${kernel#lsm=} kernel=''
	name="check-$topology-$mode${kernel:+-$kernel}"
	echo "# boot $host"
	# An emulated kernel on a busy machine may lock up on its way; what runs in it does not count yet.
	if ! boot_host && ! boot_host; then
		echo "not ok - lab: a host of $host boots"
		return 1
	fi
	echo "ok - lab: a host of $host boots"
	PF_LAB=1 $lab run --name "$name" --timeout 3600 --env PF_LAB=1 \
		--env "PF_ONLY=${PF_ONLY:-}" --env "PF_CONFIG=${PF_CONFIG:-}" \
		--env "PF_PATIENCE=${PF_PATIENCE:-}" tests/e2e/inside.sh "$@"
	status=$?
	if $lab off --name "$name" 2>&1 | sed 's/^/# /'; then
		echo "ok - lab: the host of $host powers off cleanly"
	else
		echo "not ok - lab: the host of $host powers off cleanly"
		status=1
	fi
	return $status
}

set -o pipefail
status=0
declare -A groups=()
order=()
for file in "$@"; do
	if [[ -z $(hosts_of "$file") ]]; then
		echo "not ok - $file: has no '# lab:' line"
		status=1
	fi
	while read -r host; do
		[[ -n ${groups[$host]:-} ]] || order+=("$host")
		groups[$host]+=" $file"
	done < <(hosts_of "$file")
done
for host in "${order[@]}"; do
	# shellcheck disable=SC2086
	run_group "$host" ${groups[$host]} || status=1
done
exit $status
