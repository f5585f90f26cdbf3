// SPDX-License-Identifier: GPL-2.0-or-later
/* What the programs have to say: records, stays, their own cost. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/cleanup.h"
#include "bpf/internal.h"

/* More records at once than this is a storm: reading them by the clock is cheaper. */
#define STORM_RECORDS 64
#define STORM_USEC 10000

/*
 * A number whose record is still being written is waited for, a second in all: on a host that is a
 * guest itself a program may stand still in the middle of it.
 */
#define UNDER_WAY_USEC 1000
#define UNDER_WAY_MOST_SHIFT 4
#define UNDER_WAY_WAITS 64

/* Reading that fails is tried again. */
#define FAILED_USEC 1000000

/* Records that come just now are taken in so often before it goes to sleep. */
#define LAST_LOOKS 4

int pf_bpf_poll_fd(const struct pf_bpf *bpf)
{
	return pf_reader_fd(bpf->reader);
}

/*
 * The consumer says that it goes to sleep, then looks at the last number given: a program either
 * raised that before, and its record is looked for here, or it sees that it has to wake us. One that
 * did so already expects us to be awake, and what woke us may have been read along with the rest: it
 * has to be said again.
 */
static int say_and_look(struct pf_bpf *bpf, uint64_t *newest, bool *said, struct pf_err *err)
{
	struct pf_policy_head *head = &bpf->now.policy->head;
	int count = 0, r;

	*said = false;
	for (int i = 0; !*said && i < LAST_LOOKS; i++) {
		__atomic_store_n(&head->wake, PF_WAKE_ANY, __ATOMIC_SEQ_CST);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		*newest = __atomic_load_n(&head->seq, __ATOMIC_SEQ_CST);
		r = pf_reader_drain(bpf->reader, err);
		if (r < 0)
			return r;
		count += r;
		*said = __atomic_load_n(&head->wake, __ATOMIC_SEQ_CST) == PF_WAKE_ANY;
	}
	return count;
}

static unsigned int under_way_usec(unsigned int waits)
{
	return UNDER_WAY_USEC << (waits < UNDER_WAY_MOST_SHIFT ? waits : UNDER_WAY_MOST_SHIFT);
}

static int last_look(struct pf_bpf *bpf, unsigned int *again_usec, struct pf_err *err)
{
	uint64_t newest = 0;
	bool said;
	int count = say_and_look(bpf, &newest, &said, err);

	if (count < 0)
		return count;
	if (!said) {
		*again_usec = UNDER_WAY_USEC;
	} else if (pf_reader_has_all(bpf->reader, newest)) {
		bpf->waits = 0;
	} else if (bpf->waits < UNDER_WAY_WAITS) {
		*again_usec = under_way_usec(bpf->waits++);
	} else {
		pf_reader_skip(bpf->reader, newest);
		bpf->waits = 0;
	}
	return count;
}

int pf_bpf_consume(struct pf_bpf *bpf, unsigned int *again_usec, struct pf_err *err)
{
	int count, late = 0;

	__atomic_store_n(&bpf->now.policy->head.wake, PF_WAKE_PRESSURE, __ATOMIC_SEQ_CST);
	count = pf_reader_drain(bpf->reader, err);
	*again_usec = count > STORM_RECORDS ? STORM_USEC : 0;
	if (count >= 0 && !*again_usec)
		late = last_look(bpf, again_usec, err);
	if (count >= 0 && late >= 0)
		return count + late;
	*again_usec = FAILED_USEC;
	return count < 0 ? count : late;
}

int pf_bpf_watch(struct pf_bpf *bpf, uint64_t cgid, uint32_t guard_slot_plus_1, struct pf_err *err)
{
	int r = bpf_map_update_elem(bpf->now.map[PF_MAP_WATCHED], &cgid, &guard_slot_plus_1,
				    BPF_ANY);

	return r ? pf_fail(err, r, "watch writes to group id %" PRIu64, cgid) : 0;
}

int pf_bpf_unwatch(struct pf_bpf *bpf, uint64_t cgid, struct pf_err *err)
{
	int r = bpf_map_delete_elem(bpf->now.map[PF_MAP_WATCHED], &cgid);

	if (r && r != -ENOENT)
		return pf_fail(err, r, "end watching group id %" PRIu64, cgid);
	return 0;
}

void pf_bpf_looking(struct pf_bpf *bpf, uint32_t guest)
{
	if (guest < PF_GUESTS)
		__atomic_store_n(&bpf->now.policy->tat[guest].unlooked, 0, __ATOMIC_SEQ_CST);
}

bool pf_bpf_unlooked(const struct pf_bpf *bpf, uint32_t guest)
{
	return guest >= PF_GUESTS ||
	       __atomic_load_n(&bpf->now.policy->tat[guest].unlooked, __ATOMIC_SEQ_CST);
}

void pf_bpf_set_self(struct pf_bpf *bpf, uint32_t tgid)
{
	__atomic_store_n(&bpf->now.policy->head.self_tgid, tgid, __ATOMIC_RELEASE);
}

/* Whole lines only: the kernel cuts its answer at a buffer's end, not at a line's. */
static int read_stays(int iter, pf_bpf_stay_fn fn, void *arg, struct pf_err *err)
{
	struct pf_stay stays[128];
	size_t have = 0;
	ssize_t got;

	while ((got = read(iter, (char *)stays + have, sizeof(stays) - have)) != 0) {
		size_t lines;

		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (got < 0)
			return pf_fail(err, errno, "read the task iterator");
		have += got;
		lines = have / sizeof(stays[0]);
		for (size_t i = 0; fn && i < lines; i++) {
			int r = fn(&stays[i], arg);

			if (r)
				return r;
		}
		have -= lines * sizeof(stays[0]);
		memmove(stays, &stays[lines], have);
	}
	return 0;
}

int pf_bpf_settle(struct pf_bpf *bpf, pf_bpf_stay_fn fn, void *arg, struct pf_err *err)
{
	int link = bpf->now.link[PF_HOOK_SETTLE_ROW][0];
	pf_auto_close int iter = -1;

	if (link < 0)
		return pf_fail_plain(err, EOPNOTSUPP,
				     "the kernel refuses task iterators: threads that were there "
				     "before are known from their first move on");
	/* Found again by the iterator when a thread is still away. */
	__atomic_store_n(&bpf->now.policy->head.left, 0, __ATOMIC_SEQ_CST);
	iter = bpf_iter_create(link);
	if (iter < 0)
		return pf_fail(err, iter, "start the task iterator");
	return read_stays(iter, fn, arg, err);
}

static int cost_of(int link, struct pf_program_cost *row)
{
	struct bpf_link_info link_info = { 0 };
	struct bpf_prog_info info = { 0 };
	__u32 size = sizeof(link_info);
	pf_auto_close int prog = -1;
	int r = bpf_obj_get_info_by_fd(link, &link_info, &size);

	if (!r)
		prog = bpf_prog_get_fd_by_id(link_info.prog_id);
	if (r || prog < 0)
		return r ? r : prog;
	size = sizeof(info);
	r = bpf_obj_get_info_by_fd(prog, &info, &size);
	if (r)
		return r;
	snprintf(row->name, sizeof(row->name), "%s", info.name);
	row->id = info.id;
	row->runs = info.run_cnt;
	row->run_ns = info.run_time_ns;
	row->missed = info.recursion_misses;
	return 0;
}

int pf_bpf_costs(struct pf_bpf *bpf, struct pf_program_cost *rows, size_t max,
		 struct pf_err *err)
{
	size_t count = 0;

	for (size_t row = 0; row < pf_hooks_count; row++) {
		for (size_t i = 0; i < PF_LINKS_MAX; i++) {
			int r;

			if (bpf->now.link[row][i] < 0)
				continue;
			r = count < max ? cost_of(bpf->now.link[row][i], &rows[count]) : 0;
			if (r)
				return pf_fail(err, r, "read the cost of %s",
					       pf_hooks[row].program[i]);
			count++;
		}
	}
	return count;
}
