/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Errors with words. A function that touches the kernel, a library or user input returns 0 or
 * -errno and takes a trailing `struct pf_err *err`; the words in it say what was tried, on what,
 * what the answer was and, where there is one, what to do. The buffer is fixed, so that reporting
 * an error cannot fail. Inner code never logs.
 */
#pragma once

struct pf_err {
	int code; /* negative errno, 0 when nothing failed */
	char text[512];
};

/**
 * pf_fail - fills @err with words and hands back the code to return
 * @err: may be NULL, then only the code counts
 * @code: an errno, positive or negative
 * @fmt: what was tried; the kernel's word for @code is appended after a colon
 *
 * Return: -abs(@code).
 */
int pf_fail(struct pf_err *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/**
 * pf_fail_plain - as pf_fail(), without the kernel's word for the code
 *
 * For errors whose words are complete, such as a bad value in a file.
 */
int pf_fail_plain(struct pf_err *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/**
 * pf_wrap - puts context in front of what @err already says ("context: text")
 *
 * Return: the code that @err holds.
 */
int pf_wrap(struct pf_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
