# SPDX-License-Identifier: GPL-2.0-or-later
# lab: 4x2 systemd
# newer: 4x2 systemd 6.12
# newer: 4x2 systemd 7
# shellcheck shell=bash
# Mode guard: what strangers do to a guest is refused and recorded; libvirt, systemd, QEMU and Pinfold
# go on as before, and so does everybody with everything else.

source tests/e2e/since.sh

PINS=/sys/fs/bpf/pinfold
FOREIGN=/sys/fs/cgroup/pf-foreign
GUARD=$'[defaults]\nmode = guard\n[agent]\nlog-level = debug'

setup()
{
	guest warden --vcpus 2 --max-vcpus 4 --memory 64 --cputune "
		<vcpupin vcpu='0' cpuset='2'/><vcpupin vcpu='1' cpuset='3'/>
		<vcpupin vcpu='2' cpuset='5'/><vcpupin vcpu='3' cpuset='7'/>
		<emulatorpin cpuset='0-1'/>" \
		--numatune "<memory mode='restrictive' nodeset='0-1'/>"
	guest freeman --memory 64 --cputune "<vcpupin vcpu='0' cpuset='6'/>" --metadata "
		<pinfold:policy xmlns:pinfold='urn:pinfold:policy:1' mode='observe'/>"
	mkdir "$FOREIGN"
	agent_start "$GUARD"
	becomes_held warden
	becomes guard mode warden
	wait_for 30 guards
}

teardown()
{
	agent_stop
	"$PINFOLDD" --config /tmp/pinfold.conf --unpin
	lab_guest_destroy warden
	lab_guest_destroy freeman
	rmdir "$FOREIGN"
}

mode()
{
	"$PINFOLD" status "$1" --json | jq -r '.guests[0].mode'
}

# guards: strangers are refused now; a mask is set to what it is.
guards()
{
	local tid
	tid=$(vcpu_tid warden 0)
	! taskset -pc "$(allowed "$tid")" "$tid"
}

# refusals: a line each, since then: guest kind cause tid role actor cgroup detail, "|" between.
refusals()
{
	"$PINFOLD" audit --json --action refused | jq -r --argjson from "$(cat "$EVENTS_FROM")" \
		'select(.seq > $from) | [.guest.name, .kind, .cause, .thread.tid // 0,
		.thread.role // "", "\(.actor.comm)[\(.actor.pid)] uid=\(.actor.uid)",
		.actor.cgroup // "-", .detail] | join("|")'
}

refused_like()
{
	[[ $(refusals | grep -cE -- "$1") -gt 0 ]]
}

# told PATTERN...: since then there is exactly one refusal for each, and no other.
told()
{
	local pattern
	for pattern in "$@"; do
		wait_for "$PATIENCE" refused_like "$pattern" || { echo "none like $pattern:"; refusals; return 1; }
	done
	wait_for "$PATIENCE" on_record
	refusals
	for pattern in "$@"; do
		is 1 grep -cE -- "$pattern" <<< "$(refusals)"
	done
	is $# grep -c . <<< "$(refusals)"
}

told_nothing()
{
	wait_for "$PATIENCE" on_record
	[[ -z $(refusals) ]] || { refusals; return 1; }
}

# moves TID FILE: by this shell, with the kernel's words.
moves()
{
	bash -c 'echo "$1" > "$2"' move "$1" "$2"
}

test_the_mode_and_the_capability_are_shown()
{
	jq -e '.capabilities | if type == "array" then .[] | select(.name == "guard") else .guard end |
		.available' <<< "$("$PINFOLD" status --json)"
	is guard mode warden
	is observe mode freeman
}

test_taskset_and_chrt_are_refused_and_told_with_their_doer()
{
	local tid
	tid=$(vcpu_tid warden 0)
	since
	denied taskset -pc 0-7 "$tid"
	is 2 allowed "$tid"
	denied setpriv --reuid 4711 --regid 4711 --clear-groups --inh-caps +sys_nice \
		--ambient-caps +sys_nice -- taskset -pc 7 "$(vcpu_tid warden 1)"
	is 3 allowed "$(vcpu_tid warden 1)"
	denied chrt -f -p 1 "$tid"
	chrt -p "$tid" | grep SCHED_OTHER
	told "^warden\|drift\|affinity\|$tid\|vcpu 0\|taskset\[[0-9]+\] uid=0\|/[^|]*\|sched_setaffinity" \
		"^warden\|drift\|affinity\|[0-9]+\|vcpu 1\|taskset\[[0-9]+\] uid=4711\|/[^|]*\|sched_setaffinity" \
		"^warden\|drift\|affinity\|$tid\|vcpu 0\|chrt\[[0-9]+\] uid=0\|/[^|]*\|sched_setscheduler"
}

test_writes_to_files_of_the_guests_groups_are_refused()
{
	local a scope weight
	a=$(lab_scope warden) scope=$(unit_dir warden)
	weight=$(cat "$scope/cpu.weight")
	since
	denied moves 7 "$a/vcpu0/cpuset.cpus"
	denied moves "50000 100000" "$a/cpu.max"
	denied moves 77 "$scope/cpu.weight"
	denied moves 1 "$scope/cgroup.freeze"
	denied moves $$ "$a/emulator/cgroup.threads"
	is 2 cat "$a/vcpu0/cpuset.cpus"
	is "max 100000" cat "$a/cpu.max"
	is "$weight" cat "$scope/cpu.weight"
	is 2 allowed "$(vcpu_tid warden 0)"
	told "^warden\|drift\|cpuset\|0\|[^|]*\|bash\[[0-9]+\] uid=0\|/[^|]*\|write to cpuset.cpus of .*/vcpu0$" \
		"^warden\|drift\|quota\|0\|.*\|write to cpu.max of .*/libvirt$" \
		"^warden\|drift\|weight\|0\|.*\|write to cpu.weight of .*\.scope$" \
		"^warden\|drift\|control\|0\|.*\|write to cgroup.freeze of .*\.scope$" \
		"^warden\|drift\|cgroup-move\|0\|[^|]*\|.*\|write to cgroup.threads of .*/emulator$"
}

test_a_move_to_a_foreign_group_is_refused()
{
	local tid home
	tid=$(vcpu_tid warden 0) home=$(leaf_of "$tid")
	since
	denied moves "$tid" "$FOREIGN/cgroup.procs"
	is "$home" leaf_of "$tid"
	is "${home%/*}/emulator" leaf_of "$(lab_pid warden)"
	[[ -z $(cat "$FOREIGN/cgroup.procs") ]]
	virsh -q list --name | grep -x warden
	told "^warden\|drift\|cgroup-move\|[0-9]+\|[a-z0-9 ]*\|bash\[[0-9]+\] uid=0\|/[^|]*\|'$tid' to cgroup.procs of /pf-foreign$"
	# No thread leaves its process's threaded domain; which of the two says so first is the kernel's.
	never moves "$tid" "$FOREIGN/cgroup.threads"
	is "$home" leaf_of "$tid"
}

test_a_file_that_was_open_before_the_guard_is_no_way_around()
{
	local a
	a=$(lab_scope warden)
	"$PINFOLD" mode warden enforce
	exec 7> "$a/vcpu0/cpuset.cpus"
	"$PINFOLD" mode warden default
	is guard mode warden
	denied bash -c 'echo 7 >&7'
	exec 7>&-
	is 2 cat "$a/vcpu0/cpuset.cpus"
}

test_its_pages_are_not_moved_by_others()
{
	local pid
	pid=$(lab_pid warden)
	since
	denied migratepages "$pid" 0 3
	told "^warden\|memory\|syscall\|$pid\|emulator\|migratepages\[[0-9]+\] uid=0\|/[^|]*\|migrate_pages"
}

test_libvirt_systemd_and_qemu_go_on_as_before()
{
	local a scope
	a=$(lab_scope warden) scope=$(unit_dir warden)
	since
	virsh -q vcpupin warden 0 4 --live
	becomes 4 allowed "$(vcpu_tid warden 0)"
	is 4 cat "$a/vcpu0/cpuset.cpus"
	virsh -q schedinfo warden --live --set cpu_shares=300
	becomes 300 cat "$scope/cpu.weight"
	virsh -q numatune warden --live --nodeset 0
	becomes 0 cat "$a/vcpu0/cpuset.mems"
	virsh -q setvcpus warden 3 --live
	wait_for 60 vcpu_tid warden 2
	becomes 5 allowed "$(vcpu_tid warden 2)"
	virsh -q iothreadadd warden 1
	wait_for 60 iothread_tid warden 1
	becomes "${a#/sys/fs/cgroup}/iothread1" leaf_of "$(iothread_tid warden 1)"
	systemctl set-property --runtime "$(basename "$scope")" CPUWeight=400
	becomes 300 cat "$scope/cpu.weight"
	systemctl daemon-reload
	becomes 300 cat "$scope/cpu.weight"
	virsh -q vcpupin warden 0 2 --live
	becomes 2 allowed "$(vcpu_tid warden 0)"
	becomes_held warden
	told_nothing
	# What came meanwhile is guarded, too.
	denied taskset -pc 0-7 "$(vcpu_tid warden 2)"
	denied taskset -pc 0-7 "$(iothread_tid warden 1)"
}

# While the agent stands still nobody can have told the programs what the new leaf is for.
test_a_hot_plugged_vcpu_is_guarded_before_the_agent_knows_of_it()
{
	local a tid agent
	a=$(lab_scope warden) agent=$(agent_pid)
	# shellcheck disable=SC2064
	trap "kill -CONT $agent" EXIT
	kill -STOP "$agent"
	virsh -q setvcpus warden 4 --live
	wait_for 60 vcpu_tid warden 3
	tid=$(vcpu_tid warden 3)
	becomes "${a#/sys/fs/cgroup}/vcpu3" leaf_of "$tid"
	becomes 7 allowed "$tid"
	denied taskset -pc 0 "$tid"
	denied moves 0 "$a/vcpu3/cpuset.cpus"
	denied moves "$tid" "$a/emulator/cgroup.threads"
	denied moves "$tid" "$FOREIGN/cgroup.procs"
	is 7 allowed "$tid"
	is 7 cat "$a/vcpu3/cpuset.cpus"
	# A group that nobody knows is no way in, either.
	mkdir "$a/stranger"
	denied moves threaded "$a/stranger/cgroup.type"
	rmdir "$a/stranger"
	kill -CONT "$agent"
	becomes_held warden
	denied taskset -pc 0 "$tid"
}

test_nothing_else_is_refused()
{
	local f tid
	f=$(lab_scope freeman) tid=$(vcpu_tid freeman 0)
	since
	moves 5-6 "$f/vcpu0/cpuset.cpus"
	is 5-6 cat "$f/vcpu0/cpuset.cpus"
	taskset -pc 5 "$tid"
	is 5 allowed "$tid"
	chrt -b -p 0 "$tid"
	migratepages "$(lab_pid freeman)" 0 1
	moves 6 "$f/vcpu0/cpuset.cpus"
	moves "max 100000" "$f/cpu.max"
	moves 100 "$(unit_dir freeman)/cpu.weight"
	moves 100 /sys/fs/cgroup/system.slice/cpu.weight
	moves 100 /sys/fs/cgroup/machine.slice/cpu.weight
	taskset -pc 0-7 $$
	sleep 300 &
	moves $! "$FOREIGN/cgroup.procs"
	taskset -pc 3 $!
	kill $!
	wait $! || true
	told_nothing
}

test_an_operator_switches_the_guest_to_enforce_and_back()
{
	local tid main
	tid=$(vcpu_tid warden 0) main=$(lab_pid warden)
	since
	"$PINFOLD" mode warden enforce | grep enforce
	taskset -pc 0 "$main"
	becomes 0-1 allowed "$main"
	moves 7 "$(lab_scope warden)/vcpu0/cpuset.cpus"
	becomes 2 allowed "$tid"
	agent_stop
	agent_start "$GUARD"
	becomes enforce mode warden
	says warden "an operator chose mode enforce"
	taskset -pc 2 "$tid"
	"$PINFOLD" mode warden default
	is guard mode warden
	denied taskset -pc 2 "$tid"
	is 2 jq -s 'map(select(.cause == "operator" and .kind == "policy")) | length' <<< "$(
		"$PINFOLD" audit --json --guest warden --kind policy | tail -n 2)"
	refuses 2 "$PINFOLD" mode warden fierce
	refuses 1 "$PINFOLD" mode nobody guard
}

test_a_released_guest_is_refused_nothing()
{
	local tid
	tid=$(vcpu_tid warden 0)
	"$PINFOLD" release warden
	taskset -pc "$(allowed "$tid")" "$tid"
	"$PINFOLD" hold warden
	becomes_held warden
	denied taskset -pc 2 "$tid"
}

test_a_dead_agents_guard_is_lifted()
{
	local tid
	tid=$(vcpu_tid warden 0)
	denied taskset -pc 2 "$tid"
	agent_stop KILL
	[[ ! -e $PINS/guard ]]
	wait_for 30 taskset -pc 2 "$tid"
	moves 2 "$(lab_scope warden)/vcpu0/cpuset.cpus"
	agent_start "$GUARD"
	wait_for 30 guards
}

test_a_dead_agents_guard_stays_when_so_configured()
{
	local tid a
	tid=$(vcpu_tid warden 0) a=$(lab_scope warden)
	agent_stop
	agent_start "$GUARD"$'\n[guard]\nwhen-dead = stay'
	wait_for 30 test -e "$PINS/guard"
	since
	agent_stop KILL
	denied taskset -pc 0-7 "$tid"
	denied moves 7 "$a/vcpu0/cpuset.cpus"
	virsh -q vcpupin warden 0 4 --live
	is 4 allowed "$tid"
	virsh -q vcpupin warden 0 2 --live
	moves 100 /sys/fs/cgroup/system.slice/cpu.weight
	agent_start "$GUARD"$'\n[guard]\nwhen-dead = stay'
	becomes_held warden
	told "^warden\|drift\|affinity\|$tid\|vcpu 0\|taskset\[" \
		"^warden\|drift\|cpuset\|0\|[^|]*\|bash\["
	denied taskset -pc 0-7 "$tid"
	# An agent that ends in order leaves it, too; --unpin ends it.
	agent_stop
	denied taskset -pc 0-7 "$tid"
	"$PINFOLDD" --config /tmp/pinfold.conf --unpin
	[[ ! -e $PINS ]]
	# Newer kernels end a program some milliseconds after its last pin has gone.
	wait_for 30 taskset -pc 2 "$tid"
}

test_a_guard_that_stayed_ends_with_an_agent_that_is_told_so()
{
	local tid
	tid=$(vcpu_tid warden 0)
	agent_start "$GUARD"$'\n[guard]\nwhen-dead = stay'
	wait_for 30 test -e "$PINS/guard"
	agent_stop KILL
	denied taskset -pc 2 "$tid"
	agent_start "$(printf '[agent]\nlog-level = debug')"
	becomes enforce mode warden
	wait_for 30 taskset -pc 2 "$tid"
	[[ ! -e $PINS/guard ]]
}
