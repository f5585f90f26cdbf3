// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/daemon/tell.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/audit/store.h"
#include "agent/base/array.h"
#include "agent/base/cleanup.h"
#include "agent/base/log.h"
#include "agent/daemon/carry.h"
#include "agent/daemon/guarding.h"
#include "agent/observe/watch.h"

void pf_tell_outcomes(const struct pf_held *held, const struct pf_outcome *outcomes, size_t count)
{
	for (size_t i = 0; i < count && i < held->plan.count; i++) {
		pf_auto_free char *text = pf_step_describe(&held->plan.steps[i]);

		if (!text)
			continue;
		if (outcomes[i].result == PF_OUTCOME_DONE)
			pf_log(LOG_NOTICE, "guest '%s': %s", held->name, text);
		else if (outcomes[i].result == PF_OUTCOME_FAILED &&
			 pf_tries_failures(&held->tries, &held->plan.steps[i]) <= 1)
			pf_log(LOG_WARNING, "guest '%s': %s failed: %s", held->name, text,
			       outcomes[i].err.text);
		else
			pf_log(LOG_DEBUG, "guest '%s': %s: %s", held->name, text,
			       pf_outcome_name(outcomes[i].result));
	}
}

/* The state as it is told: a released guest is observed; steps that failed are findings too. */
static int copy_status(const struct pf_held *held, struct pf_guest_status *out);

void pf_tell_state(struct pf_held *held)
{
	PF_CLEANUP(pf_guest_status_clear) struct pf_guest_status status = {};
	pf_auto_free char *text = NULL;
	const char *reason;

	/* While a vCPU comes or goes, libvirt and QEMU say different things for a moment. */
	if (pf_now_usec() < held->settle_until_usec)
		return;
	if (!held->status.name || copy_status(held, &status) < 0)
		return;
	if (status.state == PF_STATE_DRIFTING)
		return;
	reason = status.reason;
	if (asprintf(&text, "%s%s%s", pf_state_name(status.state), reason ? ": " : "",
		     reason ?: "") < 0) {
		text = NULL;
		return;
	}
	if (held->told && strcmp(held->told, text) == 0)
		return;
	pf_log(status.state == PF_STATE_IMPOSSIBLE ? LOG_WARNING : LOG_INFO, "guest '%s': %s",
	       held->name, text);
	free(held->told);
	held->told = pf_take_ptr(text);
}

static int copy_text(char **to, const char *from)
{
	*to = from ? strdup(from) : NULL;
	return from && !*to ? -ENOMEM : 0;
}

static int copy_threads(const struct pf_guest_status *from, struct pf_guest_status *to)
{
	for (size_t i = 0; i < from->thread_count; i++) {
		struct pf_thread_status *thread = pf_append(&to->threads, &to->thread_count);

		if (!thread)
			return -ENOMEM;
		*thread = from->threads[i];
		if (copy_text(&thread->cgroup, from->threads[i].cgroup))
			return -ENOMEM;
	}
	return 0;
}

static int copy_knobs(const struct pf_guest_status *from, struct pf_guest_status *to)
{
	for (size_t i = 0; i < from->knob_count; i++) {
		struct pf_knob_status *knob = pf_append(&to->knobs, &to->knob_count);

		if (!knob)
			return -ENOMEM;
		knob->state = from->knobs[i].state;
		if (copy_text(&knob->group, from->knobs[i].group) ||
		    copy_text(&knob->knob, from->knobs[i].knob) ||
		    copy_text(&knob->desired, from->knobs[i].desired) ||
		    copy_text(&knob->actual, from->knobs[i].actual))
			return -ENOMEM;
	}
	return 0;
}

static int copy_cells(const struct pf_guest_status *from, struct pf_guest_status *to)
{
	for (size_t i = 0; i < from->cell_count; i++) {
		struct pf_cell *cell = pf_append(&to->cells, &to->cell_count);

		if (!cell)
			return -ENOMEM;
		*cell = from->cells[i];
	}
	return 0;
}

/*
 * Steps that failed outrank what the comparison says: the next attempt is some time away. So do
 * fights, even in the moments in which they are won.
 */
static int add_failures(const struct pf_held *held, struct pf_guest_status *out)
{
	PF_CLEANUP(pf_findings_clear) struct pf_findings tried = {};
	int r = pf_tries_findings(&held->tries, &tried);

	if (!r)
		r = pf_findings_copy(&out->findings, &tried);
	if (r < 0 || !tried.count || out->state == PF_STATE_IMPOSSIBLE ||
	    (out->state != PF_STATE_DRIFTING && !pf_tries_fight(&held->tries)))
		return r;
	out->state = PF_STATE_IMPOSSIBLE;
	free(out->reason);
	return copy_text(&out->reason, pf_findings_first(&tried, PF_FINDING_IMPOSSIBLE));
}

static int add_release(const struct pf_held *held, struct pf_guest_status *out)
{
	if (!held->released)
		return 0;
	out->released = true;
	out->mode = PF_MODE_OBSERVE;
	out->state = PF_STATE_OBSERVED;
	if (!held->not_put_back)
		return 0;
	if (copy_text(&out->not_put_back, held->not_put_back))
		return -ENOMEM;
	return pf_findings_add(&out->findings, PF_FINDING_IMPOSSIBLE, "%s", held->not_put_back);
}

/* What is being done is not read back yet, so the guest is not held by it. */
static int add_wait(const struct pf_held *held, struct pf_guest_status *out)
{
	pf_auto_free char *text = pf_carry_words(held, pf_now_usec());
	int r;

	if (held->job && !text)
		return -ENOMEM;
	if (!text && !held->waits_for_pages)
		return 0;
	r = pf_findings_add(&out->findings, PF_FINDING_NOTE, "%s",
			    text ?: "its threads are moved to their groups when the memory of "
				    "another guest has been moved: on this kernel no group of the "
				    "host could be changed until then");
	if (r < 0 || copy_text(&out->under_way, text))
		return -ENOMEM;
	if (!text || (out->state != PF_STATE_HELD && out->state != PF_STATE_DRIFTING))
		return r;
	out->state = PF_STATE_DRIFTING;
	free(out->reason);
	out->reason = pf_take_ptr(text);
	return 0;
}

static int copy_status(const struct pf_held *held, struct pf_guest_status *out)
{
	const struct pf_guest_status *from = &held->status;
	int r;

	memcpy(out->uuid, from->uuid, sizeof(out->uuid));
	out->pid = from->pid;
	out->source = from->source;
	out->mode = from->mode;
	out->isolation = from->isolation;
	out->state = from->state;
	out->untold = held->acts.count + pf_aways_untold(&held->aways);
	if (copy_text(&out->name, from->name) || copy_text(&out->reason, from->reason))
		return -ENOMEM;
	r = copy_threads(from, out);
	if (!r)
		r = copy_knobs(from, out);
	if (!r)
		r = copy_cells(from, out);
	if (!r)
		r = pf_findings_copy(&out->findings, &from->findings);
	if (!r)
		r = add_failures(held, out);
	if (!r)
		r = add_wait(held, out);
	return r ?: add_release(held, out);
}

static int by_name(const void *a, const void *b)
{
	const struct pf_guest_status *left = a, *right = b;

	return strcmp(left->name, right->name);
}

static int add_capability(struct pf_status *out, const char *name, bool available,
			  const char *reason)
{
	struct pf_capability *capability = pf_append(&out->capabilities, &out->capability_count);

	if (!capability)
		return -ENOMEM;
	capability->available = available;
	if (copy_text(&capability->name, name) ||
	    copy_text(&capability->reason, available ? NULL : reason))
		return -ENOMEM;
	return 0;
}

/* Which hook is there, and what stands in for one that isn't. */
static int add_hooks(const struct pf_agent *agent, struct pf_status *out)
{
	const struct pf_hook_capability *hooks;
	size_t count;

	if (!agent->watching.watch)
		return agent->watching.refusal
			       ? add_capability(out, "ebpf", false, agent->watching.refusal)
			       : 0;
	hooks = pf_watch_capabilities(agent->watching.watch, &count);
	for (size_t i = 0; i < count; i++) {
		pf_auto_free char *name = NULL, *reason = NULL;
		int r;

		if (asprintf(&name, "ebpf-%s", hooks[i].name) < 0 ||
		    asprintf(&reason, "%s; instead: %s", strerror(hooks[i].reason),
			     hooks[i].fallback[0] ? hooks[i].fallback : "nothing") < 0)
			return -ENOMEM;
		r = add_capability(out, name, hooks[i].available, reason);
		if (r < 0)
			return r;
	}
	return 0;
}

static int add_guard(const struct pf_agent *agent, struct pf_status *out)
{
	const char *refusal = pf_guarding_refusal(agent);
	pf_auto_free char *reason = NULL;

	if (refusal &&
	    asprintf(&reason, "%s; instead: foreign changes are put right, not refused", refusal) < 0)
		return -ENOMEM;
	return add_capability(out, "guard", !refusal, reason);
}

static int add_capabilities(struct pf_agent *agent, struct pf_status *out)
{
	int r = add_capability(out, "systemd", agent->bus != NULL,
			       "this host was not booted with systemd: scopes do not exist, weights "
			       "are written to the guest's own group");

	if (!r)
		r = add_guard(agent, out);
	return r ?: add_hooks(agent, out);
}

static int add_guests(struct pf_agent *agent, const struct pf_held *only, struct pf_status *out)
{
	for (size_t i = 0; i < agent->held_count; i++) {
		const struct pf_held *held = &agent->held[i];
		struct pf_guest_status *guest;
		int r;

		if (!held->present || !held->status.name || (only && held != only))
			continue;
		guest = pf_append(&out->guests, &out->guest_count);
		r = guest ? copy_status(held, guest) : -ENOMEM;
		if (r < 0)
			return r;
	}
	if (out->guest_count)
		qsort(out->guests, out->guest_count, sizeof(*out->guests), by_name);
	return 0;
}

char *pf_tell_libvirt(const struct pf_agent *agent)
{
	struct pf_libvirt_state state;
	char *text;

	pf_libvirt_state(agent->libvirt, &state);
	if (asprintf(&text, "%s%s%s", pf_libvirt_link_name(state.link), state.reason[0] ? ": " : "",
		     state.reason) < 0)
		return NULL;
	return text;
}

/* A status without counters is one all the same. */
static void add_counts(struct pf_agent *agent, struct pf_status *out)
{
	struct pf_err err;

	if (agent->watching.watch && out->guest_count &&
	    pf_watch_fill(agent->watching.watch, out->guests, out->guest_count, &err) < 0)
		pf_log(LOG_WARNING, "counters are missing in a status: %s", err.text);
}

int pf_tell_status(struct pf_agent *agent, const struct pf_held *only, struct pf_status *out)
{
	int r;

	*out = (struct pf_status){};
	memcpy(out->hostname, agent->host.hostname, sizeof(out->hostname));
	memcpy(out->kernel, agent->host.kernel, sizeof(out->kernel));
	out->cpus_online = agent->host.cpus_online;
	out->nodes_online = agent->host.nodes_online;
	out->agent_version = strdup(PF_VERSION);
	out->libvirt = pf_tell_libvirt(agent);
	out->unstored = pf_audit_unstored(agent->audit);
	r = out->agent_version && out->libvirt ? 0 : -ENOMEM;
	if (!r)
		r = add_capabilities(agent, out);
	if (!r)
		r = add_guests(agent, only, out);
	if (!r)
		add_counts(agent, out);
	if (r < 0)
		pf_status_clear(out);
	return r;
}
