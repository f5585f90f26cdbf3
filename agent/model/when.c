// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/model/when.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NS_PER_SEC UINT64_C(1000000000)

char *pf_when_format(uint64_t wall_ns, char buf[PF_WHEN_TEXT_MAX])
{
	time_t seconds = (time_t)(wall_ns / NS_PER_SEC);
	struct tm tm;
	size_t len;

	gmtime_r(&seconds, &tm);
	len = strftime(buf, PF_WHEN_TEXT_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buf + len, PF_WHEN_TEXT_MAX - len, ".%09" PRIu64 "Z", wall_ns % NS_PER_SEC);
	return buf;
}

/* Exactly @digits digits at *@text, which moves behind them. */
static bool take_digits(const char **text, int digits, int *out)
{
	int value = 0;

	for (int i = 0; i < digits; i++) {
		if (!isdigit((unsigned char)(*text)[i]))
			return false;
		value = value * 10 + (*text)[i] - '0';
	}
	*text += digits;
	*out = value;
	return true;
}

static bool take_char(const char **text, const char *any)
{
	if (!**text || !strchr(any, **text))
		return false;
	(*text)++;
	return true;
}

/* ".123": up to nine digits count, more are read and dropped. */
static bool take_fraction(const char **text, uint64_t *ns)
{
	uint64_t place = NS_PER_SEC / 10;

	*ns = 0;
	if (!take_char(text, "."))
		return true;
	if (!isdigit((unsigned char)**text))
		return false;
	for (; isdigit((unsigned char)**text); (*text)++, place /= 10)
		*ns += (uint64_t)(**text - '0') * place;
	return true;
}

/* "00:40", "00:40:03.5" */
static bool take_clock(const char **text, struct tm *tm, uint64_t *ns)
{
	*ns = 0;
	tm->tm_sec = 0;
	if (!take_digits(text, 2, &tm->tm_hour) || !take_char(text, ":") ||
	    !take_digits(text, 2, &tm->tm_min))
		return false;
	if (take_char(text, ":") &&
	    (!take_digits(text, 2, &tm->tm_sec) || !take_fraction(text, ns)))
		return false;
	return tm->tm_hour < 24 && tm->tm_min < 60 && tm->tm_sec <= 60;
}

static bool take_date(const char **text, struct tm *tm)
{
	if (!take_digits(text, 4, &tm->tm_year) || !take_char(text, "-") ||
	    !take_digits(text, 2, &tm->tm_mon) || !take_char(text, "-") ||
	    !take_digits(text, 2, &tm->tm_mday))
		return false;
	tm->tm_year -= 1900;
	tm->tm_mon -= 1;
	return tm->tm_year >= 70 && tm->tm_mon >= 0 && tm->tm_mon < 12 && tm->tm_mday >= 1 &&
	       tm->tm_mday <= 31;
}

/* "Z", "+01:00", or nothing for the local zone; then the end. Return: seconds since the epoch. */
static bool take_zone(const char **text, struct tm *tm, time_t *out)
{
	int sign = **text == '-' ? -1 : 1, hours = 0, minutes = 0;

	tm->tm_isdst = -1;
	if (!**text) {
		*out = mktime(tm);
		return *out >= 0;
	}
	if (!take_char(text, "Zz")) {
		if (!take_char(text, "+-") || !take_digits(text, 2, &hours) ||
		    !take_char(text, ":") || !take_digits(text, 2, &minutes))
			return false;
	}
	*out = timegm(tm) - sign * (hours * 3600 + minutes * 60);
	return !**text && *out >= 0;
}

static struct tm local_day(uint64_t now_ns, int days)
{
	time_t now = (time_t)(now_ns / NS_PER_SEC);
	struct tm tm;

	localtime_r(&now, &tm);
	tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
	tm.tm_mday += days;
	tm.tm_isdst = -1;
	return tm;
}

static bool parse_word(const char *text, uint64_t now_ns, uint64_t *out)
{
	struct tm tm;

	if (strcmp(text, "now") == 0) {
		*out = now_ns;
		return true;
	}
	if (strcmp(text, "today") != 0 && strcmp(text, "yesterday") != 0)
		return false;
	tm = local_day(now_ns, *text == 'y' ? -1 : 0);
	*out = (uint64_t)mktime(&tm) * NS_PER_SEC;
	return true;
}

static uint64_t unit_seconds(const char *unit)
{
	static const struct {
		const char *name;
		uint64_t seconds;
	} units[] = {
		{"", 1},          {"s", 1},          {"sec", 1},      {"m", 60},
		{"min", 60},      {"h", 3600},       {"hour", 3600},  {"hours", 3600},
		{"d", 86400},     {"day", 86400},    {"days", 86400}, {"w", 604800},
		{"week", 604800}, {"weeks", 604800},
	};

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (strcmp(units[i].name, unit) == 0)
			return units[i].seconds;
	return 0;
}

/* "-2h", "+30s" */
static bool parse_relative(const char *text, uint64_t now_ns, uint64_t *out)
{
	bool back = *text == '-';
	uint64_t count, unit, span;
	char *end;

	if ((*text != '-' && *text != '+') || !isdigit((unsigned char)text[1]))
		return false;
	errno = 0;
	count = strtoull(text + 1, &end, 10);
	unit = unit_seconds(end);
	if (errno || !unit || __builtin_mul_overflow(count, unit * NS_PER_SEC, &span))
		return false;
	if (back) {
		*out = span > now_ns ? 0 : now_ns - span;
		return true;
	}
	return !__builtin_add_overflow(now_ns, span, out);
}

static bool parse_epoch(const char *text, uint64_t *out)
{
	uint64_t seconds, ns;
	char *end;

	if (text[0] != '@' || !isdigit((unsigned char)text[1]))
		return false;
	errno = 0;
	seconds = strtoull(text + 1, &end, 10);
	text = end;
	return !errno && seconds <= INT64_MAX / NS_PER_SEC - 1 && take_fraction(&text, &ns) &&
	       !*text && !__builtin_add_overflow(seconds * NS_PER_SEC, ns, out);
}

static bool parse_absolute(const char *text, uint64_t now_ns, uint64_t *out)
{
	struct tm tm = local_day(now_ns, 0);
	const char *rest = text;
	uint64_t ns = 0;
	time_t seconds;

	if (!take_clock(&rest, &tm, &ns) || *rest) {
		rest = text;
		tm = (struct tm){};
		ns = 0;
		if (!take_date(&rest, &tm))
			return false;
		if (*rest && (!take_char(&rest, "Tt ") || !take_clock(&rest, &tm, &ns)))
			return false;
	}
	if (!take_zone(&rest, &tm, &seconds))
		return false;
	*out = (uint64_t)seconds * NS_PER_SEC + ns;
	return true;
}

int pf_when_parse(const char *text, uint64_t now_ns, uint64_t *out)
{
	if (parse_word(text, now_ns, out) || parse_relative(text, now_ns, out) ||
	    parse_epoch(text, out) || parse_absolute(text, now_ns, out))
		return 0;
	return -EINVAL;
}
