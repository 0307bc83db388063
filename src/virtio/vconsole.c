/* SPDX-License-Identifier: Apache-2.0 */
#include <endian.h>
#include <errno.h>
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "vconsole_internal.h"

#define BIT(n) (1ull << (n))

#define CONFIG_SIZE offsetof(struct virtio_console_config, emerg_wr)

static unsigned input_queue(unsigned port)
{
	return port == VCONSOLE_PORT ? VCONSOLE_QUEUE_INPUT
				     : VCONSOLE_QUEUE_CHANNELS + 2 * (port - 1);
}

static unsigned output_queue(unsigned port)
{
	return input_queue(port) + 1;
}

static uint32_t ring_used(const struct vconsole_port *port)
{
	return (uint32_t)(port->head - port->tail);
}

static uint32_t ring_room(const struct vconsole_port *port)
{
	return VCONSOLE_RING_SIZE - ring_used(port);
}

/* The longest stretch from @position on that neither wraps nor exceeds @size. */
static uint32_t stretch(uint64_t position, uint32_t size)
{
	const uint32_t until_wrap = VCONSOLE_RING_SIZE - position % VCONSOLE_RING_SIZE;

	return size < until_wrap ? size : until_wrap;
}

/* What the host end would not take in time, or is not there to take. */
static void drop_output(struct vconsole_port *port, uint32_t size)
{
	port->nr_dropped += size;
	port->nr_written += size;
	port->out_done += size;
}

/* Return: 0, or -EFAULT. */
static int copy_output(struct vconsole_port *port, const struct virtq *queue, uint32_t size)
{
	const int ret = virtq_chain_read(queue, &port->out, port->out_done,
					 port->ring + port->head % VCONSOLE_RING_SIZE, size);

	if (!ret) {
		port->head += size;
		port->nr_written += size;
		port->out_done += size;
	}
	return ret;
}

/* Return: true if all of the driver's buffer has been taken. */
static bool take_output(struct vconsole *console, struct vconsole_port *port,
			const struct virtq *queue)
{
	while (port->out_done < port->out.out_size) {
		const uint32_t left = port->out.out_size - port->out_done;
		const uint32_t room = ring_room(port);

		if (!port->is_connected || (port->is_stalled && left > room)) {
			drop_output(port, left);
		} else if (room == 0) {
			return false;
		} else if (copy_output(port, queue,
				       stretch(port->head, left < room ? left : room))) {
			virtio_fail(&console->virtio, "output that is not in shared memory");
			return false;
		}
	}
	return true;
}

static bool next_output(struct vconsole *console, unsigned nr)
{
	struct vconsole_port *port = &console->ports[nr];

	if (!port->has_out) {
		port->has_out = virtio_pop(&console->virtio, output_queue(nr), &port->out);
		port->out_done = 0;
	}
	return port->has_out;
}

/* Return: true if there may be more that could be taken now. */
static bool process_output(struct vconsole *console, unsigned nr)
{
	struct virtio_dev *dev = &console->virtio;
	struct vconsole_port *port = &console->ports[nr];
	const unsigned queue = output_queue(nr);
	unsigned nr_taken = 0;

	while (nr_taken < VCONSOLE_MAX_BUFFERS && next_output(console, nr) &&
	       take_output(console, port, &dev->queues[queue])) {
		port->has_out = false;
		virtio_push(dev, queue, &port->out, 0);
		nr_taken++;
	}
	virtio_notify(dev, queue);
	return nr_taken == VCONSOLE_MAX_BUFFERS;
}

/* Return: true if there may be more that could be given now. */
static bool process_input(struct vconsole *console, unsigned nr)
{
	struct virtio_dev *dev = &console->virtio;
	struct vconsole_port *port = &console->ports[nr];
	const unsigned queue = input_queue(nr);
	struct virtq_chain chain;
	unsigned nr_given = 0;

	while (nr_given < VCONSOLE_MAX_BUFFERS && port->nr_input > 0 &&
	       virtio_pop(dev, queue, &chain)) {
		const uint32_t size = port->nr_input < chain.in_size ? port->nr_input
								     : chain.in_size;

		if (virtq_chain_write(&dev->queues[queue], &chain, 0, port->input, size)) {
			virtio_fail(dev, "an input buffer that is not in shared memory");
			return false;
		}
		port->nr_input -= size;
		port->nr_received += size;
		memmove(port->input, port->input + size, port->nr_input);
		virtio_push(dev, queue, &chain, size);
		nr_given++;
	}
	virtio_notify(dev, queue);
	return nr_given == VCONSOLE_MAX_BUFFERS;
}

static void vconsole_process(void *self)
{
	struct vconsole *console = self;
	const bool has_channels = virtio_has(&console->virtio, VIRTIO_CONSOLE_F_MULTIPORT);
	const unsigned nr_ports = has_channels ? console->nr_ports : 1;
	bool more = has_channels && vconsole_control_take(console);

	for (unsigned i = 0; i < nr_ports; i++) {
		more |= process_output(console, i);
		more |= process_input(console, i);
	}
	if (has_channels)
		vconsole_control_send(console);
	if (more)
		virtio_kick(&console->virtio);
}

static void vconsole_reset(void *self)
{
	struct vconsole *console = self;

	for (unsigned i = 0; i < console->nr_ports; i++) {
		struct vconsole_port *port = &console->ports[i];

		port->has_out = false;
		vconsole_control_forget(port);
		if (port->name)
			port->nr_input = 0;
	}
}

/* Linux keeps input queues full of pages, in realms bounce buffers: few. */
#define INPUT_ENTRIES   4
#define CHANNEL_ENTRIES 2
#define OUTPUT_ENTRIES  16

static const struct virtio_type vconsole_type = {
	.name = "virtio-console",
	.id = VIRTIO_ID_CONSOLE,
	.pci_class = 0x078000, /* communication controller, other */
	.features = BIT(VIRTIO_CONSOLE_F_SIZE) | BIT(VIRTIO_CONSOLE_F_MULTIPORT),
	.config_size = CONFIG_SIZE,
	.nr_queues = VCONSOLE_QUEUE_CHANNELS + 2 * VCONSOLE_MAX_CHANNELS,
	.queue_sizes = {INPUT_ENTRIES, OUTPUT_ENTRIES,   /* console */
			CHANNEL_ENTRIES, OUTPUT_ENTRIES, /* control */
			CHANNEL_ENTRIES, OUTPUT_ENTRIES, CHANNEL_ENTRIES, OUTPUT_ENTRIES,
			CHANNEL_ENTRIES, OUTPUT_ENTRIES, CHANNEL_ENTRIES, OUTPUT_ENTRIES,
			CHANNEL_ENTRIES, OUTPUT_ENTRIES, CHANNEL_ENTRIES, OUTPUT_ENTRIES},
	.process = vconsole_process,
	.reset = vconsole_reset,
};

static void init_ports(struct vconsole *console, const char *const *names)
{
	for (unsigned i = 0; i < console->nr_ports; i++) {
		struct vconsole_port *port = &console->ports[i];

		port->name = i == VCONSOLE_PORT ? NULL : names[i - 1];
		port->ring = console->rings + (size_t)i * VCONSOLE_RING_SIZE;
		port->is_connected = i == VCONSOLE_PORT;
	}
}

int vconsole_init(struct vconsole *console, const char *const *names, unsigned nr_channels,
		  const struct virtio_setup *setup)
{
	const struct virtio_console_config space = {.max_nr_ports = htole32(1 + nr_channels)};
	struct virtio_setup own = *setup;

	*console = (struct vconsole){
		.rings = malloc((1 + (size_t)nr_channels) * VCONSOLE_RING_SIZE),
		.nr_ports = 1 + nr_channels,
	};
	if (!console->rings)
		return -ENOMEM;
	init_ports(console, names);
	own.type = &vconsole_type;
	own.self = console;
	own.features = BIT(VIRTIO_CONSOLE_F_SIZE);
	own.nr_queues = VCONSOLE_QUEUE_CONTROL_IN;
	if (nr_channels > 0) {
		own.features |= BIT(VIRTIO_CONSOLE_F_MULTIPORT);
		own.nr_queues = VCONSOLE_QUEUE_CHANNELS + 2 * nr_channels;
	}
	virtio_init(&console->virtio, &own);
	memcpy(console->virtio.config, &space, CONFIG_SIZE);
	return 0;
}

void vconsole_done(struct vconsole *console)
{
	virtio_done(&console->virtio);
	free(console->rings);
	console->rings = NULL;
}

void vconsole_resize(struct vconsole *console, uint16_t columns, uint16_t rows)
{
	const uint16_t size[2] = {htole16(columns), htole16(rows)};

	virtio_set_config(&console->virtio, offsetof(struct virtio_console_config, cols), size,
			  sizeof(size));
}

static size_t input_room(const struct vconsole_port *port)
{
	return port->name && !port->is_open ? 0 : VCONSOLE_INPUT_SIZE - port->nr_input;
}

size_t vconsole_room(struct vconsole *console, unsigned port)
{
	size_t room;

	virtio_lock(&console->virtio);
	room = input_room(&console->ports[port]);
	virtio_unlock(&console->virtio);
	return room;
}

size_t vconsole_receive(struct vconsole *console, unsigned nr, const uint8_t *bytes, size_t size)
{
	struct vconsole_port *port = &console->ports[nr];
	size_t room;

	virtio_lock(&console->virtio);
	room = input_room(port);
	if (size > room)
		size = room;
	memcpy(port->input + port->nr_input, bytes, size);
	port->nr_input += (unsigned)size;
	virtio_unlock(&console->virtio);
	virtio_service(&console->virtio);
	return size;
}

size_t vconsole_peek(struct vconsole *console, unsigned nr, uint8_t *bytes, size_t size)
{
	const struct vconsole_port *port = &console->ports[nr];
	uint32_t first;

	virtio_lock(&console->virtio);
	if (size > ring_used(port))
		size = ring_used(port);
	first = stretch(port->tail, (uint32_t)size);
	memcpy(bytes, port->ring + port->tail % VCONSOLE_RING_SIZE, first);
	memcpy(bytes + first, port->ring, size - first);
	virtio_unlock(&console->virtio);
	return size;
}

void vconsole_consume(struct vconsole *console, unsigned nr, size_t size)
{
	struct vconsole_port *port = &console->ports[nr];

	virtio_lock(&console->virtio);
	port->tail += size < ring_used(port) ? size : ring_used(port);
	if (size > 0)
		port->is_stalled = false;
	virtio_unlock(&console->virtio);
	virtio_service(&console->virtio);
}

void vconsole_set_stalled(struct vconsole *console)
{
	virtio_lock(&console->virtio);
	console->ports[VCONSOLE_PORT].is_stalled = true;
	virtio_unlock(&console->virtio);
	virtio_service(&console->virtio);
}

void vconsole_set_connected(struct vconsole *console, unsigned nr, bool is_connected)
{
	struct vconsole_port *port = &console->ports[nr];
	bool changes;

	virtio_lock(&console->virtio);
	changes = port->is_connected != is_connected;
	port->is_connected = is_connected;
	if (changes && !is_connected) {
		port->nr_dropped += ring_used(port);
		port->tail = port->head;
	}
	virtio_unlock(&console->virtio);
	if (changes)
		virtio_service(&console->virtio);
}

struct vconsole_state vconsole_get_state(struct vconsole *console, unsigned nr)
{
	const struct vconsole_port *port = &console->ports[nr];
	struct vconsole_state state;

	virtio_lock(&console->virtio);
	state = (struct vconsole_state){
		.is_connected = port->is_connected,
		.is_open = port->is_open,
		.nr_written = port->nr_written,
		.nr_dropped = port->nr_dropped,
		.nr_received = port->nr_received,
	};
	virtio_unlock(&console->virtio);
	return state;
}
