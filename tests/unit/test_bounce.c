/* SPDX-License-Identifier: Apache-2.0 */
/* links: src/virtio/bounce.c src/util/err.c */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "ccr/bounce.h"

#define KIB 1024ull
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

static void test_default_size(void **state)
{
	(void)state;
	assert_int_equal(bounce_default_size(32 * MIB), 256 * KIB);
	assert_int_equal(bounce_default_size(128 * MIB), 256 * KIB);
	assert_int_equal(bounce_default_size(512 * MIB), 512 * KIB);
	assert_int_equal(bounce_default_size(514 * MIB), 768 * KIB);
	assert_int_equal(bounce_default_size(4 * GIB), 4 * MIB);
	assert_int_equal(bounce_default_size(1024 * GIB), 64 * MIB);
}

static const struct {
	uint64_t pool_size;
	unsigned nr_disks;
	struct bounce_limits limits;
} known[] = {
	{0, 1, {128, 126, 0}},          {0, 9, {128, 126, 0}},
	{256 * KIB, 1, {4, 5, 4096}},   {512 * KIB, 1, {4, 16, 4096}},
	{512 * KIB, 2, {4, 7, 4096}},   {4 * MIB, 1, {32, 19, 4096}},
	{64 * MIB, 1, {128, 83, 4096}}, {1 * GIB, 1, {128, 126, 4096}},
};

static void test_known_limits(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		struct bounce_limits limits;
		struct ccr_err err = {0};

		assert_int_equal(
			bounce_limit_disk(known[i].pool_size, known[i].nr_disks, &limits, &err), 0);
		assert_int_equal(limits.queue_size, known[i].limits.queue_size);
		assert_int_equal(limits.seg_max, known[i].limits.seg_max);
		assert_int_equal(limits.size_max, known[i].limits.size_max);
	}
}

/* Whatever the pool: all requests of all disks fit two thirds of it, in whole slots. */
static void test_everything_fits(void **state)
{
	(void)state;
	for (uint64_t pool = 256 * KIB; pool <= 128 * MIB; pool += 256 * KIB) {
		for (unsigned nr_disks = 1; nr_disks <= 4; nr_disks++) {
			struct bounce_limits l;
			uint64_t used;

			if (bounce_limit_disk(pool, nr_disks, &l, NULL))
				continue;
			used = (uint64_t)l.queue_size * nr_disks *
			       (l.seg_max * (uint64_t)l.size_max + 3 * 2048);
			assert_true(used <= pool / 3 * 2);
			assert_true(l.seg_max >= 1 && l.seg_max <= 126);
			assert_int_equal(l.queue_size & (l.queue_size - 1), 0);
		}
	}
}

static void test_too_small(void **state)
{
	struct bounce_limits limits;
	struct ccr_err err = {0};

	(void)state;
	assert_int_equal(bounce_limit_disk(256 * KIB, 4, &limits, &err), -ENOSPC);
	assert_non_null(strstr(err.msg, "4 disk queues do not fit"));
	assert_non_null(strstr(err.msg, "--bounce"));
	assert_int_equal(bounce_limit_disk(1, 1, &limits, NULL), -ENOSPC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_default_size),
		cmocka_unit_test(test_known_limits),
		cmocka_unit_test(test_everything_fits),
		cmocka_unit_test(test_too_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
