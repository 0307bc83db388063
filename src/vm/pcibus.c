/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtio devices of a machine and the PCI bus that they are on, if it has one (else mmiobus.c):
 * how they reach guest memory, the interrupt controller and whoever serves them. Which devices
 * there are is in devices.c.
 *
 * A device has a lane or more, each an eventfd. The driver's notifications reach it through KVM
 * (ioeventfd), the device's own wishes through its host's kick.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ccr/slice.h"
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
	for (unsigned i = 0; i < virtio->dev->nr_queues; i++)
		arch_vm_ioeventfd(machine->arch, virtio->lanes[i % virtio->nr_lanes].kick_fd,
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

static struct arch_msi *msi_at(void *ctx, unsigned slot, unsigned vector)
{
	struct machine *machine = ctx;

	return &machine->slots[slot].vectors[vector];
}

static void on_hold_msi(void *ctx, unsigned slot, unsigned vector)
{
	struct machine *machine = ctx;

	arch_msi_hold(machine->arch, msi_at(ctx, slot, vector));
}

static int on_lend_msi(void *ctx, unsigned slot, unsigned vector)
{
	struct machine *machine = ctx;

	return arch_msi_lend(machine->arch, msi_at(ctx, slot, vector));
}

static bool on_is_msi_held(void *ctx, unsigned slot, unsigned vector)
{
	return arch_msi_is_pending(msi_at(ctx, slot, vector));
}

/* Devices. */

/* The device's own wish: it may concern any of its queues. */
static void kick(void *ctx)
{
	const struct virtio_slot *slot = ctx;
	const uint64_t one = 1;

	for (unsigned i = 0; i < slot->nr_lanes; i++) {
		/* It can only fail with EAGAIN, when service is due anyway. */
		if (write(slot->lanes[i].kick_fd, &one, sizeof(one)) < 0)
			continue;
	}
}

/* syscalls(build): eventfd2 */
static int open_lanes(struct virtio_slot *slot, unsigned nr, struct ccr_err *err)
{
	while (slot->nr_lanes < nr) {
		struct virtio_lane *lane = &slot->lanes[slot->nr_lanes];

		lane->slot = slot;
		lane->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (lane->kick_fd < 0)
			return err_set(err, -errno, "%s: no eventfd: %s", slot->kind->name,
				       strerror(errno));
		slot->nr_lanes++;
	}
	return 0;
}

/* One for the configuration and one a queue, as the transport has them. */
/* syscalls(build): eventfd2 */
static int add_vectors(struct virtio_slot *slot, struct ccr_err *err)
{
	struct arch_vm *arch = slot->machine->arch;

	for (unsigned i = 0; i <= slot->dev->nr_queues; i++) {
		int fd = -1;

		if (arch_msi_is_supported(arch)) {
			fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
			if (fd < 0)
				return err_set(err, -errno, "%s: no eventfd: %s", slot->kind->name,
					       strerror(errno));
		}
		arch_msi_init(arch, &slot->vectors[i], fd);
		if (slot->vectors[i].event_fd < 0 && fd >= 0)
			close(fd);
		slot->nr_vectors++;
	}
	return 0;
}

static int plug(struct virtio_slot *slot, struct ccr_err *err)
{
	struct machine *machine = slot->machine;
	int ret;

	virtio_pci_init(&slot->pci, slot->dev);
	ret = pci_host_add_at(&machine->pci, &slot->pci.function,
			      (unsigned)(slot - machine->slots));
	if (ret < 0)
		return err_set(err, ret, "%s: no room on the PCI bus", slot->kind->name);
	return add_vectors(slot, err);
}

/* Make device @nr of a kind and put it on the bus, into the slot that is its place in the table. */
static int add_device(struct machine *machine, const struct device_kind *kind, unsigned nr,
		      const struct machine_config *config, struct ccr_err *err)
{
	const unsigned at = kind->first_slot + nr;
	struct virtio_slot *slot = &machine->slots[at];
	const struct virtio_setup setup = {
		.mem = &machine->mem,
		.needs_platform = config->needs_platform,
		.host = {.kick = kick, .ctx = slot},
	};
	int ret;

	slot->machine = machine;
	slot->kind = kind;
	slot->nr = nr;
	ret = open_lanes(slot, kind->nr_lanes ? kind->nr_lanes(config, nr) : 1, err);
	if (!ret)
		ret = kind->create(machine, nr, config, &setup, &slot->dev, err);
	if (ret)
		return ret;
	return machine->has_pci ? plug(slot, err) : mmiobus_plug(slot, err);
}

static void init_bridge(struct machine *machine)
{
	const struct pci_platform platform = {
		.set_bar = on_bar,
		.set_intx = on_intx,
		.prepare_msi = on_prepare_msi,
		.signal_msi = on_msi,
		.hold_msi = on_hold_msi,
		.lend_msi = on_lend_msi,
		.is_msi_held = on_is_msi_held,
		.ctx = machine,
		.shared_bit = machine->mem.shared_bit,
	};

	pci_host_init(&machine->pci, &platform, ipa_at(MEMMAP_PCI_MEM_BASE), MEMMAP_PCI_MEM_SIZE);
	machine->has_pci = true;
}

int pcibus_init(struct machine *machine, const struct machine_config *config, struct ccr_err *err)
{
	int ret = 0;

	machine->mem = (struct virtio_mem){&mem_ops, config->gmem, gmem_shared_bit(config->gmem)};
	machine->has_virtio = true;
	if (config->has_pci)
		init_bridge(machine);

	for (const struct device_kind *const *kind = vm_device_kinds; *kind && !ret; kind++) {
		const unsigned nr_devices = (*kind)->count(config);

		for (unsigned i = 0; i < nr_devices && !ret; i++) {
			if (!(*kind)->has || (*kind)->has(config, i))
				ret = add_device(machine, *kind, i, config, err);
		}
	}
	return ret || machine->has_pci ? ret : mmiobus_fill(machine, err);
}

/* Service. */

#define NS_PER_MS 1000000u

/* syscalls(loop worker): read */
static void clear_kick(struct virtio_lane *lane)
{
	uint64_t count;

	if (read(lane->kick_fd, &count, sizeof(count)) < 0)
		return;
	count += atomic_load_explicit(&lane->nr_kicks, memory_order_relaxed);
	atomic_store_explicit(&lane->nr_kicks, count, memory_order_relaxed);
}

/* What a lane waits for: its eventfd, and with the first one whatever else the device has. */
static void set_sources(struct virtio_lane *lane, struct pollfd sources[2])
{
	const struct virtio_slot *slot = lane->slot;

	sources[0] = (struct pollfd){.fd = lane->kick_fd, .events = POLLIN};
	sources[1] = (struct pollfd){.fd = -1};
	if (slot->kind->lane_fd)
		sources[1] = (struct pollfd){
			.fd = slot->kind->lane_fd(slot->machine, slot->nr,
						  (unsigned)(lane - slot->lanes)),
			.events = POLLIN,
		};
	else if (lane == slot->lanes && slot->kind->wait)
		slot->kind->wait(slot->machine, slot->nr, &sources[1]);
}

static uint64_t wait_ns(const struct virtio_lane *lane)
{
	const struct virtio_slot *slot = lane->slot;

	if (lane != slot->lanes || !slot->kind->wait_ns)
		return UINT64_MAX;
	return slot->kind->wait_ns(slot->machine, slot->nr);
}

/* Rounded up, so that what is due then is due. */
static int to_timeout_ms(uint64_t ns)
{
	if (ns == 0)
		return 0;
	return ns / NS_PER_MS < INT_MAX ? (int)(ns / NS_PER_MS) + 1 : -1;
}

/* Return: requests that were in flight at once; 0 if the device does not say. */
static unsigned serve(struct virtio_lane *lane, const struct pollfd sources[2])
{
	const struct virtio_slot *slot = lane->slot;
	const bool is_kicked = sources[0].revents, is_ready = sources[1].revents;

	if (is_kicked)
		clear_kick(lane);
	if (slot->kind->work)
		return slot->kind->work(slot->machine, slot->nr, (unsigned)(lane - slot->lanes));
	if (is_ready)
		slot->kind->serve(slot->machine, slot->nr);
	if (is_kicked || is_ready || wait_ns(lane) == 0)
		virtio_service(slot->dev);
	return 0;
}

static bool is_loops(const struct virtio_slot *slot)
{
	return slot->dev && slot->kind->server == SERVED_BY_LOOP;
}

void pcibus_set_sources(struct machine *machine, struct pollfd sources[PCIBUS_NR_SOURCES])
{
	for (unsigned i = 0; i < NR_SLOTS; i++) {
		sources[2 * i] = sources[2 * i + 1] = (struct pollfd){.fd = -1};
		if (is_loops(&machine->slots[i]))
			set_sources(&machine->slots[i].lanes[0], sources + 2 * i);
	}
}

int pcibus_timeout_ms(struct machine *machine)
{
	uint64_t soonest = UINT64_MAX;

	for (unsigned i = 0; i < NR_SLOTS; i++) {
		uint64_t ns;

		if (!is_loops(&machine->slots[i]))
			continue;
		ns = wait_ns(&machine->slots[i].lanes[0]);
		if (ns < soonest)
			soonest = ns;
	}
	return to_timeout_ms(soonest);
}

void pcibus_serve(struct machine *machine, const struct pollfd sources[PCIBUS_NR_SOURCES])
{
	for (unsigned i = 0; i < NR_SLOTS; i++) {
		if (is_loops(&machine->slots[i]))
			serve(&machine->slots[i].lanes[0], sources + 2 * i);
	}
}

/* syscalls(worker): ppoll */
static void *lane_main(void *arg)
{
	struct virtio_lane *lane = arg;
	const bool tells_depth = lane->slot->kind->work != NULL;
	struct slice slice = {0};
	struct pollfd sources[2];

	while (!atomic_load(&lane->slot->stop)) {
		unsigned depth;

		set_sources(lane, sources);
		if (poll(sources, 2, to_timeout_ms(wait_ns(lane))) < 0)
			continue;
		depth = serve(lane, sources);
		if (tells_depth)
			slice_follow(&slice, depth);
	}
	return NULL;
}

static int start_slot(struct virtio_slot *slot, struct ccr_err *err)
{
	for (unsigned i = 0; i < slot->nr_lanes; i++) {
		struct virtio_lane *lane = &slot->lanes[i];
		const int ret =
			sandbox_thread_create(&lane->thread, SANDBOX_WORKER, lane_main, lane);

		if (ret)
			return err_set(err, ret, "%s %u: cannot start its thread: %s",
				       slot->kind->name, slot->nr, strerror(-ret));
		lane->has_thread = true;
	}
	return 0;
}

int pcibus_start(struct machine *machine, struct ccr_err *err)
{
	int ret = 0;

	for (unsigned i = 0; i < NR_SLOTS && !ret; i++) {
		struct virtio_slot *slot = &machine->slots[i];

		if (slot->dev && slot->kind->server == SERVED_BY_THREADS)
			ret = start_slot(slot, err);
		if (slot->dev && slot->kind->start && !ret)
			ret = slot->kind->start(machine, slot->nr, err);
	}
	return ret;
}

static void stop_slot(struct virtio_slot *slot)
{
	if (slot->dev && slot->kind->stop)
		slot->kind->stop(slot->machine, slot->nr);
	atomic_store(&slot->stop, true);
	kick(slot);
	for (unsigned i = 0; i < slot->nr_lanes; i++) {
		if (slot->lanes[i].has_thread)
			pthread_join(slot->lanes[i].thread, NULL);
		slot->lanes[i].has_thread = false;
	}
}

static void close_slot(struct virtio_slot *slot)
{
	if (slot->dev) {
		if (slot->machine->has_pci)
			virtio_pci_done(&slot->pci);
		slot->kind->destroy(slot->machine, slot->nr);
	}
	slot->dev = NULL;
	while (slot->nr_vectors > 0) {
		const int fd = slot->vectors[--slot->nr_vectors].event_fd;

		if (fd >= 0)
			close(fd);
	}
	while (slot->nr_lanes > 0)
		close(slot->lanes[--slot->nr_lanes].kick_fd);
}

void pcibus_done(struct machine *machine)
{
	for (unsigned i = 0; i < NR_SLOTS; i++)
		stop_slot(&machine->slots[i]);
	for (unsigned i = 0; i < NR_SLOTS; i++)
		close_slot(&machine->slots[i]);
	if (machine->has_pci)
		pci_host_done(&machine->pci);
	machine->has_pci = false;
	machine->has_virtio = false;
}
