/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Single values in the text of libvirt's XML, by libvirt's rules: white space around them is fine.
 * Each returns whether @text is such a value, and @out is untouched where not. Lists of CPUs and
 * nodes are pf_cpulist_parse()'s (domain_xml.h).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Past the white space that @text begins with. */
const char *pf_value_skip_space(const char *text);

bool pf_value_u64(const char *text, uint64_t *out);
bool pf_value_i64(const char *text, int64_t *out);

/* @text: bytes, or an xmlChar string as it is; NULL is no number. */
bool pf_value_unsigned(const void *text, unsigned int *out);

/* Bytes of a unit ("KiB") as libvirt's virScaleInteger() knows them, 0 for an unknown one. */
uint64_t pf_value_unit(const char *unit);

/*
 * Any dashes, as libvirt's virUUIDParse() takes them; the canonical form comes out. @out may be
 * written in part on failure.
 */
bool pf_value_uuid(const char *text, char out[37]);
