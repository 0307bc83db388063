/* SPDX-License-Identifier: Apache-2.0 */
#include <linux/virtio_mmio.h>
#include <stddef.h>

#include "ccr/virtio_mmio.h"

#define MAGIC   0x74726976 /* "virt" */
#define VERSION 2
#define VENDOR  0x52524343 /* "CCRR" */

/* All registers in front of configuration space are of this size, at multiples of it. */
#define REGISTER_SIZE 4u

#define NO_SHARED_MEMORY 0xffffffffu /* 4.2.2: of a region that does not exist */

static void set_interrupt(struct virtio_mmio *transport, uint32_t status)
{
	const bool was = transport->interrupt_status, is = status;

	transport->interrupt_status = status;
	if (was != is)
		transport->host.set_irq(transport->host.ctx, is);
}

static void queue_interrupt(void *ctx, unsigned index)
{
	struct virtio_mmio *transport = ctx;

	(void)index;
	set_interrupt(transport, transport->interrupt_status | VIRTIO_MMIO_INT_VRING);
}

static void config_interrupt(void *ctx)
{
	struct virtio_mmio *transport = ctx;

	set_interrupt(transport, transport->interrupt_status | VIRTIO_MMIO_INT_CONFIG);
}

static void reset(void *ctx)
{
	struct virtio_mmio *transport = ctx;

	transport->device_select = 0;
	transport->driver_select = 0;
	transport->queue_select = 0;
	set_interrupt(transport, 0);
}

static const struct virtio_transport virtio_mmio_transport = {
	.queue_interrupt = queue_interrupt,
	.config_interrupt = config_interrupt,
	.reset = reset,
};

static uint32_t read_queue(struct virtio_mmio *transport, uint64_t offset)
{
	const struct virtq *queue = virtio_queue(transport->dev, transport->queue_select);

	/* A size of 0 is how a driver learns that there is no such queue. */
	if (!queue)
		return 0;
	return offset == VIRTIO_MMIO_QUEUE_NUM_MAX ? queue->max_size : queue->enabled;
}

/* What a place has that is empty. */
static uint32_t read_identity(const struct virtio_dev *dev, uint64_t offset)
{
	switch (offset) {
	case VIRTIO_MMIO_MAGIC_VALUE:
		return MAGIC;
	case VIRTIO_MMIO_VERSION:
		return VERSION;
	case VIRTIO_MMIO_DEVICE_ID:
		return dev ? dev->type->id : 0;
	case VIRTIO_MMIO_VENDOR_ID:
		return VENDOR;
	default:
		return 0;
	}
}

static uint32_t read_register(struct virtio_mmio *transport, uint64_t offset)
{
	switch (offset) {
	case VIRTIO_MMIO_DEVICE_FEATURES:
		return virtio_read_features(transport->dev, transport->device_select);
	case VIRTIO_MMIO_QUEUE_NUM_MAX:
	case VIRTIO_MMIO_QUEUE_READY:
		return read_queue(transport, offset);
	case VIRTIO_MMIO_INTERRUPT_STATUS:
		return transport->interrupt_status;
	case VIRTIO_MMIO_STATUS:
		return virtio_read_status(transport->dev);
	case VIRTIO_MMIO_SHM_LEN_LOW:
	case VIRTIO_MMIO_SHM_LEN_HIGH:
	case VIRTIO_MMIO_SHM_BASE_LOW:
	case VIRTIO_MMIO_SHM_BASE_HIGH:
		return NO_SHARED_MEMORY;
	case VIRTIO_MMIO_CONFIG_GENERATION:
		return transport->dev->config_generation;
	default:
		return read_identity(transport->dev, offset);
	}
}

static void set_half(uint64_t *address, uint64_t offset, uint32_t value)
{
	const unsigned shift = offset % 8 ? 32 : 0;

	*address = (*address & ~(0xffffffffull << shift)) | (uint64_t)value << shift;
}

static void write_queue(struct virtio_mmio *transport, uint64_t offset, uint32_t value)
{
	struct virtq *queue = virtio_queue_setup(transport->dev, transport->queue_select);

	if (!queue)
		return;
	if (offset == VIRTIO_MMIO_QUEUE_NUM)
		queue->size = value <= UINT16_MAX ? (uint16_t)value : 0;
	else if (offset <= VIRTIO_MMIO_QUEUE_DESC_HIGH)
		set_half(&queue->desc.v, offset, value);
	else if (offset <= VIRTIO_MMIO_QUEUE_AVAIL_HIGH)
		set_half(&queue->avail.v, offset, value);
	else
		set_half(&queue->used.v, offset, value);
}

static void write_ready(struct virtio_mmio *transport, uint32_t value)
{
	if (value == 1)
		virtio_enable_queue(transport->dev, transport->queue_select);
	else if (value == 0)
		virtio_disable_queue(transport->dev, transport->queue_select);
}

static void write_register(struct virtio_mmio *transport, uint64_t offset, uint32_t value)
{
	switch (offset) {
	case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
		transport->device_select = value;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES:
		virtio_write_accepted(transport->dev, transport->driver_select, value);
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
		transport->driver_select = value;
		break;
	case VIRTIO_MMIO_QUEUE_SEL:
		transport->queue_select = value;
		break;
	case VIRTIO_MMIO_QUEUE_READY:
		write_ready(transport, value);
		break;
	case VIRTIO_MMIO_QUEUE_NOTIFY:
		/* Reached only where no ioeventfd takes the write. */
		if (virtio_queue(transport->dev, value))
			virtio_kick(transport->dev);
		break;
	case VIRTIO_MMIO_INTERRUPT_ACK:
		set_interrupt(transport, transport->interrupt_status & ~value);
		break;
	case VIRTIO_MMIO_STATUS:
		virtio_write_status(transport->dev, (uint8_t)value);
		break;
	case VIRTIO_MMIO_QUEUE_NUM:
	case VIRTIO_MMIO_QUEUE_DESC_LOW:
	case VIRTIO_MMIO_QUEUE_DESC_HIGH:
	case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
	case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
	case VIRTIO_MMIO_QUEUE_USED_LOW:
	case VIRTIO_MMIO_QUEUE_USED_HIGH:
		write_queue(transport, offset, value);
		break;
	default:
		break;
	}
}

static bool is_register(uint64_t offset, unsigned size)
{
	return size == REGISTER_SIZE && offset % REGISTER_SIZE == 0;
}

static uint64_t mmio_read(void *self, uint64_t offset, unsigned size)
{
	struct virtio_mmio *transport = self;
	struct virtio_dev *dev = transport->dev;
	uint64_t value = 0;

	if (!dev)
		return is_register(offset, size) ? read_identity(NULL, offset) : 0;
	virtio_lock(dev);
	if (offset >= VIRTIO_MMIO_CONFIG)
		value = virtio_read_config(dev, offset - VIRTIO_MMIO_CONFIG, size);
	else if (is_register(offset, size))
		value = read_register(transport, offset);
	virtio_unlock(dev);
	return value;
}

static void mmio_write(void *self, uint64_t offset, unsigned size, uint64_t value)
{
	struct virtio_mmio *transport = self;
	struct virtio_dev *dev = transport->dev;

	if (!dev)
		return;
	virtio_lock(dev);
	if (offset >= VIRTIO_MMIO_CONFIG)
		virtio_write_config(dev, offset - VIRTIO_MMIO_CONFIG, size, value);
	else if (is_register(offset, size))
		write_register(transport, offset, (uint32_t)value);
	virtio_unlock(dev);
}

const struct bus_ops virtio_mmio_ops = {.read = mmio_read, .write = mmio_write};

void virtio_mmio_init(struct virtio_mmio *transport, struct virtio_dev *dev,
		      const struct virtio_mmio_host *host)
{
	*transport = (struct virtio_mmio){.dev = dev, .host = *host};
	if (!dev)
		return;
	virtio_attach(dev, &virtio_mmio_transport, transport);
	/* There is no bus that a device would have to be allowed to master. */
	virtio_lock(dev);
	virtio_set_dma(dev, true);
	virtio_unlock(dev);
}

uint64_t virtio_mmio_notify_offset(void)
{
	return VIRTIO_MMIO_QUEUE_NOTIFY;
}
