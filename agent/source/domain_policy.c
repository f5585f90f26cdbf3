// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/source/domain_parse.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define POLICY_URI "urn:pinfold:policy:1"
#define POLICY_URI_STEM "urn:pinfold:"

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

static void take_policy_attribute(struct pf_guest_policy *policy, const xmlAttr *attr,
				  const char *value, struct faults *faults)
{
	const char *name = (const char *)attr->name;
	char shown[QUOTE_MAX], shown_name[QUOTE_MAX];

	if (attr->ns || (strcmp(name, "mode") != 0 && strcmp(name, "isolation") != 0 &&
			 strcmp(name, "unpinned") != 0)) {
		fault(faults, "attribute '%s' is unknown", pf_xml_quote(name, shown_name));
	} else if (strcmp(name, "mode") == 0) {
		policy->has_mode = pf_mode_parse(value, &policy->mode);
		if (!policy->has_mode)
			fault(faults, "mode='%s' is none of observe, enforce and guard",
			      pf_xml_quote(value, shown));
	} else if (strcmp(name, "isolation") == 0) {
		policy->has_isolation = pf_isolation_parse(value, &policy->isolation);
		if (!policy->has_isolation)
			fault(faults,
			      "isolation='%s' is none of shared, dedicated and "
			      "dedicated-cores",
			      pf_xml_quote(value, shown));
	} else {
		policy->has_unpinned = pf_unpinned_parse(value, &policy->unpinned);
		if (!policy->has_unpinned)
			fault(faults, "unpinned='%s' is neither float nor follow-memory",
			      pf_xml_quote(value, shown));
	}
}

/* Elements and text inside the policy: this version knows none. */
static void check_policy_content(const xmlNode *node, struct faults *faults)
{
	char shown[QUOTE_MAX];

	for (const xmlNode *item = node->children; item; item = item->next) {
		if (item->type == XML_ELEMENT_NODE)
			fault(faults, "element <%s> is unknown", pf_xml_quote(item->name, shown));
		else if ((item->type == XML_TEXT_NODE || item->type == XML_CDATA_SECTION_NODE) &&
			 !xmlIsBlankNode(item))
			fault(faults, "text '%s' has no meaning",
			      pf_xml_quote(item->content, shown));
	}
}

static void take_policy(struct pf_domain *p, const xmlNode *node)
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

void pf_domain_take_policy(struct pf_domain *p, const xmlNode *domain)
{
	xmlNode *metadata = pf_xml_child(domain, "metadata");
	const xmlNode *policy = NULL;
	char name[QUOTE_MAX], uri[QUOTE_MAX];
	unsigned int policies = 0;

	for (xmlNode *node = metadata ? metadata->children : NULL; node; node = node->next) {
		const char *href = our_namespace(node);

		if (!href)
			continue;
		if (strcmp(href, POLICY_URI) == 0 && pf_xml_is_element(node, "policy")) {
			policy = node;
			policies++;
		} else {
			note(p,
			     "<%s xmlns='%s'> in <metadata> is unknown; it is ignored (a policy is "
			     "<policy xmlns='" POLICY_URI "'>)",
			     pf_xml_quote(node->name, name), pf_xml_quote(href, uri));
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
