/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the agent answers to its API: each answer looks at the kernel anew. */
#pragma once

#include "agent/serve/api.h"

/* The context of each is a struct pf_agent. */
extern const struct pf_api_ops pf_answer_ops;
