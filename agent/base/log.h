/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The log of the two binaries: one line an entry on standard error, in sd-daemon(3)'s prefix
 * form when the journal reads it, plain otherwise. Only daemon/ and cli/ call it.
 */
#pragma once

#include <syslog.h>

/* LOG_ERR .. LOG_DEBUG from <syslog.h>; entries above @level are dropped. Default LOG_INFO. */
void pf_log_set_level(int level);

void pf_log(int level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
