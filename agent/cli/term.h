/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is written for a person: safe on a terminal, no wider than it, coloured only there. */
#pragma once

#include <libsmartcols/libsmartcols.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "agent/base/set.h"
#include "agent/cli/cli.h"

struct pf_view {
	FILE *out;
	size_t width; /* columns; 0: as wide as it gets */
	bool color;
	bool all; /* nothing folded or cut */
};

/* Standard output as it is: its width from COLUMNS or the terminal, 0 for a pipe or file. */
void pf_view_init(struct pf_view *view, const struct pf_cli *cli);

/**
 * pf_term_text - @text without anything that could steer a terminal
 *
 * Control characters, direction marks, invalid bytes, and what the locale cannot show become \xNN.
 * Return: malloc'ed, or NULL when out of memory.
 */
char *pf_term_text(const char *text);

/* How many columns @text takes. */
size_t pf_term_width(const char *text);

/**
 * pf_term_list - a set for a narrow column
 * @max: columns, 0 for all of it; what does not fit is counted: "0,2,4,+29"
 *
 * "-" for the empty set. Return: malloc'ed, or NULL.
 */
char *pf_term_list(const struct pf_set *set, size_t max);

/**
 * pf_term_wrap - prints @label and @text, made safe, folded at words
 *
 * Further lines are indented by @indent columns.
 */
void pf_term_wrap(const struct pf_view *view, const char *label, const char *text, size_t indent);

/* @color is an ANSI sequence as UL_COLOR_*; without colour nothing is printed. */
void pf_term_color(const struct pf_view *view, const char *color);
#define PF_COLOR_BOLD "\033[1m"
#define PF_COLOR_GREEN "\033[32m"
#define PF_COLOR_YELLOW "\033[1;33m"
#define PF_COLOR_RED "\033[1;31m"
#define PF_COLOR_CYAN "\033[36m"
#define PF_COLOR_RESET "\033[0m"

/* A table as every command shows it. Return: owned (scols_unref_table()), or NULL. */
struct libscols_table *pf_term_table(const struct pf_view *view);

/* Adds @text, made safe, as cell @column of @line. Return: 0 or -ENOMEM. */
int pf_term_cell(struct libscols_line *line, size_t column, const char *text);

void pf_cleanup_table(struct libscols_table **table);
