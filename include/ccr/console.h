/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's console on the host: where --console says, and beside that one client that is
 * attached while the machine runs. Output goes to both, each at its own pace, and keys come from
 * both. Only the event loop's thread uses it.
 *
 * On our own terminal, keys go to the guest unchanged (raw mode), but for an escape: Ctrl-a x ends
 * the machine, Ctrl-a d detaches a terminal that was attached later, Ctrl-a Ctrl-a sends one
 * Ctrl-a, Ctrl-a h lists the keys.
 */
#ifndef CCR_CONSOLE_H
#define CCR_CONSOLE_H

#include "ccr/chardev.h"

/**
 * struct console - host end of the console; all-zero is closed
 * @base: as --console says
 * @client: open while one is attached
 * @escaped: the last key on @base's terminal was Ctrl-a
 */
struct console {
	struct chardev base;
	struct chardev client;
	bool escaped;
};

/** console_open() - as chardev_open(). Return: 0, or -errno with @err set. */
int console_open(struct console *console, const struct chardev_config *config, struct ccr_err *err);

/** console_start() - as chardev_start(). Return: 0, or -errno with @err set. */
int console_start(struct console *console, struct ccr_err *err);

/** console_close() - restores the terminal; safe after a failed console_open() and for {0} */
void console_close(struct console *console);

/**
 * console_attach() - a client, until it hangs up or is detached
 * @fd: a connected stream socket; becomes the console's, to close, unless an error is returned
 *
 * It gets what the guest prints from now on. While it is there, nobody makes the guest wait: who
 * takes nothing for CHARDEV_STALL_MS loses output, our own stdout included.
 *
 * Return: 0; -EBUSY while another client is attached; -ENOTSOCK.
 */
int console_attach(struct console *console, int fd);

/** console_detach() - close the client's descriptor, if there is one */
void console_detach(struct console *console);

enum console_request { CONSOLE_NONE, CONSOLE_QUIT, CONSOLE_DETACH, CONSOLE_HELP };

/**
 * console_filter() - take the escapes out of bytes typed on our terminal
 * @bytes: @size bytes, compacted in place
 * @ret_size: bytes left for the guest
 *
 * Return: what was asked for; bytes behind a CONSOLE_QUIT or CONSOLE_DETACH are dropped.
 */
enum console_request console_filter(struct console *console, uint8_t *bytes, size_t size,
				    size_t *ret_size);

/**
 * console_read() - input, once console_serve() has seen some
 * @bytes: room for @size
 * @ret_size: bytes for the guest, without escapes; 0 if there are none
 *
 * Return: what was asked for with an escape.
 */
enum console_request console_read(struct console *console, uint8_t *bytes, size_t size,
				  size_t *ret_size);

/** console_room() - bytes that console_write() takes now; 0 while the guest has to wait */
size_t console_room(const struct console *console);

/** console_write() - output; @size is at most console_room() */
void console_write(struct console *console, const uint8_t *bytes, size_t size);

/** console_has_output() - somebody is there and has still to take some output */
bool console_has_output(const struct console *console);

/** console_is_lost() - there is nobody to take output any more, and nobody will come */
bool console_is_lost(const struct console *console);

/** console_is_stalled() - the guest has had to wait for CHARDEV_STALL_MS or longer */
bool console_is_stalled(const struct console *console);

#define CONSOLE_NR_FDS (2 * CHARDEV_NR_FDS)

/** console_set_fds(), console_timeout_ms(), console_serve() - as those of a chardev */
void console_set_fds(const struct console *console, bool wants_input,
		     struct pollfd fds[CONSOLE_NR_FDS]);
int console_timeout_ms(const struct console *console);
void console_serve(struct console *console, const struct pollfd fds[CONSOLE_NR_FDS]);

#endif
