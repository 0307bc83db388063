/* SPDX-License-Identifier: Apache-2.0 */
/* about: src/boot/kernel.c src/boot/unpack.c */
/* links: src/util/err.c src/util/file.c src/boot/elf.c src/boot/kernel.c src/boot/unpack.c */
/*
 * Properties: kernel_unpack() of any bytes returns 0, or an error with a sentence and the blob
 * unchanged; packing any bytes as two gzip members, or two zstd frames, or one of these in an EFI
 * zboot image, with something behind them, then unpacking, gives the bytes back; kernel_describe()
 * is of one mind with kernel_is_known().
 */
#define ZLIB_CONST 1 /* next_in points to const */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "ccr/kernel.h"
#include "fuzz.h"

#define MAX_SIZE 4096 /* inflates to 4 MiB at most, which keeps a run short */

static void any_bytes(const uint8_t *data, size_t size)
{
	struct blob blob = {malloc(size ? size : 1), size};
	struct ccr_err err = {0};
	const uint8_t *before = blob.data;
	const char *what;
	int rc;

	require(before != NULL);
	memcpy(blob.data, data, size);
	what = kernel_describe(blob.data, size);
	require(!what || *what);
	require(what || !kernel_is_known(blob.data, size));
	rc = kernel_unpack(&blob, "file", &err);
	require(err.code == rc && (rc == 0) == (*err.msg == '\0'));
	if (rc) {
		require(rc == -EINVAL || rc == -EFBIG || rc == -ENOMEM);
		require(blob.data == before && blob.size == size);
		require(memcmp(blob.data, data, size) == 0);
	}
	require(blob.size <= KERNEL_MAX_SIZE);
	blob_free(&blob);
}

static void add_member(struct blob *blob, const uint8_t *data, size_t size, int level)
{
	z_stream z = {0};

	require(deflateInit2(&z, level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
	z.next_in = data;
	z.avail_in = (uInt)size;
	z.avail_out = (uInt)deflateBound(&z, size);
	blob->data = realloc(blob->data, blob->size + z.avail_out);
	require(blob->data != NULL);
	z.next_out = blob->data + blob->size;
	require(deflate(&z, Z_FINISH) == Z_STREAM_END);
	blob->size += z.total_out;
	deflateEnd(&z);
}

static void add_frame(struct blob *blob, const uint8_t *data, size_t size, int level)
{
	const size_t bound = ZSTD_compressBound(size);
	size_t used;

	blob->data = realloc(blob->data, blob->size + bound);
	require(blob->data != NULL);
	used = ZSTD_compress(blob->data + blob->size, bound, data, size, level);
	require(!ZSTD_isError(used));
	blob->size += used;
}

/* The payload stays where it is, and the header goes before it. */
static void wrap(struct blob *blob, const char *type)
{
	uint8_t header[64] = "MZ\0\0zimg";
	const uint32_t offset = sizeof(header), size = (uint32_t)blob->size;
	uint8_t *data = malloc(blob->size + offset);

	require(data != NULL);
	memcpy(header + 8, &offset, 4);
	memcpy(header + 12, &size, 4);
	memcpy(header + 24, type, strlen(type));
	memcpy(data, header, offset);
	memcpy(data + offset, blob->data, size);
	blob_free(blob);
	*blob = (struct blob){data, offset + size};
}

static void there_and_back(const uint8_t *data, size_t size, bool zstd, bool zboot)
{
	void (*add)(struct blob *, const uint8_t *, size_t, int) = zstd ? add_frame : add_member;
	size_t first = size ? data[0] % size : 0;
	struct blob blob = {0};

	add(&blob, data, first, 9);
	add(&blob, data + first, size - first, 1);
	if (zboot)
		wrap(&blob, zstd ? "zstd22" : "gzip");
	blob.data = realloc(blob.data, blob.size + 1);
	require(blob.data != NULL);
	blob.data[blob.size++] = 0x1f;
	require(kernel_unpack(&blob, "file", NULL) == 0);
	require(blob.size == size && (!size || memcmp(blob.data, data, size) == 0));
	blob_free(&blob);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > MAX_SIZE)
		return 0;
	any_bytes(data, size);
	for (int i = 0; i < 4; i++)
		there_and_back(data, size, i & 1, i & 2);
	return 0;
}
