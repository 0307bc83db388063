/* SPDX-License-Identifier: Apache-2.0 */
/*
 * links: src/virtio/vconsole.c src/virtio/vconsole_control.c src/virtio/virtio_pci.c
 *	src/virtio/virtio.c src/virtio/virtq.c src/virtio/virtq_chain.c src/virtio/mem.c
 *	src/pci/host.c src/pci/function.c src/pci/msix.c src/util/log.c src/util/err.c
 *	tests/fake/virtio_guest.c
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

#include "ccr/vconsole.h"
#include "ccr/virtio_pci.h"
#include "../fake/virtio_guest.h"

#define BIT(n)       (1ull << (n))
#define FEATURES     (BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_ACCESS_PLATFORM) | BIT(0))
#define INPUT_RINGS  (GUEST_RAM_BASE + 0x1000)
#define OUTPUT_RINGS (GUEST_RAM_BASE + 0x2000)
#define DATA         (GUEST_RAM_BASE + 0x10000)
#define INPUT_SIZE   4
#define OUTPUT_SIZE  16

struct bench {
	struct guest *guest;
	struct vconsole console;
	struct virtio_pci transport;
	struct guest_device device;
	struct guest_queue input, output;
};

static void start(struct bench *b)
{
	guest_queue_place(&b->input, b->guest, INPUT_RINGS, INPUT_SIZE);
	guest_queue_place(&b->output, b->guest, OUTPUT_RINGS, OUTPUT_SIZE);
	guest_negotiate(&b->device, FEATURES);
	guest_enable_queue(&b->device, 0, &b->input);
	guest_enable_queue(&b->device, 1, &b->output);
	guest_add_status(&b->device, VIRTIO_CONFIG_S_DRIVER_OK);
	assert_int_equal(guest_status(&b->device), 0xf);
}

static int bench_begin(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct virtio_setup setup;

	assert_non_null(b);
	b->guest = guest_create();
	assert_non_null(b->guest);
	setup = guest_setup(b->guest);
	assert_int_equal(vconsole_init(&b->console, NULL, 0, &setup), 0);
	virtio_pci_init(&b->transport, &b->console.virtio);
	assert_int_equal(pci_host_add(&b->guest->pci, &b->transport.function), 0);
	b->device = guest_probe(b->guest, 0);
	start(b);
	*state = b;
	return 0;
}

static int bench_end(void **state)
{
	struct bench *b = *state;

	virtio_pci_done(&b->transport);
	vconsole_done(&b->console);
	guest_destroy(b->guest);
	free(b);
	return 0;
}

static void print(struct bench *b, uint64_t at, const char *text)
{
	const struct guest_piece piece = {at, (uint32_t)strlen(text), false};

	memcpy(guest_ram(&b->guest->mem, at), text, strlen(text));
	guest_add(&b->output, &piece, 1);
}

static unsigned nr_used(struct guest_queue *queue)
{
	struct vring_used_elem used;
	unsigned nr = 0;

	while (guest_take_used(queue, &used))
		nr++;
	return nr;
}

static void test_output(void **state)
{
	struct bench *b = *state;
	const struct guest_piece pieces[] = {{DATA, 3, false}, {DATA + 0x1000, 2, false}};
	uint8_t bytes[16];

	print(b, DATA + 0x1000, "lo");
	print(b, DATA, "hel");
	guest_add(&b->output, pieces, 2);
	virtio_service(&b->console.virtio);
	assert_int_equal(nr_used(&b->output), 3);
	assert_true(b->guest->intx[0]);
	assert_int_equal(vconsole_peek(&b->console, VCONSOLE_PORT, bytes, sizeof(bytes)), 10);
	assert_memory_equal(bytes, "lohelhello", 10);
	assert_int_equal(vconsole_peek(&b->console, VCONSOLE_PORT, bytes, 2), 2);
	vconsole_consume(&b->console, VCONSOLE_PORT, 5);
	assert_int_equal(vconsole_peek(&b->console, VCONSOLE_PORT, bytes, sizeof(bytes)), 5);
	assert_memory_equal(bytes, "hello", 5);
	vconsole_consume(&b->console, VCONSOLE_PORT, 1000);
	assert_int_equal(vconsole_peek(&b->console, VCONSOLE_PORT, bytes, sizeof(bytes)), 0);
	assert_int_equal(vconsole_get_state(&b->console, VCONSOLE_PORT).nr_written, 10);
}

/* A big buffer waits for the host end; nothing is lost, whatever the pace. */
static void test_back_pressure(void **state)
{
	struct bench *b = *state;
	const uint32_t size = 3 * VCONSOLE_RING_SIZE + 100;
	const struct guest_piece piece = {DATA, size, false};
	uint8_t *ram = guest_ram(&b->guest->mem, DATA);
	uint8_t bytes[777];
	uint32_t seen = 0;

	for (uint32_t i = 0; i < size; i++)
		ram[i] = (uint8_t)(i * 31 >> 3);
	guest_add(&b->output, &piece, 1);
	guest_add(&b->output, &piece, 1);
	virtio_service(&b->console.virtio);
	assert_int_equal(nr_used(&b->output), 0);
	while (seen < 2 * size) {
		const size_t got = vconsole_peek(&b->console, VCONSOLE_PORT, bytes, sizeof(bytes));

		assert_true(got > 0);
		for (size_t i = 0; i < got; i++, seen++)
			assert_int_equal(bytes[i], ram[seen % size]);
		vconsole_consume(&b->console, VCONSOLE_PORT, got);
	}
	assert_int_equal(nr_used(&b->output), 2);
	assert_int_equal(vconsole_get_state(&b->console, VCONSOLE_PORT).nr_dropped, 0);
}

static void test_stall(void **state)
{
	struct bench *b = *state;
	const struct guest_piece piece = {DATA, VCONSOLE_RING_SIZE + 10, false};

	guest_add(&b->output, &piece, 1);
	print(b, DATA, "x");
	virtio_service(&b->console.virtio);
	assert_int_equal(nr_used(&b->output), 0);
	vconsole_set_stalled(&b->console);
	assert_int_equal(nr_used(&b->output), 2);
	assert_int_equal(vconsole_get_state(&b->console, VCONSOLE_PORT).nr_dropped, 11);
	/* It moves again: no more is lost. */
	vconsole_consume(&b->console, VCONSOLE_PORT, 5);
	guest_add(&b->output, &piece, 1);
	virtio_service(&b->console.virtio);
	assert_int_equal(nr_used(&b->output), 0);
	assert_int_equal(vconsole_get_state(&b->console, VCONSOLE_PORT).nr_dropped, 11);
}

static void test_input(void **state)
{
	struct bench *b = *state;
	const struct guest_piece pieces[] = {{DATA, 2, true}, {DATA + 0x1000, 2, true}};
	const struct guest_piece big = {DATA + 0x2000, 100, true};
	struct vring_used_elem used;

	/* Typed before the driver gave any buffer. */
	assert_int_equal(
		vconsole_receive(&b->console, VCONSOLE_PORT, (const uint8_t *)"abcdefg", 7), 7);
	assert_int_equal(vconsole_room(&b->console, VCONSOLE_PORT), VCONSOLE_INPUT_SIZE - 7);
	guest_add(&b->input, pieces, 2);
	guest_add(&b->input, &big, 1);
	virtio_service(&b->console.virtio);
	assert_true(guest_take_used(&b->input, &used));
	assert_int_equal(used.len, 4);
	assert_true(guest_take_used(&b->input, &used));
	assert_int_equal(used.len, 3);
	assert_memory_equal(guest_ram(&b->guest->mem, DATA), "ab", 2);
	assert_memory_equal(guest_ram(&b->guest->mem, DATA + 0x1000), "cd", 2);
	assert_memory_equal(guest_ram(&b->guest->mem, DATA + 0x2000), "efg", 3);
	assert_int_equal(vconsole_room(&b->console, VCONSOLE_PORT), VCONSOLE_INPUT_SIZE);
}

static void test_input_is_bounded(void **state)
{
	struct bench *b = *state;
	static const uint8_t bytes[VCONSOLE_INPUT_SIZE + 100];

	assert_int_equal(vconsole_receive(&b->console, VCONSOLE_PORT, bytes, sizeof(bytes)),
			 VCONSOLE_INPUT_SIZE);
	assert_int_equal(vconsole_room(&b->console, VCONSOLE_PORT), 0);
	assert_int_equal(vconsole_receive(&b->console, VCONSOLE_PORT, bytes, 1), 0);
}

static void test_resize(void **state)
{
	struct bench *b = *state;

	vconsole_resize(&b->console, 132, 43);
	assert_int_equal(guest_mem_read(b->guest, b->device.config, 2), 132);
	assert_int_equal(guest_mem_read(b->guest, b->device.config + 2, 2), 43);
	assert_int_equal(guest_mem_read(b->guest, b->device.config + 4, 4), 1);
	assert_int_equal(guest_mem_read(b->guest, b->device.isr, 1), 2);
}

static void test_private_output(void **state)
{
	struct bench *b = *state;

	print(b, DATA, "secret");
	b->guest->mem.is_private[(DATA - GUEST_RAM_BASE) / GRANULE_SIZE] = true;
	virtio_service(&b->console.virtio);
	assert_int_equal(nr_used(&b->output), 0);
	assert_int_equal(guest_status(&b->device), 0x4f);
	assert_int_equal(vconsole_get_state(&b->console, VCONSOLE_PORT).nr_written, 0);
	assert_int_equal(b->guest->mem.nr_refused, 1);
}

static void test_input_into_nothing(void **state)
{
	struct bench *b = *state;
	const struct guest_piece piece = {DATA, 4, false};
	struct vring_used_elem used;

	/* A buffer nobody may write takes no byte away. */
	guest_add(&b->input, &piece, 1);
	assert_int_equal(vconsole_receive(&b->console, VCONSOLE_PORT, (const uint8_t *)"a", 1), 1);
	assert_true(guest_take_used(&b->input, &used));
	assert_int_equal(used.len, 0);
	assert_int_equal(vconsole_room(&b->console, VCONSOLE_PORT), VCONSOLE_INPUT_SIZE - 1);
}

/* A reset while a buffer is half taken: it is forgotten, the ring is not. */
static void test_reset_in_the_middle(void **state)
{
	struct bench *b = *state;
	const struct guest_piece piece = {DATA, VCONSOLE_RING_SIZE + 10, false};

	guest_add(&b->output, &piece, 1);
	virtio_service(&b->console.virtio);
	start(b);
	print(b, DATA, "new");
	vconsole_consume(&b->console, VCONSOLE_PORT, VCONSOLE_RING_SIZE);
	assert_int_equal(nr_used(&b->output), 1);
	assert_int_equal(vconsole_get_state(&b->console, VCONSOLE_PORT).nr_written,
			 VCONSOLE_RING_SIZE + 3);
}

#define CONSOLE_TEST(f) cmocka_unit_test_setup_teardown(f, bench_begin, bench_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CONSOLE_TEST(test_output),
		CONSOLE_TEST(test_back_pressure),
		CONSOLE_TEST(test_stall),
		CONSOLE_TEST(test_input),
		CONSOLE_TEST(test_input_is_bounded),
		CONSOLE_TEST(test_resize),
		CONSOLE_TEST(test_private_output),
		CONSOLE_TEST(test_input_into_nothing),
		CONSOLE_TEST(test_reset_in_the_middle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
