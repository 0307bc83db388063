/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-9p: the queue in front of a server of p9.h.
 *
 * A descriptor chain is a message and room for its reply. Each message is copied once, and answered
 * while the device's lock is free; so it is served from a thread of its own, which sleeps in the
 * host's file system.
 */
#ifndef CCR_V9P_H
#define CCR_V9P_H

#include "ccr/p9.h"
#include "ccr/virtio.h"

/** V9P_MAX_TAG - bytes of a tag, by which a guest knows the share */
#define V9P_MAX_TAG 31

/**
 * struct v9p_config - how a share is made
 * @tag: 1 to V9P_MAX_TAG bytes; longer ones are cut
 * @max_msize, @max_open: as p9_init() has them
 * @queue_size: messages in flight, a power of two; 0 for as many as the type has
 * @host, @ctx: as p9_init() has them
 */
struct v9p_config {
	const char *tag;
	uint32_t max_msize;
	unsigned max_open;
	uint16_t queue_size;
	const struct p9_host *host;
	void *ctx;
};

/** struct v9p - the device; private to v9p.c but for @virtio. @in, @out: @max_msize bytes each. */
struct v9p {
	struct virtio_dev virtio;
	struct p9 p9;
	uint32_t max_msize;
	uint8_t *in, *out;
};

/** v9p_init() - as blk_init() takes @setup. Return: 0 or -ENOMEM. */
int v9p_init(struct v9p *v9p, const struct v9p_config *config, const struct virtio_setup *setup);

/** v9p_done() - closes what the guest has open */
void v9p_done(struct v9p *v9p);

#endif
