// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/observe/records.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/base/cleanup.h"
#include "agent/base/file.h"

#define CGROUP_MOUNT "/sys/fs/cgroup"
#define KERNFS_HANDLE 0xfe /* FILEID_KERNFS, include/linux/exportfs.h: 64 bits of id */
#define DETAIL_MAX 512

static int64_t now_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

void pf_clocks_read(struct pf_clocks *clocks)
{
	int64_t boot = now_ns(CLOCK_BOOTTIME);

	clocks->wall_ahead_ns = now_ns(CLOCK_REALTIME) - boot;
	clocks->sleep_ns = boot - now_ns(CLOCK_MONOTONIC);
}

bool pf_record_role(const struct pf_record *record, struct pf_role *out)
{
	switch ((enum pf_rec_role)record->role) {
	case PF_REC_ROLE_VCPU:
		*out = (struct pf_role){PF_ROLE_VCPU, record->role_index};
		return true;
	case PF_REC_ROLE_IOTHREAD:
		*out = (struct pf_role){PF_ROLE_IOTHREAD, record->role_index};
		return true;
	case PF_REC_ROLE_EMULATOR:
		*out = (struct pf_role){PF_ROLE_EMULATOR, 0};
		return true;
	case PF_REC_ROLE_HELPER:
		*out = (struct pf_role){PF_ROLE_HELPER, 0};
		return true;
	case PF_REC_ROLE_NONE:
		break;
	}
	return false;
}

static enum pf_event_kind kind_of(const struct pf_record *record)
{
	switch ((enum pf_rec_kind)record->kind) {
	case PF_REC_ESCAPE:
	case PF_REC_PLACED:
	case PF_REC_RETURN:
		return PF_EVENT_ESCAPE;
	case PF_REC_MOVED:
	case PF_REC_MASK:
	case PF_REC_KNOB:
		return PF_EVENT_DRIFT;
	case PF_REC_REFUSED:
		return record->cause == PF_CAUSE_SYSCALL ? PF_EVENT_MEMORY : PF_EVENT_DRIFT;
	case PF_REC_NUMA:
	case PF_REC_PAGES:
		return PF_EVENT_MEMORY;
	case PF_REC_CPU:
	case PF_REC_GROUP:
	case PF_REC_THREAD:
		break;
	}
	return PF_EVENT_AGENT;
}

static enum pf_event_cause cause_of(const struct pf_record *record)
{
	static const enum pf_event_cause causes[] = {
		[PF_CAUSE_UNKNOWN] = PF_EVENT_UNKNOWN,
		[PF_CAUSE_AFFINITY] = PF_EVENT_AFFINITY,
		[PF_CAUSE_CPUSET] = PF_EVENT_CPUSET,
		[PF_CAUSE_CGROUP_MOVE] = PF_EVENT_CGROUP_MOVE,
		[PF_CAUSE_CPU_OFFLINE] = PF_EVENT_CPU_OFFLINE,
		[PF_CAUSE_NUMA_BALANCING] = PF_EVENT_NUMA_BALANCING,
		[PF_CAUSE_FALLBACK] = PF_EVENT_FALLBACK,
		[PF_CAUSE_WEIGHT] = PF_EVENT_WEIGHT,
		[PF_CAUSE_QUOTA] = PF_EVENT_QUOTA,
		[PF_CAUSE_CONTROL] = PF_EVENT_CONTROL,
		[PF_CAUSE_SCHEDULER] = PF_EVENT_SCHEDULER,
		[PF_CAUSE_SYSCALL] = PF_EVENT_SYSCALL,
		[PF_CAUSE_MEMORY] = PF_EVENT_KERNEL_MEMORY,
	};

	if (record->kind == PF_REC_CPU)
		return record->value ? PF_EVENT_CPU_ONLINE : PF_EVENT_CPU_OFFLINE;
	if (record->cause >= sizeof(causes) / sizeof(causes[0]))
		return PF_EVENT_UNKNOWN;
	return causes[record->cause];
}

static int place_of(uint16_t place)
{
	return place == PF_NOWHERE ? -1 : place;
}

static void add(char detail[DETAIL_MAX], const char *text)
{
	size_t len = strlen(detail);

	snprintf(detail + len, DETAIL_MAX - len, "%s%s", len ? "; " : "", text);
}

static void describe_flags(const struct pf_record *record, char detail[DETAIL_MAX])
{
	static const struct {
		uint16_t flag;
		const char *text;
	} texts[] = {
		{PF_RF_OUT_NODE, "outside its memory nodes"},
		{PF_RF_LEFT, "judged by the group that it left"},
		{PF_RF_THREADGROUP, "the whole process"},
		{PF_RF_INFERRED, "cause inferred from masks"},
		{PF_RF_FALLBACK, "the kernel found no allowed CPU"},
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (record->flags & texts[i].flag)
			add(detail, texts[i].text);
}

/* @group: of the file, or the one that the thread would have gone to. */
static void describe_refused(const struct pf_knob_record *knob, const char *group,
			     char detail[DETAIL_MAX])
{
	char text[400];

	if (!knob->rec.tid)
		snprintf(text, sizeof(text), "write to %s of %.200s", knob->knob,
			 group ?: "a group of the guest");
	else if (!knob->rec.value)
		snprintf(text, sizeof(text), "%s(2)", knob->knob);
	else
		snprintf(text, sizeof(text), "'%.*s' to %s of %.200s",
			 (int)strcspn(knob->text, "\n"), knob->text, knob->knob,
			 group ?: "a group that is gone");
	add(detail, text);
}

static void describe(const struct pf_record *record, const char *group, char detail[DETAIL_MAX])
{
	const struct pf_knob_record *knob = (const struct pf_knob_record *)record;
	char text[400];

	switch ((enum pf_rec_kind)record->kind) {
	case PF_REC_PLACED:
		add(detail, "first placement of a new thread");
		break;
	case PF_REC_RETURN:
		add(detail, "returned");
		break;
	case PF_REC_KNOB:
		snprintf(text, sizeof(text), "wrote '%.*s' to %s of %.200s",
			 (int)strcspn(knob->text, "\n"), knob->text, knob->knob,
			 group ?: "a group of the guest");
		add(detail, text);
		break;
	case PF_REC_MOVED:
		snprintf(text, sizeof(text), "moved to %.300s", group ?: "a group that is gone");
		add(detail, text);
		break;
	case PF_REC_REFUSED:
		describe_refused(knob, group, detail);
		break;
	case PF_REC_PAGES:
		snprintf(text, sizeof(text), "%" PRIu64 " pages", (uint64_t)record->value);
		add(detail, text);
		break;
	case PF_REC_ESCAPE:
	case PF_REC_MASK:
	case PF_REC_CPU:
	case PF_REC_NUMA:
	case PF_REC_GROUP:
	case PF_REC_THREAD:
		break;
	}
	describe_flags(record, detail);
}

static void fill_thread(const struct pf_record *record, struct pf_event *out)
{
	out->has_thread = record->tid != 0;
	out->tid = (pid_t)record->tid;
	memcpy(out->comm, record->comm, sizeof(out->comm));
	out->comm[sizeof(out->comm) - 1] = '\0';
	pf_record_role(record, &out->role);
	/* A page record keeps the kernel's reason where others have the CPU. */
	out->from_cpu = record->kind == PF_REC_PAGES ? -1 : place_of(record->from_cpu);
	out->from_node = place_of(record->from_node);
	out->to_cpu = place_of(record->to_cpu);
	out->to_node = place_of(record->to_node);
}

static void fill_actor(const struct pf_record *record, struct pf_event *out)
{
	out->has_actor = (record->flags & PF_RF_ACTOR) != 0;
	if (!out->has_actor)
		return;
	out->actor.pid = (pid_t)record->actor.tgid;
	out->actor.uid = record->actor.uid;
	memcpy(out->actor.comm, record->actor.comm, sizeof(out->actor.comm));
	out->actor.comm[sizeof(out->actor.comm) - 1] = '\0';
}

int pf_record_event(const struct pf_record *record, const char *group,
		    const struct pf_clocks *clocks, struct pf_event *out)
{
	char detail[DETAIL_MAX] = "";

	pf_event_init(out, kind_of(record), cause_of(record),
		      record->kind == PF_REC_REFUSED ? PF_EVENT_REFUSED : PF_EVENT_OBSERVED);
	out->record_seq = record->seq;
	out->boot_ns = record->boot_ns;
	out->wall_ns = record->boot_ns + (uint64_t)clocks->wall_ahead_ns;
	fill_thread(record, out);
	fill_actor(record, out);
	out->suppressed = record->suppressed;
	if (record->kind == PF_REC_RETURN) {
		out->has_outside = true;
		out->outside_ns = record->value;
	}
	describe(record, group, detail);
	if (!detail[0])
		return 0;
	out->detail = strdup(detail);
	if (out->detail)
		return 0;
	pf_event_clear(out);
	return -ENOMEM;
}

/* ---- a group by its id ------------------------------------------------------------------- */

static char *path_by_id(uint64_t cgid)
{
	union {
		struct file_handle handle;
		char room[sizeof(struct file_handle) + sizeof(cgid)];
	} u = {};
	char link[64], path[4096];
	pf_auto_close int mount = open(CGROUP_MOUNT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	pf_auto_close int fd = -1;
	size_t prefix = strlen(CGROUP_MOUNT);
	ssize_t len;

	u.handle.handle_bytes = sizeof(cgid);
	u.handle.handle_type = KERNFS_HANDLE;
	memcpy(u.handle.f_handle, &cgid, sizeof(cgid));
	fd = mount < 0 ? -1 : open_by_handle_at(mount, &u.handle, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, path, sizeof(path) - 1);
	if (len < (ssize_t)prefix || strncmp(path, CGROUP_MOUNT, prefix) != 0)
		return NULL;
	path[len] = '\0';
	return strdup(path[prefix] ? path + prefix : "/");
}

static char *path_by_pid(pid_t pid)
{
	pf_auto_close int root = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	pf_auto_free char *text = NULL;
	char file[32];

	snprintf(file, sizeof(file), "%d/cgroup", pid);
	if (root < 0 || pf_file_read_once(root, file, &text, NULL) < 0)
		return NULL;
	/* v2 alone: one line, "0::/path" */
	return strncmp(text, "0::", 3) == 0 ? strdup(text + 3) : NULL;
}

char *pf_record_group_path(uint64_t cgid, pid_t pid)
{
	char *path = cgid ? path_by_id(cgid) : NULL;

	return path ?: (pid > 0 ? path_by_pid(pid) : NULL);
}
