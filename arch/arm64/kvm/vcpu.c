/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/kvm.h>
#include <stddef.h>
#include <string.h>

#include "cpu.h"

/* Register numbers of struct kvm_regs count 32-bit words (virt/kvm/api.rst, arm64 core regs). */
#define CORE_REG(member)                                       \
	(KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | \
	 (uint64_t)(offsetof(struct kvm_regs, member) / sizeof(uint32_t)))

#define REG_PC       CORE_REG(regs.pc)
#define REG_PSTATE   CORE_REG(regs.pstate)
#define REG_X0       CORE_REG(regs.regs[0])
#define REG_ELR_EL1  CORE_REG(elr_el1)
#define REG_SPSR_EL1 CORE_REG(spsr[KVM_SPSR_EL1])

#define REG_ID_AA64MMFR0_EL1 ARM64_SYS_REG(3, 0, 0, 7, 0)

#define REG_SCTLR_EL1 ARM64_SYS_REG(3, 0, 1, 0, 0)
#define REG_ESR_EL1   ARM64_SYS_REG(3, 0, 5, 2, 0)
#define REG_FAR_EL1   ARM64_SYS_REG(3, 0, 6, 0, 0)
#define REG_VBAR_EL1  ARM64_SYS_REG(3, 0, 12, 0, 0)

/* A realm sees PSCI 1.1 (RMM spec B6); KVM's default may be newer. */
#define PSCI_VERSION_1_1 0x10001

static uint64_t gpr_id(unsigned index)
{
	/* X0 to X30 are neighbours, two words each. */
	return REG_X0 + 2 * index;
}

/* syscalls(build): ioctl:KVM_ARM_PREFERRED_TARGET ioctl:KVM_ARM_VCPU_INIT */
static int init(struct arch_vcpu *vcpu, const struct arch_vm *vm, struct ccr_err *err)
{
	struct kvm_vcpu_init init = {0};
	int ret = kvm_sys_ioctl(vm->fd, KVM_ARM_PREFERRED_TARGET, &init);

	if (ret)
		return err_set(err, ret, "KVM: no vCPU type fits this host: %s", strerror(-ret));
	init.features[0] |= 1u << KVM_ARM_VCPU_PSCI_0_2;
	if (vm->abi && vm->abi->rec_feature)
		init.features[0] |= 1u << vm->abi->rec_feature;
	if (vcpu->index > 0)
		init.features[0] |= 1u << KVM_ARM_VCPU_POWER_OFF;
	ret = arch_cpu_choose(vm, &init.features[0], err);
	if (ret)
		return ret;
	ret = kvm_sys_ioctl(vcpu->fd, KVM_ARM_VCPU_INIT, &init);
	if (ret)
		return err_set(err, ret, "KVM: cannot initialise vCPU %u: %s", vcpu->index,
			       strerror(-ret));
	return arch_cpu_set(vcpu, vm, err);
}

int arch_vcpu_create(struct arch_vcpu *vcpu, struct arch_vm *vm, const struct arch_host *host,
		     unsigned index, struct ccr_err *err)
{
	int ret;

	*vcpu = (struct arch_vcpu){
		.index = index,
		.fd = -1,
		.run_size = host->run_size,
		.is_opaque = vm->kind == MACHINE_REALM,
	};
	vcpu->fd = kvm_vm_create_vcpu(vm->fd, index);
	if (vcpu->fd < 0)
		return err_set(err, vcpu->fd, "KVM: cannot create vCPU %u: %s", index,
			       strerror(-vcpu->fd));
	ret = kvm_sys_map_run(vcpu->fd, (size_t)vcpu->run_size, &vcpu->run);
	if (ret)
		return err_set(err, ret, "KVM: cannot map the shared page of vCPU %u: %s", index,
			       strerror(-ret));
	ret = init(vcpu, vm, err);
	if (ret || vm->kind != MACHINE_EMULATED)
		return ret;
	ret = kvm_vcpu_set_reg(vcpu->fd, KVM_REG_ARM_PSCI_VERSION, PSCI_VERSION_1_1);
	if (ret)
		return err_set(err, ret, "KVM: PSCI 1.1 refused for vCPU %u: %s", index,
			       strerror(-ret));
	return 0;
}

void arch_vcpu_destroy(struct arch_vcpu *vcpu)
{
	kvm_sys_unmap_run(vcpu->run, (size_t)vcpu->run_size);
	kvm_sys_close(vcpu->fd);
	vcpu->run = NULL;
	vcpu->fd = -1;
}

int arch_vcpu_get_gprs(struct arch_vcpu *vcpu, uint64_t *gprs, unsigned nr)
{
	int ret = 0;

	for (unsigned i = 0; i < nr && !ret; i++)
		ret = kvm_vcpu_get_reg(vcpu->fd, gpr_id(i), &gprs[i]);
	return ret;
}

int arch_vcpu_set_gprs(struct arch_vcpu *vcpu, const uint64_t *gprs, unsigned nr)
{
	int ret = 0;

	for (unsigned i = 0; i < nr && !ret; i++)
		ret = kvm_vcpu_set_reg(vcpu->fd, gpr_id(i), gprs[i]);
	return ret;
}

int arch_vcpu_get_pc(struct arch_vcpu *vcpu, uint64_t *ret_pc)
{
	return kvm_vcpu_get_reg(vcpu->fd, REG_PC, ret_pc);
}

int arch_vcpu_set_entry(struct arch_vcpu *vcpu, uint64_t pc, const uint64_t gprs[PLAN_NR_GPRS],
			struct ccr_err *err)
{
	int ret = kvm_vcpu_set_reg(vcpu->fd, REG_PC, pc);

	if (!ret)
		ret = arch_vcpu_set_gprs(vcpu, gprs, PLAN_NR_GPRS);
	if (ret)
		return err_set(err, ret, "KVM: cannot set the entry point of vCPU %u: %s",
			       vcpu->index, strerror(-ret));
	return 0;
}

/* ID_AA64MMFR0_EL1: which granules stage 1 has (Arm ARM D23.2). */
static bool has_granule(uint64_t mmfr0, uint32_t page_size)
{
	switch (page_size) {
	case 4096:
		return (mmfr0 >> 28 & 0xf) != 0xf;
	case 16384:
		return (mmfr0 >> 20 & 0xf) != 0;
	case 65536:
		return (mmfr0 >> 24 & 0xf) != 0xf;
	default:
		return true;
	}
}

int arch_vcpu_check_pages(struct arch_vcpu *vcpu, uint32_t page_size, struct ccr_err *err)
{
	uint64_t mmfr0 = 0;
	const int ret = kvm_vcpu_get_reg(vcpu->fd, REG_ID_AA64MMFR0_EL1, &mmfr0);

	if (ret)
		return err_set(err, ret, "KVM: cannot read which page sizes the CPU has: %s",
			       strerror(-ret));
	if (!has_granule(mmfr0, page_size))
		return err_set(err, -EOPNOTSUPP,
			       "the kernel uses pages of %u KiB, which this host's CPU does not "
			       "have: use a kernel with another page size (4 KiB is the usual one)",
			       page_size / 1024);
	return 0;
}

int arch_vcpu_get_entry(struct arch_vcpu *vcpu, uint64_t *ret_pc, uint64_t gprs[PLAN_NR_GPRS],
			struct ccr_err *err)
{
	int ret = arch_vcpu_get_pc(vcpu, ret_pc);

	if (!ret)
		ret = arch_vcpu_get_gprs(vcpu, gprs, PLAN_NR_GPRS);
	if (ret)
		return err_set(err, ret, "KVM: cannot read the entry point of vCPU %u: %s",
			       vcpu->index, strerror(-ret));
	return 0;
}

/*
 * Instruction aborts. KVM can be asked to inject a data abort only, so this one is taken by hand,
 * the way the architecture describes exception entry to EL1 (Arm ARM D1.3, AArch64.TakeException).
 */

#define SCTLR_M (1u << 0)

#define PSTATE_MODE_MASK 0xf
#define PSTATE_EL0T      0x0
#define PSTATE_EL1T      0x4
#define PSTATE_EL1H      0x5
#define PSTATE_DAIF      (0xfu << 6)
#define PSTATE_NZCV      (0xfull << 28)

#define ESR_EC_IABT_LOWER   (0x20ull << 26)
#define ESR_EC_IABT_CURRENT (0x21ull << 26)
#define ESR_IL              (1ull << 25)
#define ESR_FSC_EXTABT      0x10

#define VECTOR_CURRENT_SP0 0x000
#define VECTOR_CURRENT_SPX 0x200
#define VECTOR_LOWER_A64   0x400
#define VECTORS_SIZE       0x800

static uint64_t vector_offset(uint64_t pstate)
{
	switch (pstate & PSTATE_MODE_MASK) {
	case PSTATE_EL0T:
		return VECTOR_LOWER_A64;
	case PSTATE_EL1T:
		return VECTOR_CURRENT_SP0;
	default:
		return VECTOR_CURRENT_SPX;
	}
}

static int take_instruction_abort(int fd, uint64_t pc)
{
	uint64_t pstate = 0, vbar = 0, class;
	int ret = kvm_vcpu_get_reg(fd, REG_PSTATE, &pstate);

	if (!ret)
		ret = kvm_vcpu_get_reg(fd, REG_VBAR_EL1, &vbar);
	if (ret)
		return ret;
	class = (pstate & PSTATE_MODE_MASK) == PSTATE_EL0T ? ESR_EC_IABT_LOWER
							   : ESR_EC_IABT_CURRENT;

	const struct {
		uint64_t id, value;
	} writes[] = {
		{REG_ESR_EL1, class | ESR_IL | ESR_FSC_EXTABT},
		{REG_FAR_EL1, pc},
		{REG_ELR_EL1, pc},
		{REG_SPSR_EL1, pstate},
		{REG_PSTATE, (pstate & PSTATE_NZCV) | PSTATE_DAIF | PSTATE_EL1H},
		{REG_PC, vbar + vector_offset(pstate)},
	};

	for (unsigned i = 0; i < sizeof(writes) / sizeof(writes[0]) && !ret; i++)
		ret = kvm_vcpu_set_reg(fd, writes[i].id, writes[i].value);
	return ret;
}

/* With the MMU off the program counter is an IPA, and tells whether the fetch is what failed. */
static bool fetch_failed(struct arch_vcpu *vcpu, struct gmem *gmem, uint64_t pc)
{
	uint64_t sctlr = SCTLR_M;

	if (kvm_vcpu_get_reg(vcpu->fd, REG_SCTLR_EL1, &sctlr) || sctlr & SCTLR_M)
		return false;
	return gmem_contains(gmem, ipa_at(pc), 4) && gmem_is_shared(gmem, ipa_at(pc));
}

int arch_vcpu_abort(struct arch_vcpu *vcpu, struct gmem *gmem)
{
	uint64_t pc = 0, vbar = 0;
	int ret;

	if (vcpu->is_opaque)
		return kvm_vcpu_inject_abort(vcpu->fd);
	ret = arch_vcpu_get_pc(vcpu, &pc);
	if (!ret)
		ret = kvm_vcpu_get_reg(vcpu->fd, REG_VBAR_EL1, &vbar);
	if (!ret && gmem_shared_bit(gmem) && fetch_failed(vcpu, gmem, pc))
		ret = take_instruction_abort(vcpu->fd, pc);
	else if (!ret)
		ret = kvm_vcpu_inject_abort(vcpu->fd);
	return ret ? ret : range_within(pc, 4, vbar, VECTORS_SIZE);
}

#define NR_GPRS 31

/* Return: 0 or -errno. */
static int finish_access(struct arch_vcpu *vcpu)
{
	int ret;

	kvm_run_set_immediate_exit(vcpu->run, true);
	ret = kvm_vcpu_run(vcpu->fd);
	return ret == -EINTR ? 0 : ret;
}

/*
 * KVM finishes a reported access at the next KVM_RUN: it writes the register and steps over the
 * instruction. Before Linux 6.13 it does so even with an abort pending, warns, and loses the abort.
 * So the access is finished first, and then taken back. In a realm it must be finished as well,
 * because only then KVM accepts the abort; the RMM steps over nothing.
 */
int arch_vcpu_abort_mmio(struct arch_vcpu *vcpu, struct gmem *gmem)
{
	uint64_t gprs[NR_GPRS], pc = 0;
	int ret;

	if (vcpu->is_opaque) {
		ret = finish_access(vcpu);
		return ret ? ret : kvm_vcpu_inject_abort(vcpu->fd);
	}
	ret = arch_vcpu_get_gprs(vcpu, gprs, NR_GPRS);
	if (!ret)
		ret = arch_vcpu_get_pc(vcpu, &pc);
	if (!ret)
		ret = finish_access(vcpu);
	if (!ret)
		ret = arch_vcpu_set_gprs(vcpu, gprs, NR_GPRS);
	if (!ret)
		ret = kvm_vcpu_set_reg(vcpu->fd, REG_PC, pc);
	return ret ? ret : arch_vcpu_abort(vcpu, gmem);
}
