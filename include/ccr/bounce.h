/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much of a realm guest's bounce-buffer pool devices may have in flight.
 *
 * Linux in a realm copies all DMA through its swiotlb, in slots of 2 KiB. A driver whose buffers do
 * not fit now tries again later; one whose requests are so many or so large that they can never
 * all fit tries for ever. So what a device allows its driver is bounded to what the pool holds.
 */
#ifndef CCR_BOUNCE_H
#define CCR_BOUNCE_H

#include <stdbool.h>
#include <stdint.h>

#include "ccr/err.h"

/**
 * bounce_default_size() - the pool that Linux makes by itself in a realm
 *
 * A 1024th of RAM, rounded up to sets of 256 KiB, at most 64 MiB.
 */
uint64_t bounce_default_size(uint64_t ram_size);

/** bounce_made_size() - what Linux makes of a wish for @size bytes: a power of two, from 6.0 on */
uint64_t bounce_made_size(uint64_t size);

/**
 * bounce_slots() - what to say after swiotlb= for a pool of at least @size bytes
 *
 * Linux takes its own default of 64 MiB, asked for by name, for no wish at all, and on arm64 makes
 * the pool of bounce_default_size() then: a set less is asked for instead, which it rounds up.
 */
uint64_t bounce_slots(uint64_t size);

/**
 * struct bounce_limits - what a disk allows its driver
 * @queue_size: entries of each queue, a power of two
 * @seg_max, @size_max: segments a request, and bytes a segment; @size_max 0 for any, else the guest
 *	bounces, and must not be offered VIRTIO_RING_F_INDIRECT_DESC
 */
struct bounce_limits {
	uint16_t queue_size;
	uint32_t seg_max;
	uint32_t size_max;
};

/**
 * bounce_limit_disk() - limits under which all disks together, with console and rng, fit the pool
 * @pool_size: bytes; 0 if the guest does not bounce
 * @nr_queues: of all disks together, at least 1; a shared directory counts like one
 *
 * Return: 0; -ENOSPC with @err set if the pool is too small for so many.
 */
int bounce_limit_disk(uint64_t pool_size, unsigned nr_queues, struct bounce_limits *ret_limits,
		      struct ccr_err *err);

/**
 * struct bounce_net_limits - what a network device allows its driver
 * @rx_size, @tx_size: entries of each queue for receiving and for sending, powers of two
 * @is_mergeable: a frame may be spread over several buffers (VIRTIO_NET_F_MRG_RXBUF)
 * @is_large: frames may be longer than the network's own, to be cut up by who sends them on
 * @min_mtu, @max_mtu: bytes, as the driver is told
 */
struct bounce_net_limits {
	uint16_t rx_size, tx_size;
	bool is_mergeable;
	bool is_large;
	uint16_t min_mtu, max_mtu;
};

/**
 * bounce_limit_net() - limits under which all network devices fit half of the pool
 * @pool_size: bytes; 0 if the guest does not bounce
 * @nr_pairs: queues for receiving, of all devices together; 0 for no device
 * @ret_rest: bytes that are left for disks; 0 if @pool_size is
 *
 * Return: 0; -ENOSPC with @err set if the pool is too small for so many.
 */
int bounce_limit_net(uint64_t pool_size, unsigned nr_pairs, struct bounce_net_limits *ret_limits,
		     uint64_t *ret_rest, struct ccr_err *err);

/**
 * bounce_limit_channels() - what channels leave of the pool: they take at most half of it
 * @pool_size: bytes; 0 if the guest does not bounce
 * @ret_rest: bytes that are left for disks and shared directories; 0 if @pool_size is
 *
 * Return: 0; -ENOSPC with @err set if the pool is too small for so many.
 */
int bounce_limit_channels(uint64_t pool_size, unsigned nr_channels, uint64_t *ret_rest,
			  struct ccr_err *err);

/**
 * struct bounce_share - what a shared directory allows its driver
 * @queue_size: messages in flight, a power of two; 0 for any number
 * @msize: bytes of a message; 0 for any size
 */
struct bounce_share {
	uint16_t queue_size;
	uint32_t msize;
};

/**
 * bounce_limit_share() - limits under which a shared directory fits the pool beside the others
 * @pool_size: bytes; 0 if the guest does not bounce
 * @nr_users: queues of disks and shared directories together, at least 1
 *
 * Return: 0; -ENOSPC with @err set if the pool is too small for so many.
 */
int bounce_limit_share(uint64_t pool_size, unsigned nr_users, struct bounce_share *ret_limits,
		       struct ccr_err *err);

/**
 * bounce_ring_size() - entries of a ring whose buffers fit what a disk may have in flight
 * @limits: of bounce_limit_disk()
 *
 * For devices whose drivers bound a request by the size of the ring, a page each entry (virtio-fs).
 *
 * Return: a power of two, at least 16.
 */
uint16_t bounce_ring_size(const struct bounce_limits *limits);

#endif
