/* SPDX-License-Identifier: Apache-2.0 */
/* links: src/dev/rtc.c */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <time.h>

#include "ccr/rtc.h"

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

static int64_t host_time;

static int64_t fake_now(void)
{
	return host_time;
}

static int rtc_begin(void **state)
{
	struct rtc *rtc = malloc(sizeof(*rtc));

	assert_non_null(rtc);
	host_time = 1000000;
	rtc_init(rtc, fake_now);
	*state = rtc;
	return 0;
}

static int rtc_end(void **state)
{
	rtc_done(*state);
	free(*state);
	return 0;
}

static uint32_t reg(void **state, uint64_t offset)
{
	uint64_t value = rtc_ops.read(*state, offset, 4);

	assert_true(value <= UINT32_MAX);
	return (uint32_t)value;
}

static void set(void **state, uint64_t offset, uint32_t value)
{
	rtc_ops.write(*state, offset, 4, value);
}

static void shows_host_time(void **state)
{
	assert_int_equal(reg(state, DR), 1000000);
	host_time += 5;
	assert_int_equal(reg(state, DR), 1000005);
}

static void host_clock_is_the_default(void **state)
{
	struct rtc rtc;
	time_t before = time(NULL);
	uint64_t shown;

	(void)state;
	rtc_init(&rtc, NULL);
	shown = rtc_ops.read(&rtc, DR, 4);
	rtc_done(&rtc);
	assert_in_range(shown, (uint32_t)before, (uint32_t)time(NULL));
}

static void guest_sets_its_own_time(void **state)
{
	set(state, LR, 500);
	assert_int_equal(reg(state, DR), 500);
	assert_int_equal(reg(state, LR), 500);
	host_time += 10;
	assert_int_equal(reg(state, DR), 510);
	assert_int_equal(reg(state, LR), 500);
}

static void time_is_modulo_32_bits(void **state)
{
	host_time = 0x123456789a;
	assert_int_equal(reg(state, DR), 0x3456789a);
	set(state, LR, UINT32_MAX);
	host_time += 2;
	assert_int_equal(reg(state, DR), 1);
}

static void reset_values(void **state)
{
	assert_int_equal(reg(state, MR), 0);
	assert_int_equal(reg(state, LR), 0);
	assert_int_equal(reg(state, CR), 1);
	assert_int_equal(reg(state, IMSC), 0);
	assert_int_equal(reg(state, RIS), 0);
	assert_int_equal(reg(state, MIS), 0);
}

static void alarm_passes_and_is_cleared(void **state)
{
	set(state, MR, 1000010);
	set(state, IMSC, 1);
	host_time += 9;
	assert_int_equal(reg(state, RIS), 0);
	host_time += 1;
	assert_int_equal(reg(state, RIS), 1);
	assert_int_equal(reg(state, MIS), 1);
	set(state, IMSC, 0);
	assert_int_equal(reg(state, RIS), 1);
	assert_int_equal(reg(state, MIS), 0);
	set(state, ICR, 0);
	assert_int_equal(reg(state, RIS), 1);
	set(state, ICR, 1);
	assert_int_equal(reg(state, RIS), 0);
	host_time += 100;
	assert_int_equal(reg(state, RIS), 0);
}

static void alarm_is_not_missed_between_looks(void **state)
{
	set(state, MR, 1000010);
	host_time += 100000;
	assert_int_equal(reg(state, RIS), 1);
	set(state, MR, 2000000); /* a new alarm does not take back the old one */
	assert_int_equal(reg(state, RIS), 1);
}

static void alarm_in_the_past_does_not_ring(void **state)
{
	host_time += 100;
	set(state, MR, 1000050);
	assert_int_equal(reg(state, RIS), 0);
	host_time += 100;
	assert_int_equal(reg(state, RIS), 0);
}

static void alarm_now_rings_at_once(void **state)
{
	set(state, MR, 1000000);
	assert_int_equal(reg(state, RIS), 1);
	set(state, ICR, 1);
	set(state, MR, 77);
	set(state, LR, 77);
	assert_int_equal(reg(state, RIS), 1);
}

static void setting_the_time_past_the_alarm_does_not_ring(void **state)
{
	set(state, MR, 1000010);
	set(state, LR, 1000020);
	assert_int_equal(reg(state, RIS), 0);
}

static void alarm_across_the_wrap(void **state)
{
	set(state, LR, UINT32_MAX - 1);
	set(state, MR, 2);
	host_time += 3;
	assert_int_equal(reg(state, RIS), 0);
	host_time += 1;
	assert_int_equal(reg(state, DR), 2);
	assert_int_equal(reg(state, RIS), 1);
}

static void host_clock_set_back_does_not_ring(void **state)
{
	set(state, MR, 2000000);
	host_time -= 3600;
	assert_int_equal(reg(state, RIS), 0);
	assert_int_equal(reg(state, DR), 1000000 - 3600);
}

/* What Linux's AMBA bus looks for: part 0x031, designer 0x41, then the PrimeCell number. */
static void identifies_itself(void **state)
{
	uint32_t id = 0, cell = 0;

	for (unsigned i = 0; i < 4; i++) {
		id |= reg(state, 0xfe0 + 4 * i) << (8 * i);
		cell |= reg(state, 0xff0 + 4 * i) << (8 * i);
	}
	assert_int_equal(id & 0x000fffff, 0x00041031);
	assert_int_equal(cell, 0xb105f00d);
}

static void read_only_registers_stay(void **state)
{
	set(state, DR, 5);
	set(state, RIS, 1);
	set(state, MIS, 1);
	set(state, CR, 0);
	set(state, 0xfe0, 0);
	assert_int_equal(reg(state, DR), 1000000);
	assert_int_equal(reg(state, RIS), 0);
	assert_int_equal(reg(state, CR), 1);
	assert_int_equal(reg(state, 0xfe0), 0x31);
	set(state, IMSC, 0xffffffff);
	assert_int_equal(reg(state, IMSC), 1);
}

static void every_offset_and_size_is_harmless(void **state)
{
	for (unsigned size = 1; size <= 8; size *= 2) {
		for (uint64_t offset = 0; offset + size <= 0x1000; offset++) {
			uint64_t value = rtc_ops.read(*state, offset, size);

			if (size != 4 || offset % 4 || (offset > ICR && offset < 0xfe0))
				assert_int_equal(value, 0);
			if (size != 4 || offset % 4)
				rtc_ops.write(*state, offset, size, UINT64_MAX >> (64 - 8 * size));
		}
	}
	reset_values(state);
	assert_int_equal(reg(state, DR), 1000000);
}

#define with_rtc(test) cmocka_unit_test_setup_teardown(test, rtc_begin, rtc_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_rtc(shows_host_time),
		cmocka_unit_test(host_clock_is_the_default),
		with_rtc(guest_sets_its_own_time),
		with_rtc(time_is_modulo_32_bits),
		with_rtc(reset_values),
		with_rtc(alarm_passes_and_is_cleared),
		with_rtc(alarm_is_not_missed_between_looks),
		with_rtc(alarm_in_the_past_does_not_ring),
		with_rtc(alarm_now_rings_at_once),
		with_rtc(setting_the_time_past_the_alarm_does_not_ring),
		with_rtc(alarm_across_the_wrap),
		with_rtc(host_clock_set_back_does_not_ring),
		with_rtc(identifies_itself),
		with_rtc(read_only_registers_stay),
		with_rtc(every_offset_and_size_is_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
