// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Trees of /proc: data/proc-* are dumps of real guests in the lab; what no dump shows is made here.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/base/array.h"
#include "agent/base/cleanup.h"
#include "agent/base/file.h"
#include "agent/source/domain_xml.h"
#include "agent/source/proc.h"

#define DATA "tests/unit/source/data/"
#define UUID "6d1f0c3a-0000-4000-a000-000000000001"
#define PID 100
#define SCOPE "/machine.slice/machine-qemu\\x2d1\\x2dg.scope"

#define auto_guest PF_CLEANUP(pf_guest_clear) struct pf_guest

/* ---- a tree of our own ------------------------------------------------------------------ */

static char tree[] = "/tmp/pf-proc-XXXXXX";
static int root = -1;

static void put(const char *path, const char *text, size_t len)
{
	char full[300];
	FILE *file;

	snprintf(full, sizeof(full), "%s/%s", tree, path);
	*strrchr(full, '/') = '\0';
	assert_int_equal(pf_mkdir_all(full, 0700, NULL), 0);
	full[strlen(full)] = '/';
	file = fopen(full, "we");
	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

static void put_place(const char *cgroup)
{
	char text[300];

	snprintf(text, sizeof(text), "%s\n", cgroup);
	put("proc/100/cgroup", text, strlen(text));
}

/* @leaf is below SCOPE/libvirt. */
static void put_thread(pid_t tid, const char *comm, const char *leaf)
{
	char path[100], text[400];

	snprintf(path, sizeof(path), "proc/100/task/%d/comm", tid);
	snprintf(text, sizeof(text), "%s\n", comm);
	put(path, text, strlen(text));
	snprintf(path, sizeof(path), "proc/100/task/%d/stat", tid);
	snprintf(text, sizeof(text),
		 "%d (%s) S 1 100 100 0 -1 4194304 110 8 0 0 1 2 0 0 20 0 1 0 "
		 "%d 1000 200 18446744073709551615 1 1 0",
		 tid, comm, tid * 10);
	put(path, text, strlen(text));
	snprintf(path, sizeof(path), "proc/100/task/%d/cgroup", tid);
	snprintf(text, sizeof(text), "0::" SCOPE "/libvirt/%s\n", leaf);
	put(path, text, strlen(text));
}

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *ftw)
{
	(void)stat;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int make_tree(void **state)
{
	struct pf_err err;

	(void)state;
	strcpy(tree, "/tmp/pf-proc-XXXXXX");
	if (!mkdtemp(tree))
		return -1;
	root = pf_root_open(tree, &err);
	return root < 0 ? -1 : 0;
}

static int remove_tree(void **state)
{
	(void)state;
	close(root);
	root = -1;
	return nftw(tree, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* A guest of two vCPUs, of a third that is not there, and of one iothread; nothing pinned. */
static void make_guest(struct pf_guest *guest, const char *promises)
{
	char xml[1000];
	struct pf_err err;

	snprintf(xml, sizeof(xml),
		 "<domain><name>g</name><uuid>" UUID "</uuid>"
		 "<vcpu current='2'>3</vcpu><iothreads>1</iothreads>%s</domain>",
		 promises);
	assert_int_equal(pf_domain_xml_parse(xml, guest, &err), 0);
	guest->pid = PID;
}

static void put_usual_threads(void)
{
	put_place("0::" SCOPE "/libvirt/emulator");
	put_thread(100, "qemu-system-x86", "emulator");
	put_thread(105, "IO iothread1", "iothread1");
	put_thread(106, "IO mon_iothread", "emulator");
	put_thread(111, "CPU 0/KVM", "vcpu0");
	put_thread(112, "CPU 1/KVM", "vcpu1");
}

static void fill(struct pf_guest *guest)
{
	struct pf_err err = {};

	if (pf_proc_fill(root, guest, &err) != 0)
		fail_msg("%s", err.text);
}

static void says(const struct pf_guest *guest, enum pf_severity severity, const char *words)
{
	assert_int_equal(guest->findings.count, 1);
	assert_int_equal(guest->findings.items[0].severity, severity);
	if (!strstr(guest->findings.items[0].text, words))
		fail_msg("'%s' does not say '%s'", guest->findings.items[0].text, words);
}

/* ---- threads ---------------------------------------------------------------------------- */

static void threads_are_listed_with_their_start(void **state)
{
	auto_guest guest = {};

	(void)state;
	put_usual_threads();
	make_guest(&guest, "");
	fill(&guest);
	assert_int_equal(guest.thread_count, 5);
	assert_int_equal(guest.threads[0].tid, 100);
	assert_string_equal(guest.threads[0].comm, "qemu-system-x86");
	assert_int_equal(guest.threads[4].tid, 112);
	assert_int_equal(guest.threads[4].start_ticks, 1120);
	assert_int_equal(guest.findings.count, 0);
}

/* With threads and cgroup as they were found, the rest follows without a look at /proc. */
static void the_rest_follows_from_threads_and_place(void **state)
{
	auto_guest guest = {};
	auto_guest later = {};
	struct pf_err err = {};

	(void)state;
	put_usual_threads();
	make_guest(&guest, "");
	fill(&guest);
	make_guest(&later, "");
	later.cgroup = strdup(guest.cgroup);
	later.threads = malloc(guest.thread_count * sizeof(*later.threads));
	memcpy(later.threads, guest.threads, guest.thread_count * sizeof(*later.threads));
	later.thread_count = guest.thread_count;
	assert_int_equal(pf_proc_tell(-1, &later, &err), 0);
	assert_string_equal(later.base, guest.base);
	assert_string_equal(later.unit, guest.unit);
	assert_string_equal(later.unit_path, guest.unit_path);
	assert_int_equal(later.promise.vcpus[1].tid, 112);
	assert_int_equal(later.promise.iothreads[0].tid, 105);
	assert_int_equal(later.findings.count, 0);
}

static void put_kernel_thread(pid_t tid, const char *comm)
{
	char path[100], text[300];

	snprintf(path, sizeof(path), "proc/%d/comm", tid);
	put(path, comm, strlen(comm));
	snprintf(path, sizeof(path), "proc/%d/stat", tid);
	snprintf(text, sizeof(text),
		 "%d (%s) S 2 0 0 0 -1 2129984 0 0 0 0 0 0 0 0 20 0 1 0 %d 0 0 0 0 0 0", tid, comm,
		 tid * 10);
	put(path, text, strlen(text));
}

static void put_leaf(const char *leaf, const char *tids)
{
	char path[300];

	snprintf(path, sizeof(path), "sys/fs/cgroup" SCOPE "/libvirt/%s/cgroup.threads", leaf);
	put(path, tids, strlen(tids));
}

static void a_vhost_worker_of_the_kernels_own_is_a_thread_of_the_guest(void **state)
{
	auto_guest guest = {};

	(void)state;
	put_usual_threads();
	put_kernel_thread(103, "vhost-100");
	put_kernel_thread(104, "vhost-100");
	put_kernel_thread(107, "stranger");
	put_leaf("emulator", "100\n103\n106\n107\n108\n");
	put_leaf("helper", "104\n");
	make_guest(&guest, "");
	fill(&guest);
	assert_int_equal(guest.thread_count, 7);
	assert_int_equal(guest.threads[1].tid, 103);
	assert_string_equal(guest.threads[1].comm, "vhost-100");
	assert_int_equal(guest.threads[1].start_ticks, 1030);
	assert_int_equal(guest.threads[2].tid, 104);
	assert_int_equal(guest.threads[3].tid, 105);
}

static void a_comm_may_hold_any_byte(void **state)
{
	auto_guest guest = {};

	(void)state;
	put_usual_threads();
	put_thread(120, "a) S 1 (\n\xff ", "emulator");
	put_thread(121, "", "emulator");
	make_guest(&guest, "");
	fill(&guest);
	assert_string_equal(guest.threads[5].comm, "a) S 1 (\n\xff ");
	assert_int_equal(guest.threads[5].start_ticks, 1200);
	assert_string_equal(guest.threads[6].comm, "");
	assert_int_equal(guest.threads[6].start_ticks, 1210);
}

static void a_thread_that_ended_meanwhile_is_left_out(void **state)
{
	auto_guest guest = {};

	(void)state;
	put_usual_threads();
	put("proc/100/task/130/comm", "gone\n", 5);
	make_guest(&guest, "");
	fill(&guest);
	assert_int_equal(guest.thread_count, 5);
}

static void a_process_that_ended_is_esrch(void **state)
{
	auto_guest guest = {};
	struct pf_err err = {};

	(void)state;
	make_guest(&guest, "");
	assert_int_equal(pf_proc_fill(root, &guest, &err), -ESRCH);
	assert_string_equal(err.text, "process 100 of guest g is gone");
	put("proc/100/task/x", "", 0); /* no thread is left */
	put_place("0::" SCOPE "/libvirt/emulator");
	assert_int_equal(pf_proc_fill(root, &guest, &err), -ESRCH);
	guest.pid = 0;
	assert_int_equal(pf_proc_fill(root, &guest, &err), -ESRCH);
}

static void filling_again_starts_anew(void **state)
{
	auto_guest guest = {};

	(void)state;
	put_usual_threads();
	make_guest(&guest, "");
	fill(&guest);
	fill(&guest);
	assert_int_equal(guest.thread_count, 5);
	assert_string_equal(guest.base, SCOPE "/libvirt");
}

/* ---- place ------------------------------------------------------------------------------ */

static void place_of(struct pf_guest *guest, const char *cgroup)
{
	put_usual_threads();
	put_place(cgroup);
	make_guest(guest, "");
	fill(guest);
}

static void the_base_is_found_under_systemd(void **state)
{
	auto_guest guest = {};

	(void)state;
	place_of(&guest, "0::" SCOPE "/libvirt/emulator");
	assert_string_equal(guest.base, SCOPE "/libvirt");
	assert_string_equal(guest.unit, "machine-qemu\\x2d1\\x2dg.scope");
	assert_string_equal(guest.unit_path, SCOPE);
}

static void the_base_is_found_without_systemd(void **state)
{
	auto_guest guest = {};

	(void)state;
	place_of(&guest, "0::/machine/prod.partition/qemu-7-a b.scope.libvirt-qemu/vcpu12");
	assert_string_equal(guest.base, "/machine/prod.partition/qemu-7-a b.scope.libvirt-qemu");
	assert_null(guest.unit);
	assert_null(guest.unit_path);
}

static void our_helper_leaf_and_v1_lines_do_not_confuse(void **state)
{
	auto_guest guest = {};

	(void)state;
	place_of(&guest, "3:cpu:/elsewhere\n1:name=x:/\n0::" SCOPE "/libvirt/helper");
	assert_string_equal(guest.base, SCOPE "/libvirt");
}

static void a_path_is_taken_literally(void **state)
{
	auto_guest guest = {};

	(void)state;
	place_of(&guest, "0::/machine/qemu-1-a\\040b.libvirt-qemu/iothread3");
	assert_string_equal(guest.base, "/machine/qemu-1-a\\040b.libvirt-qemu");
}

static void a_systemd_escaped_unit_has_its_own_name(void **state)
{
	auto_guest guest = {};

	(void)state;
	place_of(&guest, "0::/machine.slice/_cpu.scope/libvirt/emulator");
	assert_string_equal(guest.unit, "cpu.scope");
	assert_string_equal(guest.unit_path, "/machine.slice/_cpu.scope");
}

static void elsewhere_is_impossible(void **state)
{
	static const char *const places[] = {
		SCOPE,                  /* cgroup_controllers = [] */
		SCOPE "/libvirt",       /* in no leaf */
		"/user.slice/emulator", /* a leaf's name, but not libvirt's group */
		SCOPE "/libvirt/vcpu",  /* no number */
		SCOPE "/libvirt/emulator2",
		SCOPE "/libvirt/emulator (deleted)",
		"/../libvirt/emulator", /* another cgroup namespace */
		"/emulator",
		"/",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		auto_guest guest = {};
		char line[200], words[250];

		snprintf(line, sizeof(line), "0::%s", places[i]);
		snprintf(words, sizeof(words), "process 100 is in cgroup %s, not in a leaf",
			 places[i]);
		place_of(&guest, line);
		assert_null(guest.base);
		says(&guest, PF_FINDING_IMPOSSIBLE, words);
	}
}

/* A running guest as libvirt tells it once it has made a group for it: number and partition. */
static void stray_of(struct pf_guest *guest, const char *line, bool machined, bool brought_back)
{
	struct pf_err err;
	const char *xml = "<domain id='1'><name>g</name><uuid>" UUID "</uuid><vcpu>1</vcpu>"
			  "<resource><partition>/machine</partition></resource></domain>";

	assert_int_equal(pf_domain_xml_parse(xml, guest, &err), 0);
	guest->pid = PID;
	guest->brought_back = brought_back;
	put_usual_threads();
	put_place(line);
	if (machined) {
		put("run/systemd/system/x", "", 0);
		put("usr/share/dbus-1/system-services/org.freedesktop.machine1.service", "", 0);
	}
	assert_int_equal(pf_proc_fill(root, guest, &err), 0);
}

static void outside_what_libvirt_made_it_is_astray(void **state)
{
	static const char *const places[] = {
		"0::/system.slice/x.service",
		"0::/",
		"0::/machine.slice/machine-qemu\\x2d2\\x2dg.scope/libvirt/emulator", /* another's */
		"0::/machine.slice",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		auto_guest guest = {};

		stray_of(&guest, places[i], true, false);
		assert_true(guest.strayed);
		assert_string_equal(guest.cgroup, places[i] + 3);
		assert_string_equal(guest.base, SCOPE "/libvirt");
		assert_string_equal(guest.unit_path, SCOPE);
		assert_string_equal(guest.unit, strrchr(SCOPE, '/') + 1);
		says(&guest, PF_FINDING_NOTE, "somebody moved it out of " SCOPE "/libvirt");
		assert_null(pf_findings_first(&guest.findings, PF_FINDING_IMPOSSIBLE));
	}
}

static void without_machined_its_place_is_libvirts_own_group(void **state)
{
	auto_guest guest = {};

	(void)state;
	stray_of(&guest, "0::/foreign", false, false);
	assert_true(guest.strayed);
	assert_string_equal(guest.base, "/machine/qemu-1-g.libvirt-qemu");
	assert_null(guest.unit);
	assert_null(guest.unit_path);
}

static void at_home_it_is_not_astray(void **state)
{
	auto_guest guest = {};

	(void)state;
	stray_of(&guest, "0::" SCOPE "/libvirt/emulator", true, true);
	assert_false(guest.strayed);
	assert_string_equal(guest.base, SCOPE "/libvirt");
	says(&guest, PF_FINDING_NOTE, "until the guest is started again");
}

/* All of it in the base, in no leaf: the threads are put into theirs. */
static void in_its_base_it_is_not_astray(void **state)
{
	auto_guest guest = {};

	(void)state;
	stray_of(&guest, "0::" SCOPE "/libvirt", true, false);
	assert_false(guest.strayed);
	assert_string_equal(guest.base, SCOPE "/libvirt");
	assert_null(pf_findings_first(&guest.findings, PF_FINDING_IMPOSSIBLE));
}

/* cgroup_controllers = []: that is libvirt's will, unless it is us who are bringing it back. */
static void in_its_scope_alone_it_is_left(void **state)
{
	auto_guest left = {}, ours = {};

	(void)state;
	stray_of(&left, "0::" SCOPE, true, false);
	assert_false(left.strayed);
	assert_null(left.base);
	says(&left, PF_FINDING_IMPOSSIBLE, "cgroup_controllers=[]");
	stray_of(&ours, "0::" SCOPE, true, true);
	assert_true(ours.strayed);
	assert_string_equal(ours.base, SCOPE "/libvirt");
}

static void the_unit_is_known_without_a_base(void **state)
{
	auto_guest guest = {};

	(void)state;
	place_of(&guest, "0::/system.slice/cron.service");
	assert_null(guest.base);
	assert_string_equal(guest.unit, "cron.service");
	assert_string_equal(guest.unit_path, "/system.slice/cron.service");
}

static void a_host_without_cgroup_v2_is_an_error(void **state)
{
	auto_guest guest = {};
	struct pf_err err = {};

	(void)state;
	put_usual_threads();
	put_place("4:cpu:/x\n1:name=systemd:/y");
	make_guest(&guest, "");
	assert_int_equal(pf_proc_fill(root, &guest, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "no cgroup v2 line"));
}

/* ---- thread ids ------------------------------------------------------------------------- */

static void names_tell_where_there_is_no_record(void **state)
{
	auto_guest guest = {};

	(void)state;
	put_usual_threads();
	put_thread(113, "CPU 2/KVM", "vcpu2"); /* not online: not looked for */
	make_guest(&guest, "");
	fill(&guest);
	assert_int_equal(guest.promise.vcpus[0].tid, 111);
	assert_int_equal(guest.promise.vcpus[1].tid, 112);
	assert_int_equal(guest.promise.vcpus[2].tid, 0);
	assert_int_equal(guest.promise.iothreads[0].tid, 105);
}

static void a_vcpu_that_the_record_lacks_stays_unknown(void **state)
{
	auto_guest guest = {}, pinned = {};

	(void)state;
	put_usual_threads();
	make_guest(&guest, "");
	guest.promise.vcpus[0].tid = 111;
	fill(&guest);
	assert_int_equal(guest.promise.vcpus[1].tid, 0);
	says(&guest, PF_FINDING_NOTE, "the thread of vCPU 1 is not known (yet)");
	make_guest(&pinned, "<cputune><vcpupin vcpu='1' cpuset='3'/></cputune>");
	pinned.promise.vcpus[0].tid = 111;
	fill(&pinned);
	says(&pinned, PF_FINDING_IMPOSSIBLE, "the thread of vCPU 1 is not known (yet)");
}

static void the_record_counts_against_a_name(void **state)
{
	auto_guest guest = {};

	(void)state;
	put_usual_threads();
	make_guest(&guest, "");
	guest.promise.vcpus[0].tid = 111;
	guest.promise.vcpus[1].tid = 112;
	put_thread(112, "CPU 7/KVM", "vcpu1");
	fill(&guest);
	assert_int_equal(guest.promise.vcpus[1].tid, 112);
	says(&guest, PF_FINDING_NOTE, "thread 112 is vCPU 1, its name says vCPU 7");
}

static void a_recorded_thread_that_is_not_there_is_dropped(void **state)
{
	auto_guest guest = {};

	(void)state;
	put_usual_threads();
	make_guest(&guest, "");
	guest.promise.vcpus[0].tid = 111;
	guest.promise.vcpus[1].tid = 112;
	guest.promise.vcpus[2].tid = 199; /* offline: being unplugged */
	fill(&guest);
	assert_int_equal(guest.promise.vcpus[2].tid, 0);
	says(&guest, PF_FINDING_NOTE,
	     "names thread 199 for vCPU 2, which process 100 does not have");
}

static void one_thread_for_all_vcpus_is_none_of_them(void **state)
{
	auto_guest guest = {};

	(void)state;
	put_place("0::" SCOPE "/libvirt/emulator");
	put_thread(100, "qemu-system-x86", "emulator");
	put_thread(105, "IO iothread1", "iothread1");
	put_thread(111, "ALL CPUs/TCG", "emulator");
	make_guest(&guest, "<cputune><vcpupin vcpu='0' cpuset='3'/></cputune>");
	fill(&guest);
	assert_int_equal(guest.promise.vcpus[0].tid, 0);
	says(&guest, PF_FINDING_IMPOSSIBLE, "the thread of vCPU 0, 1 is not known");
}

static void two_threads_of_one_name_are_neither(void **state)
{
	auto_guest guest = {};

	(void)state;
	put_usual_threads();
	put_thread(140, "IO iothread1", "emulator");
	make_guest(&guest, "");
	fill(&guest);
	assert_int_equal(guest.promise.iothreads[0].tid, 0);
	says(&guest, PF_FINDING_NOTE, "the thread of iothread 1 is not known");
}

static void a_missing_iothread_with_a_pin_is_impossible(void **state)
{
	auto_guest guest = {};

	(void)state;
	put_usual_threads();
	make_guest(&guest, "<iothreadids><iothread id='7'/></iothreadids>"
			   "<cputune><iothreadpin iothread='7' cpuset='1'/></cputune>");
	fill(&guest);
	assert_int_equal(guest.promise.iothreads[0].index, 7);
	says(&guest, PF_FINDING_IMPOSSIBLE, "the thread of iothread 7 is not known");
}

/* QEMU cannot name a thread "IO iothread12345": pthread_setname_np() takes 15 bytes. */
static void a_long_iothread_id_is_known_by_its_leaf(void **state)
{
	auto_guest guest = {}, two = {};

	(void)state;
	put_usual_threads();
	put_thread(150, "qemu-system-x86", "iothread12345");
	make_guest(&guest, "<iothreadids><iothread id='12345'/></iothreadids>");
	fill(&guest);
	assert_int_equal(guest.promise.iothreads[0].tid, 150);
	assert_int_equal(guest.findings.count, 0);
	put_thread(151, "worker", "iothread12345");
	make_guest(&two, "<iothreadids><iothread id='12345'/></iothreadids>");
	fill(&two);
	assert_int_equal(two.promise.iothreads[0].tid, 0);
	says(&two, PF_FINDING_NOTE, "iothread 12345");
}

static void a_named_thread_is_not_taken_for_its_leaf(void **state)
{
	auto_guest guest = {};

	(void)state;
	put_usual_threads();
	put_thread(112, "CPU 1/KVM", "iothread9"); /* somebody moved it there */
	make_guest(&guest, "<iothreadids><iothread id='9'/></iothreadids>");
	fill(&guest);
	assert_int_equal(guest.promise.iothreads[0].tid, 0);
}

/* ---- libvirt's record ------------------------------------------------------------------- */

static void the_record_is_found_by_name(void **state)
{
	static const char record[] = "<domstatus pid='283'><vcpus><vcpu id='1' pid='294'/></vcpus>"
				     "<domain><uuid>" UUID "</uuid></domain></domstatus>";
	auto_guest guest = {};
	struct pf_err err = {};

	(void)state;
	make_guest(&guest, "");
	put("run/lv/g.xml", record, sizeof(record) - 1);
	assert_int_equal(pf_proc_state(root, "/run/lv", &guest, &err), 0);
	assert_int_equal(guest.pid, 283);
	assert_int_equal(guest.promise.vcpus[1].tid, 294);
	put("run/lv/g.xml", "<domstatus>", 11);
	assert_int_equal(pf_proc_state(root, "/run/lv", &guest, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "/run/lv/g.xml: "));
	assert_int_equal(pf_proc_state(root, "/run/none", &guest, &err), -ENOENT);
	free(guest.name);
	guest.name = strdup("../lv/g");
	assert_int_equal(pf_proc_state(root, "/run/lv", &guest, &err), -EINVAL);
	assert_int_equal(guest.pid, 283);
}

/* ---- dumps of real guests --------------------------------------------------------------- */

/* Reads data/@name: domain.xml, libvirt's record and the process. */
static void read_dump(const char *name, struct pf_guest *guest)
{
	pf_auto_free char *xml = NULL;
	pf_auto_close int dump = -1;
	char path[200];
	struct pf_err err = {};

	snprintf(path, sizeof(path), DATA "%s", name);
	dump = pf_root_open(path, &err);
	assert_true(dump >= 0);
	assert_int_equal(pf_file_read(dump, "domain.xml", &xml, &err), 0);
	assert_int_equal(pf_domain_xml_parse(xml, guest, &err), 0);
	if (pf_proc_state(dump, "/run/libvirt/qemu", guest, &err) != 0 ||
	    pf_proc_fill(dump, guest, &err) != 0)
		fail_msg("%s", err.text);
}

/* libvirt 9.0 and QEMU 7.2 under systemd, after setvcpus 3, iothreadadd 9 and iothreaddel 2. */
static void a_hot_plugged_guest_is_told_in_full(void **state)
{
	static const pid_t vcpus[] = {297, 298, 335, 0};
	auto_guest guest = {};

	(void)state;
	read_dump("proc-hotplugged", &guest);
	assert_int_equal(guest.findings.count, 0);
	assert_int_equal(guest.pid, 287);
	assert_int_equal(guest.thread_count, 8);
	assert_string_equal(guest.base, "/machine.slice/machine-qemu\\x2d1\\x2dgone.scope/libvirt");
	assert_string_equal(guest.unit, "machine-qemu\\x2d1\\x2dgone.scope");
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(guest.promise.vcpus[i].tid, vcpus[i]);
	assert_int_equal(guest.promise.iothread_count, 2);
	assert_int_equal(guest.promise.iothreads[0].index, 5);
	assert_int_equal(guest.promise.iothreads[0].tid, 295);
	assert_int_equal(guest.promise.iothreads[1].index, 9);
	assert_int_equal(guest.promise.iothreads[1].tid, 324);
}

/* The same, with an iothread whose number leaves no room in a thread's name. */
static void a_real_long_iothread_id_is_known_by_its_leaf(void **state)
{
	auto_guest guest = {};

	(void)state;
	read_dump("proc-long-iothread", &guest);
	assert_int_equal(guest.findings.count, 0);
	assert_int_equal(guest.promise.iothreads[0].tid, 437);
	assert_int_equal(guest.promise.iothreads[1].index, 12345);
	assert_int_equal(guest.promise.iothreads[1].tid, 436);
}

int main(void)
{
#define IN_A_TREE(test) cmocka_unit_test_setup_teardown(test, make_tree, remove_tree)
	const struct CMUnitTest tests[] = {
		IN_A_TREE(threads_are_listed_with_their_start),
		IN_A_TREE(the_rest_follows_from_threads_and_place),
		IN_A_TREE(a_vhost_worker_of_the_kernels_own_is_a_thread_of_the_guest),
		IN_A_TREE(a_comm_may_hold_any_byte),
		IN_A_TREE(a_thread_that_ended_meanwhile_is_left_out),
		IN_A_TREE(a_process_that_ended_is_esrch),
		IN_A_TREE(filling_again_starts_anew),
		IN_A_TREE(the_base_is_found_under_systemd),
		IN_A_TREE(the_base_is_found_without_systemd),
		IN_A_TREE(our_helper_leaf_and_v1_lines_do_not_confuse),
		IN_A_TREE(a_path_is_taken_literally),
		IN_A_TREE(a_systemd_escaped_unit_has_its_own_name),
		IN_A_TREE(elsewhere_is_impossible),
		IN_A_TREE(outside_what_libvirt_made_it_is_astray),
		IN_A_TREE(without_machined_its_place_is_libvirts_own_group),
		IN_A_TREE(at_home_it_is_not_astray),
		IN_A_TREE(in_its_base_it_is_not_astray),
		IN_A_TREE(in_its_scope_alone_it_is_left),
		IN_A_TREE(the_unit_is_known_without_a_base),
		IN_A_TREE(a_host_without_cgroup_v2_is_an_error),
		IN_A_TREE(names_tell_where_there_is_no_record),
		IN_A_TREE(a_vcpu_that_the_record_lacks_stays_unknown),
		IN_A_TREE(the_record_counts_against_a_name),
		IN_A_TREE(a_recorded_thread_that_is_not_there_is_dropped),
		IN_A_TREE(one_thread_for_all_vcpus_is_none_of_them),
		IN_A_TREE(two_threads_of_one_name_are_neither),
		IN_A_TREE(a_missing_iothread_with_a_pin_is_impossible),
		IN_A_TREE(a_long_iothread_id_is_known_by_its_leaf),
		IN_A_TREE(a_named_thread_is_not_taken_for_its_leaf),
		IN_A_TREE(the_record_is_found_by_name),
		cmocka_unit_test(a_hot_plugged_guest_is_told_in_full),
		cmocka_unit_test(a_real_long_iothread_id_is_known_by_its_leaf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
