/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <json-c/json.h>

#include "ccr/jstream.h"

int jstream_init(struct jstream *stream, size_t max_size)
{
	*stream = (struct jstream){
		.tokener = json_tokener_new_ex(JSTREAM_MAX_DEPTH),
		.max_size = max_size,
	};
	if (!stream->tokener)
		return -ENOMEM;
	json_tokener_set_flags(stream->tokener, JSON_TOKENER_STRICT |
							JSON_TOKENER_ALLOW_TRAILING_CHARS |
							JSON_TOKENER_VALIDATE_UTF8);
	return 0;
}

void jstream_done(struct jstream *stream)
{
	if (stream->tokener)
		json_tokener_free(stream->tokener);
	*stream = (struct jstream){0};
}

static void take(const char **bytes, size_t *size, size_t nr)
{
	*bytes += nr;
	*size -= nr;
}

static bool is_space(char byte)
{
	return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

/* What stands between two objects, and the rest of a line with an error in it. */
static void skip(struct jstream *stream, const char **bytes, size_t *size)
{
	while (*size > 0 && stream->size == 0 && (stream->skipping || is_space(**bytes))) {
		if (**bytes == '\n')
			stream->skipping = false;
		take(bytes, size, 1);
	}
}

/* The next object begins behind the end of this line. */
static int fail(struct jstream *stream, int code)
{
	json_tokener_reset(stream->tokener);
	stream->size = 0;
	stream->skipping = true;
	return code;
}

int jstream_next(struct jstream *stream, const char **bytes, size_t *size,
		 struct json_object **ret_object)
{
	struct json_object *object;
	size_t room, part;

	skip(stream, bytes, size);
	if (*size == 0)
		return 0;
	if (stream->size == 0 && **bytes != '{')
		return fail(stream, -EINVAL);
	room = stream->max_size - stream->size;
	if (room == 0)
		return fail(stream, -EMSGSIZE);
	part = *size < room ? *size : room;
	object = json_tokener_parse_ex(stream->tokener, *bytes, (int)part);
	switch (json_tokener_get_error(stream->tokener)) {
	case json_tokener_success:
		take(bytes, size, json_tokener_get_parse_end(stream->tokener));
		stream->size = 0;
		*ret_object = object;
		return 1;
	case json_tokener_continue:
		take(bytes, size, part);
		stream->size += part;
		return *size > 0 ? fail(stream, -EMSGSIZE) : 0;
	default:
		/* Where the error was is not where the parser looked last: skip from here. */
		take(bytes, size, json_tokener_get_parse_end(stream->tokener));
		return fail(stream, -EINVAL);
	}
}

bool jstream_is_between(const struct jstream *stream)
{
	return stream->size == 0;
}
