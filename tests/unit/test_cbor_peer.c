/* SPDX-License-Identifier: Apache-2.0 */
/* links: src/util/cbor.c src/util/err.c src/util/file.c src/util/parse.c */
/*
 * Our reader of CBOR against libcbor, a reader that others keep, over the same bytes: the tokens
 * that the fuzzer keeps, damaged in many ways, and bytes by chance.
 *
 * Ours is the stricter one, in the seven ways that strict() lists and in no other. So the claim is
 * an equivalence: ours accepts what libcbor reads to the last byte, if it is also strict; and then
 * both have read the same. The one thing that only ours reads are tags of one byte that libcbor 0.8
 * has no name for, 6 to 20; COSE_Sign1 is such a one.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <cbor.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <iconv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ccr/cbor.h"
#include "ccr/file.h"
#include "ccr/parse.h"

#define CORPUS    "tests/fuzz/corpus/token"
#define MAX_SIZE  4096
#define MAX_SEEDS 8192
#define ROUNDS    200000

/*
 * libcbor asks for memory for all the entries that an array claims to have. The sanitizer, whose
 * interface this is, refuses what is too much, and would report each time.
 */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1:max_allocation_size_mb=64";
}

void __sanitizer_set_report_fd(void *fd);

static cbor_item_t *load(const uint8_t *data, size_t size, struct cbor_load_result *result)
{
	const intptr_t nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
	cbor_item_t *item;

	assert_true(nowhere >= 0);
	__sanitizer_set_report_fd((void *)nowhere);
	item = cbor_load(data, size, result);
	__sanitizer_set_report_fd((void *)2);
	close((int)nowhere);
	return item;
}

struct seeds {
	size_t nr;
	struct blob blobs[MAX_SEEDS];
};

/* ---- strictness, in terms of what libcbor has read ----------------------------------------- */

static bool strict(const cbor_item_t *item, unsigned depth);

/* 1: numbers in their shortest form. Of one byte and less, writing them again tells. */
static bool strict_int(const cbor_item_t *item)
{
	const uint64_t value = cbor_get_int(item);

	switch (cbor_int_get_width(item)) {
	case CBOR_INT_8:
		return true;
	case CBOR_INT_16:
		return value > UINT8_MAX;
	case CBOR_INT_32:
		return value > UINT16_MAX;
	default:
		return value > UINT32_MAX;
	}
}

/* 2: text is UTF-8. libcbor only counts its characters. */
static bool strict_text(const cbor_item_t *item)
{
	char *from = (char *)cbor_string_handle(item);
	size_t left = cbor_string_length(item);
	uint32_t wide[MAX_SIZE];
	char *to = (char *)wide;
	size_t room = sizeof(wide);
	const iconv_t converter = iconv_open("UCS-4", "UTF-8");
	bool converted;

	assert_true(converter != (iconv_t)-1);
	converted = left == 0 || iconv(converter, &from, &left, &to, &room) != (size_t)-1;
	assert_true(converted || errno == EILSEQ || errno == EINVAL);
	iconv_close(converter);
	return converted;
}

static bool same_bytes(const cbor_item_t *a, const cbor_item_t *b)
{
	unsigned char first[MAX_SIZE], second[MAX_SIZE];
	const size_t size = cbor_serialize(a, first, sizeof(first));

	return size == cbor_serialize(b, second, sizeof(second)) && !memcmp(first, second, size);
}

/* 3: no key twice; 4: not more entries than we compare. */
static bool strict_map(const cbor_item_t *item, unsigned depth)
{
	const struct cbor_pair *pairs = cbor_map_handle(item);
	const size_t nr = cbor_map_size(item);

	if (nr > CBOR_MAX_PAIRS)
		return false;
	for (size_t i = 0; i < nr; i++) {
		for (size_t j = 0; j < i; j++) {
			if (same_bytes(pairs[i].key, pairs[j].key))
				return false;
		}
		if (!strict(pairs[i].key, depth) || !strict(pairs[i].value, depth))
			return false;
	}
	return true;
}

static bool strict_array(const cbor_item_t *item, unsigned depth)
{
	for (size_t i = 0; i < cbor_array_size(item); i++) {
		if (!strict(cbor_array_handle(item)[i], depth))
			return false;
	}
	return true;
}

static bool strict_tag(const cbor_item_t *item, unsigned depth)
{
	cbor_item_t *inner = cbor_tag_item(item);
	const bool is_strict = strict(inner, depth);

	cbor_decref(&inner);
	return is_strict;
}

/* 5: definite lengths; 6: no floats, and of the simple values three; 7: a limit of depth. */
static bool strict(const cbor_item_t *item, unsigned depth)
{
	switch (cbor_typeof(item)) {
	case CBOR_TYPE_UINT:
	case CBOR_TYPE_NEGINT:
		return strict_int(item);
	case CBOR_TYPE_BYTESTRING:
		return cbor_bytestring_is_definite(item);
	case CBOR_TYPE_STRING:
		return cbor_string_is_definite(item) && strict_text(item);
	case CBOR_TYPE_ARRAY:
		return cbor_array_is_definite(item) && depth < CBOR_MAX_DEPTH &&
		       strict_array(item, depth + 1);
	case CBOR_TYPE_MAP:
		return cbor_map_is_definite(item) && depth < CBOR_MAX_DEPTH &&
		       strict_map(item, depth + 1);
	case CBOR_TYPE_TAG:
		return depth < CBOR_MAX_DEPTH && strict_tag(item, depth + 1);
	default:
		return cbor_float_ctrl_is_ctrl(item) && cbor_ctrl_value(item) >= CBOR_FALSE &&
		       cbor_ctrl_value(item) <= CBOR_NULL;
	}
}

/* Heads of strings, containers and tags are written in their shortest form: see strict_int(). */
static bool written_the_same(const cbor_item_t *item, const uint8_t *data, size_t size)
{
	unsigned char again[MAX_SIZE];

	return cbor_serialize(item, again, sizeof(again)) == size && !memcmp(again, data, size);
}

/* ---- that both have read the same ---------------------------------------------------------- */

static void assert_same(const struct cbor_item *ours, cbor_item_t *theirs);

static void assert_next_same(struct cbor_reader *reader, cbor_item_t *theirs)
{
	struct cbor_item item;

	assert_int_equal(cbor_read(reader, &item), 0);
	assert_same(&item, theirs);
}

static void assert_same_inside(const struct cbor_item *ours, cbor_item_t *theirs)
{
	struct cbor_reader reader;
	struct cbor_item item;

	cbor_enter(ours, &reader);
	if (ours->type == CBOR_TAG) {
		cbor_item_t *inner = cbor_tag_item(theirs);

		assert_next_same(&reader, inner);
		cbor_decref(&inner);
	}
	for (size_t i = 0; ours->type == CBOR_ARRAY && i < cbor_array_size(theirs); i++)
		assert_next_same(&reader, cbor_array_handle(theirs)[i]);
	for (size_t i = 0; ours->type == CBOR_MAP && i < cbor_map_size(theirs); i++) {
		assert_next_same(&reader, cbor_map_handle(theirs)[i].key);
		assert_next_same(&reader, cbor_map_handle(theirs)[i].value);
	}
	assert_int_equal(cbor_read(&reader, &item), -ENODATA);
}

static void assert_same_string(const struct cbor_item *ours, const void *bytes, size_t size)
{
	assert_int_equal(ours->value, size);
	assert_int_equal(ours->content_size, size);
	if (size > 0)
		assert_memory_equal(ours->content, bytes, size);
}

/* Both number the types as the RFC does. */
static void assert_same(const struct cbor_item *ours, cbor_item_t *theirs)
{
	assert_int_equal(ours->type, cbor_typeof(theirs));
	switch (ours->type) {
	case CBOR_UINT:
	case CBOR_NINT:
		assert_true(ours->value == cbor_get_int(theirs));
		break;
	case CBOR_BYTES:
		assert_same_string(ours, cbor_bytestring_handle(theirs),
				   cbor_bytestring_length(theirs));
		break;
	case CBOR_TEXT:
		assert_same_string(ours, cbor_string_handle(theirs), cbor_string_length(theirs));
		break;
	case CBOR_SIMPLE:
		assert_true(ours->value == cbor_ctrl_value(theirs));
		break;
	case CBOR_ARRAY:
		assert_int_equal(ours->value, cbor_array_size(theirs));
		assert_same_inside(ours, theirs);
		break;
	case CBOR_MAP:
		assert_int_equal(ours->value, cbor_map_size(theirs));
		assert_same_inside(ours, theirs);
		break;
	case CBOR_TAG:
		assert_int_equal(ours->value, cbor_tag_value(theirs));
		assert_same_inside(ours, theirs);
		break;
	}
}

static bool has_tag_unknown_to_libcbor(const struct cbor_item *item)
{
	struct cbor_reader reader;
	struct cbor_item inner;

	if (item->type < CBOR_ARRAY || item->type > CBOR_TAG)
		return false;
	if (item->type == CBOR_TAG && item->value >= 6 && item->value <= 20)
		return true;
	cbor_enter(item, &reader);
	while (cbor_read(&reader, &inner) == 0) {
		if (has_tag_unknown_to_libcbor(&inner))
			return true;
	}
	return false;
}

/* Return: whether the bytes were accepted, by both. */
static bool agree(const uint8_t *data, size_t size)
{
	struct cbor_load_result result;
	cbor_item_t *theirs = load(data, size, &result);
	struct cbor_item ours;
	const char *why = NULL;
	const bool accepted = cbor_decode(data, size, &ours, &why) == 0;
	const bool expected = theirs && result.read == size &&
			      written_the_same(theirs, data, size) && strict(theirs, 0);

	if (accepted && has_tag_unknown_to_libcbor(&ours)) {
		assert_null(theirs);
		return false;
	}
	if (accepted != expected) {
		char hex[2 * MAX_SIZE + 1];

		fail_msg("%s: ours: %s; libcbor: %s", parse_format_hex(data, size, hex),
			 accepted ? "accepted" : why, theirs ? "read" : "not read");
	}
	if (accepted)
		assert_same(&ours, theirs);
	if (theirs)
		cbor_decref(&theirs);
	return accepted;
}

/* ---- inputs -------------------------------------------------------------------------------- */

static void keep(struct seeds *seeds, const uint8_t *data, size_t size)
{
	struct blob *blob = &seeds->blobs[seeds->nr];

	if (size == 0 || size > MAX_SIZE)
		return;
	assert_true(seeds->nr < MAX_SEEDS);
	blob->data = malloc(size);
	assert_non_null(blob->data);
	memcpy(blob->data, data, size);
	blob->size = size;
	seeds->nr++;
}

/* A token has documents inside of tags and byte strings, and these have more. */
static void keep_with_inner(struct seeds *seeds, const struct cbor_item *item)
{
	struct cbor_reader reader;
	struct cbor_item inner;

	if (item->type < CBOR_BYTES || item->type > CBOR_TAG)
		return;
	cbor_enter(item, &reader);
	if (item->type == CBOR_BYTES || item->type == CBOR_TAG)
		keep(seeds, item->content, item->content_size);
	while (cbor_read(&reader, &inner) == 0)
		keep_with_inner(seeds, &inner);
}

/* What the fuzzer's input has in front of the token is a byte, or three. */
static void keep_file(struct seeds *seeds, const struct blob *file)
{
	static const size_t fronts[] = {0, 1, 3};

	for (size_t i = 0; i < sizeof(fronts) / sizeof(*fronts) && fronts[i] < file->size; i++) {
		struct cbor_reader reader;
		struct cbor_item item;

		keep(seeds, file->data + fronts[i], file->size - fronts[i]);
		cbor_reader_init(&reader, file->data + fronts[i], file->size - fronts[i]);
		if (cbor_read(&reader, &item) == 0)
			keep_with_inner(seeds, &item);
	}
}

static int open_seeds(void **state)
{
	struct seeds *seeds = calloc(1, sizeof(*seeds));
	DIR *dir = opendir(CORPUS);
	struct dirent *entry;

	assert_non_null(seeds);
	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL) {
		struct ccr_err err = {0};
		struct blob file;
		char path[512];

		if (entry->d_name[0] == '.')
			continue;
		(void)snprintf(path, sizeof(path), CORPUS "/%s", entry->d_name);
		assert_int_equal(file_load(path, SIZE_MAX, "seed", &file, &err), 0);
		keep_file(seeds, &file);
		blob_free(&file);
	}
	closedir(dir);
	*state = seeds;
	return 0;
}

static int close_seeds(void **state)
{
	struct seeds *seeds = *state;

	for (size_t i = 0; i < seeds->nr; i++)
		blob_free(&seeds->blobs[i]);
	free(seeds);
	return 0;
}

/* xorshift64: the same inputs each time. */
static uint64_t chance(uint64_t *seed, uint64_t limit)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed % limit;
}

/* Heads of every type and size, and breaks: what makes a difference. */
static uint8_t telling_byte(uint64_t *seed)
{
	static const uint8_t infos[] = {0, 1, 2, 20, 23, 24, 25, 26, 27, 28, 31};

	return (uint8_t)(chance(seed, 8) << 5 | infos[chance(seed, sizeof(infos))]);
}

static size_t damage(uint8_t *data, size_t size, uint64_t *seed)
{
	const size_t at = chance(seed, size);

	switch (chance(seed, 5)) {
	case 0:
		data[at] ^= (uint8_t)(1u << chance(seed, 8));
		return size;
	case 1:
		data[at] = telling_byte(seed);
		return size;
	case 2: /* cut */
		return at + 1;
	case 3: /* one byte less */
		memmove(data + at, data + at + 1, size - at - 1);
		return size > 1 ? size - 1 : 1;
	default: /* one byte more */
		if (size == MAX_SIZE)
			return size;
		memmove(data + at + 1, data + at, size - at);
		data[at] = telling_byte(seed);
		return size + 1;
	}
}

/* ---- tests --------------------------------------------------------------------------------- */

static void seeds_as_they_are(void **state)
{
	const struct seeds *seeds = *state;
	unsigned nr_accepted = 0;

	for (size_t i = 0; i < seeds->nr; i++)
		nr_accepted += agree(seeds->blobs[i].data, seeds->blobs[i].size);
	assert_true(nr_accepted >= 50);
	assert_true(seeds->nr - nr_accepted >= 50);
}

static void damaged_seeds(void **state)
{
	const struct seeds *seeds = *state;
	unsigned nr_accepted = 0;
	uint64_t seed = 399;

	for (unsigned i = 0; i < ROUNDS; i++) {
		const struct blob *from = &seeds->blobs[chance(&seed, seeds->nr)];
		uint8_t data[MAX_SIZE];
		size_t size = from->size;

		memcpy(data, from->data, size);
		for (uint64_t nr = 1 + chance(&seed, 3); nr > 0; nr--)
			size = damage(data, size, &seed);
		nr_accepted += agree(data, size);
	}
	assert_true(nr_accepted >= ROUNDS / 100 && nr_accepted <= ROUNDS - ROUNDS / 100);
}

static void bytes_by_chance(void **state)
{
	unsigned nr_accepted = 0;
	uint64_t seed = 907;

	(void)state;
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint8_t data[24];
		const size_t size = 1 + chance(&seed, sizeof(data));

		for (size_t j = 0; j < size; j++)
			data[j] = chance(&seed, 2) ? telling_byte(&seed)
						   : (uint8_t)chance(&seed, 256);
		nr_accepted += agree(data, size);
	}
	assert_true(nr_accepted >= ROUNDS / 100 && nr_accepted <= ROUNDS - ROUNDS / 100);
}

/* All that libcbor reads and we do not: the list. */
static void what_only_libcbor_reads(void **state)
{
	static const struct {
		const char *hex;
		const char *why;
	} cases[] = {
		{"1800", "has a number that is not in its shortest form"},
		{"3900ff", "has a number that is not in its shortest form"},
		{"580100", "has a number that is not in its shortest form"},
		{"980100", "has a number that is not in its shortest form"},
		{"d81200", "has a number that is not in its shortest form"},
		{"5f4100ff", "has an indefinite length or a reserved encoding"},
		{"7f6161ff", "has an indefinite length or a reserved encoding"},
		{"9f00ff", "has an indefinite length or a reserved encoding"},
		{"bf0000ff", "has an indefinite length or a reserved encoding"},
		{"a200000000", "has a map with the same key twice"},
		{"f7", "has a float or an unknown simple value"},
		{"f93c00", "has a float or an unknown simple value"},
		{"fa47c35000", "has a float or an unknown simple value"},
		{"fb3ff199999999999a", "has a float or an unknown simple value"},
		{"0000", "has bytes behind its end"},
		{"818181818181818181818181818181818100", "is nested too deeply"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct cbor_load_result result;
		struct cbor_item ours;
		const char *why = NULL;
		cbor_item_t *theirs;
		uint8_t data[32];
		size_t size;

		assert_int_equal(parse_hex(cases[i].hex, data, sizeof(data), &size), 0);
		theirs = load(data, size, &result);
		assert_non_null(theirs);
		cbor_decref(&theirs);
		assert_int_equal(cbor_decode(data, size, &ours, &why), -EINVAL);
		assert_string_equal(why, cases[i].why);
		assert_false(agree(data, size));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(seeds_as_they_are),
		cmocka_unit_test(damaged_seeds),
		cmocka_unit_test(bytes_by_chance),
		cmocka_unit_test(what_only_libcbor_reads),
	};

	return cmocka_run_group_tests(tests, open_seeds, close_seeds);
}
