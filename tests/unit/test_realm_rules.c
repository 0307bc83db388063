/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules of the generations of KVM's realm interface that a correct launcher never meets: what is
 * asked in the wrong order, twice, in the wrong direction, of the wrong descriptor; and the error
 * number that the kernel has for it. The hosts of tests/fake are all that stands for kernels that
 * nobody here can run, so these are the errors of the kernels, by name of the function.
 *
 * links: arch/arm64/kvm/probe.c arch/arm64/kvm/realm_abi.c arch/arm64/kvm/host.c
 *	arch/arm64/kvm/vm.c
 *	arch/arm64/kvm/vcpu.c arch/arm64/kvm/features.c
 *	src/realm/features.c
 *	arch/arm64/kvm/realm_kvm.c arch/arm64/memmap.c
 *	src/kvm/kvm.c src/kvm/exit.c src/mem/backing.c
 *	src/mem/gmem.c src/realm/realm.c src/realm/plan.c
 *	src/util/err.c src/util/log.c src/util/hash.c src/util/parse.c
 *	tests/fake/fake_kvm.c tests/fake/fake_gic.c tests/fake/fake_vcpu.c
 *	tests/fake/fake_cpu.c tests/fake/fake_run.c
 *	src/kvm/describe.c tests/fake/fake_realm.c tests/fake/fake_realm_run.c
 *	tests/fake/fake_realm_files.c
 *	tests/fake/fake_realm_trace.c tests/fake/fake_realm_vm.c
 *	src/host/facts.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "../fake/fake_realm_vm.h"
#include "ccr/log.h"
#include "uapi/kvm_realm.h"

/* The traces' words that differ from generation to generation. */

static const struct dialect {
	const char *type, *features, *finalize, *cap, *populate;
} dialects[FAKE_NR_GENERATIONS] = {
	[FAKE_V5] = {"0x121", "0x4", "8", "300", ""},
	[FAKE_V7] = {"0x121", "0x104", "8", "300", ""},
	[FAKE_V8] = {"0x121", "0x104", "8", "240", ""},
	[FAKE_V9] = {"0x121", "0x204", "9", "243", ""},
	[FAKE_V10] = {"0x121", "0x204", "9", "244", ""},
	[FAKE_V11] = {"0x121", "0x204", "9", "245", ""},
	[FAKE_V12] = {"0x121", "0x4", "", "247", "KVM_ARM_RMI_POPULATE_V12"},
	[FAKE_V13] = {"0x121", "0x4", "", "248", "KVM_ARM_RMI_POPULATE"},
	[FAKE_V14] = {"0x40000021", "0x4", "", "249", "KVM_ARM_RMI_POPULATE"},
	[FAKE_V15] = {"0x40000021", "0x4", "", "251", "KVM_ARM_RMI_POPULATE"},
	[FAKE_V16] = {"0x40000021", "0x4", "", "252", "KVM_ARM_RMI_POPULATE"},
	[FAKE_POST_V16] = {"0x40000021", "0x4", "", "253", "KVM_ARM_RMI_POPULATE"},
	[FAKE_UPSTREAM] = {"0x28", "0x4", "", "245", "KVM_ARM_RMI_POPULATE"},
};

/* "@T", "@F", "@Z", "@C" and "@P" stand for a dialect's words. */
static void translate(const struct dialect *dialect, const char *text, char *trace, size_t size)
{
	const char *words[128] = {['T'] = dialect->type,
				  ['F'] = dialect->features,
				  ['Z'] = dialect->finalize,
				  ['C'] = dialect->cap,
				  ['P'] = dialect->populate};
	size_t used = 0;

	for (; *text; text++) {
		const char *word = *text == '@' ? words[text[1] & 0x7f] : NULL;

		assert_true(used + 32 < size);
		if (!word) {
			trace[used++] = *text;
			continue;
		}
		used += (size_t)snprintf(trace + used, size - used, "%s", word);
		text++;
	}
	trace[used] = '\0';
}

/* Beginnings. */

#define OPEN  "open /dev/kvm = kvm\n"
#define PLAIN OPEN "ioctl kvm KVM_CREATE_VM type=0x28 = vm1\n"
#define REALM OPEN "ioctl kvm KVM_CREATE_VM type=@T = vm1\n"

#define SLOT(flags)                                                 \
	"ioctl vm1 KVM_SET_USER_MEMORY_REGION2 slot=0 flags=" flags \
	" gpa=0x80000000 size=0x200000 = 0\n"
#define MEMORY "ioctl vm1 KVM_CREATE_GUEST_MEMFD size=0x200000 flags=0 = gmem\n" SLOT("4")

#define INIT_VCPU(features) "ioctl vcpu0 KVM_ARM_VCPU_INIT target=5 features=" features " = 0\n"
#define VCPU(features)                               \
	"ioctl vm1 KVM_CREATE_VCPU id=0x0 = vcpu0\n" \
	"map vcpu0 size=0x1000 = 0\n" INIT_VCPU(features)

#define GIC                                                                   \
	"ioctl vm1 KVM_CREATE_DEVICE type=7 = 0\n"                            \
	"ioctl gic KVM_SET_DEVICE_ATTR group=0 attr=2 value=0x3fff0000 = 0\n" \
	"ioctl gic KVM_SET_DEVICE_ATTR group=0 attr=5 value=0x1000003ffb0000 = 0\n"
#define INIT_GIC "ioctl gic KVM_SET_DEVICE_ATTR group=4 attr=0 = 0\n"

#define CAP       "ioctl vm1 KVM_ENABLE_CAP @C "
#define POPULATE  "ioctl vm1 @P base=0x80000000 size=0x1000 flags=1"
#define RUN       "ioctl vcpu0 KVM_RUN = "
#define ENTER     "ioctl vcpu0 KVM_RUN enter = "
#define ATTRIBUTE "ioctl vm1 KVM_SET_MEMORY_ATTRIBUTES "
#define PRIVATE   ATTRIBUTE "at=0x80000000 size=0x200000 attributes=8 = 0\n"
#define OF_GMEM   "ioctl gmem KVM_SET_MEMORY_ATTRIBUTES2 "

#define EVERY     FAKE_V5, FAKE_POST_V16
#define EXPLICIT  FAKE_V5, FAKE_V11
#define OLD_CODES FAKE_V5, FAKE_V7
#define NEW_CODES FAKE_V8, FAKE_V11
#define IMPLICIT  FAKE_V12, FAKE_POST_V16
#define OF_VM     FAKE_V12, FAKE_V14
#define OF_FILE   FAKE_V15, FAKE_POST_V16

static const struct rule {
	enum fake_generation first, last;
	const char *fact, *trace;
} rules[] = {
	/* KVM_CREATE_VM. */
	{FAKE_V5, FAKE_V13, "the type is in bits 11 to 8, and 1",
	 OPEN "ioctl kvm KVM_CREATE_VM type=0x40000021 = -EINVAL\n"
	      "ioctl kvm KVM_CREATE_VM type=0x40000121 = -EINVAL\n"
	      "ioctl kvm KVM_CREATE_VM type=0x221 = -EINVAL\n"
	      "ioctl kvm KVM_CREATE_VM type=0x1121 = -EINVAL\n"},
	{FAKE_V5, FAKE_V13, "32 bits to what the RMM has; 0 is 40",
	 OPEN "ioctl kvm KVM_CREATE_VM type=0x11f = -EINVAL\n"
	      "ioctl kvm KVM_CREATE_VM type=0x131 = -EINVAL\n"
	      "ioctl kvm KVM_CREATE_VM type=0x130 = vm1\n"
	      "ioctl kvm KVM_CREATE_VM type=0x120 = vm2\n"
	      "ioctl kvm KVM_CREATE_VM type=0x100 = vm3\n"},
	{FAKE_V14, FAKE_POST_V16, "the type is bit 30, and not together with pKVM's bit 31",
	 OPEN "ioctl kvm KVM_CREATE_VM type=0x121 = -EINVAL\n"
	      "ioctl kvm KVM_CREATE_VM type=0x40000121 = -EINVAL\n"
	      "ioctl kvm KVM_CREATE_VM type=0xc0000021 = -EINVAL\n"
	      "ioctl kvm KVM_CREATE_VM type=0x80000021 = -EINVAL\n"},
	{FAKE_V14, FAKE_POST_V16, "32 bits to what the RMM has; 0 is 40",
	 OPEN "ioctl kvm KVM_CREATE_VM type=0x4000001f = -EINVAL\n"
	      "ioctl kvm KVM_CREATE_VM type=0x40000031 = -EINVAL\n"
	      "ioctl kvm KVM_CREATE_VM type=0x40000030 = vm1\n"
	      "ioctl kvm KVM_CREATE_VM type=0x40000000 = vm2\n"},
	{FAKE_UPSTREAM, FAKE_UPSTREAM, "no type, and the numbers mean something else",
	 OPEN "ioctl kvm KVM_CREATE_VM type=0x121 = -EINVAL\n"
	      "ioctl kvm KVM_CREATE_VM type=0x40000021 = -EINVAL\n"
	      "ioctl kvm KVM_CHECK_EXTENSION 240 = 1\n"
	      "ioctl kvm KVM_CHECK_EXTENSION 243 = 1\n"
	      "ioctl kvm KVM_CHECK_EXTENSION 244 = 1\n"
	      "ioctl kvm KVM_CREATE_VM type=0x28 = vm1\n"
	      "ioctl vm1 KVM_ENABLE_CAP 240 CONFIG = -EINVAL\n"
	      "ioctl vm1 KVM_ENABLE_CAP 243 CONFIG = -EINVAL\n"
	      "ioctl vm1 KVM_ENABLE_CAP 244 CONFIG = -EINVAL\n"
	      "ioctl vm1 KVM_ENABLE_CAP 245 CONFIG = 0\n"
	      "ioctl vm1 KVM_ARM_RMI_POPULATE NULL = -EINVAL\n"
	      "ioctl vm1 KVM_ARM_RMI_POPULATE_V12 NULL = -EINVAL\n"},

	/* Requests: numbers, directions, descriptors. A null pointer tells who knows them. */
	{EXPLICIT, "kvm_arch_vm_ioctl() knows no population",
	 REALM "ioctl vm1 KVM_ARM_RMI_POPULATE_V12 NULL = -EINVAL\n"
	       "ioctl vm1 KVM_ARM_RMI_POPULATE NULL = -EINVAL\n"},
	{FAKE_V12, FAKE_V12, "_IOW, and not _IOWR",
	 REALM "ioctl vm1 KVM_ARM_RMI_POPULATE_V12 NULL = -EFAULT\n"
	       "ioctl vm1 KVM_ARM_RMI_POPULATE NULL = -EINVAL\n"},
	{FAKE_V13, FAKE_POST_V16, "_IOWR, and not _IOW",
	 REALM "ioctl vm1 KVM_ARM_RMI_POPULATE_V12 NULL = -EINVAL\n"
	       "ioctl vm1 KVM_ARM_RMI_POPULATE NULL = -EFAULT\n"},
	{EXPLICIT, "kvm_realm_enable_cap() of a VM that is no realm",
	 PLAIN CAP "CONFIG = -EINVAL\n" CAP "CREATE = -EINVAL\n"},
	{EXPLICIT, "kvm_rme_config_realm() begins with the structure; wrong numbers do not",
	 REALM CAP "CONFIG = -EFAULT\n"
		   "ioctl vm1 KVM_ENABLE_CAP 299 CONFIG = -EINVAL\n"
		   "ioctl vm1 KVM_ENABLE_CAP 299 CREATE = -EINVAL\n"},
	{IMPLICIT, "the capability is only to be asked for", REALM CAP "CREATE = -EINVAL\n"},
	{FAKE_V12, FAKE_V12, "a plain VM may not populate",
	 PLAIN "ioctl vm1 KVM_ARM_RMI_POPULATE_V12 NULL = -EPERM\n"},
	{FAKE_V13, FAKE_POST_V16, "a plain VM has no realm to populate",
	 PLAIN "ioctl vm1 KVM_ARM_RMI_POPULATE NULL = -ENXIO\n"},
	{FAKE_V5, FAKE_V14, "attributes are the VM's, of 32 bytes, _IOW",
	 REALM MEMORY "ioctl vm1 0x4020aed2 = -EFAULT\n"
		      "ioctl vm1 0xc080aed2 = -EINVAL\n"
		      "ioctl gmem 0xc080aed2 = -ENOTTY\n"
		      "ioctl gmem 0x4020aed2 = -ENOTTY\n"},
	{OF_FILE, "attributes are the guest_memfd's, of 128 bytes, _IOWR",
	 REALM MEMORY "ioctl vm1 0x4020aed2 = -EINVAL\n"
		      "ioctl vm1 0xc080aed2 = -EINVAL\n"
		      "ioctl gmem 0xc080aed2 = -EFAULT\n"
		      "ioctl gmem 0x4020aed2 = -ENOTTY\n"},
	{EVERY,
	 "guest_memfd: whole pages; slots: whole pages, inside the file and the address space",
	 REALM
	 "ioctl vm1 KVM_CREATE_GUEST_MEMFD size=0x0 flags=0 = -EINVAL\n"
	 "ioctl vm1 KVM_CREATE_GUEST_MEMFD size=0x800 flags=0 = -EINVAL\n"
	 "ioctl vm1 KVM_CREATE_GUEST_MEMFD size=0x200000 flags=0 = gmem\n"
	 "ioctl vm1 KVM_SET_USER_MEMORY_REGION2 slot=0 flags=4 gpa=0x80000000 size=0x201000 = "
	 "-EINVAL\n"
	 "ioctl vm1 KVM_SET_USER_MEMORY_REGION2 slot=0 flags=4 gpa=0x80000800 size=0x1000 = "
	 "-EINVAL\n"
	 "ioctl vm1 KVM_SET_USER_MEMORY_REGION2 slot=0 flags=4 gpa=0x1fffff000 size=0x2000 = "
	 "-EINVAL\n"
	 "ioctl vm1 KVM_SET_USER_MEMORY_REGION2 slot=0 flags=6 gpa=0x80000000 size=0x200000 = "
	 "-EINVAL\n"
	 "ioctl vm1 KVM_SET_USER_MEMORY_REGION2 slot=0 flags=5 gpa=0x80000000 size=0x200000 = "
	 "-EINVAL\n"},

	/* Capabilities on the VM. */
	{FAKE_V5, FAKE_V10, "a realm VM answers as others do",
	 REALM "ioctl vm1 KVM_CHECK_EXTENSION IMMEDIATE_EXIT = 1\n"
	       "ioctl vm1 KVM_CHECK_EXTENSION ARM_INJECT_EXT_DABT = 1\n"
	       "ioctl vm1 KVM_CHECK_EXTENSION ARM_NISV_TO_USER = 1\n"
	       "ioctl vm1 KVM_ENABLE_CAP ARM_NISV_TO_USER = 0\n"},
	{FAKE_V10, FAKE_V10, "the numbers of older postings are other capabilities by now",
	 REALM "ioctl vm1 KVM_CHECK_EXTENSION 240 = 1\n"
	       "ioctl vm1 KVM_CHECK_EXTENSION 243 = 1\n"
	       "ioctl vm1 KVM_ENABLE_CAP 240 CONFIG = -EINVAL\n"
	       "ioctl vm1 KVM_ENABLE_CAP 243 CONFIG = -EINVAL\n"},
	{FAKE_V11, FAKE_V13, "kvm_realm_ext_allowed() denies, and nobody enforces",
	 REALM "ioctl vm1 KVM_CHECK_EXTENSION 240 = 0\n"
	       "ioctl vm1 KVM_CHECK_EXTENSION 243 = 0\n"
	       "ioctl vm1 KVM_CHECK_EXTENSION @C = 1\n"
	       "ioctl vm1 KVM_CHECK_EXTENSION IMMEDIATE_EXIT = 0\n"
	       "ioctl vm1 KVM_CHECK_EXTENSION ARM_INJECT_EXT_DABT = 0\n"
	       "ioctl vm1 KVM_CHECK_EXTENSION ARM_NISV_TO_USER = 0\n"
	       "ioctl vm1 KVM_ENABLE_CAP ARM_NISV_TO_USER = 0\n"
	       "ioctl kvm KVM_CHECK_EXTENSION ARM_INJECT_EXT_DABT = 1\n"},
	{FAKE_V14, FAKE_POST_V16, "kvm_realm_ext_allowed() denies, kvm_vm_ioctl_enable_cap() too",
	 REALM "ioctl vm1 KVM_CHECK_EXTENSION 240 = 0\n"
	       "ioctl vm1 KVM_CHECK_EXTENSION 245 = 0\n"
	       "ioctl vm1 KVM_CHECK_EXTENSION @C = 1\n"
	       "ioctl vm1 KVM_CHECK_EXTENSION ARM_NISV_TO_USER = 0\n"
	       "ioctl vm1 KVM_ENABLE_CAP ARM_NISV_TO_USER = -EINVAL\n"
	       "ioctl vm1 KVM_ENABLE_CAP 245 CONFIG = -EINVAL\n"},
	{FAKE_V12, FAKE_V14, "what is not the architecture's is answered: attributes of the VM",
	 REALM "ioctl vm1 KVM_CHECK_EXTENSION 233 = 8\n"
	       "ioctl vm1 KVM_CHECK_EXTENSION 234 = 1\n"
	       "ioctl vm1 KVM_CHECK_EXTENSION 244 = 1\n"
	       "ioctl vm1 KVM_CHECK_EXTENSION 250 = 0\n"},
	{OF_FILE, "what is not the architecture's is answered: attributes of the guest_memfd",
	 REALM "ioctl vm1 KVM_CHECK_EXTENSION 233 = 0\n"
	       "ioctl vm1 KVM_CHECK_EXTENSION 234 = 1\n"
	       "ioctl vm1 KVM_CHECK_EXTENSION 250 = 8\n"},

	/* vCPUs. */
	{FAKE_V5, FAKE_V5, "REC is a number that INIT does not know and FINALIZE does",
	 REALM MEMORY "ioctl vm1 KVM_CREATE_VCPU id=0x0 = vcpu0\n"
		      "ioctl vcpu0 KVM_ARM_VCPU_INIT target=5 features=0x204 = -ENOENT\n"
		      "ioctl vcpu0 KVM_ARM_VCPU_INIT target=5 features=0x104 = -ENOENT\n"
		      "ioctl vcpu0 KVM_ARM_VCPU_FINALIZE feature=8 = -ENOEXEC\n"
		      "ioctl vcpu0 KVM_ARM_VCPU_INIT target=5 features=0x0 = 0\n" CAP "CREATE = 0\n"
		      "ioctl vcpu0 KVM_ARM_VCPU_FINALIZE feature=9 = -EINVAL\n"
		      "ioctl vcpu0 KVM_ARM_VCPU_FINALIZE feature=8 = -EINVAL\n"},
	{FAKE_V7, FAKE_V8, "REC is 8",
	 REALM "ioctl vm1 KVM_CREATE_VCPU id=0x0 = vcpu0\n"
	       "ioctl vcpu0 KVM_ARM_VCPU_INIT target=5 features=0x204 = -ENOENT\n"
	       "ioctl vcpu0 KVM_ARM_VCPU_INIT target=5 features=0x104 = 0\n" CAP "CREATE = 0\n"
	       "ioctl vcpu0 KVM_ARM_VCPU_FINALIZE feature=9 = -EINVAL\n"},
	{FAKE_V9, FAKE_V11, "REC is 9, and 8 is nested virtualisation's",
	 REALM "ioctl vm1 KVM_CREATE_VCPU id=0x0 = vcpu0\n"
	       "ioctl vcpu0 KVM_ARM_VCPU_INIT target=5 features=0x404 = -ENOENT\n"
	       "ioctl vcpu0 KVM_ARM_VCPU_INIT target=5 features=0x104 = -EINVAL\n"
	       "ioctl vcpu0 KVM_ARM_VCPU_INIT target=5 features=0x204 = 0\n" CAP "CREATE = 0\n"
	       "ioctl vcpu0 KVM_ARM_VCPU_FINALIZE feature=8 = -EINVAL\n"},
	{IMPLICIT, "no REC, and 8 is nested virtualisation's",
	 REALM "ioctl vm1 KVM_CREATE_VCPU id=0x0 = vcpu0\n"
	       "ioctl vcpu0 KVM_ARM_VCPU_INIT target=5 features=0x104 = -EINVAL\n"
	       "ioctl vcpu0 KVM_ARM_VCPU_INIT target=5 features=0x204 = -ENOENT\n"
	       "ioctl vcpu0 KVM_ARM_VCPU_INIT target=5 features=0x4 = 0\n"
	       "ioctl vcpu0 KVM_ARM_VCPU_FINALIZE feature=8 = -EINVAL\n"
	       "ioctl vcpu0 KVM_ARM_VCPU_FINALIZE feature=9 = -EINVAL\n"},
	{FAKE_V7, FAKE_V11, "REC is a realm's feature, and does not change",
	 PLAIN "ioctl vm1 KVM_CREATE_VCPU id=0x0 = vcpu0\n"
	       "ioctl vcpu0 KVM_ARM_VCPU_INIT target=5 features=@F = -EINVAL\n"
	       "close vcpu0\n"
	       "ioctl kvm KVM_CREATE_VM type=@T = vm2\n"
	       "ioctl vm2 KVM_CREATE_VCPU id=0x0 = vcpu0\n" INIT_VCPU("@F")
		       INIT_VCPU("@F") "ioctl vcpu0 KVM_ARM_VCPU_INIT target=5 features=0x4 = "
				       "-EINVAL\n"},
	{FAKE_V7, FAKE_V11, "kvm_create_rec() needs the feature, PSCI 0.2, and an order",
	 REALM VCPU("0x4") CAP "CREATE = 0\n"
			       "ioctl vcpu0 KVM_ARM_VCPU_FINALIZE feature=@Z = -EINVAL\n"},
	{FAKE_V9, FAKE_V11, "kvm_create_rec() needs PSCI 0.2",
	 REALM VCPU("0x200") CAP "CREATE = 0\n"
				 "ioctl vcpu0 KVM_ARM_VCPU_FINALIZE feature=@Z = -EINVAL\n"},
	{FAKE_V7, FAKE_V11, "RECs are numbered in the order of their MPIDRs; a refusal is for ever",
	 REALM VCPU("@F") "ioctl vm1 KVM_CREATE_VCPU id=0x1 = vcpu1\n"
			  "ioctl vcpu1 KVM_ARM_VCPU_INIT target=5 features=@F = 0\n" CAP
			  "CREATE = 0\n"
			  "ioctl vcpu1 KVM_ARM_VCPU_FINALIZE feature=@Z = -ENXIO\n"
			  "ioctl vcpu0 KVM_ARM_VCPU_FINALIZE feature=@Z = 0\n"
			  "ioctl vcpu0 KVM_ARM_VCPU_FINALIZE feature=@Z = -EBUSY\n"
			  "ioctl vcpu1 KVM_ARM_VCPU_FINALIZE feature=@Z = -EBUSY\n"},
	{EVERY, "a vCPU that is not initialised can do nothing",
	 REALM "ioctl vm1 KVM_CREATE_VCPU id=0x0 = vcpu0\n"
	       "map vcpu0 size=0x1000 = 0\n" RUN "-ENOEXEC\n"
	       "ioctl vcpu0 KVM_ARM_VCPU_FINALIZE feature=8 = -ENOEXEC\n"
	       "ioctl vcpu0 KVM_SET_ONE_REG PC=0x80000000 = -ENOEXEC\n"},
	{FAKE_V5, FAKE_V5, "kvm_arm_set_reg(): what the RMM takes from a new REC",
	 REALM VCPU("@F") "ioctl vcpu0 KVM_SET_ONE_REG PC=0x80000000 = 0\n"
			  "ioctl vcpu0 KVM_SET_ONE_REG X7=0x1 = 0\n"
			  "ioctl vcpu0 KVM_SET_ONE_REG X8=0x1 = -EINVAL\n"
			  "ioctl vcpu0 KVM_SET_ONE_REG MMFR0=0x0 = -EINVAL\n"},
	{FAKE_V7, FAKE_POST_V16, "validate_realm_set_reg(): X0 to X30 and PC, for host calls",
	 REALM VCPU("@F") "ioctl vcpu0 KVM_SET_ONE_REG PC=0x80000000 = 0\n"
			  "ioctl vcpu0 KVM_SET_ONE_REG X30=0x1 = 0\n"
			  "ioctl vcpu0 KVM_SET_ONE_REG MMFR0=0x0 = -EINVAL\n"},
	{EVERY, "set_id_aa64dfr0_el1(): one or more of each, not more than the RMM has",
	 REALM VCPU("@F") "ioctl vcpu0 KVM_SET_ONE_REG DFR0=0x305000 = 0\n"
			  "ioctl vcpu0 KVM_SET_ONE_REG DFR0=0x306000 = -EINVAL\n"
			  "ioctl vcpu0 KVM_SET_ONE_REG DFR0=0x405000 = -EINVAL\n"
			  "ioctl vcpu0 KVM_SET_ONE_REG DFR0=0x300000 = -EINVAL\n"
			  "ioctl vcpu0 KVM_SET_ONE_REG DFR0=0x5000 = -EINVAL\n"
			  "ioctl vcpu0 KVM_SET_ONE_REG DFR0=0x101000 = 0\n"},
	{EXPLICIT, "set_id_reg(): once the realm exists it stays as it is",
	 REALM VCPU("@F") CAP "CREATE = 0\n"
			      "ioctl vcpu0 KVM_SET_ONE_REG DFR0=0x305000 = 0\n"
			      "ioctl vcpu0 KVM_SET_ONE_REG DFR0=0x101000 = -EBUSY\n"},
	{OF_FILE, "set_id_reg(): once the realm exists it stays as it is",
	 REALM MEMORY VCPU("@F") POPULATE " = 0\n"
					  "ioctl vcpu0 KVM_SET_ONE_REG DFR0=0x101000 = -EBUSY\n"},

	/* The explicit life-cycle: configure, create, contents, RECs, activate. */
	{EXPLICIT, "kvm_rme_config_realm(): two items, two hashes, before the realm is created",
	 REALM VCPU("@F") CAP "CONFIG item=2 = -EINVAL\n" CAP "CONFIG hash=2 = -EINVAL\n" CAP
			      "CONFIG hash=1 = 0\n" CAP "CONFIG hash=0 = 0\n" CAP
			      "CONFIG rpv=0xc0 = 0\n" CAP "CREATE = 0\n" CAP
			      "CONFIG hash=0 = -EBUSY\n" CAP "CONFIG rpv=0x00 = -EBUSY\n"},
	{EXPLICIT, "the RMM refuses a realm without a vCPU to size it by",
	 REALM CAP "CREATE = -ENXIO\n"},
	{EXPLICIT, "kvm_create_realm(), kvm_create_rec(), kvm_activate_realm(): in order, and once",
	 REALM VCPU("@F") RUN "-EPERM\n" CAP "ACTIVATE = -EINVAL\n"
			      "ioctl vcpu0 KVM_ARM_VCPU_FINALIZE feature=@Z = -ENOENT\n" CAP
			      "CREATE = 0\n" CAP "CREATE = -EEXIST\n" RUN "-EPERM\n"
			      "ioctl vcpu0 KVM_ARM_VCPU_FINALIZE feature=@Z = 0\n" RUN
			      "-EPERM\n" CAP "ACTIVATE = 0\n" CAP "ACTIVATE = -EINVAL\n" CAP
			      "CREATE = -EEXIST\n" CAP "CONFIG hash=0 = -EBUSY\n"
			      "ioctl vcpu0 KVM_ARM_VCPU_FINALIZE feature=@Z = -ENOENT\n" RUN
			      "-EOPNOTSUPP\n"},
	{EXPLICIT, "only the activation lets a vCPU in whose REC is there",
	 REALM VCPU("@F") GIC INIT_GIC CAP "CREATE = 0\n"
					   "ioctl vcpu0 KVM_ARM_VCPU_FINALIZE feature=@Z = 0\n" RUN
					   "-EPERM\n" CAP "ACTIVATE = 0\n" RUN "-EINTR\n"},
	{OLD_CODES, "contents before the realm, and after the activation",
	 REALM MEMORY VCPU("@F") CAP
	 "RIPAS base=0x80000000 size=0x200000 = -EINVAL\n" CAP
	 "POPULATE base=0x80000000 size=0x1000 flags=1 = -EINVAL\n" CAP "CREATE = 0\n"
	 "ioctl vcpu0 KVM_ARM_VCPU_FINALIZE feature=@Z = 0\n" CAP "ACTIVATE = 0\n" CAP
	 "RIPAS base=0x80000000 size=0x200000 = -EINVAL\n" CAP
	 "POPULATE base=0x80000000 size=0x1000 flags=1 = -EINVAL\n"},
	{NEW_CODES, "contents before the realm, and after the activation; which check comes first",
	 REALM MEMORY VCPU("@F") CAP
	 "RIPAS base=0x80000000 size=0x200000 = -EPERM\n" CAP
	 "RIPAS base=0xfffffffffffff000 size=0x2000 = -EINVAL\n" CAP
	 "POPULATE base=0x80000000 size=0x1000 flags=1 = -EPERM\n" CAP
	 "POPULATE base=0x80000800 size=0x1000 flags=1 = -EPERM\n" CAP "CREATE = 0\n"
	 "ioctl vcpu0 KVM_ARM_VCPU_FINALIZE feature=@Z = 0\n" CAP "ACTIVATE = 0\n" CAP
	 "RIPAS base=0x80000000 size=0x200000 = -EPERM\n" CAP
	 "POPULATE base=0x80000000 size=0x1000 flags=1 = -EPERM\n"},
	{EXPLICIT, "kvm_init_ipa_range_realm(): the RMM looks at alignment, KVM at overflow",
	 REALM MEMORY VCPU("@F") CAP "CREATE = 0\n" CAP
				     "RIPAS base=0x80000800 size=0x1000 = -ENXIO\n" CAP
				     "RIPAS base=0x80000000 size=0x800 = -ENXIO\n" CAP
				     "RIPAS base=0xfffffffffffff000 size=0x2000 = -EINVAL\n" CAP
				     "RIPAS base=0x80000000 size=0x200000 = 0\n" CAP
				     "RIPAS base=0x80000000 size=0x200000 = 0\n"},
	{OLD_CODES, "initial RIPAS of what is populated",
	 REALM MEMORY VCPU("@F") CAP "CREATE = 0\n" CAP
				     "POPULATE base=0x80000000 size=0x1000 flags=1 = 0\n" CAP
				     "RIPAS base=0x80000000 size=0x200000 = -ENXIO\n" CAP
				     "RIPAS base=0x80001000 size=0x1ff000 = 0\n"},
	{NEW_CODES, "ripas_change(): initial RIPAS of what is populated",
	 REALM MEMORY VCPU("@F") CAP "CREATE = 0\n" CAP
				     "POPULATE base=0x80000000 size=0x1000 flags=1 = 0\n" CAP
				     "RIPAS base=0x80000000 size=0x200000 = -EINVAL\n" CAP
				     "RIPAS base=0x80001000 size=0x1ff000 = 0\n"},
	{EXPLICIT, "kvm_populate_realm(): whole pages of one slot, each once, and one flag",
	 REALM MEMORY VCPU("@F") CAP
	 "CREATE = 0\n" CAP "POPULATE base=0x80000800 size=0x1000 flags=1 = -EINVAL\n" CAP
	 "POPULATE base=0x80000000 size=0x1800 flags=1 = -EINVAL\n" CAP
	 "POPULATE base=0x80000000 size=0x1000 flags=2 = -EINVAL\n" CAP
	 "POPULATE base=0xfffffffffffff000 size=0x2000 flags=1 = -EINVAL\n" CAP
	 "POPULATE base=0x70000000 size=0x1000 flags=1 = -EFAULT\n" CAP
	 "POPULATE base=0x801ff000 size=0x2000 flags=1 = -EINVAL\n" CAP
	 "POPULATE base=0x80000000 size=0x1000 flags=1 = 0\n" CAP
	 "POPULATE base=0x80001000 size=0x1000 flags=0 = 0\n" CAP
	 "POPULATE base=0x80000000 size=0x1000 flags=1 = -ENXIO\n" CAP
	 "POPULATE base=0x80001000 size=0x2000 flags=0 = -ENXIO\n"},
	{OLD_CODES, "population of a slot without guest_memfd",
	 REALM SLOT("0") VCPU("@F") CAP "CREATE = 0\n" CAP
					"POPULATE base=0x80000000 size=0x1000 flags=0 = -EINVAL\n"},
	{NEW_CODES, "populate_region(): a slot without guest_memfd",
	 REALM SLOT("0") VCPU("@F") CAP "CREATE = 0\n" CAP
					"POPULATE base=0x80000000 size=0x1000 flags=0 = -EPERM\n"},

	/* The implicit life-cycle: contents. */
	{IMPLICIT, "kvm_arm_rmi_populate(): the arguments come before the state",
	 REALM MEMORY VCPU("0x0") GIC INIT_GIC POPULATE
	 " reserved=1 = -EINVAL\n"
	 "ioctl vm1 @P base=0x80000000 size=0x1000 flags=2 = -EINVAL\n"
	 "ioctl vm1 @P base=0x80000800 size=0x1000 flags=1 = -EINVAL\n"
	 "ioctl vm1 @P base=0x80000000 size=0x1800 flags=1 = -EINVAL\n"},
	{IMPLICIT, "and are wrong afterwards, too, where the state would be EBUSY",
	 REALM MEMORY VCPU("@F") GIC INIT_GIC RUN "-EINTR\n" POPULATE
						  " reserved=1 = -EINVAL\n" POPULATE " = -EBUSY\n"},
	{FAKE_V13, FAKE_POST_V16, "the source is whole pages, too",
	 REALM MEMORY POPULATE " source+0x800 = -EINVAL\n"},
	{FAKE_V12, FAKE_V12, "get_user_pages(): no source is no memory of the caller",
	 REALM MEMORY PRIVATE POPULATE " source=0x0 = -EFAULT\n"},
	{FAKE_V13, FAKE_V14, "populate_region_cb(): no source is no way to populate",
	 REALM MEMORY PRIVATE POPULATE " source=0x0 = -EOPNOTSUPP\n"},
	{OF_FILE, "no source is a wrong argument", REALM MEMORY POPULATE " source=0x0 = -EINVAL\n"},
	{OF_VM, "a source that is not mapped",
	 REALM MEMORY PRIVATE POPULATE " source=0x1000 = -EFAULT\n"},
	{OF_FILE, "a source that is not mapped",
	 REALM MEMORY POPULATE " source=0x1000 = -EFAULT\n"},
	{OF_VM, "kvm_gmem_populate(): only what is private, as far as it goes",
	 REALM MEMORY POPULATE " = -EINVAL\n" ATTRIBUTE
			       "at=0x80000000 size=0x2000 attributes=8 = 0\n" ATTRIBUTE
			       "at=0x80001000 size=0x1000 attributes=0 = 0\n"
			       "ioctl vm1 @P base=0x80001000 size=0x1000 flags=1 = -EINVAL\n"},
	{FAKE_V12, FAKE_V12, "a part is the bytes done",
	 REALM MEMORY ATTRIBUTE "at=0x80000000 size=0x1000 attributes=8 = 0\n"
				"ioctl vm1 @P base=0x80000000 size=0x2000 flags=1 = 4096\n" PRIVATE
				"ioctl vm1 @P base=0x80001000 size=0x3000 flags=1 = 12288\n"},
	{FAKE_V13, FAKE_V14, "a part is 0, too",
	 REALM MEMORY ATTRIBUTE "at=0x80000000 size=0x1000 attributes=8 = 0\n"
				"ioctl vm1 @P base=0x80000000 size=0x2000 flags=1 = 0\n"
				"ioctl vm1 @P base=0x80001000 size=0x1000 flags=1 = -EINVAL\n"},
	{FAKE_V12, FAKE_V12, "kvm_gmem_populate() knows what is filled",
	 REALM MEMORY PRIVATE POPULATE " = 4096\n" POPULATE " = -EEXIST\n"},
	{FAKE_V13, FAKE_V14, "the RMM knows what is filled",
	 REALM MEMORY PRIVATE POPULATE " = 0\n" POPULATE " = -ENXIO\n"},
	{OF_FILE, "the RMM knows what is filled",
	 REALM MEMORY POPULATE " = 0\n" POPULATE " = -ENXIO\n"},
	{FAKE_V12, FAKE_V12, "a slot's end is where it ends",
	 REALM MEMORY PRIVATE "ioctl vm1 @P base=0x801ff000 size=0x2000 flags=1 = 4096\n"
			      "ioctl vm1 @P base=0x80200000 size=0x1000 flags=1 = -EINVAL\n"},
	{FAKE_V13, FAKE_V14, "a slot's end is where it ends",
	 REALM MEMORY PRIVATE "ioctl vm1 @P base=0x801ff000 size=0x2000 flags=1 = 0\n"
			      "ioctl vm1 @P base=0x80200000 size=0x1000 flags=1 = -EINVAL\n"},
	{IMPLICIT, "no slot, one without guest_memfd, the shared alias, the end of all addresses",
	 REALM SLOT("0") POPULATE
	 " = -EINVAL\n"
	 "ioctl vm1 @P base=0x70000000 size=0x1000 flags=1 = -EINVAL\n"
	 "ioctl vm1 @P base=0x180000000 size=0x1000 flags=1 = -EINVAL\n"
	 "ioctl vm1 @P base=0xfffffffffffff000 size=0x2000 flags=1 = -EINVAL\n"},

	/* The implicit life-cycle: the seal. */
	{FAKE_V12, FAKE_V12, "kvm_activate_realm(): no GIC is found too late, and dead is for ever",
	 REALM MEMORY VCPU("@F") PRIVATE RUN "-EOPNOTSUPP\n" RUN "-ENXIO\n" GIC INIT_GIC RUN
					     "-ENXIO\n" ENTER "-ENXIO\n" POPULATE " = -ENXIO\n"},
	{FAKE_V13, FAKE_POST_V16, "kvm_activate_realm(): no GIC is found before anything is done",
	 REALM MEMORY VCPU("@F") RUN "-EOPNOTSUPP\n" GIC INIT_GIC RUN "-EINTR\n" POPULATE
				     " = -EBUSY\n"},
	{FAKE_V12, FAKE_V12, "an activation that failed, of a vCPU without PSCI 0.2",
	 REALM MEMORY VCPU("0x0") GIC INIT_GIC RUN "-EINVAL\n" RUN "-ENXIO\n" ENTER
						   "-ENXIO\n" POPULATE " = -ENXIO\n"},
	{FAKE_V13, FAKE_V15, "a dead realm: immediate_exit comes before kvm_rec_pre_enter()",
	 REALM MEMORY VCPU("0x0") GIC INIT_GIC RUN "-EINVAL\n" RUN "-EINTR\n" ENTER
						   "-EINVAL\n" POPULATE " = -ENXIO\n"},
	{FAKE_V16, FAKE_POST_V16, "kvm_vm_dead(): no request is answered",
	 REALM MEMORY VCPU("0x0") GIC INIT_GIC RUN "-EINVAL\n" RUN "-EIO\n" ENTER "-EIO\n" POPULATE
						   " = -EIO\n"
						   "ioctl vm1 KVM_CREATE_VCPU id=0x1 = -EIO\n"},
	{FAKE_V5, FAKE_V5, "a GIC that is not ready is lost",
	 REALM VCPU("@F") GIC CAP "CREATE = 0\n"
				  "ioctl vcpu0 KVM_ARM_VCPU_FINALIZE feature=8 = 0\n" CAP
				  "ACTIVATE = 0\n" RUN "-EBUSY\n" INIT_GIC RUN "-ENXIO\n"},
	{FAKE_V12, FAKE_V15, "a GIC that is not ready is lost, and the VM with it",
	 REALM VCPU("@F") GIC RUN "-EBUSY\n" RUN "-EIO\n"
				  "ioctl gic KVM_SET_DEVICE_ATTR group=4 attr=0 = -EIO\n"
				  "ioctl vm1 KVM_CREATE_VCPU id=0x1 = -EIO\n"},
	{FAKE_V16, FAKE_POST_V16, "vgic_initialized() is asked first, and can be made true",
	 REALM VCPU("@F") GIC RUN "-ENODEV\n" INIT_GIC RUN "-EINTR\n"},

	/* Attributes. */
	{FAKE_V5, FAKE_V14, "kvm_vm_ioctl_set_mem_attributes(): whole pages, one attribute",
	 REALM MEMORY ATTRIBUTE "at=0x80000800 size=0x1000 attributes=8 = -EINVAL\n" ATTRIBUTE
				"at=0x80000000 size=0x1800 attributes=8 = -EINVAL\n" ATTRIBUTE
				"at=0x80000000 size=0x0 attributes=8 = -EINVAL\n" ATTRIBUTE
				"at=0x80000000 size=0x1000 attributes=1 = -EINVAL\n" ATTRIBUTE
				"at=0x80000000 size=0x1000 attributes=9 = -EINVAL\n" PRIVATE},
	{OF_FILE, "a guest_memfd: whole pages of it, one attribute; it begins private",
	 REALM MEMORY ATTRIBUTE
	 "at=0x80000000 size=0x1000 attributes=8 = -EINVAL\n" OF_GMEM
	 "at=0x800 size=0x1000 attributes=8 = -EINVAL\n" OF_GMEM
	 "at=0x0 size=0x0 attributes=8 = -EINVAL\n" OF_GMEM
	 "at=0x200000 size=0x1000 attributes=8 = -EINVAL\n" OF_GMEM
	 "at=0x0 size=0x1000 attributes=1 = -EINVAL\n" OF_GMEM
	 "at=0x1000 size=0x1000 attributes=0 = 0\n"
	 "ioctl vm1 @P base=0x80001000 size=0x1000 flags=1 = -EINVAL\n" POPULATE " = 0\n"
	 "punch gmem offset=0x800 size=0x1000 = -EINVAL\n"
	 "punch gmem offset=0x0 size=0x1000 = 0\n"},
};

static void test_rules(void **state)
{
	char trace[4096], why[256];

	(void)state;
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		for (enum fake_generation j = rules[i].first; j <= rules[i].last; j++) {
			const struct fake_realm_host host = {.generation = j};
			const char *misuse;

			translate(&dialects[j], rules[i].trace, trace, sizeof(trace));
			fake_realm_begin(&host);
			if (fake_realm_replay(trace, why))
				fail_msg("%s, \"%s\": %s", fake_generation_name(j), rules[i].fact,
					 why);
			misuse = fake_kvm_misuse();
			fake_kvm_end();
			if (misuse)
				fail_msg("%s, \"%s\": %s", fake_generation_name(j), rules[i].fact,
					 misuse);
		}
	}
}

/* Rules are about differences: none that holds for a part of a family holds for all of it. */
static void test_rules_tell_apart(void **state)
{
	static const struct {
		enum fake_generation of, not_of;
	} pairs[] = {{FAKE_V5, FAKE_V7},   {FAKE_V7, FAKE_V8},   {FAKE_V8, FAKE_V9},
		     {FAKE_V10, FAKE_V11}, {FAKE_V11, FAKE_V12}, {FAKE_V12, FAKE_V13},
		     {FAKE_V13, FAKE_V14}, {FAKE_V14, FAKE_V15}, {FAKE_V15, FAKE_V16}};
	char trace[4096], why[256];

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		const struct fake_realm_host host = {.generation = pairs[i].not_of};
		unsigned nr_different = 0;

		for (size_t j = 0; j < sizeof(rules) / sizeof(rules[0]); j++) {
			if (rules[j].first > pairs[i].of || rules[j].last < pairs[i].of)
				continue;
			/* In the other one's words, so that no number alone is the difference. */
			translate(&dialects[pairs[i].not_of], rules[j].trace, trace, sizeof(trace));
			fake_realm_begin(&host);
			nr_different += fake_realm_replay(trace, why) != 0;
			fake_kvm_misuse();
			fake_kvm_end();
		}
		if (nr_different == 0)
			fail_msg("no rule tells %s from %s", fake_generation_name(pairs[i].of),
				 fake_generation_name(pairs[i].not_of));
	}
}

/* kvm_arch_init_vm(): what a kernel without an RMM says. v12 and v13 do not tell it any more. */
static void test_no_rmm(void **state)
{
	static const char *const answers[FAKE_UPSTREAM] = {
		[FAKE_V5] = "-EINVAL",  [FAKE_V7] = "-EPERM",   [FAKE_V8] = "-EPERM",
		[FAKE_V9] = "-EPERM",   [FAKE_V10] = "-EPERM",  [FAKE_V11] = "-EPERM",
		[FAKE_V12] = "-EINVAL", [FAKE_V13] = "-EINVAL", [FAKE_V14] = "-EINVAL",
		[FAKE_V15] = "-EINVAL", [FAKE_V16] = "-EINVAL", [FAKE_POST_V16] = "-EINVAL",
	};
	char trace[256], why[256];

	(void)state;
	for (enum fake_generation i = 0; i < FAKE_UPSTREAM; i++) {
		const struct fake_realm_host host = {.generation = i, .has_no_rmm = true};

		snprintf(trace, sizeof(trace),
			 OPEN "ioctl kvm KVM_CREATE_VM type=%s = %s\n"
			      "ioctl kvm KVM_CHECK_EXTENSION %s = 0\n",
			 dialects[i].type, answers[i], dialects[i].cap);
		fake_realm_begin(&host);
		if (fake_realm_replay(trace, why))
			fail_msg("%s: %s", fake_generation_name(i), why);
		fake_kvm_end();
	}
}

/* What the kernel would do silently, or worse, and nobody can want. */
static void test_misuses(void **state)
{
	static const struct {
		enum fake_generation first, last;
		const char *trace, *misuse;
	} cases[] = {
		{OF_VM,
		 REALM MEMORY PRIVATE "ioctl vm1 @P base=0x80000000 size=0x0 flags=0 = -EINVAL\n",
		 "a populate of nothing"},
		{FAKE_V16, FAKE_POST_V16,
		 REALM MEMORY "ioctl vm1 @P base=0x80000000 size=0x0 flags=0 = 0\n",
		 "a populate of nothing"},
		{FAKE_V12, FAKE_V12, REALM MEMORY PRIVATE POPULATE " source+0x800 = 4096\n",
		 "a source that is no page: v12 populates what is around it"},
		{FAKE_V5, FAKE_V5,
		 REALM VCPU("@F") CAP "CREATE = 0\n"
				      "ioctl vcpu0 KVM_ARM_VCPU_FINALIZE feature=8 = 0\n"
				      "ioctl vcpu0 KVM_ARM_VCPU_FINALIZE feature=8 = -ENXIO\n",
		 "a second REC for vCPU 0, which breaks v5's host"},
		{EXPLICIT, REALM VCPU("@F") CAP "CREATE = 0\n" CAP "ACTIVATE = 0\n",
		 "activated while vCPU 0 has no REC: it can get none any more"},
		{EXPLICIT,
		 REALM MEMORY VCPU("@F") CAP "CREATE = 0\n" CAP
					     "RIPAS base=0x70000000 size=0x1000 = 0\n",
		 "RIPAS RAM where there is no RAM: 0x70000000"},
		{EVERY,
		 REALM "ioctl vm1 KVM_CREATE_GUEST_MEMFD size=0x200000 flags=0 = gmem\n"
		       "ioctl vm1 KVM_SET_USER_MEMORY_REGION2 slot=0 flags=4 gpa=0x100000000 "
		       "size=0x200000 = 0\n",
		 "a slot where shared aliases are: 0x100000000"},
		{OF_FILE,
		 REALM MEMORY POPULATE " = 0\n" OF_GMEM "at=0x0 size=0x1000 attributes=0 = 0\n"
				       "punch gmem offset=0x0 size=0x1000 = 0\n",
		 "a hole in shared pages that the RMM still has: 0x80000000"},
	};
	char trace[4096], why[256];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (enum fake_generation j = cases[i].first; j <= cases[i].last; j++) {
			const struct fake_realm_host host = {.generation = j};
			const char *misuse;

			translate(&dialects[j], cases[i].trace, trace, sizeof(trace));
			fake_realm_begin(&host);
			if (fake_realm_replay(trace, why))
				fail_msg("%s: %s", fake_generation_name(j), why);
			misuse = fake_kvm_misuse();
			assert_non_null(misuse);
			assert_string_equal(misuse, cases[i].misuse);
			fake_kvm_end();
		}
	}
}

/* Numbers as the kernel's macros make them, of a direction and a structure's size. */
static void test_numbers(void **state)
{
	static const struct {
		unsigned long number, made;
		size_t size, wanted;
	} requests[] = {
		{KVM_REALM_CREATE_GUEST_MEMFD,
		 _IOWR(0xae, 0xd4, struct kvm_realm_create_guest_memfd),
		 sizeof(struct kvm_realm_create_guest_memfd), 64},
		{KVM_REALM_SET_MEMORY_REGION2, _IOW(0xae, 0x49, struct kvm_realm_memory_region2),
		 sizeof(struct kvm_realm_memory_region2), 160},
		{KVM_REALM_SET_ATTRIBUTES, _IOW(0xae, 0xd2, struct kvm_realm_attributes),
		 sizeof(struct kvm_realm_attributes), 32},
		{KVM_REALM_SET_ATTRIBUTES2, _IOWR(0xae, 0xd2, struct kvm_realm_attributes2),
		 sizeof(struct kvm_realm_attributes2), 128},
		{KVM_REALM_POPULATE_V12, _IOW(0xae, 0xd7, struct kvm_realm_populate_from),
		 sizeof(struct kvm_realm_populate_from), 32},
		{KVM_REALM_POPULATE_V13, _IOWR(0xae, 0xd7, struct kvm_realm_populate_from),
		 sizeof(struct kvm_realm_populate_from), 32},
		{KVM_REALM_UNKNOWN_W, _IOW(0xae, 0xd8, uint64_t[8]), sizeof(uint64_t[8]), 64},
		{KVM_REALM_UNKNOWN_RW, _IOWR(0xae, 0xd8, uint64_t[8]), sizeof(uint64_t[8]), 64},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		assert_int_equal(requests[i].number, requests[i].made);
		assert_int_equal(requests[i].size, requests[i].wanted);
	}
	assert_int_equal(sizeof(struct kvm_realm_config), 260);
	assert_int_equal(offsetof(struct kvm_realm_config, rpv), 4);
	assert_int_equal(offsetof(struct kvm_realm_config, hash_algo), 4);
	assert_int_equal(sizeof(struct kvm_realm_init_ripas), 32);
	assert_int_equal(sizeof(struct kvm_realm_populate), 32);
	assert_int_equal(offsetof(struct kvm_realm_populate, flags), 16);
	assert_int_equal(offsetof(struct kvm_realm_populate_from, source_uaddr), 16);
	assert_int_equal(offsetof(struct kvm_realm_populate_from, flags), 24);
	assert_int_equal(offsetof(struct kvm_realm_populate_from, reserved), 28);
	assert_int_equal(offsetof(struct kvm_realm_memory_region2, guest_memfd_offset), 32);
	assert_int_equal(offsetof(struct kvm_realm_memory_region2, guest_memfd), 40);
	assert_int_equal(offsetof(struct kvm_realm_attributes2, error_offset), 32);
	assert_int_equal(offsetof(struct kvm_realm_memory_fault, size), 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules),   cmocka_unit_test(test_rules_tell_apart),
		cmocka_unit_test(test_no_rmm),  cmocka_unit_test(test_misuses),
		cmocka_unit_test(test_numbers),
	};

	log_init(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
