// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "agent/base/cleanup.h"

int pf_root_open(const char *path, struct pf_err *err)
{
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return pf_fail(err, errno, "open %s", path);
	return fd;
}

static const char *relative(const char *path)
{
	while (*path == '/')
		path++;
	return *path ? path : ".";
}

/*
 * Reads to the end of @fd; sysfs, procfs and cgroupfs files tell no size beforehand.
 * @once: what is read at once and leaves room in the buffer is all there is
 */
static int read_all(int fd, bool once, char **out)
{
	pf_auto_free char *buf = NULL;
	size_t size = 4096, len = 0;

	buf = malloc(size);
	if (!buf)
		return -ENOMEM;
	for (;;) {
		ssize_t n = read(fd, buf + len, size - len - 1);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
		if (once && size - len > 1)
			break;
		if (size - len < 2) {
			char *bigger = realloc(buf, size * 2);

			if (!bigger)
				return -ENOMEM;
			buf = bigger;
			size *= 2;
		}
	}
	if (len && buf[len - 1] == '\n')
		len--;
	buf[len] = '\0';
	*out = pf_take_ptr(buf);
	return 0;
}

static int read_path(int dirfd, const char *path, bool once, char **out, struct pf_err *err)
{
	pf_auto_close int fd = openat(dirfd, relative(path), O_RDONLY | O_CLOEXEC);
	int r;

	if (fd < 0)
		return pf_fail(err, errno, "open %s", path);
	r = read_all(fd, once, out);
	if (r < 0)
		return pf_fail(err, r, "read %s", path);
	return 0;
}

int pf_file_read(int dirfd, const char *path, char **out, struct pf_err *err)
{
	return read_path(dirfd, path, false, out, err);
}

int pf_file_read_once(int dirfd, const char *path, char **out, struct pf_err *err)
{
	return read_path(dirfd, path, true, out, err);
}

int pf_file_read_u64(int dirfd, const char *path, unsigned long long *out, struct pf_err *err)
{
	pf_auto_free char *text = NULL;
	char *end;
	unsigned long long value;
	int r;

	r = pf_file_read(dirfd, path, &text, err);
	if (r < 0)
		return r;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || end == text || *end)
		return pf_fail_plain(err, EBADMSG, "%s holds '%.40s', not a number", path, text);
	*out = value;
	return 0;
}

int pf_file_read_set(int dirfd, const char *path, struct pf_set *out, struct pf_err *err)
{
	pf_auto_free char *text = NULL;
	int r;

	r = pf_file_read_once(dirfd, path, &text, err);
	if (r < 0)
		return r;
	r = pf_set_parse(text, out, err);
	if (r < 0)
		return pf_wrap(err, "%s", path);
	return 0;
}

int pf_file_write_value(int dirfd, const char *path, const char *value, struct pf_err *err)
{
	pf_auto_close int fd = openat(dirfd, relative(path), O_WRONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return pf_fail(err, errno, "open %s for writing", path);
	do
		n = write(fd, value, strlen(value));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return pf_fail(err, errno, "write '%.100s' to %s", value, path);
	return 0;
}

static int write_all(int fd, const char *text)
{
	size_t len = strlen(text);

	while (len) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

int pf_file_replace(const char *path, const char *text, mode_t mode, struct pf_err *err)
{
	pf_auto_free char *temporary = NULL;
	pf_auto_close int fd = -1;
	int r;

	if (asprintf(&temporary, "%s.new", path) < 0)
		return pf_fail(err, ENOMEM, "write %s", path);
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return pf_fail(err, errno, "create %s", temporary);
	r = write_all(fd, text);
	if (!r && fsync(fd) < 0)
		r = -errno;
	if (!r && rename(temporary, path) < 0)
		r = -errno;
	if (r < 0) {
		unlink(temporary);
		return pf_fail(err, r, "write %s", path);
	}
	return 0;
}

int pf_mkdir_all(const char *path, mode_t mode, struct pf_err *err)
{
	char part[PATH_MAX];
	size_t len = strlen(path);

	if (len >= sizeof(part))
		return pf_fail(err, ENAMETOOLONG, "mkdir %.60s...", path);
	for (size_t i = 1; i <= len; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		if (mkdir(part, mode) < 0 && errno != EEXIST)
			return pf_fail(err, errno, "mkdir %s", part);
	}
	return 0;
}

int pf_file_map(const char *path, size_t size, void **out, struct pf_err *err)
{
	pf_auto_close int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	int r = fd < 0 ? errno : 0;
	bool room;
	void *map;

	if (!r && ftruncate(fd, (off_t)size) < 0)
		r = errno;
	while (!r && (r = posix_fallocate(fd, 0, (off_t)size)) == EINTR)
		r = 0;
	room = r != ENOSPC && r != EDQUOT;
	if (r && room)
		return pf_fail(err, r, "open %s", path);
	map = mmap(NULL, size, PROT_READ | PROT_WRITE,
		   room ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS, room ? fd : -1, 0);
	if (map == MAP_FAILED)
		return pf_fail(err, errno, "map %s", path);
	*out = map;
	return room ? 0 : 1;
}
