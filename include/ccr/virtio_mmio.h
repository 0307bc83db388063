/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio over MMIO, version 2 (virtio 1.2, 4.2): the registers that drivers of any virtio device
 * see where there is no PCI bus. One level interrupt for each device.
 */
#ifndef CCR_VIRTIO_MMIO_H
#define CCR_VIRTIO_MMIO_H

#include <stdint.h>

#include "ccr/bus.h"
#include "ccr/virtio.h"

/** VIRTIO_MMIO_WINDOW_SIZE - bytes of registers, configuration space included */
#define VIRTIO_MMIO_WINDOW_SIZE 0x200u

/**
 * struct virtio_mmio_host - what the transport needs from the machine
 * @set_irq: the level of the interrupt line, each time it changes; with the device's lock held
 */
struct virtio_mmio_host {
	void (*set_irq)(void *ctx, bool level);
	void *ctx;
};

/**
 * struct virtio_mmio - the transport of one device; the device's lock covers it
 * @dev: NULL in a place without a device, which drivers leave alone
 */
struct virtio_mmio {
	struct virtio_dev *dev;
	struct virtio_mmio_host host;
	uint32_t device_select, driver_select, queue_select;
	uint32_t interrupt_status;
};

/** virtio_mmio_ops - the registers, whose bus device is a struct virtio_mmio */
extern const struct bus_ops virtio_mmio_ops;

/**
 * virtio_mmio_init() - give @dev this transport; neither may move in memory afterwards
 * @dev: NULL for a place that stays empty
 */
void virtio_mmio_init(struct virtio_mmio *transport, struct virtio_dev *dev,
		      const struct virtio_mmio_host *host);

/**
 * virtio_mmio_notify_offset() - where in the window queues are notified
 *
 * Drivers write four bytes there, the queue's number; an ioeventfd for that value may take it.
 */
uint64_t virtio_mmio_notify_offset(void);

#endif
