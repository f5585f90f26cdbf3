# SPDX-License-Identifier: GPL-2.0-or-later
# lab: 4x2 systemd
# shellcheck shell=bash
# Every way a promise breaks, on real guests under systemd and libvirt: seen, put right, and told
# once with who did it and how long it took; and libvirt's own work, which is nobody's drift.
# What strays as a whole, and what is refused, is in suites of their own.

source tests/e2e/record.sh
SUBJECT=nu

setup()
{
	modprobe vhost_vsock
	truncate -s 1M /tmp/disk.img
	guest nu --vcpus 2 --max-vcpus 4 --iothreads 1 --memory 64 --cputune "
		<shares>500</shares><period>100000</period><quota>90000</quota>
		<global_period>200000</global_period><global_quota>900000</global_quota>
		<vcpupin vcpu='0' cpuset='2'/><vcpupin vcpu='1' cpuset='3,5'/>
		<emulatorpin cpuset='0-1'/><iothreadpin iothread='1' cpuset='6'/>" \
		--numatune "<memory mode='restrictive' nodeset='1'/>"
	guest xi --vcpus 1 --memory 64 --cputune "
		<vcpupin vcpu='0' cpuset='4'/><emulatorpin cpuset='6-7'/>" --devices "
		<vsock model='virtio'><cid auto='yes'/></vsock>
		<disk type='file' device='disk'>
		<driver name='qemu' type='raw' cache='writeback' io='io_uring'/>
		<source file='/tmp/disk.img'/><target dev='hda'/></disk>"
	watch_writes
	agent_start "$(printf '[agent]\nlog-level = debug')"
	becomes_held
}

teardown()
{
	[[ ! -e $HOG ]] || echo "1:0 wbps=max" > "$HOG/io.max"
	agent_stop
	unwatch_writes
	lab_guest_destroy nu
	lab_guest_destroy xi
}

# ---- by hand ---------------------------------------------------------------------------------

test_knobs_of_a_leaf_are_put_right_and_told_with_their_writer()
{
	local a
	a=$(lab_scope nu)
	since
	write_knob "$a/vcpu0/cpuset.cpus" 0-7
	write_knob "$a/vcpu1/cpuset.mems" 1-3
	write_knob "$a/vcpu0/cpu.max" "5000 100000"
	write_knob "$a/iothread1/cpu.weight" 1
	becomes 2 cat "$a/vcpu0/cpuset.cpus"
	becomes 1 cat "$a/vcpu1/cpuset.mems"
	becomes "90000 100000" cat "$a/vcpu0/cpu.max"
	becomes 100 cat "$a/iothread1/cpu.weight"
	becomes 2 allowed "$(vcpu_tid nu 0)"
	becomes_held
	told_repaired cpuset $BASHPID "'0-7' to cpuset.cpus of"
	told_repaired cpuset $BASHPID "'1-3' to cpuset.mems of"
	told_repaired quota $BASHPID "'5000 100000' to cpu.max of"
	told_repaired weight $BASHPID "'1' to cpu.weight of"
}

test_knobs_of_libvirts_group_are_put_right_and_told_with_their_writer()
{
	local a
	a=$(lab_scope nu)
	since
	write_knob "$a/cpuset.cpus" 0-1
	write_knob "$a/cpuset.mems" 1-2
	write_knob "$a/cpu.max" "5000 100000"
	write_knob "$a/cpu.weight" 3
	becomes 0-7 cat "$a/cpuset.cpus"
	becomes 0-3 cat "$a/cpuset.mems"
	becomes "900000 200000" cat "$a/cpu.max"
	becomes 100 cat "$a/cpu.weight"
	becomes 2 allowed "$(vcpu_tid nu 0)"
	becomes_held
	is 1 cat "$a/vcpu0/cpuset.mems.effective"
	told_repaired cpuset $BASHPID "'0-1' to cpuset.cpus of"
	told_repaired cpuset $BASHPID "'1-2' to cpuset.mems of"
	told_repaired quota $BASHPID "'5000 100000' to cpu.max of"
	told_repaired weight $BASHPID "'3' to cpu.weight of"
}

test_knobs_of_the_scope_are_put_right_through_systemd_and_told_with_their_writer()
{
	local unit
	unit=$(unit_dir nu)
	since
	write_knob "$unit/cpuset.cpus" 0-1
	write_knob "$unit/cpu.max" "5000 100000"
	write_knob "$unit/cpu.weight" 7
	becomes 0-7 cat "$unit/cpuset.cpus"
	becomes "max 100000" cat "$unit/cpu.max"
	becomes 500 cat "$unit/cpu.weight"
	becomes 2 allowed "$(vcpu_tid nu 0)"
	becomes_held
	told_repaired cpuset $BASHPID "'0-1' to cpuset.cpus of"
	told_repaired quota $BASHPID "'5000 100000' to cpu.max of"
	told_repaired weight $BASHPID "'7' to cpu.weight of"
	is "" echo "$(ours nu | sed -n '/\.scope\/cpu\./p')"
}

test_what_systemd_was_told_for_the_scope_is_not_fought_but_held()
{
	local unit
	unit=$(unit_dir nu)
	since
	systemctl set-property --runtime "$(basename "$unit")" CPUQuota=400%
	becomes "400000 100000" cat "$unit/cpu.max"
	write_knob "$unit/cpu.max" "5000 100000"
	becomes "400000 100000" cat "$unit/cpu.max"
	becomes_held
	is 0 jq -s length <<< "$(events '.action == "repaired" and .actor.pid == 1')"
	told_repaired quota $BASHPID "'5000 100000' to cpu.max of"
	systemctl set-property --runtime "$(basename "$unit")" CPUQuota=
	becomes "max 100000" cat "$unit/cpu.max"
	becomes_held
}

# The weight and the limits of a guest after systemd has read everything anew.
systemd_anew()
{
	local unit
	unit=$(unit_dir nu)
	systemctl daemon-reload
	is "$1" cat "$unit/cpu.weight"
	systemctl daemon-reexec
	is "$1" cat "$unit/cpu.weight"
	is "max 100000" cat "$unit/cpu.max"
	is "$2" cat "$unit/libvirt/cpu.max"
	is 2 cat "$unit/libvirt/vcpu0/cpuset.cpus"
}

test_daemon_reload_and_reexec_take_nothing_back()
{
	local unit
	unit=$(unit_dir nu)
	write_knob "$unit/cpu.weight" 9
	write_knob "$unit/libvirt/cpu.max" "7000 100000"
	becomes 500 cat "$unit/cpu.weight"
	becomes "900000 200000" cat "$unit/libvirt/cpu.max"
	since
	systemd_anew 500 "900000 200000"
	virsh schedinfo nu --live cpu_shares=444 global_quota=800000
	becomes 444 cat "$unit/cpu.weight"
	systemd_anew 444 "800000 200000"
	# Nothing else was there in between, not for a moment.
	is "444 500" echo "$(values nu cpu.weight | tr ' ' '\n' | sort -u | xargs)"
	write_knob "$unit/cpu.weight" 11
	becomes 444 cat "$unit/cpu.weight"
	systemctl daemon-reload
	is 444 cat "$unit/cpu.weight"
	becomes_held
	told_repaired weight $BASHPID "'11' to cpu.weight of"
	is 1 jq -s length <<< "$(events '.kind == "drift"')" || { events true; return 1; }
}

test_taskset_outside_the_cpuset_changes_nothing_and_is_not_told()
{
	local tid
	tid=$(vcpu_tid nu 1)
	since
	refuses 1 taskset -pc 7 "$tid"
	is 3,5 allowed "$tid"
	wait_for "$PATIENCE" on_record nu
	no_drift nu
	never_ours nu
}

test_taskset_straddling_the_cpuset_is_put_right()
{
	local tid pid
	tid=$(vcpu_tid nu 1)
	since
	taskset -pc 3,7 "$tid" &
	pid=$!
	wait $pid
	becomes 3,5 allowed "$tid"
	told_repaired affinity $pid ""
	told ".thread.tid == $tid and .thread.role == \"vcpu 1\" and .kind == \"drift\""
}

test_controllers_taken_from_libvirts_group_come_back_with_all_values()
{
	local a
	a=$(lab_scope nu)
	since
	write_knob "$a/cgroup.subtree_control" "-cpuset -cpu"
	becomes 2 cat "$a/vcpu0/cpuset.cpus"
	becomes "90000 100000" cat "$a/vcpu1/cpu.max"
	becomes 2 allowed "$(vcpu_tid nu 0)"
	becomes 3,5 allowed "$(vcpu_tid nu 1)"
	becomes 6 allowed "$(iothread_tid nu 1)"
	becomes_held
	told_repaired control $BASHPID "cgroup.subtree_control of"
}

# The kernel refuses it (EBUSY) while libvirt's group has them enabled for its leaves.
take_all_controllers()
{
	printf -- '-cpuset -cpu' > "$1/libvirt/cgroup.subtree_control" &&
		printf -- '-cpuset -cpu' > "$1/cgroup.subtree_control"
}

test_controllers_taken_from_the_scope_come_back_with_all_values()
{
	local unit max
	unit=$(unit_dir nu) max=$(cat "$(lab_scope nu)/cpu.max")
	since
	wait_for 30 take_all_controllers "$unit"
	becomes "$max" cat "$unit/libvirt/cpu.max"
	becomes 2 cat "$unit/libvirt/vcpu0/cpuset.cpus"
	becomes "90000 100000" cat "$unit/libvirt/vcpu1/cpu.max"
	becomes 2 allowed "$(vcpu_tid nu 0)"
	becomes 0-1 allowed "$(lab_pid nu)"
	becomes 6 allowed "$(iothread_tid nu 1)"
	becomes_held
	told ".cause == \"control\" and .action == \"repaired\" and .latency_ns > 0 and
		.actor.pid == $BASHPID and (.detail | endswith(\".scope\"))"
	is 0 jq -s length <<< "$(events '.cause == "unknown"')" || { events true; return 1; }
}

# ---- threads that come and go ----------------------------------------------------------------

# libvirt is at work from its first write to its last.
untouched_while_libvirt_works()
{
	writes | awk -v ours="$(agent_pid)" '
		index($4, "x2dnu.scope/") && $3 ~ /libvirt|rpc-/ { if (!first) first = $1; last = $1 }
		index($4, "x2dnu.scope/") && $2 == ours { own[$1] = $0 }
		END {
			if (!first) { print "libvirt wrote nothing"; exit 1 }
			for (at in own)
				if (at + 0 >= first + 0 && at + 0 <= last + 0) { print own[at]; bad = 1 }
			exit bad
		}'
}

test_a_vcpu_plugged_in_is_libvirts_until_it_is_done()
{
	local a
	a=$(lab_scope nu)
	since
	virsh setvcpus nu 3 --live
	wait_for 60 vcpu_tid nu 2
	becomes "${a#/sys/fs/cgroup}/vcpu2" leaf_of "$(vcpu_tid nu 2)"
	becomes_held
	becomes 0-7 allowed "$(vcpu_tid nu 2)"
	is 1 cat "$a/vcpu2/cpuset.mems.effective"
	is "90000 100000" cat "$a/vcpu2/cpu.max"
	virsh vcpupin nu 2 7 --live
	virsh setvcpus nu 4 --live
	wait_for 60 vcpu_tid nu 3
	becomes "${a#/sys/fs/cgroup}/vcpu3" leaf_of "$(vcpu_tid nu 3)"
	becomes_held
	is 7 allowed "$(vcpu_tid nu 2)"
	untouched_while_libvirt_works
	no_drift nu
}

test_an_iothread_added_live_is_held_and_one_removed_is_forgotten()
{
	local a
	a=$(lab_scope nu)
	since
	virsh iothreadadd nu 5 --live
	wait_for 30 iothread_tid nu 5
	becomes 0-7 allowed "$(iothread_tid nu 5)"
	becomes 1 cat "$a/iothread5/cpuset.mems"
	virsh iothreadpin nu 5 4 --live
	becomes 4 allowed "$(iothread_tid nu 5)"
	becomes_held
	virsh iothreaddel nu 5 --live
	wait_for 30 never iothread_tid nu 5
	becomes_held
	wait_for 30 test ! -e "$a/iothread5"
	no_drift nu
}

helpers_of()
{
	"$PINFOLD" status "$1" --json |
		jq -r '[.guests[0].threads[] | select(.role == "helper").comm] | sort | join(" ")'
}

test_a_vhost_worker_is_a_helper()
{
	local x pid tid
	x=$(lab_scope xi) pid=$(lab_pid xi)
	tid=$(pgrep -x "vhost-$pid")
	becomes "${x#/sys/fs/cgroup}/helper" leaf_of "$tid"
	becomes 6-7 allowed "$tid"
	is threaded cat "$x/helper/cgroup.type"
	is "vhost-$pid" helpers_of xi
}

# QEMU has a write and a flush done by io_uring; what can't be done at once the kernel does in a worker
# of QEMU's own process. There is nothing in the guest that could ask for it.
test_an_io_uring_worker_is_a_helper()
{
	local x pid tid
	x=$(lab_scope xi) pid=$(lab_pid xi)
	since
	virsh qemu-monitor-command xi --hmp 'qemu-io -d ide0-0-0 "write 0 4096"'
	virsh qemu-monitor-command xi --hmp 'qemu-io -d ide0-0-0 flush'
	wait_for 60 lab_comm_tid xi "iou-wrk-$pid"
	tid=$(lab_comm_tid xi "iou-wrk-$pid")
	becomes "${x#/sys/fs/cgroup}/helper" leaf_of "$tid"
	becomes 6-7 allowed "$tid"
	becomes_held
	helpers_of xi | grep -F "iou-wrk-$pid"
	no_drift xi
}

# A device plugged live. libvirt gives vhost-net to KVM guests only, so it is vhost-vsock here, too: the
# kernel's part that makes the worker is the same.
test_a_vhost_worker_that_comes_later_is_a_helper()
{
	local a pid tid
	a=$(lab_scope nu) pid=$(lab_pid nu)
	since
	echo "<vsock model='virtio'><cid auto='yes'/></vsock>" > /tmp/vsock.xml
	virsh -q attach-device nu /tmp/vsock.xml --live
	wait_for 60 pgrep -x "vhost-$pid"
	tid=$(pgrep -x "vhost-$pid")
	becomes "${a#/sys/fs/cgroup}/helper" leaf_of "$tid"
	becomes 0-1 allowed "$tid"
	is threaded cat "$a/helper/cgroup.type"
	is 1 cat "$a/helper/cpuset.mems.effective"
	becomes_held
	no_drift nu
}

# ---- new promises ----------------------------------------------------------------------------

# Promises number 1 to 5, each with values of its own.
promises()
{
	cat <<-END
	vcpupin nu 0 $(($1 + 2)) --live
	emulatorpin nu $(($1 + 1)) --live
	iothreadpin nu 1 $(($1 - 1)) --live
	schedinfo nu --live cpu_shares=$((300 + $1)) vcpu_quota=$((50000 + $1 * 1000))
	END
}

# What setup promised.
first_promises()
{
	printf 'vcpupin nu 0 2 --live\nemulatorpin nu 0-1 --live\niothreadpin nu 1 6 --live\n' | virsh
	virsh schedinfo nu --live cpu_shares=500 vcpu_quota=90000
}

# comes_back GUEST FILE: the values that it had more than once since then, with another in between.
comes_back()
{
	writes | awk -v file="x2d$1.scope/$2" '
		(at = index($4, file)) && at + length(file) == length($4) + 1 && $5 != last {
			if (seen[$5]++) print $5
			last = $5
			any = 1
		}
		END { if (!any) print "nobody wrote it" }'
}

never_comes_back()
{
	is "" comes_back nu libvirt/vcpu0/cpuset.cpus
	is "" comes_back nu libvirt/emulator/cpuset.cpus
	is "" comes_back nu libvirt/iothread1/cpuset.cpus
	is "" comes_back nu libvirt/vcpu0/cpu.max
	is "" comes_back nu cpu.weight
}

the_fifth_is_in_force()
{
	local a
	a=$(lab_scope nu)
	is 7 allowed "$(vcpu_tid nu 0)"
	is 6 allowed "$(lab_pid nu)"
	is 4 allowed "$(iothread_tid nu 1)"
	is "55000 100000" cat "$a/vcpu0/cpu.max"
	is 305 cat "${a%/libvirt}/cpu.weight"
}

tells_of_change()
{
	[[ $(events '.guest.name == "nu" and .kind == "policy" and .cause == "libvirt" and
		(.detail | contains("vcpu 0"))' | wc -l) -gt 0 ]]
}

test_new_promises_in_quick_succession_are_followed_and_never_fought()
{
	since
	for n in 1 2 3 4 5; do
		promises $n
	done | virsh
	becomes_held
	the_fifth_is_in_force
	never_comes_back
	# The leaf of its helpers, which libvirt does not know of, follows the emulator's promise.
	ours nu | never grep -v /helper/
	no_drift nu
	is 7 jq -r ".guests[0].threads[] | select(.tid == $(vcpu_tid nu 0)).cpus.desired" \
		<<< "$("$PINFOLD" status nu --json)"
	wait_for 60 tells_of_change
	first_promises
	becomes_held
}

# ---- fights ----------------------------------------------------------------------------------

fights_with()
{
	says nu "is changed again and again by $1"
}

test_a_fight_is_backed_off_from_told_once_and_won_in_the_end()
{
	local a fighter count
	a=$(lab_scope nu)
	since
	rm -f /tmp/peace
	bash -c 'until [[ -e /tmp/peace ]]; do echo 0-7 > "$1"; sleep 0.05; done' fight \
		"$a/vcpu0/cpuset.cpus" &
	fighter=$!
	wait_for 60 fights_with "bash[$fighter]"
	sleep 5
	is 1 echo "$(findings nu | grep -c "again and again")"
	# The newest promise is what it is put back to, however long the fight takes.
	virsh vcpupin nu 0 6 --live
	# Nobody else waits for it.
	write_knob "$a/vcpu1/cpu.weight" 6
	becomes 100 cat "$a/vcpu1/cpu.weight"
	count=$(ours nu | grep -c libvirt/vcpu0/cpuset.cpus)
	echo "$count repairs of $(writes | grep -c " $fighter .*vcpu0/cpuset.cpus") writes"
	((count >= 8 && count <= 16))
	touch /tmp/peace
	wait $fighter
	becomes 6 cat "$a/vcpu0/cpuset.cpus"
	is 6 allowed "$(vcpu_tid nu 0)"
	wait_for 30 never fights_with "bash[$fighter]"
	becomes_held
	is 1 jq -s length <<< "$(events ".kind == \"drift\" and .action == \"failed\" and
		.actor.pid == $fighter and (.detail | contains(\"again and again\"))")"
	virsh vcpupin nu 0 2 --live
	becomes_held
}

# ---- memory that is being moved --------------------------------------------------------------

# The kernel moves the pages of one process after the other, and no write to a cpuset returns before
# those that came first. HOG's page is just being written back to a disk that takes two bytes a second
# from it, and a page under writeback is not moved before that is done: all wait for hog_end.
HOG=/sys/fs/cgroup/hog

hog_start()
{
	modprobe brd rd_nr=1 rd_size=64
	wait_for 30 test -b /dev/ram0
	echo "+io +memory" > /sys/fs/cgroup/cgroup.subtree_control
	mkdir "$HOG"
	echo 3 > "$HOG/cpuset.mems"
	echo "1:0 wbps=2" > "$HOG/io.max"
	bash -c 'echo $$ > "$1/cgroup.procs"; exec python3 -c "
import mmap, os
m = mmap.mmap(os.open(\"/dev/ram0\", os.O_RDWR), mmap.PAGESIZE)
m[0] = 1
m.flush()"' hog "$HOG" &
	echo $! > /tmp/hog.pid
	disown
	wait_for 30 is_written_back
	bash -c 'echo 0 > "$1/cpuset.mems"' hog "$HOG" &
	echo $! > /tmp/hog.writer
	disown
	wait_for 30 is 0 cat "$HOG/cpuset.mems"
}

is_written_back()
{
	grep "file=/dev/ram0 .* writeback=1 .*N3=1" "/proc/$(cat /tmp/hog.pid)/numa_maps"
}

hog_moves()
{
	kill -0 "$(cat /tmp/hog.writer)"
}

hog_end()
{
	hog_moves
	echo "1:0 wbps=max" > "$HOG/io.max"
	wait_for 60 never hog_moves
	wait_for 30 rmdir "$HOG"
	rmmod brd
}

test_other_guests_are_held_and_the_agent_answers_while_memory_is_moved()
{
	local a x stranger affine
	a=$(lab_scope nu) x=$(lab_pid xi)
	since
	hog_start
	write_knob "$a/vcpu0/cpuset.mems" 0-1 &
	stranger=$!
	becomes 1 cat "$a/vcpu0/cpuset.mems"
	wait_for 60 says nu "memory is being moved to nodes 1"
	is drifting state nu
	taskset -pc 6 "$x" &
	affine=$!
	wait $affine
	becomes 6-7 allowed "$x"
	says nu "memory is being moved to nodes 1"
	hog_end
	wait $stranger
	becomes_held
	told_repaired cpuset $stranger "'0-1' to cpuset.mems of"
	told_repaired affinity $affine "" xi
	is 2 jq -s length <<< "$(events '.kind == "drift"')" || { events true; return 1; }
}
