// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/source/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/cleanup.h"
#include "agent/base/file.h"
#include "agent/source/home.h"

int pf_place_read(int root, const char *file, char **out, struct pf_err *err)
{
	pf_auto_free char *text = NULL;
	char *line;
	int r;

	r = pf_file_read_once(root, file, &text, err);
	if (r < 0)
		return r;
	for (line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, "0::/", 4) == 0)
			break;
	}
	if (!line)
		return pf_fail_plain(err, EBADMSG, "/%s has no cgroup v2 line (0::)", file);
	line += 3;
	*out = strndup(line, strcspn(line, "\n"));
	return *out ? 0 : pf_fail(err, ENOMEM, "read /%s", file);
}

static bool is_number(const char *text)
{
	size_t len = strspn(text, "0123456789");

	return len > 0 && !text[len];
}

/* A leaf as pf_role_leaf() names it. */
static bool is_leaf(const char *name)
{
	return strcmp(name, "emulator") == 0 || strcmp(name, "helper") == 0 ||
	       (strncmp(name, "vcpu", 4) == 0 && is_number(name + 4)) ||
	       (strncmp(name, "iothread", 8) == 0 && is_number(name + 8));
}

static bool has_suffix(const char *text, size_t len, const char *suffix)
{
	size_t suffix_len = strlen(suffix);

	return len > suffix_len && memcmp(text + len - suffix_len, suffix, suffix_len) == 0;
}

/*
 * Whether libvirt's QEMU driver made a group of that name to put leaves in (vircgroup.c and
 * vircgroupv2.c): "libvirt" in a delegated scope, "qemu-1-NAME.libvirt-qemu" without systemd.
 */
static bool is_libvirt_base(const char *path)
{
	return has_suffix(path, strlen(path), "/libvirt") ||
	       has_suffix(path, strlen(path), ".libvirt-qemu");
}

/* Sets base to the parent of the leaf @path. Return: 0 (base NULL for any other group), -ENOMEM. */
static int set_base(struct pf_guest *guest, const char *path)
{
	const char *leaf = strrchr(path, '/');
	pf_auto_free char *parent = NULL;

	if (leaf == path || strstr(path, "/../") || !is_leaf(leaf + 1))
		return 0;
	parent = strndup(path, (size_t)(leaf - path));
	if (!parent)
		return -ENOMEM;
	if (guest->source == PF_SOURCE_LIBVIRT && !is_libvirt_base(parent))
		return 0;
	guest->base = pf_take_ptr(parent);
	return 0;
}

/* Sets unit and unit_path to the innermost scope or service of @path, if there is one. */
static int set_unit(struct pf_guest *guest, const char *path)
{
	size_t len = strlen(path);

	while (len > 1) {
		const char *slash = memrchr(path, '/', len);
		size_t start = slash ? (size_t)(slash - path) + 1 : 0;

		if (has_suffix(path + start, len - start, ".scope") ||
		    has_suffix(path + start, len - start, ".service")) {
			/* systemd puts "_" in front of a name the kernel could mistake for a file */
			start += path[start] == '_';
			guest->unit = strndup(path + start, len - start);
			guest->unit_path = strndup(path, len);
			return guest->unit && guest->unit_path ? 0 : -ENOMEM;
		}
		len = start ? start - 1 : 0;
	}
	return 0;
}

/*
 * Whether libvirt has machined make its scopes: systemd is PID 1 (sd_booted(3)), and machined can
 * be started, which is what libvirt's virSystemdHasMachined() asks the bus.
 */
static bool has_machined(int root)
{
	static const char service[] =
		"usr/share/dbus-1/system-services/org.freedesktop.machine1.service";

	return faccessat(root, "run/systemd/system", F_OK, 0) == 0 &&
	       faccessat(root, service, F_OK, 0) == 0;
}

static bool is_within(const char *path, const char *above)
{
	size_t len = strlen(above);

	return strncmp(path, above, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/*
 * A main thread in the guest's own scope but in no leaf is left there: with cgroup_controllers=[]
 * that is libvirt's will. Unless it is us who are about to bring it back.
 */
static bool is_astray(const struct pf_guest *guest, const struct pf_home *home)
{
	if (strcmp(guest->cgroup, home->base) == 0)
		return false;
	return guest->brought_back || !is_within(guest->cgroup, home->unit_path ?: home->base);
}

/* Gives the guest the place that libvirt made for it, though it is not there, or in no leaf of it. */
static int take_home(struct pf_guest *guest, struct pf_home *home)
{
	bool astray = is_astray(guest, home);

	if (!astray && strcmp(guest->cgroup, home->base) != 0)
		return 0;
	guest->base = pf_take_ptr(home->base);
	guest->unit = pf_take_ptr(home->unit);
	guest->unit_path = pf_take_ptr(home->unit_path);
	guest->strayed = astray;
	if (!astray)
		return 0;
	return pf_findings_add(&guest->findings, PF_FINDING_NOTE,
			       "process %d is in cgroup %.300s: somebody moved it out of %.300s, "
			       "where libvirt put it",
			       guest->pid, guest->cgroup, guest->base);
}

static int find_home(int root, struct pf_guest *guest)
{
	PF_CLEANUP(pf_home_clear) struct pf_home home = {};
	int r = pf_home_find(guest, has_machined(root), &home);

	return r == 1 ? take_home(guest, &home) : r;
}

static int find_place(int root, struct pf_guest *guest)
{
	int r = pf_home_owns(guest, guest->cgroup) ? set_base(guest, guest->cgroup) : 0;

	if (r == 0 && guest->base)
		r = set_unit(guest, guest->base);
	else if (r == 0)
		r = find_home(root, guest);
	if (r < 0 || guest->base)
		return r;
	r = set_unit(guest, guest->cgroup);
	return r ?: pf_findings_add(
			    &guest->findings, PF_FINDING_IMPOSSIBLE,
			    "process %d is in cgroup %.300s, not in a leaf that libvirt made: somebody "
			    "moved it there, or libvirt runs with cgroup_controllers=[]; no thread of "
			    "the guest can be held",
			    guest->pid, guest->cgroup);
}

static int note_remade(struct pf_guest *guest)
{
	if (!guest->brought_back || guest->strayed)
		return 0;
	return pf_findings_add(&guest->findings, PF_FINDING_NOTE,
			       "the process had been moved out and libvirt's groups of it were gone: "
			       "they were made anew, but the memory and I/O limits and the list of "
			       "devices that libvirt had set there are gone until the guest is started "
			       "again");
}

int pf_place_fill(int root, struct pf_guest *guest, struct pf_err *err)
{
	int r;

	free(pf_take_ptr(guest->base));
	free(pf_take_ptr(guest->unit));
	free(pf_take_ptr(guest->unit_path));
	guest->strayed = false;
	r = find_place(root, guest);
	r = r ?: note_remade(guest);
	return r < 0 ? pf_fail(err, r, "find the cgroup of process %d", guest->pid) : 0;
}
