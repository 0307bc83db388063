/* SPDX-License-Identifier: Apache-2.0 */
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "ccr/elf.h"
#include "ccr/image.h"
#include "ccr/ipa.h"
#include "ccr/kernel.h"
#include "ccr/memmap.h"

/* struct header - the first 64 bytes of an Image; every field is little-endian */
struct header {
	uint32_t code[2];
	uint64_t text_offset;
	uint64_t image_size;
	uint64_t flags;
	uint64_t res2, res3, res4;
	uint8_t magic[4];
	uint32_t res5;
};
_Static_assert(sizeof(struct header) == IMAGE_HEADER_SIZE, "Image header");

#define FLAG_BIG_ENDIAN      1u
#define FLAG_PAGE_SIZE_SHIFT 1
#define FLAG_PAGE_SIZE_MASK  3u

/*
 * Of a kernel before 3.17, whose header has neither offset nor size: booting.rst says the first.
 * kvmtool puts everything there that has no header, and so that runs with either program, so do we.
 */
#define OLD_TEXT_OFFSET 0x80000u
#define OLD_BSS_SIZE    (16u * 1024 * 1024)

static const uint8_t image_magic[4] = {'A', 'R', 'M', 0x64};

static bool has_magic(const uint8_t header[IMAGE_HEADER_SIZE])
{
	return memcmp(header + offsetof(struct header, magic), image_magic, sizeof(image_magic)) ==
	       0;
}

static int not_an_image(const void *data, size_t size, const char *path, struct ccr_err *err)
{
	const char *what = kernel_describe(data, size);

	if (size == 0)
		return err_set(err, -EINVAL, "kernel image %s: the file is empty", path);
	if (!what)
		return err_set(err, -EINVAL,
			       "kernel image %s: not an arm64 Image, nor anything else that this "
			       "program knows; if it is bare machine code, say --flat",
			       path);
	return err_set(err, -EINVAL, "kernel image %s: not an arm64 Image; it is %s", path, what);
}

int image_parse(const void *data, size_t size, const char *path, struct image_info *ret_info,
		struct ccr_err *err)
{
	static const uint32_t page_sizes[] = {0, 4096, 16384, 65536};
	struct image_info info = {0};
	struct header header = {0};
	uint64_t flags;

	if (size > 0)
		memcpy(&header, data, size < sizeof(header) ? size : sizeof(header));
	if (memcmp(header.magic, image_magic, sizeof(image_magic)) != 0)
		return not_an_image(data, size, path, err);
	if (size < sizeof(header))
		return err_set(err, -EINVAL,
			       "kernel image %s: damaged or cut short: its header has %zu bytes, "
			       "not %zu",
			       path, size, sizeof(header));
	flags = le64toh(header.flags);
	if (flags & FLAG_BIG_ENDIAN)
		return err_set(err, -EINVAL,
			       "kernel image %s: it is a big-endian kernel; build one "
			       "without CONFIG_CPU_BIG_ENDIAN",
			       path);

	info.text_offset = le64toh(header.text_offset);
	info.image_size = le64toh(header.image_size);
	info.page_size = page_sizes[flags >> FLAG_PAGE_SIZE_SHIFT & FLAG_PAGE_SIZE_MASK];
	if (!info.image_size) {
		info.text_offset = OLD_TEXT_OFFSET;
		info.image_size = (uint64_t)size + OLD_BSS_SIZE;
	}
	if (info.image_size < size)
		info.image_size = size;
	if (info.text_offset % GRANULE_SIZE)
		return err_set(err, -EINVAL,
			       "kernel image %s: damaged header: text offset %#" PRIx64
			       " is not a multiple of 4 KiB",
			       path, info.text_offset);
	*ret_info = info;
	return 0;
}

static int load_elf(struct blob *blob, const char *path, struct image_info *ret_info,
		    struct ccr_err *err)
{
	static const struct elf_window window = {MEMMAP_RAM_BASE, MEMMAP_DTB_LIMIT};
	struct elf_image image;
	const int ret = elf_flatten(blob, path, &window, &image, err);

	if (ret)
		return ret;
	*ret_info = (struct image_info){
		.text_offset = image.base - MEMMAP_RAM_BASE,
		.image_size = image.mem_size,
		.entry_offset = image.entry - image.base,
	};
	return 0;
}

/* Whoever says --flat of a file that says otherwise is wrong about the file. */
static int load_flat(const struct blob *blob, const char *path, struct image_info *ret_info,
		     struct ccr_err *err)
{
	if (blob->size == 0)
		return err_set(err, -EINVAL, "kernel image %s: the file is empty", path);
	if (kernel_is_known(blob->data, blob->size))
		return err_set(err, -EINVAL,
			       "kernel image %s: it is %s, not bare machine code; leave out --flat",
			       path, kernel_describe(blob->data, blob->size));
	*ret_info = (struct image_info){
		.text_offset = OLD_TEXT_OFFSET,
		.image_size = (uint64_t)blob->size + OLD_BSS_SIZE,
	};
	return 0;
}

int image_load(struct blob *blob, bool flat, const char *path, struct image_info *ret_info,
	       struct ccr_err *err)
{
	int ret;

	if (flat)
		return load_flat(blob, path, ret_info, err);
	ret = kernel_unpack(blob, path, err);
	if (ret)
		return ret;
	if (elf_is(blob->data, blob->size))
		return load_elf(blob, path, ret_info, err);
	return image_parse(blob->data, blob->size, path, ret_info, err);
}

bool image_is_plain(const struct blob *head)
{
	return has_magic(head->data) && !kernel_is_packed(head) && !elf_is(head->data, head->size);
}

int image_load_firmware(const struct blob *blob, const char *path, struct image_info *ret_info,
			struct ccr_err *err)
{
	const bool has_header = blob->size >= sizeof(struct header) && has_magic(blob->data);

	if (blob->size == 0)
		return err_set(err, -EINVAL, "firmware %s: the file is empty", path);
	if (elf_is(blob->data, blob->size))
		return err_set(err, -EINVAL,
			       "firmware %s: it is an ELF file; take its binary image, such as "
			       "KVMTOOL_EFI.fd or u-boot.bin",
			       path);
	if (has_header)
		return image_parse(blob->data, blob->size, path, ret_info, err);
	*ret_info = (struct image_info){.image_size = blob->size};
	return 0;
}
