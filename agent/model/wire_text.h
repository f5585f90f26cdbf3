/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Text of unknown bytes as JSON, for the files of the codec (wire*.c) alone. */
#pragma once

#include <jansson.h>
#include <stddef.h>

/*
 * @text as a JSON string with U+FFFD in place of each byte that is not UTF-8, null for NULL.
 * Return: a new reference, or NULL when out of memory.
 */
json_t *pf_wire_text(const char *text);

/* Copies UTF-8 into @size bytes; what is too long is cut between two characters. */
void pf_wire_cut(const char *text, char *out, size_t size);
