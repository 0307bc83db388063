/* SPDX-License-Identifier: Apache-2.0 */
/* Requests in words, for the trace. Host addresses are left out: they differ from run to run. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "fake_kvm_internal.h"
#include "uapi/kvm_realm.h"

struct text {
	char *at;
	size_t left;
};

static void add(struct text *text, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void add(struct text *text, const char *fmt, ...)
{
	va_list args;
	int size;

	va_start(args, fmt);
	size = vsnprintf(text->at, text->left, fmt, args);
	va_end(args);
	if (size > 0 && (size_t)size < text->left) {
		text->at += size;
		text->left -= (size_t)size;
	}
}

static const void *pointer(uint64_t address)
{
	return (const void *)(uintptr_t)address;
}

static void add_region(struct text *text, const void *arg)
{
	const struct kvm_userspace_memory_region *region = arg;

	add(text, " slot=%u gpa=0x%llx size=0x%llx", region->slot, region->guest_phys_addr,
	    region->memory_size);
}

static void add_cap_name(struct text *text, unsigned long number)
{
	static const struct {
		unsigned long number;
		const char *name;
	} caps[] = {
		{KVM_CAP_MAX_VCPUS, "MAX_VCPUS"},
		{KVM_CAP_ARM_VM_IPA_SIZE, "ARM_VM_IPA_SIZE"},
		{KVM_CAP_IMMEDIATE_EXIT, "IMMEDIATE_EXIT"},
		{KVM_CAP_ARM_INJECT_EXT_DABT, "ARM_INJECT_EXT_DABT"},
		{KVM_CAP_ARM_NISV_TO_USER, "ARM_NISV_TO_USER"},
	};

	for (size_t i = 0; i < sizeof(caps) / sizeof(caps[0]); i++) {
		if (caps[i].number == number) {
			add(text, " %s", caps[i].name);
			return;
		}
	}
	add(text, " %lu", number);
}

static void add_cap(struct text *text, const void *arg)
{
	const struct kvm_enable_cap *cap = arg;

	add_cap_name(text, cap->cap);
}

static void add_device(struct text *text, const void *arg)
{
	const struct kvm_create_device *device = arg;

	add(text, " type=%u", device->type);
}

static void add_init(struct text *text, const void *arg)
{
	const struct kvm_vcpu_init *init = arg;

	add(text, " target=%u features=0x%x", init->target, init->features[0]);
}

static void add_reg_name(struct text *text, const void *arg)
{
	const struct kvm_one_reg *reg = arg;
	char name[16];

	fake_vcpu_is_reg(reg->id, name);
	add(text, " %s", name);
}

static void add_reg(struct text *text, const void *arg)
{
	const struct kvm_one_reg *reg = arg;
	uint64_t value = 0;

	add_reg_name(text, arg);
	if (reg->addr)
		memcpy(&value, pointer(reg->addr), sizeof(value));
	add(text, "=0x%llx", (unsigned long long)value);
}

static void add_irq(struct text *text, const void *arg)
{
	const struct kvm_irq_level *line = arg;

	add(text, " irq=0x%x level=%u", line->irq, line->level);
}

static void add_msi(struct text *text, const void *arg)
{
	const struct kvm_msi *msi = arg;

	add(text, " address=0x%llx data=%u device=0x%x",
	    (unsigned long long)msi->address_hi << 32 | msi->address_lo, msi->data, msi->devid);
}

static void add_event(struct text *text, const void *arg)
{
	const struct kvm_ioeventfd *event = arg;

	add(text, " at=0x%llx size=%u flags=%u", event->addr, event->len, event->flags);
}

static void add_attr_name(struct text *text, const void *arg)
{
	const struct kvm_device_attr *attr = arg;

	add(text, " group=%u attr=%llu", attr->group, attr->attr);
}

/* Groups of a VM and of the GIC have different numbers, but for 0. */
static void add_attr(struct text *text, const void *arg, bool is_vm)
{
	const struct kvm_device_attr *attr = arg;
	const struct kvm_realm_smccc_filter *filter = pointer(attr->addr);

	add_attr_name(text, arg);
	if (!attr->addr)
		return;
	if (is_vm)
		add(text, " base=0x%x nr=%u action=%u", filter->base, filter->nr_functions,
		    filter->action);
	else if (attr->group == KVM_DEV_ARM_VGIC_GRP_NR_IRQS)
		add(text, " value=%u", *(const uint32_t *)pointer(attr->addr));
	else
		add(text, " value=0x%llx",
		    (unsigned long long)*(const uint64_t *)pointer(attr->addr));
}

static void add_vm_attr(struct text *text, const void *arg)
{
	add_attr(text, arg, true);
}

static void add_gic_attr(struct text *text, const void *arg)
{
	add_attr(text, arg, false);
}

/* What the argument is: a number, what one of these functions prints, or nothing. */
static const struct {
	unsigned long request;
	const char *name;
	const char *number;
	void (*add)(struct text *text, const void *arg);
} requests[] = {
	{KVM_GET_API_VERSION, "KVM_GET_API_VERSION", NULL, NULL},
	{KVM_GET_VCPU_MMAP_SIZE, "KVM_GET_VCPU_MMAP_SIZE", NULL, NULL},
	{KVM_CREATE_VM, "KVM_CREATE_VM", "type", NULL},
	{KVM_CHECK_EXTENSION, "KVM_CHECK_EXTENSION", NULL, NULL},
	{KVM_SET_USER_MEMORY_REGION, "KVM_SET_USER_MEMORY_REGION", NULL, add_region},
	{KVM_ENABLE_CAP, "KVM_ENABLE_CAP", NULL, add_cap},
	{KVM_CREATE_VCPU, "KVM_CREATE_VCPU", "id", NULL},
	{KVM_CREATE_DEVICE, "KVM_CREATE_DEVICE", NULL, add_device},
	{KVM_ARM_PREFERRED_TARGET, "KVM_ARM_PREFERRED_TARGET", NULL, NULL},
	{KVM_ARM_VCPU_INIT, "KVM_ARM_VCPU_INIT", NULL, add_init},
	{KVM_GET_ONE_REG, "KVM_GET_ONE_REG", NULL, add_reg_name},
	{KVM_SET_ONE_REG, "KVM_SET_ONE_REG", NULL, add_reg},
	{KVM_GET_MP_STATE, "KVM_GET_MP_STATE", NULL, NULL},
	{KVM_SET_VCPU_EVENTS, "KVM_SET_VCPU_EVENTS", NULL, NULL},
	{KVM_HAS_DEVICE_ATTR, "KVM_HAS_DEVICE_ATTR", NULL, add_attr_name},
	{KVM_SET_DEVICE_ATTR, "KVM_SET_DEVICE_ATTR", NULL, add_gic_attr},
	{KVM_IRQ_LINE, "KVM_IRQ_LINE", NULL, add_irq},
	{KVM_SIGNAL_MSI, "KVM_SIGNAL_MSI", NULL, add_msi},
	{KVM_IOEVENTFD, "KVM_IOEVENTFD", NULL, add_event},
	{KVM_RUN, "KVM_RUN", NULL, NULL},
};

void fake_describe(char *text, size_t size, bool is_vm, unsigned long request, const void *arg)
{
	struct text out = {text, size};

	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		if (requests[i].request != request)
			continue;
		add(&out, "%s", requests[i].name);
		if (request == KVM_CHECK_EXTENSION)
			add_cap_name(&out, (unsigned long)arg);
		else if (requests[i].number)
			add(&out, " %s=0x%lx", requests[i].number, (unsigned long)arg);
		else if (requests[i].add && !arg)
			add(&out, " NULL");
		else if (request == KVM_SET_DEVICE_ATTR && is_vm)
			add_vm_attr(&out, arg);
		else if (requests[i].add)
			requests[i].add(&out, arg);
		return;
	}
	add(&out, "0x%lx", request);
}
