/* SPDX-License-Identifier: Apache-2.0 */
/*
 * links: src/util/err.c src/util/file.c src/boot/elf.c src/boot/kernel.c src/boot/unpack.c
 *	arch/arm64/image.c arch/arm64/memmap.c arch/arm64/layout.c
 */
/*
 * Property: image_load() of any bytes gives a sentence, or bytes and a plausible place for them,
 * with the first instruction among them; and whatever place that is, layout_place() refuses it or
 * places kernel, initrd and device tree in RAM, in this order and with no page in common.
 */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ccr/image.h"
#include "ccr/layout.h"
#include "ccr/memmap.h"
#include "fuzz.h"

static void check_layout(const struct image_info *image, uint64_t ram_size, uint64_t initrd_size)
{
	uint64_t kernel_end, ram_end = MEMMAP_RAM_BASE + ram_size;
	struct ccr_err err = {0};
	struct layout layout;
	struct memmap map;
	int rc;

	require(memmap_init(&map, ram_size, 1, NULL) == 0);
	rc = layout_place(&map, image, initrd_size, &layout, &err);
	require(err.code == rc);
	if (rc) {
		require(rc == -ENOSPC && *err.msg);
		return;
	}
	require(layout.kernel_base.v >= MEMMAP_RAM_BASE && layout.kernel_base.v < ram_end);
	require(image->image_size <= ram_end - layout.kernel_base.v);
	kernel_end = align_up(layout.kernel_base.v + image->image_size, SZ_4K);
	require(layout.initrd_size == initrd_size && layout.initrd_base.v % 4 == 0);
	require(kernel_end <= layout.initrd_base.v);
	require(layout.initrd_base.v + initrd_size <= layout.dtb_base.v);
	require(layout.dtb_base.v - (layout.initrd_base.v + initrd_size) < 4);
	require(layout.dtb_base.v + MEMMAP_DTB_SIZE <= ram_end);
}

static void check_load(const uint8_t *data, size_t size, bool flat)
{
	struct blob blob = {malloc(size ? size : 1), size};
	uint64_t initrd_size = 0;
	struct ccr_err err = {0};
	struct image_info image;
	int rc;

	require(blob.data != NULL);
	memcpy(blob.data, data, size);
	rc = image_load(&blob, flat, "file", &image, &err);
	require(err.code == rc && (rc == 0) == (*err.msg == '\0'));
	require(rc == 0 || rc == -EINVAL || rc == -EFBIG || rc == -ENOMEM);
	if (rc == 0) {
		require(image.image_size >= blob.size);
		require(image.entry_offset < blob.size);
		require((image.text_offset + image.entry_offset) % 4 == 0);
		require(image.page_size == 0 || image.page_size == 4096 ||
			image.page_size == 16384 || image.page_size == 65536);
		/* The initrd's size: bytes that an Image's header has no use for. */
		if (size >= 40)
			memcpy(&initrd_size, data + 32, sizeof(initrd_size));
		check_layout(&image, MEMMAP_MIN_RAM, initrd_size);
		check_layout(&image, MEMMAP_MIN_RAM, initrd_size & 0xffffff);
		check_layout(&image, 16 * SZ_1G, initrd_size & 0xfffffff);
	}
	blob_free(&blob);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* Inflates to 4 MiB at most, which keeps a run short. */
	if (size > 4096)
		return 0;
	check_load(data, size, false);
	check_load(data, size, true);
	return 0;
}
