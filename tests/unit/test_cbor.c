/* SPDX-License-Identifier: Apache-2.0 */
/* links: src/util/cbor.c src/util/parse.c */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "ccr/cbor.h"
#include "ccr/parse.h"

#define MAX_INPUT 512

static size_t unhex(const char *hex, uint8_t buf[MAX_INPUT])
{
	size_t size;

	assert_int_equal(parse_hex(hex, buf, MAX_INPUT, &size), 0);
	return size;
}

static int decode(const char *hex, uint8_t buf[MAX_INPUT], struct cbor_item *item, const char **why)
{
	*why = NULL;
	return cbor_decode(buf, unhex(hex, buf), item, why);
}

/* The examples of RFC 8949, appendix A, that belong to the part we read. */
static void test_good_items(void **state)
{
	static const struct {
		const char *hex;
		enum cbor_major type;
		uint64_t value;
		size_t content_size;
	} items[] = {
		{"00", CBOR_UINT, 0, 0},
		{"17", CBOR_UINT, 23, 0},
		{"1818", CBOR_UINT, 24, 0},
		{"18ff", CBOR_UINT, 255, 0},
		{"190100", CBOR_UINT, 256, 0},
		{"1903e8", CBOR_UINT, 1000, 0},
		{"1a00010000", CBOR_UINT, 65536, 0},
		{"1a000f4240", CBOR_UINT, 1000000, 0},
		{"1b000000e8d4a51000", CBOR_UINT, 1000000000000, 0},
		{"1bffffffffffffffff", CBOR_UINT, UINT64_MAX, 0},
		{"20", CBOR_NINT, 0, 0},
		{"3863", CBOR_NINT, 99, 0},
		{"f4", CBOR_SIMPLE, CBOR_FALSE, 0},
		{"f5", CBOR_SIMPLE, CBOR_TRUE, 0},
		{"f6", CBOR_SIMPLE, CBOR_NULL, 0},
		{"40", CBOR_BYTES, 0, 0},
		{"4401020304", CBOR_BYTES, 4, 4},
		{"60", CBOR_TEXT, 0, 0},
		{"6449455446", CBOR_TEXT, 4, 4},
		{"62c3bc", CBOR_TEXT, 2, 2},
		{"63e6b0b4", CBOR_TEXT, 3, 3},
		{"64f0908591", CBOR_TEXT, 4, 4},
		{"64f48fbfbf", CBOR_TEXT, 4, 4},
		{"63ed9fbf", CBOR_TEXT, 3, 3},
		{"80", CBOR_ARRAY, 0, 0},
		{"8301820203820405", CBOR_ARRAY, 3, 7},
		{"a0", CBOR_MAP, 0, 0},
		{"a201020304", CBOR_MAP, 2, 4},
		{"a203040102", CBOR_MAP, 2, 4},     /* any order will do */
		{"a201022002", CBOR_MAP, 2, 4},     /* 1 and -1 are two keys */
		{"a2616101416102", CBOR_MAP, 2, 6}, /* and so are text and bytes */
		{"c11a514b67b0", CBOR_TAG, 1, 5},
		{"d9018fa0", CBOR_TAG, 399, 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++) {
		uint8_t buf[MAX_INPUT];
		struct cbor_item item;
		const char *why;

		assert_int_equal(decode(items[i].hex, buf, &item, &why), 0);
		assert_int_equal(item.type, items[i].type);
		assert_true(item.value == items[i].value);
		assert_int_equal(item.content_size, items[i].content_size);
		assert_null(why);
	}
}

static void test_bad_items(void **state)
{
	static const struct {
		const char *hex;
		const char *why;
	} items[] = {
		{"", "is empty"},
		{"0000", "has bytes behind its end"},
		{"a0ff", "has bytes behind its end"},
		/* every head, cut short */
		{"18", "is cut short"},
		{"1900", "is cut short"},
		{"1a000000", "is cut short"},
		{"1b00000000000000", "is cut short"},
		{"41", "is cut short"},
		{"430102", "is cut short"},
		{"5bffffffffffffffff00", "is cut short"},
		{"8301", "is cut short"},
		{"9bffffffffffffffff00", "is cut short"},
		{"a101", "is cut short"},
		{"a2010203", "is cut short"},
		{"c1", "is cut short"},
		/* longer than need be */
		{"1800", "has a number that is not in its shortest form"},
		{"1817", "has a number that is not in its shortest form"},
		{"190000", "has a number that is not in its shortest form"},
		{"1900ff", "has a number that is not in its shortest form"},
		{"1a0000ffff", "has a number that is not in its shortest form"},
		{"1b00000000ffffffff", "has a number that is not in its shortest form"},
		{"580100", "has a number that is not in its shortest form"},
		{"980100", "has a number that is not in its shortest form"},
		{"b8010000", "has a number that is not in its shortest form"},
		{"da0000018fa0", "has a number that is not in its shortest form"},
		/* indefinite or reserved */
		{"1c", "has an indefinite length or a reserved encoding"},
		{"1f", "has an indefinite length or a reserved encoding"},
		{"5f4100ff", "has an indefinite length or a reserved encoding"},
		{"7f6161ff", "has an indefinite length or a reserved encoding"},
		{"9f00ff", "has an indefinite length or a reserved encoding"},
		{"bf0000ff", "has an indefinite length or a reserved encoding"},
		{"ff", "has an indefinite length or a reserved encoding"},
		{"5d00", "has an indefinite length or a reserved encoding"},
		/* keys */
		{"a200000000", "has a map with the same key twice"},
		{"a3000001020002", "has a map with the same key twice"},
		{"a2616100616100", "has a map with the same key twice"},
		{"a2810000810000", "has a map with the same key twice"},
		{"81a200000000", "has a map with the same key twice"},
		{"a1a20000000000", "has a map with the same key twice"},
		/* text */
		{"61ff", "has text that is not UTF-8"},
		{"6180", "has text that is not UTF-8"},
		{"61c3", "has text that is not UTF-8"},
		{"62c328", "has text that is not UTF-8"},
		{"62c080", "has text that is not UTF-8"},
		{"63e08080", "has text that is not UTF-8"},
		{"63eda080", "has text that is not UTF-8"},
		{"64f0808080", "has text that is not UTF-8"},
		{"64f4908080", "has text that is not UTF-8"},
		{"65f888808080", "has text that is not UTF-8"},
		{"62e6b0", "has text that is not UTF-8"},
		/* simple values */
		{"f0", "has a float or an unknown simple value"},
		{"f7", "has a float or an unknown simple value"},
		{"f8ff", "has a float or an unknown simple value"},
		{"f818", "has a float or an unknown simple value"},
		{"f93c00", "has a float or an unknown simple value"},
		{"fa47c35000", "has a float or an unknown simple value"},
		{"fb3ff199999999999a", "has a float or an unknown simple value"},
		{"f814", "has a number that is not in its shortest form"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++) {
		uint8_t buf[MAX_INPUT];
		struct cbor_item item;
		const char *why;

		assert_int_equal(decode(items[i].hex, buf, &item, &why), -EINVAL);
		assert_string_equal(why, items[i].why);
	}
}

static void test_depth_is_limited(void **state)
{
	static const uint8_t openers[] = {0x81, 0xc1};
	uint8_t buf[CBOR_MAX_DEPTH + 2];
	struct cbor_item item;
	const char *why;

	(void)state;
	for (size_t i = 0; i < sizeof(openers); i++) {
		memset(buf, openers[i], sizeof(buf));
		buf[CBOR_MAX_DEPTH] = 0;
		assert_int_equal(cbor_decode(buf, CBOR_MAX_DEPTH + 1, &item, &why), 0);
		buf[CBOR_MAX_DEPTH] = openers[i];
		buf[CBOR_MAX_DEPTH + 1] = 0;
		assert_int_equal(cbor_decode(buf, CBOR_MAX_DEPTH + 2, &item, &why), -EINVAL);
		assert_string_equal(why, "is nested too deeply");
	}
}

static void test_map_size_is_limited(void **state)
{
	uint8_t buf[MAX_INPUT];
	struct cbor_writer writer;
	struct cbor_item item;
	const char *why;

	(void)state;
	for (unsigned nr = CBOR_MAX_PAIRS; nr <= CBOR_MAX_PAIRS + 1; nr++) {
		cbor_writer_init(&writer, buf, sizeof(buf));
		cbor_put_head(&writer, CBOR_MAP, nr);
		for (unsigned i = 0; i < nr; i++) {
			cbor_put_int(&writer, i);
			cbor_put_int(&writer, 0);
		}
		assert_false(writer.full);
		if (nr == CBOR_MAX_PAIRS) {
			assert_int_equal(cbor_decode(buf, writer.size, &item, &why), 0);
		} else {
			assert_int_equal(cbor_decode(buf, writer.size, &item, &why), -EINVAL);
			assert_string_equal(why, "has a map with too many entries");
		}
	}
}

static void test_reading_on(void **state)
{
	uint8_t buf[MAX_INPUT];
	size_t size = unhex("0143aabbcc821819200ff9", buf);
	struct cbor_reader reader;
	struct cbor_item item;

	(void)state;
	cbor_reader_init(&reader, buf, size);
	assert_int_equal(cbor_read(&reader, &item), 0);
	assert_int_equal(item.value, 1);
	assert_int_equal(cbor_read(&reader, &item), 0);
	assert_ptr_equal(item.content, buf + 2);
	assert_int_equal(item.content_size, 3);
	assert_int_equal(cbor_read(&reader, &item), 0);
	assert_int_equal(item.type, CBOR_ARRAY);
	assert_ptr_equal(item.content, buf + 6);
	assert_int_equal(item.content_size, 3);
	assert_int_equal(cbor_read(&reader, &item), 0);
	assert_int_equal(item.value, 15);
	/* A failure changes neither the reader nor the item. */
	assert_int_equal(cbor_read(&reader, &item), -EINVAL);
	assert_string_equal(reader.why, "is cut short");
	assert_ptr_equal(reader.next, buf + size - 1);
	assert_int_equal(item.value, 15);
	reader.left = 0;
	assert_int_equal(cbor_read(&reader, &item), -ENODATA);
}

static void test_find(void **state)
{
	uint8_t buf[MAX_INPUT];
	struct cbor_item map, value;
	const char *why;

	(void)state;
	assert_int_equal(decode("a5010a200b61310c41010d19acca0e", buf, &map, &why), 0);
	assert_int_equal(cbor_find(&map, 1, &value), 0);
	assert_true(cbor_is_number(&value, 10));
	assert_int_equal(cbor_find(&map, -1, &value), 0);
	assert_true(cbor_is_number(&value, 11));
	assert_int_equal(cbor_find(&map, 44234, &value), 0);
	assert_true(cbor_is_number(&value, 14));
	/* Neither values nor keys of other types are taken for the key. */
	assert_int_equal(cbor_find(&map, 10, &value), -ENOENT);
	assert_int_equal(cbor_find(&map, 0x31, &value), -ENOENT);
	assert_int_equal(cbor_find(&map, 0, &value), -ENOENT);
	assert_true(cbor_is_number(&value, 14));
}

static void test_numbers(void **state)
{
	uint8_t buf[MAX_INPUT];
	struct cbor_item item;
	int64_t number = 7;
	const char *why;

	(void)state;
	assert_int_equal(decode("1b7fffffffffffffff", buf, &item, &why), 0);
	assert_int_equal(cbor_int(&item, &number), 0);
	assert_true(number == INT64_MAX);
	assert_int_equal(decode("3b7fffffffffffffff", buf, &item, &why), 0);
	assert_int_equal(cbor_int(&item, &number), 0);
	assert_true(number == INT64_MIN);
	number = 7;
	assert_int_equal(decode("1b8000000000000000", buf, &item, &why), 0);
	assert_int_equal(cbor_int(&item, &number), -EINVAL);
	assert_int_equal(decode("3b8000000000000000", buf, &item, &why), 0);
	assert_int_equal(cbor_int(&item, &number), -EINVAL);
	assert_int_equal(decode("4101", buf, &item, &why), 0);
	assert_int_equal(cbor_int(&item, &number), -EINVAL);
	assert_false(cbor_is_number(&item, 1));
	assert_int_equal(number, 7);
}

static void test_text(void **state)
{
	uint8_t buf[MAX_INPUT];
	struct cbor_item item;
	const char *why;

	(void)state;
	assert_int_equal(decode("6449455446", buf, &item, &why), 0);
	assert_true(cbor_is_text(&item, "IETF"));
	assert_false(cbor_is_text(&item, "IET"));
	assert_false(cbor_is_text(&item, "IETFF"));
	assert_false(cbor_is_text(&item, "IETf"));
	assert_int_equal(decode("4449455446", buf, &item, &why), 0);
	assert_false(cbor_is_text(&item, "IETF"));
}

/* What is written is what a strict reader reads: each number at both sides of each size. */
static void test_written_numbers(void **state)
{
	static const struct {
		int64_t number;
		const char *hex;
	} numbers[] = {
		{0, "00"},
		{23, "17"},
		{24, "1818"},
		{255, "18ff"},
		{256, "190100"},
		{44234, "19acca"},
		{65535, "19ffff"},
		{65536, "1a00010000"},
		{UINT32_MAX, "1affffffff"},
		{1ll << 32, "1b0000000100000000"},
		{INT64_MAX, "1b7fffffffffffffff"},
		{-1, "20"},
		{-24, "37"},
		{-25, "3818"},
		{-35, "3822"},
		{-256, "38ff"},
		{-257, "390100"},
		{INT64_MIN, "3b7fffffffffffffff"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		uint8_t buf[16];
		char text[2 * sizeof(buf) + 1];
		struct cbor_writer writer;

		cbor_writer_init(&writer, buf, sizeof(buf));
		cbor_put_int(&writer, numbers[i].number);
		assert_false(writer.full);
		assert_string_equal(parse_format_hex(buf, writer.size, text), numbers[i].hex);
	}
}

static void test_written_strings(void **state)
{
	uint8_t buf[MAX_INPUT], expected[MAX_INPUT];
	struct cbor_writer writer;
	size_t size = unhex("d28443a10126a0434142434378797a40", expected);

	(void)state;
	cbor_writer_init(&writer, buf, sizeof(buf));
	cbor_put_head(&writer, CBOR_TAG, 18);
	cbor_put_head(&writer, CBOR_ARRAY, 4);
	cbor_put_bytes(&writer, "\xa1\x01\x26", 3);
	cbor_put_raw(&writer, "\xa0", 1);
	cbor_put_bytes(&writer, "ABC", 3);
	cbor_put_bytes(&writer, "xyz", 3);
	cbor_put_bytes(&writer, NULL, 0);
	assert_int_equal(writer.size, size);
	assert_memory_equal(buf, expected, size);
	cbor_writer_init(&writer, buf, sizeof(buf));
	cbor_put_text(&writer, "sha-256");
	assert_int_equal(writer.size, 8);
	assert_memory_equal(buf, "\x67sha-256", 8);
}

static void test_full_writer(void **state)
{
	uint8_t buf[8];
	struct cbor_writer writer;

	(void)state;
	memset(buf, 0xee, sizeof(buf));
	cbor_writer_init(&writer, buf, 5);
	cbor_put_bytes(&writer, "abcd", 4);
	assert_false(writer.full);
	assert_int_equal(writer.size, 5);
	cbor_put_int(&writer, 0);
	assert_true(writer.full);
	assert_int_equal(buf[5], 0xee);
	cbor_writer_init(&writer, buf, 5);
	cbor_put_bytes(&writer, "abcde", 5);
	assert_true(writer.full);
	/* Once something is missing, nothing smaller slips in behind it. */
	cbor_put_int(&writer, 0);
	assert_int_equal(writer.size, 1);
	assert_int_equal(buf[5], 0xee);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_items),       cmocka_unit_test(test_bad_items),
		cmocka_unit_test(test_depth_is_limited), cmocka_unit_test(test_map_size_is_limited),
		cmocka_unit_test(test_reading_on),       cmocka_unit_test(test_find),
		cmocka_unit_test(test_numbers),          cmocka_unit_test(test_text),
		cmocka_unit_test(test_written_numbers),  cmocka_unit_test(test_written_strings),
		cmocka_unit_test(test_full_writer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
