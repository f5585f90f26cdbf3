// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/base/err.h"

static void the_kernels_word_follows_what_was_tried(void **state)
{
	struct pf_err err = {};

	(void)state;
	assert_int_equal(pf_fail(&err, ENOENT, "open %s", "/x"), -ENOENT);
	assert_string_equal(err.text, "open /x: No such file or directory");
	assert_int_equal(err.code, -ENOENT);
}

static void the_sign_of_the_code_does_not_matter(void **state)
{
	struct pf_err err = {};

	(void)state;
	assert_int_equal(pf_fail(&err, -EACCES, "open"), -EACCES);
	assert_int_equal(err.code, -EACCES);
	assert_int_equal(pf_fail(NULL, EACCES, "open"), -EACCES);
}

static void plain_words_stand_as_they_are(void **state)
{
	struct pf_err err = {};

	(void)state;
	assert_int_equal(pf_fail_plain(&err, EINVAL, "mode 'x' is none"), -EINVAL);
	assert_string_equal(err.text, "mode 'x' is none");
	assert_int_equal(pf_fail_plain(NULL, EINVAL, "x"), -EINVAL);
}

static void context_goes_in_front_and_keeps_the_code(void **state)
{
	struct pf_err err = {};

	(void)state;
	pf_fail_plain(&err, ENOSPC, "inner");
	assert_int_equal(pf_wrap(&err, "guest %d", 3), -ENOSPC);
	assert_string_equal(err.text, "guest 3: inner");
	assert_true(pf_wrap(NULL, "x") < 0);
}

static void an_error_longer_than_its_buffer_is_cut(void **state)
{
	struct pf_err err = {};
	char name[2000];

	(void)state;
	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(pf_fail(&err, EIO, "read %s", name), -EIO);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
	assert_int_equal(pf_wrap(&err, "%s", name), -EIO);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
}

static void a_number_that_is_no_errno_has_words_too(void **state)
{
	struct pf_err err = {};

	(void)state;
	assert_int_equal(pf_fail(&err, 100000, "x"), -100000);
	assert_string_equal(err.text, "x: unknown error");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_kernels_word_follows_what_was_tried),
		cmocka_unit_test(the_sign_of_the_code_does_not_matter),
		cmocka_unit_test(plain_words_stand_as_they_are),
		cmocka_unit_test(context_goes_in_front_and_keeps_the_code),
		cmocka_unit_test(an_error_longer_than_its_buffer_is_cut),
		cmocka_unit_test(a_number_that_is_no_errno_has_words_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
