/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-rng (virtio 1.2, 5.4): the host's getrandom(2), so many bytes a period and no more,
 * because a guest that asks in a loop would otherwise keep the event loop busy.
 *
 * Served by the event loop.
 */
#ifndef CCR_VRNG_H
#define CCR_VRNG_H

#include "ccr/virtio.h"

/** VRNG_PERIOD_NS, VRNG_BYTES_PER_PERIOD - the limit: 64 KiB in 100 ms */
#define VRNG_PERIOD_NS        100000000ull
#define VRNG_BYTES_PER_PERIOD (64u * 1024)

/** VRNG_MIN_CHARGE - what a request for fewer bytes counts: it costs as much as one for these */
#define VRNG_MIN_CHARGE 64u

/** VRNG_NO_WAIT - nothing waits for time to pass */
#define VRNG_NO_WAIT UINT64_MAX

/**
 * struct vrng - the device; private to vrng.c
 * @now: nanoseconds of a monotonic clock; a function so that tests can set it
 * @budget: bytes that may still be given in the period that began at @period_start
 */
struct vrng {
	struct virtio_dev virtio;
	uint64_t (*now)(void);
	uint64_t period_start;
	uint32_t budget;
};

/** vrng_init() - as blk_init() takes @setup; @now may be NULL for the host's clock */
void vrng_init(struct vrng *rng, const struct virtio_setup *setup, uint64_t (*now)(void));
void vrng_done(struct vrng *rng);

/**
 * vrng_wait_ns() - when to call virtio_service() without having been kicked
 *
 * Return: nanoseconds from now; 0 until it has been called; VRNG_NO_WAIT if nothing waits.
 */
uint64_t vrng_wait_ns(struct vrng *rng);

#endif
