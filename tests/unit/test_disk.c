/* SPDX-License-Identifier: Apache-2.0 */
/* links: src/host/disk.c src/util/err.c */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ccr/disk.h"

#define IMAGE_SIZE (256u * 1024)

struct bench {
	char path[64];
	char dir[32];
	struct ccr_err err;
	struct disk disk;
};

static int bench_begin(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	int fd;

	assert_non_null(b);
	strcpy(b->dir, "/tmp/test_disk.XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	snprintf(b->path, sizeof(b->path), "%s/image", b->dir);
	fd = open(b->path, O_RDWR | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, IMAGE_SIZE), 0);
	close(fd);
	b->disk.fd = -1;
	*state = b;
	return 0;
}

static int bench_end(void **state)
{
	struct bench *b = *state;

	disk_close(&b->disk);
	unlink(b->path);
	rmdir(b->dir);
	free(b);
	return 0;
}

static void test_open(void **state)
{
	struct bench *b = *state;

	assert_int_equal(disk_open(&b->disk, b->path, 0, &b->err), 0);
	assert_int_equal(b->disk.size, IMAGE_SIZE);
	assert_int_equal(b->disk.block_size, 512);
	assert_false(b->disk.read_only);
	disk_close(&b->disk);
	disk_close(&b->disk);
}

static void refuse(struct bench *b, const char *path, bool read_only, int code, const char *words)
{
	err_clear(&b->err);
	assert_int_equal(disk_open(&b->disk, path, read_only, &b->err), code);
	assert_int_equal(b->err.code, code);
	assert_non_null(strstr(b->err.msg, path));
	assert_non_null(strstr(b->err.msg, words));
	assert_int_equal(b->disk.fd, -1);
}

static void test_refused(void **state)
{
	struct bench *b = *state;
	char fifo[64];

	refuse(b, "/nonexistent/image", false, -ENOENT, "No such file");
	refuse(b, b->dir, true, -EINVAL, "neither");
	refuse(b, "/dev/null", false, -EINVAL, "neither");
	snprintf(fifo, sizeof(fifo), "%s/fifo", b->dir);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	refuse(b, fifo, true, -EINVAL, "neither");
	unlink(fifo);
	assert_int_equal(truncate(b->path, 1000), 0);
	refuse(b, b->path, false, -EINVAL, "1000 bytes");
	assert_int_equal(truncate(b->path, 0), 0);
	refuse(b, b->path, true, -EINVAL, "0 bytes");
}

static void test_locks(void **state)
{
	struct bench *b = *state;
	struct disk other;

	assert_int_equal(disk_open(&other, b->path, DISK_READ_ONLY, &b->err), 0);
	assert_int_equal(disk_open(&b->disk, b->path, DISK_READ_ONLY, &b->err), 0);
	disk_close(&b->disk);
	refuse(b, b->path, false, -EBUSY, "in use");
	disk_close(&other);
	assert_int_equal(disk_open(&other, b->path, 0, &b->err), 0);
	refuse(b, b->path, true, -EBUSY, "in use");
	disk_close(&other);
}

static void test_read_write(void **state)
{
	struct bench *b = *state;
	char out[1024], in[1024];
	struct iovec iov[3] = {{out, 100}, {out + 100, 24}, {out + 124, 900}};

	for (unsigned i = 0; i < sizeof(out); i++)
		out[i] = (char)(i * 7);
	assert_int_equal(disk_open(&b->disk, b->path, 0, &b->err), 0);
	assert_int_equal(disk_write(&b->disk, iov, 3, 4096), 0);
	assert_int_equal(disk_flush(&b->disk), 0);
	iov[0] = (struct iovec){in, 1000};
	iov[1] = (struct iovec){in + 1000, 24};
	assert_int_equal(disk_read(&b->disk, iov, 2, 4096), 0);
	assert_memory_equal(in, out, sizeof(in));
}

static void test_read_only(void **state)
{
	struct bench *b = *state;
	char bytes[512] = {0};
	struct iovec iov = {bytes, sizeof(bytes)};

	assert_int_equal(disk_open(&b->disk, b->path, DISK_READ_ONLY, &b->err), 0);
	assert_int_equal(disk_write(&b->disk, &iov, 1, 0), -EROFS);
	assert_int_equal(disk_discard(&b->disk, 0, 512), -EROFS);
	assert_int_equal(disk_zero(&b->disk, 0, 512, false), -EROFS);
	assert_int_equal(disk_read(&b->disk, &iov, 1, 0), 0);
}

/* Somebody cuts the image off under the machine. */
static void test_image_shrinks(void **state)
{
	struct bench *b = *state;
	char bytes[8192];
	struct iovec iov = {bytes, sizeof(bytes)};

	assert_int_equal(disk_open(&b->disk, b->path, 0, &b->err), 0);
	assert_int_equal(truncate(b->path, 4096), 0);
	assert_int_equal(disk_read(&b->disk, &iov, 1, 0), -EIO);
}

static void test_zero(void **state)
{
	struct bench *b = *state;
	static char bytes[IMAGE_SIZE], zeros[IMAGE_SIZE];
	struct iovec iov = {bytes, sizeof(bytes)};
	int ret;

	memset(bytes, 0xaa, sizeof(bytes));
	assert_int_equal(disk_open(&b->disk, b->path, 0, &b->err), 0);
	assert_int_equal(disk_write(&b->disk, &iov, 1, 0), 0);
	assert_int_equal(disk_zero(&b->disk, 512, 100 * 1024, false), 0);
	assert_int_equal(disk_zero(&b->disk, 128 * 1024, 65536, true), 0);
	ret = disk_discard(&b->disk, 252 * 1024, 4096);
	assert_true(ret == 0 || ret == -EOPNOTSUPP);
	iov = (struct iovec){bytes, sizeof(bytes)};
	assert_int_equal(disk_read(&b->disk, &iov, 1, 0), 0);
	assert_int_equal((uint8_t)bytes[511], 0xaa);
	assert_memory_equal(bytes + 512, zeros, 100 * 1024);
	assert_int_equal((uint8_t)bytes[512 + 100 * 1024], 0xaa);
	assert_memory_equal(bytes + 128 * 1024, zeros, 65536);
	assert_int_equal((uint8_t)bytes[192 * 1024], 0xaa);
	assert_int_equal(lseek(b->disk.fd, 0, SEEK_END), IMAGE_SIZE);
}

#define DISK_TEST(f) cmocka_unit_test_setup_teardown(f, bench_begin, bench_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		DISK_TEST(test_open),      DISK_TEST(test_refused),
		DISK_TEST(test_locks),     DISK_TEST(test_read_write),
		DISK_TEST(test_read_only), DISK_TEST(test_image_shrinks),
		DISK_TEST(test_zero),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
