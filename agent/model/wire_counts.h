/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest's counters as JSON and back; for wire_status.c alone. */
#pragma once

#include "agent/model/status.h"
#include "agent/model/wire_json.h"

/* The sum and, in "roles", its parts; null for a guest that isn't counted. NULL: out of memory. */
json_t *pf_json_make_counts(const struct pf_guest_status *guest);

/* ns, or null when not @timed. */
json_t *pf_json_make_time(bool timed, uint64_t ns);

/* "counters" of @json; missing or null leaves @guest uncounted. Return: 0, -EBADMSG or -ENOMEM. */
int pf_json_get_counts(const json_t *json, struct pf_guest_status *guest, struct pf_err *err);

/* "away_ns" and "remote_ns"; both or none. Return: 0 or -EBADMSG. */
int pf_json_get_times(const json_t *json, struct pf_thread_status *thread, struct pf_err *err);
