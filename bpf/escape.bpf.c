// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Escapes: a guest's thread put on a CPU outside its promised CPUs or nodes, and the time that it
 * runs there.
 *
 * Time outside costs nothing between two migrations: a thread cannot change its CPU otherwise, it
 * is never the running one while it is migrated, and the scheduler has just brought
 * se.sum_exec_runtime up to date when it stopped. So the difference of that field between the
 * migration out and the next one is exactly what it ran there. (At a context switch the field is
 * not up to date: facts 18.)
 */
#include "bpf/programs.h"

char LICENSE[] SEC("license") = "GPL";

struct pf_policy policy; /* the only variable in .bss: user space maps it by this layout */
struct pf_ring_map ring SEC(".maps");
struct pf_records_map records SEC(".maps");
struct pf_counters_map counters SEC(".maps");
struct pf_threads_map threads SEC(".maps");
struct pf_cpu_actors_map cpu_actors SEC(".maps");
struct pf_carried_map carried SEC(".maps"); /* user space's alone: what earlier programs counted */

/* The benchmark's: look at one process only. 0 in the agent, and then the verifier cuts it out. */
const volatile int only_tgid;

/* pf_policy_head.lane_records - 1, known to the verifier. */
const volatile __u32 lane_mask;

pf_inline bool not_ours(struct task_struct *p)
{
	return only_tgid && p->tgid != only_tgid;
}

struct pf_step {
	struct task_struct *p;
	struct pf_slot *slot;
	struct pf_counters *count;
	u64 cgid;
	u32 slot_plus_1;
	u32 from;
	u32 to;
	u16 kind;
	u16 left; /* PF_RF_LEFT or 0 */
};

/* Charges what ran since @open_at to the respects in which that was outside. Return: the ns. */
pf_inline u64 charge(struct pf_counters *c, struct pf_thread *t, u64 open_at, u64 sum_ns)
{
	u64 ran_ns = sum_ns - (open_at >> PF_OUT_BITS);

	if (open_at & PF_RF_OUT_CPU) {
		t->away_ns += ran_ns;
		c->away_ns += ran_ns;
	}
	if (open_at & PF_RF_OUT_NODE) {
		t->remote_ns += ran_ns;
		c->remote_ns += ran_ns;
	}
	return ran_ns;
}

/* Whether the user's own mask lets @cpu in: a hint for kernels where no hook told who set it. */
pf_inline bool user_mask_has(struct task_struct *p, u32 cpu)
{
	struct cpumask *mask;
	u64 word;

	if (!bpf_core_field_exists(p->user_cpus_ptr))
		return false;
	mask = p->user_cpus_ptr;
	if (!mask)
		return false;
	if (cpu < 64) {
		word = mask->bits[0];
		barrier_var(word); /* one load a pointer type: the verifier wants it so */
	} else if (bpf_probe_read_kernel(&word, sizeof(word), (u64 *)mask + (cpu >> 6))) {
		return false;
	}
	return word >> (cpu & 63) & 1;
}

/* Return: flags */
pf_inline u16 record_cause(struct pf_record *r, struct pf_step *step, struct pf_thread *t)
{
	u16 flags = t && t->fallback ? PF_RF_FALLBACK : 0;
	u16 cause = PF_CAUSE_UNKNOWN;
	u32 from = step->from;

	if (policy.cpu_down[pf_bound(from, PF_CPUS)]) {
		const struct pf_actor *actor = bpf_map_lookup_elem(&cpu_actors, &from);

		cause = PF_CAUSE_CPU_OFFLINE;
		flags |= record_actor(r, actor && actor->pid ? actor : NULL);
	} else if (t && t->cause) {
		cause = t->cause;
		flags |= record_actor(r, t->has_actor ? &t->actor : NULL);
	} else {
		u32 needed = PF_HOOK_AFFINITY | PF_HOOK_MASK | PF_HOOK_KNOB;

		record_actor(r, NULL);
		if ((policy.head.hooks & needed) == needed)
			cause = PF_CAUSE_SCHEDULER;
		else if (user_mask_has(step->p, step->to))
			cause = PF_CAUSE_AFFINITY, flags |= PF_RF_INFERRED;
	}
	r->cause = cause;
	return flags;
}

/* Clocks drift by at most 500 ppm: 16 jiffies make 32 us of it. */
#define PF_CLOCK_JIFFIES 16

/*
 * CLOCK_BOOTTIME, for a queued thread by the clock of the run queue that it is taken from: its
 * lock is held, its clock has just been brought up to date. A waking thread's may be old.
 */
pf_inline u64 boot_time(struct task_struct *p, u32 from)
{
	struct pf_clock *c = &policy.clock[pf_bound(from, PF_CPUS)];
	u64 jiffies, rq_ns, boot_ns;

	if (!bpf_core_field_exists(p->se.cfs_rq) || p->on_rq != PF_ON_RQ_MIGRATING)
		return bpf_ktime_get_boot_ns();
	rq_ns = p->se.cfs_rq->rq->clock;
	jiffies = bpf_jiffies64();
	if (jiffies < c->until)
		return rq_ns + c->ahead_ns;
	boot_ns = bpf_ktime_get_boot_ns();
	c->ahead_ns = boot_ns - rq_ns;
	c->until = jiffies + PF_CLOCK_JIFFIES;
	return boot_ns;
}

/*
 * A place in this CPU's lane; NULL when it is full, which leaves the last record that was handled
 * where it is: its number tells what is newer.
 */
pf_inline struct pf_record *lane_reserve(struct pf_lane *lane, u32 cpu)
{
	u64 head = lane->head;
	u32 at = cpu * (lane_mask + 1) + (head & lane_mask);

	if (head - lane->room > lane_mask / 4) {
		lane->room = *(volatile u64 *)&policy.tail[pf_bound(cpu, PF_CPUS)];
		if (head - lane->room >= lane_mask)
			return NULL;
	}
	return bpf_map_lookup_elem(&records, &at);
}

static __noinline int ring_bell(u32 next)
{
	u64 bell = 0;

	policy.head.wake = next;
	return bpf_ringbuf_output(&ring, &bell, sizeof(bell), BPF_RB_FORCE_WAKEUP);
}

/* The number is what makes the record valid: all else is written before. */
pf_inline void lane_submit(struct pf_lane *lane, struct pf_record *r, u64 seq)
{
	u32 wake = policy.head.wake;

	store_release(&r->seq, seq);
	lane->head++;
	if (wake == PF_WAKE_ANY)
		ring_bell(PF_WAKE_PRESSURE);
	else if (wake == PF_WAKE_PRESSURE && lane->head - lane->room > lane_mask / 4)
		ring_bell(PF_WAKE_NONE);
}

pf_inline void fill(struct pf_record *r, struct pf_step *step, struct pf_thread *t, u16 kind,
		    u16 out, u64 value)
{
	r->boot_ns = boot_time(step->p, step->from);
	r->cgid = step->cgid;
	r->value = value;
	record_slot(r, step->slot_plus_1);
	record_thread(r, step->p);
	record_cpus(r, step->from, step->to);
	r->kind = kind;
	r->reserved = 0;
	r->flags = record_cause(r, step, t) | out | step->left;
	r->suppressed = t ? t->suppressed : 0;
}

/* What comes faster than the consumer, in the order of numbers like the lanes. Return: told */
static __noinline int tell_by_ring(struct pf_step *step, struct pf_thread *t, u16 kind, u16 out,
				   u64 value)
{
	struct pf_record *r = bpf_ringbuf_reserve(&ring, sizeof(*r), 0);

	if (!r) {
		step->count->dropped++;
		return 0;
	}
	fill(r, step, t, kind, out, value);
	r->seq = next_number();
	bpf_ringbuf_submit(r, wake_flags());
	step->count->told++;
	return 1;
}

pf_inline bool may_tell(struct pf_step *step, struct pf_thread *t)
{
	if (step->slot->flags & PF_SLOT_SILENT)
		return false;
	if (take_token(step->slot->guest))
		return true;
	step->count->suppressed++;
	if (t)
		t->suppressed++;
	return false;
}

/* By the lane: no lock, no call. */
pf_inline bool tell(struct pf_step *step, struct pf_thread *t, u16 kind, u16 out, u64 value)
{
	u32 cpu = bpf_get_smp_processor_id();
	struct pf_lane *lane = &policy.lane[pf_bound(cpu, PF_CPUS)];
	struct pf_record *r = lane_reserve(lane, cpu);
	struct pf_step copy;
	u64 seq;

	if (!r) {
		copy = *step; /* so that the step itself stays in registers */
		return tell_by_ring(&copy, t, kind, out, value);
	}
	seq = next_number(); /* first, since it waits for all stores before it */
	fill(r, step, t, kind, out, value);
	lane_submit(lane, r, seq);
	step->count->told++;
	return true;
}

pf_inline void count_escape(struct pf_step *step, u16 out, bool first)
{
	step->count->escapes++;
	if (out & PF_RF_OUT_NODE)
		step->count->remote++;
	if (first)
		step->count->stays++;
}

/* An act that explains one move only is forgotten with it. */
pf_inline void forget_passing_cause(struct pf_thread *t)
{
	if (t->cause == PF_CAUSE_NUMA_BALANCING || t->cause == PF_CAUSE_FALLBACK)
		t->cause = PF_CAUSE_UNKNOWN;
	t->fallback = 0;
}

/* No memory for the thread's state: what it runs outside is not known. */
static __noinline int step_untimed(struct pf_step *step)
{
	u16 out = outside(step->slot, step->to);

	if (!out)
		return 0;
	count_escape(step, out, true);
	step->count->untimed++;
	if (may_tell(step, NULL))
		tell_by_ring(step, NULL, step->kind, out, 0);
	return 0;
}

/*
 * A guest's thread goes from or to a CPU outside. Its lock is held: no other step of it runs.
 * @often: by the lane. Where it happens seldom, the ring costs less code and stack (512 bytes for
 * all that call each other before 6.13).
 */
pf_inline int step_outside(struct pf_step *step, const bool often)
{
	u16 out = outside(step->slot, step->to);
	u32 row = step->slot_plus_1 - 1;
	struct pf_thread *t;
	u64 now, open, stay_ns = 0;
	u16 kind = out ? step->kind : PF_REC_RETURN;

	step->count = bpf_map_lookup_elem(&counters, &row);
	if (!step->count || !policy.head.live || not_ours(step->p))
		return 0;
	t = bpf_task_storage_get(&threads, step->p, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!t) {
		struct pf_step copy = *step;

		return step_untimed(&copy);
	}
	if (!step->left && t->slot_plus_1 != step->slot_plus_1)
		thread_belongs(t, step->slot_plus_1, step->cgid);
	now = step->p->se.sum_exec_runtime;
	open = __sync_lock_test_and_set(&t->open_at, open_since(now, out));
	if (open)
		stay_ns = t->stay_ns + charge(step->count, t, open, now);
	t->stay_ns = out ? stay_ns : 0;
	if (out) {
		if (!open)
			t->told = 0;
		count_escape(step, out, !open);
	}
	if ((out ? !open || step->slot->flags & PF_SLOT_EVERY : t->told) && may_tell(step, t) &&
	    (often ? tell(step, t, kind, out, out ? 0 : stay_ns)
		   : tell_by_ring(step, t, kind, out, out ? 0 : stay_ns))) {
		t->suppressed = 0;
		t->told = out != 0;
	}
	forget_passing_cause(t);
	return 0;
}

/* Threads that have left their group are judged by the promise they left (facts 24). */
static __noinline int migrate_left(struct task_struct *p, int to, u64 cgid)
{
	struct pf_thread *t = bpf_task_storage_get(&threads, p, NULL, 0);
	struct pf_step step = { .p = p, .cgid = cgid, .to = to, .kind = PF_REC_ESCAPE };

	step.slot_plus_1 = t ? slot_of_thread(t) : 0;
	if (!step.slot_plus_1)
		return 0;
	step.from = p->thread_info.cpu;
	step.slot = slot_at(step.slot_plus_1);
	step.left = PF_RF_LEFT;
	if (both_at_home(step.slot, step.from, to))
		return 0;
	return step_outside(&step, false);
}

/* A guest's thread that was outside or goes there. */
pf_inline int migrate_outside(unsigned long long *ctx, u32 slot_plus_1)
{
	struct task_struct *p = (void *)ctx[0];
	struct pf_step step = { .p = p,
				.slot = slot_at(slot_plus_1),
				.cgid = group_of(p),
				.slot_plus_1 = slot_plus_1,
				.from = p->thread_info.cpu,
				.to = ctx[1],
				.kind = PF_REC_ESCAPE };

	return step_outside(&step, true);
}

/*
 * What the bucket's copy does not reach, groups in transition, and threads that left.
 * Return: the slot plus one when it is a guest's thread that was outside or goes there, else 0.
 */
static __noinline u32 migrate_far(unsigned long long *ctx)
{
	struct task_struct *p = (void *)ctx[0];
	u64 cgid = group_of(p);
	u32 slot_plus_1 = slot_of_group(cgid), to = ctx[1];

	if (!slot_plus_1 && some_are_away())
		migrate_left(p, to, cgid);
	if (!slot_plus_1 || both_at_home(slot_at(slot_plus_1), p->thread_info.cpu, to))
		return 0;
	return slot_plus_1;
}

#define PF_BUCKET_CPUS (PF_BUCKET_WORDS * 64)

/* In the lowest bit whether @cpu, below PF_BUCKET_CPUS, is home. */
pf_inline u64 home_of(const volatile struct pf_bucket *b, u32 cpu)
{
	return *(volatile u64 *)((void *)b + offsetof(struct pf_bucket, home) + (cpu >> 3 & 56)) >>
	       (cpu & 63);
}

/* Ends the program here, where a return would jump to where all returns have become one. */
#define pf_exit() asm volatile("r0 = 0\n\texit" ::: "r0")

/*
 * The common case first and straight through, on its own feet: what it costs is less its loads than
 * lines of code, stack and saved registers. So nothing is kept here for the other cases, which read
 * it again, and where it ends is in line with the rest.
 */
SEC("tp_btf/sched_migrate_task")
int pf_migrate(unsigned long long *ctx)
{
	u64 cgid = group_of((void *)ctx[0]), home;
	const volatile struct pf_bucket *b = first_bucket(cgid);
	u64 key = b->key;
	u32 cpu, slot_plus_1;

	if (!(key | away_word()))
		pf_exit();
	if (unlikely(key != cgid)) {
		b = next_bucket(cgid);
		if (!b)
			goto stranger;
	}
	cpu = ((struct task_struct *)((volatile unsigned long long *)ctx)[0])->thread_info.cpu;
	if (unlikely(cpu >= PF_BUCKET_CPUS))
		goto far;
	home = home_of(b, cpu);
	barrier_var(home); /* so that registers suffice that need not be saved */
	cpu = ctx[1];
	if (unlikely(cpu >= PF_BUCKET_CPUS))
		goto far;
	home &= home_of(b, cpu);
	if (likely(home & 1))
		pf_exit();
	slot_plus_1 = b->slot_plus_1;
	if (slot_plus_1)
		goto outside;
stranger:
	if (!some_are_away())
		return 0;
far:
	slot_plus_1 = migrate_far(ctx);
	if (!slot_plus_1)
		return 0;
outside:
	barrier_var(ctx);
	return migrate_outside(ctx, slot_plus_1);
}

/* The parent's slot, for a thread that one which had left its group has made. */
static __noinline u32 inherited_slot(void)
{
	struct task_struct *parent = bpf_get_current_task_btf();
	struct pf_thread *t = bpf_task_storage_get(&threads, parent, NULL, 0);

	return t ? slot_of_thread(t) : 0;
}

/*
 * What a new thread is there for, and so where it belongs, only user space can tell, by its name.
 * Threads come and go all the time in some guests: one record for all that come until it has looked.
 */
static __noinline int tell_newcomer(struct task_struct *p, u32 slot_plus_1, u64 cgid)
{
	struct pf_slot *slot = slot_at(slot_plus_1);
	struct pf_record *r;

	if (!policy.head.live || slot->flags & PF_SLOT_SILENT || !first_since_look(slot->guest))
		return 0;
	r = bpf_ringbuf_reserve(&ring, sizeof(*r), 0);
	if (!r) {
		policy.tat[pf_bound(slot->guest, PF_GUESTS)].unlooked = 0;
		count_record(slot_plus_1, false);
		return 0;
	}
	record_begin(r, bpf_ktime_get_boot_ns(), PF_REC_THREAD, PF_CAUSE_UNKNOWN, cgid);
	record_slot(r, slot_plus_1);
	record_thread(r, p);
	actor_is_current(&r->actor);
	r->flags = PF_RF_ACTOR;
	count_record(slot_plus_1, true);
	bpf_ringbuf_submit(r, wake_flags());
	return 0;
}

/*
 * A clone's first placement is no migration. Every thread of a guest gets its state here, so that
 * it is known when somebody moves it to another group later.
 */
SEC("tp_btf/sched_wakeup_new")
int BPF_PROG(pf_new_thread, struct task_struct *p)
{
	u64 cgid = group_of(p);
	u32 slot_plus_1 = slot_of_group(cgid);
	struct pf_step step;
	struct pf_thread *t;

	if (not_ours(p))
		return 0;
	step.left = 0;
	if (!slot_plus_1 && some_are_away()) {
		slot_plus_1 = inherited_slot();
		step.left = PF_RF_LEFT;
	}
	if (!slot_plus_1)
		return 0;
	t = bpf_task_storage_get(&threads, p, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (t)
		thread_belongs(t, slot_plus_1, cgid);
	tell_newcomer(p, slot_plus_1, cgid);
	step.from = step.to = p->thread_info.cpu;
	step.slot = slot_at(slot_plus_1);
	if (at_home(step.slot, step.to))
		return 0;
	step.p = p;
	step.cgid = cgid;
	step.slot_plus_1 = slot_plus_1;
	step.kind = PF_REC_PLACED;
	return step_outside(&step, false);
}

/*
 * Opens, closes or divides a stay because the promise changed, not the CPU. The scheduler may be
 * migrating the thread at this moment: what it writes wins. Interrupted by a migration on this
 * CPU, too: each counter is changed by one instruction.
 */
pf_inline void settle_stay(struct task_struct *p, struct pf_thread *t, u32 slot_plus_1)
{
	u64 open = *(volatile u64 *)&t->open_at;
	u32 cpu = *(volatile u32 *)&p->thread_info.cpu;
	u16 out = outside(slot_at(slot_plus_1), cpu);
	u64 now = p->se.sum_exec_runtime;
	u32 row = slot_plus_1 - 1;
	u64 next = open_since(now, out), ran_ns;
	struct pf_counters *c;

	if ((open & PF_OUT_MASK) == out)
		return;
	c = bpf_map_lookup_elem(&counters, &row);
	if (!c || __sync_val_compare_and_swap(&t->open_at, open, next) != open)
		return;
	if (!open && *(volatile u32 *)&p->thread_info.cpu != cpu)
		__sync_val_compare_and_swap(&t->open_at, next, 0);
	ran_ns = open ? now - (open >> PF_OUT_BITS) : 0;
	__sync_fetch_and_add(&t->stay_ns, ran_ns);
	if (open & PF_RF_OUT_CPU) {
		__sync_fetch_and_add(&t->away_ns, ran_ns);
		__sync_fetch_and_add(&c->away_ns, ran_ns);
	}
	if (open & PF_RF_OUT_NODE) {
		__sync_fetch_and_add(&t->remote_ns, ran_ns);
		__sync_fetch_and_add(&c->remote_ns, ran_ns);
	}
}

/*
 * Run by user space after a change of the table: gives every thread of a guest its state, opens
 * and closes stays accordingly, finds those that have left, and hands out one pf_stay each.
 */
SEC("iter/task")
int pf_settle(struct bpf_iter__task *ctx)
{
	struct task_struct *p = ctx->task;
	struct pf_stay stay = {};
	struct pf_thread *t;
	u32 slot_plus_1;
	u64 cgid, open;

	if (!p || not_ours(p))
		return 0;
	cgid = group_of(p);
	slot_plus_1 = slot_of_group(cgid);
	t = bpf_task_storage_get(&threads, p, NULL,
				 slot_plus_1 ? BPF_LOCAL_STORAGE_GET_F_CREATE : 0);
	if (!t)
		return 0;
	if (slot_plus_1) {
		thread_belongs(t, slot_plus_1, cgid);
	} else {
		slot_plus_1 = slot_of_thread(t);
		if (!slot_plus_1) {
			bpf_task_storage_delete(&threads, p);
			return 0;
		}
		stay.flags = PF_RF_LEFT;
		policy.head.left = 1;
	}
	stay.cpu = p->thread_info.cpu;
	stay.flags |= outside(slot_at(slot_plus_1), stay.cpu);
	settle_stay(p, t, slot_plus_1);
	open = t->open_at;
	stay.open_ns = open ? p->se.sum_exec_runtime - (open >> PF_OUT_BITS) : 0;
	stay.cgid = cgid;
	stay.away_ns = t->away_ns;
	stay.remote_ns = t->remote_ns;
	stay.tid = p->pid;
	stay.tgid = p->tgid;
	stay.slot = slot_plus_1 - 1;
	copy_comm(stay.comm, p);
	bpf_seq_write(ctx->meta->seq, &stay, sizeof(stay));
	return 0;
}
