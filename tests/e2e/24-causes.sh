# SPDX-License-Identifier: GPL-2.0-or-later
# lab: 4x2 no-systemd
# newer: 4x2 no-systemd 6.12
# newer: 4x2 no-systemd 7
# shellcheck shell=bash
# The programs by themselves, on a kernel that lets them name the doer: the unit tests that make
# groups, move threads and take a CPU offline.

# The test's own lines say what failed; a skip is a failure here.
runs_all()
{
	env PF_LAB=1 ".build/san/tests/unit/bpf/$1" > /tmp/unit.out 2>&1 ||
		{ cat /tmp/unit.out; return 1; }
	cat /tmp/unit.out
	never grep -qi skip /tmp/unit.out
}

test_each_act_is_named_with_its_doer()
{
	runs_all test_causes
}

test_escapes_are_counted_and_timed_exactly()
{
	runs_all test_kernel
}
