/* SPDX-License-Identifier: Apache-2.0 */
/*
 * links: src/realm/corim.c src/util/cbor.c src/util/hash.c src/util/err.c src/util/parse.c
 * src/util/file.c
 */
/*
 * golden/corim-*.cbor are what the drafts say, as an encoder of tests/cli/corim.py writes it that
 * shares nothing with ours.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "ccr/cbor.h"
#include "ccr/corim.h"
#include "ccr/file.h"

static uint8_t rim[HASH_MAX_SIZE], rpv[PLAN_RPV_SIZE];

static void fill(size_t rim_size)
{
	memset(rim, 0, sizeof(rim));
	for (size_t i = 0; i < rim_size; i++)
		rim[i] = (uint8_t)(i + 1);
	memset(rpv, 0, sizeof(rpv));
	memcpy(rpv, "my realm", 8);
}

static void assert_golden(const struct corim_realm *realm, const char *path)
{
	uint8_t corim[CORIM_MAX_SIZE];
	struct ccr_err err = {0};
	struct blob golden;
	size_t size = 0;

	assert_int_equal(corim_write(realm, corim, &size, &err), 0);
	assert_int_equal(err.code, 0);
	assert_int_equal(file_load(path, CORIM_MAX_SIZE, path, &golden, &err), 0);
	assert_int_equal(size, golden.size);
	assert_memory_equal(corim, golden.data, size);
	blob_free(&golden);
}

static void test_rim_alone(void **state)
{
	const struct corim_realm realm = {.hash_algo = HASH_SHA256, .rim = rim};

	(void)state;
	fill(32);
	assert_golden(&realm, "tests/unit/golden/corim-sha256.cbor");
}

static void test_rim_and_rpv(void **state)
{
	const struct corim_realm realm = {.hash_algo = HASH_SHA512, .rim = rim, .rpv = rpv};

	(void)state;
	fill(64);
	assert_golden(&realm, "tests/unit/golden/corim-sha512-rpv.cbor");
}

/* The longest there can be. */
static void test_size(void **state)
{
	const struct corim_realm realm = {.hash_algo = HASH_SHA512, .rim = rim, .rpv = rpv};
	uint8_t corim[CORIM_MAX_SIZE];
	struct cbor_item item;
	const char *why;
	size_t size = 0;

	(void)state;
	memset(rim, 0xff, sizeof(rim));
	memset(rpv, 0xff, sizeof(rpv));
	assert_int_equal(corim_write(&realm, corim, &size, NULL), 0);
	assert_int_equal(size, 897);
	assert_int_equal(cbor_decode(corim, size, &item, &why), 0);
	assert_int_equal(item.type, CBOR_TAG);
	assert_int_equal(item.value, 501);
}

static void test_bad_algorithm(void **state)
{
	const struct corim_realm realm = {.hash_algo = (enum hash_algo)3, .rim = rim};
	uint8_t corim[CORIM_MAX_SIZE];
	struct ccr_err err = {0};
	size_t size = 7;

	(void)state;
	assert_int_equal(corim_write(&realm, corim, &size, &err), -EINVAL);
	assert_int_equal(size, 7);
	assert_string_equal(err.msg, "CoRIM: no hash algorithm has number 3");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rim_alone),
		cmocka_unit_test(test_rim_and_rpv),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_bad_algorithm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
