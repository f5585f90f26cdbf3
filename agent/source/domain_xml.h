/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a guest was promised, out of libvirt's domain XML
 * (https://libvirt.org/formatdomain.html: CPU Allocation, IOThreads Allocation, CPU Tuning,
 * NUMA Node Tuning, Guest NUMA node topology, General metadata).
 */
#pragma once

#include "agent/base/err.h"
#include "agent/base/set.h"
#include "agent/model/guest.h"

/**
 * pf_domain_xml_parse - reads identity and promise of one guest
 * @xml: what virDomainGetXMLDesc() returns for a running domain; hand-written XML works as well.
 *       A document type declaration is refused, so there are no entities and nothing is loaded
 * @out: overwritten on success and then owned by the caller (pf_guest_clear()); untouched on
 *       failure
 *
 * What is wrong with one promise does not fail the parse: it becomes one finding, and the promise
 * is left out (PF_FINDING_IMPOSSIBLE) or the configuration's default counts (PF_FINDING_NOTE, for
 * metadata). pid, thread ids and the facts of the process stay empty.
 *
 * Return: 0, -EBADMSG for what is no domain XML with <uuid> and <name>, -ENOMEM.
 */
int pf_domain_xml_parse(const char *xml, struct pf_guest *out, struct pf_err *err);

/**
 * pf_domstatus_parse - reads what libvirt recorded of a running guest's process
 * @xml: libvirt's status file, <domstatus>; not an interface, but the format of qemu_domain.c's
 *       qemuDomainObjPrivateXMLFormat(), which libvirt itself must read after an upgrade
 * @guest: uuid is given; pid, the vCPUs' thread ids and what numad chose are set. A vCPU that has
 *       no id there has 0 afterwards. Untouched on failure
 *
 * Return: 0, -EBADMSG, -ESTALE when it is another guest's record, -ENOMEM.
 */
int pf_domstatus_parse(const char *xml, struct pf_guest *guest, struct pf_err *err);

/**
 * pf_cpulist_parse - reads libvirt's list syntax: "1-4,^3"
 * @text: fields in order, each adding (N, N-M) or taking out (^N) what earlier ones added, as in
 *        libvirt's virBitmapParse(): "^3,1-4" holds 3. White space and a trailing comma are fine
 * @out: untouched on failure
 *
 * Return: 0, -EINVAL for what is no list or has no member left, -ERANGE beyond PF_SET_BITS.
 */
int pf_cpulist_parse(const char *text, struct pf_set *out);
