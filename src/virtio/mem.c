/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "ccr/virtio_mem.h"

ipa_t virtio_mem_strip(const struct virtio_mem *mem, dma_t at)
{
	return ipa_at(at.v & ~mem->shared_bit);
}

int virtio_mem_read(const struct virtio_mem *mem, dma_t at, void *buf, size_t size)
{
	return mem->ops->read(mem->ctx, virtio_mem_strip(mem, at), buf, size);
}

int virtio_mem_write(const struct virtio_mem *mem, dma_t at, const void *buf, size_t size)
{
	return mem->ops->write(mem->ctx, virtio_mem_strip(mem, at), buf, size);
}

int virtio_mem_load16(const struct virtio_mem *mem, dma_t at, uint16_t *ret_value)
{
	if (at.v % sizeof(*ret_value))
		return -EFAULT;
	return mem->ops->load16(mem->ctx, virtio_mem_strip(mem, at), ret_value);
}

int virtio_mem_store16(const struct virtio_mem *mem, dma_t at, uint16_t value)
{
	if (at.v % sizeof(value))
		return -EFAULT;
	return mem->ops->store16(mem->ctx, virtio_mem_strip(mem, at), value);
}

int virtio_mem_pin(const struct virtio_mem *mem, const struct virtio_segment *segments, unsigned nr,
		   struct virtio_pin *pin)
{
	if (nr > VIRTIO_MAX_SEGMENTS)
		return -E2BIG;
	for (unsigned i = 0; i < nr; i++)
		pin->ranges[i] = (struct gmem_range){virtio_mem_strip(mem, segments[i].at),
						     segments[i].size};
	pin->nr = nr;
	pin->handle = mem->ops->pin(mem->ctx, pin->ranges, nr, pin->iov);
	return pin->handle < 0 ? pin->handle : 0;
}

void virtio_mem_unpin(const struct virtio_mem *mem, struct virtio_pin *pin)
{
	mem->ops->unpin(mem->ctx, pin->handle);
	pin->handle = -1;
}
