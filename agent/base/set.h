/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sets of CPUs or NUMA nodes, of a fixed size so that they are plain data. The text form is the
 * kernel's list format ("0-3,8"), as in cpuset(7) and Documentation/admin-guide/cgroup-v2.rst.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/err.h"

#define PF_SET_BITS 4096
#define PF_SET_WORDS (PF_SET_BITS / 64)

/* A list of PF_SET_BITS alternating members needs less than this, NUL included. */
#define PF_SET_TEXT_MAX (PF_SET_BITS * 3)

struct pf_set {
	uint64_t word[PF_SET_WORDS];
};

void pf_set_clear(struct pf_set *set);
void pf_set_add(struct pf_set *set, unsigned int member);    /* beyond PF_SET_BITS: ignored */
void pf_set_remove(struct pf_set *set, unsigned int member);
void pf_set_add_range(struct pf_set *set, unsigned int first, unsigned int last);
bool pf_set_has(const struct pf_set *set, unsigned int member);
bool pf_set_empty(const struct pf_set *set);
unsigned int pf_set_count(const struct pf_set *set);
bool pf_set_equal(const struct pf_set *a, const struct pf_set *b);
bool pf_set_subset(const struct pf_set *inner, const struct pf_set *outer);
bool pf_set_intersects(const struct pf_set *a, const struct pf_set *b);

/* @out may be one of the operands. */
void pf_set_and(struct pf_set *out, const struct pf_set *a, const struct pf_set *b);
void pf_set_or(struct pf_set *out, const struct pf_set *a, const struct pf_set *b);
void pf_set_andnot(struct pf_set *out, const struct pf_set *a, const struct pf_set *b);

/* The first member that is >= @from, or -1 when there is none. */
int pf_set_next(const struct pf_set *set, unsigned int from);

#define pf_set_for_each(member, set)                                                               \
	for (int member = pf_set_next((set), 0); member >= 0;                                      \
	     member = pf_set_next((set), (unsigned int)member + 1))

/**
 * pf_set_parse - reads the kernel's list format
 * @text: "0-3,8", white space around it allowed; "" and "\n" are the empty set
 * @out: untouched on failure
 *
 * Return: 0, -EINVAL for anything that is not a list, -ERANGE for a member beyond PF_SET_BITS.
 */
int pf_set_parse(const char *text, struct pf_set *out, struct pf_err *err);

/*
 * Reads one decimal number and moves *@text behind it, for lists of another format than the
 * kernel's. Return: 0, or as above with *@text where it was.
 */
int pf_set_parse_member(const char **text, unsigned int *out);

/**
 * pf_set_format - writes the kernel's list format, "" for the empty set
 * @buf: @size bytes; PF_SET_TEXT_MAX always suffice; shorter ones end in "..." where cut
 *
 * Return: @buf.
 */
char *pf_set_format(const struct pf_set *set, char *buf, size_t size);

/*
 * Many sets in one block of memory, each as long as its highest member asks for: for what is kept
 * rather than worked with. A zeroed one is empty.
 */
struct pf_sets {
	uint64_t *words;
	size_t count;
};

/* Adds a set; *at is what pf_sets_get() finds it by. Return: 0 or -ENOMEM. */
int pf_sets_add(struct pf_sets *sets, const struct pf_set *set, size_t *at);

void pf_sets_get(const struct pf_sets *sets, size_t at, struct pf_set *out);

/* Frees what it owns and zeroes it. */
void pf_sets_clear(struct pf_sets *sets);
