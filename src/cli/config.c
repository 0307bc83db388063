/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <json-c/json.h>

#include "ccr/cli.h"
#include "ccr/file.h"
#include "ccr/jsontext.h"
#include "internal.h"

#define MAX_FILE_SIZE (1u << 20)

/*
 * struct config - a file while it is applied
 * @directory_size: bytes of @path up to the last slash, and with it; 0 if there is none
 */
struct config {
	const char *path;
	int directory_size;
	unsigned command;
	struct cli_options *options;
	struct ccr_err *err;
};

static int refuse(const struct config *c, const char *name, const char *why)
{
	return err_set(c->err, -EINVAL, "config file %s: \"%s\" %s", c->path, name, why);
}

/* Pass on to the option itself, whose sentence is about the command line: say where it was. */
static int set(const struct config *c, const struct cli_option *option, const char *value)
{
	struct ccr_err err = {0};
	const int ret = cli_option_set(c->options, option, value, &err);

	return ret ? err_set(c->err, ret, "config file %s: %s", c->path, err.msg) : 0;
}

/* Put the file's directory into @value, behind @skip bytes, unless there is an absolute path. */
static int make_absolute(const struct config *c, struct json_object *value, int skip)
{
	const char *text = json_object_get_string(value);
	char *joined;

	if (c->directory_size == 0 || text[skip] == '/' || text[skip] == '\0')
		return 0;
	if (asprintf(&joined, "%.*s%.*s%s", skip, text, c->directory_size, c->path, text + skip) <
	    0)
		return err_set(c->err, -ENOMEM, "config file %s: out of memory", c->path);
	json_object_set_string(value, joined);
	free(joined);
	return 0;
}

static bool starts_with(const char *text, const char *prefix)
{
	return !strncmp(text, prefix, strlen(prefix));
}

static bool is_called(const struct cli_option *option, const char *name)
{
	return !strcmp(option->name, name);
}

/* --vsock vhost[,cid=N] has no path. */
static bool names_kernel(const struct cli_option *option, const char *text)
{
	return is_called(option, "vsock") && starts_with(text, CLI_VHOST) &&
	       strcspn(text, ",") == strlen(CLI_VHOST);
}

/* --disk vhost-user=SOCKET */
static bool names_back_end(const struct cli_option *option, const char *text)
{
	return is_called(option, "disk") && starts_with(text, CLI_VHOST_USER);
}

#define PASST "passt="

/* --network has parts, and one of them may be a socket's. Return: where its path is, or NULL. */
static const char *find_passt(const char *text)
{
	while (!starts_with(text, PASST)) {
		text = strchr(text, ',');
		if (!text)
			return NULL;
		text++;
	}
	return text + strlen(PASST);
}

/* Return: where in an option's value a file's path begins; NULL if it has none. */
static const char *find_path(const struct cli_option *option, const char *text)
{
	const char *colon = strchr(text, ':');

	if (option->commands & CLI_OPTION_PATH && !names_kernel(option, text))
		return names_back_end(option, text) ? text + strlen(CLI_VHOST_USER) : text;
	if (option->commands & CLI_OPTION_AT_PATH && *text == '@')
		return text + 1;
	if (option->commands & CLI_OPTION_COLON_PATH && colon)
		return colon + 1;
	return is_called(option, "network") ? find_passt(text) : NULL;
}

static int set_text(const struct config *c, const struct cli_option *option,
		    struct json_object *value)
{
	const char *text = json_object_get_string(value), *path;
	int ret = 0;

	if (strlen(text) != (size_t)json_object_get_string_len(value))
		return refuse(c, option->name, "has a NUL in it");
	path = find_path(option, text);
	if (path)
		ret = make_absolute(c, value, (int)(path - text));
	return ret ? ret : set(c, option, json_object_get_string(value));
}

static bool takes_number(const struct cli_option *option)
{
	static const char *const numbers[] = {"N", "SIZE", "SECONDS"};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		if (option->has_arg == required_argument && !strcmp(option->arg, numbers[i]))
			return true;
	}
	return false;
}

/* json-c makes of a number that is too large the largest that it knows. */
static int set_number(const struct config *c, const struct cli_option *option,
		      struct json_object *value)
{
	if (json_object_get_uint64(value) == UINT64_MAX)
		return refuse(c, option->name, "is too large a number; write it as a string");
	return set(c, option, json_object_get_string(value));
}

static int set_value(const struct config *c, const struct cli_option *option,
		     struct json_object *value)
{
	const enum json_type type = json_object_get_type(value);

	if (type == json_type_boolean && option->has_arg != required_argument)
		return json_object_get_boolean(value) ? set(c, option, NULL) : 0;
	if (option->has_arg == no_argument)
		return refuse(c, option->name, "must be true or false");
	if (type == json_type_string)
		return set_text(c, option, value);
	if (takes_number(option))
		return type == json_type_int
			       ? set_number(c, option, value)
			       : refuse(c, option->name, "must be a string or a whole number");
	return refuse(c, option->name,
		      option->has_arg == optional_argument ? "must be a string, true or false"
							   : "must be a string");
}

static int set_list(const struct config *c, const struct cli_option *option,
		    struct json_object *list)
{
	int ret = 0;

	if (!(option->commands & CLI_OPTION_REPEATS))
		return refuse(c, option->name, "must be one value, not a list");
	for (size_t i = 0; !ret && i < json_object_array_length(list); i++)
		ret = set_value(c, option, json_object_array_get_idx(list, i));
	return ret;
}

static int set_member(const struct config *c, const char *name, struct json_object *value)
{
	const struct cli_option *option = cli_option_named(name);

	if (!option)
		return refuse(c, name,
			      "is no option of any command; `ccr-run run --help` has them");
	if (option->commands & CLI_OPTION_TYPED)
		return refuse(c, name, "can only be given on the command line");
	/* One file may be for run, measure and verify alike. */
	if (!(option->commands & c->command))
		return 0;
	return json_object_is_type(value, json_type_array) ? set_list(c, option, value)
							   : set_value(c, option, value);
}

static int set_members(const struct config *c, struct json_object *object)
{
	struct json_object_iterator at, end;
	int ret = 0;

	if (!json_object_is_type(object, json_type_object))
		return err_set(c->err, -EINVAL,
			       "config file %s: not a JSON object, as in {\"kernel\": \"Image\"}",
			       c->path);
	at = json_object_iter_begin(object);
	end = json_object_iter_end(object);
	for (; !ret && !json_object_iter_equal(&at, &end); json_object_iter_next(&at))
		ret = set_member(c, json_object_iter_peek_name(&at),
				 json_object_iter_peek_value(&at));
	return ret;
}

int cli_config_load(const char *path, unsigned command, struct cli_options *options,
		    struct ccr_err *err)
{
	const char *slash = strrchr(path, '/');
	const struct config config = {
		.path = path,
		.directory_size = slash ? (int)(slash + 1 - path) : 0,
		.command = command,
		.options = options,
		.err = err,
	};
	struct ccr_err why = {0};
	struct blob text;
	int ret;

	ret = file_load(path, MAX_FILE_SIZE, "config file", &text, err);
	if (ret)
		return ret;
	options->config = jsontext_parse(text.data ? (const char *)text.data : "", text.size, &why);
	blob_free(&text);
	if (!options->config)
		return err_set(err, why.code, "config file %s: %s", path, why.msg);
	return set_members(&config, options->config);
}
