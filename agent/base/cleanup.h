/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ownership in one line: an owner is declared with one of these attributes, and handed over with
 * pf_take_ptr() or pf_take_fd(). A function is then leak-free by reading it alone.
 */
#pragma once

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void pf_cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void pf_cleanup_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void pf_cleanup_fclose(FILE **file)
{
	if (*file)
		fclose(*file);
}

static inline void pf_cleanup_closedir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

#define PF_CLEANUP(fn) __attribute__((cleanup(fn)))
#define pf_auto_free PF_CLEANUP(pf_cleanup_free)
#define pf_auto_close PF_CLEANUP(pf_cleanup_close)
#define pf_auto_fclose PF_CLEANUP(pf_cleanup_fclose)
#define pf_auto_closedir PF_CLEANUP(pf_cleanup_closedir)

/* Hands a pointer over: yields its value and leaves NULL behind. */
#define pf_take_ptr(ptr)                                                                           \
	({                                                                                         \
		__typeof__(ptr) *pf_from_ = &(ptr);                                                \
		__typeof__(ptr) pf_value_ = *pf_from_;                                             \
		*pf_from_ = NULL;                                                                  \
		pf_value_;                                                                         \
	})

/* Hands a file descriptor over: yields its value and leaves -1 behind. */
static inline int pf_take_fd(int *fd)
{
	int value = *fd;

	*fd = -1;
	return value;
}
