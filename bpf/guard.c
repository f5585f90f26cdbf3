// SPDX-License-Identifier: GPL-2.0-or-later
#include "bpf/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/btf.h>

#include "agent/base/cleanup.h"
#include "bpf/guard.skel.h"
#include "bpf/guard_abi.h"
#include "bpf/internal.h"

#define LSM_LIST "/sys/kernel/security/lsm"
#define NEXT_PINS PF_GUARD_PINS "-next" /* a bpffs takes no dots */
#define PROGRAMS 4

struct pf_guard {
	struct pf_bpf *bpf;
	struct guard *skel;
	struct bpf_link *link[PROGRAMS];
	bool attached;
	bool pinned; /* there may be pins of ours or of a former agent */
	bool kept;   /* those that are there are ours */
};

static struct bpf_program *program_at(const struct pf_guard *guard, size_t i)
{
	struct bpf_program *const programs[PROGRAMS] = {
		guard->skel->progs.pf_guard_sched,
		guard->skel->progs.pf_guard_pages,
		guard->skel->progs.pf_guard_move,
		guard->skel->progs.pf_guard_file,
	};

	return programs[i];
}

/* ---- whether it can be ------------------------------------------------------------------- */

static bool lists_bpf(const char *lsm)
{
	for (const char *word = lsm; *word; word += strspn(word, ",\n")) {
		size_t len = strcspn(word, ",\n");

		if (len == 3 && strncmp(word, "bpf", 3) == 0)
			return true;
		word += len;
	}
	return false;
}

int pf_guard_judge(const char *lsm, bool built_in, struct pf_err *err)
{
	if (!built_in)
		return pf_fail_plain(err, ENOTSUP,
				     "this kernel is built without BPF LSM (CONFIG_BPF_LSM)");
	if (!lsm)
		return pf_fail_plain(err, ENOTSUP,
				     "whether BPF LSM is active can't be seen: " LSM_LIST
				     " is missing, mount securityfs at /sys/kernel/security");
	if (lists_bpf(lsm))
		return 0;
	return pf_fail_plain(
		err, ENOTSUP,
		"BPF LSM is not active on this host: boot it with lsm=%.*s%sbpf on the "
		"kernel command line",
		(int)strcspn(lsm, "\n"), lsm, lsm[0] && lsm[0] != '\n' ? "," : "");
}

static const char *read_list(char *buf, size_t size)
{
	pf_auto_close int fd = open(LSM_LIST, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, buf, size - 1);

	if (len < 0)
		return NULL;
	buf[len] = '\0';
	return buf;
}

static void free_btf(struct btf **btf)
{
	btf__free(*btf);
}

static bool has_function(const struct btf *kernel, const char *name)
{
	return kernel && btf__find_by_name_kind(kernel, name, BTF_KIND_FUNC) > 0;
}

/* ---- loading ----------------------------------------------------------------------------- */

static int share_maps(struct guard *skel, const struct pf_generation *g, struct pf_err *err)
{
	const struct {
		struct bpf_map *map;
		enum pf_map shared;
	} pairs[] = {
		{skel->maps.bss, PF_MAP_POLICY},        {skel->maps.ring, PF_MAP_RING},
		{skel->maps.counters, PF_MAP_COUNTERS}, {skel->maps.watched, PF_MAP_WATCHED},
		{skel->maps.acts, PF_MAP_ACTS},
	};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		int r = bpf_map__reuse_fd(pairs[i].map, g->map[pairs[i].shared]);

		if (r)
			return pf_fail(err, r, "hand the eBPF map %s to the guard",
				       pf_map_names[pairs[i].shared]);
	}
	return 0;
}

static int load(struct pf_guard *guard, const struct btf *kernel, struct pf_err *err)
{
	int r;

	pf_complaint_begin();
	guard->skel = guard__open();
	if (!guard->skel)
		return pf_fail(err, errno, "open the guard's eBPF programs");
	bpf_program__set_autoload(guard->skel->progs.pf_guard_move,
				  has_function(kernel, "bpf_task_from_pid"));
	r = share_maps(guard->skel, &guard->bpf->now, err);
	if (r)
		return r;
	r = guard__load(guard->skel);
	return r ? pf_fail(err, r, "load the guard's eBPF programs (%s)", pf_complaint()) : 0;
}

static bool pins_there(const struct pf_bpf *bpf)
{
	return bpf->lock >= 0 && (!faccessat(bpf->lock, PF_GUARD_PINS, F_OK, 0) ||
				  !faccessat(bpf->lock, NEXT_PINS, F_OK, 0));
}

int pf_guard_open(struct pf_bpf *bpf, struct pf_guard **out, struct pf_err *err)
{
	PF_CLEANUP(pf_guard_close) struct pf_guard *guard = calloc(1, sizeof(*guard));
	PF_CLEANUP(free_btf) struct btf *kernel = btf__load_vmlinux_btf();
	char list[512];
	int r;

	if (!guard)
		return pf_fail(err, ENOMEM, "open the guard");
	guard->bpf = bpf;
	guard->pinned = pins_there(bpf);
	r = pf_guard_judge(read_list(list, sizeof(list)),
			   has_function(kernel, "bpf_lsm_file_permission"), err);
	if (!r)
		r = load(guard, kernel, err);
	if (r)
		return r;
	*out = pf_take_ptr(guard);
	return 0;
}

static void detach(struct pf_guard *guard)
{
	for (size_t i = 0; i < PROGRAMS; i++) {
		bpf_link__destroy(guard->link[i]);
		guard->link[i] = NULL;
	}
	guard->attached = false;
}

void pf_guard_close(struct pf_guard **guard)
{
	struct pf_guard *g = *guard;

	if (!g)
		return;
	detach(g);
	guard__destroy(g->skel);
	free(g);
	*guard = NULL;
}

bool pf_guard_attached(const struct pf_guard *guard)
{
	return guard->attached;
}

/* ---- who is no stranger ------------------------------------------------------------------ */

static int allow_file(struct pf_guard *guard, const struct pf_guard_file *file, struct pf_err *err)
{
	uint32_t one = 1;
	int r = bpf_map__update_elem(guard->skel->maps.allowed, file, sizeof(*file), &one,
				     sizeof(one), BPF_ANY);

	return r ? pf_fail(err, r, "allow an executable past the guard") : 0;
}

static int allow_line(struct pf_guard *guard, const struct pf_guard_fd *line, const int *fds,
		      size_t count, struct pf_err *err)
{
	for (size_t i = 0; i < count; i++)
		if (fds[i] >= 0 && (uint32_t)fds[i] == line->fd)
			return allow_file(guard, &line->file, err);
	return 0;
}

static int read_lines(struct pf_guard *guard, int iter, const int *fds, size_t count,
		      struct pf_err *err)
{
	struct pf_guard_fd lines[64];
	size_t have = 0;
	ssize_t got;

	while ((got = read(iter, (char *)lines + have, sizeof(lines) - have)) != 0) {
		size_t whole;

		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (got < 0)
			return pf_fail(err, errno, "read the file iterator");
		have += (size_t)got;
		whole = have / sizeof(lines[0]);
		for (size_t i = 0; i < whole; i++) {
			int r = allow_line(guard, &lines[i], fds, count, err);

			if (r)
				return r;
		}
		have -= whole * sizeof(lines[0]);
		memmove(lines, &lines[whole], have);
	}
	return 0;
}

static void destroy_link(struct bpf_link **link)
{
	bpf_link__destroy(*link);
}

int pf_guard_allow(struct pf_guard *guard, const int *fds, size_t count, struct pf_err *err)
{
	union bpf_iter_link_info only = {.task.pid = (uint32_t)getpid()};
	LIBBPF_OPTS(bpf_iter_attach_opts, opts, .link_info = &only, .link_info_len = sizeof(only));
	PF_CLEANUP(destroy_link) struct bpf_link *link = NULL;
	pf_auto_close int iter = -1;

	link = bpf_program__attach_iter(guard->skel->progs.pf_guard_files, &opts);
	if (!link)
		return pf_fail(err, errno, "attach the file iterator");
	iter = bpf_iter_create(bpf_link__fd(link));
	if (iter < 0)
		return pf_fail(err, iter, "start the file iterator");
	return read_lines(guard, iter, fds, count, err);
}

/* ---- refusing ---------------------------------------------------------------------------- */

static int attach(struct pf_guard *guard, struct pf_err *err)
{
	for (size_t i = 0; i < PROGRAMS; i++) {
		int r;

		if (!bpf_program__autoload(program_at(guard, i)))
			continue;
		guard->link[i] = bpf_program__attach(program_at(guard, i));
		if (guard->link[i])
			continue;
		r = -errno;
		detach(guard);
		return pf_fail(err, r, "attach the guard's eBPF program %s",
			       bpf_program__name(program_at(guard, i)));
	}
	guard->attached = true;
	return 0;
}

/* Removes a folder of pins that may not be there. */
static int remove_pins(int lock, const char *name, struct pf_err *err)
{
	if (lock < 0 || faccessat(lock, name, F_OK, 0))
		return 0;
	return pf_pins_remove(lock, name, err);
}

static int pin_links(struct pf_guard *guard, struct pf_err *err)
{
	int lock = guard->bpf->lock;
	char path[128];

	if (mkdirat(lock, NEXT_PINS, 0700))
		return pf_fail(err, errno, "make a folder for the guard's pins");
	for (size_t i = 0; i < PROGRAMS; i++) {
		int r;

		if (!guard->link[i])
			continue;
		snprintf(path, sizeof(path), "/proc/self/fd/%d/" NEXT_PINS "/link-%s", lock,
			 bpf_program__name(program_at(guard, i)));
		r = bpf_obj_pin(bpf_link__fd(guard->link[i]), path);
		if (r)
			return pf_fail(err, r, "pin the guard's eBPF program %s",
				       bpf_program__name(program_at(guard, i)));
	}
	return 0;
}

/* Both folders stand for a moment, and a crash may leave both: the next agent removes both. */
static int keep(struct pf_guard *guard, struct pf_err *err)
{
	int lock = guard->bpf->lock, r;

	if (lock < 0 || guard->kept)
		return 0;
	guard->pinned = true;
	r = remove_pins(lock, NEXT_PINS, err);
	if (!r)
		r = pin_links(guard, err);
	if (!r)
		r = remove_pins(lock, PF_GUARD_PINS, err);
	if (r)
		return r;
	if (renameat(lock, NEXT_PINS, lock, PF_GUARD_PINS))
		return pf_fail(err, errno, "rename the guard's pins");
	guard->kept = true;
	return 0;
}

int pf_guard_unpin(struct pf_bpf *bpf, struct pf_err *err)
{
	int r = remove_pins(bpf->lock, PF_GUARD_PINS, err);
	int second = remove_pins(bpf->lock, NEXT_PINS, r ? NULL : err);

	return r ?: second;
}

static int unpin(struct pf_guard *guard, struct pf_err *err)
{
	int r = guard->pinned ? pf_guard_unpin(guard->bpf, err) : 0;

	guard->kept = false;
	guard->pinned = r != 0;
	return r;
}

int pf_guard_attach(struct pf_guard *guard, bool want_kept, struct pf_err *err)
{
	int r = guard->attached ? 0 : attach(guard, err);

	if (r)
		return r;
	return want_kept ? keep(guard, err) : unpin(guard, err);
}

int pf_guard_detach(struct pf_guard *guard, struct pf_err *err)
{
	detach(guard);
	return unpin(guard, err);
}
