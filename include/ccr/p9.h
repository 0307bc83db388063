/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server of 9P2000.L: one directory of the host's, for one guest.
 *
 * Pure: names and attributes are a broker's (broker_proto.h), bytes of files go through descriptors
 * that it has given, and both are reached through functions of the owner's. So what parses a
 * guest's messages can open nothing, and what opens has nothing to parse. A guest's fid is a handle
 * of the broker's, so there are at most BROKER_NR_HANDLES - 1 of them; files that are open at a
 * time are bounded as well.
 *
 * One message at a time, to its end; so Tflush has nothing to do. Locks always succeed: a guest has
 * its own among its processes, and none against programs of the host's. Extended attributes are
 * -EOPNOTSUPP, as are Trename and Tremove, which Linux uses only where it must: names are removed
 * and changed by Tunlinkat and Trenameat. ".." is no name: Linux resolves it by itself.
 *
 * The owner serialises all calls.
 */
#ifndef CCR_P9_H
#define CCR_P9_H

#include <sys/types.h>

#include "ccr/broker_proto.h"
#include "ccr/p9_proto.h"

#define P9_MIN_MSIZE 4096u
#define P9_MAX_MSIZE (512u * 1024)

/**
 * struct p9_host - what a server needs
 * @call: as broker_call()
 * @read, @write: of a file at an offset, at least one byte. Return: bytes, 0 at its end; -errno.
 * @sync: Return: 0 or -errno.
 * @close: a descriptor that @call has given
 */
struct p9_host {
	int (*call)(void *ctx, const struct broker_request *request, struct broker_reply *reply,
		    int *ret_fd);
	ssize_t (*read)(void *ctx, int fd, void *bytes, size_t size, uint64_t offset);
	ssize_t (*write)(void *ctx, int fd, const void *bytes, size_t size, uint64_t offset);
	int (*sync)(void *ctx, int fd);
	void (*close)(void *ctx, int fd);
};

/** struct p9_fid - what a guest calls @name; its handle is its place in the table, 0 is nobody's */
struct p9_fid {
	bool in_use;
	bool is_open;
	uint16_t next; /* with the same hash, or among the free ones */
	uint32_t name;
	int fd; /* of a file that is open, or -1 */
};

#define P9_NR_BUCKETS 256u

/**
 * struct p9 - a server; private to p9.c
 * @msize: 0 until Tversion
 * @is_stale: the guest's session is over, and the broker is still to be told
 * @reply: of the broker
 */
struct p9 {
	const struct p9_host *host;
	void *ctx;
	uint32_t max_msize;
	uint32_t msize;
	unsigned max_open, nr_open;
	bool is_stale;
	uint64_t root_dev;
	uint16_t first_free;
	uint16_t buckets[P9_NR_BUCKETS];
	struct p9_fid fids[BROKER_NR_HANDLES];
	struct broker_request request;
	struct broker_reply reply;
};

/**
 * p9_init() - a server that no client has spoken to
 * @max_msize: from P9_MIN_MSIZE to P9_MAX_MSIZE; no message is longer
 * @max_open: files that may be open at a time
 */
void p9_init(struct p9 *p9, const struct p9_host *host, void *ctx, uint32_t max_msize,
	     unsigned max_open);

/** p9_done() - closes what is open */
void p9_done(struct p9 *p9);

/**
 * p9_reset() - the client is gone: closes what is open
 *
 * The broker is not called, but told before the next message; so this does not wait.
 */
void p9_reset(struct p9 *p9);

/**
 * p9_serve() - answer a message
 * @in: @in_size bytes, hostile; at least P9_HEADER_SIZE
 * @out: @room bytes, at least P9_ERROR_SIZE
 *
 * Return: bytes of the reply, at most @room.
 */
uint32_t p9_serve(struct p9 *p9, const uint8_t *in, uint32_t in_size, uint8_t *out, uint32_t room);

#endif
