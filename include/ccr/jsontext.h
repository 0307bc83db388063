/* SPDX-License-Identifier: Apache-2.0 */
/* JSON from files that people write, through json-c at its strictest. */
#ifndef CCR_JSONTEXT_H
#define CCR_JSONTEXT_H

#include <stddef.h>

#include "ccr/err.h"

struct json_object;

/**
 * jsontext_parse() - a whole document, with nothing but white space behind it
 * @text: @size bytes; up to 8 levels of nesting are taken
 *
 * The message is a clause about the file, which the caller names.
 *
 * Return: the value, for json_object_put(); NULL with @err set, also for a bare null.
 */
struct json_object *jsontext_parse(const char *text, size_t size, struct ccr_err *err);

#endif
