/* SPDX-License-Identifier: Apache-2.0 */
/* Where kernel, initrd and device tree go in RAM. Pure. */
#ifndef CCR_LAYOUT_H
#define CCR_LAYOUT_H

#include "ccr/image.h"
#include "ccr/ipa.h"
#include "ccr/memmap.h"

/**
 * struct layout - addresses of the three images
 * @kernel_base: first byte of the kernel
 * @initrd_base: first byte, 4-byte aligned, so that the initrd ends at (or up to 3 bytes below)
 *	the device tree; meaningless if @initrd_size is 0
 * @initrd_size: bytes
 * @dtb_base: 64 KiB from here
 */
struct layout {
	ipa_t kernel_base;
	ipa_t initrd_base;
	uint64_t initrd_size;
	ipa_t dtb_base;
};

/**
 * layout_place() - place the images by the rules of layout version 1
 * @map: the machine
 * @image: the kernel
 * @initrd_size: bytes; 0 for none
 *
 * The kernel (with BSS) and the initrd share the window from RAM's start to the device tree: about
 * 254 MiB whatever the RAM. When they do not fit, the sentence names the window and both sizes.
 *
 * Return: 0, or -ENOSPC with @err set.
 */
int layout_place(const struct memmap *map, const struct image_info *image, uint64_t initrd_size,
		 struct layout *ret_layout, struct ccr_err *err);

#endif
