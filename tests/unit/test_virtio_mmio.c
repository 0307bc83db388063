/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registers, with a console behind them.
 *
 * links: src/virtio/virtio_mmio.c src/virtio/vconsole.c src/virtio/vconsole_control.c
 *	src/virtio/virtio.c src/virtio/virtq.c src/virtio/virtq_chain.c src/virtio/mem.c
 *	src/virtio/virtio_pci.c src/pci/host.c src/pci/function.c src/pci/msix.c src/util/log.c
 *	src/util/err.c tests/fake/virtio_guest.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <stdlib.h>
#include <string.h>

#include "ccr/vconsole.h"
#include "ccr/virtio_mmio.h"
#include "../fake/virtio_guest.h"

#define BIT(n)   (1ull << (n))
#define FEATURES (BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_ACCESS_PLATFORM))
#define RINGS    (GUEST_RAM_BASE + 0x1000)
#define DATA     (GUEST_RAM_BASE + 0x10000)
#define BEGUN    (VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER)
#define READY    (BEGUN | VIRTIO_CONFIG_S_FEATURES_OK)
#define TRANSMIT 1 /* the console's queue of output */

struct bench {
	struct guest *guest;
	struct vconsole console;
	struct virtio_mmio mmio;
	struct guest_queue queue;
	bool level;
	unsigned nr_changes; /* of the level */
};

static void on_irq(void *ctx, bool level)
{
	struct bench *b = ctx;

	assert_int_not_equal(level, b->level);
	b->level = level;
	b->nr_changes++;
}

static int bench_begin(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	const struct virtio_mmio_host host = {on_irq, b};
	struct virtio_setup setup;

	assert_non_null(b);
	b->guest = guest_create();
	assert_non_null(b->guest);
	setup = guest_setup(b->guest);
	assert_int_equal(vconsole_init(&b->console, NULL, 0, &setup), 0);
	virtio_mmio_init(&b->mmio, &b->console.virtio, &host);
	guest_queue_place(&b->queue, b->guest, RINGS, 16);
	*state = b;
	return 0;
}

static int bench_end(void **state)
{
	struct bench *b = *state;

	vconsole_done(&b->console);
	guest_destroy(b->guest);
	free(b);
	return 0;
}

static uint32_t get(struct bench *b, unsigned reg)
{
	return (uint32_t)virtio_mmio_ops.read(&b->mmio, reg, 4);
}

static void set(struct bench *b, unsigned reg, uint32_t value)
{
	virtio_mmio_ops.write(&b->mmio, reg, 4, value);
}

static uint32_t negotiate(struct bench *b, uint64_t features)
{
	set(b, VIRTIO_MMIO_STATUS, 0);
	set(b, VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	for (unsigned i = 0; i < 2; i++) {
		set(b, VIRTIO_MMIO_DRIVER_FEATURES_SEL, i);
		set(b, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(features >> 32 * i));
	}
	set(b, VIRTIO_MMIO_STATUS, READY);
	return get(b, VIRTIO_MMIO_STATUS);
}

static void place_queue(struct bench *b, unsigned index)
{
	set(b, VIRTIO_MMIO_QUEUE_SEL, index);
	set(b, VIRTIO_MMIO_QUEUE_NUM, 16);
	set(b, VIRTIO_MMIO_QUEUE_DESC_LOW, (uint32_t)b->queue.desc);
	set(b, VIRTIO_MMIO_QUEUE_DESC_HIGH, (uint32_t)(b->queue.desc >> 32));
	set(b, VIRTIO_MMIO_QUEUE_AVAIL_LOW, (uint32_t)b->queue.avail);
	set(b, VIRTIO_MMIO_QUEUE_AVAIL_HIGH, (uint32_t)(b->queue.avail >> 32));
	set(b, VIRTIO_MMIO_QUEUE_USED_LOW, (uint32_t)b->queue.used);
	set(b, VIRTIO_MMIO_QUEUE_USED_HIGH, (uint32_t)(b->queue.used >> 32));
}

static void start(struct bench *b)
{
	assert_int_equal(negotiate(b, FEATURES), READY);
	place_queue(b, TRANSMIT);
	set(b, VIRTIO_MMIO_QUEUE_READY, 1);
	set(b, VIRTIO_MMIO_STATUS, READY | VIRTIO_CONFIG_S_DRIVER_OK);
}

static void print(struct bench *b, const char *text)
{
	const struct guest_piece piece = {DATA, (uint32_t)strlen(text), false};

	memcpy(guest_ram(&b->guest->mem, DATA), text, strlen(text));
	guest_add(&b->queue, &piece, 1);
	set(b, VIRTIO_MMIO_QUEUE_NOTIFY, TRANSMIT);
	virtio_service(&b->console.virtio);
}

static void test_identity(void **state)
{
	struct bench *b = *state;

	assert_int_equal(get(b, VIRTIO_MMIO_MAGIC_VALUE), 0x74726976);
	assert_int_equal(get(b, VIRTIO_MMIO_VERSION), 2);
	assert_int_equal(get(b, VIRTIO_MMIO_DEVICE_ID), 3);
	assert_int_equal(get(b, VIRTIO_MMIO_VENDOR_ID), 0x52524343);
	for (unsigned reg = VIRTIO_MMIO_SHM_LEN_LOW; reg <= VIRTIO_MMIO_SHM_BASE_HIGH; reg += 4)
		assert_int_equal(get(b, reg), 0xffffffff);
	assert_int_equal(virtio_mmio_notify_offset(), 0x50);
}

/* Device ID 0 is a place for which drivers do not care; it answers nothing else. */
static void test_empty_place(void **state)
{
	struct virtio_mmio empty;
	const struct virtio_mmio_host nobody = {0};

	(void)state;
	virtio_mmio_init(&empty, NULL, &nobody);
	for (unsigned reg = 0; reg < VIRTIO_MMIO_WINDOW_SIZE; reg += 4) {
		uint64_t expected = 0;

		if (reg == VIRTIO_MMIO_MAGIC_VALUE)
			expected = 0x74726976;
		else if (reg == VIRTIO_MMIO_VERSION)
			expected = 2;
		else if (reg == VIRTIO_MMIO_VENDOR_ID)
			expected = 0x52524343;
		virtio_mmio_ops.write(&empty, reg, 4, 1);
		assert_int_equal(virtio_mmio_ops.read(&empty, reg, 4), expected);
	}
	assert_int_equal(virtio_mmio_ops.read(&empty, 0, 1), 0);
}

static void test_features(void **state)
{
	struct bench *b = *state;

	set(b, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
	assert_int_equal(get(b, VIRTIO_MMIO_DEVICE_FEATURES), FEATURES >> 32);
	set(b, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 2);
	assert_int_equal(get(b, VIRTIO_MMIO_DEVICE_FEATURES), 0);
	assert_int_equal(negotiate(b, FEATURES), READY);
	assert_int_equal(negotiate(b, FEATURES & ~BIT(VIRTIO_F_ACCESS_PLATFORM)),
			 READY & ~VIRTIO_CONFIG_S_FEATURES_OK);
	assert_int_equal(negotiate(b, FEATURES | BIT(40)), READY & ~VIRTIO_CONFIG_S_FEATURES_OK);
}

static void test_queue(void **state)
{
	struct bench *b = *state;

	negotiate(b, FEATURES);
	set(b, VIRTIO_MMIO_QUEUE_SEL, 7);
	assert_int_equal(get(b, VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
	set(b, VIRTIO_MMIO_QUEUE_READY, 1);
	assert_int_equal(get(b, VIRTIO_MMIO_QUEUE_READY), 0);

	place_queue(b, TRANSMIT);
	assert_int_not_equal(get(b, VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
	assert_int_equal(get(b, VIRTIO_MMIO_QUEUE_READY), 0);
	set(b, VIRTIO_MMIO_QUEUE_READY, 2);
	assert_int_equal(get(b, VIRTIO_MMIO_QUEUE_READY), 0);
	set(b, VIRTIO_MMIO_QUEUE_READY, 1);
	assert_int_equal(get(b, VIRTIO_MMIO_QUEUE_READY), 1);
	/* A driver that changes its mind may. */
	set(b, VIRTIO_MMIO_QUEUE_READY, 0);
	assert_int_equal(get(b, VIRTIO_MMIO_QUEUE_READY), 0);
	set(b, VIRTIO_MMIO_QUEUE_READY, 1);
	set(b, VIRTIO_MMIO_STATUS, READY | VIRTIO_CONFIG_S_DRIVER_OK);
	/* But not while the device is live. */
	set(b, VIRTIO_MMIO_QUEUE_READY, 0);
	assert_int_equal(get(b, VIRTIO_MMIO_QUEUE_READY), 1);
	set(b, VIRTIO_MMIO_STATUS, 0);
	set(b, VIRTIO_MMIO_QUEUE_SEL, TRANSMIT);
	assert_int_equal(get(b, VIRTIO_MMIO_QUEUE_READY), 0);
}

static void test_bad_queue_size(void **state)
{
	static const uint32_t sizes[] = {0, 3, 0x10000, 0x10010, 0xffffffff};
	struct bench *b = *state;

	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		negotiate(b, FEATURES);
		place_queue(b, TRANSMIT);
		set(b, VIRTIO_MMIO_QUEUE_NUM, sizes[i]);
		set(b, VIRTIO_MMIO_QUEUE_READY, 1);
		assert_int_equal(get(b, VIRTIO_MMIO_QUEUE_READY), 0);
		assert_int_equal(get(b, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET,
				 VIRTIO_CONFIG_S_NEEDS_RESET);
	}
}

/* Level: up until all causes are acknowledged. */
static void test_interrupts(void **state)
{
	struct bench *b = *state;
	uint8_t bytes[8];

	start(b);
	print(b, "hello");
	assert_int_equal(vconsole_peek(&b->console, VCONSOLE_PORT, bytes, sizeof(bytes)), 5);
	assert_memory_equal(bytes, "hello", 5);
	assert_true(b->level);
	assert_int_equal(get(b, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_VRING);
	print(b, "!");
	assert_int_equal(b->nr_changes, 1);
	virtio_set_config(&b->console.virtio, 0, "xyz", 3);
	assert_int_equal(get(b, VIRTIO_MMIO_INTERRUPT_STATUS),
			 VIRTIO_MMIO_INT_VRING | VIRTIO_MMIO_INT_CONFIG);
	set(b, VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INT_VRING);
	assert_true(b->level);
	set(b, VIRTIO_MMIO_INTERRUPT_ACK, 0xffffffff);
	assert_false(b->level);
	assert_int_equal(b->nr_changes, 2);
	assert_int_equal(get(b, VIRTIO_MMIO_CONFIG_GENERATION), 1);
	print(b, "?");
	assert_true(b->level);
	set(b, VIRTIO_MMIO_STATUS, 0);
	assert_false(b->level);
	assert_int_equal(get(b, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
}

static void test_notify(void **state)
{
	struct bench *b = *state;
	unsigned before;

	start(b);
	before = b->guest->nr_kicks;
	set(b, VIRTIO_MMIO_QUEUE_NOTIFY, TRANSMIT);
	assert_int_equal(b->guest->nr_kicks, before + 1);
	set(b, VIRTIO_MMIO_QUEUE_NOTIFY, 9);
	set(b, VIRTIO_MMIO_QUEUE_NOTIFY, 0xffffffff);
	virtio_mmio_ops.write(&b->mmio, VIRTIO_MMIO_QUEUE_NOTIFY, 2, TRANSMIT);
	assert_int_equal(b->guest->nr_kicks, before + 1);
}

static void test_odd_accesses(void **state)
{
	struct bench *b = *state;

	assert_int_equal(virtio_mmio_ops.read(&b->mmio, VIRTIO_MMIO_MAGIC_VALUE, 2), 0);
	assert_int_equal(virtio_mmio_ops.read(&b->mmio, VIRTIO_MMIO_MAGIC_VALUE, 8), 0);
	assert_int_equal(virtio_mmio_ops.read(&b->mmio, 2, 4), 0);
	virtio_mmio_ops.write(&b->mmio, VIRTIO_MMIO_STATUS, 1, 1);
	assert_int_equal(get(b, VIRTIO_MMIO_STATUS), 0);
	/* Configuration space is accessed at any width. */
	virtio_set_config(&b->console.virtio, 0, "abcd", 4);
	assert_int_equal(virtio_mmio_ops.read(&b->mmio, VIRTIO_MMIO_CONFIG + 1, 1), 'b');
	assert_int_equal(virtio_mmio_ops.read(&b->mmio, VIRTIO_MMIO_CONFIG, 4), 0x64636261);
	assert_int_equal(virtio_mmio_ops.read(&b->mmio, 0x1fc, 4), 0);
	virtio_mmio_ops.write(&b->mmio, 0x1fc, 4, 1);
	set(b, VIRTIO_MMIO_MAGIC_VALUE, 1);
	assert_int_equal(get(b, VIRTIO_MMIO_MAGIC_VALUE), 0x74726976);
}

#define MMIO_TEST(f) cmocka_unit_test_setup_teardown(f, bench_begin, bench_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		MMIO_TEST(test_identity),       MMIO_TEST(test_empty_place),
		MMIO_TEST(test_features),       MMIO_TEST(test_queue),
		MMIO_TEST(test_bad_queue_size), MMIO_TEST(test_interrupts),
		MMIO_TEST(test_notify),         MMIO_TEST(test_odd_accesses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
