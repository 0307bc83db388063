/* SPDX-License-Identifier: Apache-2.0 */
/*
 * KVM's system calls, one typed function each and no policy, and the decoding of exits.
 *
 * This header hides <linux/kvm.h>: only src/kvm and arch/arm64/kvm include that. Every function
 * returns 0 (or a descriptor, or a count) or -errno, and leaves messages to its caller, who knows
 * what the call was for.
 *
 * Below them is the seam that tests replace: few functions that reach the kernel.
 */
#ifndef CCR_KVM_H
#define CCR_KVM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ccr/ipa.h"

struct kvm_run;

/*
 * The seam. tests/fake links its own versions, which keep a model of KVM, record a trace, and can
 * fail call number n.
 */

/** kvm_sys_open() - open a device node O_RDWR | O_CLOEXEC. Return: descriptor or -errno. */
int kvm_sys_open(const char *path);

/**
 * kvm_sys_ioctl() - ioctl(2), EINTR included
 *
 * Return: what the call returned if that is not negative, else -errno.
 */
int kvm_sys_ioctl(int fd, unsigned long request, void *arg);

/** kvm_sys_map_run() - map a vCPU's shared page. Return: 0 or -errno. */
int kvm_sys_map_run(int vcpu_fd, size_t size, struct kvm_run **ret_run);
void kvm_sys_unmap_run(struct kvm_run *run, size_t size);

/** kvm_sys_close() - takes -1 */
void kvm_sys_close(int fd);

/** kvm_sys_punch() - give pages of a guest_memfd back to the host. Return: 0 or -errno. */
int kvm_sys_punch(int fd, uint64_t offset, uint64_t size);

/* The system descriptor. */

/** kvm_api_version() - 12 on every kernel that can be used */
int kvm_api_version(int kvm_fd);

/** kvm_run_size() - bytes to map for each vCPU */
int kvm_run_size(int kvm_fd);

/** kvm_vm_create() - @type is the architecture's: IPA width, realm. Return: VM descriptor. */
int kvm_vm_create(int kvm_fd, unsigned long type);

enum kvm_capability {
	KVM_CAPABILITY_IPA_BITS,       /* largest IPA width of a normal VM; 0 means 40 only */
	KVM_CAPABILITY_MAX_VCPUS,      /* hard limit */
	KVM_CAPABILITY_INJECT_DABT,    /* external aborts can be injected */
	KVM_CAPABILITY_IMMEDIATE_EXIT, /* kvm_run.immediate_exit works */
	KVM_CAPABILITY_NISV,           /* accesses without syndrome can be reported */
	KVM_CAPABILITY_IRQFD,          /* a descriptor can raise an interrupt */
	KVM_CAPABILITY_IRQ_ROUTING,    /* and it can be a message: how many of them */
};

/** kvm_capability() - @fd is the system's or a VM's. Return: 0 if absent, else its value. */
int kvm_capability(int fd, enum kvm_capability capability);

/* A VM. */

/**
 * kvm_vm_set_memory() - give the guest a range of host memory
 * @host_address: from gmem_slot_address(); page aligned
 */
int kvm_vm_set_memory(int vm_fd, unsigned slot, ipa_t base, uint64_t size, uint64_t host_address);

/** kvm_vm_enable_nisv() - report accesses whose syndrome the hardware does not give */
int kvm_vm_enable_nisv(int vm_fd);

/** kvm_vm_irq_line() - level of shared peripheral interrupt @spi (0 is INTID 32) */
int kvm_vm_irq_line(int vm_fd, unsigned spi, bool level);

/**
 * kvm_vm_signal_msi() - a message interrupt, from any thread
 * @doorbell: address of the ITS's translation register, as the ITS was created
 * @device_id: what the ITS knows the sender by
 *
 * Return: 0, or 1 if it reached the guest; -errno, also for an event the guest has not mapped.
 */
int kvm_vm_signal_msi(int vm_fd, uint64_t doorbell, uint32_t data, uint32_t device_id);

#define KVM_MAX_MSI_ROUTES 128

/**
 * struct kvm_msi_route - the message that stands for interrupt @gsi
 * @doorbell, @data, @device_id: as for kvm_vm_signal_msi()
 */
struct kvm_msi_route {
	unsigned gsi;
	uint64_t doorbell;
	uint32_t data;
	uint32_t device_id;
};

/** kvm_vm_set_msi_routes() - all routes at once; @nr is at most KVM_MAX_MSI_ROUTES */
int kvm_vm_set_msi_routes(int vm_fd, const struct kvm_msi_route *routes, unsigned nr);

/** kvm_vm_irqfd() - writes to @event_fd raise @gsi; closing all of its descriptors ends that */
int kvm_vm_irqfd(int vm_fd, int event_fd, unsigned gsi);

/** kvm_vm_irqfd_end() - they no longer do, once this returns; the eventfd counts them */
int kvm_vm_irqfd_end(int vm_fd, int event_fd, unsigned gsi);

/**
 * kvm_vm_ioeventfd() - let the kernel take 2-byte writes to @at and signal @event_fd
 * @add: register, or take it away again
 */
int kvm_vm_ioeventfd(int vm_fd, int event_fd, ipa_t at, bool add);

/** kvm_vm_ioeventfd_value() - likewise of 4-byte writes of @value to @at, for good */
int kvm_vm_ioeventfd_value(int vm_fd, int event_fd, ipa_t at, uint32_t value);

/** kvm_vm_create_vcpu() - Return: vCPU descriptor */
int kvm_vm_create_vcpu(int vm_fd, unsigned index);

/** kvm_vm_create_device() - @type is a KVM_DEV_TYPE. Return: device descriptor. */
int kvm_vm_create_device(int vm_fd, uint32_t type);

/**
 * kvm_set_attr() - device attribute of a VM, device or vCPU
 * @data: what the attribute points to; NULL if nothing
 */
int kvm_set_attr(int fd, uint32_t group, uint64_t attr, const void *data);

/** kvm_has_attr() - Return: 0 or -ENXIO */
int kvm_has_attr(int fd, uint32_t group, uint64_t attr);

/* A vCPU. Only the thread that runs it may call these once it runs. */

/** kvm_vcpu_get_reg(), kvm_vcpu_set_reg() - a 64-bit register. Return: 0 or -errno. */
int kvm_vcpu_get_reg(int vcpu_fd, uint64_t id, uint64_t *ret_value);
int kvm_vcpu_set_reg(int vcpu_fd, uint64_t id, uint64_t value);

/** kvm_vcpu_is_stopped() - powered off, as PSCI sees it. Return: 0 or 1, or -errno. */
int kvm_vcpu_is_stopped(int vcpu_fd);

/** kvm_vcpu_inject_abort() - a synchronous external data abort at the last faulting access */
int kvm_vcpu_inject_abort(int vcpu_fd);

/** kvm_vcpu_run() - enter the guest. Return: 0 or -errno, to be given to kvm_exit_decode(). */
int kvm_vcpu_run(int vcpu_fd);

/** kvm_run_set_immediate_exit() - from any thread: make the next entry return at once */
void kvm_run_set_immediate_exit(struct kvm_run *run, bool value);

/* Exits. */

enum kvm_exit_kind {
	VCPU_EXIT_INTERRUPTED,  /* a signal or immediate_exit; nothing to handle */
	VCPU_EXIT_AGAIN,        /* run again */
	VCPU_EXIT_MMIO,         /* @mmio */
	VCPU_EXIT_NISV,         /* an access KVM could not decode: @fault_base */
	VCPU_EXIT_HYPERCALL,    /* @hypercall */
	VCPU_EXIT_POWEROFF,     /* PSCI SYSTEM_OFF */
	VCPU_EXIT_RESET,        /* PSCI SYSTEM_RESET or SYSTEM_RESET2 */
	VCPU_EXIT_CRASH,        /* the guest's firmware interface reported a crash */
	VCPU_EXIT_FAULT,        /* the mapping refused the guest's access; no address is known */
	VCPU_EXIT_MEMORY_FAULT, /* @memory_fault */
	VCPU_EXIT_SHUTDOWN,     /* the VM is going down; wait for the reason on another vCPU */
	VCPU_EXIT_ERROR,        /* @error */
	VCPU_NR_EXITS
};

/**
 * struct kvm_exit - a private copy of what a vCPU's shared page says, by kind
 * @mmio: @size is 1, 2, 4 or 8; @value is valid for writes
 * @hypercall: function identifier, and whether it came as SMC (else HVC)
 * @memory_fault: [base, base + size); @private_access as KVM flags it
 * @error: @code is -errno of KVM_RUN, or 0 with @reason (KVM exit reason) and @detail (hardware
 *	or sub-error)
 */
struct kvm_exit {
	enum kvm_exit_kind kind;
	union {
		struct {
			ipa_t at;
			unsigned size;
			bool is_write;
			uint64_t value;
		} mmio;
		struct {
			uint32_t fid;
			bool smc;
		} hypercall;
		struct {
			ipa_t base;
			uint64_t size;
			bool private_access;
		} memory_fault;
		ipa_t fault_base;
		struct {
			int code;
			uint32_t reason;
			uint64_t detail;
		} error;
	};
};

/**
 * kvm_exit_decode() - what happened, from the shared page and KVM_RUN's result
 * @run_ret: what kvm_vcpu_run() returned
 *
 * Pure. The page is shared with the kernel only, but its contents derive from the guest: a size
 * that no access has becomes VCPU_EXIT_ERROR.
 */
struct kvm_exit kvm_exit_decode(const struct kvm_run *run, int run_ret);

/** kvm_exit_mmio_reply() - the result of a read, before the next kvm_vcpu_run() */
void kvm_exit_mmio_reply(struct kvm_run *run, unsigned size, uint64_t value);

/** kvm_exit_name() - "MMIO" and so on, for messages */
const char *kvm_exit_name(enum kvm_exit_kind kind);

#endif
