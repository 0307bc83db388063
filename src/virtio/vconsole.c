/* SPDX-License-Identifier: Apache-2.0 */
#include <endian.h>
#include <errno.h>
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "ccr/vconsole.h"

#define BIT(n) (1ull << (n))

enum { QUEUE_INPUT, QUEUE_OUTPUT, NR_QUEUES };

#define CONFIG_SIZE offsetof(struct virtio_console_config, emerg_wr)

static uint32_t ring_room(const struct vconsole *console)
{
	return VCONSOLE_RING_SIZE - (uint32_t)(console->head - console->tail);
}

/* The longest stretch from @position on that neither wraps nor exceeds @size. */
static uint32_t stretch(uint64_t position, uint32_t size)
{
	const uint32_t until_wrap = VCONSOLE_RING_SIZE - position % VCONSOLE_RING_SIZE;

	return size < until_wrap ? size : until_wrap;
}

/* What the host end would not take in time. */
static void drop_output(struct vconsole *console, uint32_t size)
{
	console->nr_dropped += size;
	console->nr_written += size;
	console->out_done += size;
}

/* Return: 0, or -EFAULT. */
static int copy_output(struct vconsole *console, uint32_t size)
{
	const int ret = virtq_chain_read(&console->virtio.queues[QUEUE_OUTPUT], &console->out,
					 console->out_done,
					 console->ring + console->head % VCONSOLE_RING_SIZE, size);

	if (!ret) {
		console->head += size;
		console->nr_written += size;
		console->out_done += size;
	}
	return ret;
}

/* Return: true if all of the driver's buffer has been taken. */
static bool take_output(struct vconsole *console)
{
	while (console->out_done < console->out.out_size) {
		const uint32_t left = console->out.out_size - console->out_done;
		const uint32_t room = ring_room(console);

		if (console->is_stalled && left > room) {
			drop_output(console, left);
		} else if (room == 0) {
			return false;
		} else if (copy_output(console,
				       stretch(console->head, left < room ? left : room))) {
			virtio_fail(&console->virtio, "output that is not in shared memory");
			return false;
		}
	}
	return true;
}

static bool next_output(struct vconsole *console)
{
	if (!console->has_out) {
		console->has_out = virtio_pop(&console->virtio, QUEUE_OUTPUT, &console->out);
		console->out_done = 0;
	}
	return console->has_out;
}

static void process_output(struct vconsole *console)
{
	while (next_output(console) && take_output(console)) {
		console->has_out = false;
		virtio_push(&console->virtio, QUEUE_OUTPUT, &console->out, 0);
	}
	virtio_notify(&console->virtio, QUEUE_OUTPUT);
}

static void process_input(struct vconsole *console)
{
	struct virtio_dev *dev = &console->virtio;
	struct virtq_chain chain;
	uint32_t size;

	while (console->nr_input > 0 && virtio_pop(dev, QUEUE_INPUT, &chain)) {
		size = console->nr_input < chain.in_size ? console->nr_input : chain.in_size;
		if (virtq_chain_write(&dev->queues[QUEUE_INPUT], &chain, 0, console->input, size)) {
			virtio_fail(dev, "an input buffer that is not in shared memory");
			return;
		}
		console->nr_input -= size;
		memmove(console->input, console->input + size, console->nr_input);
		virtio_push(dev, QUEUE_INPUT, &chain, size);
	}
	virtio_notify(dev, QUEUE_INPUT);
}

static void vconsole_process(void *self)
{
	process_output(self);
	process_input(self);
}

static void vconsole_reset(void *self)
{
	struct vconsole *console = self;

	console->has_out = false;
}

static const struct virtio_type vconsole_type = {
	.name = "virtio-console",
	.id = VIRTIO_ID_CONSOLE,
	.pci_class = 0x078000, /* communication controller, other */
	.features = BIT(VIRTIO_CONSOLE_F_SIZE),
	.config_size = CONFIG_SIZE,
	.nr_queues = NR_QUEUES,
	/* Linux keeps the input queue full of pages, in realms bounce buffers: few. */
	.queue_sizes = {[QUEUE_INPUT] = 4, [QUEUE_OUTPUT] = 16},
	.process = vconsole_process,
	.reset = vconsole_reset,
};

int vconsole_init(struct vconsole *console, const struct virtio_setup *setup)
{
	const struct virtio_console_config space = {.max_nr_ports = htole32(1)};
	struct virtio_setup own = *setup;

	*console = (struct vconsole){.ring = malloc(VCONSOLE_RING_SIZE)};
	if (!console->ring)
		return -ENOMEM;
	own.type = &vconsole_type;
	own.self = console;
	own.features = vconsole_type.features;
	virtio_init(&console->virtio, &own);
	memcpy(console->virtio.config, &space, CONFIG_SIZE);
	return 0;
}

void vconsole_done(struct vconsole *console)
{
	virtio_done(&console->virtio);
	free(console->ring);
	console->ring = NULL;
}

void vconsole_resize(struct vconsole *console, uint16_t columns, uint16_t rows)
{
	const uint16_t size[2] = {htole16(columns), htole16(rows)};

	virtio_set_config(&console->virtio, offsetof(struct virtio_console_config, cols), size,
			  sizeof(size));
}

size_t vconsole_room(struct vconsole *console)
{
	size_t room;

	virtio_lock(&console->virtio);
	room = VCONSOLE_INPUT_SIZE - console->nr_input;
	virtio_unlock(&console->virtio);
	return room;
}

size_t vconsole_receive(struct vconsole *console, const uint8_t *bytes, size_t size)
{
	size_t room;

	virtio_lock(&console->virtio);
	room = VCONSOLE_INPUT_SIZE - console->nr_input;
	if (size > room)
		size = room;
	memcpy(console->input + console->nr_input, bytes, size);
	console->nr_input += (unsigned)size;
	virtio_unlock(&console->virtio);
	virtio_service(&console->virtio);
	return size;
}

size_t vconsole_peek(struct vconsole *console, uint8_t *bytes, size_t size)
{
	uint32_t used, first;

	virtio_lock(&console->virtio);
	used = VCONSOLE_RING_SIZE - ring_room(console);
	if (size > used)
		size = used;
	first = stretch(console->tail, (uint32_t)size);
	memcpy(bytes, console->ring + console->tail % VCONSOLE_RING_SIZE, first);
	memcpy(bytes + first, console->ring, size - first);
	virtio_unlock(&console->virtio);
	return size;
}

void vconsole_consume(struct vconsole *console, size_t size)
{
	uint32_t used;

	virtio_lock(&console->virtio);
	used = VCONSOLE_RING_SIZE - ring_room(console);
	console->tail += size < used ? size : used;
	if (size > 0)
		console->is_stalled = false;
	virtio_unlock(&console->virtio);
	virtio_service(&console->virtio);
}

void vconsole_set_stalled(struct vconsole *console)
{
	virtio_lock(&console->virtio);
	console->is_stalled = true;
	virtio_unlock(&console->virtio);
	virtio_service(&console->virtio);
}

static uint64_t get_count(struct vconsole *console, const uint64_t *count)
{
	uint64_t value;

	virtio_lock(&console->virtio);
	value = *count;
	virtio_unlock(&console->virtio);
	return value;
}

uint64_t vconsole_nr_written(struct vconsole *console)
{
	return get_count(console, &console->nr_written);
}

uint64_t vconsole_nr_dropped(struct vconsole *console)
{
	return get_count(console, &console->nr_dropped);
}
