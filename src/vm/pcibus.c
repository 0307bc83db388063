/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The PCI bus of a machine: which virtio devices are on it, and how they reach guest memory, the
 * interrupt controller and whoever serves them.
 *
 * Each device has an eventfd. The driver's notifications reach it through KVM (ioeventfd), the
 * device's own wishes through its host's kick. Console, rng and vsock are served by the event loop,
 * each disk by a thread of its own, which sleeps in the host's reads and writes.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "internal.h"

/* Guest memory. */

static int mem_read(void *ctx, ipa_t at, void *buf, size_t size)
{
	return gmem_read(ctx, at, buf, size);
}

static int mem_write(void *ctx, ipa_t at, const void *buf, size_t size)
{
	return gmem_write(ctx, at, buf, size);
}

static int mem_load16(void *ctx, ipa_t at, uint16_t *ret_value)
{
	return gmem_load16(ctx, at, ret_value);
}

static int mem_store16(void *ctx, ipa_t at, uint16_t value)
{
	return gmem_store16(ctx, at, value);
}

static int mem_pin(void *ctx, const struct gmem_range *ranges, unsigned nr, struct iovec *iov)
{
	return gmem_pin(ctx, ranges, nr, iov);
}

static void mem_unpin(void *ctx, int handle)
{
	gmem_unpin(ctx, handle);
}

static const struct virtio_mem_ops mem_ops = {
	.read = mem_read,
	.write = mem_write,
	.load16 = mem_load16,
	.store16 = mem_store16,
	.pin = mem_pin,
	.unpin = mem_unpin,
};

/* The host bridge. */

/* A driver whose notifications cannot go through KVM still writes a register. */
static void on_bar(void *ctx, unsigned slot, unsigned bar, ipa_t base, bool mapped)
{
	struct machine *machine = ctx;
	struct virtio_slot *virtio = &machine->slots[slot];

	if (bar != VIRTIO_PCI_REGISTERS_BAR)
		return;
	for (unsigned i = 0; i < virtio->dev->type->nr_queues; i++)
		arch_vm_ioeventfd(machine->arch, virtio->kick_fd,
				  ipa_at(base.v + virtio_pci_notify_offset(i)), mapped);
}

static void on_intx(void *ctx, unsigned slot, bool level)
{
	struct machine *machine = ctx;

	kvm_vm_irq_line(machine->arch->fd, MEMMAP_SPI_PCI + slot, level);
}

static void on_prepare_msi(void *ctx, const struct pci_msi *msi)
{
	struct machine *machine = ctx;

	arch_msi_prepare(machine->arch, &machine->slots[msi->slot].vectors[msi->vector],
			 msi->address, msi->data, msi->device_id);
}

static void on_msi(void *ctx, const struct pci_msi *msi)
{
	struct machine *machine = ctx;

	arch_msi_send(machine->arch, &machine->slots[msi->slot].vectors[msi->vector], msi->address,
		      msi->data, msi->device_id);
}

/* Devices. */

static void kick(void *ctx)
{
	const struct virtio_slot *slot = ctx;
	const uint64_t one = 1;

	/* It can only fail with EAGAIN, when service is due anyway. */
	if (write(slot->kick_fd, &one, sizeof(one)) < 0)
		return;
}

static int open_slot(struct virtio_slot *slot, struct virtio_setup *setup, struct ccr_err *err)
{
	slot->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (slot->kick_fd < 0)
		return err_set(err, -errno, "virtio: no eventfd: %s", strerror(errno));
	setup->host = (struct virtio_host){.kick = kick, .ctx = slot};
	return 0;
}

/* One for the configuration and one a queue, as the transport has them. */
static int add_vectors(struct machine *machine, struct virtio_slot *slot, struct ccr_err *err)
{
	for (unsigned i = 0; i <= slot->dev->type->nr_queues; i++) {
		int fd = -1;

		if (arch_msi_is_supported(machine->arch)) {
			fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
			if (fd < 0)
				return err_set(err, -errno, "%s: no eventfd: %s",
					       slot->dev->type->name, strerror(errno));
		}
		arch_msi_init(machine->arch, &slot->vectors[i], fd);
		if (slot->vectors[i].event_fd < 0 && fd >= 0)
			close(fd);
		slot->nr_vectors++;
	}
	return 0;
}

/* The device is made; put it on the bus, into the slot that is its place in the table. */
static int plug(struct machine *machine, unsigned at, struct virtio_dev *dev, struct ccr_err *err)
{
	struct virtio_slot *slot = &machine->slots[at];
	int ret;

	virtio_pci_init(&slot->transport, dev);
	slot->dev = dev;
	ret = pci_host_add_at(&machine->pci, &slot->transport.function, at);
	if (ret < 0)
		return err_set(err, ret, "%s: no room on the PCI bus", dev->type->name);
	return add_vectors(machine, slot, err);
}

static int add_console(struct machine *machine, struct virtio_setup *setup, struct ccr_err *err)
{
	int ret = open_slot(&machine->slots[SLOT_CONSOLE], setup, err);

	if (ret)
		return ret;
	ret = vconsole_init(&machine->console, setup);
	if (ret)
		return err_set(err, ret, "console: out of memory");
	return plug(machine, SLOT_CONSOLE, &machine->console.virtio, err);
}

static int add_rng(struct machine *machine, struct virtio_setup *setup, struct ccr_err *err)
{
	const int ret = open_slot(&machine->slots[SLOT_RNG], setup, err);

	if (ret)
		return ret;
	vrng_init(&machine->rng, setup, NULL);
	return plug(machine, SLOT_RNG, &machine->rng.virtio, err);
}

static int add_disk(struct machine *machine, const struct machine_config *config, unsigned index,
		    struct virtio_setup *setup, struct ccr_err *err)
{
	const struct blk_config blk = {
		.disk = &config->disks[index],
		.serial = config->serials[index],
		.limits = config->limits,
	};
	const int ret = open_slot(&machine->slots[SLOT_DISKS + index], setup, err);

	if (ret)
		return ret;
	blk_init(&machine->blks[index], &blk, setup);
	return plug(machine, SLOT_DISKS + index, &machine->blks[index].virtio, err);
}

static int add_vsock(struct machine *machine, const struct machine_config *config,
		     struct virtio_setup *setup, struct ccr_err *err)
{
	int ret = open_slot(&machine->slots[SLOT_VSOCK], setup, err);

	if (ret)
		return ret;
	ret = vsockets_init(&machine->vsockets, config->vsock, &machine->vsock);
	if (ret)
		return err_set(err, ret, "vsock: no descriptor: %s", strerror(-ret));
	ret = vvsock_init(&machine->vsock, config->vsock_cid, &vsockets_host, &machine->vsockets,
			  setup);
	if (ret) {
		vsockets_done(&machine->vsockets);
		return err_set(err, ret, "vsock: out of memory");
	}
	machine->has_vsock = true;
	return plug(machine, SLOT_VSOCK, &machine->vsock.virtio, err);
}

int pcibus_init(struct machine *machine, const struct machine_config *config, struct ccr_err *err)
{
	const uint64_t shared_bit = gmem_shared_bit(config->gmem);
	const struct pci_platform platform = {
		.set_bar = on_bar,
		.set_intx = on_intx,
		.prepare_msi = on_prepare_msi,
		.signal_msi = on_msi,
		.ctx = machine,
		.shared_bit = shared_bit,
	};
	struct virtio_setup setup = {
		.mem = &machine->mem,
		.needs_platform = config->needs_platform,
	};
	int ret;

	for (unsigned i = 0; i < NR_SLOTS; i++)
		machine->slots[i].kick_fd = -1;
	machine->vsockets.epoll_fd = -1;
	machine->mem = (struct virtio_mem){&mem_ops, config->gmem, shared_bit};
	pci_host_init(&machine->pci, &platform, ipa_at(MEMMAP_PCI_MEM_BASE), MEMMAP_PCI_MEM_SIZE);
	machine->has_pci = true;

	ret = add_console(machine, &setup, err);
	if (!ret)
		ret = add_rng(machine, &setup, err);
	for (unsigned i = 0; i < config->nr_disks && !ret; i++, machine->nr_disks++)
		ret = add_disk(machine, config, i, &setup, err);
	if (config->vsock && !ret)
		ret = add_vsock(machine, config, &setup, err);
	return ret;
}

static void clear_kick(const struct virtio_slot *slot)
{
	uint64_t count;

	if (read(slot->kick_fd, &count, sizeof(count)) < 0)
		return;
}

void pcibus_serve(struct machine *machine, unsigned slot)
{
	clear_kick(&machine->slots[slot]);
	virtio_service(machine->slots[slot].dev);
}

static void *disk_main(void *arg)
{
	struct virtio_slot *slot = arg;
	struct pollfd kicked = {.fd = slot->kick_fd, .events = POLLIN};

	while (!atomic_load(&slot->stop)) {
		if (poll(&kicked, 1, -1) <= 0)
			continue;
		clear_kick(slot);
		virtio_service(slot->dev);
	}
	return NULL;
}

int pcibus_start(struct machine *machine, struct ccr_err *err)
{
	for (unsigned i = 0; i < machine->nr_disks; i++) {
		struct virtio_slot *slot = &machine->slots[SLOT_DISKS + i];
		const int ret = pthread_create(&slot->thread, NULL, disk_main, slot);

		if (ret)
			return err_set(err, -ret, "disk %u: cannot start its thread: %s", i,
				       strerror(ret));
		slot->has_thread = true;
	}
	return 0;
}

static void close_vsock(struct machine *machine)
{
	vvsock_done(&machine->vsock);
	vsockets_done(&machine->vsockets);
}

static void close_slot(struct machine *machine, unsigned at)
{
	struct virtio_slot *slot = &machine->slots[at];

	if (slot->dev) {
		virtio_pci_done(&slot->transport);
		if (at == SLOT_CONSOLE)
			vconsole_done(&machine->console);
		else if (at == SLOT_RNG)
			vrng_done(&machine->rng);
		else if (at == SLOT_VSOCK)
			close_vsock(machine);
		else
			blk_done(&machine->blks[at - SLOT_DISKS]);
	}
	slot->dev = NULL;
	while (slot->nr_vectors > 0) {
		const int fd = slot->vectors[--slot->nr_vectors].event_fd;

		if (fd >= 0)
			close(fd);
	}
	if (slot->kick_fd >= 0)
		close(slot->kick_fd);
	slot->kick_fd = -1;
}

void pcibus_done(struct machine *machine)
{
	for (unsigned i = SLOT_DISKS; i < NR_SLOTS; i++) {
		struct virtio_slot *slot = &machine->slots[i];

		if (!slot->has_thread)
			continue;
		atomic_store(&slot->stop, true);
		kick(slot);
		pthread_join(slot->thread, NULL);
		slot->has_thread = false;
	}
	for (unsigned i = 0; i < NR_SLOTS; i++)
		close_slot(machine, i);
	pci_host_done(&machine->pci);
}
