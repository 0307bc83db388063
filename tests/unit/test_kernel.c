/* SPDX-License-Identifier: Apache-2.0 */
/* links: src/util/err.c src/util/file.c src/boot/kernel.c */
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

static void every_truncation_is_noticed(void **state)
{
	struct blob whole = {0};

	(void)state;
	add_member(&whole, pangram, sizeof(pangram));
	for (size_t size = 3; size < whole.size; size++) {
		struct ccr_err err = {0};
		struct blob blob = {0};

		add_bytes(&blob, whole.data, size);
		assert_int_equal(kernel_unpack(&blob, "/x", &err), -EINVAL);
		assert_string_equal(err.msg, "kernel image /x: its gzip data are damaged or cut "
					     "short; fetch or build it again");
		assert_blob(&blob, whole.data, size);
		blob_free(&blob);
	}
	blob_free(&whole);
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
	uint8_t magic[] = {0x1f, 0x8b, 8};
	struct blob blob = {magic, KERNEL_MAX_SIZE + 1};
	struct ccr_err err = {0};

	(void)state;
	assert_int_equal(kernel_unpack(&blob, "/x", &err), -EFBIG);
	assert_string_equal(err.msg, "kernel image /x: unpacked it is larger than 1024 MiB, the "
				     "most that is accepted");
	assert_ptr_equal(blob.data, magic);
}

static void describes_what_people_try(void **state)
{
	static const struct {
		size_t offset;
		const char *bytes;
		size_t size;
		const char *phrase;
	} cases[] = {
		{0, "\177ELF\2\1\1", 7,
		 "an ELF file (use the Image that the kernel's build makes from it)"},
		{0x202, "HdrS", 4, "an x86 bzImage"},
		{0,
		 "\xfd"
		 "7zXZ\0",
		 6, "an xz archive"},
		{0, "\x28\xb5\x2f\xfd", 4, "a zstd archive"},
		{0, "\x1f\x8b\x08", 3, "a gzip archive"},
		{0, "BZh9", 4, "a bzip2 archive"},
		{0, "\x5d\0\0\x80", 4, "an lzma archive"},
		{0, "\x02\x21\x4c\x18", 4, "an lz4 archive"},
		{0, "\x04\x22\x4d\x18", 4, "an lz4 archive"},
		{0, "MZ\0\0zimg", 8, "an EFI zboot image (use the Image that it was made from)"},
		{0, "MZ", 2, "an EFI program"},
		{0x24, "\x18\x28\x6f\x01", 4, "a 32-bit Arm zImage"},
		{0x38, "RSC\x05", 4, "a RISC-V Image"},
		{0x38, "ARM\x64", 4, "an arm64 Image"},
		{257, "ustar", 5, "a tar archive"},
		{0, "!<arch>\n", 8, "an ar archive or Debian package"},
		{0, "070701", 6, "a cpio archive, as initrds are"},
		{0, "PK\3\4", 4, "a zip archive"},
		{0, "\x27\x05\x19\x56", 4, "a U-Boot uImage"},
		{0, "\xd0\x0d\xfe\xed", 4, "a device tree blob or FIT image"},
		{0, "QFI\xfb", 4, "a qcow2 disk image"},
		{0, "#!/bin/sh", 9, "a script"},
		{0, "<!DOCTYPE html>", 15, "an HTML page"},
		{0, "<html>", 6, "an HTML page"},
		{0, "hello", 5, "nothing this program knows"},
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
			assert_string_equal(kernel_describe(file, end - 1),
					    "nothing this program knows");
		free(file);
	}
	assert_string_equal(kernel_describe(NULL, 0), "empty");
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
		cmocka_unit_test(empty_content),
		cmocka_unit_test(every_truncation_is_noticed),
		cmocka_unit_test(every_flipped_bit_in_the_data_is_noticed),
		cmocka_unit_test(second_member_is_checked_too),
		cmocka_unit_test(oversized_file_is_refused),
		cmocka_unit_test(describes_what_people_try),
		cmocka_unit_test(efi_stub_does_not_hide_the_format),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
