/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One guest's page of the ledger, and its JSON. Internal to apply/. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/base/err.h"
#include "agent/base/set.h"
#include "agent/model/policy.h"

struct pf_record_knob {
	char *group;
	char *knob;
	char *unit;    /* set through systemd; NULL: written to the group's file */
	char *found;   /* before our first change; NULL: the file was not there */
	char *wrote;   /* what we wrote last; NULL: nothing yet */
	char *writing; /* noted before a write whose end we have not seen */
};

struct pf_record_thread {
	pid_t tid;
	uint64_t start_ticks;
	char *group; /* found */
	struct pf_set cpus;
	char *moved_to; /* where we put it; NULL: we did not */
	bool has_wrote;
	bool has_writing;
	struct pf_set wrote;
	struct pf_set writing;
};

struct pf_record {
	char uuid[37];
	pid_t pid; /* the process it is about; 0: none yet */
	uint64_t saved; /* hash of what its file holds; 0: none was written by this agent */
	bool released;
	char *brought_back; /* libvirt's group of the guest that we made anew; NULL: none */
	bool has_mode; /* an operator's choice */
	enum pf_mode mode;
	char **made; /* groups that we made */
	size_t made_count;
	struct pf_record_knob *knobs; /* in the order of their first change */
	size_t knob_count;
	struct pf_record_thread *threads;
	size_t thread_count;
};

/* Frees everything about what was found; uuid, pid, released and mode stay. */
void pf_record_drop(struct pf_record *record);
void pf_record_clear(struct pf_record *record);

/* Whether there is anything to put back. */
bool pf_record_blank(const struct pf_record *record);

struct pf_record_knob *pf_record_knob_find(const struct pf_record *record, const char *group,
					   const char *knob);
struct pf_record_thread *pf_record_thread_find(const struct pf_record *record, pid_t tid,
					       uint64_t start_ticks);
bool pf_record_made(const struct pf_record *record, const char *group);

void pf_record_knob_remove(struct pf_record *record, size_t i);
void pf_record_thread_remove(struct pf_record *record, size_t i);
void pf_record_made_remove(struct pf_record *record, size_t i);

/* Return: 0; -EBADMSG with words when @text is not such a record, @out untouched; -ENOMEM. */
int pf_record_parse(const char *text, struct pf_record *out, struct pf_err *err);

/* @out is malloc'ed JSON. Return: 0, -ENOMEM, or -EILSEQ when a name is not UTF-8. */
int pf_record_format(const struct pf_record *record, char **out, struct pf_err *err);
