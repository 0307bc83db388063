/* SPDX-License-Identifier: Apache-2.0 */
/* What the kinds of chardev and of broker are made of. */
#ifndef HOST_INTERNAL_H
#define HOST_INTERNAL_H

#include "ccr/broker.h"
#include "ccr/chardev.h"

/**
 * struct chardev_ops - a kind of host end; what it does not need is NULL
 * @has_calls: a peer comes and goes, and it is known when
 * @open: @dev has all its descriptors at -1; on error chardev_close() cleans up
 * @start: as chardev_start()
 * @close: undo what closing descriptors does not
 * @meet: @wait_fd is readable, or there is output for a peer that is not there
 * @output_lost: the peer takes no output any more, because of -@code; once for a peer
 * @peer_left: there is neither input nor output any more
 */
struct chardev_ops {
	bool has_calls;
	int (*open)(struct chardev *dev, const char *path, struct ccr_err *err);
	int (*start)(struct chardev *dev, struct ccr_err *err);
	void (*close)(struct chardev *dev);
	void (*meet)(struct chardev *dev);
	void (*output_lost)(struct chardev *dev, int code);
	void (*peer_left)(struct chardev *dev);
};

extern const struct chardev_ops chardev_stdio_ops, chardev_pty_ops, chardev_file_ops,
	chardev_socket_ops, chardev_none_ops;

/** chardev_greet() - a peer has come: it is read from and written to through @dev's own_fd */
void chardev_greet(struct chardev *dev);

/** chardev_make_raw() - a terminal that passes all bytes unchanged. Return: 0 or -errno. */
int chardev_make_raw(int fd);

/**
 * struct broker_service - what a kind of broker does, in its process
 * @name: of the process
 * @open: encloses the process, and opens everything that is opened by path
 * @serve: one request, decoded. @reply is all zeros, and @ret_fd -1; a descriptor given there is
 *	passed on and closed. Return: 0 or -errno.
 */
struct broker_service {
	const char *name;
	int (*open)(void **ret_state, const struct broker_config *config, struct ccr_err *err);
	int (*serve)(void *state, const struct broker_request *request, struct broker_reply *reply,
		     int *ret_fd);
};

/** broker_enclose() - config->enclose(), or false if there is none */
bool broker_enclose(const struct broker_config *config, const char *const *dirs, unsigned nr_dirs);

extern const struct broker_service broker_files_service, broker_sockets_service;

#endif
