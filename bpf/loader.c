// SPDX-License-Identifier: GPL-2.0-or-later
/* Which generation of programs is used: adopted, replaced or new. */
#include "bpf/loader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/cleanup.h"
#include "bpf/internal.h"

#define ABI_TEXT_(abi) "v" #abi
#define ABI_TEXT(abi) ABI_TEXT_(abi)
#define VERSION ABI_TEXT(PF_ABI)
#define NEXT_VERSION VERSION "-next" /* a bpffs takes no dots */

static void add_counters(struct pf_counters *sum, const struct pf_counters *row)
{
	sum->escapes += row->escapes;
	sum->remote += row->remote;
	sum->stays += row->stays;
	sum->away_ns += row->away_ns;
	sum->remote_ns += row->remote_ns;
	sum->told += row->told;
	sum->suppressed += row->suppressed;
	sum->dropped += row->dropped;
	sum->untimed += row->untimed;
	sum->pages += row->pages;
	sum->refused += row->refused;
}
_Static_assert(sizeof(struct pf_counters) == 11 * sizeof(uint64_t), "add_counters() adds all");

static int read_counters(const struct pf_generation *g, int cpus, uint32_t slot,
			 struct pf_counters *out, struct pf_err *err)
{
	pf_auto_free struct pf_counters *rows = calloc(cpus, sizeof(*rows));
	struct pf_counters sum;

	if (!rows)
		return pf_fail(err, ENOMEM, "read the counters of slot %u", slot);
	if (bpf_map_lookup_elem(g->map[PF_MAP_CARRIED], &slot, &sum) ||
	    bpf_map_lookup_elem(g->map[PF_MAP_COUNTERS], &slot, rows))
		return pf_fail(err, errno, "read the counters of slot %u", slot);
	for (int cpu = 0; cpu < cpus; cpu++)
		add_counters(&sum, &rows[cpu]);
	*out = sum;
	return 0;
}

/* The other generation's table, as it is now; its threads are found again by settling. */
static void carry_policy(struct pf_policy *to, const struct pf_policy *from)
{
	memcpy(to->bucket, from->bucket, sizeof(to->bucket));
	memcpy(to->slot, from->slot, sizeof(to->slot));
	memcpy(to->cpu_down, from->cpu_down, sizeof(to->cpu_down));
	to->head.cpus_down = from->head.cpus_down;
	to->head.self_tgid = from->head.self_tgid;
	to->head.left = from->head.left;
}

static int carry_counters(struct pf_generation *to, const struct pf_generation *from, int cpus,
			  struct pf_err *err)
{
	for (uint32_t slot = 0; slot < from->policy->head.slots; slot++) {
		struct pf_counters sum;
		int r = read_counters(from, cpus, slot, &sum, err);

		if (!r && bpf_map_update_elem(to->map[PF_MAP_CARRIED], &slot, &sum, BPF_ANY))
			r = pf_fail(err, errno, "carry the counters of slot %u over", slot);
		if (r)
			return r;
	}
	return 0;
}

static int carry_watched(struct pf_generation *to, const struct pf_generation *from,
			 struct pf_err *err)
{
	uint64_t cgid = 0;
	uint32_t guard;

	while (!bpf_map_get_next_key(from->map[PF_MAP_WATCHED], cgid ? &cgid : NULL, &cgid))
		if (bpf_map_lookup_elem(from->map[PF_MAP_WATCHED], &cgid, &guard) ||
		    bpf_map_update_elem(to->map[PF_MAP_WATCHED], &cgid, &guard, BPF_ANY))
			return pf_fail(err, errno, "carry the watched groups over");
	return 0;
}

static int drain_old(const struct pf_bpf *bpf, const struct pf_generation *old, struct pf_err *err)
{
	PF_CLEANUP(pf_reader_free) struct pf_reader *reader = NULL;
	int r = pf_reader_new(old, bpf->on_record, bpf->arg, &reader, err);

	if (!r)
		r = pf_reader_drain(reader, err);
	return r < 0 ? r : 0;
}

/*
 * Both generations are attached when the one stops counting and the other begins, three stores
 * later. Then the old one's numbers stand still and are carried over, and its records handed out.
 */
static int take_over(struct pf_bpf *bpf, struct pf_generation *old, struct pf_err *err)
{
	struct pf_policy *to = bpf->now.policy, *from = old->policy;
	int r;

	carry_policy(to, from);
	r = carry_watched(&bpf->now, old, err);
	if (r)
		return r;
	__atomic_store_n(&from->head.live, 0, __ATOMIC_SEQ_CST);
	to->head.seq = __atomic_load_n(&from->head.seq, __ATOMIC_SEQ_CST);
	__atomic_store_n(&to->head.live, 1, __ATOMIC_SEQ_CST);
	r = carry_counters(&bpf->now, old, bpf->cpus, err);
	return r ? r : drain_old(bpf, old, err);
}

static int load_new(struct pf_bpf *bpf, const struct pf_bpf_options *options,
		    struct pf_generation *old, struct pf_err *err)
{
	int r = pf_generation_load(&bpf->now, options, err);

	if (r)
		return r;
	if (old) {
		bpf->origin = PF_BPF_REPLACED;
		r = take_over(bpf, old, err);
	} else {
		__atomic_store_n(&bpf->now.policy->head.live, 1, __ATOMIC_SEQ_CST);
	}
	return r;
}

/*
 * A crash in between leaves the former version alone, both, or the next one alone and complete:
 * clear_unfinished() knows.
 */
static int pin_new(struct pf_bpf *bpf, const char *path, struct pf_err *err)
{
	int r = pf_pins_put(bpf->lock, path, NEXT_VERSION, &bpf->now, err);

	if (!r)
		r = pf_pins_remove_others(bpf->lock, NEXT_VERSION, err);
	if (r < 0)
		return r;
	if (renameat(bpf->lock, NEXT_VERSION, bpf->lock, VERSION))
		return pf_fail(err, errno, "rename %s to %s in %s", NEXT_VERSION, VERSION, path);
	return 0;
}

static bool same_build(const struct pf_generation *g, const struct pf_bpf_options *options)
{
	const struct pf_policy_head *head = &g->policy->head;

	return head->build == pf_build() && head->live &&
	       (!options->slots || options->slots == head->slots) &&
	       (!options->ring_bytes || options->ring_bytes == head->ring_bytes) &&
	       (!options->lane_records || options->lane_records == head->lane_records);
}

static bool can_carry(const struct pf_generation *g, const struct pf_bpf_options *options)
{
	return !options->slots || options->slots >= g->policy->head.slots;
}

/* What adopting may change without a new generation. */
static void refresh(struct pf_policy *policy, const struct pf_bpf_options *options)
{
	if (options->node_of_cpu)
		memcpy(policy->node_of_cpu, options->node_of_cpu,
		       options->cpus * sizeof(policy->node_of_cpu[0]));
	policy->head.wake = PF_WAKE_ANY;
}

/* What a start that was killed has left behind. */
static int clear_unfinished(int lock, struct pf_err *err)
{
	if (faccessat(lock, NEXT_VERSION, F_OK, 0))
		return 0;
	if (!faccessat(lock, VERSION, F_OK, 0))
		return pf_pins_remove(lock, NEXT_VERSION, err);
	if (renameat(lock, NEXT_VERSION, lock, VERSION))
		return pf_fail(err, errno, "rename %s to %s", NEXT_VERSION, VERSION);
	return 0;
}

static int replace_pins(struct pf_bpf *bpf, const struct pf_bpf_options *options, bool damaged,
			struct pf_err *err)
{
	int others = pf_pins_remove_others(bpf->lock, VERSION, err);

	if (others < 0)
		return others;
	if (damaged || others)
		bpf->origin = PF_BPF_RENEWED;
	return pin_new(bpf, options->pin_path, err);
}

static int adopt_or_load(struct pf_bpf *bpf, const struct pf_bpf_options *options,
			 struct pf_err *err)
{
	PF_CLEANUP(pf_generation_release) struct pf_generation old = {};
	struct pf_err why;
	int found, r;

	pf_generation_init(&old);
	r = clear_unfinished(bpf->lock, err);
	if (r)
		return r;
	found = pf_pins_get(bpf->lock, VERSION, &old, &why);
	if (!found && same_build(&old, options)) {
		bpf->now = old;
		pf_generation_init(&old);
		bpf->origin = PF_BPF_ADOPTED;
		refresh(bpf->now.policy, options);
		r = pf_pins_remove_others(bpf->lock, VERSION, err);
		return r < 0 ? r : 0;
	}
	if (!found && !can_carry(&old, options))
		found = -ESTALE;
	r = load_new(bpf, options, found ? NULL : &old, err);
	if (!r)
		r = replace_pins(bpf, options, found == -ESTALE, err);
	if (r && !found)
		__atomic_store_n(&old.policy->head.live, 1, __ATOMIC_SEQ_CST);
	return r;
}

static void list_capabilities(struct pf_bpf *bpf)
{
	for (size_t row = 0; row < pf_hooks_count; row++) {
		int reason = -bpf->now.policy->head.capability[row];

		bpf->capability[row] = (struct pf_hook_capability){
			.name = pf_hooks[row].name,
			.available = !reason,
			.reason = reason,
			.gives = pf_hooks[row].gives,
			.fallback = pf_hooks[row].fallback,
		};
	}
}

int pf_bpf_open(const struct pf_bpf_options *options, struct pf_bpf **out, struct pf_err *err)
{
	PF_CLEANUP(pf_bpf_close) struct pf_bpf *bpf = calloc(1, sizeof(*bpf));
	int r;

	if (!bpf)
		return pf_fail(err, ENOMEM, "open the eBPF programs");
	pf_generation_init(&bpf->now);
	bpf->lock = -1;
	bpf->cpus = libbpf_num_possible_cpus();
	bpf->on_record = options->on_record;
	bpf->arg = options->arg;
	if (options->pin_path) {
		bpf->lock = pf_pins_lock(options->pin_path, err);
		r = bpf->lock < 0 ? bpf->lock : adopt_or_load(bpf, options, err);
	} else {
		r = load_new(bpf, options, NULL, err);
	}
	if (!r)
		r = pf_reader_new(&bpf->now, bpf->on_record, bpf->arg, &bpf->reader, err);
	if (r)
		return r;
	list_capabilities(bpf);
	*out = pf_take_ptr(bpf);
	return 0;
}

void pf_bpf_close(struct pf_bpf **bpf)
{
	struct pf_bpf *b = *bpf;

	if (!b)
		return;
	pf_reader_free(&b->reader);
	pf_generation_release(&b->now);
	pf_cleanup_close(&b->lock);
	free(b);
	*bpf = NULL;
}

enum pf_bpf_origin pf_bpf_origin(const struct pf_bpf *bpf)
{
	return bpf->origin;
}

const struct pf_hook_capability *pf_bpf_capabilities(const struct pf_bpf *bpf, size_t *count)
{
	*count = pf_hooks_count;
	return bpf->capability;
}

struct pf_policy *pf_bpf_policy(struct pf_bpf *bpf)
{
	return bpf->now.policy;
}

int pf_bpf_counters(struct pf_bpf *bpf, uint32_t slot, struct pf_counters *out,
		    struct pf_err *err)
{
	return read_counters(&bpf->now, bpf->cpus, slot, out, err);
}

int pf_bpf_slot_add(struct pf_bpf *bpf, const struct pf_slot_promise *promise, uint32_t *out,
		    struct pf_err *err)
{
	pf_auto_free struct pf_counters *rows = calloc(bpf->cpus, sizeof(*rows));
	uint32_t slot;
	int r;

	if (!rows)
		return pf_fail(err, ENOMEM, "take a slot");
	r = pf_slot_alloc(bpf->now.policy, promise, &slot, err);
	if (r)
		return r;
	if (bpf_map_update_elem(bpf->now.map[PF_MAP_CARRIED], &slot, rows, BPF_ANY) ||
	    bpf_map_update_elem(bpf->now.map[PF_MAP_COUNTERS], &slot, rows, BPF_ANY)) {
		r = pf_fail(err, errno, "clear the counters of slot %u", slot);
		pf_slot_free(bpf->now.policy, slot);
		return r;
	}
	*out = slot;
	return 0;
}
