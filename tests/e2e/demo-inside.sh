#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The demo's story, inside the lab: exit status 0 only if every step came true.
set -u
source tests/e2e/harness.sh
steps=0 missed=0

say() { printf '\n== %s\n' "$*"; }
show() { printf '$ %s\n' "$*"; "$@"; }
show_write() { printf '$ echo %s > .../%s\n' "$2" "${1#*.scope/}"; write_knob "$1" "$2"; }

# true_that WORDS EXPECTED COMMAND...: waits until the command prints that, by the kernel's word.
true_that()
{
	local words=$1
	shift
	steps=$((steps + 1))
	if becomes "$@" > /tmp/step.log 2>&1; then
		printf '   [ ok ] %s\n' "$words"
	else
		printf '   [FAIL] %s\n' "$words"
		sed 's/^/          /' /tmp/step.log
		missed=$((missed + 1))
	fi
}

# The binary of this tree, by the name that it is installed under.
pinfold()
{
	"$PINFOLD" "$@"
}

# The newest repair on record: cause, what was done, whose act it was.
last_act()
{
	"$PINFOLD" audit --guest seed --kind drift --json | tail -n 1 |
		jq -r '"\(.cause) \(.action) \(.actor.comm)"'
}

steps_planned()
{
	"$PINFOLD" plan seed --json | jq '[.plans[].steps[]] | length'
}

say "A guest starts under libvirt: 4 vCPUs, vCPU 0 -> CPU 8, vCPU 1 -> CPU 16, memory on node 1"
lab_guest_start seed tests/lab/seed.xml || exit 1
say "The agent starts, and finds what libvirt has promised"
agent_start || exit 1
true_that "every promise is held" held state seed
show pinfold status seed
scope=$(lab_scope seed)
unit=${scope%/libvirt}
true_that "vCPU 0 may run on CPU 8 alone" 8 allowed "$(vcpu_tid seed 0)"
true_that "vCPU 1 may run on CPU 16 alone" 16 allowed "$(vcpu_tid seed 1)"
true_that "the emulator may run on CPU 16 alone" 16 allowed "$(lab_pid seed)"
true_that "memory comes from node 1" 1 cat "$scope/vcpu0/cpuset.mems.effective"
true_that "the weight is the shares" 2048 cat "$unit/cpu.weight"
true_that "a period of one second, no quota" "max 1000000" cat "$scope/vcpu0/cpu.max"

say "An administrator changes the promise: that is followed, not fought"
show virsh -q vcpupin seed 0 9 --live
true_that "vCPU 0 may run on CPU 9 alone" 9 allowed "$(vcpu_tid seed 0)"
true_that "and that is the promise now" held state seed
show virsh -q emulatorpin seed 12-13 --live
true_that "the emulator may run on CPUs 12 and 13" 12-13 allowed "$(lab_pid seed)"
true_that "and that is the promise now" held state seed

say "Somebody runs taskset on a vCPU without a pin"
tid=$(vcpu_tid seed 2)
show taskset -pc 3 "$tid"
true_that "it floats over all CPUs again" 0-23 allowed "$tid"
true_that "the record says who did it" "affinity repaired taskset" last_act

say "Somebody writes another CPU into vCPU 1's cpuset"
show_write "$scope/vcpu1/cpuset.cpus" 2
true_that "it is 16 again" 16 cat "$scope/vcpu1/cpuset.cpus"
true_that "and the thread is allowed there alone" 16 allowed "$(vcpu_tid seed 1)"
true_that "the record says who did it" "cpuset repaired $(cat /proc/$$/comm)" last_act

say "Somebody writes the scope's weight, and systemd is reloaded"
show_write "$unit/cpu.weight" 1
true_that "it is 2048 again" 2048 cat "$unit/cpu.weight"
show systemctl daemon-reload
true_that "and stays so" 2048 cat "$unit/cpu.weight"
true_that "held" held state seed

say "vCPU 1's only CPU goes offline: nothing can keep that promise, and it is said"
echo 0 > /sys/devices/system/cpu/cpu16/online
true_that "told as impossible" impossible state seed
echo "   $(reason seed)"
echo 1 > /sys/devices/system/cpu/cpu16/online
true_that "back online, it heals by itself" 16 allowed "$(vcpu_tid seed 1)"
true_that "held" held state seed

say "The agent is killed: the guest stays as it is; a new agent finds nothing to do"
agent_stop KILL
true_that "vCPU 1 is where it was" 16 allowed "$(vcpu_tid seed 1)"
agent_start || exit 1
true_that "the plan is empty" 0 steps_planned
show pinfold status seed

say "Who did what, when, and how long it lasted"
show pinfold audit --guest seed --kind drift
steps=$((steps + 1))
if show pinfold audit verify; then
	echo "   [ ok ] nobody has changed the record"
else
	missed=$((missed + 1))
fi
agent_stop

printf '\n%d of %d steps came true\n' "$((steps - missed))" "$steps"
[[ $missed == 0 ]]
