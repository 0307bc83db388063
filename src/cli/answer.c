/* SPDX-License-Identifier: Apache-2.0 */
/* Members of the answer to x-ccr-stat, which is our own program's: one that is missing counts 0. */
#include <stdio.h>
#include <json-c/json.h>

#include "internal.h"

struct json_object *cli_answer_member(struct json_object *object, const char *name)
{
	struct json_object *value = NULL;

	json_object_object_get_ex(object, name, &value);
	return value;
}

const char *cli_answer_text(struct json_object *object, const char *name)
{
	struct json_object *value = cli_answer_member(object, name);

	return value ? json_object_get_string(value) : "-";
}

uint64_t cli_answer_number(struct json_object *object, const char *name)
{
	return json_object_get_uint64(cli_answer_member(object, name));
}

size_t cli_answer_count(struct json_object *object, const char *name)
{
	struct json_object *list = cli_answer_member(object, name);

	return json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
}

void cli_answer_print(struct json_object *object)
{
	printf("%s\n", json_object_to_json_string_ext(
			       object, JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE));
}
