/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * table FOLDER: what the eBPF programs know of guests, from the pinned maps `policy` and `watched` in
 * FOLDER. One line a group, its id; then a line "slots N": promises in use.
 */
#include <linux/bpf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bpf/policy.h"

static int open_map(const char *folder, const char *name)
{
	char path[4096];
	union bpf_attr attr = {.pathname = (uintptr_t)path};
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = (int)syscall(SYS_bpf, BPF_OBJ_GET, &attr, sizeof(attr));
	if (fd < 0) {
		perror(path);
		exit(1);
	}
	return fd;
}

static void print_watched(int fd)
{
	uint64_t key, next;
	union bpf_attr attr = {.map_fd = (uint32_t)fd, .next_key = (uintptr_t)&next};

	while (syscall(SYS_bpf, BPF_MAP_GET_NEXT_KEY, &attr, sizeof(attr)) == 0) {
		printf("%llu\n", (unsigned long long)next);
		key = next;
		attr.key = (uintptr_t)&key;
	}
}

static void print_policy(const struct pf_policy *policy)
{
	unsigned int slots = 0;

	for (size_t i = 0; i < PF_BUCKETS; i++)
		if (policy->bucket[i].key && policy->bucket[i].key != PF_TOMBSTONE)
			printf("%llu\n", (unsigned long long)policy->bucket[i].key);
	for (size_t i = 0; i < PF_SLOTS; i++)
		slots += policy->slot[i].generation & 1;
	printf("slots %u\n", slots);
}

int main(int argc, char **argv)
{
	const struct pf_policy *policy;

	if (argc != 2) {
		fprintf(stderr, "usage: table FOLDER\n");
		return 2;
	}
	policy = mmap(NULL, sizeof(*policy), PROT_READ, MAP_SHARED, open_map(argv[1], "policy"), 0);
	if (policy == MAP_FAILED || policy->head.magic != PF_POLICY_MAGIC) {
		fprintf(stderr, "%s/policy: not the programs' table\n", argv[1]);
		return 1;
	}
	print_watched(open_map(argv[1], "watched"));
	print_policy(policy);
	return 0;
}
