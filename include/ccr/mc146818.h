/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MC146818 real-time clock, as kvmtool's machines have it and as firmware for them wants it: two
 * byte-wide registers, an index and what it selects. The host's time of day (UTC) plus the guest's
 * correction; no alarm and no interrupts.
 */
#ifndef CCR_MC146818_H
#define CCR_MC146818_H

#include <pthread.h>
#include <stdint.h>

#include "ccr/bus.h"

#define MC146818_NR_BYTES 128

/**
 * struct mc146818 - the clock
 * @now: seconds since 1970, the host's; a function so that tests can set it
 * @offset: guest time minus host time, in seconds
 * @index: which byte the guest sees
 * @bytes: what the guest has written; time is kept there only while the guest sets it
 */
struct mc146818 {
	pthread_mutex_t lock;
	int64_t (*now)(void);
	int64_t offset;
	uint8_t index;
	uint8_t bytes[MC146818_NR_BYTES];
};

extern const struct bus_ops mc146818_ops;

/** mc146818_init() - @now may be NULL for the host's clock */
void mc146818_init(struct mc146818 *rtc, int64_t (*now)(void));
void mc146818_done(struct mc146818 *rtc);

#endif
