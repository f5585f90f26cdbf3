// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/guarding.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/cleanup.h"
#include "agent/base/log.h"
#include "agent/observe/watch.h"
#include "bpf/guard.h"

#define EXECUTABLES_MAX 32
#define LOOK_EVERY_USEC UINT64_C(2000000)

/*
 * Who may change a guarded guest, beside process 1 and QEMU: where distributions install them. Those
 * that are elsewhere are named by [guard] allow.
 */
static const char *const executables[] = {
	"/proc/self/exe",
	"/usr/sbin/libvirtd",
	"/usr/sbin/virtqemud",
	"/usr/local/sbin/libvirtd",
	"/usr/local/sbin/virtqemud",
	"/usr/lib/systemd/systemd-machined",
	"/lib/systemd/systemd-machined",
};

/* Paths of executables; words holds those of the configuration. */
struct paths {
	const char *path[EXECUTABLES_MAX];
	size_t count;
	char *words;
};

static void clear_paths(struct paths *paths)
{
	free(paths->words);
}

static int list_paths(const struct pf_config *config, struct paths *out, struct pf_err *err)
{
	char *rest = NULL, *path;

	for (size_t i = 0; i < sizeof(executables) / sizeof(executables[0]); i++)
		out->path[out->count++] = executables[i];
	out->words = strdup(config->guard_allow);
	if (!out->words)
		return pf_fail(err, ENOMEM, "read [guard] allow");
	for (path = strtok_r(out->words, " \t", &rest); path; path = strtok_r(NULL, " \t", &rest)) {
		if (out->count == EXECUTABLES_MAX)
			return pf_fail_plain(err, E2BIG, "[guard] allow names more than %zu files",
					     EXECUTABLES_MAX -
						     sizeof(executables) / sizeof(executables[0]));
		out->path[out->count++] = path;
	}
	return 0;
}

static void add_stamp(uint64_t *stamp, uint64_t value)
{
	*stamp = (*stamp ^ value) * 0x100000001b3ULL; /* FNV-1a */
}

/* A number that changes with any of the files. One that is not there counts as none. */
static uint64_t stamp_of(const struct paths *paths)
{
	uint64_t stamp = 0xcbf29ce484222325ULL;

	for (size_t i = 0; i < paths->count; i++) {
		struct stat file = {};

		if (stat(paths->path[i], &file) < 0)
			file = (struct stat){};
		add_stamp(&stamp, file.st_dev);
		add_stamp(&stamp, file.st_ino);
		add_stamp(&stamp, (uint64_t)file.st_ctim.tv_sec);
		add_stamp(&stamp, (uint64_t)file.st_ctim.tv_nsec);
	}
	return stamp;
}

static int open_executable(const char *path)
{
	pf_auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat file;

	if (fd < 0 || fstat(fd, &file) < 0 || !S_ISREG(file.st_mode))
		return -1;
	return pf_take_fd(&fd);
}

static int allow_paths(struct pf_guard *guard, const struct paths *paths, struct pf_err *err)
{
	int fds[EXECUTABLES_MAX], r;

	for (size_t i = 0; i < paths->count; i++)
		fds[i] = open_executable(paths->path[i]);
	r = pf_guard_allow(guard, fds, paths->count, err);
	for (size_t i = 0; i < paths->count; i++)
		pf_cleanup_close(&fds[i]);
	return r;
}

/* An upgrade puts another file in the place of the one that still runs: both are let past then. */
static int let_past(struct pf_agent *agent, struct pf_err *err)
{
	PF_CLEANUP(clear_paths) struct paths paths = {};
	struct pf_guarding *guarding = &agent->guarding;
	uint64_t stamp, now = pf_now_usec();
	int r;

	if (guarding->allowed_usec && now < guarding->allowed_usec + LOOK_EVERY_USEC)
		return 0;
	guarding->allowed_usec = now;
	r = list_paths(&agent->config, &paths, err);
	if (r < 0)
		return r;
	stamp = stamp_of(&paths);
	if (stamp == guarding->allowed)
		return 0;
	r = allow_paths(guarding->guard, &paths, err);
	if (!r)
		guarding->allowed = stamp;
	return r;
}

static void refuse_guard(struct pf_agent *agent, const char *why)
{
	struct pf_guarding *guarding = &agent->guarding;

	pf_guard_close(&guarding->guard);
	free(guarding->refusal);
	guarding->refusal = strdup(why);
}

static bool wanted(const struct pf_agent *agent)
{
	for (size_t i = 0; i < agent->held_count; i++) {
		const struct pf_held *held = &agent->held[i];

		if (held->present && !held->released && held->status.mode == PF_MODE_GUARD)
			return true;
	}
	return false;
}

static int begin(struct pf_agent *agent, struct pf_err *err)
{
	struct pf_guarding *guarding = &agent->guarding;
	bool stay = agent->config.when_dead == PF_WHEN_DEAD_STAY;
	bool was = pf_guard_attached(guarding->guard);
	int r = let_past(agent, err);

	if (!r)
		r = pf_guard_attach(guarding->guard, stay, err);
	if (!r && !was)
		pf_log(LOG_NOTICE,
		       "the guard refuses changes by others; when the agent ends, it %s",
		       stay ? "stays" : "is lifted");
	return r;
}

static int end(struct pf_agent *agent, struct pf_err *err)
{
	struct pf_guarding *guarding = &agent->guarding;
	bool was = pf_guard_attached(guarding->guard);
	int r = pf_guard_detach(guarding->guard, err);

	if (!r && was)
		pf_log(LOG_NOTICE, "the guard is lifted: no guest is in mode guard");
	return r;
}

void pf_guarding_follow(struct pf_agent *agent)
{
	struct pf_guarding *guarding = &agent->guarding;
	struct pf_err err, spare;

	/* Before the first look at all guests nobody knows whether one is guarded. */
	if (!guarding->guard || !agent->watching.reading)
		return;
	if ((wanted(agent) ? begin(agent, &err) : end(agent, &err)) == 0)
		return;
	pf_log(LOG_ERR, "the guard does not work, guests are held in mode enforce: %s", err.text);
	pf_guard_detach(guarding->guard, &spare);
	refuse_guard(agent, err.text);
}

bool pf_guarding_active(const struct pf_agent *agent)
{
	return agent->guarding.guard && pf_guard_attached(agent->guarding.guard);
}

void pf_guarding_start(struct pf_agent *agent)
{
	struct pf_guarding *guarding = &agent->guarding;
	struct pf_err err, spare;
	struct pf_bpf *bpf;

	if (!agent->watching.watch) {
		refuse_guard(agent, agent->watching.refusal ?: "eBPF is not used");
		return;
	}
	bpf = pf_watch_programs(agent->watching.watch);
	if (!pf_guard_open(bpf, &guarding->guard, &err))
		return;
	/* What nobody can steer must not go on. */
	if (pf_guard_unpin(bpf, &spare) < 0)
		pf_log(LOG_WARNING, "a former agent's guard could not be lifted: %s", spare.text);
	refuse_guard(agent, err.text);
}

const char *pf_guarding_refusal(const struct pf_agent *agent)
{
	return agent->guarding.refusal;
}

void pf_guarding_stop(struct pf_agent *agent)
{
	pf_guard_close(&agent->guarding.guard);
	free(agent->guarding.refusal);
	agent->guarding = (struct pf_guarding){};
}
