// SPDX-License-Identifier: GPL-2.0-or-later
/* A generation of programs, from the embedded object file to attached links. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <bpf/btf.h>

#include "agent/base/cleanup.h"
#include "bpf/capability.h"
#include "bpf/internal.h"
#include "bpf/pinfold.skel.h"

#define DEFAULT_RING_BYTES (16u << 20) /* a second of 100,000 records/s on one CPU: facts 21 */
#define LANES_BYTES (32u << 20)		/* of all CPUs together, within these bounds of each */
#define LANE_LEAST 256u
#define LANE_MOST 8192u
#define DEFAULT_TELL_RATE 200u
#define DEFAULT_TELL_BURST 512u
#define LEAST_SLOTS 4096u
#define SLOTS_PER_CPU 16u

const char *const pf_map_names[PF_MAPS] = {
	[PF_MAP_POLICY] = "policy",   [PF_MAP_COUNTERS] = "counters", [PF_MAP_CARRIED] = "carried",
	[PF_MAP_RING] = "ring",	      [PF_MAP_RECORDS] = "records",   [PF_MAP_WATCHED] = "watched",
	[PF_MAP_ACTS] = "acts",
};

/*
 * libbpf has one print function for the whole process. What it complains about first is the cause,
 * the rest is what followed.
 */
static _Thread_local char complaint[256];

__attribute__((format(printf, 2, 0)))
static int keep_complaint(enum libbpf_print_level level, const char *fmt, va_list args)
{
	if (level == LIBBPF_WARN && !complaint[0])
		vsnprintf(complaint, sizeof(complaint), fmt, args);
	return 0;
}

void pf_complaint_begin(void)
{
	libbpf_set_print(keep_complaint);
	complaint[0] = 0;
}

const char *pf_complaint(void)
{
	complaint[strcspn(complaint, "\n")] = 0;
	return complaint[0] ? complaint : "no more is known";
}

void pf_generation_init(struct pf_generation *g)
{
	memset(g, 0, sizeof(*g));
	for (size_t i = 0; i < PF_MAPS; i++)
		g->map[i] = -1;
	for (size_t i = 0; i < PF_CAPABILITIES_MAX; i++)
		for (size_t j = 0; j < PF_LINKS_MAX; j++)
			g->link[i][j] = -1;
}

void pf_generation_release(struct pf_generation *g)
{
	if (g->policy)
		munmap(g->policy, sizeof(*g->policy));
	if (g->records)
		munmap((void *)g->records, g->record_bytes);
	for (size_t i = 0; i < PF_MAPS; i++)
		pf_cleanup_close(&g->map[i]);
	for (size_t i = 0; i < PF_CAPABILITIES_MAX; i++)
		for (size_t j = 0; j < PF_LINKS_MAX; j++)
			pf_cleanup_close(&g->link[i][j]);
	pf_generation_init(g);
}

int pf_generation_map_policy(struct pf_generation *g, struct pf_err *err)
{
	void *at = mmap(NULL, sizeof(*g->policy), PROT_READ | PROT_WRITE, MAP_SHARED,
			g->map[PF_MAP_POLICY], 0);

	if (at == MAP_FAILED)
		return pf_fail(err, errno, "map the eBPF policy table into memory");
	g->policy = at;
	return 0;
}

/* Read only: what the consumer writes is in the policy. */
int pf_generation_map_records(struct pf_generation *g, struct pf_err *err)
{
	struct bpf_map_info info = { 0 };
	__u32 size = sizeof(info);
	void *at;
	int r = bpf_obj_get_info_by_fd(g->map[PF_MAP_RECORDS], &info, &size);

	if (r)
		return pf_fail(err, r, "ask for the size of the eBPF lanes");
	if (info.value_size != sizeof(struct pf_record) || !g->policy->head.lane_records ||
	    info.max_entries % g->policy->head.lane_records)
		return pf_fail_plain(err, ESTALE, "the eBPF lanes have another layout");
	g->record_bytes = (size_t)info.max_entries * sizeof(struct pf_record);
	at = mmap(NULL, g->record_bytes, PROT_READ, MAP_SHARED, g->map[PF_MAP_RECORDS], 0);
	if (at == MAP_FAILED)
		return pf_fail(err, errno, "map the eBPF lanes into memory");
	g->records = at;
	return 0;
}

uint64_t pf_build(void)
{
	uint64_t hash = 0xcbf29ce484222325ULL; /* FNV-1a */
	size_t size;
	const unsigned char *bytes = pinfold__elf_bytes(&size);

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3ULL;
	return hash;
}

static uint32_t default_slots(int cpus)
{
	uint32_t slots = LEAST_SLOTS;

	while (slots < PF_SLOTS && slots < (uint32_t)cpus * SLOTS_PER_CPU)
		slots *= 2;
	return slots;
}

static uint32_t default_lane(int cpus)
{
	uint32_t records = LANE_MOST;

	while (records > LANE_LEAST &&
	       (uint64_t)records * sizeof(struct pf_record) * (uint32_t)cpus > LANES_BYTES)
		records /= 2;
	return records;
}

static struct bpf_program *program_of(const struct pinfold *skel, size_t row, size_t i)
{
	const char *name = pf_hooks[row].program[i];

	return name ? bpf_object__find_program_by_name(skel->obj, name) : NULL;
}

/* Rows whose programs are alternatives, of which the fitting one counts. */
static bool alternatives(size_t row)
{
	return pf_hooks[row].hook == PF_HOOK_PAGES;
}

/* What the kernel says to an empty program in the place of each of ours: 0 or -errno. */
struct probes {
	int program[PF_CAPABILITIES_MAX][PF_LINKS_MAX];
	int row[PF_CAPABILITIES_MAX];
};

static void probe_row(const struct pinfold *skel, size_t row, const struct btf *kernel,
		      struct probes *probes)
{
	int answer = alternatives(row) ? -ENOEXEC : 0;

	for (size_t i = 0; i < PF_LINKS_MAX; i++) {
		struct bpf_program *prog = program_of(skel, row, i);
		int r;

		if (!prog)
			continue;
		r = probes->program[row][i] = pf_probe(prog, kernel);
		if (alternatives(row) ? r != -ENOEXEC : r < 0)
			answer = r;
	}
	probes->row[row] = answer;
}

static int probe_all(const struct btf *kernel, struct probes *probes, struct pf_err *err)
{
	struct pinfold *skel = pinfold__open();

	if (!skel)
		return pf_fail(err, errno, "open the embedded eBPF programs");
	for (size_t row = 0; row < pf_hooks_count; row++)
		probe_row(skel, row, kernel, probes);
	pinfold__destroy(skel);
	return 0;
}

static void choose_row(const struct pinfold *skel, size_t row, const struct probes *probes,
		       bool wanted)
{
	for (size_t i = 0; i < PF_LINKS_MAX; i++)
		if (program_of(skel, row, i))
			bpf_program__set_autoload(program_of(skel, row, i),
						  wanted && !probes->row[row] &&
							  !probes->program[row][i]);
}

static void set_sizes(struct pinfold *skel, const struct pf_bpf_options *options, uint32_t slots)
{
	int cpus = libbpf_num_possible_cpus();
	uint32_t lane = options->lane_records ?: default_lane(cpus);

	bpf_map__set_max_entries(skel->maps.counters, slots);
	bpf_map__set_max_entries(skel->maps.carried, slots);
	bpf_map__set_max_entries(skel->maps.ring, options->ring_bytes ?: DEFAULT_RING_BYTES);
	bpf_map__set_max_entries(skel->maps.records, lane * (uint32_t)cpus);
	skel->rodata->lane_mask = lane - 1;
	skel->rodata->only_tgid = options->only_tgid;
}

/* Opens the object with every row that the kernel takes, or with @only (and the first) alone. */
static struct pinfold *open_rows(const struct pf_bpf_options *options, uint32_t slots,
				 const struct probes *probes, size_t only)
{
	struct pinfold *skel = pinfold__open();

	if (!skel)
		return NULL;
	set_sizes(skel, options, slots);
	bpf_program__set_autoload(skel->progs.pf_numa_swap, false); /* never fires: facts 23 */
	for (size_t row = 0; row < pf_hooks_count; row++)
		choose_row(skel, row, probes,
			   only >= pf_hooks_count || row == only || row == PF_HOOK_MIGRATE_ROW);
	return skel;
}

/* The kernel took an empty program at each place, but not ours: finds out which, one by one. */
static void find_refused(const struct pf_bpf_options *options, uint32_t slots,
			 struct probes *probes)
{
	for (size_t row = 1; row < pf_hooks_count; row++) {
		struct pinfold *skel;
		int r;

		if (probes->row[row])
			continue;
		skel = open_rows(options, slots, probes, row);
		r = skel ? pinfold__load(skel) : -errno;
		pinfold__destroy(skel);
		if (r)
			probes->row[row] = r;
	}
}

static int load_rows(const struct pf_bpf_options *options, uint32_t slots, struct probes *probes,
		     struct pinfold **out, struct pf_err *err)
{
	struct pinfold *skel = open_rows(options, slots, probes, SIZE_MAX);
	int r = skel ? pinfold__load(skel) : -errno;

	if (r && skel) {
		pinfold__destroy(skel);
		find_refused(options, slots, probes);
		complaint[0] = 0;
		skel = open_rows(options, slots, probes, SIZE_MAX);
		r = skel ? pinfold__load(skel) : -errno;
	}
	if (r) {
		pinfold__destroy(skel);
		return pf_fail(err, r, "load the eBPF programs (%s)", pf_complaint());
	}
	*out = skel;
	return 0;
}

static int keep_maps(struct pf_generation *g, const struct pinfold *skel, struct pf_err *err)
{
	const struct bpf_map *maps[PF_MAPS] = {
		[PF_MAP_POLICY] = skel->maps.bss,	[PF_MAP_COUNTERS] = skel->maps.counters,
		[PF_MAP_CARRIED] = skel->maps.carried,	[PF_MAP_RING] = skel->maps.ring,
		[PF_MAP_RECORDS] = skel->maps.records,	[PF_MAP_WATCHED] = skel->maps.watched,
		[PF_MAP_ACTS] = skel->maps.acts,
	};

	for (size_t i = 0; i < PF_MAPS; i++) {
		g->map[i] = fcntl(bpf_map__fd(maps[i]), F_DUPFD_CLOEXEC, 3);
		if (g->map[i] < 0)
			return pf_fail(err, errno, "keep the eBPF map %s", pf_map_names[i]);
	}
	return pf_generation_map_policy(g, err);
}

/* Attaches one program. Return: an fd that keeps it attached, or -errno. */
static int attach(struct bpf_program *prog)
{
	struct bpf_link *link = bpf_program__attach(prog);
	int fd;

	if (!link)
		return -errno;
	fd = fcntl(bpf_link__fd(link), F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		fd = -errno;
	bpf_link__destroy(link);
	return fd;
}

static int attach_row(struct pf_generation *g, const struct pinfold *skel, size_t row)
{
	for (size_t i = 0; i < PF_LINKS_MAX; i++) {
		struct bpf_program *prog = program_of(skel, row, i);

		if (!prog || !bpf_program__autoload(prog))
			continue;
		g->link[row][i] = attach(prog);
		if (g->link[row][i] < 0)
			return g->link[row][i];
	}
	return 0;
}

static void detach_row(struct pf_generation *g, size_t row)
{
	for (size_t i = 0; i < PF_LINKS_MAX; i++) {
		pf_cleanup_close(&g->link[row][i]);
		g->link[row][i] = -1;
	}
}

static int attach_all(struct pf_generation *g, const struct pinfold *skel,
		      const struct probes *probes, struct pf_err *err)
{
	for (size_t row = 0; row < pf_hooks_count; row++) {
		int r = probes->row[row] ?: attach_row(g, skel, row);

		if (r)
			detach_row(g, row);
		else
			g->policy->head.hooks |= pf_hooks[row].hook;
		g->policy->head.capability[row] = r;
		if (r && row == PF_HOOK_MIGRATE_ROW)
			return pf_fail(err, r, "attach to the scheduler's migrations");
	}
	return 0;
}

/* Nanoseconds of a tick: the resolution of the coarse clocks. */
static uint64_t ticks_per_second(void)
{
	struct timespec tick = { .tv_nsec = 4000000 };

	clock_getres(CLOCK_MONOTONIC_COARSE, &tick);
	return 1000000000ULL / (tick.tv_nsec ?: 1);
}

static void fill_head(struct pf_policy *policy, const struct pf_bpf_options *options,
		      uint32_t slots)
{
	struct pf_policy_head *head = &policy->head;

	head->magic = PF_POLICY_MAGIC;
	head->abi = PF_ABI;
	head->build = pf_build();
	head->slots = slots;
	head->ring_bytes = options->ring_bytes ?: DEFAULT_RING_BYTES;
	head->lane_records = options->lane_records ?: default_lane(libbpf_num_possible_cpus());
	head->bucket_cost = (ticks_per_second() << PF_TICK_SHIFT) /
			    (options->tell_rate ?: DEFAULT_TELL_RATE);
	head->bucket_depth =
		head->bucket_cost * ((options->tell_burst ?: DEFAULT_TELL_BURST) - 1);
	if (options->node_of_cpu && options->cpus <= PF_CPUS)
		memcpy(policy->node_of_cpu, options->node_of_cpu,
		       options->cpus * sizeof(policy->node_of_cpu[0]));
}

static void free_btf(struct btf **btf)
{
	btf__free(*btf);
}

static void free_skel(struct pinfold **skel)
{
	pinfold__destroy(*skel);
}

int pf_generation_load(struct pf_generation *g, const struct pf_bpf_options *options,
		       struct pf_err *err)
{
	PF_CLEANUP(free_btf) struct btf *kernel = NULL;
	PF_CLEANUP(free_skel) struct pinfold *skel = NULL;
	struct probes probes = { 0 };
	uint32_t slots = options->slots ?: default_slots(libbpf_num_possible_cpus());
	int r;

	pf_complaint_begin();
	kernel = btf__load_vmlinux_btf();
	if (!kernel)
		return pf_fail_plain(err, ENOTSUP,
				     "this kernel has no /sys/kernel/btf/vmlinux "
				     "(CONFIG_DEBUG_INFO_BTF): no escape can be seen");
	if (slots > PF_SLOTS || options->cpus > PF_CPUS)
		return pf_fail_plain(err, EINVAL, "%u slots or %u CPUs are beyond the limits",
				     slots, options->cpus);
	r = probe_all(kernel, &probes, err);
	if (!r)
		r = load_rows(options, slots, &probes, &skel, err);
	if (!r)
		r = keep_maps(g, skel, err);
	if (r)
		return r;
	fill_head(g->policy, options, slots);
	r = pf_generation_map_records(g, err);
	return r ? r : attach_all(g, skel, &probes, err);
}
