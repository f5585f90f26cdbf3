// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/model/plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/cleanup.h"

static const char *const kinds[] = {"make-group", "controllers", "knob",
				    "unit-knob",  "attach",	 "affinity",
				    "make-unit",  "make-base",	 "bring-back",
				    "widen"};

const char *pf_step_kind_name(enum pf_step_kind kind)
{
	return kinds[kind];
}

int pf_step_kind_parse(const char *text, enum pf_step_kind *out)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(kinds[i], text) == 0) {
			*out = (enum pf_step_kind)i;
			return 0;
		}
	}
	return -EINVAL;
}

static int describe_write(const struct pf_step *step, const char *how, char **out)
{
	const char *was = step->was && *step->was ? step->was : "empty";

	return asprintf(out, "write %s to %s/%s%s (was %s)", step->value, step->group, step->knob,
			how, was);
}

static int describe_affinity(const struct pf_step *step, char **out)
{
	pf_auto_free char *cpus = malloc(PF_SET_TEXT_MAX);
	char role[PF_ROLE_TEXT_MAX];

	if (!cpus)
		return -1;
	return asprintf(out, "set affinity of %s (thread %d) to %s%s%s%s",
			pf_role_format(step->role, role), (int)step->tid,
			pf_set_format(&step->cpus, cpus, PF_SET_TEXT_MAX),
			step->was ? " (was " : "", step->was ?: "", step->was ? ")" : "");
}

char *pf_step_describe(const struct pf_step *step)
{
	char role[PF_ROLE_TEXT_MAX];
	char *text = NULL;
	int n = -1;

	switch (step->kind) {
	case PF_STEP_MAKE_GROUP:
		n = asprintf(&text, "make threaded group %s", step->group);
		break;
	case PF_STEP_CONTROLLERS:
		n = asprintf(&text, "enable %s below %s", step->value, step->group);
		break;
	case PF_STEP_KNOB:
		n = describe_write(step, "", &text);
		break;
	case PF_STEP_UNIT_KNOB:
		n = describe_write(step, " through systemd", &text);
		break;
	case PF_STEP_ATTACH:
		n = asprintf(&text, "move %s (thread %d) to %s (was in %s)",
			     pf_role_format(step->role, role), (int)step->tid, step->group,
			     step->was ?: "an unknown group");
		break;
	case PF_STEP_AFFINITY:
		n = describe_affinity(step, &text);
		break;
	case PF_STEP_MAKE_UNIT:
		n = asprintf(&text, "have systemd make %s with process %d in it (was in %s)",
			     step->group, (int)step->pid, step->was ?: "an unknown group");
		break;
	case PF_STEP_MAKE_BASE:
		n = asprintf(&text, "make group %s", step->group);
		break;
	case PF_STEP_BRING_BACK:
		n = asprintf(&text, "move process %d back to %s (was in %s)", (int)step->pid,
			     step->group, step->was ?: "an unknown group");
		break;
	case PF_STEP_WIDEN:
		n = describe_write(step, ", for which systemd has no word", &text);
		break;
	}
	return n < 0 ? NULL : text;
}

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int reason_affinity(const struct pf_step *step, char **out)
{
	pf_auto_free char *cpus = malloc(PF_SET_TEXT_MAX);
	char role[PF_ROLE_TEXT_MAX];

	if (!cpus)
		return -1;
	return asprintf(out, "%s (thread %d) is allowed on %s, promised %s",
			pf_role_format(step->role, role), (int)step->tid,
			step->was ?: "other CPUs",
			pf_set_format(&step->cpus, cpus, PF_SET_TEXT_MAX));
}

char *pf_step_reason(const struct pf_step *step)
{
	char role[PF_ROLE_TEXT_MAX];
	char *text = NULL;
	int n = -1;

	switch (step->kind) {
	case PF_STEP_MAKE_GROUP:
	case PF_STEP_MAKE_BASE:
		n = asprintf(&text, "there is no group %s", step->group);
		break;
	case PF_STEP_MAKE_UNIT:
	case PF_STEP_BRING_BACK:
		n = asprintf(&text, "process %d was moved to %s, belongs in %s", (int)step->pid,
			     step->was ?: "an unknown group", step->group);
		break;
	case PF_STEP_CONTROLLERS:
		n = asprintf(&text, "controllers are not enabled below %s: %s", step->group,
			     step->value);
		break;
	case PF_STEP_KNOB:
	case PF_STEP_UNIT_KNOB:
	case PF_STEP_WIDEN:
		n = asprintf(&text, "%s of %s is %s, promised %s", step->knob,
			     last_part(step->group), step->was && *step->was ? step->was : "empty",
			     step->value);
		break;
	case PF_STEP_ATTACH:
		n = asprintf(&text, "%s (thread %d) is in %s, belongs in %s",
			     pf_role_format(step->role, role), (int)step->tid,
			     step->was ?: "an unknown group", step->group);
		break;
	case PF_STEP_AFFINITY:
		n = reason_affinity(step, &text);
		break;
	}
	return n < 0 ? NULL : text;
}

bool pf_plan_brings_back(const struct pf_plan *plan)
{
	for (size_t i = 0; i < plan->count; i++)
		if (plan->steps[i].kind == PF_STEP_BRING_BACK)
			return true;
	return false;
}

static bool is_knob(const struct pf_step *step, const char *prefix)
{
	return (step->kind == PF_STEP_KNOB || step->kind == PF_STEP_WIDEN) && step->knob &&
	       strncmp(step->knob, prefix, strlen(prefix)) == 0;
}

bool pf_step_moves_threads(const struct pf_step *step)
{
	return step->kind == PF_STEP_ATTACH || step->kind == PF_STEP_BRING_BACK ||
	       step->kind == PF_STEP_MAKE_UNIT;
}

bool pf_plan_can_wait(const struct pf_plan *plan)
{
	for (size_t i = 0; i < plan->count; i++)
		if (!plan->steps[i].put_off && (is_knob(&plan->steps[i], "cpuset.") ||
						pf_step_moves_threads(&plan->steps[i])))
			return true;
	return false;
}

bool pf_plan_moves_pages(const struct pf_plan *plan)
{
	for (size_t i = 0; i < plan->count; i++)
		if (!plan->steps[i].put_off && is_knob(&plan->steps[i], "cpuset.mems"))
			return true;
	return false;
}

void pf_step_clear(struct pf_step *step)
{
	free(step->group);
	free(step->knob);
	free(step->value);
	free(step->was);
	free(step->unit);
	*step = (struct pf_step){};
}

void pf_plan_clear(struct pf_plan *plan)
{
	for (size_t i = 0; i < plan->count; i++)
		pf_step_clear(&plan->steps[i]);
	free(plan->steps);
	free(plan->name);
	*plan = (struct pf_plan){};
}
