// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/base/cleanup.h"
#include "agent/base/file.h"

struct place {
	char dir[64];
	int root;
};

static int set_up(void **state)
{
	struct place *place = calloc(1, sizeof(*place));

	strcpy(place->dir, "/tmp/pinfold-file-XXXXXX");
	assert_non_null(mkdtemp(place->dir));
	place->root = pf_root_open(place->dir, NULL);
	assert_true(place->root >= 0);
	*state = place;
	return 0;
}

static int tear_down(void **state)
{
	struct place *place = *state;
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", place->dir);
	close(place->root);
	free(place);
	return system(command);
}

static char *put(const struct place *place, const char *name, const char *text, size_t len)
{
	static char path[PATH_MAX];
	pf_auto_fclose FILE *file = NULL;

	snprintf(path, sizeof(path), "%s/%s", place->dir, name);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, len, file), len);
	return path;
}

static void a_file_is_read_below_the_root_whatever_the_leading_slash(void **state)
{
	struct place *place = *state;
	pf_auto_free char *with = NULL, *without = NULL;

	put(place, "value", "0-3\n", 4);
	assert_int_equal(pf_file_read(place->root, "/value", &with, NULL), 0);
	assert_int_equal(pf_file_read(place->root, "value", &without, NULL), 0);
	assert_string_equal(with, "0-3");
	assert_string_equal(without, "0-3");
}

static void one_trailing_newline_goes_and_no_more(void **state)
{
	struct place *place = *state;
	pf_auto_free char *text = NULL, *empty = NULL;

	put(place, "two", "a\n\n", 3);
	put(place, "none", "", 0);
	assert_int_equal(pf_file_read(place->root, "two", &text, NULL), 0);
	assert_string_equal(text, "a\n");
	assert_int_equal(pf_file_read(place->root, "none", &empty, NULL), 0);
	assert_string_equal(empty, "");
}

static void a_file_of_many_pages_is_read_whole(void **state)
{
	struct place *place = *state;
	pf_auto_free char *want = malloc(100001), *text = NULL;

	memset(want, 'x', 100000);
	want[100000] = '\0';
	put(place, "long", want, 100000);
	assert_int_equal(pf_file_read(place->root, "long", &text, NULL), 0);
	assert_string_equal(text, want);
}

static void a_missing_file_says_which(void **state)
{
	struct place *place = *state;
	struct pf_err err = {};
	char *text = (char *)"untouched";

	assert_int_equal(pf_file_read(place->root, "/sys/nothing", &text, &err), -ENOENT);
	assert_string_equal(err.text, "open /sys/nothing: No such file or directory");
	assert_string_equal(text, "untouched");
}

static void a_number_is_a_whole_number(void **state)
{
	static const char *const bad[] = {"", "x", "1x", "12 kB", "99999999999999999999999"};
	struct place *place = *state;
	unsigned long long value = 7;

	put(place, "n", "18446744073709551615\n", 21);
	assert_int_equal(pf_file_read_u64(place->root, "n", &value, NULL), 0);
	assert_true(value == ULLONG_MAX);
	value = 7;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		put(place, "n", bad[i], strlen(bad[i]));
		assert_int_equal(pf_file_read_u64(place->root, "n", &value, NULL), -EBADMSG);
		assert_int_equal(value, 7);
	}
}

static void a_bad_list_names_its_file(void **state)
{
	struct place *place = *state;
	struct pf_err err = {};
	struct pf_set set = {};

	put(place, "list", "0-3,\n", 5);
	assert_true(pf_file_read_set(place->root, "list", &set, &err) < 0);
	assert_non_null(strstr(err.text, "list: '0-3,'"));
	put(place, "list", "0-3,8\n", 6);
	assert_int_equal(pf_file_read_set(place->root, "list", &set, &err), 0);
	assert_int_equal(pf_set_count(&set), 5);
}

static void a_value_is_written_to_existing_files_only(void **state)
{
	struct place *place = *state;
	pf_auto_free char *text = NULL;
	struct pf_err err = {};

	put(place, "knob", "1", 1);
	assert_int_equal(pf_file_write_value(place->root, "knob", "2", &err), 0);
	assert_int_equal(pf_file_read(place->root, "knob", &text, NULL), 0);
	assert_string_equal(text, "2");
	assert_int_equal(pf_file_write_value(place->root, "nothing", "2", &err), -ENOENT);
	assert_non_null(strstr(err.text, "nothing"));
}

static void replacing_leaves_the_new_file_and_nothing_else(void **state)
{
	struct place *place = *state;
	pf_auto_free char *text = NULL;
	char path[128], temporary[160];
	struct stat st;

	snprintf(path, sizeof(path), "%s/state", place->dir);
	snprintf(temporary, sizeof(temporary), "%s.new", path);
	assert_int_equal(pf_file_replace(path, "old", 0600, NULL), 0);
	assert_int_equal(pf_file_replace(path, "new", 0600, NULL), 0);
	assert_int_equal(pf_file_read(place->root, "state", &text, NULL), 0);
	assert_string_equal(text, "new");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(access(temporary, F_OK), -1);
}

static void folders_are_made_with_their_parents(void **state)
{
	struct place *place = *state;
	struct pf_err err = {};
	char path[128];

	snprintf(path, sizeof(path), "%s/a/b/c", place->dir);
	assert_int_equal(pf_mkdir_all(path, 0755, &err), 0);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(pf_mkdir_all(path, 0755, &err), 0);
	put(place, "file", "", 0);
	snprintf(path, sizeof(path), "%s/file/b", place->dir);
	assert_int_equal(pf_mkdir_all(path, 0755, &err), -ENOTDIR);
}

/* A page of it that is not there would be a SIGBUS on a full disk. */
static void a_mapped_file_is_all_there_and_is_read_by_the_next(void **state)
{
	const struct place *place = *state;
	const size_t size = 256 << 10;
	struct pf_err err = {};
	struct stat st;
	char path[128];
	void *map;

	snprintf(path, sizeof(path), "%s/notes", place->dir);
	assert_int_equal(pf_file_map(path, size, &map, &err), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, size);
	assert_true(st.st_blocks * 512 >= (blkcnt_t)size);
	strcpy((char *)map + size - 8, "last");
	munmap(map, size);
	assert_int_equal(pf_file_map(path, size, &map, &err), 0);
	assert_string_equal((char *)map + size - 8, "last");
	munmap(map, size);
	snprintf(path, sizeof(path), "%s/none/notes", place->dir);
	assert_int_equal(pf_file_map(path, size, &map, &err), -ENOENT);
	assert_non_null(strstr(err.text, "none/notes"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_file_is_read_below_the_root_whatever_the_leading_slash),
		TEST(one_trailing_newline_goes_and_no_more),
		TEST(a_file_of_many_pages_is_read_whole),
		TEST(a_missing_file_says_which),
		TEST(a_number_is_a_whole_number),
		TEST(a_bad_list_names_its_file),
		TEST(a_value_is_written_to_existing_files_only),
		TEST(replacing_leaves_the_new_file_and_nothing_else),
		TEST(folders_are_made_with_their_parents),
		TEST(a_mapped_file_is_all_there_and_is_read_by_the_next),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
