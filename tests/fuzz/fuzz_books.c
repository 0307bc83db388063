/* SPDX-License-Identifier: Apache-2.0 */
/* links: src/virtio/virtq_books.c src/virtio/virtq.c src/virtio/virtq_chain.c src/virtio/mem.c */
/*
 * Books on the rings of a driver and a device. While both keep the rules, the books know what is in
 * flight, however rarely somebody looks, or say that they do not. Once either of them writes what
 * it likes, what is returned still is a set of heads that the queue has, each once, and nothing is
 * written but entries of the available ring.
 *
 * Input: 4-byte records {op, argument, 16-bit place}.
 */
#include <errno.h>
#include <string.h>

#include "ccr/virtq_books.h"
#include "fuzz.h"

#define RAM_SIZE     4096u
#define QUEUE_SIZE   8u
#define DESC         0u
#define AVAIL        0x100u
#define AVAIL_ENTRY  (AVAIL + 4)
#define USED         0x200u
#define USED_ENTRY   (USED + 4)
#define ENTRIES_SIZE (2 * QUEUE_SIZE)

struct record {
	uint8_t op, argument;
	uint16_t place;
};

/* struct world - @is_out is the truth, as long as @is_honest */
struct world {
	uint8_t ram[RAM_SIZE];
	struct virtq queue;
	struct virtq_books books;
	uint16_t avail, used;
	bool is_out[QUEUE_SIZE];
	bool is_honest;
};

static int ram_read(void *ctx, ipa_t at, void *buf, size_t size)
{
	if (!range_within(at.v, size, 0, RAM_SIZE))
		return -EFAULT;
	memcpy(buf, (uint8_t *)ctx + at.v, size);
	return 0;
}

static int ram_write(void *ctx, ipa_t at, const void *buf, size_t size)
{
	require(range_within(at.v, size, AVAIL_ENTRY, ENTRIES_SIZE));
	memcpy((uint8_t *)ctx + at.v, buf, size);
	return 0;
}

static int ram_load16(void *ctx, ipa_t at, uint16_t *ret_value)
{
	return ram_read(ctx, at, ret_value, sizeof(*ret_value));
}

static int ram_store16(void *ctx, ipa_t at, uint16_t value)
{
	return ram_write(ctx, at, &value, sizeof(value));
}

static const struct virtio_mem_ops ram_ops = {
	.read = ram_read,
	.write = ram_write,
	.load16 = ram_load16,
	.store16 = ram_store16,
};

static void put16(struct world *world, uint32_t at, uint16_t value)
{
	memcpy(world->ram + at, &value, sizeof(value));
}

static uint16_t get16(const struct world *world, uint32_t at)
{
	uint16_t value;

	memcpy(&value, world->ram + at, sizeof(value));
	return value;
}

static void offer(struct world *world, uint16_t head)
{
	if (world->is_out[head])
		return;
	world->is_out[head] = true;
	put16(world, AVAIL_ENTRY + 2 * (world->avail % QUEUE_SIZE), head);
	put16(world, AVAIL + 2, ++world->avail);
}

static void use(struct world *world, uint16_t head)
{
	if (!world->is_out[head])
		return;
	world->is_out[head] = false;
	put16(world, USED_ENTRY + 8 * (world->used % QUEUE_SIZE), head);
	put16(world, USED + 2, ++world->used);
}

static void check_return(struct world *world)
{
	bool is_back[QUEUE_SIZE] = {false};
	uint16_t base, end;

	if (virtq_books_return(&world->books, &world->queue))
		return;
	base = virtq_base(&world->queue);
	end = world->books.avail;
	require((uint16_t)(end - base) <= QUEUE_SIZE);
	for (uint16_t i = base; i != end; i++) {
		const uint16_t head = get16(world, AVAIL_ENTRY + 2 * (i % QUEUE_SIZE));

		require(head < QUEUE_SIZE && !is_back[head]);
		is_back[head] = true;
	}
	if (world->is_honest)
		require(memcmp(is_back, world->is_out, sizeof(is_back)) == 0 &&
			base == world->used && end == world->avail);
}

static void play(struct world *world, const struct record *r)
{
	switch (r->op % 8) {
	case 0:
	case 1:
	case 2:
		if (world->is_honest)
			offer(world, r->place % QUEUE_SIZE);
		break;
	case 3:
	case 4:
		if (world->is_honest)
			use(world, r->place % QUEUE_SIZE);
		break;
	case 5:
		virtq_books_look(&world->books, &world->queue);
		break;
	case 6:
		check_return(world);
		break;
	default:
		if (r->argument & 0x80) {
			world->is_honest = false;
			put16(world, AVAIL + r->place % (USED + 4 + 8 * QUEUE_SIZE - AVAIL),
			      r->argument & 0x0f);
		}
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world world = {.is_honest = true};
	const struct virtio_mem mem = {&ram_ops, world.ram, 1ull << 40};
	struct record record;

	virtq_init(&world.queue, &mem, QUEUE_SIZE);
	world.queue.desc = dma_at(DESC);
	world.queue.avail = dma_at(AVAIL);
	world.queue.used = dma_at(USED);
	require(virtq_enable(&world.queue) == 0);
	virtq_books_open(&world.books, &world.queue);
	for (size_t at = 0; size - at >= sizeof(record); at += sizeof(record)) {
		memcpy(&record, data + at, sizeof(record));
		play(&world, &record);
	}
	return 0;
}
