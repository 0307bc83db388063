/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "unpack.h"

/* struct output - bytes that become more: @blob.size of @capacity are there */
struct output {
	struct blob blob;
	size_t capacity;
	size_t max_size;
};

/* A guess that costs few copies: kernels shrink to a third or a quarter. Never 0: it is doubled. */
static int output_init(struct output *out, size_t packed_size, size_t max_size)
{
	*out = (struct output){
		.capacity = packed_size < max_size / 4 ? 4 * packed_size + 1 : max_size,
		.max_size = max_size,
	};
	out->blob.data = malloc(out->capacity);
	return out->blob.data ? 0 : -ENOMEM;
}

/* Make room for more output. Return: 0, -EFBIG or -ENOMEM. */
static int output_grow(struct output *out)
{
	size_t larger;
	uint8_t *data;

	if (out->capacity >= out->max_size)
		return -EFBIG;
	larger = out->capacity < out->max_size / 2 ? 2 * out->capacity : out->max_size;
	data = realloc(out->blob.data, larger);
	if (!data)
		return -ENOMEM;
	out->blob.data = data;
	out->capacity = larger;
	return 0;
}

/* Hand it over, or on @error free it. Return: @error. */
static int output_done(struct output *out, int error, struct blob *ret_content)
{
	uint8_t *data;

	if (error || out->blob.size == 0) {
		blob_free(&out->blob);
	} else {
		data = realloc(out->blob.data, out->blob.size);
		if (data)
			out->blob.data = data;
	}
	if (!error)
		*ret_content = out->blob;
	return error;
}

/* Magic number and the one compression method there is (RFC 1952 section 2.3). */
static bool is_gzip(const uint8_t *data, size_t size)
{
	return size >= 3 && data[0] == 0x1f && data[1] == 0x8b && data[2] == 8;
}

/*
 * Inflate member after member. inflate() stops only at a member's end, at damage, or for want of
 * output room or of input; the input is all there, so if room is left, the file was cut short.
 */
static int inflate_members(z_stream *z, struct output *out)
{
	for (;;) {
		int rc;

		z->next_out = out->blob.data + out->blob.size;
		z->avail_out = (uInt)(out->capacity - out->blob.size);
		rc = inflate(z, Z_NO_FLUSH);
		out->blob.size = out->capacity - z->avail_out;
		switch (rc) {
		case Z_STREAM_END:
			if (!is_gzip(z->next_in, z->avail_in))
				return 0;
			if (inflateReset(z) != Z_OK)
				return -EINVAL;
			break;
		case Z_OK:
		case Z_BUF_ERROR:
			if (z->avail_out)
				return -EINVAL;
			rc = output_grow(out);
			if (rc)
				return rc;
			break;
		case Z_MEM_ERROR:
			return -ENOMEM;
		default:
			return -EINVAL;
		}
	}
}

int unpack_gzip(const struct blob *packed, size_t max_size, struct blob *ret_content)
{
	struct output out;
	z_stream z = {0};
	int ret;

	/* zlib counts in unsigned int. */
	if (packed->size > max_size || max_size > UINT_MAX)
		return -EFBIG;
	z.next_in = packed->data;
	z.avail_in = (uInt)packed->size;
	if (inflateInit2(&z, 15 + 16) != Z_OK) /* largest window, gzip header */
		return -ENOMEM;
	ret = output_init(&out, packed->size, max_size);
	if (!ret)
		ret = inflate_members(&z, &out);
	(void)inflateEnd(&z);
	return output_done(&out, ret, ret_content);
}

static bool is_zstd(const uint8_t *data, size_t size)
{
	return size >= 4 && memcmp(data, "\x28\xb5\x2f\xfd", 4) == 0;
}

/* As for inflate(), except that what is left to do in a frame is returned, and 0 at its end. */
static int decompress_frames(ZSTD_DStream *stream, const struct blob *packed, struct output *out)
{
	ZSTD_inBuffer in = {packed->data, packed->size, 0};

	for (;;) {
		ZSTD_outBuffer room = {out->blob.data, out->capacity, out->blob.size};
		size_t left = ZSTD_decompressStream(stream, &room, &in);
		int ret;

		out->blob.size = room.pos;
		if (ZSTD_isError(left))
			return ZSTD_getErrorCode(left) == ZSTD_error_memory_allocation ? -ENOMEM
										       : -EINVAL;
		if (left == 0) {
			if (!is_zstd(packed->data + in.pos, packed->size - in.pos))
				return 0;
		} else if (room.pos == room.size) {
			ret = output_grow(out);
			if (ret)
				return ret;
		} else if (in.pos == in.size) {
			return -EINVAL;
		}
	}
}

int unpack_zstd(const struct blob *packed, size_t max_size, struct blob *ret_content)
{
	ZSTD_DStream *stream;
	struct output out;
	int ret;

	if (packed->size > max_size)
		return -EFBIG;
	stream = ZSTD_createDStream();
	if (!stream)
		return -ENOMEM;
	ret = output_init(&out, packed->size, max_size);
	if (!ret)
		ret = decompress_frames(stream, packed, &out);
	ZSTD_freeDStream(stream);
	return output_done(&out, ret, ret_content);
}
