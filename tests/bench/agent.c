// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a storm costs the agent itself: its own loop, records, events and store, everything of
 * agent/daemon but the passes over guests, which have a share of the time that they cannot exceed.
 *
 *   agent EVENTS THREADS           prints JSON
 *
 * A child's threads flip between CPU 0, promised, and CPU 1. The guest is the group that this
 * process is in: other processes in it add escapes of their own. Without pins; the record goes to
 * a folder of its own below /tmp and is removed again. tests/bench/bench "ours" compares the
 * counters with an independent count.
 */
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/wait.h>

#include "tests/bench/bench.h"
#include "agent/base/array.h"
#include "agent/base/log.h"
#include "agent/daemon/report.h"
#include "agent/daemon/watching.h"
#include "agent/observe/watch.h"
#include "agent/source/topology.h"
#include "tests/unit/bpf/kernel_test.h"

#define THREADS_MAX 256
#define UUID "00000000-0000-4000-8000-000000000001"

/* ---- the storm, in a child --------------------------------------------------------------- */

static void *flip(void *arg)
{
	for (uint64_t i = 0; i < *(uint64_t *)arg; i++) {
		go_to(1);
		go_to(0);
	}
	return NULL;
}

static pid_t start_storm(uint64_t escapes, unsigned int threads, int go, int done)
{
	pid_t pid = fork();
	pthread_t thread[THREADS_MAX];
	uint64_t each = escapes / threads;
	char byte;

	if (pid)
		return pid;
	if (read(go, &byte, 1) != 1)
		_exit(1);
	go_to(0); /* so do its threads, from their first instruction on */
	for (unsigned int i = 0; i < threads; i++)
		pthread_create(&thread[i], NULL, flip, &each);
	for (unsigned int i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
	close(done);
	_exit(0);
}

/* ---- an agent with one guest ------------------------------------------------------------- */

static char folder[] = "/tmp/pinfold-bench-XXXXXX";

static char *in_folder(const char *name)
{
	char *path;

	if (asprintf(&path, "%s/%s", folder, name) < 0)
		die("out of memory");
	return path;
}

static void open_agent(struct pf_agent *agent)
{
	struct pf_held *held = pf_append(&agent->held, &agent->held_count);
	struct pf_err err;

	if (!held || !mkdtemp(folder) || pf_config_init(&agent->config) < 0)
		die("make %s: %s", folder, strerror(errno));
	free(agent->config.pin_path);
	free(agent->config.state_dir);
	free(agent->config.audit_path);
	agent->config.pin_path = NULL;
	agent->config.state_dir = in_folder("");
	agent->config.audit_path = in_folder("audit.db");
	agent->config.audit_journal = false;
	agent->root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	pf_log_set_level(LOG_WARNING);
	if (pf_topology_read("/", &agent->host, &err) < 0 || sd_event_new(&agent->event) < 0 ||
	    pf_report_open(agent, &err) < 0 || pf_watching_start(agent, &err) < 0)
		die("%s", err.text);
	if (!agent->watching.watch)
		die("%s", agent->watching.refusal);
	memcpy(held->uuid, UUID, sizeof(held->uuid));
	held->name = strdup("bench");
	held->present = true;
	agent->known = true;
}

/* The group of this process as the only leaf of a guest that was promised CPU 0. */
static void watch_own_group(struct pf_agent *agent)
{
	struct pf_group leaf = {
		.level = PF_GROUP_LEAF,
		.role = {PF_ROLE_EMULATOR, 0},
		.path = (char *)"/bench",
		.cpus_rule = PF_SET_EXACT,
	};
	struct pf_placement placement = {
		.uuid = UUID,
		.name = (char *)"bench",
		.groups = &leaf,
		.group_count = 1,
	};
	struct pf_group_actual group = {.exists = true, .cgid = own_group_id()};
	struct pf_actual actual = {.groups = &group, .group_count = 1};

	pf_set_add(&leaf.cpus, 0);
	pf_watching_guest(&placement, &actual, agent);
	pf_watching_looked(agent);
	pf_watching_passed(agent);
}

static int on_done(sd_event_source *source, int fd, uint32_t events, void *ctx)
{
	struct pf_agent *agent = ctx;

	(void)source, (void)fd, (void)events;
	return sd_event_exit(agent->event, 0);
}

static void remove_folder(void)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir)
		closedir(dir);
	rmdir(folder);
}

int main(int argc, char **argv)
{
	uint64_t escapes = argc == 3 ? strtoull(argv[1], NULL, 10) / 2 : 0, cpu, wall;
	unsigned int threads = argc == 3 ? (unsigned int)atoi(argv[2]) : 0;
	struct pf_agent agent = {.root = -1};
	int go[2], done[2], status = 0;
	struct pf_counters sum;
	struct pf_err err;
	pid_t child;

	if (!escapes || !threads || threads > THREADS_MAX)
		die("usage: agent EVENTS THREADS");
	if (pipe(go) || pipe(done))
		die("pipe: %s", strerror(errno));
	child = start_storm(escapes, threads, go[0], done[1]);
	close(done[1]);
	open_agent(&agent);
	watch_own_group(&agent);
	if (sd_event_add_io(agent.event, NULL, done[0], EPOLLIN, on_done, &agent) < 0)
		die("set up the event loop");
	cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	wall = clock_ns(CLOCK_MONOTONIC);
	if (write(go[1], "g", 1) != 1 || sd_event_loop(agent.event) < 0)
		die("run: %s", strerror(errno));
	wall = clock_ns(CLOCK_MONOTONIC) - wall;
	cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	waitpid(child, &status, 0);
	pf_watching_catch_up(&agent);
	if (pf_watch_counters(agent.watching.watch, UUID, &sum, &err) < 0 || status)
		die("storm: %s", err.text);
	printf("{\"escapes\":%llu,\"counted\":%llu,\"told\":%llu,\"suppressed\":%llu,"
	       "\"dropped\":%llu,\"missing\":%llu,\"wall_ns\":%llu,\"agent_cpu_ns\":%llu,"
	       "\"percent\":%.1f}\n",
	       (unsigned long long)(escapes / threads * threads), (unsigned long long)sum.escapes,
	       (unsigned long long)sum.told, (unsigned long long)sum.suppressed,
	       (unsigned long long)sum.dropped,
	       (unsigned long long)pf_watch_missing(agent.watching.watch), (unsigned long long)wall,
	       (unsigned long long)cpu, 100.0 * (double)cpu / (double)wall);
	pf_watching_stop(&agent);
	pf_report_close(&agent);
	remove_folder();
	return 0;
}
