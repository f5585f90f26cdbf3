/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the tests of tables share: a view that prints into memory, and golden text beside the test.
 * With PF_GOLDEN=write in the environment the text is written anew.
 */
#pragma once

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/base/cleanup.h"
#include "agent/base/file.h"
#include "agent/cli/term.h"
#include "agent/model/wire.h"

#define STATUS "tests/unit/model/data/status.json"

struct capture {
	struct pf_view view;
	char *text;
	size_t len;
};

static inline void capture_start(struct capture *capture, size_t width)
{
	*capture = (struct capture){.view = {.width = width}};
	capture->view.out = open_memstream(&capture->text, &capture->len);
	assert_non_null(capture->view.out);
}

static inline void capture_end(struct capture *capture)
{
	if (capture->view.out)
		fclose(capture->view.out);
	free(capture->text);
}

static inline const char *captured(struct capture *capture)
{
	fclose(capture->view.out);
	capture->view.out = NULL;
	return capture->text;
}

static inline void assert_golden(const char *text, const char *path)
{
	pf_auto_free char *want = NULL, *padded = NULL;
	struct pf_err err = {};

	/* Reading takes one newline off the end. */
	if (getenv("PF_GOLDEN"))
		assert_int_equal(pf_file_replace(path, text, 0644, NULL), 0);
	if (pf_file_read(AT_FDCWD, path, &want, &err) < 0)
		fail_msg("%s", err.text);
	assert_true(asprintf(&padded, "%s\n", want) > 0);
	assert_string_equal(text, padded);
}

static inline void read_status(struct pf_status *status)
{
	pf_auto_free char *text = NULL;
	struct pf_err err = {};

	if (pf_file_read(AT_FDCWD, STATUS, &text, &err) < 0 ||
	    pf_wire_decode_status(text, strlen(text), status, &err) < 0)
		fail_msg("%s", err.text);
}
