/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/kvm.h>
#include <string.h>

#include "ccr/kvm.h"
#include "uapi/kvm_realm.h"

static struct kvm_exit error_exit(int code, uint32_t reason, uint64_t detail)
{
	return (struct kvm_exit){
		.kind = VCPU_EXIT_ERROR,
		.error = {.code = code, .reason = reason, .detail = detail},
	};
}

static struct kvm_exit decode_mmio(const struct kvm_run *run)
{
	struct kvm_exit exit = {.kind = VCPU_EXIT_MMIO};
	const unsigned size = run->mmio.len;

	if (size != 1 && size != 2 && size != 4 && size != 8)
		return error_exit(0, KVM_EXIT_MMIO, size);
	exit.mmio.at = ipa_at(run->mmio.phys_addr);
	exit.mmio.size = size;
	exit.mmio.is_write = run->mmio.is_write;
	if (exit.mmio.is_write)
		memcpy(&exit.mmio.value, run->mmio.data, size);
	return exit;
}

static struct kvm_exit decode_system_event(const struct kvm_run *run)
{
	switch (run->system_event.type) {
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		return (struct kvm_exit){.kind = VCPU_EXIT_POWEROFF};
	case KVM_SYSTEM_EVENT_RESET:
		return (struct kvm_exit){.kind = VCPU_EXIT_RESET};
	case KVM_SYSTEM_EVENT_CRASH:
		return (struct kvm_exit){.kind = VCPU_EXIT_CRASH};
	default:
		return error_exit(0, KVM_EXIT_SYSTEM_EVENT, run->system_event.type);
	}
}

static struct kvm_exit decode_memory_fault(const struct kvm_run *run)
{
	struct kvm_realm_memory_fault fault;

	/* Not in bookworm's headers; the kernel writes it where the union begins. */
	memcpy(&fault, run->padding, sizeof(fault));
	return (struct kvm_exit){
		.kind = VCPU_EXIT_MEMORY_FAULT,
		.memory_fault = {.base = ipa_at(fault.gpa),
				 .size = fault.size,
				 .private_access = fault.flags & KVM_REALM_FAULT_PRIVATE},
	};
}

static struct kvm_exit decode_failure(const struct kvm_run *run, int code)
{
	switch (code) {
	case -EINTR:
		return (struct kvm_exit){.kind = VCPU_EXIT_INTERRUPTED};
	case -EAGAIN:
		return (struct kvm_exit){.kind = VCPU_EXIT_AGAIN};
	case -EFAULT:
	case -EHWPOISON:
		if (run->exit_reason == KVM_REALM_EXIT_MEMORY_FAULT)
			return decode_memory_fault(run);
		if (code == -EFAULT && run->exit_reason == KVM_EXIT_UNKNOWN)
			return (struct kvm_exit){.kind = VCPU_EXIT_FAULT};
		break;
	}
	return error_exit(code, run->exit_reason, 0);
}

struct kvm_exit kvm_exit_decode(const struct kvm_run *run, int run_ret)
{
	if (run_ret < 0)
		return decode_failure(run, run_ret);

	switch (run->exit_reason) {
	case KVM_EXIT_MMIO:
		return decode_mmio(run);
	case KVM_EXIT_HYPERCALL:
		return (struct kvm_exit){
			.kind = VCPU_EXIT_HYPERCALL,
			.hypercall = {.fid = (uint32_t)run->hypercall.nr,
				      .smc = run->hypercall.longmode & KVM_REALM_HYPERCALL_SMC},
		};
	case KVM_EXIT_SYSTEM_EVENT:
		return decode_system_event(run);
	case KVM_EXIT_ARM_NISV:
		return (struct kvm_exit){.kind = VCPU_EXIT_NISV,
					 .fault_base = ipa_at(run->arm_nisv.fault_ipa)};
	case KVM_REALM_EXIT_MEMORY_FAULT:
		return decode_memory_fault(run);
	case KVM_EXIT_INTR:
		return (struct kvm_exit){.kind = VCPU_EXIT_INTERRUPTED};
	case KVM_EXIT_UNKNOWN: /* a realm's vCPU that ran on after another one's SYSTEM_OFF */
	case KVM_EXIT_SHUTDOWN:
		return (struct kvm_exit){.kind = VCPU_EXIT_SHUTDOWN};
	case KVM_EXIT_FAIL_ENTRY:
		return error_exit(0, KVM_EXIT_FAIL_ENTRY,
				  run->fail_entry.hardware_entry_failure_reason);
	case KVM_EXIT_INTERNAL_ERROR:
		return error_exit(0, KVM_EXIT_INTERNAL_ERROR, run->internal.suberror);
	default:
		return error_exit(0, run->exit_reason, 0);
	}
}

void kvm_exit_mmio_reply(struct kvm_run *run, unsigned size, uint64_t value)
{
	memcpy(run->mmio.data, &value, size);
}

void kvm_run_set_immediate_exit(struct kvm_run *run, bool value)
{
	__atomic_store_n(&run->immediate_exit, value, __ATOMIC_SEQ_CST);
}

const char *kvm_exit_name(enum kvm_exit_kind kind)
{
	static const char *const names[] = {
		[VCPU_EXIT_INTERRUPTED] = "interrupted",
		[VCPU_EXIT_AGAIN] = "again",
		[VCPU_EXIT_MMIO] = "MMIO",
		[VCPU_EXIT_NISV] = "undecodable access",
		[VCPU_EXIT_HYPERCALL] = "SMC",
		[VCPU_EXIT_POWEROFF] = "power-off",
		[VCPU_EXIT_RESET] = "reset",
		[VCPU_EXIT_CRASH] = "crash",
		[VCPU_EXIT_FAULT] = "refused access",
		[VCPU_EXIT_MEMORY_FAULT] = "memory fault",
		[VCPU_EXIT_SHUTDOWN] = "shutdown",
		[VCPU_EXIT_ERROR] = "error",
	};

	return names[kind];
}
