// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/source/topology.h"

#include <errno.h>
#include <fcntl.h>
#include <numa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "agent/base/array.h"
#include "agent/base/cleanup.h"
#include "agent/base/file.h"

#define CPU_DIR "/sys/devices/system/cpu"
#define NODE_DIR "/sys/devices/system/node"
#define PATH_SIZE 160

/* What one reading needs: the root, and whether it is this very host (then libnuma may help). */
struct reader {
	int rootfd;
	bool live;
};

/* As pf_file_read_set(), but a missing file leaves @out alone. Return: 1 read, 0 missing. */
static int read_set_if_there(int rootfd, const char *path, struct pf_set *out, struct pf_err *err)
{
	int r = pf_file_read_set(rootfd, path, out, err);

	if (r == -ENOENT)
		return 0;
	return r < 0 ? r : 1;
}

/* A topology id: -1 where the file is missing (offline CPU) or the kernel itself says -1. */
static int read_id(int rootfd, unsigned int cpu, const char *name, int *out, struct pf_err *err)
{
	pf_auto_free char *text = NULL;
	char path[PATH_SIZE], *end;
	long value;
	int r;

	snprintf(path, sizeof(path), CPU_DIR "/cpu%u/topology/%s", cpu, name);
	r = pf_file_read(rootfd, path, &text, err);
	if (r == -ENOENT) {
		*out = -1;
		return 0;
	}
	if (r < 0)
		return r;
	errno = 0;
	value = strtol(text, &end, 10);
	if (errno || end == text || *end || value < -1 || value > INT32_MAX)
		return pf_fail_plain(err, EBADMSG, "%s holds '%.40s', not an id", path, text);
	*out = (int)value;
	return 0;
}

/*
 * The number behind "@key:" in a meminfo: "MemTotal:   16 kB", with "Node 0 " in front in a
 * node's own file. Return: 0 or -EBADMSG.
 */
static int meminfo_find(const char *text, const char *key, uint64_t *out)
{
	const char *at = text;
	size_t len = strlen(key);
	unsigned long long value;

	while ((at = strstr(at, key))) {
		bool whole = at == text || at[-1] == ' ' || at[-1] == '\n';

		if (whole && at[len] == ':' && sscanf(at + len + 1, "%llu kB", &value) == 1) {
			*out = value;
			return 0;
		}
		at += len;
	}
	return -EBADMSG;
}

static int read_meminfo(int rootfd, const char *path, uint64_t *total_kib, uint64_t *free_kib,
			struct pf_err *err)
{
	pf_auto_free char *text = NULL;
	uint64_t total, available;
	int r;

	r = pf_file_read(rootfd, path, &text, err);
	if (r < 0)
		return r;
	if (meminfo_find(text, "MemTotal", &total) < 0 ||
	    meminfo_find(text, "MemFree", &available) < 0)
		return pf_fail_plain(err, EBADMSG, "%s does not say MemTotal and MemFree", path);
	*total_kib = total;
	*free_kib = available;
	return 0;
}

static void read_name(int rootfd, const char *path, char *out, size_t size)
{
	pf_auto_free char *text = NULL;

	out[0] = '\0';
	if (pf_file_read(rootfd, path, &text, NULL) == 0)
		snprintf(out, size, "%s", text);
}

static void read_names(const struct reader *reader, struct pf_host *host)
{
	struct utsname uts;

	read_name(reader->rootfd, "/proc/sys/kernel/hostname", host->hostname,
		  sizeof(host->hostname));
	read_name(reader->rootfd, "/proc/sys/kernel/osrelease", host->kernel,
		  sizeof(host->kernel));
	if (!reader->live || uname(&uts) < 0)
		return;
	if (!host->hostname[0])
		snprintf(host->hostname, sizeof(host->hostname), "%s", uts.nodename);
	if (!host->kernel[0])
		snprintf(host->kernel, sizeof(host->kernel), "%s", uts.release);
}

static int read_cpu_sets(int rootfd, struct pf_host *host, struct pf_err *err)
{
	int r;

	r = pf_file_read_set(rootfd, CPU_DIR "/present", &host->cpus_present, err);
	if (r < 0)
		return r;
	if (pf_set_empty(&host->cpus_present))
		return pf_fail_plain(err, EBADMSG, "%s names no CPU", CPU_DIR "/present");
	r = pf_file_read_set(rootfd, CPU_DIR "/online", &host->cpus_online, err);
	if (r < 0)
		return r;
	host->cpus_possible = host->cpus_present;
	r = read_set_if_there(rootfd, CPU_DIR "/possible", &host->cpus_possible, err);
	return r < 0 ? r : 0;
}

/* core_cpus_list is the name since Linux 5.3, thread_siblings_list the one before. */
static int read_siblings(int rootfd, struct pf_host_cpu *cpu, struct pf_err *err)
{
	static const char *const names[] = {"core_cpus_list", "thread_siblings_list"};
	char path[PATH_SIZE];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		int r;

		snprintf(path, sizeof(path), CPU_DIR "/cpu%u/topology/%s", cpu->cpu, names[i]);
		r = read_set_if_there(rootfd, path, &cpu->siblings, err);
		if (r < 0)
			return r;
		if (r > 0)
			break;
	}
	pf_set_add(&cpu->siblings, cpu->cpu);
	return 0;
}

static int read_cpu(int rootfd, struct pf_host_cpu *cpu, struct pf_err *err)
{
	int r;

	r = read_id(rootfd, cpu->cpu, "physical_package_id", &cpu->package, err);
	if (r < 0)
		return r;
	r = read_id(rootfd, cpu->cpu, "core_id", &cpu->core, err);
	if (r < 0)
		return r;
	return read_siblings(rootfd, cpu, err);
}

static int read_cpus(int rootfd, struct pf_host *host, struct pf_err *err)
{
	int r;

	r = read_cpu_sets(rootfd, host, err);
	if (r < 0)
		return r;
	pf_set_for_each(number, &host->cpus_present) {
		struct pf_host_cpu *cpu = pf_append(&host->cpus, &host->cpu_count);

		if (!cpu)
			return pf_fail(err, ENOMEM, "read %s", CPU_DIR);
		cpu->cpu = (unsigned int)number;
		cpu->online = pf_set_has(&host->cpus_online, cpu->cpu);
		cpu->node = cpu->package = cpu->core = -1;
		r = read_cpu(rootfd, cpu, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int compare_hugepages(const void *a, const void *b)
{
	const struct pf_host_hugepages *left = a, *right = b;

	return (left->size_kib > right->size_kib) - (left->size_kib < right->size_kib);
}

static int read_hugepages_size(int dirfd, const char *name, struct pf_host_node *node,
			       struct pf_err *err)
{
	unsigned long long size_kib, total, available;
	struct pf_host_hugepages *pages;
	char path[PATH_SIZE];
	int r;

	if (sscanf(name, "hugepages-%llukB", &size_kib) != 1)
		return 0;
	snprintf(path, sizeof(path), "%.60s/nr_hugepages", name);
	r = pf_file_read_u64(dirfd, path, &total, err);
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "%.60s/free_hugepages", name);
	r = pf_file_read_u64(dirfd, path, &available, err);
	if (r < 0)
		return r;
	pages = pf_append(&node->hugepages, &node->hugepages_count);
	if (!pages)
		return pf_fail(err, ENOMEM, "read huge pages");
	*pages = (struct pf_host_hugepages){size_kib, total, available};
	return 0;
}

/* One folder a size, in whatever order the folder yields them; a kernel without: none. */
static int read_hugepages(int rootfd, const char *path, struct pf_host_node *node,
			  struct pf_err *err)
{
	pf_auto_closedir DIR *dir = NULL;
	pf_auto_close int fd = openat(rootfd, path + 1, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *entry;

	if (fd < 0)
		return errno == ENOENT ? 0 : pf_fail(err, errno, "open %s", path);
	dir = fdopendir(fd);
	if (!dir)
		return pf_fail(err, errno, "open %s", path);
	pf_take_fd(&fd);
	while ((entry = readdir(dir))) {
		int r = read_hugepages_size(dirfd(dir), entry->d_name, node, err);

		if (r < 0)
			return pf_wrap(err, "%s", path);
	}
	if (node->hugepages_count)
		qsort(node->hugepages, node->hugepages_count, sizeof(*node->hugepages),
		      compare_hugepages);
	return 0;
}

static int read_node_memory(const struct reader *reader, struct pf_host_node *node,
			    struct pf_err *err)
{
	char path[PATH_SIZE];
	int r;

	if (reader->live) {
		long long available = 0, total = numa_node_size64((int)node->node, &available);

		if (total >= 0) {
			node->memory_total_kib = (uint64_t)total / 1024;
			node->memory_free_kib = (uint64_t)available / 1024;
			return 0;
		}
	}
	snprintf(path, sizeof(path), NODE_DIR "/node%u/meminfo", node->node);
	r = read_meminfo(reader->rootfd, path, &node->memory_total_kib, &node->memory_free_kib,
			 err);
	return r;
}

/* The file has one number for each online node, in their order. */
static int parse_distances(const char *text, unsigned int *out, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char *end;
		unsigned long value = strtoul(text, &end, 10);

		if (end == text || value > UINT32_MAX)
			return -EBADMSG;
		out[i] = (unsigned int)value;
		text = end;
	}
	return text[strspn(text, " \n")] ? -EBADMSG : 0;
}

/* libnuma's answer for all of a row, or false: it says 0 for a pair that it does not know. */
static bool numa_distances(const struct pf_host *host, unsigned int node, unsigned int *out)
{
	for (size_t i = 0; i < host->node_count; i++) {
		int distance = numa_distance((int)node, (int)host->nodes[i].node);

		if (distance <= 0)
			return false;
		out[i] = (unsigned int)distance;
	}
	return true;
}

static int read_distances(const struct reader *reader, const struct pf_host *host,
			  struct pf_host_node *node, struct pf_err *err)
{
	pf_auto_free char *text = NULL;
	char path[PATH_SIZE];
	int r;

	node->distances = calloc(host->node_count, sizeof(*node->distances));
	if (!node->distances)
		return pf_fail(err, ENOMEM, "read distances");
	if (reader->live && numa_distances(host, node->node, node->distances))
		return 0;
	snprintf(path, sizeof(path), NODE_DIR "/node%u/distance", node->node);
	r = pf_file_read(reader->rootfd, path, &text, err);
	if (r < 0)
		return r;
	if (parse_distances(text, node->distances, host->node_count) < 0)
		return pf_fail_plain(err, EBADMSG, "%s holds '%.80s', not %zu distances", path,
				     text, host->node_count);
	return 0;
}

static int read_node(const struct reader *reader, struct pf_host *host, struct pf_host_node *node,
		     struct pf_err *err)
{
	char path[PATH_SIZE];
	int r;

	snprintf(path, sizeof(path), NODE_DIR "/node%u/cpulist", node->node);
	r = pf_file_read_set(reader->rootfd, path, &node->cpus, err);
	if (r < 0)
		return r;
	/* A cpulist read while a CPU goes can be older than what cpu/online says. */
	pf_set_and(&node->cpus, &node->cpus, &host->cpus_online);
	r = read_node_memory(reader, node, err);
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), NODE_DIR "/node%u/hugepages", node->node);
	r = read_hugepages(reader->rootfd, path, node, err);
	if (r < 0)
		return r;
	return read_distances(reader, host, node, err);
}

/* The one node of a kernel without NUMA. */
static int make_single_node(const struct reader *reader, struct pf_host *host, struct pf_err *err)
{
	struct pf_host_node *node = pf_append(&host->nodes, &host->node_count);
	int r;

	if (!node || !(node->distances = calloc(1, sizeof(*node->distances))))
		return pf_fail(err, ENOMEM, "read topology");
	pf_set_add(&host->nodes_online, 0);
	pf_set_add(&host->nodes_with_memory, 0);
	node->cpus = host->cpus_online;
	node->distances[0] = 10; /* LOCAL_DISTANCE */
	r = read_meminfo(reader->rootfd, "/proc/meminfo", &node->memory_total_kib,
			 &node->memory_free_kib, err);
	if (r < 0)
		return r;
	return read_hugepages(reader->rootfd, "/sys/kernel/mm/hugepages", node, err);
}

/* Nodes with memory: as the kernel says; from the sizes where it is too old to say (2.6.24). */
static int read_nodes_with_memory(const struct reader *reader, struct pf_host *host,
				  struct pf_err *err)
{
	int r = read_set_if_there(reader->rootfd, NODE_DIR "/has_memory", &host->nodes_with_memory,
				  err);

	if (r != 0)
		return r < 0 ? r : 0;
	for (size_t i = 0; i < host->node_count; i++)
		if (host->nodes[i].memory_total_kib)
			pf_set_add(&host->nodes_with_memory, host->nodes[i].node);
	return 0;
}

static int read_nodes(const struct reader *reader, struct pf_host *host, struct pf_err *err)
{
	int r;

	r = read_set_if_there(reader->rootfd, NODE_DIR "/online", &host->nodes_online, err);
	if (r < 0)
		return r;
	if (r == 0)
		return make_single_node(reader, host, err);
	pf_set_for_each(number, &host->nodes_online) {
		struct pf_host_node *node = pf_append(&host->nodes, &host->node_count);

		if (!node)
			return pf_fail(err, ENOMEM, "read %s", NODE_DIR);
		node->node = (unsigned int)number;
	}
	for (size_t i = 0; i < host->node_count; i++) {
		r = read_node(reader, host, &host->nodes[i], err);
		if (r < 0)
			return r;
	}
	return read_nodes_with_memory(reader, host, err);
}

/*
 * A node's cpulist names its online CPUs only; cpuN/nodeM stays while CPU N is offline, so an
 * offline CPU's node is known as well on kernels that have the link (x86 has it since 2.6.33).
 */
static void place_cpu(int rootfd, const struct pf_host *host, struct pf_host_cpu *cpu)
{
	bool single = host->node_count == 1 && !host->nodes[0].node;
	char path[PATH_SIZE];

	for (size_t i = 0; i < host->node_count; i++) {
		const struct pf_host_node *node = &host->nodes[i];

		snprintf(path, sizeof(path), CPU_DIR "/cpu%u/node%u", cpu->cpu, node->node);
		if (pf_set_has(&node->cpus, cpu->cpu) ||
		    (!cpu->online && (single || faccessat(rootfd, path + 1, F_OK, 0) == 0))) {
			cpu->node = (int)node->node;
			return;
		}
	}
}

static int read_host(const struct reader *reader, struct pf_host *host, struct pf_err *err)
{
	int r;

	read_names(reader, host);
	r = read_cpus(reader->rootfd, host, err);
	if (r < 0)
		return r;
	r = read_nodes(reader, host, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < host->cpu_count; i++)
		place_cpu(reader->rootfd, host, &host->cpus[i]);
	return 0;
}

int pf_topology_read(const char *sysroot, struct pf_host *out, struct pf_err *err)
{
	PF_CLEANUP(pf_host_clear) struct pf_host host = {};
	bool live = !sysroot || !*sysroot || strcmp(sysroot, "/") == 0;
	pf_auto_close int rootfd = pf_root_open(live ? "/" : sysroot, err);
	struct reader reader = {.rootfd = rootfd, .live = live && numa_available() >= 0};
	int r;

	if (rootfd < 0)
		return rootfd;
	r = read_host(&reader, &host, err);
	if (r < 0)
		return live ? r : pf_wrap(err, "below %s", sysroot) ?: r;
	*out = host;
	host = (struct pf_host){};
	return 0;
}

int pf_topology_refresh(int rootfd, struct pf_host *host, struct pf_err *err)
{
	PF_CLEANUP(pf_host_clear) struct pf_host fresh = {};
	struct reader reader = {.rootfd = rootfd};
	struct pf_set nodes = {};
	int r;

	r = read_cpu_sets(rootfd, &fresh, err);
	if (r < 0)
		return r;
	r = read_set_if_there(rootfd, NODE_DIR "/online", &nodes, err);
	if (r < 0)
		return r;
	if (r == 0)
		pf_set_add(&nodes, 0);
	if (pf_set_equal(&fresh.cpus_online, &host->cpus_online) &&
	    pf_set_equal(&fresh.cpus_present, &host->cpus_present) &&
	    pf_set_equal(&nodes, &host->nodes_online))
		return 0;
	r = read_host(&reader, &fresh, err);
	if (r < 0)
		return r;
	pf_host_clear(host);
	*host = fresh;
	fresh = (struct pf_host){};
	return 0;
}
