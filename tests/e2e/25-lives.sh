# SPDX-License-Identifier: GPL-2.0-or-later
# lab: 4x2 systemd
# shellcheck shell=bash
# What becomes of a guest while it is being repaired: reset, saved and restored, migrated in from
# another host, destroyed. Afterwards it is held, or nothing of it is left, and nothing of another
# guest was touched.
source tests/e2e/record.sh
source tests/e2e/witness.sh
source tests/e2e/stop.sh
SUBJECT=ever
OTHER=/tmp/other		# the other host's folders

setup()
{
	stop_is_built
	rm -f "$STOP" $DEAD
	guest calm --vcpus 1 --iothreads 1 --cputune "<vcpupin vcpu='0' cpuset='4'/>"
	watch_writes
	agent_start "$(printf '[agent]\nlog-level = debug')"
	becomes_held
	left > /tmp/left.before
	guest ever --vcpus 2 --iothreads 1 --cputune "<shares>300</shares>
		<period>100000</period><quota>50000</quota>
		<vcpupin vcpu='0' cpuset='2'/><vcpupin vcpu='1' cpuset='3,5'/>
		<emulatorpin cpuset='0-1'/><iothreadpin iothread='1' cpuset='6'/>"
	becomes_held
	watch_calm
}

teardown()
{
	rm -f "$STOP"
	agent_stop KILL
	unwatch_calm
	unwatch_writes
	[[ ! -e $OTHER/pid ]] || kill "$(cat $OTHER/pid)"
	lab_guest_destroy traveller
	lab_guest_destroy ever
	lab_guest_destroy calm
}

# ever_is_as_promised: what the kernel has of it.
ever_is_as_promised()
{
	local base
	base=$(lab_scope ever)
	is 300 cat "${base%/libvirt}/cpu.weight"
	is 2 allowed "$(vcpu_tid ever 0)"
	is 3,5 allowed "$(vcpu_tid ever 1)"
	is 0-1 allowed "$(lab_pid ever)"
	is 6 allowed "$(iothread_tid ever 1)"
	is "50000 100000" cat "$base/vcpu0/cpu.max"
	is "50000 100000" cat "$base/vcpu1/cpu.max"
}

# tear_at BASE ROUNDS: breaks what there is of a guest, so often or until it has gone. Not so quickly
# that it is taken for a fight.
tear_at()
{
	local base=$1 round leaf
	set +eE
	trap - ERR
	for ((round = 0; round < $2; round++)); do
		[[ -e $base ]] || return 0
		for leaf in "$base"/*/; do
			printf 0-7 > "$leaf/cpuset.cpus"
			printf 7 > "$leaf/cpu.weight"
			printf '5000 100000' > "$leaf/cpu.max"
		done
		printf 0-1 > "$base/cpuset.cpus"
		printf 9 > "${base%/libvirt}/cpu.weight"
		sleep 0.5
	done 2>/dev/null
}

is_at_work_on()
{
	[[ $(ours "$1" | wc -l) -gt 3 ]]
}

test_a_guest_reset_amid_repairs_stays_held()
{
	local tid tearing
	tid=$(vcpu_tid ever 0)
	since
	tear_at "$(lab_scope ever)" 4 &
	tearing=$!
	wait_for 30 is_at_work_on ever
	virsh -q reset ever
	virsh -q qemu-monitor-command ever '{"execute": "system_reset"}'
	wait $tearing
	becomes_held
	is "$tid" vcpu_tid ever 0
	ever_is_as_promised
	calm_was_left_alone
}

# stop_in_a_plan GUEST WHAT: breaks it; the agent stops after its first change of that name.
stop_in_a_plan()
{
	local base
	base=$(lab_scope "$1")
	stop_after 1 STOP "$2"
	write_knob "$base/cgroup.subtree_control" "-cpuset -cpu"
	wait_for 60 stopped
}

# ended_quietly NAME UUID GROUP LINE: nothing is left of it, and the agent made no fuss about it.
ended_quietly()
{
	wait_for 60 refuses 1 "$PINFOLD" status "$1"
	wait_for 30 forgotten "$2"
	never test -e "$3"
	is "" systemctl list-units --all --no-legend "machine-qemu*$1.scope"
	never machinectl status "$(basename "$3" .scope | sed 's/^machine-//; s/\\x2d/-/g')"
	never said_since "$4" "guest '$1'.*(could not|No such|no such|ENO)"
}

uuid_of()
{
	virsh domuuid "$1" | head -n 1
}

test_a_guest_saved_in_the_middle_of_a_plan_and_restored_is_held_anew()
{
	local uuid unit from
	uuid=$(uuid_of ever) unit=$(unit_dir ever) from=$(log_line)
	doom ever
	known_to_programs
	stop_in_a_plan ever cpuset.cpus
	virsh -q save ever /tmp/ever.save
	wait_for 30 test ! -e "$unit"
	kill -CONT "$(agent_pid)"
	ended_quietly ever "$uuid" "$unit" "$from"
	wait_for 30 nothing_is_left || nothing_is_left
	since
	virsh -q restore /tmp/ever.save
	rm /tmp/ever.save
	wait_for 60 vcpu_tid ever 0
	becomes held state ever
	[[ $(unit_dir ever) != "$unit" ]]
	ever_is_as_promised
	no_drift ever
	write_knob "$(lab_scope ever)/vcpu0/cpuset.cpus" 7
	becomes 2 allowed "$(vcpu_tid ever 0)"
	becomes_held
	told_repaired cpuset $BASHPID "'7' to cpuset.cpus of"
	calm_was_left_alone
}

# ---- another host ----------------------------------------------------------------------------

# Another host as far as libvirt can tell: a libvirtd with folders, a name and an id of its own,
# without systemd and cgroups.
other_virsh()
{
	virsh -q -c "qemu+unix:///system?socket=$OTHER/run/libvirt/libvirt-sock" "$@"
}

other_host()
{
	mkdir -p $OTHER/{run/libvirt,lib,log,cache,etc,dbus}
	cp -a /etc/libvirt/. $OTHER/etc/
	cp -a /var/cache/libvirt/. $OTHER/cache/
	echo 'host_uuid = "11111111-2222-3333-4444-555555555555"' >> $OTHER/etc/libvirtd.conf
	printf 'cgroup_controllers = []\nstdio_handler = "file"\n' >> $OTHER/etc/qemu.conf
	ip link set lo up
	unshare --mount --uts --propagation private bash -c "
		hostname other
		mount --bind $OTHER/run/libvirt /run/libvirt && mount --bind $OTHER/lib /var/lib/libvirt &&
		mount --bind $OTHER/log /var/log/libvirt && mount --bind $OTHER/cache /var/cache/libvirt &&
		mount --bind $OTHER/etc /etc/libvirt && mount --bind $OTHER/dbus /run/dbus &&
		mount --bind $OTHER/dbus /run/systemd && echo \$\$ > $OTHER/pid &&
		exec libvirtd --pid-file $OTHER/run/libvirtd.pid" > $OTHER/libvirtd.log 2>&1 &
	disown
	wait_for 60 other_virsh list || { cat $OTHER/libvirtd.log; return 1; }
}

# A real live migration from one libvirtd to another; both run on the lab's one kernel.
test_a_guest_that_migrates_in_is_held_from_its_arrival()
{
	local base
	other_host
	lab_guest_xml traveller --vcpus 2 --cputune "<shares>321</shares>
		<vcpupin vcpu='0' cpuset='1'/><vcpupin vcpu='1' cpuset='3'/>
		<emulatorpin cpuset='0'/>" > /tmp/traveller.xml
	other_virsh create /tmp/traveller.xml
	since
	other_virsh migrate --live traveller qemu:///system --migrateuri tcp://127.0.0.1
	kill "$(cat $OTHER/pid)"
	rm $OTHER/pid
	becomes held state traveller
	base=$(lab_scope traveller)
	is 1 allowed "$(vcpu_tid traveller 0)"
	is 3 allowed "$(vcpu_tid traveller 1)"
	is 0 allowed "$(lab_pid traveller)"
	is 321 cat "${base%/libvirt}/cpu.weight"
	no_drift traveller
	write_knob "$base/vcpu1/cpuset.cpus" 0-7
	becomes 3 allowed "$(vcpu_tid traveller 1)"
	told_repaired cpuset $BASHPID "'0-7' to cpuset.cpus of" traveller
	calm_was_left_alone
}

# ---- the end ---------------------------------------------------------------------------------

# The one that has come in is as good as any.
test_a_guest_destroyed_in_the_middle_of_a_plan_leaves_nothing()
{
	local uuid unit from
	uuid=$(uuid_of traveller) unit=$(unit_dir traveller) from=$(log_line)
	doom traveller
	known_to_programs
	stop_in_a_plan traveller cpuset.cpus
	virsh -q destroy traveller
	wait_for 30 test ! -e "$unit"
	kill -CONT "$(agent_pid)"
	ended_quietly traveller "$uuid" "$unit" "$from"
	becomes_held
	ever_is_as_promised
	calm_was_left_alone
}

test_a_guest_destroyed_amid_repairs_leaves_nothing()
{
	local uuid unit tearing from
	uuid=$(uuid_of ever) unit=$(unit_dir ever) from=$(log_line)
	doom ever
	known_to_programs
	since
	tear_at "$(lab_scope ever)" 100 &
	tearing=$!
	wait_for 30 is_at_work_on ever
	virsh -q destroy ever
	wait $tearing
	ended_quietly ever "$uuid" "$unit" "$from"
	wait_for 30 nothing_is_left || nothing_is_left
	becomes_held
	# What systemd wrote it wrote for us.
	is 0 jq -s length <<< "$(events '.kind == "drift" and .actor.pid == 1')" || { events true; return 1; }
	calm_was_left_alone
	# The watch would have told.
	write_knob "$(lab_scope calm)/vcpu0/cpuset.cpus" 4
	wait_for 60 grep -q vcpu0/cpuset.cpus /tmp/calm.watch
}
