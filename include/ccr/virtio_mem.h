/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory as virtio devices reach it.
 *
 * A driver in a realm writes addresses with the shared bit set, older ones and plain VMs without.
 * Such an address is a dma_t; virtio/mem.c turns it into an ipa_t and is the only place that does.
 *
 * Ring indices are two bytes that the other side changes while they are read. They must not be
 * copied bytewise (which memcpy() of two bytes is on arm64): a torn index is one that nobody wrote.
 * Hence load16 and store16 beside the copies.
 */
#ifndef CCR_VIRTIO_MEM_H
#define CCR_VIRTIO_MEM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "ccr/gmem.h"
#include "ccr/ipa.h"

/** dma_t - an address as a driver wrote it, with or without the shared bit; untrusted */
typedef struct {
	uint64_t v;
} dma_t;

static inline dma_t dma_at(uint64_t address)
{
	return (dma_t){address};
}

/** struct virtio_segment - a piece of a driver's buffer; @at + @size does not wrap */
struct virtio_segment {
	dma_t at;
	uint32_t size;
};

/** VIRTIO_MAX_SEGMENTS - most pieces of one buffer, and so of one pin */
#define VIRTIO_MAX_SEGMENTS 128

/**
 * struct virtio_mem_ops - what the owner of guest memory provides; callable from any thread
 * @read, @write: copy; -EFAULT unless all of it is shared RAM, and then nothing was written
 * @load16: two-byte aligned, one access, acquire: what is read afterwards is not older
 * @store16: two-byte aligned, one access, release: what was written before is seen before it
 * @pin: host memory of shared ranges, one iovec each, for system calls only. Until @unpin the
 *	ranges do not change state: who shares or unshares one of their pages waits. @ranges stays
 *	valid until then. Return: a handle >= 0; -EFAULT unless all of it is shared RAM, and then
 *	nothing is pinned; -EBUSY if too many pins are held.
 * @unpin: by any thread
 *
 * A refused access is counted by the owner.
 */
struct virtio_mem_ops {
	int (*read)(void *ctx, ipa_t at, void *buf, size_t size);
	int (*write)(void *ctx, ipa_t at, const void *buf, size_t size);
	int (*load16)(void *ctx, ipa_t at, uint16_t *ret_value);
	int (*store16)(void *ctx, ipa_t at, uint16_t value);
	int (*pin)(void *ctx, const struct gmem_range *ranges, unsigned nr_ranges,
		   struct iovec *ret_iov);
	void (*unpin)(void *ctx, int handle);
};

/**
 * struct virtio_mem - one machine's memory, shared by all its devices
 * @shared_bit: 0 in a plain VM
 */
struct virtio_mem {
	const struct virtio_mem_ops *ops;
	void *ctx;
	uint64_t shared_bit;
};

/** virtio_mem_strip() - the address without the shared bit; unchecked */
ipa_t virtio_mem_strip(const struct virtio_mem *mem, dma_t at);

/** virtio_mem_read(), virtio_mem_write() - copies, as the ops make them. Return: 0 or -EFAULT. */
int virtio_mem_read(const struct virtio_mem *mem, dma_t at, void *buf, size_t size);
int virtio_mem_write(const struct virtio_mem *mem, dma_t at, const void *buf, size_t size);

/** virtio_mem_load16(), virtio_mem_store16() - Return: 0; -EFAULT, also for an odd address. */
int virtio_mem_load16(const struct virtio_mem *mem, dma_t at, uint16_t *ret_value);
int virtio_mem_store16(const struct virtio_mem *mem, dma_t at, uint16_t value);

/**
 * struct virtio_pin - memory held for a system call
 * @iov: @nr of them, in the order of the segments
 */
struct virtio_pin {
	int handle;
	unsigned nr;
	struct iovec iov[VIRTIO_MAX_SEGMENTS];
	struct gmem_range ranges[VIRTIO_MAX_SEGMENTS];
};

/**
 * virtio_mem_pin() - hold @nr segments, at most VIRTIO_MAX_SEGMENTS
 * @pin: stays where it is until virtio_mem_unpin()
 *
 * Return: 0, -EFAULT, -EBUSY, or -E2BIG.
 */
int virtio_mem_pin(const struct virtio_mem *mem, const struct virtio_segment *segments, unsigned nr,
		   struct virtio_pin *pin);
void virtio_mem_unpin(const struct virtio_mem *mem, struct virtio_pin *pin);

#endif
