# SPDX-License-Identifier: GPL-2.0-or-later
# lab: 4x2 systemd
# shellcheck shell=bash
# libvirtd stopped, restarted or hung: enforcement goes on, and the agent reconnects by itself.

setup()
{
	guest omega --vcpus 2 --cputune "<vcpupin vcpu='0' cpuset='6'/><shares>250</shares>"
	agent_start
	becomes_held
}

teardown()
{
	agent_stop
	lab_guest_destroy omega
}

libvirt_is()
{
	"$PINFOLD" status --json | jq -e --arg want "$1" '.libvirt | startswith($want)'
}

drift_is_put_right()
{
	write_knob "$(lab_scope omega)/vcpu0/cpuset.cpus" "$1"
	becomes 6 cat "$(lab_scope omega)/vcpu0/cpuset.cpus"
	becomes 6 allowed "$(vcpu_tid omega 0)"
}

test_with_libvirtd_stopped_drift_is_put_right()
{
	systemctl stop libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket libvirtd.service
	wait_for 60 refuses 1 libvirt_is connected
	drift_is_put_right 0-1
	"$PINFOLD" status --check
}

test_libvirtd_started_again_is_connected_to_and_followed()
{
	systemctl start libvirtd.socket libvirtd-ro.socket libvirtd.service
	wait_for 60 libvirt_is connected
	becomes_held
	virsh vcpupin omega 0 5 --live
	becomes_held
	is 5 allowed "$(vcpu_tid omega 0)"
	virsh vcpupin omega 0 6 --live
	becomes_held
}

test_a_restart_of_libvirtd_goes_unnoticed_by_the_guest()
{
	systemctl restart libvirtd.service
	drift_is_put_right 2-3
	wait_for 60 libvirt_is connected
	becomes_held
}

test_with_libvirtd_hung_drift_is_put_right()
{
	local pid
	pid=$(systemctl show -P MainPID libvirtd.service)
	[[ $pid != 0 ]] || { virsh list; pid=$(systemctl show -P MainPID libvirtd.service); }
	kill -STOP "$pid"
	drift_is_put_right 1
	"$PINFOLD" status omega --check
	kill -CONT "$pid"
	wait_for 90 libvirt_is connected
	becomes_held
}

test_the_agent_stops_at_once_while_libvirtd_hangs()
{
	local pid started=$SECONDS
	virsh list
	pid=$(systemctl show -P MainPID libvirtd.service)
	kill -STOP "$pid"
	write_knob "$(lab_scope omega)/vcpu0/cpuset.cpus" 1
	becomes 6 cat "$(lab_scope omega)/vcpu0/cpuset.cpus"
	agent_stop
	kill -CONT "$pid"
	((SECONDS - started < 60))
	agent_start
	becomes_held
}
