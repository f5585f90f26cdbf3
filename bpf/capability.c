// SPDX-License-Identifier: GPL-2.0-or-later
#include "bpf/capability.h"

#include <errno.h>
#include <string.h>

#include <bpf/btf.h>

#include "agent/base/cleanup.h"

#define ROWS(array) (sizeof(array) / sizeof((array)[0]))

const struct pf_hooks pf_hooks[] = {
	[PF_HOOK_MIGRATE_ROW] = {
		.name = "escapes",
		.program = { "pf_migrate" },
		.gives = "every move of a guest's thread to a CPU outside, and the time it runs there",
		.fallback = "",
	},
	[PF_HOOK_SETTLE_ROW] = {
		.name = "settle",
		.program = { "pf_settle" },
		.gives = "threads that were there before the table changed",
		.fallback = "a thread is known from its first move outside; stays that began before "
			    "are not timed",
	},
	{
		.name = "placement",
		.program = { "pf_new_thread" },
		.gives = "new threads, and where the first of their placements is",
		.fallback = "a new thread is found by the next full pass, one outside is seen at its "
			    "next move",
	},
	{
		.name = "affinity",
		.program = { "pf_affinity_begin", "pf_affinity_end" },
		.hook = PF_HOOK_AFFINITY,
		.gives = "who called sched_setaffinity",
		.fallback = "the cause is inferred from the thread's own mask (kernel 6.2 on), "
			    "without a doer; a changed mask is found by the next full pass",
	},
	{
		.name = "masks",
		.program = { "pf_mask" },
		.hook = PF_HOOK_MASK,
		.gives = "each change of a thread's mask, in its doer's context",
		.fallback = "the cause is inferred from the thread's own mask (kernel 6.2 on), "
			    "without a doer; a changed mask is found by the next full pass",
	},
	{
		.name = "knobs",
		.program = { "pf_knob_begin", "pf_knob_end" },
		.hook = PF_HOOK_KNOB,
		.gives = "who wrote what to a control file of a group",
		.fallback = "a changed knob is found by the next full pass, without the doer",
	},
	{
		.name = "fallback",
		.program = { "pf_fallback" },
		.hook = PF_HOOK_FALLBACK,
		.gives = "moves because no allowed CPU was left",
		.fallback = "told by the CPU that the thread left being offline",
	},
	{
		.name = "moves",
		.program = { "pf_attach" },
		.gives = "who moved a thread to another group",
		.fallback = "a moved thread is found by the next full pass, without the doer",
	},
	{
		.name = "groups",
		.program = { "pf_group_made", "pf_group_gone" },
		.gives = "child groups inherit their guest's promise the moment they are made",
		.fallback = "a new group is watched from the next full pass on",
	},
	{
		.name = "hotplug",
		.program = { "pf_hotplug" },
		.hook = PF_HOOK_HOTPLUG,
		.gives = "CPUs going offline and coming back",
		.fallback = "a CPU that goes or comes is found by the next full pass",
	},
	{
		.name = "hotplug-actor",
		.program = { "pf_hotplug_down", "pf_hotplug_up" },
		.gives = "who took a CPU offline or brought it back",
		.fallback = "who brought it back is known, who took it offline only on kernels that do "
			    "it in the writer's context",
	},
	{
		.name = "numa-balancing",
		.program = { "pf_numa_move", "pf_numa_stick" },
		.hook = PF_HOOK_NUMA,
		.gives = "moves by automatic NUMA balancing",
		.fallback = "told as the scheduler's own choice",
	},
	{
		.name = "pages",
		.program = { "pf_pages_7", "pf_pages_8" },
		.hook = PF_HOOK_PAGES,
		.gives = "pages of a guest that are moved, and why",
		.fallback = "pages that are moved are not told",
	},
	{
		.name = "pages-target",
		.program = { "pf_pages_begin", "pf_pages_end" },
		.hook = PF_HOOK_PAGES_TARGET,
		.gives = "whose pages migrate_pages(2) and cpuset.mems move",
		.fallback = "only moves within the guest's own threads are told",
	},
};
const size_t pf_hooks_count = ROWS(pf_hooks);
_Static_assert(ROWS(pf_hooks) <= PF_CAPABILITIES_MAX, "a row for each capability");

/* Arguments of a tracepoint, from the type that the kernel declares for its probes. */
static int tracepoint_args(const struct btf *kernel, const char *name)
{
	const struct btf_type *type;
	char full[128];
	int type_id;

	snprintf(full, sizeof(full), "btf_trace_%s", name);
	type_id = btf__find_by_name_kind(kernel, full, BTF_KIND_TYPEDEF);
	if (type_id < 0)
		return -ENOENT;
	type = btf__type_by_id(kernel, btf__type_by_id(kernel, type_id)->type);
	if (!type || !btf_is_ptr(type))
		return -ENOENT;
	type = btf__type_by_id(kernel, type->type);
	return type && btf_is_func_proto(type) ? (int)btf_vlen(type) - 1 : -ENOENT;
}

/* Programs that read arguments whose place differs between kernels (facts 26). */
static int check_shape(const char *program, const char *target, const struct btf *kernel)
{
	int wanted = !strcmp(program, "pf_pages_7") ? 7 : !strcmp(program, "pf_pages_8") ? 8 : 0;

	if (!wanted)
		return 0;
	return tracepoint_args(kernel, target) == wanted ? 0 : -ENOEXEC;
}

static int attach_target_id(enum bpf_attach_type type, const char *target,
			    const struct btf *kernel)
{
	char full[128];
	int kind = BTF_KIND_FUNC;

	snprintf(full, sizeof(full), "%s", target);
	if (type == BPF_TRACE_RAW_TP) {
		snprintf(full, sizeof(full), "btf_trace_%s", target);
		kind = BTF_KIND_TYPEDEF;
	} else if (type == BPF_TRACE_ITER) {
		snprintf(full, sizeof(full), "bpf_iter_%s", target);
	}
	return btf__find_by_name_kind(kernel, full, kind);
}

int pf_probe(const struct bpf_program *prog, const struct btf *kernel)
{
	const struct bpf_insn nothing[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	enum bpf_attach_type type = bpf_program__expected_attach_type(prog);
	const char *section = bpf_program__section_name(prog);
	const char *target = strchr(section, '/');
	LIBBPF_OPTS(bpf_prog_load_opts, load, .expected_attach_type = type);
	pf_auto_close int fd = -1;
	int r;

	if (!target)
		return -EINVAL;
	target++;
	r = check_shape(bpf_program__name(prog), target, kernel);
	if (r)
		return r;
	r = attach_target_id(type, target, kernel);
	if (r < 0)
		return r;
	load.attach_btf_id = r;
	fd = bpf_prog_load(BPF_PROG_TYPE_TRACING, "pf_probe", "GPL", nothing, ROWS(nothing), &load);
	return fd < 0 ? fd : 0;
}
