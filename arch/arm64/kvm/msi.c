/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Message interrupts, of which KVM can send those that it knows by itself.
 *
 * A vector has an eventfd and a number, its GSI. KVM_IRQFD ties the two together once, before the
 * guest runs; KVM_SET_GSI_ROUTING says which message the number stands for, again whenever the
 * guest has changed it. An interrupt then is a write to the eventfd, by whoever has it.
 *
 *	no route  --- message to the ITS's doorbell, which KVM takes -->  routed
 *	routed    --- another address, or KVM refuses the new message -->  no route
 *
 * While there is no route, each message is a KVM_SIGNAL_MSI. The kernel's table may then still have
 * an old message for the number: nobody writes to its eventfd.
 *
 * An eventfd may be lent to a back end, which then interrupts the guest without us. While the guest
 * has the vector masked, or there is no route, the eventfd is held: KVM does not look at it, and it
 * counts. What it has counted is the vector's pending bit.
 *
 * Who has borrowed it may have made it block, so it is never read in a way that could.
 */
#include <poll.h>
#include <sys/uio.h>
#include <unistd.h>

#include "ccr/arch.h"

#define GITS_TRANSLATER 0x10040 /* GICv3 specification, 12.19: the doorbell in the ITS's frame */

static bool is_doorbell(const struct arch_vm *vm, uint64_t address)
{
	return address == vm->map->its_base.v + GITS_TRANSLATER;
}

void arch_vm_signal_msi(struct arch_vm *vm, uint64_t address, uint32_t data, uint32_t device_id)
{
	if (is_doorbell(vm, address))
		kvm_vm_signal_msi(vm->fd, address | vm->alias, data, device_id);
}

bool arch_msi_is_supported(const struct arch_vm *vm)
{
	return vm->routes.is_supported && vm->routes.nr_gsis < KVM_MAX_MSI_ROUTES;
}

void arch_msi_init(struct arch_vm *vm, struct arch_msi *msi, int event_fd)
{
	*msi = (struct arch_msi){.event_fd = -1};
	if (event_fd < 0 || !arch_msi_is_supported(vm))
		return;
	msi->gsi = vm->routes.nr_gsis;
	if (kvm_vm_irqfd(vm->fd, event_fd, msi->gsi))
		return;
	vm->routes.nr_gsis++;
	msi->event_fd = event_fd;
}

/* The route of @gsi, or a new one behind all others. */
static struct kvm_msi_route *find_route(struct arch_routes *routes, unsigned gsi)
{
	unsigned i = 0;

	while (i < routes->nr && routes->routes[i].gsi != gsi)
		i++;
	return &routes->routes[i];
}

static bool is_same(const struct kvm_msi_route *a, const struct kvm_msi_route *b)
{
	return a->gsi == b->gsi && a->doorbell == b->doorbell && a->data == b->data &&
	       a->device_id == b->device_id;
}

/* What KVM refuses is not remembered: it goes on with the table that it has. */
static bool set_route(struct arch_vm *vm, const struct kvm_msi_route *wanted)
{
	struct arch_routes *routes = &vm->routes;
	struct kvm_msi_route *route = find_route(routes, wanted->gsi);
	const bool is_new = route == &routes->routes[routes->nr];
	const struct kvm_msi_route old = *route;

	if (!is_new && is_same(route, wanted))
		return true;
	*route = *wanted;
	if (kvm_vm_set_msi_routes(vm->fd, routes->routes, routes->nr + is_new)) {
		*route = old;
		return false;
	}
	routes->nr += is_new;
	return true;
}

/* syscalls(vcpu): ppoll */
bool arch_msi_is_pending(const struct arch_msi *msi)
{
	struct pollfd source = {.fd = msi->event_fd, .events = POLLIN};

	return msi->is_held && poll(&source, 1, 0) > 0;
}

void arch_msi_hold(struct arch_vm *vm, struct arch_msi *msi)
{
	if (!msi->is_lent || msi->is_held)
		return;
	/* It fails only for what is not assigned, and then there is nothing to hold. */
	msi->is_held = true;
	kvm_vm_irqfd_end(vm->fd, msi->event_fd, msi->gsi);
}

/* KVM looks at what was counted before, and sends that too. */
/* syscalls(vcpu worker loop): preadv2 */
static void let_go(struct arch_vm *vm, struct arch_msi *msi)
{
	uint64_t count;
	struct iovec iov = {&count, sizeof(count)};
	const uint64_t one = 1;
	const bool was_signalled = preadv2(msi->event_fd, &iov, 1, -1, RWF_NOWAIT) > 0;

	if (kvm_vm_irqfd(vm->fd, msi->event_fd, msi->gsi))
		return;
	msi->is_held = false;
	if (was_signalled && write(msi->event_fd, &one, sizeof(one)) < 0)
		return;
}

int arch_msi_lend(struct arch_vm *vm, struct arch_msi *msi)
{
	if (msi->event_fd >= 0 && !msi->is_lent) {
		msi->is_lent = true;
		arch_msi_hold(vm, msi);
	}
	return msi->event_fd;
}

void arch_msi_prepare(struct arch_vm *vm, struct arch_msi *msi, uint64_t address, uint32_t data,
		      uint32_t device_id)
{
	const struct kvm_msi_route wanted = {
		.gsi = msi->gsi,
		.doorbell = address | vm->alias,
		.data = data,
		.device_id = device_id,
	};

	msi->is_routed = false;
	if (msi->event_fd >= 0 && is_doorbell(vm, address)) {
		pthread_mutex_lock(&vm->routes.lock);
		msi->is_routed = set_route(vm, &wanted);
		pthread_mutex_unlock(&vm->routes.lock);
	}
	if (!msi->is_routed)
		arch_msi_hold(vm, msi);
	else if (msi->is_held)
		let_go(vm, msi);
}

void arch_msi_send(struct arch_vm *vm, const struct arch_msi *msi, uint64_t address, uint32_t data,
		   uint32_t device_id)
{
	const uint64_t one = 1;

	if (msi->is_routed && !msi->is_held &&
	    write(msi->event_fd, &one, sizeof(one)) == sizeof(one))
		return;
	arch_vm_signal_msi(vm, address, data, device_id);
}
