// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The guard: refuses, with EPERM, that strangers change a guest whose slots have PF_SLOT_GUARD.
 * An object of its own, which uses the maps of the others (bpf/guard.c hands them over): it is
 * attached only while some guest is guarded, because file_permission is asked for every read and
 * write of the host.
 *
 * Who is no stranger: process 1, the kernel's own threads, QEMU and what runs in the guest's own
 * groups, and the executables in `allowed` (Pinfold's, libvirt's, machined's). By what is executed
 * and not by name or number: names can be chosen freely, numbers are used again, and this must hold
 * while no agent runs.
 *
 * A thread that is moved to a foreign group is covered by task_setscheduler: the cpuset controller
 * asks it for every thread that comes from another cpuset (cpuset_can_attach()), in the writer's
 * context. From Linux 6.6 on it does not ask where both cpusets have the same CPUs and nodes in
 * effect; there (from 6.2) inode_permission knows in time who is to be moved.
 */
#include "bpf/guard_abi.h"
#include "bpf/knob.h"
#include "bpf/programs.h"

#include <linux/errno.h>
#include <linux/magic.h>

char LICENSE[] SEC("license") = "GPL";

struct pf_policy policy;
struct pf_ring_map ring SEC(".maps");
struct pf_counters_map counters SEC(".maps");
struct pf_watched_map watched SEC(".maps");
struct pf_acts_map acts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PF_GUARD_ALLOWED_MAX);
	__type(key, struct pf_guard_file);
	__type(value, u32);
} allowed SEC(".maps");

/* The slot of a guarded guest plus one, else 0. */
pf_inline u32 guarded(u32 slot_plus_1)
{
	return slot_plus_1 && slot_at(slot_plus_1)->flags & PF_SLOT_GUARD ? slot_plus_1 : 0;
}

/*
 * The slot by which a group is guarded plus one, else 0: a leaf by the table, what is around the
 * leaves by `watched`, and what is made there by its parent. So a leaf that libvirt makes for a
 * hot-plugged vCPU is guarded from its first moment on, before the agent knows what it is for.
 */
static __noinline u32 guard_of(u64 cgid, u64 parent_cgid)
{
	u32 slot_plus_1 = slot_of_group(cgid), *around;

	if (slot_plus_1)
		return guarded(slot_plus_1);
	around = bpf_map_lookup_elem(&watched, &cgid);
	if (!around)
		around = bpf_map_lookup_elem(&watched, &parent_cgid);
	return around ? guarded(*around) : 0;
}

pf_inline u32 guard_of_task(struct task_struct *p)
{
	struct cgroup *group = p->cgroups->dfl_cgrp;
	struct cgroup_subsys_state *parent = group->self.parent;

	return guard_of(group->kn->id, parent ? parent->cgroup->kn->id : 0);
}

static __noinline bool is_stranger(u32 slot_plus_1)
{
	struct task_struct *current = bpf_get_current_task_btf();
	struct pf_guard_file exe = {};
	struct file *file;
	u32 own;

	if (current->tgid == 1 || current->flags & PF_PF_KTHREAD)
		return false;
	own = guard_of_task(current);
	if (own && slot_at(own)->guest == slot_at(slot_plus_1)->guest)
		return false;
	file = BPF_CORE_READ(current, mm, exe_file);
	if (!file)
		return true;
	exe.inode = BPF_CORE_READ(file, f_inode, i_ino);
	exe.dev = BPF_CORE_READ(file, f_inode, i_sb, s_dev);
	return !bpf_map_lookup_elem(&allowed, &exe);
}

/* Counts a refusal. Return: whether there is a token for telling it. */
pf_inline bool count_refusal(u32 slot_plus_1)
{
	u32 row = slot_plus_1 - 1;
	struct pf_counters *c = bpf_map_lookup_elem(&counters, &row);

	if (!c)
		return false;
	__sync_fetch_and_add(&c->refused, 1);
	if (!policy.head.live)
		return false;
	if (take_token(slot_at(slot_plus_1)->guest))
		return true;
	__sync_fetch_and_add(&c->suppressed, 1);
	return false;
}

/* What is in no leaf, or in one that nobody knows yet, is no role's. */
pf_inline void record_refused_slot(struct pf_record *r, u32 slot_plus_1, u64 cgid)
{
	record_slot(r, slot_plus_1);
	if (slot_of_group(cgid))
		return;
	r->role = PF_REC_ROLE_NONE;
	r->role_index = 0;
}

pf_inline struct pf_knob_record *begin_refusal(u32 slot_plus_1, u16 cause, u64 cgid)
{
	struct pf_knob_record *k;

	if (!count_refusal(slot_plus_1))
		return NULL;
	k = bpf_ringbuf_reserve(&ring, sizeof(*k), 0);
	if (!k) {
		count_record(slot_plus_1, false);
		return NULL;
	}
	record_begin(&k->rec, bpf_ktime_get_boot_ns(), PF_REC_REFUSED, cause, cgid);
	record_refused_slot(&k->rec, slot_plus_1, cgid);
	__builtin_memset(k->rec.comm, 0, sizeof(k->rec.comm));
	actor_is_current(&k->rec.actor);
	k->rec.flags = PF_RF_ACTOR;
	__builtin_memset(k->knob, 0, sizeof(k->knob));
	__builtin_memset(k->text, 0, sizeof(k->text));
	return k;
}

pf_inline void submit(struct pf_knob_record *k, u32 slot_plus_1)
{
	bpf_ringbuf_submit(k, wake_flags());
	count_record(slot_plus_1, true);
}

/* ---- threads ----------------------------------------------------------------------------- */

/* What the current task is at, by the hooks of cause.bpf.c. */
pf_inline struct pf_act *act_of_current(void)
{
	return bpf_task_storage_get(&acts, bpf_get_current_task_btf(), NULL, 0);
}

pf_inline void describe_move(struct pf_knob_record *k, const struct pf_act *act)
{
	k->rec.cause = act->cause;
	k->rec.value = act->cgid;
	__builtin_memcpy(k->knob, act->knob, sizeof(k->knob));
	__builtin_memcpy(k->text, act->text, sizeof(k->text));
}

#define set_name(k, name) __builtin_memcpy((k)->knob, name, sizeof(name))

/* sched_setaffinity(2), a move or a controller taken away, else a scheduling policy; or pages. */
pf_inline void describe(struct pf_knob_record *k, u16 cause)
{
	const struct pf_act *act = act_of_current();

	if (cause == PF_CAUSE_SYSCALL)
		set_name(k, "migrate_pages");
	else if (!act && policy.head.hooks & PF_HOOK_AFFINITY)
		set_name(k, "sched_setscheduler");
	else if (!act || act->cause == PF_CAUSE_AFFINITY)
		set_name(k, "sched_setaffinity");
	else
		describe_move(k, act);
}

/* Return: -EPERM, and it has been told, when the current task may not do that to @p; else 0. */
pf_inline int judge(struct task_struct *p, u16 cause)
{
	u32 slot_plus_1 = guard_of_task(p);
	struct pf_knob_record *k;

	if (!slot_plus_1 || p->tgid == bpf_get_current_task_btf()->tgid ||
	    !is_stranger(slot_plus_1))
		return 0;
	k = begin_refusal(slot_plus_1, cause, group_of(p));
	if (!k)
		return -EPERM;
	record_thread(&k->rec, p);
	describe(k, cause);
	submit(k, slot_plus_1);
	return -EPERM;
}

SEC("lsm/task_setscheduler")
int BPF_PROG(pf_guard_sched, struct task_struct *p, int ret)
{
	return ret ?: judge(p, PF_CAUSE_AFFINITY);
}

/* migrate_pages(2) and move_pages(2) on another process. */
SEC("lsm/task_movememory")
int BPF_PROG(pf_guard_pages, struct task_struct *p, int ret)
{
	return ret ?: judge(p, PF_CAUSE_SYSCALL);
}

/* From Linux 6.2 on. */
extern struct task_struct *bpf_task_from_pid(int pid) __ksym __weak;
extern void bpf_task_release(struct task_struct *p) __ksym __weak;

pf_inline int pid_of_text(const char *text)
{
	int pid = 0;

#pragma unroll
	for (int i = 0; i < 9; i++) {
		if (text[i] < '0' || text[i] > '9')
			break;
		pid = pid * 10 + text[i] - '0';
	}
	return pid;
}

/*
 * A write to cgroup.procs or cgroup.threads, wherever: the kernel asks whether the writer may write
 * to the files of the common ancestor, when it knows whom it is about and has changed nothing yet.
 * So does anybody who looks up a path: without such a write under way it's one load.
 */
SEC("lsm/inode_permission")
int BPF_PROG(pf_guard_move, struct inode *inode, int mask, int ret)
{
	struct task_struct *p;
	struct pf_act *act;

	if (ret)
		return ret;
	if (!*(volatile u32 *)&policy.head.moving || !(mask & PF_MAY_WRITE) ||
	    inode->i_sb->s_magic != CGROUP2_SUPER_MAGIC)
		return 0;
	act = act_of_current();
	if (!act || act->cause != PF_CAUSE_CGROUP_MOVE)
		return 0;
	p = bpf_task_from_pid(pid_of_text(act->text));
	if (!p)
		return 0;
	ret = judge(p, PF_CAUSE_CGROUP_MOVE);
	bpf_task_release(p);
	return ret;
}

/* ---- control files ----------------------------------------------------------------------- */

static __noinline int refuse_write(u32 slot_plus_1, u64 cgid, const unsigned char *name)
{
	char knob[PF_KNOB_LEN] = {};
	struct pf_knob_record *k;

	bpf_probe_read_kernel_str(knob, sizeof(knob), name);
	k = begin_refusal(slot_plus_1, cause_of_knob(knob) ?: PF_CAUSE_CONTROL, cgid);
	if (!k)
		return -EPERM;
	__builtin_memcpy(k->knob, knob, sizeof(knob));
	submit(k, slot_plus_1);
	return -EPERM;
}

/* Asked at each write, not at opening: a file that was open before is no way around. */
SEC("lsm/file_permission")
int BPF_PROG(pf_guard_file, struct file *file, int mask, int ret)
{
	struct dentry *dir;
	u32 slot_plus_1;
	u64 cgid;

	if (ret)
		return ret;
	if (!(mask & PF_MAY_WRITE) || file->f_inode->i_sb->s_magic != CGROUP2_SUPER_MAGIC)
		return 0;
	dir = file->f_path.dentry->d_parent;
	cgid = dir->d_inode->i_ino;
	slot_plus_1 = guard_of(cgid, dir->d_parent->d_inode->i_ino);
	if (!slot_plus_1 || !is_stranger(slot_plus_1))
		return 0;
	return refuse_write(slot_plus_1, cgid, file->f_path.dentry->d_name.name);
}

/* ---- executables ------------------------------------------------------------------------- */

/*
 * Which file each fd of the caller is, in the kernel's own numbers: stat(2) tells others where
 * file systems are stacked (overlayfs) or divided (btrfs).
 */
SEC("iter/task_file")
int pf_guard_files(struct bpf_iter__task_file *ctx)
{
	struct pf_guard_fd line = {};
	struct file *file = ctx->file;

	if (!file)
		return 0;
	line.fd = ctx->fd;
	line.file.inode = BPF_CORE_READ(file, f_inode, i_ino);
	line.file.dev = BPF_CORE_READ(file, f_inode, i_sb, s_dev);
	bpf_seq_write(ctx->meta->seq, &line, sizeof(line));
	return 0;
}
