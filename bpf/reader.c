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

struct drain {
	pf_bpf_record_fn fn;
	void *arg;
};

static int drain_sample(void *arg, void *data, size_t size)
{
	struct drain *drain = arg;

	if (size < sizeof(struct pf_record) || !drain->fn)
		return 0;
	return drain->fn(data, drain->arg);
}

int pf_ring_drain(int ring_fd, pf_bpf_record_fn fn, void *arg, struct pf_err *err)
{
	struct drain drain = { fn, arg };
	struct ring_buffer *ring = ring_buffer__new(ring_fd, drain_sample, &drain, NULL);
	int r;

	if (!ring)
		return pf_fail(err, errno, "open the former eBPF ring buffer");
	r = ring_buffer__consume(ring);
	ring_buffer__free(ring);
	return r < 0 ? pf_fail(err, r, "read the former eBPF ring buffer") : 0;
}

int pf_bpf_poll_fd(const struct pf_bpf *bpf)
{
	return ring_buffer__epoll_fd(bpf->ring);
}

int pf_bpf_consume(struct pf_bpf *bpf, unsigned int *again_usec, struct pf_err *err)
{
	uint32_t *wake = &bpf->now.policy->head.wake;
	int count, late;

	__atomic_store_n(wake, PF_WAKE_PRESSURE, __ATOMIC_SEQ_CST);
	count = ring_buffer__consume(bpf->ring);
	*again_usec = count > STORM_RECORDS ? STORM_USEC : 0;
	if (count < 0)
		return pf_fail(err, count, "read the eBPF ring buffer");
	if (*again_usec)
		return count;
	/* Records that came before the programs saw that they have to wake us. */
	__atomic_store_n(wake, PF_WAKE_ANY, __ATOMIC_SEQ_CST);
	late = ring_buffer__consume(bpf->ring);
	return late < 0 ? pf_fail(err, late, "read the eBPF ring buffer") : count + late;
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
		__atomic_store_n(&bpf->now.policy->tat[guest].newcomer, 0, __ATOMIC_SEQ_CST);
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
