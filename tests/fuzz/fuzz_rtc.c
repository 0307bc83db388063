/* SPDX-License-Identifier: Apache-2.0 */
/* links: src/dev/rtc.c */
/*
 * A guest that may do anything to the registers of the clock, on a host whose time of day jumps.
 * Whatever both do, a model that keeps the guest's time as a number agrees:
 *   - the clock is the host's plus what the guest has set it forward or back, modulo 2^32,
 *   - registers read as they were written, and accesses that are no words neither read nor write,
 *   - the alarm is up after its time was passed going forward or set to be now, and stays up until
 *     the guest clears it.
 *
 * Input: 8-byte records {op, size, 16-bit place, 32-bit value}.
 */
#include <string.h>

#include "ccr/rtc.h"
#include "fuzz.h"

enum {
	DR = 0x00,
	MR = 0x04,
	LR = 0x08,
	CR = 0x0c,
	IMSC = 0x10,
	RIS = 0x14,
	MIS = 0x18,
	ICR = 0x1c
};

struct record {
	uint8_t op, size;
	uint16_t place;
	uint32_t value;
};

/** struct model - @seen: the guest's time when it last looked */
struct model {
	uint32_t guest_minus_host, match, load, mask, seen;
	bool raised;
};

static int64_t host_time;

static int64_t host_now(void)
{
	return host_time;
}

/* The alarm is passed if it lies in (seen, now], for a time that has gone forward. */
static void look(struct model *model)
{
	const uint32_t now = (uint32_t)host_time + model->guest_minus_host;
	const uint32_t passed = now - model->seen, ahead = model->match - model->seen;

	if (passed > 0 && passed < 1u << 31 && ahead > 0 && ahead <= passed)
		model->raised = true;
	model->seen = now;
}

static uint32_t expected(const struct model *model, uint64_t at)
{
	switch (at) {
	case DR:
		return model->seen;
	case MR:
		return model->match;
	case LR:
		return model->load;
	case CR:
		return 1;
	case IMSC:
		return model->mask;
	case RIS:
		return model->raised;
	case MIS:
		return model->raised && model->mask;
	default:
		return 0;
	}
}

static void set(struct model *model, uint64_t at, uint32_t value)
{
	if (at == MR) {
		model->match = value;
		model->raised |= value == model->seen;
	} else if (at == LR) {
		model->load = value;
		model->guest_minus_host = value - (uint32_t)host_time;
		model->seen = value;
		model->raised |= value == model->match;
	} else if (at == IMSC) {
		model->mask = value & 1;
	} else if (at == ICR && value & 1) {
		model->raised = false;
	}
}

static void play(struct rtc *rtc, struct model *model, const struct record *r)
{
	const unsigned size = 1u << (r->size & 3);
	const uint64_t at = r->op & 0x80 ? r->place % 0x1000 : r->place % 9 * 4;
	const bool is_word = size == 4 && at % 4 == 0;
	uint64_t value;

	switch (r->op & 3) {
	case 0:
		host_time += (int32_t)r->value;
		break;
	case 1:
		rtc_ops.write(rtc, at, size, r->value);
		if (!is_word)
			break;
		look(model);
		set(model, at, r->value);
		break;
	default:
		value = rtc_ops.read(rtc, at, size);
		require(value <= UINT32_MAX && (is_word || value == 0));
		if (!is_word)
			break;
		look(model);
		require(at >= 0xfe0 ? value <= 0xff : value == expected(model, at));
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct model model = {0};
	struct record record;
	struct rtc rtc;

	host_time = 1700000000;
	rtc_init(&rtc, host_now);
	model.seen = (uint32_t)host_time;
	for (size_t at = 0; size - at >= sizeof(record); at += sizeof(record)) {
		memcpy(&record, data + at, sizeof(record));
		play(&rtc, &model, &record);
	}
	rtc_done(&rtc);
	return 0;
}
