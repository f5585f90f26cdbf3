#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# On a host without cgroup v2 cpuset the agent stops with one message and exit code 78. Where this
# machine is fit, the host is made unfit inside a mount namespace of the test's own.
set -u
cd "$(dirname "$0")/../.." || exit 1
failed=0
result() {
	if [[ $1 == 0 ]]; then echo "ok - unfit host: $2"; else echo "not ok - unfit host: $2"; failed=1; fi
}
run_unfit() {
	if [[ -e /sys/fs/cgroup/cgroup.controllers ]]; then
		unshare --mount sh -c 'umount -l /sys/fs/cgroup && exec .build/pinfoldd --once'
	else
		.build/pinfoldd --once
	fi
}
output=$(run_unfit 2>&1)
status=$?
echo "# status $status: $output"
[[ $status == 78 ]]; result $? "exit code 78"
[[ $(wc -l <<< "$output") == 1 ]]; result $? "one message"
[[ $output == *cpuset* && $output == *cgroup_no_v1=all* ]]; result $? "says what is missing and how to get it"
exit $failed
