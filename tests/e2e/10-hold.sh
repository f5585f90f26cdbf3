# SPDX-License-Identifier: GPL-2.0-or-later
# lab: 4x2 systemd
# newer: 4x2 systemd 6.12
# newer: 4x2 systemd 7
# shellcheck shell=bash
# Two guests with iothreads, held at once: what their XML promises is what the kernel does, and what
# is broken by hand is put right.

setup()
{
	guest alpha --vcpus 3 --max-vcpus 4 --iothreads 2 --memory 64 --cputune "
		<shares>500</shares>
		<period>100000</period><quota>50000</quota>
		<global_period>200000</global_period><global_quota>600000</global_quota>
		<emulator_period>50000</emulator_period><emulator_quota>25000</emulator_quota>
		<iothread_period>40000</iothread_period><iothread_quota>20000</iothread_quota>
		<vcpupin vcpu='0' cpuset='2'/>
		<vcpupin vcpu='1' cpuset='3-5,^4'/>
		<vcpupin vcpu='3' cpuset='7'/>
		<emulatorpin cpuset='0-1'/>
		<iothreadpin iothread='1' cpuset='6'/>" \
		--numatune "<memory mode='strict' nodeset='1-2'/>"
	guest beta --vcpus 2 --iothreads 1 --cpuset 4-7 --cputune "<vcpupin vcpu='1' cpuset='4'/>"
	agent_start
	becomes_held
}

teardown()
{
	agent_stop
	lab_guest_destroy alpha
	lab_guest_destroy beta
}

test_every_thread_is_where_its_xml_says()
{
	local a b
	a=$(lab_scope alpha) b=$(lab_scope beta)
	is 2 allowed "$(vcpu_tid alpha 0)"
	is 3,5 allowed "$(vcpu_tid alpha 1)"
	is 0-7 allowed "$(vcpu_tid alpha 2)"
	is 0-1 allowed "$(lab_pid alpha)"
	is 6 allowed "$(iothread_tid alpha 1)"
	is 0-7 allowed "$(iothread_tid alpha 2)"
	is 4-7 allowed "$(vcpu_tid beta 0)"
	is 4 allowed "$(vcpu_tid beta 1)"
	is 4-7 allowed "$(lab_pid beta)"
	is 4-7 allowed "$(iothread_tid beta 1)"
	is 2 cat "$a/vcpu0/cpuset.cpus.effective"
	is 1-2 cat "$a/vcpu0/cpuset.mems.effective"
	is 1-2 cat "$a/emulator/cpuset.mems.effective"
	is 1-2 cat "$a/iothread2/cpuset.mems.effective"
	is "50000 100000" cat "$a/vcpu1/cpu.max"
	is "25000 50000" cat "$a/emulator/cpu.max"
	is "20000 40000" cat "$a/iothread1/cpu.max"
	is "600000 200000" cat "$a/cpu.max"
	is 500 cat "${a%/libvirt}/cpu.weight"
	is "max 100000" cat "$b/vcpu0/cpu.max"
	is 4 cat "$b/vcpu1/cpuset.cpus.effective"
}

test_status_shows_each_thread_with_its_role_and_state()
{
	local json
	json=$("$PINFOLD" status alpha --json)
	jq -e --argjson tid "$(vcpu_tid alpha 1)" '.guests[0] | .state == "held" and
		(.threads[] | select(.tid == $tid) |
		 .role == "vcpu 1" and .cpus.desired == "3,5" and .cpus.actual == "3,5" and
		 .nodes.desired == "1-2" and .state == "held")' <<< "$json"
	jq -e '[.guests[0].threads[].role] | index("emulator") and index("iothread 2")' <<< "$json"
	# Every thread of the process has exactly one role.
	is "$(find "/proc/$(lab_pid alpha)/task" -mindepth 1 -maxdepth 1 | wc -l)" \
		jq '.guests[0].threads | length' <<< "$json"
	"$PINFOLD" status --check
}

test_a_held_guest_has_an_empty_plan()
{
	is 0 jq '.plans | length' <<< "$("$PINFOLD" plan --json)"
}

test_a_cpuset_written_by_hand_is_put_right()
{
	local a
	a=$(lab_scope alpha)
	write_knob "$a/vcpu0/cpuset.cpus" 0-7
	becomes 2 cat "$a/vcpu0/cpuset.cpus"
	becomes 2 allowed "$(vcpu_tid alpha 0)"
	becomes_held
}

test_taskset_within_the_cpuset_is_put_right()
{
	taskset -pc 3 "$(vcpu_tid alpha 1)"
	becomes 3,5 allowed "$(vcpu_tid alpha 1)"
	taskset -pc 1 "$(lab_pid alpha)"
	becomes 0-1 allowed "$(lab_pid alpha)"
	taskset -pc 0 "$(vcpu_tid alpha 2)"
	becomes 0-7 allowed "$(vcpu_tid alpha 2)"
	becomes_held
}

test_a_thread_moved_to_another_leaf_is_moved_back()
{
	local a tid
	a=$(lab_scope alpha) tid=$(vcpu_tid alpha 0)
	write_knob "$a/iothread1/cgroup.threads" "$tid"
	becomes "${a#/sys/fs/cgroup}/vcpu0" leaf_of "$tid"
	becomes 2 allowed "$tid"
	becomes_held
}

test_bandwidth_and_weight_of_leaf_and_guest_are_put_right()
{
	local a
	a=$(lab_scope alpha)
	write_knob "$a/vcpu0/cpu.max" "1000 100000"
	write_knob "$a/emulator/cpu.weight" 1
	write_knob "$a/cpu.max" "max 100000"
	write_knob "$a/cpu.weight" 1
	becomes "50000 100000" cat "$a/vcpu0/cpu.max"
	becomes 100 cat "$a/emulator/cpu.weight"
	becomes "600000 200000" cat "$a/cpu.max"
	becomes 100 cat "$a/cpu.weight"
	becomes_held
}

test_memory_nodes_written_by_hand_are_put_right()
{
	local a
	a=$(lab_scope alpha)
	write_knob "$a/vcpu0/cpuset.mems" 3
	becomes 1-2 cat "$a/vcpu0/cpuset.mems"
	write_knob "$a/emulator/cpuset.mems" 0-3
	becomes 1-2 cat "$a/emulator/cpuset.mems"
	becomes_held
}

test_a_vcpu_without_a_pin_floats_again_after_it_was_narrowed()
{
	local a
	a=$(lab_scope alpha)
	write_knob "$a/vcpu2/cpuset.cpus" 1
	becomes 0-7 cat "$a/vcpu2/cpuset.cpus.effective"
	becomes 0-7 allowed "$(vcpu_tid alpha 2)"
	becomes_held
}

test_the_guests_own_group_narrowed_by_hand_is_widened()
{
	local a
	a=$(lab_scope alpha)
	write_knob "$a/cpuset.cpus" 0-1
	becomes 0-7 cat "$a/cpuset.cpus.effective"
	becomes 2 cat "$a/vcpu0/cpuset.cpus.effective"
	becomes 2 allowed "$(vcpu_tid alpha 0)"
	becomes_held
}

test_a_scopes_weight_written_by_hand_is_put_right_so_that_daemon_reload_keeps_it()
{
	local unit
	unit=$(unit_dir alpha)
	write_knob "$unit/cpu.weight" 7
	becomes 500 cat "$unit/cpu.weight"
	systemctl daemon-reload
	sleep 1
	is 500 cat "$unit/cpu.weight"
	becomes_held
}

test_controllers_taken_away_below_the_guest_come_back_with_all_values()
{
	local a
	a=$(lab_scope beta)
	write_knob "$a/cgroup.subtree_control" -cpuset
	becomes 4 cat "$a/vcpu1/cpuset.cpus"
	becomes 4-7 cat "$a/vcpu0/cpuset.cpus"
	becomes 4 allowed "$(vcpu_tid beta 1)"
	becomes 4-7 allowed "$(vcpu_tid beta 0)"
	becomes_held
}

test_other_guests_are_not_written_to()
{
	local b before
	b=$(lab_scope beta)
	before=$(grep -c "guest 'beta'" "$AGENT_LOG")
	write_knob "$(lab_scope alpha)/vcpu0/cpuset.cpus" 1
	becomes 2 cat "$(lab_scope alpha)/vcpu0/cpuset.cpus"
	becomes_held
	is "$before" grep -c "guest 'beta'" "$AGENT_LOG"
}

test_a_dead_agent_leaves_everything_and_a_new_one_finds_nothing_to_do()
{
	local a before after
	a=$(lab_scope alpha)
	becomes_held
	before=$(grep -r . "$a"/*/cpuset.cpus "$a"/*/cpuset.mems "$a"/*/cpu.max "$a"/*/cpu.weight)
	agent_stop KILL
	after=$(grep -r . "$a"/*/cpuset.cpus "$a"/*/cpuset.mems "$a"/*/cpu.max "$a"/*/cpu.weight)
	[[ $before == "$after" ]]
	is 2 allowed "$(vcpu_tid alpha 0)"
	: > "$AGENT_LOG"
	agent_start
	held
	never grep -E "write|move|set affinity|make" "$AGENT_LOG"
}

test_once_holds_and_ends()
{
	local a
	a=$(lab_scope alpha)
	agent_stop
	write_knob "$a/vcpu0/cpuset.cpus" 5
	"$PINFOLDD" --config /tmp/pinfold.conf --once
	is 2 cat "$a/vcpu0/cpuset.cpus"
	is 2 allowed "$(vcpu_tid alpha 0)"
	refuses 3 "$PINFOLD" status
	agent_start
}
