# SPDX-License-Identifier: GPL-2.0-or-later
# lab: 4x2 systemd
# shellcheck shell=bash
# 64 threads of one guest flip between a promised and an unpromised CPU: nothing is lost, nobody else
# notices, and the agent may be killed meanwhile. The guest is observed: nobody puts its threads back.

STORM=$PWD/.build/e2e/storm
HIST=/sys/kernel/tracing/events/sched/sched_migrate_task
AWAY=2-7

setup()
{
	mountpoint -q /sys/kernel/tracing || mount -t tracefs tracefs /sys/kernel/tracing
	guest stormy --vcpus 1 --memory 64 --cputune "
		<vcpupin vcpu='0' cpuset='6'/><emulatorpin cpuset='0-1'/>" --metadata "
		<pinfold:policy xmlns:pinfold='urn:pinfold:policy:1' mode='observe'/>"
	guest calm --vcpus 1 --memory 64 --cputune "
		<vcpupin vcpu='0' cpuset='4-5'/><emulatorpin cpuset='0-1'/>"
	agent_start
	becomes_held calm
	becomes observed state stormy
}

teardown()
{
	storm_end
	agent_stop
	lab_guest_destroy stormy
	lab_guest_destroy calm
}

# counter NAME [GUEST]: of the guest's emulator, where the storm is.
counter()
{
	"$PINFOLD" status "${2:-stormy}" --json | jq -r --arg name "$1" \
		'.guests[0].counters.roles[] | select(.role == "emulator") | .[$name]'
}

all_counters()
{
	"$PINFOLD" status stormy --json | jq -c '.guests[0].counters'
}

# storm_ready ESCAPES: 64 threads sit at home in the emulator's leaf, which lets them go anywhere.
storm_ready()
{
	local base tid
	base=$(lab_scope stormy)
	write_knob "$base/emulator/cpuset.cpus" 0-7
	# QEMU's own threads there stay at home: what is counted is the storm's alone.
	for tid in $(cat "$base/emulator/cgroup.threads"); do
		taskset -pc 0-1 "$tid"
	done
	rm -f /tmp/storm.in /tmp/storm.out
	mkfifo /tmp/storm.in
	"$STORM" flip "$base" "$base/emulator" 0-1 "$AWAY" 64 "$1" < /tmp/storm.in > /tmp/storm.out 2>&1 &
	echo $! > /tmp/storm.pid
	disown
	exec 7> /tmp/storm.in
	wait_for 60 grep -qx ready /tmp/storm.out
	echo 'hist:keys=dest_cpu if comm == "storm"' > "$HIST/trigger"
}

storm_go()
{
	echo go >&7
}

storm_done()
{
	grep -q '^done' /tmp/storm.out
}

storm_end()
{
	local pid
	pid=$(cat /tmp/storm.pid 2>/dev/null) || return 0
	kill -KILL "$pid" 2>/dev/null || true
	exec 7>&-
	rm -f /tmp/storm.pid
	echo '!hist:keys=dest_cpu if comm == "storm"' > "$HIST/trigger" || true
}

# The kernel's own count of storm's moves to CPUs outside.
kernel_count()
{
	sed -n 's/^{ dest_cpu: *\([2-7]\) } hitcount: *\([0-9]*\).*/\2/p' "$HIST/hist" |
		awk '{ sum += $1 } END { print sum + 0 }'
}

kernel_count_is_over()
{
	(($(kernel_count) > $1))
}

# cpu_ticks PID: user and system time of the process, in ticks.
cpu_ticks()
{
	awk '{ print $14 + $15 }' "/proc/$1/stat"
}

# exact ESCAPES BEFORE: told by construction, by the kernel and by the programs alike.
exact()
{
	local made
	made=$(sed -n 's/^done //p' /tmp/storm.out)
	is "$1" echo "$made"
	is "$1" kernel_count
	is "$(($2 + $1))" counter escapes
}

test_a_storm_is_counted_exactly_and_nobody_else_notices()
{
	local before dropped told agent started ticks spent wall tid escapes=20000
	storm_ready "$escapes"
	tid=$(vcpu_tid calm 0)
	agent=$(agent_pid)
	before=$(counter escapes) dropped=$(counter dropped) told=$(counter told)
	ticks=$(cpu_ticks "$agent") started=$(date +%s%N)
	storm_go
	wait_for 60 kernel_count_is_over 500
	taskset -pc 5 "$tid"
	becomes 4-5 allowed "$tid"
	never storm_done
	wait_for 300 storm_done
	wall=$((($(date +%s%N) - started) / 1000000))
	spent=$((($(cpu_ticks "$agent") - ticks) * 1000 / $(getconf CLK_TCK)))
	echo "$((2 * escapes)) moves in $wall ms; the agent ran $spent ms of them"
	all_counters
	exact "$escapes" "$before"
	is "$dropped" counter dropped
	is 0 counter untimed
	# What an emulated CPU takes for a record says nothing; that there are few of them does: two
	# buckets of 200 a second and 512 at once. What a record costs is measured in tests/bench.
	(($(counter told) - told <= 2 * (200 * (wall / 1000 + 2) + 512)))
	wait_for 60 told_of_calm "$tid"
	storm_end
}

told_of_calm()
{
	"$PINFOLD" audit --json --guest calm --kind drift | jq -e --argjson tid "$1" \
		'select(.action == "repaired" and .thread.tid == $tid and .actor.comm == "taskset")'
}

test_an_agent_killed_in_a_storm_leaves_the_sum_exact()
{
	local before escapes=80000
	storm_ready "$escapes"
	before=$(counter escapes)
	storm_go
	wait_for 60 kernel_count_is_over "$(($(kernel_count) + 500))"
	agent_stop KILL
	wait_for 60 kernel_count_is_over "$(($(kernel_count) + 500))"
	agent_start
	never storm_done
	wait_for 300 storm_done
	all_counters
	exact "$escapes" "$before"
	is 0 counter untimed
	storm_end
}
