/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest for the tests of PCI and virtio: memory whose pages are shared or private, a machine that
 * records what devices tell it, and a driver that finds a function, assigns its BARs, negotiates
 * and writes split rings. What the driver does wrong it does on request.
 */
#ifndef FAKE_VIRTIO_GUEST_H
#define FAKE_VIRTIO_GUEST_H

#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stdint.h>

#include "ccr/pci.h"
#include "ccr/virtio_mem.h"
#include "ccr/virtio_pci.h"

#define GUEST_RAM_BASE   0x80000000ull
#define GUEST_RAM_SIZE   (1024u * 1024)
#define GUEST_SHARED_BIT (1ull << 32)
#define GUEST_PCI_BASE   0x50000000ull
#define GUEST_PCI_SIZE   0x30000000ull

/**
 * struct guest_mem - what a guest has
 * @fd: the memfd that @ram is
 * @nr_pins: ranges held now; @max_pins: most ranges that were held at once
 */
struct guest_mem {
	uint8_t *ram;
	int fd;
	bool is_private[GUEST_RAM_SIZE / GRANULE_SIZE];
	unsigned nr_refused;
	unsigned nr_pins;
	unsigned max_pins;
};

extern const struct virtio_mem_ops guest_mem_ops;

/** guest_ram() - host view of guest memory; any address in RAM, with or without the shared bit */
void *guest_ram(struct guest_mem *mem, uint64_t at);

#define GUEST_MAX_EVENTS 64

struct guest_bar_event {
	unsigned slot, bar;
	uint64_t base;
	bool mapped;
};

/**
 * struct guest - memory and machine; set up by guest_init()
 * @msi_fd: what each vector's message can be sent by; -1, as at first, for a call only
 */
struct guest {
	struct guest_mem mem;
	struct virtio_mem virtio_mem;
	struct pci_host pci;
	unsigned nr_kicks;
	bool intx[PCI_NR_SLOTS];
	unsigned nr_msis;
	struct pci_msi msis[GUEST_MAX_EVENTS];
	int msi_fd;
	unsigned nr_bar_events;
	struct guest_bar_event bar_events[GUEST_MAX_EVENTS];
	uint32_t next_bar;
};

struct guest *guest_create(void);
void guest_destroy(struct guest *guest);

/** guest_setup() - what a device's init function takes, for this guest */
struct virtio_setup guest_setup(struct guest *guest);

uint64_t guest_config_read(struct guest *guest, unsigned slot, unsigned reg, unsigned size);
void guest_config_write(struct guest *guest, unsigned slot, unsigned reg, unsigned size,
			uint64_t value);
uint64_t guest_mem_read(struct guest *guest, uint64_t at, unsigned size);
void guest_mem_write(struct guest *guest, uint64_t at, unsigned size, uint64_t value);

/** struct guest_queue - a split ring in the guest's memory; all addresses have the shared bit */
struct guest_queue {
	struct guest *guest;
	unsigned size;
	uint64_t desc, avail, used;
	uint16_t next_desc;
	uint16_t avail_index;
	uint16_t used_seen;
};

/** guest_queue_place() - rings at @at, 4 KiB, and zeroed */
void guest_queue_place(struct guest_queue *queue, struct guest *guest, uint64_t at, unsigned size);

/** guest_desc() - write a descriptor */
void guest_desc(struct guest_queue *queue, unsigned index, uint64_t at, uint32_t size,
		uint16_t flags, uint16_t next);

/** guest_offer() - make a chain available without notifying */
void guest_offer(struct guest_queue *queue, uint16_t head);

struct guest_piece {
	uint64_t at;
	uint32_t size;
	bool is_in;
};

/** guest_add() - write a chain of descriptors and offer it. Return: its head. */
uint16_t guest_add(struct guest_queue *queue, const struct guest_piece *pieces, unsigned nr);

/** guest_take_used() - the next used element, if there is one */
bool guest_take_used(struct guest_queue *queue, struct vring_used_elem *ret_elem);

/** struct guest_device - a virtio function as the driver has found it: addresses of structures */
struct guest_device {
	struct guest *guest;
	unsigned slot;
	uint64_t common, isr, config, notify, vectors;
	uint32_t notify_multiplier;
};

/** guest_probe() - assign BARs, decode memory, become bus master, follow the capabilities */
struct guest_device guest_probe(struct guest *guest, unsigned slot);

uint64_t guest_common_read(const struct guest_device *device, unsigned reg, unsigned size);
void guest_common_write(const struct guest_device *device, unsigned reg, unsigned size,
			uint64_t value);
uint64_t guest_offered(const struct guest_device *device);

/** guest_negotiate() - reset, acknowledge, take @features. Return: status after FEATURES_OK. */
uint8_t guest_negotiate(const struct guest_device *device, uint64_t features);

/** guest_enable_queue() - hand queue @index over */
void guest_enable_queue(const struct guest_device *device, unsigned index,
			const struct guest_queue *queue);

/** guest_status(), guest_add_status() - the status register */
uint8_t guest_status(const struct guest_device *device);
void guest_add_status(const struct guest_device *device, uint8_t bits);

void guest_notify(const struct guest_device *device, unsigned index);

/** guest_use_msix() - enable MSI-X; vector n sends 0x100 + n to @doorbell */
void guest_use_msix(const struct guest_device *device, uint64_t doorbell, unsigned nr_vectors);

#endif
