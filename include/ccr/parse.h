/* SPDX-License-Identifier: Apache-2.0 */
/* Text to values. All functions are pure and take the whole string or nothing; no locale. */
#ifndef CCR_PARSE_H
#define CCR_PARSE_H

#include <stddef.h>
#include <stdint.h>

/**
 * parse_u64() - unsigned number, decimal or 0x hexadecimal
 * @text: the whole string; no sign, no white space
 * @ret_value: the number
 *
 * Return: 0; -EINVAL if @text is not a number; -ERANGE if it does not fit 64 bits.
 */
int parse_u64(const char *text, uint64_t *ret_value);

/**
 * parse_size() - number of bytes with an optional suffix K, M, G or T (either case; powers of 1024)
 * @text: the whole string, for example "512M"
 * @default_unit: factor used when there is no suffix (1 for bytes)
 * @ret_size: bytes
 *
 * Return: 0; -EINVAL if @text is not a size; -ERANGE if it does not fit 64 bits.
 */
int parse_size(const char *text, uint64_t default_unit, uint64_t *ret_size);

/**
 * parse_hex() - bytes from hexadecimal digits, either case, two a byte
 * @text: the whole string
 * @buf: at least @buf_size bytes; untouched on error
 * @ret_size: number of bytes decoded
 *
 * Return: 0; -EINVAL for a character that is no digit or an odd number of them; -E2BIG if the
 * value is longer than @buf_size.
 */
int parse_hex(const char *text, uint8_t *buf, size_t buf_size, size_t *ret_size);

/**
 * parse_base64() - bytes from RFC 4648 base64 (section 4 alphabet, padding required, no breaks)
 *
 * Parameters and errors are those of parse_hex().
 */
int parse_base64(const char *text, uint8_t *buf, size_t buf_size, size_t *ret_size);

/**
 * parse_format_hex() - bytes to lower-case hexadecimal
 * @text: at least 2 * @size + 1 bytes; NUL-terminated on return
 *
 * Return: @text.
 */
char *parse_format_hex(const uint8_t *bytes, size_t size, char *text);

#endif
