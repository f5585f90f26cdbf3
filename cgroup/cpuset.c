// SPDX-License-Identifier: GPL-2.0-or-later
/* cpuset.cpus and cpuset.mems: cpuset(7), Documentation/admin-guide/cgroup-v2.rst. */
#include <errno.h>
#include <string.h>

#include "cgroup/kernel.h"
#include "cgroup/library.h"

bool pf_cpuset_owns(const char *file)
{
	return strcmp(file, "cpuset.cpus") == 0 || strcmp(file, "cpuset.mems") == 0;
}

/* What the kernel means by a refusal here, and what to do. */
static const char *hint(int code)
{
	switch (code) {
	case -EINVAL:
	case -ERANGE:
		return " (not a list of CPUs or nodes that this host has)";
	case -ENOSPC:
		return " (threads are in it, and this kernel wants a non-empty set then)";
	case -EBUSY:
		return " (deadline tasks in it need those CPUs)";
	case -ENOENT:
		return " (no such group, or its parent's cgroup.subtree_control lacks cpuset)";
	case -EACCES:
	case -EPERM:
		return " (Pinfold must run as root, or an LSM refuses it)";
	default:
		return "";
	}
}

int pf_cpuset_write(const struct pf_kernel *kernel, const char *group, const char *file,
		    const char *value, struct pf_err *err)
{
	char word[PF_GROUP_WORD];
	int r;

	r = pf_library_write(kernel->mount, group, "cpuset", file, value);
	if (r > 0)
		r = pf_group_write_file(kernel, group, file, value);
	if (r < 0)
		return pf_fail(err, r, "write '%.60s' to %s of cgroup %s%s", value, file,
			       pf_group_word(group, word), hint(r));
	return 0;
}
