#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The test build that stops at a step is the agent with something linked around it, and nothing of
# that is in the agent itself.
set -u
cd "$(dirname "$0")/../.." || exit 1
unset MAKEFLAGS MAKELEVEL MFLAGS # this is no part of the make that may have called it
failed=0
result() {
	if [[ $1 == 0 ]]; then echo "ok - stop: $2"; else echo "not ok - stop: $2"; failed=1; fi
}
traces() {
	{ strings -a "$1"; nm "$1"; } | grep -cE 'PF_STOP_AT|stopped \(%s\)|__wrap_|stop_write'
}
make -s all stop
result $? "the test build is made"
[[ $(traces .build/stop/pinfoldd) -gt 3 ]]
result $? "the test build can stop"
[[ $(traces .build/pinfoldd) == 0 ]]
result $? "the agent cannot"
exit $failed
