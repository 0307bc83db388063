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

static void test_slots(void **state)
{
	(void)state;
	assert_int_equal(bounce_slots(64 * KIB), 32);
	assert_int_equal(bounce_slots(16 * MIB), 8192);
	/* Whatever would be rounded up to the default. */
	assert_int_equal(bounce_slots(64 * MIB - 256 * KIB), 32640);
	assert_int_equal(bounce_slots(64 * MIB - 255 * KIB), 32640);
	assert_int_equal(bounce_slots(64 * MIB), 32640);
	assert_int_equal(bounce_slots(64 * MIB + KIB), 32769);
	assert_int_equal(bounce_slots(65 * MIB), 33280);
}

/* What is asked for is never the default, and what Linux makes of it never less than the wish. */
static void test_made_size(void **state)
{
	(void)state;
	assert_int_equal(bounce_made_size(64 * KIB), 256 * KIB);
	assert_int_equal(bounce_made_size(16 * MIB), 16 * MIB);
	assert_int_equal(bounce_made_size(65 * MIB), 128 * MIB);
	for (uint64_t size = 64 * KIB; size <= 130 * MIB; size += 64 * KIB) {
		const uint64_t slots = (bounce_slots(size) + 127) / 128 * 128;

		assert_int_not_equal(slots, 32768);
		assert_true(bounce_made_size(slots * 2048) >= size);
		assert_int_equal(bounce_made_size(slots * 2048), bounce_made_size(size));
	}
}

static const struct {
	uint64_t pool_size;
	unsigned nr_disks;
	struct bounce_limits limits;
} known[] = {
	{0, 1, {128, 126, 0}},
	{0, 9, {128, 126, 0}},
	{256 * KIB, 1, {16, 2, 4096}},
	{256 * KIB, 3, {8, 1, 4096}},
	{512 * KIB, 1, {64, 14, 4096}},
	{512 * KIB, 2, {32, 6, 4096}},
	{1 * MIB, 1, {128, 30, 4096}},
	{2 * MIB, 1, {256, 62, 4096}},
	{64 * MIB, 1, {256, 62, 64 * 1024}},
	{64 * MIB, 2, {256, 62, 32 * 1024}},
	{1 * GIB, 1, {256, 62, 64 * 1024}},
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

static void test_channels(void **state)
{
	struct ccr_err err = {0};
	uint64_t rest;

	(void)state;
	assert_int_equal(bounce_limit_channels(0, 6, &rest, &err), 0);
	assert_int_equal(rest, 0);
	assert_int_equal(bounce_limit_channels(256 * KIB, 0, &rest, &err), 0);
	assert_int_equal(rest, 256 * KIB);
	assert_int_equal(bounce_limit_channels(256 * KIB, 1, &rest, &err), 0);
	assert_int_equal(rest, 192 * KIB);
	assert_int_equal(bounce_limit_channels(256 * KIB, 3, &rest, &err), 0);
	assert_int_equal(rest, 128 * KIB);
	assert_int_equal(bounce_limit_channels(256 * KIB, 4, &rest, &err), -ENOSPC);
	assert_string_equal(err.msg, "4 channels do not fit the guest's bounce buffers of 256 KiB; "
				     "give it more with --bounce, or use fewer");
}

/* First fit's worst case (Robson) for stretches of up to @size, in slots of 2 KiB. */
static uint64_t worst_case(uint64_t used, uint64_t size)
{
	unsigned n = 0;

	while (2048ull << n < size)
		n++;
	return used + used * n / 2;
}

/* Whatever the pool: all entries of all disks fit it, wherever they have been put. */
static void test_everything_fits(void **state)
{
	unsigned nr_levels = 0;
	uint64_t last = 0;

	(void)state;
	for (uint64_t pool = 256 * KIB; pool <= 128 * MIB; pool += 256 * KIB) {
		for (unsigned nr_disks = 1; nr_disks <= 4; nr_disks++) {
			struct bounce_limits l;
			uint64_t used;

			if (bounce_limit_disk(pool, nr_disks, &l, NULL))
				continue;
			used = (uint64_t)l.queue_size * nr_disks * l.size_max;
			assert_true(worst_case(used, l.size_max) <= pool);
			assert_true(l.seg_max >= 1 && l.seg_max <= 126);
			/* Two requests at least, however large. */
			assert_true(2 * (l.seg_max + 2) <= l.queue_size);
			assert_int_equal(l.queue_size & (l.queue_size - 1), 0);
			/* More of a pool is never less of a disk. */
			nr_levels += nr_disks == 1 && used > last;
			assert_true(nr_disks > 1 || used >= last);
			last = nr_disks == 1 ? used : last;
		}
	}
	assert_in_range(nr_levels, 8, 10);
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

static const struct {
	uint64_t pool_size;
	unsigned nr_pairs;
	struct bounce_net_limits limits;
	uint64_t rest;
} known_nets[] = {
	{0, 0, {256, 256, true, true, 0, 65535}, 0},
	{0, 8, {256, 256, true, true, 0, 65535}, 0},
	{512 * KIB, 0, {256, 256, true, true, 0, 65535}, 512 * KIB},
	{256 * KIB, 1, {4, 32, false, false, 1504, 4096}, 152 * KIB},
	{512 * KIB, 1, {16, 32, false, false, 1504, 4096}, 264 * KIB},
	{512 * KIB, 2, {4, 32, false, false, 1504, 4096}, 304 * KIB},
	{1 * MIB, 1, {16, 64, false, false, 1504, 4096}, 648 * KIB},
	{2 * MIB, 1, {32, 64, true, false, 0, 1500}, 1160 * KIB},
	{4 * MIB, 1, {64, 256, true, true, 0, 65535}, 2208 * KIB},
	{8 * MIB, 4, {32, 64, true, false, 0, 1500}, 4640 * KIB},
};

static void test_known_net_limits(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(known_nets) / sizeof(known_nets[0]); i++) {
		const struct bounce_net_limits *known_limits = &known_nets[i].limits;
		struct bounce_net_limits limits;
		uint64_t rest = 1;

		assert_int_equal(bounce_limit_net(known_nets[i].pool_size, known_nets[i].nr_pairs,
						  &limits, &rest, NULL),
				 0);
		assert_int_equal(limits.rx_size, known_limits->rx_size);
		assert_int_equal(limits.tx_size, known_limits->tx_size);
		assert_int_equal(limits.is_mergeable, known_limits->is_mergeable);
		assert_int_equal(limits.is_large, known_limits->is_large);
		assert_int_equal(limits.min_mtu, known_limits->min_mtu);
		assert_int_equal(limits.max_mtu, known_limits->max_mtu);
		assert_int_equal(rest, known_nets[i].rest);
	}
}

/* What drivers may keep for ever leaves room, whatever the pool. */
static void test_receive_buffers_fit(void **state)
{
	(void)state;
	for (uint64_t pool = 256 * KIB; pool <= 128 * MIB; pool += 256 * KIB) {
		for (unsigned nr_pairs = 1; nr_pairs <= 32; nr_pairs++) {
			struct bounce_net_limits l;
			uint64_t rest, kept;

			if (bounce_limit_net(pool, nr_pairs, &l, &rest, NULL))
				continue;
			kept = l.is_mergeable ? (128 + 2 * l.rx_size) * 4 * KIB
					      : l.rx_size * 12 * KIB;
			assert_true(nr_pairs * kept <= pool / 2);
			assert_true(rest >= pool / 2 && rest < pool);
			/* Linux can never send with fewer. */
			assert_true(l.tx_size >= 32);
			assert_int_equal(l.rx_size & (l.rx_size - 1), 0);
			assert_int_equal(l.tx_size & (l.tx_size - 1), 0);
			/* What makes it take two pages for a buffer, and no more. */
			assert_true(l.is_mergeable || (l.min_mtu > 1500 && l.max_mtu <= 4096));
		}
	}
}

/* The default of 512 MiB: a network, two disks, and what else there is. */
static void test_net_leaves_room_for_disks(void **state)
{
	struct bounce_net_limits net;
	struct bounce_limits disk;
	uint64_t rest;

	(void)state;
	assert_int_equal(bounce_limit_net(512 * KIB, 1, &net, &rest, NULL), 0);
	assert_int_equal(bounce_limit_disk(rest, 2, &disk, NULL), 0);
}

static void test_too_small_for_nets(void **state)
{
	struct bounce_net_limits limits;
	struct ccr_err err = {0};
	uint64_t rest;

	(void)state;
	assert_int_equal(bounce_limit_net(256 * KIB, 2, &limits, &rest, &err), -ENOSPC);
	assert_non_null(strstr(err.msg, "2 queues do not fit"));
	assert_non_null(strstr(err.msg, "256 KiB"));
	assert_non_null(strstr(err.msg, "--bounce"));
}

static void test_shares(void **state)
{
	struct bounce_share limits;
	struct ccr_err err = {0};

	(void)state;
	assert_int_equal(bounce_limit_share(0, 1, &limits, NULL), 0);
	assert_int_equal(limits.msize, 0);
	assert_int_equal(limits.queue_size, 0);
	assert_int_equal(bounce_limit_share(512 * KIB, 1, &limits, NULL), 0);
	assert_int_equal(limits.queue_size, 4);
	assert_int_equal(limits.msize, 64 * KIB);
	assert_int_equal(bounce_limit_share(64 * MIB, 1, &limits, NULL), 0);
	assert_int_equal(limits.msize, 128 * KIB);
	assert_int_equal(bounce_limit_share(256 * KIB, 4, &limits, &err), -ENOSPC);
	assert_non_null(strstr(err.msg, "4 disk queues and shared directories do not fit"));
	for (uint64_t pool = 256 * KIB; pool <= 64 * MIB; pool += 64 * KIB) {
		for (unsigned nr = 1; nr <= 8; nr++) {
			if (bounce_limit_share(pool, nr, &limits, NULL))
				continue;
			assert_true(limits.msize >= 8 * KIB && limits.msize % 4096 == 0);
			assert_true(nr * 4 * (limits.msize + 8 * KIB) <= pool / 3 * 2);
		}
	}
}

/* As many pages as the disk's own queue has room for, in as many entries. */
static void test_ring_size(void **state)
{
	struct bounce_limits limits = {.queue_size = 8, .seg_max = 1, .size_max = 4096};

	(void)state;
	assert_int_equal(bounce_ring_size(&limits), 16);
	limits.queue_size = 32;
	assert_int_equal(bounce_ring_size(&limits), 32);
	limits.size_max = 16384;
	assert_int_equal(bounce_ring_size(&limits), 128);
	limits.queue_size = 256;
	assert_int_equal(bounce_ring_size(&limits), 128);
	limits.size_max = 0;
	assert_int_equal(bounce_ring_size(&limits), 128);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_default_size),
		cmocka_unit_test(test_slots),
		cmocka_unit_test(test_made_size),
		cmocka_unit_test(test_known_limits),
		cmocka_unit_test(test_channels),
		cmocka_unit_test(test_everything_fits),
		cmocka_unit_test(test_too_small),
		cmocka_unit_test(test_shares),
		cmocka_unit_test(test_known_net_limits),
		cmocka_unit_test(test_receive_buffers_fit),
		cmocka_unit_test(test_net_leaves_room_for_disks),
		cmocka_unit_test(test_too_small_for_nets),
		cmocka_unit_test(test_ring_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
