#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Runs end-to-end test files inside the lab, each in a shell of its own; prints TAP lines.
# A file defines test_* functions, named by behaviour, and may define setup and teardown; each test
# runs under `set -e` in a subshell, in the order in which it stands in the file.
# shellcheck disable=SC2181
set -u
if [[ ${PF_LAB:-} != 1 ]]; then
	echo "inside.sh changes guests and CPUs: it runs in the lab only (tests/check/lab.sh)" >&2
	exit 2
fi
status=0

# Runs a function of the test file with `set -e`, its output in a log. Never call it, or anything
# above it, in an `if`, `&&` or `||`: bash then ignores `set -e` inside, and only the last command of
# a test would count.
guarded() {
	local log=$1
	shift
	( set -eE; trap blame ERR; "$@" ) > "$log" 2>&1 < /dev/null
}

run_file() {
	local file=$1 name failed=0 label
	label=$(basename "$file" .sh)
	label=${label#[0-9][0-9]-}
	# shellcheck disable=SC1090
	source tests/e2e/harness.sh || return 1
	# shellcheck disable=SC1090
	source "$file" || return 1
	clean_slate 2>&1 | sed 's/^/# /'
	declare -F setup > /dev/null || setup() { :; }
	guarded /tmp/setup.log setup
	if [[ $? != 0 ]]; then
		echo "not ok - $label: setup"
		sed 's/^/# /' /tmp/setup.log
		evidence 2>&1 | sed 's/^/# /'
		declare -F teardown > /dev/null && teardown > /dev/null 2>&1
		return 1
	fi
	while read -r name; do
		local started=$SECONDS log=/tmp/test.log text=${name#test_}
		[[ -z ${PF_ONLY:-} || $name == *$PF_ONLY* ]] || continue
		guarded "$log" "$name"
		if [[ $? == 0 ]]; then
			echo "ok - $label: ${text//_/ } ($((SECONDS - started)) s)"
		else
			echo "not ok - $label: ${text//_/ } ($((SECONDS - started)) s)"
			tail -n 60 "$log" | sed 's/^/# /'
			evidence 2>&1 | sed 's/^/# /'
			failed=1
		fi
	done < <(sed -n 's/^\(test_[a-z0-9_]*\)().*/\1/p' "$file")
	declare -F teardown > /dev/null && teardown > /dev/null 2>&1
	return $failed
}

for file in "$@"; do
	( run_file "$file" )
	[[ $? == 0 ]] || status=1
done
exit $status
