/* SPDX-License-Identifier: Apache-2.0 */
/*
 * links: src/virtio/vrng.c src/virtio/virtio_pci.c src/virtio/virtio.c src/virtio/virtq.c
 *	src/virtio/virtq_chain.c src/virtio/mem.c src/pci/host.c src/pci/function.c
 *	src/pci/msix.c src/util/log.c src/util/err.c tests/fake/virtio_guest.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <stdlib.h>
#include <string.h>

#include "ccr/virtio_pci.h"
#include "ccr/vrng.h"
#include "../fake/virtio_guest.h"

#define BIT(n)   (1ull << (n))
#define FEATURES (BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_ACCESS_PLATFORM))
#define RINGS    (GUEST_RAM_BASE + 0x1000)
#define DATA     (GUEST_RAM_BASE + 0x10000)

struct bench {
	struct guest *guest;
	struct vrng rng;
	struct virtio_pci transport;
	struct guest_device device;
	struct guest_queue queue;
};

/* The tests' clock. */
static uint64_t fake_time;

static uint64_t fake_now(void)
{
	return fake_time;
}

static int bench_begin(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct virtio_setup setup;

	assert_non_null(b);
	fake_time = 5 * VRNG_PERIOD_NS;
	b->guest = guest_create();
	assert_non_null(b->guest);
	setup = guest_setup(b->guest);
	vrng_init(&b->rng, &setup, fake_now);
	virtio_pci_init(&b->transport, &b->rng.virtio);
	assert_int_equal(pci_host_add(&b->guest->pci, &b->transport.function), 0);
	b->device = guest_probe(b->guest, 0);
	guest_queue_place(&b->queue, b->guest, RINGS, 8);
	guest_negotiate(&b->device, FEATURES);
	guest_enable_queue(&b->device, 0, &b->queue);
	guest_add_status(&b->device, VIRTIO_CONFIG_S_DRIVER_OK);
	assert_int_equal(guest_status(&b->device), 0xf);
	*state = b;
	return 0;
}

static int bench_end(void **state)
{
	struct bench *b = *state;

	virtio_pci_done(&b->transport);
	vrng_done(&b->rng);
	guest_destroy(b->guest);
	free(b);
	return 0;
}

/* Return: bytes given, -1 for no answer yet. */
static long ask(struct bench *b, uint32_t size)
{
	const struct guest_piece piece = {DATA, size, true};
	struct vring_used_elem used;

	guest_add(&b->queue, &piece, 1);
	virtio_service(&b->rng.virtio);
	return guest_take_used(&b->queue, &used) ? (long)used.len : -1;
}

static void test_bytes(void **state)
{
	struct bench *b = *state;
	const struct guest_piece pieces[] = {{DATA, 300, true}, {DATA + 0x1000, 300, true}};
	const uint8_t *ram = guest_ram(&b->guest->mem, DATA);
	struct vring_used_elem used;
	unsigned nr_zero = 0;

	guest_add(&b->queue, pieces, 2);
	virtio_service(&b->rng.virtio);
	assert_true(guest_take_used(&b->queue, &used));
	assert_int_equal(used.len, 600);
	for (unsigned i = 0; i < 300; i++)
		nr_zero += (ram[i] == 0) + (ram[0x1000 + i] == 0);
	/* 2.3 are expected; 40 are as good as impossible. */
	assert_true(nr_zero < 40);
	assert_int_equal(ram[300], 0);
	assert_int_equal(ram[0x1000 + 300], 0);
	assert_true(b->guest->intx[0]);
}

static void test_limit(void **state)
{
	struct bench *b = *state;

	assert_int_equal(ask(b, VRNG_BYTES_PER_PERIOD - 10), VRNG_BYTES_PER_PERIOD - 10);
	assert_int_equal(vrng_wait_ns(&b->rng), VRNG_NO_WAIT);
	/* The rest of the budget is an answer, then there is none. */
	assert_int_equal(ask(b, 100), 10);
	assert_int_equal(ask(b, 100), -1);
	fake_time += VRNG_PERIOD_NS / 4;
	assert_int_equal(vrng_wait_ns(&b->rng), VRNG_PERIOD_NS / 4 * 3);
	virtio_service(&b->rng.virtio);
	fake_time += VRNG_PERIOD_NS;
	assert_int_equal(vrng_wait_ns(&b->rng), 0);
	assert_int_equal(vrng_wait_ns(&b->rng), 0);
	virtio_service(&b->rng.virtio);
	assert_int_equal(vrng_wait_ns(&b->rng), VRNG_NO_WAIT);
	assert_int_equal(b->queue.used_seen, 2);
	assert_int_equal(ask(b, 50), 100);
	assert_int_equal(vrng_wait_ns(&b->rng), VRNG_NO_WAIT);
}

/* A driver that asks for a byte at a time keeps the loop as busy as one that asks for many. */
static void test_small_requests(void **state)
{
	struct bench *b = *state;
	unsigned nr = 0;

	while (nr <= VRNG_BYTES_PER_PERIOD && ask(b, 1) == 1)
		nr++;
	assert_int_equal(nr, VRNG_BYTES_PER_PERIOD / VRNG_MIN_CHARGE);
	fake_time += VRNG_PERIOD_NS;
	assert_int_equal(ask(b, 1), 1);
}

/* The loop is not woken for ever by a driver that used up the budget and went away. */
static void test_no_busy_loop(void **state)
{
	struct bench *b = *state;

	unsigned nr_kicks;

	assert_int_equal(ask(b, VRNG_BYTES_PER_PERIOD), VRNG_BYTES_PER_PERIOD);
	assert_int_equal(ask(b, 1), -1);
	fake_time += VRNG_PERIOD_NS;
	guest_config_write(b->guest, 0, 4, 2, 2);
	assert_int_equal(vrng_wait_ns(&b->rng), VRNG_NO_WAIT);
	nr_kicks = b->guest->nr_kicks;
	guest_config_write(b->guest, 0, 4, 2, 6);
	assert_int_equal(b->guest->nr_kicks, nr_kicks + 1);
	assert_int_equal(vrng_wait_ns(&b->rng), 0);
	guest_common_write(&b->device, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	assert_int_equal(vrng_wait_ns(&b->rng), VRNG_NO_WAIT);
}

static void test_unwritable(void **state)
{
	struct bench *b = *state;
	const struct guest_piece piece = {DATA, 4, false};

	guest_add(&b->queue, &piece, 1);
	virtio_service(&b->rng.virtio);
	assert_int_equal(guest_status(&b->device), 0x4f);
}

static void test_private(void **state)
{
	struct bench *b = *state;

	b->guest->mem.is_private[(DATA - GUEST_RAM_BASE) / GRANULE_SIZE] = true;
	assert_int_equal(ask(b, 16), -1);
	assert_int_equal(guest_status(&b->device), 0x4f);
	assert_int_equal(b->guest->mem.nr_refused, 1);
}

#define RNG_TEST(f) cmocka_unit_test_setup_teardown(f, bench_begin, bench_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RNG_TEST(test_bytes),        RNG_TEST(test_limit),
		RNG_TEST(test_no_busy_loop), RNG_TEST(test_small_requests),
		RNG_TEST(test_unwritable),   RNG_TEST(test_private),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
