// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/source/domain_parse.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/base/array.h"
#include "agent/source/domain_value.h"

/* More than any machine type of QEMU takes; a bound so that a number in a file costs no memory. */
#define THREADS_MAX PF_SET_BITS

/* libvirt's VIR_CGROUP_CPU_{PERIOD,QUOTA}_{MIN,MAX} and the v1 maximum of shares. */
#define PERIOD_MIN 1000
#define PERIOD_MAX 1000000
#define QUOTA_MIN 1000
#define QUOTA_MAX INT64_C(17592186044415)
#define SHARES_MAX 262144

/* ---- <vcpu>, <vcpus> -------------------------------------------------------------------- */

static struct pf_vcpu *vcpu(struct pf_domain *p, unsigned int index)
{
	/* Made by add_vcpus(): the index is the position. */
	return index < p->promise->vcpu_count ? &p->promise->vcpus[index] : NULL;
}

/* The first @online of @count are there; only what is not there yet is known to be pluggable. */
static void add_vcpus(struct pf_domain *p, unsigned int count, unsigned int online)
{
	for (unsigned int i = 0; i < count; i++) {
		struct pf_vcpu *item = pf_append(&p->promise->vcpus, &p->promise->vcpu_count);

		if (!item) {
			p->failed = -ENOMEM;
			return;
		}
		item->index = i;
		item->online = i < online;
		item->hotpluggable = i >= online;
	}
}

static unsigned int vcpu_maximum(struct pf_domain *p, const xmlNode *node)
{
	auto_text *text = node ? xmlNodeGetContent(node) : NULL;
	char shown[QUOTE_MAX];
	unsigned int count;

	if (!text)
		return 1; /* libvirt's default for a domain that says nothing */
	if (!pf_value_unsigned(text, &count) || count == 0) {
		impossible(p, "<vcpu>%s</vcpu> is not a number of vCPUs; 1 is assumed",
			   pf_xml_quote(text, shown));
		return 1;
	}
	if (count > THREADS_MAX) {
		impossible(p, "<vcpu>%u</vcpu> is more than %d vCPUs; those beyond are left out",
			   count, THREADS_MAX);
		return THREADS_MAX;
	}
	return count;
}

static unsigned int vcpu_current(struct pf_domain *p, const xmlNode *node, unsigned int maximum)
{
	auto_text *text = node ? pf_xml_attribute(node, "current") : NULL;
	char shown[QUOTE_MAX];
	unsigned int count;

	if (!text)
		return maximum;
	if (!pf_value_unsigned(text, &count) || count == 0 || count > maximum) {
		impossible(p, "<vcpu current='%s'> is not a number from 1 to %u; %u is assumed",
			   pf_xml_quote(text, shown), maximum, maximum);
		return maximum;
	}
	return count;
}

static void take_vcpu(struct pf_domain *p, const xmlNode *domain)
{
	xmlNode *node = pf_xml_child(domain, "vcpu");
	auto_text *placement = node ? pf_xml_attribute(node, "placement") : NULL;
	auto_text *cpuset = node ? pf_xml_attribute(node, "cpuset") : NULL;
	unsigned int maximum = vcpu_maximum(p, node);
	char shown[QUOTE_MAX];

	add_vcpus(p, maximum, vcpu_current(p, node, maximum));
	p->promise->vcpu_automatic = pf_xml_text_is(placement, "auto");
	if (placement && !p->promise->vcpu_automatic && !pf_xml_text_is(placement, "static"))
		impossible(p, "<vcpu placement='%s'> is neither static nor auto; static is assumed",
			   pf_xml_quote(placement, shown));
	/* libvirt does not look at cpuset when numad chooses. */
	if (cpuset && !p->promise->vcpu_automatic)
		pf_domain_take_pin(p, node, "<vcpu>", &p->promise->vcpu_default);
}

static void take_vcpu_state(struct pf_domain *p, const xmlNode *node)
{
	auto_text *number = pf_xml_attribute(node, "id");
	auto_text *enabled = pf_xml_attribute(node, "enabled");
	auto_text *hotpluggable = pf_xml_attribute(node, "hotpluggable");
	char shown[QUOTE_MAX];
	struct pf_vcpu *item;
	unsigned int index;

	item = pf_value_unsigned(number, &index) ? vcpu(p, index) : NULL;
	if (!item) {
		impossible(p, "<vcpus> names vCPU '%s'; this guest has 0 to %zu",
			   pf_xml_quote(number ? number : (const xmlChar *)"", shown),
			   p->promise->vcpu_count - 1);
		return;
	}
	item->online = pf_xml_text_is(enabled, "yes");
	item->hotpluggable = pf_xml_text_is(hotpluggable, "yes");
}

/* Where <vcpus> stands, it tells of each vCPU, and 'current' of none. */
static void take_vcpus(struct pf_domain *p, const xmlNode *domain)
{
	xmlNode *vcpus = pf_xml_child(domain, "vcpus");

	if (!pf_xml_child(vcpus, "vcpu"))
		return;
	for (size_t i = 0; i < p->promise->vcpu_count; i++)
		p->promise->vcpus[i].online = false;
	for_each_child(node, vcpus, "vcpu") take_vcpu_state(p, node);
}

/* ---- <iothreads>, <iothreadids> --------------------------------------------------------- */

static struct pf_iothread *iothread(struct pf_domain *p, unsigned int index)
{
	for (size_t i = 0; i < p->promise->iothread_count; i++)
		if (p->promise->iothreads[i].index == index)
			return &p->promise->iothreads[i];
	return NULL;
}

static void add_iothread(struct pf_domain *p, unsigned int index)
{
	struct pf_iothread *item = pf_append(&p->promise->iothreads, &p->promise->iothread_count);

	if (!item)
		p->failed = -ENOMEM;
	else
		item->index = index;
}

static int iothread_order(const void *a, const void *b)
{
	const struct pf_iothread *x = a, *y = b;

	return (x->index > y->index) - (x->index < y->index);
}

static void take_iothread_ids(struct pf_domain *p, const xmlNode *ids)
{
	char shown[QUOTE_MAX];

	for_each_child(node, ids, "iothread")
	{
		auto_text *text = pf_xml_attribute(node, "id");
		unsigned int index;

		if (!pf_value_unsigned(text, &index) || index == 0 || iothread(p, index))
			impossible(p,
				   "<iothreadids> has id '%s', which is no number from 1 up or "
				   "stands twice; it is left out",
				   pf_xml_quote(text ? text : (const xmlChar *)"", shown));
		else if (p->promise->iothread_count < THREADS_MAX)
			add_iothread(p, index);
	}
}

/* The ids that are listed, and then the lowest free ones from 1 up to the number asked for. */
static void take_iothreads(struct pf_domain *p, const xmlNode *domain)
{
	xmlNode *node = pf_xml_child(domain, "iothreads");
	auto_text *text = node ? xmlNodeGetContent(node) : NULL;
	char shown[QUOTE_MAX];
	unsigned int count = 0;

	if (text && (!pf_value_unsigned(text, &count) || count > THREADS_MAX)) {
		impossible(p, "<iothreads>%s</iothreads> is not a number up to %d; it is left out",
			   pf_xml_quote(text, shown), THREADS_MAX);
		count = 0;
	}
	take_iothread_ids(p, pf_xml_child(domain, "iothreadids"));
	for (unsigned int i = 1; p->promise->iothread_count < count && !p->failed; i++)
		if (!iothread(p, i))
			add_iothread(p, i);
	if (p->promise->iothread_count)
		qsort(p->promise->iothreads, p->promise->iothread_count,
		      sizeof(*p->promise->iothreads), iothread_order);
}

/* ---- <cputune> -------------------------------------------------------------------------- */

static void take_vcpupin(struct pf_domain *p, const xmlNode *node)
{
	auto_text *number = pf_xml_attribute(node, "vcpu");
	char what[QUOTE_MAX + 32], shown[QUOTE_MAX];
	unsigned int index;
	struct pf_vcpu *item;

	item = pf_value_unsigned(number, &index) ? vcpu(p, index) : NULL;
	if (!item) {
		impossible(p,
			   "<vcpupin vcpu='%s'> names no vCPU of this guest, which has 0 to %zu; "
			   "it is left out",
			   pf_xml_quote(number ? number : (const xmlChar *)"", shown),
			   p->promise->vcpu_count - 1);
		return;
	}
	snprintf(what, sizeof(what), "<vcpupin vcpu='%u'>", index);
	pf_domain_take_pin(p, node, what, &item->pin);
}

static void take_iothreadpin(struct pf_domain *p, const xmlNode *node)
{
	auto_text *number = pf_xml_attribute(node, "iothread");
	char what[QUOTE_MAX + 32], shown[QUOTE_MAX];
	struct pf_iothread *item;
	unsigned int index;

	item = pf_value_unsigned(number, &index) ? iothread(p, index) : NULL;
	if (!item) {
		impossible(p,
			   "<iothreadpin iothread='%s'> names no iothread of this guest, which has "
			   "%zu; it is left out",
			   pf_xml_quote(number ? number : (const xmlChar *)"", shown),
			   p->promise->iothread_count);
		return;
	}
	snprintf(what, sizeof(what), "<iothreadpin iothread='%u'>", index);
	pf_domain_take_pin(p, node, what, &item->pin);
}

static void take_shares(struct pf_domain *p, const xmlNode *cputune)
{
	xmlNode *node = pf_xml_child(cputune, "shares");
	auto_text *text = node ? xmlNodeGetContent(node) : NULL;
	char shown[QUOTE_MAX];
	uint64_t value;

	if (!text)
		return;
	if (!pf_value_u64((const char *)text, &value) || value == 0 || value > SHARES_MAX) {
		impossible(p, "<shares>%s</shares> is not a number from 1 to %d; it is left out",
			   pf_xml_quote(text, shown), SHARES_MAX);
		return;
	}
	p->promise->has_shares = true;
	p->promise->shares = value;
}

/* 0 says nothing, by libvirt's rule. */
static void take_period(struct pf_domain *p, const xmlNode *cputune, const char *name,
			struct pf_bandwidth *out)
{
	xmlNode *node = pf_xml_child(cputune, name);
	auto_text *text = node ? xmlNodeGetContent(node) : NULL;
	char shown[QUOTE_MAX];
	uint64_t value;

	if (!text)
		return;
	if (!pf_value_u64((const char *)text, &value) ||
	    (value && (value < PERIOD_MIN || value > PERIOD_MAX))) {
		impossible(p,
			   "<%s>%s</%s> is not 0 or a number of us from %d to %d; it is left out",
			   name, pf_xml_quote(text, shown), name, PERIOD_MIN, PERIOD_MAX);
		return;
	}
	out->has_period = value != 0;
	out->period_usec = value;
}

/* 0 says nothing, a negative one is no limit, by libvirt's rule. */
static void take_quota(struct pf_domain *p, const xmlNode *cputune, const char *name,
		       struct pf_bandwidth *out)
{
	xmlNode *node = pf_xml_child(cputune, name);
	auto_text *text = node ? xmlNodeGetContent(node) : NULL;
	char shown[QUOTE_MAX];
	int64_t value;

	if (!text)
		return;
	if (!pf_value_i64((const char *)text, &value) ||
	    (value > 0 && (value < QUOTA_MIN || value > QUOTA_MAX))) {
		impossible(p,
			   "<%s>%s</%s> is not negative (no limit), 0 or a number of us from %d to "
			   "%" PRId64 "; it is left out",
			   name, pf_xml_quote(text, shown), name, QUOTA_MIN, QUOTA_MAX);
		return;
	}
	out->has_quota = value != 0;
	out->quota_usec = value;
}

static void take_bandwidths(struct pf_domain *p, const xmlNode *cputune)
{
	struct {
		const char *period, *quota;
		struct pf_bandwidth *out;
	} list[] = {
		{"period", "quota", &p->promise->vcpu_bandwidth},
		{"global_period", "global_quota", &p->promise->global_bandwidth},
		{"emulator_period", "emulator_quota", &p->promise->emulator_bandwidth},
		{"iothread_period", "iothread_quota", &p->promise->iothread_bandwidth},
	};

	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		take_period(p, cputune, list[i].period, list[i].out);
		take_quota(p, cputune, list[i].quota, list[i].out);
	}
}

static void take_cputune(struct pf_domain *p, const xmlNode *domain)
{
	xmlNode *cputune = pf_xml_child(domain, "cputune");

	if (!cputune)
		return;
	for_each_child(node, cputune, "vcpupin") take_vcpupin(p, node);
	for_each_child(node, cputune, "emulatorpin")
		pf_domain_take_pin(p, node, "<emulatorpin>", &p->promise->emulator);
	for_each_child(node, cputune, "iothreadpin") take_iothreadpin(p, node);
	take_shares(p, cputune);
	take_bandwidths(p, cputune);
}

/* ---- the whole -------------------------------------------------------------------------- */

void pf_domain_take_cpus(struct pf_domain *p, const xmlNode *domain)
{
	take_vcpu(p, domain);
	take_vcpus(p, domain);
	take_iothreads(p, domain);
	take_cputune(p, domain);
}
