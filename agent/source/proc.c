// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/source/proc.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/array.h"
#include "agent/base/cleanup.h"
#include "agent/base/file.h"
#include "agent/base/hash.h"
#include "agent/source/domain_xml.h"
#include "agent/source/place.h"
#include "agent/source/thread_ids.h"

/* ---- threads ---------------------------------------------------------------------------- */

/* include/linux/sched.h: neither sched_setaffinity(2) nor a move between cpusets is allowed. */
#define PF_NO_SETAFFINITY 0x04000000

/*
 * Fields 2, 9 and 22. The name in field 2 may hold anything, ") " too: what counts is the last ')'.
 */
static bool parse_stat(const char *stat, struct pf_thread *out)
{
	const char *name = strchr(stat, '('), *rest = strrchr(stat, ')');
	unsigned int flags;

	if (!name || !rest || rest < name ||
	    sscanf(rest + 1,
		   " %*c %*d %*d %*d %*d %*d %u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d "
		   "%*d %*d %" SCNu64,
		   &flags, &out->start_ticks) != 2)
		return false;
	out->immovable = flags & PF_NO_SETAFFINITY;
	snprintf(out->comm, sizeof(out->comm), "%.*s", (int)(rest - name - 1), name + 1);
	return true;
}

static bool is_gone(int r)
{
	return r == -ENOENT || r == -ESRCH;
}

/* Return: 0, 1 when the thread has ended meanwhile, or -errno. */
static int read_comm(int task, const char *tid, struct pf_thread *out, struct pf_err *err)
{
	pf_auto_free char *comm = NULL;
	char path[PROC_PATH_MAX];
	int r;

	snprintf(path, sizeof(path), "%.20s/comm", tid);
	r = pf_file_read_once(task, path, &comm, err);
	if (r < 0)
		return is_gone(r) ? 1 : r;
	snprintf(out->comm, sizeof(out->comm), "%s", comm);
	return 0;
}

/* As read_comm(). Newlines and backslashes of a name are escaped in stat, and only there. */
static int read_thread(int task, const char *tid, struct pf_thread *out, struct pf_err *err)
{
	pf_auto_free char *stat = NULL;
	char path[PROC_PATH_MAX];
	int r;

	snprintf(path, sizeof(path), "%.20s/stat", tid);
	r = pf_file_read_once(task, path, &stat, err);
	if (r < 0)
		return is_gone(r) ? 1 : r;
	if (!parse_stat(stat, out))
		return pf_fail_plain(err, EBADMSG, "/proc/.../task/%s/stat has no start time", tid);
	out->tid = (pid_t)strtol(tid, NULL, 10);
	return strchr(out->comm, '\\') ? read_comm(task, tid, out, err) : 0;
}

static int thread_order(const void *a, const void *b)
{
	const struct pf_thread *x = a, *y = b;

	return (x->tid > y->tid) - (x->tid < y->tid);
}

static int read_threads_of(int task, DIR *dir, struct pf_guest *guest, struct pf_err *err)
{
	const struct dirent *entry;

	while ((entry = readdir(dir))) {
		struct pf_thread thread = {}, *item;
		int r;

		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		r = read_thread(task, entry->d_name, &thread, err);
		if (r < 0)
			return r;
		if (r > 0)
			continue;
		item = pf_append(&guest->threads, &guest->thread_count);
		if (!item)
			return pf_fail(err, ENOMEM, "list threads of process %d", guest->pid);
		*item = thread;
	}
	return 0;
}

static int fail_gone(const struct pf_guest *guest, struct pf_err *err)
{
	return pf_fail_plain(err, ESRCH, "process %d of guest %s is gone", guest->pid,
			     guest->name ?: guest->uuid);
}

static int read_threads(int root, struct pf_guest *guest, struct pf_err *err)
{
	pf_auto_closedir DIR *dir = NULL;
	char path[PROC_PATH_MAX];
	int fd, r;

	free(pf_take_ptr(guest->threads));
	guest->thread_count = 0;
	snprintf(path, sizeof(path), "proc/%d/task", guest->pid);
	fd = openat(root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? fail_gone(guest, err)
				       : pf_fail(err, errno, "open /%s", path);
	dir = fdopendir(fd);
	if (!dir) {
		r = pf_fail(err, errno, "list /%s", path);
		close(fd);
		return r;
	}
	r = read_threads_of(fd, dir, guest, err);
	if (r < 0)
		return r;
	if (!guest->thread_count)
		return fail_gone(guest, err);
	qsort(guest->threads, guest->thread_count, sizeof(*guest->threads), thread_order);
	return 0;
}

/* ---- place in the cgroup tree ----------------------------------------------------------- */

static int read_place(int root, struct pf_guest *guest, struct pf_err *err)
{
	char file[PROC_PATH_MAX];
	int r;

	free(pf_take_ptr(guest->cgroup));
	snprintf(file, sizeof(file), "proc/%d/cgroup", guest->pid);
	r = pf_place_read(root, file, &guest->cgroup, err);
	return is_gone(r) ? fail_gone(guest, err) : r;
}

/* ---- kernel threads that work for it ----------------------------------------------------- */

/*
 * Until 6.4 a vhost worker is no thread of QEMU, but a kernel thread of its own in the group of the
 * thread that opened the device (drivers/vhost/vhost.c): QEMU's main loop. Once moved it is in the
 * helpers' leaf.
 */
static const char *const worker_leaves[] = {"emulator", "helper"};

static int add_worker(int proc, const char *tid, struct pf_guest *guest, struct pf_err *err)
{
	struct pf_thread thread = {}, *item;
	int r;

	if (pf_guest_thread(guest, (pid_t)strtol(tid, NULL, 10)))
		return 0;
	r = read_thread(proc, tid, &thread, err);
	if (r)
		return r < 0 ? r : 0;
	if (strncmp(thread.comm, "vhost-", 6) != 0)
		return 0;
	item = pf_append(&guest->threads, &guest->thread_count);
	if (!item)
		return pf_fail(err, ENOMEM, "list the kernel's threads of process %d", guest->pid);
	*item = thread;
	return 0;
}

static int add_workers_of(int root, int proc, const char *leaf, struct pf_guest *guest,
			  struct pf_err *err)
{
	pf_auto_free char *path = NULL, *text = NULL;
	char *at, *tid;
	int r;

	if (asprintf(&path, "sys/fs/cgroup%s/%s/cgroup.threads", guest->base, leaf) < 0) {
		path = NULL;
		return pf_fail(err, ENOMEM, "list the threads of a leaf");
	}
	r = pf_file_read(root, path, &text, err);
	if (r < 0)
		return r == -ENOENT || r == -ENODEV ? 0 : r;
	for (tid = strtok_r(text, "\n", &at); tid; tid = strtok_r(NULL, "\n", &at)) {
		r = add_worker(proc, tid, guest, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int add_workers(int root, struct pf_guest *guest, struct pf_err *err)
{
	pf_auto_close int proc = -1;

	if (!guest->base)
		return 0;
	proc = openat(root, "proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (proc < 0)
		return pf_fail(err, errno, "open /proc");
	for (size_t i = 0; i < sizeof(worker_leaves) / sizeof(worker_leaves[0]); i++) {
		int r = add_workers_of(root, proc, worker_leaves[i], guest, err);

		if (r < 0)
			return r;
	}
	qsort(guest->threads, guest->thread_count, sizeof(*guest->threads), thread_order);
	return 0;
}

/* ---- all of it --------------------------------------------------------------------------- */

int pf_proc_fill(int root, struct pf_guest *guest, struct pf_err *err)
{
	int r;

	if (guest->pid <= 0)
		return pf_fail_plain(err, ESRCH, "the process of guest %s is not known",
				     guest->name ?: guest->uuid);
	r = read_threads(root, guest, err);
	r = r ?: read_place(root, guest, err);
	r = r ?: pf_place_fill(root, guest, err);
	r = r ?: add_workers(root, guest, err);
	return r ?: pf_thread_ids_fill(root, guest, err);
}

int pf_proc_tell(int root, struct pf_guest *guest, struct pf_err *err)
{
	int r = pf_place_fill(root, guest, err);

	return r ?: pf_thread_ids_fill(root, guest, err);
}

int pf_proc_state(int root, const char *state_dir, struct pf_guest *guest, struct pf_err *err)
{
	pf_auto_free char *path = NULL, *text = NULL;
	int r;

	if (!guest->name || strchr(guest->name, '/'))
		return pf_fail_plain(err, EINVAL, "a guest's name has no '/'");
	if (asprintf(&path, "%s/%s.xml", state_dir, guest->name) < 0)
		return pf_fail(err, ENOMEM, "read libvirt's status file");
	r = pf_file_read(root, path, &text, err);
	if (r < 0)
		return r;
	guest->words = pf_hash_text(guest->words, text);
	r = pf_domstatus_parse(text, guest, err);
	return r < 0 ? pf_wrap(err, "%s", path) : 0;
}
