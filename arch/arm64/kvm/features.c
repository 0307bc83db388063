/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The features of a vCPU: those that KVM gives when it is initialised, and those that are fields
 * of its ID registers, which KVM lets a VMM lower.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <string.h>

#include "cpu.h"

#define REG_PMCR_EL0 ARM64_SYS_REG(3, 3, 9, 12, 0)
#define PMCR_N_SHIFT 11
#define PMCR_N_MASK  (0x1full << PMCR_N_SHIFT)

#define REG_ID_AA64PFR1_EL1  ARM64_SYS_REG(3, 0, 0, 4, 1)
#define REG_ID_AA64DFR0_EL1  ARM64_SYS_REG(3, 0, 0, 5, 0)
#define REG_ID_AA64ISAR0_EL1 ARM64_SYS_REG(3, 0, 0, 6, 0)
#define REG_ID_AA64ISAR1_EL1 ARM64_SYS_REG(3, 0, 0, 6, 1)

#define DFR0_BRPS_SHIFT 12
#define DFR0_WRPS_SHIFT 20
#define FIELD_MASK      0xfull

/* KVM_REG_ARM64_SVE_VLS: 512 bits, of which architected vectors use 16 */
struct vector_lengths {
	uint64_t words[8];
};

#define VLS_MASK 0xffff

#define FIRST_PPI 16 /* GIC INTID of private peripheral interrupt 0 */

/* Arm ARM D23.2: fields of 4 bits, of which 0 means that the CPU lacks the feature. */
static const struct field {
	uint64_t reg;
	unsigned shift;
} fields[NR_CPU_FEATURES] = {
	[FEATURE_LSE] = {REG_ID_AA64ISAR0_EL1, 20},
	[FEATURE_RDM] = {REG_ID_AA64ISAR0_EL1, 28},
	[FEATURE_CRC32] = {REG_ID_AA64ISAR0_EL1, 16},
	[FEATURE_AES] = {REG_ID_AA64ISAR0_EL1, 4},
	[FEATURE_SHA1] = {REG_ID_AA64ISAR0_EL1, 8},
	[FEATURE_SHA2] = {REG_ID_AA64ISAR0_EL1, 12},
	[FEATURE_SHA3] = {REG_ID_AA64ISAR0_EL1, 32},
	[FEATURE_SM3] = {REG_ID_AA64ISAR0_EL1, 36},
	[FEATURE_SM4] = {REG_ID_AA64ISAR0_EL1, 40},
	[FEATURE_DOTPROD] = {REG_ID_AA64ISAR0_EL1, 44},
	[FEATURE_FHM] = {REG_ID_AA64ISAR0_EL1, 48},
	[FEATURE_FLAGM] = {REG_ID_AA64ISAR0_EL1, 52},
	[FEATURE_RNG] = {REG_ID_AA64ISAR0_EL1, 60},
	[FEATURE_JSCVT] = {REG_ID_AA64ISAR1_EL1, 12},
	[FEATURE_FCMA] = {REG_ID_AA64ISAR1_EL1, 16},
	[FEATURE_LRCPC] = {REG_ID_AA64ISAR1_EL1, 20},
	[FEATURE_BF16] = {REG_ID_AA64ISAR1_EL1, 44},
	[FEATURE_I8MM] = {REG_ID_AA64ISAR1_EL1, 52},
	[FEATURE_BTI] = {REG_ID_AA64PFR1_EL1, 0},
};

/* syscalls(build): ioctl:KVM_CHECK_EXTENSION */
static bool has_cap(const struct arch_vm *vm, unsigned number)
{
	return kvm_sys_ioctl(vm->fd, KVM_CHECK_EXTENSION, (void *)(unsigned long)number) > 0;
}

static bool has_pauth(const struct arch_vm *vm)
{
	return has_cap(vm, KVM_CAP_ARM_PTRAUTH_ADDRESS) && has_cap(vm, KVM_CAP_ARM_PTRAUTH_GENERIC);
}

/* Whose fault it may be that a feature is missing. */
static const char *who_lacks(const struct arch_vm *vm)
{
	return vm->kind == MACHINE_REALM ? "the CPU, the host's kernel or its RMM lacks it"
					 : "the CPU or the host's kernel lacks it";
}

static int missing(const struct arch_vm *vm, enum cpu_feature feature, struct ccr_err *err)
{
	const unsigned number = vm->features->choices[feature].number;

	if (number > 0)
		return err_set(err, -EOPNOTSUPP,
			       "--cpu-feature %s=%u: KVM has none for this guest: %s; leave it out",
			       features_name(feature), number, who_lacks(vm));
	return err_set(err, -EOPNOTSUPP,
		       "--cpu-feature %s: KVM has none for this guest: %s; leave it out",
		       features_name(feature), who_lacks(vm));
}

/* A realm has pointer authentication if the CPU has it, without being asked. */
static int choose_pauth(const struct arch_vm *vm, uint32_t *bits, struct ccr_err *err)
{
	const enum feature_wish wish = vm->features->choices[FEATURE_PAUTH].wish;
	bool has;

	if (wish == FEATURE_OFF || (wish == FEATURE_DEFAULT && vm->kind == MACHINE_REALM))
		return 0;
	has = has_pauth(vm);
	if (!has && wish == FEATURE_ON)
		return missing(vm, FEATURE_PAUTH, err);
	if (has && vm->kind != MACHINE_REALM)
		*bits |= 1u << KVM_ARM_VCPU_PTRAUTH_ADDRESS | 1u << KVM_ARM_VCPU_PTRAUTH_GENERIC;
	return 0;
}

int arch_cpu_choose(const struct arch_vm *vm, uint32_t *bits, struct ccr_err *err)
{
	if (!vm->features)
		return 0;
	if (features_is_on(vm->features, FEATURE_SVE)) {
		if (!has_cap(vm, KVM_CAP_ARM_SVE))
			return missing(vm, FEATURE_SVE, err);
		*bits |= 1u << KVM_ARM_VCPU_SVE;
	}
	if (features_is_on(vm->features, FEATURE_PMU)) {
		if (!has_cap(vm, KVM_CAP_ARM_PMU_V3))
			return missing(vm, FEATURE_PMU, err);
		*bits |= 1u << KVM_ARM_VCPU_PMU_V3;
	}
	return choose_pauth(vm, bits, err);
}

/* syscalls(build): ioctl:KVM_GET_ONE_REG ioctl:KVM_SET_ONE_REG */
static int sve_reg(int fd, unsigned long request, struct vector_lengths *lengths)
{
	struct kvm_one_reg reg = {
		.id = KVM_REG_ARM64_SVE_VLS,
		.addr = (uint64_t)(uintptr_t)lengths,
	};

	return kvm_sys_ioctl(fd, request, &reg);
}

int arch_cpu_get_sve_vls(int fd, unsigned *ret_vls)
{
	struct vector_lengths lengths = {0};
	const int ret = sve_reg(fd, KVM_GET_ONE_REG, &lengths);

	if (!ret)
		*ret_vls = (unsigned)lengths.words[0] & VLS_MASK;
	return ret;
}

/* KVM wants every length that the host has, up to the longest that is wanted. */
/* syscalls(build): ioctl:KVM_ARM_VCPU_FINALIZE */
static int set_sve(struct arch_vcpu *vcpu, unsigned bits, struct ccr_err *err)
{
	const unsigned longest = 1u << (bits / FEATURES_SVE_UNIT - 1);
	struct vector_lengths lengths = {0};
	int feature = KVM_ARM_VCPU_SVE;
	unsigned vls = 0;
	int ret = arch_cpu_get_sve_vls(vcpu->fd, &vls);

	if (!ret && !(vls & longest))
		return err_set(err, -EOPNOTSUPP,
			       "--cpu-feature sve=%u: this host's guests have no vectors of that "
			       "length; `ccr-run check` lists those that they can have",
			       bits);
	lengths.words[0] = vls & (longest | (longest - 1));
	if (!ret)
		ret = sve_reg(vcpu->fd, KVM_SET_ONE_REG, &lengths);
	if (!ret)
		ret = kvm_sys_ioctl(vcpu->fd, KVM_ARM_VCPU_FINALIZE, &feature);
	if (ret)
		return err_set(err, ret, "--cpu-feature sve=%u: KVM refuses it: %s", bits,
			       strerror(-ret));
	return 0;
}

int arch_cpu_get_counters(int fd, unsigned *ret_nr)
{
	uint64_t pmcr = 0;
	const int ret = kvm_vcpu_get_reg(fd, REG_PMCR_EL0, &pmcr);

	if (!ret)
		*ret_nr = (unsigned)((pmcr & PMCR_N_MASK) >> PMCR_N_SHIFT);
	return ret;
}

/* What a kernel before 6.8 is told in this register it does not do, and says nothing. */
static int set_counters(struct arch_vcpu *vcpu, unsigned wanted, struct ccr_err *err)
{
	uint64_t pmcr = 0;
	unsigned nr = 0;
	int ret = kvm_vcpu_get_reg(vcpu->fd, REG_PMCR_EL0, &pmcr);

	nr = (unsigned)((pmcr & PMCR_N_MASK) >> PMCR_N_SHIFT);
	if (!ret && wanted > nr)
		return err_set(err, -EOPNOTSUPP,
			       "--cpu-feature pmu=%u: this host gives a guest %u counters at most",
			       wanted, nr);
	if (!ret && wanted < nr) {
		pmcr = (pmcr & ~PMCR_N_MASK) | (uint64_t)wanted << PMCR_N_SHIFT;
		ret = kvm_vcpu_set_reg(vcpu->fd, REG_PMCR_EL0, pmcr);
	}
	if (!ret)
		ret = arch_cpu_get_counters(vcpu->fd, &nr);
	if (ret)
		return err_set(err, ret, "--cpu-feature pmu=%u: KVM refuses it: %s", wanted,
			       strerror(-ret));
	if (nr != wanted)
		return err_set(err, -EOPNOTSUPP,
			       "--cpu-feature pmu=%u: this host's KVM cannot give a guest fewer "
			       "counters than there are, which Linux 6.8 can: write pmu=%u",
			       wanted, nr);
	return 0;
}

/* A field of DFR0 that has a number minus 1. */
static int lower_debug(const struct arch_vm *vm, enum cpu_feature feature, unsigned shift,
		       uint64_t *dfr0, struct ccr_err *err)
{
	const unsigned wanted = vm->features->choices[feature].number;
	const unsigned nr = (unsigned)(*dfr0 >> shift & FIELD_MASK) + 1;

	if (!features_is_on(vm->features, feature))
		return 0;
	if (wanted > nr)
		return err_set(err, -EOPNOTSUPP,
			       "--cpu-feature %s=%u: this host gives a guest %u at most",
			       features_name(feature), wanted, nr);
	*dfr0 = (*dfr0 & ~(FIELD_MASK << shift)) | (uint64_t)(wanted - 1) << shift;
	return 0;
}

/*
 * An emulated realm is measured with the numbers that were chosen, but has those of the machine:
 * KVM lets realms have fewer, and plain VMs, which it is made of, not always.
 */
static int set_debug(struct arch_vcpu *vcpu, const struct arch_vm *vm, struct ccr_err *err)
{
	uint64_t dfr0 = 0, wanted;
	int ret;

	if (vm->kind == MACHINE_EMULATED || (!features_is_on(vm->features, FEATURE_BREAKPOINTS) &&
					     !features_is_on(vm->features, FEATURE_WATCHPOINTS)))
		return 0;
	ret = kvm_vcpu_get_reg(vcpu->fd, REG_ID_AA64DFR0_EL1, &dfr0);
	wanted = dfr0;
	if (!ret && (lower_debug(vm, FEATURE_BREAKPOINTS, DFR0_BRPS_SHIFT, &wanted, err) ||
		     lower_debug(vm, FEATURE_WATCHPOINTS, DFR0_WRPS_SHIFT, &wanted, err)))
		return err->code;
	if (!ret && wanted != dfr0)
		ret = kvm_vcpu_set_reg(vcpu->fd, REG_ID_AA64DFR0_EL1, wanted);
	if (ret)
		return err_set(err, ret,
			       "--cpu-feature breakpoints, watchpoints: this host's KVM does not "
			       "let this guest have fewer than there are (%s)",
			       strerror(-ret));
	return 0;
}

int arch_cpu_get_field(int fd, enum cpu_feature feature, uint64_t *ret_value)
{
	const struct field *field = &fields[feature];
	const int ret = kvm_vcpu_get_reg(fd, field->reg, ret_value);

	*ret_value = *ret_value >> field->shift & FIELD_MASK;
	return ret;
}

int arch_cpu_clear_field(int fd, enum cpu_feature feature)
{
	const struct field *field = &fields[feature];
	uint64_t value = 0;
	const int ret = kvm_vcpu_get_reg(fd, field->reg, &value);

	if (ret)
		return ret;
	return kvm_vcpu_set_reg(fd, field->reg, value & ~(FIELD_MASK << field->shift));
}

static int set_field(struct arch_vcpu *vcpu, const struct arch_vm *vm, enum cpu_feature feature,
		     struct ccr_err *err)
{
	uint64_t value = 0;
	int ret = arch_cpu_get_field(vcpu->fd, feature, &value);

	if (!ret && value == 0 && features_is_on(vm->features, feature))
		return missing(vm, feature, err);
	if (!ret && value != 0 && !features_is_on(vm->features, feature))
		ret = arch_cpu_clear_field(vcpu->fd, feature);
	if (ret)
		return err_set(err, ret,
			       "--cpu-feature %s: this host's KVM does not let a guest be without "
			       "what the CPU has (%s), which Linux 6.7 does; leave it out",
			       features_name(feature), strerror(-ret));
	return 0;
}

int arch_cpu_set(struct arch_vcpu *vcpu, const struct arch_vm *vm, struct ccr_err *err)
{
	const struct cpu_features *features = vm->features;
	int ret = 0;

	if (!features)
		return 0;
	if (features_is_on(features, FEATURE_SVE))
		ret = set_sve(vcpu, features->choices[FEATURE_SVE].number, err);
	if (!ret && features_is_on(features, FEATURE_PMU))
		ret = set_counters(vcpu, features->choices[FEATURE_PMU].number, err);
	if (!ret)
		ret = set_debug(vcpu, vm, err);
	for (unsigned i = FEATURE_LSE; i < NR_CPU_FEATURES && !ret; i++) {
		if (features->choices[i].wish != FEATURE_DEFAULT)
			ret = set_field(vcpu, vm, (enum cpu_feature)i, err);
	}
	return ret;
}

int arch_vcpu_finish(struct arch_vcpu *vcpu, const struct arch_vm *vm, struct ccr_err *err)
{
	const uint64_t intid = FIRST_PPI + MEMMAP_PPI_PMU; /* KVM takes the lower half */
	int ret;

	if (!vm->features || !features_is_on(vm->features, FEATURE_PMU))
		return 0;
	ret = kvm_set_attr(vcpu->fd, KVM_ARM_VCPU_PMU_V3_CTRL, KVM_ARM_VCPU_PMU_V3_IRQ, &intid);
	if (!ret)
		ret = kvm_set_attr(vcpu->fd, KVM_ARM_VCPU_PMU_V3_CTRL, KVM_ARM_VCPU_PMU_V3_INIT,
				   NULL);
	if (ret)
		return err_set(err, ret, "KVM: the PMU of vCPU %u cannot be set up: %s",
			       vcpu->index, strerror(-ret));
	return 0;
}
