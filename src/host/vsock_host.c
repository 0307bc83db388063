/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "ccr/parse.h"
#include "ccr/vsock_host.h"

#define BACKLOG  16
#define GREETING "CONNECT "
/* With the newline. */
#define MAX_GREETING (sizeof(GREETING "4294967295\n") - 1)
/* What _P adds to the path. */
#define MAX_SUFFIX (sizeof("_4294967295") - 1)

/* Return: 0 or -ENAMETOOLONG. */
static int make_address(struct sockaddr_un *address, const char *path)
{
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(address->sun_path))
		return -ENAMETOOLONG;
	memcpy(address->sun_path, path, strlen(path) + 1);
	return 0;
}

static int open_socket(void)
{
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd < 0 ? -errno : fd;
}

static int connect_to(const char *path)
{
	struct sockaddr_un address;
	int ret = make_address(&address, path), fd;

	if (ret)
		return ret;
	fd = open_socket();
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		ret = -errno;
		close(fd);
		return ret;
	}
	return fd;
}

/* Programs leave their socket behind when they are killed: nobody answers there. */
static int remove_dead(const char *path)
{
	struct stat st;
	int fd;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = connect_to(path);
	if (fd >= 0)
		close(fd);
	if (fd >= 0 || fd == -EAGAIN)
		return -EADDRINUSE;
	if (fd != -ECONNREFUSED)
		return fd;
	return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

static int listen_at(const char *path)
{
	struct sockaddr_un address;
	int ret = make_address(&address, path), fd;

	if (!ret)
		ret = remove_dead(path);
	if (ret)
		return ret;
	fd = open_socket();
	if (fd < 0)
		return fd;
	/* The file gets the mode that its socket has. */
	if (fchmod(fd, S_IRUSR | S_IWUSR) < 0 ||
	    bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(fd, BACKLOG) < 0) {
		ret = -errno;
		close(fd);
	}
	return ret ? ret : fd;
}

static char *absolute(const char *path)
{
	char *here, *whole = NULL;

	if (path[0] == '/')
		return strdup(path);
	here = getcwd(NULL, 0);
	if (here && asprintf(&whole, "%s/%s", here, path) < 0)
		whole = NULL;
	free(here);
	return whole;
}

static int explain(int ret, const char *path, struct ccr_err *err)
{
	switch (ret) {
	case -ENAMETOOLONG:
		return err_set(
			err, ret,
			"vsock %s: too long a path for a socket: %zu characters are left for "
			"it, counted from /",
			path, sizeof(((struct sockaddr_un *)0)->sun_path) - 1 - MAX_SUFFIX);
	case -EADDRINUSE:
		return err_set(err, ret,
			       "vsock %s: another program listens there; choose another path",
			       path);
	case -EEXIST:
		return err_set(err, ret,
			       "vsock %s: there is a file that is no socket; choose another path",
			       path);
	default:
		return err_set(err, ret, "vsock %s: cannot make the socket: %s", path,
			       strerror(-ret));
	}
}

int vsock_host_listen(struct vsock_host_socket *socket, const char *path, struct ccr_err *err)
{
	const size_t limit = sizeof(((struct sockaddr_un *)0)->sun_path) - MAX_SUFFIX;
	int ret;

	*socket = (struct vsock_host_socket){.path = absolute(path), .fd = -1};
	if (!socket->path)
		return err_set(err, -ENOMEM, "vsock %s: no absolute path for it", path);
	ret = strlen(socket->path) < limit ? listen_at(socket->path) : -ENAMETOOLONG;
	if (ret < 0) {
		explain(ret, path, err);
		free(socket->path);
		socket->path = NULL;
		return ret;
	}
	socket->fd = ret;
	return 0;
}

void vsock_host_close(struct vsock_host_socket *socket)
{
	unlink(socket->path);
	close(socket->fd);
	free(socket->path);
	*socket = (struct vsock_host_socket){.fd = -1};
}

/* syscalls(loop): accept4 */
int vsock_host_accept(const struct vsock_host_socket *socket)
{
	const int fd = accept4(socket->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

/* Byte by byte: what comes behind the line is the guest's. */
/* syscalls(setup): recvfrom */
static int read_answer(int fd)
{
	char line[sizeof("OK 4294967295\n")], byte;
	size_t length = 0;
	ssize_t done;

	for (;;) {
		done = recv(fd, &byte, 1, 0);
		if (done == 0)
			return -ECONNREFUSED;
		if (done < 0)
			return errno == ECONNRESET ? -ECONNREFUSED : -errno;
		if (byte == '\n')
			break;
		if (length == sizeof(line) - 1)
			return -EPROTO;
		line[length++] = byte;
	}
	return length > 3 && !memcmp(line, "OK ", 3) ? 0 : -EPROTO;
}

/* syscalls(setup): sendto */
static int ask_for(int fd, uint32_t port, unsigned patience_s)
{
	const struct timeval patience = {.tv_sec = patience_s};
	char line[MAX_GREETING + 1];
	const int size = snprintf(line, sizeof(line), GREETING "%u\n", port);
	const int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0)
		return -errno;
	if (send(fd, line, (size_t)size, MSG_NOSIGNAL) != size)
		return -ECONNREFUSED;
	return read_answer(fd);
}

int vsock_host_call(const char *path, uint32_t port, unsigned patience_s)
{
	const int fd = connect_to(path);
	int ret;

	if (fd < 0)
		return fd == -ECONNREFUSED ? -ENOTCONN : fd;
	ret = ask_for(fd, port, patience_s);
	if (ret)
		close(fd);
	return ret ? ret : fd;
}

/* Return: 0 or -EPROTO. @line has @length bytes, without its newline, and a NUL behind them. */
static int parse_greeting(const char *line, size_t length, uint32_t *ret_port)
{
	uint64_t port;

	if (strlen(line) != length || strncmp(line, GREETING, strlen(GREETING)) != 0 ||
	    parse_u64(line + strlen(GREETING), &port) || port > UINT32_MAX)
		return -EPROTO;
	*ret_port = (uint32_t)port;
	return 0;
}

/* syscalls(loop): recvfrom */
int vsock_host_greet(int fd, uint32_t *ret_port)
{
	char line[MAX_GREETING + 1];
	const ssize_t size = recv(fd, line, MAX_GREETING, MSG_PEEK);
	const char *end;
	size_t length;

	if (size <= 0)
		return size < 0 && (errno == EAGAIN || errno == EINTR) ? -EAGAIN : -ECONNRESET;
	end = memchr(line, '\n', (size_t)size);
	if (!end)
		return size == MAX_GREETING ? -EPROTO : -EAGAIN;
	length = (size_t)(end - line);
	/* What comes behind it is for the guest. */
	if (recv(fd, line, length + 1, 0) != (ssize_t)length + 1)
		return -ECONNRESET;
	line[length] = '\0';
	return parse_greeting(line, length, ret_port);
}

/* syscalls(loop): sendto */
void vsock_host_accepted(int fd, uint32_t port)
{
	char line[32];
	const int size = snprintf(line, sizeof(line), "OK %u\n", port);

	/* Nothing was sent there before, so there is room; who has gone will be noticed later. */
	if (send(fd, line, (size_t)size, MSG_NOSIGNAL) != size)
		return;
}
