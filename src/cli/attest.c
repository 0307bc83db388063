/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attest: ask a running realm for a token, and verify it.
 *
 * The guest is reached through its vsock, where `attest --listen` (guest/attest) or another program
 * with the same protocol serves: it gets a line with the challenge in hexadecimal, and answers with
 * one line, "token " and base64 or "error " and words, before it closes the connection. Of what it
 * says, only what the token proves is believed.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <json-c/json.h>

#include "ccr/file.h"
#include "ccr/parse.h"
#include "ccr/rsi.h"
#include "ccr/verify.h"
#include "ccr/vsock_host.h"
#include "client.h"
#include "internal.h"

#define TOKEN "token "
#define ERROR "error "

/* An answer as base64. */
#define MAX_ANSWER ((size_t)2 * VERIFY_MAX_TOKEN_SIZE)

/* Of the guest's words, when it has no token. */
#define MAX_WORDS 160

/* A realm whose host is busy or emulated may need long for a signature. */
#define PATIENCE_S 60

static int refuse_call(const struct cli_options *options, const char *path, int code,
		       struct ccr_err *err)
{
	const char *name = options->name;
	const unsigned port = options->attest_port;

	switch (code) {
	case -ECONNREFUSED:
		return err_set(err, code,
			       "machine %s: nobody in the guest listens on vsock port %u; run "
			       "`attest --listen %u` there",
			       name, port, port);
	case -EAGAIN:
		return err_set(err, code,
			       "machine %s: the guest has not answered on vsock port %u within "
			       "%d s",
			       name, port, PATIENCE_S);
	case -EPROTO:
		return err_set(err, code, "machine %s: what listens at %s is not its vsock", name,
			       path);
	default:
		return err_set(err, code, "machine %s: its vsock at %s cannot be reached: %s", name,
			       path, strerror(-code));
	}
}

/* Return: the path of the machine's vsock, allocated; NULL with @err set. */
static char *find_vsock(const struct cli_options *options, struct ccr_err *err)
{
	struct json_object *stat = NULL, *vsock, *path;
	struct client client;
	char *copy = NULL;
	int ret;

	if (cli_open_machine(&client, options, err))
		return NULL;
	ret = client_execute(&client, "x-ccr-stat", NULL, -1, &stat, err);
	client_close(&client);
	if (ret)
		return NULL;
	if (!json_object_object_get_ex(stat, "vsock", &vsock) ||
	    !json_object_object_get_ex(vsock, "path", &path))
		err_set(err, -ENODEV,
			"machine %s has no vsock, so nobody in it can be asked; start it with "
			"--vsock FILE",
			options->name);
	else if (!(copy = strdup(json_object_get_string(path))))
		err_set(err, -ENOMEM, "machine %s: out of memory", options->name);
	json_object_put(stat);
	return copy;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* All until the end, in a bounded time however slowly it comes. Return: 0 or -errno. */
static int read_all(int fd, struct blob *answer)
{
	const int64_t end = now_ms() + PATIENCE_S * 1000;
	ssize_t done = 1;

	answer->data = malloc(MAX_ANSWER + 1);
	if (!answer->data)
		return -ENOMEM;
	while (done != 0) {
		struct pollfd source = {.fd = fd, .events = POLLIN};
		const int64_t left = end - now_ms();

		if (left <= 0 || poll(&source, 1, (int)left) == 0)
			return -ETIMEDOUT;
		if (answer->size == MAX_ANSWER)
			return -EMSGSIZE;
		done = recv(fd, answer->data + answer->size, MAX_ANSWER - answer->size,
			    MSG_DONTWAIT);
		if (done < 0 && errno != EAGAIN && errno != EINTR)
			return errno == ECONNRESET ? 0 : -errno;
		if (done > 0)
			answer->size += (size_t)done;
	}
	return 0;
}

static bool begins_with(const struct blob *answer, const char *word)
{
	return answer->size > strlen(word) && !memcmp(answer->data, word, strlen(word));
}

/* @answer, a whole line, becomes the token in it. */
static int take_token(const char *name, struct blob *answer, struct ccr_err *err)
{
	char *text = (char *)answer->data;
	size_t size;

	if (answer->size == 0 || text[answer->size - 1] != '\n')
		return err_set(err, -EPROTO,
			       "machine %s: the guest closed the connection before it had answered",
			       name);
	text[answer->size - 1] = '\0';
	if (begins_with(answer, ERROR))
		return err_set(err, -EREMOTEIO, "machine %s: the guest gives no token: %.*s", name,
			       MAX_WORDS, text + strlen(ERROR));
	if (!begins_with(answer, TOKEN) || strlen(text) != answer->size - 1 ||
	    parse_base64(text + strlen(TOKEN), answer->data, answer->size, &size))
		return err_set(err, -EPROTO, "machine %s: what the guest answers is no token",
			       name);
	answer->size = size;
	return 0;
}

static int converse(const struct cli_options *options, int fd, struct blob *answer,
		    struct ccr_err *err)
{
	const char *challenge = options->verify.challenge;
	int ret = 0;

	if (send(fd, challenge, strlen(challenge), MSG_NOSIGNAL) < 0 ||
	    send(fd, "\n", 1, MSG_NOSIGNAL) < 0)
		ret = -errno;
	/* Who has closed already may have said why. */
	if (!ret || ret == -EPIPE)
		ret = read_all(fd, answer);
	if (ret)
		return err_set(err, ret, "machine %s: the guest's answer is not to be had: %s",
			       options->name, strerror(-ret));
	return take_token(options->name, answer, err);
}

static int ask_machine(const struct cli_options *options, struct blob *ret_token,
		       struct ccr_err *err)
{
	char *path = find_vsock(options, err);
	int fd, ret;

	if (!path)
		return -ENODEV;
	fd = vsock_host_call(path, options->attest_port, PATIENCE_S);
	ret = fd < 0 ? refuse_call(options, path, fd, err) : converse(options, fd, ret_token, err);
	if (fd >= 0)
		close(fd);
	free(path);
	if (!ret && options->save)
		ret = file_save(options->save, ret_token->data, ret_token->size, "token", err);
	return ret;
}

enum cli_status cli_attest(const struct cli_options *options, struct ccr_err *err)
{
	struct cli_options asked = *options;
	char text[2 * RSI_CHALLENGE_SIZE + 1];
	uint8_t challenge[RSI_CHALLENGE_SIZE];
	enum cli_status status = cli_check_machine_name(options, err);

	if (status)
		return status;
	if (!options->verify.challenge) {
		if (getrandom(challenge, sizeof(challenge), 0) != (ssize_t)sizeof(challenge)) {
			err_set(err, -EIO, "no random bytes for a challenge: %s", strerror(errno));
			return CLI_NOT_STARTED;
		}
		asked.verify.challenge = parse_format_hex(challenge, sizeof(challenge), text);
	}
	return cli_verify_from(&asked, ask_machine, err);
}
