/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ccr/file.h"

/* Least step by which the buffer of a file of unknown size grows. */
#define GROW_SIZE ((size_t)64 * 1024)

/* Large buffers are of huge pages where the kernel has some: filling them takes half the time. */
#define HUGE_SIZE ((size_t)2 << 20)

/* syscalls(build): madvise:MADV_HUGEPAGE */
static uint8_t *new_buffer(size_t size)
{
	const size_t whole = size / HUGE_SIZE * HUGE_SIZE;
	void *data;

	if (whole == 0)
		return malloc(size);
	if (posix_memalign(&data, HUGE_SIZE, size))
		return NULL;
	(void)madvise(data, whole, MADV_HUGEPAGE);
	return data;
}

void blob_free(struct blob *blob)
{
	free(blob->data);
	blob->data = NULL;
	blob->size = 0;
}

int file_open_ro(const char *path, const char *what, struct ccr_err *err)
{
	struct stat st;
	int fd;
	int rc = 0;

	do {
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	} while (fd < 0 && errno == EINTR);
	if (fd < 0) {
		rc = -errno;
		return err_set(err, rc, "%s %s: cannot open it: %s", what, path, strerror(-rc));
	}
	if (fstat(fd, &st) < 0)
		rc = -errno;
	else if (S_ISDIR(st.st_mode))
		rc = -EISDIR;
	if (rc) {
		(void)close(fd);
		return err_set(err, rc, "%s %s: cannot read it: %s", what, path, strerror(-rc));
	}
	return fd;
}

/* One read(2), or pread(2) where the file has positions. Return: bytes, 0 at the end, or -errno. */
/* syscalls(build): pread64 read */
static ssize_t read_some(int fd, bool seekable, uint8_t *buf, size_t size, size_t offset)
{
	ssize_t nr;

	do {
		nr = seekable ? pread(fd, buf, size, (off_t)offset) : read(fd, buf, size);
	} while (nr < 0 && errno == EINTR);
	return nr < 0 ? -errno : nr;
}

/*
 * Read to the end of the file. @blob comes with a buffer of the size expected; when that is full,
 * one more byte is asked for, and only a file that has one makes the buffer grow: the usual case
 * is read straight into a buffer of its size, and a file that grows or never ends is still safe.
 */
static int read_to_end(int fd, bool seekable, size_t capacity, size_t max_size, struct blob *blob)
{
	for (;;) {
		bool full = blob->size == capacity;
		uint8_t extra;
		ssize_t nr = read_some(fd, seekable, full ? &extra : blob->data + blob->size,
				       full ? 1 : capacity - blob->size, blob->size);

		if (nr <= 0)
			return (int)nr;
		if (full) {
			size_t step = capacity > GROW_SIZE ? capacity : GROW_SIZE;
			uint8_t *data;

			if (capacity == max_size)
				return -EFBIG;
			capacity += step < max_size - capacity ? step : max_size - capacity;
			data = realloc(blob->data, capacity);
			if (!data)
				return -ENOMEM;
			blob->data = data;
			blob->data[blob->size] = extra;
		}
		blob->size += (size_t)nr;
	}
}

/* Give back what a file that was shorter than its buffer left over. */
static void shrink(struct blob *blob)
{
	uint8_t *data;

	if (!blob->size) {
		blob_free(blob);
		return;
	}
	data = realloc(blob->data, blob->size);
	if (data)
		blob->data = data;
}

/* syscalls(build): newfstatat lseek */
int file_read_all(int fd, size_t max_size, const char *what, struct blob *ret_blob,
		  struct ccr_err *err)
{
	struct blob blob = {0};
	off_t expected = 0;
	struct stat st;
	bool seekable;
	int rc;

	if (fstat(fd, &st) < 0) {
		rc = -errno;
		return err_set(err, rc, "%s: cannot read it: %s", what, strerror(-rc));
	}
	seekable = S_ISREG(st.st_mode) || S_ISBLK(st.st_mode);
	if (S_ISREG(st.st_mode))
		expected = st.st_size;
	else if (S_ISBLK(st.st_mode))
		expected = lseek(fd, 0, SEEK_END);
	if (expected < 0)
		expected = 0;
	if ((uintmax_t)expected > max_size) {
		rc = -EFBIG;
		goto fail;
	}
	if (expected) {
		blob.data = new_buffer((size_t)expected);
		if (!blob.data) {
			rc = -ENOMEM;
			goto fail;
		}
	}
	rc = read_to_end(fd, seekable, (size_t)expected, max_size, &blob);
	if (rc)
		goto fail;
	if (blob.size != (size_t)expected)
		shrink(&blob);
	*ret_blob = blob;
	return 0;

fail:
	blob_free(&blob);
	if (rc == -EFBIG)
		return err_set(err, rc, "%s: larger than %zu bytes, the most that is accepted",
			       what, max_size);
	return err_set(err, rc, "%s: cannot read it: %s", what, strerror(-rc));
}

int file_read_at(int fd, void *buf, size_t size, uint64_t offset)
{
	uint8_t *at = buf;

	while (size > 0) {
		const ssize_t nr = read_some(fd, true, at, size, offset);

		if (nr <= 0)
			return nr < 0 ? (int)nr : -ENODATA;
		at += nr;
		offset += (uint64_t)nr;
		size -= (size_t)nr;
	}
	return 0;
}

int file_read_rest(int fd, void *buf, size_t size, uint64_t offset)
{
	uint8_t more;
	int ret = file_read_at(fd, buf, size, offset);

	if (!ret)
		ret = file_read_at(fd, &more, sizeof(more), offset + size);
	else if (ret == -ENODATA)
		return -ESTALE;
	return ret == -ENODATA ? 0 : ret ? ret : -ESTALE;
}

/* syscalls(build): newfstatat */
int file_stamp(int fd, struct file_stamp *ret_stamp)
{
	struct stat st;

	*ret_stamp = (struct file_stamp){0};
	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISREG(st.st_mode))
		*ret_stamp = (struct file_stamp){
			.size = (uint64_t)st.st_size,
			.mtime_ns = st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec,
		};
	return 0;
}

int file_check_stamp(int fd, const struct file_stamp *stamp)
{
	struct file_stamp now;
	const int ret = file_stamp(fd, &now);

	if (ret)
		return ret;
	return now.size == stamp->size && now.mtime_ns == stamp->mtime_ns ? 0 : -ESTALE;
}

int file_load(const char *path, size_t max_size, const char *what, struct blob *ret_blob,
	      struct ccr_err *err)
{
	char name[sizeof(((struct ccr_err *)0)->msg)];
	int fd = file_open_ro(path, what, err);
	int rc;

	if (fd < 0)
		return fd;
	(void)snprintf(name, sizeof(name), "%s %s", what, path);
	rc = file_read_all(fd, max_size, name, ret_blob, err);
	(void)close(fd);
	return rc;
}

int file_write_full(int fd, const void *data, size_t size)
{
	const uint8_t *bytes = data;

	while (size) {
		ssize_t nr = write(fd, bytes, size);

		if (nr < 0 && errno == EINTR)
			continue;
		if (nr < 0)
			return -errno;
		if (nr == 0)
			return -EIO;
		bytes += nr;
		size -= (size_t)nr;
	}
	return 0;
}

static bool is_stdout(const char *path)
{
	struct stat named, out;

	return stat(path, &named) == 0 && fstat(STDOUT_FILENO, &out) == 0 &&
	       named.st_dev == out.st_dev && named.st_ino == out.st_ino;
}

static int save_in_place(const char *path, const void *data, size_t size)
{
	int fd, rc;

	/* Opened a second time, a redirected stdout would be overwritten from its start. */
	if (is_stdout(path))
		return file_write_full(STDOUT_FILENO, data, size);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666);
	if (fd < 0)
		return -errno;
	rc = file_write_full(fd, data, size);
	if (close(fd) < 0 && !rc)
		rc = -errno;
	return rc;
}

/* syscalls(setup): fsync */
static int save_beside(const char *path, const void *data, size_t size)
{
	char temporary[PATH_MAX];
	int length = snprintf(temporary, sizeof(temporary), "%s.%ld.tmp", path, (long)getpid());
	int fd, rc;

	if (length < 0 || (size_t)length >= sizeof(temporary))
		return -ENAMETOOLONG;
	/* A leftover of this name is from a dead process with our pid. */
	(void)unlink(temporary);
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0)
		return -errno;
	rc = file_write_full(fd, data, size);
	if (!rc && fsync(fd) < 0)
		rc = -errno;
	if (close(fd) < 0 && !rc)
		rc = -errno;
	if (!rc && rename(temporary, path) < 0)
		rc = -errno;
	if (rc)
		(void)unlink(temporary);
	return rc;
}

int file_save(const char *path, const void *data, size_t size, const char *what,
	      struct ccr_err *err)
{
	struct stat st;
	/* Not stat(): renaming over /dev/stdout would replace the link, whatever it points to. */
	bool in_place = lstat(path, &st) == 0 && !S_ISREG(st.st_mode);
	int rc = in_place ? save_in_place(path, data, size) : save_beside(path, data, size);

	if (rc)
		return err_set(err, rc, "%s %s: cannot write it: %s", what, path, strerror(-rc));
	return 0;
}
