// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/source/home.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/cleanup.h"

#define MACHINE_MAX 64 /* sethostname(2)'s limit, and machined's */
#define SCOPE_BEGIN "machine-qemu\\x2d"
#define MANUAL_END ".libvirt-qemu"

void pf_home_clear(struct pf_home *home)
{
	free(home->base);
	free(home->unit);
	free(home->unit_path);
	*home = (struct pf_home){};
}

/* ---- libvirt's names ---------------------------------------------------------------------- */

/* virDomainMachineNameAppendValid(): letters, digits, and single dots or dashes between them. */
static void machine_name(const struct pf_guest *guest, char out[MACHINE_MAX + 1])
{
	size_t len = (size_t)snprintf(out, MACHINE_MAX + 1, "qemu-%d-", guest->id);
	bool skip = true; /* no joint at the begin, and none after another */

	for (const char *at = guest->name; *at && len < MACHINE_MAX; at++) {
		bool joint = *at == '.' || *at == '-';

		if (joint ? !skip : isascii(*at) && isalnum((unsigned char)*at))
			out[len++] = *at;
		skip = joint;
	}
	while (len && (out[len - 1] == '.' || out[len - 1] == '-'))
		len--;
	out[len] = '\0';
}

/* virSystemdEscapeName() */
static char *escape(const char *name)
{
	char *text = malloc(strlen(name) * 4 + 1), *to = text;

	for (const char *at = name; text && *at; at++) {
		bool plain = isascii(*at) && (isalnum((unsigned char)*at) || *at == ':' ||
					      *at == '_' || (*at == '.' && at != name));

		if (*at == '/')
			*to++ = '-';
		else if (plain)
			*to++ = *at;
		else
			to += snprintf(to, 5, "\\x%02x", (unsigned char)*at);
	}
	if (text)
		*to = '\0';
	return text;
}

/* Of "machine-production.slice", the path: every prefix is a slice, "/machine.slice/...". */
static char *slice_path(const char *slice)
{
	size_t len = strlen(slice) - strlen(".slice"), size = 0;
	char *path = NULL;
	FILE *out = open_memstream(&path, &size);

	if (!out)
		return NULL;
	for (size_t i = 0; i <= len; i++)
		if (i == len || slice[i] == '-')
			fprintf(out, "/%.*s.slice", (int)i, slice);
	return fclose(out) == 0 ? path : NULL;
}

static int find_scope(const struct pf_guest *guest, const char *machine, struct pf_home *out)
{
	pf_auto_free char *name = escape(machine), *partition = escape(guest->partition + 1);
	pf_auto_free char *slice = NULL, *path = NULL;

	if (!name || !partition || asprintf(&slice, "%s.slice", partition) < 0) {
		slice = NULL;
		return -ENOMEM;
	}
	path = slice_path(slice);
	if (!path || asprintf(&out->unit, "machine-%s.scope", name) < 0) {
		out->unit = NULL;
		return -ENOMEM;
	}
	if (asprintf(&out->unit_path, "%s/%s", path, out->unit) < 0) {
		out->unit_path = NULL;
		return -ENOMEM;
	}
	if (asprintf(&out->base, "%s/libvirt", out->unit_path) < 0) {
		out->base = NULL;
		return -ENOMEM;
	}
	return 0;
}

static bool is_word(const char *text, size_t len, const char *word)
{
	return len == strlen(word) && memcmp(text, word, len) == 0;
}

/* virCgroupSetPartitionSuffix(): a part without a suffix of its own gets one, but for the first. */
static char *partition_path(const char *partition)
{
	size_t size = 0;
	char *path = NULL;
	FILE *out = open_memstream(&path, &size);
	const char *at = partition + 1;

	if (!out)
		return NULL;
	while (*at) {
		size_t len = strcspn(at, "/");
		bool plain = at == partition + 1 &&
			     (is_word(at, len, "machine") || is_word(at, len, "system") ||
			      is_word(at, len, "user"));

		if (len)
			fprintf(out, "/%.*s%s", (int)len, at,
				plain || memchr(at, '.', len) ? "" : ".partition");
		at += len + (at[len] == '/');
	}
	return fclose(out) == 0 ? path : NULL;
}

static int find_manual(const struct pf_guest *guest, const char *machine, struct pf_home *out)
{
	pf_auto_free char *path = partition_path(guest->partition);

	if (!path || asprintf(&out->base, "%s/%s" MANUAL_END, path, machine) < 0) {
		out->base = NULL;
		return -ENOMEM;
	}
	return 0;
}

int pf_home_find(const struct pf_guest *guest, bool machined, struct pf_home *out)
{
	PF_CLEANUP(pf_home_clear) struct pf_home home = {};
	char machine[MACHINE_MAX + 1];
	int r;

	if (guest->source != PF_SOURCE_LIBVIRT || !guest->id || !guest->partition ||
	    !guest->partition[1] || strstr(guest->partition, "/..") || !guest->name)
		return 0;
	machine_name(guest, machine);
	r = machined ? find_scope(guest, machine, &home) : find_manual(guest, machine, &home);
	if (r < 0)
		return r;
	*out = home;
	home = (struct pf_home){};
	return 1;
}

/* ---- whose group a path leads through ------------------------------------------------------ */

static bool ends_with(const char *text, size_t len, const char *suffix)
{
	size_t suffix_len = strlen(suffix);

	return len > suffix_len && memcmp(text + len - suffix_len, suffix, suffix_len) == 0;
}

/* The number in "machine-qemu\x2d3\x2dNAME.scope" or "qemu-3-NAME.libvirt-qemu"; 0: neither. */
static int number_in(const char *part, size_t len)
{
	const char *number = NULL, *end_mark = NULL;
	char *end;
	long id;

	if (ends_with(part, len, ".scope") && len > strlen(SCOPE_BEGIN) &&
	    strncmp(part, SCOPE_BEGIN, strlen(SCOPE_BEGIN)) == 0) {
		number = part + strlen(SCOPE_BEGIN);
		end_mark = "\\x2d";
	} else if (ends_with(part, len, MANUAL_END) && strncmp(part, "qemu-", 5) == 0) {
		number = part + 5;
		end_mark = "-";
	}
	if (!number || !isdigit((unsigned char)*number))
		return 0;
	id = strtol(number, &end, 10);
	return strncmp(end, end_mark, strlen(end_mark)) == 0 && id > 0 && id < INT32_MAX ? (int)id
											 : 0;
}

bool pf_home_owns(const struct pf_guest *guest, const char *path)
{
	if (!guest->id)
		return true;
	while (*path) {
		size_t len = strcspn(path, "/");

		if (len && number_in(path, len) == guest->id)
			return true;
		path += len + (path[len] == '/');
	}
	return false;
}
