/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ccr/log.h"
#include "internal.h"

/* Disks hold such locks too, so that no console empties the disk of a machine. */
static int lock_file(int fd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
		return 0;
	return errno == EAGAIN || errno == EACCES ? -EBUSY : 0;
}

/* Return: 0; -EMEDIUMTYPE if it is something that no log goes to. */
/* syscalls(setup): ftruncate */
static int take_file(struct chardev *dev)
{
	struct stat st;
	int ret;

	if (fstat(dev->own_fd, &st) < 0)
		return -errno;
	if (S_ISCHR(st.st_mode) || S_ISFIFO(st.st_mode))
		return 0;
	if (!S_ISREG(st.st_mode))
		return -EMEDIUMTYPE;
	ret = lock_file(dev->own_fd);
	if (ret)
		return ret;
	return ftruncate(dev->own_fd, 0) < 0 ? -errno : 0;
}

static int explain(int ret, const char *what, const char *path, struct ccr_err *err)
{
	if (ret == -EBUSY)
		return err_set(err, ret, "%s: %s is in use by another machine", what, path);
	if (ret == -ENXIO)
		return err_set(err, ret,
			       "%s: %s cannot be written: it is a socket (say socket:%s) or a "
			       "pipe that nobody reads",
			       what, path, path);
	if (ret == -EMEDIUMTYPE)
		return err_set(err, ret, "%s: %s is not a file that output can go to", what, path);
	return err_set(err, ret, "%s: cannot open %s: %s", what, path, strerror(-ret));
}

/* Appending, so that whoever cuts the file meanwhile does not leave a hole in it. */
static int file_open(struct chardev *dev, const char *path, struct ccr_err *err)
{
	const int flags = O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	int ret = 0;

	dev->own_fd = open(path, flags, 0600);
	if (dev->own_fd < 0)
		ret = -errno;
	if (!ret)
		ret = take_file(dev);
	if (ret)
		return explain(ret, dev->what, path, err);
	dev->out_fd = dev->own_fd;
	return 0;
}

static void file_output_lost(struct chardev *dev, int code)
{
	log_warn("%s: its file cannot be written (%s); what the guest prints is lost from now on",
		 dev->what, strerror(-code));
	dev->drops = true;
}

const struct chardev_ops chardev_file_ops = {
	.open = file_open,
	.output_lost = file_output_lost,
};
