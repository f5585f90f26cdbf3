/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who was promised a CPU. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "agent/model/role.h"
#include "agent/model/status.h"

/**
 * pf_promised_next - walks the distinct roles of @guest that were promised @cpu
 * @at: the position; 0 for the first call
 *
 *     for (size_t at = 0; pf_promised_next(guest, 8, &at, &role);)
 *
 * Return: true with @role filled, false when there are no more.
 */
bool pf_promised_next(const struct pf_guest_status *guest, unsigned int cpu, size_t *at,
		      struct pf_role *role);
