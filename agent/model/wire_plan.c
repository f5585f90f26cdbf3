// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/model/wire.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "agent/base/cleanup.h"
#include "agent/model/wire_json.h"
#include "agent/model/wire_text.h"

void pf_plans_clear(struct pf_plans *plans)
{
	for (size_t i = 0; i < plans->count; i++)
		pf_plan_clear(&plans->items[i]);
	free(plans->items);
	*plans = (struct pf_plans){};
}

/* ---- plans to JSON ------------------------------------------------------------------------ */

/* A key that does not belong to that kind of step is left out: @value NULL sets nothing. */
static int set_known(json_t *object, const char *key, const char *value)
{
	return value ? json_object_set_new(object, key, pf_wire_text(value)) : 0;
}

static int set_step_texts(json_t *object, const struct pf_step *step)
{
	pf_auto_free char *text = pf_step_describe(step);

	if (set_known(object, "group", step->group) < 0 ||
	    set_known(object, "knob", step->knob) < 0 ||
	    set_known(object, "value", step->value) < 0 ||
	    set_known(object, "was", step->was) < 0 || set_known(object, "unit", step->unit) < 0)
		return -1;
	if (step->pid > 0 && json_object_set_new(object, "pid", json_integer(step->pid)) < 0)
		return -1;
	if (step->tid > 0 && json_object_set_new(object, "tid", json_integer(step->tid)) < 0)
		return -1;
	if (json_object_set_new(object, "role", pf_json_make_role(step->role)) < 0)
		return -1;
	if (step->kind == PF_STEP_AFFINITY &&
	    json_object_set_new(object, "cpus", pf_json_make_set(&step->cpus)) < 0)
		return -1;
	return text ? set_known(object, "text", text) : -1;
}

static json_t *make_step(const struct pf_step *step)
{
	json_t *object = json_pack("{s:s, s:i}", "kind", pf_step_kind_name(step->kind), "act",
				   (int)step->act);

	if (object && set_step_texts(object, step) < 0) {
		json_decref(object);
		return NULL;
	}
	return object;
}

static json_t *make_plan(const struct pf_plan *plan)
{
	return json_pack("{s:{s:o, s:o}, s:o}",
			 "guest",
			 "uuid", pf_wire_text(plan->uuid),
			 "name", pf_wire_text(plan->name ?: ""),
			 "steps", make_array(plan->steps, plan->count, make_step));
}

int pf_wire_encode_plans(const struct pf_plan *plans, size_t count, char **out)
{
	return pf_json_dump(json_pack("{s:o}", "plans", make_array(plans, count, make_plan)),
			    JSON_COMPACT, out);
}

/* ---- and back ----------------------------------------------------------------------------- */

/* What pf_step_describe() prints must be there. */
static int check_step(const struct pf_step *step, struct pf_err *err)
{
	bool knob = step->kind == PF_STEP_KNOB || step->kind == PF_STEP_UNIT_KNOB ||
		    step->kind == PF_STEP_WIDEN;

	if (!step->group && step->kind != PF_STEP_AFFINITY)
		return pf_json_wrong(err, "group", "a string");
	if (!step->value && (knob || step->kind == PF_STEP_CONTROLLERS))
		return pf_json_wrong(err, "value", "a string");
	if (!step->knob && knob)
		return pf_json_wrong(err, "knob", "a string");
	return 0;
}

static int read_step(const json_t *json, struct pf_step *step, struct pf_err *err)
{
	const char *kind = NULL;
	json_int_t act = 0;
	int r = pf_json_get_string(json, "kind", &kind, err);

	if (r == 0 && pf_step_kind_parse(kind, &step->kind) < 0)
		r = pf_json_wrong(err, "kind", "a step");
	r = r ?: pf_json_get_number(json, "act", 0, INT_MAX, &act, err);
	step->act = (unsigned int)act;
	r = r ?: pf_json_copy_optional(json, "group", &step->group, err);
	r = r ?: pf_json_copy_optional(json, "knob", &step->knob, err);
	r = r ?: pf_json_copy_optional(json, "value", &step->value, err);
	r = r ?: pf_json_copy_optional(json, "was", &step->was, err);
	r = r ?: pf_json_copy_optional(json, "unit", &step->unit, err);
	r = r ?: pf_json_get_role(json, &step->role, err);
	if (json_object_get(json, "pid"))
		r = r ?: pf_json_get_pid(json, "pid", &step->pid, err);
	if (json_object_get(json, "tid"))
		r = r ?: pf_json_get_pid(json, "tid", &step->tid, err);
	if (step->kind == PF_STEP_AFFINITY)
		r = r ?: pf_json_get_set(json, "cpus", &step->cpus, err);
	return r ?: check_step(step, err);
}

static int read_plan(const json_t *json, struct pf_plan *plan, struct pf_err *err)
{
	const json_t *guest = json_object_get(json, "guest");
	int r = pf_json_copy_fixed(guest, "uuid", plan->uuid, sizeof(plan->uuid), err);

	r = r ?: pf_json_copy_string(guest, "name", &plan->name, err);
	return r ?: read_array(json, "steps", &plan->steps, &plan->count, read_step, err);
}

int pf_wire_decode_plans(const char *text, size_t len, struct pf_plans *out, struct pf_err *err)
{
	PF_CLEANUP(pf_plans_clear) struct pf_plans plans = {};
	auto_json *json = NULL;
	int r = pf_json_load(text, len, &json, err);

	if (r == 0 && !json_is_array(json_object_get(json, "plans")))
		r = pf_json_wrong(err, "plans", "an array");
	r = r ?: read_array(json, "plans", &plans.items, &plans.count, read_plan, err);
	if (r < 0)
		return r;
	*out = plans;
	plans = (struct pf_plans){};
	return 0;
}
