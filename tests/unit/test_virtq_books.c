/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Books on a queue that somebody else runs: here the test is driver and device, and writes both
 * rings.
 *
 * links: src/virtio/virtq_books.c src/virtio/virtq.c src/virtio/virtq_chain.c src/virtio/mem.c
 *	src/pci/host.c src/pci/function.c src/pci/msix.c tests/fake/virtio_guest.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ccr/virtq_books.h"
#include "../fake/virtio_guest.h"

#define RINGS (GUEST_RAM_BASE + 0x1000)
#define SIZE  8u

struct bench {
	struct guest *guest;
	struct guest_queue driver;
	struct virtq queue;
	struct virtq_books books;
};

static int begin(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	b->guest = guest_create();
	guest_queue_place(&b->driver, b->guest, RINGS, SIZE);
	virtq_init(&b->queue, &b->guest->virtio_mem, SIZE);
	b->queue.desc = dma_at(b->driver.desc);
	b->queue.avail = dma_at(b->driver.avail);
	b->queue.used = dma_at(b->driver.used);
	assert_int_equal(virtq_enable(&b->queue), 0);
	virtq_books_open(&b->books, &b->queue);
	*state = b;
	return 0;
}

static int end(void **state)
{
	struct bench *b = *state;

	guest_destroy(b->guest);
	free(b);
	return 0;
}

static struct vring_avail *avail_ring(struct bench *b)
{
	return guest_ram(&b->guest->mem, b->driver.avail);
}

/* The device gives a buffer back. */
static void use(struct bench *b, uint16_t head)
{
	struct vring_used *used = guest_ram(&b->guest->mem, b->driver.used);

	used->ring[used->idx % SIZE] = (struct vring_used_elem){head, 1};
	used->idx++;
}

/* What another device would find: its first index, and the heads from there on. */
static void returns(struct bench *b, uint16_t base, unsigned nr, const uint16_t *heads)
{
	assert_int_equal(virtq_books_return(&b->books, &b->queue), 0);
	assert_int_equal(virtq_base(&b->queue), base);
	assert_int_equal((uint16_t)(avail_ring(b)->idx - base), nr);
	for (unsigned i = 0; i < nr; i++)
		assert_int_equal(avail_ring(b)->ring[(uint16_t)(base + i) % SIZE], heads[i]);
}

/* Used out of order: what is left is offered again, behind what was used. */
static void test_out_of_order(void **state)
{
	static const uint16_t left[] = {1, 3};
	struct bench *b = *state;

	for (uint16_t head = 0; head < 4; head++)
		guest_offer(&b->driver, head);
	use(b, 2);
	use(b, 0);
	returns(b, 2, 2, left);
	/* The books go on: the second device uses one, and the driver goes on as well. */
	use(b, 3);
	guest_offer(&b->driver, 3);
	guest_offer(&b->driver, 0);
	returns(b, 3, 3, (const uint16_t[]){0, 1, 3});
}

static void test_nothing_left(void **state)
{
	struct bench *b = *state;

	returns(b, 0, 0, NULL);
	guest_offer(&b->driver, 5);
	use(b, 5);
	returns(b, 1, 0, NULL);
}

/* One buffer stays while the others go around the ring again and again. */
static void test_long_stay(void **state)
{
	static const uint16_t left[] = {7};
	struct bench *b = *state;

	guest_offer(&b->driver, 7);
	for (unsigned i = 0; i < 70000; i++) {
		guest_offer(&b->driver, i % 3);
		use(b, i % 3);
		if (i % 6 == 5)
			virtq_books_look(&b->books, &b->queue);
	}
	returns(b, (uint16_t)70000, 1, left);
}

/* Nobody looked for a round: then nobody knows, until nothing is in flight. */
static void test_too_late(void **state)
{
	struct bench *b = *state;

	guest_offer(&b->driver, 7);
	for (unsigned i = 0; i < SIZE; i++) {
		guest_offer(&b->driver, 1);
		use(b, 1);
	}
	assert_int_equal(virtq_books_return(&b->books, &b->queue), -EBADMSG);
	guest_offer(&b->driver, 2);
	assert_int_equal(virtq_books_return(&b->books, &b->queue), -EBADMSG);
	use(b, 7);
	assert_int_equal(virtq_books_return(&b->books, &b->queue), -EBADMSG);
	use(b, 2);
	virtq_books_look(&b->books, &b->queue);
	guest_offer(&b->driver, 2);
	returns(b, SIZE + 2, 1, (const uint16_t[]){2});
}

/* What cannot be: a head that the queue does not have, one that was made available twice. */
static void test_nonsense(void **state)
{
	struct bench *b = *state;

	guest_offer(&b->driver, SIZE);
	assert_int_equal(virtq_books_return(&b->books, &b->queue), -EBADMSG);
	use(b, 0);
	virtq_books_look(&b->books, &b->queue);
	guest_offer(&b->driver, 3);
	guest_offer(&b->driver, 3);
	assert_int_equal(virtq_books_return(&b->books, &b->queue), -EBADMSG);
}

static void test_private_rings(void **state)
{
	struct bench *b = *state;

	guest_offer(&b->driver, 1);
	memset(b->guest->mem.is_private, true, sizeof(b->guest->mem.is_private));
	assert_int_equal(virtq_books_return(&b->books, &b->queue), -EBADMSG);
	memset(b->guest->mem.is_private, false, sizeof(b->guest->mem.is_private));
	/* Something is in flight, and nobody has seen how it came to be. */
	assert_int_equal(virtq_books_return(&b->books, &b->queue), -EBADMSG);
}

static void test_closed(void **state)
{
	struct bench *b = *state;

	guest_offer(&b->driver, 1);
	virtq_books_close(&b->books);
	virtq_books_look(&b->books, &b->queue);
	assert_int_equal(b->books.nr, 0);
	assert_int_equal(virtq_books_return(&b->books, &b->queue), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_out_of_order, begin, end),
		cmocka_unit_test_setup_teardown(test_nothing_left, begin, end),
		cmocka_unit_test_setup_teardown(test_long_stay, begin, end),
		cmocka_unit_test_setup_teardown(test_too_late, begin, end),
		cmocka_unit_test_setup_teardown(test_nonsense, begin, end),
		cmocka_unit_test_setup_teardown(test_private_rings, begin, end),
		cmocka_unit_test_setup_teardown(test_closed, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
