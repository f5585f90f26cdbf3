# SPDX-License-Identifier: GPL-2.0-or-later
# lab: 4x2 systemd
# shellcheck shell=bash
# What the eBPF programs see of real guests: who did what to which thread, once an act, and how long
# it took to be put right.

source tests/e2e/since.sh

PINS=/sys/fs/bpf/pinfold

pinned()
{
	compgen -G "$PINS/v[0-9]*" > /dev/null
}

setup()
{
	guest kappa --vcpus 2 --iothreads 1 --memory 64 --cputune "
		<vcpupin vcpu='0' cpuset='2'/><vcpupin vcpu='1' cpuset='3,5'/>
		<emulatorpin cpuset='0-1'/><iothreadpin iothread='1' cpuset='6'/>"
	guest loose --vcpus 2 --memory 64 --metadata "
		<pinfold:policy xmlns:pinfold='urn:pinfold:policy:1' mode='observe'/>" \
		--numatune "<memory mode='strict' nodeset='1'/>"
	agent_start "$(printf '[agent]\nlog-level = debug')"
	becomes_held kappa
	wait_for 30 watched kappa
}

teardown()
{
	agent_stop
	lab_guest_destroy kappa
	lab_guest_destroy loose
}

# watched GUEST: the programs have its threads.
watched()
{
	grep -q "eBPF programs" "$AGENT_LOG" && "$PINFOLD" status "$1" --check
}

# events GUEST KIND: one line each, since then: cause action tid role actor uid cgroup latency
# outside, separated by "|"; "-" for the agent's own.
events()
{
	"$PINFOLD" audit --json --kind "$2" | jq -r --arg guest "$1" \
		--argjson from "$(cat "$EVENTS_FROM")" 'select(.seq > $from) |
		select((.guest.name // "-") == $guest) | [.cause, .action, .thread.tid // 0,
		.thread.role // "", (.actor | if . then "\(.comm)[\(.pid)] uid=\(.uid)" else "-" end),
		.actor.cgroup // "-", .latency_ns // "-", .outside_ns // "-"] | join("|")'
}

count_of()
{
	events "$1" "$2" | grep -cE -- "$3" || true
}

# told_once GUEST KIND PATTERN: there is exactly one such event, and no more follow.
told_once()
{
	wait_for "$PATIENCE" events_match "$@" || { echo "no $2 of $1 like '$3':"; events "$1" "$2"; return 1; }
	wait_for "$PATIENCE" on_record "$1"
	is 1 count_of "$@" || { events "$1" "$2"; return 1; }
}

events_match()
{
	[[ $(count_of "$@") -gt 0 ]]
}

# told_alone GUEST KIND PATTERN: exactly one event of that kind, and it is like this.
told_alone()
{
	told_once "$@"
	is 1 count_of "$1" "$2" . || { events "$1" "$2"; return 1; }
}

# as_user COMMAND...: another user than root who may change root's threads.
as_user()
{
	setpriv --reuid 4711 --regid 4711 --clear-groups --inh-caps +sys_nice --ambient-caps +sys_nice \
		-- "$@"
}

test_capabilities_are_listed_each_with_its_reason()
{
	local json
	json=$("$PINFOLD" status --json)
	jq -e '.capabilities["ebpf-escapes"] // (.capabilities[] | select(.name == "ebpf-escapes")) |
		.available' <<< "$json"
	pinned
}

test_a_guest_left_alone_under_load_for_a_minute_has_no_escape()
{
	guest laden --busy --cputune "<vcpupin vcpu='0' cpuset='4'/><emulatorpin cpuset='0-1'/>"
	becomes_held
	since
	for _ in 1 2 3 4; do timeout 60 sh -c 'while :; do :; done' & done
	sleep 60
	wait
	is 0 count_of kappa escape .
	is 0 count_of kappa drift .
	is 0 count_of laden escape .
	is 0 count_of laden drift .
	lab_guest_destroy laden
}

test_taskset_by_another_user_is_told_with_its_doer_and_repair()
{
	local tid
	tid=$(vcpu_tid kappa 1)
	since
	as_user taskset -pc 3 "$tid"
	becomes 3,5 allowed "$tid"
	told_alone kappa drift "^affinity\|repaired\|$tid\|vcpu 1\|taskset\[[0-9]+\] uid=4711\|/[^|]*\|[0-9]+\|-$"
}

test_a_write_to_a_leafs_cpuset_is_told_once_with_its_escape()
{
	local a tid
	a=$(lab_scope kappa) tid=$(vcpu_tid kappa 0)
	since
	# A repair may be quicker than the thread's next wake-up, and then nothing has escaped.
	kill -STOP "$(agent_pid)"
	write_knob "$a/vcpu0/cpuset.cpus" 7
	wait_for 60 ran_on "$tid" 7
	kill -CONT "$(agent_pid)"
	becomes 2 cat "$a/vcpu0/cpuset.cpus"
	becomes 2 allowed "$tid"
	told_alone kappa drift "^cpuset\|repaired\|0\|[^|]*\|bash\[[0-9]+\] uid=0\|/[^|]*\|[0-9]+\|-$"
	told_alone kappa escape "^cpuset\|observed\|$tid\|vcpu 0\|bash\[[0-9]+\] uid=0\|/[^|]*\|-\|[0-9]+$"
}

test_a_thread_moved_to_another_leaf_is_told_once()
{
	local a tid
	a=$(lab_scope kappa) tid=$(vcpu_tid kappa 0)
	since
	write_knob "$a/iothread1/cgroup.threads" "$tid"
	becomes "${a#/sys/fs/cgroup}/vcpu0" leaf_of "$tid"
	becomes 2 allowed "$tid"
	told_alone kappa drift "^cgroup-move\|repaired\|$tid\|[a-z0-9 ]*\|bash\[[0-9]+\] uid=0\|/[^|]*\|[0-9]+\|-$"
}

test_a_pinned_cpu_offline_is_why_its_thread_escapes()
{
	local tid
	tid=$(vcpu_tid kappa 0)
	becomes_held kappa
	since
	write_knob /sys/devices/system/cpu/cpu2/online 0
	told_once kappa escape "^(cpu-offline|fallback)\|observed\|$tid\|vcpu 0\|.*bash\[[0-9]+\] uid=0"
	write_knob /sys/devices/system/cpu/cpu2/online 1
	becomes 2 allowed "$tid"
	becomes_held kappa
	wait_for "$PATIENCE" on_record kappa
	is 1 count_of kappa escape "^(cpu-offline|fallback)\|observed\|$tid\|vcpu 0\|.*\|-\|-$"
	is 1 count_of kappa escape "^[a-z-]+\|observed\|$tid\|vcpu 0\|.*\|-\|[0-9]+$"
}

test_a_thread_cloned_in_the_emulators_leaf_is_watched_at_once()
{
	local tid
	since
	virsh -q qemu-monitor-command kappa \
		'{"execute":"object-add","arguments":{"qom-type":"iothread","id":"fresh"}}'
	wait_for 30 lab_comm_tid kappa "IO fresh"
	tid=$(lab_comm_tid kappa "IO fresh")
	as_user taskset -pc 1 "$tid"
	told_once kappa drift "^affinity\|[a-z]+\|$tid\|[a-z0-9 ]*\|taskset\[[0-9]+\] uid=4711\|"
	is 0 count_of kappa escape "\|$tid\|"
	virsh -q qemu-monitor-command kappa \
		'{"execute":"object-del","arguments":{"id":"fresh"}}'
}

test_an_observed_guest_that_floats_has_its_remote_time()
{
	local tid
	tid=$(vcpu_tid loose 0)
	is observed state loose
	since
	as_user taskset -pc 6 "$tid"
	told_once loose drift "^affinity\|observed\|$tid\|vcpu 0\|taskset\[[0-9]+\] uid=4711\|/[^|]*\|-\|"
	is 6 allowed "$tid"
	as_user taskset -pc 2-3 "$tid"
	wait_for "$PATIENCE" events_match loose escape "\|$tid\|vcpu 0\|.*\|-\|[0-9]+$"
}

# still, again: no vCPU spins meanwhile.
still()
{
	virsh -q suspend kappa
	virsh -q suspend loose
}

again()
{
	virsh -q resume kappa
	virsh -q resume loose
}

# balancing 0|1: by the kernel's own knob; fast enough for an emulated host.
balancing()
{
	local dir=/sys/kernel/debug/sched/numa_balancing
	mountpoint -q /sys/kernel/debug || mount -t debugfs debugfs /sys/kernel/debug
	write_knob "$dir/scan_delay_ms" 10
	write_knob "$dir/scan_period_min_ms" 100
	write_knob "$dir/scan_period_max_ms" 1000
	write_knob /proc/sys/kernel/numa_balancing "$1"
}

# touch_memory MIB NODE HOME WIDE: a thread in loose's emulator leaf, with its memory on NODE.
touch_memory()
{
	local base
	base=$(lab_scope loose)
	rm -f /tmp/touch.in /tmp/touch.out
	mkfifo /tmp/touch.in
	.build/e2e/storm touch "$base" "$base/emulator" "$@" 90 < /tmp/touch.in > /tmp/touch.out 2>&1 &
	disown
	exec 8> /tmp/touch.in
	wait_for 60 grep -q '^ready' /tmp/touch.out
}

touch_tid()
{
	sed -n 's/^ready //p' /tmp/touch.out
}

touch_end()
{
	kill -KILL "$(touch_tid)"
	exec 8>&-
}

# ran_on TID CPUS: where it ran last is one of them ("4 5").
ran_on()
{
	[[ " $2 " == *" $(sed 's/.*) //' "/proc/$1/stat" | cut -d' ' -f37) "* ]]
}

# pages_on PID NODE: of its anonymous memory.
pages_on()
{
	grep -o " N$2=[0-9]*" "/proc/$1/numa_maps" | awk -F= '{ sum += $2 } END { print sum + 0 }'
}

has_pages_on()
{
	(($(pages_on "$1" "$2") >= $3))
}

# balanced: NUMA balancing has taken a thread to its memory; the load balancer may have been quicker.
balanced()
{
	local tid
	touch_memory 16 2 2 2-5
	tid=$(touch_tid)
	since
	balancing 1
	echo go >&8
	wait_for 60 ran_on "$tid" "4 5"
	wait_for 10 events_match loose escape "^numa-balancing\|observed\|$tid\|emulator\|-\|"
}

test_numa_balancing_that_moves_a_thread_is_the_cause()
{
	local base tries=0
	base=$(lab_scope loose)
	still
	# Memory may be on node 2 alone, so that only the thread can be moved to it.
	write_knob "$base/emulator/cpuset.mems" 2
	until balanced; do
		events loose escape
		touch_end
		((++tries < 5))
	done
	told_once loose escape "^numa-balancing\|observed\|$(touch_tid)\|emulator\|-\|"
	touch_end
	write_knob "$base/emulator/cpuset.mems" 1
	again
}

test_pages_that_numa_balancing_moves_are_told()
{
	local base tid before
	base=$(lab_scope loose)
	still
	write_knob "$base/emulator/cpuset.mems" 0-3
	touch_memory 16 3 2 2
	tid=$(touch_tid)
	before=$(pages_on "$tid" 1)
	since
	balancing 1
	echo go >&8
	wait_for 60 has_pages_on "$tid" 1 "$((before + 1000))"
	wait_for 30 events_match loose memory "^numa-balancing\|observed\|"
	touch_end
	write_knob "$base/emulator/cpuset.mems" 1
	again
}

test_pages_moved_by_a_stranger_are_told_with_their_mover()
{
	local pid
	pid=$(lab_pid loose)
	still
	balancing 0
	wait_for 60 has_pages_on "$pid" 1 1000
	since
	migratepages "$pid" 1 2
	has_pages_on "$pid" 2 1000
	told_once loose memory "^syscall\|observed\|0\|[^|]*\|migratepages\[[0-9]+\] uid=0\|/"
	migratepages "$pid" 2 1
	balancing 1
	again
}

test_a_whole_process_moved_away_is_one_act_and_its_threads_stay_watched()
{
	local pid tid
	guest wander --vcpus 1 --memory 64 --cputune "
		<vcpupin vcpu='0' cpuset='4'/><emulatorpin cpuset='0-1'/>" --metadata "
		<pinfold:policy xmlns:pinfold='urn:pinfold:policy:1' mode='observe'/>"
	becomes observed state wander
	pid=$(lab_pid wander) tid=$(vcpu_tid wander 0)
	mkdir /sys/fs/cgroup/elsewhere
	since
	write_knob /sys/fs/cgroup/elsewhere/cgroup.procs "$tid"
	is /elsewhere leaf_of "$tid"
	told_alone wander drift "^cgroup-move\|observed\|$pid\|[a-z0-9 ]*\|bash\[[0-9]+\] uid=0\|"
	since
	as_user taskset -pc 7 "$tid"
	is 7 allowed "$tid"
	told_once wander drift "^affinity\|observed\|$tid\|vcpu 0\|taskset\[[0-9]+\] uid=4711\|"
	virsh -q destroy wander
	wait_for 30 gone "$pid"
	wait_for 30 rmdir /sys/fs/cgroup/elsewhere
}

test_a_write_to_the_slice_above_is_told_with_its_doer()
{
	local slice=/sys/fs/cgroup/machine.slice tid
	tid=$(vcpu_tid kappa 1)
	becomes_held kappa
	since
	systemctl set-property --runtime machine.slice AllowedCPUs=0-4,6-7
	is 3 allowed "$tid"
	told_once kappa drift "^cpuset\|[a-z]+\|0\|[^|]*\|systemd\[1\] uid=0\|"
	systemctl set-property --runtime machine.slice AllowedCPUs=0-7
	becomes 3,5 allowed "$tid"
	becomes_held kappa
	since
	write_knob "$slice/cpuset.cpus" 0-4,6-7
	told_once kappa drift "^cpuset\|[a-z]+\|0\|[^|]*\|bash\[[0-9]+\] uid=0\|"
	write_knob "$slice/cpuset.cpus" 0-7
	becomes 3,5 allowed "$tid"
	becomes_held kappa
}

test_a_killed_agent_misses_nothing_and_adopts_the_programs()
{
	local tid
	tid=$(vcpu_tid kappa 0)
	becomes_held kappa
	agent_stop KILL
	since
	write_knob "$(lab_scope kappa)/vcpu0/cpuset.cpus" 7
	wait_for 60 ran_on "$tid" 7
	agent_start "$(printf '[agent]\nlog-level = debug')"
	becomes 2 allowed "$tid"
	grep "adopted: nothing was missed" "$AGENT_LOG"
	told_once kappa drift "^cpuset\|repaired\|0\|[^|]*\|bash\[[0-9]+\] uid=0\|"
	told_once kappa escape "^cpuset\|observed\|$tid\|vcpu 0\|bash\[[0-9]+\] uid=0\|"
	is 0 count_of - agent "^lost"
}

test_what_a_killed_agent_had_taken_in_and_not_told_is_told_by_the_next()
{
	local tid
	tid=$(vcpu_tid loose 1)
	since
	as_user taskset -pc 2-3 "$tid"
	sleep 1
	agent_stop KILL
	is 0 count_of loose drift "\|$tid\|"
	agent_start "$(printf '[agent]\nlog-level = debug')"
	told_once loose drift "^affinity\|observed\|$tid\|vcpu 1\|taskset\[[0-9]+\] uid=4711\|"
}

test_unpin_ends_the_programs_of_a_stopped_agent()
{
	refuses 1 "$PINFOLDD" --config /tmp/pinfold.conf --unpin
	pinned
	agent_stop
	pinned
	"$PINFOLDD" --config /tmp/pinfold.conf --unpin
	[[ ! -e $PINS ]]
}
