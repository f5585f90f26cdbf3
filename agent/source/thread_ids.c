// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/source/thread_ids.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/cleanup.h"
#include "agent/source/place.h"

/* "CPU 12/KVM", "CPU 12/TCG": the name QEMU gives the thread of a vCPU. */
static bool comm_is_vcpu(const char *comm, unsigned int *index)
{
	char *end;

	if (strncmp(comm, "CPU ", 4) != 0 || !isdigit((unsigned char)comm[4]))
		return false;
	*index = (unsigned int)strtoul(comm + 4, &end, 10);
	return *end == '/';
}

/* "IO iothread3"; libvirt calls the object of iothread N "iothreadN". */
static bool comm_is_iothread(const char *comm, unsigned int *index)
{
	char *end;

	if (strncmp(comm, "IO iothread", 11) != 0 || !isdigit((unsigned char)comm[11]))
		return false;
	*index = (unsigned int)strtoul(comm + 11, &end, 10);
	return !*end;
}

/* The only thread whose name says vCPU or iothread @index; 0 for none, -1 for several. */
static pid_t find_by_comm(const struct pf_guest *guest,
			  bool (*match)(const char *comm, unsigned int *index), unsigned int index)
{
	pid_t tid = 0;

	for (size_t i = 0; i < guest->thread_count; i++) {
		unsigned int named;

		if (!match(guest->threads[i].comm, &named) || named != index)
			continue;
		if (tid)
			return -1;
		tid = guest->threads[i].tid;
	}
	return tid;
}

/*
 * The threads of one kind that stay unknown: one sentence for all of them. As text, because an
 * iothread's number may be beyond what a set holds.
 */
struct unknown {
	char list[128];
	bool pinned;
};

static void add_unknown(struct unknown *unknown, unsigned int index, bool pinned)
{
	size_t len = strlen(unknown->list), room = sizeof(unknown->list) - len;

	unknown->pinned |= pinned;
	if (room > 20)
		snprintf(unknown->list + len, room, "%s%u", len ? ", " : "", index);
	else if (unknown->list[len - 1] != '.')
		snprintf(unknown->list + len, room, ", ...");
}

/* A pin whose thread cannot be told is a promise that is not kept. */
static int report_unknown(struct pf_guest *guest, const char *kind, const struct unknown *unknown)
{
	if (!unknown->list[0])
		return 0;
	return pf_findings_add(
		&guest->findings, unknown->pinned ? PF_FINDING_IMPOSSIBLE : PF_FINDING_NOTE,
		"the thread of %s %s is not known (yet): neither libvirt's record nor "
		"the names of the threads of process %d tell it",
		kind, unknown->list, guest->pid);
}

static bool vcpus_are_recorded(const struct pf_promise *promise)
{
	for (size_t i = 0; i < promise->vcpu_count; i++)
		if (promise->vcpus[i].tid)
			return true;
	return false;
}

/* Holds libvirt's record of one vCPU against what the process shows. */
static int check_vcpu(struct pf_guest *guest, struct pf_vcpu *vcpu)
{
	const struct pf_thread *thread = pf_guest_thread(guest, vcpu->tid);
	unsigned int named;

	if (!thread) {
		pid_t tid = vcpu->tid;

		vcpu->tid = 0;
		return pf_findings_add(
			&guest->findings, PF_FINDING_NOTE,
			"libvirt's record names thread %d for vCPU %u, which process "
			"%d does not have",
			tid, vcpu->index, guest->pid);
	}
	if (comm_is_vcpu(thread->comm, &named) && named != vcpu->index)
		return pf_findings_add(&guest->findings, PF_FINDING_NOTE,
				       "libvirt's record says that thread %d is vCPU %u, its name "
				       "says vCPU %u; the record counts",
				       thread->tid, vcpu->index, named);
	return 0;
}

/*
 * Where libvirt's record knows some vCPUs, one that it does not know is being plugged, and its
 * name is no proof that libvirt is done with it: it stays 0 until the record says so.
 */
static int fill_vcpus(struct pf_guest *guest)
{
	struct pf_promise *promise = &guest->promise;
	bool recorded = vcpus_are_recorded(promise);
	struct unknown unknown = {};
	int r;

	for (size_t i = 0; i < promise->vcpu_count; i++) {
		struct pf_vcpu *vcpu = &promise->vcpus[i];

		if (!recorded && vcpu->online) {
			pid_t tid = find_by_comm(guest, comm_is_vcpu, vcpu->index);

			vcpu->tid = tid > 0 ? tid : 0;
		} else if (vcpu->tid) {
			r = check_vcpu(guest, vcpu);
			if (r < 0)
				return r;
		}
		if (vcpu->online && !vcpu->tid)
			add_unknown(&unknown, vcpu->index,
				    vcpu->pin.set || promise->vcpu_default.set);
	}
	return report_unknown(guest, "vCPU", &unknown);
}

/* The only thread in the leaf of iothread @index that no name tells; 0 for none or several. */
static pid_t find_by_leaf(int root, const struct pf_guest *guest, unsigned int index)
{
	char leaf[PF_ROLE_TEXT_MAX];
	size_t base_len = guest->base ? strlen(guest->base) : 0;
	pid_t tid = 0;

	if (!base_len)
		return 0;
	pf_role_leaf((struct pf_role){PF_ROLE_IOTHREAD, index}, leaf);
	for (size_t i = 0; i < guest->thread_count; i++) {
		const struct pf_thread *thread = &guest->threads[i];
		pf_auto_free char *path = NULL;
		char file[PROC_PATH_MAX];
		unsigned int named;

		if (comm_is_vcpu(thread->comm, &named) || comm_is_iothread(thread->comm, &named))
			continue;
		snprintf(file, sizeof(file), "proc/%d/task/%d/cgroup", guest->pid, thread->tid);
		if (pf_place_read(root, file, &path, NULL) < 0 ||
		    strncmp(path, guest->base, base_len) != 0 || path[base_len] != '/' ||
		    strcmp(path + base_len + 1, leaf) != 0)
			continue;
		if (tid)
			return 0;
		tid = thread->tid;
	}
	return tid;
}

static int fill_iothreads(int root, struct pf_guest *guest)
{
	struct pf_promise *promise = &guest->promise;
	struct unknown unknown = {};

	for (size_t i = 0; i < promise->iothread_count; i++) {
		struct pf_iothread *iothread = &promise->iothreads[i];
		pid_t tid = find_by_comm(guest, comm_is_iothread, iothread->index);

		if (!tid)
			tid = find_by_leaf(root, guest, iothread->index);
		iothread->tid = tid > 0 ? tid : 0;
		if (!iothread->tid)
			add_unknown(&unknown, iothread->index,
				    iothread->pin.set || promise->vcpu_default.set);
	}
	return report_unknown(guest, "iothread", &unknown);
}

int pf_thread_ids_fill(int root, struct pf_guest *guest, struct pf_err *err)
{
	int r = fill_vcpus(guest);

	r = r ?: fill_iothreads(root, guest);
	return r < 0 ? pf_fail(err, r, "tell the threads of process %d", guest->pid) : 0;
}
