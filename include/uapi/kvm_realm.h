/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What KVM offers and bookworm's kernel headers do not declare: our own declarations, under our
 * own names, so that newer headers can be present as well.
 */
#ifndef UAPI_KVM_REALM_H
#define UAPI_KVM_REALM_H

#include <stdint.h>

/* SMCCC filter, a VM attribute (Linux 6.4, Documentation/virt/kvm/devices/vm.rst). */
#define KVM_REALM_VM_SMCCC_CTRL   0 /* attribute group */
#define KVM_REALM_VM_SMCCC_FILTER 0 /* attribute */

enum { KVM_REALM_SMCCC_HANDLE = 0, KVM_REALM_SMCCC_DENY = 1, KVM_REALM_SMCCC_FORWARD = 2 };

struct kvm_realm_smccc_filter {
	uint32_t base;         /* first function identifier */
	uint32_t nr_functions; /* from there */
	uint8_t action;
	uint8_t pad[15]; /* must be zero */
};

/*
 * hypercall.flags of KVM_EXIT_HYPERCALL (Linux 6.4); older headers call the field longmode.
 */
#define KVM_REALM_HYPERCALL_SMC (1u << 0)

/* KVM_EXIT_MEMORY_FAULT (Linux 6.8, Documentation/virt/kvm/api.rst). */
#define KVM_REALM_EXIT_MEMORY_FAULT 39
#define KVM_REALM_FAULT_PRIVATE     (1ull << 3)

struct kvm_realm_memory_fault {
	uint64_t flags;
	uint64_t gpa;
	uint64_t size;
};

/*
 * guest_memfd (Linux 6.8). The request numbers are spelled out because bookworm's headers know
 * neither the requests nor the structures.
 */
#define KVM_REALM_CREATE_GUEST_MEMFD 0xC040AED4ul /* VM: struct kvm_realm_create_guest_memfd */
#define KVM_REALM_SET_MEMORY_REGION2 0x40A0AE49ul /* VM: struct kvm_realm_memory_region2 */
#define KVM_REALM_SET_ATTRIBUTES     0x4020AED2ul /* VM: struct kvm_realm_attributes */
#define KVM_REALM_SET_ATTRIBUTES2    0xC080AED2ul /* guest_memfd: struct kvm_realm_attributes2 */

#define KVM_REALM_MEM_GUEST_MEMFD   (1u << 2)   /* region flag */
#define KVM_REALM_ATTRIBUTE_PRIVATE (1ull << 3) /* memory attribute */

#define KVM_REALM_CAP_MEMORY_ATTRIBUTES 233
#define KVM_REALM_CAP_GUEST_MEMFD       234

struct kvm_realm_create_guest_memfd {
	uint64_t size;
	uint64_t flags;
	uint64_t reserved[6];
};

struct kvm_realm_memory_region2 {
	uint32_t slot;
	uint32_t flags;
	uint64_t guest_phys_addr;
	uint64_t memory_size;
	uint64_t userspace_addr;
	uint64_t guest_memfd_offset;
	uint32_t guest_memfd;
	uint32_t pad1;
	uint64_t pad2[14];
};

struct kvm_realm_attributes {
	uint64_t address;
	uint64_t size;
	uint64_t attributes;
	uint64_t flags;
};

struct kvm_realm_attributes2 {
	uint64_t offset;
	uint64_t size;
	uint64_t attributes;
	uint64_t flags;
	uint64_t error_offset; /* out: the page that is in use, after EAGAIN */
	uint64_t reserved[11];
};

/* VM types, to be combined with the IPA width: the one bit that asks for a realm. */
#define KVM_REALM_VM_TYPE_V1  (1ul << 8)  /* series v1 to v13 */
#define KVM_REALM_VM_TYPE_V14 (1ul << 30) /* v14 on */

/*
 * Explicit life-cycle, series v1 to v11: KVM_ENABLE_CAP on the VM, args[0] the action, args[1] a
 * pointer. The capability's number differs from posting to posting.
 */
enum kvm_realm_action {
	KVM_REALM_ACTION_CONFIG = 0,     /* struct kvm_realm_config */
	KVM_REALM_ACTION_CREATE = 1,     /* nothing */
	KVM_REALM_ACTION_INIT_RIPAS = 2, /* struct kvm_realm_init_ripas */
	KVM_REALM_ACTION_POPULATE = 3,   /* struct kvm_realm_populate */
	KVM_REALM_ACTION_ACTIVATE = 4,   /* nothing */
};

enum kvm_realm_config_item { KVM_REALM_CONFIG_RPV = 0, KVM_REALM_CONFIG_HASH_ALGO = 1 };

struct kvm_realm_config {
	uint32_t item;
	union {
		uint8_t rpv[64];
		uint32_t hash_algo;
		uint8_t pad[256];
	};
};

struct kvm_realm_init_ripas {
	uint64_t base;
	uint64_t size;
	uint64_t reserved[2];
};

#define KVM_REALM_POPULATE_MEASURE (1u << 0)

struct kvm_realm_populate {
	uint64_t base;
	uint64_t size;
	uint32_t flags;
	uint32_t reserved[3];
};

/*
 * Implicit life-cycle, v12 on: one VM request. v12 returns the bytes done and leaves the structure
 * alone; v13 and later return 0 and advance it.
 */
#define KVM_REALM_POPULATE_V12 0x4020AED7ul
#define KVM_REALM_POPULATE_V13 0xC020AED7ul

/*
 * Requests of 64 bytes with the numbers behind, 0xd8 to 0xdf, as _IOW and as _IOWR. None is in use
 * on arm64 up to v16.
 */
#define KVM_REALM_UNKNOWN_W  0x4040AED8ul
#define KVM_REALM_UNKNOWN_RW 0xC040AED8ul
#define KVM_REALM_NR_UNKNOWN 8

struct kvm_realm_populate_from {
	uint64_t base;
	uint64_t size;
	uint64_t source_uaddr;
	uint32_t flags;
	uint32_t reserved;
};

#endif
