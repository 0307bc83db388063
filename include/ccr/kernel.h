/* SPDX-License-Identifier: Apache-2.0 */
/* Container formats a guest kernel comes in. Input is untrusted: the owner may have been fooled. */
#ifndef CCR_KERNEL_H
#define CCR_KERNEL_H

#include <stdbool.h>
#include <stddef.h>

#include "ccr/err.h"
#include "ccr/file.h"

/** KERNEL_MAX_SIZE - largest kernel accepted, packed or unpacked, in bytes (1 GiB) */
#define KERNEL_MAX_SIZE (1ull << 30)

/**
 * kernel_unpack() - replace a packed kernel by what it contains
 * @blob: in: the file; out: what was packed in it. On error unchanged.
 * @path: for messages
 *
 * Undone is one of: gzip (RFC 1952, possibly several members), zstd (RFC 8878, possibly several
 * frames), or an EFI zboot image whose payload is one of these; what follows the last member or
 * frame is ignored. Everything else is left as it is, also what comes out. A size over
 * KERNEL_MAX_SIZE is refused before it is allocated.
 *
 * Return: 0; -EINVAL (damaged, or a zboot image packed in another way), -EFBIG, -ENOMEM with @err
 * set.
 */
int kernel_unpack(struct blob *blob, const char *path, struct ccr_err *err);

/** kernel_is_packed() - by its first 64 bytes, it is something that kernel_unpack() unpacks */
bool kernel_is_packed(const struct blob *blob);

/**
 * kernel_describe() - say what a file is that turned out not to be a kernel for this machine
 * @data: the file's bytes
 *
 * Return: a static phrase that completes "it is ...", such as "an x86 bzImage", "an xz archive
 * (unpack it first: unxz)", "an EFI zboot image", "a script"; NULL when it is unknown.
 */
const char *kernel_describe(const void *data, size_t size);

/**
 * kernel_is_known() - kernel_describe() knows what it is, by a magic number of 4 bytes or more
 *
 * Shorter ones are met in any machine code.
 */
bool kernel_is_known(const void *data, size_t size);

#endif
