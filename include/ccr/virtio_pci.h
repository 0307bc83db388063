/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio over PCI, modern only (virtio 1.2, 4.1): the registers that drivers of any virtio device
 * see. BAR 0 has the device's structures, BAR 1 the MSI-X table. One vector for configuration
 * changes and one a queue; INTA while MSI-X is off.
 */
#ifndef CCR_VIRTIO_PCI_H
#define CCR_VIRTIO_PCI_H

#include <stdint.h>

#include "ccr/msix.h"
#include "ccr/pci.h"
#include "ccr/virtio.h"

#define VIRTIO_PCI_REGISTERS_BAR 0

/**
 * struct virtio_pci - the transport of one device; the device's lock covers it
 * @config_vector, @queue_vectors: VIRTIO_MSI_NO_VECTOR for none
 * @msix_enabled, @intx_disabled: copies of what the PCI side was told last
 * @window_at: offset of the capability through which BARs are reached from configuration space
 */
struct virtio_pci {
	struct pci_function function;
	struct msix msix;
	struct virtio_dev *dev;
	uint32_t device_select, driver_select;
	uint16_t queue_select;
	uint16_t config_vector;
	uint16_t queue_vectors[VIRTIO_MAX_QUEUES];
	uint8_t isr;
	bool msix_enabled, intx_disabled;
	unsigned window_at;
};

/**
 * virtio_pci_init() - give @dev this transport; pci_host_add() of @transport->function comes next
 *
 * Neither may move in memory afterwards.
 */
void virtio_pci_init(struct virtio_pci *transport, struct virtio_dev *dev);
void virtio_pci_done(struct virtio_pci *transport);

/**
 * virtio_pci_notify_offset() - where in BAR VIRTIO_PCI_REGISTERS_BAR queue @index is notified
 *
 * Drivers write two bytes there; an ioeventfd may take the write, whatever the value.
 */
uint64_t virtio_pci_notify_offset(unsigned index);

#endif
