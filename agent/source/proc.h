/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Facts of a guest's process: its threads and its place in the cgroup tree from /proc, and the
 * thread ids that libvirt recorded when it asked QEMU.
 */
#pragma once

#include "agent/base/err.h"
#include "agent/model/guest.h"

/**
 * pf_proc_fill - fills threads, base, unit, unit_path and the thread ids that are still unknown
 * @root: root fd (pf_root_open()) below which /proc is read
 * @guest: pid and promise are given, and the vCPUs' thread ids where libvirt's record told them;
 *	also id, partition and brought_back
 *
 * Meant for a fresh copy of the guest that the source posted, once a pass: findings are added.
 *
 * base is the parent of the leaf (emulator, vcpuN, iothreadN, helper) that the main thread is in,
 * when libvirt named it after this guest's number. A process that is anywhere else has strayed where
 * libvirt has told that it made a group for it (pf_home_find()): base, unit and unit_path are then
 * those of that group, whether it still exists or not. Otherwise, as for cgroup_controllers=[],
 * base stays NULL, with a PF_FINDING_IMPOSSIBLE.
 *
 * Thread ids: libvirt's record counts. Where it tells none at all, the names that QEMU gives its
 * threads do ("CPU 0/KVM"); iothreads are always found by name ("IO iothread1"), because libvirt
 * records no ids for them, and by their leaf where the id is too long for a thread's name. What
 * contradicts, or stays unknown, is a finding; an id that the process does not have is dropped.
 *
 * Return: 0, -ESRCH when there is no such process, -ENOMEM, or the errno of reading /proc. On
 * failure the guest may be filled in part.
 */
int pf_proc_fill(int root, struct pf_guest *guest, struct pf_err *err);

/*
 * The same for a guest whose threads and cgroup are given, as pf_proc_fill() found them before and as
 * they still are: the rest follows from them, and /proc is not read again for it.
 */
int pf_proc_tell(int root, struct pf_guest *guest, struct pf_err *err);

/**
 * pf_proc_state - reads libvirt's status file of a running guest
 * @root: root fd
 * @state_dir: where libvirt's QEMU driver keeps them: /run/libvirt/qemu
 * @guest: name and uuid are given; pid and the vCPUs' thread ids are set, and what numad chose
 *
 * That file is libvirt's own record for its restart. It is used rather than
 * virDomainQemuMonitorCommand(), which would mark the guest as tainted ("custom-monitor").
 * Readable for root alone. A vCPU that it does not tell (yet) keeps thread id 0.
 *
 * Return: 0, -ENOENT when there is no file for the guest, -ESTALE when it is another guest's,
 * -EBADMSG, -EACCES, -ENOMEM. @guest is untouched on failure.
 */
int pf_proc_state(int root, const char *state_dir, struct pf_guest *guest, struct pf_err *err);
