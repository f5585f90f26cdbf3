// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/carry.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/base/cleanup.h"
#include "agent/base/log.h"
#include "agent/daemon/tell.h"
#include "agent/daemon/watching.h"

/* A grace period of RCU for each thread that is moved, a few ms for a cpuset: nothing waits. */
#define PATIENCE_USEC UINT64_C(100000)
/* A thread that is at it for so long waits for pages: others will, too. */
#define STUCK_USEC UINT64_C(1000000)
/* At once: each takes a few file descriptors and, for some steps, a connection to systemd. */
#define JOBS_MAX 64
/* Shorter than what a service manager waits before it kills. */
#define STOP_USEC UINT64_C(5000000)

static uint64_t boot_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* ---- words ------------------------------------------------------------------------------- */

#define HOW_LONG_BYTES 40

/* Return: @text, which says for how many seconds; nothing within the first one. */
static const char *how_long(uint64_t seconds, char text[static HOW_LONG_BYTES])
{
	text[0] = '\0';
	if (seconds)
		snprintf(text, HOW_LONG_BYTES, ", for %" PRIu64 " s now", seconds);
	return text;
}

/* Of a step that is being done. */
static char *words_of(const struct pf_step *step, uint64_t seconds)
{
	pf_auto_free char *what = pf_step_describe(step);
	char since[HOW_LONG_BYTES];
	char *text = NULL;
	int n;

	if (!what)
		return NULL;
	if (step->knob && strcmp(step->knob, "cpuset.mems") == 0)
		n = asprintf(&text, "memory is being moved to nodes %s%s: '%s' has not returned",
			     step->value, how_long(seconds, since), what);
	else
		n = asprintf(&text,
			     "'%s' has not returned%s: the kernel lets it wait while it moves "
			     "any process's memory",
			     what, how_long(seconds, since));
	return n < 0 ? NULL : text;
}

char *pf_carry_words(const struct pf_held *held, uint64_t now_usec)
{
	uint64_t seconds = (now_usec - held->job_usec) / 1000000;
	const struct pf_run *run = held->job ? held->job->run : NULL;
	size_t at = run ? run->at : 0;
	char since[HOW_LONG_BYTES];
	char *text = NULL;

	if (!held->job)
		return NULL;
	if (run && at < run->plan.count)
		return words_of(&run->plan.steps[at], seconds);
	if (asprintf(&text, "%s%s",
		     run ? "what was done is about to be read back"
			 : "what was found before the first change is being put back",
		     how_long(seconds, since)) < 0)
		return NULL;
	return text;
}

/* ---- taking in --------------------------------------------------------------------------- */

struct fighter {
	struct pf_agent *agent;
	struct pf_held *held;
};

static void tell_fight(const struct pf_step *step, const struct pf_event *doer, const char *text,
		       void *ctx)
{
	struct fighter *fighter = ctx;

	pf_watching_fight(fighter->agent, fighter->held, step, doer, text);
}

static void take_in_run(struct pf_agent *agent, struct pf_held *held, struct pf_run *run)
{
	struct fighter fighter = {agent, held};

	pf_apply_end(&agent->apply, run);
	if (run->ledger_err.code)
		pf_log(LOG_WARNING, "guest '%s': what was found is not on record: %s", held->name,
		       run->ledger_err.text);
	/* The outcomes are this plan's, whatever was found to be off meanwhile. */
	pf_plan_clear(&held->plan);
	held->plan = run->plan;
	run->plan = (struct pf_plan){};
	if (pf_held_tried(held, run->outcomes, pf_now_usec(), tell_fight, &fighter) < 0)
		pf_log(LOG_ERR, "guest '%s': out of memory", held->name);
	pf_tell_outcomes(held, run->outcomes, held->plan.count);
	pf_watching_repaired(agent, held, run->outcomes, held->plan.count);
	held->acts.until_ns = 0;
}

/* ---- handing over ------------------------------------------------------------------------ */

static void do_here(struct pf_agent *agent, struct pf_job *job)
{
	if (job->run)
		pf_apply_run(&agent->apply, job->run);
	else
		pf_release_run(&agent->apply, job->release);
}

/* Return: whether it goes on; otherwise @job has been done and is the caller's. */
static bool hand_over(struct pf_agent *agent, struct pf_held *held, struct pf_job *job)
{
	uint64_t patience = pf_workers_busy(agent->workers, STUCK_USEC) ? 0 : PATIENCE_USEC;
	pf_auto_free char *text = NULL;
	uint64_t now = pf_now_usec(), now_ns = boot_ns();

	if (pf_workers_start(agent->workers, job) < 0) {
		do_here(agent, job);
		return false;
	}
	if (pf_workers_wait(agent->workers, job, patience))
		return false;
	held->job = job;
	held->job_usec = now;
	held->acts.until_ns = now_ns;
	text = pf_carry_words(held, pf_now_usec());
	pf_log(LOG_INFO, "guest '%s': %s; other guests are held meanwhile", held->name,
	       text ?: "it waits for the kernel");
	return true;
}

/* Return: as hand_over(). */
static bool do_job(struct pf_agent *agent, struct pf_held *held, struct pf_job *job)
{
	if (agent->workers && (!job->run || pf_plan_can_wait(&job->run->plan)))
		return hand_over(agent, held, job);
	do_here(agent, job);
	return false;
}

/* Return: NULL when there is no memory for it; the plan is as it was then. */
static struct pf_job *begin_plan(struct pf_agent *agent, struct pf_plan *plan)
{
	PF_CLEANUP(pf_job_free) struct pf_job *job = calloc(1, sizeof(*job));

	if (!job || pf_run_new(plan, &job->run) < 0)
		return NULL;
	if (pf_apply_begin(&agent->apply, job->run) == 0)
		return pf_take_ptr(job);
	*plan = job->run->plan;
	job->run->plan = (struct pf_plan){};
	return NULL;
}

bool pf_carry_has_room(struct pf_agent *agent)
{
	return !agent->workers || pf_workers_busy(agent->workers, 0) < JOBS_MAX;
}

void pf_carry_out(struct pf_agent *agent, struct pf_held *held)
{
	PF_CLEANUP(pf_job_free) struct pf_job *job = begin_plan(agent, &held->plan);

	if (!job) {
		pf_log(LOG_ERR, "guest '%s': out of memory, nothing was changed", held->name);
		return;
	}
	pf_acts_made(&held->acts, &job->run->plan);
	if (do_job(agent, held, job))
		job = NULL; /* the threads' */
	else
		take_in_run(agent, held, job->run);
}

/* A plan that is being carried out ends before. Return: whether it is over. */
static bool end_plan(struct pf_agent *agent, struct pf_held *held)
{
	PF_CLEANUP(pf_job_free) struct pf_job *job = NULL;

	if (!held->job)
		return true;
	pf_job_supersede(held->job);
	if (held->job->release || !pf_workers_wait(agent->workers, held->job, PATIENCE_USEC))
		return false;
	job = pf_take_ptr(held->job);
	take_in_run(agent, held, job->run);
	return true;
}

/* What came of it is told until the next one. Return: @r */
static int note_release(struct pf_held *held, int r, const struct pf_err *err)
{
	free(held->not_put_back);
	held->not_put_back = r < 0 ? strdup(err->text) : NULL;
	return r;
}

static int carry_back(struct pf_agent *agent, struct pf_held *held, struct pf_err *err)
{
	PF_CLEANUP(pf_job_free) struct pf_job *job = NULL;
	int r;

	if (!end_plan(agent, held))
		return 1;
	job = calloc(1, sizeof(*job));
	if (!job)
		return pf_fail(err, ENOMEM, "put back what was found");
	r = pf_release_begin(agent->ledger, held->uuid, &job->release, err);
	if (r < 0 || !job->release)
		return r;
	if (!do_job(agent, held, job))
		return pf_release_end(agent->ledger, job->release, err);
	job = NULL; /* the threads' */
	return 1;
}

int pf_carry_back(struct pf_agent *agent, struct pf_held *held, struct pf_err *err)
{
	return note_release(held, carry_back(agent, held, err), err);
}

/* ---- what ended late --------------------------------------------------------------------- */

static void take_in_release(struct pf_agent *agent, struct pf_held *held, struct pf_job *job)
{
	struct pf_err err = {};
	int r = note_release(held, pf_release_end(agent->ledger, job->release, &err), &err);

	pf_log(r < 0 ? LOG_WARNING : LOG_NOTICE, "guest '%s': released; %s", held->name,
	       r < 0 ? err.text : "what was found was put back");
}

/* A release that had to wait for the plan. */
static void release_now(struct pf_agent *agent, struct pf_held *held)
{
	struct pf_err err = {};
	int r = pf_carry_back(agent, held, &err);

	if (r <= 0)
		pf_log(r < 0 ? LOG_WARNING : LOG_NOTICE, "guest '%s': released; %s", held->name,
		       r < 0 ? err.text : "what was found was put back");
}

static void take_in_late(struct pf_agent *agent, struct pf_held *held, struct pf_job *job)
{
	held->job = NULL;
	if (job->release) {
		held->acts.until_ns = 0;
		take_in_release(agent, held, job);
		return;
	}
	take_in_run(agent, held, job->run);
	if (held->released)
		release_now(agent, held);
}

static struct pf_held *find_job(struct pf_agent *agent, const struct pf_job *job)
{
	for (size_t i = 0; i < agent->held_count; i++)
		if (agent->held[i].job == job)
			return &agent->held[i];
	return NULL;
}

bool pf_carry_take(struct pf_agent *agent, struct pf_held **held)
{
	PF_CLEANUP(pf_job_free) struct pf_job *job = pf_workers_take(agent->workers);

	if (!job)
		return false;
	*held = find_job(agent, job);
	if (*held)
		take_in_late(agent, *held, job);
	return true;
}

/* Before 6.18 every move of a thread waited for the pages, with cgroup_mutex held. */
static bool is_kernel_since(const struct pf_agent *agent, unsigned int major, unsigned int minor)
{
	unsigned int a = 0, b = 0;

	return sscanf(agent->host.kernel, "%u.%u", &a, &b) == 2 &&
	       (a > major || (a == major && b >= minor));
}

bool pf_carry_pages_move(struct pf_agent *agent)
{
	return agent->workers && pf_workers_move_pages(agent->workers) &&
	       !is_kernel_since(agent, 6, 18);
}

/* ---- start and stop ---------------------------------------------------------------------- */

int pf_carry_start(struct pf_agent *agent, struct pf_err *err)
{
	return pf_workers_new(&agent->apply, &agent->workers, err);
}

static void stop_job(struct pf_agent *agent, struct pf_held *held, uint64_t until_usec)
{
	PF_CLEANUP(pf_job_free) struct pf_job *job = held->job;
	pf_auto_free char *text = pf_carry_words(held, pf_now_usec());
	uint64_t now = pf_now_usec();

	if (pf_workers_wait(agent->workers, job, until_usec > now ? until_usec - now : 0)) {
		take_in_late(agent, held, job);
		return;
	}
	job = NULL; /* the threads' */
	pf_log(LOG_WARNING,
	       "guest '%s': %s; nothing more is begun, and this process ends when the "
	       "kernel lets go of it",
	       held->name, text ?: "it waits for the kernel");
}

void pf_carry_stop(struct pf_agent *agent)
{
	uint64_t until = pf_now_usec() + STOP_USEC;

	for (size_t i = 0; agent->workers && i < agent->held_count; i++)
		if (agent->held[i].job)
			pf_job_supersede(agent->held[i].job);
	for (size_t i = 0; agent->workers && i < agent->held_count; i++)
		if (agent->held[i].job)
			stop_job(agent, &agent->held[i], until);
	for (size_t i = 0; i < agent->held_count; i++)
		agent->held[i].job = NULL; /* it may end now, and nobody looks at it any more */
	pf_workers_free(&agent->workers);
}
