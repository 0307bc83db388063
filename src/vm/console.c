/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ccr/console.h"
#include "ccr/log.h"

#define KEY_ESCAPE 0x01 /* Ctrl-a */

/*
 * A non-blocking descriptor for stdout that leaves the flags of the one we were given alone: other
 * programs share its open file. Regular files never block, and a second opening of one would have
 * its own position, so they are only duplicated. What cannot be reopened is duplicated too.
 */
static int open_output(void)
{
	struct stat st;
	int fd = -1;

	if (fstat(STDOUT_FILENO, &st) < 0)
		return -errno;
	if (S_ISCHR(st.st_mode) || S_ISFIFO(st.st_mode))
		fd = open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	return fd < 0 ? -errno : fd;
}

/* In the background, touching the terminal would stop us. */
static bool owns_terminal(void)
{
	return isatty(STDIN_FILENO) && tcgetpgrp(STDIN_FILENO) == getpgrp();
}

static int make_raw(struct console *console)
{
	struct termios raw;

	if (tcgetattr(STDIN_FILENO, &console->saved) < 0)
		return -errno;
	raw = console->saved;
	cfmakeraw(&raw);
	if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) < 0)
		return -errno;
	console->is_raw = true;
	log_raw_terminal(true);
	return 0;
}

int console_open(struct console *console, struct ccr_err *err)
{
	int ret;

	*console = (struct console){.in_fd = -1, .out_fd = -1};
	console->out_fd = open_output();
	if (console->out_fd < 0)
		return err_set(err, console->out_fd, "console: stdout cannot be used: %s",
			       strerror(-console->out_fd));
	if (!isatty(STDIN_FILENO)) {
		if (fcntl(STDIN_FILENO, F_GETFD) >= 0)
			console->in_fd = STDIN_FILENO;
		return 0;
	}
	if (!owns_terminal())
		return 0;
	ret = make_raw(console);
	if (ret) {
		console_close(console);
		return err_set(err, ret, "console: cannot set up the terminal: %s", strerror(-ret));
	}
	console->is_terminal = true;
	console->in_fd = STDIN_FILENO;
	return 0;
}

void console_close(struct console *console)
{
	if (console->is_raw) {
		tcsetattr(STDIN_FILENO, TCSANOW, &console->saved);
		log_raw_terminal(false);
		console->is_raw = false;
	}
	if (console->out_fd > STDERR_FILENO)
		close(console->out_fd);
	console->out_fd = -1;
	console->in_fd = -1;
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

		if (!console->is_terminal || (!console->escaped && key != KEY_ESCAPE)) {
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

int console_write(struct console *console, const uint8_t *bytes, size_t size)
{
	const ssize_t ret = write(console->out_fd, bytes, size);

	if (ret >= 0)
		return (int)ret;
	return errno == EAGAIN || errno == EINTR ? 0 : -errno;
}
