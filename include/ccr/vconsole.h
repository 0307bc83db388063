/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-console (virtio 1.2, 5.3): port 0 is the console, the others are channels, streams of
 * bytes with a name (the guest's /dev/virtio-ports/NAME).
 *
 * A port's output goes through a ring of VCONSOLE_RING_SIZE to the event loop. While the ring is
 * full, the driver's buffers wait in their queue, and nothing is lost. But Linux writes its hvc
 * console by spinning, interrupts off, until its buffer comes back; so once the console's host end
 * has taken nothing for a while the loop says vconsole_set_stalled(), and output is dropped, and
 * counted, until it moves again: a blocked terminal never stops a vCPU for good. Who writes to a
 * channel sleeps in the guest for as long as it takes.
 *
 * A channel has two ends, each of which knows whether the other is there. Input for a guest that
 * has not opened its end waits on the host; output for a host that is not connected is dropped, as
 * the driver, which has been told, would not send any. Channels exist for drivers that take
 * VIRTIO_CONSOLE_F_MULTIPORT, and speak the protocol of the control queues (5.3.6.2). What is still
 * to be told to a driver is kept as a state and not as messages, so no driver can make it grow.
 *
 * Served by the event loop, in bounded portions. The calls below take the device's lock.
 */
#ifndef CCR_VCONSOLE_H
#define CCR_VCONSOLE_H

#include <stddef.h>

#include "ccr/virtio.h"

#define VCONSOLE_RING_SIZE    (64u * 1024) /* output of a port, a power of two */
#define VCONSOLE_INPUT_SIZE   4096u
#define VCONSOLE_MAX_CHANNELS 6u
#define VCONSOLE_MAX_PORTS    (1 + VCONSOLE_MAX_CHANNELS)
#define VCONSOLE_MAX_NAME     63u /* bytes of a channel's name */

/** VCONSOLE_PORT - the port that is the console; channels are numbered from the next one on */
#define VCONSOLE_PORT 0u

/**
 * struct vconsole_port - private to vconsole.c and vconsole_control.c
 * @name: of a channel; borrowed
 * @out, @has_out, @out_done: the driver's buffer that is being taken, and how far
 * @nr_written, @nr_dropped: bytes since start; the first includes the second
 * @nr_received: bytes that the driver has got
 * @is_connected: the host's end is there; always so of the console
 * @is_open: somebody in the guest has opened a channel
 * @is_ready: the driver knows the port
 * @to_tell: what the driver is still to be told
 * @told_connected: of @is_connected, what the driver was told last
 */
struct vconsole_port {
	const char *name;
	uint8_t *ring;
	uint64_t head, tail;
	bool is_stalled;
	uint64_t nr_written, nr_dropped, nr_received;
	bool has_out;
	uint32_t out_done;
	struct virtq_chain out;
	bool is_connected;
	bool is_open;
	bool is_ready;
	uint8_t to_tell;
	bool told_connected;
	unsigned nr_input;
	uint8_t input[VCONSOLE_INPUT_SIZE];
};

/** struct vconsole - the device; private like its ports, whose @rings are one allocation */
struct vconsole {
	struct virtio_dev virtio;
	uint8_t *rings;
	unsigned nr_ports;
	struct vconsole_port ports[VCONSOLE_MAX_PORTS];
};

/**
 * vconsole_init() - as blk_init() takes @setup. Size 0 x 0 until told.
 * @names: of @nr_channels channels, at most VCONSOLE_MAX_CHANNELS; each 1 to VCONSOLE_MAX_NAME
 *	bytes long and outliving the device
 *
 * Return: 0 or -ENOMEM.
 */
int vconsole_init(struct vconsole *console, const char *const *names, unsigned nr_channels,
		  const struct virtio_setup *setup);
void vconsole_done(struct vconsole *console);

/** vconsole_resize() - the terminal's size; the guest is told */
void vconsole_resize(struct vconsole *console, uint16_t columns, uint16_t rows);

/** vconsole_room() - how many bytes vconsole_receive() would take now; 0 of a closed channel */
size_t vconsole_room(struct vconsole *console, unsigned port);

/** vconsole_receive() - bytes from the host to the guest. Return: how many were taken. */
size_t vconsole_receive(struct vconsole *console, unsigned port, const uint8_t *bytes, size_t size);

/** vconsole_peek() - copy up to @size of the oldest output, leaving it there. Return: bytes. */
size_t vconsole_peek(struct vconsole *console, unsigned port, uint8_t *bytes, size_t size);

/** vconsole_consume() - drop @size bytes of output that the host end has taken; ends a stall */
void vconsole_consume(struct vconsole *console, unsigned port, size_t size);

/** vconsole_set_stalled() - the console's host end has taken nothing for too long */
void vconsole_set_stalled(struct vconsole *console);

/**
 * vconsole_set_connected() - the host's end of a channel has come or gone; it starts as gone
 *
 * What has gone takes the output with it that it has not taken. Costs little if nothing changes.
 */
void vconsole_set_connected(struct vconsole *console, unsigned port, bool is_connected);

/**
 * struct vconsole_state - what is known of a port; as the members of struct vconsole_port
 */
struct vconsole_state {
	bool is_connected;
	bool is_open;
	uint64_t nr_written, nr_dropped, nr_received;
};

/** vconsole_get_state() - as of now */
struct vconsole_state vconsole_get_state(struct vconsole *console, unsigned port);

#endif
