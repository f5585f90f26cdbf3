/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One parse of a domain's XML, for the files that share it alone: domain_xml.c (entry, identity),
 * domain_cpu.c (vCPUs, iothreads, pins, bandwidths), domain_numa.c (guest cells, memory) and
 * domain_policy.c (<metadata>). domain_status.c, libvirt's status file, is a parse of its own.
 */
#pragma once

#include <stdbool.h>

#include "agent/base/set.h"
#include "agent/model/guest.h"
#include "agent/source/xml.h"

struct pf_domain {
	struct pf_guest *guest;
	struct pf_promise *promise;
	int failed; /* -ENOMEM, nothing else */
};

/* Adds a finding to the guest; without memory for it, @p has failed. */
void pf_domain_found(struct pf_domain *p, enum pf_severity severity, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#define impossible(p, ...) pf_domain_found(p, PF_FINDING_IMPOSSIBLE, __VA_ARGS__)
#define note(p, ...) pf_domain_found(p, PF_FINDING_NOTE, __VA_ARGS__)

/*
 * Reads attribute @name of @node as a list. @what names the promise in the finding that a bad or
 * missing list gives. Return: whether @out was set.
 */
bool pf_domain_take_list(struct pf_domain *p, const xmlNode *node, const char *name,
			 const char *what, struct pf_set *out);

/* Reads @node's cpuset into @pin; a second one for the same pin is a finding, the first counts. */
void pf_domain_take_pin(struct pf_domain *p, const xmlNode *node, const char *what,
			struct pf_pin *pin);

/*
 * The sections of <domain>, in this order: what a later one says refers to what an earlier one
 * found. What is wrong in them becomes findings.
 */
void pf_domain_take_cpus(struct pf_domain *p, const xmlNode *domain);
void pf_domain_take_numa(struct pf_domain *p, const xmlNode *domain);
void pf_domain_take_policy(struct pf_domain *p, const xmlNode *domain);
