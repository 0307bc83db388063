/* SPDX-License-Identifier: Apache-2.0 */
/* links: src/util/parse.c */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "ccr/parse.h"

#define NR_OF(array) (sizeof(array) / sizeof(*(array)))
#define UNTOUCHED    0x5a5a5a5a5a5a5a5aull

struct number_case {
	const char *text;
	int rc;
	uint64_t value;
};

static void numbers(void **state)
{
	static const struct number_case cases[] = {
		{"0", 0, 0},
		{"007", 0, 7},
		{"1234567890", 0, 1234567890},
		{"0x0", 0, 0},
		{"0xDeadBeef", 0, 0xdeadbeef},
		{"18446744073709551615", 0, UINT64_MAX},
		{"18446744073709551616", -ERANGE, 0},
		{"18446744073709551620", -ERANGE, 0},
		{"99999999999999999999999999999999", -ERANGE, 0},
		{"0xffffffffffffffff", 0, UINT64_MAX},
		{"0x0000000000000000000000001", 0, 1},
		{"0x10000000000000000", -ERANGE, 0},
		{"", -EINVAL, 0},
		{" 1", -EINVAL, 0},
		{"1 ", -EINVAL, 0},
		{"1\n", -EINVAL, 0},
		{"+1", -EINVAL, 0},
		{"-1", -EINVAL, 0},
		{"0x", -EINVAL, 0},
		{"0x-1", -EINVAL, 0},
		{"0X1", -EINVAL, 0},
		{"x1", -EINVAL, 0},
		{"1f", -EINVAL, 0},
		{"1.5", -EINVAL, 0},
		{"1e3", -EINVAL, 0},
		{"1'000", -EINVAL, 0},
		{"18446744073709551616x", -EINVAL, 0},
		{"\xd9\xa1", -EINVAL, 0}, /* ARABIC-INDIC DIGIT ONE */
	};

	(void)state;
	for (size_t i = 0; i < NR_OF(cases); i++) {
		uint64_t value = UNTOUCHED;

		assert_int_equal(parse_u64(cases[i].text, &value), cases[i].rc);
		assert_int_equal(value, cases[i].rc ? UNTOUCHED : cases[i].value);
	}
}

static void sizes(void **state)
{
	static const struct {
		const char *text;
		uint64_t default_unit;
		int rc;
		uint64_t size;
	} cases[] = {
		{"512M", 1, 0, 512ull << 20},
		{"512m", 1, 0, 512ull << 20},
		{"4k", 1, 0, 4096},
		{"4K", 1, 0, 4096},
		{"3G", 1, 0, 3ull << 30},
		{"3g", 1, 0, 3ull << 30},
		{"2T", 1, 0, 2ull << 40},
		{"2t", 1, 0, 2ull << 40},
		{"0x10M", 1, 0, 16ull << 20},
		{"0", 1, 0, 0},
		{"0T", 1, 0, 0},
		{"4096", 1, 0, 4096},
		{"256", 1ull << 20, 0, 256ull << 20},
		{"256K", 1ull << 20, 0, 256ull << 10},
		{"16777215T", 1, 0, 0xffffff0000000000ull},
		{"16777216T", 1, -ERANGE, 0},
		{"18446744073709551615K", 1, -ERANGE, 0},
		{"18446744073709551616", 1, -ERANGE, 0},
		{"17592186044416", 1ull << 20, -ERANGE, 0},
		{"", 1, -EINVAL, 0},
		{"M", 1, -EINVAL, 0},
		{"0xM", 1, -EINVAL, 0},
		{"-1M", 1, -EINVAL, 0},
		{"1MB", 1, -EINVAL, 0},
		{"1MM", 1, -EINVAL, 0},
		{"1 M", 1, -EINVAL, 0},
		{"1P", 1, -EINVAL, 0},
		{"1.5G", 1, -EINVAL, 0},
		{"99999999999999999999Q", 1, -EINVAL, 0},
	};

	(void)state;
	for (size_t i = 0; i < NR_OF(cases); i++) {
		uint64_t size = UNTOUCHED;

		assert_int_equal(parse_size(cases[i].text, cases[i].default_unit, &size),
				 cases[i].rc);
		assert_int_equal(size, cases[i].rc ? UNTOUCHED : cases[i].size);
	}
}

/* One case of parse_hex() or parse_base64(), whose buffer has 4 bytes. */
struct bytes_case {
	const char *text;
	int rc;
	size_t size;
	const char *bytes;
};

static void check_bytes(int (*parse)(const char *, uint8_t *, size_t, size_t *),
			const struct bytes_case *cases, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		uint8_t buf[5] = {0x5a, 0x5a, 0x5a, 0x5a, 0x5a};
		static const uint8_t untouched[5] = {0x5a, 0x5a, 0x5a, 0x5a, 0x5a};
		size_t size = 77;

		assert_int_equal(parse(cases[i].text, buf, 4, &size), cases[i].rc);
		if (cases[i].rc) {
			assert_int_equal(size, 77);
			assert_memory_equal(buf, untouched, 5);
		} else {
			assert_int_equal(size, cases[i].size);
			assert_memory_equal(buf, cases[i].bytes, size);
			assert_memory_equal(buf + size, untouched, 5 - size);
		}
	}
}

static void hexadecimal(void **state)
{
	static const struct bytes_case cases[] = {
		{"", 0, 0, ""},
		{"00", 0, 1, "\0"},
		{"fFeE0910", 0, 4, "\xff\xee\x09\x10"},
		{"f", -EINVAL, 0, NULL},
		{"012", -EINVAL, 0, NULL},
		{"0g", -EINVAL, 0, NULL},
		{"0x12", -EINVAL, 0, NULL},
		{"12 34", -EINVAL, 0, NULL},
		{"-1", -EINVAL, 0, NULL},
		{"0011223344", -E2BIG, 0, NULL},
		{"00112233zz", -EINVAL, 0, NULL},
		{"\xff\xff", -EINVAL, 0, NULL},
	};

	(void)state;
	check_bytes(parse_hex, cases, NR_OF(cases));
}

static void base64(void **state)
{
	static const struct bytes_case cases[] = {
		{"", 0, 0, ""},
		{"Zg==", 0, 1, "f"},
		{"Zm8=", 0, 2, "fo"},
		{"Zm9v", 0, 3, "foo"},
		{"Zm9vYg==", 0, 4, "foob"},
		{"+/+/", 0, 3, "\xfb\xff\xbf"},
		{"////", 0, 3, "\xff\xff\xff"},
		{"Zm9vYmE=", -E2BIG, 0, NULL},
		{"Zm9vYmFy", -E2BIG, 0, NULL},
		{"Zg", -EINVAL, 0, NULL}, /* no padding */
		{"Zg=", -EINVAL, 0, NULL},
		{"Zm9", -EINVAL, 0, NULL},
		{"Z", -EINVAL, 0, NULL},
		{"Z===", -EINVAL, 0, NULL},
		{"====", -EINVAL, 0, NULL},
		{"=", -EINVAL, 0, NULL},
		{"Zg==Zg==", -EINVAL, 0, NULL}, /* padding inside */
		{"Z=g=", -EINVAL, 0, NULL},
		{"Zh==", -EINVAL, 0, NULL}, /* bits left over are not zero */
		{"Zm9=", -EINVAL, 0, NULL},
		{"-_-_", -EINVAL, 0, NULL}, /* the other alphabet */
		{"Zm9\n", -EINVAL, 0, NULL},
		{"Zm 9", -EINVAL, 0, NULL},
		{"\xff\xff\xff\xff", -EINVAL, 0, NULL},
	};

	(void)state;
	check_bytes(parse_base64, cases, NR_OF(cases));
}

static void hexadecimal_out(void **state)
{
	static const uint8_t bytes[] = {0x00, 0x9a, 0xff};
	char text[8];

	(void)state;
	memset(text, 'x', sizeof(text));
	assert_ptr_equal(parse_format_hex(bytes, sizeof(bytes), text), text);
	assert_memory_equal(text, "009aff\0x", 8);
	assert_string_equal(parse_format_hex(NULL, 0, text), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers),         cmocka_unit_test(sizes),
		cmocka_unit_test(hexadecimal),     cmocka_unit_test(base64),
		cmocka_unit_test(hexadecimal_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
