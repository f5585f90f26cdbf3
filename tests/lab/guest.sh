# SPDX-License-Identifier: GPL-2.0-or-later
# Sourced by what runs inside the lab: guests, their threads, waiting for conditions.
# shellcheck shell=bash

# wait_for SECONDS COMMAND...: runs COMMAND every 0.2 s until it succeeds. By the time since boot:
# the clock may be set meanwhile.
wait_for()
{
	local seconds=$1 start now _
	shift
	read -r start _ < /proc/uptime
	until "$@" >/dev/null 2>&1; do
		read -r now _ < /proc/uptime
		if ((${now%.*} - ${start%.*} >= seconds)); then
			echo "waited $seconds s in vain for: $*" >&2
			return 1
		fi
		sleep 0.2
	done
}

# lab_guest_xml NAME [--vcpus N] [--max-vcpus N] [--iothreads N] [--memory MIB] [--cells N]
#		[--cpuset LIST] [--cputune XML] [--numatune XML] [--cpu XML] [--metadata XML]
#		[--memory-backing XML] [--immediate] [--extra XML] [--devices XML] [--uuid UUID]
#		[--vcpus-xml XML] [--busy]
# Prints a guest without disk or network that does next to nothing, or spins with its first vCPU if
# --busy (firmware.S, built by `make e2e-tools`). --cputune, --numatune, --metadata and
# --memory-backing take what stands inside the element, --cpu the whole element, --cells splits CPUs
# and memory evenly over so many guest NUMA cells, --vcpus-xml is the whole <vcpus> element. NAME may
# hold anything libvirt takes.
lab_guest_xml()
{
	local name=$1 vcpus=1 max='' iothreads=0 memory=64 cells=0 cpuset='' cputune='' numatune=''
	local cpu='' metadata='' backing='' extra='' devices='' uuid='' list='' rom=idle
	shift
	while (($#)); do
		case $1 in
		--vcpus) vcpus=$2; shift ;;
		--max-vcpus) max=$2; shift ;;
		--iothreads) iothreads=$2; shift ;;
		--memory) memory=$2; shift ;;
		--cells) cells=$2; shift ;;
		--cpuset) cpuset=" cpuset='$2'"; shift ;;
		--cputune) cputune=$2; shift ;;
		--numatune) numatune=$2; shift ;;
		--cpu) cpu=$2; shift ;;
		--metadata) metadata=$2; shift ;;
		--memory-backing) backing=$2; shift ;;
		--immediate) backing="<allocation mode='immediate'/>" ;;
		--extra) extra=$2; shift ;;
		--devices) devices=$2; shift ;;
		--uuid) uuid=$2; shift ;;
		--vcpus-xml) list=$2; shift ;;
		--busy) rom=busy ;;
		*) echo "lab_guest_xml: unknown option $1" >&2; return 2 ;;
		esac
		shift
	done
	max=${max:-$vcpus}
	if ((cells)); then
		cpu=$(_lab_cells "$cells" "$max" "$memory")
	fi
	name=${name//&/&amp;} name=${name//</&lt;}
	cat <<-END
	<domain type='qemu'>
	  <name>$name</name>
	  ${uuid:+<uuid>$uuid</uuid>}
	  ${metadata:+<metadata>$metadata</metadata>}
	  <memory unit='MiB'>$memory</memory>
	  ${backing:+<memoryBacking>$backing</memoryBacking>}
	  <vcpu placement='static'$cpuset current='$vcpus'>$max</vcpu>
	  $list
	  <iothreads>$iothreads</iothreads>
	  ${cputune:+<cputune>$cputune</cputune>}
	  ${numatune:+<numatune>$numatune</numatune>}
	  <os>
	    <type arch='x86_64' machine='pc'>hvm</type>
	    <loader type='rom'>$PWD/.build/e2e/$rom.rom</loader>
	  </os>
	  <features><acpi/><apic/></features>
	  $cpu
	  $extra
	  <on_crash>destroy</on_crash>
	  <devices>
	    <emulator>/usr/bin/qemu-system-x86_64</emulator>
	    <controller type='usb' model='none'/>
	    <memballoon model='none'/>
	    $devices
	  </devices>
	</domain>
	END
}

# _lab_cells CELLS CPUS MIB: a <cpu> element with equal guest NUMA cells.
_lab_cells()
{
	local i each=$(($2 / $1))
	echo "<cpu><numa>"
	for ((i = 0; i < $1; i++)); do
		echo "<cell id='$i' cpus='$((i * each))-$(((i + 1) * each - 1))'" \
		     "memory='$(($3 / $1))' unit='MiB'/>"
	done
	echo "</numa></cpu>"
}

# lab_guest_start NAME FILE.xml: starts it (transient) and waits until its vCPUs run.
lab_guest_start()
{
	virsh -q create "$2" && wait_for 60 vcpu_tid "$1" 0
}

# lab_guest_destroy NAME: ends the guest and waits for its process and groups to be gone.
lab_guest_destroy()
{
	local pid scope
	pid=$(lab_pid "$1") && scope=$(lab_scope "$1")
	virsh -q destroy "$1" || return
	[ -z "$pid" ] || wait_for 30 test ! -e "/proc/$pid"
	[ -z "$scope" ] || wait_for 30 test ! -e "$scope"
}

# The rest uses no commands but bash's own: a fork takes 10 ms and more in the lab.

# lab_pid NAME: the QEMU process, from its own command line (-name guest=NAME,...).
lab_pid()
{
	local dir comm word want="guest=${1//,/,,},debug-threads=on"
	for dir in /proc/[0-9]*; do
		read -r comm <"$dir/comm" || continue
		[ "$comm" = qemu-system-x86 ] || continue
		while read -r -d '' word; do
			[ "$word" = "$want" ] || continue
			echo "${dir#/proc/}"
			return
		done <"$dir/cmdline"
	done 2>/dev/null
	return 1
}

# leaf_of TID: its group's path below /sys/fs/cgroup.
leaf_of()
{
	local line
	while read -r line; do
		[[ $line != 0::* ]] || echo "${line#0::}"
	done <"/proc/$1/cgroup"
}

# lab_scope NAME: the group that holds the leaves emulator, vcpuN, iothreadN.
# With systemd that's .../machine-qemu\x2d...scope/libvirt, else /machine/qemu-N-NAME.libvirt-qemu.
# The path has backslashes: quote it, also before a pattern ("$scope"/*/).
lab_scope()
{
	local pid group
	pid=$(lab_pid "$1") || return
	group=$(leaf_of "$pid")
	case $group in
	*/emulator) echo "/sys/fs/cgroup${group%/*}" ;;
	*) echo "guest $1: its process is in $group, not in an emulator leaf" >&2; return 1 ;;
	esac
}

# vcpu_tid NAME N, iothread_tid NAME N, lab_comm_tid NAME COMM: a thread by QEMU's name for it.
vcpu_tid()
{
	lab_comm_tid "$1" "CPU $2/TCG"
}

iothread_tid()
{
	lab_comm_tid "$1" "IO iothread$2"
}

lab_comm_tid()
{
	local pid task comm
	pid=$(lab_pid "$1") || return
	for task in "/proc/$pid"/task/*; do
		read -r comm <"$task/comm" || continue
		[ "$comm" = "$2" ] || continue
		echo "${task##*/}"
		return
	done 2>/dev/null
	return 1
}

# allowed TID: the CPUs that it may really use, as a list.
allowed()
{
	# In one piece: `read` seeks back in a file whose lines change their lengths meanwhile.
	local status
	status=$(<"/proc/$1/status") || return
	status=${status##*$'\n'Cpus_allowed_list:$'\t'}
	echo "${status%%$'\n'*}"
}

# lab_threads NAME: one line a thread: TID, leaf's name, allowed CPUs, comm.
lab_threads()
{
	local pid task comm leaf
	pid=$(lab_pid "$1") || return
	for task in "/proc/$pid"/task/*; do
		read -r comm <"$task/comm" || continue
		leaf=$(leaf_of "${task##*/}")
		printf '%s\t%s\t%s\t%s\n' "${task##*/}" "${leaf##*/}" "$(allowed "${task##*/}")" "$comm"
	done
}
