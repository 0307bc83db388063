/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is given back is gone, and what is alive is not.
 *
 * links: src/util/trim.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ccr/trim.h"

#define DEEP (128u << 10)

/* Return: of the pages from @at on, how many are in memory. */
static unsigned nr_resident(uintptr_t at, size_t size)
{
	const size_t page_size = (size_t)sysconf(_SC_PAGESIZE);
	unsigned char pages[DEEP / 4096];
	const size_t nr = size / page_size;
	unsigned resident = 0;

	assert_true(nr <= sizeof(pages));
	at -= at % page_size;
	assert_int_equal(mincore((void *)at, size, pages), 0);
	for (size_t i = 0; i < nr; i++)
		resident += pages[i] & 1;
	return resident;
}

/* @ret_at: where the deepest of it is */
__attribute__((noinline)) static void use_stack(uintptr_t *ret_at)
{
	volatile unsigned char deep[DEEP];

	for (size_t i = 0; i < sizeof(deep); i++)
		deep[i] = (unsigned char)i;
	*ret_at = (uintptr_t)deep;
}

static void test_stack_below(void **state)
{
	unsigned char alive[3 * 4096];
	uintptr_t deep;

	(void)state;
	use_stack(&deep);
	memset(alive, 0x5a, sizeof(alive));
	assert_int_equal(nr_resident(deep, DEEP / 2), DEEP / 2 / (size_t)sysconf(_SC_PAGESIZE));
	trim_memory();
	assert_int_equal(nr_resident(deep, DEEP / 2), 0);
	for (size_t i = 0; i < sizeof(alive); i++)
		assert_int_equal(alive[i], 0x5a);
}

/* Code and constants come back by themselves, and what was written stays. */
static void test_program_goes_on(void **state)
{
	static unsigned char written[4 * 4096] = {1};
	unsigned char *kept = malloc(1000);
	uintptr_t deep;

	(void)state;
	assert_non_null(kept);
	memset(kept, 0x33, 1000);
	memset(written, 0x44, sizeof(written));
	for (unsigned round = 0; round < 3; round++) {
		trim_memory();
		use_stack(&deep);
	}
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(kept[i], 0x33);
	for (size_t i = 0; i < sizeof(written); i++)
		assert_int_equal(written[i], 0x44);
	free(kept);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stack_below),
		cmocka_unit_test(test_program_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
