/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Events as structured entries of the journal: docs/audit-schema.md lists the fields. */
#pragma once

#include "agent/audit/row.h"
#include "agent/model/event.h"

/*
 * Sends one entry; does nothing where there is no journal. May wait for journald.
 * @hash: of the row that was stored, which makes the journal a witness of the chain; NULL when the
 *	event could not be stored
 */
void pf_journal_send(const struct pf_event *event, const struct pf_hash *hash);

/* The entry's MESSAGE, one line for a person. Return: malloc'ed, or NULL when out of memory. */
char *pf_journal_message(const struct pf_event *event);
