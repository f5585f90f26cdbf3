# SPDX-License-Identifier: GPL-2.0-or-later
# lab: 4x2 systemd
# shellcheck shell=bash
# pinfold host shows what numactl --hardware and libvirt's <topology> show together.

libvirt_cpus()
{
	virsh capabilities | python3 -IS -c 'import sys, xml.etree.ElementTree as t
for c in t.parse(sys.stdin).iter("cell"):
    for p in c.iter("cpu"):
        print(c.get("id"), p.get("id"), p.get("socket_id"), p.get("core_id"), p.get("siblings"))' |
		sort -n
}

our_cpus()
{
	"$PINFOLD" host --json | jq -r '.cpus[] | select(.online) |
		"\(.node) \(.cpu) \(.package) \(.core) \(.siblings)"' | sort -n
}

test_cpus_are_as_libvirt_has_them()
{
	diff <(libvirt_cpus) <(our_cpus)
}

# The same facts in one form: per node its CPUs, size in MB and distances.
numactl_nodes()
{
	numactl --hardware | sed -n 's/^node \([0-9]*\) \(cpus: .*\)/\1 \2/p
		s/^node \([0-9]*\) \(size: .*\) MB/\1 \2/p
		s/^ *\([0-9]*\): *\(.*[0-9]\) *$/\1 distances: \2/p' | tr -s ' ' | sort
}

our_nodes()
{
	"$PINFOLD" host --json | jq -r '. as $host | .nodes[] | .node as $n |
		"\($n) cpus: \([$host.cpus[] | select(.node == $n and .online).cpu] | join(" "))",
		"\($n) size: \(.memory_total_kib / 1024 | floor)",
		"\($n) distances: \(.distances | map(tostring) | join(" "))"' | sort
}

test_nodes_memory_and_distances_are_as_numactl_has_them()
{
	numactl_nodes > /tmp/numactl.nodes
	cat /tmp/numactl.nodes
	[[ $(wc -l < /tmp/numactl.nodes) == 12 ]]
	diff /tmp/numactl.nodes <(our_nodes)
}

test_an_offline_cpu_is_shown_as_such()
{
	echo 0 > /sys/devices/system/cpu/cpu7/online
	is false jq '.cpus[] | select(.cpu == 7).online' <<< "$("$PINFOLD" host --json)"
	echo 1 > /sys/devices/system/cpu/cpu7/online
	is true jq '.cpus[] | select(.cpu == 7).online' <<< "$("$PINFOLD" host --json)"
}

test_huge_pages_are_counted_per_node()
{
	echo 3 > /sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages
	is 3 jq '.nodes[] | select(.node == 1).hugepages[] | select(.size_kib == 2048).total' \
		<<< "$("$PINFOLD" host --json)"
	echo 0 > /sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages
}

test_the_table_says_who_is_promised_a_cpu_within_80_columns()
{
	guest homely --cputune "<vcpupin vcpu='0' cpuset='3'/>"
	agent_start
	becomes held state homely
	"$PINFOLD" host > /tmp/host.txt
	agent_stop
	lab_guest_destroy homely
	cat /tmp/host.txt
	grep -E "^ *3 .* homely: vcpu 0$" /tmp/host.txt
	never grep -E "^.{81}" /tmp/host.txt
	never grep -P '\x1b' /tmp/host.txt
}

test_the_kernel_passes_the_contract_suite()
{
	.build/contract-kernel
}
