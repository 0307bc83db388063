/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/kvm.h>
#include <string.h>

#include "ccr/arch.h"
#include "uapi/kvm_realm.h"

static int add_slot(struct arch_vm *vm, unsigned slot, ipa_t base, const struct gmem *gmem,
		    enum gmem_side side, struct ccr_err *err)
{
	const int ret = kvm_vm_set_memory(vm->fd, slot, base, gmem_size(gmem),
					  gmem_slot_address(gmem, side));

	if (ret)
		return err_set(err, ret, "KVM: memory slot %u at 0x%llx of %llu MiB refused: %s",
			       slot, (unsigned long long)base.v,
			       (unsigned long long)(gmem_size(gmem) >> 20), strerror(-ret));
	return 0;
}

/* One slot with both sides: KVM picks one by the page's attribute. */
/* syscalls(setup): ioctl:KVM_REALM_CREATE_GUEST_MEMFD ioctl:KVM_REALM_SET_MEMORY_REGION2 */
static int add_realm_slot(struct arch_vm *vm, const struct gmem *gmem, struct ccr_err *err)
{
	struct kvm_realm_create_guest_memfd create = {.size = gmem_size(gmem)};
	struct kvm_realm_memory_region2 region = {
		.slot = ARCH_SLOT_RAM,
		.flags = KVM_REALM_MEM_GUEST_MEMFD,
		.guest_phys_addr = gmem_base(gmem).v,
		.memory_size = gmem_size(gmem),
		.userspace_addr = gmem_slot_address(gmem, GMEM_SHARED),
	};
	int ret;

	vm->gmem_fd = kvm_sys_ioctl(vm->fd, KVM_REALM_CREATE_GUEST_MEMFD, &create);
	if (vm->gmem_fd < 0)
		return err_set(err, vm->gmem_fd, "KVM: no guest_memfd of %llu MiB: %s",
			       (unsigned long long)(gmem_size(gmem) >> 20), strerror(-vm->gmem_fd));
	region.guest_memfd = (uint32_t)vm->gmem_fd;
	ret = kvm_sys_ioctl(vm->fd, KVM_REALM_SET_MEMORY_REGION2, &region);
	if (ret)
		return err_set(err, ret, "KVM: private memory slot of %llu MiB refused: %s",
			       (unsigned long long)(gmem_size(gmem) >> 20), strerror(-ret));
	return 0;
}

static int add_memory(struct arch_vm *vm, const struct gmem *gmem, struct ccr_err *err)
{
	const ipa_t base = gmem_base(gmem);
	int ret;

	if (vm->kind == MACHINE_PLAIN)
		return add_slot(vm, ARCH_SLOT_RAM, base, gmem, GMEM_SHARED, err);
	if (vm->kind == MACHINE_REALM)
		return add_realm_slot(vm, gmem, err);
	ret = add_slot(vm, ARCH_SLOT_RAM, base, gmem, GMEM_PRIVATE, err);
	if (!ret)
		ret = add_slot(vm, ARCH_SLOT_RAM_SHARED, ipa_at(base.v | vm->alias), gmem,
			       GMEM_SHARED, err);
	return ret;
}

int arch_vm_create(struct arch_vm *vm, const struct arch_host *host, enum machine_kind kind,
		   const struct memmap *map, struct gmem *gmem, struct ccr_err *err)
{
	*vm = (struct arch_vm){
		.kind = kind,
		.fd = -1,
		.gmem_fd = -1,
		.gic_fd = -1,
		.its_fd = -1,
		.alias = kind == MACHINE_EMULATED ? map->shared_bit : 0,
		.map = map,
		.routes.lock = PTHREAD_MUTEX_INITIALIZER,
	};
	vm->abi = kind == MACHINE_REALM ? &host->abi : NULL;
	vm->fd = kvm_vm_create(host->kvm_fd, (vm->abi ? vm->abi->vm_type : 0) | map->ipa_bits);
	if (vm->fd < 0)
		return err_set(err, vm->fd, "KVM: cannot create a VM with %u address bits: %s",
			       map->ipa_bits, strerror(-vm->fd));
	/* Optional: without it KVM fails the vCPU on such an access, which is handled too. */
	if (kvm_capability(vm->fd, KVM_CAPABILITY_NISV))
		kvm_vm_enable_nisv(vm->fd);
	return add_memory(vm, gmem, err);
}

static int set_gic(struct arch_vm *vm, uint32_t group, uint64_t attr, const void *data,
		   const char *what, struct ccr_err *err)
{
	const int ret = kvm_set_attr(vm->gic_fd, group, attr, data);

	if (ret)
		return err_set(err, ret, "KVM: GICv3 %s refused: %s", what, strerror(-ret));
	return 0;
}

static int add_its(struct arch_vm *vm, struct ccr_err *err)
{
	const uint64_t base = vm->map->its_base.v | vm->alias;
	int ret;

	vm->its_fd = kvm_vm_create_device(vm->fd, KVM_DEV_TYPE_ARM_VGIC_ITS);
	if (vm->its_fd < 0)
		return err_set(err, vm->its_fd, "KVM: cannot create an ITS: %s; use --no-pci",
			       strerror(-vm->its_fd));
	ret = kvm_set_attr(vm->its_fd, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_ITS_ADDR_TYPE, &base);
	if (!ret)
		ret = kvm_set_attr(vm->its_fd, KVM_DEV_ARM_VGIC_GRP_CTRL,
				   KVM_DEV_ARM_VGIC_CTRL_INIT, NULL);
	if (ret)
		return err_set(err, ret, "KVM: ITS at 0x%llx refused: %s", (unsigned long long)base,
			       strerror(-ret));
	return 0;
}

int arch_vm_finish(struct arch_vm *vm, bool has_its, struct ccr_err *err)
{
	const uint32_t nr_irqs = MEMMAP_NR_IRQS;
	const uint64_t gicd = vm->map->gicd_base.v | vm->alias;
	/* Count in bits 63:52, base in 51:16, flags 0, index 0 (kvm/devices/arm-vgic-v3.rst). */
	const uint64_t gicr = (uint64_t)vm->map->nr_vcpus << 52 | vm->map->gicr_base.v | vm->alias;
	int ret;

	vm->gic_fd = kvm_vm_create_device(vm->fd, KVM_DEV_TYPE_ARM_VGIC_V3);
	if (vm->gic_fd == -ENODEV)
		return err_set(err, -ENODEV,
			       "KVM: this host has no GICv3 for guests (GICv2 is not "
			       "supported)");
	if (vm->gic_fd < 0)
		return err_set(err, vm->gic_fd, "KVM: cannot create a GICv3: %s",
			       strerror(-vm->gic_fd));
	ret = set_gic(vm, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, &nr_irqs, "interrupt count", err);
	if (!ret)
		ret = set_gic(vm, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_DIST, &gicd,
			      "distributor address", err);
	if (!ret)
		ret = set_gic(vm, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION,
			      &gicr, "redistributor address", err);
	if (!ret)
		ret = set_gic(vm, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, NULL,
			      "initialisation", err);
	if (!ret && has_its)
		ret = add_its(vm, err);
	if (!ret && has_its)
		vm->routes.is_supported = kvm_capability(vm->fd, KVM_CAPABILITY_IRQFD) > 0 &&
					  kvm_capability(vm->fd, KVM_CAPABILITY_IRQ_ROUTING) >=
						  KVM_MAX_MSI_ROUTES;
	return ret;
}

int arch_vm_ioeventfd(struct arch_vm *vm, int event_fd, ipa_t at, bool add)
{
	return kvm_vm_ioeventfd(vm->fd, event_fd, ipa_at(at.v | vm->alias), add);
}

int arch_vm_ioeventfd_value(struct arch_vm *vm, int event_fd, ipa_t at, uint32_t value)
{
	return kvm_vm_ioeventfd_value(vm->fd, event_fd, ipa_at(at.v | vm->alias), value);
}

void arch_vm_destroy(struct arch_vm *vm)
{
	kvm_sys_close(vm->its_fd);
	kvm_sys_close(vm->gic_fd);
	kvm_sys_close(vm->gmem_fd);
	kvm_sys_close(vm->fd);
	vm->its_fd = -1;
	vm->gic_fd = -1;
	vm->gmem_fd = -1;
	vm->fd = -1;
}
