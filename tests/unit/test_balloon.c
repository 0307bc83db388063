/* SPDX-License-Identifier: Apache-2.0 */
/*
 * links: src/virtio/balloon.c src/virtio/virtio_pci.c src/virtio/virtio.c src/virtio/virtq.c
 *	src/virtio/virtq_chain.c src/virtio/mem.c src/pci/host.c src/pci/function.c
 *	src/pci/msix.c src/util/log.c src/util/err.c tests/fake/virtio_guest.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <endian.h>
#include <errno.h>
#include <linux/virtio_balloon.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <stdlib.h>
#include <string.h>

#include "ccr/balloon.h"
#include "ccr/virtio_pci.h"
#include "../fake/virtio_guest.h"

#define BIT(n)      (1ull << (n))
#define FEATURES    (BIT(VIRTIO_F_VERSION_1) | 0x36) /* stats, OOM, poison, reporting */
#define RINGS(n)    (GUEST_RAM_BASE + 0x1000 * ((n) + 1ull))
#define LIST        (GUEST_RAM_BASE + 0x10000)
#define NEEDS_RESET 0x4f
#define MAX_GIVEN   16

enum { INFLATE, DEFLATE, STATS, REPORTING, NR_QUEUES };

struct bench {
	struct guest *guest;
	struct balloon balloon;
	struct virtio_pci transport;
	struct guest_device device;
	struct guest_queue queues[NR_QUEUES];
	unsigned nr_given;
	uint64_t at[MAX_GIVEN], size[MAX_GIVEN];
};

static int on_give_back(void *ctx, ipa_t at, uint64_t size)
{
	struct bench *b = ctx;

	/* The model's driver sets it everywhere; a plain VM has none. */
	at.v &= ~GUEST_SHARED_BIT;
	if (at.v < GUEST_RAM_BASE || at.v + size > GUEST_RAM_BASE + GUEST_RAM_SIZE)
		return -EFAULT;
	assert_true(b->nr_given < MAX_GIVEN);
	b->at[b->nr_given] = at.v;
	b->size[b->nr_given++] = size;
	return 0;
}

static const struct balloon_host host = {.give_back = on_give_back};

static void start(struct bench *b)
{
	guest_negotiate(&b->device, FEATURES);
	for (unsigned i = 0; i < NR_QUEUES; i++) {
		guest_queue_place(&b->queues[i], b->guest, RINGS(i), i == STATS ? 2 : 32);
		guest_enable_queue(&b->device, i, &b->queues[i]);
	}
	guest_add_status(&b->device, VIRTIO_CONFIG_S_DRIVER_OK);
	assert_int_equal(guest_status(&b->device), 0xf);
}

static int bench_begin(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct virtio_setup setup;
	int slot;

	assert_non_null(b);
	b->guest = guest_create();
	setup = guest_setup(b->guest);
	setup.needs_platform = false; /* it is for plain VMs */
	balloon_init(&b->balloon, &host, b, &setup);
	virtio_pci_init(&b->transport, &b->balloon.virtio);
	slot = pci_host_add(&b->guest->pci, &b->transport.function);
	assert_true(slot >= 0);
	b->device = guest_probe(b->guest, (unsigned)slot);
	start(b);
	*state = b;
	return 0;
}

static int bench_end(void **state)
{
	struct bench *b = *state;

	virtio_pci_done(&b->transport);
	balloon_done(&b->balloon);
	guest_destroy(b->guest);
	free(b);
	return 0;
}

static void put_pages(struct bench *b, const uint32_t *pages, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++) {
		const uint32_t page = htole32(pages[i]);

		memcpy((uint8_t *)guest_ram(&b->guest->mem, LIST) + 4 * i, &page, sizeof(page));
	}
}

/* Return: whether the buffer came back. */
static bool send(struct bench *b, unsigned queue, const struct guest_piece *pieces, unsigned nr)
{
	struct vring_used_elem elem;

	guest_add(&b->queues[queue], pieces, nr);
	guest_notify(&b->device, queue);
	virtio_service(&b->balloon.virtio);
	return guest_take_used(&b->queues[queue], &elem);
}

static bool send_list(struct bench *b, unsigned queue, uint32_t size)
{
	const struct guest_piece piece = {LIST, size, false};

	return send(b, queue, &piece, 1);
}

static void restart(struct bench *b)
{
	assert_int_equal(guest_status(&b->device), NEEDS_RESET);
	guest_common_write(&b->device, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	start(b);
}

static void test_features(void **state)
{
	struct bench *b = *state;

	assert_int_equal(guest_offered(&b->device) & 0xffffff, 0x36);
}

static void test_inflate(void **state)
{
	struct bench *b = *state;
	static const uint32_t pages[] = {0x80020, 0x80021, 0x80022, 0x80030, 0x8002f};

	put_pages(b, pages, 5);
	assert_true(send_list(b, INFLATE, 20));
	assert_int_equal(b->nr_given, 3);
	assert_int_equal(b->at[0], 0x80020000);
	assert_int_equal(b->size[0], 0x3000);
	assert_int_equal(b->at[1], 0x80030000);
	assert_int_equal(b->at[2], 0x8002f000);
	assert_true(send_list(b, DEFLATE, 20));
	assert_int_equal(b->nr_given, 3);
}

static void test_hostile_lists(void **state)
{
	struct bench *b = *state;
	static const uint32_t outside[] = {0x80020, 0xffffffff, 0};
	static const struct guest_piece wrong[] = {
		{LIST, 3, false}, {LIST, 4097, false}, {0x40000000, 4, false}};

	for (unsigned i = 0; i < 3; i++) {
		assert_false(send(b, INFLATE, &wrong[i], 1));
		restart(b);
	}
	put_pages(b, outside, 3);
	assert_false(send_list(b, INFLATE, 12));
	assert_int_equal(b->nr_given, 1);
	restart(b);
	put_pages(b, outside, 1);
	assert_true(send_list(b, INFLATE, 4));
}

static void test_report(void **state)
{
	struct bench *b = *state;
	const struct guest_piece pieces[] = {{GUEST_RAM_BASE + 0x40000, 0x10000, true},
					     {GUEST_RAM_BASE + 0x80000, 0x8000, true}};
	const struct guest_piece outside = {GUEST_RAM_BASE + GUEST_RAM_SIZE - 0x1000, 0x2000, true};

	assert_true(send(b, REPORTING, pieces, 2));
	assert_int_equal(b->nr_given, 2);
	assert_int_equal(b->at[1], GUEST_RAM_BASE + 0x80000);
	assert_int_equal(balloon_get_state(&b->balloon).nr_reported, 0x18000);
	/* A guest that expects a pattern in free pages keeps them. */
	guest_mem_write(b->guest, b->device.config + 12, 4, 0xaaaaaaaa);
	assert_true(send(b, REPORTING, pieces, 2));
	assert_int_equal(b->nr_given, 2);
	guest_mem_write(b->guest, b->device.config + 12, 4, 0);
	assert_false(send(b, REPORTING, &outside, 1));
	restart(b);
}

static void test_size(void **state)
{
	struct bench *b = *state;

	assert_int_equal(guest_mem_read(b->guest, b->device.config, 4), 0);
	balloon_set_target(&b->balloon, 0x1234);
	assert_int_equal(guest_mem_read(b->guest, b->device.config, 4), 0x1234);
	assert_false(balloon_take_change(&b->balloon));
	guest_mem_write(b->guest, b->device.config + 4, 4, 0x1000);
	assert_true(balloon_take_change(&b->balloon));
	assert_false(balloon_take_change(&b->balloon));
	assert_int_equal(balloon_get_state(&b->balloon).target, 0x1234);
	assert_int_equal(balloon_get_state(&b->balloon).actual, 0x1000);
	/* What was asked for is no driver's to change. */
	guest_mem_write(b->guest, b->device.config, 4, 1);
	assert_int_equal(balloon_get_state(&b->balloon).target, 0x1234);
	guest_common_write(&b->device, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	assert_int_equal(balloon_get_state(&b->balloon).actual, 0);
	assert_int_equal(balloon_get_state(&b->balloon).target, 0x1234);
}

static void test_stats(void **state)
{
	struct bench *b = *state;
	const struct virtio_balloon_stat stats[] = {
		{htole16(BALLOON_STAT_FREE), htole64(1000)},
		{htole16(999), htole64(1)},
		{htole16(BALLOON_STAT_TOTAL), htole64(5000)},
	};
	struct vring_used_elem elem;

	assert_true(balloon_get_state(&b->balloon).stats[BALLOON_STAT_FREE] == BALLOON_UNKNOWN);
	memcpy(guest_ram(&b->guest->mem, LIST), stats, sizeof(stats));
	/* The buffer stays with the device until newer ones are wanted. */
	assert_false(send_list(b, STATS, sizeof(stats)));
	assert_int_equal(balloon_get_state(&b->balloon).stats[BALLOON_STAT_FREE], 1000);
	assert_true(guest_take_used(&b->queues[STATS], &elem));
	assert_int_equal(balloon_get_state(&b->balloon).stats[BALLOON_STAT_TOTAL], 5000);
	assert_false(guest_take_used(&b->queues[STATS], &elem));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_begin, bench_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_features), TEST(test_inflate), TEST(test_hostile_lists),
		TEST(test_report),   TEST(test_size),    TEST(test_stats),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
