/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control protocol: QMP as QEMU's clients speak it, for the verbs that mean the same here, and
 * verbs of our own that begin with x-ccr-. Bytes in, bytes out; no descriptors but passed ones.
 *
 *	       open         qmp_capabilities
 *	-----------> GREETED ----------------> COMMANDS --+
 *			|			  |	  | objects in, replies and events out
 *			|   too much unread output|  <----+
 *			+------> BROKEN <---------+
 *
 * A client is somebody who may control the machine anyway, but not one who may crash it, make it
 * wait or make it hoard memory: commands stay unread while replies do, and whoever does not even
 * read events is dropped.
 *
 * Everything here belongs to the event loop's thread.
 */
#ifndef CCR_QMP_H
#define CCR_QMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ccr/err.h"
#include "ccr/jstream.h"

/** QMP_MAX_MESSAGE - most bytes of one command; QMP_MAX_UNREAD - of output that nobody reads */
#define QMP_MAX_MESSAGE ((size_t)64 << 10)
#define QMP_MAX_UNREAD  ((size_t)1 << 20)

/** QMP_MAX_GRACE_S - the longest that a machine may be given to end by itself */
#define QMP_MAX_GRACE_S     3600
#define QMP_DEFAULT_GRACE_S 10

/** enum qmp_status - what the machine is doing, in QEMU's terms */
enum qmp_status { QMP_RUNNING, QMP_PAUSED, QMP_SHUTDOWN };

/** qmp_status_name() - as query-status answers it */
const char *qmp_status_name(enum qmp_status status);

/**
 * struct qmp_ops - what commands do to the machine
 * @stop, @cont: pause it, let it go on; nothing happens to one that is paused, or runs, already
 * @reset: start it anew
 * @powerdown: end it once @grace_s are over, if it has not ended by itself
 * @quit: end it now; the connections last until replies and events are out
 * @stat: add members to @object
 * @console: attach the guest's console to the socket @fd, which is @console's from now on
 * @balloon, @query_balloon: leave so many bytes to the guest; how many it has. -ENODEV without one
 *
 * Return of those that can fail: 0, or -errno with @err set.
 */
struct qmp_ops {
	enum qmp_status (*status)(void *ctx);
	int (*stop)(void *ctx, struct ccr_err *err);
	int (*cont)(void *ctx, struct ccr_err *err);
	int (*reset)(void *ctx, struct ccr_err *err);
	void (*powerdown)(void *ctx, unsigned grace_s);
	void (*quit)(void *ctx);
	void (*stat)(void *ctx, struct json_object *object);
	int (*console)(void *ctx, int fd, struct ccr_err *err);
	int (*balloon)(void *ctx, uint64_t size, struct ccr_err *err);
	int (*query_balloon)(void *ctx, uint64_t *ret_size, struct ccr_err *err);
};

/** struct qmp_machine - what a session controls; @name is borrowed */
struct qmp_machine {
	const char *name;
	const struct qmp_ops *ops;
	void *ctx;
};

/**
 * struct qmp_session - one client
 * @negotiated: qmp_capabilities has been answered
 * @broken: the client must be dropped
 * @passed_fd: a descriptor that came with the bytes and is for the next command; -1 for none
 * @in, @in_size: bytes not yet looked at
 * @out, @out_size: bytes to be sent
 */
struct qmp_session {
	struct jstream stream;
	bool negotiated;
	bool broken;
	int passed_fd;
	char in[4096];
	size_t in_size;
	char *out;
	size_t out_size;
};

/** qmp_open() - a new client; the greeting is in its output. Return: 0 or -ENOMEM. */
int qmp_open(struct qmp_session *session);

/** qmp_close() - takes an all-zero session with a @passed_fd of -1 */
void qmp_close(struct qmp_session *session);

/** qmp_room() - how many bytes qmp_receive() takes now; 0 while replies wait to be read */
size_t qmp_room(const struct qmp_session *session);

/** qmp_receive() - @size bytes have come, at most qmp_room(); they are copied */
void qmp_receive(struct qmp_session *session, const char *bytes, size_t size);

/**
 * qmp_receive_fd() - a descriptor has come, before the bytes that it came with
 *
 * The session owns it. It is closed unless the command that these bytes end or begin takes it. Of
 * several the last one counts.
 */
void qmp_receive_fd(struct qmp_session *session, int fd);

/** qmp_run() - carry out what has come, as far as the client reads the replies */
void qmp_run(struct qmp_session *session, const struct qmp_machine *machine);

/** qmp_sent() - the first @size bytes of the output are gone */
void qmp_sent(struct qmp_session *session, size_t size);

/**
 * qmp_event() - tell the client, unless it has not negotiated yet
 * @data: borrowed; NULL for none
 */
void qmp_event(struct qmp_session *session, const char *name, struct json_object *data);

#endif
