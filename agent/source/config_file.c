// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/source/config_file.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>
#include <syslog.h>

#include "agent/base/array.h"
#include "agent/base/cleanup.h"

#define USEC_PER_SEC UINT64_C(1000000)
#define SOCKET_PATH_MAX (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)

/* ---- time ------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	uint64_t usec;
} units[] = {
	{"us", 1},
	{"usec", 1},
	{"µs", 1},
	{"ms", 1000},
	{"msec", 1000},
	{"s", USEC_PER_SEC},
	{"sec", USEC_PER_SEC},
	{"second", USEC_PER_SEC},
	{"seconds", USEC_PER_SEC},
	{"m", 60 * USEC_PER_SEC},
	{"min", 60 * USEC_PER_SEC},
	{"minute", 60 * USEC_PER_SEC},
	{"minutes", 60 * USEC_PER_SEC},
	{"h", 3600 * USEC_PER_SEC},
	{"hr", 3600 * USEC_PER_SEC},
	{"hour", 3600 * USEC_PER_SEC},
	{"hours", 3600 * USEC_PER_SEC},
	{"d", 86400 * USEC_PER_SEC},
	{"day", 86400 * USEC_PER_SEC},
	{"days", 86400 * USEC_PER_SEC},
};

/* Reads the unit at *@text, seconds where there is none, and moves *@text behind it. */
static int parse_unit(const char **text, uint64_t *out)
{
	size_t len = 0;

	while (isalpha((unsigned char)(*text)[len]) || (unsigned char)(*text)[len] >= 0x80)
		len++;
	if (len == 0) {
		*out = USEC_PER_SEC;
		return 0;
	}
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strlen(units[i].name) == len && strncmp(units[i].name, *text, len) == 0) {
			*text += len;
			*out = units[i].usec;
			return 0;
		}
	}
	return -EINVAL;
}

/* The digits behind a decimal point, in millionths; moves *@text behind them. */
static uint64_t parse_fraction(const char **text)
{
	uint64_t millionths = 0, place = 100000;

	while (isdigit((unsigned char)**text)) {
		millionths += (uint64_t)(**text - '0') * place;
		place /= 10;
		(*text)++;
	}
	return millionths;
}

/* One "1.5h"; adds it to *@total. */
static int parse_term(const char **text, uint64_t *total)
{
	uint64_t whole = 0, millionths = 0, unit, usec;
	char *end;
	int r;

	if (!isdigit((unsigned char)**text))
		return -EINVAL;
	errno = 0;
	whole = strtoull(*text, &end, 10);
	if (errno)
		return -ERANGE;
	*text = end;
	if (**text == '.') {
		(*text)++;
		millionths = parse_fraction(text);
	}
	while (**text == ' ' || **text == '\t')
		(*text)++;
	r = parse_unit(text, &unit);
	if (r < 0)
		return r;
	if (__builtin_mul_overflow(whole, unit, &usec) ||
	    __builtin_add_overflow(usec, millionths * (unit / 1000) / 1000, &usec) ||
	    __builtin_add_overflow(*total, usec, total))
		return -ERANGE;
	return 0;
}

int pf_time_parse(const char *text, uint64_t *out)
{
	uint64_t total = 0;
	int r;

	do {
		while (*text == ' ' || *text == '\t')
			text++;
		r = parse_term(&text, &total);
		if (r < 0)
			return r;
		while (*text == ' ' || *text == '\t')
			text++;
	} while (*text);
	*out = total;
	return 0;
}

/* ---- size ------------------------------------------------------------------------------- */

int pf_size_parse(const char *text, uint64_t *out)
{
	static const char suffixes[] = "KMGT"; /* of 1024, as systemd's */
	unsigned long long size;
	const char *suffix;
	unsigned int shift;
	char *end;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	size = strtoull(text, &end, 10);
	if (errno)
		return -ERANGE;
	if (*end) {
		suffix = strchr(suffixes, *end);
		if (!suffix || end[1])
			return -EINVAL;
		shift = 10 * (unsigned int)(suffix - suffixes + 1);
		if (size > UINT64_MAX >> shift)
			return -ERANGE;
		size <<= shift;
	}
	*out = size;
	return 0;
}

/* ---- the keys --------------------------------------------------------------------------- */

/* A setter says in @why what is allowed, and returns false, when it does not take @value. */
#define WHY_MAX 200
typedef bool (*setter)(struct pf_config *config, const char *value, char why[WHY_MAX]);

static bool refuse(char why[WHY_MAX], const char *allowed)
{
	snprintf(why, WHY_MAX, "%s", allowed);
	return false;
}

static bool set_mode(struct pf_config *config, const char *value, char why[WHY_MAX])
{
	return pf_mode_parse(value, &config->mode) || refuse(why, "observe, enforce or guard");
}

static bool set_isolation(struct pf_config *config, const char *value, char why[WHY_MAX])
{
	return pf_isolation_parse(value, &config->isolation) ||
	       refuse(why, "shared, dedicated or dedicated-cores");
}

static bool set_unpinned(struct pf_config *config, const char *value, char why[WHY_MAX])
{
	return pf_unpinned_parse(value, &config->unpinned) || refuse(why, "float or follow-memory");
}

static bool set_shares_scale(struct pf_config *config, const char *value, char why[WHY_MAX])
{
	return pf_shares_scale_parse(value, &config->shares_scale) || refuse(why, "libvirt or v1");
}

static bool time_between(const char *value, uint64_t min, uint64_t max, uint64_t *out)
{
	uint64_t usec;

	if (pf_time_parse(value, &usec) < 0 || usec < min || usec > max)
		return false;
	*out = usec;
	return true;
}

static bool set_interval(struct pf_config *config, const char *value, char why[WHY_MAX])
{
	return time_between(value, USEC_PER_SEC / 10, 3600 * USEC_PER_SEC,
			    &config->interval_usec) ||
	       refuse(why, "a time from 100ms to 1h, such as 2s or 500ms");
}

static bool set_sweep(struct pf_config *config, const char *value, char why[WHY_MAX])
{
	return time_between(value, USEC_PER_SEC, 24 * 3600 * USEC_PER_SEC, &config->sweep_usec) ||
	       refuse(why, "a time from 1s to 24h, such as 10min");
}

static bool set_timeout(struct pf_config *config, const char *value, char why[WHY_MAX])
{
	return time_between(value, 0, 60 * USEC_PER_SEC, &config->libvirt_timeout_usec) ||
	       refuse(why, "a time from 0 to 1min, such as 1s or 500ms");
}

static bool set_log_level(struct pf_config *config, const char *value, char why[WHY_MAX])
{
	static const char *const names[] = {"emerg",   "alert",  "crit", "err",
					    "warning", "notice", "info", "debug"};

	for (int level = LOG_EMERG; level <= LOG_DEBUG; level++) {
		if (strcmp(names[level], value) == 0 ||
		    (value[0] == '0' + level && value[1] == '\0')) {
			config->log_level = level;
			return true;
		}
	}
	return refuse(why, "emerg, alert, crit, err, warning, notice, info, debug or 0 to 7");
}

static bool set_text(char **field, const char *value, char why[WHY_MAX])
{
	char *copy = strdup(value);

	if (!copy)
		return refuse(why, "something for which there is memory");
	free(*field);
	*field = copy;
	return true;
}

static bool set_path(char **field, const char *value, char why[WHY_MAX])
{
	if (value[0] != '/')
		return refuse(why, "an absolute path");
	return set_text(field, value, why);
}

static bool set_agent_state_dir(struct pf_config *config, const char *value, char why[WHY_MAX])
{
	return set_path(&config->state_dir, value, why);
}

static bool set_pin_path(struct pf_config *config, const char *value, char why[WHY_MAX])
{
	return set_path(&config->pin_path, value, why);
}

static bool set_when_dead(struct pf_config *config, const char *value, char why[WHY_MAX])
{
	return pf_when_dead_parse(value, &config->when_dead) || refuse(why, "stay or lift");
}

static bool set_allow(struct pf_config *config, const char *value, char why[WHY_MAX])
{
	for (const char *word = value; *word; word += strcspn(word, " \t")) {
		word += strspn(word, " \t");
		if (*word && *word != '/')
			return refuse(why, "absolute paths of executables");
	}
	return set_text(&config->guard_allow, value, why);
}

static bool set_libvirt_state_dir(struct pf_config *config, const char *value, char why[WHY_MAX])
{
	return set_path(&config->libvirt_state_dir, value, why);
}

static bool set_uri(struct pf_config *config, const char *value, char why[WHY_MAX])
{
	if (!strchr(value, ':'))
		return refuse(why, "a libvirt URI such as qemu:///system");
	return set_text(&config->uri, value, why);
}

static bool set_socket(struct pf_config *config, const char *value, char why[WHY_MAX])
{
	if (value[0] != '/' || strlen(value) > SOCKET_PATH_MAX) {
		snprintf(why, WHY_MAX, "an absolute path of at most %zu bytes", SOCKET_PATH_MAX);
		return false;
	}
	return set_text(&config->socket, value, why);
}

static bool set_group(struct pf_config *config, const char *value, char why[WHY_MAX])
{
	if (!*value || strpbrk(value, " \t/:"))
		return refuse(why, "the name of a group (root for nobody else)");
	return set_text(&config->socket_group, value, why);
}

static bool set_bool(bool *field, const char *value, char why[WHY_MAX])
{
	static const char *const yes[] = {"1", "yes", "y", "true", "t", "on"};
	static const char *const no[] = {"0", "no", "n", "false", "f", "off"};

	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
		if (strcasecmp(value, yes[i]) == 0 || strcasecmp(value, no[i]) == 0) {
			*field = strcasecmp(value, yes[i]) == 0;
			return true;
		}
	}
	return refuse(why, "yes or no");
}

static bool set_others_read(struct pf_config *config, const char *value, char why[WHY_MAX])
{
	return set_bool(&config->others_read, value, why);
}

static bool set_audit_path(struct pf_config *config, const char *value, char why[WHY_MAX])
{
	return set_path(&config->audit_path, value, why);
}

static bool set_max_age(struct pf_config *config, const char *value, char why[WHY_MAX])
{
	if (strcmp(value, "0") == 0) {
		config->audit_max_age_usec = 0;
		return true;
	}
	return time_between(value, 60 * USEC_PER_SEC, UINT64_C(36500) * 86400 * USEC_PER_SEC,
			    &config->audit_max_age_usec) ||
	       refuse(why, "a time from 1min to 36500d, such as 90d, or 0 to keep all");
}

static bool set_max_size(struct pf_config *config, const char *value, char why[WHY_MAX])
{
	uint64_t size;

	if (pf_size_parse(value, &size) < 0 || size < (1 << 20))
		return refuse(why, "a size of at least 1M, such as 500M or 1G");
	config->audit_max_size_bytes = size;
	return true;
}

static bool set_journal(struct pf_config *config, const char *value, char why[WHY_MAX])
{
	return set_bool(&config->audit_journal, value, why);
}

static const struct key {
	const char *section;
	const char *name;
	setter set;
} keys[] = {
	{"defaults", "mode", set_mode},
	{"defaults", "isolation", set_isolation},
	{"defaults", "unpinned", set_unpinned},
	{"defaults", "shares-scale", set_shares_scale},
	{"agent", "interval", set_interval},
	{"agent", "sweep", set_sweep},
	{"agent", "state-dir", set_agent_state_dir},
	{"agent", "pin-path", set_pin_path},
	{"agent", "log-level", set_log_level},
	{"guard", "when-dead", set_when_dead},
	{"guard", "allow", set_allow},
	{"libvirt", "uri", set_uri},
	{"libvirt", "state-dir", set_libvirt_state_dir},
	{"libvirt", "timeout", set_timeout},
	{"api", "socket", set_socket},
	{"api", "group", set_group},
	{"api", "others-read", set_others_read},
	{"audit", "path", set_audit_path},
	{"audit", "max-age", set_max_age},
	{"audit", "max-size", set_max_size},
	{"audit", "journal", set_journal},
};

#define KEY_COUNT (sizeof(keys) / sizeof(keys[0]))

static void append(char *buf, size_t size, const char *word)
{
	size_t len = strlen(buf);

	snprintf(buf + len, size - len, "%s%s", len ? ", " : "", word);
}

/* All sections, or all keys of @section: what an error message offers instead. */
static void list_known(const char *section, char *buf, size_t size)
{
	buf[0] = '\0';
	for (size_t i = 0; i < KEY_COUNT; i++) {
		if (section && strcmp(keys[i].section, section) == 0)
			append(buf, size, keys[i].name);
		if (!section && (i == 0 || strcmp(keys[i].section, keys[i - 1].section) != 0))
			append(buf, size, keys[i].section);
	}
}

static bool section_known(const char *section)
{
	for (size_t i = 0; i < KEY_COUNT; i++)
		if (strcmp(keys[i].section, section) == 0)
			return true;
	return false;
}

/* ---- one file --------------------------------------------------------------------------- */

/*
 * inih as distributions build it tells its handler no line number and nothing of a section
 * without keys, and cuts long lines in two. The reader therefore counts lines itself and looks at
 * each one first.
 */
struct reading {
	const char *path;
	FILE *file;
	unsigned int line;
	struct pf_config *config;
	struct pf_err *err;
	int failed;                   /* the first failure, already in err */
	unsigned int seen[KEY_COUNT]; /* the line where each key stood in this file, or 0 */
};

static int fail_at(struct reading *in, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Keeps the first failure only. Return: 0, what an inih handler returns for "no". */
static int fail_at(struct reading *in, const char *fmt, ...)
{
	char words[400];
	va_list ap;

	if (in->failed)
		return 0;
	va_start(ap, fmt);
	vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	in->failed = pf_fail_plain(in->err, EINVAL, "%s:%u: %s", in->path, in->line, words);
	return 0;
}

static void check_section(struct reading *in, const char *line)
{
	size_t len = strcspn(line + 1, "]");
	char name[50], known[WHY_MAX];

	if (line[1 + len] != ']') {
		fail_at(in, "a section is written [NAME]");
		return;
	}
	snprintf(name, sizeof(name), "%.*s", (int)len, line + 1);
	if (section_known(name))
		return;
	list_known(NULL, known, sizeof(known));
	fail_at(in, "unknown section [%s]; there are %s", name, known);
}

/* An ini_reader. Leading white space goes, since inih would take it for a continued value. */
static char *read_line(char *buf, int size, void *stream)
{
	struct reading *in = stream;
	size_t blank, len;

	if (in->failed || !fgets(buf, size, in->file))
		return NULL;
	in->line++;
	len = strlen(buf);
	if (len == 0 || (buf[len - 1] != '\n' && !feof(in->file))) {
		fail_at(in, "a line may have %d characters and no NUL", size - 2);
		return NULL;
	}
	blank = strspn(buf, " \t\r\n");
	memmove(buf, buf + blank, len - blank + 1);
	if (buf[0] == '[')
		check_section(in, buf);
	return in->failed ? NULL : buf;
}

static int fail_unknown(struct reading *in, const char *section, const char *name)
{
	char known[WHY_MAX];

	list_known(section, known, sizeof(known));
	return fail_at(in, "[%s] has no key '%s'; there are %s", section, name, known);
}

/* An ini_handler. */
static int take_key(void *user, const char *section, const char *name, const char *value)
{
	struct reading *in = user;
	char why[WHY_MAX];
	size_t i = 0;

	if (!*section)
		return fail_at(in, "'%s' stands before the first [section]", name);
	while (i < KEY_COUNT &&
	       (strcmp(keys[i].section, section) != 0 || strcmp(keys[i].name, name) != 0))
		i++;
	if (i == KEY_COUNT)
		return fail_unknown(in, section, name);
	if (in->seen[i])
		return fail_at(in, "'%s' stands in line %u already", name, in->seen[i]);
	in->seen[i] = in->line;
	if (!keys[i].set(in->config, value, why))
		return fail_at(in, "%s = '%s': allowed is %s", name, value, why);
	return 1;
}

/* Return: 0, 1 when there is no such file, or -errno. */
static int load_file(const char *path, struct pf_config *config, struct pf_err *err)
{
	pf_auto_fclose FILE *file = fopen(path, "re");
	struct reading in = {.path = path, .file = file, .config = config, .err = err};
	int r;

	if (!file && errno == ENOENT)
		return 1;
	if (!file)
		return pf_fail(err, errno, "open %s", path);
	r = ini_parse_stream(read_line, &in, take_key, &in);
	if (in.failed)
		return in.failed;
	if (ferror(file))
		return pf_fail(err, EIO, "read %s", path);
	if (r < 0)
		return pf_fail(err, ENOMEM, "read %s", path);
	if (r > 0) {
		in.line = (unsigned int)r;
		fail_at(&in, "neither [section] nor KEY = VALUE nor a comment");
		return in.failed;
	}
	return 0;
}

/* ---- drop-ins --------------------------------------------------------------------------- */

static int is_drop_in(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return entry->d_name[0] != '.' && len > 5 && strcmp(entry->d_name + len - 5, ".conf") == 0;
}

/* Names are compared byte by byte: the order must not depend on the locale. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int load_drop_in(const char *dir, const char *name, struct pf_config *config,
			struct pf_err *err)
{
	pf_auto_free char *path = NULL;
	int r;

	if (asprintf(&path, "%s/%s", dir, name) < 0)
		return pf_fail(err, ENOMEM, "read %s", dir);
	r = load_file(path, config, err);
	return r < 0 ? r : 0; /* one that went away meanwhile says nothing */
}

static int load_drop_ins(const char *path, struct pf_config *config, struct pf_err *err)
{
	pf_auto_free char *dir = NULL;
	struct dirent **entries = NULL;
	int count, r = 0;

	if (asprintf(&dir, "%s.d", path) < 0)
		return pf_fail(err, ENOMEM, "read %s", path);
	count = scandir(dir, &entries, is_drop_in, by_name);
	if (count < 0)
		return errno == ENOENT ? 0 : pf_fail(err, errno, "read %s", dir);
	for (int i = 0; i < count; i++) {
		if (r == 0)
			r = load_drop_in(dir, entries[i]->d_name, config, err);
		free(entries[i]);
	}
	free(entries);
	return r;
}

int pf_config_load(const char *path, bool must_exist, struct pf_config *out, struct pf_err *err)
{
	PF_CLEANUP(pf_config_clear) struct pf_config config = {};
	int r;

	if (pf_config_init(&config) < 0)
		return pf_fail(err, ENOMEM, "read %s", path);
	r = load_file(path, &config, err);
	if (r < 0)
		return r;
	if (r > 0 && must_exist)
		return pf_fail(err, ENOENT, "open %s", path);
	r = load_drop_ins(path, &config, err);
	if (r < 0)
		return r;
	*out = config;
	config = (struct pf_config){};
	return 0;
}
