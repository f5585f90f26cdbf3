// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/cli/plan_view.h"

#include "agent/base/cleanup.h"

size_t pf_plans_steps(const struct pf_plans *plans)
{
	size_t steps = 0;

	for (size_t i = 0; i < plans->count; i++)
		steps += plans->items[i].count;
	return steps;
}

static void print_plan(const struct pf_view *view, const struct pf_plan *plan)
{
	pf_auto_free char *name = pf_term_text(plan->name);

	pf_term_color(view, PF_COLOR_BOLD);
	fputs(name ?: plan->uuid, view->out);
	pf_term_color(view, PF_COLOR_RESET);
	fprintf(view->out, ": %zu step%s\n", plan->count, plan->count == 1 ? "" : "s");
	for (size_t i = 0; i < plan->count; i++) {
		pf_auto_free char *text = pf_step_describe(&plan->steps[i]);
		char label[32];

		snprintf(label, sizeof(label), "%4zu. ", i + 1);
		pf_term_wrap(view, label, text ?: pf_step_kind_name(plan->steps[i].kind), 6);
	}
}

void pf_plans_print(const struct pf_view *view, const struct pf_plans *plans)
{
	bool first = true;

	if (!pf_plans_steps(plans)) {
		fputs("nothing to do\n", view->out);
		return;
	}
	for (size_t i = 0; i < plans->count; i++) {
		if (!plans->items[i].count)
			continue;
		if (!first)
			fputc('\n', view->out);
		print_plan(view, &plans->items[i]);
		first = false;
	}
}
