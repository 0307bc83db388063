/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-blk (virtio 1.2, 5.2) on a struct disk.
 *
 * Serve it from a thread of its own, which virtio_host.kick and the queue's ioeventfd wake and
 * which calls virtio_service(): that works until the queue is empty and sleeps in the host's reads
 * and writes meanwhile, without the lock. Several threads may do so for one disk.
 *
 * Writes are in the host's cache when they complete, and on stable storage once a flush has, or,
 * for drivers that do not flush or that turn the cache off, when they complete.
 */
#ifndef CCR_BLK_H
#define CCR_BLK_H

#include "ccr/bounce.h"
#include "ccr/disk.h"
#include "ccr/virtio.h"

#define BLK_SERIAL_SIZE 20

/**
 * struct blk_config - how a disk is made
 * @disk: must outlive the device
 * @serial: at most BLK_SERIAL_SIZE bytes are shown to the guest
 */
struct blk_config {
	const struct disk *disk;
	const char *serial;
	struct bounce_limits limits;
};

struct blk {
	struct virtio_dev virtio;
	const struct virtio_mem *mem;
	const struct disk *disk;
	char serial[BLK_SERIAL_SIZE];
};

/** blk_init() - of @setup only the memory, the host and needs_platform count */
void blk_init(struct blk *blk, const struct blk_config *config, const struct virtio_setup *setup);
void blk_done(struct blk *blk);

#endif
