/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

/* What may block is written so little at a time, once it has said that it takes something. */
#define BLOCKING_WRITE_SIZE 256

static const struct {
	const char *name;
	bool has_path;
	const struct chardev_ops *ops;
} kinds[] = {
	[CHARDEV_STDIO] = {"stdio", false, &chardev_stdio_ops},
	[CHARDEV_PTY] = {"pty", false, &chardev_pty_ops},
	[CHARDEV_FILE] = {"file", true, &chardev_file_ops},
	[CHARDEV_SOCKET] = {"socket", true, &chardev_socket_ops},
	[CHARDEV_NONE] = {"none", false, &chardev_none_ops},
};

#define NR_KINDS (sizeof(kinds) / sizeof(kinds[0]))

int chardev_parse(const char *text, struct chardev_config *ret_config, struct ccr_err *err)
{
	const size_t name_size = strcspn(text, ":");
	const char *path = text[name_size] ? text + name_size + 1 : NULL;

	for (size_t i = 0; i < NR_KINDS; i++) {
		if (strlen(kinds[i].name) != name_size ||
		    memcmp(kinds[i].name, text, name_size) != 0)
			continue;
		if (kinds[i].has_path ? !path || !*path : path != NULL)
			break;
		ret_config->kind = (enum chardev_kind)i;
		ret_config->path = path;
		return 0;
	}
	return err_set(err, -EINVAL, "%s: not stdio, pty, file:FILE, socket:PATH or none", text);
}

static void make_empty(struct chardev *dev)
{
	*dev = (struct chardev){
		.what = "console",
		.in_fd = -1,
		.out_fd = -1,
		.own_fd = -1,
		.wait_fd = -1,
	};
}

int chardev_open(struct chardev *dev, const struct chardev_config *config, struct ccr_err *err)
{
	int ret;

	make_empty(dev);
	dev->ops = kinds[config->kind].ops;
	if (config->what)
		dev->what = config->what;
	dev->is_data = config->is_data;
	dev->is_patient = config->is_data;
	ret = dev->ops->open(dev, config->path, err);
	if (ret)
		chardev_close(dev);
	return ret;
}

int chardev_start(struct chardev *dev, struct ccr_err *err)
{
	return dev->ops && dev->ops->start ? dev->ops->start(dev, err) : 0;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void chardev_close(struct chardev *dev)
{
	if (!dev->ops)
		return;
	if (dev->ops->close)
		dev->ops->close(dev);
	close_fd(&dev->own_fd);
	close_fd(&dev->wait_fd);
	*dev = (struct chardev){0};
}

bool chardev_is_open(const struct chardev *dev)
{
	return dev->ops != NULL;
}

/* A peer that somebody else has found, and that nobody comes after. */
static const struct chardev_ops adopted_ops = {
	.peer_left = chardev_close,
};

/* syscalls(loop): getsockopt */
int chardev_adopt(struct chardev *dev, int fd)
{
	socklen_t size = sizeof(int);
	int type;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0)
		return -errno;
	if (type != SOCK_STREAM)
		return -ENOTSOCK;
	make_empty(dev);
	dev->ops = &adopted_ops;
	dev->is_socket = true;
	dev->own_fd = fd;
	chardev_greet(dev);
	return 0;
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* The new peer has as long as any other to show that it reads. */
static void set_moving(struct chardev *dev)
{
	dev->is_stalled = false;
	dev->moved_ms = now_ms();
}

void chardev_greet(struct chardev *dev)
{
	dev->in_fd = dev->own_fd;
	dev->out_fd = dev->own_fd;
	set_moving(dev);
}

/* syscalls(loop): ioctl:TCGETS ioctl:TCSETS */
int chardev_make_raw(int fd)
{
	struct termios raw;

	if (tcgetattr(fd, &raw) < 0)
		return -errno;
	cfmakeraw(&raw);
	return tcsetattr(fd, TCSANOW, &raw) < 0 ? -errno : 0;
}

/* Peers leave in two steps, in any order: no more input, no more output. */
static void part(struct chardev *dev)
{
	if (dev->in_fd < 0 && dev->out_fd < 0 && dev->ops->peer_left)
		dev->ops->peer_left(dev);
}

static void end_input(struct chardev *dev)
{
	dev->in_fd = -1;
	part(dev);
}

static void end_output(struct chardev *dev, int code)
{
	dev->out_fd = -1;
	if (dev->ops->output_lost)
		dev->ops->output_lost(dev, code);
	part(dev);
}

/* The queue. */

static size_t nr_queued(const struct chardev *dev)
{
	return (size_t)(dev->head - dev->tail);
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* The longest stretch from @position on that neither wraps nor exceeds @size. */
static size_t stretch(uint64_t position, size_t size)
{
	return smaller(size, CHARDEV_QUEUE_SIZE - position % CHARDEV_QUEUE_SIZE);
}

static void enqueue(struct chardev *dev, const uint8_t *bytes, size_t size)
{
	while (size > 0) {
		const size_t here = stretch(dev->head, size);

		memcpy(dev->queue + dev->head % CHARDEV_QUEUE_SIZE, bytes, here);
		dev->head += here;
		bytes += here;
		size -= here;
	}
	if (nr_queued(dev) > CHARDEV_QUEUE_SIZE)
		dev->tail = dev->head - CHARDEV_QUEUE_SIZE;
}

/* syscalls(loop): ppoll */
static bool takes_bytes_now(int fd)
{
	struct pollfd out = {.fd = fd, .events = POLLOUT};

	return poll(&out, 1, 0) > 0;
}

/* Return: as write(2). */
/* syscalls(loop): write sendto */
static ssize_t put(struct chardev *dev, const uint8_t *bytes, size_t size)
{
	if (dev->is_socket)
		return send(dev->out_fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (!dev->may_block)
		return write(dev->out_fd, bytes, size);
	if (takes_bytes_now(dev->out_fd))
		return write(dev->out_fd, bytes, smaller(size, BLOCKING_WRITE_SIZE));
	errno = EAGAIN;
	return -1;
}

static bool is_passing(int code)
{
	return code == EAGAIN || code == EWOULDBLOCK || code == EINTR;
}

/* Pass on what the peer takes now. */
static void flush(struct chardev *dev)
{
	while (dev->out_fd >= 0 && nr_queued(dev) > 0) {
		const ssize_t done = put(dev, dev->queue + dev->tail % CHARDEV_QUEUE_SIZE,
					 stretch(dev->tail, nr_queued(dev)));

		if (done < 0 && !is_passing(errno))
			end_output(dev, -errno);
		if (done <= 0)
			break;
		dev->tail += (uint64_t)done;
		set_moving(dev);
	}
	if (chardev_has_output(dev) && now_ms() - dev->moved_ms >= CHARDEV_STALL_MS)
		dev->is_stalled = true;
}

bool chardev_has_peer(const struct chardev *dev)
{
	return dev->ops && (!dev->ops->has_calls || dev->out_fd >= 0);
}

bool chardev_is_connected(const struct chardev *dev)
{
	return dev->ops && (chardev_has_peer(dev) || dev->in_fd >= 0);
}

void chardev_forget(struct chardev *dev)
{
	dev->tail = dev->head;
}

size_t chardev_room(const struct chardev *dev)
{
	if (dev->out_fd < 0 || !dev->ops || (dev->is_stalled && !dev->is_patient))
		return CHARDEV_QUEUE_SIZE;
	return CHARDEV_QUEUE_SIZE - nr_queued(dev);
}

void chardev_write(struct chardev *dev, const uint8_t *bytes, size_t size)
{
	if (!dev->ops || dev->drops)
		return;
	if (dev->out_fd < 0 && dev->ops->meet)
		dev->ops->meet(dev);
	if (nr_queued(dev) == 0)
		set_moving(dev);
	enqueue(dev, bytes, size);
	flush(dev);
}

bool chardev_has_output(const struct chardev *dev)
{
	return dev->ops && dev->out_fd >= 0 && nr_queued(dev) > 0;
}

/* syscalls(loop): read recvfrom */
size_t chardev_read(struct chardev *dev, uint8_t *bytes, size_t size)
{
	ssize_t got;

	if (!dev->is_readable || size == 0)
		return 0;
	dev->is_readable = false;
	if (dev->is_socket && dev->in_fd == dev->own_fd)
		got = recv(dev->in_fd, bytes, size, MSG_DONTWAIT);
	else
		got = read(dev->in_fd, bytes, size);
	if (got > 0)
		return (size_t)got;
	if (got == 0 || !is_passing(errno))
		end_input(dev);
	return 0;
}

/* Polling. */

enum { FD_IN, FD_OUT, FD_WAIT };

void chardev_set_fds(const struct chardev *dev, bool wants_input, struct pollfd fds[CHARDEV_NR_FDS])
{
	const bool is_open = chardev_is_open(dev);

	fds[FD_IN] =
		(struct pollfd){.fd = is_open && wants_input ? dev->in_fd : -1, .events = POLLIN};
	/* Without an event of its own, this still tells that the peer has gone. */
	fds[FD_OUT] = (struct pollfd){.fd = is_open ? dev->out_fd : -1,
				      .events = chardev_has_output(dev) ? POLLOUT : 0};
	fds[FD_WAIT] = (struct pollfd){.fd = is_open ? dev->wait_fd : -1, .events = POLLIN};
}

int chardev_timeout_ms(const struct chardev *dev)
{
	uint64_t waited_ms;

	if (!chardev_has_output(dev) || dev->is_stalled)
		return -1;
	waited_ms = now_ms() - dev->moved_ms;
	return waited_ms < CHARDEV_STALL_MS ? (int)(CHARDEV_STALL_MS - waited_ms) : 0;
}

void chardev_serve(struct chardev *dev, const struct pollfd fds[CHARDEV_NR_FDS])
{
	if (!dev->ops)
		return;
	dev->is_readable = fds[FD_IN].revents != 0;
	flush(dev);
	if (dev->ops && dev->out_fd >= 0 && fds[FD_OUT].revents & (POLLHUP | POLLERR))
		end_output(dev, -EPIPE);
	if (dev->ops && fds[FD_WAIT].revents)
		dev->ops->meet(dev);
}

/* Output that goes nowhere. */

static int none_open(struct chardev *dev, const char *path, struct ccr_err *err)
{
	(void)path;
	(void)err;
	dev->drops = true;
	return 0;
}

const struct chardev_ops chardev_none_ops = {
	.open = none_open,
};
