/* SPDX-License-Identifier: Apache-2.0 */
/* links: src/util/hash.c src/util/parse.c */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "ccr/hash.h"
#include "ccr/parse.h"

static const enum hash_algo no_algorithm = (enum hash_algo)3;

static const uint8_t zeros[HASH_MAX_SIZE];

/* FIPS 180-4 examples. */
static const char abc_sha256[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
static const char abc_sha384[] = "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
				 "8086072ba1e7cc2358baeca134c825a7";
static const char abc_sha512[] = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
				 "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";
static const char empty_sha256[] =
	"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

static void assert_digest(const uint8_t digest[HASH_MAX_SIZE], const char *hex)
{
	char text[2 * HASH_MAX_SIZE + 1];

	parse_format_hex(digest, strlen(hex) / 2, text);
	assert_string_equal(text, hex);
	assert_memory_equal(digest + strlen(hex) / 2, zeros, HASH_MAX_SIZE - strlen(hex) / 2);
}

static void test_known_digests(void **state)
{
	uint8_t digest[HASH_MAX_SIZE];

	(void)state;
	memset(digest, 0xa5, sizeof(digest));
	assert_int_equal(hash_digest(HASH_SHA256, "abc", 3, digest), 0);
	assert_digest(digest, abc_sha256);
	assert_int_equal(hash_digest(HASH_SHA512, "abc", 3, digest), 0);
	assert_digest(digest, abc_sha512);
	assert_int_equal(hash_digest(HASH_SHA384, "abc", 3, digest), 0);
	assert_digest(digest, abc_sha384);
	memset(digest, 0, sizeof(digest));
	hash_short("abc", 3, digest);
	assert_digest(digest, abc_sha256);
	assert_int_equal(hash_digest(HASH_SHA256, NULL, 0, digest), 0);
	assert_digest(digest, empty_sha256);
}

static void test_context_is_reusable(void **state)
{
	struct hash_ctx ctx;
	uint8_t digest[HASH_MAX_SIZE];

	(void)state;
	assert_int_equal(hash_ctx_init(&ctx, HASH_SHA384), 0);
	for (unsigned i = 0; i < 3; i++) {
		memset(digest, 0xa5, sizeof(digest));
		assert_int_equal(hash_ctx_digest(&ctx, "abc", 3, digest), 0);
		assert_digest(digest, abc_sha384);
		assert_int_equal(hash_ctx_digest(&ctx, "other", 5, digest), 0);
		assert_memory_not_equal(digest, zeros, 48);
	}
	hash_ctx_done(&ctx);
	hash_ctx_done(&ctx);
	assert_null(ctx.evp);
}

static void test_digest_may_overlap_data(void **state)
{
	uint8_t chain[HASH_MAX_SIZE] = "abc";

	(void)state;
	assert_int_equal(hash_digest(HASH_SHA512, chain, 3, chain), 0);
	assert_digest(chain, abc_sha512);
}

static void test_unknown_algorithm(void **state)
{
	struct hash_ctx ctx;
	uint8_t digest[HASH_MAX_SIZE];

	(void)state;
	memset(digest, 0xa5, sizeof(digest));
	assert_int_equal(hash_digest(no_algorithm, "abc", 3, digest), -EINVAL);
	assert_memory_equal(digest, zeros, sizeof(digest));
	assert_int_equal(hash_ctx_init(&ctx, (enum hash_algo) - 1), -EINVAL);
	hash_ctx_done(&ctx);
	assert_int_equal(hash_size(no_algorithm), 0);
	assert_null(hash_name(no_algorithm));
}

static void test_names_and_sizes(void **state)
{
	static const struct {
		enum hash_algo algo;
		size_t size;
		const char *name, *other;
	} known[] = {
		{HASH_SHA256, 32, "sha-256", "sha256"},
		{HASH_SHA384, 48, "sha-384", "sha384"},
		{HASH_SHA512, 64, "sha-512", "sha512"},
	};
	enum hash_algo algo;

	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		assert_int_equal(hash_size(known[i].algo), known[i].size);
		assert_string_equal(hash_name(known[i].algo), known[i].name);
		algo = no_algorithm;
		assert_int_equal(hash_from_name(known[i].name, &algo), 0);
		assert_int_equal(algo, known[i].algo);
		algo = no_algorithm;
		assert_int_equal(hash_from_name(known[i].other, &algo), 0);
		assert_int_equal(algo, known[i].algo);
	}
}

static void test_names_refused(void **state)
{
	static const char *const bad[] = {"",         "sha",      "SHA-256",  "sha-1",
					  "sha-256 ", " sha-256", "sha-2567", "md5"};
	enum hash_algo algo = HASH_SHA384;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(hash_from_name(bad[i], &algo), -EINVAL);
	assert_int_equal(algo, HASH_SHA384);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_digests),
		cmocka_unit_test(test_context_is_reusable),
		cmocka_unit_test(test_digest_may_overlap_data),
		cmocka_unit_test(test_unknown_algorithm),
		cmocka_unit_test(test_names_and_sizes),
		cmocka_unit_test(test_names_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
