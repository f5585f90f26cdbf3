// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/source/domain_xml.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "agent/base/array.h"
#include "agent/base/cleanup.h"

#define POLICY_URI "urn:pinfold:policy:1"
#define POLICY_URI_STEM "urn:pinfold:"

/* More than any machine type of QEMU takes; a bound so that a number in a file costs no memory. */
#define THREADS_MAX PF_SET_BITS

/* libvirt's VIR_CGROUP_CPU_{PERIOD,QUOTA}_{MIN,MAX} and the v1 maximum of shares. */
#define PERIOD_MIN 1000
#define PERIOD_MAX 1000000
#define QUOTA_MIN 1000
#define QUOTA_MAX INT64_C(17592186044415)
#define SHARES_MAX 262144

/* ---- libxml2 ---------------------------------------------------------------------------- */

static void cleanup_text(xmlChar **text)
{
	if (*text)
		xmlFree(*text);
}

static void cleanup_ctxt(xmlParserCtxtPtr *ctxt)
{
	if (!*ctxt)
		return;
	if ((*ctxt)->myDoc)
		xmlFreeDoc((*ctxt)->myDoc);
	xmlFreeParserCtxt(*ctxt);
}

#define auto_text PF_CLEANUP(cleanup_text) xmlChar
#define auto_ctxt PF_CLEANUP(cleanup_ctxt) xmlParserCtxtPtr

static bool is_element(const xmlNode *node, const char *name)
{
	return node->type == XML_ELEMENT_NODE && xmlStrEqual(node->name, (const xmlChar *)name);
}

/* The first of @node and its following siblings with that name, or NULL. */
static xmlNode *find_element(xmlNode *node, const char *name)
{
	while (node && !is_element(node, name))
		node = node->next;
	return node;
}

static xmlNode *child(const xmlNode *parent, const char *name)
{
	return parent ? find_element(parent->children, name) : NULL;
}

#define for_each_child(node, parent, name)                                                         \
	for (xmlNode *node = child(parent, name); node; node = find_element(node->next, name))

/* The attribute's text, owned by the caller, or NULL where there is none. */
static xmlChar *attribute(const xmlNode *node, const char *name)
{
	return xmlGetNoNsProp(node, (const xmlChar *)name);
}

static bool text_is(const xmlChar *text, const char *word)
{
	return text && strcmp((const char *)text, word) == 0;
}

/* ---- values ----------------------------------------------------------------------------- */

static const char *skip_space(const char *text)
{
	while (isspace((unsigned char)*text))
		text++;
	return text;
}

static int parse_member(const char **text, unsigned int *out)
{
	unsigned long value;
	char *end;

	if (!isdigit((unsigned char)**text))
		return -EINVAL;
	errno = 0;
	value = strtoul(*text, &end, 10);
	if (errno || value >= PF_SET_BITS)
		return -ERANGE;
	*text = skip_space(end);
	*out = (unsigned int)value;
	return 0;
}

/* One field: N, N-M or ^N. An exclusion of a range is refused, as libvirt refuses it. */
static int parse_field(const char **text, struct pf_set *set)
{
	bool exclude = **text == '^';
	unsigned int first, last;
	int r;

	if (exclude)
		(*text)++;
	r = parse_member(text, &first);
	if (r < 0)
		return r;
	if (**text != '-') {
		(exclude ? pf_set_remove : pf_set_add)(set, first);
		return 0;
	}
	*text = skip_space(*text + 1);
	r = parse_member(text, &last);
	if (r < 0)
		return r;
	if (exclude || last < first)
		return -EINVAL;
	pf_set_add_range(set, first, last);
	return 0;
}

int pf_cpulist_parse(const char *text, struct pf_set *out)
{
	struct pf_set set = {};
	int r;

	text = skip_space(text);
	while (*text) {
		r = parse_field(&text, &set);
		if (r < 0)
			return r;
		if (*text && *text != ',')
			return -EINVAL;
		if (*text)
			text = skip_space(text + 1);
	}
	if (pf_set_empty(&set))
		return -EINVAL;
	*out = set;
	return 0;
}

static bool parse_u64(const char *text, uint64_t *out)
{
	unsigned long long value;
	char *end;

	text = skip_space(text);
	if (!isdigit((unsigned char)*text))
		return false;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || *skip_space(end))
		return false;
	*out = value;
	return true;
}

static bool parse_i64(const char *text, int64_t *out)
{
	long long value;
	char *end;

	text = skip_space(text);
	if (!isdigit((unsigned char)*text) && *text != '-')
		return false;
	errno = 0;
	value = strtoll(text, &end, 10);
	if (errno || *skip_space(end) || !isdigit((unsigned char)end[-1]))
		return false;
	*out = value;
	return true;
}

static bool parse_unsigned(const xmlChar *text, unsigned int *out)
{
	uint64_t value;

	if (!text || !parse_u64((const char *)text, &value) || value > UINT32_MAX)
		return false;
	*out = (unsigned int)value;
	return true;
}

/* Bytes of a unit as libvirt's virScaleInteger() knows them, 0 for an unknown one. */
static uint64_t unit_bytes(const char *unit)
{
	static const char letters[] = "kmgtpe";
	const char *letter;
	uint64_t base, bytes = 1;

	if (strcasecmp(unit, "b") == 0 || strcasecmp(unit, "byte") == 0 ||
	    strcasecmp(unit, "bytes") == 0)
		return 1;
	letter = *unit ? strchr(letters, tolower((unsigned char)*unit)) : NULL;
	if (!letter)
		return 0;
	if (!unit[1] || strcasecmp(unit + 1, "ib") == 0)
		base = 1024;
	else if (strcasecmp(unit + 1, "b") == 0)
		base = 1000;
	else
		return 0;
	for (const char *l = letters; l <= letter; l++)
		bytes *= base;
	return bytes;
}

/* ---- one parse -------------------------------------------------------------------------- */

struct parse {
	struct pf_guest *guest;
	struct pf_promise *promise;
	int failed; /* -ENOMEM, nothing else */
};

#define QUOTE_MAX 64

/*
 * A value as it may stand in a sentence: at most QUOTE_MAX - 1 bytes, no control characters, cut
 * only between the characters of UTF-8, which libxml2 guarantees the text to be.
 */
static const char *quote(const void *text, char buf[QUOTE_MAX])
{
	const unsigned char *from = text;
	size_t len = 0;

	while (from[len] && len < QUOTE_MAX - 1) {
		buf[len] = from[len] < 0x20 || from[len] == 0x7f ? ' ' : (char)from[len];
		len++;
	}
	if (from[len]) {
		len -= 3;
		while (len && (from[len] & 0xc0) == 0x80)
			len--;
		memcpy(buf + len, "...", 3);
		len += 3;
	}
	buf[len] = '\0';
	return buf;
}

static void found(struct parse *p, enum pf_severity severity, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void found(struct parse *p, enum pf_severity severity, const char *fmt, ...)
{
	pf_auto_free char *text = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0) {
		text = NULL;
		p->failed = -ENOMEM;
		return;
	}
	if (pf_findings_add(&p->guest->findings, severity, "%s", text) < 0)
		p->failed = -ENOMEM;
}

#define impossible(p, ...) found(p, PF_FINDING_IMPOSSIBLE, __VA_ARGS__)
#define note(p, ...) found(p, PF_FINDING_NOTE, __VA_ARGS__)

/*
 * Reads attribute @name of @node as a list. @what names the promise in the finding that a bad or
 * missing list gives. Return: whether @out was set.
 */
static bool take_list(struct parse *p, const xmlNode *node, const char *name, const char *what,
		      struct pf_set *out)
{
	auto_text *text = attribute(node, name);
	char shown[QUOTE_MAX];
	int r;

	if (!text) {
		impossible(p, "%s has no %s; it is left out", what, name);
		return false;
	}
	r = pf_cpulist_parse((const char *)text, out);
	if (r == -ERANGE)
		impossible(p, "%s: %s='%s' has a member beyond %d; it is left out", what, name,
			   quote(text, shown), PF_SET_BITS - 1);
	else if (r < 0)
		impossible(p,
			   "%s: %s='%s' is not a list with at least one member, such as 1-4,^3; "
			   "it is left out",
			   what, name, quote(text, shown));
	return r == 0;
}

static void take_pin(struct parse *p, const xmlNode *node, const char *what, struct pf_pin *pin)
{
	if (pin->set) {
		impossible(p, "%s stands twice; the first one counts", what);
		return;
	}
	pin->set = take_list(p, node, "cpuset", what, &pin->cpus);
	pin->unreadable = !pin->set;
}

/* ---- <uuid>, <name> --------------------------------------------------------------------- */

/* Any dashes, as libvirt's virUUIDParse() takes them; the canonical form comes out. */
static bool parse_uuid(const char *text, char out[37])
{
	size_t len = 0;

	text = skip_space(text);
	for (; *text && !isspace((unsigned char)*text); text++) {
		if (*text == '-')
			continue;
		if (!isxdigit((unsigned char)*text) || len >= 36)
			return false;
		if (len == 8 || len == 13 || len == 18 || len == 23)
			out[len++] = '-';
		out[len++] = (char)tolower((unsigned char)*text);
	}
	out[len] = '\0';
	return len == 36 && !*skip_space(text);
}

static int take_identity(struct parse *p, const xmlNode *domain, struct pf_err *err)
{
	xmlNode *uuid_node = child(domain, "uuid"), *name_node = child(domain, "name");
	auto_text *uuid = uuid_node ? xmlNodeGetContent(uuid_node) : NULL;
	auto_text *name = name_node ? xmlNodeGetContent(name_node) : NULL;
	char shown[QUOTE_MAX];

	if (!name || !*name)
		return pf_fail_plain(err, EBADMSG, "domain XML has no <name>");
	if (!uuid)
		return pf_fail_plain(err, EBADMSG, "domain XML of '%s' has no <uuid>",
				     quote(name, shown));
	if (!parse_uuid((const char *)uuid, p->guest->uuid))
		return pf_fail_plain(err, EBADMSG, "domain XML: <uuid> '%s' is not a UUID",
				     quote(uuid, shown));
	p->guest->name = strdup((const char *)name);
	if (!p->guest->name)
		return pf_fail(err, ENOMEM, "read domain XML");
	return 0;
}

/* ---- <vcpu>, <vcpus> -------------------------------------------------------------------- */

static struct pf_vcpu *vcpu(struct parse *p, unsigned int index)
{
	/* Made by add_vcpus(): the index is the position. */
	return index < p->promise->vcpu_count ? &p->promise->vcpus[index] : NULL;
}

/* The first @online of @count are there; only what is not there yet is known to be pluggable. */
static void add_vcpus(struct parse *p, unsigned int count, unsigned int online)
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

static unsigned int vcpu_maximum(struct parse *p, const xmlNode *node)
{
	auto_text *text = node ? xmlNodeGetContent(node) : NULL;
	char shown[QUOTE_MAX];
	unsigned int count;

	if (!text)
		return 1; /* libvirt's default for a domain that says nothing */
	if (!parse_unsigned(text, &count) || count == 0) {
		impossible(p, "<vcpu>%s</vcpu> is not a number of vCPUs; 1 is assumed",
			   quote(text, shown));
		return 1;
	}
	if (count > THREADS_MAX) {
		impossible(p, "<vcpu>%u</vcpu> is more than %d vCPUs; those beyond are left out",
			   count, THREADS_MAX);
		return THREADS_MAX;
	}
	return count;
}

static unsigned int vcpu_current(struct parse *p, const xmlNode *node, unsigned int maximum)
{
	auto_text *text = node ? attribute(node, "current") : NULL;
	char shown[QUOTE_MAX];
	unsigned int count;

	if (!text)
		return maximum;
	if (!parse_unsigned(text, &count) || count == 0 || count > maximum) {
		impossible(p, "<vcpu current='%s'> is not a number from 1 to %u; %u is assumed",
			   quote(text, shown), maximum, maximum);
		return maximum;
	}
	return count;
}

static void take_vcpu(struct parse *p, const xmlNode *domain)
{
	xmlNode *node = child(domain, "vcpu");
	auto_text *placement = node ? attribute(node, "placement") : NULL;
	auto_text *cpuset = node ? attribute(node, "cpuset") : NULL;
	unsigned int maximum = vcpu_maximum(p, node);
	char shown[QUOTE_MAX];

	add_vcpus(p, maximum, vcpu_current(p, node, maximum));
	p->promise->vcpu_automatic = text_is(placement, "auto");
	if (placement && !p->promise->vcpu_automatic && !text_is(placement, "static"))
		impossible(p, "<vcpu placement='%s'> is neither static nor auto; static is assumed",
			   quote(placement, shown));
	/* libvirt does not look at cpuset when numad chooses. */
	if (cpuset && !p->promise->vcpu_automatic)
		take_pin(p, node, "<vcpu>", &p->promise->vcpu_default);
}

static void take_vcpu_state(struct parse *p, const xmlNode *node)
{
	auto_text *number = attribute(node, "id");
	auto_text *enabled = attribute(node, "enabled");
	auto_text *hotpluggable = attribute(node, "hotpluggable");
	char shown[QUOTE_MAX];
	struct pf_vcpu *item;
	unsigned int index;

	item = parse_unsigned(number, &index) ? vcpu(p, index) : NULL;
	if (!item) {
		impossible(p, "<vcpus> names vCPU '%s'; this guest has 0 to %zu",
			   quote(number ? number : (const xmlChar *)"", shown),
			   p->promise->vcpu_count - 1);
		return;
	}
	item->online = text_is(enabled, "yes");
	item->hotpluggable = text_is(hotpluggable, "yes");
}

/* Where <vcpus> stands, it tells of each vCPU, and 'current' of none. */
static void take_vcpus(struct parse *p, const xmlNode *domain)
{
	xmlNode *vcpus = child(domain, "vcpus");

	if (!child(vcpus, "vcpu"))
		return;
	for (size_t i = 0; i < p->promise->vcpu_count; i++)
		p->promise->vcpus[i].online = false;
	for_each_child(node, vcpus, "vcpu") take_vcpu_state(p, node);
}

/* ---- <iothreads>, <iothreadids> --------------------------------------------------------- */

static struct pf_iothread *iothread(struct parse *p, unsigned int index)
{
	for (size_t i = 0; i < p->promise->iothread_count; i++)
		if (p->promise->iothreads[i].index == index)
			return &p->promise->iothreads[i];
	return NULL;
}

static void add_iothread(struct parse *p, unsigned int index)
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

static void take_iothread_ids(struct parse *p, const xmlNode *ids)
{
	char shown[QUOTE_MAX];

	for_each_child(node, ids, "iothread")
	{
		auto_text *text = attribute(node, "id");
		unsigned int index;

		if (!parse_unsigned(text, &index) || index == 0 || iothread(p, index))
			impossible(p,
				   "<iothreadids> has id '%s', which is no number from 1 up or "
				   "stands twice; it is left out",
				   quote(text ? text : (const xmlChar *)"", shown));
		else if (p->promise->iothread_count < THREADS_MAX)
			add_iothread(p, index);
	}
}

/* The ids that are listed, and then the lowest free ones from 1 up to the number asked for. */
static void take_iothreads(struct parse *p, const xmlNode *domain)
{
	xmlNode *node = child(domain, "iothreads");
	auto_text *text = node ? xmlNodeGetContent(node) : NULL;
	char shown[QUOTE_MAX];
	unsigned int count = 0;

	if (text && (!parse_unsigned(text, &count) || count > THREADS_MAX)) {
		impossible(p, "<iothreads>%s</iothreads> is not a number up to %d; it is left out",
			   quote(text, shown), THREADS_MAX);
		count = 0;
	}
	take_iothread_ids(p, child(domain, "iothreadids"));
	for (unsigned int i = 1; p->promise->iothread_count < count && !p->failed; i++)
		if (!iothread(p, i))
			add_iothread(p, i);
	if (p->promise->iothread_count)
		qsort(p->promise->iothreads, p->promise->iothread_count,
		      sizeof(*p->promise->iothreads), iothread_order);
}

/* ---- <cputune> -------------------------------------------------------------------------- */

static void take_vcpupin(struct parse *p, const xmlNode *node)
{
	auto_text *number = attribute(node, "vcpu");
	char what[QUOTE_MAX + 32], shown[QUOTE_MAX];
	unsigned int index;
	struct pf_vcpu *item;

	item = parse_unsigned(number, &index) ? vcpu(p, index) : NULL;
	if (!item) {
		impossible(p,
			   "<vcpupin vcpu='%s'> names no vCPU of this guest, which has 0 to %zu; "
			   "it is left out",
			   quote(number ? number : (const xmlChar *)"", shown),
			   p->promise->vcpu_count - 1);
		return;
	}
	snprintf(what, sizeof(what), "<vcpupin vcpu='%u'>", index);
	take_pin(p, node, what, &item->pin);
}

static void take_iothreadpin(struct parse *p, const xmlNode *node)
{
	auto_text *number = attribute(node, "iothread");
	char what[QUOTE_MAX + 32], shown[QUOTE_MAX];
	struct pf_iothread *item;
	unsigned int index;

	item = parse_unsigned(number, &index) ? iothread(p, index) : NULL;
	if (!item) {
		impossible(p,
			   "<iothreadpin iothread='%s'> names no iothread of this guest, which has "
			   "%zu; it is left out",
			   quote(number ? number : (const xmlChar *)"", shown),
			   p->promise->iothread_count);
		return;
	}
	snprintf(what, sizeof(what), "<iothreadpin iothread='%u'>", index);
	take_pin(p, node, what, &item->pin);
}

static void take_shares(struct parse *p, const xmlNode *cputune)
{
	xmlNode *node = child(cputune, "shares");
	auto_text *text = node ? xmlNodeGetContent(node) : NULL;
	char shown[QUOTE_MAX];
	uint64_t value;

	if (!text)
		return;
	if (!parse_u64((const char *)text, &value) || value == 0 || value > SHARES_MAX) {
		impossible(p, "<shares>%s</shares> is not a number from 1 to %d; it is left out",
			   quote(text, shown), SHARES_MAX);
		return;
	}
	p->promise->has_shares = true;
	p->promise->shares = value;
}

/* 0 says nothing, by libvirt's rule. */
static void take_period(struct parse *p, const xmlNode *cputune, const char *name,
			struct pf_bandwidth *out)
{
	xmlNode *node = child(cputune, name);
	auto_text *text = node ? xmlNodeGetContent(node) : NULL;
	char shown[QUOTE_MAX];
	uint64_t value;

	if (!text)
		return;
	if (!parse_u64((const char *)text, &value) ||
	    (value && (value < PERIOD_MIN || value > PERIOD_MAX))) {
		impossible(p,
			   "<%s>%s</%s> is not 0 or a number of us from %d to %d; it is left out",
			   name, quote(text, shown), name, PERIOD_MIN, PERIOD_MAX);
		return;
	}
	out->has_period = value != 0;
	out->period_usec = value;
}

/* 0 says nothing, a negative one is no limit, by libvirt's rule. */
static void take_quota(struct parse *p, const xmlNode *cputune, const char *name,
		       struct pf_bandwidth *out)
{
	xmlNode *node = child(cputune, name);
	auto_text *text = node ? xmlNodeGetContent(node) : NULL;
	char shown[QUOTE_MAX];
	int64_t value;

	if (!text)
		return;
	if (!parse_i64((const char *)text, &value) ||
	    (value > 0 && (value < QUOTA_MIN || value > QUOTA_MAX))) {
		impossible(p,
			   "<%s>%s</%s> is not negative (no limit), 0 or a number of us from %d to "
			   "%" PRId64 "; it is left out",
			   name, quote(text, shown), name, QUOTA_MIN, QUOTA_MAX);
		return;
	}
	out->has_quota = value != 0;
	out->quota_usec = value;
}

static void take_bandwidths(struct parse *p, const xmlNode *cputune)
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

static void take_cputune(struct parse *p, const xmlNode *domain)
{
	xmlNode *cputune = child(domain, "cputune");

	if (!cputune)
		return;
	for_each_child(node, cputune, "vcpupin") take_vcpupin(p, node);
	for_each_child(node, cputune, "emulatorpin")
		take_pin(p, node, "<emulatorpin>", &p->promise->emulator);
	for_each_child(node, cputune, "iothreadpin") take_iothreadpin(p, node);
	take_shares(p, cputune);
	take_bandwidths(p, cputune);
}

/* ---- guest NUMA cells ------------------------------------------------------------------- */

static struct pf_cell *cell(struct parse *p, unsigned int number)
{
	for (size_t i = 0; i < p->promise->cell_count; i++)
		if (p->promise->cells[i].cell == number)
			return &p->promise->cells[i];
	return NULL;
}

static uint64_t cell_memory(struct parse *p, const xmlNode *node, unsigned int number)
{
	auto_text *text = attribute(node, "memory");
	auto_text *unit = attribute(node, "unit");
	char shown[QUOTE_MAX];
	uint64_t value, bytes = unit ? unit_bytes((const char *)unit) : 1024;

	if (!text || !parse_u64((const char *)text, &value) || !bytes ||
	    __builtin_mul_overflow(value, bytes, &value)) {
		note(p, "guest cell %u: memory '%s' is not a size; 0 is shown", number,
		     quote(text ? text : (const xmlChar *)"", shown));
		return 0;
	}
	return value / 1024 + (value % 1024 != 0);
}

static void cell_vcpus(struct parse *p, const xmlNode *node, struct pf_cell *item)
{
	auto_text *text = attribute(node, "cpus");
	char shown[QUOTE_MAX];
	struct pf_set all = {};

	if (!text)
		return; /* a cell of memory alone */
	pf_set_add_range(&all, 0, (unsigned int)p->promise->vcpu_count - 1);
	if (pf_cpulist_parse((const char *)text, &item->vcpus) < 0)
		note(p, "guest cell %u: cpus='%s' is not a list; it has no vCPU", item->cell,
		     quote(text, shown));
	else if (!pf_set_subset(&item->vcpus, &all))
		note(p, "guest cell %u: cpus='%s' names vCPUs beyond %zu; those are left out",
		     item->cell, quote(text, shown), p->promise->vcpu_count - 1);
	pf_set_and(&item->vcpus, &item->vcpus, &all);
}

static void take_cell(struct parse *p, const xmlNode *node, unsigned int position)
{
	auto_text *text = attribute(node, "id");
	unsigned int number = position;
	char shown[QUOTE_MAX];
	struct pf_cell *item;

	if ((text && !parse_unsigned(text, &number)) || cell(p, number)) {
		note(p, "guest cell '%s' has a bad number or stands twice; it is left out",
		     text ? quote(text, shown) : "without id");
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

static void take_cells(struct parse *p, const xmlNode *domain)
{
	unsigned int position = 0;

	for_each_child(node, child(child(domain, "cpu"), "numa"), "cell")
		take_cell(p, node, position++);
	if (p->promise->cell_count)
		qsort(p->promise->cells, p->promise->cell_count, sizeof(*p->promise->cells),
		      cell_order);
}

/* ---- <numatune> ------------------------------------------------------------------------- */

/* strict where nothing is said. Return: false, with a finding, for an unknown word. */
static bool take_memory_mode(struct parse *p, const xmlNode *node, const char *what,
			     enum pf_memory_mode *out)
{
	auto_text *text = attribute(node, "mode");
	char shown[QUOTE_MAX];

	if (!text) {
		*out = PF_MEMORY_STRICT;
		return true;
	}
	for (unsigned int mode = PF_MEMORY_STRICT; mode <= PF_MEMORY_RESTRICTIVE; mode++) {
		if (text_is(text, pf_memory_mode_name(mode))) {
			*out = mode;
			return true;
		}
	}
	impossible(p,
		   "%s: mode='%s' is none of strict, preferred, interleave and restrictive; it is "
		   "left out",
		   what, quote(text, shown));
	return false;
}

/* As libvirt's virDomainNumatuneSet(): what is not said follows nodeset, then <vcpu placement>. */
static bool memory_is_automatic(struct parse *p, const xmlNode *node)
{
	auto_text *placement = attribute(node, "placement");
	auto_text *nodeset = attribute(node, "nodeset");
	char shown[QUOTE_MAX];

	if (text_is(placement, "auto"))
		return true;
	if (placement && !text_is(placement, "static"))
		impossible(
			p,
			"<numatune><memory placement='%s'> is neither static nor auto; static is "
			"assumed",
			quote(placement, shown));
	return !placement && !nodeset && p->promise->vcpu_automatic;
}

static void take_memory(struct parse *p, const xmlNode *node)
{
	struct pf_memory_promise memory = {};

	p->promise->memory.unreadable = true;
	if (!take_memory_mode(p, node, "<numatune><memory>", &memory.mode))
		return;
	memory.automatic = memory_is_automatic(p, node);
	if (!memory.automatic) {
		if (!take_list(p, node, "nodeset", "<numatune><memory>", &memory.nodes))
			return;
		memory.nodes_known = true;
	}
	p->promise->memory = memory;
}

static void take_memnode(struct parse *p, const xmlNode *node)
{
	auto_text *number = attribute(node, "cellid");
	struct pf_memory_promise memory = {.nodes_known = true};
	char what[QUOTE_MAX + 32], shown[QUOTE_MAX];
	struct pf_cell *item;
	unsigned int index;

	item = parse_unsigned(number, &index) ? cell(p, index) : NULL;
	if (!item) {
		impossible(p, "<memnode cellid='%s'> names no guest cell; it is left out",
			   quote(number ? number : (const xmlChar *)"", shown));
		return;
	}
	snprintf(what, sizeof(what), "<memnode cellid='%u'>", index);
	if (item->memory.mode != PF_MEMORY_NONE)
		impossible(p, "%s stands twice; the first one counts", what);
	else if (take_memory_mode(p, node, what, &memory.mode) &&
		 take_list(p, node, "nodeset", what, &memory.nodes))
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

static void take_numatune(struct parse *p, const xmlNode *domain)
{
	xmlNode *numatune = child(domain, "numatune");
	xmlNode *memory = child(numatune, "memory");

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

/* ---- <metadata> ------------------------------------------------------------------------- */

/* What is wrong with the policy: gathered, so that there is one sentence for all of it. */
struct faults {
	char text[400];
	unsigned int count;
};

static void fault(struct faults *faults, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void fault(struct faults *faults, const char *fmt, ...)
{
	char one[200];
	size_t len = strlen(faults->text);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(one, sizeof(one), fmt, ap);
	va_end(ap);
	faults->count++;
	/* The first ones say enough; half a sentence, or half a character, would not. */
	if (len + strlen(one) + 3 < sizeof(faults->text))
		snprintf(faults->text + len, sizeof(faults->text) - len, "%s%s", len ? "; " : "",
			 one);
}

static void take_policy_attribute(struct pf_guest_policy *policy, const xmlAttr *attr, const char *value,
				  struct faults *faults)
{
	const char *name = (const char *)attr->name;
	char shown[QUOTE_MAX], shown_name[QUOTE_MAX];

	if (attr->ns || (strcmp(name, "mode") != 0 && strcmp(name, "isolation") != 0 &&
			 strcmp(name, "unpinned") != 0)) {
		fault(faults, "attribute '%s' is unknown", quote(name, shown_name));
	} else if (strcmp(name, "mode") == 0) {
		policy->has_mode = pf_mode_parse(value, &policy->mode);
		if (!policy->has_mode)
			fault(faults, "mode='%s' is none of observe, enforce and guard",
			      quote(value, shown));
	} else if (strcmp(name, "isolation") == 0) {
		policy->has_isolation = pf_isolation_parse(value, &policy->isolation);
		if (!policy->has_isolation)
			fault(faults,
			      "isolation='%s' is none of shared, dedicated and "
			      "dedicated-cores",
			      quote(value, shown));
	} else {
		policy->has_unpinned = pf_unpinned_parse(value, &policy->unpinned);
		if (!policy->has_unpinned)
			fault(faults, "unpinned='%s' is neither float nor follow-memory",
			      quote(value, shown));
	}
}

/* Elements and text inside the policy: this version knows none. */
static void check_policy_content(const xmlNode *node, struct faults *faults)
{
	char shown[QUOTE_MAX];

	for (const xmlNode *item = node->children; item; item = item->next) {
		if (item->type == XML_ELEMENT_NODE)
			fault(faults, "element <%s> is unknown", quote(item->name, shown));
		else if ((item->type == XML_TEXT_NODE || item->type == XML_CDATA_SECTION_NODE) &&
			 !xmlIsBlankNode(item))
			fault(faults, "text '%s' has no meaning", quote(item->content, shown));
	}
}

static void take_policy(struct parse *p, const xmlNode *node)
{
	struct faults faults = {};
	struct pf_guest_policy policy = {};

	for (const xmlAttr *attr = node->properties; attr; attr = attr->next) {
		auto_text *value = xmlNodeListGetString(node->doc, attr->children, 1);

		take_policy_attribute(&policy, attr, value ? (const char *)value : "", &faults);
	}
	check_policy_content(node, &faults);
	p->promise->policy = policy;
	if (faults.count)
		note(p,
		     "<pinfold:policy> in <metadata>: %s; the configuration's defaults count for "
		     "what it says wrongly, the rest of it stands",
		     faults.text);
}

/* The namespace of an element of ours, of whatever version, or NULL. */
static const char *our_namespace(const xmlNode *node)
{
	if (node->type != XML_ELEMENT_NODE || !node->ns || !node->ns->href)
		return NULL;
	if (strncmp((const char *)node->ns->href, POLICY_URI_STEM, strlen(POLICY_URI_STEM)) != 0)
		return NULL;
	return (const char *)node->ns->href;
}

static void take_metadata(struct parse *p, const xmlNode *domain)
{
	xmlNode *metadata = child(domain, "metadata");
	const xmlNode *policy = NULL;
	char name[QUOTE_MAX], uri[QUOTE_MAX];
	unsigned int policies = 0;

	for (xmlNode *node = metadata ? metadata->children : NULL; node; node = node->next) {
		const char *href = our_namespace(node);

		if (!href)
			continue;
		if (strcmp(href, POLICY_URI) == 0 && is_element(node, "policy")) {
			policy = node;
			policies++;
		} else {
			note(p,
			     "<%s xmlns='%s'> in <metadata> is unknown; it is ignored (a policy is "
			     "<policy xmlns='" POLICY_URI "'>)",
			     quote(node->name, name), quote(href, uri));
		}
	}
	if (policies == 1)
		take_policy(p, policy);
	else if (policies > 1)
		note(p,
		     "<metadata> has %u <pinfold:policy>; none of them counts, the configuration's "
		     "defaults do",
		     policies);
}

/* ---- the whole -------------------------------------------------------------------------- */

/* A SAX callback at "<!DOCTYPE": entities could follow, and a domain has no use for them. */
static void refuse_doctype(void *ctx, const xmlChar *name, const xmlChar *external,
			   const xmlChar *system)
{
	xmlParserCtxtPtr ctxt = ctx;

	(void)name;
	(void)external;
	(void)system;
	ctxt->wellFormed = 0;
	xmlStopParser(ctxt);
}

static int read_document(xmlParserCtxtPtr ctxt, const char *xml, const char *name, xmlNode **out,
			 struct pf_err *err)
{
	size_t len = strlen(xml);
	const xmlError *why;
	xmlNode *root;

	if (len > INT32_MAX)
		return pf_fail_plain(err, EBADMSG, "domain XML of more than 2 GiB");
	ctxt->sax->internalSubset = refuse_doctype;
	/* What it returns is ctxt->myDoc when well-formed; the owner frees the one in ctxt. */
	ctxt->myDoc = xmlCtxtReadMemory(ctxt, xml, (int)len, NULL, NULL,
					XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
	why = xmlCtxtGetLastError(ctxt);
	if (!ctxt->myDoc && (!why || !why->message))
		return pf_fail_plain(err, EBADMSG, "domain XML has a DOCTYPE, which is refused");
	if (!ctxt->myDoc)
		return pf_fail_plain(err, EBADMSG, "domain XML, line %d: %.*s", why->line,
				     (int)strcspn(why->message, "\n"), why->message);
	root = xmlDocGetRootElement(ctxt->myDoc);
	if (!root || !is_element(root, name))
		return pf_fail_plain(err, EBADMSG, "XML is not a <%s>", name);
	*out = root;
	return 0;
}

static int take_domain(struct parse *p, const xmlNode *domain, struct pf_err *err)
{
	int r = take_identity(p, domain, err);

	if (r < 0)
		return r;
	take_vcpu(p, domain);
	take_vcpus(p, domain);
	take_iothreads(p, domain);
	take_cputune(p, domain);
	take_cells(p, domain);
	take_numatune(p, domain);
	take_metadata(p, domain);
	if (p->failed)
		return pf_fail(err, p->failed, "read domain XML of %s", p->guest->name);
	return 0;
}

int pf_domain_xml_parse(const char *xml, struct pf_guest *out, struct pf_err *err)
{
	PF_CLEANUP(pf_guest_clear) struct pf_guest guest = {.source = PF_SOURCE_LIBVIRT};
	struct parse p = {.guest = &guest, .promise = &guest.promise};
	auto_ctxt ctxt = xmlNewParserCtxt();
	xmlNode *domain = NULL;
	int r;

	if (!ctxt)
		return pf_fail(err, ENOMEM, "read domain XML");
	r = read_document(ctxt, xml, "domain", &domain, err);
	if (r < 0)
		return r;
	r = take_domain(&p, domain, err);
	if (r < 0)
		return r;
	*out = guest;
	guest = (struct pf_guest){};
	return 0;
}

/* ---- libvirt's status file -------------------------------------------------------------- */

static int check_owner(const xmlNode *status, const struct pf_guest *guest, struct pf_err *err)
{
	xmlNode *node = child(child(status, "domain"), "uuid");
	auto_text *text = node ? xmlNodeGetContent(node) : NULL;
	char uuid[37];

	if (!text || !parse_uuid((const char *)text, uuid))
		return pf_fail_plain(err, EBADMSG, "libvirt's status file tells no <uuid>");
	if (strcmp(uuid, guest->uuid) != 0)
		return pf_fail_plain(err, ESTALE, "libvirt's status file is of guest %s, not of %s",
				     uuid, guest->uuid);
	return 0;
}

static void take_vcpu_tids(const xmlNode *status, struct pf_promise *promise)
{
	for (size_t i = 0; i < promise->vcpu_count; i++)
		promise->vcpus[i].tid = 0;
	for_each_child(node, child(status, "vcpus"), "vcpu")
	{
		auto_text *number = attribute(node, "id");
		auto_text *pid = attribute(node, "pid");
		unsigned int index, tid;

		if (!parse_unsigned(number, &index) || !parse_unsigned(pid, &tid) ||
		    tid > INT32_MAX)
			continue;
		for (size_t i = 0; i < promise->vcpu_count; i++)
			if (promise->vcpus[i].index == index)
				promise->vcpus[i].tid = (pid_t)tid;
	}
}

/* The XML says placement='auto' only; what numad chose at the start stands here alone. */
static void take_numad(const xmlNode *status, struct pf_promise *promise)
{
	xmlNode *numad = child(status, "numad");
	auto_text *nodeset = numad ? attribute(numad, "nodeset") : NULL;
	auto_text *cpuset = numad ? attribute(numad, "cpuset") : NULL;

	if (nodeset && promise->memory.automatic)
		promise->memory.nodes_known =
			pf_cpulist_parse((const char *)nodeset, &promise->memory.nodes) == 0;
	if (cpuset && promise->vcpu_automatic)
		promise->vcpu_default.set =
			pf_cpulist_parse((const char *)cpuset, &promise->vcpu_default.cpus) == 0;
}

int pf_domstatus_parse(const char *xml, struct pf_guest *guest, struct pf_err *err)
{
	auto_ctxt ctxt = xmlNewParserCtxt();
	auto_text *pid = NULL;
	xmlNode *status = NULL;
	unsigned int value;
	int r;

	if (!ctxt)
		return pf_fail(err, ENOMEM, "read libvirt's status file");
	r = read_document(ctxt, xml, "domstatus", &status, err);
	if (r < 0)
		return r;
	r = check_owner(status, guest, err);
	if (r < 0)
		return r;
	pid = attribute(status, "pid");
	if (!parse_unsigned(pid, &value) || value == 0 || value > INT32_MAX)
		return pf_fail_plain(err, EBADMSG, "libvirt's status file tells no process id");
	guest->pid = (pid_t)value;
	take_vcpu_tids(status, &guest->promise);
	take_numad(status, &guest->promise);
	return 0;
}
