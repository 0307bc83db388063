/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our own reader, and not a library: of those that Debian 12 has for C none comes as a static
 * archive, which the arm64 program is made of, and libcbor 0.8 does not read tag 18, which every
 * COSE signature here has. tests/unit/test_cbor_peer.c holds this one to libcbor in all else.
 */
#include <errno.h>
#include <string.h>

#include "ccr/cbor.h"

/* The five low bits of an item's first byte: a small value itself, or where the value is. */
#define INFO_MASK  0x1f
#define INFO_1BYTE 24
#define INFO_8BYTE 27

struct span {
	const uint8_t *bytes;
	size_t size;
};

static int fail(struct cbor_reader *reader, const char *why)
{
	reader->why = why;
	return -EINVAL;
}

static int cut_short(struct cbor_reader *reader)
{
	return fail(reader, "is cut short");
}

static uint64_t load_be(const uint8_t *bytes, size_t size)
{
	uint64_t value = 0;

	for (size_t i = 0; i < size; i++)
		value = value << 8 | bytes[i];
	return value;
}

static int read_head(struct cbor_reader *reader, struct cbor_item *item)
{
	uint8_t info;
	size_t size;

	if (reader->left == 0)
		return cut_short(reader);
	*item = (struct cbor_item){.type = reader->next[0] >> 5};
	info = reader->next[0] & INFO_MASK;
	reader->next++;
	reader->left--;
	if (info < INFO_1BYTE) {
		item->value = info;
		return 0;
	}
	if (info > INFO_8BYTE)
		return fail(reader, "has an indefinite length or a reserved encoding");
	size = (size_t)1 << (info - INFO_1BYTE);
	if (reader->left < size)
		return cut_short(reader);
	item->value = load_be(reader->next, size);
	/* Shortest form: the value must not fit the next smaller size. */
	if (size == 1 ? item->value < INFO_1BYTE : item->value >> (4 * size) == 0)
		return fail(reader, "has a number that is not in its shortest form");
	reader->next += size;
	reader->left -= size;
	return 0;
}

/* Bytes of the UTF-8 sequence at the start of @size bytes, at least 1; 0 if it is malformed. */
static size_t utf8_length(const uint8_t *text, size_t size)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t length = text[0] < 0x80 ? 1 : text[0] < 0xc0 ? 0 : text[0] < 0xe0 ? 2 : 3;
	uint32_t code;

	if (length < 2)
		return length;
	if (text[0] >= 0xf0)
		length = 4;
	if (text[0] >= 0xf8 || size < length)
		return 0;
	code = text[0] & (0x7fu >> length);
	for (size_t i = 1; i < length; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (text[i] & 0x3f);
	}
	if (code < least[length] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return 0;
	return length;
}

static bool is_utf8(const uint8_t *text, size_t size)
{
	while (size > 0) {
		size_t length = utf8_length(text, size);

		if (length == 0)
			return false;
		text += length;
		size -= length;
	}
	return true;
}

static int read_string(struct cbor_reader *reader, struct cbor_item *item)
{
	if (item->value > reader->left)
		return cut_short(reader);
	item->content = reader->next;
	item->content_size = (size_t)item->value;
	reader->next += item->content_size;
	reader->left -= item->content_size;
	if (item->type == CBOR_TEXT && !is_utf8(item->content, item->content_size))
		return fail(reader, "has text that is not UTF-8");
	return 0;
}

static int read_item(struct cbor_reader *reader, unsigned depth, struct cbor_item *item);

static int read_entries(struct cbor_reader *reader, unsigned depth, uint64_t nr)
{
	struct cbor_item entry;
	int ret = 0;

	/* However large the number, each entry takes at least a byte. */
	for (uint64_t i = 0; i < nr && !ret; i++)
		ret = read_item(reader, depth, &entry);
	return ret;
}

/* One value has one encoding here, so keys are equal if their bytes are. */
static bool has_key(const struct span *keys, uint64_t nr, const struct span *key)
{
	for (uint64_t i = 0; i < nr; i++) {
		if (keys[i].size == key->size && !memcmp(keys[i].bytes, key->bytes, key->size))
			return true;
	}
	return false;
}

static int read_pairs(struct cbor_reader *reader, unsigned depth, uint64_t nr)
{
	struct span keys[CBOR_MAX_PAIRS];
	int ret;

	if (nr > CBOR_MAX_PAIRS)
		return fail(reader, "has a map with too many entries");
	for (uint64_t i = 0; i < nr; i++) {
		keys[i].bytes = reader->next;
		ret = read_entries(reader, depth, 1);
		if (ret)
			return ret;
		keys[i].size = (size_t)(reader->next - keys[i].bytes);
		if (has_key(keys, i, &keys[i]))
			return fail(reader, "has a map with the same key twice");
		ret = read_entries(reader, depth, 1);
		if (ret)
			return ret;
	}
	return 0;
}

static int read_container(struct cbor_reader *reader, unsigned depth, struct cbor_item *item)
{
	int ret;

	if (depth == CBOR_MAX_DEPTH)
		return fail(reader, "is nested too deeply");
	item->content = reader->next;
	if (item->type == CBOR_MAP)
		ret = read_pairs(reader, depth + 1, item->value);
	else
		ret = read_entries(reader, depth + 1, item->type == CBOR_TAG ? 1 : item->value);
	item->content_size = (size_t)(reader->next - item->content);
	return ret;
}

static int read_item(struct cbor_reader *reader, unsigned depth, struct cbor_item *item)
{
	int ret = read_head(reader, item);

	if (ret)
		return ret;
	switch (item->type) {
	case CBOR_UINT:
	case CBOR_NINT:
		return 0;
	case CBOR_BYTES:
	case CBOR_TEXT:
		return read_string(reader, item);
	case CBOR_ARRAY:
	case CBOR_MAP:
	case CBOR_TAG:
		return read_container(reader, depth, item);
	case CBOR_SIMPLE:
		break;
	}
	/* Floats come this way too: what is read as their value is never one of the three. */
	if (item->value < CBOR_FALSE || item->value > CBOR_NULL)
		return fail(reader, "has a float or an unknown simple value");
	return 0;
}

void cbor_reader_init(struct cbor_reader *reader, const void *data, size_t size)
{
	*reader = (struct cbor_reader){.next = data, .left = size};
}

int cbor_read(struct cbor_reader *reader, struct cbor_item *ret_item)
{
	struct cbor_reader ahead = *reader;
	struct cbor_item item;
	int ret;

	if (reader->left == 0)
		return -ENODATA;
	ret = read_item(&ahead, 0, &item);
	if (ret) {
		reader->why = ahead.why;
		return ret;
	}
	*reader = ahead;
	*ret_item = item;
	return 0;
}

int cbor_decode(const void *data, size_t size, struct cbor_item *ret_item, const char **ret_why)
{
	struct cbor_reader reader;
	struct cbor_item item;
	int ret;

	cbor_reader_init(&reader, data, size);
	ret = cbor_read(&reader, &item);
	if (ret == -ENODATA)
		ret = fail(&reader, "is empty");
	else if (!ret && reader.left > 0)
		ret = fail(&reader, "has bytes behind its end");
	if (ret) {
		*ret_why = reader.why;
		return ret;
	}
	*ret_item = item;
	return 0;
}

void cbor_enter(const struct cbor_item *item, struct cbor_reader *reader)
{
	cbor_reader_init(reader, item->content, item->content_size);
}

int cbor_find(const struct cbor_item *map, int64_t key, struct cbor_item *ret_value)
{
	struct cbor_item name, value;
	struct cbor_reader reader;

	cbor_enter(map, &reader);
	while (cbor_read(&reader, &name) == 0 && cbor_read(&reader, &value) == 0) {
		if (cbor_is_number(&name, key)) {
			*ret_value = value;
			return 0;
		}
	}
	return -ENOENT;
}

int cbor_int(const struct cbor_item *item, int64_t *ret_number)
{
	if (item->value > INT64_MAX || (item->type != CBOR_UINT && item->type != CBOR_NINT))
		return -EINVAL;
	*ret_number = item->type == CBOR_UINT ? (int64_t)item->value : -1 - (int64_t)item->value;
	return 0;
}

bool cbor_is_number(const struct cbor_item *item, int64_t number)
{
	int64_t value;

	return cbor_int(item, &value) == 0 && value == number;
}

bool cbor_is_text(const struct cbor_item *item, const char *text)
{
	const size_t size = strlen(text);

	return item->type == CBOR_TEXT && item->content_size == size &&
	       memcmp(item->content, text, size) == 0;
}

void cbor_writer_init(struct cbor_writer *writer, void *buf, size_t capacity)
{
	*writer = (struct cbor_writer){.buf = buf, .capacity = capacity};
}

void cbor_put_raw(struct cbor_writer *writer, const void *data, size_t size)
{
	if (writer->full || size > writer->capacity - writer->size) {
		writer->full = true;
		return;
	}
	if (size > 0)
		memcpy(writer->buf + writer->size, data, size);
	writer->size += size;
}

void cbor_put_head(struct cbor_writer *writer, enum cbor_major type, uint64_t value)
{
	uint8_t head[9] = {(uint8_t)(type << 5)};
	size_t size = 0;

	if (value < INFO_1BYTE) {
		head[0] |= (uint8_t)value;
	} else {
		uint8_t info = INFO_1BYTE;

		for (size = 1; size < 8 && value >> (8 * size); size *= 2)
			info++;
		head[0] |= info;
		for (size_t i = 0; i < size; i++)
			head[1 + i] = (uint8_t)(value >> 8 * (size - 1 - i));
	}
	cbor_put_raw(writer, head, 1 + size);
}

void cbor_put_int(struct cbor_writer *writer, int64_t number)
{
	if (number >= 0)
		cbor_put_head(writer, CBOR_UINT, (uint64_t)number);
	else
		cbor_put_head(writer, CBOR_NINT, (uint64_t)(-1 - number));
}

void cbor_put_bytes(struct cbor_writer *writer, const void *data, size_t size)
{
	cbor_put_head(writer, CBOR_BYTES, size);
	cbor_put_raw(writer, data, size);
}

void cbor_put_text(struct cbor_writer *writer, const char *text)
{
	const size_t size = strlen(text);

	cbor_put_head(writer, CBOR_TEXT, size);
	cbor_put_raw(writer, text, size);
}
