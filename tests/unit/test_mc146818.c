/* SPDX-License-Identifier: Apache-2.0 */
/* links: src/dev/mc146818.c */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <time.h>

#include "ccr/mc146818.h"

enum { INDEX, DATA };

/* 2026-11-28 21:07:09 UTC, a Saturday. */
#define THEN 1795900029

static int64_t host_time;

static int64_t fake_now(void)
{
	return host_time;
}

static int begin(void **state)
{
	struct mc146818 *rtc = malloc(sizeof(*rtc));

	assert_non_null(rtc);
	host_time = THEN;
	mc146818_init(rtc, fake_now);
	*state = rtc;
	return 0;
}

static int end(void **state)
{
	mc146818_done(*state);
	free(*state);
	return 0;
}

static unsigned get(void **state, uint8_t index)
{
	mc146818_ops.write(*state, INDEX, 1, index);
	return (unsigned)mc146818_ops.read(*state, DATA, 1);
}

static void set(void **state, uint8_t index, uint8_t value)
{
	mc146818_ops.write(*state, INDEX, 1, index);
	mc146818_ops.write(*state, DATA, 1, value);
}

/* century, year, month, day, weekday, hours, minutes, seconds */
static void assert_time(void **state, const uint8_t expected[8])
{
	static const uint8_t indices[8] = {0x32, 9, 8, 7, 6, 4, 2, 0};

	for (unsigned i = 0; i < 8; i++) {
		if (get(state, indices[i]) != expected[i])
			fail_msg("byte 0x%x is 0x%x, not 0x%x", indices[i], get(state, indices[i]),
				 expected[i]);
	}
}

static void time_in_every_form(void **state)
{
	const uint8_t bcd[8] = {0x20, 0x26, 0x11, 0x28, 7, 0x21, 0x07, 0x09};
	const uint8_t binary[8] = {20, 26, 11, 28, 7, 21, 7, 9};
	const uint8_t halves[8] = {0x20, 0x26, 0x11, 0x28, 7, 0x89, 0x07, 0x09};

	assert_time(state, bcd);
	set(state, 0xb, 0x06);
	assert_time(state, binary);
	set(state, 0xb, 0x00);
	assert_time(state, halves);
	host_time = THEN - 21 * 3600; /* past midnight */
	assert_int_equal(get(state, 4), 0x12);
	host_time = THEN - 9 * 3600; /* past noon */
	assert_int_equal(get(state, 4), 0x92);
}

static void time_passes(void **state)
{
	host_time += 51;
	assert_int_equal(get(state, 0), 0x00);
	assert_int_equal(get(state, 2), 0x08);
}

static void set_to(void **state, uint8_t mode, const uint8_t bytes[7])
{
	static const uint8_t indices[7] = {0x32, 9, 8, 7, 4, 2, 0};

	set(state, 0xb, mode | 0x80);
	for (unsigned i = 0; i < 7; i++)
		set(state, indices[i], bytes[i]);
	/* It stands still. */
	host_time += 1000;
	assert_int_equal(get(state, 0), bytes[6]);
	set(state, 0xb, mode);
}

static void it_can_be_set(void **state)
{
	const uint8_t leap[7] = {0x20, 0x28, 0x02, 0x29, 0x23, 0x59, 0x58};
	const uint8_t binary[7] = {19, 70, 1, 1, 0, 0, 0};
	const uint8_t noon[7] = {0x20, 0x30, 0x06, 0x15, 0x92, 0x30, 0x00};
	const uint8_t expected[8] = {0x20, 0x28, 0x03, 0x01, 4, 0x00, 0x00, 0x01};

	set_to(state, 0x02, leap);
	host_time += 3;
	assert_time(state, expected);
	set_to(state, 0x06, binary);
	assert_int_equal(host_time + ((struct mc146818 *)*state)->offset, 0);
	set_to(state, 0x00, noon);
	assert_int_equal(get(state, 4), 0x92);
	assert_int_equal(get(state, 2), 0x30);
}

/* Every day of five centuries, against the C library. */
static void calendar(void **state)
{
	for (host_time = -70ll * 365 * 86400; host_time < 430ll * 365 * 86400; host_time += 86400) {
		const time_t then = (time_t)host_time;
		struct tm tm;

		assert_non_null(gmtime_r(&then, &tm));
		set(state, 0xb, 0x06);
		assert_int_equal(get(state, 7), tm.tm_mday);
		assert_int_equal(get(state, 8), tm.tm_mon + 1);
		assert_int_equal(get(state, 9), tm.tm_year % 100);
		assert_int_equal(get(state, 0x32), tm.tm_year / 100 + 19);
		assert_int_equal(get(state, 6), tm.tm_wday + 1);
		/* Setting it to what it is changes nothing. */
		set(state, 0xb, 0x86);
		set(state, 0xb, 0x06);
		assert_int_equal(((struct mc146818 *)*state)->offset, 0);
	}
}

/* Without SET the clock goes on: what is written to it is gone at once. */
static void it_cannot_be_set_while_it_goes(void **state)
{
	set(state, 9, 0x99);
	assert_int_equal(get(state, 9), 0x26);
}

static void registers(void **state)
{
	assert_int_equal(get(state, 0xa), 0x26);
	assert_int_equal(get(state, 0xb), 0x02);
	assert_int_equal(get(state, 0xc), 0);
	assert_int_equal(get(state, 0xd), 0x80);
	set(state, 0xa, 0xff);
	assert_int_equal(get(state, 0xa), 0x7f);
	set(state, 0xc, 0xff);
	assert_int_equal(get(state, 0xc), 0);
	set(state, 0xd, 0);
	assert_int_equal(get(state, 0xd), 0x80);
	set(state, 0x40, 0x5a);
	assert_int_equal(get(state, 0x40), 0x5a);
	/* 128 bytes; the upper bit of the index is none. */
	assert_int_equal(get(state, 0xc0), 0x5a);
	assert_int_equal(mc146818_ops.read(*state, INDEX, 1), 0x40);
}

/* Nothing that a guest writes gives a time that is not one, or takes long. */
static void hostile_times(void **state)
{
	for (unsigned value = 0; value < 256; value++) {
		const uint8_t byte = (uint8_t)value;
		const uint8_t bytes[7] = {byte, byte, byte, byte, byte, byte, byte};

		set_to(state, value & 0x06, bytes);
		assert_true(get(state, 0) <= 0x59);
	}
}

static void other_sizes(void **state)
{
	get(state, 0xd);
	assert_int_equal(mc146818_ops.read(*state, DATA, 2), 0);
	assert_int_equal(mc146818_ops.read(*state, INDEX, 8), 0);
	mc146818_ops.write(*state, INDEX, 2, 0x0a0a);
	assert_int_equal(mc146818_ops.read(*state, INDEX, 1), 0xd);
}

#define CLOCK(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CLOCK(time_in_every_form), CLOCK(time_passes),
		CLOCK(it_can_be_set),      CLOCK(it_cannot_be_set_while_it_goes),
		CLOCK(registers),          CLOCK(hostile_times),
		CLOCK(other_sizes),        CLOCK(calendar),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
