/* SPDX-License-Identifier: Apache-2.0 */
/*
 * passt: a network for a guest out of its host's sockets, without privileges.
 *
 * Frames go both ways over a stream socket, each behind its length in four bytes, big-endian. What
 * the socket does not take at once stays in a buffer; what it gives is cut up from another.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net_internal.h"

#define PREFIX_SIZE 4u

/* A few of the largest frames, or some hundred small ones. */
#define BUFFER_SIZE (256u << 10)

/**
 * struct net_stream - both directions of a socket
 * @out: @out_start to @out_end is to be sent; @reserved: of a frame behind it
 * @in: @in_start to @in_end was received
 */
struct net_stream {
	uint8_t out[BUFFER_SIZE];
	uint32_t out_start, out_end, reserved;
	uint8_t in[BUFFER_SIZE];
	uint32_t in_start, in_end;
};

static uint8_t *passt_reserve(struct net *net, uint32_t size)
{
	struct net_stream *stream = net->stream;
	const uint32_t prefix = htobe32(size), whole = PREFIX_SIZE + size;
	uint8_t *at;

	if (whole > BUFFER_SIZE - stream->out_end && stream->out_start > 0) {
		memmove(stream->out, stream->out + stream->out_start,
			stream->out_end - stream->out_start);
		stream->out_end -= stream->out_start;
		stream->out_start = 0;
	}
	if (whole > BUFFER_SIZE - stream->out_end)
		return NULL;
	at = stream->out + stream->out_end;
	memcpy(at, &prefix, PREFIX_SIZE);
	stream->reserved = whole;
	return at + PREFIX_SIZE;
}

static void passt_commit(struct net *net)
{
	net->stream->out_end += net->stream->reserved;
	net->stream->reserved = 0;
}

static bool passt_has_output(const struct net *net)
{
	return net->stream->out_start < net->stream->out_end;
}

/* syscalls(loop worker): sendto */
static int passt_flush(struct net *net)
{
	struct net_stream *stream = net->stream;

	while (passt_has_output(net)) {
		const ssize_t size = send(net->fds[0], stream->out + stream->out_start,
					  stream->out_end - stream->out_start,
					  MSG_NOSIGNAL | MSG_DONTWAIT);

		if (size < 0 && errno == EINTR)
			continue;
		if (size < 0)
			return errno == EAGAIN ? 0 : -errno;
		stream->out_start += (uint32_t)size;
	}
	stream->out_start = stream->out_end = 0;
	return 0;
}

/* Return: bytes that have come; -EAGAIN; -EPIPE at the end; another -errno. */
/* syscalls(loop worker): recvfrom */
static ssize_t fill(struct net *net)
{
	struct net_stream *stream = net->stream;
	ssize_t size;

	memmove(stream->in, stream->in + stream->in_start, stream->in_end - stream->in_start);
	stream->in_end -= stream->in_start;
	stream->in_start = 0;
	size = recv(net->fds[0], stream->in + stream->in_end, BUFFER_SIZE - stream->in_end,
		    MSG_DONTWAIT);
	if (size == 0)
		return -EPIPE;
	if (size < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	stream->in_end += (uint32_t)size;
	return size;
}

/* Return: size of the frame that is all there; -EAGAIN; -EPROTO for what no frame can be. */
static ssize_t look(const struct net_stream *stream)
{
	const uint32_t held = stream->in_end - stream->in_start;
	uint32_t size;

	if (held < PREFIX_SIZE)
		return -EAGAIN;
	memcpy(&size, stream->in + stream->in_start, PREFIX_SIZE);
	size = be32toh(size);
	if (size < NET_MIN_FRAME || size > NET_MAX_FRAME)
		return -EPROTO;
	return held - PREFIX_SIZE < size ? -EAGAIN : (ssize_t)size;
}

static ssize_t passt_peek(struct net *net, const uint8_t **ret_frame)
{
	ssize_t size = look(net->stream), got = 0;

	if (size == -EAGAIN) {
		got = fill(net);
		size = got < 0 ? got : look(net->stream);
	}
	if (size > 0)
		*ret_frame = net->stream->in + net->stream->in_start + PREFIX_SIZE;
	return size;
}

static void passt_drop(struct net *net)
{
	net->stream->in_start += PREFIX_SIZE + (uint32_t)look(net->stream);
}

static void passt_close(struct net *net)
{
	free(net->stream);
	net->stream = NULL;
}

static const struct net_ops passt_ops = {
	.reserve = passt_reserve,
	.commit = passt_commit,
	.flush = passt_flush,
	.peek = passt_peek,
	.drop = passt_drop,
	.has_output = passt_has_output,
	.close = passt_close,
};

/* Of a passt that moves the frames itself. */
static const struct net_ops vhost_ops = {0};

static int adopt_stream(struct net *net, int fd, struct ccr_err *err)
{
	net->stream = calloc(1, sizeof(*net->stream));
	if (!net->stream)
		return err_set(err, -ENOMEM, "%s: out of memory", net->name);
	net->ops = &passt_ops;
	net->fds[0] = fd;
	return 0;
}

static int adopt_vhost(struct net *net, int fd, struct ccr_err *err)
{
	if (fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK) < 0)
		return err_set(err, -errno, "%s: descriptor %d: %s", net->name, fd,
			       strerror(errno));
	net->ops = &vhost_ops;
	net->vhost_fd = fd;
	return 0;
}

/* syscalls(setup): getsockopt */
int passt_adopt(struct net *net, int fd, bool is_vhost, struct ccr_err *err)
{
	socklen_t length = sizeof(int);
	int type = 0;

	if (net->nr_pairs > 1)
		return err_set(err, -EINVAL,
			       "%s: a socket is one queue: leave out queues=", net->name);
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) < 0 || type != SOCK_STREAM)
		return err_set(err, -EINVAL,
			       "%s: descriptor %d is neither of a tap nor a stream socket",
			       net->name, fd);
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return err_set(err, -errno, "%s: descriptor %d: %s", net->name, fd,
			       strerror(errno));
	if (net->mtu == 0)
		net->mtu = NET_MAX_MTU;
	return is_vhost ? adopt_vhost(net, fd, err) : adopt_stream(net, fd, err);
}

int passt_connect(struct net *net, const char *path, bool is_vhost, struct ccr_err *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd, ret;

	if (strlen(path) >= sizeof(address.sun_path))
		return err_set(err, -ENAMETOOLONG, "%s: too long a path for a socket", net->name);
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_set(err, -errno, "%s: no socket: %s", net->name, strerror(errno));
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		ret = err_set(err, -errno, "%s: nobody listens there: %s; start passt --socket %s",
			      net->name, strerror(errno), path);
	else
		ret = passt_adopt(net, fd, is_vhost, err);
	if (ret)
		close(fd);
	return ret;
}

/*
 * Run passt with these arguments. Its signals are its own, and Ctrl-C on a terminal is not for it.
 * It has descriptor @fd, or prints to it.
 */
static int spawn(pid_t *ret_pid, char *const argv[], int fd, bool is_output)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none;
	int ret;

	sigemptyset(&none);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	/* Onto itself: it stays open in the new program. */
	posix_spawn_file_actions_adddup2(&actions, fd, is_output ? STDOUT_FILENO : fd);
	if (is_output)
		posix_spawn_file_actions_adddup2(&actions, fd, STDERR_FILENO);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
	ret = posix_spawnp(ret_pid, argv[0], &actions, &attributes, argv, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return -ret;
}

static bool is_printed(int fd, const char *option)
{
	FILE *output = fdopen(fd, "r");
	char line[256];
	bool found = false;

	if (!output) {
		close(fd);
		return false;
	}
	while (fgets(line, sizeof(line), output))
		found |= strstr(line, option) != NULL;
	(void)fclose(output);
	return found;
}

/* Has this passt an option? It prints them all. */
static bool has_option(const char *option)
{
	char program[] = "passt", help[] = "--help";
	char *const argv[] = {program, help, NULL};
	bool found = false;
	int ends[2], ret;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return false;
	ret = spawn(&pid, argv, ends[1], true);
	close(ends[1]);
	if (ret) {
		close(ends[0]);
		return false;
	}
	found = is_printed(ends[0], option);
	waitpid(pid, NULL, 0);
	return found;
}

static int spawn_network(pid_t *ret_pid, int fd, uint16_t mtu, bool is_vhost)
{
	char program[] = "passt", foreground[] = "--foreground", quiet[] = "--quiet",
	     vhost[] = "--vhost-user";
	char fd_option[] = "--fd", mtu_option[] = "--mtu", number[16], size[16];
	char *const argv[] = {program, foreground, quiet, fd_option,
			      number,  mtu_option, size,  is_vhost ? vhost : NULL,
			      NULL};

	snprintf(number, sizeof(number), "%d", fd);
	snprintf(size, sizeof(size), "%u", mtu);
	return spawn(ret_pid, argv, fd, false);
}

int passt_start(struct net *net, enum net_vhost vhost, struct ccr_err *err)
{
	const bool is_vhost = vhost != NET_VHOST_OFF && has_option("--vhost-user");
	int ends[2], ret;

	if (vhost == NET_VHOST_ON && !is_vhost)
		return err_set(err, -EOPNOTSUPP,
			       "%s: there is no passt with --vhost-user here, as Debian 13 has "
			       "it; leave out vhost=on",
			       net->name);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return err_set(err, -errno, "%s: no socket: %s", net->name, strerror(errno));
	ret = passt_adopt(net, ends[0], is_vhost, err);
	if (ret) {
		close(ends[0]);
	} else {
		ret = spawn_network(&net->helper, ends[1], net->mtu, is_vhost);
		if (ret)
			net->helper = 0;
	}
	close(ends[1]);
	if (ret == -ENOENT)
		return err_set(err, ret,
			       "%s: no program passt: install the package passt, or use tap=NAME",
			       net->name);
	return ret ? err_set(err, ret, "%s: cannot start passt: %s", net->name, strerror(-ret)) : 0;
}
