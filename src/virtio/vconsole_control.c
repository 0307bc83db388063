/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control queues of a console with channels (virtio 1.2, 5.3.6.2)
 * -------------------------------------------------------------------
 *
 *	driver				device, of a port
 *	DEVICE_READY			PORT_ADD, of each port
 *	PORT_READY			CONSOLE_PORT or PORT_NAME, then PORT_OPEN if it is connected
 *	PORT_OPEN 1, PORT_OPEN 0	input may be given; may not, and what there was is dropped
 *					PORT_OPEN 1 or 0, whenever its host end comes or goes
 *
 * A driver may say anything at any time, and again: each message sets flags of one port at the
 * most. That its host end has gone is told once the input from there is with the driver.
 */
#include <endian.h>
#include <linux/virtio_console.h>
#include <string.h>

#include "vconsole_internal.h"

/* A message and what follows it: a name, without a NUL. */
struct message {
	struct virtio_console_control header;
	char name[VCONSOLE_MAX_NAME];
};

void vconsole_control_forget(struct vconsole_port *port)
{
	port->is_open = false;
	port->is_ready = false;
	port->to_tell = 0;
	port->told_connected = false;
}

static void set_ready(struct vconsole_port *port, bool is_ready)
{
	if (!is_ready) {
		vconsole_control_forget(port);
		return;
	}
	port->is_ready = true;
	port->to_tell |= port->name ? VCONSOLE_TELL_NAME : VCONSOLE_TELL_CONSOLE;
}

static void set_open(struct vconsole_port *port, bool is_open)
{
	if (!port->name)
		return;
	port->is_open = is_open;
	if (!is_open)
		port->nr_input = 0;
}

/* What names a port that there is not, or means nothing to a device, is passed over. */
static void handle(struct vconsole *console, const struct virtio_console_control *header)
{
	const uint32_t id = le32toh(header->id);
	const uint16_t event = le16toh(header->event), value = le16toh(header->value);

	if (event == VIRTIO_CONSOLE_DEVICE_READY) {
		for (unsigned i = 0; i < console->nr_ports && value == 1; i++)
			console->ports[i].to_tell |= VCONSOLE_TELL_ADD;
		return;
	}
	if (id >= console->nr_ports)
		return;
	if (event == VIRTIO_CONSOLE_PORT_READY)
		set_ready(&console->ports[id], value == 1);
	else if (event == VIRTIO_CONSOLE_PORT_OPEN)
		set_open(&console->ports[id], value == 1);
}

bool vconsole_control_take(struct vconsole *console)
{
	struct virtio_dev *dev = &console->virtio;
	struct virtio_console_control header;
	struct virtq_chain chain;
	unsigned nr = 0;

	for (; nr < VCONSOLE_MAX_BUFFERS && virtio_pop(dev, VCONSOLE_QUEUE_CONTROL_OUT, &chain);
	     nr++) {
		if (virtq_chain_read(&dev->queues[VCONSOLE_QUEUE_CONTROL_OUT], &chain, 0, &header,
				     sizeof(header))) {
			virtio_fail(dev, "a control message that is too short, or not in shared "
					 "memory");
			return false;
		}
		handle(console, &header);
		virtio_push(dev, VCONSOLE_QUEUE_CONTROL_OUT, &chain, 0);
	}
	virtio_notify(dev, VCONSOLE_QUEUE_CONTROL_OUT);
	return nr == VCONSOLE_MAX_BUFFERS;
}

/* Is there news of the host end, which the driver may have now? */
static bool has_changed(const struct vconsole_port *port)
{
	if (!port->is_ready || port->told_connected == port->is_connected)
		return false;
	return port->is_connected || port->nr_input == 0;
}

/* Return: its event, 0xffff if there is nothing to tell. */
static uint16_t next_event(const struct vconsole_port *port)
{
	if (port->to_tell & VCONSOLE_TELL_ADD)
		return VIRTIO_CONSOLE_PORT_ADD;
	if (port->to_tell & VCONSOLE_TELL_CONSOLE)
		return VIRTIO_CONSOLE_CONSOLE_PORT;
	if (port->to_tell & VCONSOLE_TELL_NAME)
		return VIRTIO_CONSOLE_PORT_NAME;
	return has_changed(port) ? VIRTIO_CONSOLE_PORT_OPEN : UINT16_MAX;
}

/* Return: bytes of the message. */
static uint32_t compose(struct vconsole_port *port, unsigned id, uint16_t event,
			struct message *message)
{
	const bool is_open = event == VIRTIO_CONSOLE_PORT_OPEN;
	uint32_t size = sizeof(message->header);

	message->header = (struct virtio_console_control){
		.id = htole32(id),
		.event = htole16(event),
		.value = htole16(is_open ? port->is_connected : 1),
	};
	if (event == VIRTIO_CONSOLE_PORT_NAME) {
		memcpy(message->name, port->name, strlen(port->name));
		size += (uint32_t)strlen(port->name);
	}
	return size;
}

static void set_told(struct vconsole_port *port, uint16_t event)
{
	if (event == VIRTIO_CONSOLE_PORT_ADD)
		port->to_tell &= (uint8_t)~VCONSOLE_TELL_ADD;
	else if (event == VIRTIO_CONSOLE_CONSOLE_PORT)
		port->to_tell &= (uint8_t)~VCONSOLE_TELL_CONSOLE;
	else if (event == VIRTIO_CONSOLE_PORT_NAME)
		port->to_tell &= (uint8_t)~VCONSOLE_TELL_NAME;
	else
		port->told_connected = port->is_connected;
}

/* Return: false if the driver has no buffer for it, or none that is good. */
static bool tell(struct vconsole *console, unsigned id, uint16_t event)
{
	struct virtio_dev *dev = &console->virtio;
	struct vconsole_port *port = &console->ports[id];
	struct virtq_chain chain;
	struct message message;
	const uint32_t size = compose(port, id, event, &message);

	if (!virtio_pop(dev, VCONSOLE_QUEUE_CONTROL_IN, &chain))
		return false;
	if (virtq_chain_write(&dev->queues[VCONSOLE_QUEUE_CONTROL_IN], &chain, 0, &message, size)) {
		virtio_fail(dev,
			    "a buffer for control messages that is too small, or not in shared "
			    "memory");
		return false;
	}
	set_told(port, event);
	virtio_push(dev, VCONSOLE_QUEUE_CONTROL_IN, &chain, size);
	return true;
}

void vconsole_control_send(struct vconsole *console)
{
	bool has_room = true;

	for (unsigned i = 0; i < console->nr_ports && has_room; i++) {
		uint16_t event;

		while (has_room && (event = next_event(&console->ports[i])) != UINT16_MAX)
			has_room = tell(console, i, event);
	}
	virtio_notify(&console->virtio, VCONSOLE_QUEUE_CONTROL_IN);
}
