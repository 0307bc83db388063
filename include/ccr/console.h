/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's console on our stdin and stdout.
 *
 * On a terminal, keys go to the guest unchanged (raw mode), but for an escape: Ctrl-a x ends the
 * machine, Ctrl-a d detaches a terminal that was attached later, Ctrl-a Ctrl-a sends one Ctrl-a,
 * Ctrl-a h lists the keys.
 */
#ifndef CCR_CONSOLE_H
#define CCR_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <termios.h>

#include "ccr/err.h"

/**
 * struct console - host end of the console
 * @in_fd: 0, or -1 at its end or when there is none; @out_fd is our own, never blocking
 * @is_raw: @saved must be restored
 * @escaped: the last key was Ctrl-a
 */
struct console {
	int in_fd;
	int out_fd;
	bool is_terminal;
	bool is_raw;
	bool escaped;
	struct termios saved;
};

/** console_open() - Return: 0, or -errno with @err set */
int console_open(struct console *console, struct ccr_err *err);

/** console_close() - restores the terminal; safe after a failed or no console_open() of {0} */
void console_close(struct console *console);

enum console_request { CONSOLE_NONE, CONSOLE_QUIT, CONSOLE_DETACH, CONSOLE_HELP };

/**
 * console_filter() - take the escapes out of typed bytes
 * @bytes: @size bytes, compacted in place
 * @ret_size: bytes left for the guest
 *
 * Return: what was asked for; bytes behind a CONSOLE_QUIT or CONSOLE_DETACH are dropped.
 */
enum console_request console_filter(struct console *console, uint8_t *bytes, size_t size,
				    size_t *ret_size);

/**
 * console_write() - as much as stdout takes now
 *
 * Return: bytes written; 0 if it takes none now; -errno if it is gone.
 */
int console_write(struct console *console, const uint8_t *bytes, size_t size);

#endif
