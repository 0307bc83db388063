/* SPDX-License-Identifier: Apache-2.0 */
/* links: src/dev/bus.c */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>

#include "ccr/bus.h"

/* A device that remembers its last access and reads as @answer. */
struct probe {
	uint64_t answer;
	unsigned nr_reads, nr_writes;
	uint64_t offset, value;
	unsigned size;
};

static uint64_t probe_read(void *dev, uint64_t offset, unsigned size)
{
	struct probe *probe = dev;

	probe->nr_reads++;
	probe->offset = offset;
	probe->size = size;
	return probe->answer;
}

static void probe_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
	struct probe *probe = dev;

	probe->nr_writes++;
	probe->offset = offset;
	probe->size = size;
	probe->value = value;
}

static const struct bus_ops probe_ops = {.read = probe_read, .write = probe_write};

static int add(struct bus *bus, uint64_t base, uint64_t size, struct probe *probe)
{
	return bus_add(bus, ipa_at(base), size, "probe", &probe_ops, probe);
}

static void access_reaches_its_device(void **state)
{
	struct probe low = {.answer = 0x11}, high = {.answer = 0x22};
	struct bus bus = {0};
	uint64_t value;

	(void)state;
	assert_int_equal(add(&bus, 0x2000, 0x100, &high), 0);
	assert_int_equal(add(&bus, 0x1000, 0x100, &low), 0);
	assert_int_equal(bus_read(&bus, ipa_at(0x1004), 4, &value), 0);
	assert_int_equal(value, 0x11);
	assert_int_equal(low.offset, 4);
	assert_int_equal(low.size, 4);
	assert_int_equal(bus_write(&bus, ipa_at(0x20ff), 1, 0xab), 0);
	assert_int_equal(high.nr_writes, 1);
	assert_int_equal(high.offset, 0xff);
	assert_int_equal(high.size, 1);
	assert_int_equal(high.value, 0xab);
	assert_int_equal(low.nr_reads + low.nr_writes + high.nr_reads, 1);
}

static void value_is_cut_to_the_access(void **state)
{
	static const struct {
		unsigned size;
		uint64_t value;
	} cases[] = {{1, 0x88}, {2, 0x7788}, {4, 0x55667788}, {8, 0x1122334455667788}};
	struct probe probe = {0};
	struct bus bus = {0};

	(void)state;
	assert_int_equal(add(&bus, 0, 8, &probe), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_int_equal(bus_write(&bus, ipa_at(0), cases[i].size, 0x1122334455667788), 0);
		assert_int_equal(probe.value, cases[i].value);
	}
}

static void only_whole_accesses_match(void **state)
{
	struct probe probe = {0};
	struct bus bus = {0};
	uint64_t value = 0x77;

	(void)state;
	assert_int_equal(add(&bus, 0x1000, 8, &probe), 0);
	assert_int_equal(bus_read(&bus, ipa_at(0x1000), 8, &value), 0);
	value = 0x77;
	assert_int_equal(bus_read(&bus, ipa_at(0x1001), 8, &value), -ENXIO);
	assert_int_equal(bus_read(&bus, ipa_at(0x1007), 2, &value), -ENXIO);
	assert_int_equal(bus_read(&bus, ipa_at(0x1008), 1, &value), -ENXIO);
	assert_int_equal(bus_read(&bus, ipa_at(0x0fff), 1, &value), -ENXIO);
	assert_int_equal(bus_read(&bus, ipa_at(0x0fff), 2, &value), -ENXIO);
	assert_int_equal(bus_read(&bus, ipa_at(UINT64_MAX), 8, &value), -ENXIO);
	assert_int_equal(bus_write(&bus, ipa_at(0x1006), 4, 1), -ENXIO);
	assert_int_equal(value, 0x77);
	assert_int_equal(probe.nr_reads, 1);
	assert_int_equal(probe.nr_writes, 0);
}

static void odd_sizes_are_refused(void **state)
{
	static const unsigned sizes[] = {0, 3, 5, 6, 7, 9, 16, 64, 0x80000000, 0xffffffff};
	struct probe probe = {0};
	struct bus bus = {0};
	uint64_t value;

	(void)state;
	assert_int_equal(add(&bus, 0, UINT64_MAX, &probe), 0);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		assert_int_equal(bus_read(&bus, ipa_at(0), sizes[i], &value), -ENXIO);
		assert_int_equal(bus_write(&bus, ipa_at(0), sizes[i], 0), -ENXIO);
	}
	assert_int_equal(probe.nr_reads + probe.nr_writes, 0);
}

static void empty_bus_answers_nothing(void **state)
{
	struct bus bus = {0};
	uint64_t value;

	(void)state;
	assert_int_equal(bus_read(&bus, ipa_at(0), 1, &value), -ENXIO);
	assert_int_equal(bus_write(&bus, ipa_at(0), 1, 0), -ENXIO);
}

static void overlaps_are_refused(void **state)
{
	struct probe probe = {0};
	struct bus bus = {0};

	(void)state;
	assert_int_equal(add(&bus, 0x1000, 0x1000, &probe), 0);
	assert_int_equal(add(&bus, 0x1000, 0x1000, &probe), -EEXIST);
	assert_int_equal(add(&bus, 0x1800, 1, &probe), -EEXIST);
	assert_int_equal(add(&bus, 0x1fff, 1, &probe), -EEXIST);
	assert_int_equal(add(&bus, 0x0fff, 2, &probe), -EEXIST);
	assert_int_equal(add(&bus, 0, 0x10000, &probe), -EEXIST);
	assert_int_equal(add(&bus, 0x0fff, UINT64_MAX - 0x0fff, &probe), -EEXIST);
	assert_int_equal(add(&bus, 0x0fff, 1, &probe), 0);
	assert_int_equal(add(&bus, 0x2000, 1, &probe), 0);
	assert_int_equal(bus.nr_windows, 3);
}

static void empty_and_wrapping_windows_are_refused(void **state)
{
	struct probe probe = {0};
	struct bus bus = {0};
	uint64_t value;

	(void)state;
	assert_int_equal(add(&bus, 0x1000, 0, &probe), -EINVAL);
	assert_int_equal(add(&bus, 0x1000, UINT64_MAX, &probe), -EINVAL);
	assert_int_equal(add(&bus, UINT64_MAX, 2, &probe), -EINVAL);
	assert_int_equal(bus.nr_windows, 0);
	assert_int_equal(add(&bus, UINT64_MAX, 1, &probe), 0);
	assert_int_equal(bus_read(&bus, ipa_at(UINT64_MAX), 1, &value), 0);
}

static void many_windows(void **state)
{
	struct probe probes[BUS_MAX_WINDOWS + 1] = {0};
	struct bus bus = {0};
	uint64_t value;

	(void)state;
	/* 37 and 64 have no common factor: every slot once, in no order. */
	for (unsigned i = 0; i < BUS_MAX_WINDOWS; i++) {
		unsigned slot = i * 37 % BUS_MAX_WINDOWS;

		probes[slot].answer = slot;
		assert_int_equal(add(&bus, slot * 0x10, 8, &probes[slot]), 0);
	}
	assert_int_equal(add(&bus, 0x10000, 8, &probes[BUS_MAX_WINDOWS]), -ENOSPC);
	for (unsigned i = 0; i < BUS_MAX_WINDOWS; i++) {
		assert_int_equal(bus_read(&bus, ipa_at(i * 0x10 + 7), 1, &value), 0);
		assert_int_equal(value, i);
		assert_int_equal(bus_read(&bus, ipa_at(i * 0x10 + 8), 1, &value), -ENXIO);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(access_reaches_its_device),
		cmocka_unit_test(value_is_cut_to_the_access),
		cmocka_unit_test(only_whole_accesses_match),
		cmocka_unit_test(odd_sizes_are_refused),
		cmocka_unit_test(empty_bus_answers_nothing),
		cmocka_unit_test(overlaps_are_refused),
		cmocka_unit_test(empty_and_wrapping_windows_are_refused),
		cmocka_unit_test(many_windows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
