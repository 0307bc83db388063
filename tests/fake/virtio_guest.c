/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "virtio_guest.h"

void *guest_ram(struct guest_mem *mem, uint64_t at)
{
	return mem->ram + ((at & ~GUEST_SHARED_BIT) - GUEST_RAM_BASE);
}

static uint8_t *translate(struct guest_mem *mem, ipa_t at, uint64_t size)
{
	bool ok = range_within(at.v, size, GUEST_RAM_BASE, GUEST_RAM_SIZE);
	const uint64_t first = at.v - GUEST_RAM_BASE;

	for (uint64_t i = first; ok && i < first + size; i = (i / GRANULE_SIZE + 1) * GRANULE_SIZE)
		ok = !mem->is_private[i / GRANULE_SIZE];
	if (!ok) {
		mem->nr_refused++;
		return NULL;
	}
	return mem->ram + first;
}

static int mem_read(void *ctx, ipa_t at, void *buf, size_t size)
{
	const uint8_t *from = translate(ctx, at, size);

	if (!from)
		return -EFAULT;
	memcpy(buf, from, size);
	return 0;
}

static int mem_write(void *ctx, ipa_t at, const void *buf, size_t size)
{
	uint8_t *to = translate(ctx, at, size);

	if (!to)
		return -EFAULT;
	memcpy(to, buf, size);
	return 0;
}

static int mem_load16(void *ctx, ipa_t at, uint16_t *ret_value)
{
	return mem_read(ctx, at, ret_value, sizeof(*ret_value));
}

static int mem_store16(void *ctx, ipa_t at, uint16_t value)
{
	return mem_write(ctx, at, &value, sizeof(value));
}

static int mem_pin(void *ctx, const struct gmem_range *ranges, unsigned nr, struct iovec *ret_iov)
{
	struct guest_mem *mem = ctx;

	for (unsigned i = 0; i < nr; i++) {
		ret_iov[i].iov_base = translate(mem, ranges[i].at, ranges[i].size);
		ret_iov[i].iov_len = ranges[i].size;
		if (!ret_iov[i].iov_base)
			return -EFAULT;
	}
	mem->nr_pins += nr;
	if (mem->nr_pins > mem->max_pins)
		mem->max_pins = mem->nr_pins;
	return (int)nr;
}

static void mem_unpin(void *ctx, int handle)
{
	struct guest_mem *mem = ctx;

	mem->nr_pins -= (unsigned)handle;
}

const struct virtio_mem_ops guest_mem_ops = {
	.read = mem_read,
	.write = mem_write,
	.load16 = mem_load16,
	.store16 = mem_store16,
	.pin = mem_pin,
	.unpin = mem_unpin,
};

static void on_kick(void *ctx)
{
	struct guest *guest = ctx;

	guest->nr_kicks++;
}

static void on_set_bar(void *ctx, unsigned slot, unsigned bar, ipa_t base, bool mapped)
{
	struct guest *guest = ctx;

	guest->bar_events[guest->nr_bar_events++ % GUEST_MAX_EVENTS] =
		(struct guest_bar_event){slot, bar, base.v, mapped};
}

static void on_set_intx(void *ctx, unsigned slot, bool level)
{
	struct guest *guest = ctx;

	guest->intx[slot] = level;
}

static void on_msi(void *ctx, const struct pci_msi *msi)
{
	struct guest *guest = ctx;

	guest->msis[guest->nr_msis++ % GUEST_MAX_EVENTS] = *msi;
}

static int on_lend_msi(void *ctx, unsigned slot, unsigned vector)
{
	struct guest *guest = ctx;

	(void)slot, (void)vector;
	return guest->msi_fd;
}

struct guest *guest_create(void)
{
	struct guest *guest = calloc(1, sizeof(*guest));
	const struct pci_platform platform = {
		.set_bar = on_set_bar,
		.set_intx = on_set_intx,
		.signal_msi = on_msi,
		.lend_msi = on_lend_msi,
		.ctx = guest,
		.shared_bit = GUEST_SHARED_BIT,
	};

	if (!guest)
		return NULL;
	guest->mem.fd = memfd_create("guest", MFD_CLOEXEC);
	if (guest->mem.fd < 0 || ftruncate(guest->mem.fd, GUEST_RAM_SIZE) < 0)
		abort();
	guest->mem.ram =
		mmap(NULL, GUEST_RAM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, guest->mem.fd, 0);
	if (guest->mem.ram == MAP_FAILED)
		abort();
	guest->virtio_mem = (struct virtio_mem){&guest_mem_ops, &guest->mem, GUEST_SHARED_BIT};
	guest->next_bar = GUEST_PCI_BASE;
	guest->msi_fd = -1;
	pci_host_init(&guest->pci, &platform, ipa_at(GUEST_PCI_BASE), GUEST_PCI_SIZE);
	return guest;
}

void guest_destroy(struct guest *guest)
{
	pci_host_done(&guest->pci);
	munmap(guest->mem.ram, GUEST_RAM_SIZE);
	close(guest->mem.fd);
	free(guest);
}

struct virtio_setup guest_setup(struct guest *guest)
{
	return (struct virtio_setup){
		.mem = &guest->virtio_mem,
		.host = {on_kick, guest},
		.needs_platform = true,
	};
}

uint64_t guest_config_read(struct guest *guest, unsigned slot, unsigned reg, unsigned size)
{
	return pci_ecam_ops.read(&guest->pci, slot * 0x8000u + reg, size);
}

void guest_config_write(struct guest *guest, unsigned slot, unsigned reg, unsigned size,
			uint64_t value)
{
	pci_ecam_ops.write(&guest->pci, slot * 0x8000u + reg, size, value);
}

uint64_t guest_mem_read(struct guest *guest, uint64_t at, unsigned size)
{
	return pci_mem_ops.read(&guest->pci, at - GUEST_PCI_BASE, size);
}

void guest_mem_write(struct guest *guest, uint64_t at, unsigned size, uint64_t value)
{
	pci_mem_ops.write(&guest->pci, at - GUEST_PCI_BASE, size, value);
}

void guest_queue_place(struct guest_queue *queue, struct guest *guest, uint64_t at, unsigned size)
{
	*queue = (struct guest_queue){
		.guest = guest,
		.size = size,
		.desc = at | GUEST_SHARED_BIT,
		.avail = (at + 16ull * size) | GUEST_SHARED_BIT,
		.used = (at + 0x800) | GUEST_SHARED_BIT,
	};
	memset(guest_ram(&guest->mem, at), 0, 4096);
}

void guest_desc(struct guest_queue *queue, unsigned index, uint64_t at, uint32_t size,
		uint16_t flags, uint16_t next)
{
	const struct vring_desc desc = {.addr = at, .len = size, .flags = flags, .next = next};

	memcpy((char *)guest_ram(&queue->guest->mem, queue->desc) + 16 * index, &desc,
	       sizeof(desc));
}

void guest_offer(struct guest_queue *queue, uint16_t head)
{
	uint16_t *avail = guest_ram(&queue->guest->mem, queue->avail);

	avail[2 + queue->avail_index % queue->size] = head;
	avail[1] = ++queue->avail_index;
}

uint16_t guest_add(struct guest_queue *queue, const struct guest_piece *pieces, unsigned nr)
{
	const uint16_t head = queue->next_desc;

	for (unsigned i = 0; i < nr; i++) {
		const uint16_t index = queue->next_desc;

		queue->next_desc = (uint16_t)((index + 1) % queue->size);
		guest_desc(queue, index, pieces[i].at, pieces[i].size,
			   (uint16_t)((pieces[i].is_in ? VRING_DESC_F_WRITE : 0) |
				      (i + 1 < nr ? VRING_DESC_F_NEXT : 0)),
			   queue->next_desc);
	}
	guest_offer(queue, head);
	return head;
}

bool guest_take_used(struct guest_queue *queue, struct vring_used_elem *ret_elem)
{
	const uint8_t *used = guest_ram(&queue->guest->mem, queue->used);
	uint16_t index;

	memcpy(&index, used + 2, sizeof(index));
	if (index == queue->used_seen)
		return false;
	memcpy(ret_elem, used + 4 + 8 * (queue->used_seen % queue->size), sizeof(*ret_elem));
	queue->used_seen++;
	return true;
}

static void assign_bars(struct guest *guest, unsigned slot)
{
	for (unsigned reg = PCI_BASE_ADDRESS_0; reg <= PCI_BASE_ADDRESS_5; reg += 4) {
		uint32_t size;

		guest_config_write(guest, slot, reg, 4, 0xffffffff);
		size = ~(uint32_t)guest_config_read(guest, slot, reg, 4) + 1;
		if (size == 0)
			continue;
		guest->next_bar = (guest->next_bar + size - 1) & ~(size - 1);
		guest_config_write(guest, slot, reg, 4, guest->next_bar);
		guest->next_bar += size;
	}
}

static void follow_capability(struct guest_device *device, unsigned at)
{
	struct guest *guest = device->guest;
	const unsigned type = (unsigned)guest_config_read(guest, device->slot, at + 3, 1);
	const unsigned bar = (unsigned)guest_config_read(guest, device->slot, at + 4, 1);
	const uint64_t where =
		guest_config_read(guest, device->slot, PCI_BASE_ADDRESS_0 + 4 * bar, 4) +
		guest_config_read(guest, device->slot, at + 8, 4);

	if (type == VIRTIO_PCI_CAP_COMMON_CFG)
		device->common = where;
	else if (type == VIRTIO_PCI_CAP_ISR_CFG)
		device->isr = where;
	else if (type == VIRTIO_PCI_CAP_DEVICE_CFG)
		device->config = where;
	else if (type == VIRTIO_PCI_CAP_NOTIFY_CFG) {
		device->notify = where;
		device->notify_multiplier =
			(uint32_t)guest_config_read(guest, device->slot, at + 16, 4);
	}
}

struct guest_device guest_probe(struct guest *guest, unsigned slot)
{
	struct guest_device device = {.guest = guest, .slot = slot};
	unsigned at = (unsigned)guest_config_read(guest, slot, PCI_CAPABILITY_LIST, 1);

	assign_bars(guest, slot);
	guest_config_write(guest, slot, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	for (; at; at = (unsigned)guest_config_read(guest, slot, at + 1, 1)) {
		const unsigned id = (unsigned)guest_config_read(guest, slot, at, 1);

		if (id == PCI_CAP_ID_VNDR)
			follow_capability(&device, at);
		else if (id == PCI_CAP_ID_MSIX)
			device.vectors = guest_config_read(guest, slot, PCI_BASE_ADDRESS_1, 4);
	}
	return device;
}

uint64_t guest_common_read(const struct guest_device *device, unsigned reg, unsigned size)
{
	return guest_mem_read(device->guest, device->common + reg, size);
}

void guest_common_write(const struct guest_device *device, unsigned reg, unsigned size,
			uint64_t value)
{
	guest_mem_write(device->guest, device->common + reg, size, value);
}

uint64_t guest_offered(const struct guest_device *device)
{
	uint64_t features = 0;

	for (unsigned i = 0; i < 2; i++) {
		guest_common_write(device, VIRTIO_PCI_COMMON_DFSELECT, 4, i);
		features |= guest_common_read(device, VIRTIO_PCI_COMMON_DF, 4) << (32 * i);
	}
	return features;
}

uint8_t guest_status(const struct guest_device *device)
{
	return (uint8_t)guest_common_read(device, VIRTIO_PCI_COMMON_STATUS, 1);
}

void guest_add_status(const struct guest_device *device, uint8_t bits)
{
	guest_common_write(device, VIRTIO_PCI_COMMON_STATUS, 1, guest_status(device) | bits);
}

uint8_t guest_negotiate(const struct guest_device *device, uint64_t features)
{
	guest_common_write(device, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	guest_add_status(device, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	for (unsigned i = 0; i < 2; i++) {
		guest_common_write(device, VIRTIO_PCI_COMMON_GFSELECT, 4, i);
		guest_common_write(device, VIRTIO_PCI_COMMON_GF, 4,
				   (uint32_t)(features >> (32 * i)));
	}
	guest_add_status(device, VIRTIO_CONFIG_S_FEATURES_OK);
	return guest_status(device);
}

void guest_enable_queue(const struct guest_device *device, unsigned index,
			const struct guest_queue *queue)
{
	const struct {
		unsigned reg;
		uint64_t address;
	} rings[] = {
		{VIRTIO_PCI_COMMON_Q_DESCLO, queue->desc},
		{VIRTIO_PCI_COMMON_Q_AVAILLO, queue->avail},
		{VIRTIO_PCI_COMMON_Q_USEDLO, queue->used},
	};

	guest_common_write(device, VIRTIO_PCI_COMMON_Q_SELECT, 2, index);
	guest_common_write(device, VIRTIO_PCI_COMMON_Q_SIZE, 2, queue->size);
	for (unsigned i = 0; i < sizeof(rings) / sizeof(rings[0]); i++) {
		guest_common_write(device, rings[i].reg, 4, (uint32_t)rings[i].address);
		guest_common_write(device, rings[i].reg + 4, 4, rings[i].address >> 32);
	}
	guest_common_write(device, VIRTIO_PCI_COMMON_Q_MSIX, 2, index + 1);
	guest_common_write(device, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
}

void guest_notify(const struct guest_device *device, unsigned index)
{
	guest_common_write(device, VIRTIO_PCI_COMMON_Q_SELECT, 2, index);
	guest_mem_write(device->guest,
			device->notify +
				device->notify_multiplier *
					guest_common_read(device, VIRTIO_PCI_COMMON_Q_NOFF, 2),
			2, index);
}

void guest_use_msix(const struct guest_device *device, uint64_t doorbell, unsigned nr_vectors)
{
	struct guest *guest = device->guest;
	unsigned at = (unsigned)guest_config_read(guest, device->slot, PCI_CAPABILITY_LIST, 1);

	while (guest_config_read(guest, device->slot, at, 1) != PCI_CAP_ID_MSIX)
		at = (unsigned)guest_config_read(guest, device->slot, at + 1, 1);
	for (unsigned i = 0; i < nr_vectors; i++) {
		guest_mem_write(guest, device->vectors + 16 * i, 4, (uint32_t)doorbell);
		guest_mem_write(guest, device->vectors + 16 * i + 4, 4, doorbell >> 32);
		guest_mem_write(guest, device->vectors + 16 * i + 8, 4, 0x100 + i);
		guest_mem_write(guest, device->vectors + 16 * i + 12, 4, 0);
	}
	guest_config_write(guest, device->slot, at + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
	guest_common_write(device, VIRTIO_PCI_COMMON_MSIX, 2, 0);
}
