// SPDX-License-Identifier: GPL-2.0-or-later
/* The floor that costs are measured from, and the usual shapes of the same job. */
#include <stdbool.h>

#include "bpf/kernel.h"

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "bpf/events.h"


char LICENSE[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, __u32);
	__type(value, __u64);
} by_tid SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} out SEC(".maps");

__u64 escapes_by_hash, escapes_by_classic;
__u64 flips; /* the independent count: moves of one process to CPU 1 */
int count_tgid;

SEC("tp_btf/sched_migrate_task")
int BPF_PROG(empty_a, struct task_struct *p, int to)
{
	return 0;
}

SEC("tp_btf/sched_migrate_task")
int BPF_PROG(empty_b, struct task_struct *p, int to)
{
	return 0;
}

/* The same hook as ours, a hash map by thread id. */
SEC("tp_btf/sched_migrate_task")
int BPF_PROG(hash_tp_btf, struct task_struct *p, int to)
{
	__u32 tid = p->pid;
	__u64 *mask = bpf_map_lookup_elem(&by_tid, &tid);

	if (mask && !(*mask >> (to & 63) & 1))
		__sync_fetch_and_add(&escapes_by_hash, 1);
	return 0;
}

struct trace_event_raw_sched_migrate_task { /* its layout differs between kernels */
	int pid;
	int orig_cpu;
	int dest_cpu;
} __attribute__((preserve_access_index));

/* The shape of most tools: classic tracepoint, hash map by thread id, perf buffer. */
SEC("tracepoint/sched/sched_migrate_task")
int hash_classic(struct trace_event_raw_sched_migrate_task *ctx)
{
	struct pf_record record = {};
	__u32 tid = ctx->pid;
	__u64 *mask = bpf_map_lookup_elem(&by_tid, &tid);

	if (!mask || *mask >> (ctx->dest_cpu & 63) & 1)
		return 0;
	__sync_fetch_and_add(&escapes_by_classic, 1);
	record.boot_ns = bpf_ktime_get_boot_ns();
	record.tid = tid;
	record.from_cpu = ctx->orig_cpu;
	record.to_cpu = ctx->dest_cpu;
	bpf_get_current_comm(record.comm, sizeof(record.comm));
	bpf_perf_event_output(ctx, &out, BPF_F_CURRENT_CPU, &record, sizeof(record));
	return 0;
}

/* What a storm is checked against. */
SEC("tp_btf/sched_migrate_task")
int BPF_PROG(independent, struct task_struct *p, int to)
{
	if (p->tgid == count_tgid && to == 1)
		__sync_fetch_and_add(&flips, 1);
	return 0;
}
