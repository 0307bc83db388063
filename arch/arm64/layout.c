/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>

#include "ccr/layout.h"

/* Rounded up, so that what does not fit never looks as if it did; no sum that could wrap. */
static uint64_t mib(uint64_t size)
{
	return (size >> 20) + (size % (1u << 20) != 0);
}

static int refuse(const struct memmap *map, const struct image_info *image, uint64_t initrd_size,
		  struct ccr_err *err)
{
	uint64_t window_size = map->dtb_base.v - MEMMAP_RAM_BASE;
	const char *way_out = map->dtb_base.v < MEMMAP_DTB_LIMIT
				      ? "give the guest more RAM (up to 256 MiB it helps)"
				      : "make them smaller (more RAM does not help)";

	return err_set(err, -ENOSPC,
		       "kernel (%" PRIu64 " MiB with its BSS, at offset %#" PRIx64
		       ") and initrd (%" PRIu64 " MiB) do not fit the %" PRIu64 " MiB between the "
		       "start of RAM and the device tree; %s",
		       mib(image->image_size), image->text_offset, mib(initrd_size),
		       window_size >> 20, way_out);
}

int layout_place(const struct memmap *map, const struct image_info *image, uint64_t initrd_size,
		 struct layout *ret_layout, struct ccr_err *err)
{
	uint64_t left = map->dtb_base.v - MEMMAP_RAM_BASE;

	/* The device tree's base is a multiple of 2 MiB: rounding up to pages cannot pass it. */
	if (image->text_offset > left || image->image_size > left - image->text_offset)
		return refuse(map, image, initrd_size, err);
	left -= align_up(image->text_offset + image->image_size, SZ_4K);
	if (initrd_size > left)
		return refuse(map, image, initrd_size, err);

	ret_layout->kernel_base = ipa_at(MEMMAP_RAM_BASE + image->text_offset);
	ret_layout->initrd_base = ipa_at(align_down(map->dtb_base.v - initrd_size, 4));
	ret_layout->initrd_size = initrd_size;
	ret_layout->dtb_base = map->dtb_base;
	return 0;
}
