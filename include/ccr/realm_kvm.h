/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Real realms: which generation of KVM's realm interface this host has, and the backends for each.
 *
 * The interface is not upstream; its capability number moved with nearly every posting, so nothing
 * here relies on that number alone. See Documentation/host-requirements.md.
 */
#ifndef CCR_REALM_KVM_H
#define CCR_REALM_KVM_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "ccr/err.h"
#include "ccr/gmem.h"
#include "ccr/plan.h"
#include "ccr/realm.h"
#include "ccr/realm_abi.h"

/**
 * realm_probe() - find out on throw-away VMs which interface the host has
 * @kvm_fd: /dev/kvm
 * @ipa_bits: width of the realm that is wanted
 *
 * Harmless on a host without CCA: an empty realm VM costs only host memory, and every request is
 * made with a null pointer or on a VM that is closed at once.
 *
 * Return: 0; with @err set: -EPERM (the kernel knows realms, but there is no usable RMM), -EINVAL
 * (no CCA, or no RMM: these kernels do not tell), -E2BIG (realms work, but not with so wide an
 * IPA space), -EOPNOTSUPP (realms exist, but in a way this program does not know, or without the
 * private memory they need); what KVM_CREATE_VM says otherwise.
 */
int realm_probe(int kvm_fd, unsigned ipa_bits, struct realm_abi *ret_abi, struct ccr_err *err);

/**
 * realm_abi_check() - does this host have the interface that was chosen by its name?
 * @abi: with a series
 *
 * For whoever knows better than the probe. Requests that would be refused later are made here,
 * as harmlessly as realm_probe() makes them. What a kernel only says of itself and contradicts the
 * choice is logged as a warning.
 *
 * Return: 0, or -errno with @err set: the errors of realm_probe(), -EOPNOTSUPP also for an
 * interface that is not the one chosen.
 */
int realm_abi_check(int kvm_fd, unsigned ipa_bits, const struct realm_abi *abi,
		    struct ccr_err *err);

/**
 * realm_max_ipa_bits() - the widest IPA space that realms of this host can have
 * @limit: of plain VMs; realms have no more
 *
 * Return: bits; 0 if no width works.
 */
unsigned realm_max_ipa_bits(int kvm_fd, const struct realm_abi *abi, unsigned limit);

struct arch_vm;
struct arch_vcpu;

/**
 * struct realm_late - memory that a vCPU has made shared, and that KVM has not seen that way yet
 * @size: bytes; 0 for none
 */
struct realm_late {
	uint64_t offset;
	uint64_t size;
};

/**
 * struct realm_kvm - one realm under a real RMM: what the backends work on
 * @vm, @vcpus, @gmem, @abi: borrowed
 * @lock: guards @late, and lets one change of memory be made at a time
 * @late: one for each vCPU
 */
struct realm_kvm {
	const struct realm_abi *abi;
	struct arch_vm *vm;
	struct arch_vcpu *vcpus;
	struct gmem *gmem;
	const struct plan *plan;
	unsigned nr_vcpus;
	pthread_mutex_t lock;
	struct realm_late *late;
};

/** realm_kvm_backend() - the table of @abi's family; its ctx is a struct realm_kvm */
const struct realm_backend *realm_kvm_backend(const struct realm_abi *abi);

/**
 * realm_kvm_init() - also takes charge of @gmem's private side
 * @nr_vcpus: entries of @vcpus
 *
 * Return: 0 or -ENOMEM. realm_kvm_done() is needed only after 0.
 */
int realm_kvm_init(struct realm_kvm *realm, const struct realm_abi *abi, struct arch_vm *vm,
		   struct arch_vcpu *vcpus, unsigned nr_vcpus, struct gmem *gmem);

/** realm_kvm_done() - takes an all-zero one */
void realm_kvm_done(struct realm_kvm *realm);

/**
 * realm_kvm_convert() - answer a memory fault: change [@base, @base + @size) of RAM
 * @vcpu: the vCPU that asked
 *
 * Devices see the change on return. Where KVM commits late, a page that becomes shared must stay
 * in the realm until it has: taken away earlier, the RMM would find it DESTROYED instead of EMPTY.
 * Then its private side dies in realm_kvm_exited().
 *
 * Return: 0; the errors of gmem_set_shared().
 */
int realm_kvm_convert(struct realm_kvm *realm, unsigned vcpu, ipa_t base, uint64_t size,
		      bool private);

/**
 * realm_kvm_exited() - vCPU @vcpu has left KVM_RUN, so what it asked for is committed
 *
 * Return: 0 or -errno, after which the VM must end.
 */
int realm_kvm_exited(struct realm_kvm *realm, unsigned vcpu);

/**
 * realm_kvm_host() - what this host adds to the RIM
 *
 * Reads the debug resources of vCPU 0, which must have been initialised.
 *
 * Return: 0, or -errno with @err set.
 */
int realm_kvm_host(const struct realm_kvm *realm, struct realm_host *ret_host, struct ccr_err *err);

#endif
