// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <string.h>

#include "agent/source/domain_value.h"
#include "agent/source/domain_xml.h"
#include "agent/source/xml.h"

static int check_owner(const xmlNode *status, const struct pf_guest *guest, struct pf_err *err)
{
	xmlNode *node = pf_xml_child(pf_xml_child(status, "domain"), "uuid");
	auto_text *text = node ? xmlNodeGetContent(node) : NULL;
	char uuid[37];

	if (!text || !pf_value_uuid((const char *)text, uuid))
		return pf_fail_plain(err, EBADMSG, "libvirt's status file tells no <uuid>");
	if (strcmp(uuid, guest->uuid) != 0)
		return pf_fail_plain(err, ESTALE, "libvirt's status file is of guest %s, not of %s",
				     uuid, guest->uuid);
	return 0;
}

static void take_vcpu_tids(const xmlNode *status, struct pf_promise *promise)
{
	for (size_t i = 0; i < promise->vcpu_count; i++)
		promise->vcpus[i].tid = 0;
	for_each_child(node, pf_xml_child(status, "vcpus"), "vcpu")
	{
		auto_text *number = pf_xml_attribute(node, "id");
		auto_text *pid = pf_xml_attribute(node, "pid");
		unsigned int index, tid;

		if (!pf_value_unsigned(number, &index) || !pf_value_unsigned(pid, &tid) ||
		    tid > INT32_MAX)
			continue;
		for (size_t i = 0; i < promise->vcpu_count; i++)
			if (promise->vcpus[i].index == index)
				promise->vcpus[i].tid = (pid_t)tid;
	}
}

/* The XML says placement='auto' only; what numad chose at the start stands here alone. */
static void take_numad(const xmlNode *status, struct pf_promise *promise)
{
	xmlNode *numad = pf_xml_child(status, "numad");
	auto_text *nodeset = numad ? pf_xml_attribute(numad, "nodeset") : NULL;
	auto_text *cpuset = numad ? pf_xml_attribute(numad, "cpuset") : NULL;

	if (nodeset && promise->memory.automatic)
		promise->memory.nodes_known =
			pf_cpulist_parse((const char *)nodeset, &promise->memory.nodes) == 0;
	if (cpuset && promise->vcpu_automatic)
		promise->vcpu_default.set =
			pf_cpulist_parse((const char *)cpuset, &promise->vcpu_default.cpus) == 0;
}

int pf_domstatus_parse(const char *xml, struct pf_guest *guest, struct pf_err *err)
{
	auto_ctxt ctxt = xmlNewParserCtxt();
	auto_text *pid = NULL;
	xmlNode *status = NULL;
	unsigned int value;
	int r;

	if (!ctxt)
		return pf_fail(err, ENOMEM, "read libvirt's status file");
	r = pf_xml_read(ctxt, xml, "domstatus", &status, err);
	if (r < 0)
		return r;
	r = check_owner(status, guest, err);
	if (r < 0)
		return r;
	pid = pf_xml_attribute(status, "pid");
	if (!pf_value_unsigned(pid, &value) || value == 0 || value > INT32_MAX)
		return pf_fail_plain(err, EBADMSG, "libvirt's status file tells no process id");
	guest->pid = (pid_t)value;
	take_vcpu_tids(status, &guest->promise);
	take_numad(status, &guest->promise);
	return 0;
}
