/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a record of the eBPF programs means for its guest: an act that is kept until it is known what
 * came of it, a stay outside, a new thread; and whether the guest is to be looked at.
 */
#pragma once

#include "agent/daemon/agent.h"

/* A pf_watch_fn; @agent: the struct pf_agent. Nothing is looked at or put right here. */
void pf_incoming_record(const struct pf_record *record, const char *uuid, const char *group,
			void *agent);
