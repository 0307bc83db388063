/* SPDX-License-Identifier: Apache-2.0 */
/* links: src/util/err.c src/util/file.c src/boot/kernel.c */
/*
 * Properties: kernel_unpack() of any bytes returns 0, or an error with a sentence and the blob
 * unchanged; packing any bytes as two gzip members and something behind them, then unpacking,
 * gives the bytes back; kernel_describe() always answers.
 */
#define ZLIB_CONST 1 /* next_in points to const */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "ccr/kernel.h"

#define MAX_SIZE 4096 /* inflates to 4 MiB at most, which keeps a run short */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void any_bytes(const uint8_t *data, size_t size)
{
	struct blob blob = {malloc(size ? size : 1), size};
	struct ccr_err err = {0};
	const uint8_t *before = blob.data;
	int rc;

	check(before != NULL);
	memcpy(blob.data, data, size);
	check(*kernel_describe(blob.data, size) != '\0');
	rc = kernel_unpack(&blob, "file", &err);
	check(err.code == rc && (rc == 0) == (*err.msg == '\0'));
	if (rc) {
		check(rc == -EINVAL || rc == -EFBIG || rc == -ENOMEM);
		check(blob.data == before && blob.size == size);
		check(memcmp(blob.data, data, size) == 0);
	}
	check(blob.size <= KERNEL_MAX_SIZE);
	blob_free(&blob);
}

static void add_member(struct blob *blob, const uint8_t *data, size_t size, int level)
{
	z_stream z = {0};

	check(deflateInit2(&z, level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
	z.next_in = data;
	z.avail_in = (uInt)size;
	z.avail_out = (uInt)deflateBound(&z, size);
	blob->data = realloc(blob->data, blob->size + z.avail_out);
	check(blob->data != NULL);
	z.next_out = blob->data + blob->size;
	check(deflate(&z, Z_FINISH) == Z_STREAM_END);
	blob->size += z.total_out;
	deflateEnd(&z);
}

static void there_and_back(const uint8_t *data, size_t size)
{
	size_t first = size ? data[0] % size : 0;
	struct blob blob = {0};

	add_member(&blob, data, first, 9);
	add_member(&blob, data + first, size - first, 0);
	blob.data = realloc(blob.data, blob.size + 1);
	check(blob.data != NULL);
	blob.data[blob.size++] = 0x1f;
	check(kernel_unpack(&blob, "file", NULL) == 0);
	check(blob.size == size && (!size || memcmp(blob.data, data, size) == 0));
	blob_free(&blob);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > MAX_SIZE)
		return 0;
	any_bytes(data, size);
	there_and_back(data, size);
	return 0;
}
