#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""writes.py FOLDER: tells who writes to which file of the cgroup tree below FOLDER, until it ends.

One line a write: TIME PID COMM FILE VALUE, time by CLOCK_MONOTONIC in seconds, FILE relative to
FOLDER, VALUE as it was read right afterwards. From fanotify(7), which names the writer. Prints
"ready" first. Writes by one process to one file at the same moment may be told as one.
"""
import ctypes
import os
import struct
import sys
import time

FAN_CLOEXEC, FAN_UNLIMITED_QUEUE = 1, 0x10
FAN_MODIFY = 2
FAN_MARK_ADD, FAN_MARK_FILESYSTEM = 1, 0x100
EVENT = struct.Struct("=IBBHqii")  # struct fanotify_event_metadata

libc = ctypes.CDLL(None, use_errno=True)


def check(result):
	if result < 0:
		raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
	return result


def comm_of(pid):
	try:
		with open(f"/proc/{pid}/comm") as file:
			return file.read().strip().replace(" ", "_")
	except OSError:
		return "?"


def value_of(fd):
	try:
		return os.pread(fd, 4096, 0).decode().strip().replace("\n", ",")
	except OSError:  # written only, or gone
		return "?"


def main():
	folder = sys.argv[1].rstrip("/") + "/"
	fan = check(libc.fanotify_init(FAN_CLOEXEC | FAN_UNLIMITED_QUEUE, os.O_RDONLY | os.O_CLOEXEC))
	check(libc.fanotify_mark(fan, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, ctypes.c_uint64(FAN_MODIFY),
				 -100, b"/sys/fs/cgroup"))
	print("ready", flush=True)
	while True:
		data = os.read(fan, 64 * 1024)
		for at in range(0, len(data), EVENT.size):
			_, _, _, _, _, fd, pid = EVENT.unpack_from(data, at)
			if fd < 0:
				continue
			path = os.readlink(f"/proc/self/fd/{fd}")
			if path.startswith(folder):
				print(f"{time.monotonic():.6f}", pid, comm_of(pid), path[len(folder):],
				      value_of(fd), flush=True)
			os.close(fd)


main()
