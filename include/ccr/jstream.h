/* SPDX-License-Identifier: Apache-2.0 */
/* JSON objects out of a stream of untrusted bytes, with limits on what one of them may cost. */
#ifndef CCR_JSTREAM_H
#define CCR_JSTREAM_H

#include <stdbool.h>
#include <stddef.h>

struct json_object;
struct json_tokener;

/** JSTREAM_MAX_DEPTH - objects and arrays within each other */
#define JSTREAM_MAX_DEPTH 8

/**
 * struct jstream - where in a stream of objects we are
 * @max_size: most bytes of one object
 * @size: bytes of the current object so far; 0 between two
 * @skipping: the rest of the line is thrown away, because of an error in it
 */
struct jstream {
	struct json_tokener *tokener;
	size_t max_size;
	size_t size;
	bool skipping;
};

/** jstream_init() - Return: 0 or -ENOMEM; jstream_done() is needed only after 0 */
int jstream_init(struct jstream *stream, size_t max_size);

/** jstream_done() - takes an all-zero one */
void jstream_done(struct jstream *stream);

/**
 * jstream_next() - take bytes until an object is complete
 * @bytes, @size: what has come; moved behind what was taken
 * @ret_object: the object; the caller owns it. Untouched unless 1 is returned.
 *
 * Objects follow one another with or without white space. An error costs the rest of its line.
 *
 * Return: 1 for an object; 0 when all bytes were taken; -EINVAL for bytes that are not (strict,
 * UTF-8) JSON, not an object, or nested deeper than JSTREAM_MAX_DEPTH; -EMSGSIZE for an object
 * larger than @max_size.
 */
int jstream_next(struct jstream *stream, const char **bytes, size_t *size,
		 struct json_object **ret_object);

/** jstream_is_between() - no object has begun */
bool jstream_is_between(const struct jstream *stream);

#endif
