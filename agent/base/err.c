// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void fill(struct pf_err *err, int code, const char *fmt, va_list ap)
{
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	err->code = -abs(code);
}

int pf_fail(struct pf_err *err, int code, const char *fmt, ...)
{
	va_list ap;
	size_t len;

	if (!err)
		return -abs(code);
	va_start(ap, fmt);
	fill(err, code, fmt, ap);
	va_end(ap);
	len = strlen(err->text);
	snprintf(err->text + len, sizeof(err->text) - len, ": %s", strerrordesc_np(abs(code)) ?: "unknown error");
	return err->code;
}

int pf_fail_plain(struct pf_err *err, int code, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return -abs(code);
	va_start(ap, fmt);
	fill(err, code, fmt, ap);
	va_end(ap);
	return err->code;
}

int pf_wrap(struct pf_err *err, const char *fmt, ...)
{
	char inner[sizeof(err->text)];
	va_list ap;
	size_t len;

	if (!err)
		return -5; /* EIO: the caller kept no words */
	memcpy(inner, err->text, sizeof(inner));
	va_start(ap, fmt);
	fill(err, err->code, fmt, ap);
	va_end(ap);
	len = strlen(err->text);
	snprintf(err->text + len, sizeof(err->text) - len, ": %s", inner);
	return err->code;
}
