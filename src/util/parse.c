/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "ccr/parse.h"

/* Value of a hexadecimal digit; -1 if it is none. */
static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/*
 * Read the number that @text starts with. Too large a number is -ERANGE, but read to its end, so
 * that the caller can still tell a number from a text that merely starts with one.
 */
static int scan_number(const char *text, uint64_t *ret_value, const char **ret_rest)
{
	int base = text[0] == '0' && text[1] == 'x' ? 16 : 10;
	const char *digits = base == 16 ? text + 2 : text;
	const char *at = digits;
	bool overflow = false;
	uint64_t value = 0;

	for (;; at++) {
		int digit = hex_digit(*at);

		if (digit < 0 || digit >= base)
			break;
		overflow |= __builtin_mul_overflow(value, (uint64_t)base, &value);
		overflow |= __builtin_add_overflow(value, (uint64_t)digit, &value);
	}
	*ret_rest = at;
	if (at == digits)
		return -EINVAL;
	*ret_value = value;
	return overflow ? -ERANGE : 0;
}

int parse_u64(const char *text, uint64_t *ret_value)
{
	const char *rest;
	uint64_t value;
	int rc = scan_number(text, &value, &rest);

	if (*rest)
		return -EINVAL;
	if (rc)
		return rc;
	*ret_value = value;
	return 0;
}

/* Factor that a size's suffix stands for; 0 if there is no such suffix. */
static uint64_t size_unit(const char *suffix, uint64_t default_unit)
{
	if (!suffix[0])
		return default_unit;
	if (suffix[1])
		return 0;
	switch (suffix[0]) {
	case 'k':
	case 'K':
		return 1ull << 10;
	case 'm':
	case 'M':
		return 1ull << 20;
	case 'g':
	case 'G':
		return 1ull << 30;
	case 't':
	case 'T':
		return 1ull << 40;
	default:
		return 0;
	}
}

int parse_size(const char *text, uint64_t default_unit, uint64_t *ret_size)
{
	const char *suffix;
	uint64_t number, unit, size;
	int rc = scan_number(text, &number, &suffix);

	if (rc == -EINVAL)
		return rc;
	unit = size_unit(suffix, default_unit);
	if (!unit)
		return -EINVAL;
	if (rc || __builtin_mul_overflow(number, unit, &size))
		return -ERANGE;
	*ret_size = size;
	return 0;
}

int parse_hex(const char *text, uint8_t *buf, size_t buf_size, size_t *ret_size)
{
	size_t nr_digits = strlen(text);
	size_t size = nr_digits / 2;

	if (nr_digits % 2)
		return -EINVAL;
	for (size_t i = 0; i < nr_digits; i++) {
		if (hex_digit(text[i]) < 0)
			return -EINVAL;
	}
	if (size > buf_size)
		return -E2BIG;
	for (size_t i = 0; i < size; i++)
		buf[i] = (uint8_t)(hex_digit(text[2 * i]) * 16 + hex_digit(text[2 * i + 1]));
	*ret_size = size;
	return 0;
}

/* Value of a character of the base64 alphabet, '=' counting as 0; -1 if it is none. */
static int base64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	if (c == '/')
		return 63;
	return c == '=' ? 0 : -1;
}

/* The 24 bits that four characters stand for. */
static uint32_t base64_group(const char *text)
{
	uint32_t bits = 0;

	for (int i = 0; i < 4; i++)
		bits = bits << 6 | (uint32_t)base64_digit(text[i]);
	return bits;
}

int parse_base64(const char *text, uint8_t *buf, size_t buf_size, size_t *ret_size)
{
	size_t length = strlen(text);
	size_t nr_pads = 0;
	size_t size;

	if (length % 4)
		return -EINVAL;
	while (nr_pads < 2 && nr_pads < length && text[length - 1 - nr_pads] == '=')
		nr_pads++;
	for (size_t i = 0; i < length; i++) {
		if (base64_digit(text[i]) < 0 || (text[i] == '=' && i < length - nr_pads))
			return -EINVAL;
	}
	/* Bits that padding leaves over must be zero, or one value would have several spellings. */
	if (nr_pads && base64_group(text + length - 4) & ((1u << (8 * nr_pads)) - 1))
		return -EINVAL;
	size = length / 4 * 3 - nr_pads;
	if (size > buf_size)
		return -E2BIG;
	for (size_t i = 0; i < size; i++)
		buf[i] = (uint8_t)(base64_group(text + i / 3 * 4) >> (16 - 8 * (i % 3)));
	*ret_size = size;
	return 0;
}

char *parse_format_hex(const uint8_t *bytes, size_t size, char *text)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < size; i++) {
		text[2 * i] = digits[bytes[i] >> 4];
		text[2 * i + 1] = digits[bytes[i] & 0xf];
	}
	text[2 * size] = '\0';
	return text;
}
