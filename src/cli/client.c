/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <json-c/json.h>

#include "ccr/qmp.h"
#include "client.h"

/* All that a machine keeps for a client that does not read. */
#define MAX_ANSWER QMP_MAX_UNREAD

static int ended(const struct client *client, struct ccr_err *err)
{
	return err_set(err, -ECONNRESET, "machine %s has ended meanwhile", client->name);
}

static int failed(const struct client *client, int code, struct ccr_err *err)
{
	if (code == -EPIPE || code == -ECONNRESET)
		return ended(client, err);
	if (code == -EAGAIN)
		return err_set(err, code,
			       "machine %s does not answer: it is busy or has been suspended",
			       client->name);
	return err_set(err, code, "machine %s: the connection failed: %s", client->name,
		       strerror(-code));
}

void client_set_patience(struct client *client, unsigned patience_s)
{
	const struct timeval limit = {.tv_sec = patience_s};

	/* Fails only for a descriptor that is no socket. */
	setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(client->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
}

static int fill(struct client *client)
{
	ssize_t got;

	do {
		got = recv(client->fd, client->in, sizeof(client->in), 0);
	} while (got < 0 && errno == EINTR);
	if (got <= 0)
		return got < 0 ? -errno : -ECONNRESET;
	client->at = 0;
	client->size = (size_t)got;
	return 0;
}

static int next_message(struct client *client, struct json_object **ret_message,
			struct ccr_err *err)
{
	for (;;) {
		const char *at = client->in + client->at;
		size_t left = client->size - client->at;
		int ret = jstream_next(&client->stream, &at, &left, ret_message);

		client->at = client->size - left;
		if (ret > 0)
			return 0;
		if (ret < 0)
			return err_set(err, ret, "machine %s: its answer is not what was expected",
				       client->name);
		ret = fill(client);
		if (ret)
			return failed(client, ret, err);
	}
}

/* @error is a QMP error object. */
static int refused(const struct client *client, struct json_object *error, struct ccr_err *err)
{
	struct json_object *desc = NULL;

	json_object_object_get_ex(error, "desc", &desc);
	return err_set(err, -EREMOTEIO, "machine %s: %s", client->name,
		       desc ? json_object_get_string(desc) : "it refuses, and does not say why");
}

static int expect_greeting(struct client *client, struct ccr_err *err)
{
	struct json_object *message = NULL, *error;
	int ret = next_message(client, &message, err);

	if (ret)
		return ret;
	if (json_object_object_get_ex(message, "error", &error))
		ret = refused(client, error, err);
	else if (!json_object_object_get_ex(message, "QMP", NULL))
		ret = err_set(err, -EPROTO, "machine %s: its socket speaks another protocol",
			      client->name);
	json_object_put(message);
	return ret;
}

int client_open(struct client *client, const char *run_dir, const char *name, unsigned patience_s,
		struct ccr_err *err)
{
	int ret;

	memset(client, 0, sizeof(*client));
	client->name = name;
	client->fd = runtime_connect(run_dir, name, &client->pid, err);
	if (client->fd < 0)
		return client->fd;
	client_set_patience(client, patience_s);
	ret = jstream_init(&client->stream, MAX_ANSWER);
	if (ret)
		err_set(err, ret, "machine %s: out of memory", name);
	else
		ret = expect_greeting(client, err);
	if (!ret)
		ret = client_execute(client, "qmp_capabilities", NULL, -1, NULL, err);
	if (ret)
		client_close(client);
	return ret;
}

void client_close(struct client *client)
{
	jstream_done(&client->stream);
	close(client->fd);
}

/* The first byte carries the descriptor. */
static int send_part(struct client *client, const char *text, size_t size, int pass_fd)
{
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr header;
	} control = {0};
	struct iovec iov = {(void *)(uintptr_t)text, size};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t done;

	if (pass_fd >= 0) {
		control.header = (struct cmsghdr){
			.cmsg_len = CMSG_LEN(sizeof(int)),
			.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS,
		};
		memcpy(CMSG_DATA(&control.header), &pass_fd, sizeof(pass_fd));
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
	}
	do {
		done = sendmsg(client->fd, &message, MSG_NOSIGNAL);
	} while (done < 0 && errno == EINTR);
	return done < 0 ? -errno : (int)done;
}

static int send_command(struct client *client, const char *command, struct json_object *arguments,
			int pass_fd)
{
	struct json_object *message = json_object_new_object();
	size_t size = 0, at = 0;
	const char *text;
	int ret = 0;

	json_object_object_add(message, "execute", json_object_new_string(command));
	if (arguments)
		json_object_object_add(message, "arguments", arguments);
	text = json_object_to_json_string_length(message, JSON_C_TO_STRING_PLAIN, &size);
	for (; ret >= 0 && at<size; at += ret> 0 ? (size_t)ret : 0)
		ret = send_part(client, text + at, size - at, at == 0 ? pass_fd : -1);
	json_object_put(message);
	return ret < 0 ? ret : 0;
}

/* Events are for those who watch. */
static int await_answer(struct client *client, struct json_object **ret_result, struct ccr_err *err)
{
	struct json_object *message = NULL, *part;
	bool answered = false;
	int ret = 0;

	while (!ret && !answered) {
		ret = next_message(client, &message, err);
		if (ret)
			break;
		answered = true;
		if (json_object_object_get_ex(message, "error", &part))
			ret = refused(client, part, err);
		else if (!json_object_object_get_ex(message, "return", &part))
			answered = false;
		else if (ret_result)
			*ret_result = json_object_get(part);
		json_object_put(message);
	}
	return ret;
}

int client_execute(struct client *client, const char *command, struct json_object *arguments,
		   int pass_fd, struct json_object **ret_result, struct ccr_err *err)
{
	const int ret = send_command(client, command, arguments, pass_fd);

	if (ret)
		return failed(client, ret, err);
	return await_answer(client, ret_result, err);
}

int client_await_end(struct client *client)
{
	struct json_object *message;
	struct ccr_err err = {0};

	while (next_message(client, &message, &err) == 0)
		json_object_put(message);
	return err.code == -EAGAIN ? -EAGAIN : 0;
}
