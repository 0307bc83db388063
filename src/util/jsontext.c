/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <json-c/json.h>

#include "ccr/jsontext.h"

#define MAX_DEPTH 8

struct json_object *jsontext_parse(const char *text, size_t size, struct ccr_err *err)
{
	struct json_tokener *tokener = json_tokener_new_ex(MAX_DEPTH);
	struct json_object *value = NULL;
	enum json_tokener_error error;

	if (!tokener || size >= INT_MAX || memchr(text, 0, size)) {
		error = json_tokener_error_parse_unexpected;
	} else {
		json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
		value = json_tokener_parse_ex(tokener, text, (int)size);
		error = json_tokener_get_error(tokener);
	}
	if (error != json_tokener_success) {
		err_set(err, -EINVAL, "not valid JSON: %s",
			error == json_tokener_continue ? "it is cut short"
						       : json_tokener_error_desc(error));
		json_object_put(value);
		value = NULL;
	} else if (!value) {
		err_set(err, -EINVAL, "is null");
	}
	if (tokener)
		json_tokener_free(tokener);
	return value;
}
