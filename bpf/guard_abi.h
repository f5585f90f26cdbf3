/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What guard.bpf.c and guard.c share beside policy.h. Both sides include it; nobody else does. */
#pragma once

#include <linux/types.h>

#define PF_GUARD_ALLOWED_MAX 256

/* A file by the kernel's own numbers; the key of the map `allowed`. */
struct pf_guard_file {
	__u64 inode;
	__u32 dev;
	__u32 reserved; /* 0 */
};
_Static_assert(sizeof(struct pf_guard_file) == 16, "a key without holes");

/* A line of the file iterator. */
struct pf_guard_fd {
	struct pf_guard_file file;
	__u32 fd;
	__u32 reserved;
};
