/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A finding: one sentence about one guest that an operator should read. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum pf_severity {
	PF_FINDING_NOTE,       /* worth knowing; every promise is kept */
	PF_FINDING_IMPOSSIBLE, /* a promise that cannot be kept, with the reason */
};

struct pf_finding {
	enum pf_severity severity;
	char *text;
};

struct pf_findings {
	struct pf_finding *items;
	size_t count;
};

/* Adds a sentence; one that already stands there is not added twice. Return: 0 or -ENOMEM. */
int pf_findings_add(struct pf_findings *findings, enum pf_severity severity, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

int pf_findings_copy(struct pf_findings *to, const struct pf_findings *from);

/* The first sentence of that severity, or NULL. */
const char *pf_findings_first(const struct pf_findings *findings, enum pf_severity severity);

void pf_findings_clear(struct pf_findings *findings);
