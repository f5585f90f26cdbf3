// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/base/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <errno.h>
#include <stdlib.h>

static int max_level = LOG_INFO;

void pf_log_set_level(int level)
{
	max_level = level;
}

void pf_log(int level, const char *fmt, ...)
{
	/* systemd sets JOURNAL_STREAM for a service whose standard error is the journal. */
	bool journal = getenv("JOURNAL_STREAM") != NULL;
	char text[2048];
	va_list ap;

	if (level > max_level)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (journal)
		fprintf(stderr, "<%d>%s\n", level, text);
	else
		fprintf(stderr, "%s: %s\n", program_invocation_short_name, text);
}
