/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a vCPU is given or refused of the host's CPU: SVE, PMU, pointer authentication, and fields
 * of ID registers, by the rules of Linux's reset.c, pmu-emul.c and sys_regs.c (6.12).
 */
#include <errno.h>
#include <string.h>

#include "fake_kvm_internal.h"

#define ID_SVE_VLS 0x606000000015ffffull
#define ID_PMCR    0x603000000013dce0ull

#define PMCR_N (0x1full << 11)

#define SVE   (1u << KVM_ARM_VCPU_SVE)
#define PMU   (1u << KVM_ARM_VCPU_PMU_V3)
#define PAUTH (1u << KVM_ARM_VCPU_PTRAUTH_ADDRESS | 1u << KVM_ARM_VCPU_PTRAUTH_GENERIC)

#define DFR0_BRPS (0xfull << 12)

static const uint64_t id_regs[FAKE_NR_IDS] = {
	[FAKE_PFR1] = 0x603000000013c021ull,
	[FAKE_DFR0] = 0x603000000013c028ull,
	[FAKE_ISAR0] = 0x603000000013c030ull,
	[FAKE_ISAR1] = 0x603000000013c031ull,
};

int fake_cpu_extension(unsigned long number)
{
	switch (number) {
	case KVM_CAP_ARM_SVE:
		return fake_host()->sve_vls != 0;
	case KVM_CAP_ARM_PMU_V3:
		return fake_host()->pmu_counters != 0;
	case KVM_CAP_ARM_PTRAUTH_ADDRESS:
	case KVM_CAP_ARM_PTRAUTH_GENERIC:
		return fake_host()->has_pauth;
	default:
		return -1;
	}
}

void fake_cpu_create(struct fake_vcpu *vcpu)
{
	vcpu->cpu.offered_vls = fake_host()->sve_vls;
	vcpu->cpu.offered_counters = fake_host()->pmu_counters;
}

int fake_cpu_init(struct fake_vcpu *vcpu, uint32_t features)
{
	struct fake_cpu *cpu = &vcpu->cpu;

	if ((features & SVE && !cpu->offered_vls) || (features & PMU && !cpu->offered_counters) ||
	    (features & PAUTH && !fake_host()->has_pauth))
		return -EINVAL;
	/* Addresses and generic, or neither. */
	if (features & PAUTH && (features & PAUTH) != PAUTH)
		return -EINVAL;
	if (!cpu->sve_is_final)
		cpu->vls = cpu->offered_vls;
	cpu->pmcr = (uint64_t)cpu->offered_counters << 11;
	memcpy(cpu->ids, fake_host()->ids, sizeof(cpu->ids));
	return 0;
}

/* set_sve_vls(): all of the host's lengths up to the longest wanted, and before the end of it. */
static int set_vls(struct fake_cpu *cpu, const uint64_t *words)
{
	const uint64_t wanted = words[0];
	uint64_t below;

	if (cpu->sve_is_final)
		return -EPERM;
	if (wanted == 0)
		return -EINVAL;
	below = (2ull << (63 - __builtin_clzll(wanted))) - 1;
	if (wanted != (cpu->offered_vls & below))
		return -EINVAL;
	for (unsigned i = 1; i < 8; i++) {
		if (words[i])
			return -EINVAL;
	}
	cpu->vls = wanted;
	return 0;
}

static int sve_vls(struct fake_vcpu *vcpu, unsigned long request, void *at)
{
	uint64_t words[8] = {vcpu->cpu.vls};

	if (!(vcpu->features & SVE))
		return -ENOENT;
	if (request == KVM_GET_ONE_REG) {
		memcpy(at, words, sizeof(words));
		return 0;
	}
	memcpy(words, at, sizeof(words));
	return set_vls(&vcpu->cpu, words);
}

/* set_pmcr(): a number that cannot be is passed over without a word. */
static int pmcr(struct fake_vcpu *vcpu, unsigned long request, void *at)
{
	struct fake_cpu *cpu = &vcpu->cpu;
	uint64_t value;

	if (!(vcpu->features & PMU))
		return -ENOENT;
	if (request == KVM_GET_ONE_REG) {
		memcpy(at, &cpu->pmcr, sizeof(cpu->pmcr));
		return 0;
	}
	memcpy(&value, at, sizeof(value));
	if (!fake_host()->has_fixed_ids && (value & PMCR_N) >> 11 <= cpu->offered_counters)
		cpu->pmcr = value;
	return 0;
}

/* Each field as it is or lower; breakpoints cannot be fewer, as context-aware ones come last. */
static int set_id(uint64_t *reg, enum fake_id id, uint64_t value)
{
	const uint64_t limit = fake_host()->ids[id];

	if (value != *reg && fake_host()->has_fixed_ids)
		return -EINVAL;
	if (id == FAKE_DFR0 && (value & DFR0_BRPS) != (limit & DFR0_BRPS))
		return -EINVAL;
	for (unsigned shift = 0; shift < 64; shift += 4) {
		if ((value >> shift & 0xf) > (limit >> shift & 0xf))
			return -EINVAL;
	}
	*reg = value;
	return 0;
}

int fake_cpu_reg(struct fake_vcpu *vcpu, unsigned long request, const struct kvm_one_reg *reg)
{
	void *at = (void *)(uintptr_t)reg->addr;
	uint64_t value;

	if (reg->id == ID_SVE_VLS)
		return sve_vls(vcpu, request, at);
	if (reg->id == ID_PMCR)
		return pmcr(vcpu, request, at);
	for (unsigned i = 0; i < FAKE_NR_IDS; i++) {
		if (reg->id != id_regs[i])
			continue;
		if (request == KVM_GET_ONE_REG) {
			memcpy(at, &vcpu->cpu.ids[i], sizeof(value));
			return 0;
		}
		memcpy(&value, at, sizeof(value));
		return set_id(&vcpu->cpu.ids[i], (enum fake_id)i, value);
	}
	return FAKE_PASS;
}

int fake_cpu_finalize(struct fake_vcpu *vcpu, const int *feature)
{
	if (!vcpu->is_initialised)
		return -ENOEXEC;
	if (!feature)
		return -EFAULT;
	if (*feature != KVM_ARM_VCPU_SVE || !(vcpu->features & SVE))
		return -EINVAL;
	if (vcpu->cpu.sve_is_final)
		return -EPERM;
	vcpu->cpu.sve_is_final = true;
	return 0;
}

/* kvm_arm_pmu_v3_set_attr() */
int fake_cpu_attr(struct fake_vcpu *vcpu, const struct kvm_device_attr *attr)
{
	struct fake_cpu *cpu = &vcpu->cpu;
	int irq;

	if (!attr)
		return -EFAULT;
	if (attr->group != KVM_ARM_VCPU_PMU_V3_CTRL)
		return -ENXIO;
	if (!(vcpu->features & PMU))
		return -ENODEV;
	if (cpu->pmu_is_ready)
		return -EBUSY;
	if (attr->attr == KVM_ARM_VCPU_PMU_V3_INIT) {
		if (!vcpu->vm->gic_is_ready)
			return -ENODEV;
		if (!cpu->pmu_has_irq)
			return -ENXIO;
		cpu->pmu_is_ready = true;
		return 0;
	}
	if (attr->attr != KVM_ARM_VCPU_PMU_V3_IRQ)
		return -ENXIO;
	if (!vcpu->vm->has_gic)
		return -EINVAL;
	memcpy(&irq, (const void *)(uintptr_t)attr->addr, sizeof(irq));
	if (irq < 16 || irq >= 32)
		return -EINVAL;
	if (cpu->pmu_has_irq)
		return -EBUSY;
	cpu->pmu_has_irq = true;
	return 0;
}

int fake_cpu_check_run(const struct fake_vcpu *vcpu)
{
	if (vcpu->features & SVE && !vcpu->cpu.sve_is_final)
		return -EPERM;
	return vcpu->features & PMU && !vcpu->cpu.pmu_is_ready ? -EINVAL : 0;
}
