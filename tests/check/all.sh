#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Everything: build, static checks, unit tests, contract suite, lab suites.
# Prints TAP lines as they come and ends with "N passed, M failed".
set -u
cd "$(dirname "$0")/../.." || exit 1
unset MAKEFLAGS MAKELEVEL MFLAGS # this is no part of the make that may have called it
log=.build/check.log
mkdir -p .build
packaging/deps.sh --quiet || exit 1

step() {
	local name=$1 status
	shift
	echo "# --- $name: $*"
	"$@"
	status=$?
	if [[ $status == 0 ]]; then
		echo "ok - $name"
	else
		echo "not ok - $name (status $status)"
	fi
}

everything() {
	step "the tree builds" make -s -j"$(nproc)" all
	step "the build follows its headers" tests/check/headers.sh
	step "layers" tests/check/layers.sh
	step "the test build that stops" tests/check/stop.sh
	step "documents" tests/check/docs.sh
	step "unit tests build" make -s -j"$(nproc)" -k unit-build
	make -s unit
	step "the contract suite builds" make -s contract
	step "the stand-in guests build" make -s .build/bench/standin
	step "the build machine is told what it lacks" tests/check/unfit.sh
	tests/check/lab.sh tests/e2e/[0-9]*.sh
}

started=$SECONDS
everything 2>&1 | tee "$log"
passed=$(grep -c '^ok ' "$log")
failed=$(grep -c '^not ok ' "$log")
# A skip is a failure here: everything that the tests need, the tests install.
skipped=$(grep -ci '^ok .*# skip' "$log")
if [[ $((failed + skipped)) != 0 ]]; then
	echo
	echo "what failed or was skipped:"
	awk '/^not ok |^ok .*# [Ss][Kk][Ii][Pp]/ { print; left = 100; next }
		/^#/ && left-- > 0 { print; next } { left = 0 }' "$log" | head -n 400
fi
echo
echo "took $((SECONDS - started)) s; the whole output is in $log"
echo "$((passed - skipped)) passed, $((failed + skipped)) failed"
[[ $((failed + skipped)) == 0 && $passed -gt 0 ]]
