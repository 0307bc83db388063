/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ccr/log.h"
#include "internal.h"

/*
 * A non-blocking descriptor for stdout that leaves the flags of the one we were given alone: other
 * programs share its open file. Regular files never block, and a second opening of one would have
 * its own position, so they are only duplicated. So are sockets, which have non-blocking calls, and
 * what belongs to another user and so cannot be opened again.
 */
static int open_output(struct chardev *dev)
{
	struct stat st;
	int fd = -1;

	if (fstat(STDOUT_FILENO, &st) < 0)
		return -errno;
	if (S_ISCHR(st.st_mode) || S_ISFIFO(st.st_mode)) {
		fd = open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		dev->may_block = fd < 0;
	}
	dev->is_socket = S_ISSOCK(st.st_mode);
	if (fd < 0)
		fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	dev->own_fd = fd;
	dev->out_fd = fd;
	return fd < 0 ? -errno : 0;
}

/* In the background, touching the terminal would stop us. */
static bool owns_terminal(void)
{
	return tcgetpgrp(STDIN_FILENO) == getpgrp();
}

static int open_terminal(struct chardev *dev)
{
	int ret;

	ret = chardev_make_raw(STDIN_FILENO);
	if (ret)
		return ret;
	dev->is_raw = true;
	dev->is_terminal = true;
	dev->in_fd = STDIN_FILENO;
	log_raw_terminal(true);
	return 0;
}

static int stdio_open(struct chardev *dev, const char *path, struct ccr_err *err)
{
	int ret = open_output(dev);

	(void)path;
	if (ret)
		return err_set(err, ret, "%s: stdout cannot be used: %s", dev->what,
			       strerror(-ret));
	dev->is_patient = true;
	if (isatty(STDIN_FILENO))
		dev->has_saved = tcgetattr(STDIN_FILENO, &dev->saved) == 0;
	else if (fcntl(STDIN_FILENO, F_GETFD) >= 0)
		dev->in_fd = STDIN_FILENO;
	return 0;
}

/* syscalls(build): ioctl:TIOCGPGRP ioctl:TCGETS ioctl:TCSETS */
static int stdio_start(struct chardev *dev, struct ccr_err *err)
{
	int ret;

	if (dev->is_raw || !dev->has_saved || !owns_terminal())
		return 0;
	ret = open_terminal(dev);
	if (ret)
		return err_set(err, ret, "%s: cannot set up the terminal: %s", dev->what,
			       strerror(-ret));
	return 0;
}

/* It may have been made raw in the machine's process, which then was killed. */
static void stdio_close(struct chardev *dev)
{
	if (!dev->has_saved || !owns_terminal())
		return;
	tcsetattr(STDIN_FILENO, TCSANOW, &dev->saved);
	log_raw_terminal(false);
}

static void stdio_output_lost(struct chardev *dev, int code)
{
	log_warn("%s: stdout is gone (%s); what the guest prints is lost from now on", dev->what,
		 strerror(-code));
	dev->drops = true;
}

const struct chardev_ops chardev_stdio_ops = {
	.open = stdio_open,
	.start = stdio_start,
	.close = stdio_close,
	.output_lost = stdio_output_lost,
};
