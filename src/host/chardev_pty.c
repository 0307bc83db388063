/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pseudo-terminal that anybody may open, close and open again.
 *
 * While nobody has it open, poll() says POLLHUP of our side, at once and for ever, so it is not
 * polled then. That somebody has opened it is not announced. It is noticed when the guest prints,
 * or when a key is typed: an edge-triggered epoll descriptor tells of that one change.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "ccr/log.h"
#include "internal.h"

static int watch_for_keys(struct chardev *dev)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};

	dev->wait_fd = epoll_create1(EPOLL_CLOEXEC);
	if (dev->wait_fd < 0)
		return -errno;
	return epoll_ctl(dev->wait_fd, EPOLL_CTL_ADD, dev->own_fd, &event) < 0 ? -errno : 0;
}

/* Only once it was open does our side know that nobody has it open. */
/* syscalls(setup): ioctl:TIOCGPTPEER */
static int open_once(const struct chardev *dev)
{
	const int fd = ioctl(dev->own_fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static int open_pair(struct chardev *dev, char *name, size_t size)
{
	int ret;

	dev->own_fd = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (dev->own_fd < 0 || grantpt(dev->own_fd) < 0 || unlockpt(dev->own_fd) < 0)
		return -errno;
	ret = ptsname_r(dev->own_fd, name, size);
	if (ret)
		return -ret;
	ret = chardev_make_raw(dev->own_fd);
	if (!ret)
		ret = open_once(dev);
	return ret ? ret : watch_for_keys(dev);
}

static int pty_open(struct chardev *dev, const char *path, struct ccr_err *err)
{
	char name[64];
	const int ret = open_pair(dev, name, sizeof(name));

	(void)path;
	if (ret)
		return err_set(err, ret, "%s: no pseudo-terminal: %s", dev->what, strerror(-ret));
	log_info("%s: %s", dev->what, name);
	return 0;
}

/* syscalls(loop): epoll_pwait ppoll */
static void pty_meet(struct chardev *dev)
{
	struct pollfd master = {.fd = dev->own_fd, .events = POLLIN};
	struct epoll_event event;

	/* Only to be told again. */
	(void)!epoll_wait(dev->wait_fd, &event, 1, 0);
	if (poll(&master, 1, 0) < 0)
		return;
	if (!(master.revents & POLLHUP)) {
		if (dev->out_fd < 0)
			chardev_greet(dev);
	} else if (master.revents & POLLIN) {
		/* Keys of somebody who has gone again; nothing else will tell of them. */
		dev->in_fd = dev->own_fd;
	}
}

/* Whoever opens it next finds it as the first one did, whatever the last one has set. */
static void pty_peer_left(struct chardev *dev)
{
	chardev_make_raw(dev->own_fd);
}

const struct chardev_ops chardev_pty_ops = {
	.open = pty_open,
	.meet = pty_meet,
	.peer_left = pty_peer_left,
};
