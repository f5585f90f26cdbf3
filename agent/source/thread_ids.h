/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which thread of the process is which vCPU and iothread. Internal to source/. */
#pragma once

#include "agent/base/err.h"
#include "agent/model/guest.h"

/* Sets the thread ids of the promise by the rules of pf_proc_fill(). Return: 0 or -ENOMEM. */
int pf_thread_ids_fill(int root, struct pf_guest *guest, struct pf_err *err);
