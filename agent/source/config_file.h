/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads pinfold.conf(5): one INI file and its drop-ins. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/base/err.h"
#include "agent/model/config.h"

/**
 * pf_config_load - reads @path and then @path.d/NAME.conf in the order of their names
 * @path: PF_CONFIG_PATH, or what --config names
 * @must_exist: @path itself has to be there; without it no file at all is a good configuration
 * @out: overwritten on success and then owned by the caller (pf_config_clear()); untouched on
 *       failure
 *
 * A later file overrides an earlier one. Within one file a key may stand once; an unknown section
 * or key, or a value that is not allowed, fails with "FILE:LINE: " and what is allowed.
 *
 * Return: 0, -ENOENT, -EINVAL for what the files say, or the errno of reading them.
 */
int pf_config_load(const char *path, bool must_exist, struct pf_config *out, struct pf_err *err);

/**
 * pf_time_parse - reads a span of time as systemd.time(7) writes it
 * @text: "2s", "500ms", "1min 30s", "1.5h"; a plain number is seconds
 * @out: microseconds; untouched on failure
 *
 * sd-event and its kin export no parser for this, so there is one here.
 *
 * Return: 0, -EINVAL, or -ERANGE beyond what microseconds in 64 bits hold.
 */
int pf_time_parse(const char *text, uint64_t *out);

/**
 * pf_size_parse - reads a size in bytes as systemd's configuration writes it
 * @text: "1048576", "500M", "1G": K, M, G and T are powers of 1024
 * @out: untouched on failure
 *
 * Return: 0, -EINVAL, or -ERANGE beyond 64 bits.
 */
int pf_size_parse(const char *text, uint64_t *out);
