// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * XML -> desired: every golden/NAME.xml becomes the placement written in golden/NAME.golden.
 * The host is one of 4 nodes with 8 CPUs each, all online but CPU 31; the guest's threads are the
 * ones QEMU would have: main 1000, vCPU n 2000+n, iothread n 3000+n, one vhost helper.
 * PF_GOLDEN_WRITE=1 writes the golden files anew; read the difference before it is committed.
 */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/base/array.h"
#include "agent/base/cleanup.h"
#include "agent/base/file.h"
#include "agent/desired/desired.h"
#include "agent/source/domain_xml.h"

#define GOLDEN "tests/unit/desired/golden"

static void make_host(struct pf_host *host)
{
	*host = (struct pf_host){};
	pf_set_add_range(&host->cpus_possible, 0, 31);
	host->cpus_present = host->cpus_online = host->cpus_possible;
	pf_set_remove(&host->cpus_online, 31);
	pf_set_add_range(&host->nodes_online, 0, 3);
	host->nodes_with_memory = host->nodes_online;
	for (unsigned int i = 0; i < 4; i++) {
		struct pf_host_node *node = pf_append(&host->nodes, &host->node_count);

		node->node = i;
		pf_set_add_range(&node->cpus, i * 8, i * 8 + 7);
		pf_set_and(&node->cpus, &node->cpus, &host->cpus_online);
	}
}

static void add_thread(struct pf_guest *guest, pid_t tid, const char *before, unsigned int index,
		       const char *after)
{
	struct pf_thread *thread = pf_append(&guest->threads, &guest->thread_count);
	char comm[32];

	snprintf(comm, sizeof(comm), "%s%u%s", before, index, after);
	thread->tid = tid;
	thread->start_ticks = (uint64_t)tid * 10;
	memcpy(thread->comm, comm, sizeof(thread->comm) - 1);
}

static void make_process(struct pf_guest *guest)
{
	struct pf_promise *promise = &guest->promise;

	guest->pid = 1000;
	guest->base = strdup("/machine.slice/machine-qemu.scope/libvirt");
	guest->unit = strdup("machine-qemu.scope");
	guest->unit_path = strdup("/machine.slice/machine-qemu.scope");
	add_thread(guest, 1000, "qemu-kvm ", 0, "");
	for (size_t i = 0; i < promise->vcpu_count; i++) {
		if (!promise->vcpus[i].online)
			continue;
		promise->vcpus[i].tid = 2000 + (pid_t)promise->vcpus[i].index;
		add_thread(guest, promise->vcpus[i].tid, "CPU ", promise->vcpus[i].index,
			   "/KVM");
	}
	for (size_t i = 0; i < promise->iothread_count; i++) {
		promise->iothreads[i].tid = 3000 + (pid_t)promise->iothreads[i].index;
		add_thread(guest, promise->iothreads[i].tid, "IO iothread",
			   promise->iothreads[i].index, "");
	}
	add_thread(guest, 4000, "vhost-", 1000, "");
}

static const char *rule_text(enum pf_set_rule rule, const struct pf_set *set, char *buf)
{
	if (rule == PF_SET_UNHELD)
		return "unheld";
	if (rule == PF_SET_INHERIT)
		return "inherit";
	return pf_set_format(set, buf, PF_SET_TEXT_MAX);
}

static void print_group(FILE *out, const struct pf_group *group)
{
	static const char *const levels[] = {"unit", "base", "leaf"};
	char cpus[PF_SET_TEXT_MAX], mems[PF_SET_TEXT_MAX], max[PF_CPU_MAX_TEXT];

	fprintf(out, "%s %s%s: cpus %s; mems %s", levels[group->level],
		strrchr(group->path, '/') + 1, group->ours ? " (ours)" : "",
		rule_text(group->cpus_rule, &group->cpus, cpus),
		rule_text(group->mems_rule, &group->mems, mems));
	if (group->hold_max)
		fprintf(out, "; max %s", pf_cpu_max_format(group->max, max));
	if (group->hold_weight)
		fprintf(out, "; weight %u", group->weight);
	fputc('\n', out);
}

static void print_thread(FILE *out, const struct pf_thread_placement *thread)
{
	char role[PF_ROLE_TEXT_MAX], cpus[PF_SET_TEXT_MAX], nodes[PF_SET_TEXT_MAX];

	fprintf(out, "thread %d %s: %s", (int)thread->tid, pf_role_format(thread->role, role),
		thread->unheld	 ? "unheld"
		: thread->floats ? "floats"
				 : pf_set_format(&thread->cpus, cpus, sizeof(cpus)));
	if (!pf_set_empty(&thread->nodes))
		fprintf(out, "; nodes %s", pf_set_format(&thread->nodes, nodes, sizeof(nodes)));
	fputc('\n', out);
}

static void print_placement(FILE *out, const struct pf_placement *placement)
{
	char nodes[PF_SET_TEXT_MAX];

	fprintf(out, "guest %s %s: mode %s; isolation %s\n", placement->uuid, placement->name,
		pf_mode_name(placement->mode), pf_isolation_name(placement->isolation));
	for (size_t i = 0; i < placement->group_count; i++)
		print_group(out, &placement->groups[i]);
	for (size_t i = 0; i < placement->thread_count; i++)
		print_thread(out, &placement->threads[i]);
	for (size_t i = 0; i < placement->cell_count; i++)
		fprintf(out, "cell %u: memory %s on %s\n", placement->cells[i].cell,
			pf_memory_mode_name(placement->cells[i].memory.mode),
			pf_set_format(&placement->cells[i].memory.nodes, nodes, sizeof(nodes)));
	for (size_t i = 0; i < placement->findings.count; i++)
		fprintf(out, "%s: %s\n",
			placement->findings.items[i].severity == PF_FINDING_NOTE ? "note"
										 : "impossible",
			placement->findings.items[i].text);
}

/* The text of a placement, or of the one error that parsing gave. */
static char *desired_of(const char *xml)
{
	struct pf_guests guests = {.count = 1};
	struct pf_guest guest = {};
	struct pf_placement placement = {};
	struct pf_config config;
	struct pf_host host;
	struct pf_err err;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	make_host(&host);
	assert_int_equal(pf_config_init(&config), 0);
	if (pf_domain_xml_parse(xml, &guest, &err) < 0) {
		fprintf(out, "error: %s\n", err.text);
	} else {
		make_process(&guest);
		guests.items = &guest;
		assert_int_equal(pf_desire(&host, &guests, &guest, &config, &placement), 0);
		print_placement(out, &placement);
	}
	fclose(out);
	pf_placement_clear(&placement);
	pf_guest_clear(&guest);
	pf_config_clear(&config);
	pf_host_clear(&host);
	return text;
}

static void xml_becomes_placement(void **state)
{
	const char *name = *state;
	pf_auto_free char *xml = NULL, *want = NULL, *got = NULL;
	char path[512];
	struct pf_err err;

	snprintf(path, sizeof(path), GOLDEN "/%s.xml", name);
	assert_int_equal(pf_file_read(AT_FDCWD, path, &xml, &err), 0);
	got = desired_of(xml);
	snprintf(path, sizeof(path), GOLDEN "/%s.golden", name);
	if (getenv("PF_GOLDEN_WRITE")) {
		assert_int_equal(pf_file_replace(path, got, 0644, &err), 0);
		return;
	}
	assert_int_equal(pf_file_read(AT_FDCWD, path, &want, &err), 0);
	if (got[0])
		got[strlen(got) - 1] = '\0';
	assert_string_equal(got, want);
}

static int is_xml(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return len > 4 && strcmp(entry->d_name + len - 4, ".xml") == 0;
}

static struct CMUnitTest make_test(struct dirent *entry)
{
	char *name = strdup(entry->d_name), *title;

	name[strlen(name) - 4] = '\0';
	if (asprintf(&title, "desired: %s", name) < 0)
		abort();
	return (struct CMUnitTest){.name = title,
				   .test_func = xml_becomes_placement,
				   .initial_state = name};
}

int main(void)
{
	struct dirent **entries;
	int count = scandir(GOLDEN, &entries, is_xml, alphasort), failed;
	struct CMUnitTest *tests;

	if (count < 50) {
		fprintf(stderr, "%d golden inputs in " GOLDEN ", there should be at least 50\n",
			count);
		return 1;
	}
	tests = calloc((size_t)count, sizeof(*tests));
	for (int i = 0; i < count; i++) {
		tests[i] = make_test(entries[i]);
		free(entries[i]);
	}
	free(entries);
	failed = _cmocka_run_group_tests("desired", tests, (size_t)count, NULL, NULL);
	for (int i = 0; i < count; i++) {
		free((void *)tests[i].name);
		free(tests[i].initial_state);
	}
	free(tests);
	return failed;
}
