/* SPDX-License-Identifier: Apache-2.0 */
#include <endian.h>
#include <errno.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>

#include "ccr/vvsock.h"

enum { QUEUE_RX, QUEUE_TX, QUEUE_EVENT, NR_QUEUES };

#define HEADER_SIZE ((uint32_t)sizeof(struct virtio_vsock_hdr))
#define CONFIG_SIZE sizeof(struct virtio_vsock_config)

/* Packets each way before others get their turn in the event loop. */
#define MAX_PACKETS 64

_Static_assert(VSOCK_BUFFER_SIZE <= VSOCK_MAX_PAYLOAD, "a payload fits the device's buffer");

/* Return: NULL, or which rule the driver has broken. */
static const char *take_packet(struct vvsock *device, const struct virtq_chain *chain)
{
	struct virtq *queue = &device->virtio.queues[QUEUE_TX];
	struct virtio_vsock_hdr header;
	uint32_t size, held;

	if (chain->out_size < HEADER_SIZE)
		return "a packet without a header";
	if (virtq_chain_read(queue, chain, 0, &header, HEADER_SIZE))
		return "a packet header that is not in shared memory";
	size = le32toh(header.len);
	if (size > chain->out_size - HEADER_SIZE)
		return "a packet that is shorter than its header says";
	held = size < VSOCK_BUFFER_SIZE ? size : VSOCK_BUFFER_SIZE;
	if (held > 0 && virtq_chain_read(queue, chain, HEADER_SIZE, device->payload, held))
		return "a packet that is not in shared memory";
	vsock_receive(&device->vsock, &header, device->payload, size);
	return NULL;
}

/* Return: true if it was not all. */
static bool process_tx(struct vvsock *device)
{
	struct virtio_dev *dev = &device->virtio;
	unsigned nr = 0;

	for (; nr < MAX_PACKETS && vsock_has_room(&device->vsock); nr++) {
		struct virtq_chain chain;
		const char *why;

		if (!virtio_pop(dev, QUEUE_TX, &chain))
			break;
		why = take_packet(device, &chain);
		if (why) {
			virtio_fail(dev, why);
			return false;
		}
		virtio_push(dev, QUEUE_TX, &chain, 0);
	}
	virtio_notify(dev, QUEUE_TX);
	return nr == MAX_PACKETS;
}

static bool next_buffer(struct vvsock *device)
{
	if (!device->has_rx)
		device->has_rx = virtio_pop(&device->virtio, QUEUE_RX, &device->rx);
	return device->has_rx;
}

/* Return: true if a packet was put into the driver's buffer. */
static bool give_packet(struct vvsock *device)
{
	struct virtio_dev *dev = &device->virtio;
	struct virtq *queue = &dev->queues[QUEUE_RX];
	struct virtio_vsock_hdr header;
	uint32_t size;

	if (device->rx.in_size <= HEADER_SIZE) {
		virtio_fail(dev, "a receive buffer without room for a packet");
		return false;
	}
	if (!vsock_send(&device->vsock, &header, device->payload, device->rx.in_size - HEADER_SIZE,
			&size))
		return false;
	device->has_rx = false;
	if (virtq_chain_write(queue, &device->rx, 0, &header, HEADER_SIZE) ||
	    (size > 0 &&
	     virtq_chain_write(queue, &device->rx, HEADER_SIZE, device->payload, size))) {
		virtio_fail(dev, "a receive buffer that is not in shared memory");
		return false;
	}
	virtio_push(dev, QUEUE_RX, &device->rx, HEADER_SIZE + size);
	return true;
}

/* Return: true if it was not all. */
static bool process_rx(struct vvsock *device)
{
	unsigned nr = 0;

	while (nr < MAX_PACKETS && vsock_has_output(&device->vsock) && next_buffer(device) &&
	       give_packet(device))
		nr++;
	virtio_notify(&device->virtio, QUEUE_RX);
	return nr == MAX_PACKETS;
}

static void vvsock_process(void *self)
{
	struct vvsock *device = self;
	bool more = process_tx(device);
	const bool was_full = !vsock_has_room(&device->vsock);

	more |= process_rx(device);
	/* What the driver sends may have waited for the room that has just been made. */
	if (more || (was_full && vsock_has_room(&device->vsock)))
		virtio_kick(&device->virtio);
}

static void vvsock_reset(void *self)
{
	struct vvsock *device = self;

	device->has_rx = false;
	vsock_reset(&device->vsock);
}

static const struct virtio_type vvsock_type = {
	.name = "virtio-vsock",
	.id = VIRTIO_ID_VSOCK,
	.pci_class = 0x078000, /* communication controller, other */
	.config_size = CONFIG_SIZE,
	.nr_queues = NR_QUEUES,
	/* Linux keeps the first full of 4 KiB buffers, in realms bounce buffers: few. */
	.queue_sizes = {[QUEUE_RX] = 16, [QUEUE_TX] = 16, [QUEUE_EVENT] = 2},
	.process = vvsock_process,
	.reset = vvsock_reset,
};

int vvsock_init(struct vvsock *device, uint32_t cid, const struct vsock_host *host, void *ctx,
		const struct virtio_setup *setup)
{
	const struct virtio_vsock_config space = {.guest_cid = htole64(cid)};
	struct virtio_setup own = *setup;

	*device = (struct vvsock){.payload = malloc(VSOCK_MAX_PAYLOAD)};
	if (!device->payload)
		return -ENOMEM;
	vsock_init(&device->vsock, cid, host, ctx);
	own.type = &vvsock_type;
	own.self = device;
	own.features = vvsock_type.features;
	virtio_init(&device->virtio, &own);
	memcpy(device->virtio.config, &space, CONFIG_SIZE);
	return 0;
}

void vvsock_done(struct vvsock *device)
{
	vsock_reset(&device->vsock);
	virtio_done(&device->virtio);
	free(device->payload);
	device->payload = NULL;
}
