/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device's side of a split virtqueue (virtio 1.2, 2.7).
 *
 * A queue reads the driver's rings through virtio_mem and hands out private, checked copies of
 * descriptor chains; nothing a driver changes later can reach who works on one. Whatever a driver
 * gets wrong is -EBADMSG, with virtq.error saying what, and it is the owner who then makes the
 * device ask for a reset. Nothing here ends anything.
 *
 * The caller serialises all calls on a queue.
 */
#ifndef CCR_VIRTQ_H
#define CCR_VIRTQ_H

#include <stdbool.h>
#include <stdint.h>

#include "ccr/virtio_mem.h"

/** VIRTQ_MAX_SIZE - most entries a queue of ours may have */
#define VIRTQ_MAX_SIZE 256

/**
 * struct virtq_chain - one buffer of the driver's
 * @head: its name in the rings
 * @segments: @nr_out that the device may read, followed by @nr_in that it may write; at least one
 *	in all; none is empty or wraps
 * @out_size, @in_size: bytes; their sum fits 32 bits as well
 */
struct virtq_chain {
	uint16_t head;
	unsigned nr_out, nr_in;
	uint32_t out_size, in_size;
	struct virtio_segment segments[VIRTIO_MAX_SEGMENTS];
};

enum virtq_side { VIRTQ_OUT, VIRTQ_IN };

/**
 * struct virtq - a queue
 * @max_size: what the device offers; constant
 * @size, @desc, @avail, @used: as the driver set them, unchecked until virtq_enable()
 * @has_indirect, @has_event_idx: what was negotiated, set before virtq_enable()
 * @nr_in_flight: popped and not pushed yet, at most @size
 * @error: why a call returned -EBADMSG; a static string
 *
 * The rest is private.
 */
struct virtq {
	const struct virtio_mem *mem;
	uint16_t max_size;
	uint16_t size;
	dma_t desc, avail, used;
	bool has_indirect, has_event_idx;
	bool enabled;
	uint16_t nr_in_flight;
	const char *error;

	uint16_t avail_seen; /* driver's index as last read */
	uint16_t next_avail;
	uint16_t next_used;
	uint16_t signalled; /* next_used when the driver was last asked about */
};

/** virtq_init() - @max_size is a power of two, at most VIRTQ_MAX_SIZE */
void virtq_init(struct virtq *queue, const struct virtio_mem *mem, uint16_t max_size);

/** virtq_reset() - as virtq_init() left it */
void virtq_reset(struct virtq *queue);

/**
 * virtq_enable() - the driver has set the queue up
 *
 * Return: 0; -EBADMSG for a size that is no power of two or too large, or rings that are
 * misaligned or wrap. Whether they are shared RAM is found at each access.
 */
int virtq_enable(struct virtq *queue);

/**
 * virtq_pop() - take the next buffer the driver has made available
 * @chain: filled if there is one
 *
 * Return: 1; 0 if there is none; -EBADMSG: ring out of reach or inconsistent, head or next out of
 * range, chain too long or in a loop, empty or wrapping descriptor, readable after writable,
 * indirect table that was not negotiated, inside another, of a wrong size or followed by more.
 */
int virtq_pop(struct virtq *queue, struct virtq_chain *chain);

/**
 * virtq_push() - give a buffer back
 * @written: bytes written from the start of its writable part on
 *
 * Return: 0; -EBADMSG if the used ring is out of reach.
 */
int virtq_push(struct virtq *queue, uint16_t head, uint32_t written);

/**
 * virtq_put() - virtq_push(), but the driver sees it only once virtq_publish() is called
 *
 * For what must be seen together. Return: as virtq_push().
 */
int virtq_put(struct virtq *queue, uint16_t head, uint32_t written);
int virtq_publish(struct virtq *queue);

/**
 * virtq_arm() - ask the driver to notify when it adds the next buffer
 *
 * Return: 0; 1 if it has already added one, about which it may not notify; -EBADMSG.
 */
int virtq_arm(struct virtq *queue);

/**
 * virtq_wants_interrupt() - does the driver want to hear of what was pushed since the last call
 *
 * Return: 1, 0 or -EBADMSG.
 */
int virtq_wants_interrupt(struct virtq *queue);

/*
 * For a queue that somebody else runs: it is set up as ever, and only its indices matter here.
 */

/** VIRTQ_NR_RINGS - descriptors, available ring, used ring */
#define VIRTQ_NR_RINGS 3

/** virtq_rings() - where they are; of an enabled queue, so nothing wraps */
void virtq_rings(const struct virtq *queue, struct virtio_segment ret_rings[VIRTQ_NR_RINGS]);

/** virtq_base(), virtq_set_base() - index of the next buffer to take */
uint16_t virtq_base(const struct virtq *queue);
void virtq_set_base(struct virtq *queue, uint16_t base);

/**
 * virtq_resume() - go on behind the last buffer of the used ring
 *
 * Return: how many buffers the driver has made available beyond that; -EBADMSG if the rings are out
 * of reach or inconsistent, and then nothing has changed.
 */
int virtq_resume(struct virtq *queue);

/*
 * A look at the rings of a queue that somebody else runs. Return: 0; -EBADMSG if they are out of
 * reach.
 */

/** virtq_peek_index() - of the available ring (@is_avail) or of the used one */
int virtq_peek_index(struct virtq *queue, bool is_avail, uint16_t *ret_index);

/** virtq_peek_head() - the head in the entry of index @index, whatever it is now */
int virtq_peek_head(struct virtq *queue, bool is_avail, uint16_t index, uint32_t *ret_head);

/** virtq_poke_head() - write an entry of the available ring in the driver's place */
int virtq_poke_head(struct virtq *queue, uint16_t index, uint16_t head);

/**
 * virtq_chain_slice() - the segments that hold a part of one side of a buffer
 * @offset, @size: bytes of that side
 * @slices: as many as @chain has on that side
 *
 * Return: how many; 0 if the part is empty or not all there.
 */
unsigned virtq_chain_slice(const struct virtq_chain *chain, enum virtq_side side, uint32_t offset,
			   uint32_t size, struct virtio_segment *slices);

/**
 * virtq_chain_read(), virtq_chain_write() - copy from the readable or to the writable part
 *
 * Return: 0; -EINVAL if the part has no such bytes; -EFAULT if they are not shared RAM (some may
 * have been copied).
 */
int virtq_chain_read(const struct virtq *queue, const struct virtq_chain *chain, uint32_t offset,
		     void *buf, uint32_t size);
int virtq_chain_write(const struct virtq *queue, const struct virtq_chain *chain, uint32_t offset,
		      const void *buf, uint32_t size);

#endif
