/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading JSON files that decide whom to trust: what is not understood is an error, so that a
 * misspelt name cannot turn a check off. Messages are clauses about the file, which the caller
 * names.
 */
#ifndef REALM_VERIFY_JSON_H
#define REALM_VERIFY_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <json-c/json.h>

#include "ccr/err.h"

/**
 * verify_json_check_names() - an object has no member but those named
 * @names: ends with NULL
 *
 * Return: 0; -EINVAL with @err set, also if it is no object.
 */
int verify_json_check_names(struct json_object *object, const char *const *names,
			    struct ccr_err *err);

/**
 * verify_json_as_text() - a string without NUL in it
 * @name: of the value, for @err
 *
 * Return: 0 and *@ret_text, borrowed; -EINVAL with @err set.
 */
int verify_json_as_text(struct json_object *value, const char *name, const char **ret_text,
			struct ccr_err *err);

/**
 * verify_json_as_hex() - a string of hexadecimal digits, for 1 to @buf_size bytes
 *
 * Return: as verify_json_as_text().
 */
int verify_json_as_hex(struct json_object *value, const char *name, uint8_t *buf, size_t buf_size,
		       size_t *ret_size, struct ccr_err *err);

/**
 * verify_json_text() - a member, as verify_json_as_text() reads it
 * @ret_text: borrowed; NULL if the member is not there
 *
 * Return: 0; -EINVAL with @err set for another type, or if it is @required and not there.
 */
int verify_json_text(struct json_object *object, const char *name, bool required,
		     const char **ret_text, struct ccr_err *err);

/**
 * verify_json_hex() - a member, as verify_json_as_hex() reads it
 * @ret_size: 0 if the member is not there
 *
 * Return: as verify_json_text().
 */
int verify_json_hex(struct json_object *object, const char *name, bool required, uint8_t *buf,
		    size_t buf_size, size_t *ret_size, struct ccr_err *err);

/**
 * verify_json_uint() - a member that must be there: a whole number, 0 to @max
 *
 * Return: 0; -EINVAL with @err set.
 */
int verify_json_uint(struct json_object *object, const char *name, unsigned max,
		     unsigned *ret_number, struct ccr_err *err);

/** verify_json_bool() - a member that must be there: true or false. Return: as above. */
int verify_json_bool(struct json_object *object, const char *name, bool *ret_value,
		     struct ccr_err *err);

#endif
