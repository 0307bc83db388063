/* SPDX-License-Identifier: Apache-2.0 */
/*
 * links: src/util/err.c src/util/file.c src/boot/elf.c src/boot/kernel.c src/boot/unpack.c
 *	arch/arm64/image.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ccr/image.h"

#define FILE_SIZE 4096

/* Offsets by booting.rst, spelled out so that the test does not share the code's struct. */
enum { TEXT_OFFSET = 8, IMAGE_SIZE = 16, FLAGS = 24, MAGIC = 56 };

static void put64(uint8_t *at, uint64_t value)
{
	for (int i = 0; i < 8; i++)
		at[i] = (uint8_t)(value >> (8 * i));
}

static void make(uint8_t file[FILE_SIZE], uint64_t text_offset, uint64_t image_size, uint64_t flags)
{
	memset(file, 0, FILE_SIZE);
	put64(file + TEXT_OFFSET, text_offset);
	put64(file + IMAGE_SIZE, image_size);
	put64(file + FLAGS, flags);
	memcpy(file + MAGIC, "ARM\x64", 4);
}

static void reads_the_header(void **state)
{
	uint8_t file[FILE_SIZE];
	struct ccr_err err = {0};
	struct image_info info;

	(void)state;
	make(file, 0x80000, 0x2a50000, 0xa);
	assert_int_equal(image_parse(file, sizeof(file), "Image", &info, &err), 0);
	assert_int_equal(info.text_offset, 0x80000);
	assert_int_equal(info.image_size, 0x2a50000);
	assert_int_equal(info.page_size, 4096);
	assert_int_equal(err.code, 0);
}

static void alignment_of_the_file_does_not_matter(void **state)
{
	uint8_t file[FILE_SIZE + 1];
	struct image_info info;

	(void)state;
	make(file + 1, 0, 0x100000, 0xa);
	assert_int_equal(image_parse(file + 1, FILE_SIZE, "Image", &info, NULL), 0);
	assert_int_equal(info.image_size, 0x100000);
}

static void page_sizes(void **state)
{
	static const uint32_t sizes[] = {0, 4096, 16384, 65536};
	uint8_t file[FILE_SIZE];
	struct image_info info;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		make(file, 0, 0x100000, i << 1 | 8);
		assert_int_equal(image_parse(file, sizeof(file), "Image", &info, NULL), 0);
		assert_int_equal(info.page_size, sizes[i]);
	}
}

static void image_is_never_smaller_than_its_file(void **state)
{
	uint8_t file[FILE_SIZE];
	struct image_info info;

	(void)state;
	make(file, 0, 1, 0);
	assert_int_equal(image_parse(file, sizeof(file), "Image", &info, NULL), 0);
	assert_int_equal(info.image_size, FILE_SIZE);
}

static void old_kernel_gets_defaults(void **state)
{
	uint8_t file[FILE_SIZE];
	struct image_info info;

	(void)state;
	make(file, 0x123, 0, 0);
	assert_int_equal(image_parse(file, sizeof(file), "Image", &info, NULL), 0);
	assert_int_equal(info.text_offset, 0x80000);
	assert_int_equal(info.image_size, FILE_SIZE + (16 << 20));
	assert_int_equal(info.page_size, 0);
}

/* The header alone is believed; whether it fits is the layout's business. */
static void absurd_sizes_are_passed_on(void **state)
{
	uint8_t file[FILE_SIZE];
	struct image_info info;

	(void)state;
	make(file, 0xfffffffffffff000, UINT64_MAX, 2);
	assert_int_equal(image_parse(file, sizeof(file), "Image", &info, NULL), 0);
	assert_int_equal(info.text_offset, 0xfffffffffffff000);
	assert_int_equal(info.image_size, UINT64_MAX);
}

static void refuse(const void *data, size_t size, const char *msg)
{
	struct image_info info = {.text_offset = 1};
	struct ccr_err err = {0};

	assert_int_equal(image_parse(data, size, "/x", &info, &err), -EINVAL);
	assert_int_equal(err.code, -EINVAL);
	assert_string_equal(err.msg, msg);
	assert_int_equal(info.text_offset, 1);
}

static void refusals_say_what_it_is(void **state)
{
	uint8_t file[FILE_SIZE] = {0};

	(void)state;
	refuse(NULL, 0, "kernel image /x: the file is empty");
	refuse("#!/bin/sh\n", 10, "kernel image /x: not an arm64 Image; it is a script");
	refuse(file, FILE_SIZE,
	       "kernel image /x: not an arm64 Image, nor anything else that this program knows; "
	       "if it is bare machine code, say --flat");
	memcpy(file,
	       "\xfd"
	       "7zXZ",
	       6);
	refuse(file, FILE_SIZE,
	       "kernel image /x: not an arm64 Image; it is an xz archive (unpack it first: unxz)");
	make(file, 0, 0x100000, 0xa);
	refuse(file, 63, "kernel image /x: damaged or cut short: its header has 63 bytes, not 64");
	make(file, 0, 0x100000, 0xb);
	refuse(file, FILE_SIZE,
	       "kernel image /x: it is a big-endian kernel; build one without "
	       "CONFIG_CPU_BIG_ENDIAN");
	make(file, 0x80001, 0x100000, 0xa);
	refuse(file, FILE_SIZE,
	       "kernel image /x: damaged header: text offset 0x80001 is not a "
	       "multiple of 4 KiB");
}

static struct blob copy(const void *data, size_t size)
{
	struct blob blob = {malloc(size), size};

	assert_non_null(blob.data);
	memcpy(blob.data, data, size);
	return blob;
}

static void loads_an_image(void **state)
{
	uint8_t file[FILE_SIZE];
	struct image_info info;
	struct blob blob;

	(void)state;
	make(file, 0x80000, 0x100000, 0xa);
	blob = copy(file, sizeof(file));
	assert_int_equal(image_load(&blob, false, "Image", &info, NULL), 0);
	assert_int_equal(info.text_offset, 0x80000);
	assert_int_equal(info.entry_offset, 0);
	assert_memory_equal(blob.data, file, sizeof(file));
	blob_free(&blob);
}

static void loads_an_elf_file(void **state)
{
	struct {
		Elf64_Ehdr header;
		Elf64_Phdr phdr;
		uint32_t code[4];
	} file = {
		.header =
			{
				.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB,
					    EV_CURRENT},
				.e_type = ET_EXEC,
				.e_machine = EM_AARCH64,
				.e_entry = 0x80200008,
				.e_phoff = sizeof(Elf64_Ehdr),
				.e_phentsize = sizeof(Elf64_Phdr),
				.e_phnum = 1,
			},
		.phdr =
			{
				.p_type = PT_LOAD,
				.p_offset = sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr),
				.p_vaddr = 0x80200000,
				.p_paddr = 0x80200000,
				.p_filesz = 16,
				.p_memsz = 0x5000,
			},
		.code = {1, 2, 3, 4},
	};
	struct blob blob = copy(&file, sizeof(file));
	struct ccr_err err = {0};
	struct image_info info;

	(void)state;
	assert_int_equal(image_load(&blob, false, "k", &info, NULL), 0);
	assert_int_equal(info.text_offset, 0x200000);
	assert_int_equal(info.image_size, 0x5000);
	assert_int_equal(info.entry_offset, 8);
	assert_int_equal(info.page_size, 0);
	assert_int_equal(blob.size, 16);
	assert_memory_equal(blob.data, file.code, 16);
	blob_free(&blob);

	blob = copy(&file, sizeof(file));
	assert_int_equal(image_load(&blob, true, "/x", &info, &err), -EINVAL);
	assert_string_equal(err.msg, "kernel image /x: it is an ELF file, not bare machine code; "
				     "leave out --flat");
	blob_free(&blob);
}

/* Not even unpacked: the bytes are what was asked for, and three of them are no proof. */
static void loads_a_flat_binary_as_it_is(void **state)
{
	struct blob blob = copy("\x1f\x8b\x08 machine code", 16);
	struct ccr_err err = {0};
	struct image_info info;

	(void)state;
	assert_int_equal(image_load(&blob, true, "k", &info, NULL), 0);
	assert_int_equal(info.text_offset, 0x80000);
	assert_int_equal(info.image_size, 16 + (16 << 20));
	assert_int_equal(info.entry_offset, 0);
	assert_int_equal(info.page_size, 0);
	assert_memory_equal(blob.data, "\x1f\x8b\x08 machine code", 16);
	assert_int_equal(image_load(&blob, false, "/x", &info, &err), -EINVAL);
	assert_string_equal(err.msg, "kernel image /x: its gzip data are damaged or cut short; "
				     "fetch or build it again");
	blob_free(&blob);

	err_clear(&err);
	assert_int_equal(image_load(&blob, true, "/x", &info, &err), -EINVAL);
	assert_string_equal(err.msg, "kernel image /x: the file is empty");
}

static void header_of_exactly_64_bytes_is_enough(void **state)
{
	uint8_t file[FILE_SIZE];
	struct image_info info;

	(void)state;
	make(file, 0, 0x100000, 0xa);
	assert_int_equal(image_parse(file, 64, "Image", &info, NULL), 0);
}

/* Whatever image_load() would make something else of is not plain. */
static void knows_what_is_plain(void **state)
{
	static const struct {
		const char *magic;
		size_t size;
		size_t offset;
	} others[] = {
		{"\x1f\x8b\x08", 3, 0},     /* gzip */
		{"\x28\xb5\x2f\xfd", 4, 0}, /* zstd */
		{"MZ\0\0zimg", 8, 0},       /* EFI zboot */
		{"\177ELF", 4, 0},          {"RSC\x05", 4, 56},
	};
	uint8_t header[IMAGE_HEADER_SIZE] = {'M', 'Z'};
	const struct blob head = {header, sizeof(header)};

	(void)state;
	assert_false(image_is_plain(&head));
	memcpy(header + 56, "ARM\x64", 4);
	assert_true(image_is_plain(&head));
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		uint8_t bytes[IMAGE_HEADER_SIZE];
		const struct blob other = {bytes, sizeof(bytes)};

		memcpy(bytes, header, sizeof(bytes));
		memcpy(bytes + others[i].offset, others[i].magic, others[i].size);
		assert_false(image_is_plain(&other));
	}
}

/* By its header, or at the start of RAM; whatever it is, it is not unpacked. */
static void places_firmware(void **state)
{
	uint8_t bytes[4096] = {0x1f, 0x8b, 8};
	uint8_t elf[64] = {0x7f, 'E', 'L', 'F', 2, 1, 1};
	struct blob blob = {.data = bytes, .size = sizeof(bytes)};
	const struct blob empty = {.data = bytes}, short_one = {.data = bytes, .size = 63};
	const struct blob elf_blob = {.data = elf, .size = sizeof(elf)};
	struct image_info info;
	struct ccr_err err = {0};

	(void)state;
	assert_int_equal(image_load_firmware(&blob, "f", &info, &err), 0);
	assert_int_equal(info.text_offset, 0);
	assert_int_equal(info.image_size, sizeof(bytes));
	assert_int_equal(info.entry_offset, 0);

	memcpy(bytes + 56, "ARM\x64", 4);
	bytes[8 + 2] = 0x08;  /* text_offset: 512 KiB */
	bytes[16 + 2] = 0x20; /* image_size: 2 MiB */
	assert_int_equal(image_load_firmware(&blob, "f", &info, &err), 0);
	assert_int_equal(info.text_offset, 0x80000);
	assert_int_equal(info.image_size, 0x200000);
	/* No room for a header, so it has none. */
	assert_int_equal(image_load_firmware(&short_one, "f", &info, &err), 0);
	assert_int_equal(info.text_offset, 0);

	assert_int_equal(image_load_firmware(&empty, "f", &info, &err), -EINVAL);
	assert_string_equal(err.msg, "firmware f: the file is empty");
	err = (struct ccr_err){0};
	assert_int_equal(image_load_firmware(&elf_blob, "f", &info, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "it is an ELF file"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_the_header),
		cmocka_unit_test(alignment_of_the_file_does_not_matter),
		cmocka_unit_test(page_sizes),
		cmocka_unit_test(image_is_never_smaller_than_its_file),
		cmocka_unit_test(old_kernel_gets_defaults),
		cmocka_unit_test(absurd_sizes_are_passed_on),
		cmocka_unit_test(refusals_say_what_it_is),
		cmocka_unit_test(loads_an_image),
		cmocka_unit_test(loads_an_elf_file),
		cmocka_unit_test(loads_a_flat_binary_as_it_is),
		cmocka_unit_test(header_of_exactly_64_bytes_is_enough),
		cmocka_unit_test(knows_what_is_plain),
		cmocka_unit_test(places_firmware),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
