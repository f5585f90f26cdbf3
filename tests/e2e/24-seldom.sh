# SPDX-License-Identifier: GPL-2.0-or-later
# lab: 4x2 no-systemd
# shellcheck shell=bash
# The agent looks when it is told that something was done; the safety net comes so seldom here that
# it can't be what found it. Guests are stand-ins (tests/bench/standin.c), promised by libvirtd's
# test driver. `pinfold status` looks too, so these tests don't ask it.

MACHINE=/sys/fs/cgroup/machine

seldom()
{
	agent_start "[agent]
interval = 1h
sweep = ${1:-24h}
[libvirt]
uri = test+unix:///tmp/seldom/node.xml
state-dir = /tmp/seldom/state"
	becomes_held
}

setup()
{
	mkdir -p /tmp/seldom
	.build/bench/standin 2 2 1 /tmp/seldom < <(sleep infinity) > /tmp/seldom/out 2>&1 &
	echo $! > /tmp/seldom/pid
	disown
	wait_for 60 grep -q ready /tmp/seldom/out
	seldom
}

teardown()
{
	agent_stop
	kill "$(cat /tmp/seldom/pid)"
	wait_for 30 gone "$(cat /tmp/seldom/pid)"
	wait_for 30 test ! -e $MACHINE/qemu-1-standin0.libvirt-qemu
}

standin_pid()
{
	sed -n "s/^<domstatus .* pid='\\([0-9]*\\)'.*/\\1/p" "/tmp/seldom/state/$1.xml"
}

# helper_tid PID: of each such thread, if there is one.
helper_tid()
{
	local file tids=()
	for file in "/proc/$1/task"/*/comm; do
		[[ $(cat "$file") != vhost-1 ]] || tids+=("$(cut -d/ -f5 <<< "$file")")
	done
	((${#tids[@]})) && printf '%s\n' "${tids[@]}"
}

# logged WORDS: the agent has said so since the mark.
mark()
{
	wc -l < "$AGENT_LOG" > /tmp/seldom/mark
}

logged()
{
	tail -n +"$(($(cat /tmp/seldom/mark) + 1))" "$AGENT_LOG" | grep -qF -- "$1"
}

test_a_new_helper_thread_is_put_into_its_leaf()
{
	local pid tid base
	pid=$(standin_pid standin0)
	base=/machine/qemu-1-standin0.libvirt-qemu
	kill -USR1 "$pid"
	wait_for 30 helper_tid "$pid"
	tid=$(helper_tid "$pid")
	becomes "$base/helper" leaf_of "$tid"
}

test_threads_that_come_and_go_do_not_stop_it()
{
	local pid tids
	pid=$(standin_pid standin0)
	for _ in 1 2 3 4 5 6 7 8; do
		kill -USR1 "$pid"
		sleep 0.3
	done
	all_helped()
	{
		local tid
		mapfile -t tids < <(helper_tid "$pid")
		((${#tids[@]} >= 8)) || return 1
		for tid in "${tids[@]}"; do
			[[ $(leaf_of "$tid") == */helper ]] || return 1
		done
	}
	wait_for "$PATIENCE" all_helped
}

# The kernel takes a CPU out of everything else when it becomes a partition's.
test_a_partition_beside_the_guests_is_noticed_and_so_is_its_end()
{
	local thief=/sys/fs/cgroup/thief
	mark
	mkdir $thief
	write_knob $thief/cpuset.cpus 0 # standin0 was promised 0-1
	write_knob $thief/cpuset.cpus.partition root
	is root cat $thief/cpuset.cpus.partition
	wait_for "$PATIENCE" logged "guest 'standin0': impossible"
	never logged "guest 'standin1': impossible"
	is 1 allowed "$(standin_pid standin0)"
	mark
	write_knob $thief/cpuset.cpus.partition member
	rmdir $thief
	wait_for "$PATIENCE" logged "guest 'standin0': held"
	is 0-1 allowed "$(standin_pid standin0)"
}

test_a_write_above_the_guests_is_noticed_and_so_is_its_end()
{
	local all
	all=$(cat /sys/fs/cgroup/cpuset.cpus.effective)
	mark
	write_knob $MACHINE/cpuset.cpus "0,2-${all#0-}" # standin0 was promised 0-1
	wait_for "$PATIENCE" logged "guest 'standin0': impossible"
	never logged "guest 'standin1': impossible"
	mark
	write_knob $MACHINE/cpuset.cpus "$all"
	wait_for "$PATIENCE" logged "guest 'standin0': held"
	is 0-1 allowed "$(standin_pid standin0)"
}

test_a_write_of_nodes_above_the_guests_is_noticed_and_so_is_its_end()
{
	local all
	all=$(cat /sys/fs/cgroup/cpuset.mems.effective)
	mark
	write_knob $MACHINE/cpuset.mems "1-${all#0-}" # standin0 was promised node 0
	wait_for "$PATIENCE" logged "guest 'standin0': impossible"
	never logged "guest 'standin1': impossible"
	mark
	write_knob $MACHINE/cpuset.mems "$all"
	wait_for "$PATIENCE" logged "guest 'standin0': held"
}

# One act after the other on one guest, of which each look reads only what it was about: none of
# them may hide another.
test_acts_on_one_guest_do_not_hide_each_other()
{
	local base=$MACHINE/qemu-1-standin0.libvirt-qemu tid0 tid1 round
	tid0=$(head -1 $base/vcpu0/cgroup.threads)
	tid1=$(head -1 $base/vcpu1/cgroup.threads)
	for round in 1 2 3; do
		taskset -pc 0 "$tid0" > /dev/null
		write_knob $base/vcpu1/cpuset.cpus 5
		write_knob $base/vcpu0/cpu.max "20000 100000"
		write_knob $base/cpu.weight $((200 + round))
		echo "$tid1" > $base/emulator/cgroup.threads
		becomes 0-1 allowed "$tid0"
		becomes "${base#/sys/fs/cgroup}/vcpu1" leaf_of "$tid1"
		becomes 0-1 cat $base/vcpu1/cpuset.cpus
		becomes 0-1 allowed "$tid1"
		becomes "max 100000" cat $base/vcpu0/cpu.max
		becomes 100 cat $base/cpu.weight
	done
}

SYSCALLS=/sys/kernel/tracing/events/raw_syscalls/sys_enter

# System calls of the agent's loop since they are counted; what the kernel itself counts.
calls()
{
	sed -n 's/.*hitcount: *\([0-9]*\)$/\1/p' $SYSCALLS/hist | tail -1
}

# A look at all of a guest is 200 calls here. A repair takes two looks, which read one thread.
test_a_repair_and_waiting_for_the_next_act_cost_few_system_calls()
{
	local tid counter idle
	tid=$(head -1 $MACHINE/qemu-1-standin0.libvirt-qemu/vcpu0/cgroup.threads)
	counter="hist:keys=common_pid if common_pid == $(agent_pid)"
	repair()
	{
		taskset -pc 0 "$tid" > /dev/null
		becomes 0-1 allowed "$tid"
	}
	repair # the first after a start looks at all of it
	echo "$counter" > $SYSCALLS/trigger
	for _ in 1 2 3 4; do
		repair
	done
	echo "four repairs took $(calls) calls"
	(($(calls) <= 4 * 150))
	idle=$(calls)
	sleep 5
	idle=$(($(calls) - idle))
	echo "five seconds of waiting took $idle calls"
	((idle <= 100))
	echo "!$counter" > $SYSCALLS/trigger
}

test_what_nothing_tells_is_found_by_the_safety_net()
{
	local tid
	agent_stop
	seldom 2s
	tid=$(grep -l '^worker$' "/proc/$(standin_pid standin1)/task"/*/comm | sed 's|.*task/\([0-9]*\)/comm|\1|')
	kill -USR2 "$(standin_pid standin1)"
	becomes /machine/qemu-2-standin1.libvirt-qemu/helper leaf_of "$tid"
}

test_a_process_that_ends_is_let_go_though_libvirt_does_not_tell()
{
	agent_stop
	seldom
	mark
	kill -KILL "$(standin_pid standin1)"
	wait_for "$PATIENCE" logged "guest 'standin1': ended"
}
