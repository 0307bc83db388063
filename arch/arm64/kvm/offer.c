/* SPDX-License-Identifier: Apache-2.0 */
/* What a guest of this host could have: asked by requests that fail if it could not. */
#include <errno.h>
#include <linux/kvm.h>

#include "ccr/hash.h"
#include "ccr/kvm.h"
#include "ccr/report.h"
#include "cpu.h"
#include "uapi/kvm_realm.h"

#define REG_ID_AA64DFR0_EL1 ARM64_SYS_REG(3, 0, 0, 5, 0)
#define DFR0_BRPS(value)    ((unsigned)((value) >> 12 & 0xf))
#define DFR0_WRPS(value)    ((unsigned)((value) >> 20 & 0xf))

#define PAUTH_BITS (1u << KVM_ARM_VCPU_PTRAUTH_ADDRESS | 1u << KVM_ARM_VCPU_PTRAUTH_GENERIC)

/* @abi: of a realm; NULL for a plain VM */
struct asker {
	int kvm_fd;
	const struct realm_abi *abi;
	unsigned ipa_bits;
};

/*
 * A vCPU with @features, alone in a VM: all vCPUs of one must have the same. Return: the
 * descriptor, with the VM's in *@ret_vm_fd, or -errno.
 */
static int open_vcpu(const struct asker *asker, uint32_t features, int *ret_vm_fd)
{
	const struct realm_abi *abi = asker->abi;
	struct kvm_vcpu_init init = {0};
	const int vm_fd = kvm_vm_create(asker->kvm_fd, (abi ? abi->vm_type : 0) | asker->ipa_bits);
	int fd, ret;

	if (vm_fd < 0)
		return vm_fd;
	fd = kvm_vm_create_vcpu(vm_fd, 0);
	ret = fd < 0 ? fd : kvm_sys_ioctl(vm_fd, KVM_ARM_PREFERRED_TARGET, &init);
	if (!ret) {
		init.features[0] |= 1u << KVM_ARM_VCPU_PSCI_0_2 | features;
		if (abi && abi->rec_feature)
			init.features[0] |= 1u << abi->rec_feature;
		ret = kvm_sys_ioctl(fd, KVM_ARM_VCPU_INIT, &init);
	}
	if (!ret) {
		*ret_vm_fd = vm_fd;
		return fd;
	}
	kvm_sys_close(fd);
	kvm_sys_close(vm_fd);
	return ret;
}

static void close_vcpu(int fd, int vm_fd)
{
	kvm_sys_close(fd);
	kvm_sys_close(vm_fd);
}

static void probe_sve(const struct asker *asker, struct cpu_offer *offer)
{
	int vm_fd = -1;
	const int fd = open_vcpu(asker, 1u << KVM_ARM_VCPU_SVE, &vm_fd);

	if (fd < 0)
		return;
	if (arch_cpu_get_sve_vls(fd, &offer->sve_vls))
		offer->sve_vls = 0;
	close_vcpu(fd, vm_fd);
}

static void probe_pmu(const struct asker *asker, struct cpu_offer *offer)
{
	int vm_fd = -1;
	const int fd = open_vcpu(asker, 1u << KVM_ARM_VCPU_PMU_V3, &vm_fd);

	if (fd < 0)
		return;
	offer->has_pmu = arch_cpu_get_counters(fd, &offer->nr_counters) == 0;
	close_vcpu(fd, vm_fd);
}

/* Realms are not asked for it: it is the CPU's. */
static void probe_pauth(const struct asker *asker, struct cpu_offer *offer)
{
	const struct asker plain = {.kvm_fd = asker->kvm_fd, .ipa_bits = asker->ipa_bits};
	int vm_fd = -1;
	const int fd = open_vcpu(&plain, PAUTH_BITS, &vm_fd);

	if (fd < 0)
		return;
	offer->present |= 1u << FEATURE_PAUTH;
	if (!asker->abi)
		offer->switchable |= 1u << FEATURE_PAUTH;
	close_vcpu(fd, vm_fd);
}

/* Each field is tried on its own, and nothing of it is left when the VM is closed. */
static void probe_field(int fd, bool is_realm, enum cpu_feature feature, struct cpu_offer *offer)
{
	uint64_t value = 0;

	if (arch_cpu_get_field(fd, feature, &value) || value == 0)
		return;
	offer->present |= 1u << feature;
	if (!is_realm && arch_cpu_clear_field(fd, feature) == 0)
		offer->switchable |= 1u << feature;
}

static void probe_id_registers(const struct asker *asker, struct cpu_offer *offer)
{
	uint64_t dfr0 = 0;
	int vm_fd = -1;
	const int fd = open_vcpu(asker, 0, &vm_fd);

	if (fd < 0)
		return;
	if (kvm_vcpu_get_reg(fd, REG_ID_AA64DFR0_EL1, &dfr0) == 0) {
		offer->nr_breakpoints = DFR0_BRPS(dfr0) + 1;
		offer->nr_watchpoints = DFR0_WRPS(dfr0) + 1;
	}
	for (unsigned i = FEATURE_LSE; i < NR_CPU_FEATURES; i++)
		probe_field(fd, asker->abi, (enum cpu_feature)i, offer);
	close_vcpu(fd, vm_fd);
}

void offer_probe_cpu(int kvm_fd, const struct realm_abi *abi, unsigned ipa_bits,
		     struct cpu_offer *ret_offer)
{
	const struct asker asker = {.kvm_fd = kvm_fd, .abi = abi, .ipa_bits = ipa_bits};

	*ret_offer = (struct cpu_offer){0};
	probe_sve(&asker, ret_offer);
	probe_pmu(&asker, ret_offer);
	probe_pauth(&asker, ret_offer);
	probe_id_registers(&asker, ret_offer);
}

/* Only the explicit family lets the owner choose; KVM asks what the RMM said of itself. */
static void probe_hashes(int kvm_fd, const struct realm_abi *abi, unsigned ipa_bits,
			 struct realm_offer *offer)
{
	const int vm_fd = kvm_vm_create(kvm_fd, abi->vm_type | ipa_bits);

	if (vm_fd < 0)
		return;
	for (unsigned algo = HASH_SHA256; algo <= HASH_SHA512; algo++) {
		struct kvm_realm_config config = {
			.item = KVM_REALM_CONFIG_HASH_ALGO,
			.hash_algo = algo,
		};
		struct kvm_enable_cap cap = {
			.cap = abi->cap,
			.args = {KVM_REALM_ACTION_CONFIG, (uint64_t)(uintptr_t)&config},
		};

		if (kvm_sys_ioctl(vm_fd, KVM_ENABLE_CAP, &cap) == 0)
			offer->hashes |= 1u << algo;
	}
	kvm_sys_close(vm_fd);
}

void realm_offer_probe(int kvm_fd, const struct realm_abi *abi, unsigned ipa_bits,
		       struct realm_offer *ret_offer)
{
	*ret_offer = (struct realm_offer){0};
	if (abi->family == REALM_FAMILY_EXPLICIT)
		probe_hashes(kvm_fd, abi, ipa_bits, ret_offer);
	else
		ret_offer->hashes = 1u << HASH_SHA256;
	offer_probe_cpu(kvm_fd, abi, ipa_bits, &ret_offer->cpu);
}
