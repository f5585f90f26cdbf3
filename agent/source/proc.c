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
#include "agent/source/home.h"

#define PROC_PATH_MAX 64

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

static const struct pf_thread *find_thread(const struct pf_guest *guest, pid_t tid)
{
	for (size_t i = 0; i < guest->thread_count; i++)
		if (guest->threads[i].tid == tid)
			return &guest->threads[i];
	return NULL;
}

/* ---- place in the cgroup tree ----------------------------------------------------------- */

/*
 * The cgroup v2 path of @file (".../cgroup"), owned by the caller. The kernel writes it as it is,
 * without any escapes: "\x2d" in it is what systemd named the group.
 */
static int read_cgroup(int root, const char *file, char **out, struct pf_err *err)
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

/* Where the groups are that belong to it, told from the one that its main thread is in. */
static int fill_place(int root, struct pf_guest *guest, struct pf_err *err)
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

static int read_place(int root, struct pf_guest *guest, struct pf_err *err)
{
	char file[PROC_PATH_MAX];
	int r;

	free(pf_take_ptr(guest->cgroup));
	snprintf(file, sizeof(file), "proc/%d/cgroup", guest->pid);
	r = read_cgroup(root, file, &guest->cgroup, err);
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

	if (find_thread(guest, (pid_t)strtol(tid, NULL, 10)))
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

/* ---- thread ids ------------------------------------------------------------------------- */

/* "CPU 12/KVM", "CPU 12/TCG": the name QEMU gives the thread of a vCPU. */
static bool comm_is_vcpu(const char *comm, unsigned int *index)
{
	char *end;

	if (strncmp(comm, "CPU ", 4) != 0 || !isdigit((unsigned char)comm[4]))
		return false;
	*index = (unsigned int)strtoul(comm + 4, &end, 10);
	return *end == '/';
}

/* "IO iothread3"; libvirt calls the object of iothread N "iothreadN". */
static bool comm_is_iothread(const char *comm, unsigned int *index)
{
	if (strncmp(comm, "IO iothread", 11) != 0 || !is_number(comm + 11))
		return false;
	*index = (unsigned int)strtoul(comm + 11, NULL, 10);
	return true;
}

/* The only thread whose name says vCPU or iothread @index; 0 for none, -1 for several. */
static pid_t find_by_comm(const struct pf_guest *guest,
			  bool (*match)(const char *comm, unsigned int *index), unsigned int index)
{
	pid_t tid = 0;

	for (size_t i = 0; i < guest->thread_count; i++) {
		unsigned int named;

		if (!match(guest->threads[i].comm, &named) || named != index)
			continue;
		if (tid)
			return -1;
		tid = guest->threads[i].tid;
	}
	return tid;
}

/*
 * The threads of one kind that stay unknown: one sentence for all of them. As text, because an
 * iothread's number may be beyond what a set holds.
 */
struct unknown {
	char list[128];
	bool pinned;
};

static void add_unknown(struct unknown *unknown, unsigned int index, bool pinned)
{
	size_t len = strlen(unknown->list), room = sizeof(unknown->list) - len;

	unknown->pinned |= pinned;
	if (room > 20)
		snprintf(unknown->list + len, room, "%s%u", len ? ", " : "", index);
	else if (unknown->list[len - 1] != '.')
		snprintf(unknown->list + len, room, ", ...");
}

/* A pin whose thread cannot be told is a promise that is not kept. */
static int report_unknown(struct pf_guest *guest, const char *kind, const struct unknown *unknown)
{
	if (!unknown->list[0])
		return 0;
	return pf_findings_add(
		&guest->findings, unknown->pinned ? PF_FINDING_IMPOSSIBLE : PF_FINDING_NOTE,
		"the thread of %s %s is not known (yet): neither libvirt's record nor "
		"the names of the threads of process %d tell it",
		kind, unknown->list, guest->pid);
}

static bool vcpus_are_recorded(const struct pf_promise *promise)
{
	for (size_t i = 0; i < promise->vcpu_count; i++)
		if (promise->vcpus[i].tid)
			return true;
	return false;
}

/* Holds libvirt's record of one vCPU against what the process shows. */
static int check_vcpu(struct pf_guest *guest, struct pf_vcpu *vcpu)
{
	const struct pf_thread *thread = find_thread(guest, vcpu->tid);
	unsigned int named;

	if (!thread) {
		pid_t tid = vcpu->tid;

		vcpu->tid = 0;
		return pf_findings_add(
			&guest->findings, PF_FINDING_NOTE,
			"libvirt's record names thread %d for vCPU %u, which process "
			"%d does not have",
			tid, vcpu->index, guest->pid);
	}
	if (comm_is_vcpu(thread->comm, &named) && named != vcpu->index)
		return pf_findings_add(&guest->findings, PF_FINDING_NOTE,
				       "libvirt's record says that thread %d is vCPU %u, its name "
				       "says vCPU %u; the record counts",
				       thread->tid, vcpu->index, named);
	return 0;
}

/*
 * Where libvirt's record knows some vCPUs, one that it does not know is being plugged, and its
 * name is no proof that libvirt is done with it: it stays 0 until the record says so.
 */
static int fill_vcpus(struct pf_guest *guest)
{
	struct pf_promise *promise = &guest->promise;
	bool recorded = vcpus_are_recorded(promise);
	struct unknown unknown = {};
	int r;

	for (size_t i = 0; i < promise->vcpu_count; i++) {
		struct pf_vcpu *vcpu = &promise->vcpus[i];

		if (!recorded && vcpu->online) {
			pid_t tid = find_by_comm(guest, comm_is_vcpu, vcpu->index);

			vcpu->tid = tid > 0 ? tid : 0;
		} else if (vcpu->tid) {
			r = check_vcpu(guest, vcpu);
			if (r < 0)
				return r;
		}
		if (vcpu->online && !vcpu->tid)
			add_unknown(&unknown, vcpu->index,
				    vcpu->pin.set || promise->vcpu_default.set);
	}
	return report_unknown(guest, "vCPU", &unknown);
}

/* The only thread in the leaf of iothread @index that no name tells; 0 for none or several. */
static pid_t find_by_leaf(int root, const struct pf_guest *guest, unsigned int index)
{
	char leaf[PF_ROLE_TEXT_MAX];
	size_t base_len = guest->base ? strlen(guest->base) : 0;
	pid_t tid = 0;

	if (!base_len)
		return 0;
	pf_role_leaf((struct pf_role){PF_ROLE_IOTHREAD, index}, leaf);
	for (size_t i = 0; i < guest->thread_count; i++) {
		const struct pf_thread *thread = &guest->threads[i];
		pf_auto_free char *path = NULL;
		char file[PROC_PATH_MAX];
		unsigned int named;

		if (comm_is_vcpu(thread->comm, &named) || comm_is_iothread(thread->comm, &named))
			continue;
		snprintf(file, sizeof(file), "proc/%d/task/%d/cgroup", guest->pid, thread->tid);
		if (read_cgroup(root, file, &path, NULL) < 0 ||
		    strncmp(path, guest->base, base_len) != 0 || path[base_len] != '/' ||
		    strcmp(path + base_len + 1, leaf) != 0)
			continue;
		if (tid)
			return 0;
		tid = thread->tid;
	}
	return tid;
}

static int fill_iothreads(int root, struct pf_guest *guest)
{
	struct pf_promise *promise = &guest->promise;
	struct unknown unknown = {};

	for (size_t i = 0; i < promise->iothread_count; i++) {
		struct pf_iothread *iothread = &promise->iothreads[i];
		pid_t tid = find_by_comm(guest, comm_is_iothread, iothread->index);

		if (!tid)
			tid = find_by_leaf(root, guest, iothread->index);
		iothread->tid = tid > 0 ? tid : 0;
		if (!iothread->tid)
			add_unknown(&unknown, iothread->index,
				    iothread->pin.set || promise->vcpu_default.set);
	}
	return report_unknown(guest, "iothread", &unknown);
}

static int tell_threads(int root, struct pf_guest *guest, struct pf_err *err)
{
	int r = fill_vcpus(guest);

	r = r ?: fill_iothreads(root, guest);
	return r < 0 ? pf_fail(err, r, "tell the threads of process %d", guest->pid) : 0;
}

int pf_proc_fill(int root, struct pf_guest *guest, struct pf_err *err)
{
	int r;

	if (guest->pid <= 0)
		return pf_fail_plain(err, ESRCH, "the process of guest %s is not known",
				     guest->name ?: guest->uuid);
	r = read_threads(root, guest, err);
	r = r ?: read_place(root, guest, err);
	r = r ?: fill_place(root, guest, err);
	r = r ?: add_workers(root, guest, err);
	return r ?: tell_threads(root, guest, err);
}

int pf_proc_tell(int root, struct pf_guest *guest, struct pf_err *err)
{
	int r = fill_place(root, guest, err);

	return r ?: tell_threads(root, guest, err);
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
