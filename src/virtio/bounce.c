/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a request costs
 * --------------------
 * Each data segment takes size_max bytes; header, status and the indirect table one slot each. With
 * segments of two slots no allocation needs a long free stretch. Still, a pool of single and double
 * slots fragments: in the worst case first fit needs half as much again as is in use (Robson's
 * bound for two sizes), so only two thirds are given out.
 *
 * Depth against size: requests of 64 KiB keep the number of exits low, so depth grows only once
 * every request can be that large; below that, four requests in flight are kept and shrink.
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

#define SEGMENT_SIZE   4096u
#define OVERHEAD_SIZE  (3 * SLOT_SIZE)
#define GOOD_DATA_SIZE (64u * 1024)
#define MIN_DEPTH      4
#define MAX_DEPTH      128
#define MAX_SEGMENTS   (VIRTIO_MAX_SEGMENTS - 2) /* less header and status */

uint64_t bounce_default_size(uint64_t ram_size)
{
	const uint64_t size = align_up(ram_size / POOL_RAM_RATIO, POOL_SET_SIZE);

	return size < POOL_MAX_SIZE ? size : POOL_MAX_SIZE;
}

int bounce_limit_disk(uint64_t pool_size, unsigned nr_queues, struct bounce_limits *ret_limits,
		      struct ccr_err *err)
{
	uint16_t depth = MIN_DEPTH;
	uint64_t share, segments;

	if (pool_size == 0) {
		*ret_limits = (struct bounce_limits){MAX_DEPTH, MAX_SEGMENTS, 0};
		return 0;
	}
	share = pool_size > OTHERS_SIZE ? (pool_size - OTHERS_SIZE) / 3 * 2 / nr_queues : 0;
	if (share < (uint64_t)MIN_DEPTH * (OVERHEAD_SIZE + SEGMENT_SIZE))
		return err_set(
			err, -ENOSPC,
			"%u disk queues do not fit the guest's bounce buffers of %llu KiB; give it "
			"more with --bounce, or use fewer disks or queues",
			nr_queues, (unsigned long long)(pool_size >> 10));
	while (depth < MAX_DEPTH && share / (2u * depth) >= OVERHEAD_SIZE + GOOD_DATA_SIZE)
		depth *= 2;
	segments = (share / depth - OVERHEAD_SIZE) / SEGMENT_SIZE;
	*ret_limits = (struct bounce_limits){
		.queue_size = depth,
		.seg_max = segments < MAX_SEGMENTS ? (uint32_t)segments : MAX_SEGMENTS,
		.size_max = SEGMENT_SIZE,
	};
	return 0;
}
