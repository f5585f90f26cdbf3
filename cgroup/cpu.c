// SPDX-License-Identifier: GPL-2.0-or-later
/* cpu.max and cpu.weight: Documentation/admin-guide/cgroup-v2.rst. */
#include <errno.h>
#include <string.h>

#include "cgroup/kernel.h"
#include "cgroup/library.h"

bool pf_cpu_owns(const char *file)
{
	return strcmp(file, "cpu.max") == 0 || strcmp(file, "cpu.weight") == 0;
}

/* What the kernel means by a refusal here, and what to do. */
static const char *hint(const char *file, int code)
{
	switch (code) {
	case -EINVAL:
	case -ERANGE:
		return strcmp(file, "cpu.max") == 0
			       ? " (period is 1000..1000000, quota 1000 or more, or max)"
			       : " (weight is 1..10000)";
	case -ENOENT:
		return " (no such group, or its parent's cgroup.subtree_control lacks cpu)";
	case -EACCES:
	case -EPERM:
		return " (Pinfold must run as root, or an LSM refuses it)";
	default:
		return "";
	}
}

int pf_cpu_write(const struct pf_kernel *kernel, const char *group, const char *file,
		 const char *value, struct pf_err *err)
{
	char word[PF_GROUP_WORD];
	int r;

	r = pf_library_write(kernel->mount, group, "cpu", file, value);
	if (r > 0)
		r = pf_group_write_file(kernel, group, file, value);
	if (r < 0)
		return pf_fail(err, r, "write '%.60s' to %s of cgroup %s%s", value, file,
			       pf_group_word(group, word), hint(file, r));
	return 0;
}
