/* SPDX-License-Identifier: Apache-2.0 */
/* links: src/util/err.c src/util/file.c src/boot/elf.c src/boot/kernel.c src/boot/unpack.c */
#define ZLIB_CONST 1 /* next_in points to const */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "../../src/boot/unpack.h"
#include "ccr/kernel.h"

/* Append @size bytes of @data to @blob as one gzip member. */
static void add_member(struct blob *blob, const void *data, size_t size)
{
	z_stream z = {0};
	size_t bound;

	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	bound = deflateBound(&z, size);
	blob->data = realloc(blob->data, blob->size + bound);
	assert_non_null(blob->data);
	z.next_in = data;
	z.avail_in = (uInt)size;
	z.next_out = blob->data + blob->size;
	z.avail_out = (uInt)bound;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	blob->size += bound - z.avail_out;
	deflateEnd(&z);
}

static void add_bytes(struct blob *blob, const void *data, size_t size)
{
	blob->data = realloc(blob->data, blob->size + size);
	assert_non_null(blob->data);
	memcpy(blob->data + blob->size, data, size);
	blob->size += size;
}

/* Append them as one zstd frame. */
static void add_frame(struct blob *blob, const void *data, size_t size)
{
	const size_t bound = ZSTD_compressBound(size);
	size_t used;

	blob->data = realloc(blob->data, blob->size + bound);
	assert_non_null(blob->data);
	used = ZSTD_compress(blob->data + blob->size, bound, data, size, 19);
	assert_false(ZSTD_isError(used));
	blob->size += used;
}

static void put32(uint8_t *at, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> (8 * i));
}

/* Offsets by the kernel's zboot-header.S. */
enum { ZBOOT_OFFSET = 8, ZBOOT_SIZE = 12, ZBOOT_TYPE = 24, ZBOOT_HEADER = 64 };

static struct blob make_zboot(const char *type, const struct blob *payload)
{
	uint8_t header[ZBOOT_HEADER] = "MZ\0\0zimg";
	struct blob blob = {0};

	put32(header + ZBOOT_OFFSET, ZBOOT_HEADER);
	put32(header + ZBOOT_SIZE, (uint32_t)payload->size);
	memcpy(header + ZBOOT_TYPE, type, strlen(type) + 1);
	memcpy(header + 56, "\xcd\x23\x82\x81", 4);
	add_bytes(&blob, header, sizeof(header));
	add_bytes(&blob, payload->data, payload->size);
	add_bytes(&blob, "code behind it", 14);
	return blob;
}

static void assert_blob(const struct blob *blob, const void *data, size_t size)
{
	assert_int_equal(blob->size, size);
	assert_memory_equal(blob->data, data, size);
}

static void raw_file_is_left_alone(void **state)
{
	struct ccr_err err = {0};
	struct blob blob = {0};
	const uint8_t *data;

	(void)state;
	add_bytes(&blob, "not packed at all", 17);
	data = blob.data;
	assert_int_equal(kernel_unpack(&blob, "k", &err), 0);
	assert_ptr_equal(blob.data, data);
	assert_blob(&blob, "not packed at all", 17);
	blob_free(&blob);
	assert_int_equal(kernel_unpack(&blob, "k", &err), 0);
	assert_null(blob.data);
}

static void gzip_is_inflated(void **state)
{
	size_t size = 1000003;
	uint8_t *content = calloc(1, size);
	struct blob blob = {0};

	(void)state;
	assert_non_null(content);
	for (size_t i = 0; i < size; i += 1000)
		content[i] = (uint8_t)(i / 1000);
	add_member(&blob, content, size);
	assert_true(blob.size < size / 50); /* so that the output has to grow several times */
	assert_int_equal(kernel_unpack(&blob, "k", NULL), 0);
	assert_blob(&blob, content, size);
	blob_free(&blob);
	free(content);
}

static void members_are_joined_and_what_follows_is_ignored(void **state)
{
	static const uint8_t zeros[512];
	static const char *const tails[] = {"garbage", "\x1f", "\x1f\x8b", "\x1f\x8b\x07"};

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		struct blob blob = {0};

		add_member(&blob, "first ", 6);
		add_member(&blob, "", 0);
		add_member(&blob, "second", 6);
		if (i < 4)
			add_bytes(&blob, tails[i], strlen(tails[i]));
		else
			add_bytes(&blob, zeros, sizeof(zeros));
		assert_int_equal(kernel_unpack(&blob, "k", NULL), 0);
		assert_blob(&blob, "first second", 12);
		blob_free(&blob);
	}
}

static void zstd_is_unpacked(void **state)
{
	size_t size = 1000003;
	uint8_t *content = calloc(1, size);
	struct blob blob = {0};

	(void)state;
	assert_non_null(content);
	for (size_t i = 0; i < size; i += 1000)
		content[i] = (uint8_t)(i / 1000);
	add_frame(&blob, content, size);
	assert_true(blob.size < size / 50); /* so that the output has to grow several times */
	/* The kernel's build appends the size. */
	add_bytes(&blob, "\x43\x42\x0f\0", 4);
	assert_int_equal(kernel_unpack(&blob, "k", NULL), 0);
	assert_blob(&blob, content, size);
	blob_free(&blob);
	free(content);

	add_frame(&blob, "first ", 6);
	add_frame(&blob, "", 0);
	add_frame(&blob, "second", 6);
	assert_int_equal(kernel_unpack(&blob, "k", NULL), 0);
	assert_blob(&blob, "first second", 12);
	blob_free(&blob);
}

static void zboot_is_unpacked(void **state)
{
	static const char *const names[] = {"gzip", "zstd", "zstd22"};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct blob payload = {0}, blob;

		(i ? add_frame : add_member)(&payload, "an Image", 8);
		blob = make_zboot(names[i], &payload);
		assert_int_equal(kernel_unpack(&blob, "k", NULL), 0);
		assert_blob(&blob, "an Image", 8);
		blob_free(&blob);
		blob_free(&payload);
	}
}

static void zboot_refuses(struct blob *blob, const char *sentence)
{
	struct blob before = {0};
	struct ccr_err err = {0};

	add_bytes(&before, blob->data, blob->size);
	assert_int_equal(kernel_unpack(blob, "/x", &err), -EINVAL);
	assert_string_equal(err.msg, sentence);
	assert_blob(blob, before.data, before.size);
	blob_free(&before);
}

static void zboot_that_cannot_be_unpacked(void **state)
{
	const char *damaged = "kernel image /x: it is an EFI zboot image that is damaged or cut "
			      "short; fetch or build it again";
	struct blob payload = {0}, blob;

	(void)state;
	add_member(&payload, "an Image", 8);
	blob = make_zboot("xzkern", &payload);
	zboot_refuses(&blob, "kernel image /x: it is an EFI zboot image packed with 'xzkern', and "
			     "only gzip and zstd can be unpacked; use the Image that it was made "
			     "from");
	/* No end to the name, and nothing that a terminal may see. */
	memset(blob.data + ZBOOT_TYPE, 'x', 32);
	blob.data[ZBOOT_TYPE] = 0x1b;
	zboot_refuses(&blob, "kernel image /x: it is an EFI zboot image packed with "
			     "'?xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', and only gzip and zstd can be "
			     "unpacked; use the Image that it was made from");
	memcpy(blob.data + ZBOOT_TYPE, "zstd", 5);
	zboot_refuses(&blob, "kernel image /x: its zstd data are damaged or cut short; fetch or "
			     "build it again");
	put32(blob.data + ZBOOT_SIZE, 0);
	zboot_refuses(&blob, "kernel image /x: its zstd data are damaged or cut short; fetch or "
			     "build it again");
	put32(blob.data + ZBOOT_SIZE, (uint32_t)(blob.size - ZBOOT_HEADER + 1));
	zboot_refuses(&blob, damaged);
	put32(blob.data + ZBOOT_SIZE, 0);
	put32(blob.data + ZBOOT_OFFSET, (uint32_t)blob.size + 1);
	zboot_refuses(&blob, damaged);
	put32(blob.data + ZBOOT_OFFSET, UINT32_MAX);
	put32(blob.data + ZBOOT_SIZE, UINT32_MAX);
	zboot_refuses(&blob, damaged);
	/* Without a whole header it is no zboot image. */
	blob.size = 55;
	assert_int_equal(kernel_unpack(&blob, "/x", NULL), 0);
	blob_free(&blob);
	blob_free(&payload);
}

static void empty_content(void **state)
{
	struct blob blob = {0};

	(void)state;
	add_member(&blob, "", 0);
	assert_int_equal(kernel_unpack(&blob, "k", NULL), 0);
	assert_int_equal(blob.size, 0);
	assert_null(blob.data);
}

static const char pangram[] = "The quick brown fox jumps over the lazy dog, over and over.";

/* From @magic_size bytes on, with which it begins to look like what it is. */
static void assert_truncations_noticed(struct blob *whole, size_t magic_size, const char *sentence)
{
	for (size_t size = magic_size; size < whole->size; size++) {
		struct ccr_err err = {0};
		struct blob blob = {0};

		add_bytes(&blob, whole->data, size);
		assert_int_equal(kernel_unpack(&blob, "/x", &err), -EINVAL);
		assert_string_equal(err.msg, sentence);
		assert_blob(&blob, whole->data, size);
		blob_free(&blob);
	}
	blob_free(whole);
}

static void every_truncation_is_noticed(void **state)
{
	struct blob whole = {0};

	(void)state;
	add_member(&whole, pangram, sizeof(pangram));
	assert_truncations_noticed(&whole, 3,
				   "kernel image /x: its gzip data are damaged or cut short; fetch "
				   "or build it again");
	add_frame(&whole, pangram, sizeof(pangram));
	assert_truncations_noticed(&whole, 4,
				   "kernel image /x: its zstd data are damaged or cut short; fetch "
				   "or build it again");
}

/* From the data on: a flipped bit in the header's time stamp, say, changes nothing. */
static void every_flipped_bit_in_the_data_is_noticed(void **state)
{
	struct blob whole = {0};

	(void)state;
	add_member(&whole, pangram, sizeof(pangram));
	for (size_t bit = 10 * 8; bit < whole.size * 8; bit++) {
		struct blob blob = {0};
		int rc;

		add_bytes(&blob, whole.data, whole.size);
		blob.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		rc = kernel_unpack(&blob, "/x", NULL);
		/* Bits that pad the last data byte (8 bytes from the end) mean nothing. */
		if (bit / 8 == whole.size - 9 && !rc)
			assert_blob(&blob, pangram, sizeof(pangram));
		else
			assert_int_equal(rc, -EINVAL);
		blob_free(&blob);
	}
	blob_free(&whole);
}

static void second_member_is_checked_too(void **state)
{
	struct blob blob = {0};

	(void)state;
	add_member(&blob, "first", 5);
	add_member(&blob, pangram, sizeof(pangram));
	blob.size -= 1;
	assert_int_equal(kernel_unpack(&blob, "/x", NULL), -EINVAL);
	blob_free(&blob);
}

/* The size is checked before a byte is touched: there is only the magic number here. */
static void oversized_file_is_refused(void **state)
{
	uint8_t magics[][4] = {{0x1f, 0x8b, 8}, {0x28, 0xb5, 0x2f, 0xfd}};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct blob blob = {magics[i], KERNEL_MAX_SIZE + 1};
		struct ccr_err err = {0};

		assert_int_equal(kernel_unpack(&blob, "/x", &err), -EFBIG);
		assert_string_equal(err.msg, "kernel image /x: unpacked it is larger than 1024 "
					     "MiB, the most that is accepted");
		assert_ptr_equal(blob.data, magics[i]);
	}
}

/*
 * The limit on what comes out, without a GiB of it: unpack_*() take it from their caller. What is
 * packed here is 1 MiB of zeros.
 */
static void bombs_are_refused(void **state)
{
	uint8_t *zeros = calloc(1, 1 << 20);
	struct blob member = {0}, frame = {0}, content = {0};

	(void)state;
	assert_non_null(zeros);
	add_member(&member, zeros, 1 << 20);
	add_frame(&frame, zeros, 1 << 20);
	assert_int_equal(unpack_gzip(&member, (1 << 20) - 1, &content), -EFBIG);
	assert_int_equal(unpack_zstd(&frame, (1 << 20) - 1, &content), -EFBIG);
	assert_null(content.data);
	assert_int_equal(unpack_gzip(&member, 1 << 20, &content), 0);
	assert_blob(&content, zeros, 1 << 20);
	blob_free(&content);
	assert_int_equal(unpack_zstd(&frame, 1 << 20, &content), 0);
	assert_blob(&content, zeros, 1 << 20);
	blob_free(&content);
	blob_free(&member);
	blob_free(&frame);
	free(zeros);
}

static void describes_what_people_try(void **state)
{
	static const struct {
		size_t offset;
		const char *bytes;
		size_t size;
		const char *phrase;
	} cases[] = {
		{0, "\177ELF\2\1\1", 7, "an ELF file"},
		{0x202, "HdrS", 4, "an x86 bzImage"},
		{0,
		 "\xfd"
		 "7zXZ\0",
		 6, "an xz archive (unpack it first: unxz)"},
		{0, "\x28\xb5\x2f\xfd", 4, "a zstd archive"},
		{0, "\x1f\x8b\x08", 3, "a gzip archive"},
		{0, "BZh9", 4, "a bzip2 archive (unpack it first: bunzip2)"},
		{0, "\x5d\0\0\x80", 4, "an lzma archive (unpack it first: unlzma)"},
		{0, "\x02\x21\x4c\x18", 4, "an lz4 archive (unpack it first: unlz4)"},
		{0, "\x04\x22\x4d\x18", 4, "an lz4 archive (unpack it first: unlz4)"},
		{0, "MZ\0\0zimg", 8, "an EFI zboot image"},
		{0, "MZ", 2, "an EFI program"},
		{0x24, "\x18\x28\x6f\x01", 4, "a 32-bit Arm zImage"},
		{0x38, "RSC\x05", 4, "a RISC-V Image"},
		{0x38, "ARM\x64", 4, "an arm64 Image"},
		{257, "ustar", 5, "a tar archive"},
		{0, "!<arch>\n", 8, "an ar archive or Debian package"},
		{0, "070701", 6, "a cpio archive, as initrds are"},
		{0, "PK\3\4", 4, "a zip archive (unpack it first: unzip)"},
		{0, "\x27\x05\x19\x56", 4, "a U-Boot uImage"},
		{0, "\xd0\x0d\xfe\xed", 4, "a device tree blob or FIT image"},
		{0, "QFI\xfb", 4, "a qcow2 disk image"},
		{0, "#!/bin/sh", 9, "a script"},
		{0, "<!DOCTYPE html>", 15, "an HTML page"},
		{0, "<html>", 6, "an HTML page"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		size_t end = cases[i].offset + cases[i].size;
		uint8_t *file = calloc(1, end);

		assert_non_null(file);
		memcpy(file + cases[i].offset, cases[i].bytes, cases[i].size);
		assert_string_equal(kernel_describe(file, end), cases[i].phrase);
		/* One byte less must not match, nor be read behind. */
		if (cases[i].offset)
			assert_null(kernel_describe(file, end - 1));
		free(file);
	}
	assert_null(kernel_describe("hello", 5));
	assert_null(kernel_describe(NULL, 0));
}

/* Two or three bytes are soon met in machine code. */
static void known_by_four_bytes_at_least(void **state)
{
	(void)state;
	assert_true(kernel_is_known("\177ELF", 4));
	assert_false(kernel_is_known("#!/bin/sh", 9));
	assert_false(kernel_is_known("BZh9", 4));
	assert_false(kernel_is_known(NULL, 0));
}

/* Kernels with an EFI stub begin with MZ whatever they are. */
static void efi_stub_does_not_hide_the_format(void **state)
{
	uint8_t file[1024] = {'M', 'Z'};

	(void)state;
	assert_string_equal(kernel_describe(file, sizeof(file)), "an EFI program");
	memcpy(file + 0x202, "HdrS", 4);
	assert_string_equal(kernel_describe(file, sizeof(file)), "an x86 bzImage");
	memcpy(file + 0x38, "RSC\x05", 4);
	assert_string_equal(kernel_describe(file, sizeof(file)), "a RISC-V Image");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(raw_file_is_left_alone),
		cmocka_unit_test(gzip_is_inflated),
		cmocka_unit_test(members_are_joined_and_what_follows_is_ignored),
		cmocka_unit_test(zstd_is_unpacked),
		cmocka_unit_test(zboot_is_unpacked),
		cmocka_unit_test(zboot_that_cannot_be_unpacked),
		cmocka_unit_test(empty_content),
		cmocka_unit_test(every_truncation_is_noticed),
		cmocka_unit_test(every_flipped_bit_in_the_data_is_noticed),
		cmocka_unit_test(second_member_is_checked_too),
		cmocka_unit_test(oversized_file_is_refused),
		cmocka_unit_test(bombs_are_refused),
		cmocka_unit_test(describes_what_people_try),
		cmocka_unit_test(known_by_four_bytes_at_least),
		cmocka_unit_test(efi_stub_does_not_hide_the_format),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
