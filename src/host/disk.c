/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ccr/disk.h"

/* Zeros written at a time where the host has no better way. */
#define ZEROS_SIZE ((size_t)64 * 1024)

static int open_path(const char *path, bool read_only)
{
	const int flags = (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return -EINVAL;
	for (;;) {
		/* For block devices O_EXCL is refused while somebody has it mounted. */
		const int fd = open(path, flags | (S_ISBLK(st.st_mode) && !read_only ? O_EXCL : 0));

		if (fd >= 0 || errno != EINTR)
			return fd < 0 ? -errno : fd;
	}
}

/* struct stat is of the open file: @path may have become another since open_path() looked. */
static int find_size(struct disk *disk)
{
	struct stat st;
	int block_size = 0;

	if (fstat(disk->fd, &st) < 0)
		return -errno;
	disk->block_size = DISK_SECTOR_SIZE;
	if (S_ISREG(st.st_mode)) {
		disk->size = (uint64_t)st.st_size;
		return 0;
	}
	if (!S_ISBLK(st.st_mode))
		return -EINVAL;
	if (ioctl(disk->fd, BLKGETSIZE64, &disk->size) < 0 ||
	    ioctl(disk->fd, BLKSSZGET, &block_size) < 0)
		return -errno;
	if (block_size > (int)DISK_SECTOR_SIZE)
		disk->block_size = (uint32_t)block_size;
	return 0;
}

static int take_lock(const struct disk *disk)
{
	struct flock lock = {.l_type = disk->read_only ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET};

	if (fcntl(disk->fd, F_OFD_SETLK, &lock) == 0)
		return 0;
	/* Some file systems have no locks; their images are the user's to look after. */
	if (errno == ENOLCK || errno == EOPNOTSUPP || errno == EINVAL)
		return 0;
	return errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
}

static int explain(int ret, const char *path, bool read_only, struct ccr_err *err)
{
	if (ret == -EINVAL)
		return err_set(err, ret, "disk %s: it is neither a regular file nor a block device",
			       path);
	if (ret == -EBUSY)
		return err_set(err, ret,
			       "disk %s: it is in use; stop the machine or unmount the file system "
			       "that has it, or open it read-only everywhere",
			       path);
	if (!read_only && (ret == -EACCES || ret == -EROFS || ret == -EPERM))
		return err_set(err, ret,
			       "disk %s: cannot open it for writing: %s; ask for it read-only if "
			       "that is enough",
			       path, strerror(-ret));
	return err_set(err, ret, "disk %s: cannot open it: %s", path, strerror(-ret));
}

int disk_open(struct disk *disk, const char *path, bool read_only, struct ccr_err *err)
{
	int ret = 0;

	*disk = (struct disk){.fd = open_path(path, read_only), .read_only = read_only};
	if (disk->fd < 0)
		ret = disk->fd;
	if (!ret)
		ret = find_size(disk);
	if (!ret)
		ret = take_lock(disk);
	if (ret)
		explain(ret, path, read_only, err);
	if (!ret && (disk->size == 0 || disk->size % DISK_SECTOR_SIZE))
		ret = err_set(err, -EINVAL,
			      "disk %s: its size, %llu bytes, is no whole number of %u-byte "
			      "sectors; is it a raw image? 'truncate -s %%%u' rounds it up",
			      path, (unsigned long long)disk->size, DISK_SECTOR_SIZE,
			      DISK_SECTOR_SIZE);
	if (ret)
		disk_close(disk);
	return ret;
}

void disk_close(struct disk *disk)
{
	if (disk->fd >= 0)
		close(disk->fd);
	disk->fd = -1;
}

/* Step over @done bytes, that is the iovecs they fill. */
static void advance(struct iovec **iov, unsigned *nr_iov, size_t done)
{
	while (*nr_iov > 0 && done >= (*iov)->iov_len) {
		done -= (*iov)->iov_len;
		(*iov)++;
		(*nr_iov)--;
	}
	if (*nr_iov > 0) {
		(*iov)->iov_base = (char *)(*iov)->iov_base + done;
		(*iov)->iov_len -= done;
	}
}

static int transfer(ssize_t (*call)(int fd, const struct iovec *iov, int nr_iov, off_t offset),
		    int fd, struct iovec *iov, unsigned nr_iov, uint64_t offset)
{
	while (nr_iov > 0) {
		const ssize_t done = call(fd, iov, (int)nr_iov, (off_t)offset);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		if (done == 0)
			return -EIO;
		offset += (uint64_t)done;
		advance(&iov, &nr_iov, (size_t)done);
	}
	return 0;
}

int disk_read(const struct disk *disk, struct iovec *iov, unsigned nr_iov, uint64_t offset)
{
	return transfer(preadv, disk->fd, iov, nr_iov, offset);
}

int disk_write(const struct disk *disk, struct iovec *iov, unsigned nr_iov, uint64_t offset)
{
	if (disk->read_only)
		return -EROFS;
	return transfer(pwritev, disk->fd, iov, nr_iov, offset);
}

int disk_flush(const struct disk *disk)
{
	return fdatasync(disk->fd) < 0 ? -errno : 0;
}

static int allocate(const struct disk *disk, int mode, uint64_t offset, uint64_t size)
{
	int ret;

	if (disk->read_only)
		return -EROFS;
	do {
		ret = fallocate(disk->fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)size);
	} while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : 0;
}

int disk_discard(const struct disk *disk, uint64_t offset, uint64_t size)
{
	return allocate(disk, FALLOC_FL_PUNCH_HOLE, offset, size);
}

static int write_zeros(const struct disk *disk, uint64_t offset, uint64_t size)
{
	static const char zeros[ZEROS_SIZE];
	int ret = 0;

	while (size > 0 && !ret) {
		const size_t here = size < sizeof(zeros) ? (size_t)size : sizeof(zeros);
		/* Only ever read, but struct iovec serves both directions. */
		struct iovec iov = {(void *)(uintptr_t)zeros, here};

		ret = disk_write(disk, &iov, 1, offset);
		offset += here;
		size -= here;
	}
	return ret;
}

int disk_zero(const struct disk *disk, uint64_t offset, uint64_t size, bool may_discard)
{
	int ret = -EOPNOTSUPP;

	if (may_discard)
		ret = allocate(disk, FALLOC_FL_PUNCH_HOLE, offset, size);
	if (ret == -EOPNOTSUPP)
		ret = allocate(disk, FALLOC_FL_ZERO_RANGE, offset, size);
	if (ret == -EOPNOTSUPP)
		ret = write_zeros(disk, offset, size);
	return ret;
}
