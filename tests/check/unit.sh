#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Runs cmocka test programs from the project's root; one TAP line a test.
set -u
export CMOCKA_MESSAGE_OUTPUT=TAP
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 UBSAN_OPTIONS=print_stacktrace=1
status=0
for program in "$@"; do
	echo "# $program"
	output=$(timeout 300 "$program" 2>&1)
	code=$?
	printf '%s\n' "$output" | grep -v '^1\.\.' | sed 's/^\(not \)\?ok [0-9]*/\1ok/'
	if [[ $code != 0 ]] && ! grep -q '^not ok' <<< "$output"; then
		echo "not ok - $program ended with status $code"
	fi
	[[ $code == 0 ]] || status=1
done
exit $status
