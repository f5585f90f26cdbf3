# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Sourced by test files: that guests look as before, that the guest `calm` was left alone, and that
# nothing is left of those that have ended.

# picture GUEST: all its groups, what is in their files, and what each thread may use.
picture()
{
	local base pid
	base=$(lab_scope "$1") pid=$(lab_pid "$1")
	find "${base%/libvirt}" -type d | sort
	grep -sH '' "${base%/libvirt}"/{,libvirt/,libvirt/*/}{cgroup.{type,subtree_control,threads},cpuset.{cpus,mems},cpu.{max,weight}} || true
	grep -sH Cpus_allowed_list "/proc/$pid"/task/*/status || true
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

unwatch_calm()
{
	kill "$(cat /tmp/calm.watch.pid)" 2>/dev/null
}

# ---- what is left behind ---------------------------------------------------------------------

DEAD=/tmp/dead.groups		# ids of the groups of guests that were to end

# doom GUEST: notes what must be gone when it has ended.
doom()
{
	find "$(unit_dir "$1")" -type d -printf '%i\n' >> $DEAD
}

# What the programs know: groups by their ids, slots in use.
table()
{
	.build/e2e/table "$(echo /sys/fs/bpf/pinfold/v[0-9]*)"
}

# known_to_programs: groups of the doomed are in the programs' table, so that their absence will count.
known_to_programs()
{
	table | grep -qFxf $DEAD
}

# forgotten UUID: no group of the doomed is in the programs' table, nothing of it is on record.
forgotten()
{
	table > /tmp/table.now && never grep -Fxf $DEAD /tmp/table.now &&
		is "" find /run/pinfold -name "$1*"
}

# What must be the same before and after, by the kernel: groups, pins, files, promises in use.
left()
{
	find /sys/fs/cgroup -type d ! -path '*/system.slice/*' | sort
	find /sys/fs/bpf/pinfold | sort
	find /run/pinfold -type f | sort
	table | grep slots
}

nothing_is_left()
{
	left | diff /tmp/left.before -
}
