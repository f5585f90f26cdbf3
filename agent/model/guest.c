// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/model/guest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/array.h"

static const char *const memory_modes[] = {"none", "strict", "preferred", "interleave",
					   "restrictive"};

const char *pf_memory_mode_name(enum pf_memory_mode mode)
{
	return memory_modes[mode];
}

const struct pf_vcpu *pf_promise_vcpu(const struct pf_promise *promise, unsigned int index)
{
	for (size_t i = 0; i < promise->vcpu_count; i++)
		if (promise->vcpus[i].index == index)
			return &promise->vcpus[i];
	return NULL;
}

const struct pf_iothread *pf_promise_iothread(const struct pf_promise *promise, unsigned int index)
{
	for (size_t i = 0; i < promise->iothread_count; i++)
		if (promise->iothreads[i].index == index)
			return &promise->iothreads[i];
	return NULL;
}

void pf_promise_clear(struct pf_promise *promise)
{
	free(promise->vcpus);
	free(promise->iothreads);
	free(promise->cells);
	*promise = (struct pf_promise){};
}

void pf_guest_clear(struct pf_guest *guest)
{
	pf_promise_clear(&guest->promise);
	pf_findings_clear(&guest->findings);
	free(guest->name);
	free(guest->partition);
	free(guest->cgroup);
	free(guest->base);
	free(guest->unit);
	free(guest->unit_path);
	free(guest->threads);
	*guest = (struct pf_guest){};
}

/* Copies an array made by pf_append(): it must be able to grow in the copy as well. */
static int copy_array(void **to, const void *from, size_t count, size_t size)
{
	char *copy = NULL;

	for (size_t i = 0; i < count; i++) {
		void *grown = pf_array_grow(copy, i, size);

		if (!grown) {
			free(copy);
			return -ENOMEM;
		}
		copy = grown;
	}
	if (count)
		memcpy(copy, from, count * size);
	*to = copy;
	return 0;
}

static int copy_text(char **to, const char *from)
{
	*to = from ? strdup(from) : NULL;
	return from && !*to ? -ENOMEM : 0;
}

/* Every owned pointer of @to is NULL or its own, so that a failure can be cleared. */
static int copy_owned(struct pf_guest *to, const struct pf_guest *from)
{
	const struct pf_promise *promise = &from->promise;

	if (copy_text(&to->name, from->name) || copy_text(&to->partition, from->partition) ||
	    copy_text(&to->cgroup, from->cgroup) || copy_text(&to->base, from->base) ||
	    copy_text(&to->unit, from->unit) || copy_text(&to->unit_path, from->unit_path))
		return -ENOMEM;
	if (copy_array((void **)&to->promise.vcpus, promise->vcpus, promise->vcpu_count,
		       sizeof(*promise->vcpus)) ||
	    copy_array((void **)&to->promise.iothreads, promise->iothreads,
		       promise->iothread_count, sizeof(*promise->iothreads)) ||
	    copy_array((void **)&to->promise.cells, promise->cells, promise->cell_count,
		       sizeof(*promise->cells)) ||
	    copy_array((void **)&to->threads, from->threads, from->thread_count,
		       sizeof(*from->threads)))
		return -ENOMEM;
	return pf_findings_copy(&to->findings, &from->findings);
}

int pf_guest_copy(struct pf_guest *to, const struct pf_guest *from)
{
	int r;

	*to = *from;
	to->name = to->partition = to->cgroup = to->base = to->unit = to->unit_path = NULL;
	to->promise.vcpus = NULL;
	to->promise.iothreads = NULL;
	to->promise.cells = NULL;
	to->threads = NULL;
	to->findings = (struct pf_findings){};
	r = copy_owned(to, from);
	if (r < 0)
		pf_guest_clear(to);
	return r;
}

struct pf_guest *pf_guests_find(const struct pf_guests *guests, const char *uuid)
{
	for (size_t i = 0; i < guests->count; i++)
		if (strcmp(guests->items[i].uuid, uuid) == 0)
			return &guests->items[i];
	return NULL;
}

int pf_guests_put(struct pf_guests *guests, struct pf_guest *guest)
{
	struct pf_guest *place = pf_guests_find(guests, guest->uuid);

	if (place)
		pf_guest_clear(place);
	else
		place = pf_append(&guests->items, &guests->count);
	if (!place)
		return -ENOMEM;
	*place = *guest;
	*guest = (struct pf_guest){};
	return 0;
}

void pf_guests_remove(struct pf_guests *guests, const char *uuid)
{
	struct pf_guest *guest = pf_guests_find(guests, uuid), *last;

	if (!guest)
		return;
	last = &guests->items[guests->count - 1];
	pf_guest_clear(guest);
	if (guest != last)
		*guest = *last;
	*last = (struct pf_guest){};
	guests->count--;
}

void pf_guests_clear(struct pf_guests *guests)
{
	for (size_t i = 0; i < guests->count; i++)
		pf_guest_clear(&guests->items[i]);
	free(guests->items);
	*guests = (struct pf_guests){};
}

const struct pf_thread *pf_guest_thread(const struct pf_guest *guest, pid_t tid)
{
	for (size_t i = 0; i < guest->thread_count; i++)
		if (guest->threads[i].tid == tid)
			return &guest->threads[i];
	return NULL;
}
