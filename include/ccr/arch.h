/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An arm64 virtual machine's parts that KVM provides: interrupt controller, vCPUs, and what the
 * host must be able to do.
 */
#ifndef CCR_ARCH_H
#define CCR_ARCH_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "ccr/err.h"
#include "ccr/features.h"
#include "ccr/gmem.h"
#include "ccr/kvm.h"
#include "ccr/memmap.h"
#include "ccr/plan.h"
#include "ccr/realm_kvm.h"

/* Memory slots. */
#define ARCH_SLOT_RAM        0 /* plain RAM, or the private side */
#define ARCH_SLOT_RAM_SHARED 1 /* the shared side of an emulated realm, at its high address */

/**
 * struct arch_host - an open KVM that has what @kind needs
 * @kvm_fd: /dev/kvm
 * @run_size: bytes of each vCPU's shared page
 * @abi: the realm interface; valid for MACHINE_REALM
 */
struct arch_host {
	int kvm_fd;
	int run_size;
	struct realm_abi abi;
};

/**
 * arch_host_open() - open KVM and check it against what the machine needs
 * @chosen: the realm interface, if it has a series; else, and for NULL, the host is asked
 *
 * Return: 0; with @err set: -ENOENT (no /dev/kvm), -EACCES (no permission), -EOPNOTSUPP (the
 * kernel lacks something; the sentence names it and the version that has it), -E2BIG (more vCPUs
 * or IPA bits than the host has); for MACHINE_REALM also the errors of realm_probe() and
 * realm_abi_check().
 */
int arch_host_open(struct arch_host *host, enum machine_kind kind, const struct memmap *map,
		   const struct realm_abi *chosen, struct ccr_err *err);
void arch_host_close(struct arch_host *host);

/**
 * arch_host_check_filter() - can this KVM forward SMC calls to user space?
 * @ipa_bits: a width that VMs can have
 *
 * Return: 0; -EOPNOTSUPP with @err set, or what the creation of a VM said.
 */
int arch_host_check_filter(int kvm_fd, unsigned ipa_bits, struct ccr_err *err);

/**
 * struct arch_routes - the message interrupts that KVM sends by itself
 * @lock: innermost of all
 * @nr_gsis: given out so far
 * @nr: routes that KVM knows, each of another gsi
 */
struct arch_routes {
	pthread_mutex_t lock;
	bool is_supported;
	unsigned nr_gsis;
	unsigned nr;
	struct kvm_msi_route routes[KVM_MAX_MSI_ROUTES];
};

/**
 * struct arch_vm - a KVM VM; all-zero but for descriptors of -1 when not yet created
 * @kind: as created
 * @gmem_fd: guest_memfd of a MACHINE_REALM
 * @alias: bits to add to the address of an in-kernel device: the shared bit in an emulated realm,
 *	whose guest reaches devices at their high addresses; else 0
 * @map, @abi: borrowed; @abi is NULL but for a MACHINE_REALM
 * @features: what its vCPUs shall have, borrowed: set before the first of them is created;
 *	NULL for nothing but what KVM gives unasked
 */
struct arch_vm {
	enum machine_kind kind;
	int fd;
	int gmem_fd;
	int gic_fd;
	int its_fd;
	uint64_t alias;
	struct arch_routes routes;
	const struct memmap *map;
	const struct realm_abi *abi;
	const struct cpu_features *features;
};

/**
 * arch_vm_create() - the VM with its memory, still without vCPUs
 * @gmem: matches @kind; outlives the VM
 *
 * Return: 0, or -errno with @err set. arch_vm_destroy() is needed either way.
 */
int arch_vm_create(struct arch_vm *vm, const struct arch_host *host, enum machine_kind kind,
		   const struct memmap *map, struct gmem *gmem, struct ccr_err *err);

/**
 * arch_vm_finish() - interrupt controller; after all vCPUs exist (their number is fixed now)
 * @has_its: with an interrupt translation service, for message interrupts
 */
int arch_vm_finish(struct arch_vm *vm, bool has_its, struct ccr_err *err);

/**
 * struct arch_msi - a vector of a device, which sends one message again and again
 * @event_fd: borrowed; KVM sends the message when it is written to. -1 if each takes a call.
 * @is_routed: KVM has the message that arch_msi_prepare() was told last
 * @is_lent: others write to @event_fd as well; @is_held: that sends nothing now
 */
struct arch_msi {
	int event_fd;
	unsigned gsi;
	bool is_routed;
	bool is_lent;
	bool is_held;
};

/** arch_msi_is_supported() - vectors can have an eventfd; after arch_vm_finish() with an ITS */
bool arch_msi_is_supported(const struct arch_vm *vm);

/**
 * arch_msi_init() - a vector
 * @event_fd: stays open as long as the VM; -1 for none
 *
 * A kernel that will not take it gets a call for each message.
 */
void arch_msi_init(struct arch_vm *vm, struct arch_msi *msi, int event_fd);

/**
 * arch_msi_prepare() - its message, as for arch_vm_signal_msi(); from any thread, but one at a
 * time for each @msi, which goes for all that follows here
 *
 * If it was held, it no longer is, and what was signalled since is sent.
 */
void arch_msi_prepare(struct arch_vm *vm, struct arch_msi *msi, uint64_t address, uint32_t data,
		      uint32_t device_id);

/** arch_msi_send() - send it: the message that arch_msi_prepare() was told last */
void arch_msi_send(struct arch_vm *vm, const struct arch_msi *msi, uint64_t address, uint32_t data,
		   uint32_t device_id);

/**
 * arch_msi_lend() - let others send it, by writing to its eventfd
 *
 * It begins held.
 *
 * Return: the eventfd, or -1 if there is none.
 */
int arch_msi_lend(struct arch_vm *vm, struct arch_msi *msi);

/** arch_msi_hold() - on return, a vector that was lent sends nothing until it is prepared again */
void arch_msi_hold(struct arch_vm *vm, struct arch_msi *msi);

/** arch_msi_is_pending() - was it signalled while it was held */
bool arch_msi_is_pending(const struct arch_msi *msi);

/**
 * arch_vm_signal_msi() - a message interrupt, from any thread
 * @address: the doorbell as the guest wrote it, without the shared bit
 *
 * A message to any other address, or one that the guest has not mapped, has no effect.
 */
void arch_vm_signal_msi(struct arch_vm *vm, uint64_t address, uint32_t data, uint32_t device_id);

/**
 * arch_vm_ioeventfd() - signal @event_fd for 2-byte writes to a device's register
 * @at: without the shared bit
 *
 * Return: 0 or -errno.
 */
int arch_vm_ioeventfd(struct arch_vm *vm, int event_fd, ipa_t at, bool add);

/** arch_vm_ioeventfd_value() - likewise for 4-byte writes of @value, as long as the VM lives */
int arch_vm_ioeventfd_value(struct arch_vm *vm, int event_fd, ipa_t at, uint32_t value);
void arch_vm_destroy(struct arch_vm *vm);

/**
 * struct arch_vcpu - one virtual CPU
 * @fd: -1 when not created
 * @run: shared page, @run_size bytes
 * @is_opaque: the registers belong to the RMM
 */
struct arch_vcpu {
	unsigned index;
	int fd;
	int run_size;
	struct kvm_run *run;
	bool is_opaque;
};

/**
 * arch_vcpu_create() - create and initialise vCPU @index; in ascending order
 *
 * vCPU 0 is runnable, all others wait for PSCI CPU_ON. It has the VM's @features.
 *
 * Return: 0, or -errno with @err set; -EOPNOTSUPP for a feature that this host does not give.
 * arch_vcpu_destroy() is needed either way.
 */
int arch_vcpu_create(struct arch_vcpu *vcpu, struct arch_vm *vm, const struct arch_host *host,
		     unsigned index, struct ccr_err *err);
void arch_vcpu_destroy(struct arch_vcpu *vcpu);

/**
 * arch_vcpu_finish() - what of a vCPU needs the interrupt controller; after arch_vm_finish()
 *
 * Return: 0, or -errno with @err set.
 */
int arch_vcpu_finish(struct arch_vcpu *vcpu, const struct arch_vm *vm, struct ccr_err *err);

/**
 * arch_vcpu_set_entry() - first instruction and arguments of vCPU 0 (arm64 boot protocol)
 */
int arch_vcpu_set_entry(struct arch_vcpu *vcpu, uint64_t pc, const uint64_t gprs[PLAN_NR_GPRS],
			struct ccr_err *err);

/**
 * arch_vcpu_check_pages() - can a kernel with this page size run?
 * @page_size: bytes; 0 if it is not known, which passes
 *
 * Return: 0; -EOPNOTSUPP with @err set.
 */
int arch_vcpu_check_pages(struct arch_vcpu *vcpu, uint32_t page_size, struct ccr_err *err);

/** arch_vcpu_get_entry() - the same, read back from KVM */
int arch_vcpu_get_entry(struct arch_vcpu *vcpu, uint64_t *ret_pc, uint64_t gprs[PLAN_NR_GPRS],
			struct ccr_err *err);

/** arch_vcpu_get_gprs(), arch_vcpu_set_gprs() - X0 to X(@nr - 1). Return: 0 or -errno. */
int arch_vcpu_get_gprs(struct arch_vcpu *vcpu, uint64_t *gprs, unsigned nr);
int arch_vcpu_set_gprs(struct arch_vcpu *vcpu, const uint64_t *gprs, unsigned nr);

/** arch_vcpu_get_pc() - Return: 0 or -errno */
int arch_vcpu_get_pc(struct arch_vcpu *vcpu, uint64_t *ret_pc);

/**
 * arch_vcpu_abort() - the external abort an RMM would give for the access that just failed
 * @gmem: to tell instruction fetches from data accesses, which is possible while the guest's MMU
 *	is off; with it on, a fetch is reported as a data abort (Documentation/emulated-realm.md)
 *
 * Return: 0; 1 if the access was one of the exception vectors' own, so that a guest whose vectors
 * are unusable can be told from one that handles its aborts; -errno.
 */
int arch_vcpu_abort(struct arch_vcpu *vcpu, struct gmem *gmem);

/**
 * arch_vcpu_abort_mmio() - the same for an access that KVM has reported as MMIO
 *
 * Leaves kvm_run.immediate_exit set: the vCPU's thread clears it, under its lock, when the next
 * kvm_vcpu_run() returns at once.
 */
int arch_vcpu_abort_mmio(struct arch_vcpu *vcpu, struct gmem *gmem);

#endif
