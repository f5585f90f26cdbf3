// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/source/domain_parse.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/base/array.h"
#include "agent/source/domain_value.h"
#include "agent/source/domain_xml.h"

/* ---- guest NUMA cells ------------------------------------------------------------------- */

static struct pf_cell *cell(struct pf_domain *p, unsigned int number)
{
	for (size_t i = 0; i < p->promise->cell_count; i++)
		if (p->promise->cells[i].cell == number)
			return &p->promise->cells[i];
	return NULL;
}

static uint64_t cell_memory(struct pf_domain *p, const xmlNode *node, unsigned int number)
{
	auto_text *text = pf_xml_attribute(node, "memory");
	auto_text *unit = pf_xml_attribute(node, "unit");
	char shown[QUOTE_MAX];
	uint64_t value, bytes = unit ? pf_value_unit((const char *)unit) : 1024;

	if (!text || !pf_value_u64((const char *)text, &value) || !bytes ||
	    __builtin_mul_overflow(value, bytes, &value)) {
		note(p, "guest cell %u: memory '%s' is not a size; 0 is shown", number,
		     pf_xml_quote(text ? text : (const xmlChar *)"", shown));
		return 0;
	}
	return value / 1024 + (value % 1024 != 0);
}

static void cell_vcpus(struct pf_domain *p, const xmlNode *node, struct pf_cell *item)
{
	auto_text *text = pf_xml_attribute(node, "cpus");
	char shown[QUOTE_MAX];
	struct pf_set all = {};

	if (!text)
		return; /* a cell of memory alone */
	pf_set_add_range(&all, 0, (unsigned int)p->promise->vcpu_count - 1);
	if (pf_cpulist_parse((const char *)text, &item->vcpus) < 0)
		note(p, "guest cell %u: cpus='%s' is not a list; it has no vCPU", item->cell,
		     pf_xml_quote(text, shown));
	else if (!pf_set_subset(&item->vcpus, &all))
		note(p, "guest cell %u: cpus='%s' names vCPUs beyond %zu; those are left out",
		     item->cell, pf_xml_quote(text, shown), p->promise->vcpu_count - 1);
	pf_set_and(&item->vcpus, &item->vcpus, &all);
}

static void take_cell(struct pf_domain *p, const xmlNode *node, unsigned int position)
{
	auto_text *text = pf_xml_attribute(node, "id");
	unsigned int number = position;
	char shown[QUOTE_MAX];
	struct pf_cell *item;

	if ((text && !pf_value_unsigned(text, &number)) || cell(p, number)) {
		note(p, "guest cell '%s' has a bad number or stands twice; it is left out",
		     text ? pf_xml_quote(text, shown) : "without id");
		return;
	}
	item = pf_append(&p->promise->cells, &p->promise->cell_count);
	if (!item) {
		p->failed = -ENOMEM;
		return;
	}
	item->cell = number;
	item->memory_kib = cell_memory(p, node, number);
	cell_vcpus(p, node, item);
}

static int cell_order(const void *a, const void *b)
{
	const struct pf_cell *x = a, *y = b;

	return (x->cell > y->cell) - (x->cell < y->cell);
}

static void take_cells(struct pf_domain *p, const xmlNode *domain)
{
	unsigned int position = 0;

	for_each_child(node, pf_xml_child(pf_xml_child(domain, "cpu"), "numa"), "cell")
		take_cell(p, node, position++);
	if (p->promise->cell_count)
		qsort(p->promise->cells, p->promise->cell_count, sizeof(*p->promise->cells),
		      cell_order);
}

/* ---- <numatune> ------------------------------------------------------------------------- */

/* strict where nothing is said. Return: false, with a finding, for an unknown word. */
static bool take_memory_mode(struct pf_domain *p, const xmlNode *node, const char *what,
			     enum pf_memory_mode *out)
{
	auto_text *text = pf_xml_attribute(node, "mode");
	char shown[QUOTE_MAX];

	if (!text) {
		*out = PF_MEMORY_STRICT;
		return true;
	}
	for (unsigned int mode = PF_MEMORY_STRICT; mode <= PF_MEMORY_RESTRICTIVE; mode++) {
		if (pf_xml_text_is(text, pf_memory_mode_name(mode))) {
			*out = mode;
			return true;
		}
	}
	impossible(p,
		   "%s: mode='%s' is none of strict, preferred, interleave and restrictive; it is "
		   "left out",
		   what, pf_xml_quote(text, shown));
	return false;
}

/* As libvirt's virDomainNumatuneSet(): what is not said follows nodeset, then <vcpu placement>. */
static bool memory_is_automatic(struct pf_domain *p, const xmlNode *node)
{
	auto_text *placement = pf_xml_attribute(node, "placement");
	auto_text *nodeset = pf_xml_attribute(node, "nodeset");
	char shown[QUOTE_MAX];

	if (pf_xml_text_is(placement, "auto"))
		return true;
	if (placement && !pf_xml_text_is(placement, "static"))
		impossible(
			p,
			"<numatune><memory placement='%s'> is neither static nor auto; static is "
			"assumed",
			pf_xml_quote(placement, shown));
	return !placement && !nodeset && p->promise->vcpu_automatic;
}

static void take_memory(struct pf_domain *p, const xmlNode *node)
{
	struct pf_memory_promise memory = {};

	p->promise->memory.unreadable = true;
	if (!take_memory_mode(p, node, "<numatune><memory>", &memory.mode))
		return;
	memory.automatic = memory_is_automatic(p, node);
	if (!memory.automatic) {
		if (!pf_domain_take_list(p, node, "nodeset", "<numatune><memory>", &memory.nodes))
			return;
		memory.nodes_known = true;
	}
	p->promise->memory = memory;
}

static void take_memnode(struct pf_domain *p, const xmlNode *node)
{
	auto_text *number = pf_xml_attribute(node, "cellid");
	struct pf_memory_promise memory = {.nodes_known = true};
	char what[QUOTE_MAX + 32], shown[QUOTE_MAX];
	struct pf_cell *item;
	unsigned int index;

	item = pf_value_unsigned(number, &index) ? cell(p, index) : NULL;
	if (!item) {
		impossible(p, "<memnode cellid='%s'> names no guest cell; it is left out",
			   pf_xml_quote(number ? number : (const xmlChar *)"", shown));
		return;
	}
	snprintf(what, sizeof(what), "<memnode cellid='%u'>", index);
	if (item->memory.mode != PF_MEMORY_NONE)
		impossible(p, "%s stands twice; the first one counts", what);
	else if (take_memory_mode(p, node, what, &memory.mode) &&
		 pf_domain_take_list(p, node, "nodeset", what, &memory.nodes))
		item->memory = memory;
	else
		item->memory.unreadable = true;
}

static bool anything_pinned(const struct pf_promise *promise)
{
	for (size_t i = 0; i < promise->vcpu_count; i++)
		if (promise->vcpus[i].pin.set)
			return true;
	for (size_t i = 0; i < promise->iothread_count; i++)
		if (promise->iothreads[i].pin.set)
			return true;
	return promise->emulator.set || promise->vcpu_default.set;
}

static void take_numatune(struct pf_domain *p, const xmlNode *domain)
{
	xmlNode *numatune = pf_xml_child(domain, "numatune");
	xmlNode *memory = pf_xml_child(numatune, "memory");

	if (memory)
		take_memory(p, memory);
	else if (p->promise->vcpu_automatic) /* numad's choice holds for memory as well */
		p->promise->memory =
			(struct pf_memory_promise){.mode = PF_MEMORY_STRICT, .automatic = true};
	for_each_child(node, numatune, "memnode") take_memnode(p, node);
	/* And the other way round, where nothing is pinned (virDomainDefParseXML()). */
	if (p->promise->memory.automatic && !anything_pinned(p->promise))
		p->promise->vcpu_automatic = true;
}

/* ---- the whole -------------------------------------------------------------------------- */

void pf_domain_take_numa(struct pf_domain *p, const xmlNode *domain)
{
	take_cells(p, domain);
	take_numatune(p, domain);
}
