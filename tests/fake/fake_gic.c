/* SPDX-License-Identifier: Apache-2.0 */
/* GICv3 and ITS as KVM devices (Linux Documentation/virt/kvm/devices/arm-vgic-{v3,its}.rst). */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fake_kvm_internal.h"

#define FRAME           0x10000ull
#define REDIST_SIZE     (2 * FRAME)
#define ITS_SIZE        (2 * FRAME)
#define DOORBELL        0x10040ull /* GITS_TRANSLATER, in the ITS's frame */
#define NR_PRIVATE_IRQS 32u
#define MIN_IRQS        64u
#define BASE_MASK       0x000fffffffff0000ull /* bits 51:16 */

static int check_window(const struct fake_vm *vm, uint64_t at, uint64_t size)
{
	if (at % FRAME || at + size < at)
		return -EINVAL;
	if (at + size > 1ull << vm->ipa_bits)
		return -E2BIG;
	if (fake_vm_slot(vm, at, FRAME))
		fake_misuse("the GIC's address 0x%llx is RAM", (unsigned long long)at);
	return 0;
}

static bool overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a < b + b_size && b < a + a_size;
}

static int set_dist(struct fake_vm *vm, uint64_t at)
{
	int ret;

	if (vm->dist != UINT64_MAX)
		return -EEXIST;
	ret = check_window(vm, at, FRAME);
	if (ret)
		return ret;
	if (vm->redist != UINT64_MAX &&
	    overlap(at, FRAME, vm->redist, vm->nr_redists * REDIST_SIZE))
		return -EINVAL;
	vm->dist = at;
	return 0;
}

/* One region is enough for what is tested. */
static int set_redist_region(struct fake_vm *vm, uint64_t value)
{
	const uint64_t at = value & BASE_MASK, count = value >> 52;
	const unsigned flags = value >> 12 & 0xf, index = value & 0xfff;
	int ret;

	if (count == 0 || flags || index)
		return -EINVAL;
	if (vm->redist != UINT64_MAX)
		return -EINVAL;
	ret = check_window(vm, at, count * REDIST_SIZE);
	if (ret)
		return ret;
	if (vm->dist != UINT64_MAX && overlap(at, count * REDIST_SIZE, vm->dist, FRAME))
		return -EINVAL;
	vm->redist = at;
	vm->nr_redists = (unsigned)count;
	return 0;
}

static int set_nr_irqs(struct fake_vm *vm, uint32_t nr)
{
	if (nr < MIN_IRQS || nr > FAKE_MAX_IRQS || nr % 32)
		return -EINVAL;
	if (vm->nr_irqs || vm->gic_is_ready)
		return -EBUSY;
	vm->nr_irqs = nr;
	return 0;
}

static int initialise(struct fake_vm *vm)
{
	if (vm->gic_is_ready)
		return 0;
	if (vm->nr_vcpus == 0)
		return -ENODEV;
	if (vm->dist == UINT64_MAX || vm->redist == UINT64_MAX || vm->nr_redists < vm->nr_vcpus)
		return -ENXIO;
	if (vm->nr_irqs == 0)
		vm->nr_irqs = 256;
	vm->gic_is_ready = true;
	return 0;
}

static int set_its(struct fake_vm *vm, uint64_t at)
{
	int ret;

	if (vm->its != UINT64_MAX)
		return -EEXIST;
	ret = check_window(vm, at, ITS_SIZE);
	if (!ret)
		vm->its = at;
	return ret;
}

static bool is_known_its(const struct kvm_device_attr *attr)
{
	if (attr->group == KVM_DEV_ARM_VGIC_GRP_ADDR)
		return attr->attr == KVM_VGIC_ITS_ADDR_TYPE;
	return attr->group == KVM_DEV_ARM_VGIC_GRP_CTRL && attr->attr == KVM_DEV_ARM_VGIC_CTRL_INIT;
}

static int set_its_attribute(struct fake_vm *vm, const struct kvm_device_attr *attr)
{
	const uint64_t *at = (const uint64_t *)(uintptr_t)attr->addr;

	if (attr->flags || !is_known_its(attr))
		return -ENXIO;
	if (attr->group == KVM_DEV_ARM_VGIC_GRP_CTRL)
		return vm->its == UINT64_MAX ? -ENXIO : 0;
	return at ? set_its(vm, *at) : -EFAULT;
}

static bool is_known(const struct kvm_device_attr *attr)
{
	switch (attr->group) {
	case KVM_DEV_ARM_VGIC_GRP_NR_IRQS:
		return true;
	case KVM_DEV_ARM_VGIC_GRP_ADDR:
		return attr->attr == KVM_VGIC_V3_ADDR_TYPE_DIST ||
		       attr->attr == KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION;
	case KVM_DEV_ARM_VGIC_GRP_CTRL:
		return attr->attr == KVM_DEV_ARM_VGIC_CTRL_INIT;
	default:
		return false;
	}
}

static int set_attribute(struct fake_vm *vm, const struct kvm_device_attr *attr)
{
	const void *data = (const void *)(uintptr_t)attr->addr;

	if (attr->flags || !is_known(attr))
		return -ENXIO;
	if (attr->group == KVM_DEV_ARM_VGIC_GRP_CTRL)
		return initialise(vm);
	if (!data)
		return -EFAULT;
	if (attr->group == KVM_DEV_ARM_VGIC_GRP_NR_IRQS)
		return set_nr_irqs(vm, *(const uint32_t *)data);
	if (vm->gic_is_ready)
		return -EBUSY;
	if (attr->attr == KVM_VGIC_V3_ADDR_TYPE_DIST)
		return set_dist(vm, *(const uint64_t *)data);
	return set_redist_region(vm, *(const uint64_t *)data);
}

int fake_gic_ioctl(struct fake_vm *vm, bool is_its, unsigned long request, const void *arg)
{
	if (request != KVM_SET_DEVICE_ATTR && request != KVM_HAS_DEVICE_ATTR)
		return -ENOTTY;
	if (!arg)
		return -EFAULT;
	if (request == KVM_SET_DEVICE_ATTR)
		return is_its ? set_its_attribute(vm, arg) : set_attribute(vm, arg);
	return (is_its ? is_known_its(arg) : is_known(arg)) ? 0 : -ENXIO;
}

int fake_gic_msi(struct fake_vm *vm, const struct kvm_msi *msi)
{
	const uint64_t at = (uint64_t)msi->address_hi << 32 | msi->address_lo;

	if (!vm->gic_is_ready || msi->flags != KVM_MSI_VALID_DEVID)
		return -EINVAL;
	if (vm->its == UINT64_MAX || at != vm->its + DOORBELL)
		return -ENODEV;
	vm->nr_msis++;
	return 1;
}

static const struct kvm_irq_routing_entry *find_route(const struct fake_vm *vm, unsigned gsi)
{
	for (unsigned i = 0; i < vm->nr_routes; i++) {
		if (vm->routes[i].gsi == gsi)
			return &vm->routes[i];
	}
	return NULL;
}

/* The kernel drops what it cannot deliver; nobody here can mean that. */
static void take_irqfd(struct fake_vm *vm, const struct fake_irqfd *irqfd)
{
	const struct kvm_irq_routing_entry *route = find_route(vm, irqfd->gsi);
	struct kvm_msi msi = {0};
	uint64_t count;

	if (read(irqfd->fd, &count, sizeof(count)) != sizeof(count))
		return;
	if (route)
		msi = (struct kvm_msi){
			.address_lo = route->u.msi.address_lo,
			.address_hi = route->u.msi.address_hi,
			.data = route->u.msi.data,
			.flags = route->flags,
			.devid = route->u.msi.devid,
		};
	while (count-- > 0) {
		if (fake_gic_msi(vm, &msi) != 1)
			fake_misuse("interrupt %u goes nowhere", irqfd->gsi);
	}
}

void fake_gic_take_irqfds(struct fake_vm *vm)
{
	for (unsigned i = 0; i < vm->nr_irqfds; i++)
		take_irqfd(vm, &vm->irqfds[i]);
}

/* What was written before is still sent; that there was none of this number is no error. */
static int end_irqfd(struct fake_vm *vm, unsigned gsi)
{
	for (unsigned i = 0; i < vm->nr_irqfds; i++) {
		if (vm->irqfds[i].gsi != gsi)
			continue;
		take_irqfd(vm, &vm->irqfds[i]);
		close(vm->irqfds[i].fd);
		vm->irqfds[i] = vm->irqfds[--vm->nr_irqfds];
		break;
	}
	return 0;
}

int fake_gic_irqfd(struct fake_vm *vm, const struct kvm_irqfd *request)
{
	struct fake_irqfd *irqfd = &vm->irqfds[vm->nr_irqfds];

	if (request->flags == KVM_IRQFD_FLAG_DEASSIGN)
		return end_irqfd(vm, request->gsi);
	if (request->flags)
		return -EINVAL;
	if (!vm->gic_is_ready)
		return -EAGAIN;
	if (request->gsi >= FAKE_MAX_ROUTES)
		return -EINVAL;
	if (vm->nr_irqfds == FAKE_MAX_IRQFDS) {
		fake_misuse("more irqfds than this model has room for");
		return -ENOSPC;
	}
	irqfd->fd = fcntl((int)request->fd, F_DUPFD_CLOEXEC, 0);
	if (irqfd->fd < 0)
		return -errno;
	irqfd->gsi = request->gsi;
	vm->nr_irqfds++;
	return 0;
}

static int check_route(const struct kvm_irq_routing *table, unsigned i)
{
	const struct kvm_irq_routing_entry *entry = &table->entries[i];

	if (entry->type != KVM_IRQ_ROUTING_MSI || entry->flags != KVM_MSI_VALID_DEVID || entry->pad)
		return -EINVAL;
	if (entry->gsi >= FAKE_MAX_ROUTES)
		return -EINVAL;
	for (unsigned k = 0; k < i; k++) {
		if (table->entries[k].gsi == entry->gsi)
			return -EINVAL;
	}
	return 0;
}

int fake_gic_set_routes(struct fake_vm *vm, const struct kvm_irq_routing *table)
{
	const size_t size = table->nr * sizeof(*vm->routes);

	if (table->flags || table->nr > FAKE_MAX_ROUTES || !vm->has_gic)
		return -EINVAL;
	for (unsigned i = 0; i < table->nr; i++) {
		const int ret = check_route(table, i);

		if (ret)
			return ret;
	}
	fake_gic_take_irqfds(vm);
	free(vm->routes);
	vm->routes = malloc(size ? size : 1);
	vm->nr_routes = vm->routes ? table->nr : 0;
	if (!vm->routes)
		return -ENOMEM;
	memcpy(vm->routes, table->entries, size);
	return 0;
}

void fake_gic_free(struct fake_vm *vm)
{
	while (vm->nr_irqfds > 0)
		close(vm->irqfds[--vm->nr_irqfds].fd);
	free(vm->routes);
	vm->routes = NULL;
	vm->nr_routes = 0;
}

int fake_gic_check_run(const struct fake_vm *vm)
{
	if (!vm->has_gic)
		return 0;
	return vm->gic_is_ready ? 0 : -EBUSY;
}

int fake_gic_irq_line(struct fake_vm *vm, const struct kvm_irq_level *line)
{
	const unsigned type = line->irq >> KVM_ARM_IRQ_TYPE_SHIFT & KVM_ARM_IRQ_TYPE_MASK;
	const unsigned number = line->irq & KVM_ARM_IRQ_NUM_MASK;

	if (!vm->has_gic)
		return -ENXIO;
	if (type != KVM_ARM_IRQ_TYPE_SPI || number < NR_PRIVATE_IRQS)
		return -EINVAL;
	if (!vm->gic_is_ready)
		return -EBUSY;
	if (number >= vm->nr_irqs)
		return -EINVAL;
	vm->irq_levels[number] = line->level;
	return 0;
}

static bool is_in(uint64_t at, uint64_t base, uint64_t size)
{
	return base != UINT64_MAX && at >= base && at - base < size;
}

bool fake_vm_is_gic(const struct fake_vm *vm, uint64_t at)
{
	if (!vm->gic_is_ready)
		return false;
	return is_in(at, vm->dist, FRAME) || is_in(at, vm->redist, vm->nr_redists * REDIST_SIZE) ||
	       is_in(at, vm->its, ITS_SIZE);
}
