/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The host as the kernel shows it: CPUs, NUMA nodes, memory, huge pages, distances.
 *
 * Sources: Documentation/ABI/stable/sysfs-devices-node, .../sysfs-devices-system-cpu and
 * Documentation/admin-guide/cputopology.rst below one injectable root. On the live root node
 * memory and distances come from libnuma, which reads the same files and is what numactl shows.
 */
#pragma once

#include "agent/base/err.h"
#include "agent/model/host.h"

/**
 * pf_topology_read - reads the whole topology
 * @sysroot: where /sys and /proc are looked up; NULL, "" or "/" is this host
 * @out: filled, owned by the caller (pf_host_clear()); untouched on failure
 *
 * A host without /sys/devices/system/node is one node 0 with all its CPUs and memory. Offline
 * CPUs have package and core -1, since the kernel drops their topology.
 *
 * Return: 0, or -errno: -ENOENT when there are no CPUs to be found there, -EBADMSG when a file is
 * not what the kernel writes.
 */
int pf_topology_read(const char *sysroot, struct pf_host *out, struct pf_err *err);

/**
 * pf_topology_refresh - brings @host up to date with which CPUs and nodes are online
 * @rootfd: a root as of pf_root_open()
 * @host: as read before; untouched on failure
 *
 * Three small files when nothing changed; otherwise everything is read again. Memory and huge
 * pages are only as fresh as the last whole read.
 */
int pf_topology_refresh(int rootfd, struct pf_host *host, struct pf_err *err);
