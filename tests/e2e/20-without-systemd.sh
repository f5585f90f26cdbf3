# SPDX-License-Identifier: GPL-2.0-or-later
# lab: 4x2 no-systemd lsm=lockdown,yama
# shellcheck shell=bash
# A host without systemd: libvirt's own groups, everything written directly. And without BPF LSM.

setup()
{
	guest plain --vcpus 2 --iothreads 1 --cputune "
		<shares>700</shares><vcpupin vcpu='0' cpuset='3'/><emulatorpin cpuset='0-1'/>
		<iothreadpin iothread='1' cpuset='6'/>" \
		--numatune "<memory mode='strict' nodeset='2'/>"
	guest 'odd \name' --cputune "<vcpupin vcpu='0' cpuset='5'/>"
	agent_start
	becomes_held
}

teardown()
{
	agent_stop
	lab_guest_destroy plain
	lab_guest_destroy 'odd \name'
}

test_the_kernel_passes_the_contract_suite()
{
	.build/contract-kernel
}

test_guard_is_refused_with_the_reason_and_the_guest_is_enforced()
{
	local tid why
	why="boot it with lsm=$(cat /sys/kernel/security/lsm),bpf on the kernel command line"
	tid=$(vcpu_tid plain 0)
	grep -vw bpf /sys/kernel/security/lsm
	virsh metadata plain urn:pinfold:policy:1 --key pinfold --set "<policy mode='guard'/>" --live
	wait_for 60 says plain "$why"
	is enforce jq -r '.guests[0].mode' <<< "$("$PINFOLD" status plain --json)"
	"$PINFOLD" status | grep -F "$why"
	"$PINFOLD" status --json | jq -r '.capabilities.guard.reason' | grep -F "$why"
	refuses 1 "$PINFOLD" mode plain guard
	grep -F "$why" /tmp/refused.out
	taskset -pc 0-7 "$tid"
	becomes 3 allowed "$tid"
	virsh metadata plain urn:pinfold:policy:1 --remove --live
	becomes_held
}

test_threads_and_knobs_are_as_promised()
{
	local p
	p=$(lab_scope plain)
	is 3 allowed "$(vcpu_tid plain 0)"
	is 0-1 allowed "$(lab_pid plain)"
	is 6 allowed "$(iothread_tid plain 1)"
	is 5 allowed "$(vcpu_tid 'odd \name' 0)"
	is 700 cat "$p/cpu.weight"
	is 2 cat "$p/vcpu0/cpuset.mems.effective"
}

test_drift_is_put_right_at_every_level()
{
	local p
	p=$(lab_scope plain)
	write_knob "$p/cpu.weight" 1
	write_knob "$p/vcpu0/cpuset.cpus" 0-7
	write_knob "$p/vcpu1/cpu.max" "1000 100000"
	taskset -pc 0 "$(lab_pid plain)"
	write_knob "$(lab_scope 'odd \name')/vcpu0/cpuset.cpus" 1
	becomes 700 cat "$p/cpu.weight"
	becomes 3 allowed "$(vcpu_tid plain 0)"
	becomes "max 100000" cat "$p/vcpu1/cpu.max"
	becomes 0-1 allowed "$(lab_pid plain)"
	becomes 5 allowed "$(vcpu_tid 'odd \name' 0)"
	becomes_held
}

test_shares_of_cgroup_v1_are_scaled_when_asked_for()
{
	local p
	p=$(lab_scope plain)
	agent_stop
	agent_start $'[defaults]\nshares-scale = v1'
	becomes 68 cat "$p/cpu.weight"
	becomes_held
	agent_stop
	agent_start
	becomes 700 cat "$p/cpu.weight"
}

test_unpinned_vcpus_follow_their_memory_when_asked_for()
{
	agent_stop
	agent_start $'[defaults]\nunpinned = follow-memory'
	becomes 4-5 allowed "$(vcpu_tid plain 1)"
	becomes_held
	agent_stop
	agent_start
	becomes 0-7 allowed "$(vcpu_tid plain 1)"
	becomes_held
}

test_observe_as_default_changes_nothing()
{
	local p
	p=$(lab_scope plain)
	agent_stop
	write_knob "$p/vcpu0/cpuset.cpus" 1
	agent_start $'[defaults]\nmode = observe\n[agent]\ninterval = 200ms'
	becomes observed state plain
	sleep 2
	is 1 cat "$p/vcpu0/cpuset.cpus"
	agent_stop
	agent_start
	becomes 3 cat "$p/vcpu0/cpuset.cpus"
}

plain_is_at_home()
{
	local p
	p=$(lab_scope plain)
	[[ $p == /sys/fs/cgroup/machine/qemu-*-plain.libvirt-qemu ]]
	is "${p#/sys/fs/cgroup}/vcpu0" leaf_of "$(vcpu_tid plain 0)"
	is 3 allowed "$(vcpu_tid plain 0)"
	is 0-1 allowed "$(lab_pid plain)"
	is 6 allowed "$(iothread_tid plain 1)"
	is 3 cat "$p/vcpu0/cpuset.cpus"
	is 2 cat "$p/vcpu0/cpuset.mems.effective"
	is 700 cat "$p/cpu.weight"
}

test_a_guest_moved_out_goes_back_to_its_group()
{
	local p
	p=$(lab_scope plain)
	mkdir -p /sys/fs/cgroup/foreign
	write_knob /sys/fs/cgroup/foreign/cgroup.procs "$(vcpu_tid plain 0)"
	becomes "${p#/sys/fs/cgroup}/emulator" leaf_of "$(lab_pid plain)"
	becomes_held plain
	plain_is_at_home
}

test_a_guest_whose_group_is_gone_too_gets_it_anew()
{
	local p
	p=$(lab_scope plain)
	agent_stop
	write_knob /sys/fs/cgroup/foreign/cgroup.procs "$(vcpu_tid plain 0)"
	rmdir "$p"/*/ "$p"
	agent_start
	becomes "${p#/sys/fs/cgroup}/emulator" leaf_of "$(lab_pid plain)"
	becomes_held plain
	plain_is_at_home
	virsh -q vcpupin plain 0 4 --live
	becomes 4 allowed "$(vcpu_tid plain 0)"
	virsh -q vcpupin plain 0 3 --live
	rmdir /sys/fs/cgroup/foreign
	becomes_held plain
	plain_is_at_home
}

test_two_agents_do_not_meet_by_accident()
{
	refuses 1 "$PINFOLDD" --config /tmp/pinfold.conf
	grep -i "pinfold/api.sock" /tmp/refused.out
	held
}
