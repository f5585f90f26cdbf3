/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading kernel files below one injectable root, and writing whole files of ours.
 *
 * A root is an O_PATH directory fd. Paths are given as they stand on a live host
 * ("/sys/devices/system/node"), and looked up below the root, so that a dump of another machine
 * is read by the same code.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "agent/base/err.h"
#include "agent/base/set.h"

/* Opens @path as a root. Return: fd (owned by the caller), or -errno. */
int pf_root_open(const char *path, struct pf_err *err);

/**
 * pf_file_read - reads a whole small file
 * @dirfd: a root or any other directory fd
 * @path: relative to @dirfd; leading slashes are ignored
 * @out: malloc'ed, NUL-terminated, one trailing newline removed; owned by the caller
 *
 * Return: 0 or -errno (-ENOENT when there is no such file).
 */
int pf_file_read(int dirfd, const char *path, char **out, struct pf_err *err);

/*
 * The same with one read(2) where that leaves room in the buffer. For files that the kernel writes
 * in one go (single_open(), a cgroup's knobs), not for lists that it makes piece by piece
 * (cgroup.threads): there a short read may not be the end.
 */
int pf_file_read_once(int dirfd, const char *path, char **out, struct pf_err *err);

/* Reads a file that holds one unsigned decimal number. */
int pf_file_read_u64(int dirfd, const char *path, unsigned long long *out, struct pf_err *err);

/* Reads a file that holds one list ("0-3,8"), as pf_file_read_once() does. */
int pf_file_read_set(int dirfd, const char *path, struct pf_set *out, struct pf_err *err);

/**
 * pf_file_write_value - writes @value to an existing kernel file with one write(2)
 *
 * Return: 0 or the errno of the open or the write. Success says that the kernel took the write,
 * not that it honours it.
 */
int pf_file_write_value(int dirfd, const char *path, const char *value, struct pf_err *err);

/**
 * pf_file_replace - replaces @path with @text so that a reader sees the old file or the new one
 *
 * Writes a temporary file beside it (mode @mode), fsyncs and renames it.
 */
int pf_file_replace(const char *path, const char *text, mode_t mode, struct pf_err *err);

/* mkdir -p with @mode for what is made. */
int pf_mkdir_all(const char *path, mode_t mode, struct pf_err *err);

/**
 * pf_file_map - maps a file of ours that a successor reads, made when missing
 * @size: all of it is allocated now, so that writing to the memory can't meet a full disk, which
 *	would be a SIGBUS
 * @out: of @size bytes, for munmap(2)
 *
 * Return: 0; 1 when there is no room for it: the memory is the process's own then and ends with it;
 * or -errno.
 */
int pf_file_map(const char *path, size_t size, void **out, struct pf_err *err);
