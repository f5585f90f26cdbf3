/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Events for a person: one a line. */
#pragma once

#include "agent/cli/term.h"
#include "agent/model/event.h"

/* On a terminal what does not fit is cut, unless view->all. Return: 0 or -ENOMEM. */
int pf_audit_print(const struct pf_view *view, const struct pf_event *event);
