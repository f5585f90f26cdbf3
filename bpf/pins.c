// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What outlives the process: PATH/v<ABI>/ holds the maps by name and link-<program> for each
 * attached program. PATH itself is locked by the one process that may change them.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "agent/base/cleanup.h"
#include "bpf/internal.h"

int pf_pins_lock(const char *path, struct pf_err *err)
{
	pf_auto_close int fd = -1;
	struct statfs fs;

	if (mkdir(path, 0700) && errno != EEXIST)
		return pf_fail(err, errno, "make the folder %s for eBPF pins", path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstatfs(fd, &fs))
		return pf_fail(err, errno, "open the folder %s", path);
	if (fs.f_type != BPF_FS_MAGIC)
		return pf_fail_plain(err, ENODEV,
				     "%s is not in a bpf file system: mount one with "
				     "`mount -t bpf bpf /sys/fs/bpf`, or configure another path",
				     path);
	if (flock(fd, LOCK_EX | LOCK_NB))
		return pf_fail(err, errno == EWOULDBLOCK ? EBUSY : errno,
			       "lock %s: another agent uses these pins", path);
	return pf_take_fd(&fd);
}

/* The bpf(2) calls want a path; the lock's fd makes one that can't be swapped under us. */
static void pin_name(char *out, size_t size, int lock, const char *version, const char *file)
{
	snprintf(out, size, "/proc/self/fd/%d/%s%s%s", lock, version, *file ? "/" : "", file);
}

static int get(int lock, const char *version, const char *file)
{
	char path[PATH_MAX];

	pin_name(path, sizeof(path), lock, version, file);
	return bpf_obj_get(path);
}

static int put(int lock, const char *version, const char *file, int fd, struct pf_err *err)
{
	char path[PATH_MAX];
	int r;

	pin_name(path, sizeof(path), lock, version, file);
	r = bpf_obj_pin(fd, path);
	return r ? pf_fail(err, r, "pin %s/%s", version, file) : 0;
}

static void link_name(char *out, size_t size, size_t row, size_t i)
{
	snprintf(out, size, "link-%s", pf_hooks[row].program[i]);
}

static bool shape_is_ours(struct pf_generation *g)
{
	struct bpf_map_info info = { 0 };
	__u32 size = sizeof(info);

	return !bpf_obj_get_info_by_fd(g->map[PF_MAP_POLICY], &info, &size) &&
	       info.value_size == sizeof(struct pf_policy);
}

static bool attached(const struct pf_generation *g, size_t row)
{
	if (g->policy->head.capability[row])
		return true;
	return g->link[row][0] >= 0 || g->link[row][1] >= 0;
}

static int get_links(int lock, const char *version, struct pf_generation *g, struct pf_err *err)
{
	char name[64];

	for (size_t row = 0; row < pf_hooks_count; row++) {
		for (size_t i = 0; i < PF_LINKS_MAX && pf_hooks[row].program[i]; i++) {
			link_name(name, sizeof(name), row, i);
			g->link[row][i] = get(lock, version, name);
		}
		if (!attached(g, row))
			return pf_fail_plain(err, ESTALE, "the pin of %s is missing in %s",
					     pf_hooks[row].program[0], version);
	}
	return 0;
}

int pf_pins_get(int lock, const char *version, struct pf_generation *g, struct pf_err *err)
{
	int r;

	if (faccessat(lock, version, F_OK, 0))
		return pf_fail(err, errno, "look for pins in %s", version);
	for (size_t i = 0; i < PF_MAPS; i++) {
		g->map[i] = get(lock, version, pf_map_names[i]);
		if (g->map[i] < 0)
			return pf_fail_plain(err, ESTALE, "the pin of the map %s is missing in %s",
					     pf_map_names[i], version);
	}
	if (!shape_is_ours(g))
		return pf_fail_plain(err, ESTALE, "the pins in %s have another layout", version);
	r = pf_generation_map_policy(g, err);
	if (r)
		return r;
	if (g->policy->head.magic != PF_POLICY_MAGIC || g->policy->head.abi != PF_ABI)
		return pf_fail_plain(err, ESTALE, "the pins in %s were never finished", version);
	r = pf_generation_map_records(g, err);
	if (r)
		return r;
	return get_links(lock, version, g, err);
}

int pf_pins_put(int lock, const char *path, const char *version, const struct pf_generation *g,
		struct pf_err *err)
{
	char name[64];
	int r = 0;

	if (mkdirat(lock, version, 0700))
		return pf_fail(err, errno, "make the folder %s/%s", path, version);
	for (size_t i = 0; i < PF_MAPS && !r; i++)
		r = put(lock, version, pf_map_names[i], g->map[i], err);
	for (size_t row = 0; row < pf_hooks_count; row++) {
		for (size_t i = 0; i < PF_LINKS_MAX && !r; i++) {
			if (g->link[row][i] < 0)
				continue;
			link_name(name, sizeof(name), row, i);
			r = put(lock, version, name, g->link[row][i], err);
		}
	}
	return r;
}

/* Calls @each for every entry of @dir but . and .. Return: how many, or the first error. */
static int for_entries(int dir, int (*each)(int dir, const char *name, void *arg, struct pf_err *),
		       void *arg, struct pf_err *err)
{
	pf_auto_closedir DIR *entries = NULL;
	pf_auto_close int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *entry;
	int count = 0;

	if (fd < 0 || !(entries = fdopendir(fd)))
		return pf_fail(err, errno, "list a folder of eBPF pins");
	pf_take_fd(&fd);
	while ((entry = readdir(entries))) {
		int r;

		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		r = each(dir, entry->d_name, arg, err);
		if (r < 0)
			return r;
		count += r;
	}
	return count;
}

static int unpin(int dir, const char *name, void *arg, struct pf_err *err)
{
	(void)arg;
	return unlinkat(dir, name, 0) ? pf_fail(err, errno, "remove the pin %s", name) : 1;
}

int pf_pins_remove(int lock, const char *version, struct pf_err *err)
{
	pf_auto_close int dir = openat(lock, version, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (dir < 0)
		return pf_fail(err, errno, "open the pins %s", version);
	r = for_entries(dir, unpin, NULL, err);
	if (r >= 0 && unlinkat(lock, version, AT_REMOVEDIR))
		r = pf_fail(err, errno, "remove the folder %s", version);
	return r < 0 ? r : 0;
}

static int remove_other(int lock, const char *name, void *keep, struct pf_err *err)
{
	bool guard = !strncmp(name, PF_GUARD_PINS, strlen(PF_GUARD_PINS));
	int r;

	/* The guard is no version: it ends by itself, or with everything. */
	if (guard ? keep != NULL : name[0] != 'v' || (keep && !strcmp(name, keep)))
		return 0;
	r = pf_pins_remove(lock, name, err);
	return r ? r : 1;
}

int pf_pins_remove_others(int lock, const char *keep, struct pf_err *err)
{
	return for_entries(lock, remove_other, (void *)keep, err);
}

static void let_go(int *lock)
{
	pf_cleanup_close(lock);
}

int pf_bpf_uninstall(const char *pin_path, struct pf_err *err)
{
	PF_CLEANUP(let_go) int lock = -1;
	struct stat there;
	int r;

	if (stat(pin_path, &there))
		return errno == ENOENT ? 0 : pf_fail(err, errno, "look at %s", pin_path);
	lock = pf_pins_lock(pin_path, err);
	if (lock < 0)
		return lock;
	r = pf_pins_remove_others(lock, NULL, err);
	if (r >= 0 && rmdir(pin_path))
		r = pf_fail(err, errno, "remove the folder %s", pin_path);
	return r < 0 ? r : 0;
}
