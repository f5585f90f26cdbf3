/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Growing arrays of plain structs: a pointer and a count that belong together. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/*
 * Grows @items (an array of @count elements of @size bytes) by one zeroed element. Capacity is
 * the next power of two, so that it need not be stored. Return: the array, or NULL with the old
 * one untouched.
 */
static inline void *pf_array_grow(void *items, size_t count, size_t size)
{
	char *grown = items;

	if ((count & (count - 1)) == 0) {
		size_t capacity = count ? count * 2 : 1;

		if (__builtin_mul_overflow(capacity, size, &capacity))
			return NULL;
		grown = realloc(items, capacity);
		if (!grown)
			return NULL;
	}
	memset(grown + count * size, 0, size);
	return grown;
}

/*
 * Appends one zeroed element: yields a pointer to it, or NULL when out of memory.
 *     struct pf_step *step = pf_append(&plan->steps, &plan->count);
 */
#define pf_append(items, count)                                                                    \
	({                                                                                         \
		__typeof__(**(items)) *pf_item_ = NULL;                                            \
		void *pf_grown_ = pf_array_grow(*(items), *(count), sizeof(**(items)));            \
		if (pf_grown_) {                                                                   \
			*(items) = pf_grown_;                                                      \
			pf_item_ = *(items) + (*(count))++;                                        \
		}                                                                                  \
		pf_item_;                                                                          \
	})
