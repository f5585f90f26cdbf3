/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "agent/model/guest.h"

/**
 * pf_desired_role - the one role of a guest's thread
 * @settled: set to false for a vCPU thread that libvirt has not recorded yet (hot-plug): it is
 *           the vCPU that its name says, and libvirt is still placing it
 *
 * QEMU's own thread ids decide; then the names that QEMU and the kernel give to threads which work
 * for a guest (vhost, io-wq, migration channels: helper); everything else is the emulator's.
 */
struct pf_role pf_desired_role(const struct pf_promise *promise, const struct pf_thread *thread,
			       bool *settled);
