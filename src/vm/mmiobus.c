/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio devices without a bus: each slot's registers are a window of the machine's bus, slot n at
 * place n. The driver's notifications reach the lanes through KVM (ioeventfd), one for each queue's
 * number; interrupts are level lines.
 */
#include <string.h>

#include "internal.h"

_Static_assert(NR_SLOTS <= MEMMAP_NR_VIRTIO, "every device has a place");
_Static_assert(VIRTIO_MMIO_WINDOW_SIZE == MEMMAP_VIRTIO_STRIDE, "windows lie side by side");

static ipa_t base_of(unsigned place)
{
	return ipa_at(MEMMAP_VIRTIO_BASE + place * MEMMAP_VIRTIO_STRIDE);
}

static void set_irq(void *ctx, bool level)
{
	const struct virtio_slot *slot = ctx;
	const unsigned place = (unsigned)(slot - slot->machine->slots);

	kvm_vm_irq_line(slot->machine->arch->fd, MEMMAP_SPI_VIRTIO + place, level);
}

static int add_window(struct machine *machine, unsigned place, struct virtio_mmio *registers,
		      struct ccr_err *err)
{
	const int ret = bus_add(&machine->bus, base_of(place), VIRTIO_MMIO_WINDOW_SIZE,
				"virtio-mmio", &virtio_mmio_ops, registers);

	return ret ? err_set(err, ret, "virtio-mmio %u does not fit the bus: %s", place,
			     strerror(-ret))
		   : 0;
}

int mmiobus_plug(struct virtio_slot *slot, struct ccr_err *err)
{
	const struct virtio_mmio_host host = {.set_irq = set_irq, .ctx = slot};
	const unsigned place = (unsigned)(slot - slot->machine->slots);

	virtio_mmio_init(&slot->mmio, slot->dev, &host);
	/* A driver whose notifications cannot go through KVM still writes a register. */
	for (unsigned i = 0; i < slot->dev->nr_queues; i++)
		arch_vm_ioeventfd_value(slot->machine->arch,
					slot->lanes[i % slot->nr_lanes].kick_fd,
					ipa_at(base_of(place).v + virtio_mmio_notify_offset()), i);
	return add_window(slot->machine, place, &slot->mmio, err);
}

int mmiobus_fill(struct machine *machine, struct ccr_err *err)
{
	const struct virtio_mmio_host nobody = {0};
	int ret = 0;

	virtio_mmio_init(&machine->empty_place, NULL, &nobody);
	for (unsigned i = 0; i < MEMMAP_NR_VIRTIO && !ret; i++) {
		if (i >= NR_SLOTS || !machine->slots[i].dev)
			ret = add_window(machine, i, &machine->empty_place, err);
	}
	return ret;
}
