/* SPDX-License-Identifier: GPL-2.0-or-later */
/* XML as a tree, with libxml2: the few things that the readers of libvirt's XML need of it. */
#pragma once

#include <libxml/parser.h>
#include <libxml/tree.h>
#include <stdbool.h>

#include "agent/base/cleanup.h"
#include "agent/base/err.h"

/* For auto_text and auto_ctxt; a NULL is fine, and the document in a context goes with it. */
void pf_xml_cleanup_text(xmlChar **text);
void pf_xml_cleanup_ctxt(xmlParserCtxtPtr *ctxt);

#define auto_text PF_CLEANUP(pf_xml_cleanup_text) xmlChar
#define auto_ctxt PF_CLEANUP(pf_xml_cleanup_ctxt) xmlParserCtxtPtr

/**
 * pf_xml_read - reads a document whose root element is a @name
 * @ctxt: a fresh one of xmlNewParserCtxt(); it owns the document
 * @out: the root, valid as long as @ctxt; untouched on failure
 *
 * Nothing is loaded, and a document type declaration is refused: there are no entities.
 *
 * Return: 0, or -EBADMSG with what is wrong and where.
 */
int pf_xml_read(xmlParserCtxtPtr ctxt, const char *xml, const char *name, xmlNode **out,
		struct pf_err *err);

bool pf_xml_is_element(const xmlNode *node, const char *name);

/* The first of @node and its following siblings with that name, or NULL. */
xmlNode *pf_xml_find(xmlNode *node, const char *name);

/* @parent's first child element with that name, or NULL; @parent may be NULL. */
xmlNode *pf_xml_child(const xmlNode *parent, const char *name);

#define for_each_child(node, parent, name)                                                         \
	for (xmlNode *node = pf_xml_child(parent, name); node;                                     \
	     node = pf_xml_find(node->next, name))

/* The attribute's text, owned by the caller, or NULL where there is none. */
xmlChar *pf_xml_attribute(const xmlNode *node, const char *name);

/* @text may be NULL, which is no word. */
bool pf_xml_text_is(const xmlChar *text, const char *word);

#define QUOTE_MAX 64

/*
 * A value as it may stand in a sentence: at most QUOTE_MAX - 1 bytes, no control characters, cut
 * only between the characters of UTF-8, which libxml2 guarantees the text to be. Return: @buf.
 */
const char *pf_xml_quote(const void *text, char buf[QUOTE_MAX]);
