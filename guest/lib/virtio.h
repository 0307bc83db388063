/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver's side of virtio 1.2 over PCI or MMIO, polled. Nothing is checked on the way in: a
 * test breaks the rules with the same functions that keep them.
 *
 * Rings and buffers are reached at their shared address; devices are told the one without the
 * shared bit.
 */
#ifndef GUEST_VIRTIO_H
#define GUEST_VIRTIO_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/machine.h"
#include "lib/pci.h"

#define VIRTIO_ID_NETWORK 1
#define VIRTIO_ID_BLOCK   2
#define VIRTIO_ID_CONSOLE 3
#define VIRTIO_ID_RNG     4

#define VIRTIO_ACKNOWLEDGE 1
#define VIRTIO_DRIVER      2
#define VIRTIO_DRIVER_OK   4
#define VIRTIO_FEATURES_OK 8
#define VIRTIO_NEEDS_RESET 64

#define VIRTIO_F(bit)            (1ull << (bit))
#define VIRTIO_F_INDIRECT        VIRTIO_F(28)
#define VIRTIO_F_VERSION_1       VIRTIO_F(32)
#define VIRTIO_F_ACCESS_PLATFORM VIRTIO_F(33)
#define VIRTIO_F_RING_RESET      VIRTIO_F(40)

/* Common configuration (4.1.4.3). */
#define COMMON_DEVICE_SELECT 0
#define COMMON_DEVICE        4
#define COMMON_DRIVER_SELECT 8
#define COMMON_DRIVER        12
#define COMMON_MSIX          16
#define COMMON_NR_QUEUES     18
#define COMMON_STATUS        20
#define COMMON_GENERATION    21
#define COMMON_QUEUE         22
#define COMMON_SIZE          24
#define COMMON_ENABLE        28
#define COMMON_NOTIFY_OFF    30
#define COMMON_DESC          32
#define COMMON_AVAIL         40
#define COMMON_USED          48
#define COMMON_QUEUE_RESET   58

#define DESC_NEXT     1
#define DESC_WRITE    2
#define DESC_INDIRECT 4

struct vdesc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

/**
 * struct virtio - a device
 * @pci, @slot: where it is, on PCI
 * @mmio: its registers (4.2.2), on MMIO; 0 on PCI
 * @common, @isr, @notify: its structures, on PCI
 * @config: its configuration space; 0 if there is none
 * @notify_multiplier: between the queues' places in @notify
 */
struct virtio {
	struct pci *pci;
	unsigned slot;
	uint64_t mmio;
	uint64_t common, isr, config, notify;
	uint32_t notify_multiplier;
};

#define VRING_PAGES 3

/**
 * struct vring - a queue's memory, VRING_PAGES shared pages: descriptors, available, used
 * @index, @size: of the queue
 * @base: without the shared bit
 * @desc, @avail, @used: at their shared addresses
 * @next_avail, @next_used: free-running
 * @notify: where to write the queue's index, in a word if @is_mmio, else in half of one
 */
struct vring {
	uint16_t index, size;
	uint64_t base;
	volatile struct vdesc *desc;
	volatile uint16_t *avail;
	volatile uint32_t *used;
	uint16_t next_avail, next_used;
	uint64_t notify;
	bool is_mmio;
};

/** enum vring_part - of a queue's memory, each of which has an address of its own */
enum vring_part { VRING_DESC, VRING_AVAIL, VRING_USED };

/** enum virtio_answer - what came back */
enum virtio_answer { ANSWER_DONE, ANSWER_NEEDS_RESET, ANSWER_NONE };

/** VIRTIO_PATIENCE_MS - no answer for so long is none: a host may be very slow */
#define VIRTIO_PATIENCE_MS 30000u

/**
 * virtio_find() - number @nth of the devices of type @id, its BARs assigned, decoding enabled
 *
 * Every function of the bus must have been through pci_assign(). Return: false if there is none.
 */
bool virtio_find(struct virtio *virtio, struct pci *pci, unsigned id, unsigned nth);

/** virtio_find_mmio() - the same in a machine without a bus; @alias is the shared bit */
bool virtio_find_mmio(struct virtio *virtio, const struct machine *machine, uint64_t alias,
		      unsigned id, unsigned nth);

/** virtio_locate() - read again where the structures are, after a BAR has moved */
void virtio_locate(struct virtio *virtio);

uint8_t virtio_status(const struct virtio *virtio);
void virtio_write_status(const struct virtio *virtio, uint8_t value);
void virtio_add_status(const struct virtio *virtio, uint8_t bits);
uint64_t virtio_offered(const struct virtio *virtio);

/** virtio_offered_word() - 32 bits of the features, of which only words 0 and 1 exist */
uint32_t virtio_offered_word(const struct virtio *virtio, uint32_t word);
void virtio_accept(const struct virtio *virtio, uint64_t features);

/** virtio_reset() - Return: false if the device does not come to rest. */
bool virtio_reset(const struct virtio *virtio);

/** virtio_negotiate() - from reset to FEATURES_OK. Return: whether it took @features. */
bool virtio_negotiate(const struct virtio *virtio, uint64_t features);

/** vring_init() - an empty queue of @size entries in the memory at @base; the device is not told */
void vring_init(struct vring *ring, uint64_t base, uint64_t alias, uint16_t index, uint16_t size);

/** virtio_queue_size() - select the queue; entries that the device offers, 0 for no such queue */
uint16_t virtio_queue_size(const struct virtio *virtio, uint16_t index);

/** virtio_set_queue() - tell the device where the queue is; virtio_enable_queue() makes it so */
void virtio_set_queue(const struct virtio *virtio, struct vring *ring);
void virtio_enable_queue(const struct virtio *virtio, uint16_t index);

/* One register of the selected queue. */
void virtio_write_size(const struct virtio *virtio, uint16_t size);
void virtio_write_address(const struct virtio *virtio, enum vring_part part, uint64_t addr);
void virtio_write_ready(const struct virtio *virtio, bool is_ready);
bool virtio_is_ready(const struct virtio *virtio);

/** virtio_reset_queue() - ask for a reset of the selected queue. Return: whether it has begun */
bool virtio_reset_queue(const struct virtio *virtio);

/** virtio_notify() - of any queue, also one that there is not */
void virtio_notify(const struct virtio *virtio, uint16_t index);

/** vring_put() - fill in descriptor @at */
void vring_put(struct vring *ring, unsigned at, const struct vdesc *desc);

/** vring_offer() - make the chain at @head available; vring_notify() says so */
void vring_offer(struct vring *ring, uint16_t head);
void vring_set_index(struct vring *ring, uint16_t index);
void vring_notify(const struct vring *ring);

/** vring_take() - Return: true if a chain came back: its head and how much was written into it. */
bool vring_take(struct vring *ring, uint32_t *ret_head, uint32_t *ret_written);

/**
 * virtio_await() - until a chain comes back, the device asks for a reset, or VIRTIO_PATIENCE_MS are
 * over; virtio_await_for(): or @patience_ms are. @ret_* may be NULL.
 */
enum virtio_answer virtio_await_for(const struct virtio *virtio, struct vring *ring,
				    uint32_t patience_ms, uint32_t *ret_head,
				    uint32_t *ret_written);
enum virtio_answer virtio_await(const struct virtio *virtio, struct vring *ring, uint32_t *ret_head,
				uint32_t *ret_written);

#endif
