#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Documents say what the code does: man pages are well-formed, and name every option, subcommand
# and configuration key; the top level holds what it should.
set -u
cd "$(dirname "$0")/../.." || exit 1
failed=0
report() {
	if [[ -z $2 ]]; then
		echo "ok - docs: $1"
	else
		echo "not ok - docs: $1"
		while read -r line; do echo "# $line"; done <<< "$2"
		failed=1
	fi
}

# As a reader sees the page: without the overstrikes that stand for bold.
named() {
	mandoc -Tascii "$1" | sed 's/.\x08//g' | grep -qF -- "$2" || echo "$1 does not name $2"
}

options_named() {
	local option
	for option in $(.build/pinfoldd --help | grep -oE -- '--[a-z-]+'); do
		named docs/man/pinfoldd.8 "$option"
	done
	for command in $(.build/pinfold help | sed -n 's/^  \([a-z]*\) .*/\1/p'); do
		named docs/man/pinfold.1 "$command"
		for option in $(.build/pinfold "$command" --help 2>/dev/null | grep -oE -- '--[a-z-]+'); do
			named docs/man/pinfold.1 "$option"
		done
	done
}

keys_named() {
	local key
	while read -r key; do
		named docs/man/pinfold.conf.5 "$key"
		grep -q "\"$key\"" agent/source/config_file.c || echo "packaging/pinfold.conf: $key is no key"
	done < <(sed -n 's/^# \([a-z-]*\) = .*/\1/p' packaging/pinfold.conf)
}

top_level() {
	git ls-files | cut -d/ -f1 | sort -u |
		grep -vxE 'Makefile|README\.md|LICENSE|agent|bpf|cgroup|tests|packaging|docs|\..*'
}

links() {
	local file target
	for file in README.md docs/*.md docs/decisions/*.md; do
		while read -r target; do
			[[ -e $(dirname "$file")/$target ]] || echo "$file links to $target, which is not there"
		done < <(grep -oE '\]\([^)#]+' "$file" | sed 's/^](//' | grep -vE '^[a-z]+:')
	done
}

report "man pages are well-formed" "$(mandoc -Tlint -Wwarning docs/man/*.[158] 2>&1)"
report "man pages name every subcommand and option" "$(options_named)"
report "the example configuration and its man page name every key" "$(keys_named)"
report "links in documents lead somewhere" "$(links)"
report "the top level holds the agreed names only" "$(top_level)"
report "scripts pass shellcheck" "$(shellcheck -x -S warning -e SC1091 tests/check/*.sh tests/e2e/*.sh packaging/*.sh .ci/run 2>&1)"
exit $failed
