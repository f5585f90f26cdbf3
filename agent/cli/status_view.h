/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `pinfold status` for a person. */
#pragma once

#include <stdbool.h>

#include "agent/cli/term.h"
#include "agent/model/status.h"

/*
 * Whether somebody should look at this guest: a promise is not kept, or an observed guest's reason
 * says what is off.
 */
bool pf_status_is_off(const struct pf_guest_status *guest);

/* All of it. @summary: with the host's line and a count of the guests. Return: 0 or -ENOMEM. */
int pf_status_print(const struct pf_view *view, const struct pf_status *status, bool summary);

/* One line for each guest that is off, nothing else. Return: how many. */
size_t pf_status_print_off(const struct pf_view *view, const struct pf_status *status);

/* "NAME: state (mode)" and the reason. */
void pf_status_print_line(const struct pf_view *view, const struct pf_guest_status *guest);
