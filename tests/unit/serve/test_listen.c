// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/base/cleanup.h"
#include "agent/serve/listen.h"

static char dir[64];
static char path[128];

static int set_up(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/pinfold-listen-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/run/api.sock", dir);
	return 0;
}

static int tear_down(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	return system(command);
}

static int connect_to(const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, name);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		close(fd);
		return -errno;
	}
	return fd;
}

/* A socket file as an agent leaves it that was killed. */
static void leave_stale(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	pf_auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
}

static void the_socket_has_its_mode_whatever_the_umask(void **state)
{
	PF_CLEANUP(pf_listener_close) struct pf_listener listener = PF_LISTENER_NONE;
	pf_auto_close int client = -1;
	mode_t old = umask(0077);
	struct stat st;

	(void)state;
	assert_int_equal(pf_listener_open(path, getgid(), 0660, &listener, NULL), 0);
	umask(old);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
	assert_int_equal(st.st_gid, getgid());
	client = connect_to(path);
	assert_true(client >= 0);
}

static void a_stale_socket_is_replaced(void **state)
{
	PF_CLEANUP(pf_listener_close) struct pf_listener listener = PF_LISTENER_NONE;
	pf_auto_close int client = -1;
	struct pf_err err = {};

	(void)state;
	assert_int_equal(pf_listener_open(path, (gid_t)-1, 0600, &listener, &err), 0);
	pf_listener_close(&listener);
	leave_stale();
	assert_int_equal(connect_to(path), -ECONNREFUSED);
	assert_int_equal(pf_listener_open(path, (gid_t)-1, 0600, &listener, &err), 0);
	client = connect_to(path);
	assert_true(client >= 0);
}

static void a_live_one_is_refused(void **state)
{
	PF_CLEANUP(pf_listener_close) struct pf_listener first = PF_LISTENER_NONE;
	struct pf_listener second = PF_LISTENER_NONE;
	char lock[160];
	struct pf_err err = {};

	(void)state;
	assert_int_equal(pf_listener_open(path, (gid_t)-1, 0600, &first, &err), 0);
	assert_int_equal(pf_listener_open(path, (gid_t)-1, 0600, &second, &err), -EADDRINUSE);
	assert_non_null(strstr(err.text, "another agent listens on"));
	/* Also one that holds no lock of ours: whoever listens there is alive. */
	snprintf(lock, sizeof(lock), "%s.lock", path);
	assert_int_equal(unlink(lock), 0);
	assert_int_equal(pf_listener_open(path, (gid_t)-1, 0600, &second, &err), -EADDRINUSE);
	assert_true(connect_to(path) >= 0);
}

/* Two agents that start at once: the other one holds the lock, but listens not yet. */
static void one_that_is_about_to_listen_is_refused(void **state)
{
	struct pf_listener listener = PF_LISTENER_NONE;
	pf_auto_close int fd = -1;
	struct pf_err err = {};
	char lock[160];

	(void)state;
	assert_int_equal(pf_listener_open(path, (gid_t)-1, 0600, &listener, &err), 0);
	pf_listener_close(&listener);
	snprintf(lock, sizeof(lock), "%s.lock", path);
	fd = open(lock, O_RDWR | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	assert_int_equal(pf_listener_open(path, (gid_t)-1, 0600, &listener, &err), -EADDRINUSE);
}

/* A full queue of clients is a sign of life as well. */
static void one_that_is_too_busy_to_accept_is_refused(void **state)
{
	struct pf_listener listener = PF_LISTENER_NONE;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	pf_auto_close int busy = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pf_auto_close int client = -1;
	struct pf_err err = {};
	struct stat st;

	(void)state;
	snprintf(path, sizeof(path), "%s/busy.sock", dir);
	strcpy(address.sun_path, path);
	assert_int_equal(bind(busy, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(busy, 0), 0);
	client = connect_to(path);
	assert_true(client >= 0);
	assert_int_equal(pf_listener_open(path, (gid_t)-1, 0600, &listener, &err), -EADDRINUSE);
	assert_int_equal(stat(path, &st), 0);
}

static void what_is_no_socket_is_left_alone(void **state)
{
	struct pf_listener listener = PF_LISTENER_NONE;
	struct pf_err err = {};
	struct stat st;

	(void)state;
	snprintf(path, sizeof(path), "%s/file", dir);
	fclose(fopen(path, "w"));
	assert_int_equal(pf_listener_open(path, (gid_t)-1, 0600, &listener, &err), -EEXIST);
	assert_non_null(strstr(err.text, "not a socket"));
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISREG(st.st_mode));
}

static void closing_removes_its_own_socket_only(void **state)
{
	struct pf_listener listener = PF_LISTENER_NONE;
	struct stat st;

	(void)state;
	assert_int_equal(pf_listener_open(path, (gid_t)-1, 0600, &listener, NULL), 0);
	pf_listener_close(&listener);
	assert_int_equal(stat(path, &st), -1);
	pf_listener_close(&listener); /* again is fine */

	assert_int_equal(pf_listener_open(path, (gid_t)-1, 0600, &listener, NULL), 0);
	/* Kept by another name, so that the next socket gets another inode. */
	assert_int_equal(rename(path, strcat(dir, "/kept")), 0);
	*strrchr(dir, '/') = '\0';
	leave_stale();
	pf_listener_close(&listener);
	assert_int_equal(stat(path, &st), 0);
}

static void a_path_that_cannot_be_is_refused_with_words(void **state)
{
	struct pf_listener listener = PF_LISTENER_NONE;
	struct pf_err err = {};
	char longer[200];

	(void)state;
	memset(longer, 'a', sizeof(longer) - 1);
	longer[0] = '/';
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(pf_listener_open(longer, (gid_t)-1, 0600, &listener, &err), -ENAMETOOLONG);
	assert_non_null(strstr(err.text, "107 bytes"));
	assert_int_equal(pf_listener_open("api.sock", (gid_t)-1, 0600, &listener, &err), -EINVAL);
	assert_non_null(strstr(err.text, "absolute"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_socket_has_its_mode_whatever_the_umask),
		TEST(a_stale_socket_is_replaced),
		TEST(a_live_one_is_refused),
		TEST(one_that_is_about_to_listen_is_refused),
		TEST(one_that_is_too_busy_to_accept_is_refused),
		TEST(what_is_no_socket_is_left_alone),
		TEST(closing_removes_its_own_socket_only),
		TEST(a_path_that_cannot_be_is_refused_with_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
