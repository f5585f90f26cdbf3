// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/observe/spool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "agent/base/cleanup.h"
#include "agent/base/file.h"

#define RECORDS_MAX 2048

/* A record without a seq is none: it is written last and cleared first. */
struct file {
	struct pf_knob_record records[RECORDS_MAX];
};

struct pf_spool {
	struct file *file;
	size_t end; /* beyond the last one in use */
	size_t count;
};

int pf_spool_open(const char *path, struct pf_spool **out, struct pf_err *err)
{
	PF_CLEANUP(pf_spool_close) struct pf_spool *spool = calloc(1, sizeof(*spool));
	void *map;
	int r = spool ? pf_file_map(path, sizeof(*spool->file), &map, err)
		      : pf_fail(err, ENOMEM, "open %s", path);

	if (r < 0)
		return r;
	spool->file = map;
	for (size_t i = 0; i < RECORDS_MAX; i++) {
		if (!spool->file->records[i].rec.seq)
			continue;
		spool->end = i + 1;
		spool->count++;
	}
	*out = pf_take_ptr(spool);
	return r;
}

void pf_spool_close(struct pf_spool **spool)
{
	if (!*spool)
		return;
	if ((*spool)->file)
		munmap((*spool)->file, sizeof(*(*spool)->file));
	free(*spool);
	*spool = NULL;
}

size_t pf_spool_count(const struct pf_spool *spool)
{
	return spool->count;
}

static struct pf_knob_record *free_place(struct pf_spool *spool)
{
	if (spool->count == RECORDS_MAX)
		return NULL;
	if (spool->end < RECORDS_MAX)
		return &spool->file->records[spool->end++];
	for (size_t i = 0; i < RECORDS_MAX; i++)
		if (!spool->file->records[i].rec.seq)
			return &spool->file->records[i];
	return NULL;
}

void pf_spool_add(struct pf_spool *spool, const struct pf_record *record)
{
	size_t size = record->kind == PF_REC_KNOB ? sizeof(struct pf_knob_record) : sizeof(*record);
	struct pf_knob_record *place = record->seq ? free_place(spool) : NULL;
	struct pf_knob_record copy = {};

	if (!place)
		return;
	memcpy(&copy, record, size);
	copy.rec.seq = 0;
	*place = copy;
	__atomic_store_n(&place->rec.seq, record->seq, __ATOMIC_RELEASE);
	spool->count++;
}

static int by_number(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return (left > right) - (left < right);
}

void pf_spool_keep(struct pf_spool *spool, uint64_t *seqs, size_t count)
{
	size_t end = 0;

	if (count)
		qsort(seqs, count, sizeof(*seqs), by_number);
	for (size_t i = 0; i < spool->end; i++) {
		uint64_t seq = spool->file->records[i].rec.seq;

		if (!seq)
			continue;
		if (count && bsearch(&seq, seqs, count, sizeof(*seqs), by_number)) {
			end = i + 1;
			continue;
		}
		__atomic_store_n(&spool->file->records[i].rec.seq, 0, __ATOMIC_RELEASE);
		spool->count--;
	}
	spool->end = end;
}

void pf_spool_replay(const struct pf_spool *spool,
		     void (*fn)(const struct pf_record *record, void *arg), void *arg)
{
	const struct pf_record *next;
	uint64_t after = 0;

	do {
		next = NULL;
		for (size_t i = 0; i < spool->end; i++) {
			const struct pf_record *one = &spool->file->records[i].rec;

			if (one->seq > after && (!next || one->seq < next->seq))
				next = one;
		}
		if (next) {
			after = next->seq;
			fn(next, arg);
		}
	} while (next);
}
