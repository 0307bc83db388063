/* SPDX-License-Identifier: Apache-2.0 */
/* links: src/util/err.c arch/arm64/memmap.c */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>

#include "ccr/memmap.h"

#define MIB (1ull << 20)
#define GIB (1ull << 30)
#define TIB (1ull << 40)

static void typical_machine(void **state)
{
	struct ccr_err err = {0};
	struct memmap map;

	(void)state;
	assert_int_equal(memmap_init(&map, 512 * MIB, 2, &err), 0);
	assert_int_equal(err.code, 0);
	assert_int_equal(map.ram_size, 512 * MIB);
	assert_int_equal(map.nr_vcpus, 2);
	assert_int_equal(map.ipa_bits, 33);
	assert_int_equal(map.shared_bit, 0x100000000);
	assert_int_equal(map.gicd_base.v, 0x3fff0000);
	assert_int_equal(map.gicr_base.v, 0x3ffb0000);
	assert_int_equal(map.its_base.v, 0x3ff90000);
	assert_int_equal(map.dtb_base.v, 0x8fe00000);
}

static void redistributors_grow_down(void **state)
{
	static const struct {
		unsigned nr_vcpus;
		uint64_t gicr_base, its_base;
	} cases[] = {
		{1, 0x3ffd0000, 0x3ffb0000},
		{8, 0x3fef0000, 0x3fed0000},
		{512, 0x3bff0000, 0x3bfd0000},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct memmap map;

		assert_int_equal(memmap_init(&map, 512 * MIB, cases[i].nr_vcpus, NULL), 0);
		assert_int_equal(map.gicd_base.v, 0x3fff0000);
		assert_int_equal(map.gicr_base.v, cases[i].gicr_base);
		assert_int_equal(map.its_base.v, cases[i].its_base);
		assert_int_equal(map.gicr_base.v % MEMMAP_GICD_SIZE, 0);
	}
}

/* Every region of the largest machine, in ascending order, none touching the next. */
static void regions_do_not_overlap(void **state)
{
	struct memmap map;

	(void)state;
	assert_int_equal(memmap_init(&map, 512 * MIB, MEMMAP_MAX_VCPUS, NULL), 0);
	{
		const uint64_t regions[][2] = {
			{MEMMAP_UART_BASE, MEMMAP_UART_SIZE},
			{MEMMAP_SPARE_UART(0), MEMMAP_UART_SIZE},
			{MEMMAP_SPARE_UART(1), MEMMAP_UART_SIZE},
			{MEMMAP_SPARE_UART(2), MEMMAP_UART_SIZE},
			{MEMMAP_RTC_BASE, MEMMAP_RTC_SIZE},
			{MEMMAP_VIRTIO_BASE, 60 * MEMMAP_VIRTIO_STRIDE},
			{map.its_base.v, MEMMAP_ITS_SIZE},
			{map.gicr_base.v, MEMMAP_MAX_VCPUS * MEMMAP_GICR_SIZE},
			{map.gicd_base.v, MEMMAP_GICD_SIZE},
			{MEMMAP_PCI_CFG_BASE, MEMMAP_PCI_CFG_SIZE},
			{MEMMAP_PCI_MEM_BASE, MEMMAP_PCI_MEM_SIZE},
			{MEMMAP_RAM_BASE, map.ram_size},
		};

		for (size_t i = 1; i < sizeof(regions) / sizeof(*regions); i++)
			assert_true(regions[i - 1][0] + regions[i - 1][1] <= regions[i][0]);
	}
}

static void address_width_follows_ram(void **state)
{
	static const struct {
		uint64_t ram_size;
		unsigned ipa_bits;
	} cases[] = {
		{32 * MIB, 33},          {2 * GIB, 33}, /* the last byte is at 0xffffffff */
		{2 * GIB + 2 * MIB, 34}, {6 * GIB, 34},
		{6 * GIB + 2 * MIB, 35}, {14 * GIB, 35},
		{1 * TIB - 2 * GIB, 41}, {1 * TIB, 42},
		{1024 * TIB, 52},        {2048 * TIB - 2 * GIB, 52},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct memmap map;

		assert_int_equal(memmap_init(&map, cases[i].ram_size, 1, NULL), 0);
		assert_int_equal(map.ipa_bits, cases[i].ipa_bits);
		assert_int_equal(map.shared_bit, 1ull << (cases[i].ipa_bits - 1));
		assert_true(MEMMAP_RAM_BASE + map.ram_size <= map.shared_bit);
	}
}

static void device_tree_is_below_the_end_of_small_ram(void **state)
{
	static const struct {
		uint64_t ram_size, dtb_base;
	} cases[] = {
		{32 * MIB, 0x81e00000},  {128 * MIB, 0x87e00000}, {254 * MIB, 0x8fc00000},
		{256 * MIB, 0x8fe00000}, {258 * MIB, 0x8fe00000}, {8 * GIB, 0x8fe00000},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct memmap map;

		assert_int_equal(memmap_init(&map, cases[i].ram_size, 1, NULL), 0);
		assert_int_equal(map.dtb_base.v, cases[i].dtb_base);
	}
}

static void refusals_name_option_and_limit(void **state)
{
	static const struct {
		uint64_t ram_size;
		unsigned nr_vcpus;
		const char *msg;
	} cases[] = {
		{0, 1, "--mem: 0 bytes of RAM are less than 32 MiB, the least a guest gets"},
		{32 * MIB - 1, 1,
		 "--mem: 33554431 bytes of RAM are less than 32 MiB, the least a guest gets"},
		{33 * MIB, 1,
		 "--mem: 34603008 bytes of RAM are not a multiple of 2 MiB; "
		 "34M would be"},
		{32 * MIB + 1, 1,
		 "--mem: 33554433 bytes of RAM are not a multiple of 2 MiB; "
		 "34M would be"},
		{2048 * TIB - 2 * GIB + 1, 1,
		 "--mem: more than 2147481600 MiB of RAM, the most that 52 bits of address space hold"},
		{UINT64_MAX, 1,
		 "--mem: more than 2147481600 MiB of RAM, the most that 52 bits of address space hold"},
		{64 * MIB, 0, "--cpus: 0 vCPUs are not between 1 and 512"},
		{64 * MIB, 513, "--cpus: 513 vCPUs are not between 1 and 512"},
		{64 * MIB, UINT32_MAX, "--cpus: 4294967295 vCPUs are not between 1 and 512"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct ccr_err err = {0};
		struct memmap map;

		assert_int_equal(memmap_init(&map, cases[i].ram_size, cases[i].nr_vcpus, &err),
				 -EINVAL);
		assert_int_equal(err.code, -EINVAL);
		assert_string_equal(err.msg, cases[i].msg);
	}
}

static void affinities(void **state)
{
	(void)state;
	assert_int_equal(memmap_mpidr(0), 0x0);
	assert_int_equal(memmap_mpidr(1), 0x1);
	assert_int_equal(memmap_mpidr(15), 0xf);
	assert_int_equal(memmap_mpidr(16), 0x100);
	assert_int_equal(memmap_mpidr(255), 0xf0f);
	assert_int_equal(memmap_mpidr(511), 0x1f0f);
	assert_int_equal(memmap_mpidr(4095), 0xff0f);
	assert_int_equal(memmap_mpidr(4096), 0x10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(typical_machine),
		cmocka_unit_test(redistributors_grow_down),
		cmocka_unit_test(regions_do_not_overlap),
		cmocka_unit_test(address_width_follows_ram),
		cmocka_unit_test(device_tree_is_below_the_end_of_small_ram),
		cmocka_unit_test(refusals_name_option_and_limit),
		cmocka_unit_test(affinities),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
