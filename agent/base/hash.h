/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether a text is the one from before, without keeping it. Not for anything an enemy chooses. */
#pragma once

#include <stdint.h>

#define PF_HASH_START UINT64_C(0xcbf29ce484222325)

/* FNV-1a of @text, going on from @hash (or PF_HASH_START). */
static inline uint64_t pf_hash_text(uint64_t hash, const char *text)
{
	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
	return hash;
}
