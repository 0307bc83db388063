/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The emulated realm: RSI over plain KVM. ccr-run plays the RMM's part of the guest's interface;
 * nothing is confidential. See Documentation/emulated-realm.md.
 */
#ifndef CCR_EMULATED_H
#define CCR_EMULATED_H

#include "ccr/arch.h"
#include "ccr/measure.h"
#include "ccr/realm.h"
#include "ccr/rsi.h"

/**
 * struct emulated - one emulated realm
 * @gmem, @vm, @vcpus: borrowed; @vcpus[0] is the boot vCPU
 * @plan: borrowed from creation on
 * @has_ripas, @ripas_base, @ripas_size, @nr_data, @data, @nr_data_before_rec: what was put in, in
 *	order, for the measurement at the seal
 * @rim: measurement of guest memory and registers as they were at the seal
 * @rsi, @rsi_vcpus: valid once sealed; the second has one entry for each vCPU
 * @failure: -errno of a RIPAS change that the host could not carry out; then the VM must end
 */
struct emulated {
	struct gmem *gmem;
	struct arch_vm *vm;
	struct arch_vcpu *vcpus;
	const struct plan *plan;
	bool has_ripas;
	ipa_t ripas_base;
	uint64_t ripas_size;
	unsigned nr_data;
	unsigned nr_data_before_rec;
	struct {
		ipa_t base;
		uint64_t size;
		bool measured;
	} data[PLAN_MAX_SEGMENTS];
	uint8_t rim[HASH_MAX_SIZE];
	bool sealed;
	struct rsi rsi;
	struct rsi_vcpu *rsi_vcpus;
	_Atomic int failure;
};

/** emulated_backend - @ctx is a struct emulated prepared by emulated_init() */
extern const struct realm_backend emulated_backend;

/** emulated_host() - what enters the RIM of an emulated realm whose vCPUs have @vm's features */
void emulated_host(const struct arch_vm *vm, struct realm_host *ret_host);

/** emulated_init() - before the first step of the plan; everything is borrowed */
void emulated_init(struct emulated *emulated, struct gmem *gmem, struct arch_vm *vm,
		   struct arch_vcpu *vcpus);
/** emulated_done() - takes one that was never sealed, too */
void emulated_done(struct emulated *emulated);

/**
 * emulated_hypercall() - answer a forwarded SMC or HVC on its vCPU's thread
 *
 * Return: 0; -ENOSPC if the guest shares memory in more pieces than GMEM_MAX_RUNS; another -errno
 * if KVM or the host failed. After an error the VM must end.
 */
int emulated_hypercall(struct emulated *emulated, struct arch_vcpu *vcpu, uint32_t fid, bool smc);

#endif
