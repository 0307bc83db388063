/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of CBOR (RFC 8949) that attestation tokens use, read strictly: one encoding for each
 * value. Lengths are definite, numbers in their shortest form, text is UTF-8, no map has a key
 * twice. Of the simple values only false, true and null are known; there are no floats. The order
 * of a map's keys is free, because RMMs do not sort them.
 */
#ifndef CCR_CBOR_H
#define CCR_CBOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** CBOR_MAX_DEPTH - items deeper inside one another are refused, so that reading may recurse */
#define CBOR_MAX_DEPTH 16
/** CBOR_MAX_PAIRS - a map with more is refused, so that looking for equal keys stays cheap */
#define CBOR_MAX_PAIRS 64

/** enum cbor_major - values are RFC 8949's major types */
enum cbor_major {
	CBOR_UINT = 0,
	CBOR_NINT = 1, /* the number is -1 - value */
	CBOR_BYTES = 2,
	CBOR_TEXT = 3,
	CBOR_ARRAY = 4,
	CBOR_MAP = 5,
	CBOR_TAG = 6,
	CBOR_SIMPLE = 7,
};

/* Values of CBOR_SIMPLE. */
#define CBOR_FALSE 20
#define CBOR_TRUE  21
#define CBOR_NULL  22

/**
 * struct cbor_item - one data item, with all that is inside it
 * @value: the number; bytes of a string; entries of an array; pairs of a map; a tag's number
 * @content: borrowed from what was read: a string's bytes; the encoded items inside an array, map
 *	or tag. @content_size bytes; 0 for the other types.
 */
struct cbor_item {
	enum cbor_major type;
	uint64_t value;
	const uint8_t *content;
	size_t content_size;
};

/**
 * struct cbor_reader - what is left to read
 * @why: after a failure, what is wrong with the bytes: a clause without a subject, such as "has a
 *	map with the same key twice"
 */
struct cbor_reader {
	const uint8_t *next;
	size_t left;
	const char *why;
};

/** cbor_reader_init() - read @size bytes, borrowed as long as the reader and its items live */
void cbor_reader_init(struct cbor_reader *reader, const void *data, size_t size);

/**
 * cbor_read() - the next item, checked to its innermost part
 *
 * Return: 0; -ENODATA at the end; -EINVAL, with @reader->why set and @reader where it was, for
 * bytes that are no CBOR or not strict.
 */
int cbor_read(struct cbor_reader *reader, struct cbor_item *ret_item);

/**
 * cbor_decode() - bytes that are exactly one item
 * @ret_why: as struct cbor_reader's; untouched on success
 *
 * Return: 0 or -EINVAL.
 */
int cbor_decode(const void *data, size_t size, struct cbor_item *ret_item, const char **ret_why);

/** cbor_enter() - read what is inside an array, a tag, or a map (key, value, key, ...) */
void cbor_enter(const struct cbor_item *item, struct cbor_reader *reader);

/**
 * cbor_find() - the value of an integer key of a map
 *
 * Return: 0; -ENOENT if the map has no such key.
 */
int cbor_find(const struct cbor_item *map, int64_t key, struct cbor_item *ret_value);

/** cbor_is_number() - whether an item is this number */
bool cbor_is_number(const struct cbor_item *item, int64_t number);

/**
 * cbor_int() - the number that an item is
 *
 * Return: 0; -EINVAL if it is none, or beyond 64 bits with sign.
 */
int cbor_int(const struct cbor_item *item, int64_t *ret_number);

/** cbor_is_text() - whether an item is this text */
bool cbor_is_text(const struct cbor_item *item, const char *text);

/**
 * struct cbor_writer - a document being written
 * @size: bytes written so far
 * @full: something did not fit and is missing: what was written is worth nothing
 */
struct cbor_writer {
	uint8_t *buf;
	size_t capacity;
	size_t size;
	bool full;
};

/** cbor_writer_init() - write to @buf, borrowed, @capacity bytes */
void cbor_writer_init(struct cbor_writer *writer, void *buf, size_t capacity);

/** cbor_put_head() - type and value in the shortest form; what belongs to it follows */
void cbor_put_head(struct cbor_writer *writer, enum cbor_major type, uint64_t value);

/** cbor_put_raw() - bytes that are CBOR already */
void cbor_put_raw(struct cbor_writer *writer, const void *data, size_t size);

/** cbor_put_int(), cbor_put_bytes(), cbor_put_text() - a whole item */
void cbor_put_int(struct cbor_writer *writer, int64_t number);
void cbor_put_bytes(struct cbor_writer *writer, const void *data, size_t size);
void cbor_put_text(struct cbor_writer *writer, const char *text);

#endif
