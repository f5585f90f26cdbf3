// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/source/domain_xml.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/cleanup.h"
#include "agent/source/domain_parse.h"
#include "agent/source/domain_value.h"

/* ---- what the sections share -------------------------------------------------------------- */

void pf_domain_found(struct pf_domain *p, enum pf_severity severity, const char *fmt, ...)
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

bool pf_domain_take_list(struct pf_domain *p, const xmlNode *node, const char *name,
			 const char *what, struct pf_set *out)
{
	auto_text *text = pf_xml_attribute(node, name);
	char shown[QUOTE_MAX];
	int r;

	if (!text) {
		impossible(p, "%s has no %s; it is left out", what, name);
		return false;
	}
	r = pf_cpulist_parse((const char *)text, out);
	if (r == -ERANGE)
		impossible(p, "%s: %s='%s' has a member beyond %d; it is left out", what, name,
			   pf_xml_quote(text, shown), PF_SET_BITS - 1);
	else if (r < 0)
		impossible(p,
			   "%s: %s='%s' is not a list with at least one member, such as 1-4,^3; "
			   "it is left out",
			   what, name, pf_xml_quote(text, shown));
	return r == 0;
}

void pf_domain_take_pin(struct pf_domain *p, const xmlNode *node, const char *what,
			struct pf_pin *pin)
{
	if (pin->set) {
		impossible(p, "%s stands twice; the first one counts", what);
		return;
	}
	pin->set = pf_domain_take_list(p, node, "cpuset", what, &pin->cpus);
	pin->unreadable = !pin->set;
}

/* ---- <uuid>, <name> --------------------------------------------------------------------- */

static int take_identity(struct pf_domain *p, const xmlNode *domain, struct pf_err *err)
{
	xmlNode *uuid_node = pf_xml_child(domain, "uuid"),
		*name_node = pf_xml_child(domain, "name");
	auto_text *uuid = uuid_node ? xmlNodeGetContent(uuid_node) : NULL;
	auto_text *name = name_node ? xmlNodeGetContent(name_node) : NULL;
	char shown[QUOTE_MAX];

	if (!name || !*name)
		return pf_fail_plain(err, EBADMSG, "domain XML has no <name>");
	if (!uuid)
		return pf_fail_plain(err, EBADMSG, "domain XML of '%s' has no <uuid>",
				     pf_xml_quote(name, shown));
	if (!pf_value_uuid((const char *)uuid, p->guest->uuid))
		return pf_fail_plain(err, EBADMSG, "domain XML: <uuid> '%s' is not a UUID",
				     pf_xml_quote(uuid, shown));
	p->guest->name = strdup((const char *)name);
	if (!p->guest->name)
		return pf_fail(err, ENOMEM, "read domain XML");
	return 0;
}

/* ---- where libvirt put it ----------------------------------------------------------------- */

/* <domain id> and <resource><partition>, which libvirt adds to a guest that it made a group for. */
static void take_place(struct pf_domain *p, const xmlNode *domain)
{
	const xmlNode *node = pf_xml_child(pf_xml_child(domain, "resource"), "partition");
	auto_text *partition = node ? xmlNodeGetContent(node) : NULL;
	auto_text *id = pf_xml_attribute(domain, "id");
	char *end = NULL;
	long number = id ? strtol((const char *)id, &end, 10) : 0;

	if (id && !*end && number > 0 && number <= INT_MAX)
		p->guest->id = (int)number;
	if (!partition || *partition != '/')
		return;
	p->guest->partition = strdup((const char *)partition);
	if (!p->guest->partition)
		p->failed = -ENOMEM;
}

/* ---- the whole -------------------------------------------------------------------------- */

static int take_domain(struct pf_domain *p, const xmlNode *domain, struct pf_err *err)
{
	int r = take_identity(p, domain, err);

	if (r < 0)
		return r;
	take_place(p, domain);
	pf_domain_take_cpus(p, domain);
	pf_domain_take_numa(p, domain);
	pf_domain_take_policy(p, domain);
	if (p->failed)
		return pf_fail(err, p->failed, "read domain XML of %s", p->guest->name);
	return 0;
}

int pf_domain_xml_parse(const char *xml, struct pf_guest *out, struct pf_err *err)
{
	PF_CLEANUP(pf_guest_clear) struct pf_guest guest = {.source = PF_SOURCE_LIBVIRT};
	struct pf_domain p = {.guest = &guest, .promise = &guest.promise};
	auto_ctxt ctxt = xmlNewParserCtxt();
	xmlNode *domain = NULL;
	int r;

	if (!ctxt)
		return pf_fail(err, ENOMEM, "read domain XML");
	r = pf_xml_read(ctxt, xml, "domain", &domain, err);
	if (r < 0)
		return r;
	r = take_domain(&p, domain, err);
	if (r < 0)
		return r;
	*out = guest;
	guest = (struct pf_guest){};
	return 0;
}
