/* SPDX-License-Identifier: Apache-2.0 */
/* File I/O that finishes what it starts: whole reads, whole writes, EINTR retried. */
#ifndef CCR_FILE_H
#define CCR_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "ccr/err.h"

/**
 * struct blob - bytes the holder owns
 * @data: malloc'ed; NULL when @size is 0
 * @size: bytes
 */
struct blob {
	uint8_t *data;
	size_t size;
};

/** blob_free() - release the bytes; takes an all-zero blob, leaves one */
void blob_free(struct blob *blob);

/**
 * file_open_ro() - open an existing file for reading, O_CLOEXEC
 * @what: the name of the thing in messages, for example "kernel image"
 *
 * Directories are refused.
 *
 * Return: a descriptor, or -errno with @err set.
 */
int file_open_ro(const char *path, const char *what, struct ccr_err *err);

/**
 * file_read_all() - the whole content of an open file, from its start
 * @fd: a regular file, block device or pipe
 * @max_size: more than that is refused with -EFBIG
 * @what: the name of the thing in messages
 * @ret_blob: the content; the caller owns it. Untouched on error.
 *
 * Return: 0, or -errno with @err set.
 */
int file_read_all(int fd, size_t max_size, const char *what, struct blob *ret_blob,
		  struct ccr_err *err);

/**
 * file_read_at() - a part of a file that has positions
 * @buf: @size bytes, from @offset on
 *
 * Return: 0; -ENODATA if the file ends before; another -errno.
 */
int file_read_at(int fd, void *buf, size_t size, uint64_t offset);

/**
 * file_read_rest() - file_read_at() of what must be the file's last bytes
 *
 * Return: 0; -ESTALE if the file is longer or shorter; another -errno.
 */
int file_read_rest(int fd, void *buf, size_t size, uint64_t offset);

/**
 * struct file_stamp - what tells that a file was written to
 * @size, @mtime_ns: of a regular file; of anything else, which has no such signs, 0
 */
struct file_stamp {
	uint64_t size;
	int64_t mtime_ns;
};

/**
 * file_stamp() - look at an open file
 *
 * Its name does not matter: a file that another one is renamed over stays what it was.
 *
 * Return: 0, or -errno.
 */
int file_stamp(int fd, struct file_stamp *ret_stamp);

/**
 * file_check_stamp() - is it the same still?
 *
 * Writes within the clock tick of file_stamp(), a few milliseconds, are seen only by kernels whose
 * time stamps are finer.
 *
 * Return: 0; -ESTALE if it was written to since; another -errno.
 */
int file_check_stamp(int fd, const struct file_stamp *stamp);

/** file_load() - file_open_ro() and file_read_all() in one; same parameters and errors */
int file_load(const char *path, size_t max_size, const char *what, struct blob *ret_blob,
	      struct ccr_err *err);

/**
 * file_save() - replace a file as a whole: written beside it, synced, then renamed
 *
 * Devices, pipes and symbolic links (such as /dev/stdout) are written in place.
 *
 * Return: 0, or -errno with @err set and @path untouched (unless it is written in place).
 */
int file_save(const char *path, const void *data, size_t size, const char *what,
	      struct ccr_err *err);

/**
 * file_write_full() - write all of @size bytes, whatever write(2) accepts at a time
 *
 * Return: 0 or -errno.
 */
int file_write_full(int fd, const void *data, size_t size);

#endif
