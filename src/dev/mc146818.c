/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "ccr/mc146818.h"

enum { PORT_INDEX, PORT_DATA };

/* Bytes, by index. The others are memory that ends with the machine. */
enum {
	SECONDS = 0x00,
	MINUTES = 0x02,
	HOURS = 0x04,
	WEEKDAY = 0x06,
	DAY = 0x07,
	MONTH = 0x08,
	YEAR = 0x09,
	REG_A = 0x0a,
	REG_B = 0x0b,
	REG_C = 0x0c, /* interrupt flags: none */
	REG_D = 0x0d,
	CENTURY = 0x32,
};

#define A_DIVIDER     0x26 /* 32768 Hz, 1024 Hz; never in an update */
#define A_IN_PROGRESS 0x80
#define B_SET         0x80 /* the guest sets the time, which stands still meanwhile */
#define B_BINARY      0x04 /* else BCD */
#define B_24_HOURS    0x02
#define D_VALID       0x80

#define HOURS_PM 0x80 /* with 12 hours */

static int64_t host_seconds(void)
{
	struct timespec ts;

	return clock_gettime(CLOCK_REALTIME, &ts) == 0 ? ts.tv_sec : 0;
}

static bool is_time(uint8_t index)
{
	switch (index) {
	case SECONDS:
	case MINUTES:
	case HOURS:
	case WEEKDAY:
	case DAY:
	case MONTH:
	case YEAR:
	case CENTURY:
		return true;
	default:
		return false;
	}
}

static uint8_t encode(const struct mc146818 *rtc, int value)
{
	const unsigned number = (unsigned)value % 100;

	return (uint8_t)(rtc->bytes[REG_B] & B_BINARY ? number : number / 10 << 4 | number % 10);
}

static int decode(const struct mc146818 *rtc, uint8_t index)
{
	const uint8_t byte = rtc->bytes[index];

	return rtc->bytes[REG_B] & B_BINARY ? byte : (byte >> 4) * 10 + (byte & 0xf);
}

static uint8_t encode_hours(const struct mc146818 *rtc, int hours)
{
	uint8_t half;

	if (rtc->bytes[REG_B] & B_24_HOURS)
		return encode(rtc, hours);
	half = encode(rtc, hours % 12 ? hours % 12 : 12);
	return hours >= 12 ? half | HOURS_PM : half;
}

static int decode_hours(struct mc146818 *rtc)
{
	const bool is_pm = rtc->bytes[HOURS] & HOURS_PM;

	if (rtc->bytes[REG_B] & B_24_HOURS)
		return decode(rtc, HOURS);
	rtc->bytes[HOURS] &= (uint8_t)~HOURS_PM;
	return decode(rtc, HOURS) % 12 + (is_pm ? 12 : 0);
}

/*
 * The calendar, by hand: the C library's opens files for it, which a confined process may not.
 */

#define EPOCH       1970
#define DAY_SECONDS 86400

struct date {
	int year, month, day; /* from 1 */
	int weekday;          /* 1 is Sunday */
};

static int nr_leap_days(int year)
{
	return year / 4 - year / 100 + year / 400;
}

/* Days from the epoch to the first of January. */
static int64_t year_start(int year)
{
	return 365 * (int64_t)(year - EPOCH) + nr_leap_days(year - 1) - nr_leap_days(EPOCH - 1);
}

static int month_days(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	const bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && is_leap);
}

static struct date date_of(int64_t days)
{
	struct date date = {.year = EPOCH + (int)(days / 366), .month = 1};

	/* The estimate is a few years off at the most. */
	while (year_start(date.year) > days)
		date.year--;
	while (year_start(date.year + 1) <= days)
		date.year++;
	date.weekday = (int)(((days + 4) % 7 + 7) % 7) + 1; /* the epoch was a Thursday */
	date.day = (int)(days - year_start(date.year)) + 1;
	while (date.month < 12 && date.day > month_days(date.year, date.month)) {
		date.day -= month_days(date.year, date.month);
		date.month++;
	}
	return date;
}

/* The inverse, also of days that there are not; months are what they can be. */
static int64_t days_of(const struct date *date)
{
	int64_t days = year_start(date->year) + date->day - 1;

	for (int month = 1; month < date->month && month < 12; month++)
		days += month_days(date->year, month);
	return days;
}

/* Guest time now, to the bytes. */
static void load_time(struct mc146818 *rtc)
{
	const int64_t seconds = rtc->now() + rtc->offset;
	const int of_day = (int)((seconds % DAY_SECONDS + DAY_SECONDS) % DAY_SECONDS);
	const struct date date = date_of((seconds - of_day) / DAY_SECONDS);

	rtc->bytes[SECONDS] = encode(rtc, of_day % 60);
	rtc->bytes[MINUTES] = encode(rtc, of_day / 60 % 60);
	rtc->bytes[HOURS] = encode_hours(rtc, of_day / 3600);
	rtc->bytes[WEEKDAY] = encode(rtc, date.weekday);
	rtc->bytes[DAY] = encode(rtc, date.day);
	rtc->bytes[MONTH] = encode(rtc, date.month);
	rtc->bytes[YEAR] = encode(rtc, date.year);
	rtc->bytes[CENTURY] = encode(rtc, date.year / 100);
}

/* What the guest has set, from the bytes: every byte gives a number, so this cannot fail. */
static void store_time(struct mc146818 *rtc)
{
	const struct date date = {
		.year = decode(rtc, CENTURY) * 100 + decode(rtc, YEAR),
		.month = decode(rtc, MONTH),
		.day = decode(rtc, DAY),
	};
	const int of_day =
		decode_hours(rtc) * 3600 + decode(rtc, MINUTES) * 60 + decode(rtc, SECONDS);

	rtc->offset = days_of(&date) * DAY_SECONDS + of_day - rtc->now();
}

static uint8_t read_byte(struct mc146818 *rtc)
{
	if (is_time(rtc->index) && !(rtc->bytes[REG_B] & B_SET))
		load_time(rtc);
	return rtc->bytes[rtc->index];
}

/* The clock is stopped, to be set in the form that the guest asks for, or goes on as it was set. */
static void write_control(struct mc146818 *rtc, uint8_t value)
{
	const bool was_stopped = rtc->bytes[REG_B] & B_SET;

	rtc->bytes[REG_B] = value;
	if (value & B_SET && !was_stopped)
		load_time(rtc);
	else if (!(value & B_SET) && was_stopped)
		store_time(rtc);
}

static void write_byte(struct mc146818 *rtc, uint8_t value)
{
	switch (rtc->index) {
	case REG_A:
		rtc->bytes[REG_A] = (uint8_t)(value & ~A_IN_PROGRESS);
		break;
	case REG_B:
		write_control(rtc, value);
		break;
	case REG_C: /* read-only */
	case REG_D:
		break;
	default:
		/* Without SET the clock goes on, and overwrites it at once. */
		rtc->bytes[rtc->index] = value;
		break;
	}
}

static uint64_t mc146818_read(void *dev, uint64_t offset, unsigned size)
{
	struct mc146818 *rtc = dev;
	uint8_t value;

	if (size != 1)
		return 0;
	pthread_mutex_lock(&rtc->lock);
	value = offset == PORT_DATA ? read_byte(rtc) : rtc->index;
	pthread_mutex_unlock(&rtc->lock);
	return value;
}

static void mc146818_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
	struct mc146818 *rtc = dev;

	if (size != 1)
		return;
	pthread_mutex_lock(&rtc->lock);
	if (offset == PORT_DATA)
		write_byte(rtc, (uint8_t)value);
	else
		rtc->index = (uint8_t)value % MC146818_NR_BYTES;
	pthread_mutex_unlock(&rtc->lock);
}

const struct bus_ops mc146818_ops = {.read = mc146818_read, .write = mc146818_write};

void mc146818_init(struct mc146818 *rtc, int64_t (*now)(void))
{
	*rtc = (struct mc146818){.now = now ? now : host_seconds};
	pthread_mutex_init(&rtc->lock, NULL);
	rtc->bytes[REG_A] = A_DIVIDER;
	rtc->bytes[REG_B] = B_24_HOURS;
	rtc->bytes[REG_D] = D_VALID;
}

void mc146818_done(struct mc146818 *rtc)
{
	pthread_mutex_destroy(&rtc->lock);
}
