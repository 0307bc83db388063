/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-balloon (virtio 1.2, 5.5): memory that a guest gives back while it runs.
 *
 * It gives back what it is asked for (inflation), until it gets it back (deflation, also without
 * asking when it is short of memory), and, beside that, tells of memory that it does not use at the
 * moment (reporting). Which of the guest's pages are in the balloon is the guest's affair: a page
 * is given back to the host when the guest says so, and is there again, zeroed, when it is touched.
 *
 * For plain VMs only. In a realm the host cannot take private memory without the realm losing it,
 * and only the guest can turn it into shared memory, which is no balloon's business.
 *
 * Served by the event loop, in bounded portions.
 */
#ifndef CCR_BALLOON_H
#define CCR_BALLOON_H

#include "ccr/virtio.h"

/** BALLOON_PAGE_SIZE - what the driver counts in, whatever its own pages are */
#define BALLOON_PAGE_SIZE 4096u

/** enum balloon_stat - what a guest tells of its memory, by the specification's numbers */
enum balloon_stat {
	BALLOON_STAT_SWAP_IN,
	BALLOON_STAT_SWAP_OUT,
	BALLOON_STAT_MAJOR_FAULTS,
	BALLOON_STAT_MINOR_FAULTS,
	BALLOON_STAT_FREE,
	BALLOON_STAT_TOTAL,
	BALLOON_STAT_AVAILABLE,
	BALLOON_STAT_CACHES,
	BALLOON_STAT_HUGETLB_ALLOCATIONS,
	BALLOON_STAT_HUGETLB_FAILURES,
	BALLOON_NR_STATS,
};

#define BALLOON_UNKNOWN UINT64_MAX

/**
 * struct balloon_host - the owner of guest memory
 * @give_back: [@at, @at + @size) is not needed; 0 or -errno, -EFAULT outside RAM
 */
struct balloon_host {
	int (*give_back)(void *ctx, ipa_t at, uint64_t size);
};

/**
 * struct balloon - the device; private to balloon.c but for @virtio
 * @host, @ctx: give memory back
 * @has_stats, @stats_chain: the driver's buffer, kept until new statistics are wanted
 * @stats: as last told; BALLOON_UNKNOWN for what was not
 * @nr_reported: bytes that the guest has reported as free, since start
 * @has_changed: the guest has said how large its balloon is, and nobody has asked since
 */
struct balloon {
	struct virtio_dev virtio;
	const struct balloon_host *host;
	void *ctx;
	bool has_stats;
	struct virtq_chain stats_chain;
	uint64_t stats[BALLOON_NR_STATS];
	uint64_t nr_reported;
	bool has_changed;
};

/** balloon_init() - as blk_init() takes @setup; empty, and asked to be */
void balloon_init(struct balloon *balloon, const struct balloon_host *host, void *ctx,
		  const struct virtio_setup *setup);
void balloon_done(struct balloon *balloon);

/** balloon_set_target() - ask the guest to make its balloon so large; takes the lock */
void balloon_set_target(struct balloon *balloon, uint32_t nr_pages);

/**
 * struct balloon_state - what is known of a balloon
 * @target, @actual: pages; asked for, and as the guest last said
 */
struct balloon_state {
	uint32_t target;
	uint32_t actual;
	uint64_t nr_reported;
	uint64_t stats[BALLOON_NR_STATS];
};

/** balloon_get_state() - as of now; asks the guest for newer statistics. Takes the lock. */
struct balloon_state balloon_get_state(struct balloon *balloon);

/** balloon_take_change() - has the balloon's size changed since the last call; takes the lock */
bool balloon_take_change(struct balloon *balloon);

#endif
