// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/serve/peer.h"

#include <errno.h>
#include <sys/socket.h>

int pf_peer_read(int fd, struct pf_peer *out)
{
	struct pf_peer peer = {};
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return -errno;
	peer.pid = cred.pid;
	peer.uid = cred.uid;
	peer.gid = cred.gid;
	/* More groups than fit (ERANGE) count as none: that can only take rights away. */
	len = sizeof(peer.groups);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, peer.groups, &len) == 0)
		peer.group_count = len / sizeof(peer.groups[0]);
	*out = peer;
	return 0;
}

bool pf_peer_may_change(const struct pf_peer *peer, const struct pf_peer_rights *rights)
{
	if (peer->uid == 0)
		return true;
	if (rights->group == (gid_t)-1)
		return false;
	if (peer->gid == rights->group)
		return true;
	for (size_t i = 0; i < peer->group_count; i++)
		if (peer->groups[i] == rights->group)
			return true;
	return false;
}

bool pf_peer_may_read(const struct pf_peer *peer, const struct pf_peer_rights *rights)
{
	return rights->others_read || pf_peer_may_change(peer, rights);
}
