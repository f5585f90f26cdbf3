// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/model/finding.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/array.h"
#include "agent/base/cleanup.h"

static int add_text(struct pf_findings *findings, enum pf_severity severity, char **text)
{
	struct pf_finding *finding;

	for (size_t i = 0; i < findings->count; i++)
		if (strcmp(findings->items[i].text, *text) == 0)
			return 0;
	finding = pf_append(&findings->items, &findings->count);
	if (!finding)
		return -ENOMEM;
	finding->severity = severity;
	finding->text = pf_take_ptr(*text);
	return 0;
}

int pf_findings_add(struct pf_findings *findings, enum pf_severity severity, const char *fmt, ...)
{
	pf_auto_free char *text = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0) {
		text = NULL;
		return -ENOMEM;
	}
	return add_text(findings, severity, &text);
}

int pf_findings_copy(struct pf_findings *to, const struct pf_findings *from)
{
	for (size_t i = 0; i < from->count; i++) {
		int r = pf_findings_add(to, from->items[i].severity, "%s", from->items[i].text);

		if (r < 0)
			return r;
	}
	return 0;
}

const char *pf_findings_first(const struct pf_findings *findings, enum pf_severity severity)
{
	for (size_t i = 0; i < findings->count; i++)
		if (findings->items[i].severity == severity)
			return findings->items[i].text;
	return NULL;
}

void pf_findings_clear(struct pf_findings *findings)
{
	for (size_t i = 0; i < findings->count; i++)
		free(findings->items[i].text);
	free(findings->items);
	*findings = (struct pf_findings){};
}
