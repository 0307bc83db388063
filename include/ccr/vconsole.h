/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-console (virtio 1.2, 5.3) with one port.
 *
 * Output goes through a ring of VCONSOLE_RING_SIZE to the event loop. While the ring is full, the
 * driver's buffers wait in their queue, and nothing is lost. But Linux writes its hvc console by
 * spinning, interrupts off, until its buffer comes back; so once the host end has taken nothing for
 * a while the loop says vconsole_set_stalled(), and output is dropped, and counted, until it moves
 * again: a blocked terminal never stops a vCPU for good.
 *
 * Served by the event loop. The calls below take the device's lock.
 */
#ifndef CCR_VCONSOLE_H
#define CCR_VCONSOLE_H

#include <stddef.h>

#include "ccr/virtio.h"

#define VCONSOLE_RING_SIZE  (64u * 1024) /* output, a power of two */
#define VCONSOLE_INPUT_SIZE 4096u

/**
 * struct vconsole - the console; private to vconsole.c
 * @out, @has_out, @out_done: the driver's buffer that is being taken, and how far
 */
struct vconsole {
	struct virtio_dev virtio;
	uint8_t *ring;
	uint64_t head, tail;
	bool is_stalled;
	uint64_t nr_written, nr_dropped; /* bytes since start; the first includes the second */
	bool has_out;
	uint32_t out_done;
	struct virtq_chain out;
	unsigned nr_input;
	uint8_t input[VCONSOLE_INPUT_SIZE];
};

/** vconsole_init() - as blk_init() takes @setup. Size 0 x 0 until told. Return: 0 or -ENOMEM. */
int vconsole_init(struct vconsole *console, const struct virtio_setup *setup);
void vconsole_done(struct vconsole *console);

/** vconsole_resize() - the terminal's size; the guest is told */
void vconsole_resize(struct vconsole *console, uint16_t columns, uint16_t rows);

/** vconsole_room() - how many bytes vconsole_receive() would take now */
size_t vconsole_room(struct vconsole *console);

/** vconsole_receive() - bytes from the host to the guest. Return: how many were taken. */
size_t vconsole_receive(struct vconsole *console, const uint8_t *bytes, size_t size);

/** vconsole_peek() - copy up to @size of the oldest output, leaving it there. Return: bytes. */
size_t vconsole_peek(struct vconsole *console, uint8_t *bytes, size_t size);

/** vconsole_consume() - drop @size bytes of output that the host end has taken; ends a stall */
void vconsole_consume(struct vconsole *console, size_t size);

/** vconsole_set_stalled() - the host end has taken nothing for too long */
void vconsole_set_stalled(struct vconsole *console);

/** vconsole_nr_written(), vconsole_nr_dropped() - bytes of output since start */
uint64_t vconsole_nr_written(struct vconsole *console);
uint64_t vconsole_nr_dropped(struct vconsole *console);

#endif
