/* SPDX-License-Identifier: Apache-2.0 */
/* about: src/virtio/virtq.c src/virtio/virtq_chain.c */
/* links: src/virtio/virtq.c src/virtio/virtq_chain.c src/virtio/mem.c */
/*
 * A driver that may write anything into its rings at any time. Whatever it does,
 *   - a popped chain is well formed: 1 to VIRTIO_MAX_SEGMENTS pieces, none empty, none wrapping,
 *     its sizes the sums of its pieces,
 *   - never more buffers are in flight than the queue has entries,
 *   - the device writes nothing outside the used ring,
 *   - a slice of a chain lies in the chain.
 *
 * Input: 8-byte records {op, argument, 16-bit place, 32-bit value}.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ccr/virtq.h"
#include "fuzz.h"

#define RAM_SIZE   4096u
#define QUEUE_SIZE 8
#define DESC       0u
#define AVAIL      0x100u
#define USED       0x200u
#define USED_SIZE  (4 + 8 * QUEUE_SIZE + 2)

struct record {
	uint8_t op, argument;
	uint16_t place;
	uint32_t value;
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
	require(range_within(at.v, size, USED, USED_SIZE));
	memcpy((uint8_t *)ctx + at.v, buf, size);
	return 0;
}

static int ram_load16(void *ctx, ipa_t at, uint16_t *ret_value)
{
	require(at.v % 2 == 0);
	return ram_read(ctx, at, ret_value, sizeof(*ret_value));
}

static int ram_store16(void *ctx, ipa_t at, uint16_t value)
{
	require(at.v % 2 == 0);
	return ram_write(ctx, at, &value, sizeof(value));
}

static const struct virtio_mem_ops ram_ops = {
	.read = ram_read,
	.write = ram_write,
	.load16 = ram_load16,
	.store16 = ram_store16,
};

static void check_chain(const struct virtq_chain *chain)
{
	const unsigned nr = chain->nr_out + chain->nr_in;
	uint64_t sizes[2] = {0, 0};

	require(nr >= 1 && nr <= VIRTIO_MAX_SEGMENTS);
	for (unsigned i = 0; i < nr; i++) {
		const struct virtio_segment *segment = &chain->segments[i];

		require(segment->size > 0 && segment->at.v <= UINT64_MAX - segment->size);
		sizes[i >= chain->nr_out] += segment->size;
	}
	require(sizes[VIRTQ_OUT] == chain->out_size && sizes[VIRTQ_IN] == chain->in_size);
	require(sizes[0] + sizes[1] <= UINT32_MAX);
}

static void check_slice(const struct virtq_chain *chain, enum virtq_side side, uint32_t offset,
			uint32_t size)
{
	const uint32_t side_size = side == VIRTQ_IN ? chain->in_size : chain->out_size;
	struct virtio_segment slices[VIRTIO_MAX_SEGMENTS];
	const unsigned nr = virtq_chain_slice(chain, side, offset, size, slices);
	uint64_t sum = 0;

	require(nr <= (side == VIRTQ_IN ? chain->nr_in : chain->nr_out));
	require((nr > 0) == (size > 0 && range_within(offset, size, 0, side_size)));
	for (unsigned i = 0; i < nr; i++) {
		require(slices[i].size > 0);
		sum += slices[i].size;
	}
	require(nr == 0 || sum == size);
}

static void check_result(const struct virtq *queue, int ret)
{
	require(ret == 0 || ret == 1 || (ret == -EBADMSG && queue->error));
	require(queue->nr_in_flight <= QUEUE_SIZE);
}

static void play(struct virtq *queue, uint8_t *ram, const struct record *r)
{
	struct virtq_chain chain = {0};
	int ret = 0;

	switch (r->op % 6) {
	case 0:
	case 1:
		memcpy(ram + r->place % (RAM_SIZE - 3), &r->value, (r->op & 8) ? 2 : 4);
		break;
	case 2:
		ret = virtq_pop(queue, &chain);
		if (ret == 1) {
			check_chain(&chain);
			check_slice(&chain, r->argument & 1, r->place, r->value);
			check_slice(&chain, r->argument & 1, r->place, r->value % 4096);
		}
		break;
	case 3:
		if (queue->nr_in_flight > 0)
			ret = virtq_push(queue, r->place, r->value);
		break;
	case 4:
		ret = virtq_arm(queue);
		break;
	default:
		ret = virtq_wants_interrupt(queue);
		break;
	}
	check_result(queue, ret);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t ram[RAM_SIZE] = {0};
	const struct virtio_mem mem = {&ram_ops, ram, 1ull << 40};
	struct virtq queue;
	struct record record;

	if (size == 0)
		return 0;
	virtq_init(&queue, &mem, QUEUE_SIZE);
	queue.desc = dma_at(DESC);
	queue.avail = dma_at(AVAIL | 1ull << 40);
	queue.used = dma_at(USED);
	queue.has_indirect = data[0] & 1;
	queue.has_event_idx = data[0] & 2;
	require(virtq_enable(&queue) == 0);
	for (size_t at = 1; size - at >= sizeof(record); at += sizeof(record)) {
		memcpy(&record, data + at, sizeof(record));
		play(&queue, ram, &record);
	}
	return 0;
}
