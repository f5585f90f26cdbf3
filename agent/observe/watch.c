// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/base/array.h"
#include "agent/base/cleanup.h"
#include "agent/base/file.h"
#include "agent/observe/counts.h"
#include "agent/observe/watched.h"

/* ---- records ----------------------------------------------------------------------------- */

/* By its number where a slot is told, by the group where a scope or base was written to. */
static const struct pf_watched *
guest_of(const struct pf_watch *watch, const struct pf_record *record, const struct pf_spot **spot)
{
	bool numbered = record->slot != PF_NOWHERE;

	*spot = NULL;
	for (size_t i = 0; i < watch->guest_count; i++) {
		const struct pf_watched *guest = &watch->guests[i];

		if (numbered && record->guest != guest->number)
			continue;
		*spot = pf_spot_find(guest, record->cgid);
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
	const struct pf_watched *guest;
	const struct pf_spot *spot;

	guest = guest_of(watch, record, &spot);
	watch->on_record(record, guest ? guest->uuid : NULL, spot ? spot->path : NULL, watch->arg);
}

static int on_record(const struct pf_record *record, void *arg)
{
	struct pf_watch *watch = arg;

	if (!pf_dedupe_note(&watch->dedupe, record->seq))
		return 0;
	if (may_wait(record))
		pf_spool_add(watch->spool, record);
	hand_over(record, watch);
	*watch->seen = watch->dedupe.newest;
	return 0;
}

/* ---- opening ----------------------------------------------------------------------------- */

/* Return: 0 or -errno. */
static int open_notes(struct pf_watch *watch, const struct pf_watch_options *options,
		      struct pf_err *err)
{
	void *map;
	int r = pf_file_map(options->seen_path, sizeof(*watch->seen), &map, err);

	if (r < 0)
		return r;
	watch->seen = map;
	watch->unkept = r > 0;
	r = pf_spool_open(options->spool_path, &watch->spool, err);
	watch->unkept |= r > 0;
	return r < 0 ? r : 0;
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
	bool anew;
	int r;

	for (size_t i = 0; i < host->cpu_count; i++)
		if (host->cpus[i].cpu < PF_CPUS && pf_watch_node_of(&host->cpus[i]) >= 0)
			nodes[host->cpus[i].cpu] = (uint16_t)host->cpus[i].node;
	r = pf_bpf_open(&bpf, &watch->bpf, err);
	if (r < 0)
		return r;
	pf_bpf_set_self(watch->bpf, (uint32_t)getpid());
	anew = pf_bpf_origin(watch->bpf) == PF_BPF_LOADED ||
	       pf_bpf_origin(watch->bpf) == PF_BPF_RENEWED;
	if (anew)
		*watch->seen = 0, pf_spool_keep(watch->spool, NULL, 0);
	/* Numbers that begin anew do so with 1, and 2 may well come before it. */
	if (anew || *watch->seen)
		pf_dedupe_start(&watch->dedupe, *watch->seen);
	else
		pf_dedupe_start_anywhere(&watch->dedupe);
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
	r = open_notes(watch, options, err);
	if (!r)
		r = open_programs(watch, options, host, err);
	if (r < 0)
		return r;
	*out = pf_take_ptr(watch);
	return 0;
}

void pf_watch_close(struct pf_watch **watch)
{
	struct pf_watch *w = *watch;

	if (!w)
		return;
	pf_bpf_close(&w->bpf);
	for (size_t i = 0; i < w->guest_count; i++)
		pf_watched_clear(&w->guests[i]);
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

bool pf_watch_is_kept(const struct pf_watch *watch)
{
	return !watch->unkept;
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
					     "moves",     "groups",   "hotplug"};
	const struct pf_hook_capability *rows;
	size_t count, seen = 0;

	rows = pf_bpf_capabilities(watch->bpf, &count);
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < sizeof(needed) / sizeof(needed[0]); j++)
			seen += rows[i].available && strcmp(rows[i].name, needed[j]) == 0;
	return seen == sizeof(needed) / sizeof(needed[0]);
}

/* ---- counters ---------------------------------------------------------------------------- */

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
	const struct pf_watched *guest = pf_watched_find(watch, uuid);
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
		pf_watched_add(&sum, &one);
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

static int fill_slots(struct pf_watch *watch, const struct pf_watched *guest,
		      struct pf_guest_status *out, struct pf_err *err)
{
	struct pf_counters counters;

	pf_counts_gone(out, &guest->gone);
	for (size_t i = 0; i < guest->spot_count; i++) {
		const struct pf_spot *spot = &guest->spots[i];
		int r = spot->leaf ? pf_bpf_counters(watch->bpf, spot->slot, &counters, err) : 0;

		if (r < 0)
			return r;
		if (spot->leaf && pf_counts_slot(out, spot->role, &counters) < 0)
			return pf_fail(err, ENOMEM, "read the counters");
	}
	return 0;
}

static int fill_stays(const struct pf_watched *guest, const struct stays *stays,
		      struct pf_guest_status *out, struct pf_err *err)
{
	for (size_t i = 0; i < guest->spot_count; i++) {
		const struct pf_spot *spot = &guest->spots[i];

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
	const struct pf_watched *guest;
	int r = 0;

	for (size_t i = 0; !r && i < count; i++) {
		guest = pf_watched_find(watch, guests[i].uuid);
		r = guest ? fill_slots(watch, guest, &guests[i], err) : 0;
	}
	r = r ?: read_stays(watch, &stays, err);
	for (size_t i = 0; !r && i < count; i++) {
		guest = pf_watched_find(watch, guests[i].uuid);
		r = guest ? fill_stays(guest, &stays, &guests[i], err) : 0;
	}
	return r;
}

uint64_t pf_watch_missing(const struct pf_watch *watch)
{
	return watch->dedupe.missing;
}
