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
#include "ccr/log.h"
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

unsigned realm_max_ipa_bits(int kvm_fd, const struct realm_abi *abi, unsigned limit)
{
	return widest_ipa(kvm_fd, abi->vm_type, limit + 1);
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

/* A vCPU of a throw-away VM, and what it is initialised with but for a REC's feature. */
static int open_vcpu(int vm_fd, struct kvm_vcpu_init *ret_target)
{
	const int fd = kvm_vm_create_vcpu(vm_fd, 0);
	int ret;

	if (fd < 0)
		return fd;
	*ret_target = (struct kvm_vcpu_init){0};
	ret = kvm_sys_ioctl(vm_fd, KVM_ARM_PREFERRED_TARGET, ret_target);
	if (!ret)
		return fd;
	kvm_sys_close(fd);
	return ret;
}

static int try_rec(int vcpu_fd, const struct kvm_vcpu_init *target, unsigned feature)
{
	struct kvm_vcpu_init init = *target;

	init.features[0] |= 1u << KVM_ARM_VCPU_PSCI_0_2;
	if (feature)
		init.features[0] |= 1u << feature;
	return kvm_sys_ioctl(vcpu_fd, KVM_ARM_VCPU_INIT, &init);
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
	struct kvm_vcpu_init target;
	const int fd = open_vcpu(vm_fd, &target);
	int ret = -EINVAL;

	if (fd < 0)
		return fd;
	/* Any other error is not about the feature: a smaller one would seem to fit. */
	for (size_t i = 0;
	     i < sizeof(generations) / sizeof(generations[0]) && (ret == -EINVAL || ret == -ENOENT);
	     i++) {
		ret = try_rec(fd, &target, generations[i].feature);
		abi->rec_feature = generations[i].feature;
		abi->rec_finalize = generations[i].finalize;
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

/*
 * Trees after v16 have KVM_ARM_RMI_INIT_RIPAS, of 64 bytes, and without it a realm has no RAM but
 * what is populated. Its number is not known, but a request of that shape behind those of v16,
 * which no other kernel of arm64 has, is likely to be it. Return: the request, or 0.
 */
static unsigned long find_unknown_request(int vm_fd)
{
	static const unsigned long first[] = {KVM_REALM_UNKNOWN_W, KVM_REALM_UNKNOWN_RW};

	for (unsigned i = 0; i < KVM_REALM_NR_UNKNOWN; i++) {
		for (size_t j = 0; j < sizeof(first) / sizeof(first[0]); j++) {
			if (kvm_sys_ioctl(vm_fd, first[j] + i, NULL) == -EFAULT)
				return first[j] + i;
		}
	}
	return 0;
}

static int check_requests(int vm_fd, const struct realm_abi *abi, struct ccr_err *err)
{
	const unsigned long request =
		abi->family == REALM_FAMILY_IMPLICIT_GMEM ? find_unknown_request(vm_fd) : 0;

	if (request == 0)
		return 0;
	return err_set(err, -EOPNOTSUPP,
		       "this kernel has a request for realms that came after series v16 (0x%lx, "
		       "probably the one that makes memory RAM), which this program cannot make; "
		       "--realm-abi v16 tries without it",
		       request);
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
	if (!ret)
		ret = check_requests(fd, &abi, err);
	kvm_sys_close(fd);
	if (!ret)
		*ret_abi = abi;
	return ret;
}

/* An interface that was chosen by its name. */

struct choice {
	int kvm_fd;
	unsigned ipa_bits;
	const struct realm_abi *abi;
};

/* @what the kernel has answered, and what it answers if it is asked without a choice. */
static int contradict(const struct choice *choice, const char *what, struct ccr_err *err)
{
	struct ccr_err other = {0};
	struct realm_abi found;
	char text[128];

	if (realm_probe(choice->kvm_fd, choice->ipa_bits, &found, &other))
		return err_set(err, other.code, "--realm-abi %s: %s; asked without it: %s",
			       choice->abi->series, what, other.msg);
	return err_set(err, -EOPNOTSUPP,
		       "--realm-abi %s: %s; leave the option out: what this kernel has is the %s",
		       choice->abi->series, what, realm_abi_describe(&found, text));
}

static int check_chosen_rec(const struct choice *choice, int vm_fd, struct ccr_err *err)
{
	struct kvm_vcpu_init target;
	const int fd = open_vcpu(vm_fd, &target);
	const int ret = fd < 0 ? fd : try_rec(fd, &target, choice->abi->rec_feature);
	char what[96];

	kvm_sys_close(fd);
	if (!ret)
		return 0;
	snprintf(what, sizeof(what), "a vCPU cannot be initialised as this series does (%s)",
		 strerror(-ret));
	return contradict(choice, what, err);
}

static int check_chosen_requests(const struct choice *choice, int vm_fd, struct ccr_err *err)
{
	const struct realm_abi *abi = choice->abi;
	char what[128];

	if (abi->family == REALM_FAMILY_EXPLICIT) {
		if (is_cap(vm_fd, abi->cap))
			return check_chosen_rec(choice, vm_fd, err);
		snprintf(what, sizeof(what),
			 "capability %u is not what this kernel makes realms with (where a rebase "
			 "has moved it: %s,cap=N)",
			 abi->cap, abi->series);
		return contradict(choice, what, err);
	}
	if (kvm_sys_ioctl(vm_fd,
			  abi->populate_v12 ? KVM_REALM_POPULATE_V12 : KVM_REALM_POPULATE_V13,
			  NULL) == -EFAULT)
		return 0;
	return contradict(choice, "this kernel does not know its request for population", err);
}

/* What the kernel says of its attributes is a hint where the interface was chosen. */
static int check_chosen_memory(const struct choice *choice, int vm_fd, struct ccr_err *err)
{
	struct realm_abi found = *choice->abi;
	const int ret = check_memory(vm_fd, &found, err);

	if (!ret && found.attributes != choice->abi->attributes)
		log_warn("--realm-abi %s: by its own account this kernel keeps attributes of "
			 "memory as %s does",
			 choice->abi->series,
			 found.attributes == REALM_ATTRIBUTES_VM ? "v14" : "v15");
	return ret;
}

int realm_abi_check(int kvm_fd, unsigned ipa_bits, const struct realm_abi *abi, struct ccr_err *err)
{
	const struct choice choice = {.kvm_fd = kvm_fd, .ipa_bits = ipa_bits, .abi = abi};
	const int fd = try_type(kvm_fd, abi->vm_type, ipa_bits);
	char what[96];
	int ret;

	if (fd < 0) {
		snprintf(what, sizeof(what), "this kernel creates no VM of its type (%s)",
			 strerror(-fd));
		return contradict(&choice, what, err);
	}
	ret = check_chosen_requests(&choice, fd, err);
	if (!ret)
		ret = check_chosen_memory(&choice, fd, err);
	kvm_sys_close(fd);
	return ret;
}
