/* SPDX-License-Identifier: Apache-2.0 */
/* GICv3 and ITS as KVM devices (Linux Documentation/virt/kvm/devices/arm-vgic-{v3,its}.rst). */
#include <errno.h>

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
