/* SPDX-License-Identifier: Apache-2.0 */
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>

#include "fake_run.h"
#include "uapi/kvm_realm.h"

#define POISON 0xa5

struct kvm_run *fake_run_new(void)
{
	struct kvm_run *run = malloc(sizeof(*run));

	if (!run)
		return NULL;
	memset(run, POISON, sizeof(*run));
	run->immediate_exit = 0;
	return run;
}

size_t fake_run_size(void)
{
	return sizeof(struct kvm_run);
}

void fake_run_reason(struct kvm_run *run, uint32_t reason)
{
	memset(run->padding, POISON, sizeof(run->padding));
	run->exit_reason = reason;
}

void fake_run_mmio(struct kvm_run *run, uint64_t at, unsigned size, bool is_write, uint64_t value)
{
	fake_run_reason(run, KVM_EXIT_MMIO);
	run->mmio.phys_addr = at;
	run->mmio.len = size;
	run->mmio.is_write = is_write;
	memcpy(run->mmio.data, &value, size < sizeof(value) ? size : sizeof(value));
}

uint64_t fake_run_mmio_value(const struct kvm_run *run, unsigned size)
{
	uint64_t value = 0;

	memcpy(&value, run->mmio.data, size);
	return value;
}

void fake_run_hypercall(struct kvm_run *run, uint64_t nr, bool smc)
{
	fake_run_reason(run, KVM_EXIT_HYPERCALL);
	run->hypercall.nr = nr;
	memset(run->hypercall.args, 0, sizeof(run->hypercall.args));
	run->hypercall.longmode = smc ? KVM_REALM_HYPERCALL_SMC : 0;
}

void fake_run_system_event(struct kvm_run *run, uint32_t type)
{
	fake_run_reason(run, KVM_EXIT_SYSTEM_EVENT);
	run->system_event.type = type;
	run->system_event.ndata = 0;
}

void fake_run_nisv(struct kvm_run *run, uint64_t at)
{
	fake_run_reason(run, KVM_EXIT_ARM_NISV);
	run->arm_nisv.esr_iss = 0;
	run->arm_nisv.fault_ipa = at;
}

void fake_run_memory_fault(struct kvm_run *run, uint64_t flags, uint64_t at, uint64_t size)
{
	const struct kvm_realm_memory_fault fault = {.flags = flags, .gpa = at, .size = size};

	fake_run_reason(run, KVM_REALM_EXIT_MEMORY_FAULT);
	memcpy(run->padding, &fault, sizeof(fault));
}

void fake_run_fail_entry(struct kvm_run *run, uint64_t hardware_reason)
{
	fake_run_reason(run, KVM_EXIT_FAIL_ENTRY);
	run->fail_entry.hardware_entry_failure_reason = hardware_reason;
	run->fail_entry.cpu = 0;
}

void fake_run_internal_error(struct kvm_run *run, uint32_t suberror)
{
	fake_run_reason(run, KVM_EXIT_INTERNAL_ERROR);
	run->internal.suberror = suberror;
	run->internal.ndata = 0;
}

void fake_run_copy(struct kvm_run *to, const struct kvm_run *from)
{
	to->exit_reason = from->exit_reason;
	memcpy(to->padding, from->padding, sizeof(to->padding));
}

bool fake_run_immediate_exit(const struct kvm_run *run)
{
	return __atomic_load_n(&run->immediate_exit, __ATOMIC_SEQ_CST);
}
