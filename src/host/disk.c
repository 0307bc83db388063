/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "ccr/disk.h"

/* Zeros written at a time where the host has no better way. */
#define ZEROS_SIZE ((size_t)64 * 1024)

/* What O_DIRECT asks of a file whose file system does not say. */
#define DIRECT_ALIGN 4096u

/* Copied at a time where O_DIRECT does not take the guest's own buffers. */
#define BOUNCE_SIZE ((size_t)256 * 1024)

/* A host that is short of something is asked again so often, a millisecond apart. */
#define MAX_RETRIES 100

static int open_path(const char *path, unsigned flags)
{
	const bool read_only = flags & DISK_READ_ONLY;
	const int mode = (read_only ? O_RDONLY : O_RDWR) | (flags & DISK_DIRECT ? O_DIRECT : 0) |
			 O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return -ENOTBLK;
	for (;;) {
		/* For block devices O_EXCL is refused while somebody has it mounted. */
		const int fd = open(path, mode | (S_ISBLK(st.st_mode) && !read_only ? O_EXCL : 0));

		if (fd >= 0 || errno != EINTR)
			return fd < 0 ? -errno : fd;
	}
}

/* O_NONBLOCK was for FIFOs in disguise. Under it io_uring would give up instead of waiting. */
static int make_blocking(const struct disk *disk)
{
	const int flags = fcntl(disk->fd, F_GETFL);

	if (flags < 0 || fcntl(disk->fd, F_SETFL, flags & ~O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

/* What O_DIRECT asks of buffers and offsets; kernels before 6.1 do not tell. */
static void find_alignment(struct disk *disk)
{
	struct statx stx;

	disk->mem_align = disk->is_device ? disk->block_size : DIRECT_ALIGN;
	if (!disk->is_device)
		disk->block_size = DIRECT_ALIGN;
	if (statx(disk->fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &stx) < 0 ||
	    !(stx.stx_mask & STATX_DIOALIGN) || stx.stx_dio_offset_align == 0)
		return;
	disk->mem_align = stx.stx_dio_mem_align;
	disk->block_size = stx.stx_dio_offset_align > DISK_SECTOR_SIZE ? stx.stx_dio_offset_align
								       : DISK_SECTOR_SIZE;
}

/* Devices that are only to be read are opened for writing all the same, and refuse each write. */
/* syscalls(setup): ioctl:BLKGETSIZE64 ioctl:BLKROGET ioctl:BLKSSZGET */
static int find_device_size(struct disk *disk)
{
	int block_size = 0, is_read_only = 0;

	if (ioctl(disk->fd, BLKROGET, &is_read_only) < 0 ||
	    ioctl(disk->fd, BLKGETSIZE64, &disk->size) < 0 ||
	    ioctl(disk->fd, BLKSSZGET, &block_size) < 0)
		return -errno;
	if (is_read_only && !disk->read_only)
		return -EROFS;
	if (block_size > (int)DISK_SECTOR_SIZE)
		disk->block_size = (uint32_t)block_size;
	return 0;
}

/* struct stat is of the open file: @path may have become another since open_path() looked. */
static int find_size(struct disk *disk)
{
	struct stat st;

	if (fstat(disk->fd, &st) < 0)
		return -errno;
	disk->block_size = DISK_SECTOR_SIZE;
	disk->is_device = S_ISBLK(st.st_mode);
	if (S_ISREG(st.st_mode)) {
		disk->size = (uint64_t)st.st_size;
		return 0;
	}
	return disk->is_device ? find_device_size(disk) : -ENOTBLK;
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

static int explain(int ret, const char *path, unsigned flags, struct ccr_err *err)
{
	if (ret == -ENOTBLK)
		return err_set(err, -EINVAL,
			       "disk %s: it is neither a regular file nor a block device", path);
	if (ret == -EINVAL && flags & DISK_DIRECT)
		return err_set(err, ret,
			       "disk %s: its file system has no direct I/O; leave out 'direct'",
			       path);
	if (ret == -EBUSY)
		return err_set(err, ret,
			       "disk %s: it is in use; stop the machine or unmount the file system "
			       "that has it, or open it read-only everywhere",
			       path);
	if (!(flags & DISK_READ_ONLY) && (ret == -EACCES || ret == -EROFS || ret == -EPERM))
		return err_set(err, ret,
			       "disk %s: cannot open it for writing: %s; ask for it read-only if "
			       "that is enough",
			       path, strerror(-ret));
	return err_set(err, ret, "disk %s: cannot open it: %s", path, strerror(-ret));
}

int disk_open(struct disk *disk, const char *path, unsigned flags, struct ccr_err *err)
{
	int ret = 0;

	*disk = (struct disk){
		.fd = open_path(path, flags),
		.read_only = flags & DISK_READ_ONLY,
		.mem_align = 1,
	};
	if (disk->fd < 0)
		ret = disk->fd;
	if (!ret)
		ret = find_size(disk);
	if (!ret)
		ret = make_blocking(disk);
	if (!ret)
		ret = take_lock(disk);
	if (ret)
		ret = explain(ret, path, flags, err);
	if (!ret && flags & DISK_DIRECT)
		find_alignment(disk);
	if (!ret && (disk->size == 0 || disk->size % disk->block_size))
		ret = err_set(err, -EINVAL,
			      "disk %s: its size, %llu bytes, is no whole number of %u-byte "
			      "sectors; is it a raw image? 'truncate -s %%%u' rounds it up",
			      path, (unsigned long long)disk->size, disk->block_size,
			      disk->block_size);
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

void disk_advance(struct iovec **iov, unsigned *nr_iov, size_t done)
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

bool disk_is_aligned(const struct disk *disk, const struct iovec *iov, unsigned nr_iov)
{
	const uintptr_t mask = disk->mem_align > 1 ? disk->mem_align - 1 : 0;

	/* Buffers are cut at sectors, or O_DIRECT's sizes would not add up either. */
	for (unsigned i = 0; i < nr_iov && mask; i++) {
		if ((uintptr_t)iov[i].iov_base & mask || iov[i].iov_len % disk->block_size)
			return false;
	}
	return true;
}

typedef ssize_t (*transfer_fn)(int fd, const struct iovec *iov, int nr_iov, off_t offset);

/* syscalls(worker): clock_nanosleep */
static int pause_for(unsigned *nr_retries)
{
	const struct timespec pause = {.tv_nsec = 1000000};

	if (++*nr_retries > MAX_RETRIES)
		return -EAGAIN;
	nanosleep(&pause, NULL);
	return 0;
}

static int transfer_all(transfer_fn call, int fd, struct iovec *iov, unsigned nr_iov,
			uint64_t offset)
{
	unsigned nr_retries = 0;

	while (nr_iov > 0) {
		const ssize_t done = call(fd, iov, (int)nr_iov, (off_t)offset);

		if (done < 0 && (errno == EINTR || (errno == EAGAIN && !pause_for(&nr_retries))))
			continue;
		if (done < 0)
			return -errno;
		if (done == 0)
			return -EIO;
		offset += (uint64_t)done;
		disk_advance(&iov, &nr_iov, (size_t)done);
	}
	return 0;
}

/* Copy between @buf and the beginning of @iov, which is used up so far. Return: bytes. */
static size_t copy_piece(struct iovec **iov, unsigned *nr_iov, uint8_t *buf, size_t max,
			 bool is_write)
{
	size_t done = 0;

	while (*nr_iov > 0 && done < max) {
		const size_t here = (*iov)->iov_len < max - done ? (*iov)->iov_len : max - done;

		if (is_write)
			memcpy(buf + done, (*iov)->iov_base, here);
		else
			memcpy((*iov)->iov_base, buf + done, here);
		disk_advance(iov, nr_iov, here);
		done += here;
	}
	return done;
}

static size_t size_of(const struct iovec *iov, unsigned nr_iov)
{
	size_t size = 0;

	for (unsigned i = 0; i < nr_iov; i++)
		size += iov[i].iov_len;
	return size;
}

/* O_DIRECT with buffers that it does not take: through one that it does. */
static int transfer_bounced(const struct disk *disk, bool is_write, struct iovec *iov,
			    unsigned nr_iov, uint64_t offset)
{
	size_t left = size_of(iov, nr_iov);
	void *buf = NULL;
	int ret;

	ret = -posix_memalign(&buf, disk->mem_align > DIRECT_ALIGN ? disk->mem_align : DIRECT_ALIGN,
			      left < BOUNCE_SIZE ? left : BOUNCE_SIZE);
	while (!ret && left > 0) {
		struct iovec piece = {buf, left < BOUNCE_SIZE ? left : BOUNCE_SIZE};
		const size_t size = piece.iov_len;

		if (is_write)
			copy_piece(&iov, &nr_iov, buf, size, true);
		ret = transfer_all(is_write ? pwritev : preadv, disk->fd, &piece, 1, offset);
		if (!ret && !is_write)
			copy_piece(&iov, &nr_iov, buf, size, false);
		offset += size;
		left -= size;
	}
	free(buf);
	return ret;
}

/* syscalls(worker): preadv */
int disk_read(const struct disk *disk, struct iovec *iov, unsigned nr_iov, uint64_t offset)
{
	if (!disk_is_aligned(disk, iov, nr_iov))
		return transfer_bounced(disk, false, iov, nr_iov, offset);
	return transfer_all(preadv, disk->fd, iov, nr_iov, offset);
}

/* syscalls(worker): pwritev */
int disk_write(const struct disk *disk, struct iovec *iov, unsigned nr_iov, uint64_t offset)
{
	if (disk->read_only)
		return -EROFS;
	if (!disk_is_aligned(disk, iov, nr_iov))
		return transfer_bounced(disk, true, iov, nr_iov, offset);
	return transfer_all(pwritev, disk->fd, iov, nr_iov, offset);
}

/* syscalls(worker): fdatasync */
int disk_flush(const struct disk *disk)
{
	return fdatasync(disk->fd) < 0 ? -errno : 0;
}

/* syscalls(worker): fallocate */
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

/* syscalls(worker): ioctl:BLKDISCARD ioctl:BLKZEROOUT */
static int call_device(const struct disk *disk, unsigned long request, uint64_t offset,
		       uint64_t size)
{
	const uint64_t range[] = {offset, size};

	if (disk->read_only)
		return -EROFS;
	return ioctl(disk->fd, request, range) < 0 ? -errno : 0;
}

int disk_discard(const struct disk *disk, uint64_t offset, uint64_t size)
{
	if (disk->is_device)
		return call_device(disk, BLKDISCARD, offset, size);
	return allocate(disk, FALLOC_FL_PUNCH_HOLE, offset, size);
}

static int write_zeros(const struct disk *disk, uint64_t offset, uint64_t size)
{
	static const char zeros[ZEROS_SIZE] __attribute__((aligned(DIRECT_ALIGN)));
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
		ret = disk->is_device ? call_device(disk, BLKZEROOUT, offset, size)
				      : allocate(disk, FALLOC_FL_ZERO_RANGE, offset, size);
	if (ret == -EOPNOTSUPP)
		ret = write_zeros(disk, offset, size);
	return ret;
}
