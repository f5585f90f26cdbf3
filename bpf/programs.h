/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What escape.bpf.c and cause.bpf.c share: the maps (defined in escape.bpf.c) and the few steps
 * that both take. Kernel side only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "bpf/kernel.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "bpf/events.h"
#include "bpf/policy.h"

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;

/*
 * What is kept of a guest's thread, in task storage. The scheduler holds the thread's lock when it
 * migrates it, so only the settle iterator comes at the same time: open_at is exchanged, never
 * added to.
 */
struct pf_thread {
	u64 open_at; /* sum_exec_runtime << 2 | PF_RF_OUT_* when the stay began, 0: at home */
	u64 stay_ns; /* the closed part of the stay that goes on */
	u64 away_ns;
	u64 remote_ns;
	u64 cgid; /* the guest's group that it was last seen in */
	u32 slot_plus_1;
	u32 generation;
	u32 suppressed;
	u16 cause; /* the last act that changed where it may run */
	u8 told;   /* the stay that goes on has been told */
	u8 has_actor;
	u8 fallback;
	u8 reserved[7];
	struct pf_actor actor;
};

#define PF_OUT_BITS 2
#define PF_OUT_MASK (PF_RF_OUT_CPU | PF_RF_OUT_NODE)
_Static_assert(PF_OUT_MASK == (1 << PF_OUT_BITS) - 1, "a stay carries how it is outside");

/* What the current task is doing to others: from a hook's entry to its exit. */
struct pf_act {
	u64 began_ns; /* of a knob: when the write began */
	u64 cgid;
	u32 slot_plus_1; /* whose pages are being moved */
	u16 cause;
	u16 masks; /* threads whose mask changed on its behalf */
	char knob[PF_KNOB_LEN];
	char text[PF_TEXT_LEN];
};

struct pf_ring_map {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 << 20);
};

/* The lanes of all CPUs one after the other, sized when loaded; user space maps them. */
struct pf_records_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct pf_record);
};

struct pf_counters_map {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, PF_SLOTS);
	__type(key, u32);
	__type(value, struct pf_counters);
};

struct pf_carried_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PF_SLOTS);
	__type(key, u32);
	__type(value, struct pf_counters);
};

struct pf_threads_map {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct pf_thread);
};

struct pf_acts_map {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct pf_act);
};

struct pf_cpu_actors_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PF_CPUS);
	__type(key, u32);
	__type(value, struct pf_actor);
};

struct pf_watched_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PF_SLOTS);
	__type(key, u64);
	__type(value, u32);
};

extern struct pf_policy policy;
extern struct pf_ring_map ring SEC(".maps");
extern struct pf_counters_map counters SEC(".maps");
extern struct pf_threads_map threads SEC(".maps");
extern struct pf_cpu_actors_map cpu_actors SEC(".maps");

#define pf_inline static __always_inline
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* Keeps the compiler from proving the mask away that the verifier wants to see (6.1). */
#define pf_bound(value, limit)                                                                     \
	({                                                                                         \
		u64 bounded_ = (value);                                                            \
		asm volatile("" : "+r"(bounded_));                                                 \
		bounded_ & ((limit) - 1);                                                          \
	})

/* All that was written before is seen by who sees this. An x86 does that with any store. */
#ifdef __TARGET_ARCH_x86
#define store_release(to, value)                                                                   \
	({                                                                                         \
		asm volatile("" ::: "memory");                                                     \
		*(volatile typeof(*(to)) *)(to) = (value);                                         \
	})
#else
#define store_release(to, value) __sync_lock_test_and_set(to, value)
#endif

/* The value of pf_thread.open_at for a stay that begins when @sum_ns have been run. */
pf_inline u64 open_since(u64 sum_ns, u16 out)
{
	return out ? sum_ns << PF_OUT_BITS | out : 0;
}

pf_inline u64 group_of(struct task_struct *p)
{
	return p->cgroups->dfl_cgrp->kn->id;
}

pf_inline const volatile struct pf_bucket *bucket_at(u64 place)
{
	return (void *)&policy.bucket[0] + (place << 6 & (PF_BUCKETS - 1) << 6);
}
_Static_assert(sizeof(struct pf_bucket) == 1 << 6, "what a place is shifted by");

pf_inline const volatile struct pf_bucket *first_bucket(u64 cgid)
{
	return bucket_at(pf_bucket_place(cgid));
}

/* The bucket of a guest's group that is not in the first; NULL for all others. */
pf_inline const volatile struct pf_bucket *next_bucket(u64 cgid)
{
#pragma unroll
	for (u32 probe = 1; probe < PF_PROBES; probe++) {
		const volatile struct pf_bucket *b = bucket_at(cgid + probe);
		u64 key = b->key;

		if (key == cgid)
			return b;
		if (!key)
			return NULL;
	}
	return NULL;
}

/* Slot of a group plus one, 0 for a group of no guest. No helper call: facts 17. */
pf_inline u32 slot_of_group(u64 cgid)
{
	const volatile struct pf_bucket *b = first_bucket(cgid);
	u64 key = b->key;

	if (key && key != cgid)
		b = next_bucket(cgid);
	return key && b ? b->slot_plus_1 : 0;
}

pf_inline const struct pf_cpu_word *word_of(const struct pf_slot *s, u32 cpu)
{
	return &s->word[pf_bound(cpu >> 6, PF_CPUS / 64)];
}

pf_inline bool at_home(const struct pf_slot *s, u32 cpu)
{
	return word_of(s, cpu)->home >> (cpu & 63) & 1;
}

/* Neighbours mostly: one load for both. */
pf_inline bool both_at_home(const struct pf_slot *s, u32 from, u32 to)
{
	u64 home = word_of(s, from)->home, home_to = home;

	if ((from ^ to) >> 6)
		home_to = word_of(s, to)->home;
	return home >> (from & 63) & home_to >> (to & 63) & 1;
}

pf_inline u16 node_of(u32 cpu)
{
	return policy.node_of_cpu[pf_bound(cpu, PF_CPUS)];
}

/* PF_RF_OUT_*: in what respect @cpu is outside. */
pf_inline u16 outside(const struct pf_slot *s, u32 cpu)
{
	const struct pf_cpu_word *word = word_of(s, cpu);
	u16 out = word->cpus >> (cpu & 63) & 1 ? 0 : PF_RF_OUT_CPU;

	if (!(word->near >> (cpu & 63) & 1))
		out |= PF_RF_OUT_NODE;
	return out;
}

pf_inline struct pf_slot *slot_at(u32 slot_plus_1)
{
	return &policy.slot[pf_bound(slot_plus_1 - 1, PF_SLOTS)];
}

/*
 * The slot that a thread was last seen in, plus one; 0 when it was in none or the slot has been
 * given to somebody else since.
 */
pf_inline u32 slot_of_thread(const struct pf_thread *t)
{
	if (!t->slot_plus_1 || slot_at(t->slot_plus_1)->generation != t->generation)
		return 0;
	return t->slot_plus_1;
}

pf_inline void thread_belongs(struct pf_thread *t, u32 slot_plus_1, u64 cgid)
{
	t->generation = slot_at(slot_plus_1)->generation;
	t->slot_plus_1 = slot_plus_1;
	t->cgid = cgid;
}

/*
 * Takes one token of a bucket. The state is the time at which the bucket will be empty again, so a
 * storm only reads it and its cache line stays shared.
 */
pf_inline bool take_token_of(u64 *empty_at)
{
	u64 now = bpf_jiffies64() << PF_TICK_SHIFT;

#pragma unroll
	for (int attempt = 0; attempt < 4; attempt++) {
		u64 old = *(volatile u64 *)empty_at;
		u64 from = old > now ? old : now;

		if (from - now > policy.head.bucket_depth)
			return false;
		if (__sync_val_compare_and_swap(empty_at, old, from + policy.head.bucket_cost) ==
		    old)
			return true;
	}
	return false;
}

/* For escapes and page moves. */
pf_inline bool take_token(u32 guest)
{
	return take_token_of(&policy.tat[pf_bound(guest, PF_GUESTS)].empty_at);
}

/* Whether a record is the first that is told out of turn since user space looked at the guest. */
pf_inline bool first_since_look(u32 guest)
{
	u64 *unlooked = &policy.tat[pf_bound(guest, PF_GUESTS)].unlooked;

	return !*(volatile u64 *)unlooked && !__sync_lock_test_and_set(unlooked, 1);
}

/* For acts that a thread can do to itself for ever; a storm of escapes leaves these tokens alone. */
pf_inline bool take_act_token(u32 guest)
{
	return take_token_of(&policy.tat[pf_bound(guest, PF_GUESTS)].acts_empty_at);
}

/*
 * A sleeping consumer is woken by the next record; one that comes by itself only when a quarter of
 * the ring is full, and once (facts 21). policy.head.wake says which it is; it is read after the
 * record has its number, so that a consumer who goes to sleep sees the one or is woken.
 */
pf_inline u64 wake_flags(void)
{
	u32 wake = policy.head.wake;

	if (wake == PF_WAKE_ANY) {
		policy.head.wake = PF_WAKE_PRESSURE;
		return BPF_RB_FORCE_WAKEUP;
	}
	if (wake == PF_WAKE_PRESSURE &&
	    bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) > policy.head.ring_bytes / 4) {
		policy.head.wake = PF_WAKE_NONE;
		return BPF_RB_FORCE_WAKEUP;
	}
	return BPF_RB_NO_WAKEUP;
}

/* Two loads that the verifier knows to be inside the task; a helper would cost 30 ns. */
#define copy_comm(to, task)                                                                        \
	do {                                                                                       \
		((u64 *)(to))[0] = *(u64 *)&(task)->comm[0];                                       \
		((u64 *)(to))[1] = *(u64 *)&(task)->comm[8];                                       \
	} while (0)

pf_inline void actor_is_current(struct pf_actor *actor)
{
	struct task_struct *current = bpf_get_current_task_btf();

	actor->cgid = group_of(current);
	actor->pid = current->pid;
	actor->tgid = current->tgid;
	actor->uid = current->cred->uid.val;
	actor->reserved = 0;
	copy_comm(actor->comm, current);
}

/* Not 0 when a thread in a group of no guest may be a guest's all the same: left and moving. */
pf_inline u64 away_word(void)
{
	return *(volatile u64 *)&policy.head.left;
}

pf_inline bool some_are_away(void)
{
	return away_word();
}
_Static_assert(offsetof(struct pf_policy_head, moving) ==
		       offsetof(struct pf_policy_head, left) + sizeof(u32),
	       "left and moving are read at once");

pf_inline bool is_self(void)
{
	u32 self = policy.head.self_tgid;

	return self && bpf_get_current_pid_tgid() >> 32 == self;
}

/* Raised by one instruction that no other memory access passes. */
pf_inline u64 next_number(void)
{
	return __sync_fetch_and_add(&policy.head.seq, 1) + 1;
}

/* Fields that every record has; the number comes last, so that a gap means a lost record. */
pf_inline void record_begin(struct pf_record *r, u64 boot_ns, u16 kind, u16 cause, u64 cgid)
{
	r->boot_ns = boot_ns;
	r->cgid = cgid;
	r->value = 0;
	r->tid = 0;
	r->tgid = 0;
	r->guest = 0;
	r->role_index = 0;
	r->slot = PF_NOWHERE;
	r->role = PF_REC_ROLE_NONE;
	r->kind = kind;
	r->cause = cause;
	r->flags = 0;
	r->from_cpu = PF_NOWHERE;
	r->to_cpu = PF_NOWHERE;
	r->from_node = PF_NOWHERE;
	r->to_node = PF_NOWHERE;
	r->reserved = 0;
	r->suppressed = 0;
	r->seq = next_number();
}

pf_inline void record_slot(struct pf_record *r, u32 slot_plus_1)
{
	const struct pf_slot *s;

	if (!slot_plus_1)
		return;
	s = slot_at(slot_plus_1);
	r->slot = slot_plus_1 - 1;
	r->guest = s->guest;
	r->role = s->role;
	r->role_index = s->role_index;
}

pf_inline void record_thread(struct pf_record *r, struct task_struct *p)
{
	r->tid = p->pid;
	r->tgid = p->tgid;
	copy_comm(r->comm, p);
}

pf_inline void record_cpus(struct pf_record *r, u32 from, u32 to)
{
	r->from_cpu = from;
	r->to_cpu = to;
	r->from_node = node_of(from);
	r->to_node = node_of(to);
}

/* Return: the flag that says whether there is one. */
pf_inline u16 record_actor(struct pf_record *r, const struct pf_actor *actor)
{
	if (actor)
		r->actor = *actor;
	else
		__builtin_memset(&r->actor, 0, sizeof(r->actor));
	return actor ? PF_RF_ACTOR : 0;
}

/*
 * For hooks outside the scheduler's locks, which another program may interrupt on this CPU: one
 * instruction each.
 */
pf_inline void count_record(u32 slot_plus_1, bool told)
{
	u32 row = slot_plus_1 - 1;
	struct pf_counters *c = slot_plus_1 ? bpf_map_lookup_elem(&counters, &row) : NULL;

	if (!c)
		return;
	if (told)
		__sync_fetch_and_add(&c->told, 1);
	else
		__sync_fetch_and_add(&c->dropped, 1);
}
