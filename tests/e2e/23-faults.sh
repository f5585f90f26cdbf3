# SPDX-License-Identifier: GPL-2.0-or-later
# lab: 4x2 systemd
# shellcheck shell=bash
# The agent killed after changes of a plan and of a release, libvirtd or QEMU killed in the middle of a
# plan, a kernel that refuses, no room, clocks that jump, an agent that stood still, hardly any memory:
# afterwards the guest is held, what was found first can still be put back, and nothing of another guest
# was touched. Every change, and every refusal of the kernel: tests/unit/faults, tests/contract. A full
# disk below the record: 16-audit.
#
# The kernel itself answers ENODEV, EAGAIN, EBUSY and ENOSPC here. What it was not seen to answer: an
# error to the cpusets, quotas and weights that a plan writes. With a CPU offline or a partition beside,
# 6.1 takes the value and does not honour it. Such refusals come from the fake.
source tests/e2e/witness.sh
source tests/e2e/stop.sh

setup()
{
	stop_is_built
	rm -f "$STOP" $DEAD /tmp/faults.sock
	guest hurt --vcpus 2 --iothreads 1 --cputune "<shares>300</shares>
		<period>100000</period><quota>50000</quota>
		<vcpupin vcpu='0' cpuset='2'/><vcpupin vcpu='1' cpuset='3,5'/>
		<emulatorpin cpuset='0-1'/><iothreadpin iothread='1' cpuset='6'/>" \
		--numatune "<memory mode='strict' nodeset='1-2'/>"
	guest calm --vcpus 1 --iothreads 1 --cputune "<vcpupin vcpu='0' cpuset='4'/>"
	give_helper hurt
	agent_start
	becomes_held
	"$PINFOLD" release hurt
	left > /tmp/left.before
	watch_calm
	break_hurt
	picture hurt > /tmp/hurt.found
}

teardown()
{
	systemctl stop pressed 2>/dev/null
	[[ ! -e /tmp/eater.pid ]] || relieve_host
	umount /tmp/tiny 2>/dev/null
	rm -f "$STOP"
	agent_stop KILL
	unwatch_calm
	lab_guest_destroy hurt
	lab_guest_destroy calm
}

# give_helper GUEST: a migration that never gets anywhere has a thread that belongs in `helper`.
give_helper()
{
	python3 -ISc 'import socket
s = socket.socket(socket.AF_UNIX); s.bind("/tmp/faults.sock"); s.listen(); c = s.accept()[0]
while c.recv(4096): pass' &
	wait_for 90 test -S /tmp/faults.sock
	virsh -q qemu-monitor-command "$1" \
		'{"execute": "migrate-set-parameters", "arguments": {"max-bandwidth": 500}}'
	virsh -q qemu-monitor-command "$1" \
		'{"execute": "migrate", "arguments": {"uri": "unix:/tmp/faults.sock"}}'
	wait_for 30 lab_comm_tid "$1" live_migration
}

# Everything that a plan can be about, at once: weights, controllers and with them every cpuset,
# quota and affinity, and a helper whose leaf is not there.
break_hurt()
{
	local base
	base=$(lab_scope hurt)
	write_knob "${base%/libvirt}/cpu.weight" 7
	write_knob "$base/cpu.weight" 8
	write_knob "$base/cgroup.subtree_control" "-cpuset -cpu"
}

is_as_found()
{
	picture hurt | diff /tmp/hurt.found -
}

becomes_as_found()
{
	wait_for 60 is_as_found || is_as_found
}

# What hurt was promised, as the kernel has it.
hurt_is_as_promised()
{
	local base
	base=$(lab_scope hurt)
	is 300 cat "${base%/libvirt}/cpu.weight"
	is 100 cat "$base/cpu.weight"
	is 2 cat "$base/vcpu0/cpuset.cpus.effective"
	is 2 allowed "$(vcpu_tid hurt 0)"
	is 3,5 allowed "$(vcpu_tid hurt 1)"
	is 0-1 allowed "$(lab_pid hurt)"
	is 6 allowed "$(iothread_tid hurt 1)"
	is 1-2 cat "$base/vcpu1/cpuset.mems.effective"
	is "50000 100000" cat "$base/vcpu0/cpu.max"
	is "50000 100000" cat "$base/vcpu1/cpu.max"
	is "${base#/sys/fs/cgroup}/helper" leaf_of "$(lab_comm_tid hurt live_migration)"
	is threaded cat "$base/helper/cgroup.type"
	is 0-1 allowed "$(lab_comm_tid hurt live_migration)"
}

next_agent()
{
	wait_for 30 test ! -e "$STOP"
	wait_for 30 gone "$(agent_pid)"
	agent_start
}

# Each test says what it starts from, so that each can be run without the others.
hold_hurt()
{
	"$PINFOLD" hold hurt || true
	becomes_held hurt
}

release_hurt()
{
	"$PINFOLD" release hurt || true
	is observed state hurt
	is_as_found
}

# At the changes that differ most; the contract suite does it after every one, without libvirt.
test_killed_in_the_middle_of_a_plan_the_next_agent_holds_the_guest_and_can_release_it()
{
	local after
	release_hurt
	for after in "1 page" "1 cgroup.subtree_control" "1 mkdir" "1 attach"; do
		stop_after "${after% *}" KILL "${after#* }"
		"$PINFOLD" hold hurt || true
		next_agent
		becomes_held hurt
		hurt_is_as_promised
		release_hurt
	done
	grep '^stopped (KILL)' "$AGENT_LOG"
	calm_was_left_alone
}

test_killed_in_the_middle_of_a_release_the_next_agent_finishes_it()
{
	local after
	hold_hurt
	for after in "1 attach" "1 cgroup.subtree_control"; do
		stop_after "${after% *}" KILL "${after#* }"
		"$PINFOLD" release hurt || true
		next_agent
		becomes_as_found
		is observed state hurt
		"$PINFOLD" hold hurt
		becomes_held hurt
	done
	hurt_is_as_promised
	calm_was_left_alone
}

test_libvirtd_killed_in_the_middle_of_a_plan()
{
	local pid
	release_hurt
	stop_after 2 STOP cpuset.cpus
	timeout 5 "$PINFOLD" hold hurt || true
	wait_for 30 test ! -e "$STOP"
	pid=$(systemctl show -P MainPID libvirtd.service)
	[[ $pid == 0 ]] || kill -KILL "$pid"
	kill -CONT "$(agent_pid)"
	becomes_held hurt
	hurt_is_as_promised
	virsh -q list
	becomes_held
	calm_was_left_alone
	find_base_anew
}

# A libvirtd that starts writes the base's cpuset.mems, too (witness.sh): that is what is found from then on.
is_as_found_but_for_the_bases_nodes()
{
	picture hurt | grep -v '/libvirt/cpuset.mems:' |
		diff <(grep -v '/libvirt/cpuset.mems:' /tmp/hurt.found) -
}

find_base_anew()
{
	"$PINFOLD" release hurt || true
	wait_for 60 is_as_found_but_for_the_bases_nodes || is_as_found_but_for_the_bases_nodes
	picture hurt > /tmp/hurt.found
	hold_hurt
}

# warnings_from LINE: what the agent said from that line of its log on and should not have.
warnings_from()
{
	said_since "$1" '^<[0-4]>|[Ff]ailed|could not|No such|ENO' || true
}

test_qemu_killed_in_the_middle_of_a_plan_ends_quietly()
{
	local base pid from uuid
	guest brief --vcpus 2 --cputune "<shares>200</shares>
		<vcpupin vcpu='0' cpuset='1'/><vcpupin vcpu='1' cpuset='2'/>"
	becomes_held brief
	doom brief
	known_to_programs
	uuid=$(virsh domuuid brief | head -n 1)
	"$PINFOLD" release brief
	base=$(lab_scope brief) pid=$(lab_pid brief)
	write_knob "$base/cgroup.subtree_control" "-cpuset -cpu"
	from=$(log_line)
	stop_after 1 STOP cpuset.cpus
	timeout 5 "$PINFOLD" hold brief || true
	wait_for 30 test ! -e "$STOP"
	kill -KILL "$pid"
	wait_for 30 test ! -e "$base"
	kill -CONT "$(agent_pid)"
	wait_for 60 refuses 1 "$PINFOLD" status brief
	said_since "$from" ''
	is "" warnings_from "$from"
	is 0 jq '[.guests[] | select(.name == "brief")] | length' <<< "$("$PINFOLD" status --json)"
	wait_for 30 forgotten "$uuid"
	becomes_held
	calm_was_left_alone
}

# ---- what the kernel refuses -----------------------------------------------------------------

# ENODEV: the group is removed while a write to one of its files is on its way.
test_a_group_that_goes_under_a_write_is_made_anew()
{
	local base from
	base=$(lab_scope hurt) from=$(log_line)
	release_hurt
	stop_after 1 STOP write:cgroup.threads
	timeout 3 "$PINFOLD" hold hurt || true
	wait_for 30 stopped
	rmdir "$base/helper"
	kill -CONT "$(agent_pid)"
	becomes_held hurt
	said_since "$from" 'the write had waited: errno 19'
	hurt_is_as_promised
	calm_was_left_alone
}

# tries: how often the leaf was to be made and could not.
tries()
{
	said_since "$1" "helper.*failed: .*Resource temporarily unavailable" | wc -l
}

# EAGAIN: no more groups below libvirt/. The rest is held, the reason is told, and it heals by itself,
# whatever the clock is set to while it waits to try again.
test_a_group_that_cannot_be_made_is_told_and_made_when_it_can_whatever_the_clock_says()
{
	local base from before
	base=$(lab_scope hurt) from=$(log_line)
	release_hurt
	write_knob "$base/cgroup.max.descendants" 4
	"$PINFOLD" hold hurt || true
	becomes 2 allowed "$(vcpu_tid hurt 0)"
	wait_for "$PATIENCE" says hurt "Resource temporarily unavailable"
	never test -e "$base/helper"
	becomes impossible state hurt
	before=$(tries "$from")
	date -s "+1 hour"
	sleep 4
	echo "$before tries, then $(tries "$from")"
	(($(tries "$from") <= before + 3))
	date -s "-1 hour"
	write_knob "$base/cgroup.max.descendants" max
	becomes_held hurt
	hurt_is_as_promised
	calm_was_left_alone
}

# EBUSY: a controller that a group below still uses cannot be taken away.
test_what_a_release_cannot_put_back_is_told_and_put_back_by_another()
{
	local base from
	base=$(lab_scope hurt) from=$(log_line)
	hold_hurt
	mkdir "$base/vcpu0/inner"
	write_knob "$base/vcpu0/cgroup.subtree_control" +cpuset
	refuses 1 "$PINFOLD" release hurt
	grep 'could not be put back.*Device or resource busy' /tmp/refused.out
	said_since "$from" 'could not be put back.*Device or resource busy'
	says hurt "Device or resource busy"
	is 7 cat "${base%/libvirt}/cpu.weight"
	write_knob "$base/vcpu0/cgroup.subtree_control" -cpuset
	rmdir "$base/vcpu0/inner"
	"$PINFOLD" release hurt
	is_as_found
	never says hurt "Device or resource busy"
	hold_hurt
	hurt_is_as_promised
	calm_was_left_alone
}

# ENOSPC: no room for what was found. Holding goes on, and the log says what that costs.
test_without_room_for_what_was_found_guests_are_held_all_the_same()
{
	local from
	from=$(log_line)
	hold_hurt
	agent_stop
	mkdir -p /tmp/tiny
	mount -t tmpfs -o size=4k tiny /tmp/tiny
	head -c 4096 /dev/zero > /tmp/tiny/full
	agent_start "$(printf '[agent]\nstate-dir = /tmp/tiny')"
	becomes_held
	drift_is_put_right 7
	said_since "$from" "what was found is not on record: .*No space left"
	said_since "$from" "/tmp/tiny has no room for what is noted"
	agent_stop
	umount /tmp/tiny
	agent_start
	becomes_held
	hurt_is_as_promised
	calm_was_left_alone
}

# ---- time ------------------------------------------------------------------------------------

# drift_is_put_right CPUS: of one vCPU.
drift_is_put_right()
{
	local base
	base=$(lab_scope hurt)
	write_knob "$base/vcpu0/cpuset.cpus" "$1"
	becomes 2 cat "$base/vcpu0/cpuset.cpus"
	becomes 2 allowed "$(vcpu_tid hurt 0)"
}

newest_seq()
{
	"$PINFOLD" audit --json | tail -n 1 | jq .seq
}

# repairs_since SEQ: of a cpuset, on record, with latencies that can be true.
repairs_since()
{
	"$PINFOLD" audit --json --kind drift | jq -s --argjson from "$1" 'map(select(
		.seq > $from and .cause == "cpuset" and .action == "repaired" and
		.latency_ns > 0 and .latency_ns < 60e9)) | length'
}

# The newest repair is told with the time that the clock showed then.
newest_has_time_between()
{
	"$PINFOLD" audit --json --kind drift | tail -n 1 |
		jq -e --arg from "$1" --arg to "$2" '.time >= $from and .time <= $to'
}

now_utc()
{
	date -u +%FT%T.%NZ
}

# drift_at CPUS SEQ COUNT: and it is on record as the countth since, by the clock of now.
drift_at()
{
	local from
	from=$(now_utc)
	drift_is_put_right "$1"
	becomes "$3" repairs_since "$2"
	newest_has_time_between "$from" "$(now_utc)"
}

test_clock_steps_disturb_neither_repairs_nor_the_record()
{
	local seq
	hold_hurt
	wait_for 60 newest_seq
	seq=$(newest_seq)
	date -s "+1 hour"
	drift_at 7 "$seq" 1
	date -s "+1 day"
	drift_at 0-1 "$seq" 2
	date -s "-25 hours"
	drift_at 5 "$seq" 3
	"$PINFOLD" audit --json | jq -se 'map(.seq) | . == sort and . == unique'
	"$PINFOLD" audit verify | grep "is intact"
	calm_was_left_alone
}

escapes()
{
	"$PINFOLD" status hurt --json |
		jq '.guests[0].counters.roles[] | select(.role == "vcpu 0").escapes'
}

# runs_on TID CPU: it is there now, or was last.
runs_on()
{
	[[ $(sed 's/.*) //' "/proc/$1/stat" | cut -d' ' -f37) == "$2" ]]
}

# flip CPU: the vCPU is put there, and has been seen there.
flip()
{
	write_knob "$(lab_scope hurt)/vcpu0/cpuset.cpus" "$1"
	wait_for 30 runs_on "$(vcpu_tid hurt 0)" "$1"
}

# As a host that was suspended, or an agent in a debugger.
test_an_agent_that_stood_still_catches_up_and_has_missed_nothing()
{
	local base seq before self=$BASHPID
	hold_hurt
	base=$(lab_scope hurt) seq=$(newest_seq) before=$(escapes)
	wait_for 30 runs_on "$(vcpu_tid hurt 0)" 2
	kill -STOP "$(agent_pid)"
	for _ in 1 2 3 4; do
		flip 7
		flip 2
	done
	flip 7
	write_knob "$base/cpu.weight" 9
	taskset -pc 3 "$(vcpu_tid hurt 1)"
	sleep 4
	is 7 cat "$base/vcpu0/cpuset.cpus"
	kill -CONT "$(agent_pid)"
	becomes_held hurt
	hurt_is_as_promised
	is $((before + 5)) escapes
	# Nine writes of one process: one event that says so, with the time since the first of them.
	becomes 1 repairs_since "$seq"
	"$PINFOLD" audit --json --kind drift | jq -se "map(select(.seq > $seq and .cause == \"cpuset\" and
		.suppressed == 8 and .actor.pid == $self and .latency_ns > 4e9)) | length == 1"
	"$PINFOLD" audit --json --kind drift | jq -se "map(select(.seq > $seq and
		.action == \"repaired\") | .cause) | sort == [\"affinity\", \"cpuset\", \"weight\"]"
	calm_was_left_alone
}

# ---- memory ----------------------------------------------------------------------------------

# meminfo NAME: in KiB.
meminfo()
{
	awk -v name="$1:" '$1 == name { print $2 }' /proc/meminfo
}

# Takes all but some 40 MiB of what the kernel counts as available, for good: there is no swap. The
# taker is the first to be ended should that be too much.
press_host()
{
	python3 -IS - > /tmp/eater.log 2>&1 <<-'END' &
	import mmap, time
	open("/proc/self/oom_score_adj", "w").write("1000")
	held = []
	def available():
	    lines = open("/proc/meminfo").read().splitlines()
	    return int(next(l for l in lines if l.startswith("MemAvailable")).split()[1])
	while available() > 40 << 10:
	    held.append(mmap.mmap(-1, 4 << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE))
	print("full", len(held), flush=True)
	time.sleep(600)
	END
	echo $! > /tmp/eater.pid
	disown
	wait_for 180 grep full /tmp/eater.log
}

relieve_host()
{
	kill -KILL "$(cat /tmp/eater.pid)"
	wait_for 60 gone "$(cat /tmp/eater.pid)"
	rm /tmp/eater.pid
}

test_on_a_host_short_of_memory_drift_is_put_right()
{
	local pid
	hold_hurt
	pid=$(agent_pid)
	press_host
	(($(meminfo MemAvailable) < 65536))
	drift_is_put_right 7
	write_knob "$(lab_scope hurt)/cpu.weight" 9
	becomes 100 cat "$(lab_scope hurt)/cpu.weight"
	never gone "$(cat /tmp/eater.pid)"
	relieve_host
	becomes_held
	never gone "$pid"
	hurt_is_as_promised
	calm_was_left_alone
}

pressed_pid()
{
	systemctl show -P MainPID pressed
}

# Its program lies in memory: read again and again over 9p it would be the lab that stands still.
test_an_agent_killed_for_want_of_memory_comes_back_and_heals()
{
	local group=/sys/fs/cgroup/system.slice/pressed.service pid
	hold_hurt
	agent_stop
	cp "$PINFOLDD" /run/pressed
	systemd-run -q --unit pressed -p Restart=always -p RestartSec=1 -p StartLimitIntervalSec=0 \
		-p MemoryAccounting=yes /run/pressed --config /tmp/pinfold.conf
	wait_for 60 "$PINFOLD" status
	becomes_held
	pid=$(pressed_pid)
	# With work to do.
	kill -STOP "$pid"
	write_knob "$(lab_scope hurt)/vcpu0/cpuset.cpus" 7
	write_knob "$group/memory.max" 1048576
	wait_for 60 gone "$pid"
	dmesg | grep "Memory cgroup out of memory: Killed process $pid "
	write_knob "$group/memory.max" max || true # unless systemd has removed the group meanwhile
	becomes 2 cat "$(lab_scope hurt)/vcpu0/cpuset.cpus"
	becomes_held
	hurt_is_as_promised
	systemctl stop pressed
	rm /run/pressed
	agent_start
	becomes_held
	calm_was_left_alone
}

# ---- in the end ------------------------------------------------------------------------------

test_nothing_is_left_behind()
{
	release_hurt
	wait_for 30 nothing_is_left || nothing_is_left
	is "$(agent_pid)" pgrep -x pinfoldd
	calm_was_left_alone
	# The watch would have told.
	write_knob "$(lab_scope calm)/vcpu0/cpuset.cpus" 4
	wait_for 60 grep -q vcpu0/cpuset.cpus /tmp/calm.watch
}
