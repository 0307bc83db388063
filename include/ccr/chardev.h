/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host end of a byte stream: where a guest's console goes, and where its keys come from.
 *
 * At the other end is a peer that may come, go and come again: a client of a socket, a program that
 * has opened a pseudo-terminal. Output waits in a queue. The peer takes it at its own pace, but a
 * peer that has taken nothing for CHARDEV_STALL_MS has stalled, and then, as while there is no
 * peer, the queue keeps the latest output and forgets the oldest, so that nobody who does not read
 * ever stops the guest. What the queue holds is what the next peer gets first. Only a patient end
 * (our own stdout, and what is not for people) makes the guest wait: a terminal on which Ctrl-s was
 * typed loses nothing.
 *
 * No call here ever blocks. One thread uses them all.
 */
#ifndef CCR_CHARDEV_H
#define CCR_CHARDEV_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/un.h>
#include <termios.h>

#include "ccr/err.h"

#define CHARDEV_QUEUE_SIZE (16u * 1024) /* bytes, a power of two */
#define CHARDEV_STALL_MS   1000

enum chardev_kind { CHARDEV_STDIO, CHARDEV_PTY, CHARDEV_FILE, CHARDEV_SOCKET, CHARDEV_NONE };

/**
 * struct chardev_config - which end; all-zero is our stdin and stdout, for the console
 * @path: borrowed; NULL unless the kind has one
 * @what: the stream, in messages; borrowed, NULL for the console
 * @is_data: it is not for people: whoever writes waits for a slow peer, which loses nothing, and
 *	nothing of ours comes in between
 */
struct chardev_config {
	enum chardev_kind kind;
	const char *path;
	const char *what;
	bool is_data;
};

/**
 * chardev_parse() - "stdio", "pty", "none", "file:PATH" or "socket:PATH"
 * @ret_config: its kind, and its path, which points into @text; the rest of it is not touched
 *
 * Return: 0; -EINVAL with @err set.
 */
int chardev_parse(const char *text, struct chardev_config *ret_config, struct ccr_err *err);

struct chardev_ops;

/**
 * struct chardev - one end; all-zero is closed, and no call but chardev_open() or
 * chardev_adopt() then has any effect
 * @what, @is_data: as in struct chardev_config; @what is not NULL
 * @in_fd: the peer's bytes come from here; -1 when there are none any more, or no peer
 * @out_fd: the peer takes bytes here; -1 when it does not
 * @own_fd: closed in the end; the two above are it or borrowed
 * @wait_fd: readable when a peer may have come; -1 for never
 * @is_terminal: a person types at our own terminal
 * @is_socket: @own_fd is a stream socket
 * @may_block: @out_fd cannot be made non-blocking, because others share its open file
 * @is_readable: chardev_serve() has seen input
 * @drops: output goes nowhere and is not kept
 * @moved_ms: when the queue was last empty or has last become shorter
 * @head, @tail: of @queue, counted from the start
 * @saved, @has_saved: of a terminal: what must be restored
 * @is_raw: it was made so here
 * @path, @device, @inode: of a socket: what must be removed
 */
struct chardev {
	const struct chardev_ops *ops;
	const char *what;
	int in_fd;
	int out_fd;
	int own_fd;
	int wait_fd;
	bool is_terminal;
	bool is_socket;
	bool is_data;
	bool may_block;
	bool is_patient;
	bool is_readable;
	bool is_stalled;
	bool has_saved;
	bool drops;
	uint64_t moved_ms;
	uint64_t head, tail;
	bool is_raw;
	struct termios saved;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	dev_t device;
	ino_t inode;
	uint8_t queue[CHARDEV_QUEUE_SIZE];
};

/**
 * chardev_open() - everything that has to be opened, once and before the guest runs
 * @config: only read during the call
 *
 * stdio: stdin, unless it is a terminal, and stdout. pty: makes a pseudo-terminal and logs its
 * name. file: emptied, or made for the user alone; refused if it is in use as a disk or by another
 * console; there is no input. socket: listens, for the user alone; what is at the path is replaced
 * only if it is a socket on which nobody listens.
 *
 * Return: 0, or -errno with @err set. chardev_close() is safe either way.
 */
int chardev_open(struct chardev *dev, const struct chardev_config *config, struct ccr_err *err);

/**
 * chardev_start() - the guest runs from now on
 *
 * stdio: if stdin is a terminal and we are in its foreground, it becomes raw, and keys go to the
 * guest. Until then Ctrl-c is a signal, as always. Once started this has no effect.
 *
 * Return: 0, or -errno with @err set.
 */
int chardev_start(struct chardev *dev, struct ccr_err *err);

/**
 * chardev_adopt() - make an end of a connected stream socket; when the peer leaves, it is closed
 * @fd: becomes the end's, to close, unless an error is returned
 *
 * Return: 0; -ENOTSOCK or another -errno if it is no stream socket.
 */
int chardev_adopt(struct chardev *dev, int fd);

/** chardev_close() - restore the terminal, remove the socket; the end is all-zero then */
void chardev_close(struct chardev *dev);

/** chardev_is_open() - between chardev_open() or chardev_adopt() and its end */
bool chardev_is_open(const struct chardev *dev);

/**
 * chardev_has_peer() - is there somebody to take output; of what is no socket, always
 *
 * That somebody has opened a pseudo-terminal is only found by writing to it.
 */
bool chardev_has_peer(const struct chardev *dev);

/** chardev_is_connected() - the same, or a peer that has gone has left input behind */
bool chardev_is_connected(const struct chardev *dev);

/** chardev_forget() - drop the output that is queued: whom it was for has gone */
void chardev_forget(struct chardev *dev);

/** chardev_room() - bytes that chardev_write() takes now without forgetting any for a slow peer */
size_t chardev_room(const struct chardev *dev);

/** chardev_write() - queue output, and pass on what the peer takes now */
void chardev_write(struct chardev *dev, const uint8_t *bytes, size_t size);

/** chardev_has_output() - there are queued bytes and a peer to take them */
bool chardev_has_output(const struct chardev *dev);

/** chardev_read() - input, if chardev_serve() has seen any. Return: bytes, or 0. */
size_t chardev_read(struct chardev *dev, uint8_t *bytes, size_t size);

#define CHARDEV_NR_FDS 3

/**
 * chardev_set_fds() - what to poll() for
 * @wants_input: the guest has room for input
 */
void chardev_set_fds(const struct chardev *dev, bool wants_input,
		     struct pollfd fds[CHARDEV_NR_FDS]);

/** chardev_timeout_ms() - chardev_serve() is due then even if nothing happens; -1 for never */
int chardev_timeout_ms(const struct chardev *dev);

/** chardev_serve() - after poll(): peers come and go, queued output leaves, input is noticed */
void chardev_serve(struct chardev *dev, const struct pollfd fds[CHARDEV_NR_FDS]);

#endif
