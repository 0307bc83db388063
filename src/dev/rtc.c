/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <time.h>

#include "ccr/rtc.h"

/* Register offsets (DDI 0224 table 3-1). */
enum {
	RTC_DR = 0x00,   /* data: the time; read-only */
	RTC_MR = 0x04,   /* match: the alarm */
	RTC_LR = 0x08,   /* load: sets the time */
	RTC_CR = 0x0c,   /* control: bit 0, clock runs */
	RTC_IMSC = 0x10, /* interrupt mask */
	RTC_RIS = 0x14,  /* raw status; read-only */
	RTC_MIS = 0x18,  /* masked status; read-only */
	RTC_ICR = 0x1c,  /* clears the status; write-only */
	RTC_PERIPH_ID = 0xfe0,
};

/* PrimeCell 031 by Arm, revision 1, then the PrimeCell signature; one byte a word from 0xfe0. */
static const uint8_t identification[8] = {0x31, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1};

static int64_t host_seconds(void)
{
	struct timespec ts;

	return clock_gettime(CLOCK_REALTIME, &ts) == 0 ? ts.tv_sec : 0;
}

/*
 * Guest time now, the alarm brought up to it. The alarm goes off when the counter passes the match
 * value, so what counts is whether that lies in (seen_at, now], modulo 2^32.
 */
static uint32_t update(struct rtc *rtc)
{
	uint32_t now = (uint32_t)rtc->now() + rtc->offset;

	/* A host clock set back must not look like almost 2^32 seconds that passed. */
	if ((int32_t)(now - rtc->seen_at) > 0 && now - rtc->match < now - rtc->seen_at)
		rtc->raised = true;
	rtc->seen_at = now;
	return now;
}

static uint32_t read_register(struct rtc *rtc, uint64_t offset)
{
	uint32_t now = update(rtc);

	switch (offset) {
	case RTC_DR:
		return now;
	case RTC_MR:
		return rtc->match;
	case RTC_LR:
		return rtc->load;
	case RTC_CR:
		return 1;
	case RTC_IMSC:
		return rtc->imsc;
	case RTC_RIS:
		return rtc->raised;
	case RTC_MIS:
		return rtc->raised & rtc->imsc;
	default:
		if (offset >= RTC_PERIPH_ID)
			return identification[(offset - RTC_PERIPH_ID) / 4 % 8];
		return 0;
	}
}

static void write_register(struct rtc *rtc, uint64_t offset, uint32_t value)
{
	uint32_t now = update(rtc);

	switch (offset) {
	case RTC_MR:
		rtc->match = value;
		rtc->raised |= value == now;
		break;
	case RTC_LR:
		rtc->load = value;
		rtc->offset += value - now;
		rtc->seen_at = value;
		rtc->raised |= rtc->match == value;
		break;
	case RTC_IMSC:
		rtc->imsc = value & 1;
		break;
	case RTC_ICR:
		if (value & 1)
			rtc->raised = false;
		break;
	default: /* read-only, or none */
		break;
	}
}

static uint64_t rtc_read(void *dev, uint64_t offset, unsigned size)
{
	struct rtc *rtc = dev;
	uint32_t value;

	if (size != 4 || offset % 4)
		return 0;
	pthread_mutex_lock(&rtc->lock);
	value = read_register(rtc, offset);
	pthread_mutex_unlock(&rtc->lock);
	return value;
}

static void rtc_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
	struct rtc *rtc = dev;

	if (size != 4 || offset % 4)
		return;
	pthread_mutex_lock(&rtc->lock);
	write_register(rtc, offset, (uint32_t)value);
	pthread_mutex_unlock(&rtc->lock);
}

const struct bus_ops rtc_ops = {.read = rtc_read, .write = rtc_write};

void rtc_init(struct rtc *rtc, int64_t (*now)(void))
{
	*rtc = (struct rtc){.now = now ? now : host_seconds};
	pthread_mutex_init(&rtc->lock, NULL);
	rtc->seen_at = (uint32_t)rtc->now();
}

void rtc_done(struct rtc *rtc)
{
	pthread_mutex_destroy(&rtc->lock);
}
