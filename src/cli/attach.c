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

enum { SOURCE_SCREEN, SOURCE_SIGNAL, SOURCE_CONSOLE, NR_SOURCES = SOURCE_CONSOLE + CONSOLE_NR_FDS };

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
	size_t size;
	const enum console_request request =
		console_read(&attachment->console, keys, sizeof(keys), &size);

	give_keys(attachment, keys, size);
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

static void on_screen(struct attachment *attachment)
{
	uint8_t bytes[SCREEN_SIZE];
	const size_t room = console_room(&attachment->console);
	ssize_t got;

	if (room == 0)
		return;
	got = recv(attachment->fd, bytes, room < sizeof(bytes) ? room : sizeof(bytes), 0);
	if (got > 0)
		console_write(&attachment->console, bytes, (size_t)got);
	else if (got == 0 || errno != EINTR)
		finish(attachment, 0);
}

static void set_sources(struct attachment *attachment, struct pollfd sources[NR_SOURCES])
{
	const bool takes = !attachment->done && console_room(&attachment->console) > 0;

	sources[SOURCE_SCREEN] = (struct pollfd){takes ? attachment->fd : -1, POLLIN, 0};
	sources[SOURCE_SIGNAL] = (struct pollfd){attachment->signal_fd, POLLIN, 0};
	console_set_fds(&attachment->console, !attachment->done, sources + SOURCE_CONSOLE);
}

/* What the machine has said last is still to be shown when it has gone. */
static int serve(struct attachment *attachment, struct ccr_err *err)
{
	struct pollfd sources[NR_SOURCES];

	while (!attachment->done || console_has_output(&attachment->console)) {
		set_sources(attachment, sources);
		if (poll(sources, NR_SOURCES, -1) < 0)
			continue;
		console_serve(&attachment->console, sources + SOURCE_CONSOLE);
		if (sources[SOURCE_SIGNAL].revents)
			return attachment->ret;
		if (sources[SOURCE_SCREEN].revents)
			on_screen(attachment);
		if (!attachment->done)
			on_keys(attachment, err);
		if (console_is_lost(&attachment->console))
			return err_set(err, -EPIPE, "console: nobody reads its output any more");
	}
	return attachment->ret;
}

/* The terminal must not stay raw: signals end this in order. */
static int with_terminal(struct attachment *attachment, struct ccr_err *err)
{
	const struct chardev_config ours = {.kind = CHARDEV_STDIO};
	int ret = console_open(&attachment->console, &ours, err);

	if (!ret)
		ret = console_start(&attachment->console, err);
	if (ret) {
		console_close(&attachment->console);
		return ret;
	}
	if (attachment->console.base.is_terminal)
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
