/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/virtio.h"
#include "lib/arch.h"

#define VENDOR          0x1af4
#define FIRST_DEVICE_ID 0x1040

/* Capabilities (4.1.4). */
#define CAP_TYPE       3
#define CAP_BAR        4
#define CAP_OFFSET     8
#define CAP_MULTIPLIER 16

enum { TYPE_COMMON = 1, TYPE_NOTIFY, TYPE_ISR, TYPE_DEVICE };

/* In the available ring; in the used ring the index is the upper half of the first word. */
#define AVAIL_FLAGS        0
#define AVAIL_INDEX        1
#define AVAIL_ENTRIES      2
#define AVAIL_NO_INTERRUPT 1
#define USED_INDEX         0
#define USED_ENTRIES       1

static void locate_one(struct virtio *virtio, unsigned at)
{
	const struct pci *pci = virtio->pci;
	const uint64_t cap = pci_config(pci, virtio->slot, at);
	const uint64_t place = pci_bar(pci, virtio->slot, mmio_read8(cap + CAP_BAR),
				       mmio_read32(cap + CAP_OFFSET));

	switch (mmio_read8(cap + CAP_TYPE)) {
	case TYPE_COMMON:
		virtio->common = place;
		break;
	case TYPE_NOTIFY:
		virtio->notify = place;
		virtio->notify_multiplier = mmio_read32(cap + CAP_MULTIPLIER);
		break;
	case TYPE_ISR:
		virtio->isr = place;
		break;
	case TYPE_DEVICE:
		virtio->config = place;
		break;
	default:
		break;
	}
}

void virtio_locate(struct virtio *virtio)
{
	const struct pci *pci = virtio->pci;
	unsigned at = 0;

	while ((at = pci_next_capability(pci, virtio->slot, at)) != 0) {
		if (mmio_read8(pci_config(pci, virtio->slot, at)) == PCI_CAP_VENDOR)
			locate_one(virtio, at);
	}
}

static bool is_virtio(const struct pci *pci, unsigned slot, unsigned id)
{
	return mmio_read16(pci_config(pci, slot, PCI_VENDOR_ID)) == VENDOR &&
	       mmio_read16(pci_config(pci, slot, PCI_DEVICE_ID)) == FIRST_DEVICE_ID + id;
}

bool virtio_find(struct virtio *virtio, struct pci *pci, unsigned id, unsigned nth)
{
	*virtio = (struct virtio){.pci = pci};
	for (unsigned slot = 0; slot < PCI_NR_SLOTS; slot++) {
		if (!is_virtio(pci, slot, id) || nth-- > 0)
			continue;
		virtio->slot = slot;
		pci_enable(pci, slot);
		virtio_locate(virtio);
		return virtio->common && virtio->notify && virtio->isr;
	}
	return false;
}

uint8_t virtio_status(const struct virtio *virtio)
{
	return mmio_read8(virtio->common + COMMON_STATUS);
}

void virtio_add_status(const struct virtio *virtio, uint8_t bits)
{
	mmio_write8(virtio->common + COMMON_STATUS, virtio_status(virtio) | bits);
}

uint64_t virtio_offered(const struct virtio *virtio)
{
	uint64_t features;

	mmio_write32(virtio->common + COMMON_DEVICE_SELECT, 0);
	features = mmio_read32(virtio->common + COMMON_DEVICE);
	mmio_write32(virtio->common + COMMON_DEVICE_SELECT, 1);
	return features | (uint64_t)mmio_read32(virtio->common + COMMON_DEVICE) << 32;
}

void virtio_accept(const struct virtio *virtio, uint64_t features)
{
	for (unsigned i = 0; i < 2; i++) {
		mmio_write32(virtio->common + COMMON_DRIVER_SELECT, i);
		mmio_write32(virtio->common + COMMON_DRIVER, (uint32_t)(features >> (32 * i)));
	}
}

bool virtio_reset(const struct virtio *virtio)
{
	const uint64_t start = now_ms();

	mmio_write8(virtio->common + COMMON_STATUS, 0);
	while (virtio_status(virtio)) {
		if (now_ms() - start > VIRTIO_PATIENCE_MS)
			return false;
	}
	return true;
}

bool virtio_negotiate(const struct virtio *virtio, uint64_t features)
{
	if (!virtio_reset(virtio))
		return false;
	virtio_add_status(virtio, VIRTIO_ACKNOWLEDGE);
	virtio_add_status(virtio, VIRTIO_DRIVER);
	virtio_accept(virtio, features);
	virtio_add_status(virtio, VIRTIO_FEATURES_OK);
	return virtio_status(virtio) & VIRTIO_FEATURES_OK;
}

void vring_init(struct vring *ring, uint64_t base, uint64_t alias, uint16_t index, uint16_t size)
{
	uint8_t *memory = (uint8_t *)(uintptr_t)(base | alias);

	*ring = (struct vring){
		.index = index,
		.size = size,
		.base = base,
		.desc = (volatile struct vdesc *)(uintptr_t)memory,
		.avail = (volatile uint16_t *)(uintptr_t)(memory + PAGE_SIZE),
		.used = (volatile uint32_t *)(uintptr_t)(memory + 2 * PAGE_SIZE),
	};
	for (uint64_t i = 0; i < VRING_PAGES * PAGE_SIZE; i += 8)
		mmio_write64((uint64_t)(uintptr_t)memory + i, 0);
	ring->avail[AVAIL_FLAGS] = AVAIL_NO_INTERRUPT;
	cache_flush(memory, VRING_PAGES * PAGE_SIZE);
}

uint16_t virtio_queue_size(const struct virtio *virtio, uint16_t index)
{
	mmio_write16(virtio->common + COMMON_QUEUE, index);
	return mmio_read16(virtio->common + COMMON_SIZE);
}

static void set_address(const struct virtio *virtio, unsigned offset, uint64_t addr)
{
	mmio_write32(virtio->common + offset, (uint32_t)addr);
	mmio_write32(virtio->common + offset + 4, (uint32_t)(addr >> 32));
}

void virtio_set_queue(const struct virtio *virtio, struct vring *ring)
{
	mmio_write16(virtio->common + COMMON_QUEUE, ring->index);
	mmio_write16(virtio->common + COMMON_SIZE, ring->size);
	set_address(virtio, COMMON_DESC, ring->base);
	set_address(virtio, COMMON_AVAIL, ring->base + PAGE_SIZE);
	set_address(virtio, COMMON_USED, ring->base + 2 * PAGE_SIZE);
	ring->notify = virtio->notify + (uint64_t)virtio->notify_multiplier *
						mmio_read16(virtio->common + COMMON_NOTIFY_OFF);
}

void virtio_enable_queue(const struct virtio *virtio, uint16_t index)
{
	mmio_write16(virtio->common + COMMON_QUEUE, index);
	mmio_write16(virtio->common + COMMON_ENABLE, 1);
}

void vring_put(struct vring *ring, unsigned at, const struct vdesc *desc)
{
	ring->desc[at] = *desc;
	cache_flush((const void *)(uintptr_t)&ring->desc[at], sizeof(*desc));
}

void vring_set_index(struct vring *ring, uint16_t index)
{
	barrier_full();
	ring->next_avail = index;
	ring->avail[AVAIL_INDEX] = index;
	cache_flush((const void *)(uintptr_t)ring->avail, PAGE_SIZE);
}

void vring_offer(struct vring *ring, uint16_t head)
{
	ring->avail[AVAIL_ENTRIES + ring->next_avail % ring->size] = head;
	vring_set_index(ring, (uint16_t)(ring->next_avail + 1));
}

void vring_notify(const struct vring *ring)
{
	barrier_full();
	mmio_write16(ring->notify, ring->index);
}

bool vring_take(struct vring *ring, uint32_t *ret_head, uint32_t *ret_written)
{
	const unsigned at = USED_ENTRIES + 2 * (ring->next_used % ring->size);

	cache_flush((const void *)(uintptr_t)ring->used, 4);
	if ((uint16_t)(ring->used[USED_INDEX] >> 16) == ring->next_used)
		return false;
	barrier_full();
	cache_flush((const void *)(uintptr_t)&ring->used[at], 8);
	if (ret_head)
		*ret_head = ring->used[at];
	if (ret_written)
		*ret_written = ring->used[at + 1];
	ring->next_used++;
	return true;
}

enum virtio_answer virtio_await(const struct virtio *virtio, struct vring *ring, uint32_t *ret_head,
				uint32_t *ret_written)
{
	const uint64_t start = now_ms();

	do {
		/* A look at the status costs an exit, one at the ring does not. */
		for (unsigned i = 0; i < 1000; i++) {
			if (vring_take(ring, ret_head, ret_written))
				return ANSWER_DONE;
		}
		if (virtio_status(virtio) & VIRTIO_NEEDS_RESET)
			return ANSWER_NEEDS_RESET;
	} while (now_ms() - start < VIRTIO_PATIENCE_MS);
	return ANSWER_NONE;
}
