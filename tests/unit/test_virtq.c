/* SPDX-License-Identifier: Apache-2.0 */
/*
 * links: src/virtio/virtq.c src/virtio/virtq_chain.c src/virtio/mem.c src/pci/host.c
 *	src/pci/function.c src/pci/msix.c tests/fake/virtio_guest.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>

#include "ccr/virtq.h"
#include "../fake/virtio_guest.h"

#define RINGS (GUEST_RAM_BASE + 0x1000)
#define TABLE (GUEST_RAM_BASE + 0x2000)
#define DATA  (GUEST_RAM_BASE + 0x10000)
#define SIZE  8

/* A queue and the driver at its other end. */
struct bench {
	struct guest *guest;
	struct guest_queue driver;
	struct virtq queue;
	struct virtq_chain chain;
};

static int bench_begin(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	b->guest = guest_create();
	assert_non_null(b->guest);
	guest_queue_place(&b->driver, b->guest, RINGS, SIZE);
	virtq_init(&b->queue, &b->guest->virtio_mem, SIZE);
	b->queue.desc = dma_at(b->driver.desc);
	b->queue.avail = dma_at(b->driver.avail);
	b->queue.used = dma_at(b->driver.used);
	b->queue.has_indirect = true;
	assert_int_equal(virtq_enable(&b->queue), 0);
	*state = b;
	return 0;
}

static int bench_end(void **state)
{
	struct bench *b = *state;

	guest_destroy(b->guest);
	free(b);
	return 0;
}

static void set_private(struct bench *b, uint64_t at)
{
	b->guest->mem.is_private[(at - GUEST_RAM_BASE) / GRANULE_SIZE] = true;
}

static void put16(struct bench *b, uint64_t at, uint16_t value)
{
	memcpy(guest_ram(&b->guest->mem, at), &value, sizeof(value));
}

static uint16_t get16(struct bench *b, uint64_t at)
{
	uint16_t value;

	memcpy(&value, guest_ram(&b->guest->mem, at), sizeof(value));
	return value;
}

static void assert_broken(struct bench *b, int ret, const char *why)
{
	assert_int_equal(ret, -EBADMSG);
	assert_string_equal(b->queue.error, why);
}

static void test_nothing_offered(void **state)
{
	struct bench *b = *state;

	assert_int_equal(virtq_pop(&b->queue, &b->chain), 0);
	assert_int_equal(virtq_arm(&b->queue), 0);
	assert_int_equal(virtq_wants_interrupt(&b->queue), 0);
}

static void test_chain_is_copied(void **state)
{
	struct bench *b = *state;
	const struct guest_piece pieces[] = {
		{DATA, 16, false}, {DATA + 0x1000, 512, true}, {DATA + 0x3000, 1, true}};
	struct vring_used_elem used;

	guest_add(&b->driver, pieces, 3);
	assert_int_equal(virtq_pop(&b->queue, &b->chain), 1);
	assert_int_equal(b->chain.head, 0);
	assert_int_equal(b->chain.nr_out, 1);
	assert_int_equal(b->chain.nr_in, 2);
	assert_int_equal(b->chain.out_size, 16);
	assert_int_equal(b->chain.in_size, 513);
	assert_int_equal(b->chain.segments[1].at.v, DATA + 0x1000);
	assert_int_equal(b->chain.segments[2].size, 1);
	assert_int_equal(b->queue.nr_in_flight, 1);

	assert_false(guest_take_used(&b->driver, &used));
	assert_int_equal(virtq_push(&b->queue, b->chain.head, 513), 0);
	assert_true(guest_take_used(&b->driver, &used));
	assert_int_equal(used.id, 0);
	assert_int_equal(used.len, 513);
	assert_int_equal(b->queue.nr_in_flight, 0);
}

/* Indices run past 2^16 and the ring's end. */
static void test_indices_wrap(void **state)
{
	struct bench *b = *state;
	const struct guest_piece piece = {DATA, 4, true};
	struct vring_used_elem used;

	for (unsigned i = 0; i < 70000; i++) {
		const uint16_t head = guest_add(&b->driver, &piece, 1);

		assert_int_equal(virtq_pop(&b->queue, &b->chain), 1);
		assert_int_equal(b->chain.head, head);
		assert_int_equal(virtq_push(&b->queue, head, i), 0);
		assert_true(guest_take_used(&b->driver, &used));
		assert_int_equal(used.len, i);
	}
	assert_int_equal(virtq_pop(&b->queue, &b->chain), 0);
}

static void put_table(struct bench *b, unsigned index, struct vring_desc desc)
{
	memcpy((char *)guest_ram(&b->guest->mem, TABLE) + 16 * index, &desc, sizeof(desc));
}

static void test_indirect(void **state)
{
	struct bench *b = *state;

	put_table(b, 0, (struct vring_desc){DATA, 16, VRING_DESC_F_NEXT, 2});
	put_table(b, 2, (struct vring_desc){DATA + 512, 512, VRING_DESC_F_WRITE, 0});
	guest_desc(&b->driver, 3, TABLE | GUEST_SHARED_BIT, 48,
		   VRING_DESC_F_INDIRECT | VRING_DESC_F_WRITE, 0);
	guest_offer(&b->driver, 3);
	assert_int_equal(virtq_pop(&b->queue, &b->chain), 1);
	assert_int_equal(b->chain.head, 3);
	assert_int_equal(b->chain.nr_out, 1);
	assert_int_equal(b->chain.nr_in, 1);
	assert_int_equal(b->chain.segments[1].at.v, DATA + 512);
}

/* Descriptors of the ring followed by an indirect one are allowed (2.7.5.3.2). */
static void test_indirect_at_end(void **state)
{
	struct bench *b = *state;

	put_table(b, 0, (struct vring_desc){DATA, 16, VRING_DESC_F_WRITE, 0});
	guest_desc(&b->driver, 0, DATA, 8, VRING_DESC_F_NEXT, 5);
	guest_desc(&b->driver, 5, TABLE, 16, VRING_DESC_F_INDIRECT, 0);
	guest_offer(&b->driver, 0);
	assert_int_equal(virtq_pop(&b->queue, &b->chain), 1);
	assert_int_equal(b->chain.nr_out, 1);
	assert_int_equal(b->chain.nr_in, 1);
}

/* One descriptor that breaks a rule, as head 0, and what is said about it. */
static const struct {
	struct vring_desc desc;
	const char *why;
} bad_descs[] = {
	{{DATA, 0, 0, 0}, "an empty descriptor"},
	{{DATA, 16, VRING_DESC_F_NEXT, 0}, "a chain is too long or has a loop"},
	{{DATA, 16, VRING_DESC_F_NEXT, SIZE}, "a descriptor index is out of range"},
	{{DATA, 16, VRING_DESC_F_NEXT, 0xffff}, "a descriptor index is out of range"},
	{{UINT64_MAX - 8, 16, 0, 0}, "a descriptor wraps around the address space"},
	{{UINT64_MAX, 1, VRING_DESC_F_WRITE, 0}, "a descriptor wraps around the address space"},
	{{TABLE, 0, VRING_DESC_F_INDIRECT, 0}, "an indirect table of a size that cannot be"},
	{{TABLE, 24, VRING_DESC_F_INDIRECT, 0}, "an indirect table of a size that cannot be"},
	{{TABLE, 16 * (VIRTIO_MAX_SEGMENTS + 1), VRING_DESC_F_INDIRECT, 0},
	 "an indirect table of a size that cannot be"},
	{{TABLE, 0xfffffff0, VRING_DESC_F_INDIRECT, 0},
	 "an indirect table of a size that cannot be"},
	{{TABLE, 16, VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT, 1},
	 "an indirect descriptor that is not the last"},
	{{UINT64_MAX - 7, 16, VRING_DESC_F_INDIRECT, 0},
	 "an indirect table that is not in shared memory"},
	{{0, 16, VRING_DESC_F_INDIRECT, 0}, "an indirect table that is not in shared memory"},
	{{GUEST_RAM_BASE + GUEST_RAM_SIZE - 8, 16, VRING_DESC_F_INDIRECT, 0},
	 "an indirect table that is not in shared memory"},
};

static void test_bad_descriptors(void **state)
{
	struct bench *b = *state;

	for (unsigned i = 0; i < sizeof(bad_descs) / sizeof(bad_descs[0]); i++) {
		const struct vring_desc *d = &bad_descs[i].desc;

		guest_desc(&b->driver, 0, d->addr, d->len, d->flags, d->next);
		guest_offer(&b->driver, 0);
		assert_broken(b, virtq_pop(&b->queue, &b->chain), bad_descs[i].why);
		assert_int_equal(b->queue.nr_in_flight, 0);
		b->queue.next_avail++;
	}
}

static const struct {
	struct vring_desc table[2];
	const char *why;
} bad_tables[] = {
	{{{TABLE, 16, VRING_DESC_F_INDIRECT, 0}},
	 "an indirect descriptor inside an indirect table"},
	{{{DATA, 16, VRING_DESC_F_NEXT, 2}}, "a descriptor index is out of range"},
	{{{DATA, 16, VRING_DESC_F_NEXT, 1}, {DATA, 16, VRING_DESC_F_NEXT, 0}},
	 "a chain is too long or has a loop"},
	{{{DATA, 16, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 1}, {DATA, 16, 0, 0}},
	 "a readable descriptor behind a writable one"},
	{{{0, 0xffffffff, VRING_DESC_F_NEXT, 1}, {0, 1, 0, 0}}, "a chain of 4 GiB or more"},
};

static void test_bad_tables(void **state)
{
	struct bench *b = *state;

	guest_desc(&b->driver, 0, TABLE, 32, VRING_DESC_F_INDIRECT, 0);
	for (unsigned i = 0; i < sizeof(bad_tables) / sizeof(bad_tables[0]); i++) {
		put_table(b, 0, bad_tables[i].table[0]);
		put_table(b, 1, bad_tables[i].table[1]);
		guest_offer(&b->driver, 0);
		assert_broken(b, virtq_pop(&b->queue, &b->chain), bad_tables[i].why);
		b->queue.next_avail++;
	}
}

static void test_longest_chain(void **state)
{
	struct bench *b = *state;

	for (unsigned i = 0; i < VIRTIO_MAX_SEGMENTS; i++)
		put_table(b, i,
			  (struct vring_desc){DATA + i, 1,
					      i + 1 < VIRTIO_MAX_SEGMENTS ? VRING_DESC_F_NEXT : 0,
					      (uint16_t)(i + 1)});
	guest_desc(&b->driver, 1, TABLE, 16 * VIRTIO_MAX_SEGMENTS, VRING_DESC_F_INDIRECT, 0);
	guest_offer(&b->driver, 1);
	assert_int_equal(virtq_pop(&b->queue, &b->chain), 1);
	assert_int_equal(b->chain.nr_out, VIRTIO_MAX_SEGMENTS);

	/* One more in front is one too many. */
	guest_desc(&b->driver, 0, DATA, 1, VRING_DESC_F_NEXT, 1);
	guest_offer(&b->driver, 0);
	assert_broken(b, virtq_pop(&b->queue, &b->chain), "a chain is too long or has a loop");
}

static void test_indirect_not_negotiated(void **state)
{
	struct bench *b = *state;

	b->queue.has_indirect = false;
	guest_desc(&b->driver, 0, TABLE, 16, VRING_DESC_F_INDIRECT, 0);
	guest_offer(&b->driver, 0);
	assert_broken(b, virtq_pop(&b->queue, &b->chain),
		      "an indirect descriptor that was not negotiated");
}

static void test_head_out_of_range(void **state)
{
	struct bench *b = *state;

	guest_offer(&b->driver, SIZE);
	assert_broken(b, virtq_pop(&b->queue, &b->chain), "a descriptor index is out of range");
}

static void test_index_ahead(void **state)
{
	struct bench *b = *state;

	put16(b, b->driver.avail + 2, SIZE + 1);
	assert_broken(b, virtq_pop(&b->queue, &b->chain),
		      "the available index is ahead of the ring");
	put16(b, b->driver.avail + 2, 0xffff);
	assert_broken(b, virtq_arm(&b->queue), "the available index is ahead of the ring");
}

/* A driver that offers buffers for ever without waiting for any. */
static void test_too_many_in_flight(void **state)
{
	struct bench *b = *state;

	for (unsigned i = 0; i < SIZE; i++) {
		const struct guest_piece piece = {DATA, 4, true};

		guest_add(&b->driver, &piece, 1);
		assert_int_equal(virtq_pop(&b->queue, &b->chain), 1);
	}
	guest_offer(&b->driver, 0);
	assert_broken(b, virtq_pop(&b->queue, &b->chain), "more buffers than the ring has entries");
}

static void test_private_rings(void **state)
{
	struct bench *b = *state;
	const struct guest_piece piece = {DATA, 4, true};

	guest_add(&b->driver, &piece, 1);
	assert_int_equal(virtq_pop(&b->queue, &b->chain), 1);
	set_private(b, RINGS);
	assert_broken(b, virtq_push(&b->queue, 0, 4), "its rings are not in shared memory");
	assert_broken(b, virtq_pop(&b->queue, &b->chain), "its rings are not in shared memory");
	assert_broken(b, virtq_arm(&b->queue), "its rings are not in shared memory");
	assert_int_equal(b->guest->mem.nr_refused, 3);
}

static void test_private_table(void **state)
{
	struct bench *b = *state;

	set_private(b, TABLE);
	guest_desc(&b->driver, 0, TABLE, 16, VRING_DESC_F_INDIRECT, 0);
	guest_offer(&b->driver, 0);
	assert_broken(b, virtq_pop(&b->queue, &b->chain),
		      "an indirect table that is not in shared memory");
}

/* A private copy: what the driver changes after the pop changes nothing. */
static void test_later_change_is_not_seen(void **state)
{
	struct bench *b = *state;
	const struct guest_piece piece = {DATA, 4, false};
	uint32_t value = 0;

	memcpy(guest_ram(&b->guest->mem, DATA), &(uint32_t){0x11223344}, 4);
	guest_add(&b->driver, &piece, 1);
	assert_int_equal(virtq_pop(&b->queue, &b->chain), 1);
	guest_desc(&b->driver, 0, 0, 0xffffffff, 0xffff, 0xffff);
	assert_int_equal(virtq_chain_read(&b->queue, &b->chain, 0, &value, 4), 0);
	assert_int_equal(value, 0x11223344);
}

static const struct {
	uint16_t size;
	uint64_t desc, avail, used;
	const char *why;
} bad_queues[] = {
	{0, RINGS, RINGS, RINGS, "its size is not one that was offered"},
	{3, RINGS, RINGS, RINGS, "its size is not one that was offered"},
	{2 * SIZE, RINGS, RINGS, RINGS, "its size is not one that was offered"},
	{0xffff, RINGS, RINGS, RINGS, "its size is not one that was offered"},
	{SIZE, RINGS + 8, RINGS, RINGS, "its rings are misaligned or wrap"},
	{SIZE, RINGS, RINGS + 1, RINGS, "its rings are misaligned or wrap"},
	{SIZE, RINGS, RINGS, RINGS + 2, "its rings are misaligned or wrap"},
	{SIZE, UINT64_MAX - 15, RINGS, RINGS, "its rings are misaligned or wrap"},
	{SIZE, RINGS, UINT64_MAX - 3, RINGS, "its rings are misaligned or wrap"},
	{SIZE, RINGS, RINGS, UINT64_MAX - 63, "its rings are misaligned or wrap"},
};

static void test_bad_queues(void **state)
{
	struct bench *b = *state;

	for (unsigned i = 0; i < sizeof(bad_queues) / sizeof(bad_queues[0]); i++) {
		virtq_reset(&b->queue);
		b->queue.size = bad_queues[i].size;
		b->queue.desc = dma_at(bad_queues[i].desc);
		b->queue.avail = dma_at(bad_queues[i].avail);
		b->queue.used = dma_at(bad_queues[i].used);
		assert_broken(b, virtq_enable(&b->queue), bad_queues[i].why);
		assert_false(b->queue.enabled);
	}
}

static void push_one(struct bench *b)
{
	const struct guest_piece piece = {DATA, 4, true};

	guest_add(&b->driver, &piece, 1);
	assert_int_equal(virtq_pop(&b->queue, &b->chain), 1);
	assert_int_equal(virtq_push(&b->queue, b->chain.head, 4), 0);
}

static void test_interrupt_flag(void **state)
{
	struct bench *b = *state;

	push_one(b);
	assert_int_equal(virtq_wants_interrupt(&b->queue), 1);
	assert_int_equal(virtq_wants_interrupt(&b->queue), 0);
	put16(b, b->driver.avail, VRING_AVAIL_F_NO_INTERRUPT);
	push_one(b);
	assert_int_equal(virtq_wants_interrupt(&b->queue), 0);
}

static void test_event_index(void **state)
{
	struct bench *b = *state;
	const uint64_t used_event = b->driver.avail + 4 + 2 * SIZE;
	const uint64_t avail_event = b->driver.used + 4 + 8 * SIZE;

	b->queue.has_event_idx = true;
	push_one(b);
	assert_int_equal(virtq_wants_interrupt(&b->queue), 1);
	/* "Tell me at the third": not at the second, and at a fourth that comes with it. */
	put16(b, used_event, 2);
	push_one(b);
	assert_int_equal(virtq_wants_interrupt(&b->queue), 0);
	push_one(b);
	push_one(b);
	assert_int_equal(virtq_wants_interrupt(&b->queue), 1);

	assert_int_equal(virtq_arm(&b->queue), 0);
	assert_int_equal(get16(b, avail_event), 4);
	guest_offer(&b->driver, 0);
	assert_int_equal(virtq_arm(&b->queue), 1);
}

static void test_slices(void **state)
{
	struct bench *b = *state;
	const struct virtq_chain chain = {
		.nr_out = 2,
		.nr_in = 2,
		.out_size = 30,
		.in_size = 300,
		.segments = {{{DATA}, 10},
			     {{DATA + 100}, 20},
			     {{DATA + 200}, 100},
			     {{DATA + 400}, 200}},
	};
	struct virtio_segment slices[VIRTIO_MAX_SEGMENTS];

	(void)b;
	assert_int_equal(virtq_chain_slice(&chain, VIRTQ_OUT, 8, 4, slices), 2);
	assert_int_equal(slices[0].at.v, DATA + 8);
	assert_int_equal(slices[0].size, 2);
	assert_int_equal(slices[1].at.v, DATA + 100);
	assert_int_equal(slices[1].size, 2);
	assert_int_equal(virtq_chain_slice(&chain, VIRTQ_IN, 299, 1, slices), 1);
	assert_int_equal(slices[0].at.v, DATA + 599);
	assert_int_equal(virtq_chain_slice(&chain, VIRTQ_OUT, 10, 20, slices), 1);
	assert_int_equal(virtq_chain_slice(&chain, VIRTQ_OUT, 0, 31, slices), 0);
	assert_int_equal(virtq_chain_slice(&chain, VIRTQ_OUT, 31, 0, slices), 0);
	assert_int_equal(virtq_chain_slice(&chain, VIRTQ_OUT, 0xffffffff, 2, slices), 0);
	assert_int_equal(virtq_chain_slice(&chain, VIRTQ_OUT, 30, 0, slices), 0);
}

static void test_copy_beyond_the_end(void **state)
{
	struct bench *b = *state;
	const struct guest_piece pieces[] = {{DATA, 4, false}, {DATA + 8, 4, true}};
	uint8_t bytes[8] = {0};

	guest_add(&b->driver, pieces, 2);
	assert_int_equal(virtq_pop(&b->queue, &b->chain), 1);
	assert_int_equal(virtq_chain_read(&b->queue, &b->chain, 0, bytes, 5), -EINVAL);
	assert_int_equal(virtq_chain_write(&b->queue, &b->chain, 4, bytes, 1), -EINVAL);
	assert_int_equal(virtq_chain_write(&b->queue, &b->chain, 4, bytes, 0), 0);
	set_private(b, DATA);
	assert_int_equal(virtq_chain_write(&b->queue, &b->chain, 0, bytes, 4), -EFAULT);
}

#define QUEUE_TEST(f) cmocka_unit_test_setup_teardown(f, bench_begin, bench_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		QUEUE_TEST(test_nothing_offered),
		QUEUE_TEST(test_chain_is_copied),
		QUEUE_TEST(test_indices_wrap),
		QUEUE_TEST(test_indirect),
		QUEUE_TEST(test_indirect_at_end),
		QUEUE_TEST(test_bad_descriptors),
		QUEUE_TEST(test_bad_tables),
		QUEUE_TEST(test_longest_chain),
		QUEUE_TEST(test_indirect_not_negotiated),
		QUEUE_TEST(test_head_out_of_range),
		QUEUE_TEST(test_index_ahead),
		QUEUE_TEST(test_too_many_in_flight),
		QUEUE_TEST(test_private_rings),
		QUEUE_TEST(test_private_table),
		QUEUE_TEST(test_later_change_is_not_seen),
		QUEUE_TEST(test_bad_queues),
		QUEUE_TEST(test_interrupt_flag),
		QUEUE_TEST(test_event_index),
		QUEUE_TEST(test_slices),
		QUEUE_TEST(test_copy_beyond_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
