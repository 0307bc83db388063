/* SPDX-License-Identifier: Apache-2.0 */
/*
 * links: src/util/cbor.c src/util/err.c src/util/hash.c src/util/parse.c src/util/file.c
 * src/realm/cose.c src/realm/token.c src/realm/token_read.c
 */
/*
 * The token that emulated realms make, and the readers on it. What readers must refuse is in
 * test_verify.c, where it can be seen to end in a rejection.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "ccr/file.h"
#include "ccr/token.h"

static const char name[] = "ccr-run emulated realm";

static void fill_claims(struct token_claims *claims, enum hash_algo algo)
{
	*claims = (struct token_claims){.hash_algo = algo};
	for (size_t i = 0; i < sizeof(claims->challenge); i++)
		claims->challenge[i] = (uint8_t)(0x80 + i);
	memcpy(claims->rpv, "personal", 8);
	for (unsigned i = 0; i < RSI_NR_MEASUREMENTS; i++)
		memset(claims->measurements[i], 0x11 * (int)(i + 1), hash_size(algo));
}

static size_t make(const struct token_claims *claims, uint8_t token[RSI_MAX_TOKEN_SIZE])
{
	struct ccr_err err = {0};
	size_t size = 0;

	assert_int_equal(token_emulated(claims, token, &size, &err), 0);
	assert_int_equal(err.code, 0);
	return size;
}

static void take_apart(const uint8_t *token, size_t size, struct cose_sign1 *platform,
		       struct cose_sign1 *realm)
{
	struct token_collection collection;

	assert_int_equal(token_read_collection(token, size, &collection, NULL), 0);
	assert_int_equal(collection.tag, TOKEN_TAG_COLLECTION);
	assert_int_equal(cose_sign1_parse(collection.platform.content,
					  collection.platform.content_size, "p", platform, NULL),
			 0);
	assert_int_equal(cose_sign1_parse(collection.realm.content, collection.realm.content_size,
					  "r", realm, NULL),
			 0);
}

static void test_sizes(void **state)
{
	static const struct {
		enum hash_algo algo;
		size_t size;
	} sizes[] = {{HASH_SHA256, 1015}, {HASH_SHA384, 1095}, {HASH_SHA512, 1175}};
	uint8_t token[RSI_MAX_TOKEN_SIZE];
	struct token_claims claims;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		fill_claims(&claims, sizes[i].algo);
		assert_int_equal(make(&claims, token), sizes[i].size);
	}
}

static void test_realm_claims(void **state)
{
	static const enum hash_algo algos[] = {HASH_SHA256, HASH_SHA384, HASH_SHA512};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		uint8_t token[RSI_MAX_TOKEN_SIZE];
		struct cose_sign1 platform, sign1;
		struct token_claims claims;
		struct token_realm realm;
		struct cose_key key;

		fill_claims(&claims, algos[i]);
		take_apart(token, make(&claims, token), &platform, &sign1);
		assert_int_equal(sign1.alg, COSE_ES384);
		assert_int_equal(token_read_realm(sign1.payload.content, sign1.payload.content_size,
						  &realm, NULL),
				 0);
		assert_int_equal(realm.profile, TOKEN_PROFILE_2023);
		assert_int_equal(realm.hash_algo, algos[i]);
		assert_int_equal(realm.rak_hash_algo, HASH_SHA256);
		assert_int_equal(realm.challenge.content_size, 64);
		assert_memory_equal(realm.challenge.content, claims.challenge, 64);
		assert_int_equal(realm.rpv.content_size, 64);
		assert_memory_equal(realm.rpv.content, claims.rpv, 64);
		assert_int_equal(realm.rim.content_size, hash_size(algos[i]));
		assert_memory_equal(realm.rim.content, claims.measurements[0], hash_size(algos[i]));
		for (unsigned j = 0; j < TOKEN_NR_REMS; j++) {
			assert_int_equal(realm.rems[j].content_size, hash_size(algos[i]));
			assert_memory_equal(realm.rems[j].content, claims.measurements[1 + j],
					    hash_size(algos[i]));
		}
		assert_int_equal(token_read_rak(&realm, &key, NULL), 0);
		assert_true(cose_key_equal(&key, &token_emulated_realm_secret.key));
		assert_int_equal(cose_sign1_verify(&sign1, &key, NULL), 0);
	}
}

/* No verifier may take it for real, whichever of these it looks at. */
static void test_platform_says_emulated(void **state)
{
	uint8_t token[RSI_MAX_TOKEN_SIZE], zeros[32] = {0};
	struct cose_sign1 sign1, realm;
	struct token_component component;
	struct token_platform platform;
	struct token_claims claims;
	struct cbor_reader reader;
	struct cbor_item item;

	(void)state;
	fill_claims(&claims, HASH_SHA256);
	take_apart(token, make(&claims, token), &sign1, &realm);
	assert_int_equal(token_read_platform(sign1.payload.content, sign1.payload.content_size,
					     &platform, NULL),
			 0);
	assert_int_equal(platform.profile, TOKEN_PROFILE_2023);
	assert_int_equal(platform.implementation_id.content_size, 32);
	assert_memory_equal(platform.implementation_id.content, name, strlen(name));
	assert_memory_equal(platform.implementation_id.content + strlen(name), zeros,
			    32 - strlen(name));
	assert_int_equal(platform.instance_id.content_size, 33);
	assert_int_equal(platform.instance_id.content[0], 1);
	assert_memory_equal(platform.instance_id.content + 1, name, strlen(name));
	assert_int_equal(platform.lifecycle, 0x5000);
	assert_int_equal(platform.components.value, 1);
	cbor_enter(&platform.components, &reader);
	assert_int_equal(cbor_read(&reader, &item), 0);
	assert_int_equal(token_read_component(&item, HASH_SHA256, &component, NULL), 0);
	assert_true(cbor_is_text(&component.type, "ccr-run emulated RMM"));
	assert_int_equal(component.measurement.content_size, 32);
	assert_memory_equal(component.measurement.content, zeros, 32);
	assert_int_equal(component.version.content_size, 0);
	assert_int_equal(cose_sign1_verify(&sign1, &token_emulated_platform_secret.key, NULL), 0);
	assert_int_equal(cose_sign1_verify(&sign1, &token_emulated_realm_secret.key, NULL),
			 -EBADMSG);
}

static void test_binding(void **state)
{
	uint8_t token[RSI_MAX_TOKEN_SIZE], digest[HASH_MAX_SIZE];
	struct cose_sign1 platform_sign1, realm_sign1;
	struct token_platform platform;
	struct token_claims claims;
	struct token_realm realm;

	(void)state;
	fill_claims(&claims, HASH_SHA512);
	take_apart(token, make(&claims, token), &platform_sign1, &realm_sign1);
	token_read_platform(platform_sign1.payload.content, platform_sign1.payload.content_size,
			    &platform, NULL);
	token_read_realm(realm_sign1.payload.content, realm_sign1.payload.content_size, &realm,
			 NULL);
	assert_int_equal(realm.rak.content_size, 107);
	hash_digest(HASH_SHA256, realm.rak.content, realm.rak.content_size, digest);
	assert_int_equal(platform.challenge.content_size, 32);
	assert_memory_equal(platform.challenge.content, digest, 32);
}

static void test_only_signatures_differ(void **state)
{
	uint8_t first[RSI_MAX_TOKEN_SIZE], second[RSI_MAX_TOKEN_SIZE];
	struct cose_sign1 platform, realm;
	struct token_claims claims;
	size_t size, offset;

	(void)state;
	fill_claims(&claims, HASH_SHA256);
	size = make(&claims, first);
	assert_int_equal(make(&claims, second), size);
	take_apart(first, size, &platform, &realm);
	offset = (size_t)(platform.signature.content - first);
	assert_memory_not_equal(first + offset, second + offset, 96);
	memcpy(second + offset, first + offset, 96);
	offset = (size_t)(realm.signature.content - first);
	assert_memory_not_equal(first + offset, second + offset, 96);
	memcpy(second + offset, first + offset, 96);
	assert_memory_equal(first, second, size);
}

/*
 * A token made once and kept: all but the signatures must stay as it is, or what was written down
 * about emulated realms' tokens is no longer true.
 */
static void test_kept_token(void **state)
{
	uint8_t token[RSI_MAX_TOKEN_SIZE];
	struct cose_sign1 platform, realm, kept_platform, kept_realm;
	struct token_claims claims;
	struct blob kept = {0};

	(void)state;
	assert_int_equal(file_load("tests/unit/vectors/emulated.token", RSI_MAX_TOKEN_SIZE,
				   "vector", &kept, NULL),
			 0);
	fill_claims(&claims, HASH_SHA256);
	assert_int_equal(make(&claims, token), kept.size);
	take_apart(token, kept.size, &platform, &realm);
	take_apart(kept.data, kept.size, &kept_platform, &kept_realm);
	assert_int_equal(platform.payload.content_size, kept_platform.payload.content_size);
	assert_memory_equal(platform.payload.content, kept_platform.payload.content,
			    platform.payload.content_size);
	assert_int_equal(realm.payload.content_size, kept_realm.payload.content_size);
	assert_memory_equal(realm.payload.content, kept_realm.payload.content,
			    realm.payload.content_size);
	assert_int_equal(
		cose_sign1_verify(&kept_platform, &token_emulated_platform_secret.key, NULL), 0);
	assert_int_equal(cose_sign1_verify(&kept_realm, &token_emulated_realm_secret.key, NULL), 0);
	blob_free(&kept);
}

static void test_no_algorithm(void **state)
{
	uint8_t token[RSI_MAX_TOKEN_SIZE];
	struct token_claims claims;
	struct ccr_err err = {0};
	size_t size = 7;

	(void)state;
	fill_claims(&claims, HASH_SHA256);
	claims.hash_algo = (enum hash_algo)3;
	assert_int_equal(token_emulated(&claims, token, &size, &err), -EINVAL);
	assert_string_equal(err.msg, "token: 3 is no hash algorithm");
	assert_int_equal(size, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_realm_claims),
		cmocka_unit_test(test_platform_says_emulated),
		cmocka_unit_test(test_binding),
		cmocka_unit_test(test_only_signatures_differ),
		cmocka_unit_test(test_kept_token),
		cmocka_unit_test(test_no_algorithm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
