/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the eBPF programs counted and did not tell: held back, dropped, or summed up (pages). */
#pragma once

#include "agent/daemon/agent.h"

/*
 * Tells what is new of it, of guests that sent records, every ten seconds: only where some are told
 * can others be held back or find the ring full.
 * Return: when it is to be called next (CLOCK_MONOTONIC, us), 0 for no time in particular
 */
uint64_t pf_losses_count(struct pf_agent *agent);
