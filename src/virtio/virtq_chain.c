/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of a descriptor chain, wherever the driver has cut it into segments. */
#include <errno.h>

#include "ccr/virtq.h"

unsigned virtq_chain_slice(const struct virtq_chain *chain, enum virtq_side side, uint32_t offset,
			   uint32_t size, struct virtio_segment *slices)
{
	const struct virtio_segment *segment =
		chain->segments + (side == VIRTQ_IN ? chain->nr_out : 0);
	const uint32_t side_size = side == VIRTQ_IN ? chain->in_size : chain->out_size;
	unsigned nr = 0;

	if (!range_within(offset, size, 0, side_size))
		return 0;
	for (; size > 0; segment++) {
		uint32_t here;

		if (offset >= segment->size) {
			offset -= segment->size;
			continue;
		}
		here = segment->size - offset < size ? segment->size - offset : size;
		slices[nr++] = (struct virtio_segment){dma_at(segment->at.v + offset), here};
		size -= here;
		offset = 0;
	}
	return nr;
}

int virtq_chain_read(const struct virtq *queue, const struct virtq_chain *chain, uint32_t offset,
		     void *buf, uint32_t size)
{
	struct virtio_segment slices[VIRTIO_MAX_SEGMENTS];
	const unsigned nr = virtq_chain_slice(chain, VIRTQ_OUT, offset, size, slices);
	uint8_t *to = buf;
	int ret = nr > 0 || size == 0 ? 0 : -EINVAL;

	for (unsigned i = 0; i < nr && !ret; i++) {
		ret = virtio_mem_read(queue->mem, slices[i].at, to, slices[i].size);
		to += slices[i].size;
	}
	return ret;
}

int virtq_chain_write(const struct virtq *queue, const struct virtq_chain *chain, uint32_t offset,
		      const void *buf, uint32_t size)
{
	struct virtio_segment slices[VIRTIO_MAX_SEGMENTS];
	const unsigned nr = virtq_chain_slice(chain, VIRTQ_IN, offset, size, slices);
	const uint8_t *from = buf;
	int ret = nr > 0 || size == 0 ? 0 : -EINVAL;

	for (unsigned i = 0; i < nr && !ret; i++) {
		ret = virtio_mem_write(queue->mem, slices[i].at, from, slices[i].size);
		from += slices[i].size;
	}
	return ret;
}
