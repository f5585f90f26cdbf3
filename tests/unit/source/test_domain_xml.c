// SPDX-License-Identifier: GPL-2.0-or-later
/* What comes out of the parse itself; what becomes of it is desired/'s golden files. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/base/cleanup.h"
#include "agent/base/file.h"
#include "agent/source/domain_xml.h"

#define GOLDEN "tests/unit/desired/golden/"
#define UUID "6d1f0c3a-0000-4000-a000-000000000001"

#define auto_guest PF_CLEANUP(pf_guest_clear) struct pf_guest

/* A domain whose inside, behind name and uuid, is @inside. */
static void parse(const char *inside, struct pf_guest *out)
{
	pf_auto_free char *xml = NULL;
	struct pf_err err = {};

	assert_true(asprintf(&xml,
			     "<domain type='kvm' id='1'><name>g</name><uuid>" UUID
			     "</uuid>%s</domain>",
			     inside) > 0);
	if (pf_domain_xml_parse(xml, out, &err) != 0)
		fail_msg("%s", err.text);
}

static void parse_golden(const char *name, struct pf_guest *out)
{
	pf_auto_free char *xml = NULL;
	struct pf_err err = {};

	assert_int_equal(pf_file_read(AT_FDCWD, name, &xml, &err), 0);
	assert_int_equal(pf_domain_xml_parse(xml, out, &err), 0);
}

static void is_set(const struct pf_set *set, const char *list)
{
	char text[PF_SET_TEXT_MAX];

	assert_string_equal(pf_set_format(set, text, sizeof(text)), list);
}

static void is_pin(const struct pf_pin *pin, const char *list)
{
	assert_true(pin->set);
	is_set(&pin->cpus, list);
}

/* Exactly one finding, of that severity, and these words in it. */
static void one_finding(const struct pf_guest *guest, enum pf_severity severity, const char *words)
{
	assert_int_equal(guest->findings.count, 1);
	assert_int_equal(guest->findings.items[0].severity, severity);
	if (!strstr(guest->findings.items[0].text, words))
		fail_msg("'%s' does not say '%s'", guest->findings.items[0].text, words);
}

static void one_impossible(const char *inside, const char *words)
{
	auto_guest guest = {};

	parse(inside, &guest);
	one_finding(&guest, PF_FINDING_IMPOSSIBLE, words);
}

/* ---- lists ------------------------------------------------------------------------------ */

static void lists_follow_libvirts_syntax(void **state)
{
	static const struct {
		const char *text, *list;
	} good[] = {
		{"0", "0"},          {"1-4,^3", "1-2,4"},      {"^3,1-4", "1-4"},
		{"1-4,^3,3", "1-4"}, {" 1 , 3 - 5 ", "1,3-5"}, {"1,", "1"},
		{"5,^9", "5"},       {"0-4095", "0-4095"},     {"3,3,3", "3"},
		{"2-2", "2"},
	};
	static const char *const bad[] = {"",         " ",    "^1",    "1-",   "-1",   "3-1",
					  "1-3,^1-2", "1;2",  "a",     "1,,2", "^",    "0x1",
					  "1 2",      "1,^1", "1-2-3", "+1",   "1,^-1"};
	struct pf_set set = {};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		if (pf_cpulist_parse(good[i].text, &set) != 0)
			fail_msg("'%s' is a list", good[i].text);
		is_set(&set, good[i].list);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (pf_cpulist_parse(bad[i], &set) != -EINVAL)
			fail_msg("'%s' is no list", bad[i]);
	assert_int_equal(pf_cpulist_parse("4096", &set), -ERANGE);
	assert_int_equal(pf_cpulist_parse("0-99999999999999999999", &set), -ERANGE);
	is_set(&set, "2");
}

/* ---- what is no domain ------------------------------------------------------------------ */

static void what_is_no_domain_is_an_error(void **state)
{
	static const struct {
		const char *xml, *words;
	} bad[] = {
		{"", "domain XML, line"},
		{"<domain>", "line 1"},
		{"<network><name>n</name></network>", "not a <domain>"},
		{"<domain><uuid>" UUID "</uuid></domain>", "no <name>"},
		{"<domain><name/><uuid>" UUID "</uuid></domain>", "no <name>"},
		{"<domain><name>g</name></domain>", "'g' has no <uuid>"},
		{"<domain><name>g</name><uuid>12-34</uuid></domain>", "'12-34' is not a UUID"},
		{"<domain><name>g</name><uuid>" UUID "0</uuid></domain>", "is not a UUID"},
		{"<!DOCTYPE domain SYSTEM 'file:///etc/passwd'><domain/>", "DOCTYPE"},
	};
	struct pf_guest guest = {.pid = 77};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct pf_err err = {};

		assert_int_equal(pf_domain_xml_parse(bad[i].xml, &guest, &err), -EBADMSG);
		if (!strstr(err.text, bad[i].words))
			fail_msg("'%s' does not say '%s'", err.text, bad[i].words);
		assert_int_equal(guest.pid, 77);
		assert_null(guest.name);
	}
}

static void entities_are_never_expanded(void **state)
{
	struct pf_guest guest = {};
	struct pf_err err = {};

	(void)state;
	assert_int_equal(pf_domain_xml_parse("<!DOCTYPE d [<!ENTITY a 'x'><!ENTITY b '&a;&a;'>]>"
					     "<domain><name>&b;</name><uuid>" UUID
					     "</uuid></domain>",
					     &guest, &err),
			 -EBADMSG);
	assert_non_null(strstr(err.text, "DOCTYPE"));
}

static void identity_is_taken_as_it_stands(void **state)
{
	auto_guest guest = {}, other = {};
	struct pf_err err;

	(void)state;
	assert_int_equal(
		pf_domain_xml_parse("<domain><name> a &lt;b&gt;\\x2d.\xc3\xb6 </name>"
				    "<uuid>6D1F0C3A00004000A000000000000001</uuid></domain>",
				    &guest, &err),
		0);
	assert_string_equal(guest.name, " a <b>\\x2d.\xc3\xb6 ");
	assert_string_equal(guest.uuid, UUID);
	assert_int_equal(guest.source, PF_SOURCE_LIBVIRT);
	assert_int_equal(guest.promise.vcpu_count, 1);
	parse_golden(GOLDEN "79-name-of-200-characters.xml", &other);
	assert_int_equal(strlen(other.name), 200);
}

/* ---- promises --------------------------------------------------------------------------- */

static void the_seed_guest_is_read(void **state)
{
	auto_guest guest = {};
	const struct pf_promise *promise = &guest.promise;

	(void)state;
	parse_golden(GOLDEN "01-seed.xml", &guest);
	assert_int_equal(guest.findings.count, 0);
	assert_int_equal(promise->vcpu_count, 4);
	is_pin(&promise->vcpus[0].pin, "8");
	is_pin(&promise->vcpus[1].pin, "16");
	assert_false(promise->vcpus[2].pin.set);
	assert_true(promise->vcpus[3].online);
	is_pin(&promise->emulator, "16");
	assert_true(promise->has_shares);
	assert_int_equal(promise->shares, 2048);
	assert_true(promise->vcpu_bandwidth.has_period);
	assert_int_equal(promise->vcpu_bandwidth.period_usec, 1000000);
	assert_true(promise->vcpu_bandwidth.has_quota);
	assert_int_equal(promise->vcpu_bandwidth.quota_usec, -1);
	assert_int_equal(promise->memory.mode, PF_MEMORY_STRICT);
	assert_true(promise->memory.nodes_known);
	is_set(&promise->memory.nodes, "1");
	assert_int_equal(promise->cell_count, 2);
	is_set(&promise->cells[1].vcpus, "2-3");
	assert_int_equal(promise->cells[1].memory_kib, 524288);
	assert_int_equal(promise->cells[1].memory.mode, PF_MEMORY_NONE);
}

static void the_documentations_example_is_read(void **state)
{
	auto_guest guest = {};
	const struct pf_promise *promise = &guest.promise;

	(void)state;
	parse_golden(GOLDEN "07-doc-cputune.xml", &guest);
	assert_int_equal(guest.findings.count, 0);
	is_pin(&promise->vcpus[0].pin, "1,3-4");
	is_pin(&promise->vcpus[3].pin, "0,4");
	is_pin(&promise->emulator, "1-3");
	assert_int_equal(promise->iothread_count, 2);
	is_pin(&promise->iothreads[1].pin, "7-8");
	assert_int_equal(promise->global_bandwidth.period_usec, 1000000);
	assert_int_equal(promise->emulator_bandwidth.quota_usec, -1);
	assert_int_equal(promise->iothread_bandwidth.period_usec, 1000000);
}

static void everything_at_once_is_read(void **state)
{
	auto_guest guest = {};
	const struct pf_promise *promise = &guest.promise;

	(void)state;
	parse_golden(GOLDEN "85-everything-at-once.xml", &guest);
	assert_int_equal(guest.findings.count, 0);
	is_pin(&promise->vcpu_default, "0-30");
	assert_true(promise->vcpus[2].online && promise->vcpus[2].hotpluggable);
	assert_false(promise->vcpus[3].online);
	is_pin(&promise->vcpus[3].pin, "17");
	assert_int_equal(promise->iothreads[1].index, 7);
	is_pin(&promise->iothreads[1].pin, "2");
	assert_int_equal(promise->shares, 512);
	assert_int_equal(promise->vcpu_bandwidth.quota_usec, 80000);
	assert_int_equal(promise->global_bandwidth.quota_usec, 300000);
	assert_int_equal(promise->emulator_bandwidth.quota_usec, 50000);
	assert_int_equal(promise->iothread_bandwidth.quota_usec, 40000);
	assert_int_equal(promise->cells[1].memory.mode, PF_MEMORY_PREFERRED);
	is_set(&promise->cells[1].memory.nodes, "2");
	assert_true(promise->policy.has_mode && promise->policy.has_isolation);
	assert_false(promise->policy.has_unpinned);
	assert_int_equal(promise->policy.isolation, PF_ISOLATION_DEDICATED);
}

static void vcpus_come_online_by_number_or_by_list(void **state)
{
	auto_guest counted = {}, listed = {};

	(void)state;
	parse("<vcpu current='2'>3</vcpu>", &counted);
	assert_true(counted.promise.vcpus[1].online && !counted.promise.vcpus[1].hotpluggable);
	assert_true(!counted.promise.vcpus[2].online && counted.promise.vcpus[2].hotpluggable);
	parse("<vcpu current='2'>3</vcpu><vcpus><vcpu id='0' enabled='yes' hotpluggable='no'/>"
	      "<vcpu id='2' enabled='yes' hotpluggable='yes' order='2'/></vcpus>",
	      &listed);
	assert_true(listed.promise.vcpus[0].online && !listed.promise.vcpus[0].hotpluggable);
	assert_false(listed.promise.vcpus[1].online);
	assert_true(listed.promise.vcpus[2].online && listed.promise.vcpus[2].hotpluggable);
	assert_int_equal(listed.findings.count, 0);
}

static void bad_vcpu_numbers_are_findings(void **state)
{
	auto_guest guest = {};

	(void)state;
	one_impossible("<vcpu>many</vcpu>", "<vcpu>many</vcpu> is not a number");
	one_impossible("<vcpu>0</vcpu>", "<vcpu>0</vcpu> is not a number");
	one_impossible("<vcpu current='3'>2</vcpu>", "current='3'");
	one_impossible("<vcpu placement='somewhere'>2</vcpu>", "placement='somewhere'");
	one_impossible("<vcpu cpuset='x'>2</vcpu>", "<vcpu>: cpuset='x'");
	one_impossible("<vcpu>2</vcpu><vcpus><vcpu id='2' enabled='yes'/><vcpu id='0' "
		       "enabled='yes'/></vcpus>",
		       "vCPU '2'; this guest has 0 to 1");
	parse("<vcpu>4000000000</vcpu>", &guest);
	one_finding(&guest, PF_FINDING_IMPOSSIBLE, "more than 4096");
	assert_int_equal(guest.promise.vcpu_count, 4096);
}

static void a_bad_pin_spoils_only_itself(void **state)
{
	auto_guest guest = {};

	(void)state;
	parse("<vcpu cpuset='0-7'>2</vcpu><cputune><vcpupin vcpu='0' cpuset='1,^1'/>"
	      "<vcpupin vcpu='1' cpuset='5'/><shares>7</shares></cputune>",
	      &guest);
	one_finding(&guest, PF_FINDING_IMPOSSIBLE, "<vcpupin vcpu='0'>: cpuset='1,^1'");
	assert_false(guest.promise.vcpus[0].pin.set);
	is_pin(&guest.promise.vcpus[1].pin, "5");
	is_pin(&guest.promise.vcpu_default, "0-7");
	assert_int_equal(guest.promise.shares, 7);
}

static void bad_pins_are_findings(void **state)
{
	(void)state;
	one_impossible("<cputune><vcpupin vcpu='1' cpuset='1'/></cputune>",
		       "<vcpupin vcpu='1'> names no vCPU of this guest, which has 0 to 0");
	one_impossible("<cputune><vcpupin vcpu='x' cpuset='1'/></cputune>", "<vcpupin vcpu='x'>");
	one_impossible("<cputune><vcpupin cpuset='1'/></cputune>", "<vcpupin vcpu=''>");
	one_impossible("<cputune><vcpupin vcpu='0'/></cputune>", "has no cpuset");
	one_impossible("<cputune><vcpupin vcpu='0' cpuset='5000'/></cputune>", "beyond 4095");
	one_impossible("<cputune><vcpupin vcpu='0' cpuset='1'/><vcpupin vcpu='0' cpuset='2'/>"
		       "</cputune>",
		       "<vcpupin vcpu='0'> stands twice");
	one_impossible("<cputune><emulatorpin cpuset='1'/><emulatorpin cpuset='1'/></cputune>",
		       "<emulatorpin> stands twice");
	one_impossible("<iothreads>1</iothreads><cputune><iothreadpin iothread='2' cpuset='1'/>"
		       "</cputune>",
		       "<iothreadpin iothread='2'> names no iothread");
}

static void iothread_ids_are_filled_up_from_one(void **state)
{
	static const unsigned int expected[] = {1, 2, 3, 9};
	auto_guest guest = {}, more = {}, twice = {};

	(void)state;
	parse("<iothreads>4</iothreads><iothreadids><iothread id='9'/><iothread id='2'/>"
	      "</iothreadids>",
	      &guest);
	assert_int_equal(guest.promise.iothread_count, 4);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(guest.promise.iothreads[i].index, expected[i]);
	parse("<iothreads>1</iothreads><iothreadids><iothread id='4'/><iothread id='5'/>"
	      "</iothreadids>",
	      &more);
	assert_int_equal(more.promise.iothread_count, 2);
	parse("<iothreadids><iothread id='4'/><iothread id='4'/></iothreadids>", &twice);
	one_finding(&twice, PF_FINDING_IMPOSSIBLE, "id '4'");
	one_impossible("<iothreadids><iothread id='0'/></iothreadids>", "id '0'");
	one_impossible("<iothreads>lots</iothreads>", "<iothreads>lots</iothreads>");
}

static void bandwidth_has_libvirts_ranges(void **state)
{
	auto_guest zero = {}, limits = {};

	(void)state;
	parse("<cputune><period>0</period><quota>0</quota></cputune>", &zero);
	assert_int_equal(zero.findings.count, 0);
	assert_false(zero.promise.vcpu_bandwidth.has_period);
	assert_false(zero.promise.vcpu_bandwidth.has_quota);
	parse("<cputune><period>1000</period><quota>17592186044415</quota>"
	      "<global_period>1000000</global_period><global_quota>-17</global_quota></cputune>",
	      &limits);
	assert_int_equal(limits.findings.count, 0);
	assert_int_equal(limits.promise.vcpu_bandwidth.quota_usec, 17592186044415);
	assert_int_equal(limits.promise.global_bandwidth.quota_usec, -17);
	one_impossible("<cputune><period>999</period></cputune>", "<period>999</period>");
	one_impossible("<cputune><global_period>1000001</global_period></cputune>",
		       "<global_period>");
	one_impossible("<cputune><emulator_period>-1000</emulator_period></cputune>", "-1000");
	one_impossible("<cputune><iothread_quota>999</iothread_quota></cputune>",
		       "<iothread_quota>");
	one_impossible("<cputune><quota>17592186044416</quota></cputune>", "<quota>");
	one_impossible("<cputune><quota>-</quota></cputune>", "<quota>-</quota>");
	one_impossible("<cputune><quota>99999999999999999999</quota></cputune>", "<quota>");
}

static void shares_are_a_number(void **state)
{
	auto_guest guest = {};

	(void)state;
	parse("<cputune><shares>262144</shares></cputune>", &guest);
	assert_int_equal(guest.promise.shares, 262144);
	one_impossible("<cputune><shares>0</shares></cputune>", "<shares>0</shares>");
	one_impossible("<cputune><shares>-1</shares></cputune>", "<shares>-1</shares>");
	one_impossible("<cputune><shares>262145</shares></cputune>", "<shares>");
	one_impossible("<cputune><shares>1k</shares></cputune>", "<shares>1k</shares>");
}

/* ---- memory ----------------------------------------------------------------------------- */

static void every_memory_mode_is_known(void **state)
{
	(void)state;
	for (unsigned int mode = PF_MEMORY_STRICT; mode <= PF_MEMORY_RESTRICTIVE; mode++) {
		auto_guest guest = {};
		char inside[200];

		snprintf(inside, sizeof(inside),
			 "<numatune><memory mode='%s' nodeset='0-3,^2'/>"
			 "</numatune>",
			 pf_memory_mode_name(mode));
		parse(inside, &guest);
		assert_int_equal(guest.findings.count, 0);
		assert_int_equal(guest.promise.memory.mode, mode);
		is_set(&guest.promise.memory.nodes, "0-1,3");
	}
}

static void placement_auto_goes_both_ways(void **state)
{
	auto_guest both = {}, from_vcpu = {}, from_memory = {}, pinned = {}, fixed = {};

	(void)state;
	parse("<vcpu placement='auto' cpuset='1'>1</vcpu><numatune><memory mode='interleave' "
	      "placement='auto' nodeset='1'/></numatune>",
	      &both);
	assert_true(both.promise.vcpu_automatic && both.promise.memory.automatic);
	assert_false(both.promise.vcpu_default.set || both.promise.memory.nodes_known);
	assert_int_equal(both.promise.memory.mode, PF_MEMORY_INTERLEAVE);
	parse("<vcpu placement='auto'>1</vcpu>", &from_vcpu);
	assert_true(from_vcpu.promise.memory.automatic);
	assert_int_equal(from_vcpu.promise.memory.mode, PF_MEMORY_STRICT);
	parse("<numatune><memory placement='auto'/></numatune>", &from_memory);
	assert_true(from_memory.promise.vcpu_automatic);
	parse("<cputune><emulatorpin cpuset='1'/></cputune><numatune><memory placement='auto'/>"
	      "</numatune>",
	      &pinned);
	assert_false(pinned.promise.vcpu_automatic);
	parse("<vcpu placement='auto'>1</vcpu><numatune><memory nodeset='1'/></numatune>", &fixed);
	assert_false(fixed.promise.memory.automatic);
	assert_int_equal(both.findings.count + from_vcpu.findings.count +
				 from_memory.findings.count + pinned.findings.count +
				 fixed.findings.count,
			 0);
}

static void bad_numatune_is_a_finding(void **state)
{
	(void)state;
	one_impossible("<numatune><memory mode='near' nodeset='1'/></numatune>", "mode='near'");
	one_impossible("<numatune><memory mode='strict'/></numatune>", "has no nodeset");
	one_impossible("<numatune><memory nodeset='x'/></numatune>", "nodeset='x'");
	one_impossible("<numatune><memory placement='any' nodeset='1'/></numatune>",
		       "placement='any'");
	one_impossible("<numatune><memnode cellid='0' nodeset='1'/></numatune>",
		       "<memnode cellid='0'> names no guest cell");
	one_impossible("<cpu><numa><cell cpus='0' memory='1'/></numa></cpu><numatune><memnode "
		       "cellid='0' mode='x' nodeset='1'/></numatune>",
		       "<memnode cellid='0'>: mode='x'");
}

static void cells_are_sorted_and_scaled(void **state)
{
	static const struct {
		const char *size;
		uint64_t kib;
	} sizes[] = {
		{"memory='7'", 7},
		{"memory='7' unit='KiB'", 7},
		{"memory='7' unit='k'", 7},
		{"memory='1' unit='MiB'", 1024},
		{"memory='2' unit='G'", 2097152},
		{"memory='1000' unit='KB'", 977},
		{"memory='1' unit='b'", 1},
		{"memory='1' unit='TiB'", 1073741824},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		auto_guest guest = {};
		char inside[300];

		snprintf(inside, sizeof(inside),
			 "<vcpu>3</vcpu><cpu><numa><cell id='1' %s/>"
			 "<cell id='0' cpus='0-2,^1' memory='5'/></numa></cpu>",
			 sizes[i].size);
		parse(inside, &guest);
		assert_int_equal(guest.findings.count, 0);
		assert_int_equal(guest.promise.cells[1].cell, 1);
		assert_int_equal(guest.promise.cells[1].memory_kib, sizes[i].kib);
		is_set(&guest.promise.cells[1].vcpus, "");
		is_set(&guest.promise.cells[0].vcpus, "0,2");
	}
}

static void bad_cells_are_notes(void **state)
{
	static const struct {
		const char *cell, *words;
	} bad[] = {
		{"<cell cpus='0' memory='much'/>", "memory 'much'"},
		{"<cell cpus='0'/>", "memory ''"},
		{"<cell cpus='0' memory='1' unit='acre'/>", "memory '1'"},
		{"<cell cpus='0' memory='99999999999' unit='EiB'/>", "memory '99999999999'"},
		{"<cell cpus='0-1' memory='1'/>", "names vCPUs beyond 0"},
		{"<cell cpus='x' memory='1'/>", "cpus='x' is not a list"},
		{"<cell id='x' memory='1'/>", "guest cell 'x'"},
		{"<cell id='0' memory='1'/><cell id='0' memory='1'/>", "stands twice"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		auto_guest guest = {};
		char inside[300];

		snprintf(inside, sizeof(inside), "<cpu><numa>%s</numa></cpu>", bad[i].cell);
		parse(inside, &guest);
		one_finding(&guest, PF_FINDING_NOTE, bad[i].words);
	}
}

/* ---- policy ----------------------------------------------------------------------------- */

static void the_policy_is_read_under_any_prefix(void **state)
{
	static const char *const good[] = {
		"<pinfold:policy xmlns:pinfold='urn:pinfold:policy:1' mode='observe'/>",
		"<policy xmlns='urn:pinfold:policy:1' mode='observe'/>",
		"<x:y xmlns:x='urn:other'/><p:policy xmlns:p='urn:pinfold:policy:1' mode='observe'/>"
		"<policy mode='guard'/>",
		"<p:policy xmlns:p='urn:pinfold:policy:1' mode='observe'>\n <!-- why -->\n</p:policy>",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		auto_guest guest = {};
		char inside[400];

		snprintf(inside, sizeof(inside), "<metadata>%s</metadata>", good[i]);
		parse(inside, &guest);
		assert_int_equal(guest.findings.count, 0);
		assert_true(guest.promise.policy.has_mode);
		assert_int_equal(guest.promise.policy.mode, PF_MODE_OBSERVE);
		assert_false(guest.promise.policy.has_isolation);
	}
}

static void a_wrong_policy_is_one_note(void **state)
{
	static const struct {
		const char *policy, *words;
	} bad[] = {
		{"mode='on'/>", "mode='on' is none of observe, enforce and guard"},
		{"isolation='no'/>", "isolation='no' is none of"},
		{"unpinned=''/>", "unpinned='' is neither"},
		{"weight='3'/>", "attribute 'weight' is unknown"},
		{"p:mode='observe'/>", "attribute 'mode' is unknown"},
		{">observe</p:policy>", "text 'observe' has no meaning"},
		{"><p:mode>observe</p:mode></p:policy>", "element <mode> is unknown"},
		{"mode='a' isolation='b' unpinned='c' d='e'>f<g/></p:policy>", "attribute 'd'"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		auto_guest guest = {};
		char inside[400];

		snprintf(inside, sizeof(inside),
			 "<metadata><p:policy xmlns:p='urn:pinfold:policy:1' "
			 "%s</metadata><cputune><vcpupin vcpu='0' cpuset='3'/></cputune>",
			 bad[i].policy);
		parse(inside, &guest);
		one_finding(&guest, PF_FINDING_NOTE, bad[i].words);
		assert_false(guest.promise.policy.has_mode);
		is_pin(&guest.promise.vcpus[0].pin, "3");
	}
}

static void what_is_right_in_a_wrong_policy_counts(void **state)
{
	auto_guest guest = {};

	(void)state;
	parse("<metadata><policy xmlns='urn:pinfold:policy:1' mode='observ' isolation='dedicated'/>"
	      "</metadata>",
	      &guest);
	one_finding(&guest, PF_FINDING_NOTE, "the configuration's defaults count");
	assert_false(guest.promise.policy.has_mode);
	assert_true(guest.promise.policy.has_isolation);
}

static void two_policies_and_foreign_versions_do_not_count(void **state)
{
	auto_guest two = {}, newer = {}, other = {};

	(void)state;
	parse("<metadata><policy xmlns='urn:pinfold:policy:1' mode='observe'/>"
	      "<policy xmlns='urn:pinfold:policy:1' mode='observe'/></metadata>",
	      &two);
	one_finding(&two, PF_FINDING_NOTE, "2 <pinfold:policy>");
	assert_false(two.promise.policy.has_mode);
	parse("<metadata><policy xmlns='urn:pinfold:policy:2' mode='observe'/></metadata>", &newer);
	one_finding(&newer, PF_FINDING_NOTE, "urn:pinfold:policy:2");
	assert_false(newer.promise.policy.has_mode);
	parse("<metadata><limits xmlns='urn:pinfold:policy:1'/></metadata>", &other);
	one_finding(&other, PF_FINDING_NOTE, "<limits xmlns=");
}

static void quoted_values_are_cut_between_characters(void **state)
{
	auto_guest guest = {};
	char inside[600] = "<cputune><vcpupin vcpu='0' cpuset='a";
	const char *text, *cut;

	(void)state;
	for (unsigned int i = 0; i < 60; i++)
		strcat(inside, "\xf0\x9f\x90\x91");
	strcat(inside, "&#10;'/></cputune>");
	parse(inside, &guest);
	text = guest.findings.items[0].text;
	cut = strstr(text, "...'");
	assert_non_null(cut);
	assert_memory_equal(cut - 4, "\xf0\x9f\x90\x91", 4);
}

/* ---- libvirt's record ------------------------------------------------------------------- */

#define STATUS(pid, vcpus, rest)                                                                   \
	"<!-- generated -->\n<domstatus state='running' reason='booted' pid='" pid                 \
	"'><vcpus>" vcpus "</vcpus>" rest "<domain type='kvm'><name>g</name><uuid>" UUID           \
	"</uuid><vcpus>"                                                                           \
	"<vcpu id='0' pid='1'/></vcpus></domain></domstatus>"

static void the_record_tells_pid_and_vcpu_tids(void **state)
{
	auto_guest guest = {};
	struct pf_err err = {};

	(void)state;
	parse("<vcpu current='2'>3</vcpu>", &guest);
	guest.promise.vcpus[2].tid = 99;
	assert_int_equal(
		pf_domstatus_parse(STATUS("283",
					  "<vcpu id='0' pid='293'/><vcpu id='1' "
					  "pid='294'/><vcpu id='9' pid='5'/><vcpu id='x'/>",
					  ""),
				   &guest, &err),
		0);
	assert_int_equal(guest.pid, 283);
	assert_int_equal(guest.promise.vcpus[0].tid, 293);
	assert_int_equal(guest.promise.vcpus[1].tid, 294);
	assert_int_equal(guest.promise.vcpus[2].tid, 0);
}

static void the_record_tells_what_numad_chose(void **state)
{
	auto_guest guest = {}, fixed = {};
	struct pf_err err = {};

	(void)state;
	parse("<vcpu placement='auto'>1</vcpu>", &guest);
	assert_int_equal(pf_domstatus_parse(STATUS("1", "", "<numad nodeset='1' cpuset='8-15'/>"),
					    &guest, &err),
			 0);
	assert_true(guest.promise.memory.nodes_known);
	is_set(&guest.promise.memory.nodes, "1");
	is_pin(&guest.promise.vcpu_default, "8-15");
	parse("<vcpu cpuset='3'>1</vcpu><numatune><memory nodeset='0'/></numatune>", &fixed);
	assert_int_equal(pf_domstatus_parse(STATUS("1", "", "<numad nodeset='1' cpuset='8-15'/>"),
					    &fixed, &err),
			 0);
	is_set(&fixed.promise.memory.nodes, "0");
	is_pin(&fixed.promise.vcpu_default, "3");
}

static void a_record_of_another_guest_is_refused(void **state)
{
	auto_guest guest = {};
	struct pf_err err = {};

	(void)state;
	parse("", &guest);
	strcpy(guest.uuid, "6d1f0c3a-0000-4000-a000-000000000002");
	assert_int_equal(pf_domstatus_parse(STATUS("1", "", ""), &guest, &err), -ESTALE);
	assert_int_equal(guest.pid, 0);
	assert_int_equal(pf_domstatus_parse("<domstatus pid='1'/>", &guest, &err), -EBADMSG);
	assert_int_equal(pf_domstatus_parse("<domain/>", &guest, &err), -EBADMSG);
	strcpy(guest.uuid, UUID);
	assert_int_equal(pf_domstatus_parse(STATUS("0", "", ""), &guest, &err), -EBADMSG);
	assert_int_equal(pf_domstatus_parse(STATUS("-3", "", ""), &guest, &err), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_follow_libvirts_syntax),
		cmocka_unit_test(what_is_no_domain_is_an_error),
		cmocka_unit_test(entities_are_never_expanded),
		cmocka_unit_test(identity_is_taken_as_it_stands),
		cmocka_unit_test(the_seed_guest_is_read),
		cmocka_unit_test(the_documentations_example_is_read),
		cmocka_unit_test(everything_at_once_is_read),
		cmocka_unit_test(vcpus_come_online_by_number_or_by_list),
		cmocka_unit_test(bad_vcpu_numbers_are_findings),
		cmocka_unit_test(a_bad_pin_spoils_only_itself),
		cmocka_unit_test(bad_pins_are_findings),
		cmocka_unit_test(iothread_ids_are_filled_up_from_one),
		cmocka_unit_test(bandwidth_has_libvirts_ranges),
		cmocka_unit_test(shares_are_a_number),
		cmocka_unit_test(every_memory_mode_is_known),
		cmocka_unit_test(placement_auto_goes_both_ways),
		cmocka_unit_test(bad_numatune_is_a_finding),
		cmocka_unit_test(cells_are_sorted_and_scaled),
		cmocka_unit_test(bad_cells_are_notes),
		cmocka_unit_test(the_policy_is_read_under_any_prefix),
		cmocka_unit_test(a_wrong_policy_is_one_note),
		cmocka_unit_test(what_is_right_in_a_wrong_policy_counts),
		cmocka_unit_test(two_policies_and_foreign_versions_do_not_count),
		cmocka_unit_test(quoted_values_are_cut_between_characters),
		cmocka_unit_test(the_record_tells_pid_and_vcpu_tids),
		cmocka_unit_test(the_record_tells_what_numad_chose),
		cmocka_unit_test(a_record_of_another_guest_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
