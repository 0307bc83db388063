/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "ccr/parse.h"
#include "verify_json.h"

static bool is_among(const char *name, const char *const *names)
{
	for (; *names; names++) {
		if (!strcmp(name, *names))
			return true;
	}
	return false;
}

int verify_json_check_names(struct json_object *object, const char *const *names,
			    struct ccr_err *err)
{
	struct json_object_iterator at, end;

	if (!json_object_is_type(object, json_type_object))
		return err_set(err, -EINVAL, "is not an object");
	at = json_object_iter_begin(object);
	end = json_object_iter_end(object);
	for (; !json_object_iter_equal(&at, &end); json_object_iter_next(&at)) {
		const char *name = json_object_iter_peek_name(&at);

		if (!is_among(name, names))
			return err_set(err, -EINVAL, "\"%s\" is not known here", name);
	}
	return 0;
}

int verify_json_as_text(struct json_object *value, const char *name, const char **ret_text,
			struct ccr_err *err)
{
	const char *text;

	if (!json_object_is_type(value, json_type_string))
		return err_set(err, -EINVAL, "\"%s\" is not a string", name);
	text = json_object_get_string(value);
	if (strlen(text) != (size_t)json_object_get_string_len(value))
		return err_set(err, -EINVAL, "\"%s\" has a NUL in it", name);
	*ret_text = text;
	return 0;
}

int verify_json_as_hex(struct json_object *value, const char *name, uint8_t *buf, size_t buf_size,
		       size_t *ret_size, struct ccr_err *err)
{
	const char *text = NULL;

	if (verify_json_as_text(value, name, &text, err))
		return -EINVAL;
	if (parse_hex(text, buf, buf_size, ret_size) || *ret_size == 0)
		return err_set(err, -EINVAL, "\"%s\" is not 1 to %zu bytes in hexadecimal", name,
			       buf_size);
	return 0;
}

static int missing(const char *name, bool required, struct ccr_err *err)
{
	return required ? err_set(err, -EINVAL, "\"%s\" is missing", name) : 0;
}

int verify_json_text(struct json_object *object, const char *name, bool required,
		     const char **ret_text, struct ccr_err *err)
{
	struct json_object *value;

	*ret_text = NULL;
	if (!json_object_object_get_ex(object, name, &value))
		return missing(name, required, err);
	return verify_json_as_text(value, name, ret_text, err);
}

int verify_json_hex(struct json_object *object, const char *name, bool required, uint8_t *buf,
		    size_t buf_size, size_t *ret_size, struct ccr_err *err)
{
	struct json_object *value;

	*ret_size = 0;
	if (!json_object_object_get_ex(object, name, &value))
		return missing(name, required, err);
	return verify_json_as_hex(value, name, buf, buf_size, ret_size, err);
}

int verify_json_uint(struct json_object *object, const char *name, unsigned max,
		     unsigned *ret_number, struct ccr_err *err)
{
	struct json_object *value;
	int64_t number;

	if (!json_object_object_get_ex(object, name, &value))
		return missing(name, true, err);
	number = json_object_get_int64(value);
	if (!json_object_is_type(value, json_type_int) || number < 0 || number > max)
		return err_set(err, -EINVAL, "\"%s\" is not a whole number from 0 to %u", name,
			       max);
	*ret_number = (unsigned)number;
	return 0;
}

int verify_json_bool(struct json_object *object, const char *name, bool *ret_value,
		     struct ccr_err *err)
{
	struct json_object *value;

	if (!json_object_object_get_ex(object, name, &value))
		return missing(name, true, err);
	if (!json_object_is_type(value, json_type_boolean))
		return err_set(err, -EINVAL, "\"%s\" is neither true nor false", name);
	*ret_value = json_object_get_boolean(value);
	return 0;
}
