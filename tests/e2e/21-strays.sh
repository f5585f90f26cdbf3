# SPDX-License-Identifier: GPL-2.0-or-later
# lab: 4x2 systemd
# shellcheck shell=bash
# A whole guest moved out of its scope by one thread id, and slices that keep CPUs from it after
# their administrator took that back.

source tests/e2e/since.sh

MACHINE=/sys/fs/cgroup/machine.slice
FOREIGN=/sys/fs/cgroup/system.slice/foreign.service

setup()
{
	guest stray --vcpus 2 --iothreads 1 --memory 64 --cputune "
		<shares>700</shares><period>100000</period><quota>80000</quota>
		<vcpupin vcpu='0' cpuset='5'/><vcpupin vcpu='1' cpuset='3,6'/>
		<emulatorpin cpuset='0-1'/><iothreadpin iothread='1' cpuset='7'/>" \
		--numatune "<memory mode='strict' nodeset='1'/>"
	guest seen --memory 64 --cputune "<vcpupin vcpu='0' cpuset='4'/>" --metadata "
		<pinfold:policy xmlns:pinfold='urn:pinfold:policy:1' mode='observe'/>"
	systemd-run -q --unit=foreign sleep infinity
	wait_for 30 test -e "$FOREIGN/cgroup.procs"
	agent_start
	becomes_held stray
}

teardown()
{
	agent_stop
	lab_guest_destroy stray # the last test has ended it, when it was run
	lab_guest_destroy seen
	systemctl stop foreign
	systemctl revert machine.slice
}

# drifts GUEST: one line each, since then: cause action actor[pid] latency
drifts()
{
	"$PINFOLD" audit --json --kind drift --guest "$1" | jq -r \
		--argjson from "$(cat "$EVENTS_FROM")" 'select(.seq > $from) | [.cause, .action,
		(.actor | if . then "\(.comm)[\(.pid)]" else "-" end), .latency_ns // "-"] | join("|")'
}

drift_count()
{
	drifts "$1" | wc -l
}

# move_out GUEST: one vCPU's id is enough to take the whole process along.
move_out()
{
	write_knob "$FOREIGN/cgroup.procs" "$(vcpu_tid "$1" 0)"
	is "${FOREIGN#/sys/fs/cgroup}" leaf_of "$(lab_pid "$1")"
}

# at_home: every thread is where it belongs, allowed what it was promised, by the kernel's files.
at_home()
{
	local scope leaf
	scope=$(lab_scope stray) || return 1
	[[ $scope == "$MACHINE"/machine-qemu*stray.scope/libvirt ]] || return 1
	for leaf in vcpu0 vcpu1 iothread1; do
		[[ $(cat "$scope/$leaf/cgroup.type") == threaded ]] || return 1
	done
	is "${scope#/sys/fs/cgroup}/vcpu0" leaf_of "$(vcpu_tid stray 0)" &&
	is "${scope#/sys/fs/cgroup}/vcpu1" leaf_of "$(vcpu_tid stray 1)" &&
	is "${scope#/sys/fs/cgroup}/iothread1" leaf_of "$(iothread_tid stray 1)" &&
	is 5 allowed "$(vcpu_tid stray 0)" &&
	is 3,6 allowed "$(vcpu_tid stray 1)" &&
	is 7 allowed "$(iothread_tid stray 1)" &&
	is 0-1 allowed "$(lab_pid stray)"
}

values_are_promised()
{
	local scope
	scope=$(lab_scope stray)
	is 5 cat "$scope/vcpu0/cpuset.cpus"
	is 3,6 cat "$scope/vcpu1/cpuset.cpus"
	is 1 cat "$scope/vcpu0/cpuset.mems"
	is 1 cat "$scope/emulator/cpuset.mems"
	is "80000 100000" cat "$scope/vcpu0/cpu.max"
	is "80000 100000" cat "$scope/vcpu1/cpu.max"
	is "max 100000" cat "$scope/emulator/cpu.max"
	is 700 cat "${scope%/libvirt}/cpu.weight"
	never grep -x "$(lab_pid stray)" "$FOREIGN/cgroup.procs"
}

becomes_at_home()
{
	wait_for "$PATIENCE" at_home || { lab_threads stray; at_home; }
	becomes_held stray
	at_home
	values_are_promised
}

test_a_guest_moved_out_is_brought_back_once_with_its_doer()
{
	local scope
	scope=$(lab_scope stray)
	since
	move_out stray
	becomes_at_home
	is "$scope" lab_scope stray
	wait_for 60 machine_is_known
	wait_for 60 drifts_one stray
	wait_for "$PATIENCE" on_record stray
	is 1 drift_count stray || { drifts stray; return 1; }
	drifts stray | grep -E '^cgroup-move\|repaired\|bash\[[0-9]+\]\|[0-9]+$'
	says stray "are gone until the guest is started again"
}

machine_is_known()
{
	machinectl list --no-legend | grep -F stray
}

drifts_one()
{
	(($(drift_count "$1") > 0))
}

test_systemd_and_a_new_agent_leave_it_there()
{
	since
	systemctl daemon-reload
	at_home
	values_are_promised
	agent_stop KILL
	agent_start
	becomes_held stray
	at_home
	values_are_promised
	wait_for "$PATIENCE" on_record stray
	is 0 drift_count stray || { drifts stray; return 1; }
}

test_libvirt_has_hold_of_it_again()
{
	virsh -q vcpupin stray 0 4 --live
	is 4 cat "$(lab_scope stray)/vcpu0/cpuset.cpus"
	becomes_held stray
	is 4 allowed "$(vcpu_tid stray 0)"
	systemctl restart libvirtd
	virsh -q vcpupin stray 0 5 --live
	virsh -q schedinfo stray --live --set cpu_shares=650
	is 650 cat "$(unit_dir stray)/cpu.weight"
	virsh -q schedinfo stray --live --set cpu_shares=700
	becomes_at_home
}

test_released_it_stays_where_libvirt_had_it()
{
	local scope
	scope=$(lab_scope stray)
	"$PINFOLD" release stray
	is "$scope" lab_scope stray
	is "${scope#/sys/fs/cgroup}/vcpu0" leaf_of "$(vcpu_tid stray 0)"
	is 5 allowed "$(vcpu_tid stray 0)"
	"$PINFOLD" hold stray
	becomes_at_home
}

test_a_guest_moved_out_while_no_agent_looked_is_brought_back()
{
	agent_stop KILL
	move_out stray
	wait_for 30 test ! -e "$(echo "$MACHINE"/machine-qemu*stray.scope)"
	refuses 1 virsh -q vcpupin stray 0 5 --live # libvirt has lost it
	agent_start
	becomes_at_home
	virsh -q vcpupin stray 0 5 --live
}

test_it_is_brought_back_out_of_another_guests_scope()
{
	write_knob "$(lab_scope seen)/cgroup.procs" "$(vcpu_tid stray 0)"
	becomes_at_home
	[[ $(lab_scope seen) != "$(lab_scope stray)" ]]
}

test_an_observed_guest_is_told_and_not_moved()
{
	local pid
	pid=$(lab_pid seen)
	since
	move_out seen
	wait_for 30 says seen "somebody moved it out"
	wait_for 30 test ! -e "$(echo "$MACHINE"/machine-qemu*seen.scope)"
	wait_for "$PATIENCE" on_record seen
	is observed state seen
	reason seen | grep -F "was moved to /system.slice/foreign.service, belongs in /machine.slice/"
	is "${FOREIGN#/sys/fs/cgroup}" leaf_of "$pid"
	refuses 1 "$PINFOLD" plan seen
	grep -F "have systemd make" /tmp/refused.out
	wait_for 60 drifts_one seen
	drifts seen | grep -E '^cgroup-move\|observed\|bash\[[0-9]+\]\|-$'
}

escapes_of()
{
	"$PINFOLD" status "$1" --json | jq '.guests[0].counters.escapes // 0'
}

has_more_escapes()
{
	(($(escapes_of "$1") > $2))
}

# The guest of the test before: its groups are gone, only its threads are left to know it by.
test_an_observed_guest_that_strayed_is_watched_by_a_new_agent()
{
	local before tid
	agent_stop KILL
	agent_start
	becomes observed state seen
	before=$(escapes_of seen)
	tid=$(vcpu_tid seen 0)
	taskset -pc 1 "$tid"
	taskset -pc 5 "$tid"
	wait_for 30 has_more_escapes seen "$before"
}

test_a_slice_narrowed_by_its_administrator_is_his_word()
{
	systemctl set-property machine.slice AllowedCPUs=0-4
	wait_for 30 is impossible state stray
	reason stray | grep -F "machine.slice allows (AllowedCPUs=0-4, by systemd's word)"
	sleep 3
	is 0-4 cat "$MACHINE/cpuset.cpus"
	is 0-1 allowed "$(lab_pid stray)"
}

test_a_slice_whose_word_was_taken_back_is_widened()
{
	since
	systemctl set-property machine.slice AllowedCPUs=
	becomes_at_home
	is 0-7 cat "$MACHINE/cpuset.cpus"
	systemctl daemon-reload
	is 0-7 cat "$MACHINE/cpuset.cpus.effective"
	at_home
}

test_a_slice_whose_drop_in_was_reverted_is_widened()
{
	systemctl set-property machine.slice AllowedCPUs=0-4 AllowedMemoryNodes=0,2
	wait_for 30 is impossible state stray
	systemctl revert machine.slice
	becomes_at_home
	is 0-7 cat "$MACHINE/cpuset.cpus"
	is 0-3 cat "$MACHINE/cpuset.mems"
}

test_a_scope_of_its_own_is_widened_too()
{
	local unit
	unit=$(basename "$(unit_dir stray)")
	systemctl set-property --runtime "$unit" AllowedCPUs=0-3
	wait_for 30 is impossible state stray
	reason stray | grep -F "scope allows (AllowedCPUs=0-3"
	systemctl set-property --runtime "$unit" AllowedCPUs=
	becomes_at_home
}

test_the_end_of_the_guest_leaves_nothing_behind()
{
	local uuid scope
	uuid=$(virsh domuuid stray | tr -d '[:space:]') scope=$(unit_dir stray)
	[[ -e /run/pinfold/guests/$uuid.json ]]
	lab_guest_destroy stray
	wait_for 30 test ! -e "$scope"
	wait_for 30 test ! -e "/run/pinfold/guests/$uuid.json"
	never machine_is_known
	is "" systemctl list-units --all --no-legend "machine-qemu*stray.scope"
}
