// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "agent/base/cleanup.h"
#include "agent/base/file.h"
#include "cgroup/kernel.h"
#include "cgroup/library.h"

#define BOOT_WORDS "systemd.unified_cgroup_hierarchy=1 cgroup_no_v1=all"

/* --- groups below a directory fd ----------------------------------------------------------- */

const char *pf_group_word(const char *group, char buf[PF_GROUP_WORD])
{
	size_t len = strlen(group);

	if (len < PF_GROUP_WORD)
		return group;
	snprintf(buf, PF_GROUP_WORD, "%.*s...%s", PF_GROUP_WORD / 2 - 4, group,
		 group + len - (PF_GROUP_WORD / 2 - 4));
	return buf;
}

static const char *below_root(const char *group)
{
	while (*group == '/')
		group++;
	return *group ? group : ".";
}

/*
 * RESOLVE_BENEATH and its kin keep ".." and links from leading out of cgroupfs: names come from
 * /proc and from files that guests' owners write.
 */
int pf_group_open(const struct pf_kernel *kernel, const char *group)
{
	struct open_how how = {
		.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
	};
	long fd = syscall(SYS_openat2, kernel->root_fd, below_root(group), &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

int pf_group_write_file(const struct pf_kernel *kernel, const char *group, const char *file,
			const char *value)
{
	pf_auto_close int dir = pf_group_open(kernel, group);
	pf_auto_close int fd = -1;
	ssize_t n;

	if (dir < 0)
		return dir;
	fd = openat(dir, file, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	/*
	 * A write of no bytes never reaches the kernel's file: an empty value is a newline, as
	 * `echo > cpuset.cpus` writes it.
	 */
	if (!*value)
		value = "\n";
	do
		n = write(fd, value, strlen(value));
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

/* --- the table ------------------------------------------------------------------------------ */

static struct pf_kernel *kernel_of(struct pf_cgroup *cg)
{
	return (struct pf_kernel *)cg; /* embedded first */
}

static void forget_near(struct pf_kernel *kernel)
{
	free(pf_take_ptr(kernel->near));
	pf_cleanup_close(&kernel->near_fd);
	kernel->near_fd = -1;
}

/* Lists of threads come piece by piece, everything else in one go. */
static int read_file(int dir, const char *file, char **out)
{
	bool list = strcmp(file, "cgroup.threads") == 0 || strcmp(file, "cgroup.procs") == 0;

	return list ? pf_file_read(dir, file, out, NULL) : pf_file_read_once(dir, file, out, NULL);
}

/* What is looked up stays open until another group is: its files are read one after the other. */
static void remember_near(struct pf_kernel *kernel, const char *group, int *dir)
{
	forget_near(kernel);
	kernel->near = strdup(group);
	if (kernel->near)
		kernel->near_fd = pf_take_fd(dir);
}

/* Gone, or made anew under the same name, it has no files any more: looked up again then. */
static int kernel_read(struct pf_cgroup *cg, const char *group, const char *file, char **out,
		       struct pf_err *err)
{
	struct pf_kernel *kernel = kernel_of(cg);
	pf_auto_close int dir = -1;
	char word[PF_GROUP_WORD];
	int r = -ENOENT;

	if (kernel->near && strcmp(kernel->near, group) == 0)
		r = read_file(kernel->near_fd, file, out);
	if (r == -ENOENT || r == -ENODEV) {
		dir = pf_group_open(kernel, group);
		r = dir < 0 ? dir : read_file(dir, file, out);
		if (dir >= 0)
			remember_near(kernel, group, &dir);
	}
	if (r < 0)
		return pf_fail(err, r, "read %s of cgroup %s", file, pf_group_word(group, word));
	return 0;
}

static int kernel_write(struct pf_cgroup *cg, const char *group, const char *file,
			const char *value, struct pf_err *err)
{
	struct pf_kernel *kernel = kernel_of(cg);
	char word[PF_GROUP_WORD];
	int r;

	if (pf_cpuset_owns(file))
		return pf_cpuset_write(kernel, group, file, value, err);
	if (pf_cpu_owns(file))
		return pf_cpu_write(kernel, group, file, value, err);
	r = pf_group_write_file(kernel, group, file, value);
	if (r < 0)
		return pf_fail(err, r, "write '%.60s' to %s of cgroup %s", value, file,
			       pf_group_word(group, word));
	return 0;
}

static int kernel_id(struct pf_cgroup *cg, const char *group, uint64_t *out, struct pf_err *err)
{
	struct pf_kernel *kernel = kernel_of(cg);
	pf_auto_close int dir = pf_group_open(kernel, group);
	char word[PF_GROUP_WORD];
	struct stat st;
	int r = dir < 0 ? dir : 0;

	if (!r && fstat(dir, &st) < 0)
		r = -errno;
	if (r < 0)
		return pf_fail(err, r, "look up cgroup %s", pf_group_word(group, word));
	remember_near(kernel, group, &dir);
	*out = st.st_ino;
	return 0;
}

/* Opens @group's parent. @name points to the last part, inside @copy, which the caller frees. */
static int open_parent(const struct pf_kernel *kernel, const char *group, char **copy,
		       const char **name)
{
	char *text = strdup(below_root(group));
	size_t len;
	char *slash;
	int fd;

	if (!text)
		return -ENOMEM;
	*copy = text;
	for (len = strlen(text); len > 1 && text[len - 1] == '/'; len--)
		text[len - 1] = '\0';
	slash = strrchr(text, '/');
	*name = slash ? slash + 1 : text;
	if (slash)
		*slash = '\0';
	fd = pf_group_open(kernel, slash ? text : "/");
	return fd;
}

static int kernel_make(struct pf_cgroup *cg, const char *group, struct pf_err *err)
{
	pf_auto_free char *copy = NULL;
	pf_auto_close int parent = -1;
	char word[PF_GROUP_WORD];
	const char *name = NULL;
	int r;

	parent = open_parent(kernel_of(cg), group, &copy, &name);
	r = parent < 0 ? parent : 0;
	if (!r && mkdirat(parent, name, 0755) < 0)
		r = -errno;
	if (r < 0)
		return pf_fail(err, r, "make cgroup %s", pf_group_word(group, word));
	return 0;
}

static int kernel_remove(struct pf_cgroup *cg, const char *group, struct pf_err *err)
{
	pf_auto_free char *copy = NULL;
	pf_auto_close int parent = -1;
	char word[PF_GROUP_WORD];
	const char *name = NULL;
	int r;

	parent = open_parent(kernel_of(cg), group, &copy, &name);
	r = parent < 0 ? parent : 0;
	if (!r && unlinkat(parent, name, AT_REMOVEDIR) < 0)
		r = -errno;
	if (r == -EBUSY)
		return pf_fail(err, r, "remove cgroup %s: threads or groups are in it",
			       pf_group_word(group, word));
	if (r < 0)
		return pf_fail(err, r, "remove cgroup %s", pf_group_word(group, word));
	return 0;
}

static void kernel_close(struct pf_cgroup *cg)
{
	struct pf_kernel *kernel = kernel_of(cg);

	forget_near(kernel);
	pf_cleanup_close(&kernel->root_fd);
	pf_cleanup_close(&kernel->proc_fd);
	free(kernel->mount);
	free(kernel);
}

static void close_kernel(struct pf_kernel **kernel)
{
	if (*kernel)
		kernel_close(&(*kernel)->cg);
}

static int kernel_again(const struct pf_cgroup *cg, struct pf_cgroup **out, struct pf_err *err)
{
	const struct pf_kernel *from = (const struct pf_kernel *)cg;
	PF_CLEANUP(close_kernel) struct pf_kernel *kernel = calloc(1, sizeof(*kernel));

	if (!kernel)
		return pf_fail(err, ENOMEM, "open the cgroup tree again");
	*kernel = (struct pf_kernel){.cg.ops = cg->ops, .root_fd = -1, .proc_fd = -1, .near_fd = -1};
	kernel->mount = strdup(from->mount);
	if (!kernel->mount)
		return pf_fail(err, ENOMEM, "open the cgroup tree again");
	kernel->root_fd = fcntl(from->root_fd, F_DUPFD_CLOEXEC, 0);
	kernel->proc_fd = fcntl(from->proc_fd, F_DUPFD_CLOEXEC, 0);
	if (kernel->root_fd < 0 || kernel->proc_fd < 0)
		return pf_fail(err, errno, "open the cgroup tree again");
	*out = &pf_take_ptr(kernel)->cg;
	return 0;
}

static const struct pf_cgroup_ops kernel_ops = {
	.read = kernel_read,
	.write = kernel_write,
	.id = kernel_id,
	.make = kernel_make,
	.remove = kernel_remove,
	.attach = pf_kernel_attach,
	.threads = pf_kernel_threads,
	.task = pf_kernel_task,
	.affinity = pf_kernel_affinity,
	.again = kernel_again,
	.close = kernel_close,
};

void pf_cgroup_free(struct pf_cgroup **cg)
{
	if (*cg)
		(*cg)->ops->close(*cg);
	*cg = NULL;
}

void pf_task_clear(struct pf_task *task)
{
	free(task->cgroup);
	*task = (struct pf_task){};
}

/* --- opening -------------------------------------------------------------------------------- */

static void mounts_clear(struct pf_cgroup_mounts *mounts)
{
	free(mounts->cpuset);
	free(mounts->cpu);
	free(mounts->v2);
	free(mounts->v2_controllers);
}

static bool is_v2(const char *mount)
{
	struct statfs fs;

	return mount && statfs(mount, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC;
}

/* Looks for a cgroup v2 mount that libcgroup had no use for: only the words need it. */
static void find_v2(struct pf_cgroup_mounts *mounts)
{
	FILE *file = setmntent("/proc/self/mounts", "re");
	pf_auto_close int dir = -1;
	struct mntent *entry;

	if (!file)
		return;
	while (!mounts->v2 && (entry = getmntent(file)))
		if (strcmp(entry->mnt_type, "cgroup2") == 0)
			mounts->v2 = strdup(entry->mnt_dir);
	endmntent(file);
	if (!mounts->v2)
		return;
	dir = open(mounts->v2, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir >= 0)
		pf_file_read(dir, "cgroup.controllers", &mounts->v2_controllers, NULL);
}

static int diagnose_v1(const struct pf_cgroup_mounts *mounts, struct pf_err *err)
{
	bool cpuset = mounts->cpuset && !mounts->cpuset_v2;
	bool cpu = mounts->cpu && !mounts->cpu_v2;
	char where[256] = "";

	if (cpuset && cpu)
		snprintf(where, sizeof(where), "the controllers cpuset (%.80s) and cpu (%.80s) are",
			 mounts->cpuset, mounts->cpu);
	else
		snprintf(where, sizeof(where), "the controller %s (%.80s) is",
			 cpuset ? "cpuset" : "cpu", cpuset ? mounts->cpuset : mounts->cpu);
	return pf_fail_plain(
		err, EMEDIUMTYPE,
		"%s on cgroup v1, Pinfold needs both cpuset and cpu on cgroup v2: boot "
		"with '" BOOT_WORDS "' on the kernel command line",
		where);
}

static int diagnose_missing(const struct pf_cgroup_mounts *mounts, struct pf_err *err)
{
	const char *what = mounts->cpuset ? "cpu" : "cpuset";

	return pf_fail_plain(
		err, ENODEV,
		"cgroup v2 (%.80s) offers the controllers '%.80s', not %s: take cgroup_disable=%s "
		"off the kernel command line and put cgroup_no_v1=all on it, use a kernel with %s, "
		"or in a container have '+%s' written to the parent's cgroup.subtree_control",
		mounts->v2, mounts->v2_controllers ?: "", what, what,
		mounts->cpuset ? "CONFIG_CFS_BANDWIDTH" : "CONFIG_CPUSETS", what);
}

int pf_cgroup_diagnose(const struct pf_cgroup_mounts *mounts, struct pf_err *err)
{
	if ((mounts->cpuset && !mounts->cpuset_v2) || (mounts->cpu && !mounts->cpu_v2))
		return diagnose_v1(mounts, err);
	if (mounts->cpuset && mounts->cpu)
		return 0;
	if (mounts->v2)
		return diagnose_missing(mounts, err);
	return pf_fail_plain(err, ENODEV,
			     "cgroup v2 is not mounted: boot with '" BOOT_WORDS "' on the kernel "
			     "command line, or, on a host without systemd, run 'mount -t cgroup2 "
			     "cgroup2 /sys/fs/cgroup'");
}

static int find_mount(char **out, struct pf_err *err)
{
	PF_CLEANUP(mounts_clear) struct pf_cgroup_mounts mounts = {};
	int r;

	r = pf_library_mounts(&mounts.cpuset, &mounts.cpu, err);
	if (r < 0)
		return r;
	mounts.cpuset_v2 = is_v2(mounts.cpuset);
	mounts.cpu_v2 = is_v2(mounts.cpu);
	find_v2(&mounts);
	r = pf_cgroup_diagnose(&mounts, err);
	if (r < 0)
		return r;
	*out = pf_take_ptr(mounts.cpuset);
	return 0;
}

int pf_cgroup_open(struct pf_cgroup **out, struct pf_err *err)
{
	PF_CLEANUP(close_kernel) struct pf_kernel *kernel = calloc(1, sizeof(*kernel));
	struct statfs fs;
	int r;

	if (!kernel)
		return pf_fail(err, ENOMEM, "open the cgroup tree");
	*kernel = (struct pf_kernel){.cg.ops = &kernel_ops, .root_fd = -1, .proc_fd = -1,
				     .near_fd = -1};
	r = find_mount(&kernel->mount, err);
	if (r < 0)
		return r;
	kernel->root_fd = open(kernel->mount, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (kernel->root_fd < 0)
		return pf_fail(err, errno, "open %s", kernel->mount);
	/* the fd itself is asked again: something else may have been mounted there meanwhile */
	if (fstatfs(kernel->root_fd, &fs) < 0 || fs.f_type != CGROUP2_SUPER_MAGIC)
		return pf_fail(err, EMEDIUMTYPE, "%s is not cgroup v2", kernel->mount);
	kernel->proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (kernel->proc_fd < 0)
		return pf_fail(err, errno, "open /proc");
	*out = &pf_take_ptr(kernel)->cg;
	return 0;
}
