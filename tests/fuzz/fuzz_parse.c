/* SPDX-License-Identifier: Apache-2.0 */
/* links: src/util/parse.c */
/*
 * Property: whatever the text, the parsers of ccr/parse.h either fail and leave their results
 * untouched, or agree with another implementation: numbers with strtoull(), sizes with
 * parse_u64() of what stands before the suffix, bytes with their own way back to text
 * (hexadecimal here, base64 in libcrypto), which must give the very text that was parsed.
 */
#include <ctype.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ccr/parse.h"
#include "fuzz.h"

#define UNTOUCHED 0x5aa5

static void check_u64(const char *text)
{
	bool hex = text[0] == '0' && text[1] == 'x';
	uint64_t value = UNTOUCHED;
	int rc = parse_u64(text, &value);
	unsigned long long other;
	char *end;

	require(rc == 0 || rc == -EINVAL || rc == -ERANGE);
	require(rc == 0 || value == UNTOUCHED);
	errno = 0;
	/* strtoull() also takes white space and signs: only what starts with a digit compares. */
	other = strtoull(hex ? text + 2 : text, &end, hex ? 16 : 10);
	if (!isxdigit((unsigned char)text[hex ? 2 : 0]) || *end ||
	    (hex && tolower((unsigned char)text[3]) == 'x'))
		require(rc == -EINVAL);
	else if (errno == ERANGE)
		require(rc == -ERANGE);
	else
		require(rc == 0 && value == other);
}

static void check_size(char *text)
{
	static const char suffixes[] = "KMGT";
	size_t length = strlen(text);
	uint64_t size = UNTOUCHED, number = 0;
	int rc = parse_size(text, 1, &size);
	const char *suffix = length ? strchr(suffixes, toupper((unsigned char)text[length - 1]))
				    : NULL;
	unsigned shift = suffix ? 10 * (unsigned)(suffix - suffixes + 1) : 0;
	int number_rc;
	char last = '\0';

	require(rc == 0 || rc == -EINVAL || rc == -ERANGE);
	require(rc == 0 || size == UNTOUCHED);
	if (suffix) {
		last = text[length - 1];
		text[length - 1] = '\0';
	}
	number_rc = parse_u64(text, &number);
	if (suffix)
		text[length - 1] = last;
	if (number_rc)
		require(rc == number_rc);
	else if (number > UINT64_MAX >> shift)
		require(rc == -ERANGE);
	else
		require(rc == 0 && size == number << shift);
}

/* Exactly large enough, so that a byte too much is seen; one byte less must be -E2BIG. */
static uint8_t *decode(int (*parse)(const char *, uint8_t *, size_t, size_t *), const char *text,
		       size_t *ret_size)
{
	uint8_t *bytes = malloc(strlen(text) + 1);
	size_t again = UNTOUCHED;
	int rc;

	*ret_size = UNTOUCHED;
	require(bytes != NULL);
	rc = parse(text, bytes, strlen(text), ret_size);
	require(rc == 0 || (rc == -EINVAL && *ret_size == UNTOUCHED));
	free(bytes);
	if (rc)
		return NULL;
	bytes = malloc(*ret_size ? *ret_size : 1);
	require(bytes != NULL);
	if (*ret_size)
		require(parse(text, bytes, *ret_size - 1, &again) == -E2BIG && again == UNTOUCHED);
	require(parse(text, bytes, *ret_size, &again) == 0 && again == *ret_size);
	return bytes;
}

static void check_hex(const char *text)
{
	size_t size;
	uint8_t *bytes = decode(parse_hex, text, &size);
	char *back;

	if (!bytes)
		return;
	back = malloc(2 * size + 1);
	require(back && strcasecmp(parse_format_hex(bytes, size, back), text) == 0);
	free(back);
	free(bytes);
}

static void check_base64(const char *text)
{
	size_t size;
	uint8_t *bytes = decode(parse_base64, text, &size);
	char *back;

	if (!bytes)
		return;
	back = malloc((size + 2) / 3 * 4 + 1);
	require(back != NULL);
	EVP_EncodeBlock((unsigned char *)back, bytes, (int)size);
	require(strcmp(back, text) == 0);
	free(back);
	free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	require(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	check_u64(text);
	check_size(text);
	check_hex(text);
	check_base64(text);
	free(text);
	return 0;
}
