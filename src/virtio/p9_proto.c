/* SPDX-License-Identifier: Apache-2.0 */
#include <endian.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "ccr/broker_proto.h"
#include "ccr/p9_proto.h"

void p9_reader_init(struct p9_reader *reader, const uint8_t *bytes, size_t size)
{
	*reader = (struct p9_reader){.bytes = bytes, .size = size};
}

static void fail(struct p9_reader *reader, int error)
{
	if (!reader->error)
		reader->error = error;
}

const uint8_t *p9_get_bytes(struct p9_reader *reader, uint32_t size)
{
	const uint8_t *bytes = reader->bytes + reader->place;

	if (!reader->error && size > reader->size - reader->place)
		fail(reader, -EBADMSG);
	if (reader->error)
		return NULL;
	reader->place += size;
	return bytes;
}

static void get(struct p9_reader *reader, void *value, uint32_t size)
{
	const uint8_t *bytes = p9_get_bytes(reader, size);

	if (bytes)
		memcpy(value, bytes, size);
}

uint8_t p9_get8(struct p9_reader *reader)
{
	uint8_t value = 0;

	get(reader, &value, sizeof(value));
	return value;
}

uint16_t p9_get16(struct p9_reader *reader)
{
	uint16_t value = 0;

	get(reader, &value, sizeof(value));
	return le16toh(value);
}

uint32_t p9_get32(struct p9_reader *reader)
{
	uint32_t value = 0;

	get(reader, &value, sizeof(value));
	return le32toh(value);
}

uint64_t p9_get64(struct p9_reader *reader)
{
	uint64_t value = 0;

	get(reader, &value, sizeof(value));
	return le64toh(value);
}

void p9_get_string(struct p9_reader *reader, char *string, size_t room)
{
	const uint16_t size = p9_get16(reader);
	const uint8_t *bytes = p9_get_bytes(reader, size);

	string[0] = '\0';
	if (!bytes)
		return;
	if (size >= room) {
		fail(reader, -ENAMETOOLONG);
		return;
	}
	if (memchr(bytes, '\0', size)) {
		fail(reader, -EINVAL);
		return;
	}
	memcpy(string, bytes, size);
	string[size] = '\0';
}

void p9_get_name(struct p9_reader *reader, char *name)
{
	p9_get_string(reader, name, NAME_MAX + 1);
	if (!reader->error && !broker_is_name(name))
		fail(reader, -EINVAL);
}

void p9_writer_init(struct p9_writer *writer, uint8_t *bytes, size_t room)
{
	*writer = (struct p9_writer){.room = room, .place = P9_HEADER_SIZE};
	writer->bytes = bytes;
}

size_t p9_left(const struct p9_writer *writer)
{
	return writer->room > writer->place ? writer->room - writer->place : 0;
}

static void put(struct p9_writer *writer, const void *bytes, size_t size)
{
	if (size > p9_left(writer))
		writer->error = -EMSGSIZE;
	if (writer->error)
		return;
	memcpy(writer->bytes + writer->place, bytes, size);
	writer->place += size;
}

void p9_put8(struct p9_writer *writer, uint8_t value)
{
	put(writer, &value, sizeof(value));
}

void p9_put16(struct p9_writer *writer, uint16_t value)
{
	value = htole16(value);
	put(writer, &value, sizeof(value));
}

void p9_put32(struct p9_writer *writer, uint32_t value)
{
	value = htole32(value);
	put(writer, &value, sizeof(value));
}

void p9_put64(struct p9_writer *writer, uint64_t value)
{
	value = htole64(value);
	put(writer, &value, sizeof(value));
}

void p9_put_qid(struct p9_writer *writer, const struct p9_qid *qid)
{
	p9_put8(writer, qid->type);
	p9_put32(writer, qid->version);
	p9_put64(writer, qid->path);
}

void p9_put_string(struct p9_writer *writer, const void *bytes, size_t size)
{
	p9_put16(writer, (uint16_t)size);
	put(writer, bytes, (uint16_t)size);
}

uint32_t p9_finish(struct p9_writer *writer, uint8_t type, uint16_t tag)
{
	const uint32_t size = htole32((uint32_t)writer->place);

	tag = htole16(tag);
	memcpy(writer->bytes, &size, sizeof(size));
	writer->bytes[4] = type;
	memcpy(writer->bytes + 5, &tag, sizeof(tag));
	return (uint32_t)writer->place;
}
