// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The records of all lanes and of the ring, merged by number.
 *
 * What has been handled is said in shared memory after each record (a lane's tail, the ring's own
 * position), so that a killed consumer's successor goes on with the next one, or at worst with the
 * last one again.
 */
#include <errno.h>
#include <stdlib.h>

#include "agent/base/cleanup.h"
#include "bpf/internal.h"

/* A lane with records, by the number of its next one. */
struct lane {
	uint64_t seq;
	uint32_t cpu;
};

struct pf_reader {
	struct pf_policy *policy;
	const struct pf_record *records;
	struct ring_buffer *ring;
	pf_bpf_record_fn fn;
	void *arg;
	uint32_t cpus;
	uint32_t heap_count;
	struct lane *heap;   /* of lanes with records; the smallest number first */
	uint64_t *last;	     /* by CPU: the number before the lane's next record */
	uint64_t next;	     /* the number that comes next, 0 not known yet */
	uint64_t holes;	     /* numbers below that have not come */
	int count;	     /* handed over in this pass */
};

static const struct pf_record *record_at(const struct pf_reader *reader, uint32_t cpu, uint64_t pos)
{
	uint32_t room = reader->policy->head.lane_records;

	return &reader->records[(size_t)cpu * room + pos % room];
}

/* The number of a lane's next record, 0 when there is none. */
static uint64_t next_of(const struct pf_reader *reader, uint32_t cpu)
{
	const struct pf_record *next = record_at(reader, cpu, reader->policy->tail[cpu]);
	uint64_t seq = __atomic_load_n(&next->seq, __ATOMIC_ACQUIRE);

	return seq > reader->last[cpu] ? seq : 0;
}

/* ---- the heap ---------------------------------------------------------------------------- */

static void sift_down(struct pf_reader *reader, uint32_t at)
{
	struct lane *heap = reader->heap, moving = heap[at];
	uint32_t child;

	while ((child = 2 * at + 1) < reader->heap_count) {
		if (child + 1 < reader->heap_count && heap[child + 1].seq < heap[child].seq)
			child++;
		if (moving.seq <= heap[child].seq)
			break;
		heap[at] = heap[child];
		at = child;
	}
	heap[at] = moving;
}

static void collect_lanes(struct pf_reader *reader)
{
	reader->heap_count = 0;
	for (uint32_t cpu = 0; cpu < reader->cpus; cpu++) {
		uint64_t seq = next_of(reader, cpu);

		if (seq)
			reader->heap[reader->heap_count++] = (struct lane){ seq, cpu };
	}
	for (uint32_t i = reader->heap_count / 2; i-- > 0;)
		sift_down(reader, i);
}

/* After its first record was handled: the lane's next one takes its place, if there is one. */
static void advance_first(struct pf_reader *reader)
{
	struct lane *first = &reader->heap[0];

	reader->last[first->cpu] = first->seq;
	__atomic_store_n(&reader->policy->tail[first->cpu],
			 reader->policy->tail[first->cpu] + 1, __ATOMIC_RELEASE);
	first->seq = next_of(reader, first->cpu);
	if (!first->seq)
		*first = reader->heap[--reader->heap_count];
	if (reader->heap_count)
		sift_down(reader, 0);
}

/* ---- handing over ------------------------------------------------------------------------ */

static int hand_over(struct pf_reader *reader, const struct pf_record *record)
{
	uint64_t seq = record->seq;

	if (!reader->next || seq == reader->next) {
		reader->next = seq + 1;
	} else if (seq > reader->next) {
		reader->holes += seq - reader->next;
		reader->next = seq + 1;
	} else if (reader->holes) {
		reader->holes--;
	}
	reader->count++;
	return reader->fn ? reader->fn(record, reader->arg) : 0;
}

/* All of the lanes' records below @seq. */
static int drain_lanes(struct pf_reader *reader, uint64_t seq)
{
	int r = 0;

	while (!r && reader->heap_count && reader->heap[0].seq < seq) {
		uint32_t cpu = reader->heap[0].cpu;

		r = hand_over(reader, record_at(reader, cpu, reader->policy->tail[cpu]));
		advance_first(reader);
	}
	return r;
}

static int on_sample(void *arg, void *data, size_t size)
{
	const struct pf_record *record = data;
	struct pf_reader *reader = arg;
	int r;

	if (size < sizeof(*record))
		return 0; /* the bell */
	r = drain_lanes(reader, record->seq);
	return r ? r : hand_over(reader, record);
}

/* Only what was there when it began, so that a storm leaves it time to come back. */
int pf_reader_drain(struct pf_reader *reader, struct pf_err *err)
{
	uint64_t newest = __atomic_load_n(&reader->policy->head.seq, __ATOMIC_SEQ_CST);
	int r;

	reader->count = 0;
	collect_lanes(reader);
	r = ring_buffer__consume(reader->ring);
	if (r >= 0)
		r = drain_lanes(reader, newest + 1);
	return r < 0 ? pf_fail(err, r, "read the eBPF records") : reader->count;
}

bool pf_reader_has_all(const struct pf_reader *reader, uint64_t seq)
{
	return !seq || (reader->next > seq && !reader->holes);
}

void pf_reader_skip(struct pf_reader *reader, uint64_t seq)
{
	if (reader->next <= seq)
		reader->next = seq + 1;
	reader->holes = 0;
}

int pf_reader_fd(const struct pf_reader *reader)
{
	return ring_buffer__epoll_fd(reader->ring);
}

/* ---- life -------------------------------------------------------------------------------- */

/* Where the former consumer stopped: the number of what it handled last in each lane. */
static void find_last(struct pf_reader *reader)
{
	for (uint32_t cpu = 0; cpu < reader->cpus; cpu++) {
		uint64_t tail = reader->policy->tail[cpu];

		reader->last[cpu] = tail ? record_at(reader, cpu, tail - 1)->seq : 0;
	}
}

int pf_reader_new(const struct pf_generation *g, pf_bpf_record_fn fn, void *arg,
		  struct pf_reader **out, struct pf_err *err)
{
	PF_CLEANUP(pf_reader_free) struct pf_reader *reader = calloc(1, sizeof(*reader));

	if (!reader)
		return pf_fail(err, ENOMEM, "open the eBPF lanes");
	reader->policy = g->policy;
	reader->records = g->records;
	reader->fn = fn;
	reader->arg = arg;
	reader->cpus = g->record_bytes / sizeof(*g->records) / g->policy->head.lane_records;
	reader->heap = calloc(reader->cpus, sizeof(*reader->heap));
	reader->last = calloc(reader->cpus, sizeof(*reader->last));
	if (!reader->heap || !reader->last)
		return pf_fail(err, ENOMEM, "open the eBPF lanes");
	find_last(reader);
	reader->ring = ring_buffer__new(g->map[PF_MAP_RING], on_sample, reader, NULL);
	if (!reader->ring)
		return pf_fail(err, errno, "open the eBPF ring buffer");
	*out = pf_take_ptr(reader);
	return 0;
}

void pf_reader_free(struct pf_reader **reader)
{
	struct pf_reader *r = *reader;

	if (!r)
		return;
	ring_buffer__free(r->ring);
	free(r->heap);
	free(r->last);
	free(r);
	*reader = NULL;
}
