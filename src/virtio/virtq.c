/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a queue works
 * -----------------
 * The driver puts heads of chains into the available ring and raises its index; we take the entries
 * between next_avail and that index. We put finished heads into the used ring and raise our index,
 * next_used. Both indices run freely modulo 2^16, so entry n is at n % size.
 *
 * Checks that keep a lying driver harmless:
 *   - the available index is at most one ring's worth ahead of next_avail,
 *   - no more buffers are in flight than the ring has entries,
 *   - a chain is copied once, descriptor by descriptor, and given up at the length limit, which
 *     also ends loops,
 *   - an indirect table is at most as long as a chain may be, is copied in one piece, and ends the
 *     chain.
 *
 * Notifications (2.7.7, 2.7.10): with EVENT_IDX each side writes the index at which it wants to be
 * told. Both sides store one index and then load the other, so each needs a full barrier between
 * the two, or both may stay silent for ever.
 */
#include <endian.h>
#include <errno.h>
#include <linux/virtio_ring.h>
#include <stdatomic.h>

#include "ccr/virtq.h"

/* Offsets in the rings. */
enum {
	RING_FLAGS = 0,
	RING_INDEX = 2,
	RING_ENTRIES = 4,
	AVAIL_ENTRY_SIZE = 2,
	USED_ENTRY_SIZE = 8,
	DESC_SIZE = 16,
};

static int broken(struct virtq *queue, const char *why)
{
	queue->error = why;
	return -EBADMSG;
}

static dma_t ring_at(dma_t ring, uint32_t offset)
{
	return dma_at(ring.v + offset);
}

static dma_t avail_entry(const struct virtq *queue, uint16_t index)
{
	return ring_at(queue->avail, RING_ENTRIES + AVAIL_ENTRY_SIZE * (index % queue->size));
}

static dma_t used_entry(const struct virtq *queue, uint16_t index)
{
	return ring_at(queue->used, RING_ENTRIES + USED_ENTRY_SIZE * (index % queue->size));
}

/* Behind the entries each ring has the index at which its reader wants to be told. */
static dma_t used_event(const struct virtq *queue)
{
	return ring_at(queue->avail, RING_ENTRIES + AVAIL_ENTRY_SIZE * (uint32_t)queue->size);
}

static dma_t avail_event(const struct virtq *queue)
{
	return ring_at(queue->used, RING_ENTRIES + USED_ENTRY_SIZE * (uint32_t)queue->size);
}

static int load(struct virtq *queue, dma_t at, uint16_t *ret_value)
{
	if (virtio_mem_load16(queue->mem, at, ret_value))
		return broken(queue, "its rings are not in shared memory");
	*ret_value = le16toh(*ret_value);
	return 0;
}

static int store(struct virtq *queue, dma_t at, uint16_t value)
{
	if (virtio_mem_store16(queue->mem, at, htole16(value)))
		return broken(queue, "its rings are not in shared memory");
	return 0;
}

void virtq_init(struct virtq *queue, const struct virtio_mem *mem, uint16_t max_size)
{
	*queue = (struct virtq){.mem = mem, .max_size = max_size, .size = max_size};
}

void virtq_reset(struct virtq *queue)
{
	virtq_init(queue, queue->mem, queue->max_size);
}

static bool is_ring(dma_t at, uint64_t size, uint64_t alignment)
{
	return at.v % alignment == 0 && at.v <= UINT64_MAX - size;
}

static uint32_t avail_size(const struct virtq *queue)
{
	return RING_ENTRIES + AVAIL_ENTRY_SIZE * (uint32_t)queue->size + 2;
}

static uint32_t used_size(const struct virtq *queue)
{
	return RING_ENTRIES + USED_ENTRY_SIZE * (uint32_t)queue->size + 2;
}

int virtq_enable(struct virtq *queue)
{
	const uint64_t size = queue->size;

	if (size == 0 || size > queue->max_size || (size & (size - 1)) != 0)
		return broken(queue, "its size is not one that was offered");
	if (!is_ring(queue->desc, DESC_SIZE * size, VRING_DESC_ALIGN_SIZE) ||
	    !is_ring(queue->avail, avail_size(queue), VRING_AVAIL_ALIGN_SIZE) ||
	    !is_ring(queue->used, used_size(queue), VRING_USED_ALIGN_SIZE))
		return broken(queue, "its rings are misaligned or wrap");
	queue->enabled = true;
	return 0;
}

/* How many buffers wait to be taken. */
static int look_at_index(struct virtq *queue)
{
	int ret = load(queue, ring_at(queue->avail, RING_INDEX), &queue->avail_seen);

	if (ret)
		return ret;
	if ((uint16_t)(queue->avail_seen - queue->next_avail) > queue->size)
		return broken(queue, "the available index is ahead of the ring");
	return queue->avail_seen != queue->next_avail;
}

static struct vring_desc to_host(struct vring_desc raw)
{
	return (struct vring_desc){
		.addr = le64toh(raw.addr),
		.len = le32toh(raw.len),
		.flags = le16toh(raw.flags),
		.next = le16toh(raw.next),
	};
}

/* struct table - where a chain's descriptors are: the driver's table, or a copied indirect one */
struct table {
	unsigned nr;
	bool is_copy;
	struct vring_desc copy[VIRTIO_MAX_SEGMENTS];
};

static int fetch(struct virtq *queue, const struct table *table, unsigned index,
		 struct vring_desc *ret_desc)
{
	struct vring_desc raw;

	if (index >= table->nr)
		return broken(queue, "a descriptor index is out of range");
	if (table->is_copy) {
		*ret_desc = to_host(table->copy[index]);
		return 0;
	}
	if (virtio_mem_read(queue->mem, ring_at(queue->desc, DESC_SIZE * index), &raw, sizeof(raw)))
		return broken(queue, "its descriptors are not in shared memory");
	*ret_desc = to_host(raw);
	return 0;
}

static int enter_indirect(struct virtq *queue, struct table *table, const struct vring_desc *desc)
{
	if (!queue->has_indirect)
		return broken(queue, "an indirect descriptor that was not negotiated");
	if (table->is_copy)
		return broken(queue, "an indirect descriptor inside an indirect table");
	if (desc->flags & VRING_DESC_F_NEXT)
		return broken(queue, "an indirect descriptor that is not the last");
	if (desc->len == 0 || desc->len % DESC_SIZE || desc->len > sizeof(table->copy))
		return broken(queue, "an indirect table of a size that cannot be");
	if (desc->addr > UINT64_MAX - desc->len ||
	    virtio_mem_read(queue->mem, dma_at(desc->addr), table->copy, desc->len))
		return broken(queue, "an indirect table that is not in shared memory");
	table->is_copy = true;
	table->nr = desc->len / DESC_SIZE;
	return 0;
}

static int append(struct virtq *queue, struct virtq_chain *chain, const struct vring_desc *desc)
{
	const unsigned nr = chain->nr_out + chain->nr_in;
	const bool is_in = desc->flags & VRING_DESC_F_WRITE;

	if (nr == VIRTIO_MAX_SEGMENTS)
		return broken(queue, "a chain is too long or has a loop");
	if (desc->len == 0)
		return broken(queue, "an empty descriptor");
	if (desc->addr > UINT64_MAX - desc->len)
		return broken(queue, "a descriptor wraps around the address space");
	if (!is_in && chain->nr_in > 0)
		return broken(queue, "a readable descriptor behind a writable one");
	if (desc->len > UINT32_MAX - chain->out_size - chain->in_size)
		return broken(queue, "a chain of 4 GiB or more");

	chain->segments[nr] = (struct virtio_segment){dma_at(desc->addr), desc->len};
	if (is_in) {
		chain->nr_in++;
		chain->in_size += desc->len;
	} else {
		chain->nr_out++;
		chain->out_size += desc->len;
	}
	return 0;
}

/* Ends because every round but one adds a segment. */
static int walk(struct virtq *queue, struct virtq_chain *chain)
{
	struct table table = {.nr = queue->size};
	unsigned index = chain->head;
	struct vring_desc desc;
	int ret;

	for (;;) {
		ret = fetch(queue, &table, index, &desc);
		if (ret)
			return ret;
		if (desc.flags & VRING_DESC_F_INDIRECT) {
			ret = enter_indirect(queue, &table, &desc);
			index = 0;
		} else {
			ret = append(queue, chain, &desc);
			index = desc.next;
			if (!ret && !(desc.flags & VRING_DESC_F_NEXT))
				return 0;
		}
		if (ret)
			return ret;
	}
}

int virtq_pop(struct virtq *queue, struct virtq_chain *chain)
{
	uint16_t head;
	int ret;

	if (queue->next_avail == queue->avail_seen) {
		ret = look_at_index(queue);
		if (ret <= 0)
			return ret;
	}
	if (queue->nr_in_flight == queue->size)
		return broken(queue, "more buffers than the ring has entries");
	ret = load(queue, avail_entry(queue, queue->next_avail), &head);
	if (ret)
		return ret;
	chain->head = head;
	chain->nr_out = chain->nr_in = 0;
	chain->out_size = chain->in_size = 0;
	ret = walk(queue, chain);
	if (ret)
		return ret;
	queue->next_avail++;
	queue->nr_in_flight++;
	return 1;
}

int virtq_put(struct virtq *queue, uint16_t head, uint32_t written)
{
	const struct vring_used_elem entry = {htole32(head), htole32(written)};

	if (virtio_mem_write(queue->mem, used_entry(queue, queue->next_used), &entry,
			     sizeof(entry)))
		return broken(queue, "its rings are not in shared memory");
	queue->next_used++;
	queue->nr_in_flight--;
	return 0;
}

int virtq_publish(struct virtq *queue)
{
	return store(queue, ring_at(queue->used, RING_INDEX), queue->next_used);
}

int virtq_push(struct virtq *queue, uint16_t head, uint32_t written)
{
	const int ret = virtq_put(queue, head, written);

	return ret ? ret : virtq_publish(queue);
}

int virtq_arm(struct virtq *queue)
{
	int ret;

	if (queue->has_event_idx) {
		ret = store(queue, avail_event(queue), queue->next_avail);
		if (ret)
			return ret;
		atomic_thread_fence(memory_order_seq_cst);
	}
	return look_at_index(queue);
}

int virtq_wants_interrupt(struct virtq *queue)
{
	const uint16_t before = queue->signalled, now = queue->next_used;
	uint16_t value;
	int ret;

	if (now == before)
		return 0;
	queue->signalled = now;
	atomic_thread_fence(memory_order_seq_cst);
	if (!queue->has_event_idx) {
		ret = load(queue, ring_at(queue->avail, RING_FLAGS), &value);
		return ret ? ret : !(value & VRING_AVAIL_F_NO_INTERRUPT);
	}
	ret = load(queue, used_event(queue), &value);
	return ret ? ret : (uint16_t)(now - value - 1) < (uint16_t)(now - before);
}

void virtq_rings(const struct virtq *queue, struct virtio_segment ret_rings[VIRTQ_NR_RINGS])
{
	ret_rings[0] = (struct virtio_segment){queue->desc, DESC_SIZE * (uint32_t)queue->size};
	ret_rings[1] = (struct virtio_segment){queue->avail, avail_size(queue)};
	ret_rings[2] = (struct virtio_segment){queue->used, used_size(queue)};
}

uint16_t virtq_base(const struct virtq *queue)
{
	return queue->next_avail;
}

void virtq_set_base(struct virtq *queue, uint16_t base)
{
	queue->next_avail = base;
	queue->avail_seen = base;
}

int virtq_resume(struct virtq *queue)
{
	uint16_t done, added;

	if (load(queue, ring_at(queue->used, RING_INDEX), &done) ||
	    load(queue, ring_at(queue->avail, RING_INDEX), &added))
		return -EBADMSG;
	added = (uint16_t)(added - done);
	if (added > queue->size)
		return broken(queue, "its available index is too far ahead");
	virtq_set_base(queue, done);
	return added;
}

int virtq_peek_index(struct virtq *queue, bool is_avail, uint16_t *ret_index)
{
	return load(queue, ring_at(is_avail ? queue->avail : queue->used, RING_INDEX), ret_index);
}

int virtq_peek_head(struct virtq *queue, bool is_avail, uint16_t index, uint32_t *ret_head)
{
	struct vring_used_elem elem;
	uint16_t head;

	if (is_avail) {
		if (load(queue, avail_entry(queue, index), &head))
			return -EBADMSG;
		*ret_head = head;
		return 0;
	}
	if (virtio_mem_read(queue->mem, used_entry(queue, index), &elem, sizeof(elem)))
		return broken(queue, "its rings are not in shared memory");
	*ret_head = le32toh(elem.id);
	return 0;
}

int virtq_poke_head(struct virtq *queue, uint16_t index, uint16_t head)
{
	return store(queue, avail_entry(queue, index), head);
}
