/* SPDX-License-Identifier: Apache-2.0 */
/* What vcpu.c and offer.c ask of features.c. */
#ifndef KVM_CPU_H
#define KVM_CPU_H

#include <stdint.h>

#include "ccr/arch.h"
#include "ccr/features.h"

/**
 * arch_cpu_choose() - the bits of KVM_ARM_VCPU_INIT for what @vm's owner has chosen, and for what a
 * guest has by default
 *
 * Return: 0; -EOPNOTSUPP with @err set.
 */
int arch_cpu_choose(const struct arch_vm *vm, uint32_t *bits, struct ccr_err *err);

/**
 * arch_cpu_set() - the rest of the choices, of a vCPU that has been initialised
 *
 * Return: 0, or -errno with @err set.
 */
int arch_cpu_set(struct arch_vcpu *vcpu, const struct arch_vm *vm, struct ccr_err *err);

/**
 * arch_cpu_get_sve_vls() - of a vCPU with SVE: bit n: vectors of (n + 1) * 128 bits
 *
 * Return: 0 or -errno.
 */
int arch_cpu_get_sve_vls(int fd, unsigned *ret_vls);

/** arch_cpu_get_counters() - of a vCPU with a PMU: event counters. Return: 0 or -errno. */
int arch_cpu_get_counters(int fd, unsigned *ret_nr);

/**
 * arch_cpu_get_field() - of FEATURE_LSE on: what its ID register has; 0 for a CPU without
 *
 * Return: 0 or -errno.
 */
int arch_cpu_get_field(int fd, enum cpu_feature feature, uint64_t *ret_value);

/** arch_cpu_clear_field() - take it away. Return: 0 or -errno. */
int arch_cpu_clear_field(int fd, enum cpu_feature feature);

#endif
