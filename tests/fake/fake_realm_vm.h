/* SPDX-License-Identifier: Apache-2.0 */
/* A realm on such a host, made as src/vm/vm.c makes it, but without threads and devices. */
#ifndef FAKE_REALM_VM_H
#define FAKE_REALM_VM_H

#include "ccr/arch.h"
#include "fake_realm.h"

#define FAKE_REALM_RAM       MEMMAP_RAM_BASE
#define FAKE_REALM_RAM_SIZE  (128ull << 20)
#define FAKE_REALM_KERNEL    (FAKE_REALM_RAM + 0x200)
#define FAKE_REALM_TREE      (FAKE_REALM_RAM + 0x400000)
#define FAKE_REALM_MAX_IMAGE 20000

/**
 * struct fake_realm_vm
 * @plan: set by fake_realm_vm_prepare(); may be changed before the launch
 * @features: of its vCPUs; likewise
 * @err: of the launch
 */
struct fake_realm_vm {
	struct memmap map;
	struct plan plan;
	struct realm_abi chosen;
	struct cpu_features features;
	struct arch_host host;
	struct gmem *gmem;
	struct arch_vm vm;
	struct arch_vcpu vcpus[FAKE_REALM_MAX_VCPUS];
	struct realm_kvm kvm;
	struct realm realm;
	struct realm_host realm_host;
	struct ccr_err err;
	uint8_t kernel[FAKE_REALM_MAX_IMAGE], tree[GRANULE_SIZE];
};

/** fake_realm_vm_prepare() - 128 MiB, a kernel of 5 pages (measured), a tree of one */
void fake_realm_vm_prepare(struct fake_realm_vm *vm, unsigned nr_vcpus);

/** fake_realm_vm_launch() - all up to the first instruction. Return: 0 or -errno with @err set. */
int fake_realm_vm_launch(struct fake_realm_vm *vm);

/**
 * fake_realm_vm_run() - KVM_RUN until the guest is off or a signal comes; faults are answered
 *
 * Return: VCPU_EXIT_POWEROFF, VCPU_EXIT_INTERRUPTED, or VCPU_EXIT_ERROR for anything else, such as
 * the same fault 4 times.
 */
enum kvm_exit_kind fake_realm_vm_run(struct fake_realm_vm *vm, unsigned vcpu);

/**
 * fake_realm_vm_step() - one KVM_RUN, and nothing of what it leads to but realm_kvm_exited()
 *
 * Return: the exit.
 */
struct kvm_exit fake_realm_vm_step(struct fake_realm_vm *vm, unsigned vcpu);

/** fake_realm_vm_answer() - to a memory fault. Return: what realm_kvm_convert() returned. */
int fake_realm_vm_answer(struct fake_realm_vm *vm, unsigned vcpu, const struct kvm_exit *fault);

/** fake_realm_vm_done() - after a launch, also one that failed */
void fake_realm_vm_done(struct fake_realm_vm *vm);

#endif
