/* SPDX-License-Identifier: Apache-2.0 */
/* PL031 real-time clock (Arm DDI 0224): the host's time of day plus the guest's correction. */
#ifndef CCR_RTC_H
#define CCR_RTC_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "ccr/bus.h"

/**
 * struct rtc - the clock
 * @now: seconds since 1970, the host's; a function so that tests can set it
 * @offset: guest time minus host time, in seconds, modulo 2^32
 *
 * @seen_at: guest time up to which the alarm has been looked at
 * @raised: raw interrupt status
 *
 * The alarm's status is computed when a register is accessed; there is no interrupt line: guests
 * use their own timer. Registers are words: any other access reads as zero and is ignored.
 */
struct rtc {
	pthread_mutex_t lock;
	int64_t (*now)(void);
	uint32_t offset;
	uint32_t match;
	uint32_t load;
	uint32_t imsc;
	uint32_t seen_at;
	bool raised;
};

extern const struct bus_ops rtc_ops;

/** rtc_init() - @now may be NULL for the host's clock */
void rtc_init(struct rtc *rtc, int64_t (*now)(void));
void rtc_done(struct rtc *rtc);

#endif
