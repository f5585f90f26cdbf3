/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `pinfold plan` for a person. */
#pragma once

#include <stddef.h>

#include "agent/cli/term.h"
#include "agent/model/wire.h"

size_t pf_plans_steps(const struct pf_plans *plans);

/* Each guest's steps in their order; one line when there are none at all. */
void pf_plans_print(const struct pf_view *view, const struct pf_plans *plans);
