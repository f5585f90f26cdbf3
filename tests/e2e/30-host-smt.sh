# SPDX-License-Identifier: GPL-2.0-or-later
# lab: 2x2x2 systemd
# shellcheck shell=bash
# SMT siblings, as libvirt has them.
# shellcheck source=tests/e2e/15-host.sh
source <(sed -n '/^libvirt_cpus/,/^test_nodes/p' tests/e2e/15-host.sh | sed '$d')

test_siblings_share_a_core()
{
	diff <(libvirt_cpus) <(our_cpus)
	is 4 jq '[.cpus[].siblings] | unique | length' <<< "$("$PINFOLD" host --json)"
	is "$(cat /sys/devices/system/cpu/cpu0/topology/thread_siblings_list)" \
		jq -r '.cpus[0].siblings' <<< "$("$PINFOLD" host --json)"
}
