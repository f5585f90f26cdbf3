/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a thread of a guest is there for. Every thread has exactly one role. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum pf_role_kind {
	PF_ROLE_EMULATOR, /* the main loop and everything else that is none of the others */
	PF_ROLE_VCPU,
	PF_ROLE_IOTHREAD,
	PF_ROLE_HELPER, /* vhost, io-wq, migration channels: works for the guest, named by rule */
};

struct pf_role {
	enum pf_role_kind kind;
	unsigned int index; /* vCPU or iothread number as libvirt counts them; otherwise 0 */
};

#define PF_ROLE_TEXT_MAX 24

bool pf_role_equal(struct pf_role a, struct pf_role b);

/* "vcpu 0", "iothread 1", "emulator", "helper". Return: @buf. */
char *pf_role_format(struct pf_role role, char buf[PF_ROLE_TEXT_MAX]);

/* The reverse of pf_role_format(). Return: 0 or -EINVAL. */
int pf_role_parse(const char *text, struct pf_role *out);

/*
 * The leaf's name below the guest's group, as libvirt's vircgroup.c names them: "vcpu0",
 * "iothread1", "emulator"; "helper" is ours. Return: @buf.
 */
char *pf_role_leaf(struct pf_role role, char buf[PF_ROLE_TEXT_MAX]);
