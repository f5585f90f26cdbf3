# SPDX-License-Identifier: GPL-2.0-or-later
# lab: 4x2 systemd
# shellcheck shell=bash
# The agent killed after changes of a plan and of a release, libvirtd or QEMU killed in the middle of a
# plan: afterwards the guest is held, what was found first can still be put back, and nothing of another
# guest was touched. Every change, and every refusal of the kernel: tests/unit/faults, tests/contract.
#
# The agent is the test build (tests/stop), which is the agent's own objects with a stop linked around
# what it changes; without the file $STOP it does what the agent does.

PINFOLDD=$PWD/.build/stop/pinfoldd
STOP=/run/pf-stop
export PF_STOP_AT=$STOP

setup()
{
	[[ -x $PINFOLDD ]] || { echo "$PINFOLDD is not there: make stop"; return 1; }
	rm -f "$STOP"
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
	watch_calm
	break_hurt
	picture hurt > /tmp/hurt.found
}

teardown()
{
	rm -f "$STOP"
	agent_stop KILL
	kill "$(cat /tmp/calm.watch.pid)" 2>/dev/null
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

# picture GUEST: all its groups, what is in their files, and what each thread may use.
picture()
{
	local base pid
	base=$(lab_scope "$1") pid=$(lab_pid "$1")
	find "${base%/libvirt}" -type d | sort
	grep -sH '' "${base%/libvirt}"/{,libvirt/,libvirt/*/}{cgroup.{type,subtree_control,threads},cpuset.{cpus,mems},cpu.{max,weight}} || true
	grep -sH Cpus_allowed_list "/proc/$pid"/task/*/status || true
}

is_as_found()
{
	picture hurt | diff /tmp/hurt.found -
}

becomes_as_found()
{
	wait_for 20 is_as_found || is_as_found
}

# Reports every write to a file of the other guest's groups, and every group made or removed there.
watch_calm()
{
	local base
	base=$(lab_scope calm)
	picture calm > /tmp/calm.before
	python3 -IS - "${base%/libvirt}" > /tmp/calm.watch <<-'END' &
	import ctypes, os, struct, sys
	libc = ctypes.CDLL(None)
	fd = libc.inotify_init()
	paths = {}
	for path, _, _ in os.walk(sys.argv[1]):
	    paths[libc.inotify_add_watch(fd, path.encode(), 0x2 | 0x4 | 0x100 | 0x200)] = path
	print("watching", flush=True)
	while True:
	    data = os.read(fd, 65536)
	    while data:
	        watch, mask, _, size = struct.unpack("iIII", data[:16])
	        name = data[16:16 + size].rstrip(b"\0").decode()
	        data = data[16 + size:]
	        if name != "cgroup.events":
	            print(paths[watch] + "/" + name, flush=True)
	END
	echo $! > /tmp/calm.watch.pid
	disown
	wait_for 90 grep -q watching /tmp/calm.watch
}

# A libvirtd that starts writes every cpuset.mems of every guest anew: all nodes, which means the same.
calm_was_left_alone()
{
	is watching grep -v '/cpuset.mems$' /tmp/calm.watch
	diff <(grep -v '/cpuset.mems:' /tmp/calm.before) <(picture calm | grep -v '/cpuset.mems:')
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

# stop_after N KILL|STOP WHAT: the agent is to end or stop right after its Nth change of that name.
stop_after()
{
	echo "$*" > "$STOP.new"
	mv "$STOP.new" "$STOP"
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
}

# warnings_from LINE: what the agent said from that line of its log on and should not have.
warnings_from()
{
	tail -n "+$1" "$AGENT_LOG" | grep -E '^<[0-4]>|[Ff]ailed|could not|No such|ENO' || true
}

test_qemu_killed_in_the_middle_of_a_plan_ends_quietly()
{
	local base pid lines
	guest brief --vcpus 2 --cputune "<shares>200</shares>
		<vcpupin vcpu='0' cpuset='1'/><vcpupin vcpu='1' cpuset='2'/>"
	becomes_held brief
	"$PINFOLD" release brief
	base=$(lab_scope brief) pid=$(lab_pid brief)
	write_knob "$base/cgroup.subtree_control" "-cpuset -cpu"
	lines=$(wc -l < "$AGENT_LOG")
	stop_after 1 STOP cpuset.cpus
	timeout 5 "$PINFOLD" hold brief || true
	wait_for 30 test ! -e "$STOP"
	kill -KILL "$pid"
	wait_for 30 test ! -e "$base"
	kill -CONT "$(agent_pid)"
	wait_for 60 refuses 1 "$PINFOLD" status brief
	tail -n "+$((lines + 1))" "$AGENT_LOG"
	is "" warnings_from $((lines + 1))
	is 0 jq '[.guests[] | select(.name == "brief")] | length' <<< "$("$PINFOLD" status --json)"
	becomes_held
	calm_was_left_alone
}
