/* SPDX-License-Identifier: Apache-2.0 */
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "ccr/image.h"
#include "ccr/ipa.h"
#include "ccr/kernel.h"

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
_Static_assert(sizeof(struct header) == 64, "Image header is 64 bytes");

#define FLAG_BIG_ENDIAN      1u
#define FLAG_PAGE_SIZE_SHIFT 1
#define FLAG_PAGE_SIZE_MASK  3u

/* Of a kernel before 3.17, whose header has neither offset nor size: booting.rst says the first. */
#define OLD_TEXT_OFFSET 0x80000u
#define OLD_BSS_SIZE    (16u * 1024 * 1024)

static const uint8_t image_magic[4] = {'A', 'R', 'M', 0x64};

int image_parse(const void *data, size_t size, const char *path, struct image_info *ret_info,
		struct ccr_err *err)
{
	static const uint32_t page_sizes[] = {0, 4096, 16384, 65536};
	struct image_info info;
	struct header header;
	uint64_t flags;

	if (size < sizeof(header))
		return err_set(err, -EINVAL,
			       "kernel image %s: %zu bytes are too few for an arm64 "
			       "Image; it is %s",
			       path, size, kernel_describe(data, size));
	memcpy(&header, data, sizeof(header));
	if (memcmp(header.magic, image_magic, sizeof(image_magic)) != 0)
		return err_set(err, -EINVAL, "kernel image %s: not an arm64 Image; it is %s", path,
			       kernel_describe(data, size));
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
