/* SPDX-License-Identifier: Apache-2.0 */
/* Container formats a guest kernel comes in. Input is untrusted: the owner may have been fooled. */
#ifndef CCR_KERNEL_H
#define CCR_KERNEL_H

#include "ccr/err.h"
#include "ccr/file.h"

/** KERNEL_MAX_SIZE - largest kernel accepted, packed or unpacked, in bytes (1 GiB) */
#define KERNEL_MAX_SIZE (1ull << 30)

/**
 * kernel_unpack() - replace a packed kernel by what it contains
 * @blob: in: the file; out: the raw bytes to be placed in guest memory. On error unchanged.
 * @path: for messages
 *
 * gzip (RFC 1952, possibly several members; what follows the last one is ignored) is inflated;
 * everything else is left as it is. A size over KERNEL_MAX_SIZE is refused before it is allocated.
 *
 * Return: 0; -EINVAL (damaged), -EFBIG, -ENOMEM with @err set.
 */
int kernel_unpack(struct blob *blob, const char *path, struct ccr_err *err);

/**
 * kernel_describe() - say what a file is that turned out not to be an arm64 Image
 * @data: the file's bytes
 *
 * Return: a static phrase that completes "it is ...", such as "an ELF file (use the Image that the
 * kernel's build makes from it)", "an x86 bzImage", "an xz archive", "an EFI zboot image", "a
 * script", "empty"; "nothing this program knows" when it is unknown.
 */
const char *kernel_describe(const void *data, size_t size);

#endif
