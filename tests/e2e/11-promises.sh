# SPDX-License-Identifier: GPL-2.0-or-later
# lab: 4x2 systemd
# newer: 4x2 systemd 6.12
# newer: 4x2 systemd 7
# shellcheck shell=bash
# New promises are followed and never fought; what can't be kept is said, and the rest is held.

setup()
{
	guest gamma --vcpus 2 --max-vcpus 4 --iothreads 1 --cpuset 2-5 --cputune "
		<shares>300</shares><vcpupin vcpu='0' cpuset='3'/>" \
		--numatune "<memory mode='restrictive' nodeset='1'/>"
	guest delta --vcpus 2 --cputune "<vcpupin vcpu='0' cpuset='6'/><vcpupin vcpu='1' cpuset='7'/>"
	agent_start
	becomes_held
}

teardown()
{
	agent_stop
	lab_guest_destroy gamma
	lab_guest_destroy delta
	lab_guest_destroy shrink # its test has ended it, when it came that far
}

# stays EXPECTED COMMAND: for two seconds, and when nothing is left to be said of what was done.
stays()
{
	local i
	for i in 1 2 3 4; do
		is "$@" || { echo "look $i"; return 1; }
		sleep 0.5
	done
	wait_for "$PATIENCE" on_record
	is "$@"
}

test_virsh_vcpupin_is_a_new_promise()
{
	local tid
	tid=$(vcpu_tid gamma 0)
	virsh vcpupin gamma 0 4-5 --live
	stays 4-5 allowed "$tid"
	becomes_held
	is 4-5 jq -r --argjson tid "$tid" '.guests[0].threads[] | select(.tid == $tid).cpus.desired' \
		<<< "$("$PINFOLD" status gamma --json)"
	never grep "gamma.*vcpu0/cpuset.cpus" "$AGENT_LOG"
}

test_virsh_emulatorpin_is_a_new_promise()
{
	virsh emulatorpin gamma 2 --live
	stays 2 allowed "$(lab_pid gamma)"
	becomes_held
	is 2 jq -r '[.guests[0].threads[] | select(.role == "emulator").cpus.desired] | unique[]' \
		<<< "$("$PINFOLD" status gamma --json)"
}

test_virsh_iothreadpin_is_a_new_promise()
{
	virsh iothreadpin gamma 1 5 --live
	stays 5 allowed "$(iothread_tid gamma 1)"
	becomes_held
}

test_virsh_schedinfo_is_a_new_promise()
{
	local a
	a=$(lab_scope gamma)
	virsh schedinfo gamma --live cpu_shares=444 vcpu_quota=60000 vcpu_period=100000 emulator_quota=30000
	stays "60000 100000" cat "$a/vcpu0/cpu.max"
	stays 444 cat "${a%/libvirt}/cpu.weight"
	is "30000 100000" cat "$a/emulator/cpu.max"
	becomes_held
	write_knob "${a%/libvirt}/cpu.weight" 9
	becomes 444 cat "${a%/libvirt}/cpu.weight"
	becomes_held
}

test_virsh_numatune_is_a_new_promise()
{
	local a
	a=$(lab_scope gamma)
	virsh numatune gamma --nodeset 2-3 --live
	stays 2-3 cat "$a/vcpu0/cpuset.mems"
	becomes_held
	write_knob "$a/vcpu0/cpuset.mems" 0
	becomes 2-3 cat "$a/vcpu0/cpuset.mems"
	becomes_held
}

test_a_vcpu_plugged_in_is_followed()
{
	virsh setvcpus gamma 3 --live
	wait_for 60 vcpu_tid gamma 2
	becomes "$(lab_scope gamma | sed 's|/sys/fs/cgroup||')/vcpu2" leaf_of "$(vcpu_tid gamma 2)"
	becomes 2-5 allowed "$(vcpu_tid gamma 2)"
	becomes_held
	is 3 jq '[.guests[0].threads[] | select(.role | startswith("vcpu"))] | length' \
		<<< "$("$PINFOLD" status gamma --json)"
	virsh vcpupin gamma 2 2 --live
	stays 2 allowed "$(vcpu_tid gamma 2)"
	becomes_held
}

# Not before the guest runs: QEMU refuses what the guest has not said it can do.
give_back()
{
	local said
	said=$(virsh setvcpus shrink 2 --live 2>&1) || echo "libvirt was not told"
	[[ $said != *"not supported device type"* ]]
}

# QEMU 7.2 ends the thread and, without KVM, never tells libvirt that the device is gone: libvirt goes
# on naming a vCPU that there is not. That is said; everything else is held.
test_a_vcpu_that_the_guest_has_given_back_is_followed()
{
	guest shrink --vcpus 2 --max-vcpus 4 \
		--cputune "<vcpupin vcpu='0' cpuset='3'/><vcpupin vcpu='2' cpuset='4'/>"
	becomes held state shrink
	virsh setvcpus shrink 3 --live
	wait_for 60 vcpu_tid shrink 2
	becomes held state shrink
	is 4 allowed "$(vcpu_tid shrink 2)"
	wait_for 180 give_back
	wait_for 60 never vcpu_tid shrink 2
	becomes 2 vcpus_in_status shrink
	[[ $(state shrink) == held ]] || says shrink "the thread of vCPU 2 is not known"
	write_knob "$(lab_scope shrink)/vcpu0/cpuset.cpus" 1
	becomes 3 allowed "$(vcpu_tid shrink 0)"
	lab_guest_destroy shrink
}

vcpus_in_status()
{
	"$PINFOLD" status "$1" --json |
		jq '[.guests[0].threads[] | select(.role | startswith("vcpu"))] | length'
}

test_an_iothread_added_live_gets_its_cpus()
{
	virsh iothreadadd gamma 7 --live
	wait_for 30 iothread_tid gamma 7
	becomes 2-5 allowed "$(iothread_tid gamma 7)"
	becomes 2-5 cat "$(lab_scope gamma)/iothread7/cpuset.cpus"
	becomes_held
	virsh iothreaddel gamma 7 --live
	becomes_held
}

test_metadata_chooses_observe_and_then_nothing_is_changed()
{
	local a
	a=$(lab_scope gamma)
	virsh metadata gamma urn:pinfold:policy:1 --key pinfold --set "<policy mode='observe'/>" --live
	becomes observed state gamma
	write_knob "$a/vcpu0/cpuset.cpus" 0-1
	stays 0-1 cat "$a/vcpu0/cpuset.cpus"
	reason gamma | grep -F "cpuset.cpus of vcpu0 is 0-1, promised 4-5"
	refuses 1 "$PINFOLD" plan gamma
	refuses 1 "$PINFOLD" status gamma --check
	virsh metadata gamma urn:pinfold:policy:1 --key pinfold --set "<policy mode='enforce'/>" --live
	becomes 4-5 cat "$a/vcpu0/cpuset.cpus"
	becomes_held
}

test_metadata_with_an_unknown_word_is_one_finding_and_the_guest_is_held()
{
	local a
	a=$(lab_scope gamma)
	virsh metadata gamma urn:pinfold:policy:1 --key pinfold --set "<policy mode='fierce'/>" --live
	wait_for 60 says gamma fierce
	is 1 jq '.guests[0].findings | length' <<< "$("$PINFOLD" status gamma --json)"
	is held state gamma
	write_knob "$a/vcpu0/cpuset.cpus" 0-1
	becomes 4-5 cat "$a/vcpu0/cpuset.cpus"
	virsh metadata gamma urn:pinfold:policy:1 --key pinfold --set "<policy colour='red'/>" --live
	wait_for 60 says gamma colour
	virsh metadata gamma urn:pinfold:policy:1 --remove --live
	becomes_held
	is 0 jq '.guests[0].findings | length' <<< "$("$PINFOLD" status gamma --json)"
}

mode()
{
	"$PINFOLD" status "$1" --json | jq -r '.guests[0].mode'
}

test_guard_by_metadata_refuses_until_it_is_taken_back()
{
	local d
	d=$(lab_scope delta)
	virsh metadata delta urn:pinfold:policy:1 --key pinfold --set "<policy mode='guard'/>" --live
	becomes guard mode delta
	wait_for 60 never write_knob "$d/vcpu0/cpuset.cpus" 6
	virsh metadata delta urn:pinfold:policy:1 --remove --live
	becomes enforce mode delta
	write_knob "$d/vcpu0/cpuset.cpus" 6
	becomes_held
}

test_a_cpu_gone_offline_is_impossible_and_everything_else_is_held()
{
	local d
	d=$(lab_scope delta)
	echo 0 > /sys/devices/system/cpu/cpu7/online
	becomes impossible state delta
	reason delta | grep -F "CPU 7 is offline"
	is held state gamma
	# The other vCPU of the same guest is still put right.
	write_knob "$d/vcpu0/cpuset.cpus" 1
	becomes 6 cat "$d/vcpu0/cpuset.cpus"
	becomes 6 allowed "$(vcpu_tid delta 0)"
	refuses 1 "$PINFOLD" status --check
	echo 1 > /sys/devices/system/cpu/cpu7/online
	becomes_held
	is 7 allowed "$(vcpu_tid delta 1)"
}

test_a_cpu_outside_what_the_parent_allows_is_impossible_and_the_rest_is_held()
{
	systemctl set-property --runtime machine.slice AllowedCPUs=0-6
	becomes impossible state delta
	reason delta | grep -F "CPU 7, which is outside what"
	is 6 allowed "$(vcpu_tid delta 0)"
	is held state gamma
	systemctl set-property --runtime machine.slice AllowedCPUs=0-7
	becomes_held
	becomes 7 allowed "$(vcpu_tid delta 1)"
}

test_release_puts_back_what_was_found_and_hold_holds_again()
{
	local d before
	agent_stop
	d=$(lab_scope delta)
	write_knob "$d/vcpu0/cpuset.cpus" 5
	before=$(cat "$d/vcpu0/cpuset.cpus")
	rm -rf /run/pinfold/guests
	agent_start
	becomes 6 cat "$d/vcpu0/cpuset.cpus"
	"$PINFOLD" release delta
	is "$before" cat "$d/vcpu0/cpuset.cpus"
	stays "$before" cat "$d/vcpu0/cpuset.cpus"
	is observed state delta
	refuses 1 "$PINFOLD" release delta
	# It stays released when the agent is started anew.
	agent_stop
	agent_start
	stays "$before" cat "$d/vcpu0/cpuset.cpus"
	"$PINFOLD" hold delta
	becomes 6 cat "$d/vcpu0/cpuset.cpus"
	becomes 6 allowed "$(vcpu_tid delta 0)"
	becomes_held
}

test_a_helper_thread_gets_a_leaf_of_its_own()
{
	local d tid
	d=$(lab_scope delta)
	python3 -c 'import socket, time
s = socket.socket(socket.AF_UNIX); s.bind("/tmp/migrate.sock"); s.listen(); c = s.accept()[0]
while c.recv(4096): pass' &
	wait_for 60 test -S /tmp/migrate.sock
	virsh qemu-monitor-command delta \
		'{"execute": "migrate-set-parameters", "arguments": {"max-bandwidth": 500}}'
	virsh qemu-monitor-command delta '{"execute": "migrate", "arguments": {"uri": "unix:/tmp/migrate.sock"}}'
	wait_for 30 lab_comm_tid delta live_migration
	tid=$(lab_comm_tid delta live_migration)
	becomes "${d#/sys/fs/cgroup}/helper" leaf_of "$tid"
	is threaded cat "$d/helper/cgroup.type"
	is helper jq -r --argjson tid "$tid" '.guests[0].threads[] | select(.tid == $tid).role' \
		<<< "$("$PINFOLD" status delta --json)"
	virsh qemu-monitor-command delta '{"execute": "migrate_cancel"}'
	wait_for 60 gone "$tid"
	becomes_held
}

test_a_new_guest_is_held_and_a_destroyed_one_leaves_no_state()
{
	local scope
	guest late --vcpus 1 --cputune "<vcpupin vcpu='0' cpuset='1'/>"
	becomes held state late
	scope=$(lab_scope late)
	write_knob "$scope/vcpu0/cpuset.cpus" 2
	becomes 1 cat "$scope/vcpu0/cpuset.cpus"
	lab_guest_destroy late
	wait_for 60 refuses 1 "$PINFOLD" status late
	wait_for 60 test ! -e "$scope"
	is 0 jq '[.guests[] | select(.name == "late")] | length' <<< "$("$PINFOLD" status --json)"
	becomes_held
}
