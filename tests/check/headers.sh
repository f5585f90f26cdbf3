#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Touching a header rebuilds what includes it and nothing else; a second make does nothing.
set -u
cd "$(dirname "$0")/../.." || exit 1
unset MAKEFLAGS MAKELEVEL MFLAGS # this is no part of the make that may have called it
failed=0
result() {
	if [[ $1 == 0 ]]; then echo "ok - build: $2"; else echo "not ok - build: $2"; failed=1; fi
}
make -s all
! make -n all | grep -qv 'Nothing to be done'
result $? "a second make has nothing to do"
touch agent/diff/work.h
plan=$(make -n all | grep -- ' -c ')
grep -q 'agent/diff/diff\.o' <<< "$plan" && ! grep -q 'agent/base/set\.o' <<< "$plan"
result $? "touching a header rebuilds what includes it and nothing else"
make -s all
exit $failed
