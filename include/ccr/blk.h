/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-blk (virtio 1.2, 5.2) on a struct disk.
 *
 * A disk has one queue or more, and each is a lane: it has an I/O engine and a thread of its own,
 * which calls blk_work() when the queue was notified or blk_fd() is readable. A lane takes what its
 * queue holds, up to AIO_MAX_DEPTH requests, begins it as one batch, and never sleeps in a
 * request. What has ended is given back in whatever order it ended in, with one interrupt.
 *
 * Writes are in the host's cache when they complete, and on stable storage once a flush has, or,
 * for drivers that do not flush or that turn the cache off, when they complete.
 *
 * A request that the host fails is the driver's error, and logged within limits; nothing else
 * happens to the machine.
 */
#ifndef CCR_BLK_H
#define CCR_BLK_H

#include "ccr/aio.h"
#include "ccr/bounce.h"
#include "ccr/disk.h"
#include "ccr/virtio.h"

#define BLK_SERIAL_SIZE 20

/** BLK_MAX_QUEUES - most lanes of a disk */
#define BLK_MAX_QUEUES 8

/**
 * struct blk_config - how a disk is made
 * @disk: must outlive the device
 * @serial: at most BLK_SERIAL_SIZE bytes are shown to the guest
 * @io: which I/O engine
 * @nr_queues: 1 to BLK_MAX_QUEUES
 */
struct blk_config {
	const struct disk *disk;
	const char *serial;
	struct bounce_limits limits;
	enum aio_kind io;
	unsigned nr_queues;
};

struct blk_request;

/**
 * struct blk_lane - a queue's part; private to its thread, and to blk_init() and blk_done()
 * @requests: AIO_MAX_DEPTH of them, of which @nr_used were ever needed; those of them that are
 *	free are linked from @free
 */
struct blk_lane {
	struct aio *aio;
	struct blk_request *requests;
	unsigned nr_used;
	struct blk_request *free;
	unsigned nr_in_flight;
};

/** struct blk - private to blk.c, but for the virtio device */
struct blk {
	struct virtio_dev virtio;
	const struct virtio_mem *mem;
	const struct disk *disk;
	char serial[BLK_SERIAL_SIZE];
	struct blk_lane lanes[BLK_MAX_QUEUES];
	struct log_limit error_limit;
};

/**
 * blk_init() - of @setup only the memory, the host and needs_platform count
 *
 * Return: 0, or -errno with @err set; blk_done() is needed only after 0.
 */
int blk_init(struct blk *blk, const struct blk_config *config, const struct virtio_setup *setup,
	     struct ccr_err *err);

/** blk_done() - when no thread works on it any more; waits for what is in flight */
void blk_done(struct blk *blk);

/**
 * blk_work() - give back what has ended, take and begin what is new; by the lane's thread
 *
 * Return: how many requests were in flight at once, as far as it saw.
 */
unsigned blk_work(struct blk *blk, unsigned lane);

/** blk_io() - the engine that its lanes have, as aio_name() says */
const char *blk_io(const struct blk *blk);

/** blk_fd() - readable when some of a lane's requests have ended */
int blk_fd(const struct blk *blk, unsigned lane);

#endif
