/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What changed between two promises, in words. Pure. */
#pragma once

#include "agent/model/guest.h"

/**
 * pf_promise_diff - "vcpu 0 cpus 2 -> 3; shares 500 -> 600"
 *
 * Everything that counts for holding the guest; thread ids do not. What is not promised is "-".
 * Return: 0 with @out malloc'ed, or NULL where nothing differs; -ENOMEM.
 */
int pf_promise_diff(const struct pf_promise *old, const struct pf_promise *new, char **out);
