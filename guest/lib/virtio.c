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

/* Registers over MMIO (4.2.2). */
#define MMIO_MAGIC         0x000
#define MMIO_DEVICE_ID     0x008
#define MMIO_DEVICE        0x010
#define MMIO_DEVICE_SELECT 0x014
#define MMIO_DRIVER        0x020
#define MMIO_DRIVER_SELECT 0x024
#define MMIO_QUEUE         0x030
#define MMIO_SIZE_MAX      0x034
#define MMIO_SIZE          0x038
#define MMIO_READY         0x044
#define MMIO_NOTIFY        0x050
#define MMIO_STATUS        0x070
#define MMIO_DESC          0x080
#define MMIO_QUEUE_RESET   0x0c0
#define MMIO_PART          0x010 /* from one part of a queue to the next */
#define MMIO_CONFIG        0x100
#define MAGIC              0x74726976u

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

bool virtio_find_mmio(struct virtio *virtio, const struct machine *machine, uint64_t alias,
		      unsigned id, unsigned nth)
{
	const struct fdt *fdt = &machine->fdt;
	uint64_t base, size;
	int depth = 0;

	*virtio = (struct virtio){0};
	for (uint32_t node = fdt_root(fdt); node != FDT_NONE; node = fdt_next(fdt, node, &depth)) {
		if (!fdt_compatible(fdt, node, "virtio,mmio") ||
		    !machine_range(machine, node, 0, &base, &size))
			continue;
		base |= alias;
		if (mmio_read32(base + MMIO_MAGIC) != MAGIC ||
		    mmio_read32(base + MMIO_DEVICE_ID) != id || nth-- > 0)
			continue;
		*virtio = (struct virtio){.mmio = base, .config = base + MMIO_CONFIG};
		return true;
	}
	return false;
}

uint8_t virtio_status(const struct virtio *virtio)
{
	if (virtio->mmio)
		return (uint8_t)mmio_read32(virtio->mmio + MMIO_STATUS);
	return mmio_read8(virtio->common + COMMON_STATUS);
}

void virtio_write_status(const struct virtio *virtio, uint8_t value)
{
	if (virtio->mmio)
		mmio_write32(virtio->mmio + MMIO_STATUS, value);
	else
		mmio_write8(virtio->common + COMMON_STATUS, value);
}

void virtio_add_status(const struct virtio *virtio, uint8_t bits)
{
	virtio_write_status(virtio, virtio_status(virtio) | bits);
}

uint32_t virtio_offered_word(const struct virtio *virtio, uint32_t word)
{
	if (virtio->mmio) {
		mmio_write32(virtio->mmio + MMIO_DEVICE_SELECT, word);
		return mmio_read32(virtio->mmio + MMIO_DEVICE);
	}
	mmio_write32(virtio->common + COMMON_DEVICE_SELECT, word);
	return mmio_read32(virtio->common + COMMON_DEVICE);
}

uint64_t virtio_offered(const struct virtio *virtio)
{
	const uint32_t low = virtio_offered_word(virtio, 0);

	return low | (uint64_t)virtio_offered_word(virtio, 1) << 32;
}

void virtio_accept(const struct virtio *virtio, uint64_t features)
{
	const uint64_t select = virtio->mmio ? virtio->mmio + MMIO_DRIVER_SELECT
					     : virtio->common + COMMON_DRIVER_SELECT;
	const uint64_t driver = virtio->mmio ? virtio->mmio + MMIO_DRIVER
					     : virtio->common + COMMON_DRIVER;

	for (unsigned i = 0; i < 2; i++) {
		mmio_write32(select, i);
		mmio_write32(driver, (uint32_t)(features >> (32 * i)));
	}
}

bool virtio_reset(const struct virtio *virtio)
{
	const uint64_t start = now_ms();

	virtio_write_status(virtio, 0);
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

static void select_queue(const struct virtio *virtio, uint16_t index)
{
	if (virtio->mmio)
		mmio_write32(virtio->mmio + MMIO_QUEUE, index);
	else
		mmio_write16(virtio->common + COMMON_QUEUE, index);
}

uint16_t virtio_queue_size(const struct virtio *virtio, uint16_t index)
{
	select_queue(virtio, index);
	if (virtio->mmio)
		return (uint16_t)mmio_read32(virtio->mmio + MMIO_SIZE_MAX);
	return mmio_read16(virtio->common + COMMON_SIZE);
}

void virtio_write_size(const struct virtio *virtio, uint16_t size)
{
	if (virtio->mmio)
		mmio_write32(virtio->mmio + MMIO_SIZE, size);
	else
		mmio_write16(virtio->common + COMMON_SIZE, size);
}

void virtio_write_address(const struct virtio *virtio, enum vring_part part, uint64_t addr)
{
	const uint64_t at = virtio->mmio ? virtio->mmio + MMIO_DESC + MMIO_PART * (uint64_t)part
					 : virtio->common + COMMON_DESC + 8 * (uint64_t)part;

	mmio_write32(at, (uint32_t)addr);
	mmio_write32(at + 4, (uint32_t)(addr >> 32));
}

void virtio_write_ready(const struct virtio *virtio, bool is_ready)
{
	if (virtio->mmio)
		mmio_write32(virtio->mmio + MMIO_READY, is_ready);
	else
		mmio_write16(virtio->common + COMMON_ENABLE, is_ready);
}

bool virtio_is_ready(const struct virtio *virtio)
{
	return virtio->mmio ? mmio_read32(virtio->mmio + MMIO_READY)
			    : mmio_read16(virtio->common + COMMON_ENABLE);
}

bool virtio_reset_queue(const struct virtio *virtio)
{
	if (virtio->mmio) {
		mmio_write32(virtio->mmio + MMIO_QUEUE_RESET, 1);
		return mmio_read32(virtio->mmio + MMIO_QUEUE_RESET);
	}
	mmio_write16(virtio->common + COMMON_QUEUE_RESET, 1);
	return mmio_read16(virtio->common + COMMON_QUEUE_RESET);
}

static uint64_t notify_place(const struct virtio *virtio, uint16_t index)
{
	if (virtio->mmio)
		return virtio->mmio + MMIO_NOTIFY;
	return virtio->notify + (uint64_t)virtio->notify_multiplier * index;
}

void virtio_set_queue(const struct virtio *virtio, struct vring *ring)
{
	uint16_t place = ring->index;

	select_queue(virtio, ring->index);
	virtio_write_size(virtio, ring->size);
	for (unsigned part = VRING_DESC; part <= VRING_USED; part++)
		virtio_write_address(virtio, part, ring->base + part * PAGE_SIZE);
	if (!virtio->mmio)
		place = mmio_read16(virtio->common + COMMON_NOTIFY_OFF);
	ring->notify = notify_place(virtio, place);
	ring->is_mmio = virtio->mmio;
}

void virtio_enable_queue(const struct virtio *virtio, uint16_t index)
{
	select_queue(virtio, index);
	virtio_write_ready(virtio, true);
}

/* A queue that there is not has no place of its own: the index says which. */
void virtio_notify(const struct virtio *virtio, uint16_t index)
{
	barrier_full();
	if (virtio->mmio)
		mmio_write32(notify_place(virtio, index), index);
	else
		mmio_write16(notify_place(virtio, index), index);
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
	if (ring->is_mmio)
		mmio_write32(ring->notify, ring->index);
	else
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

enum virtio_answer virtio_await_for(const struct virtio *virtio, struct vring *ring,
				    uint32_t patience_ms, uint32_t *ret_head, uint32_t *ret_written)
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
	} while (now_ms() - start < patience_ms);
	return ANSWER_NONE;
}

enum virtio_answer virtio_await(const struct virtio *virtio, struct vring *ring, uint32_t *ret_head,
				uint32_t *ret_written)
{
	return virtio_await_for(virtio, ring, VIRTIO_PATIENCE_MS, ret_head, ret_written);
}
