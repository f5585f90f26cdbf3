/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether the record is whole: docs/audit-schema.md says what that proves and what it doesn't. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/base/err.h"

struct pf_verdict {
	bool intact;
	uint64_t first;     /* seq of the oldest record; 0: there is none */
	uint64_t head;      /* of the newest */
	uint64_t count;     /* records that were looked at */
	char head_hash[65]; /* the newest one's hash: what a copy elsewhere can be compared with */
	uint64_t wrong;     /* seq of the first record that is not as it was written */
	char text[512];     /* what is wrong with it */
};

/**
 * pf_audit_verify - walks the whole chain of @path, beside its writer if there is one
 *
 * Return: 0 with a verdict; -ENOENT when there is no such file; -EBADMSG when SQLite can't read
 * it; else the errno.
 */
int pf_audit_verify(const char *path, struct pf_verdict *out, struct pf_err *err);
