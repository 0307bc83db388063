/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a kernel's file to the bytes that go to memory, and where they go. Pure.
 *
 * In this order: what is packed is unpacked (kernel_unpack()); an arm64 Image is placed by its
 * header (Linux Documentation/arch/arm64/booting.rst), an ELF file by its segments. All else is
 * refused, unless it was said to be flat: then it is neither unpacked nor looked at.
 */
#ifndef CCR_IMAGE_H
#define CCR_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ccr/err.h"
#include "ccr/file.h"

/**
 * struct image_info - where a kernel goes
 * @text_offset: bytes from the start of RAM, or from another 2 MiB boundary for an Image
 * @image_size: bytes the kernel uses in memory from there, BSS included; never less than the
 *	file's size. What does not say it (an Image of a kernel before 3.17, a flat binary) is
 *	taken to use 16 MiB more than its file has.
 * @entry_offset: bytes from there to the first instruction; 0 but for ELF files
 * @page_size: 4096, 16384 or 65536; 0 if it is not known
 */
struct image_info {
	uint64_t text_offset;
	uint64_t image_size;
	uint64_t entry_offset;
	uint32_t page_size;
};

/**
 * image_load() - turn a kernel's file into what goes to memory
 * @blob: in: the file; out: the bytes. On error it is as it was, or unpacked.
 * @flat: it is bare machine code, whose first byte is the first instruction; it goes where Images
 *	of kernels before 3.17 go, 512 KiB above the start of RAM
 * @path: for messages
 *
 * Return: 0; -EINVAL, -EFBIG or -ENOMEM with @err set.
 */
int image_load(struct blob *blob, bool flat, const char *path, struct image_info *ret_info,
	       struct ccr_err *err);

/** IMAGE_HEADER_SIZE - bytes of an Image that say where it goes: its first ones */
#define IMAGE_HEADER_SIZE 64

/**
 * image_is_plain() - image_load() would leave a file as it is, and look at no more than its header
 * @head: its first bytes, at least IMAGE_HEADER_SIZE
 */
bool image_is_plain(const struct blob *head);

/**
 * image_load_firmware() - where guest firmware goes
 * @blob: the file, which goes to memory as it is; only its first IMAGE_HEADER_SIZE bytes are read
 *
 * By its header, if it has that of an Image; else it is code that runs from any page, and goes to
 * the start of RAM.
 *
 * Return: 0; -EINVAL with @err set.
 */
int image_load_firmware(const struct blob *blob, const char *path, struct image_info *ret_info,
			struct ccr_err *err);

/**
 * image_parse() - read the header of a raw Image
 * @data: the file as it goes to memory: all @size bytes, or of one that image_is_plain() the header
 * @path: for messages
 *
 * Refuses, each with its own sentence: too short, no magic (says what it is instead, through
 * kernel_describe()), big-endian.
 *
 * Return: 0, or -EINVAL with @err set.
 */
int image_parse(const void *data, size_t size, const char *path, struct image_info *ret_info,
		struct ccr_err *err);

#endif
