/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which generation of KVM's realm interface is this? Every question is put so that only the right
 * answer is EFAULT: a known request with a null pointer. Unknown ones are refused before KVM looks
 * at the pointer.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>

#include "ccr/file.h"
#include "ccr/kvm.h"
#include "ccr/parse.h"
#include "ccr/realm_kvm.h"
#include "uapi/kvm_realm.h"

#define MIN_IPA_BITS 32

/* sysfs says of every parameter that it is as long as a page of the host's kernel. */
#define MAX_PARAMETER_SIZE (64 * 1024)

/* Numbers the capability has had, the most distinctive first. */
static const unsigned cap_candidates[] = {300, 244, 243, 240, 245, 246};

/* Kernels that are rebased often tell the number themselves. */
static const char *const cap_files[] = {
	"/sys/module/kvm/parameters/kvm_cap_arm_rmi",
	"/sys/module/kvm/parameters/kvm_cap_arm_rme",
};

/* v15 on: does each guest_memfd keep attributes? If the VM does not either, nobody does. */
#define IN_PLACE_FILE "/sys/module/kvm/parameters/gmem_in_place_conversion"

static int try_type(int kvm_fd, unsigned long vm_type, unsigned ipa_bits)
{
	return kvm_vm_create(kvm_fd, vm_type | ipa_bits);
}

/* Does a narrower realm work? Then the width is what is wrong. */
static unsigned widest_ipa(int kvm_fd, unsigned long vm_type, unsigned below)
{
	for (unsigned bits = below - 1; bits >= MIN_IPA_BITS; bits--) {
		const int fd = try_type(kvm_fd, vm_type, bits);

		if (fd >= 0) {
			kvm_sys_close(fd);
			return bits;
		}
	}
	return 0;
}

static int no_realm(int kvm_fd, unsigned ipa_bits, int code, struct ccr_err *err)
{
	unsigned bits = widest_ipa(kvm_fd, KVM_REALM_VM_TYPE_V14, ipa_bits);

	if (bits == 0)
		bits = widest_ipa(kvm_fd, KVM_REALM_VM_TYPE_V1, ipa_bits);
	if (bits > 0)
		return err_set(err, -E2BIG,
			       "realms of this host have %u bits of guest address, %u are needed: "
			       "use less memory",
			       bits, ipa_bits);
	if (code == -EPERM)
		return err_set(err, -EPERM,
			       "this kernel can run realms, but found no RMM it can use: boot it "
			       "on firmware with RME and an RMM, on a CPU (or emulator) that has "
			       "RME");
	return err_set(err, -EINVAL,
		       "this host cannot run realms: its kernel has no CCA support, or there is no "
		       "RMM it can use (these kernels do not tell which); --realm=emulated works "
		       "without either");
}

/* A VM of the realm type, and with it the type. Return: descriptor or -errno with @err set. */
static int open_realm(int kvm_fd, unsigned ipa_bits, unsigned long *ret_type, struct ccr_err *err)
{
	static const unsigned long types[] = {KVM_REALM_VM_TYPE_V14, KVM_REALM_VM_TYPE_V1};
	int fd = -EINVAL;

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		fd = try_type(kvm_fd, types[i], ipa_bits);
		if (fd >= 0) {
			*ret_type = types[i];
			return fd;
		}
		/* Only these two are about realms. */
		if (fd != -EINVAL && fd != -EPERM)
			return err_set(err, fd, "KVM: cannot create a realm VM: %s", strerror(-fd));
	}
	return no_realm(kvm_fd, ipa_bits, fd, err);
}

static bool is_cap(int vm_fd, unsigned number)
{
	struct kvm_enable_cap cap = {.cap = number};

	/* Action "configure" with a null structure. */
	return kvm_sys_ioctl(vm_fd, KVM_ENABLE_CAP, &cap) == -EFAULT;
}

/* A parameter of the kvm module; "" if there is none. */
static void read_parameter(const char *path, char text[24])
{
	struct blob blob = {0};

	text[0] = '\0';
	if (file_load(path, MAX_PARAMETER_SIZE, "module parameter", &blob, NULL))
		return;
	if (blob.size > 0 && blob.size < 24) {
		memcpy(text, blob.data, blob.size);
		text[blob.size] = '\0';
		text[strcspn(text, "\n")] = '\0';
	}
	blob_free(&blob);
}

static unsigned cap_from_file(const char *path)
{
	uint64_t number = 0;
	char text[24];

	read_parameter(path, text);
	return parse_u64(text, &number) || number > UINT16_MAX ? 0 : (unsigned)number;
}

static unsigned find_cap(int vm_fd)
{
	for (size_t i = 0; i < sizeof(cap_files) / sizeof(cap_files[0]); i++) {
		const unsigned number = cap_from_file(cap_files[i]);

		if (number > 0 && is_cap(vm_fd, number))
			return number;
	}
	for (size_t i = 0; i < sizeof(cap_candidates) / sizeof(cap_candidates[0]); i++) {
		if (is_cap(vm_fd, cap_candidates[i]))
			return cap_candidates[i];
	}
	return 0;
}

/*
 * The vCPU feature that makes a REC was bit 9, bit 8, or (v5) a number that only FINALIZE knows
 * and INIT refuses.
 */
static int probe_rec(int vm_fd, struct realm_abi *abi)
{
	static const struct {
		unsigned feature, finalize;
	} generations[] = {{9, 9}, {8, 8}, {0, 8}};
	const int fd = kvm_vm_create_vcpu(vm_fd, 0);
	struct kvm_vcpu_init target = {0};
	int ret = fd < 0 ? fd : kvm_sys_ioctl(vm_fd, KVM_ARM_PREFERRED_TARGET, &target);

	if (!ret) {
		ret = -EINVAL;
		/* Any other error is not about the feature: a smaller one would seem to fit. */
		for (size_t i = 0; i < sizeof(generations) / sizeof(generations[0]) &&
				   (ret == -EINVAL || ret == -ENOENT);
		     i++) {
			struct kvm_vcpu_init init = target;

			init.features[0] |= 1u << KVM_ARM_VCPU_PSCI_0_2;
			if (generations[i].feature)
				init.features[0] |= 1u << generations[i].feature;
			ret = kvm_sys_ioctl(fd, KVM_ARM_VCPU_INIT, &init);
			abi->rec_feature = generations[i].feature;
			abi->rec_finalize = generations[i].finalize;
		}
	}
	kvm_sys_close(fd);
	return ret;
}

static int probe_explicit(int vm_fd, struct realm_abi *abi, struct ccr_err *err)
{
	int ret;

	abi->family = REALM_FAMILY_EXPLICIT;
	abi->attributes = REALM_ATTRIBUTES_VM;
	abi->cap = find_cap(vm_fd);
	if (abi->cap == 0)
		return err_set(err, -EOPNOTSUPP,
			       "this kernel creates realm VMs, but answers to none of the known "
			       "realm interfaces (series v1 to v16)");
	ret = probe_rec(vm_fd, abi);
	abi->commits_late = abi->rec_feature != 0;
	if (ret)
		return err_set(err, ret, "KVM: a realm's vCPU cannot be initialised: %s",
			       strerror(-ret));
	return 0;
}

static int check_attributes(int vm_fd, struct realm_abi *abi, struct ccr_err *err)
{
	const long vm_wide = kvm_sys_ioctl(vm_fd, KVM_CHECK_EXTENSION,
					   (void *)(long)KVM_REALM_CAP_MEMORY_ATTRIBUTES);
	const bool has_vm_wide = vm_wide > 0 && vm_wide & (long)KVM_REALM_ATTRIBUTE_PRIVATE;
	char in_place[24];

	if (vm_wide < 0)
		return err_set(err, (int)vm_wide, "KVM: cannot ask for memory attributes: %s",
			       strerror((int)-vm_wide));
	abi->family = has_vm_wide ? REALM_FAMILY_IMPLICIT : REALM_FAMILY_IMPLICIT_GMEM;
	abi->attributes = has_vm_wide ? REALM_ATTRIBUTES_VM : REALM_ATTRIBUTES_GMEM;
	/* v16 commits late too, but insists that the attributes are right before. */
	abi->commits_late = has_vm_wide;
	read_parameter(IN_PLACE_FILE, in_place);
	if (!has_vm_wide && in_place[0] == 'N')
		return err_set(err, -EOPNOTSUPP,
			       "this kernel creates realm VMs, but keeps no private memory for "
			       "them: boot it with kvm.gmem_in_place_conversion=1");
	return 0;
}

static int check_memory(int vm_fd, struct realm_abi *abi, struct ccr_err *err)
{
	if (kvm_sys_ioctl(vm_fd, KVM_CHECK_EXTENSION, (void *)(long)KVM_REALM_CAP_GUEST_MEMFD) <= 0)
		return err_set(err, -EOPNOTSUPP,
			       "this kernel creates realm VMs, but has no guest_memfd for their "
			       "memory: build it with CONFIG_KVM_GUEST_MEMFD");
	return abi->family == REALM_FAMILY_EXPLICIT ? 0 : check_attributes(vm_fd, abi, err);
}

int realm_probe(int kvm_fd, unsigned ipa_bits, struct realm_abi *ret_abi, struct ccr_err *err)
{
	struct realm_abi abi = {0};
	const int fd = open_realm(kvm_fd, ipa_bits, &abi.vm_type, err);
	int ret = 0;

	if (fd < 0)
		return fd;
	if (kvm_sys_ioctl(fd, KVM_REALM_POPULATE_V13, NULL) == -EFAULT) {
		abi.family = REALM_FAMILY_IMPLICIT;
	} else if (kvm_sys_ioctl(fd, KVM_REALM_POPULATE_V12, NULL) == -EFAULT) {
		abi.family = REALM_FAMILY_IMPLICIT;
		abi.populate_v12 = true;
	} else {
		ret = probe_explicit(fd, &abi, err);
	}
	if (!ret)
		ret = check_memory(fd, &abi, err);
	kvm_sys_close(fd);
	if (!ret)
		*ret_abi = abi;
	return ret;
}

const char *realm_family_name(enum realm_family family)
{
	static const char *const names[] = {
		[REALM_FAMILY_EXPLICIT] = "explicit",
		[REALM_FAMILY_IMPLICIT] = "implicit",
		[REALM_FAMILY_IMPLICIT_GMEM] = "implicit-gmem",
	};

	return names[family];
}

const char *realm_abi_describe(const struct realm_abi *abi, char text[128])
{
	if (abi->family == REALM_FAMILY_EXPLICIT)
		snprintf(text, 128, "explicit life-cycle (series v1 to v11), capability %u, %s",
			 abi->cap,
			 abi->rec_feature == 9   ? "REC feature 9 (v9 on)"
			 : abi->rec_feature == 8 ? "REC feature 8 (v6 to v8)"
						 : "no REC feature (up to v5)");
	else
		snprintf(text, 128, "implicit life-cycle (%s), attributes of the %s",
			 abi->family == REALM_FAMILY_IMPLICIT_GMEM ? "series v15 on"
			 : abi->vm_type == KVM_REALM_VM_TYPE_V14   ? "series v14"
			 : abi->populate_v12                       ? "series v12"
								   : "series v13",
			 abi->attributes == REALM_ATTRIBUTES_VM ? "VM" : "guest_memfd");
	return text;
}
