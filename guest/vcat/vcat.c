/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vcat - both ends of vsock streams, in the guest and on its host, for the tests
 *
 *	vcat echo PORT       in the guest: give back what comes, to everybody who connects
 *	vcat listen PORT     in the guest: who connects first gets stdin, and writes stdout
 *	vcat connect PORT    in the guest: the same with the host's port
 *	vcat dial CID PORT   on the host: the same with a guest's port, if vsock is the kernel's
 *	vcat call PATH PORT  on the host: the same with the guest's port, through the socket PATH
 *	vcat call PATH       on the host: the same with whoever listens on the socket PATH
 *	vcat serve PATH      on the host: the same with who connects to the socket PATH first
 *	vcat lend PATH FD PROGRAM ARGUMENT...
 *	                     on the host: run a program with descriptor FD, a connection to PATH
 *
 * The end of stdin is passed on; all is over when both sides have ended. Exit status 1, and the
 * reason on stderr, if it could not be.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#define BACKLOG 64

static int fail(const char *what)
{
	fprintf(stderr, "vcat: %s: %s\n", what, strerror(errno));
	return 1;
}

static bool write_all(int fd, const char *bytes, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, bytes, size);

		if (n < 0)
			return false;
		bytes += n;
		size -= (size_t)n;
	}
	return true;
}

/* Return: bytes passed on, 0 for the end, -1. */
static ssize_t pass(int from, int to)
{
	static char bytes[65536];
	ssize_t size = read(from, bytes, sizeof(bytes));

	return size > 0 && !write_all(to, bytes, (size_t)size) ? -1 : size;
}

/* struct relay - stdin on its way to a stream, and the stream to stdout */
struct relay {
	int fd;
	bool is_fed, is_heard; /* stdin has not ended; the stream has not */
	size_t at, held;       /* of bytes[], what the stream has not taken yet */
	char bytes[65536];
};

static bool take_stdin(struct relay *relay)
{
	const ssize_t size = read(STDIN_FILENO, relay->bytes, sizeof(relay->bytes));

	if (size < 0)
		return false;
	relay->at = 0;
	relay->held = (size_t)size;
	relay->is_fed = size > 0;
	if (!relay->is_fed)
		shutdown(relay->fd, SHUT_WR);
	return true;
}

static bool give_stream(struct relay *relay)
{
	const ssize_t size = send(relay->fd, relay->bytes + relay->at, relay->held, MSG_DONTWAIT);

	if (size < 0)
		return errno == EAGAIN;
	relay->at += (size_t)size;
	relay->held -= (size_t)size;
	return true;
}

static bool take_stream(struct relay *relay)
{
	const ssize_t size = pass(relay->fd, STDOUT_FILENO);

	relay->is_heard = size > 0;
	return size >= 0;
}

/*
 * Both ways at once until both end. Neither may wait for the other: who gives back what comes stops
 * reading when nobody reads from him.
 */
static int relay_both(int fd)
{
	static struct relay relay;

	relay = (struct relay){.fd = fd, .is_fed = true, .is_heard = true};
	while (relay.is_fed || relay.held > 0 || relay.is_heard) {
		const bool wants_stdin = relay.is_fed && relay.held == 0;
		const int events = (relay.is_heard ? POLLIN : 0) | (relay.held > 0 ? POLLOUT : 0);
		struct pollfd fds[2] = {
			{.fd = wants_stdin ? STDIN_FILENO : -1, .events = POLLIN},
			{.fd = events ? fd : -1, .events = (short)events},
		};

		if (poll(fds, 2, -1) < 0)
			return fail("poll");
		if (relay.is_heard && fds[1].revents & ~POLLOUT && !take_stream(&relay))
			return fail("stream to stdout");
		if (relay.held > 0 && fds[1].revents & ~POLLIN && !give_stream(&relay))
			return fail("stdin to stream");
		if (fds[0].revents && !take_stdin(&relay))
			return fail("stdin");
	}
	return 0;
}

static int vsock_listen(unsigned port)
{
	const struct sockaddr_vm address = {
		.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = port};
	int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(fd, BACKLOG) < 0)
		return -1;
	return fd;
}

static int echo(unsigned port)
{
	int listener = vsock_listen(port);

	if (listener < 0)
		return fail("listen");
	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (fd < 0)
			return fail("accept");
		if (fork() == 0) {
			while (pass(fd, fd) > 0)
				;
			_exit(0);
		}
		close(fd);
	}
}

static int accept_one(int listener)
{
	int fd = listener < 0 ? -1 : accept(listener, NULL, NULL);

	return fd < 0 ? fail("listen") : relay_both(fd);
}

static int vsock_connect(unsigned cid, unsigned port)
{
	const struct sockaddr_vm address = {
		.svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port};
	int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return fail("connect");
	return relay_both(fd);
}

static struct sockaddr_un unix_address(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	return address;
}

/* Return: the stream; -1, with the reason told. */
static int unix_connect(const char *path)
{
	const struct sockaddr_un address = unix_address(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		fail("connect");
		return -1;
	}
	return fd;
}

static int unix_call(const char *path, const char *port)
{
	int fd = unix_connect(path);
	char line[64], answer = '\0';
	unsigned nr = 0;

	if (fd < 0)
		return 1;
	snprintf(line, sizeof(line), "CONNECT %s\n", port);
	if (!write_all(fd, line, strlen(line)))
		return fail("CONNECT");
	/* Behind the line comes what the guest says. */
	while (answer != '\n' && nr < sizeof(line) && read(fd, &answer, 1) == 1)
		line[nr++] = answer;
	if (nr < 4 || strncmp(line, "OK ", 3) != 0) {
		fprintf(stderr, "vcat: port %s: nobody accepts\n", port);
		return 1;
	}
	return relay_both(fd);
}

static int unix_talk(const char *path)
{
	int fd = unix_connect(path);

	return fd < 0 ? 1 : relay_both(fd);
}

static int unix_lend(const char *path, int as, char **argv)
{
	int fd = unix_connect(path);

	if (fd < 0)
		return 1;
	if (dup2(fd, as) < 0)
		return fail("lend");
	close(fd);
	execvp(argv[0], argv);
	return fail(argv[0]);
}

static int unix_serve(const char *path)
{
	const struct sockaddr_un address = unix_address(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(fd, BACKLOG) < 0)
		return fail("listen");
	return accept_one(fd);
}

int main(int argc, char **argv)
{
	const char *mode = argc > 2 ? argv[1] : "";

	signal(SIGPIPE, SIG_IGN);
	if (!strcmp(mode, "echo"))
		return echo((unsigned)atoi(argv[2]));
	if (!strcmp(mode, "listen"))
		return accept_one(vsock_listen((unsigned)atoi(argv[2])));
	if (!strcmp(mode, "connect"))
		return vsock_connect(VMADDR_CID_HOST, (unsigned)atoi(argv[2]));
	if (!strcmp(mode, "dial") && argc > 3)
		return vsock_connect((unsigned)atoi(argv[2]), (unsigned)atoi(argv[3]));
	if (!strcmp(mode, "call") && argc > 3)
		return unix_call(argv[2], argv[3]);
	if (!strcmp(mode, "call"))
		return unix_talk(argv[2]);
	if (!strcmp(mode, "serve"))
		return unix_serve(argv[2]);
	if (!strcmp(mode, "lend") && argc > 4)
		return unix_lend(argv[2], atoi(argv[3]), argv + 4);
	fprintf(stderr, "usage: vcat echo|listen|connect PORT, vcat dial CID PORT, "
			"vcat call PATH [PORT], vcat serve PATH, vcat lend PATH FD PROGRAM\n");
	return 2;
}
