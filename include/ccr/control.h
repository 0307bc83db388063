/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine's control socket: its clients, their connections, and what outlives a reset. The
 * protocol is qmp.h's. All of it belongs to the event loop's thread.
 */
#ifndef CCR_CONTROL_H
#define CCR_CONTROL_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "ccr/qmp.h"

/**
 * CONTROL_MAX_CLIENTS - connections at a time
 *
 * One more takes the place of who has not negotiated within a second, or is refused.
 */
#define CONTROL_MAX_CLIENTS 8
/** CONTROL_NR_SOURCES - descriptors that control_set_sources() asks to be polled */
#define CONTROL_NR_SOURCES (1 + CONTROL_MAX_CLIENTS)

/**
 * struct control_client - one connection
 * @fd: -1 for none
 * @since_ms: when it came
 * @moved_ms: when it last had nothing to read, or read some of it
 */
struct control_client {
	int fd;
	uint64_t since_ms;
	uint64_t moved_ms;
	struct qmp_session session;
};

/**
 * struct control - who controls the machine, and what they want of it
 * @machine: for the commands; its ctx is NULL between two lives of a machine
 * @listen_fd: borrowed; -1 if there is no control socket
 * @rest_end_ms: no connections are taken until then
 * @paused: a client has stopped the machine; a reset does not change that
 * @grace_ends: the machine ends at @grace_end_ms, on the monotonic clock
 * @start_ms: of the machine's first life; @nr_resets: lives since
 * @reason: what somebody on the host wanted that ends this life, in the words of QEMU's SHUTDOWN
 *	event; NULL if nobody did
 */
struct control {
	struct qmp_machine machine;
	int listen_fd;
	uint64_t rest_end_ms;
	struct control_client clients[CONTROL_MAX_CLIENTS];
	bool paused;
	bool grace_ends;
	uint64_t grace_end_ms;
	uint64_t start_ms;
	unsigned nr_resets;
	const char *reason;
};

/** control_init() - without clients. @listen_fd is non-blocking, or -1. */
void control_init(struct control *control, const char *name, int listen_fd,
		  const struct qmp_ops *ops);

/** control_close() - sends what is left to be sent, for a moment; drops all clients */
void control_close(struct control *control);

/** control_set_sources() - what to poll: CONTROL_NR_SOURCES entries */
void control_set_sources(const struct control *control, struct pollfd *sources);

/** control_timeout() - milliseconds until control_serve() has something to do; -1 for nothing */
int control_timeout(const struct control *control);

/** control_serve() - after poll(), with the same entries: new clients, commands, replies, time */
void control_serve(struct control *control, const struct pollfd *sources);

/** control_event() - tell all clients; @data is taken over, NULL for none */
void control_event(struct control *control, const char *name, struct json_object *data);

/** control_uptime_ms() - since control_init() */
uint64_t control_uptime_ms(const struct control *control);

/**
 * control_end_after() - the machine's end is wanted @grace_s from now; a later wish replaces it
 *
 * Then qmp_ops.quit is called.
 */
void control_end_after(struct control *control, unsigned grace_s);

#endif
