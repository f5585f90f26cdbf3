/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What tests and benchmarks need that run the programs on this kernel. */
#pragma once

#include <fcntl.h>
#include <mntent.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/*
 * The inode number of the calling process's cgroup v2 group, which is what the table is keyed by;
 * 0 when there is no cgroup2 file system.
 */
static inline uint64_t own_group_id(void)
{
	char line[512], mount[256] = "", path[1024];
	FILE *file = setmntent("/proc/mounts", "r");
	struct mntent *entry;
	struct stat group;

	while (file && (entry = getmntent(file)))
		if (!strcmp(entry->mnt_type, "cgroup2"))
			snprintf(mount, sizeof(mount), "%s", entry->mnt_dir);
	if (file)
		endmntent(file);
	file = mount[0] ? fopen("/proc/self/cgroup", "re") : NULL;
	if (!file)
		return 0;
	path[0] = 0;
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, "0::", 3))
			snprintf(path, sizeof(path), "%s%.*s", mount,
				 (int)strcspn(line + 3, "\n"), line + 3);
	fclose(file);
	return path[0] && !stat(path, &group) ? group.st_ino : 0;
}

/* A bpffs in a mount namespace of our own: the machine's mounts stay as they are. */
static inline const char *private_bpffs(void)
{
	static char path[] = "/tmp/pinfold-bpffs-XXXXXX";
	static int ready = -1;

	if (ready < 0)
		ready = mkdtemp(path) && !unshare(CLONE_NEWNS) &&
			!mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) &&
			!mount("bpf", path, "bpf", 0, NULL);
	return ready ? path : NULL;
}

static inline void remove_private_bpffs(void)
{
	const char *path = private_bpffs();

	if (path) {
		umount(path);
		rmdir(path);
	}
}

/* Moves the calling thread; returns when it runs there. */
static inline void go_to(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) || sched_getcpu() != cpu) {
		perror("sched_setaffinity");
		abort();
	}
}

/* ns that the calling thread has run, by the scheduler's account. */
static inline uint64_t own_cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

static inline void spin_ns(uint64_t ns)
{
	uint64_t end = own_cpu_ns() + ns;

	while (own_cpu_ns() < end)
		;
}
