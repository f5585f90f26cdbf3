// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/observe/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/base/array.h"
#include "agent/base/cleanup.h"
#include "agent/observe/counts.h"
#include "agent/observe/spool.h"
#include "bpf/dedupe.h"

/* A group of a guest. */
struct spot {
	uint64_t cgid;
	char *path;
	bool leaf; /* leads to a slot; otherwise only writes there are told */
	uint32_t slot;
	bool told;		    /* not a leaf: the programs know of it, with this: */
	uint32_t guard_slot_plus_1; /* the slot by which writes there are refused, or 0 */
	struct pf_role role;
	bool named; /* in the placement at hand */
};

struct watched {
	char uuid[37];
	uint32_t number; /* what the programs call it */
	struct spot *spots;
	size_t spot_count;
	struct pf_counters gone; /* of slots that were given back */
};

struct pf_watch {
	struct pf_bpf *bpf;
	pf_watch_fn on_record;
	void *arg;
	struct pf_dedupe dedupe;
	uint64_t *seen; /* in a shared mapping: what a killed agent had handled */
	struct pf_spool *spool; /* and what it had not told yet */
	struct watched *guests;
	size_t guest_count;
	struct pf_set all; /* every CPU or node that a set can hold */
	bool unsettled;
};

/* ---- records ----------------------------------------------------------------------------- */

static struct watched *find_guest(struct pf_watch *watch, const char *uuid)
{
	for (size_t i = 0; i < watch->guest_count; i++)
		if (strcmp(watch->guests[i].uuid, uuid) == 0)
			return &watch->guests[i];
	return NULL;
}

static struct spot *find_spot(const struct watched *guest, uint64_t cgid)
{
	for (size_t i = 0; i < guest->spot_count; i++)
		if (guest->spots[i].cgid == cgid)
			return &guest->spots[i];
	return NULL;
}

/* By its number where a slot is told, by the group where a scope or base was written to. */
static const struct watched *guest_of(const struct pf_watch *watch, const struct pf_record *record,
				      const struct spot **spot)
{
	bool numbered = record->slot != PF_NOWHERE;

	*spot = NULL;
	for (size_t i = 0; i < watch->guest_count; i++) {
		const struct watched *guest = &watch->guests[i];

		if (numbered && record->guest != guest->number)
			continue;
		*spot = find_spot(guest, record->cgid);
		if (*spot || numbered)
			return guest;
	}
	return NULL;
}

/* Of the others it is known at once what they are. */
static bool may_wait(const struct pf_record *record)
{
	switch ((enum pf_rec_kind)record->kind) {
	case PF_REC_ESCAPE:
	case PF_REC_PLACED:
	case PF_REC_MOVED:
	case PF_REC_MASK:
	case PF_REC_KNOB:
	case PF_REC_CPU:
		return true;
	case PF_REC_RETURN:
	case PF_REC_THREAD:
	case PF_REC_REFUSED:
	case PF_REC_NUMA:
	case PF_REC_PAGES:
	case PF_REC_GROUP:
		break;
	}
	return false;
}

static void hand_over(const struct pf_record *record, void *arg)
{
	struct pf_watch *watch = arg;
	const struct watched *guest;
	const struct spot *spot;

	guest = guest_of(watch, record, &spot);
	watch->on_record(record, guest ? guest->uuid : NULL, spot ? spot->path : NULL, watch->arg);
}

static int on_record(const struct pf_record *record, void *arg)
{
	struct pf_watch *watch = arg;

	/* Without a note of what was handled, numbers count from the first that comes. */
	if (!watch->dedupe.newest && record->seq > 1)
		pf_dedupe_start(&watch->dedupe, record->seq - 1);
	if (!pf_dedupe_note(&watch->dedupe, record->seq))
		return 0;
	if (may_wait(record))
		pf_spool_add(watch->spool, record);
	hand_over(record, watch);
	*watch->seen = watch->dedupe.newest;
	return 0;
}

/* ---- opening ----------------------------------------------------------------------------- */

static int map_seen(struct pf_watch *watch, const char *path, struct pf_err *err)
{
	pf_auto_close int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	void *map;

	if (fd < 0 || ftruncate(fd, sizeof(*watch->seen)) < 0)
		return pf_fail(err, errno, "open %s", path);
	map = mmap(NULL, sizeof(*watch->seen), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return pf_fail(err, errno, "map %s", path);
	watch->seen = map;
	return 0;
}

static int node_of(const struct pf_host_cpu *cpu)
{
	return cpu->node >= 0 && cpu->node < PF_NODES ? cpu->node : -1;
}

static int open_programs(struct pf_watch *watch, const struct pf_watch_options *options,
			 const struct pf_host *host, struct pf_err *err)
{
	uint16_t nodes[PF_CPUS] = {};
	const struct pf_bpf_options bpf = {
		.pin_path = options->pin_path,
		.node_of_cpu = nodes,
		.cpus = PF_CPUS,
		.on_record = on_record,
		.arg = watch,
	};
	int r;

	for (size_t i = 0; i < host->cpu_count; i++)
		if (host->cpus[i].cpu < PF_CPUS && node_of(&host->cpus[i]) >= 0)
			nodes[host->cpus[i].cpu] = (uint16_t)host->cpus[i].node;
	r = pf_bpf_open(&bpf, &watch->bpf, err);
	if (r < 0)
		return r;
	pf_bpf_set_self(watch->bpf, (uint32_t)getpid());
	if (pf_bpf_origin(watch->bpf) == PF_BPF_LOADED ||
	    pf_bpf_origin(watch->bpf) == PF_BPF_RENEWED)
		*watch->seen = 0, pf_spool_keep(watch->spool, NULL, 0);
	pf_dedupe_start(&watch->dedupe, *watch->seen);
	return 0;
}

int pf_watch_open(const struct pf_watch_options *options, const struct pf_host *host,
		  struct pf_watch **out, struct pf_err *err)
{
	PF_CLEANUP(pf_watch_close) struct pf_watch *watch = calloc(1, sizeof(*watch));
	int r;

	if (!watch)
		return pf_fail(err, ENOMEM, "watch guests");
	watch->on_record = options->on_record;
	watch->arg = options->arg;
	watch->unsettled = true;
	memset(&watch->all, 0xff, sizeof(watch->all));
	r = map_seen(watch, options->seen_path, err);
	if (!r)
		r = pf_spool_open(options->spool_path, &watch->spool, err);
	if (!r)
		r = open_programs(watch, options, host, err);
	if (r < 0)
		return r;
	*out = pf_take_ptr(watch);
	return 0;
}

static void clear_guest(struct watched *guest)
{
	for (size_t i = 0; i < guest->spot_count; i++)
		free(guest->spots[i].path);
	free(guest->spots);
	*guest = (struct watched){};
}

void pf_watch_close(struct pf_watch **watch)
{
	struct pf_watch *w = *watch;

	if (!w)
		return;
	pf_bpf_close(&w->bpf);
	for (size_t i = 0; i < w->guest_count; i++)
		clear_guest(&w->guests[i]);
	free(w->guests);
	pf_spool_close(&w->spool);
	if (w->seen)
		munmap(w->seen, sizeof(*w->seen));
	free(w);
	*watch = NULL;
}

struct pf_bpf *pf_watch_programs(struct pf_watch *watch)
{
	return watch->bpf;
}

enum pf_bpf_origin pf_watch_origin(const struct pf_watch *watch)
{
	return pf_bpf_origin(watch->bpf);
}

const struct pf_hook_capability *pf_watch_capabilities(const struct pf_watch *watch, size_t *count)
{
	return pf_bpf_capabilities(watch->bpf, count);
}

bool pf_watch_sees_all(const struct pf_watch *watch)
{
	static const char *const needed[] = {"placement", "affinity", "masks",  "knobs",
					     "moves",	  "groups",   "hotplug"};
	const struct pf_hook_capability *rows;
	size_t count, seen = 0;

	rows = pf_bpf_capabilities(watch->bpf, &count);
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < sizeof(needed) / sizeof(needed[0]); j++)
			seen += rows[i].available && strcmp(rows[i].name, needed[j]) == 0;
	return seen == sizeof(needed) / sizeof(needed[0]);
}

/* ---- following --------------------------------------------------------------------------- */

void pf_watch_host(struct pf_watch *watch, const struct pf_host *host)
{
	struct pf_policy *policy = pf_bpf_policy(watch->bpf);
	struct pf_slot_promise promise;
	bool changed = false;

	for (size_t i = 0; i < host->cpu_count; i++) {
		unsigned int cpu = host->cpus[i].cpu;
		int node = node_of(&host->cpus[i]);

		if (cpu >= PF_CPUS || node < 0 || policy->node_of_cpu[cpu] == node)
			continue;
		policy->node_of_cpu[cpu] = (uint16_t)node;
		changed = true;
	}
	for (uint32_t slot = 0; changed && slot < policy->head.slots; slot++)
		if (pf_slot_get(policy, slot, &promise))
			pf_slot_update(policy, slot, &promise, NULL);
	watch->unsettled |= changed;
}

static int free_number(struct pf_watch *watch, uint32_t *out, struct pf_err *err)
{
	struct pf_policy *policy = pf_bpf_policy(watch->bpf);
	bool taken[PF_GUESTS] = {};

	for (size_t i = 0; i < watch->guest_count; i++)
		taken[watch->guests[i].number] = true;
	for (uint32_t slot = 0; slot < policy->head.slots; slot++)
		if (pf_slot_get(policy, slot, NULL) && policy->slot[slot].guest < PF_GUESTS)
			taken[policy->slot[slot].guest] = true;
	for (uint32_t number = 0; number < PF_GUESTS; number++) {
		if (!taken[number]) {
			*out = number;
			return 0;
		}
	}
	return pf_fail_plain(err, ENOSPC, "all %d guests that can be watched are in use",
			     PF_GUESTS);
}

/* The number that the pins have for one of its leaves, or the first that nobody has. */
static int choose_number(struct pf_watch *watch, const struct pf_placement *placement,
			 const struct pf_actual *actual, uint32_t *out, struct pf_err *err)
{
	struct pf_policy *policy = pf_bpf_policy(watch->bpf);

	for (size_t i = 0; i < placement->group_count; i++) {
		int slot = actual->groups[i].exists ? pf_group_find(policy, actual->groups[i].cgid)
						    : -ENOENT;

		if (slot >= 0) {
			*out = policy->slot[slot].guest;
			return 0;
		}
	}
	return free_number(watch, out, err);
}

static struct watched *add_guest(struct pf_watch *watch, const struct pf_placement *placement,
				 const struct pf_actual *actual, struct pf_err *err)
{
	struct watched *guest;
	uint32_t number = 0;

	if (choose_number(watch, placement, actual, &number, err) < 0)
		return NULL;
	guest = pf_append(&watch->guests, &watch->guest_count);
	if (!guest) {
		pf_fail(err, ENOMEM, "watch guest '%s'", placement->name);
		return NULL;
	}
	memcpy(guest->uuid, placement->uuid, sizeof(guest->uuid));
	guest->number = number;
	return guest;
}

static enum pf_rec_role role_number(struct pf_role role)
{
	static const enum pf_rec_role numbers[] = {
		[PF_ROLE_EMULATOR] = PF_REC_ROLE_EMULATOR,
		[PF_ROLE_VCPU] = PF_REC_ROLE_VCPU,
		[PF_ROLE_IOTHREAD] = PF_REC_ROLE_IOTHREAD,
		[PF_ROLE_HELPER] = PF_REC_ROLE_HELPER,
	};

	return numbers[role.kind];
}

/* CPUs beyond the host's are not promised to anybody: "all" needs no more than there can be. */
static void promise_of(const struct pf_watch *watch, const struct pf_placement *placement,
		       size_t group, uint32_t number, bool guard, struct pf_slot_promise *out)
{
	const struct pf_group *leaf = &placement->groups[group];
	const struct pf_policy *policy = pf_bpf_policy(watch->bpf);
	bool pinned = leaf->cpus_rule == PF_SET_EXACT;

	*out = (struct pf_slot_promise){
		.guest = number,
		.role = role_number(leaf->role),
		.role_index = leaf->role.index,
		.flags = guard ? PF_SLOT_GUARD : 0,
		.cpus = pinned ? leaf->cpus : watch->all,
	};
	pf_set_add_range(&out->nodes, 0, PF_NODES - 1);
	for (size_t i = 0; i < placement->thread_count; i++) {
		const struct pf_thread_placement *thread = &placement->threads[i];

		if (thread->group == group && !pf_set_empty(&thread->nodes)) {
			out->nodes = thread->nodes;
			break;
		}
	}
	if (pinned)
		pf_set_for_each(cpu, &leaf->cpus)
			pf_set_add(&out->nodes, policy->node_of_cpu[cpu]);
}

static bool same_promise(const struct pf_slot_promise *a, const struct pf_slot_promise *b)
{
	return a->guest == b->guest && a->role == b->role && a->role_index == b->role_index &&
	       a->flags == b->flags && pf_set_equal(&a->cpus, &b->cpus) &&
	       pf_set_equal(&a->nodes, &b->nodes);
}

static bool same_role(const struct pf_slot_promise *a, const struct pf_slot_promise *b)
{
	return a->guest == b->guest && a->role == b->role && a->role_index == b->role_index;
}

/* A group in the table keeps its slot when that is its role's; a child had its parent's. */
static int follow_leaf(struct pf_watch *watch, struct spot *spot,
		       const struct pf_slot_promise *promise, struct pf_err *err)
{
	struct pf_policy *policy = pf_bpf_policy(watch->bpf);
	struct pf_slot_promise now;
	int slot = pf_group_find(policy, spot->cgid), r;

	if (slot >= 0 && pf_slot_get(policy, (uint32_t)slot, &now) && same_role(&now, promise)) {
		spot->slot = (uint32_t)slot;
		spot->leaf = true;
		if (same_promise(&now, promise))
			return 0;
		watch->unsettled = true;
		return pf_slot_update(policy, spot->slot, promise, err);
	}
	watch->unsettled = true;
	r = spot->leaf ? pf_slot_update(policy, spot->slot, promise, err)
		       : pf_bpf_slot_add(watch->bpf, promise, &spot->slot, err);
	if (r < 0)
		return r;
	spot->leaf = true;
	return pf_group_set(policy, spot->cgid, spot->slot, err);
}

/* A group that was made anew at its old place keeps what was counted there. */
static struct spot *find_path(const struct watched *guest, const char *path)
{
	for (size_t i = 0; i < guest->spot_count; i++)
		if (guest->spots[i].path && strcmp(guest->spots[i].path, path) == 0)
			return &guest->spots[i];
	return NULL;
}

/* What is watched at @cgid or, where that is new, at @path. */
static struct spot *spot_for(struct watched *guest, const char *path, uint64_t cgid)
{
	struct spot *spot = find_spot(guest, cgid);

	if (spot)
		return spot;
	spot = find_path(guest, path);
	if (!spot) {
		spot = pf_append(&guest->spots, &guest->spot_count);
		if (!spot)
			return NULL;
		spot->path = strdup(path);
	}
	spot->cgid = cgid;
	return spot->path ? spot : NULL;
}

static int follow_group(struct pf_watch *watch, struct watched *guest,
			const struct pf_placement *placement, size_t group, uint64_t cgid,
			bool guard, struct pf_err *err)
{
	struct pf_slot_promise promise;
	struct spot *spot;

	spot = spot_for(guest, placement->groups[group].path, cgid);
	if (!spot)
		return pf_fail(err, ENOMEM, "watch guest '%s'", placement->name);
	spot->role = placement->groups[group].role;
	spot->named = true;
	if (placement->groups[group].level != PF_GROUP_LEAF)
		return 0;
	promise_of(watch, placement, group, guest->number, guard, &promise);
	return follow_leaf(watch, spot, &promise, err);
}

/* Its threads may have left a leaf that is gone: they are judged by its slot. */
static void keep_gone(struct watched *guest, const char *path)
{
	struct spot *spot = find_path(guest, path);

	if (spot)
		spot->named = true;
}

static void add_counters(struct pf_counters *sum, const struct pf_counters *more)
{
	const __u64 *from = (const __u64 *)more;
	__u64 *to = (__u64 *)sum;

	for (size_t i = 0; i < sizeof(*sum) / sizeof(*to); i++)
		to[i] += from[i];
}

static void leave_spot(struct pf_watch *watch, struct watched *guest, struct spot *spot)
{
	struct pf_counters last;

	if (spot->leaf) {
		if (!pf_bpf_counters(watch->bpf, spot->slot, &last, NULL))
			add_counters(&guest->gone, &last);
		pf_slot_free(pf_bpf_policy(watch->bpf), spot->slot);
	} else {
		pf_bpf_unwatch(watch->bpf, spot->cgid, NULL);
	}
	free(spot->path);
	watch->unsettled = true;
}

/* Groups that the guest has no role for any more. */
static void leave_unnamed(struct pf_watch *watch, struct watched *guest)
{
	for (size_t i = 0; i < guest->spot_count;) {
		if (guest->spots[i].named) {
			i++;
			continue;
		}
		leave_spot(watch, guest, &guest->spots[i]);
		guest->spots[i] = guest->spots[--guest->spot_count];
	}
}

/* Scope and base have no slot of their own: they are guarded by one of a leaf's. */
static uint32_t guard_slot(const struct watched *guest, bool guard)
{
	for (size_t i = 0; guard && i < guest->spot_count; i++)
		if (guest->spots[i].leaf)
			return guest->spots[i].slot + 1;
	return 0;
}

static int follow_around(struct pf_watch *watch, struct watched *guest, bool guard,
			 struct pf_err *err)
{
	uint32_t slot_plus_1 = guard_slot(guest, guard);

	for (size_t i = 0; i < guest->spot_count; i++) {
		struct spot *spot = &guest->spots[i];
		int r;

		if (spot->leaf || (spot->told && spot->guard_slot_plus_1 == slot_plus_1))
			continue;
		r = pf_bpf_watch(watch->bpf, spot->cgid, slot_plus_1, err);
		if (r < 0)
			return r;
		spot->told = true;
		spot->guard_slot_plus_1 = slot_plus_1;
	}
	return 0;
}

int pf_watch_guest(struct pf_watch *watch, const struct pf_placement *placement,
		   const struct pf_actual *actual, bool guard, struct pf_err *err)
{
	struct watched *guest = find_guest(watch, placement->uuid);
	int first = 0, r;

	if (!guest)
		guest = add_guest(watch, placement, actual, err);
	if (!guest)
		return -ENOSPC;
	for (size_t i = 0; i < guest->spot_count; i++)
		guest->spots[i].named = false;
	for (size_t i = 0; i < placement->group_count; i++) {
		if (!actual->groups[i].exists) {
			keep_gone(guest, placement->groups[i].path);
			continue;
		}
		r = follow_group(watch, guest, placement, i, actual->groups[i].cgid, guard,
				 first ? NULL : err);
		first = first ?: r;
	}
	/* Threads that strayed are judged by the groups that they left, gone or not. */
	if (!placement->strayed)
		leave_unnamed(watch, guest);
	r = follow_around(watch, guest, guard, first ? NULL : err);
	return first ?: r;
}

void pf_watch_looking(struct pf_watch *watch, const char *uuid)
{
	const struct watched *guest = find_guest(watch, uuid);

	if (guest)
		pf_bpf_looking(watch->bpf, guest->number);
}

void pf_watch_drop(struct pf_watch *watch, const char *uuid)
{
	struct watched *guest = find_guest(watch, uuid);

	if (!guest)
		return;
	while (guest->spot_count)
		leave_spot(watch, guest, &guest->spots[--guest->spot_count]);
	clear_guest(guest);
	*guest = watch->guests[--watch->guest_count];
}

void pf_watch_sweep(struct pf_watch *watch)
{
	struct pf_policy *policy = pf_bpf_policy(watch->bpf);
	bool known[PF_SLOTS] = {};

	for (size_t i = 0; i < watch->guest_count; i++)
		for (size_t j = 0; j < watch->guests[i].spot_count; j++)
			if (watch->guests[i].spots[j].leaf)
				known[watch->guests[i].spots[j].slot] = true;
	for (uint32_t slot = 0; slot < policy->head.slots; slot++)
		if (!known[slot])
			pf_slot_free(policy, slot);
}

int pf_watch_settle(struct pf_watch *watch, struct pf_err *err)
{
	int r;

	if (!watch->unsettled)
		return 0;
	watch->unsettled = false;
	r = pf_bpf_settle(watch->bpf, NULL, NULL, err);
	return r == -EOPNOTSUPP ? 0 : r;
}

void pf_watch_replay(struct pf_watch *watch)
{
	pf_spool_replay(watch->spool, hand_over, watch);
}

bool pf_watch_remembers(const struct pf_watch *watch)
{
	return pf_spool_count(watch->spool) > 0;
}

void pf_watch_pending(struct pf_watch *watch, uint64_t *seqs, size_t count)
{
	pf_spool_keep(watch->spool, seqs, count);
}

int pf_watch_fd(const struct pf_watch *watch)
{
	return pf_bpf_poll_fd(watch->bpf);
}

int pf_watch_consume(struct pf_watch *watch, unsigned int *again_usec, struct pf_err *err)
{
	return pf_bpf_consume(watch->bpf, again_usec, err);
}

int pf_watch_counters(struct pf_watch *watch, const char *uuid, struct pf_counters *out,
		      struct pf_err *err)
{
	const struct watched *guest = find_guest(watch, uuid);
	struct pf_counters sum, one;

	if (!guest)
		return pf_fail_plain(err, ENOENT, "guest %s is not watched", uuid);
	sum = guest->gone;
	for (size_t i = 0; i < guest->spot_count; i++) {
		int r;

		if (!guest->spots[i].leaf)
			continue;
		r = pf_bpf_counters(watch->bpf, guest->spots[i].slot, &one, err);
		if (r < 0)
			return r;
		add_counters(&sum, &one);
	}
	*out = sum;
	return 0;
}

struct stays {
	struct pf_stay *items;
	size_t count;
};

static void cleanup_stays(struct stays *stays)
{
	free(stays->items);
}

static int keep_stay(const struct pf_stay *stay, void *arg)
{
	struct stays *stays = arg;
	struct pf_stay *kept = pf_append(&stays->items, &stays->count);

	if (!kept)
		return -ENOMEM;
	*kept = *stay;
	return 0;
}

static int fill_slots(struct pf_watch *watch, const struct watched *guest,
		      struct pf_guest_status *out, struct pf_err *err)
{
	struct pf_counters counters;

	pf_counts_gone(out, &guest->gone);
	for (size_t i = 0; i < guest->spot_count; i++) {
		const struct spot *spot = &guest->spots[i];
		int r = spot->leaf ? pf_bpf_counters(watch->bpf, spot->slot, &counters, err) : 0;

		if (r < 0)
			return r;
		if (spot->leaf && pf_counts_slot(out, spot->role, &counters) < 0)
			return pf_fail(err, ENOMEM, "read the counters");
	}
	return 0;
}

static int fill_stays(const struct watched *guest, const struct stays *stays,
		      struct pf_guest_status *out, struct pf_err *err)
{
	for (size_t i = 0; i < guest->spot_count; i++) {
		const struct spot *spot = &guest->spots[i];

		for (size_t j = 0; spot->leaf && j < stays->count; j++)
			if (stays->items[j].slot == spot->slot &&
			    pf_counts_stay(out, spot->role, &stays->items[j]) < 0)
				return pf_fail(err, ENOMEM, "read the counters");
	}
	pf_counts_threads(out, stays->items, stays->count);
	return 0;
}

static int read_stays(struct pf_watch *watch, struct stays *stays, struct pf_err *err)
{
	int r = pf_bpf_settle(watch->bpf, keep_stay, stays, err);

	if (r == -EOPNOTSUPP)
		return 0;
	if (r < 0)
		return r == -ENOMEM ? pf_fail(err, ENOMEM, "read the counters") : r;
	if (stays->count)
		qsort(stays->items, stays->count, sizeof(*stays->items), pf_stay_by_tid);
	return 0;
}

int pf_watch_fill(struct pf_watch *watch, struct pf_guest_status *guests, size_t count,
		  struct pf_err *err)
{
	PF_CLEANUP(cleanup_stays) struct stays stays = {};
	const struct watched *guest;
	int r = 0;

	for (size_t i = 0; !r && i < count; i++) {
		guest = find_guest(watch, guests[i].uuid);
		r = guest ? fill_slots(watch, guest, &guests[i], err) : 0;
	}
	r = r ?: read_stays(watch, &stays, err);
	for (size_t i = 0; !r && i < count; i++) {
		guest = find_guest(watch, guests[i].uuid);
		r = guest ? fill_stays(guest, &stays, &guests[i], err) : 0;
	}
	return r;
}

uint64_t pf_watch_missing(const struct pf_watch *watch)
{
	return watch->dedupe.missing;
}
