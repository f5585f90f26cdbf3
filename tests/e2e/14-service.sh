# SPDX-License-Identifier: GPL-2.0-or-later
# lab: 4x2 systemd
# shellcheck shell=bash
# As an operator has it: make install, a unit, reload, watchdog, one clear message for a wrong file.

setup()
{
	guest served --vcpus 1 --cputune "<vcpupin vcpu='0' cpuset='2'/>"
	make -s -o all install PREFIX=/usr/local
	systemd-sysusers /usr/local/lib/sysusers.d/pinfold.conf
	systemctl daemon-reload
	systemctl enable --now pinfoldd
}

teardown()
{
	systemctl disable --now pinfoldd
	make -s uninstall PREFIX=/usr/local
	systemctl daemon-reload
	lab_guest_destroy served
}

main_pid()
{
	systemctl show -P MainPID pinfoldd
}

unit_is()
{
	systemctl show -P ActiveState pinfoldd | grep -qx "$1"
}

test_enabling_the_unit_is_all_it_takes()
{
	systemctl is-active pinfoldd
	wait_for 60 /usr/local/bin/pinfold status served --check
	write_knob "$(lab_scope served)/vcpu0/cpuset.cpus" 5
	becomes 2 cat "$(lab_scope served)/vcpu0/cpuset.cpus"
	becomes "1 guest" systemctl show -P StatusText pinfoldd
}

test_a_reload_takes_the_new_configuration()
{
	local pid
	pid=$(main_pid)
	mkdir -p /etc/pinfold/pinfold.conf.d
	printf '[defaults]\nmode = observe\n' > /etc/pinfold/pinfold.conf.d/10-observe.conf
	systemctl reload pinfoldd
	becomes observed state served
	rm /etc/pinfold/pinfold.conf.d/10-observe.conf
	kill -HUP "$pid"
	becomes held state served
	is "$pid" main_pid
}

test_a_reload_of_a_wrong_file_keeps_the_old_one_and_says_file_and_line()
{
	printf '[defaults]\nmode = enforce\nmoed = observe\n' > /etc/pinfold/pinfold.conf
	systemctl reload pinfoldd
	wait_for 60 journal_has "/etc/pinfold/pinfold.conf:3:"
	systemctl is-active pinfoldd
	held
	rm /etc/pinfold/pinfold.conf
}

journal_has()
{
	journalctl -q --no-pager -u pinfoldd | grep -F -- "$1"
}

test_a_start_with_a_wrong_file_fails_once_with_status_78()
{
	systemctl stop pinfoldd
	printf '[agent]\ninterval = soon\n' > /etc/pinfold/pinfold.conf
	never systemctl start pinfoldd
	is 78 systemctl show -P ExecMainStatus pinfoldd
	is 0 systemctl show -P NRestarts pinfoldd
	journal_has "/etc/pinfold/pinfold.conf:2:"
	rm /etc/pinfold/pinfold.conf
	systemctl reset-failed pinfoldd
	systemctl start pinfoldd
	wait_for 60 held
}

test_a_killed_agent_is_started_again_and_nothing_drifts()
{
	local pid
	pid=$(main_pid)
	kill -KILL "$pid"
	is 2 allowed "$(vcpu_tid served 0)"
	wait_for 60 unit_is active
	wait_for 60 held
	[[ $(main_pid) != "$pid" ]]
}

test_a_hung_agent_is_ended_by_the_watchdog()
{
	local pid
	mkdir -p /run/systemd/system/pinfoldd.service.d
	printf '[Service]\nWatchdogSec=3s\n' > /run/systemd/system/pinfoldd.service.d/test.conf
	systemctl daemon-reload
	systemctl restart pinfoldd
	wait_for 60 held
	sleep 5
	pid=$(main_pid)
	[[ $pid != 0 ]]
	kill -STOP "$pid"
	wait_for 90 test ! -e "/proc/$pid"
	wait_for 60 held
	rm -r /run/systemd/system/pinfoldd.service.d
	systemctl daemon-reload
}

test_the_sandboxed_unit_can_guard()
{
	local tid knob
	tid=$(vcpu_tid served 0) knob=$(lab_scope served)/vcpu0/cpuset.cpus
	mkdir -p /etc/pinfold/pinfold.conf.d
	printf '[defaults]\nmode = guard\n[guard]\nwhen-dead = stay\n' \
		> /etc/pinfold/pinfold.conf.d/10-guard.conf
	systemctl reload pinfoldd
	wait_for 60 test -e /sys/fs/bpf/pinfold/guard
	wait_for 60 denied taskset -pc 0-7 "$tid"
	denied write_knob "$knob" 7
	kill -KILL "$(main_pid)"
	denied taskset -pc 0-7 "$tid"
	denied write_knob "$knob" 7
	is 2 allowed "$tid"
	wait_for 60 unit_is active
	wait_for 60 held
	rm /etc/pinfold/pinfold.conf.d/10-guard.conf
	systemctl reload pinfoldd
	wait_for 60 taskset -pc 2 "$tid"
	[[ ! -e /sys/fs/bpf/pinfold/guard ]]
}

test_only_root_and_the_group_may_change_and_others_may_not_read()
{
	refuses 3 setpriv --reuid 65534 --regid 65534 --clear-groups /usr/local/bin/pinfold status
	setpriv --reuid 65534 --regid "$(getent group pinfold | cut -d: -f3)" --clear-groups \
		/usr/local/bin/pinfold status --check
	setpriv --reuid 65534 --regid "$(getent group pinfold | cut -d: -f3)" --clear-groups \
		/usr/local/bin/pinfold release served
	/usr/local/bin/pinfold hold served
}

test_the_man_pages_are_installed()
{
	test -s /usr/local/share/man/man1/pinfold.1
	test -s /usr/local/share/man/man5/pinfold.conf.5
	test -s /usr/local/share/man/man8/pinfoldd.8
}

test_uninstalling_ends_the_programs_and_removes_what_was_installed()
{
	compgen -G "/sys/fs/bpf/pinfold/v[0-9]*"
	bpftool prog show | grep pf_migrate
	systemctl disable --now pinfoldd
	compgen -G "/sys/fs/bpf/pinfold/v[0-9]*"
	make -s uninstall PREFIX=/usr/local
	[[ ! -e /sys/fs/bpf/pinfold ]]
	never programs_are_left
	[[ ! -e /usr/local/sbin/pinfoldd && ! -e /usr/local/bin/pinfold ]]
	[[ ! -e /usr/local/lib/systemd/system/pinfoldd.service ]]
}

programs_are_left()
{
	bpftool prog show | grep pf_migrate
}

# In a database of its own: the machine's comes by 9p, file by file, and would take minutes.
package()
{
	mkdir -p /tmp/dpkg/info /tmp/dpkg/updates
	touch /tmp/dpkg/status
	dpkg --admindir /tmp/dpkg --force-depends "$@"
}

test_the_debian_package_serves_and_leaves_nothing_when_it_is_purged()
{
	package --install .build/pinfold_*.deb
	never systemctl is-enabled pinfoldd
	systemctl enable --now pinfoldd
	wait_for 60 /usr/bin/pinfold status served --check
	write_knob "$(lab_scope served)/vcpu0/cpuset.cpus" 5
	becomes 2 cat "$(lab_scope served)/vcpu0/cpuset.cpus"
	package --remove pinfold
	never unit_is active
	never programs_are_left
	[[ ! -e /sys/fs/bpf/pinfold && ! -e /usr/sbin/pinfoldd ]]
	test -s /var/lib/pinfold/audit.db
	is 2 allowed "$(vcpu_tid served 0)"
	package --purge pinfold
	[[ ! -e /var/lib/pinfold/audit.db && ! -e /etc/pinfold ]]
}
