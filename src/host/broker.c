/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two ends of a broker: the machine's, which asks, and the loop of the process that answers.
 *
 * They share a SOCK_SEQPACKET pair. The machine's end of the file is the only one, so its end of
 * file is the machine's end, whatever ended it.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

#define SOCKETS_PATIENCE_S 5
#define END_PATIENCE_MS    1000

/* Where the loop finds its channel, beside the standard three. */
#define CHANNEL_FD 3

union control {
	struct cmsghdr header;
	char room[CMSG_SPACE(sizeof(int))];
};

/* Return: bytes, or -errno. @fd goes with them unless it is -1. */
/* syscalls(loop vcpu worker broker share): sendmsg */
static ssize_t send_packet(int channel, const void *bytes, size_t size, int fd)
{
	struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = size};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
	union control control = {0};
	ssize_t done;

	if (fd >= 0) {
		message.msg_control = control.room;
		message.msg_controllen = sizeof(control.room);
		control.header = (struct cmsghdr){
			.cmsg_len = CMSG_LEN(sizeof(fd)),
			.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS,
		};
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	}
	do
		done = sendmsg(channel, &message, MSG_NOSIGNAL);
	while (done < 0 && errno == EINTR);
	return done < 0 ? -errno : done;
}

/* Return: bytes, 0 at the end; -errno; -EBADMSG for a packet that is too long. */
/* syscalls(loop vcpu worker): recvmsg */
static ssize_t receive_packet(int channel, void *bytes, size_t room, int *ret_fd)
{
	struct iovec iov = {.iov_base = bytes, .iov_len = room};
	union control control = {0};
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.room,
		.msg_controllen = sizeof(control.room),
	};
	const struct cmsghdr *header;
	ssize_t done;

	*ret_fd = -1;
	do
		done = recvmsg(channel, &message, MSG_CMSG_CLOEXEC);
	while (done < 0 && errno == EINTR);
	if (done < 0)
		return -errno;
	header = CMSG_FIRSTHDR(&message);
	if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
	    header->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(ret_fd, CMSG_DATA(header), sizeof(*ret_fd));
	if (!(message.msg_flags & MSG_TRUNC))
		return done;
	if (*ret_fd >= 0)
		close(*ret_fd);
	*ret_fd = -1;
	return -EBADMSG;
}

/* The process. */

/* What came with a request is not wanted: without room for it, the kernel drops it. */
/* syscalls(broker share): recvfrom */
static ssize_t receive_request(uint8_t *bytes)
{
	ssize_t done;

	do
		done = recv(CHANNEL_FD, bytes, BROKER_MAX_MESSAGE, MSG_TRUNC);
	while (done < 0 && errno == EINTR);
	return done;
}

static void answer(const struct broker_service *service, void *state, const uint8_t *bytes,
		   size_t size, struct broker_reply *reply, int *ret_fd)
{
	struct broker_request request;

	memset(reply, 0, sizeof(*reply));
	*ret_fd = -1;
	reply->error = size > BROKER_MAX_MESSAGE ? -EBADMSG
						 : broker_decode_request(bytes, size, &request);
	if (!reply->error)
		reply->error = service->serve(state, &request, reply, ret_fd);
	reply->has_fd = *ret_fd >= 0;
}

static void serve(const struct broker_service *service, void *state)
{
	uint8_t bytes[BROKER_MAX_MESSAGE];
	struct broker_reply reply;
	ssize_t size;
	int fd;

	while ((size = receive_request(bytes)) > 0) {
		answer(service, state, bytes, (size_t)size, &reply, &fd);
		size = send_packet(CHANNEL_FD, bytes, broker_encode_reply(&reply, bytes), fd);
		if (fd >= 0)
			close(fd);
		if (size < 0)
			break;
	}
}

static void leave_terminal(void)
{
	const int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return;
	dup2(fd, STDIN_FILENO);
	dup2(fd, STDOUT_FILENO);
	close(fd);
}

/* Nothing that the machine has open stays so here, nor do its signals reach. */
/* syscalls(setup): prctl:PR_SET_PDEATHSIG */
static int leave_machine(void)
{
	sigset_t all;

	sigfillset(&all);
	if (sigprocmask(SIG_SETMASK, &all, NULL) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ||
	    fcntl(CHANNEL_FD, F_SETFD, FD_CLOEXEC) < 0)
		return -errno;
	if (close_range(CHANNEL_FD + 1, ~0u, 0) < 0) {
		struct rlimit limit = {.rlim_cur = 1024};

		/* Linux before 5.9. */
		getrlimit(RLIMIT_NOFILE, &limit);
		for (rlim_t fd = CHANNEL_FD + 1; fd < limit.rlim_cur; fd++)
			close((int)fd);
	}
	leave_terminal();
	return 0;
}

bool broker_enclose(const struct broker_config *config, const char *const *dirs, unsigned nr_dirs)
{
	return config->enclose && config->enclose(config->ctx, dirs, nr_dirs);
}

/* syscalls(setup): prctl:PR_SET_NAME */
static int set_up(const struct broker_config *config, const struct broker_service *service,
		  void **ret_state, struct ccr_err *err)
{
	int ret = leave_machine();

	if (ret)
		return err_set(err, ret, "broker: cannot leave its machine: %s", strerror(-ret));
	if (config->shrink)
		config->shrink(config->ctx);
	prctl(PR_SET_NAME, service->name);
	ret = service->open(ret_state, config, err);
	if (!ret && config->confine)
		ret = config->confine(config->ctx, err);
	return ret;
}

/* All there is of the process; @channel is its end of the pair. */
static _Noreturn void run(const struct broker_config *config, const struct broker_service *service,
			  int channel)
{
	struct ccr_err err = {0};
	void *state = NULL;
	int ret;

	if (channel != CHANNEL_FD && dup2(channel, CHANNEL_FD) < 0)
		_exit(1);
	ret = set_up(config, service, &state, &err);
	/* The first packet says whether there is a broker; if not, nobody waits for another. */
	if (send_packet(CHANNEL_FD, &err, sizeof(err), -1) > 0 && !ret)
		serve(service, state);
	_exit(ret != 0);
}

/* The machine's end. */

static int await_readiness(struct broker *broker, struct ccr_err *err)
{
	struct ccr_err why;
	int fd;
	const ssize_t size = receive_packet(broker->fd, &why, sizeof(why), &fd);

	if (fd >= 0)
		close(fd);
	if (size != sizeof(why))
		return err_set(err, -EIO, "broker: it has ended before it was ready");
	why.msg[sizeof(why.msg) - 1] = '\0';
	return why.code ? err_set(err, why.code < 0 ? why.code : -EIO, "%s", why.msg) : 0;
}

static int set_patience(const struct broker *broker, unsigned seconds)
{
	const struct timeval patience = {.tv_sec = seconds};

	return setsockopt(broker->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
}

int broker_start(struct broker *broker, const struct broker_config *config, struct ccr_err *err)
{
	const struct broker_service *service = config->scope.dir ? &broker_files_service
								 : &broker_sockets_service;
	int pair[2], ret;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_set(err, -errno, "broker: no socket: %s", strerror(errno));
	*broker = (struct broker){.fd = pair[0]};
	pthread_mutex_init(&broker->lock, NULL);
	broker->pid = fork();
	if (broker->pid == 0)
		run(config, service, pair[1]);
	close(pair[1]);
	if (broker->pid < 0) {
		ret = err_set(err, -errno, "broker: no process: %s", strerror(errno));
		close(pair[0]);
		return ret;
	}
	ret = await_readiness(broker, err);
	if (!ret && !config->scope.dir && set_patience(broker, SOCKETS_PATIENCE_S) < 0)
		ret = err_set(err, -errno, "broker: no time limit: %s", strerror(errno));
	if (ret)
		broker_stop(broker);
	return ret;
}

/* A reply that is none means that nothing which this broker says can be relied on. */
static int exchange(struct broker *broker, const uint8_t *request, size_t size,
		    struct broker_reply *reply, int *ret_fd)
{
	uint8_t bytes[BROKER_MAX_MESSAGE];
	ssize_t done = send_packet(broker->fd, request, size, -1);

	if (done > 0)
		done = receive_packet(broker->fd, bytes, sizeof(bytes), ret_fd);
	if (done > 0 && !broker_decode_reply(bytes, (size_t)done, reply) &&
	    (*ret_fd >= 0) == (reply->has_fd != 0))
		return 0;
	if (*ret_fd >= 0)
		close(*ret_fd);
	*ret_fd = -1;
	broker_abort(broker);
	return -EIO;
}

int broker_call(struct broker *broker, const struct broker_request *request,
		struct broker_reply *ret_reply, int *ret_fd)
{
	uint8_t bytes[BROKER_MAX_MESSAGE];
	struct broker_reply own = {0}, *reply = ret_reply ? ret_reply : &own;
	const size_t size = broker_encode_request(request, bytes);
	int fd = -1, ret;

	if (ret_fd)
		*ret_fd = -1;
	if (size == 0)
		return -EINVAL;
	pthread_mutex_lock(&broker->lock);
	ret = exchange(broker, bytes, size, reply, &fd);
	pthread_mutex_unlock(&broker->lock);
	if (ret_fd)
		*ret_fd = fd;
	else if (fd >= 0)
		close(fd);
	return ret ? ret : reply->error;
}

int broker_connect(struct broker *broker, unsigned target, uint32_t port)
{
	const struct broker_request request = {
		.op = BROKER_CONNECT,
		.handle = target,
		.offset = port,
	};
	int fd;
	const int ret = broker_call(broker, &request, NULL, &fd);

	if (ret)
		return ret;
	return fd >= 0 ? fd : -EIO;
}

/* syscalls(loop vcpu worker): shutdown */
void broker_abort(struct broker *broker)
{
	shutdown(broker->fd, SHUT_RDWR);
}

/* One that hangs in a file system that does not answer is killed, and then it is init's. */
/* syscalls(setup): clock_nanosleep */
static void reap(pid_t pid)
{
	const struct timespec step = {.tv_nsec = 1000000};

	for (unsigned waited_ms = 0; waited_ms < END_PATIENCE_MS; waited_ms++) {
		if (waitpid(pid, NULL, WNOHANG) != 0)
			return;
		if (waited_ms == END_PATIENCE_MS / 2)
			kill(pid, SIGKILL);
		nanosleep(&step, NULL);
	}
}

void broker_stop(struct broker *broker)
{
	close(broker->fd);
	broker->fd = -1;
	reap(broker->pid);
	pthread_mutex_destroy(&broker->lock);
}
