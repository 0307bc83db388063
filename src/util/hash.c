/* SPDX-License-Identifier: Apache-2.0 */
/* Of these only what hash_short() is for: libcrypto would rather look algorithms up. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

#include "ccr/hash.h"

struct algorithm {
	const char *name;
	const char *short_name; /* also libcrypto's */
	size_t size;
};

static const struct algorithm algorithms[] = {
	[HASH_SHA256] = {"sha-256", "sha256", 32},
	[HASH_SHA512] = {"sha-512", "sha512", 64},
	[HASH_SHA384] = {"sha-384", "sha384", 48},
};

#define NR_ALGORITHMS (sizeof(algorithms) / sizeof(algorithms[0]))

static const struct algorithm *find(enum hash_algo algo)
{
	return (unsigned)algo < NR_ALGORITHMS ? &algorithms[algo] : NULL;
}

size_t hash_size(enum hash_algo algo)
{
	const struct algorithm *algorithm = find(algo);

	return algorithm ? algorithm->size : 0;
}

const char *hash_name(enum hash_algo algo)
{
	const struct algorithm *algorithm = find(algo);

	return algorithm ? algorithm->name : NULL;
}

int hash_from_name(const char *name, enum hash_algo *ret_algo)
{
	for (size_t i = 0; i < NR_ALGORITHMS; i++) {
		if (!strcmp(name, algorithms[i].name) || !strcmp(name, algorithms[i].short_name)) {
			*ret_algo = (enum hash_algo)i;
			return 0;
		}
	}
	return -EINVAL;
}

int hash_ctx_init(struct hash_ctx *ctx, enum hash_algo algo)
{
	const struct algorithm *algorithm = find(algo);
	EVP_MD *md;
	int ret = 0;

	ctx->evp = NULL;
	if (!algorithm)
		return -EINVAL;
	md = EVP_MD_fetch(NULL, algorithm->short_name, NULL);
	if (!md)
		return -EIO;
	ctx->evp = EVP_MD_CTX_new();
	if (!ctx->evp)
		ret = -ENOMEM;
	else if (!EVP_DigestInit_ex2(ctx->evp, md, NULL))
		ret = -EIO;
	EVP_MD_free(md); /* the context has its own reference */
	if (ret)
		hash_ctx_done(ctx);
	return ret;
}

void hash_ctx_done(struct hash_ctx *ctx)
{
	EVP_MD_CTX_free(ctx->evp);
	ctx->evp = NULL;
}

int hash_ctx_digest(struct hash_ctx *ctx, const void *data, size_t size,
		    uint8_t digest[HASH_MAX_SIZE])
{
	uint8_t result[HASH_MAX_SIZE] = {0};
	/* No algorithm named: the one the context has is started anew. */
	const bool ok = EVP_DigestInit_ex2(ctx->evp, NULL, NULL) &&
			EVP_DigestUpdate(ctx->evp, data, size) &&
			EVP_DigestFinal_ex(ctx->evp, result, NULL);

	if (!ok)
		memset(result, 0, sizeof(result));
	memcpy(digest, result, sizeof(result));
	return ok ? 0 : -EIO;
}

int hash_digest(enum hash_algo algo, const void *data, size_t size, uint8_t digest[HASH_MAX_SIZE])
{
	struct hash_ctx ctx;
	int ret = hash_ctx_init(&ctx, algo);

	if (ret) {
		memset(digest, 0, HASH_MAX_SIZE);
		return ret;
	}
	ret = hash_ctx_digest(&ctx, data, size, digest);
	hash_ctx_done(&ctx);
	return ret;
}

void hash_short(const void *data, size_t size, uint8_t digest[HASH_SHORT_SIZE])
{
	SHA256_CTX ctx;

	SHA256_Init(&ctx);
	SHA256_Update(&ctx, data, size);
	SHA256_Final(digest, &ctx);
}
