/* SPDX-License-Identifier: Apache-2.0 */
/* Requests in words. Host addresses are left out: they differ from run to run. */
#include <linux/kvm.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ccr/kvm.h"
#include "ccr/record.h"
#include "uapi/kvm_realm.h"

#define HEX(value) ((unsigned long long)(value))

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
		{KVM_CAP_IRQFD, "IRQFD"},
		{KVM_CAP_IRQ_ROUTING, "IRQ_ROUTING"},
		{KVM_CAP_ARM_SVE, "ARM_SVE"},
		{KVM_CAP_ARM_PMU_V3, "ARM_PMU_V3"},
		{KVM_CAP_ARM_PTRAUTH_ADDRESS, "ARM_PTRAUTH_ADDRESS"},
		{KVM_CAP_ARM_PTRAUTH_GENERIC, "ARM_PTRAUTH_GENERIC"},
	};

	for (size_t i = 0; i < sizeof(caps) / sizeof(caps[0]); i++) {
		if (caps[i].number == number) {
			add(text, " %s", caps[i].name);
			return;
		}
	}
	add(text, " %lu", number);
}

/* Realms of the explicit family: the action, and what it points to. */
static const char *const actions[] = {
	[KVM_REALM_ACTION_CONFIG] = "CONFIG",     [KVM_REALM_ACTION_CREATE] = "CREATE",
	[KVM_REALM_ACTION_INIT_RIPAS] = "RIPAS",  [KVM_REALM_ACTION_POPULATE] = "POPULATE",
	[KVM_REALM_ACTION_ACTIVATE] = "ACTIVATE",
};

#define NR_ACTIONS (sizeof(actions) / sizeof(actions[0]))

/* No number below has ever been that of realms. */
#define FIRST_REALM_CAP 240

static void add_action(struct text *text, uint64_t action, const void *arg)
{
	const struct kvm_realm_config *config = arg;
	const struct kvm_realm_populate *range = arg;

	add(text, " %s", actions[action]);
	if (!arg)
		return;
	if (action == KVM_REALM_ACTION_CONFIG && config->item == KVM_REALM_CONFIG_HASH_ALGO)
		add(text, " hash=%u", config->hash_algo);
	else if (action == KVM_REALM_ACTION_CONFIG && config->item == KVM_REALM_CONFIG_RPV)
		add(text, " rpv=0x%02x", config->rpv[0]);
	else if (action == KVM_REALM_ACTION_CONFIG)
		add(text, " item=%u", config->item);
	else if (action == KVM_REALM_ACTION_INIT_RIPAS || action == KVM_REALM_ACTION_POPULATE)
		add(text, " base=0x%llx size=0x%llx", HEX(range->base), HEX(range->size));
	if (action == KVM_REALM_ACTION_POPULATE)
		add(text, " flags=%u", range->flags);
}

static void add_cap(struct text *text, const void *arg)
{
	const struct kvm_enable_cap *cap = arg;

	add_cap_name(text, cap->cap);
	if (cap->cap >= FIRST_REALM_CAP && cap->args[0] < NR_ACTIONS)
		add_action(text, cap->args[0], pointer(cap->args[1]));
}

static void add_gmem(struct text *text, const void *arg)
{
	const struct kvm_realm_create_guest_memfd *create = arg;

	add(text, " size=0x%llx flags=%llu", HEX(create->size), HEX(create->flags));
}

static void add_region2(struct text *text, const void *arg)
{
	const struct kvm_realm_memory_region2 *region = arg;

	add(text, " slot=%u flags=%u gpa=0x%llx size=0x%llx", region->slot, region->flags,
	    HEX(region->guest_phys_addr), HEX(region->memory_size));
}

/* The structure that a guest_memfd takes begins like the VM's. */
static void add_attributes(struct text *text, const void *arg)
{
	const struct kvm_realm_attributes *attributes = arg;

	add(text, " at=0x%llx size=0x%llx attributes=%llu", HEX(attributes->address),
	    HEX(attributes->size), HEX(attributes->attributes));
}

static void add_populate(struct text *text, const void *arg)
{
	const struct kvm_realm_populate_from *from = arg;

	add(text, " base=0x%llx size=0x%llx flags=%u", HEX(from->base), HEX(from->size),
	    from->flags);
}

static void add_feature(struct text *text, const void *arg)
{
	add(text, " feature=%d", *(const int *)arg);
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

/* Numbers of arm64's registers, in the order of KVM's documentation (api.rst, 4.68). */
#define ID_X0  0x6030000000100000ull /* X1 is two further on, and so on to X30 */
#define ID_X30 0x603000000010003cull

static const struct {
	uint64_t id;
	const char *name;
} regs[] = {
	{0x6030000000100040ull, "PC"},    {0x6030000000100042ull, "PSTATE"},
	{0x6030000000100046ull, "ELR"},   {0x6030000000100048ull, "SPSR"},
	{0x603000000013c290ull, "ESR"},   {0x603000000013c300ull, "FAR"},
	{0x603000000013c600ull, "VBAR"},  {0x603000000013c080ull, "SCTLR"},
	{0x603000000013c038ull, "MMFR0"}, {0x603000000013c028ull, "DFR0"},
	{0x603000000013c030ull, "ISAR0"}, {0x603000000013c031ull, "ISAR1"},
	{0x603000000013c021ull, "PFR1"},  {0x603000000013dce0ull, "PMCR"},
	{0x6030000000140000ull, "PSCI"},
};

void kvm_describe_reg(char text[24], uint64_t id)
{
	if (id >= ID_X0 && id <= ID_X30 && id % 2 == 0) {
		snprintf(text, 24, "X%u", (unsigned)(id - ID_X0) / 2);
		return;
	}
	for (size_t i = 0; i < sizeof(regs) / sizeof(regs[0]); i++) {
		if (regs[i].id == id) {
			snprintf(text, 24, "%s", regs[i].name);
			return;
		}
	}
	snprintf(text, 24, "0x%llx", HEX(id));
}

static void add_reg_name(struct text *text, const void *arg)
{
	const struct kvm_one_reg *reg = arg;
	char name[24];

	kvm_describe_reg(name, reg->id);
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
	if (event->flags & KVM_IOEVENTFD_FLAG_DATAMATCH)
		add(text, " value=%llu", event->datamatch);
}

static void add_irqfd(struct text *text, const void *arg)
{
	const struct kvm_irqfd *irqfd = arg;

	add(text, " gsi=%u flags=%u", irqfd->gsi, irqfd->flags);
}

static void add_routes(struct text *text, const void *arg)
{
	const struct kvm_irq_routing *table = arg;

	add(text, " nr=%u", table->nr);
	for (unsigned i = 0; i < table->nr; i++) {
		const struct kvm_irq_routing_entry *entry = &table->entries[i];

		add(text, " %u=0x%llx/%u/0x%x", entry->gsi,
		    (unsigned long long)entry->u.msi.address_hi << 32 | entry->u.msi.address_lo,
		    entry->u.msi.data, entry->u.msi.devid);
	}
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
	{KVM_IRQFD, "KVM_IRQFD", NULL, add_irqfd},
	{KVM_SET_GSI_ROUTING, "KVM_SET_GSI_ROUTING", NULL, add_routes},
	{KVM_RUN, "KVM_RUN", NULL, NULL},
	{KVM_ARM_VCPU_FINALIZE, "KVM_ARM_VCPU_FINALIZE", NULL, add_feature},
	{KVM_REALM_CREATE_GUEST_MEMFD, "KVM_CREATE_GUEST_MEMFD", NULL, add_gmem},
	{KVM_REALM_SET_MEMORY_REGION2, "KVM_SET_USER_MEMORY_REGION2", NULL, add_region2},
	{KVM_REALM_SET_ATTRIBUTES, "KVM_SET_MEMORY_ATTRIBUTES", NULL, add_attributes},
	{KVM_REALM_SET_ATTRIBUTES2, "KVM_SET_MEMORY_ATTRIBUTES2", NULL, add_attributes},
	{KVM_REALM_POPULATE_V12, "KVM_ARM_RMI_POPULATE_V12", NULL, add_populate},
	{KVM_REALM_POPULATE_V13, "KVM_ARM_RMI_POPULATE", NULL, add_populate},
};

void kvm_describe(char *text, size_t size, bool is_vm, unsigned long request, const void *arg)
{
	struct text out = {text, size};

	text[0] = '\0';
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

/* Return: it may be one of many that are alike. */
static bool add_exit(struct text *text, const struct kvm_exit *exit)
{
	switch (exit->kind) {
	case VCPU_EXIT_MEMORY_FAULT:
		add(text, " MEMORY_FAULT private=%d at=0x%llx size=0x%llx",
		    exit->memory_fault.private_access, HEX(exit->memory_fault.base.v),
		    HEX(exit->memory_fault.size));
		return false;
	case VCPU_EXIT_MMIO:
		add(text, " MMIO at=0x%llx size=%u write=%d", HEX(exit->mmio.at.v), exit->mmio.size,
		    exit->mmio.is_write);
		return true;
	case VCPU_EXIT_HYPERCALL:
		add(text, " SMCCC function=0x%x", exit->hypercall.fid);
		return true;
	case VCPU_EXIT_ERROR:
		/* With an error number the page says nothing new. */
		if (exit->error.code == 0)
			add(text, " reason=%u detail=0x%llx", exit->error.reason,
			    HEX(exit->error.detail));
		return false;
	default:
		add(text, " %s", kvm_exit_name(exit->kind));
		return true;
	}
}

bool kvm_describe_exit(char *text, size_t size, const struct kvm_run *run, int ret)
{
	struct text out = {text, size};
	struct kvm_exit exit;

	text[0] = '\0';
	add(&out, "%s%s", ret < 0 ? "-" : "", ret < 0 ? err_name(ret) : "0");
	if (!run)
		return false;
	exit = kvm_exit_decode(run, ret);
	return add_exit(&out, &exit);
}
