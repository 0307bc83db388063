/* SPDX-License-Identifier: Apache-2.0 */
/* links: src/util/err.c src/util/file.c src/boot/elf.c */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ccr/elf.h"

#define BASE      0x80000000u
#define END       0x8fe00000u
#define FILE_SIZE 4096
#define MAX_PHDRS 70
#define CODE      0x800 /* where the files here have something recognisable */

static const struct elf_window window = {BASE, END};

/* What a case may spoil before the file is made; tests run on little-endian machines. */
struct file {
	Elf64_Ehdr header;
	Elf64_Phdr phdrs[MAX_PHDRS];
	size_t size;
};

static void add(struct file *file, uint32_t type, uint64_t address, uint64_t file_size,
		uint64_t mem_size)
{
	file->phdrs[file->header.e_phnum++] = (Elf64_Phdr){
		.p_type = type,
		.p_offset = CODE,
		.p_vaddr = address,
		.p_paddr = address,
		.p_filesz = file_size,
		.p_memsz = mem_size,
	};
}

static void init(struct file *file)
{
	*file = (struct file){
		.header =
			{
				.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB,
					    EV_CURRENT},
				.e_type = ET_EXEC,
				.e_machine = EM_AARCH64,
				.e_entry = BASE + 0x1000,
				.e_phoff = sizeof(Elf64_Ehdr),
				.e_phentsize = sizeof(Elf64_Phdr),
			},
		.size = FILE_SIZE,
	};
}

/* One segment of 256 bytes, 4 KiB into RAM, with as much BSS. */
static void init_usual(struct file *file)
{
	init(file);
	add(file, PT_LOAD, BASE + 0x1000, 0x100, 0x200);
}

/* Only what says of which kind it is: nobody reads on. */
static void write_small_header(const struct file *file, uint8_t *data)
{
	Elf32_Ehdr header = {
		.e_type = file->header.e_type,
		.e_machine = file->header.e_machine,
		.e_shoff = (Elf32_Off)file->header.e_shoff,
		.e_shnum = file->header.e_shnum,
	};

	memcpy(header.e_ident, file->header.e_ident, sizeof(header.e_ident));
	memcpy(data, &header, sizeof(header));
}

static struct blob make(const struct file *file)
{
	const size_t table = file->header.e_phnum * sizeof(Elf64_Phdr);
	struct blob blob = {calloc(1, file->size + 2 * FILE_SIZE), file->size};

	assert_non_null(blob.data);
	memcpy(blob.data, &file->header, sizeof(file->header));
	memcpy(blob.data + sizeof(file->header), file->phdrs, table);
	for (unsigned i = 0; sizeof(file->header) + table <= CODE && i < 0x100; i++)
		blob.data[CODE + i] = (uint8_t)(i + 1);
	if (file->header.e_ident[EI_CLASS] == ELFCLASS32)
		write_small_header(file, blob.data);
	/* Of exactly its size, so that a read behind it is seen. */
	blob.data = realloc(blob.data, file->size ? file->size : 1);
	assert_non_null(blob.data);
	return blob;
}

static struct blob flatten(const struct file *file, struct elf_image *image)
{
	struct blob blob = make(file);
	struct ccr_err err = {0};

	assert_int_equal(elf_flatten(&blob, "k", &window, image, &err), 0);
	assert_int_equal(err.code, 0);
	return blob;
}

static void refuses(const struct file *file, const char *sentence)
{
	struct blob blob = make(file), before = blob;
	struct elf_image image = {1, 2, 3};
	struct ccr_err err = {0};

	assert_int_equal(elf_flatten(&blob, "/x", &window, &image, &err), -EINVAL);
	assert_string_equal(err.msg, sentence);
	assert_ptr_equal(blob.data, before.data);
	assert_int_equal(blob.size, before.size);
	assert_int_equal(image.base, 1);
	blob_free(&blob);
}

static void one_segment(void **state)
{
	struct elf_image image;
	struct file file;
	struct blob blob;

	(void)state;
	init_usual(&file);
	file.header.e_entry += 0x40;
	blob = flatten(&file, &image);
	assert_int_equal(image.base, BASE + 0x1000);
	assert_int_equal(image.mem_size, 0x200);
	assert_int_equal(image.entry, BASE + 0x1040);
	assert_int_equal(blob.size, 0x100);
	assert_int_equal(blob.data[0], 1);
	assert_int_equal(blob.data[0xff], 0);
	assert_int_equal(blob.data[0xfe], 0xff);
	blob_free(&blob);
}

/* In any order, with a gap, with BSS between and behind, and with what is not loaded. */
static void segments_are_gathered(void **state)
{
	struct elf_image image;
	struct file file;
	struct blob blob;

	(void)state;
	init(&file);
	add(&file, PT_NOTE, 0, 0x100, 0x100);
	add(&file, PT_LOAD, BASE + 0x1200, 0x10, 0x20);
	add(&file, PT_LOAD, BASE + 0x1000, 0x100, 0x180);
	add(&file, PT_LOAD, BASE + 0x8000, 0, 0x1000);
	add(&file, PT_LOAD, 0, 0, 0); /* of no size: wherever it is */
	blob = flatten(&file, &image);
	assert_int_equal(image.base, BASE + 0x1000);
	assert_int_equal(image.mem_size, 0x8000);
	assert_int_equal(image.entry, BASE + 0x1000);
	assert_int_equal(blob.size, 0x210);
	assert_int_equal(blob.data[0xfe], 0xff);
	for (unsigned i = 0xff; i < 0x200; i++)
		assert_int_equal(blob.data[i], 0);
	assert_int_equal(blob.data[0x200], 1);
	assert_int_equal(blob.data[0x20f], 0x10);
	blob_free(&blob);
}

static void entry_is_a_virtual_address(void **state)
{
	struct elf_image image;
	struct file file;
	struct blob blob;

	(void)state;
	init_usual(&file);
	file.phdrs[0].p_vaddr = 0xffff800080001000;
	file.header.e_entry = 0xffff800080001010;
	blob = flatten(&file, &image);
	assert_int_equal(image.entry, BASE + 0x1010);
	blob_free(&blob);
}

static void what_is_linked_at_0_to_be_moved_is_moved(void **state)
{
	struct elf_image image;
	struct file file;
	struct blob blob;

	(void)state;
	init(&file);
	file.header.e_type = ET_DYN;
	file.header.e_entry = 8;
	add(&file, PT_LOAD, 0, 0x100, 0x100);
	add(&file, PT_LOAD, 0x2000, 0x10, 0x100);
	blob = flatten(&file, &image);
	assert_int_equal(image.base, BASE);
	assert_int_equal(image.entry, BASE + 8);
	assert_int_equal(image.mem_size, 0x2100);
	assert_int_equal(blob.size, 0x2010);
	blob_free(&blob);
	/* Linked where it may stay, it stays. */
	init_usual(&file);
	file.header.e_type = ET_DYN;
	blob = flatten(&file, &image);
	assert_int_equal(image.base, BASE + 0x1000);
	blob_free(&blob);
}

static void last_byte_of_the_window_is_usable(void **state)
{
	struct elf_image image;
	struct file file;
	struct blob blob;

	(void)state;
	init(&file);
	file.header.e_entry = END - 0x100;
	add(&file, PT_LOAD, END - 0x100, 0x100, 0x100);
	blob = flatten(&file, &image);
	assert_int_equal(image.base + image.mem_size, END);
	blob_free(&blob);
}

static void other_kinds_are_named(void **state)
{
	struct file file;

	(void)state;
	init_usual(&file);
	file.header.e_machine = EM_X86_64;
	refuses(&file, "kernel image /x: it is an ELF file for x86-64, not for arm64");
	file.header.e_machine = 0x1234;
	refuses(&file, "kernel image /x: it is an ELF file for machine number 4660, not for arm64");
	/* 32-bit Arm is named as such, not by its class. */
	file.header.e_machine = EM_ARM;
	file.header.e_ident[EI_CLASS] = ELFCLASS32;
	refuses(&file, "kernel image /x: it is an ELF file for 32-bit Arm, not for arm64");
	file.header.e_machine = EM_AARCH64;
	refuses(&file, "kernel image /x: it is a 32-bit ELF file; build it for 64 bits");
	file.header.e_ident[EI_DATA] = ELFDATA2MSB;
	refuses(&file, "kernel image /x: it is a big-endian ELF file; build it little-endian");
	init_usual(&file);
	file.header.e_type = ET_REL;
	refuses(&file, "kernel image /x: it is an ELF object file; link it first");
	file.header.e_type = ET_CORE;
	refuses(&file, "kernel image /x: it is a core dump, not a kernel");
	file.header.e_type = ET_DYN;
	add(&file, PT_INTERP, 0, 1, 1);
	refuses(&file,
		"kernel image /x: it is an ELF program that an operating system runs, not a kernel");
	file.phdrs[1].p_type = PT_TLS;
	refuses(&file,
		"kernel image /x: it is an ELF program that an operating system runs, not a kernel");
}

#define DAMAGED "kernel image /x: it is an ELF file that is damaged or cut short: "

static void damage_is_noticed(void **state)
{
	struct file file;

	(void)state;
	init_usual(&file);
	file.size = sizeof(Elf64_Ehdr) - 1;
	refuses(&file, DAMAGED "its header is not complete");
	file.size = sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr) - 1;
	refuses(&file, DAMAGED "its program headers are not in the file");
	file.size = CODE + 0xff;
	refuses(&file, DAMAGED "a segment's bytes are not in the file");
	file.size = FILE_SIZE;
	file.phdrs[0].p_offset = UINT64_MAX - 0x7f; /* the sum would wrap to 0x80 */
	refuses(&file, DAMAGED "a segment's bytes are not in the file");
	init_usual(&file);
	file.header.e_phoff = UINT64_MAX - 7;
	refuses(&file, DAMAGED "its program headers are not in the file");
	init_usual(&file);
	file.header.e_phentsize--;
	refuses(&file, DAMAGED "its program headers have another size");
	init_usual(&file);
	file.phdrs[0].p_memsz = 0xff;
	refuses(&file, DAMAGED "a segment has more bytes than room for them");
	init_usual(&file);
	file.header.e_type = 17;
	refuses(&file, DAMAGED "it is of no known type");
	init_usual(&file);
	for (unsigned i = EI_CLASS; i <= EI_VERSION; i++) {
		init_usual(&file);
		file.header.e_ident[i] = 3;
		refuses(&file, DAMAGED "its class, byte order or version is not known");
	}
}

/* libelf keeps an object for each section. */
static void number_of_sections_is_limited(void **state)
{
	struct elf_image image;
	struct file file;
	struct blob blob;

	(void)state;
	init_usual(&file);
	file.header.e_shoff = CODE;
	file.header.e_shentsize = sizeof(Elf64_Shdr);
	refuses(&file, DAMAGED "its header does not say how many sections it has");
	file.header.e_ident[EI_CLASS] = ELFCLASS32;
	refuses(&file, DAMAGED "its header does not say how many sections it has");
	/* What is beyond the file is no business of whoever loads it. */
	init_usual(&file);
	file.header.e_shoff = UINT64_MAX - 63;
	file.header.e_shentsize = sizeof(Elf64_Shdr);
	file.header.e_shnum = 0xfeff;
	blob = flatten(&file, &image);
	assert_int_equal(blob.size, 0x100);
	blob_free(&blob);
}

static void addresses_are_checked(void **state)
{
	struct file file;

	(void)state;
	/* As Linux's own: it says that it may be moved, but only by its own code. */
	init(&file);
	file.header.e_type = ET_DYN;
	add(&file, PT_LOAD, 0xffff800080000000, 0x100, 0x100);
	refuses(&file, "kernel image /x: its segment at physical address 0xffff800080000000 (0x100 "
		       "bytes) is not within 0x80000000 and 0x8fe00000; link it there, or if it is "
		       "Linux's vmlinux, use the Image that was made from it");
	init(&file);
	add(&file, PT_LOAD, 0x400000, 0x100, 0x100);
	refuses(&file, "kernel image /x: its segment at physical address 0x400000 (0x100 bytes) is "
		       "not within 0x80000000 and 0x8fe00000; link it there, or if it is Linux's "
		       "vmlinux, use the Image that was made from it");
	init(&file);
	add(&file, PT_LOAD, BASE, 0x100, UINT64_MAX);
	refuses(&file,
		"kernel image /x: its segment at physical address 0x80000000 "
		"(0xffffffffffffffff bytes) is not within 0x80000000 and 0x8fe00000; link it "
		"there, or if it is Linux's vmlinux, use the Image that was made from it");
	/* The second one of a file that was moved. */
	init(&file);
	file.header.e_type = ET_DYN;
	add(&file, PT_LOAD, 0, 0x100, 0x100);
	add(&file, PT_LOAD, UINT64_MAX, 0x100, 0x100);
	refuses(&file, "kernel image /x: its segment at physical address 0xffffffffffffffff (0x100 "
		       "bytes) is not within 0x80000000 and 0x8fe00000; link it there, or if it is "
		       "Linux's vmlinux, use the Image that was made from it");
	init_usual(&file);
	add(&file, PT_LOAD, BASE + 0x11ff, 0x100, 0x100);
	refuses(&file, "kernel image /x: two of its segments overlap at physical address "
		       "0x800011ff; link it anew");
}

static void entry_must_be_an_instruction(void **state)
{
	static const uint64_t wrong[] = {0, BASE + 0xfff, BASE + 0x1100, BASE + 0x1002, UINT64_MAX};
	struct file file;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		char sentence[128];

		init_usual(&file);
		file.header.e_entry = wrong[i];
		(void)snprintf(sentence, sizeof(sentence),
			       "kernel image /x: its entry point %#llx is no instruction of it; "
			       "link it anew",
			       (unsigned long long)wrong[i]);
		refuses(&file, sentence);
	}
}

static void numbers_of_segments(void **state)
{
	struct elf_image image;
	struct file file;
	struct blob blob;

	(void)state;
	init(&file);
	refuses(&file, "kernel image /x: it is an ELF file without anything to load");
	for (unsigned i = 0; i < 64; i++)
		add(&file, PT_LOAD, BASE + 0x1000 + i * 4, 4, 4);
	blob = flatten(&file, &image);
	assert_int_equal(blob.size, 256);
	blob_free(&blob);
	add(&file, PT_LOAD, BASE + 0x2000, 4, 4);
	refuses(&file, "kernel image /x: it is an ELF file with more than 64 segments");
}

static void is_elf(void **state)
{
	(void)state;
	assert_true(elf_is("\177ELF", 4));
	assert_false(elf_is("\177ELF", 3));
	assert_false(elf_is("\177ELK", 4));
	assert_false(elf_is(NULL, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_segment),
		cmocka_unit_test(segments_are_gathered),
		cmocka_unit_test(entry_is_a_virtual_address),
		cmocka_unit_test(what_is_linked_at_0_to_be_moved_is_moved),
		cmocka_unit_test(last_byte_of_the_window_is_usable),
		cmocka_unit_test(other_kinds_are_named),
		cmocka_unit_test(damage_is_noticed),
		cmocka_unit_test(number_of_sections_is_limited),
		cmocka_unit_test(addresses_are_checked),
		cmocka_unit_test(entry_must_be_an_instruction),
		cmocka_unit_test(numbers_of_segments),
		cmocka_unit_test(is_elf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
