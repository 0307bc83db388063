/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "ccr/console.h"

#define KEY_ESCAPE 0x01 /* Ctrl-a */

int console_open(struct console *console, const struct chardev_config *config, struct ccr_err *err)
{
	*console = (struct console){0};
	return chardev_open(&console->base, config, err);
}

int console_start(struct console *console, struct ccr_err *err)
{
	return chardev_start(&console->base, err);
}

void console_close(struct console *console)
{
	chardev_close(&console->client);
	chardev_close(&console->base);
}

int console_attach(struct console *console, int fd)
{
	/* Of one that has hung up, unread input may be left. */
	if (chardev_is_open(&console->client) && console->client.out_fd >= 0)
		return -EBUSY;
	chardev_close(&console->client);
	return chardev_adopt(&console->client, fd);
}

void console_detach(struct console *console)
{
	chardev_close(&console->client);
}

static bool ends_input(enum console_request request)
{
	return request == CONSOLE_QUIT || request == CONSOLE_DETACH;
}

enum console_request console_filter(struct console *console, uint8_t *bytes, size_t size,
				    size_t *ret_size)
{
	enum console_request request = CONSOLE_NONE;
	size_t kept = 0;

	for (size_t i = 0; i < size && !ends_input(request); i++) {
		const uint8_t key = bytes[i];

		if (!console->base.is_terminal || (!console->escaped && key != KEY_ESCAPE)) {
			bytes[kept++] = key;
			continue;
		}
		if (!console->escaped) {
			console->escaped = true;
			continue;
		}
		console->escaped = false;
		if (key == KEY_ESCAPE)
			bytes[kept++] = KEY_ESCAPE;
		else if (key == 'x')
			request = CONSOLE_QUIT;
		else if (key == 'd')
			request = CONSOLE_DETACH;
		else if (key == 'h' || key == '?')
			request = CONSOLE_HELP;
	}
	*ret_size = kept;
	return request;
}

enum console_request console_read(struct console *console, uint8_t *bytes, size_t size,
				  size_t *ret_size)
{
	const size_t typed = chardev_read(&console->base, bytes, size);

	if (typed > 0)
		return console_filter(console, bytes, typed, ret_size);
	*ret_size = chardev_read(&console->client, bytes, size);
	return CONSOLE_NONE;
}

/* With a client attached, a terminal that is held up does not hold up the client too. */
static bool is_left_behind(const struct console *console)
{
	return console->base.is_stalled && chardev_is_open(&console->client);
}

size_t console_room(const struct console *console)
{
	const size_t base = is_left_behind(console) ? CHARDEV_QUEUE_SIZE
						    : chardev_room(&console->base);
	const size_t client = chardev_room(&console->client);

	return base < client ? base : client;
}

void console_write(struct console *console, const uint8_t *bytes, size_t size)
{
	chardev_write(&console->base, bytes, size);
	chardev_write(&console->client, bytes, size);
}

bool console_has_output(const struct console *console)
{
	return chardev_has_output(&console->base) || chardev_has_output(&console->client);
}

bool console_is_lost(const struct console *console)
{
	return console->base.drops && !chardev_is_open(&console->client);
}

bool console_is_stalled(const struct console *console)
{
	return console->base.is_stalled && console_room(console) == 0;
}

void console_set_fds(const struct console *console, bool wants_input,
		     struct pollfd fds[CONSOLE_NR_FDS])
{
	chardev_set_fds(&console->base, wants_input, fds);
	chardev_set_fds(&console->client, wants_input, fds + CHARDEV_NR_FDS);
}

int console_timeout_ms(const struct console *console)
{
	const int base = chardev_timeout_ms(&console->base);
	const int client = chardev_timeout_ms(&console->client);

	if (base < 0 || client < 0)
		return base < 0 ? client : base;
	return base < client ? base : client;
}

void console_serve(struct console *console, const struct pollfd fds[CONSOLE_NR_FDS])
{
	chardev_serve(&console->base, fds);
	chardev_serve(&console->client, fds + CHARDEV_NR_FDS);
}
