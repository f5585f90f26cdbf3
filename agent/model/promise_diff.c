// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/model/promise_diff.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/array.h"
#include "agent/base/cleanup.h"

/* A promise as a list of names and values: two lists are easier to compare than two structures. */
struct item {
	char name[48];
	char *value;
};

struct items {
	struct item *items;
	size_t count;
	int failed;
};

static void clear_items(struct items *items)
{
	for (size_t i = 0; i < items->count; i++)
		free(items->items[i].value);
	free(items->items);
}

static void add(struct items *items, const char *name, unsigned int index, const char *what,
		const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* @name[ @index] @what: an index of -1U is none. */
static void add(struct items *items, const char *name, unsigned int index, const char *what,
		const char *fmt, ...)
{
	struct item *item = pf_append(&items->items, &items->count);
	va_list ap;

	if (!item) {
		items->failed = -ENOMEM;
		return;
	}
	if (index == -1U)
		snprintf(item->name, sizeof(item->name), "%s%s%s", name, *what ? " " : "", what);
	else
		snprintf(item->name, sizeof(item->name), "%s %u %s", name, index, what);
	va_start(ap, fmt);
	if (vasprintf(&item->value, fmt, ap) < 0) {
		item->value = NULL;
		items->failed = -ENOMEM;
	}
	va_end(ap);
}

static void add_set(struct items *items, const char *name, unsigned int index, const char *what,
		    const struct pf_set *set)
{
	pf_auto_free char *text = malloc(PF_SET_TEXT_MAX);

	if (text)
		add(items, name, index, what, "%s", pf_set_format(set, text, PF_SET_TEXT_MAX));
	else
		items->failed = -ENOMEM;
}

static void add_pin(struct items *items, const char *name, unsigned int index,
		    const struct pf_pin *pin)
{
	if (pin->set)
		add_set(items, name, index, "cpus", &pin->cpus);
}

static void add_bandwidth(struct items *items, const char *name,
			  const struct pf_bandwidth *bandwidth)
{
	if (bandwidth->has_period)
		add(items, name, -1U, "period", "%" PRIu64, bandwidth->period_usec);
	if (bandwidth->has_quota)
		add(items, name, -1U, "quota", "%" PRId64, bandwidth->quota_usec);
}

static void add_memory(struct items *items, const char *name, unsigned int index,
		       const struct pf_memory_promise *memory)
{
	if (memory->mode == PF_MEMORY_NONE)
		return;
	add(items, name, index, "mode", "%s", pf_memory_mode_name(memory->mode));
	if (memory->nodes_known)
		add_set(items, name, index, "nodes", &memory->nodes);
}

static void add_policy(struct items *items, const struct pf_guest_policy *policy)
{
	if (policy->has_mode)
		add(items, "mode", -1U, "", "%s", pf_mode_name(policy->mode));
	if (policy->has_isolation)
		add(items, "isolation", -1U, "", "%s", pf_isolation_name(policy->isolation));
	if (policy->has_unpinned)
		add(items, "unpinned", -1U, "", "%s", pf_unpinned_name(policy->unpinned));
}

static void list(const struct pf_promise *promise, struct items *items)
{
	add_pin(items, "default", -1U, &promise->vcpu_default);
	for (size_t i = 0; i < promise->vcpu_count; i++) {
		const struct pf_vcpu *vcpu = &promise->vcpus[i];

		add(items, "vcpu", vcpu->index, "state", "%s", vcpu->online ? "online" : "offline");
		add_pin(items, "vcpu", vcpu->index, &vcpu->pin);
	}
	add_pin(items, "emulator", -1U, &promise->emulator);
	for (size_t i = 0; i < promise->iothread_count; i++) {
		add(items, "iothread", promise->iothreads[i].index, "state", "there");
		add_pin(items, "iothread", promise->iothreads[i].index, &promise->iothreads[i].pin);
	}
	if (promise->has_shares)
		add(items, "shares", -1U, "", "%" PRIu64, promise->shares);
	add_bandwidth(items, "vcpu", &promise->vcpu_bandwidth);
	add_bandwidth(items, "global", &promise->global_bandwidth);
	add_bandwidth(items, "emulator", &promise->emulator_bandwidth);
	add_bandwidth(items, "iothread", &promise->iothread_bandwidth);
	add_memory(items, "memory", -1U, &promise->memory);
	for (size_t i = 0; i < promise->cell_count; i++)
		add_memory(items, "cell", promise->cells[i].cell, &promise->cells[i].memory);
	add_policy(items, &promise->policy);
}

static const char *find(const struct items *items, const char *name)
{
	for (size_t i = 0; i < items->count; i++)
		if (strcmp(items->items[i].name, name) == 0)
			return items->items[i].value;
	return NULL;
}

static void tell(FILE *out, const char *name, const char *old, const char *new)
{
	fprintf(out, "%s%s %s -> %s", ftell(out) ? "; " : "", name, old && *old ? old : "-",
		new &&*new ? new : "-");
}

/* What differs in @new first, then what is no longer there. */
static int compare(const struct items *old, const struct items *new, char **out)
{
	pf_auto_free char *text = NULL;
	size_t size = 0;
	FILE *stream = open_memstream(&text, &size);

	if (!stream)
		return -ENOMEM;
	for (size_t i = 0; i < new->count; i++) {
		const char *was = find(old, new->items[i].name);

		if (!was || strcmp(was, new->items[i].value) != 0)
			tell(stream, new->items[i].name, was, new->items[i].value);
	}
	for (size_t i = 0; i < old->count; i++)
		if (!find(new, old->items[i].name))
			tell(stream, old->items[i].name, old->items[i].value, NULL);
	if (fclose(stream) != 0)
		return -ENOMEM;
	*out = size ? pf_take_ptr(text) : NULL;
	return 0;
}

int pf_promise_diff(const struct pf_promise *old, const struct pf_promise *new, char **out)
{
	PF_CLEANUP(clear_items) struct items left = {};
	PF_CLEANUP(clear_items) struct items right = {};

	list(old, &left);
	list(new, &right);
	if (left.failed || right.failed)
		return -ENOMEM;
	return compare(&left, &right, out);
}
