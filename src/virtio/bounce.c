/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a disk costs
 * -----------------
 * Without indirect descriptors each piece of a request is an entry of the queue: header, status and
 * each segment, which takes size_max bytes at the most. So the queue itself bounds what is bounced,
 * whether requests are many or large, and no table of descriptors is bounced as well.
 *
 * A pool of stretches of different lengths fragments: if the longest has 2^n slots, first fit needs
 * 1 + n/2 times what is in use in the worst case (Robson's bound). Only that much is given out.
 *
 * Entries come first: with 256 of them Linux has deep queues and large requests of scattered pages.
 * Then segments grow, for what is in one piece is copied faster so. A request takes a quarter of
 * the queue at the most.
 *
 * A message to a shared directory takes its own pages and those of the longest reply, whatever the
 * reply will be: about as much as its limit says, and some. Four are in flight.
 *
 * What a network device costs
 * ---------------------------
 * With mergeable buffers Linux takes its receive buffers from a pool of pages, which stay mapped
 * while they are there or in a socket's queue. The page pool maps 64 of them at a time, keeps up to
 * 128 and as many again as the queue has entries; should that be all of the bounce buffers, nothing
 * can be sent any more, and so nothing ever comes back. Where there is no room for that, buffers
 * are not mergeable, and the MTU is told to be more than Ethernet's: then Linux takes two pages for
 * each buffer, and maps them only while the device has them. In slots that is one for the header,
 * two for each page and one for the indirect table, and copying all of them is slow.
 *
 * Frames to be sent come and go. An ordinary one takes four slots at most: indirect table, header,
 * and a payload across two pages. Linux stops while the queue has fewer than 19 free entries, and
 * drops a frame that finds no room, as a busy network does: so half of those that the queue can
 * hold are counted.
 *
 * Large frames need a pool in which several fit at a time: without it they are not offered.
 */
#include <errno.h>

#include "ccr/bounce.h"
#include "ccr/ipa.h"
#include "ccr/virtio_mem.h"

#define SLOT_SIZE      2048u
#define POOL_SET_SIZE  (128u * SLOT_SIZE)
#define POOL_MAX_SIZE  (64ull << 20)
#define POOL_RAM_RATIO 1024

/* A console's four pages for input (16 KiB each in some guests), what it prints, the rng. */
#define OTHERS_SIZE (80u * 1024)

#define SEGMENT_SIZE  4096u
#define MIN_DEPTH     4
#define MAX_DEPTH     128
#define MESSAGE_SIZE  (2 * SEGMENT_SIZE) /* of one that carries no data */
#define MIN_MSIZE     (2 * SEGMENT_SIZE) /* what Linux's client can do with, and some use */
#define MAX_MSIZE     (128u * 1024)
#define MIN_RING_SIZE 16
#define MAX_SEGMENTS  (VIRTIO_MAX_SEGMENTS - 2) /* less header and status */

uint64_t bounce_default_size(uint64_t ram_size)
{
	const uint64_t size = align_up(ram_size / POOL_RAM_RATIO, POOL_SET_SIZE);

	return size < POOL_MAX_SIZE ? size : POOL_MAX_SIZE;
}

uint64_t bounce_made_size(uint64_t size)
{
	uint64_t made = POOL_SET_SIZE;

	while (made < size)
		made *= 2;
	return made;
}

uint64_t bounce_slots(uint64_t size)
{
	if (align_up(size, POOL_SET_SIZE) == POOL_MAX_SIZE)
		size = POOL_MAX_SIZE - POOL_SET_SIZE;
	return align_up(size, SLOT_SIZE) / SLOT_SIZE;
}

/* Of each channel and of the control messages, the pages of an input queue; see OTHERS_SIZE. */
#define CHANNEL_SIZE (2 * 16u * 1024)

int bounce_limit_channels(uint64_t pool_size, unsigned nr_channels, uint64_t *ret_rest,
			  struct ccr_err *err)
{
	const uint64_t size = nr_channels > 0 ? (1 + nr_channels) * (uint64_t)CHANNEL_SIZE : 0;

	*ret_rest = pool_size;
	if (pool_size == 0)
		return 0;
	if (size > pool_size / 2)
		return err_set(
			err, -ENOSPC,
			"%u channels do not fit the guest's bounce buffers of %llu KiB; give it "
			"more with --bounce, or use fewer",
			nr_channels, (unsigned long long)(pool_size >> 10));
	*ret_rest = pool_size - size;
	return 0;
}

/* What each of @nr_users may have in flight, in stretches of at most @size bytes. */
static uint64_t share_of(uint64_t pool_size, unsigned nr_users, uint64_t size)
{
	const unsigned halves = 2 + (unsigned)__builtin_ctzll(size / SLOT_SIZE);

	return pool_size > OTHERS_SIZE ? (pool_size - OTHERS_SIZE) / halves * 2 / nr_users : 0;
}

int bounce_limit_share(uint64_t pool_size, unsigned nr_users, struct bounce_share *ret_limits,
		       struct ccr_err *err)
{
	const uint64_t share = share_of(pool_size, nr_users, SEGMENT_SIZE) / MIN_DEPTH;
	uint64_t msize;

	*ret_limits = (struct bounce_share){0};
	if (pool_size == 0)
		return 0;
	if (share < MESSAGE_SIZE + MIN_MSIZE)
		return err_set(err, -ENOSPC,
			       "%u disk queues and shared directories do not fit the guest's "
			       "bounce buffers of %llu KiB; give it more with --bounce, or use "
			       "fewer",
			       nr_users, (unsigned long long)(pool_size >> 10));
	msize = (share - MESSAGE_SIZE) / SEGMENT_SIZE * SEGMENT_SIZE;
	*ret_limits = (struct bounce_share){
		.queue_size = MIN_DEPTH,
		.msize = msize < MAX_MSIZE ? (uint32_t)msize : MAX_MSIZE,
	};
	return 0;
}

/* From the most generous on. */
static const struct {
	uint16_t queue_size;
	uint32_t size_max;
} disk_levels[] = {
	{256, 64 * 1024},    {256, 32 * 1024},    {256, 16 * 1024},   {256, 8 * 1024},
	{256, SEGMENT_SIZE}, {128, SEGMENT_SIZE}, {64, SEGMENT_SIZE}, {32, SEGMENT_SIZE},
	{16, SEGMENT_SIZE},  {8, SEGMENT_SIZE},
};

#define NR_DISK_LEVELS (sizeof(disk_levels) / sizeof(disk_levels[0]))

/* Of a request, so that some fit the queue. */
static uint32_t segments_of(uint16_t queue_size)
{
	return queue_size > 2 * MIN_DEPTH ? queue_size / MIN_DEPTH - 2u : 1;
}

int bounce_limit_disk(uint64_t pool_size, unsigned nr_queues, struct bounce_limits *ret_limits,
		      struct ccr_err *err)
{
	if (pool_size == 0) {
		*ret_limits = (struct bounce_limits){MAX_DEPTH, MAX_SEGMENTS, 0};
		return 0;
	}
	for (unsigned i = 0; i < NR_DISK_LEVELS; i++) {
		const uint16_t queue_size = disk_levels[i].queue_size;
		const uint32_t size_max = disk_levels[i].size_max;

		if ((uint64_t)queue_size * size_max > share_of(pool_size, nr_queues, size_max))
			continue;
		*ret_limits = (struct bounce_limits){queue_size, segments_of(queue_size), size_max};
		return 0;
	}
	return err_set(err, -ENOSPC,
		       "%u disk queues do not fit the guest's bounce buffers of %llu KiB; give it "
		       "more with --bounce, or use fewer disks or queues",
		       nr_queues, (unsigned long long)(pool_size >> 10));
}

#define PAGE_SIZE_MAPPED 4096u
#define PAGE_POOL_CACHE  128u
#define WHOLE_RX_SIZE    (6 * SLOT_SIZE)
#define TX_RESERVE       18u
#define FRAME_SIZE       (4 * SLOT_SIZE)
#define LARGE_FRAME_SIZE (72u * 1024)
#define NR_LARGE_FRAMES  12u
#define ETHERNET_MTU     1500u

/* With these Linux takes buffers of two pages: an MTU above Ethernet's, by a VLAN tag. */
#define WHOLE_MIN_MTU 1504u
#define WHOLE_MAX_MTU 4096u

/* From the most generous on; the first is for guests that do not bounce. */
static const struct bounce_net_limits net_levels[] = {
	{256, 256, true, true, 0, UINT16_MAX},
	{64, 256, true, true, 0, UINT16_MAX},
	{64, 128, true, false, 0, ETHERNET_MTU},
	{32, 64, true, false, 0, ETHERNET_MTU},
	{32, 64, false, false, WHOLE_MIN_MTU, WHOLE_MAX_MTU},
	{16, 64, false, false, WHOLE_MIN_MTU, WHOLE_MAX_MTU},
	{16, 32, false, false, WHOLE_MIN_MTU, WHOLE_MAX_MTU},
	{4, 32, false, false, WHOLE_MIN_MTU, WHOLE_MAX_MTU},
};

#define NR_NET_LEVELS (sizeof(net_levels) / sizeof(net_levels[0]))

static uint64_t rx_cost(const struct bounce_net_limits *level)
{
	/* Two ordinary buffers to a page. */
	const uint64_t nr_pages = level->is_large ? level->rx_size : level->rx_size / 2;

	if (!level->is_mergeable)
		return (uint64_t)level->rx_size * WHOLE_RX_SIZE;
	return (PAGE_POOL_CACHE + level->rx_size + nr_pages) * PAGE_SIZE_MAPPED;
}

static uint64_t tx_cost(const struct bounce_net_limits *level)
{
	if (level->is_large)
		return (uint64_t)NR_LARGE_FRAMES * LARGE_FRAME_SIZE;
	return (uint64_t)(level->tx_size - TX_RESERVE) / 2 * FRAME_SIZE;
}

int bounce_limit_net(uint64_t pool_size, unsigned nr_pairs, struct bounce_net_limits *ret_limits,
		     uint64_t *ret_rest, struct ccr_err *err)
{
	*ret_limits = net_levels[0];
	*ret_rest = pool_size;
	if (pool_size == 0 || nr_pairs == 0)
		return 0;
	for (unsigned i = 0; i < NR_NET_LEVELS; i++) {
		const uint64_t cost =
			(rx_cost(&net_levels[i]) + tx_cost(&net_levels[i])) * nr_pairs;

		if (cost > pool_size / 2)
			continue;
		*ret_limits = net_levels[i];
		*ret_rest = pool_size - cost;
		return 0;
	}
	return err_set(err, -ENOSPC,
		       "network: %u queues do not fit the guest's bounce buffers of %llu KiB; give "
		       "it more with --bounce, or use fewer",
		       nr_pairs, (unsigned long long)(pool_size >> 10));
}

uint16_t bounce_ring_size(const struct bounce_limits *limits)
{
	const uint64_t pages = (uint64_t)limits->queue_size * limits->size_max / SEGMENT_SIZE;
	uint16_t size = MIN_RING_SIZE;

	if (limits->size_max == 0)
		return MAX_DEPTH;
	while (size < MAX_DEPTH && 2u * size <= pages)
		size *= 2;
	return size;
}
