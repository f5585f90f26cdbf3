/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where libvirt's QEMU driver puts a guest's process, told from the guest alone: by the rules of
 * libvirt's domain_driver.c (virDomainDriverGenerateMachineName()), virsystemd.c (scope and slice
 * names) and vircgroup.c (partitions). It keeps those paths for the guest's life and never looks
 * whether they still exist. Internal to source/.
 */
#pragma once

#include <stdbool.h>

#include "agent/model/guest.h"

struct pf_home {
	char *base;	 /* the group that holds the leaves */
	char *unit;	 /* its scope; NULL without systemd */
	char *unit_path; /* the scope's group; NULL without systemd */
};

void pf_home_clear(struct pf_home *home);

/**
 * pf_home_find - the guest's own place
 * @machined: libvirt asks systemd-machined for a scope; without it, it makes the group itself
 *
 * Return: 1; 0 when libvirt has not told that it made one (no number, no partition); -ENOMEM.
 */
int pf_home_find(const struct pf_guest *guest, bool machined, struct pf_home *out);

/*
 * Whether some part of @path is a group that libvirt names after this guest's number. True for any
 * guest's, where that is not known.
 */
bool pf_home_owns(const struct pf_guest *guest, const char *path);
