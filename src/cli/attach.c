/* SPDX-License-Identifier: Apache-2.0 */
/*
 * console: this terminal becomes another one of a running machine's.
 *
 * One end of a socket pair goes to the machine, the bytes of keys and screen through it. The
 * terminal itself stays here, so neither its mode nor a blocked screen is the machine's business,
 * and whoever ends this process has detached.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ccr/console.h"
#include "client.h"
#include "internal.h"

/* Keys go out, in small pieces: the machine takes what the guest has room for. */
#define KEYS_SIZE   64
#define SCREEN_SIZE 4096

enum { SOURCE_KEYS, SOURCE_SCREEN, SOURCE_SIGNAL, NR_SOURCES };

/* @fd: our end of the pair; @ret: what came of it, once @done */
struct attachment {
	struct client *client;
	struct console console;
	int fd;
	int signal_fd;
	bool done;
	int ret;
};

static void finish(struct attachment *attachment, int ret)
{
	attachment->done = true;
	attachment->ret = ret;
}

static void give_keys(struct attachment *attachment, const uint8_t *keys, size_t size)
{
	while (size > 0 && !attachment->done) {
		const ssize_t sent = send(attachment->fd, keys, size, MSG_NOSIGNAL);

		if (sent < 0 && errno != EINTR)
			finish(attachment, 0);
		if (sent > 0) {
			keys += sent;
			size -= (size_t)sent;
		}
	}
}

static void on_keys(struct attachment *attachment, struct ccr_err *err)
{
	uint8_t keys[KEYS_SIZE];
	const ssize_t got = read(attachment->console.in_fd, keys, sizeof(keys));
	enum console_request request;
	size_t left = 0;

	if (got < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (got <= 0) {
		attachment->console.in_fd = -1;
		return;
	}
	request = console_filter(&attachment->console, keys, (size_t)got, &left);
	give_keys(attachment, keys, left);
	switch (request) {
	case CONSOLE_QUIT:
		finish(attachment, client_execute(attachment->client, "quit", NULL, -1, NULL, err));
		break;
	case CONSOLE_DETACH:
		finish(attachment, 0);
		break;
	case CONSOLE_HELP:
		log_info("Ctrl-a d detaches, Ctrl-a x ends the machine, Ctrl-a Ctrl-a sends one "
			 "Ctrl-a");
		break;
	case CONSOLE_NONE:
		break;
	}
}

static void show(struct attachment *attachment, const uint8_t *bytes, size_t size)
{
	struct pollfd screen = {.fd = attachment->console.out_fd, .events = POLLOUT};

	while (size > 0 && !attachment->done) {
		const int done = console_write(&attachment->console, bytes, size);

		if (done < 0) {
			finish(attachment, done);
			return;
		}
		bytes += done;
		size -= (size_t)done;
		if (size > 0 && poll(&screen, 1, -1) < 0 && errno != EINTR)
			finish(attachment, -errno);
	}
}

static void on_screen(struct attachment *attachment)
{
	uint8_t bytes[SCREEN_SIZE];
	const ssize_t got = recv(attachment->fd, bytes, sizeof(bytes), 0);

	if (got > 0)
		show(attachment, bytes, (size_t)got);
	else if (got == 0 || errno != EINTR)
		finish(attachment, 0);
}

static int serve(struct attachment *attachment, struct ccr_err *err)
{
	while (!attachment->done) {
		struct pollfd sources[NR_SOURCES] = {
			[SOURCE_KEYS] = {attachment->console.in_fd, POLLIN, 0},
			[SOURCE_SCREEN] = {attachment->fd, POLLIN, 0},
			[SOURCE_SIGNAL] = {attachment->signal_fd, POLLIN, 0},
		};

		if (poll(sources, NR_SOURCES, -1) < 0)
			continue;
		if (sources[SOURCE_SCREEN].revents)
			on_screen(attachment);
		if (sources[SOURCE_KEYS].revents && !attachment->done)
			on_keys(attachment, err);
		if (sources[SOURCE_SIGNAL].revents)
			finish(attachment, 0);
	}
	if (attachment->ret)
		err_set(err, attachment->ret, "console: stdout is gone: %s",
			strerror(-attachment->ret));
	return attachment->ret;
}

/* The terminal must not stay raw: signals end this in order. */
static int with_terminal(struct attachment *attachment, struct ccr_err *err)
{
	int ret = console_open(&attachment->console, err);

	if (ret)
		return ret;
	if (attachment->console.is_terminal)
		log_info("attached to %s; Ctrl-a d detaches", attachment->client->name);
	ret = serve(attachment, err);
	console_close(&attachment->console);
	return ret;
}

static int with_signals(struct attachment *attachment, struct ccr_err *err)
{
	sigset_t set;
	int ret;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	attachment->signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
	if (attachment->signal_fd < 0)
		return err_set(err, -errno, "console: no descriptor: %s", strerror(errno));
	ret = with_terminal(attachment, err);
	close(attachment->signal_fd);
	return ret;
}

static int attach(struct client *client, struct ccr_err *err)
{
	struct attachment attachment = {.client = client};
	int pair[2], ret;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_set(err, -errno, "console: no descriptor: %s", strerror(errno));
	attachment.fd = pair[0];
	ret = client_execute(client, "x-ccr-console", NULL, pair[1], NULL, err);
	close(pair[1]);
	if (!ret)
		ret = with_signals(&attachment, err);
	close(pair[0]);
	return ret;
}

enum cli_status cli_console(const struct cli_options *options, struct ccr_err *err)
{
	struct client client;
	enum cli_status status = cli_open_machine(&client, options, err);

	if (status)
		return status;
	if (attach(&client, err))
		status = CLI_NOT_STARTED;
	client_close(&client);
	return status;
}
