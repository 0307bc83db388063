/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the virtio console share. */
#ifndef VIRTIO_VCONSOLE_INTERNAL_H
#define VIRTIO_VCONSOLE_INTERNAL_H

#include "ccr/vconsole.h"

/** VCONSOLE_MAX_BUFFERS - taken from a queue before others get their turn in the event loop */
#define VCONSOLE_MAX_BUFFERS 64

/* The first port's queues come before those of the control messages (virtio 1.2, 5.3.2). */
enum {
	VCONSOLE_QUEUE_INPUT,
	VCONSOLE_QUEUE_OUTPUT,
	VCONSOLE_QUEUE_CONTROL_IN,
	VCONSOLE_QUEUE_CONTROL_OUT,
	VCONSOLE_QUEUE_CHANNELS
};

/* What a driver is to be told of a port, in this order. */
enum {
	VCONSOLE_TELL_ADD = 1u << 0,
	VCONSOLE_TELL_CONSOLE = 1u << 1,
	VCONSOLE_TELL_NAME = 1u << 2,
};

/** vconsole_control_take() - read the driver's messages. Return: true if that was not all. */
bool vconsole_control_take(struct vconsole *console);

/** vconsole_control_send() - tell the driver what it is to be told, as far as it has buffers */
void vconsole_control_send(struct vconsole *console);

/** vconsole_control_forget() - of a port, what a driver has said and was told */
void vconsole_control_forget(struct vconsole_port *port);

#endif
