/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/kvm.h>

#include "ccr/kvm.h"

#define FIRST_SPI 32 /* GIC INTID of shared peripheral interrupt 0 */

/* Most requests take a number in place of the pointer. */
static int ioctl_number(int fd, unsigned long request, unsigned long number)
{
	return kvm_sys_ioctl(fd, request, (void *)number);
}

/* syscalls(setup): ioctl:KVM_GET_API_VERSION */
int kvm_api_version(int kvm_fd)
{
	return ioctl_number(kvm_fd, KVM_GET_API_VERSION, 0);
}

/* syscalls(setup): ioctl:KVM_GET_VCPU_MMAP_SIZE */
int kvm_run_size(int kvm_fd)
{
	return ioctl_number(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
}

/* syscalls(build): ioctl:KVM_CREATE_VM */
int kvm_vm_create(int kvm_fd, unsigned long type)
{
	return ioctl_number(kvm_fd, KVM_CREATE_VM, type);
}

/* syscalls(build): ioctl:KVM_CHECK_EXTENSION */
int kvm_capability(int fd, enum kvm_capability capability)
{
	static const unsigned numbers[] = {
		[KVM_CAPABILITY_IPA_BITS] = KVM_CAP_ARM_VM_IPA_SIZE,
		[KVM_CAPABILITY_MAX_VCPUS] = KVM_CAP_MAX_VCPUS,
		[KVM_CAPABILITY_INJECT_DABT] = KVM_CAP_ARM_INJECT_EXT_DABT,
		[KVM_CAPABILITY_IMMEDIATE_EXIT] = KVM_CAP_IMMEDIATE_EXIT,
		[KVM_CAPABILITY_NISV] = KVM_CAP_ARM_NISV_TO_USER,
		[KVM_CAPABILITY_IRQFD] = KVM_CAP_IRQFD,
		[KVM_CAPABILITY_IRQ_ROUTING] = KVM_CAP_IRQ_ROUTING,
	};
	const int ret = ioctl_number(fd, KVM_CHECK_EXTENSION, numbers[capability]);

	return ret < 0 ? 0 : ret;
}

/* syscalls(build): ioctl:KVM_SET_USER_MEMORY_REGION */
int kvm_vm_set_memory(int vm_fd, unsigned slot, ipa_t base, uint64_t size, uint64_t host_address)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.guest_phys_addr = base.v,
		.memory_size = size,
		.userspace_addr = host_address,
	};

	return kvm_sys_ioctl(vm_fd, KVM_SET_USER_MEMORY_REGION, &region);
}

/* syscalls(build): ioctl:KVM_ENABLE_CAP */
int kvm_vm_enable_nisv(int vm_fd)
{
	struct kvm_enable_cap cap = {.cap = KVM_CAP_ARM_NISV_TO_USER};

	return kvm_sys_ioctl(vm_fd, KVM_ENABLE_CAP, &cap);
}

/* syscalls(loop vcpu worker): ioctl:KVM_IRQ_LINE */
int kvm_vm_irq_line(int vm_fd, unsigned spi, bool level)
{
	struct kvm_irq_level irq = {
		.irq = (uint32_t)KVM_ARM_IRQ_TYPE_SPI << KVM_ARM_IRQ_TYPE_SHIFT | (FIRST_SPI + spi),
		.level = level,
	};

	return kvm_sys_ioctl(vm_fd, KVM_IRQ_LINE, &irq);
}

/* syscalls(loop vcpu worker): ioctl:KVM_SIGNAL_MSI */
int kvm_vm_signal_msi(int vm_fd, uint64_t doorbell, uint32_t data, uint32_t device_id)
{
	struct kvm_msi msi = {
		.address_lo = (uint32_t)doorbell,
		.address_hi = (uint32_t)(doorbell >> 32),
		.data = data,
		.flags = KVM_MSI_VALID_DEVID,
		.devid = device_id,
	};

	return kvm_sys_ioctl(vm_fd, KVM_SIGNAL_MSI, &msi);
}

static struct kvm_irq_routing_entry routing_entry(const struct kvm_msi_route *route)
{
	return (struct kvm_irq_routing_entry){
		.gsi = route->gsi,
		.type = KVM_IRQ_ROUTING_MSI,
		.flags = KVM_MSI_VALID_DEVID,
		.u.msi =
			{
				.address_lo = (uint32_t)route->doorbell,
				.address_hi = (uint32_t)(route->doorbell >> 32),
				.data = route->data,
				.devid = route->device_id,
			},
	};
}

/* syscalls(loop vcpu worker): ioctl:KVM_SET_GSI_ROUTING */
int kvm_vm_set_msi_routes(int vm_fd, const struct kvm_msi_route *routes, unsigned nr)
{
	/* With room for as many entries as there can be. */
	union {
		struct kvm_irq_routing table;
		uint8_t room[sizeof(struct kvm_irq_routing) +
			     KVM_MAX_MSI_ROUTES * sizeof(struct kvm_irq_routing_entry)];
	} request = {.table.nr = nr};

	if (nr > KVM_MAX_MSI_ROUTES)
		return -E2BIG;
	for (unsigned i = 0; i < nr; i++)
		request.table.entries[i] = routing_entry(&routes[i]);
	return kvm_sys_ioctl(vm_fd, KVM_SET_GSI_ROUTING, &request);
}

/* syscalls(build vcpu worker): ioctl:KVM_IRQFD */
int kvm_vm_irqfd(int vm_fd, int event_fd, unsigned gsi)
{
	struct kvm_irqfd request = {.fd = (uint32_t)event_fd, .gsi = gsi};

	return kvm_sys_ioctl(vm_fd, KVM_IRQFD, &request);
}

/* syscalls(vcpu worker): ioctl:KVM_IRQFD */
int kvm_vm_irqfd_end(int vm_fd, int event_fd, unsigned gsi)
{
	struct kvm_irqfd request = {
		.fd = (uint32_t)event_fd, .gsi = gsi, .flags = KVM_IRQFD_FLAG_DEASSIGN};

	return kvm_sys_ioctl(vm_fd, KVM_IRQFD, &request);
}

/* syscalls(vcpu loop): ioctl:KVM_IOEVENTFD */
int kvm_vm_ioeventfd(int vm_fd, int event_fd, ipa_t at, bool add)
{
	struct kvm_ioeventfd request = {
		.addr = at.v,
		.len = 2,
		.fd = event_fd,
		.flags = add ? 0 : KVM_IOEVENTFD_FLAG_DEASSIGN,
	};

	return kvm_sys_ioctl(vm_fd, KVM_IOEVENTFD, &request);
}

/* syscalls(build): ioctl:KVM_IOEVENTFD */
int kvm_vm_ioeventfd_value(int vm_fd, int event_fd, ipa_t at, uint32_t value)
{
	struct kvm_ioeventfd request = {
		.datamatch = value,
		.addr = at.v,
		.len = sizeof(value),
		.fd = event_fd,
		.flags = KVM_IOEVENTFD_FLAG_DATAMATCH,
	};

	return kvm_sys_ioctl(vm_fd, KVM_IOEVENTFD, &request);
}

/* syscalls(build): ioctl:KVM_CREATE_VCPU */
int kvm_vm_create_vcpu(int vm_fd, unsigned index)
{
	return ioctl_number(vm_fd, KVM_CREATE_VCPU, index);
}

/* syscalls(build): ioctl:KVM_CREATE_DEVICE */
int kvm_vm_create_device(int vm_fd, uint32_t type)
{
	struct kvm_create_device device = {.type = type};
	const int ret = kvm_sys_ioctl(vm_fd, KVM_CREATE_DEVICE, &device);

	return ret < 0 ? ret : (int)device.fd;
}

/* syscalls(build): ioctl:KVM_SET_DEVICE_ATTR */
int kvm_set_attr(int fd, uint32_t group, uint64_t attr, const void *data)
{
	struct kvm_device_attr device_attr = {
		.group = group,
		.attr = attr,
		.addr = (uint64_t)(uintptr_t)data,
	};

	return kvm_sys_ioctl(fd, KVM_SET_DEVICE_ATTR, &device_attr);
}

/* syscalls(setup): ioctl:KVM_HAS_DEVICE_ATTR */
int kvm_has_attr(int fd, uint32_t group, uint64_t attr)
{
	struct kvm_device_attr device_attr = {.group = group, .attr = attr};

	return kvm_sys_ioctl(fd, KVM_HAS_DEVICE_ATTR, &device_attr);
}

/* syscalls(vcpu loop build): ioctl:KVM_GET_ONE_REG */
int kvm_vcpu_get_reg(int vcpu_fd, uint64_t id, uint64_t *ret_value)
{
	uint64_t value = 0;
	struct kvm_one_reg reg = {.id = id, .addr = (uint64_t)(uintptr_t)&value};
	const int ret = kvm_sys_ioctl(vcpu_fd, KVM_GET_ONE_REG, &reg);

	if (!ret)
		*ret_value = value;
	return ret;
}

/* syscalls(vcpu build): ioctl:KVM_SET_ONE_REG */
int kvm_vcpu_set_reg(int vcpu_fd, uint64_t id, uint64_t value)
{
	struct kvm_one_reg reg = {.id = id, .addr = (uint64_t)(uintptr_t)&value};

	return kvm_sys_ioctl(vcpu_fd, KVM_SET_ONE_REG, &reg);
}

/* syscalls(vcpu loop): ioctl:KVM_GET_MP_STATE */
int kvm_vcpu_is_stopped(int vcpu_fd)
{
	struct kvm_mp_state state = {0};
	const int ret = kvm_sys_ioctl(vcpu_fd, KVM_GET_MP_STATE, &state);

	return ret < 0 ? ret : state.mp_state == KVM_MP_STATE_STOPPED;
}

/* syscalls(vcpu): ioctl:KVM_SET_VCPU_EVENTS */
int kvm_vcpu_inject_abort(int vcpu_fd)
{
	struct kvm_vcpu_events events = {.exception.ext_dabt_pending = 1};

	return kvm_sys_ioctl(vcpu_fd, KVM_SET_VCPU_EVENTS, &events);
}

/* syscalls(vcpu): ioctl:KVM_RUN */
int kvm_vcpu_run(int vcpu_fd)
{
	return ioctl_number(vcpu_fd, KVM_RUN, 0);
}
