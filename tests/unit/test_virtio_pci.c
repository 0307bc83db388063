/* SPDX-License-Identifier: Apache-2.0 */
/*
 * links: src/virtio/virtio_pci.c src/virtio/virtio.c src/virtio/virtq.c
 *	src/virtio/virtq_chain.c src/virtio/mem.c src/pci/host.c src/pci/function.c
 *	src/pci/msix.c src/util/log.c src/util/err.c tests/fake/virtio_guest.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>

#include "ccr/virtio_pci.h"
#include "../fake/virtio_guest.h"

#define BIT(n)      (1ull << (n))
#define COMMON_BITS (BIT(32) | BIT(33) | BIT(28) | BIT(29))
#define RINGS       (GUEST_RAM_BASE + 0x1000)
#define DATA        (GUEST_RAM_BASE + 0x10000)
#define DOORBELL    0x3ffe0040ull

#define READY (VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK)

/* A device that gives every buffer back as it is, and keeps the last when told to. */
struct echo {
	struct virtio_dev dev;
	struct virtio_pci transport;
	struct virtq_chain chain;
	bool keep;
	unsigned nr_resets;
	unsigned nr_writes;
	uint64_t written;
};

struct bench {
	struct guest *guest;
	struct echo echo;
	struct guest_device device;
	struct guest_queue queue;
};

static void echo_process(void *self)
{
	struct echo *echo = self;

	while (!echo->keep && virtio_pop(&echo->dev, 1, &echo->chain))
		virtio_push(&echo->dev, 1, &echo->chain, 0);
	if (echo->keep)
		virtio_pop(&echo->dev, 1, &echo->chain);
	virtio_notify(&echo->dev, 1);
}

static void echo_reset(void *self)
{
	struct echo *echo = self;

	echo->nr_resets++;
}

static void echo_write_config(void *self, unsigned offset, unsigned size, uint64_t value)
{
	struct echo *echo = self;

	(void)size;
	echo->nr_writes++;
	echo->written = value << (8 * offset);
}

static const struct virtio_type echo_type = {
	.name = "echo",
	.id = 42,
	.pci_class = 0xff0000,
	.features = BIT(3) | BIT(5),
	.config_size = 6,
	.nr_queues = 2,
	.queue_sizes = {4, 64},
	.process = echo_process,
	.write_config = echo_write_config,
	.reset = echo_reset,
};

static int bench_begin(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct virtio_setup setup;

	assert_non_null(b);
	b->guest = guest_create();
	assert_non_null(b->guest);
	setup = guest_setup(b->guest);
	setup.type = &echo_type;
	setup.self = &b->echo;
	setup.features = BIT(3) | BIT(4);
	setup.queue_size = 16;
	virtio_init(&b->echo.dev, &setup);
	memcpy(b->echo.dev.config, "abcdef", 6);
	virtio_pci_init(&b->echo.transport, &b->echo.dev);
	assert_int_equal(pci_host_add(&b->guest->pci, &b->echo.transport.function), 0);
	b->device = guest_probe(b->guest, 0);
	guest_queue_place(&b->queue, b->guest, RINGS, 16);
	*state = b;
	return 0;
}

static int bench_end(void **state)
{
	struct bench *b = *state;

	virtio_pci_done(&b->echo.transport);
	virtio_done(&b->echo.dev);
	guest_destroy(b->guest);
	free(b);
	return 0;
}

static void start(struct bench *b)
{
	assert_int_equal(guest_negotiate(&b->device, COMMON_BITS), READY);
	guest_enable_queue(&b->device, 1, &b->queue);
	guest_add_status(&b->device, VIRTIO_CONFIG_S_DRIVER_OK);
	assert_int_equal(guest_status(&b->device), READY | VIRTIO_CONFIG_S_DRIVER_OK);
}

static void add_one(struct bench *b)
{
	const struct guest_piece piece = {DATA, 4, true};

	guest_add(&b->queue, &piece, 1);
}

static unsigned nr_used(struct bench *b)
{
	struct vring_used_elem used;
	unsigned nr = 0;

	while (guest_take_used(&b->queue, &used))
		nr++;
	return nr;
}

static void test_identity(void **state)
{
	struct bench *b = *state;

	assert_int_equal(guest_config_read(b->guest, 0, PCI_VENDOR_ID, 4), 0x106a1af4);
	assert_int_equal(guest_config_read(b->guest, 0, PCI_CLASS_REVISION, 4), 0xff000001);
	assert_int_equal(b->device.common, GUEST_PCI_BASE);
	assert_int_equal(b->device.isr, GUEST_PCI_BASE + 0x1000);
	assert_int_equal(b->device.config, GUEST_PCI_BASE + 0x2000);
	assert_int_equal(b->device.notify, GUEST_PCI_BASE + 0x3000);
	assert_int_equal(b->device.notify_multiplier, 4);
	assert_int_equal(virtio_pci_notify_offset(1), 0x3004);
	assert_int_equal(guest_common_read(&b->device, VIRTIO_PCI_COMMON_NUMQ, 2), 2);
}

static void test_features(void **state)
{
	struct bench *b = *state;

	/* Bit 4 is not of the type's, bit 5 not of this device's. */
	assert_int_equal(guest_offered(&b->device), COMMON_BITS | BIT(3));
	guest_common_write(&b->device, VIRTIO_PCI_COMMON_DFSELECT, 4, 2);
	assert_int_equal(guest_common_read(&b->device, VIRTIO_PCI_COMMON_DF, 4), 0);
	guest_common_write(&b->device, VIRTIO_PCI_COMMON_DFSELECT, 4, 0xffffffff);
	assert_int_equal(guest_common_read(&b->device, VIRTIO_PCI_COMMON_DF, 4), 0);
}

static void test_features_refused(void **state)
{
	struct bench *b = *state;
	const uint8_t refused = READY & ~VIRTIO_CONFIG_S_FEATURES_OK;

	assert_int_equal(guest_negotiate(&b->device, COMMON_BITS | BIT(5)), refused);
	assert_int_equal(guest_negotiate(&b->device, COMMON_BITS & ~BIT(VIRTIO_F_VERSION_1)),
			 refused);
	assert_int_equal(guest_negotiate(&b->device, COMMON_BITS & ~BIT(VIRTIO_F_ACCESS_PLATFORM)),
			 refused);
	assert_int_equal(guest_negotiate(&b->device, 0), refused);
	/* Nor does DRIVER_OK do anything then. */
	guest_add_status(&b->device, VIRTIO_CONFIG_S_DRIVER_OK);
	assert_int_equal(guest_status(&b->device), refused);
	assert_int_equal(guest_negotiate(&b->device, BIT(32) | BIT(33)), READY);
}

static void test_platform_bit_in_plain_vm(void **state)
{
	struct bench *b = *state;

	b->echo.dev.needs_platform = false;
	assert_int_equal(guest_negotiate(&b->device, BIT(VIRTIO_F_VERSION_1)), READY);
}

static void test_features_are_fixed(void **state)
{
	struct bench *b = *state;

	assert_int_equal(guest_negotiate(&b->device, COMMON_BITS), READY);
	guest_common_write(&b->device, VIRTIO_PCI_COMMON_GFSELECT, 4, 0);
	guest_common_write(&b->device, VIRTIO_PCI_COMMON_GF, 4, 0xffffffff);
	assert_int_equal(guest_common_read(&b->device, VIRTIO_PCI_COMMON_GF, 4),
			 (uint32_t)COMMON_BITS);
}

static void test_queue_registers(void **state)
{
	struct bench *b = *state;

	guest_common_write(&b->device, VIRTIO_PCI_COMMON_Q_SELECT, 2, 0);
	assert_int_equal(guest_common_read(&b->device, VIRTIO_PCI_COMMON_Q_SIZE, 2), 4);
	guest_common_write(&b->device, VIRTIO_PCI_COMMON_Q_SELECT, 2, 1);
	assert_int_equal(guest_common_read(&b->device, VIRTIO_PCI_COMMON_Q_SIZE, 2), 16);
	guest_common_write(&b->device, VIRTIO_PCI_COMMON_Q_USEDHI, 4, 0x12345678);
	guest_common_write(&b->device, VIRTIO_PCI_COMMON_Q_USEDLO, 4, 0x9abcdef0);
	assert_int_equal(guest_common_read(&b->device, VIRTIO_PCI_COMMON_Q_USEDHI, 4), 0x12345678);
	assert_int_equal(guest_common_read(&b->device, VIRTIO_PCI_COMMON_Q_USEDLO, 4), 0x9abcdef0);
	assert_int_equal(b->echo.dev.queues[1].used.v, 0x123456789abcdef0);
	/* Vector 3 does not exist. */
	guest_common_write(&b->device, VIRTIO_PCI_COMMON_Q_MSIX, 2, 2);
	assert_int_equal(guest_common_read(&b->device, VIRTIO_PCI_COMMON_Q_MSIX, 2), 2);
	guest_common_write(&b->device, VIRTIO_PCI_COMMON_Q_MSIX, 2, 3);
	assert_int_equal(guest_common_read(&b->device, VIRTIO_PCI_COMMON_Q_MSIX, 2), 0xffff);
}

static void test_no_such_queue(void **state)
{
	struct bench *b = *state;

	guest_negotiate(&b->device, COMMON_BITS);
	for (unsigned i = 2; i < 0x10000; i += 0x3fff) {
		guest_common_write(&b->device, VIRTIO_PCI_COMMON_Q_SELECT, 2, i);
		for (unsigned reg = VIRTIO_PCI_COMMON_Q_SIZE; reg < 56; reg += reg < 32 ? 2 : 4) {
			guest_common_write(&b->device, reg, reg < 32 ? 2 : 4, 1);
			assert_int_equal(guest_common_read(&b->device, reg, reg < 32 ? 2 : 4), 0);
		}
	}
	assert_int_equal(guest_status(&b->device), READY);
	guest_mem_write(b->guest, b->device.notify + 8, 2, 2);
	guest_mem_write(b->guest, b->device.notify + 0xffc, 2, 2);
	assert_int_equal(b->guest->nr_kicks, 0);
}

static void test_odd_accesses(void **state)
{
	struct bench *b = *state;

	guest_common_write(&b->device, VIRTIO_PCI_COMMON_GFSELECT, 8, ~0ull);
	guest_common_write(&b->device, VIRTIO_PCI_COMMON_STATUS, 2, 0x0101);
	guest_common_write(&b->device, VIRTIO_PCI_COMMON_Q_SELECT + 1, 1, 1);
	guest_common_write(&b->device, VIRTIO_PCI_COMMON_NUMQ, 2, 0);
	assert_int_equal(guest_common_read(&b->device, VIRTIO_PCI_COMMON_GFSELECT, 4), 0);
	assert_int_equal(guest_status(&b->device), 0);
	assert_int_equal(guest_common_read(&b->device, VIRTIO_PCI_COMMON_Q_SELECT, 2), 0);
	assert_int_equal(guest_common_read(&b->device, VIRTIO_PCI_COMMON_NUMQ, 2), 2);
	/* Over the end of common configuration, and into the ISR's page. */
	assert_int_equal(guest_common_read(&b->device, 56, 4), 0);
	assert_int_equal(guest_common_read(&b->device, 0xffc, 8), 0);
	assert_int_equal(guest_mem_read(b->guest, b->device.isr + 1, 1), 0);
	assert_int_equal(guest_mem_read(b->guest, b->device.notify, 4), 0);
}

static void test_config_space(void **state)
{
	struct bench *b = *state;
	const uint64_t config = b->device.config;

	assert_int_equal(guest_mem_read(b->guest, config, 4), 0x64636261);
	assert_int_equal(guest_mem_read(b->guest, config + 5, 1), 'f');
	assert_int_equal(guest_mem_read(b->guest, config + 4, 4), 0);
	assert_int_equal(guest_mem_read(b->guest, config, 8), 0);
	assert_int_equal(guest_mem_read(b->guest, config + 6, 1), 0);
	guest_mem_write(b->guest, config + 2, 2, 0xbeef);
	assert_int_equal(b->echo.written, 0xbeef0000);
	guest_mem_write(b->guest, config + 5, 2, 1);
	guest_mem_write(b->guest, config + 0xff8, 8, 1);
	assert_int_equal(b->echo.nr_writes, 1);
}

static void test_config_change(void **state)
{
	struct bench *b = *state;

	start(b);
	virtio_set_config(&b->echo.dev, 1, "XY", 2);
	assert_int_equal(guest_mem_read(b->guest, b->device.config, 4), 0x64595861);
	assert_int_equal(guest_common_read(&b->device, VIRTIO_PCI_COMMON_CFGGENERATION, 1), 1);
	assert_true(b->guest->intx[0]);
	assert_int_equal(guest_mem_read(b->guest, b->device.isr, 1), 2);
	assert_false(b->guest->intx[0]);
}

static void test_buffers_go_round(void **state)
{
	struct bench *b = *state;
	unsigned nr_kicks;

	start(b);
	nr_kicks = b->guest->nr_kicks;
	add_one(b);
	add_one(b);
	guest_notify(&b->device, 1);
	assert_int_equal(b->guest->nr_kicks, nr_kicks + 1);
	virtio_service(&b->echo.dev);
	assert_int_equal(nr_used(b), 2);
	/* Without MSI-X: the line, until ISR is read. */
	assert_true(b->guest->intx[0]);
	assert_int_equal(guest_mem_read(b->guest, b->device.isr, 1), 1);
	assert_false(b->guest->intx[0]);
	assert_int_equal(guest_mem_read(b->guest, b->device.isr, 1), 0);
	assert_int_equal(b->guest->nr_msis, 0);
}

static void test_msix(void **state)
{
	struct bench *b = *state;

	guest_negotiate(&b->device, COMMON_BITS);
	guest_use_msix(&b->device, DOORBELL | GUEST_SHARED_BIT, 3);
	guest_enable_queue(&b->device, 1, &b->queue);
	guest_add_status(&b->device, VIRTIO_CONFIG_S_DRIVER_OK);
	add_one(b);
	virtio_service(&b->echo.dev);
	assert_int_equal(b->guest->nr_msis, 1);
	assert_int_equal(b->guest->msis[0].address, DOORBELL);
	assert_int_equal(b->guest->msis[0].data, 0x102);
	assert_false(b->guest->intx[0]);
	virtio_set_config(&b->echo.dev, 0, "z", 1);
	assert_int_equal(b->guest->nr_msis, 2);
	assert_int_equal(b->guest->msis[1].data, 0x100);
	/* After a reset no vector is assigned. */
	guest_common_write(&b->device, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	assert_int_equal(guest_common_read(&b->device, VIRTIO_PCI_COMMON_MSIX, 2), 0xffff);
	guest_common_write(&b->device, VIRTIO_PCI_COMMON_Q_SELECT, 2, 1);
	assert_int_equal(guest_common_read(&b->device, VIRTIO_PCI_COMMON_Q_MSIX, 2), 0xffff);
}

static void test_interrupt_disable(void **state)
{
	struct bench *b = *state;

	start(b);
	add_one(b);
	virtio_service(&b->echo.dev);
	assert_true(b->guest->intx[0]);
	guest_config_write(b->guest, 0, PCI_COMMAND, 2,
			   PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE);
	assert_false(b->guest->intx[0]);
	guest_config_write(b->guest, 0, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_true(b->guest->intx[0]);
	guest_use_msix(&b->device, DOORBELL, 3);
	assert_false(b->guest->intx[0]);
}

static void test_reset_lowers_the_line(void **state)
{
	struct bench *b = *state;

	start(b);
	add_one(b);
	virtio_service(&b->echo.dev);
	assert_true(b->guest->intx[0]);
	guest_common_write(&b->device, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	assert_false(b->guest->intx[0]);
	assert_int_equal(guest_mem_read(b->guest, b->device.isr, 1), 0);
}

static void test_bus_master(void **state)
{
	struct bench *b = *state;
	unsigned nr_kicks;

	start(b);
	guest_config_write(b->guest, 0, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	add_one(b);
	virtio_service(&b->echo.dev);
	assert_int_equal(nr_used(b), 0);
	nr_kicks = b->guest->nr_kicks;
	guest_config_write(b->guest, 0, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(b->guest->nr_kicks, nr_kicks + 1);
	virtio_service(&b->echo.dev);
	assert_int_equal(nr_used(b), 1);
}

static void assert_needs_reset(struct bench *b)
{
	assert_int_equal(guest_status(&b->device),
			 READY | VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_int_equal(guest_mem_read(b->guest, b->device.isr, 1) & 2, 2);
	assert_int_equal(b->echo.dev.nr_failures, 1);
	/* Nothing is served any more... */
	add_one(b);
	virtio_service(&b->echo.dev);
	assert_int_equal(nr_used(b), 0);
	/* ...until a reset. */
	guest_queue_place(&b->queue, b->guest, RINGS, 16);
	start(b);
	add_one(b);
	virtio_service(&b->echo.dev);
	assert_int_equal(nr_used(b), 1);
}

static void test_loop(void **state)
{
	struct bench *b = *state;

	start(b);
	guest_desc(&b->queue, 0, DATA, 4, VRING_DESC_F_NEXT, 1);
	guest_desc(&b->queue, 1, DATA, 4, VRING_DESC_F_NEXT, 0);
	guest_offer(&b->queue, 0);
	virtio_service(&b->echo.dev);
	assert_needs_reset(b);
}

static void test_private_rings(void **state)
{
	struct bench *b = *state;
	bool *is_private = &b->guest->mem.is_private[(RINGS - GUEST_RAM_BASE) / GRANULE_SIZE];

	start(b);
	*is_private = true;
	virtio_service(&b->echo.dev);
	assert_int_equal(b->guest->mem.nr_refused, 1);
	*is_private = false;
	assert_needs_reset(b);
}

/* Rings are refused when they are handed over; DRIVER_OK then starts nothing. */
static void test_bad_rings(void **state)
{
	struct bench *b = *state;

	guest_negotiate(&b->device, COMMON_BITS);
	b->queue.desc = UINT64_MAX - 15;
	guest_enable_queue(&b->device, 1, &b->queue);
	assert_int_equal(guest_status(&b->device), READY | VIRTIO_CONFIG_S_NEEDS_RESET);
	guest_common_write(&b->device, VIRTIO_PCI_COMMON_Q_SELECT, 2, 1);
	assert_int_equal(guest_common_read(&b->device, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
	guest_add_status(&b->device, VIRTIO_CONFIG_S_DRIVER_OK);
	virtio_service(&b->echo.dev);
	assert_int_equal(b->guest->nr_kicks, 0);
}

static void test_enabled_queue_is_fixed(void **state)
{
	struct bench *b = *state;

	assert_int_equal(guest_negotiate(&b->device, COMMON_BITS), READY);
	guest_enable_queue(&b->device, 1, &b->queue);
	guest_common_write(&b->device, VIRTIO_PCI_COMMON_Q_SIZE, 2, 2);
	guest_add_status(&b->device, VIRTIO_CONFIG_S_DRIVER_OK);
	guest_common_write(&b->device, VIRTIO_PCI_COMMON_Q_DESCLO, 4, 0);
	guest_common_write(&b->device, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 0);
	assert_int_equal(guest_common_read(&b->device, VIRTIO_PCI_COMMON_Q_SIZE, 2), 16);
	assert_int_equal(guest_common_read(&b->device, VIRTIO_PCI_COMMON_Q_DESCLO, 4),
			 (uint32_t)b->queue.desc);
	assert_int_equal(guest_common_read(&b->device, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 1);
	/* The other one can no longer be set up. */
	guest_common_write(&b->device, VIRTIO_PCI_COMMON_Q_SELECT, 2, 0);
	guest_common_write(&b->device, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	assert_int_equal(guest_common_read(&b->device, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
}

static void test_enable_before_features(void **state)
{
	struct bench *b = *state;

	guest_enable_queue(&b->device, 1, &b->queue);
	assert_int_equal(guest_common_read(&b->device, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
	assert_int_equal(guest_status(&b->device), 0);
}

static void test_status_bits_stay(void **state)
{
	struct bench *b = *state;

	start(b);
	guest_common_write(&b->device, VIRTIO_PCI_COMMON_STATUS, 1, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	assert_int_equal(guest_status(&b->device), READY | VIRTIO_CONFIG_S_DRIVER_OK);
	/* NEEDS_RESET is the device's to set. */
	guest_common_write(&b->device, VIRTIO_PCI_COMMON_STATUS, 1, 0x70);
	assert_int_equal(guest_status(&b->device), READY | VIRTIO_CONFIG_S_DRIVER_OK);
}

/* A reset during I/O waits for it, and takes the buffer away from the device. */
static void test_reset_during_io(void **state)
{
	struct bench *b = *state;
	struct virtio_dev *dev = &b->echo.dev;

	start(b);
	b->echo.nr_resets = 0;
	b->echo.keep = true;
	add_one(b);
	virtio_service(dev);
	assert_int_equal(dev->queues[1].nr_in_flight, 1);
	virtio_lock(dev);
	virtio_begin_io(dev);
	virtio_lock(dev);
	virtio_begin_io(dev);

	guest_common_write(&b->device, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	assert_int_equal(guest_status(&b->device), READY | VIRTIO_CONFIG_S_DRIVER_OK);
	guest_common_write(&b->device, VIRTIO_PCI_COMMON_STATUS, 1, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	assert_false(virtio_end_io(dev));
	virtio_push(dev, 1, &b->echo.chain, 0);
	virtio_notify(dev, 1);
	virtio_unlock(dev);
	assert_int_equal(b->echo.nr_resets, 0);
	assert_false(virtio_end_io(dev));
	virtio_unlock(dev);
	assert_int_equal(b->echo.nr_resets, 1);
	assert_int_equal(guest_status(&b->device), 0);
	assert_int_equal(nr_used(b), 0);
	assert_false(b->guest->intx[0]);
}

static unsigned find_window(struct bench *b)
{
	unsigned at = (unsigned)guest_config_read(b->guest, 0, PCI_CAPABILITY_LIST, 1);

	while (guest_config_read(b->guest, 0, at, 1) != PCI_CAP_ID_VNDR ||
	       guest_config_read(b->guest, 0, at + 3, 1) != VIRTIO_PCI_CAP_PCI_CFG)
		at = (unsigned)guest_config_read(b->guest, 0, at + 1, 1);
	return at;
}

static void set_window(struct bench *b, unsigned at, uint8_t bar, uint32_t offset, uint32_t length)
{
	guest_config_write(b->guest, 0, at + 4, 1, bar);
	guest_config_write(b->guest, 0, at + 8, 4, offset);
	guest_config_write(b->guest, 0, at + 12, 4, length);
}

static void test_window(void **state)
{
	struct bench *b = *state;
	const unsigned at = find_window(b);

	/* Without memory decoding, as firmware would. */
	guest_config_write(b->guest, 0, PCI_COMMAND, 2, 0);
	set_window(b, at, 0, VIRTIO_PCI_COMMON_NUMQ, 2);
	assert_int_equal(guest_config_read(b->guest, 0, at + 16, 2), 2);
	set_window(b, at, 0, VIRTIO_PCI_COMMON_STATUS, 1);
	guest_config_write(b->guest, 0, at + 16, 1, 1);
	assert_int_equal(b->echo.dev.status, 1);
	set_window(b, at, 1, 12, 4);
	assert_int_equal(guest_config_read(b->guest, 0, at + 16, 4), 1);
}

static void test_bad_windows(void **state)
{
	struct bench *b = *state;
	const unsigned at = find_window(b);
	static const struct {
		uint8_t bar;
		uint32_t offset, length;
	} bad[] = {
		{0, VIRTIO_PCI_COMMON_STATUS, 4},
		{0, VIRTIO_PCI_COMMON_STATUS, 0},
		{0, VIRTIO_PCI_COMMON_STATUS, 3},
		{0, 0x4000, 1},
		{0, 0xffffffff, 1},
		{2, 0, 1},
		{6, 0, 1},
		{255, 0, 1},
	};

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		set_window(b, at, bad[i].bar, bad[i].offset, bad[i].length);
		guest_config_write(b->guest, 0, at + 16, 1, 1);
		assert_int_equal(guest_config_read(b->guest, 0, at + 16, 1), 1);
		assert_int_equal(b->echo.dev.status, 0);
	}
	/* Misaligned in the BAR, though aligned in the window. */
	set_window(b, at, 0, VIRTIO_PCI_COMMON_NUMQ + 1, 2);
	assert_int_equal(guest_config_read(b->guest, 0, at + 16, 2), 1);
}

#define PCI_TEST(f) cmocka_unit_test_setup_teardown(f, bench_begin, bench_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PCI_TEST(test_identity),
		PCI_TEST(test_features),
		PCI_TEST(test_features_refused),
		PCI_TEST(test_platform_bit_in_plain_vm),
		PCI_TEST(test_features_are_fixed),
		PCI_TEST(test_queue_registers),
		PCI_TEST(test_no_such_queue),
		PCI_TEST(test_odd_accesses),
		PCI_TEST(test_config_space),
		PCI_TEST(test_config_change),
		PCI_TEST(test_buffers_go_round),
		PCI_TEST(test_msix),
		PCI_TEST(test_interrupt_disable),
		PCI_TEST(test_reset_lowers_the_line),
		PCI_TEST(test_bus_master),
		PCI_TEST(test_loop),
		PCI_TEST(test_private_rings),
		PCI_TEST(test_bad_rings),
		PCI_TEST(test_enabled_queue_is_fixed),
		PCI_TEST(test_enable_before_features),
		PCI_TEST(test_status_bits_stay),
		PCI_TEST(test_reset_during_io),
		PCI_TEST(test_window),
		PCI_TEST(test_bad_windows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
