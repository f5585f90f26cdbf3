# SPDX-License-Identifier: GPL-2.0-or-later
# lab: 2x12 systemd
# shellcheck shell=bash
# The seed page's guest on its 24 CPUs: the demo's story, step by step.

test_every_step_of_the_demo_comes_true()
{
	tests/e2e/demo-inside.sh
}

teardown()
{
	agent_stop
	lab_guest_destroy seed
}
