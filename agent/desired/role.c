// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/desired/role.h"

#include <stdio.h>
#include <string.h>

/*
 * Threads that work for the guest and are none of QEMU's own loops, by the beginning of their
 * names: drivers/vhost/vhost.c, io_uring/io-wq.c and sqpoll.c, QEMU's migration/ (the older and
 * the newer names), arch/x86/kvm/mmu and i8254.c.
 */
static const char *const helper_names[] = {
	"vhost-",  "iou-wrk-",	 "iou-sqp-",	 "multifdsend_", "multifdrecv_",
	"mig/src/", "mig/dst/", "live_migration", "kvm-nx-lpage-", "kvm-pit/",
};

static bool is_helper(const char *comm)
{
	for (size_t i = 0; i < sizeof(helper_names) / sizeof(helper_names[0]); i++)
		if (strncmp(comm, helper_names[i], strlen(helper_names[i])) == 0)
			return true;
	return false;
}

/* QEMU names vCPU threads "CPU 3/KVM" or "CPU 3/TCG" (accel/). */
static bool named_vcpu(const char *comm, unsigned int *index)
{
	int end = -1;

	return sscanf(comm, "CPU %u/%n", index, &end) == 1 && end > 0;
}

struct pf_role pf_desired_role(const struct pf_promise *promise, const struct pf_thread *thread,
			       bool *settled)
{
	unsigned int index;

	*settled = true;
	for (size_t i = 0; i < promise->vcpu_count; i++)
		if (promise->vcpus[i].tid == thread->tid)
			return (struct pf_role){PF_ROLE_VCPU, promise->vcpus[i].index};
	for (size_t i = 0; i < promise->iothread_count; i++)
		if (promise->iothreads[i].tid == thread->tid)
			return (struct pf_role){PF_ROLE_IOTHREAD, promise->iothreads[i].index};
	if (is_helper(thread->comm))
		return (struct pf_role){PF_ROLE_HELPER, 0};
	if (named_vcpu(thread->comm, &index)) {
		*settled = false;
		return (struct pf_role){PF_ROLE_VCPU, index};
	}
	return (struct pf_role){PF_ROLE_EMULATOR, 0};
}
