/* SPDX-License-Identifier: Apache-2.0 */
/* Message digests, by the names the RMM specification uses for them (libcrypto does the work). */
#ifndef CCR_HASH_H
#define CCR_HASH_H

#include <stddef.h>
#include <stdint.h>

/** HASH_MAX_SIZE - every measurement is kept in a field of this many bytes, zero-padded */
#define HASH_MAX_SIZE 64

/** enum hash_algo - values are RmiHashAlgorithm's (RMM spec B4.4.4; SHA-384 is of RMM 2.0) */
enum hash_algo { HASH_SHA256 = 0, HASH_SHA512 = 1, HASH_SHA384 = 2 };

/**
 * hash_size() - digest size in bytes
 *
 * Return: 32, 64 or 48; 0 for a value that is no algorithm.
 */
size_t hash_size(enum hash_algo algo);

/**
 * hash_name() - the name as CCA tokens spell it
 *
 * Return: "sha-256", "sha-512" or "sha-384"; NULL for a value that is no algorithm.
 */
const char *hash_name(enum hash_algo algo);

/**
 * hash_from_name() - the inverse; also accepts "sha256" and so on
 *
 * Return: 0 or -EINVAL.
 */
int hash_from_name(const char *name, enum hash_algo *ret_algo);

/**
 * struct hash_ctx - one algorithm, made ready once for any number of digests
 * @evp: libcrypto's EVP_MD_CTX; NULL while nothing is held
 *
 * Looking an algorithm up costs libcrypto about as much as hashing a granule; a RIM takes two
 * digests a granule. One thread at a time.
 */
struct hash_ctx {
	struct evp_md_ctx_st *evp;
};

/**
 * hash_ctx_init() - look up @algo
 * @ctx: on error nothing is held
 *
 * Return: 0; -EINVAL for a value that is no algorithm; -ENOMEM or -EIO if the library fails.
 */
int hash_ctx_init(struct hash_ctx *ctx, enum hash_algo algo);

/** hash_ctx_done() - takes an all-zero context, leaves one */
void hash_ctx_done(struct hash_ctx *ctx);

/**
 * hash_ctx_digest() - digest of one buffer
 * @data: @size bytes; NULL is allowed if @size is 0
 * @digest: HASH_MAX_SIZE bytes; those behind the digest are zeroed. May overlap @data.
 *
 * Return: 0; -EIO if the library fails, and then all of @digest is zero.
 */
int hash_ctx_digest(struct hash_ctx *ctx, const void *data, size_t size,
		    uint8_t digest[HASH_MAX_SIZE]);

/**
 * hash_digest() - digest of one buffer, for a caller that needs only one
 *
 * Parameters are hash_ctx_digest()'s, errors are both functions'; all of @digest is zero after
 * any.
 */
int hash_digest(enum hash_algo algo, const void *data, size_t size, uint8_t digest[HASH_MAX_SIZE]);

/** HASH_SHORT_SIZE - of a digest that hash_short() makes */
#define HASH_SHORT_SIZE 32

/**
 * hash_short() - SHA-256 of a few bytes
 *
 * Without looking the algorithm up, for which libcrypto makes tables that a process then keeps (80
 * KiB): for who has nothing else to hash.
 */
void hash_short(const void *data, size_t size, uint8_t digest[HASH_SHORT_SIZE]);

#endif
