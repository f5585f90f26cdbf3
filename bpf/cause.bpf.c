// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who did it: hooks that see an act in its doer's context, and remember it with the threads that
 * it concerns until one of them is migrated. Migrations of a running thread happen in the
 * stopper's context, those of a sleeping one in its waker's, so the doer can't be read there.
 *
 * Acts by policy.head.self_tgid are remembered as causes, but not told.
 * Which program needs what, and what stands in for it: the list in bpf/loader.c.
 */
#include "bpf/knob.h"
#include "bpf/programs.h"

struct pf_acts_map acts SEC(".maps");
struct pf_watched_map watched SEC(".maps"); /* groups around the guests' own, by user space */

pf_inline struct pf_act *act_of_current(u64 flags)
{
	return bpf_task_storage_get(&acts, bpf_get_current_task_btf(), NULL, flags);
}

pf_inline void act_over(void)
{
	bpf_task_storage_delete(&acts, bpf_get_current_task_btf());
}

/* A thread of a guest, by the group it is in or the one it has left; NULL for all others. */
pf_inline struct pf_thread *guest_thread(struct task_struct *p)
{
	u64 cgid = group_of(p);
	u32 slot_plus_1 = slot_of_group(cgid);
	struct pf_thread *t;

	t = bpf_task_storage_get(&threads, p, NULL,
				 slot_plus_1 ? BPF_LOCAL_STORAGE_GET_F_CREATE : 0);
	if (!t)
		return NULL;
	if (slot_plus_1)
		thread_belongs(t, slot_plus_1, cgid);
	return slot_of_thread(t) ? t : NULL;
}

pf_inline void remember(struct pf_thread *t, u16 cause, bool by_current)
{
	t->cause = cause;
	t->has_actor = by_current;
	if (by_current)
		actor_is_current(&t->actor);
}

pf_inline void count_suppressed(u32 slot_plus_1)
{
	u32 row = slot_plus_1 - 1;
	struct pf_counters *c = bpf_map_lookup_elem(&counters, &row);

	if (c)
		__sync_fetch_and_add(&c->suppressed, 1);
}

pf_inline struct pf_record *told_by_current(u16 kind, u16 cause, u64 cgid, u32 slot_plus_1)
{
	struct pf_record *r;

	if (!policy.head.live)
		return NULL;
	r = bpf_ringbuf_reserve(&ring, sizeof(*r), 0);
	if (!r) {
		count_record(slot_plus_1, false);
		return NULL;
	}
	record_begin(r, bpf_ktime_get_boot_ns(), kind, cause, cgid);
	record_slot(r, slot_plus_1);
	__builtin_memset(r->comm, 0, sizeof(r->comm));
	actor_is_current(&r->actor);
	r->flags = PF_RF_ACTOR;
	return r;
}

/* 6.1 takes one test of a reserved record for NULL, not two: counted where it is handed over. */
pf_inline void submit(void *record, u32 slot_plus_1)
{
	bpf_ringbuf_submit(record, wake_flags());
	count_record(slot_plus_1, true);
}

/* ---- affinity ---------------------------------------------------------------------------- */

SEC("fentry/sched_setaffinity")
int BPF_PROG(pf_affinity_begin)
{
	struct pf_act *act = act_of_current(BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (act)
		act->cause = PF_CAUSE_AFFINITY;
	return 0;
}

SEC("fexit/sched_setaffinity")
int BPF_PROG(pf_affinity_end)
{
	act_over();
	return 0;
}

/*
 * Every change of a thread's mask, whoever wants it; the context says who and why. Without an act
 * of the current task it's the kernel's own work: a cpuset following a CPU that goes or comes.
 */
SEC("fentry/set_cpus_allowed_common")
int BPF_PROG(pf_mask, struct task_struct *p)
{
	struct pf_thread *t = guest_thread(p);
	struct pf_act *act;
	struct pf_record *r;
	u32 slot_plus_1;

	if (!t)
		return 0;
	act = act_of_current(0);
	if (!act || !act->cause) {
		if (t->cause != PF_CAUSE_FALLBACK)
			remember(t, policy.head.cpus_down ? PF_CAUSE_CPU_OFFLINE : 0, false);
		return 0;
	}
	remember(t, act->cause, true);
	act->masks++;
	if (act->cause != PF_CAUSE_AFFINITY || act->masks > 1 || is_self())
		return 0;
	slot_plus_1 = slot_of_thread(t);
	if (!slot_plus_1 || !policy.head.live)
		return 0;
	/* Held back but for one until user space has looked: the last mask of a storm is seen. */
	if (!take_act_token(slot_at(slot_plus_1)->guest) &&
	    !first_since_look(slot_at(slot_plus_1)->guest)) {
		count_suppressed(slot_plus_1);
		return 0;
	}
	r = told_by_current(PF_REC_MASK, PF_CAUSE_AFFINITY, group_of(p), slot_plus_1);
	if (!r)
		return 0;
	record_thread(r, p);
	submit(r, slot_plus_1);
	return 0;
}

/* The kernel found no CPU that the thread may use and takes another one. */
SEC("fentry/select_fallback_rq")
int BPF_PROG(pf_fallback, int cpu, struct task_struct *p)
{
	struct pf_thread *t = guest_thread(p);

	if (!t)
		return 0;
	t->fallback = 1;
	remember(t, PF_CAUSE_FALLBACK, false);
	return 0;
}

/* ---- control files ----------------------------------------------------------------------- */

pf_inline struct kernfs_node *parent_of(struct kernfs_node *kn)
{
	struct kernfs_node___v615 *newer = (void *)kn;

	if (bpf_core_field_exists(newer->__parent))
		return BPF_CORE_READ(newer, __parent);
	return BPF_CORE_READ(kn, parent);
}

pf_inline bool is_mems(const struct pf_act *act)
{
	return act->cause == PF_CAUSE_CPUSET && act->knob[7] == 'm';
}

pf_inline void tell_knob(struct pf_act *act, u16 flags)
{
	u32 slot_plus_1 = slot_of_group(act->cgid);
	struct pf_knob_record *k;

	/*
	 * Of other groups, those that a guest's threads followed: above them, or a partition beside.
	 * Of nodes no thread's mask tells whether one did.
	 */
	if (!policy.head.live || (!slot_plus_1 && !act->masks && !is_mems(act) &&
				  !bpf_map_lookup_elem(&watched, &act->cgid)))
		return;
	k = bpf_ringbuf_reserve(&ring, sizeof(*k), 0);
	if (!k) {
		count_record(slot_plus_1, false);
		return;
	}
	record_begin(&k->rec, act->began_ns, PF_REC_KNOB, act->cause, act->cgid);
	record_slot(&k->rec, slot_plus_1);
	__builtin_memset(k->rec.comm, 0, sizeof(k->rec.comm));
	actor_is_current(&k->rec.actor);
	k->rec.flags = PF_RF_ACTOR | flags;
	__builtin_memcpy(k->knob, act->knob, sizeof(k->knob));
	__builtin_memcpy(k->text, act->text, sizeof(k->text));
	submit(k, slot_plus_1);
}

/* The text is taken on entry: the handlers strip and cut it in place. */
SEC("fentry/cgroup_file_write")
int BPF_PROG(pf_knob_begin, struct kernfs_open_file *of, char *text)
{
	struct kernfs_node *kn = BPF_CORE_READ(of, kn);
	char knob[PF_KNOB_LEN] = {};
	struct pf_act *act;
	u16 cause;

	bpf_probe_read_kernel_str(knob, sizeof(knob), BPF_CORE_READ(kn, name));
	cause = cause_of_knob(knob);
	if (!cause)
		return 0;
	act = act_of_current(BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!act)
		return 0;
	act->began_ns = bpf_ktime_get_boot_ns();
	act->cause = cause;
	act->masks = 0;
	act->cgid = BPF_CORE_READ(parent_of(kn), id);
	__builtin_memcpy(act->knob, knob, sizeof(knob));
	if (bpf_probe_read_kernel_str(act->text, sizeof(act->text), text) < 0)
		act->text[0] = 0;
	/* The thread is migrated in its new group before anything tells that it was moved. */
	if (cause == PF_CAUSE_CGROUP_MOVE)
		__sync_fetch_and_add(&policy.head.moving, 1);
	/* cpuset.mems takes effect at once, and returns when the pages have been moved. */
	if (is_mems(act) && !is_self())
		tell_knob(act, PF_RF_BEGUN);
	return 0;
}

SEC("fexit/cgroup_file_write")
int BPF_PROG(pf_knob_end, struct kernfs_open_file *of, char *text, __u64 bytes, long long off,
	     long ret)
{
	struct pf_act *act = act_of_current(0);

	if (!act)
		return 0;
	if (act->cause == PF_CAUSE_CGROUP_MOVE)
		__sync_fetch_and_add(&policy.head.moving, -1);
	/* A move is told by pf_attach, with the thread. */
	if (ret > 0 && act->cause != PF_CAUSE_CGROUP_MOVE && !is_self())
		tell_knob(act, 0);
	act_over();
	return 0;
}

/* ---- groups ------------------------------------------------------------------------------ */

/*
 * Where pf_knob_begin is refused, the migration that came with the move has been taken for a
 * stranger's. The thread sits outside and no stay is open: that was it.
 */
static __noinline int count_missed(struct task_struct *p, struct pf_thread *t, u64 cgid)
{
	u32 slot_plus_1 = slot_of_thread(t), cpu = p->thread_info.cpu, row = slot_plus_1 - 1;
	u16 out = slot_plus_1 ? outside(slot_at(slot_plus_1), cpu) : 0;
	struct pf_counters *c;
	struct pf_record *r;

	c = out && policy.head.live ? bpf_map_lookup_elem(&counters, &row) : NULL;
	if (!c || __sync_val_compare_and_swap(&t->open_at, 0,
					      open_since(p->se.sum_exec_runtime, out)))
		return 0;
	t->stay_ns = 0;
	t->told = !is_self();
	__sync_fetch_and_add(&c->escapes, 1);
	__sync_fetch_and_add(&c->stays, 1);
	if (out & PF_RF_OUT_NODE)
		__sync_fetch_and_add(&c->remote, 1);
	if (!t->told)
		return 0;
	r = told_by_current(PF_REC_ESCAPE, PF_CAUSE_CGROUP_MOVE, cgid, slot_plus_1);
	if (!r)
		return 0;
	record_thread(r, p);
	r->to_cpu = cpu;
	r->to_node = node_of(cpu);
	r->flags |= out | PF_RF_LEFT;
	submit(r, slot_plus_1);
	return 0;
}

SEC("tp_btf/cgroup_attach_task")
int BPF_PROG(pf_attach, struct cgroup *to, const char *path, struct task_struct *p,
	     bool threadgroup)
{
	u64 cgid = to->kn->id, from_cgid;
	u32 slot_plus_1 = slot_of_group(cgid), told_slot;
	struct pf_thread *t;
	struct pf_record *r;

	t = bpf_task_storage_get(&threads, p, NULL,
				 slot_plus_1 ? BPF_LOCAL_STORAGE_GET_F_CREATE : 0);
	if (!t)
		return 0;
	told_slot = slot_of_thread(t) ?: slot_plus_1;
	if (!told_slot)
		return 0;
	from_cgid = t->cgid;
	if (slot_plus_1)
		thread_belongs(t, slot_plus_1, cgid);
	else
		policy.head.left = 1;
	remember(t, PF_CAUSE_CGROUP_MOVE, true);
	if (!slot_plus_1)
		count_missed(p, t, cgid);
	if (is_self())
		return 0;
	r = told_by_current(PF_REC_MOVED, PF_CAUSE_CGROUP_MOVE, cgid, told_slot);
	if (!r)
		return 0;
	record_thread(r, p);
	r->value = from_cgid;
	if (!slot_plus_1)
		r->flags |= PF_RF_LEFT;
	if (threadgroup)
		r->flags |= PF_RF_THREADGROUP;
	submit(r, told_slot);
	return 0;
}

/*
 * User space may be changing the slot. It looks for claimed buckets after that: either it finds
 * this one, or the slot's new word is seen here, after the copy of the old one has been written.
 */
pf_inline void copy_home(u64 *to, const volatile u64 *home)
{
#pragma unroll
	for (u32 attempt = 0; attempt < 4; attempt++) {
		u64 word = *home;

		__sync_lock_test_and_set(to, word);
		if (*home == word)
			return;
	}
}

/*
 * Takes a bucket for @cgid as user space does (bpf/table.c): claim, then the key. A full probe
 * range leaves the group to user space, which hears of it by the record.
 */
static __noinline bool bucket_add(u64 cgid, u32 slot_plus_1)
{
	u32 at = pf_bucket_place(cgid);

#pragma unroll
	for (u32 probe = 0; probe < PF_PROBES; probe++) {
		struct pf_bucket *b = &policy.bucket[(at + probe) & (PF_BUCKETS - 1)];

		if (b->slot_plus_1 ||
		    __sync_val_compare_and_swap(&b->slot_plus_1, 0, slot_plus_1))
			continue;
		b->inherited = 1;
#pragma unroll
		for (u32 i = 0; i < PF_BUCKET_WORDS; i++)
			copy_home(&b->home[i], &slot_at(slot_plus_1)->word[i].home);
		__sync_lock_test_and_set(&b->key, cgid);
		return true;
	}
	return false;
}

SEC("tp_btf/cgroup_mkdir")
int BPF_PROG(pf_group_made, struct cgroup *made)
{
	u64 cgid = made->kn->id;
	u32 slot_plus_1 = slot_of_group(made->self.parent->cgroup->kn->id);
	struct pf_record *r;

	if (!slot_plus_1)
		return 0;
	bucket_add(cgid, slot_plus_1);
	if (is_self())
		return 0;
	r = told_by_current(PF_REC_GROUP, PF_CAUSE_CONTROL, cgid, slot_plus_1);
	if (r)
		submit(r, slot_plus_1);
	return 0;
}

/* Ids are never used again: an entry of a group that is gone only fills the table. */
SEC("tp_btf/cgroup_rmdir")
int BPF_PROG(pf_group_gone, struct cgroup *gone)
{
	u64 cgid = gone->kn->id;
	u32 at = pf_bucket_place(cgid);

#pragma unroll
	for (u32 probe = 0; probe < PF_PROBES; probe++) {
		struct pf_bucket *b = &policy.bucket[(at + probe) & (PF_BUCKETS - 1)];

		if (b->key != cgid)
			continue;
		__sync_lock_test_and_set(&b->key, PF_TOMBSTONE);
		b->inherited = 0;
		__sync_lock_test_and_set(&b->slot_plus_1, 0);
	}
	return 0;
}

/* ---- CPU hot-plug ------------------------------------------------------------------------ */

pf_inline bool is_kthread(struct task_struct *p)
{
	return p->flags & PF_PF_KTHREAD;
}

/*
 * The steps of one hot-plug run in several contexts. The writer of /sys/.../online comes first and
 * is kept as the actor; the CPU's own thread then passes the "active" step, which is what counts:
 * going down, the scheduler stops using the CPU there; coming up, it begins to.
 */
SEC("tp_btf/cpuhp_enter")
int BPF_PROG(pf_hotplug, unsigned int cpu, int target, int step)
{
	int active = bpf_core_enum_value(enum cpuhp_state, CPUHP_AP_ACTIVE);
	struct pf_actor *actor = bpf_map_lookup_elem(&cpu_actors, &cpu);
	struct task_struct *current = bpf_get_current_task_btf();
	u64 at = pf_bound(cpu, PF_CPUS);
	bool up = target >= active;
	struct pf_record *r;

	if (actor && !is_kthread(current))
		actor_is_current(actor);
	if (step != active || policy.cpu_down[at] == !up)
		return 0;
	policy.cpu_down[at] = !up;
	__sync_fetch_and_add(&policy.head.cpus_down, up ? -1 : 1);
	r = told_by_current(PF_REC_CPU, PF_CAUSE_CPU_OFFLINE, 0, 0);
	if (!r)
		return 0;
	r->flags = record_actor(r, actor && actor->pid ? actor : NULL);
	if (actor && up)
		actor->pid = 0; /* what is done next is not this one's doing */
	r->to_cpu = cpu;
	r->to_node = node_of(cpu);
	r->value = up;
	submit(r, 0);
	return 0;
}

/* Newer kernels take a CPU down from a worker: only here is the writer the current task. */
pf_inline int hotplug_asked(struct device *dev)
{
	u32 cpu = BPF_CORE_READ(dev, id);
	struct pf_actor *actor = bpf_map_lookup_elem(&cpu_actors, &cpu);

	if (actor)
		actor_is_current(actor);
	return 0;
}

SEC("fentry/cpu_device_down")
int BPF_PROG(pf_hotplug_down, struct device *dev)
{
	return hotplug_asked(dev);
}

SEC("fentry/cpu_device_up")
int BPF_PROG(pf_hotplug_up, struct device *dev)
{
	return hotplug_asked(dev);
}

/* ---- NUMA balancing and page migration --------------------------------------------------- */

pf_inline int numa_move(struct task_struct *p, u32 from, u32 to)
{
	struct pf_thread *t = guest_thread(p);

	if (t)
		remember(t, PF_CAUSE_NUMA_BALANCING, false);
	return 0;
}

SEC("tp_btf/sched_move_numa")
int BPF_PROG(pf_numa_move, struct task_struct *p, int from, int to)
{
	return numa_move(p, from, to);
}

SEC("tp_btf/sched_swap_numa")
int BPF_PROG(pf_numa_swap, struct task_struct *p, int from, struct task_struct *q, int to)
{
	numa_move(p, from, to);
	return q ? numa_move(q, to, from) : 0;
}

/* It wanted to, and could not: no move of this thread is its work. */
SEC("tp_btf/sched_stick_numa")
int BPF_PROG(pf_numa_stick, struct task_struct *p)
{
	struct pf_thread *t = bpf_task_storage_get(&threads, p, NULL, 0);

	if (t && t->cause == PF_CAUSE_NUMA_BALANCING)
		t->cause = PF_CAUSE_UNKNOWN;
	return 0;
}

/* Whose pages the current task moves: told by the owner of the address space. */
SEC("fentry/do_migrate_pages")
int BPF_PROG(pf_pages_begin, struct mm_struct *mm)
{
	struct task_struct *owner = BPF_CORE_READ(mm, owner);
	u32 slot_plus_1 = 0;
	struct pf_act *act;

	if (owner)
		slot_plus_1 = slot_of_group(BPF_CORE_READ(owner, cgroups, dfl_cgrp, kn, id));
	if (!slot_plus_1)
		return 0;
	act = act_of_current(BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (act)
		act->slot_plus_1 = slot_plus_1;
	return 0;
}

SEC("fexit/do_migrate_pages")
int BPF_PROG(pf_pages_end)
{
	struct pf_act *act = act_of_current(0);

	if (!act)
		return 0;
	act->slot_plus_1 = 0;
	if (!act->cause)
		act_over();
	return 0;
}

pf_inline u16 cause_of_pages(u64 reason)
{
	if (reason == bpf_core_enum_value(enum migrate_reason, MR_NUMA_MISPLACED))
		return PF_CAUSE_NUMA_BALANCING;
	if (reason == bpf_core_enum_value(enum migrate_reason, MR_SYSCALL) ||
	    reason == bpf_core_enum_value(enum migrate_reason, MR_MEMPOLICY_MBIND))
		return PF_CAUSE_SYSCALL;
	return PF_CAUSE_MEMORY;
}

/*
 * The tracepoint names no target. It is the address space of the do_migrate_pages() that is under
 * way, or else the current task's own: NUMA balancing and mbind(2) work on that.
 */
pf_inline int pages_moved(u64 moved, int reason)
{
	struct task_struct *current = bpf_get_current_task_btf();
	struct pf_act *act = act_of_current(0);
	u32 slot_plus_1 = act && act->slot_plus_1 ? act->slot_plus_1
						  : slot_of_group(group_of(current));
	u32 row = slot_plus_1 - 1;
	struct pf_counters *c;
	struct pf_record *r;

	c = slot_plus_1 && moved && policy.head.live ? bpf_map_lookup_elem(&counters, &row) : NULL;
	if (!c)
		return 0;
	__sync_fetch_and_add(&c->pages, moved);
	if (is_self())
		return 0;
	if (!take_token(slot_at(slot_plus_1)->guest)) {
		__sync_fetch_and_add(&c->suppressed, 1);
		return 0;
	}
	r = told_by_current(PF_REC_PAGES, cause_of_pages(reason), group_of(current), slot_plus_1);
	if (!r)
		return 0;
	r->value = moved;
	r->from_cpu = reason;
	submit(r, slot_plus_1);
	return 0;
}

/* Two shapes of one tracepoint; the loader looks at BTF and loads the one that fits (facts 26). */
SEC("tp_btf/mm_migrate_pages")
int BPF_PROG(pf_pages_7, u64 moved, u64 failed, u64 thp_moved, u64 thp_failed, u64 thp_split,
	     int mode, int reason)
{
	return pages_moved(moved, reason);
}

SEC("tp_btf/mm_migrate_pages")
int BPF_PROG(pf_pages_8, u64 moved, u64 failed, u64 thp_moved, u64 thp_failed, u64 thp_split,
	     u64 large_split, int mode, int reason)
{
	return pages_moved(moved, reason);
}
