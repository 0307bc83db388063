/* SPDX-License-Identifier: Apache-2.0 */
/* What a realm of this host could have: asked by requests that fail if it could not. */
#include <errno.h>
#include <linux/kvm.h>

#include "ccr/hash.h"
#include "ccr/kvm.h"
#include "ccr/report.h"
#include "uapi/kvm_realm.h"

#define REG_PMCR_EL0 ARM64_SYS_REG(3, 3, 9, 12, 0)
#define PMCR_N(pmcr) ((unsigned)((pmcr) >> 11) & 0x1f)

/* KVM_REG_ARM64_SVE_VLS is 512 bits, of which architected vectors use 16. */
#define NR_VLS_WORDS 8
#define VLS_MASK     0xffff

/*
 * A realm's vCPU with @feature, alone in a VM: all vCPUs of one must have the same. Return: the
 * descriptor, with the VM's in *@ret_vm_fd, or -errno.
 */
static int open_vcpu(int kvm_fd, const struct realm_abi *abi, unsigned ipa_bits, unsigned feature,
		     int *ret_vm_fd)
{
	struct kvm_vcpu_init init = {0};
	const int vm_fd = kvm_vm_create(kvm_fd, abi->vm_type | ipa_bits);
	int fd, ret;

	if (vm_fd < 0)
		return vm_fd;
	fd = kvm_vm_create_vcpu(vm_fd, 0);
	ret = fd < 0 ? fd : kvm_sys_ioctl(vm_fd, KVM_ARM_PREFERRED_TARGET, &init);
	if (!ret) {
		init.features[0] |= 1u << KVM_ARM_VCPU_PSCI_0_2 | 1u << feature;
		if (abi->rec_feature)
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

static void probe_sve(int kvm_fd, const struct realm_abi *abi, unsigned ipa_bits,
		      struct realm_offer *offer)
{
	uint64_t words[NR_VLS_WORDS] = {0};
	struct kvm_one_reg reg = {
		.id = KVM_REG_ARM64_SVE_VLS,
		.addr = (uint64_t)(uintptr_t)words,
	};
	int vm_fd = -1;
	const int fd = open_vcpu(kvm_fd, abi, ipa_bits, KVM_ARM_VCPU_SVE, &vm_fd);

	if (fd < 0)
		return;
	if (kvm_sys_ioctl(fd, KVM_GET_ONE_REG, &reg) == 0)
		offer->sve_vls = (unsigned)words[0] & VLS_MASK;
	kvm_sys_close(fd);
	kvm_sys_close(vm_fd);
}

static void probe_pmu(int kvm_fd, const struct realm_abi *abi, unsigned ipa_bits,
		      struct realm_offer *offer)
{
	uint64_t pmcr = 0;
	int vm_fd = -1;
	const int fd = open_vcpu(kvm_fd, abi, ipa_bits, KVM_ARM_VCPU_PMU_V3, &vm_fd);

	if (fd < 0)
		return;
	if (kvm_vcpu_get_reg(fd, REG_PMCR_EL0, &pmcr) == 0) {
		offer->has_pmu = true;
		offer->nr_counters = PMCR_N(pmcr);
	}
	kvm_sys_close(fd);
	kvm_sys_close(vm_fd);
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
	probe_sve(kvm_fd, abi, ipa_bits, ret_offer);
	probe_pmu(kvm_fd, abi, ipa_bits, ret_offer);
}
