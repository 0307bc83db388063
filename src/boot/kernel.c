/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "ccr/kernel.h"

/*
 * struct signature - how a kind of file is recognised
 * @offset: where @bytes are, from the file's start
 *
 * The first match wins: what embeds the beginning of another format comes before it.
 */
struct signature {
	size_t offset;
	size_t size;
	const char *bytes;
	const char *phrase;
};

static const struct signature signatures[] = {
	{0x38, 4, "ARM\x64", "an arm64 Image"},
	{0x38, 4, "RSC\x05", "a RISC-V Image"},
	{0x202, 4, "HdrS", "an x86 bzImage"},
	{0x24, 4, "\x18\x28\x6f\x01", "a 32-bit Arm zImage"},
	{4, 4, "zimg", "an EFI zboot image (use the Image that it was made from)"},
	{0, 2, "MZ", "an EFI program"},
	{0, 4, "\177ELF", "an ELF file (use the Image that the kernel's build makes from it)"},
	{0, 2, "\x1f\x8b", "a gzip archive"},
	{0, 6,
	 "\xfd"
	 "7zXZ\0",
	 "an xz archive"},
	{0, 4, "\x28\xb5\x2f\xfd", "a zstd archive"},
	{0, 3, "BZh", "a bzip2 archive"},
	{0, 3, "\x5d\0\0", "an lzma archive"},
	{0, 4, "\x02\x21\x4c\x18", "an lz4 archive"},
	{0, 4, "\x04\x22\x4d\x18", "an lz4 archive"},
	{0, 4, "\x89LZO", "an lzop archive"},
	{0, 4, "PK\3\4", "a zip archive"},
	{257, 5, "ustar", "a tar archive"},
	{0, 7, "!<arch>", "an ar archive or Debian package"},
	{0, 6, "070701", "a cpio archive, as initrds are"},
	{0, 4, "\x27\x05\x19\x56", "a U-Boot uImage"},
	{0, 4, "\xd0\x0d\xfe\xed", "a device tree blob or FIT image"},
	{0, 4, "QFI\xfb", "a qcow2 disk image"},
	{0, 2, "#!", "a script"},
	{0, 9, "<!DOCTYPE", "an HTML page"},
	{0, 9, "<!doctype", "an HTML page"},
	{0, 5, "<html", "an HTML page"},
};

const char *kernel_describe(const void *data, size_t size)
{
	const uint8_t *bytes = data;

	if (!size)
		return "empty";
	for (size_t i = 0; i < sizeof(signatures) / sizeof(*signatures); i++) {
		const struct signature *s = &signatures[i];

		if (size >= s->offset + s->size &&
		    memcmp(bytes + s->offset, s->bytes, s->size) == 0)
			return s->phrase;
	}
	return "nothing this program knows";
}

/* Magic number and the one compression method there is (RFC 1952 section 2.3). */
static bool is_gzip(const uint8_t *data, size_t size)
{
	return size >= 3 && data[0] == 0x1f && data[1] == 0x8b && data[2] == 8;
}

/* Make room for more output. Return: 0, -EFBIG or -ENOMEM. */
static int grow(struct blob *out, size_t *capacity)
{
	size_t larger;
	uint8_t *data;

	if (*capacity >= KERNEL_MAX_SIZE)
		return -EFBIG;
	larger = *capacity < KERNEL_MAX_SIZE / 2 ? 2 * *capacity : KERNEL_MAX_SIZE;
	data = realloc(out->data, larger);
	if (!data)
		return -ENOMEM;
	out->data = data;
	*capacity = larger;
	return 0;
}

/*
 * Inflate member after member. inflate() stops only at a member's end, at damage, or for want of
 * output room or of input; the input is all there, so if room is left, the file was cut short.
 */
static int inflate_members(z_stream *z, struct blob *out, size_t *capacity)
{
	for (;;) {
		int rc;

		z->next_out = out->data + out->size;
		z->avail_out = (uInt)(*capacity - out->size);
		rc = inflate(z, Z_NO_FLUSH);
		out->size = *capacity - z->avail_out;
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
			rc = grow(out, capacity);
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

/* The content of @packed; the caller owns it. @ret_out is untouched on error. */
static int gunzip(const struct blob *packed, struct blob *ret_out)
{
	size_t capacity = packed->size < KERNEL_MAX_SIZE / 4 ? 4 * packed->size : KERNEL_MAX_SIZE;
	struct blob out = {0};
	z_stream z = {0};
	uint8_t *data;
	int rc;

	if (packed->size > KERNEL_MAX_SIZE)
		return -EFBIG;
	z.next_in = packed->data;
	z.avail_in = (uInt)packed->size;
	if (inflateInit2(&z, 15 + 16) != Z_OK) /* largest window, gzip header */
		return -ENOMEM;
	out.data = malloc(capacity);
	rc = out.data ? inflate_members(&z, &out, &capacity) : -ENOMEM;
	(void)inflateEnd(&z);
	if (rc || !out.size) {
		blob_free(&out);
	} else {
		data = realloc(out.data, out.size);
		if (data)
			out.data = data;
	}
	if (!rc)
		*ret_out = out;
	return rc;
}

int kernel_unpack(struct blob *blob, const char *path, struct ccr_err *err)
{
	struct blob content;
	int rc;

	if (!is_gzip(blob->data, blob->size))
		return 0;
	rc = gunzip(blob, &content);
	switch (rc) {
	case 0:
		blob_free(blob);
		*blob = content;
		return 0;
	case -EFBIG:
		return err_set(err, rc,
			       "kernel image %s: unpacked it is larger than %llu MiB, "
			       "the most that is accepted",
			       path, KERNEL_MAX_SIZE >> 20);
	case -ENOMEM:
		return err_set(err, rc, "kernel image %s: no memory to unpack it", path);
	default:
		return err_set(err, rc,
			       "kernel image %s: its gzip data are damaged or cut short; "
			       "fetch or build it again",
			       path);
	}
}
