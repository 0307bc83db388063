/* SPDX-License-Identifier: Apache-2.0 */
/* The arm64 Linux Image header (Linux Documentation/arch/arm64/booting.rst). Pure. */
#ifndef CCR_IMAGE_H
#define CCR_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "ccr/err.h"

/**
 * struct image_info - what the header says
 * @text_offset: bytes from a 2 MiB boundary to where the Image goes
 * @image_size: bytes the kernel uses in memory from there, BSS included; never less than the
 *	file's size (header value 0, of kernels before 3.17, is taken as file size + 16 MiB)
 * @page_size: 4096, 16384 or 65536; 0 if the header does not say
 */
struct image_info {
	uint64_t text_offset;
	uint64_t image_size;
	uint32_t page_size;
};

/**
 * image_parse() - read the header of a raw Image
 * @data: the file as it goes to memory; at least @size readable bytes
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
