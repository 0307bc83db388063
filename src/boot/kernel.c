/* SPDX-License-Identifier: Apache-2.0 */
#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "ccr/kernel.h"
#include "unpack.h"

/*
 * struct signature - how a kind of file is recognised
 * @offset: where @bytes are, from the file's start
 *
 * The first match wins: what embeds the beginning of another format comes before it.
 */
struct signature {
	size_t offset;
	size_t size;
	const char *bytes;
	const char *phrase;
};

static const struct signature signatures[] = {
	{0x38, 4, "ARM\x64", "an arm64 Image"},
	{0x38, 4, "RSC\x05", "a RISC-V Image"},
	{0x202, 4, "HdrS", "an x86 bzImage"},
	{0x24, 4, "\x18\x28\x6f\x01", "a 32-bit Arm zImage"},
	{4, 4, "zimg", "an EFI zboot image"},
	{0, 2, "MZ", "an EFI program"},
	{0, 4, "\177ELF", "an ELF file"},
	{0, 2, "\x1f\x8b", "a gzip archive"},
	{0, 6,
	 "\xfd"
	 "7zXZ\0",
	 "an xz archive (unpack it first: unxz)"},
	{0, 4, "\x28\xb5\x2f\xfd", "a zstd archive"},
	{0, 3, "BZh", "a bzip2 archive (unpack it first: bunzip2)"},
	{0, 3, "\x5d\0\0", "an lzma archive (unpack it first: unlzma)"},
	{0, 4, "\x02\x21\x4c\x18", "an lz4 archive (unpack it first: unlz4)"},
	{0, 4, "\x04\x22\x4d\x18", "an lz4 archive (unpack it first: unlz4)"},
	{0, 4, "\x89LZO", "an lzop archive (unpack it first: lzop -d)"},
	{0, 4, "PK\3\4", "a zip archive (unpack it first: unzip)"},
	{257, 5, "ustar", "a tar archive"},
	{0, 7, "!<arch>", "an ar archive or Debian package"},
	{0, 6, "070701", "a cpio archive, as initrds are"},
	{0, 4, "\x27\x05\x19\x56", "a U-Boot uImage"},
	{0, 4, "\xd0\x0d\xfe\xed", "a device tree blob or FIT image"},
	{0, 4, "QFI\xfb", "a qcow2 disk image"},
	{0, 2, "#!", "a script"},
	{0, 9, "<!DOCTYPE", "an HTML page"},
	{0, 9, "<!doctype", "an HTML page"},
	{0, 5, "<html", "an HTML page"},
};

static const struct signature *signature_of(const uint8_t *data, size_t size, size_t min_size)
{
	for (size_t i = 0; i < sizeof(signatures) / sizeof(*signatures); i++) {
		const struct signature *s = &signatures[i];

		if (s->size >= min_size && size >= s->offset + s->size &&
		    memcmp(data + s->offset, s->bytes, s->size) == 0)
			return s;
	}
	return NULL;
}

const char *kernel_describe(const void *data, size_t size)
{
	const struct signature *s = signature_of(data, size, 0);

	return s ? s->phrase : NULL;
}

bool kernel_is_known(const void *data, size_t size)
{
	return signature_of(data, size, 4) != NULL;
}

/* struct packing - a compression that can be undone; zboot images name it */
struct packing {
	const char *name;
	size_t magic_size;
	const char *magic;
	int (*unpack)(const struct blob *packed, size_t max_size, struct blob *ret_content);
};

static const struct packing packings[] = {
	{"gzip", 3, "\x1f\x8b\x08", unpack_gzip},
	{"zstd", 4, "\x28\xb5\x2f\xfd", unpack_zstd},
};

#define NR_PACKINGS (sizeof(packings) / sizeof(*packings))

static const struct packing *packing_of(const struct blob *blob)
{
	for (size_t i = 0; i < NR_PACKINGS; i++) {
		const struct packing *p = &packings[i];

		if (blob->size >= p->magic_size && memcmp(blob->data, p->magic, p->magic_size) == 0)
			return p;
	}
	return NULL;
}

/* Replace @blob by the content of @packed, which may be a part of it. */
static int unpack(struct blob *blob, const struct blob *packed, const struct packing *packing,
		  const char *path, struct ccr_err *err)
{
	struct blob content;
	const int ret = packing->unpack(packed, KERNEL_MAX_SIZE, &content);

	switch (ret) {
	case 0:
		blob_free(blob);
		*blob = content;
		return 0;
	case -EFBIG:
		return err_set(err, ret,
			       "kernel image %s: unpacked it is larger than %llu MiB, "
			       "the most that is accepted",
			       path, KERNEL_MAX_SIZE >> 20);
	case -ENOMEM:
		return err_set(err, ret, "kernel image %s: no memory to unpack it", path);
	default:
		return err_set(err, ret,
			       "kernel image %s: its %s data are damaged or cut short; "
			       "fetch or build it again",
			       path, packing->name);
	}
}

/*
 * struct zboot - how an EFI zboot image begins (Linux drivers/firmware/efi/libstub/zboot-header.S):
 * an EFI program that has the Image packed in it, and says where; numbers are little-endian
 */
struct zboot {
	uint8_t mz[4];
	uint8_t magic[4];
	uint32_t payload_offset;
	uint32_t payload_size;
	uint32_t reserved[2];
	char compression[32];
};
_Static_assert(sizeof(struct zboot) == 56, "zboot header");

static bool is_zboot(const struct blob *blob)
{
	return blob->size >= sizeof(struct zboot) && memcmp(blob->data, "MZ", 2) == 0 &&
	       memcmp(blob->data + offsetof(struct zboot, magic), "zimg", 4) == 0;
}

/* By the name that the header gives: "zstd" is also "zstd22", for how hard it was tried. */
static const struct packing *packing_named(const char *name)
{
	for (size_t i = 0; i < NR_PACKINGS; i++) {
		if (strncmp(name, packings[i].name, strlen(packings[i].name)) == 0)
			return &packings[i];
	}
	return NULL;
}

static int unpack_zboot(struct blob *blob, const char *path, struct ccr_err *err)
{
	const struct packing *packing;
	struct blob payload;
	struct zboot header;
	uint32_t offset;

	memcpy(&header, blob->data, sizeof(header));
	header.compression[sizeof(header.compression) - 1] = '\0';
	offset = le32toh(header.payload_offset);
	payload.size = le32toh(header.payload_size);
	if (offset > blob->size || payload.size > blob->size - offset)
		return err_set(err, -EINVAL,
			       "kernel image %s: it is an EFI zboot image that is damaged or cut "
			       "short; fetch or build it again",
			       path);
	payload.data = blob->data + offset;
	packing = packing_named(header.compression);
	if (!packing)
		return err_set(err, -EINVAL,
			       "kernel image %s: it is an EFI zboot image packed with '%s', and "
			       "only gzip and zstd can be unpacked; use the Image that it was made "
			       "from",
			       path, header.compression);
	return unpack(blob, &payload, packing, path, err);
}

bool kernel_is_packed(const struct blob *blob)
{
	return packing_of(blob) || is_zboot(blob);
}

int kernel_unpack(struct blob *blob, const char *path, struct ccr_err *err)
{
	const struct packing *packing = packing_of(blob);

	if (packing)
		return unpack(blob, blob, packing, path, err);
	return is_zboot(blob) ? unpack_zboot(blob, path, err) : 0;
}
