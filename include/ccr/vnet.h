/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-net (virtio 1.2, 5.1) in front of a struct net.
 *
 * Serve it from one thread of its own, which waits for vnet_wait() beside the queues' eventfd. It
 * works in bounded portions. What the host end can do decides what the device offers; a host end
 * that breaks takes the link down, what the guest sends is dropped from then on, and the machine
 * goes on.
 */
#ifndef CCR_VNET_H
#define CCR_VNET_H

#include "ccr/vnet_control.h"

/** VNET_MAX_READY - buffers that one frame may be spread over */
#define VNET_MAX_READY 64

/**
 * struct vnet_pair - a queue for receiving and one for sending; private to vnet_*.c
 * @ready: buffers of the driver's for frames to come, a ring: @nr_ready from number @first on
 * @ready_size, @nr_segments: of these together
 * @held: a frame, header first, that came when there was no room for all of it
 * @may_read: the host end has not said -EAGAIN since it was ready
 * @is_starved: a frame waits, or would, for buffers
 * @expects_large: the last frame was
 * @has_tx: @tx is a frame that the host end has not taken yet
 */
struct vnet_pair {
	unsigned first, nr_ready, nr_segments;
	uint32_t ready_size;
	struct virtq_chain ready[VNET_MAX_READY];
	uint32_t held_size;
	uint8_t held[sizeof(struct virtio_net_hdr_v1) + NET_MAX_FRAME];
	bool may_read, is_starved, expects_large;
	bool has_tx;
	struct virtq_chain tx;
};

/**
 * struct vnet - the device; private to vnet*.c but for @virtio
 * @is_set_up: the host end knows what this driver has accepted
 * @nr_dropped_out, @nr_dropped_in: frames, from the guest and for it
 */
struct vnet {
	struct virtio_dev virtio;
	const struct virtio_mem *mem;
	struct vnet_control control;
	bool is_set_up;
	uint64_t nr_dropped_out, nr_dropped_in;
	struct vnet_pair *pairs;
};

/**
 * vnet_init() - as blk_init() takes @setup
 * @net: open; outlives the device
 *
 * Return: 0 or -ENOMEM.
 */
int vnet_init(struct vnet *vnet, struct net *net, const struct bounce_net_limits *limits,
	      const struct virtio_setup *setup);
void vnet_done(struct vnet *vnet);

/** vnet_wait() - for which descriptor of the host end's; takes the lock */
void vnet_wait(struct vnet *vnet, struct pollfd *ret_source);

/** vnet_ready() - that descriptor is ready: virtio_service() is to be called; takes the lock */
void vnet_ready(struct vnet *vnet);

/** struct vnet_stats - beside struct virtio_stats */
struct vnet_stats {
	bool has_link;
	uint64_t nr_dropped_out, nr_dropped_in;
};

/** vnet_get_stats() - takes the lock */
struct vnet_stats vnet_get_stats(struct vnet *vnet);

#endif
