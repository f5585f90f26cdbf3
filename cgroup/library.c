// SPDX-License-Identifier: GPL-2.0-or-later
#include "cgroup/library.h"

#include <errno.h>
#include <libcgroup.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "agent/base/cleanup.h"

/* libcgroup's values are char[4096] in 2.0.2; it keeps a NUL in there. */
#define VALUE_MAX 4095

/*
 * Everything that fails here is told through struct pf_err, once. Without a callback
 * cgroup_init() would install one that prints to standard output.
 */
static void silent(void *userdata, int level, const char *fmt, va_list ap)
{
	(void)userdata;
	(void)level;
	(void)fmt;
	(void)ap;
}

/* cgroup_strerror() reads behind its own table on 50030 (2.0.2), so the words stand here. */
static const struct {
	int code;
	int number; /* errno */
	const char *words;
} errors[] = {
	{ECGROUPNOTMOUNTED, ENODEV, "no cgroup hierarchy is mounted"},
	{ECGROUPNOTEXIST, ENOENT, "no such cgroup"},
	{ECGROUPSUBSYSNOTMOUNTED, ENODEV, "the controller is not mounted"},
	{ECGROUPNOTALLOWED, EACCES, "not allowed"},
	{ECGINVAL, EINVAL, "bad argument"},
	{ECGFAIL, EIO, "failed"},
	{ECGROUPNOTINITIALIZED, EIO, "not initialised"},
	{ECGROUPVALUENOTEXIST, ENOENT, "no such file in the cgroup"},
	{ECGMOUNTNAMESPACE, EINVAL, "cannot work in this mount namespace"},
};

static int fail_library(struct pf_err *err, int code, const char *what)
{
	if (code == ECGOTHER)
		return pf_fail(err, cgroup_get_last_errno() ?: EIO, "libcgroup: %s", what);
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (errors[i].code == code)
			return pf_fail_plain(err, errors[i].number, "libcgroup: %s: %s", what,
					     errors[i].words);
	return pf_fail_plain(err, EIO, "libcgroup: %s: error %d", what, code);
}

static int mount_point(const char *controller, char **out, struct pf_err *err)
{
	char *mount = NULL;
	int r = cgroup_get_subsys_mount_point(controller, &mount);

	/* Mounted nowhere is an answer, which pf_cgroup_diagnose() has better words for. */
	if (r && r != ECGROUPNOTEXIST && r != ECGROUPSUBSYSNOTMOUNTED && r != ECGROUPNOTMOUNTED)
		return fail_library(err, r, "find the mount point of a controller");
	*out = r ? NULL : mount;
	return 0;
}

int pf_library_mounts(char **cpuset, char **cpu, struct pf_err *err)
{
	pf_auto_free char *cpuset_mount = NULL, *cpu_mount = NULL;
	int r;

	cgroup_set_logger(silent, CGROUP_LOG_ERROR, NULL);
	r = cgroup_init();
	if (r && r != ECGROUPNOTMOUNTED)
		return fail_library(err, r, "initialise");
	if (!r) {
		r = mount_point("cpuset", &cpuset_mount, err);
		if (!r)
			r = mount_point("cpu", &cpu_mount, err);
		if (r)
			return r;
	}
	*cpuset = pf_take_ptr(cpuset_mount);
	*cpu = pf_take_ptr(cpu_mount);
	return 0;
}

/* Whether libcgroup's fixed buffers hold the file's path, and its value format the value. */
static bool carries(const char *mount, const char *group, const char *knob, const char *value)
{
	if (group[0] != '/' || !group[1])
		return false;
	/* "MOUNT/" + "GROUP/" + KNOB, built in char[FILENAME_MAX]; cut without a word otherwise */
	if (strlen(mount) + strlen(group) + strlen(knob) + 4 > FILENAME_MAX)
		return false;
	/* empty values are dropped, lines are split */
	return *value && strlen(value) <= VALUE_MAX && !strchr(value, '\n');
}

/* The value is read back from libcgroup's copy: some of its versions cut it at 100 characters. */
static bool kept(struct cgroup_controller *controller, const char *knob, const char *value)
{
	pf_auto_free char *copy = NULL;

	return cgroup_get_value_string(controller, knob, &copy) == 0 && strcmp(copy, value) == 0;
}

int pf_library_write(const char *mount, const char *group, const char *controller, const char *knob,
		     const char *value)
{
	struct cgroup_controller *part;
	struct cgroup *cgroup;
	int r = 1;

	if (!carries(mount, group, knob, value))
		return 1;
	cgroup = cgroup_new_cgroup(group);
	if (!cgroup)
		return 1;
	part = cgroup_add_controller(cgroup, controller);
	if (part && cgroup_add_value_string(part, knob, value) == 0 && kept(part, knob, value)) {
		r = cgroup_modify_cgroup(cgroup);
		if (r == ECGOTHER && cgroup_get_last_errno() > 0)
			r = -cgroup_get_last_errno();
		else if (r)
			r = 1; /* 50015 and the like: what open(2) said is lost */
	}
	cgroup_free(&cgroup);
	return r;
}
