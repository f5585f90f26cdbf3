// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/source/xml.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

void pf_xml_cleanup_text(xmlChar **text)
{
	if (*text)
		xmlFree(*text);
}

void pf_xml_cleanup_ctxt(xmlParserCtxtPtr *ctxt)
{
	if (!*ctxt)
		return;
	if ((*ctxt)->myDoc)
		xmlFreeDoc((*ctxt)->myDoc);
	xmlFreeParserCtxt(*ctxt);
}

bool pf_xml_is_element(const xmlNode *node, const char *name)
{
	return node->type == XML_ELEMENT_NODE && xmlStrEqual(node->name, (const xmlChar *)name);
}

xmlNode *pf_xml_find(xmlNode *node, const char *name)
{
	while (node && !pf_xml_is_element(node, name))
		node = node->next;
	return node;
}

xmlNode *pf_xml_child(const xmlNode *parent, const char *name)
{
	return parent ? pf_xml_find(parent->children, name) : NULL;
}

xmlChar *pf_xml_attribute(const xmlNode *node, const char *name)
{
	return xmlGetNoNsProp(node, (const xmlChar *)name);
}

bool pf_xml_text_is(const xmlChar *text, const char *word)
{
	return text && strcmp((const char *)text, word) == 0;
}

const char *pf_xml_quote(const void *text, char buf[QUOTE_MAX])
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

int pf_xml_read(xmlParserCtxtPtr ctxt, const char *xml, const char *name, xmlNode **out,
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
	if (!root || !pf_xml_is_element(root, name))
		return pf_fail_plain(err, EBADMSG, "XML is not a <%s>", name);
	*out = root;
	return 0;
}
