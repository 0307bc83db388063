/* SPDX-License-Identifier: Apache-2.0 */
/* Decompressors that never make more than they were allowed to. Input is untrusted. */
#ifndef BOOT_UNPACK_H
#define BOOT_UNPACK_H

#include "ccr/file.h"

/**
 * unpack_gzip() - inflate all members of a gzip file (RFC 1952)
 * @packed: what follows the last member is ignored
 * @max_size: bytes
 * @ret_content: the caller owns it; all zero for an empty content. Untouched on error.
 *
 * Return: 0; -EINVAL (damaged or cut short), -EFBIG (more than @max_size), -ENOMEM.
 */
int unpack_gzip(const struct blob *packed, size_t max_size, struct blob *ret_content);

/** unpack_zstd() - the same for the frames of a zstd file (RFC 8878) */
int unpack_zstd(const struct blob *packed, size_t max_size, struct blob *ret_content);

#endif
