/* SPDX-License-Identifier: Apache-2.0 */
/* links: src/vm/affinity.c src/util/err.c */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "ccr/affinity.h"

static const struct {
	const char *list;
	unsigned vcpu;
	uint64_t cpus; /* of the first 64; 0 for anywhere */
} known[] = {
	{"0", 0, 0x1},           {"0", 7, 0x1},       {"2-5,8", 3, 0x13c},
	{"0=2,1=3", 0, 0x4},     {"0=2,1=3", 1, 0x8}, {"0=2,1=3", 2, 0},
	{"1=4-6,1=9", 1, 0x270}, {"1=4-6,1=9", 0, 0}, {"63", 0, 1ull << 63},
};

static void test_known(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		struct ccr_err err = {0};
		uint64_t found = 0;
		cpu_set_t cpus;

		assert_int_equal(affinity_check(known[i].list, 8, &err), 0);
		assert_int_equal(affinity_of(known[i].list, known[i].vcpu, &cpus),
				 known[i].cpus != 0);
		for (unsigned cpu = 0; cpu < 64; cpu++)
			found |= (uint64_t) !!CPU_ISSET(cpu, &cpus) << cpu;
		assert_int_equal(found, known[i].cpus);
		assert_int_equal(CPU_COUNT(&cpus), __builtin_popcountll(found));
	}
}

static const struct {
	const char *list, *words;
} wrong[] = {
	{"", "not CPUs"},
	{"a", "a: not CPUs"},
	{"1,,2", "not CPUs"},
	{"1,", "not CPUs"},
	{"-1", "not CPUs"},
	{"1-", "not CPUs"},
	{"1-2-3", "not CPUs"},
	{"0=", "not CPUs"},
	{"0=1=2", "not CPUs"},
	{" 1", "not CPUs"},
	{"5-2", "5-2: the range ends"},
	{"1024", "too large"},
	{"0-99999999999", "too large"},
	{"99999999999999999999999", "not CPUs"},
	{"0=1,8=2", "8=2: there is no such vCPU"},
	{"0=1,2", "2: name a vCPU in every part"},
	{"2,0=1", "2: name a vCPU in every part"},
};

static void test_wrong(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct ccr_err err = {0};

		assert_int_equal(affinity_check(wrong[i].list, 8, &err), -EINVAL);
		assert_non_null(strstr(err.msg, wrong[i].words));
		assert_non_null(strstr(err.msg, "--vcpu-affinity"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
