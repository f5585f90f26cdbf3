/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who is at the other end of the control socket, and what that allows. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define PF_PEER_GROUPS_MAX 256

struct pf_peer {
	pid_t pid;
	uid_t uid;
	gid_t gid;
	gid_t groups[PF_PEER_GROUPS_MAX]; /* supplementary ones */
	size_t group_count;
};

struct pf_peer_rights {
	gid_t group;	  /* may read and change; (gid_t)-1: no such group */
	bool others_read; /* everyone else may read */
};

/*
 * As the kernel recorded it at connect(2): SO_PEERCRED and SO_PEERGROUPS of unix(7), socket(7).
 * The groups are the process's own, so no name service is asked. Return: 0 or -errno.
 */
int pf_peer_read(int fd, struct pf_peer *out);

bool pf_peer_may_change(const struct pf_peer *peer, const struct pf_peer_rights *rights);
bool pf_peer_may_read(const struct pf_peer *peer, const struct pf_peer_rights *rights);
