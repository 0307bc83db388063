/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Unix socket with one client at a time. Another one is sent away, and told why unless it expects
 * data, but for the first having hung up with only its unread input left.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

static int stream_socket(void)
{
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	return fd < 0 ? -errno : fd;
}

/* Return: 0 if nobody listens there; -EADDRINUSE if somebody does; another -errno. */
static int try_to_connect(const struct sockaddr_un *address)
{
	const int fd = stream_socket();
	int ret;

	if (fd < 0)
		return fd;
	ret = connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno : 0;
	close(fd);
	if (ret == 0 || ret == -EAGAIN)
		return -EADDRINUSE;
	return ret == -ECONNREFUSED ? 0 : ret;
}

/* Make way for a new socket. Return: 0; -EEXIST if something else is there; -EADDRINUSE. */
static int remove_stale(const struct sockaddr_un *address)
{
	struct stat st;
	int ret;

	if (lstat(address->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	ret = try_to_connect(address);
	if (ret)
		return ret;
	return unlink(address->sun_path) < 0 ? -errno : 0;
}

/* Remember which one it is: it may be another's when we remove it. */
static int remember(struct chardev *dev, const struct sockaddr_un *address)
{
	struct stat st;

	if (lstat(address->sun_path, &st) < 0)
		return -errno;
	memcpy(dev->path, address->sun_path, sizeof(dev->path));
	dev->device = st.st_dev;
	dev->inode = st.st_ino;
	return 0;
}

/* The mode counts from the moment the socket has its name: it is set before. */
static int listen_at(struct chardev *dev, const struct sockaddr_un *address)
{
	int ret = remove_stale(address);

	if (ret)
		return ret;
	dev->wait_fd = stream_socket();
	if (dev->wait_fd < 0)
		return dev->wait_fd;
	if (fchmod(dev->wait_fd, 0600) < 0 ||
	    bind(dev->wait_fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
		return -errno;
	ret = remember(dev, address);
	if (!ret && listen(dev->wait_fd, 1) < 0)
		ret = -errno;
	return ret;
}

static int explain(int ret, const char *what, const char *path, struct ccr_err *err)
{
	if (ret == -EADDRINUSE)
		return err_set(err, ret,
			       "%s: somebody listens on the socket %s already; choose another "
			       "path, or end what listens there",
			       what, path);
	if (ret == -EEXIST)
		return err_set(err, ret, "%s: %s exists and is not a socket; it is left alone",
			       what, path);
	return err_set(err, ret, "%s: cannot listen on the socket %s: %s", what, path,
		       strerror(-ret));
}

static int socket_open(struct chardev *dev, const char *path, struct ccr_err *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int ret;

	if (strlen(path) >= sizeof(address.sun_path))
		return err_set(err, -ENAMETOOLONG,
			       "%s: the socket's path %s is longer than %zu bytes", dev->what, path,
			       sizeof(address.sun_path) - 1);
	memcpy(address.sun_path, path, strlen(path));
	dev->is_socket = true;
	ret = listen_at(dev, &address);
	return ret ? explain(ret, dev->what, path, err) : 0;
}

static void socket_close(struct chardev *dev)
{
	struct stat st;

	if (!dev->path[0] || lstat(dev->path, &st) < 0)
		return;
	if (st.st_dev == dev->device && st.st_ino == dev->inode)
		unlink(dev->path);
}

static void socket_peer_left(struct chardev *dev)
{
	if (dev->own_fd >= 0)
		close(dev->own_fd);
	dev->own_fd = -1;
	dev->in_fd = -1;
}

/* syscalls(loop): sendto */
static void send_away(const struct chardev *dev, int fd)
{
	static const char why[] = "ccr-run: this console has another client\r\n";

	if (!dev->is_data)
		(void)!send(fd, why, sizeof(why) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	close(fd);
}

/* syscalls(loop): accept4 */
static void socket_meet(struct chardev *dev)
{
	const int fd = accept4(dev->wait_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return;
	if (dev->out_fd >= 0) {
		send_away(dev, fd);
		return;
	}
	socket_peer_left(dev);
	dev->own_fd = fd;
	chardev_greet(dev);
}

const struct chardev_ops chardev_socket_ops = {
	.has_calls = true,
	.open = socket_open,
	.close = socket_close,
	.meet = socket_meet,
	.peer_left = socket_peer_left,
};
