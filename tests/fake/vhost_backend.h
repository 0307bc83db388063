/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A back end of the vhost-user protocol, in a thread: it maps the memory that it is given and
 * serves the queues that it is told to. Each buffer comes back with its readable part copied to its
 * writable part. What it does wrong it does on request.
 */
#ifndef FAKE_VHOST_BACKEND_H
#define FAKE_VHOST_BACKEND_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define BACKEND_MAX_QUEUES 4
#define BACKEND_MAX_CONFIG 256

/** enum backend_fault - what becomes of the answer to one request */
enum backend_fault {
	BACKEND_HONEST,
	BACKEND_SILENT,        /* there is none */
	BACKEND_HANGS_UP,      /* the connection is closed instead */
	BACKEND_HALF,          /* its first bytes, then the connection is closed */
	BACKEND_OTHER_REQUEST, /* it is to another request */
	BACKEND_TOO_LONG,      /* its payload is 8 bytes longer */
	BACKEND_TOO_SHORT,     /* its payload is 4 bytes shorter */
	BACKEND_HUGE,          /* it claims a payload of 4 GiB */
	BACKEND_OTHER_VERSION,
	BACKEND_NO_REPLY_FLAG,
	BACKEND_WITH_FD,      /* a descriptor comes along */
	BACKEND_REFUSES,      /* a number other than 0 */
	BACKEND_OTHER_INDEX,  /* of GET_VRING_BASE: of another queue */
	BACKEND_LARGE_BASE,   /* of GET_VRING_BASE: does not fit 16 bits */
	BACKEND_OTHER_CONFIG, /* of GET_CONFIG: of other bytes */
};

struct backend_region {
	uint64_t guest_at, size, user_at;
	uint8_t *map;
};

struct backend_queue {
	uint32_t size, base;
	uint64_t desc, avail, used; /* user addresses */
	int kick_fd, call_fd;
	bool is_enabled;
};

/**
 * struct vhost_backend - set up by backend_create(), then by the test, before backend_start()
 * @features, @protocol, @nr_queues, @config: what it offers
 * @fault, @fault_at: what goes wrong at which request (its number)
 * @log: the requests it got, with their most telling number; valid after backend_stop()
 * @accepted: the features that were chosen
 * @request_fd: for requests of its own; -1 without
 */
struct vhost_backend {
	uint64_t features, protocol, nr_queues;
	uint8_t config[BACKEND_MAX_CONFIG];
	enum backend_fault fault;
	uint32_t fault_at;

	int fd;
	pthread_t thread;
	char log[4096];
	uint64_t accepted;
	int request_fd;
	unsigned nr_regions;
	struct backend_region regions[8];
	struct backend_queue queues[BACKEND_MAX_QUEUES];
};

struct vhost_backend *backend_create(void);

/** backend_start() - Return: the front end's end of the connection, non-blocking */
int backend_start(struct vhost_backend *backend);

/** backend_stop() - once the front end has closed its end; waits for the thread */
void backend_stop(struct vhost_backend *backend);

/** backend_hang_up() - as if it died: from now on nothing is served */
void backend_hang_up(struct vhost_backend *backend);

void backend_destroy(struct vhost_backend *backend);

#endif
