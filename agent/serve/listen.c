// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/serve/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/base/cleanup.h"
#include "agent/base/file.h"

#define BACKLOG 64

static int make_address(const char *path, struct sockaddr_un *out, struct pf_err *err)
{
	*out = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (path[0] != '/')
		return pf_fail_plain(err, EINVAL, "socket '%s' is not an absolute path", path);
	if (strlen(path) >= sizeof(out->sun_path))
		return pf_fail_plain(err, ENAMETOOLONG, "socket path %s is longer than %zu bytes",
				     path, sizeof(out->sun_path) - 1);
	memcpy(out->sun_path, path, strlen(path) + 1);
	return 0;
}

static int make_parent(const char *path, struct pf_err *err)
{
	pf_auto_free char *parent = strdup(path);
	char *slash = parent ? strrchr(parent, '/') : NULL;

	if (!slash)
		return pf_fail(err, ENOMEM, "listen on %s", path);
	*slash = '\0';
	return *parent ? pf_mkdir_all(parent, 0755, err) : 0;
}

static int in_use(const char *path, struct pf_err *err)
{
	return pf_fail_plain(err, EADDRINUSE,
			     "another agent listens on %s: stop it, or set [api] socket in the "
			     "configuration to another path",
			     path);
}

/* The lock decides between two agents that start at the same moment. */
static int take_lock(const char *path, int *out, struct pf_err *err)
{
	pf_auto_free char *name = NULL;
	pf_auto_close int fd = -1;

	if (asprintf(&name, "%s.lock", path) < 0) {
		name = NULL;
		return pf_fail(err, ENOMEM, "listen on %s", path);
	}
	fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return pf_fail(err, errno, "open %s", name);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? in_use(path, err)
					    : pf_fail(err, errno, "lock %s", name);
	*out = pf_take_fd(&fd);
	return 0;
}

/* Removes a socket file that nobody listens on. Only a refused connection says that nobody does. */
static int remove_stale(const char *path, const struct sockaddr_un *address, struct pf_err *err)
{
	pf_auto_close int fd = -1;
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : pf_fail(err, errno, "look at %s", path);
	if (!S_ISSOCK(st.st_mode))
		return pf_fail_plain(err, EEXIST, "%s is there and is not a socket: not touched",
				     path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return pf_fail(err, errno, "make a socket");
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
	    errno != ECONNREFUSED)
		return in_use(path, err);
	if (unlink(path) < 0)
		return pf_fail(err, errno, "remove the stale socket %s", path);
	return 0;
}

/*
 * Nobody can connect before listen(2), so the file has its group and mode by then; fchmod() before
 * bind(2) makes sure that it never has more, whatever the umask is.
 */
static int bind_file(int fd, const struct sockaddr_un *address, gid_t gid, mode_t mode,
		     struct pf_err *err)
{
	const char *path = address->sun_path;

	if (fchmod(fd, 0600) < 0 ||
	    bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
		return pf_fail(err, errno, "bind %s", path);
	if (gid != (gid_t)-1 && lchown(path, (uid_t)-1, gid) < 0)
		return pf_fail(err, errno, "give %s to group %u", path, gid);
	if (chmod(path, mode) < 0)
		return pf_fail(err, errno, "set the mode of %s", path);
	if (listen(fd, BACKLOG) < 0)
		return pf_fail(err, errno, "listen on %s", path);
	return 0;
}

static int open_locked(struct pf_listener *listener, gid_t gid, mode_t mode, struct pf_err *err)
{
	struct sockaddr_un address;
	struct stat st;
	int r;

	r = make_address(listener->path, &address, err);
	r = r ?: make_parent(listener->path, err);
	r = r ?: take_lock(listener->path, &listener->lock_fd, err);
	r = r ?: remove_stale(listener->path, &address, err);
	if (r < 0)
		return r;
	listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (listener->fd < 0)
		return pf_fail(err, errno, "make a socket");
	r = bind_file(listener->fd, &address, gid, mode, err);
	if (r < 0)
		return r;
	if (lstat(listener->path, &st) < 0)
		return pf_fail(err, errno, "look at %s", listener->path);
	listener->dev = st.st_dev;
	listener->ino = st.st_ino;
	return 0;
}

int pf_listener_open(const char *path, gid_t gid, mode_t mode, struct pf_listener *out,
		     struct pf_err *err)
{
	struct pf_listener listener = PF_LISTENER_NONE;
	int r;

	listener.path = strdup(path);
	if (!listener.path)
		return pf_fail(err, ENOMEM, "listen on %s", path);
	r = open_locked(&listener, gid, mode, err);
	if (r < 0) {
		pf_listener_close(&listener);
		return r;
	}
	*out = listener;
	return 0;
}

/*
 * The lock's file stays: removing it would let two agents hold a lock each, on the old file and
 * on a new one.
 */
void pf_listener_close(struct pf_listener *listener)
{
	struct stat st;

	if (listener->ino && lstat(listener->path, &st) == 0 && st.st_dev == listener->dev &&
	    st.st_ino == listener->ino)
		unlink(listener->path);
	if (listener->fd >= 0)
		close(listener->fd);
	if (listener->lock_fd >= 0)
		close(listener->lock_fd);
	free(listener->path);
	*listener = PF_LISTENER_NONE;
}
