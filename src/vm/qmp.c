/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>
#include <json-c/json.h>

#include "ccr/qmp.h"

#ifndef CCR_VERSION
#define CCR_VERSION "0.1"
#endif

/* With more than this unsent, commands wait. */
#define OUT_LIMIT ((size_t)16 << 10)

/* One command being carried out. */
struct call {
	struct qmp_session *session;
	const struct qmp_machine *machine;
	struct json_object *arguments; /* checked; NULL for none */
	struct json_object *result;    /* NULL for {} */
};

/* Errors have a class; most are of the general one. */
static const char *error_class(int code)
{
	if (code == -ENODEV)
		return "DeviceNotActive";
	return code == -ENOSYS ? "CommandNotFound" : "GenericError";
}

static void put(struct qmp_session *session, struct json_object *message)
{
	size_t size = 0;
	const char *text =
		json_object_to_json_string_length(message, JSON_C_TO_STRING_PLAIN, &size);
	char *out = NULL;

	if (text && size + 2 <= QMP_MAX_UNREAD - session->out_size)
		out = realloc(session->out, session->out_size + size + 2);
	if (!out) {
		session->broken = true;
		return;
	}
	memcpy(out + session->out_size, text, size);
	session->out = out;
	session->out_size += size;
	out[session->out_size++] = '\r';
	out[session->out_size++] = '\n';
}

static void add_text(struct json_object *object, const char *name, const char *text)
{
	json_object_object_add(object, name, json_object_new_string(text));
}

static void add_int(struct json_object *object, const char *name, int64_t value)
{
	json_object_object_add(object, name, json_object_new_int64(value));
}

/* QMP's clients expect the version under this name, whoever they talk to. */
static struct json_object *make_version(void)
{
	struct json_object *version = json_object_new_object();
	struct json_object *numbers = json_object_new_object();

	add_int(numbers, "major", 0);
	add_int(numbers, "minor", 0);
	add_int(numbers, "micro", 0);
	json_object_object_add(version, "qemu", numbers);
	add_text(version, "package", "ccr-run " CCR_VERSION);
	return version;
}

static void greet(struct qmp_session *session)
{
	struct json_object *message = json_object_new_object();
	struct json_object *greeting = json_object_new_object();

	json_object_object_add(greeting, "version", make_version());
	json_object_object_add(greeting, "capabilities", json_object_new_array());
	json_object_object_add(message, "QMP", greeting);
	put(session, message);
	json_object_put(message);
}

int qmp_open(struct qmp_session *session)
{
	memset(session, 0, sizeof(*session));
	session->passed_fd = -1;
	if (jstream_init(&session->stream, QMP_MAX_MESSAGE))
		return -ENOMEM;
	greet(session);
	return 0;
}

static void drop_fd(struct qmp_session *session)
{
	if (session->passed_fd >= 0)
		close(session->passed_fd);
	session->passed_fd = -1;
}

void qmp_close(struct qmp_session *session)
{
	jstream_done(&session->stream);
	drop_fd(session);
	free(session->out);
	memset(session, 0, sizeof(*session));
	session->passed_fd = -1;
}

const char *qmp_status_name(enum qmp_status status)
{
	static const char *const names[] = {
		[QMP_RUNNING] = "running",
		[QMP_PAUSED] = "paused",
		[QMP_SHUTDOWN] = "shutdown",
	};

	return names[status];
}

/* The commands. */

static int run_capabilities(struct call *call, struct ccr_err *err)
{
	(void)err;
	call->session->negotiated = true;
	return 0;
}

static int run_query_status(struct call *call, struct ccr_err *err)
{
	const enum qmp_status status = call->machine->ops->status(call->machine->ctx);

	(void)err;
	call->result = json_object_new_object();
	add_text(call->result, "status", qmp_status_name(status));
	json_object_object_add(call->result, "running",
			       json_object_new_boolean(status == QMP_RUNNING));
	return 0;
}

static int run_query_name(struct call *call, struct ccr_err *err)
{
	(void)err;
	call->result = json_object_new_object();
	add_text(call->result, "name", call->machine->name);
	return 0;
}

static int run_query_version(struct call *call, struct ccr_err *err)
{
	(void)err;
	call->result = make_version();
	return 0;
}

static int run_query_commands(struct call *call, struct ccr_err *err);

/* What changes a machine that is about to be gone would be answered and not done. */
static int check_alive(const struct call *call, struct ccr_err *err)
{
	if (call->machine->ops->status(call->machine->ctx) != QMP_SHUTDOWN)
		return 0;
	return err_set(err, -ESHUTDOWN, "the machine is ending");
}

static int run_stop(struct call *call, struct ccr_err *err)
{
	return check_alive(call, err) ? err->code
				      : call->machine->ops->stop(call->machine->ctx, err);
}

static int run_cont(struct call *call, struct ccr_err *err)
{
	return check_alive(call, err) ? err->code
				      : call->machine->ops->cont(call->machine->ctx, err);
}

static int run_reset(struct call *call, struct ccr_err *err)
{
	return check_alive(call, err) ? err->code
				      : call->machine->ops->reset(call->machine->ctx, err);
}

static int run_powerdown(struct call *call, struct ccr_err *err)
{
	(void)err;
	call->machine->ops->powerdown(call->machine->ctx, QMP_DEFAULT_GRACE_S);
	return 0;
}

static int run_x_stop(struct call *call, struct ccr_err *err)
{
	int64_t grace_s = QMP_DEFAULT_GRACE_S;
	struct json_object *value;

	if (call->arguments && json_object_object_get_ex(call->arguments, "grace", &value))
		grace_s = json_object_get_int64(value);
	if (grace_s < 0 || grace_s > QMP_MAX_GRACE_S)
		return err_set(err, -ERANGE, "Parameter 'grace' expects seconds from 0 to %d",
			       QMP_MAX_GRACE_S);
	call->machine->ops->powerdown(call->machine->ctx, (unsigned)grace_s);
	return 0;
}

static int run_quit(struct call *call, struct ccr_err *err)
{
	(void)err;
	call->machine->ops->quit(call->machine->ctx);
	return 0;
}

static int run_x_stat(struct call *call, struct ccr_err *err)
{
	(void)err;
	call->result = json_object_new_object();
	add_text(call->result, "name", call->machine->name);
	call->machine->ops->stat(call->machine->ctx, call->result);
	return 0;
}

static int run_x_console(struct call *call, struct ccr_err *err)
{
	const int fd = call->session->passed_fd;

	if (fd < 0)
		return err_set(err, -EBADF,
			       "No file descriptor was passed: send a socket with the command");
	call->session->passed_fd = -1;
	if (check_alive(call, err)) {
		close(fd);
		return err->code;
	}
	return call->machine->ops->console(call->machine->ctx, fd, err);
}

static int run_balloon(struct call *call, struct ccr_err *err)
{
	struct json_object *value = NULL;

	if (check_alive(call, err))
		return err->code;
	if (call->arguments)
		json_object_object_get_ex(call->arguments, "value", &value);
	if (!value)
		return err_set(err, -EINVAL, "Parameter 'value' is missing");
	if (json_object_get_int64(value) <= 0)
		return err_set(err, -ERANGE, "Parameter 'target' expects a size");
	return call->machine->ops->balloon(call->machine->ctx, json_object_get_uint64(value), err);
}

static int run_query_balloon(struct call *call, struct ccr_err *err)
{
	uint64_t size = 0;

	if (check_alive(call, err) ||
	    call->machine->ops->query_balloon(call->machine->ctx, &size, err))
		return err->code;
	call->result = json_object_new_object();
	json_object_object_add(call->result, "actual", json_object_new_uint64(size));
	return 0;
}

/* Every command; the only argument that any of them has is a whole number. */
static const struct command {
	const char *name;
	int (*run)(struct call *call, struct ccr_err *err);
	const char *argument;
} commands[] = {
	{"qmp_capabilities", run_capabilities, NULL},
	{"query-status", run_query_status, NULL},
	{"query-name", run_query_name, NULL},
	{"query-version", run_query_version, NULL},
	{"query-commands", run_query_commands, NULL},
	{"stop", run_stop, NULL},
	{"cont", run_cont, NULL},
	{"system_reset", run_reset, NULL},
	{"system_powerdown", run_powerdown, NULL},
	{"quit", run_quit, NULL},
	{"balloon", run_balloon, "value"},
	{"query-balloon", run_query_balloon, NULL},
	{"x-ccr-stat", run_x_stat, NULL},
	{"x-ccr-stop", run_x_stop, "grace"},
	{"x-ccr-console", run_x_console, NULL},
};

#define NR_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static int run_query_commands(struct call *call, struct ccr_err *err)
{
	(void)err;
	call->result = json_object_new_array();
	for (size_t i = 0; i < NR_COMMANDS; i++) {
		struct json_object *entry = json_object_new_object();

		add_text(entry, "name", commands[i].name);
		json_object_array_add(call->result, entry);
	}
	return 0;
}

/* Names in messages are a client's: err_set() makes them printable, and this keeps them short. */
#define NAME_FORMAT "%.64s"

static int check_arguments(const struct command *command, struct json_object *arguments,
			   struct ccr_err *err)
{
	json_object_object_foreach(arguments, name, value)
	{
		if (!command->argument || strcmp(name, command->argument) != 0)
			return err_set(err, -EINVAL, "Parameter '" NAME_FORMAT "' is unexpected",
				       name);
		if (!json_object_is_type(value, json_type_int))
			return err_set(err, -EINVAL,
				       "Invalid parameter type for '%s', expected: integer", name);
	}
	return 0;
}

static const struct command *find_command(const struct qmp_session *session, const char *name,
					  struct ccr_err *err)
{
	const bool negotiates = !strcmp(name, "qmp_capabilities");

	if (!session->negotiated && !negotiates) {
		err_set(err, -ENOSYS, "Expecting capabilities negotiation with 'qmp_capabilities'");
		return NULL;
	}
	if (session->negotiated && negotiates) {
		err_set(err, -ENOSYS,
			"Capabilities negotiation is already complete, command ignored");
		return NULL;
	}
	for (size_t i = 0; i < NR_COMMANDS; i++) {
		if (!strcmp(name, commands[i].name))
			return &commands[i];
	}
	err_set(err, -ENOSYS, "The command " NAME_FORMAT " has not been found", name);
	return NULL;
}

static bool is_text(struct json_object *value)
{
	return json_object_is_type(value, json_type_string) &&
	       strlen(json_object_get_string(value)) == (size_t)json_object_get_string_len(value);
}

static int check_members(struct json_object *message, struct ccr_err *err)
{
	json_object_object_foreach(message, name, value)
	{
		const bool is_name = !strcmp(name, "execute");
		const bool is_object = !strcmp(name, "arguments");

		if (!is_name && !is_object && strcmp(name, "id") != 0)
			return err_set(err, -EINVAL,
				       "QMP input member '" NAME_FORMAT "' is unexpected", name);
		if (is_name && !is_text(value))
			return err_set(err, -EINVAL, "QMP input member 'execute' must be a string");
		if (is_object && !json_object_is_type(value, json_type_object))
			return err_set(err, -EINVAL,
				       "QMP input member 'arguments' must be an object");
	}
	return 0;
}

static int execute(struct call *call, struct json_object *message, struct ccr_err *err)
{
	const struct command *command;
	struct json_object *name;

	if (check_members(message, err))
		return err->code;
	if (!json_object_object_get_ex(message, "execute", &name))
		return err_set(err, -EINVAL, "QMP input lacks member 'execute'");
	command = find_command(call->session, json_object_get_string(name), err);
	if (!command)
		return err->code;
	if (json_object_object_get_ex(message, "arguments", &call->arguments) &&
	    check_arguments(command, call->arguments, err))
		return err->code;
	return command->run(call, err);
}

static struct json_object *make_error(const struct ccr_err *err)
{
	struct json_object *error = json_object_new_object();

	add_text(error, "class", error_class(err->code));
	add_text(error, "desc", err->msg);
	return error;
}

/* @id is borrowed, @result taken over; without a result the reply is @err. */
static void reply(struct qmp_session *session, struct json_object *result,
		  const struct ccr_err *err, struct json_object *id)
{
	struct json_object *message = json_object_new_object();

	if (result)
		json_object_object_add(message, "return", result);
	else
		json_object_object_add(message, "error", make_error(err));
	if (id)
		json_object_object_add(message, "id", json_object_get(id));
	put(session, message);
	json_object_put(message);
}

static void dispatch(struct qmp_session *session, const struct qmp_machine *machine,
		     struct json_object *message)
{
	struct call call = {.session = session, .machine = machine};
	struct json_object *id = NULL;
	struct ccr_err err = {0};

	json_object_object_get_ex(message, "id", &id);
	if (execute(&call, message, &err) == 0 && !call.result)
		call.result = json_object_new_object();
	reply(session, call.result, &err, id);
}

size_t qmp_room(const struct qmp_session *session)
{
	if (session->broken || session->out_size > OUT_LIMIT)
		return 0;
	return sizeof(session->in) - session->in_size;
}

void qmp_receive(struct qmp_session *session, const char *bytes, size_t size)
{
	if (size > qmp_room(session))
		size = qmp_room(session);
	memcpy(session->in + session->in_size, bytes, size);
	session->in_size += size;
}

void qmp_receive_fd(struct qmp_session *session, int fd)
{
	drop_fd(session);
	session->passed_fd = fd;
}

static void refuse(struct qmp_session *session, int code)
{
	struct ccr_err err = {0};

	if (code == -EMSGSIZE)
		err_set(&err, code, "JSON parse error, a message is longer than %zu bytes",
			QMP_MAX_MESSAGE);
	else
		err_set(&err, code, "JSON parse error, expecting an object of at most %d levels",
			JSTREAM_MAX_DEPTH);
	reply(session, NULL, &err, NULL);
}

void qmp_run(struct qmp_session *session, const struct qmp_machine *machine)
{
	const char *at = session->in;
	size_t left = session->in_size;

	while (left > 0 && !session->broken && session->out_size <= OUT_LIMIT) {
		struct json_object *message = NULL;
		const int ret = jstream_next(&session->stream, &at, &left, &message);

		if (ret < 0)
			refuse(session, ret);
		else if (ret > 0)
			dispatch(session, machine, message);
		json_object_put(message);
	}
	memmove(session->in, at, left);
	session->in_size = left;
	/* Nobody has taken what came with the last command. */
	if (left == 0 && jstream_is_between(&session->stream))
		drop_fd(session);
}

void qmp_sent(struct qmp_session *session, size_t size)
{
	session->out_size -= size;
	memmove(session->out, session->out + size, session->out_size);
}

void qmp_event(struct qmp_session *session, const char *name, struct json_object *data)
{
	struct json_object *message, *stamp;
	struct timeval now = {0};

	if (!session->negotiated || session->broken)
		return;
	gettimeofday(&now, NULL);
	stamp = json_object_new_object();
	add_int(stamp, "seconds", now.tv_sec);
	add_int(stamp, "microseconds", now.tv_usec);
	message = json_object_new_object();
	json_object_object_add(message, "timestamp", stamp);
	add_text(message, "event", name);
	if (data)
		json_object_object_add(message, "data", json_object_get(data));
	put(session, message);
	json_object_put(message);
}
