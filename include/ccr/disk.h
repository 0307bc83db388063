/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host end of a disk: a raw image in a regular file, or a block device.
 *
 * An image is locked while it is open (open file description locks): any number of readers, or one
 * writer. All calls but opening and closing may be made from several threads.
 */
#ifndef CCR_DISK_H
#define CCR_DISK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "ccr/err.h"

#define DISK_SECTOR_SIZE 512u

/**
 * struct disk - an open disk
 * @fd: in blocking mode
 * @size: bytes, a multiple of @block_size
 * @block_size: what the host reads and writes at least, a power of two from 512 up
 * @is_device: it is a block device
 * @mem_align: what buffers that are given to @fd are aligned to; 0 or 1 unless it is O_DIRECT
 */
struct disk {
	int fd;
	uint64_t size;
	uint32_t block_size;
	bool read_only;
	bool is_device;
	uint32_t mem_align;
};

/**
 * enum disk_flags - how a disk is opened
 * @DISK_READ_ONLY: as the user asked; nothing is opened read-only that was not asked to be
 * @DISK_DIRECT: around the host's page cache (O_DIRECT)
 */
enum disk_flags { DISK_READ_ONLY = 1, DISK_DIRECT = 2 };

/**
 * disk_open() - open an image or a block device
 * @flags: of enum disk_flags
 *
 * Return: 0, or -errno with @err set: -EINVAL for what is neither file nor block device, is empty,
 * is no whole number of blocks or has no direct I/O; -EBUSY if somebody else has it; else what
 * open(2) says.
 */
int disk_open(struct disk *disk, const char *path, unsigned flags, struct ccr_err *err);

/** disk_close() - of an open disk, or of one that disk_open() refused */
void disk_close(struct disk *disk);

/**
 * disk_read(), disk_write() - all of @iov, which is used up
 * @offset: bytes; with the size of @iov it lies in the disk
 *
 * Buffers that O_DIRECT does not take go through one that it does. An offset or a size that is no
 * multiple of the block size is the kernel's to refuse, which it does under O_DIRECT.
 *
 * Return: 0; -EIO if the image has become shorter; -EROFS; another -errno of the host's.
 */
int disk_read(const struct disk *disk, struct iovec *iov, unsigned nr_iov, uint64_t offset);
int disk_write(const struct disk *disk, struct iovec *iov, unsigned nr_iov, uint64_t offset);

/** disk_is_aligned() - the kernel takes these buffers as they are */
bool disk_is_aligned(const struct disk *disk, const struct iovec *iov, unsigned nr_iov);

/** disk_advance() - step over the first @done bytes of *@iov, which has no fewer */
void disk_advance(struct iovec **iov, unsigned *nr_iov, size_t done);

/** disk_flush() - what was written is on stable storage on return. Return: 0 or -errno. */
int disk_flush(const struct disk *disk);

/**
 * disk_discard() - the contents of a range no longer matter
 *
 * Return: 0; -EOPNOTSUPP if the host cannot give space back; -EROFS; another -errno.
 */
int disk_discard(const struct disk *disk, uint64_t offset, uint64_t size);

/**
 * disk_zero() - make a range read as zeros, by writing them if there is no better way
 * @may_discard: its space may be given back
 *
 * Return: 0; -EROFS; another -errno.
 */
int disk_zero(const struct disk *disk, uint64_t offset, uint64_t size, bool may_discard);

#endif
