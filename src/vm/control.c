/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <json-c/json.h>

#include "ccr/control.h"

/* A client that reads nothing for so long is dropped, whatever waits for it. */
#define STALL_MS 10000

/* How long the last replies and events may take to leave. */
#define FLUSH_MS 1000

/* After it could not take a connection, for want of descriptors, for how long it does not try. */
#define REST_MS 1000

/* How long a client has for its negotiation when others want its place. */
#define NEGOTIATE_MS 1000

/* Descriptors taken from one message; all but the last are closed. */
#define MAX_PASSED_FDS 4

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void control_init(struct control *control, const char *name, int listen_fd,
		  const struct qmp_ops *ops)
{
	memset(control, 0, sizeof(*control));
	control->machine = (struct qmp_machine){.name = name, .ops = ops};
	control->listen_fd = listen_fd;
	control->start_ms = now_ms();
	for (int i = 0; i < CONTROL_MAX_CLIENTS; i++) {
		control->clients[i].fd = -1;
		control->clients[i].session.passed_fd = -1;
	}
}

static void drop(struct control_client *client)
{
	if (client->fd < 0)
		return;
	close(client->fd);
	client->fd = -1;
	qmp_close(&client->session);
}

/* syscalls(loop): sendto */
static void put_output(struct control_client *client)
{
	struct qmp_session *session = &client->session;

	while (session->out_size > 0 && !session->broken) {
		const ssize_t done = send(client->fd, session->out, session->out_size,
					  MSG_DONTWAIT | MSG_NOSIGNAL);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0) {
			session->broken = errno != EAGAIN;
			return;
		}
		qmp_sent(session, (size_t)done);
		client->moved_ms = now_ms();
	}
}

static void take_fds(struct qmp_session *session, struct msghdr *message)
{
	for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(message); cmsg;
	     cmsg = CMSG_NXTHDR(message, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = CMSG_LEN(0); at + sizeof(int) <= cmsg->cmsg_len;
		     at += sizeof(int)) {
			int fd;

			memcpy(&fd, (const char *)cmsg + at, sizeof(fd));
			qmp_receive_fd(session, fd);
		}
	}
}

/* Return: bytes taken; 0 for none now; -errno, also at the end, if the client is gone. */
/* syscalls(loop): recvmsg */
static int take_input(struct control_client *client)
{
	char bytes[sizeof(client->session.in)];
	union {
		char space[CMSG_SPACE(MAX_PASSED_FDS * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = {bytes, qmp_room(&client->session)};
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t got;

	if (iov.iov_len == 0)
		return 0;
	got = recvmsg(client->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (got < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	take_fds(&client->session, &message);
	if (got == 0)
		return -EPIPE;
	qmp_receive(&client->session, bytes, (size_t)got);
	return (int)got;
}

/* What has come is carried out before the client's leaving counts. */
static void serve_client(struct control *control, struct control_client *client, short events)
{
	int ret = 0;

	if (events & (POLLIN | POLLHUP | POLLERR))
		ret = take_input(client);
	do {
		qmp_run(&client->session, &control->machine);
		put_output(client);
	} while (client->session.in_size > 0 && client->session.out_size == 0 &&
		 !client->session.broken);
	if (client->session.out_size == 0)
		client->moved_ms = now_ms();
	else if (now_ms() - client->moved_ms >= STALL_MS)
		client->session.broken = true;
	if (ret < 0 || client->session.broken)
		drop(client);
}

/* A free one, or that of who has been too long about its negotiation. NULL if there is none. */
static struct control_client *find_place(struct control *control)
{
	struct control_client *idle = NULL;

	for (int i = 0; i < CONTROL_MAX_CLIENTS; i++) {
		struct control_client *client = &control->clients[i];

		if (client->fd < 0)
			return client;
		if (!client->session.negotiated && (!idle || client->since_ms < idle->since_ms))
			idle = client;
	}
	if (!idle || now_ms() - idle->since_ms < NEGOTIATE_MS)
		return NULL;
	drop(idle);
	return idle;
}

/* syscalls(loop): sendto */
static void refuse_client(int fd)
{
	static const char text[] = "{\"error\": {\"class\": \"GenericError\", \"desc\": "
				   "\"too many clients control this machine\"}}\r\n";

	/* If it does not even fit an empty socket, nobody is there to read it. */
	if (send(fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		errno = 0;
	close(fd);
}

static int ms_until(uint64_t at)
{
	const uint64_t now = now_ms();

	if (at <= now)
		return 0;
	return at - now < INT_MAX ? (int)(at - now) : INT_MAX;
}

/* syscalls(loop): accept4 */
static void take_client(struct control *control)
{
	const int fd = accept4(control->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct control_client *client;

	if (fd < 0) {
		control->rest_end_ms = now_ms() + REST_MS;
		return;
	}
	client = find_place(control);
	if (!client || qmp_open(&client->session)) {
		refuse_client(fd);
		return;
	}
	client->fd = fd;
	client->since_ms = now_ms();
	client->moved_ms = client->since_ms;
	put_output(client);
}

void control_set_sources(const struct control *control, struct pollfd *sources)
{
	const bool rests = ms_until(control->rest_end_ms) > 0;

	sources[0] = (struct pollfd){.fd = rests ? -1 : control->listen_fd, .events = POLLIN};
	for (int i = 0; i < CONTROL_MAX_CLIENTS; i++) {
		const struct control_client *client = &control->clients[i];
		struct pollfd *source = &sources[1 + i];

		*source = (struct pollfd){.fd = client->fd};
		if (client->fd >= 0 && qmp_room(&client->session) > 0)
			source->events |= POLLIN;
		if (client->fd >= 0 && client->session.out_size > 0)
			source->events |= POLLOUT;
	}
}

static int sooner(int timeout, int other)
{
	return timeout < 0 || other < timeout ? other : timeout;
}

int control_timeout(const struct control *control)
{
	int timeout = -1;

	if (control->grace_ends)
		timeout = ms_until(control->grace_end_ms);
	if (ms_until(control->rest_end_ms) > 0)
		timeout = sooner(timeout, ms_until(control->rest_end_ms));
	for (int i = 0; i < CONTROL_MAX_CLIENTS; i++) {
		const struct control_client *client = &control->clients[i];

		if (client->fd >= 0 && client->session.out_size > 0)
			timeout = sooner(timeout, ms_until(client->moved_ms + STALL_MS));
	}
	return timeout;
}

static void check_grace(struct control *control)
{
	if (!control->grace_ends || now_ms() < control->grace_end_ms)
		return;
	control->grace_ends = false;
	control->machine.ops->quit(control->machine.ctx);
}

void control_serve(struct control *control, const struct pollfd *sources)
{
	/* Before there are new ones, which @sources says nothing about. */
	for (int i = 0; i < CONTROL_MAX_CLIENTS; i++) {
		struct control_client *client = &control->clients[i];

		if (client->fd >= 0)
			serve_client(control, client, sources[1 + i].revents);
	}
	if (sources[0].revents)
		take_client(control);
	check_grace(control);
}

void control_event(struct control *control, const char *name, struct json_object *data)
{
	for (int i = 0; i < CONTROL_MAX_CLIENTS; i++) {
		if (control->clients[i].fd >= 0)
			qmp_event(&control->clients[i].session, name, data);
	}
	json_object_put(data);
}

uint64_t control_uptime_ms(const struct control *control)
{
	return now_ms() - control->start_ms;
}

void control_end_after(struct control *control, unsigned grace_s)
{
	control->grace_ends = true;
	control->grace_end_ms = now_ms() + (uint64_t)grace_s * 1000;
}

/* syscalls(loop): ppoll */
static void flush_client(struct control_client *client, uint64_t end_ms)
{
	struct pollfd source = {.fd = client->fd, .events = POLLOUT};

	put_output(client);
	while (client->session.out_size > 0 && !client->session.broken && ms_until(end_ms) > 0) {
		if (poll(&source, 1, ms_until(end_ms)) > 0)
			put_output(client);
	}
}

void control_close(struct control *control)
{
	const uint64_t end_ms = now_ms() + FLUSH_MS;

	for (int i = 0; i < CONTROL_MAX_CLIENTS; i++) {
		struct control_client *client = &control->clients[i];

		if (client->fd >= 0)
			flush_client(client, end_ms);
		drop(client);
	}
}
