/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is asked of KVM for a realm, in which order, on each generation of its interface; and that
 * the hosts of tests/fake answer as those did that could be recorded.
 *
 * Traces recorded on real hosts have the same form (see fake_realm_replay()).
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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../fake/fake_realm_vm.h"
#include "ccr/log.h"

#define HEAP (FAKE_REALM_RAM + 0x1000000)
#define PAGE GRANULE_SIZE

#define MAX_TRACE (64 * 1024)

/* Launch. The pieces of a trace that depend on nothing, and those that do. */

#define OPEN                                                   \
	"open /dev/kvm = kvm\n"                                \
	"ioctl kvm KVM_GET_API_VERSION = 12\n"                 \
	"ioctl kvm KVM_CHECK_EXTENSION MAX_VCPUS = 512\n"      \
	"ioctl kvm KVM_CHECK_EXTENSION ARM_VM_IPA_SIZE = 48\n" \
	"ioctl kvm KVM_CHECK_EXTENSION IMMEDIATE_EXIT = 1\n"   \
	"ioctl kvm KVM_CHECK_EXTENSION ARM_INJECT_EXT_DABT = 1\n"

#define PROBE_V1                                              \
	"ioctl kvm KVM_CREATE_VM type=0x40000021 = -EINVAL\n" \
	"ioctl kvm KVM_CREATE_VM type=0x121 = vm1\n"

#define PROBE_V14 "ioctl kvm KVM_CREATE_VM type=0x40000021 = vm1\n"

#define NOT_IMPLICIT                                      \
	"ioctl vm1 KVM_ARM_RMI_POPULATE NULL = -EINVAL\n" \
	"ioctl vm1 KVM_ARM_RMI_POPULATE_V12 NULL = -EINVAL\n"

#define PROBE_VCPU                                   \
	"ioctl vm1 KVM_CREATE_VCPU id=0x0 = vcpu0\n" \
	"ioctl vm1 KVM_ARM_PREFERRED_TARGET = 0\n"

#define REC_NONE                                                            \
	"ioctl vcpu0 KVM_ARM_VCPU_INIT target=5 features=0x204 = -ENOENT\n" \
	"ioctl vcpu0 KVM_ARM_VCPU_INIT target=5 features=0x104 = -ENOENT\n" \
	"ioctl vcpu0 KVM_ARM_VCPU_INIT target=5 features=0x4 = 0\n"

#define REC_8                                                               \
	"ioctl vcpu0 KVM_ARM_VCPU_INIT target=5 features=0x204 = -ENOENT\n" \
	"ioctl vcpu0 KVM_ARM_VCPU_INIT target=5 features=0x104 = 0\n"

#define REC_9 "ioctl vcpu0 KVM_ARM_VCPU_INIT target=5 features=0x204 = 0\n"

#define EXPLICIT_END                              \
	"close vcpu0\n"                           \
	"ioctl vm1 KVM_CHECK_EXTENSION 234 = 1\n" \
	"close vm1\n"

#define IMPLICIT_END(attributes)                               \
	"ioctl vm1 KVM_CHECK_EXTENSION 234 = 1\n"              \
	"ioctl vm1 KVM_CHECK_EXTENSION 233 = " attributes "\n" \
	"close vm1\n"

/* Requests after those of v16, in both directions. */
#define UNKNOWN(number)                             \
	"ioctl vm1 0x4040aed" number " = -EINVAL\n" \
	"ioctl vm1 0xc040aed" number " = -EINVAL\n"

#define IMPLICIT_GMEM_END                                                                \
	"ioctl vm1 KVM_CHECK_EXTENSION 234 = 1\n"                                        \
	"ioctl vm1 KVM_CHECK_EXTENSION 233 = 0\n" UNKNOWN("8") UNKNOWN("9") UNKNOWN("a") \
		UNKNOWN("b") UNKNOWN("c") UNKNOWN("d") UNKNOWN("e") UNKNOWN("f") "close vm1\n"

#define CREATE(type)                                \
	"ioctl kvm KVM_GET_VCPU_MMAP_SIZE = 4096\n" \
	"ioctl kvm KVM_CREATE_VM type=" type " = vm2\n"

#define NISV                                                   \
	"ioctl vm2 KVM_CHECK_EXTENSION ARM_NISV_TO_USER = 1\n" \
	"ioctl vm2 KVM_ENABLE_CAP ARM_NISV_TO_USER = 0\n"

#define NO_NISV "ioctl vm2 KVM_CHECK_EXTENSION ARM_NISV_TO_USER = 0\n"

#define VCPUS(first, second)                                                                       \
	"ioctl vm2 KVM_CREATE_GUEST_MEMFD size=0x8000000 flags=0 = gmem\n"                         \
	"ioctl vm2 KVM_SET_USER_MEMORY_REGION2 slot=0 flags=4 gpa=0x80000000 size=0x8000000 = 0\n" \
	"ioctl vm2 KVM_CREATE_VCPU id=0x0 = vcpu0\n"                                               \
	"map vcpu0 size=0x1000 = 0\n"                                                              \
	"ioctl vm2 KVM_ARM_PREFERRED_TARGET = 0\n"                                                 \
	"ioctl vcpu0 KVM_ARM_VCPU_INIT target=5 features=" first " = 0\n"                          \
	"ioctl vm2 KVM_CREATE_VCPU id=0x1 = vcpu1\n"                                               \
	"map vcpu1 size=0x1000 = 0\n"                                                              \
	"ioctl vm2 KVM_ARM_PREFERRED_TARGET = 0\n"                                                 \
	"ioctl vcpu1 KVM_ARM_VCPU_INIT target=5 features=" second " = 0\n"

#define GIC                                                                         \
	"ioctl vm2 KVM_CREATE_DEVICE type=7 = 0\n"                                  \
	"ioctl gic KVM_SET_DEVICE_ATTR group=3 attr=0 value=128 = 0\n"              \
	"ioctl gic KVM_SET_DEVICE_ATTR group=0 attr=2 value=0x3fff0000 = 0\n"       \
	"ioctl gic KVM_SET_DEVICE_ATTR group=0 attr=5 value=0x2000003ffb0000 = 0\n" \
	"ioctl gic KVM_SET_DEVICE_ATTR group=4 attr=0 = 0\n"                        \
	"ioctl vm2 KVM_CREATE_DEVICE type=8 = 0\n"                                  \
	"ioctl its KVM_SET_DEVICE_ATTR group=0 attr=4 value=0x3ff90000 = 0\n"       \
	"ioctl its KVM_SET_DEVICE_ATTR group=4 attr=0 = 0\n"                        \
	"ioctl vm2 KVM_CHECK_EXTENSION IRQFD = 1\n"                                 \
	"ioctl vm2 KVM_CHECK_EXTENSION IRQ_ROUTING = 4096\n"

#define ENTRY                                             \
	"ioctl vcpu0 KVM_SET_ONE_REG PC=0x80000200 = 0\n" \
	"ioctl vcpu0 KVM_SET_ONE_REG X0=0x80400000 = 0\n" \
	"ioctl vcpu0 KVM_SET_ONE_REG X1=0x1 = 0\n"        \
	"ioctl vcpu0 KVM_SET_ONE_REG X2=0x2 = 0\n"        \
	"ioctl vcpu0 KVM_SET_ONE_REG X3=0x3 = 0\n"        \
	"ioctl vcpu0 KVM_SET_ONE_REG X4=0x4 = 0\n"        \
	"ioctl vcpu0 KVM_SET_ONE_REG X5=0x5 = 0\n"        \
	"ioctl vcpu0 KVM_SET_ONE_REG X6=0x6 = 0\n"        \
	"ioctl vcpu0 KVM_SET_ONE_REG X7=0x7 = 0\n"        \
	"ioctl vcpu0 KVM_GET_ONE_REG DFR0 = 0\n"

#define PRIVATE \
	"ioctl vm2 KVM_SET_MEMORY_ATTRIBUTES at=0x80000000 size=0x8000000 attributes=8 = 0\n"

#define BUILD_EXPLICIT(cap, rec)                                                              \
	PRIVATE                                                                               \
	"ioctl vm2 KVM_ENABLE_CAP " cap " CONFIG rpv=0x00 = 0\n"                              \
	"ioctl vm2 KVM_ENABLE_CAP " cap " CONFIG hash=0 = 0\n"                                \
	"ioctl vm2 KVM_ENABLE_CAP " cap " CREATE = 0\n"                                       \
	"ioctl vm2 KVM_ENABLE_CAP " cap " RIPAS base=0x80000000 size=0x8000000 = 0\n"         \
	"ioctl vm2 KVM_ENABLE_CAP " cap " POPULATE base=0x80000000 size=0x5000 flags=1 = 0\n" \
	"ioctl vcpu0 KVM_ARM_VCPU_FINALIZE feature=" rec " = 0\n"                             \
	"ioctl vcpu1 KVM_ARM_VCPU_FINALIZE feature=" rec " = 0\n"                             \
	"ioctl vm2 KVM_ENABLE_CAP " cap " POPULATE base=0x80400000 size=0x1000 flags=0 = 0\n" \
	"ioctl vm2 KVM_ENABLE_CAP " cap " ACTIVATE = 0\n"

#define BUILD_IMPLICIT                                                             \
	"ioctl vm2 KVM_ARM_RMI_POPULATE base=0x80000000 size=0x5000 flags=1 = 0\n" \
	"ioctl vm2 KVM_ARM_RMI_POPULATE base=0x80400000 size=0x1000 flags=0 = 0\n" \
	"ioctl vcpu0 KVM_RUN = -EINTR\n"                                           \
	"ioctl vm2 KVM_ARM_RMI_POPULATE base=0x80000000 size=0x1000 flags=0 = -EBUSY\n"

#define CLOSE           \
	"unmap vcpu0\n" \
	"close vcpu0\n" \
	"unmap vcpu1\n" \
	"close vcpu1\n" \
	"close its\n"   \
	"close gic\n"   \
	"close gmem\n"  \
	"close vm2\n"   \
	"close kvm\n"

#define EXPLICIT(tries, rec, nisv, first, second, cap, finalize)                       \
	OPEN PROBE_V1 NOT_IMPLICIT tries                                               \
		"ioctl vm1 KVM_ENABLE_CAP " cap                                        \
		" CONFIG = -EFAULT\n" PROBE_VCPU rec EXPLICIT_END CREATE("0x121") nisv \
		VCPUS(first, second)                                                   \
	GIC ENTRY BUILD_EXPLICIT(cap, finalize) CLOSE

#define V14_ON(end, private_ram)                                                                  \
	OPEN PROBE_V14 "ioctl vm1 KVM_ARM_RMI_POPULATE NULL = -EFAULT\n" end CREATE("0x40000021") \
		NO_NISV VCPUS("0x4", "0x5") GIC ENTRY private_ram BUILD_IMPLICIT CLOSE

/* Numbers that mean something else on these kernels are tried, and refused. */
#define TRY_300 "ioctl vm1 KVM_ENABLE_CAP 300 CONFIG = -EINVAL\n"
#define TRY_244 "ioctl vm1 KVM_ENABLE_CAP 244 CONFIG = -EINVAL\n"
#define TRY_243 "ioctl vm1 KVM_ENABLE_CAP 243 CONFIG = -EINVAL\n"
#define TRY_240 "ioctl vm1 KVM_ENABLE_CAP 240 CONFIG = -EINVAL\n"

static const char *const launches[FAKE_NR_REALM_GENERATIONS] = {
	[FAKE_V5] = EXPLICIT("", REC_NONE, NISV, "0x4", "0x5", "300", "8"),
	[FAKE_V7] = EXPLICIT("", REC_8, NISV, "0x104", "0x105", "300", "8"),
	[FAKE_V8] = EXPLICIT(TRY_300 TRY_244 TRY_243, REC_8, NISV, "0x104", "0x105", "240", "8"),
	[FAKE_V9] = EXPLICIT(TRY_300 TRY_244, REC_9, NISV, "0x204", "0x205", "243", "9"),
	[FAKE_V10] = EXPLICIT(TRY_300, REC_9, NISV, "0x204", "0x205", "244", "9"),
	[FAKE_V11] = EXPLICIT(TRY_300 TRY_244 TRY_243 TRY_240, REC_9, NO_NISV, "0x204", "0x205",
			      "245", "9"),
	[FAKE_V12] = OPEN PROBE_V1
	"ioctl vm1 KVM_ARM_RMI_POPULATE NULL = -EINVAL\n"
	"ioctl vm1 KVM_ARM_RMI_POPULATE_V12 NULL = -EFAULT\n" IMPLICIT_END("8") CREATE("0x121")
		NO_NISV VCPUS("0x4", "0x5") GIC ENTRY PRIVATE
	"ioctl vm2 KVM_ARM_RMI_POPULATE_V12 base=0x80000000 size=0x5000 flags=1 = 20480\n"
	"ioctl vm2 KVM_ARM_RMI_POPULATE_V12 base=0x80400000 size=0x1000 flags=0 = 4096\n"
	"ioctl vcpu0 KVM_RUN = -EINTR\n"
	"ioctl vm2 KVM_ARM_RMI_POPULATE_V12 base=0x80000000 size=0x1000 flags=0 = -EBUSY\n" CLOSE,
	[FAKE_V13] = OPEN PROBE_V1
	"ioctl vm1 KVM_ARM_RMI_POPULATE NULL = -EFAULT\n" IMPLICIT_END("8") CREATE("0x121")
		NO_NISV VCPUS("0x4", "0x5") GIC ENTRY PRIVATE BUILD_IMPLICIT CLOSE,
	[FAKE_V14] = V14_ON(IMPLICIT_END("8"), PRIVATE),
	[FAKE_V15] = V14_ON(IMPLICIT_GMEM_END, ""),
	[FAKE_V16] = V14_ON(IMPLICIT_GMEM_END, ""),
};

static struct fake_realm_vm *vm;

static int begin(void **state)
{
	(void)state;
	vm = malloc(sizeof(*vm));
	return vm ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	free(vm);
	return 0;
}

static void start(enum fake_generation generation, struct fake_guest_op *ops)
{
	const struct fake_realm_host host = {.generation = generation};

	fake_realm_begin(&host);
	if (ops)
		fake_realm_set_guest(0, ops);
	fake_realm_vm_prepare(vm, 2);
	if (fake_realm_vm_launch(vm))
		fail_msg("%s: %s", fake_generation_name(generation), vm->err.msg);
}

static void test_launch(void **state)
{
	(void)state;
	for (enum fake_generation i = 0; i < FAKE_NR_REALM_GENERATIONS; i++) {
		start(i, NULL);
		fake_realm_vm_done(vm);
		assert_string_equal(fake_kvm_trace(), launches[i]);
		fake_kvm_end();
	}
}

/* Changes at run time. */

static void assert_change(enum fake_generation generation, const char *expected)
{
	struct fake_guest_op ops[] = {
		{.kind = FAKE_GUEST_PRIVATE, .at = HEAP},
		{.kind = FAKE_GUEST_RIPAS,
		 .at = HEAP,
		 .size = 2 * PAGE,
		 .change_destroyed = generation >= FAKE_V15},
		{.kind = FAKE_GUEST_SHARED, .at = HEAP},
		{.kind = FAKE_GUEST_RIPAS, .at = HEAP, .size = PAGE, .to_ram = true},
		{.kind = FAKE_GUEST_OFF},
	};
	size_t before;

	start(generation, ops);
	before = strlen(fake_kvm_trace());
	assert_int_equal(fake_realm_vm_run(vm, 0), VCPU_EXIT_POWEROFF);
	assert_string_equal(fake_kvm_trace() + before, expected);
	fake_realm_vm_done(vm);
	fake_kvm_end();
}

#define RUN(result) "ioctl vcpu0 KVM_RUN = " result "\n"

#define OF_VM(size, attributes)                                                                  \
	"ioctl vm2 KVM_SET_MEMORY_ATTRIBUTES at=0x81000000 size=" size " attributes=" attributes \
	" = 0\n"
#define OF_GMEM(size, attributes)                                                                 \
	"ioctl gmem KVM_SET_MEMORY_ATTRIBUTES2 at=0x1000000 size=" size " attributes=" attributes \
	" = 0\n"

#define SHARE      OF_VM("0x2000", "0")
#define SHARE_PAGE OF_VM("0x1000", "0")
#define UNSHARE    OF_VM("0x1000", "8")
#define SHARE2     OF_GMEM("0x2000", "0")
#define UNSHARE2   OF_GMEM("0x1000", "8")
#define PUNCH      "punch gmem offset=0x1000000 size=0x2000 = 0\n"
#define PUNCH_PAGE "punch gmem offset=0x1000000 size=0x1000 = 0\n"

static void test_changes(void **state)
{
	(void)state;
	/* Done before it is told. */
	assert_change(FAKE_V5, RUN("0") SHARE PUNCH RUN("0") UNSHARE RUN("0"));

	/* The page stays until the entry after; the guest's access finds it, and comes again. */
	for (enum fake_generation i = FAKE_V7; i < FAKE_V12; i++)
		assert_change(i, RUN("-EFAULT") RUN("-EFAULT") SHARE PUNCH RUN("-EFAULT")
					 SHARE_PAGE PUNCH_PAGE UNSHARE RUN("0"));

	/* The shared alias does not look at attributes. */
	for (enum fake_generation i = FAKE_V12; i < FAKE_V15; i++)
		assert_change(i, RUN("-EFAULT") RUN("-EFAULT") SHARE PUNCH UNSHARE RUN("0"));

	/* A hole while the pages are private, and attributes that are right before the entry. */
	assert_change(FAKE_V15, RUN("-EFAULT") PUNCH SHARE2 RUN("-EFAULT") UNSHARE2 RUN("0"));
	assert_change(FAKE_V16, RUN("-EFAULT") PUNCH SHARE2 RUN("-EFAULT") UNSHARE2 RUN("0"));
}

/* The hosts themselves; the rules that a correct launcher never meets are in test_realm_rules. */

static void assert_replay(enum fake_generation generation, const char *trace)
{
	const struct fake_realm_host host = {.generation = generation};
	char why[256];
	unsigned line;

	fake_realm_begin(&host);
	line = fake_realm_replay(trace, why);
	if (line)
		fail_msg("%s, line %u: %s", fake_generation_name(generation), line, why);
	fake_kvm_end();
}

/* Every launch replays on its own host, and on no other kind. */
static void test_replay(void **state)
{
	(void)state;
	for (enum fake_generation i = 0; i < FAKE_NR_REALM_GENERATIONS; i++)
		assert_replay(i, launches[i]);
	for (enum fake_generation i = 0; i < FAKE_V15; i++) {
		for (enum fake_generation j = 0; j < FAKE_NR_REALM_GENERATIONS; j++) {
			const struct fake_realm_host host = {.generation = j};
			char why[256];

			if (i == j)
				continue;
			fake_realm_begin(&host);
			assert_int_not_equal(fake_realm_replay(launches[i], why), 0);
			assert_string_not_equal(why, "");
			fake_kvm_misuse();
			fake_kvm_end();
		}
	}
	assert_replay(FAKE_V7, "# a remark\n\nopen /dev/kvm = kvm\n");
}

/* What was recorded on real hosts. */

static char *load_trace(const char *name)
{
	char path[128];
	FILE *file;
	char *text = calloc(1, MAX_TRACE + 1);

	snprintf(path, sizeof(path), "tests/unit/golden/kvm-%s.trace", name);
	file = fopen(path, "r");
	assert_non_null(text);
	if (!file)
		fail_msg("%s: cannot be opened", path);
	assert_true(fread(text, 1, MAX_TRACE, file) < MAX_TRACE);
	fclose(file);
	return text;
}

static void assert_recorded(const struct fake_realm_host *host, const char *name)
{
	char *trace = load_trace(name), why[256];
	const char *misuse;
	unsigned line;

	fake_realm_begin(host);
	line = fake_realm_replay(trace, why);
	free(trace);
	misuse = fake_kvm_misuse();
	fake_kvm_end();
	if (line)
		fail_msg("kvm-%s.trace:%u: %s", name, line, why);
	if (misuse && !strstr(name, "errors"))
		fail_msg("kvm-%s.trace: %s", name, misuse);
}

static void test_recorded(void **state)
{
	static const struct {
		enum fake_generation generation;
		bool has_no_rmm;
		const char *names[6];
	} hosts[] = {
		{FAKE_V5,
		 false,
		 {"v5-check", "v5-run", "v5-run-2cpus-pci", "v5-reset", "v5-errors"}},
		{FAKE_V7,
		 false,
		 {"v7-check", "v7-run", "v7-run-2cpus-pci", "v7-reset", "v7-errors"}},
		{FAKE_V5, true, {"v5-no-rmm"}},
		{FAKE_V7, true, {"v7-no-rmm"}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		const struct fake_realm_host host = {
			.generation = hosts[i].generation,
			.has_no_rmm = hosts[i].has_no_rmm,
			.ipa_bits = 52,
			.vm_ipa_bits = 52,
			.run_size = 0x2000,
		};

		for (const char *const *name = hosts[i].names; *name; name++)
			assert_recorded(&host, *name);
	}
}

/* The comparison notices: one's record on the other's model, and a record with one changed word. */
static void test_recorded_elsewhere(void **state)
{
	static const struct {
		enum fake_generation generation;
		const char *name, *word, *other;
	} cases[] = {
		{FAKE_V7, "v5-run", "", ""},
		{FAKE_V5, "v7-run", "", ""},
		{FAKE_V5, "v5-run", "RIPAS base=0x80000000 size=0x4000000 = 0", "RIPAS base=0 = 0"},
		{FAKE_V7, "v7-run", "= -EFAULT MEMORY_FAULT", "= 0 MEMORY_FAULT     "},
		{FAKE_V7, "v7-run", "0 power-off", "0 shutdown "},
		{FAKE_V7, "v7-errors", "CREATE = -EEXIST", "CREATE = -EBUSY "},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct fake_realm_host host = {.generation = cases[i].generation,
						     .ipa_bits = 52,
						     .vm_ipa_bits = 52,
						     .run_size = 0x2000};
		char *trace = load_trace(cases[i].name), why[256];
		char *at = strstr(trace, cases[i].word);

		assert_non_null(at);
		memcpy(at, cases[i].other, strlen(cases[i].other));
		fake_realm_begin(&host);
		assert_int_not_equal(fake_realm_replay(trace, why), 0);
		assert_string_not_equal(why, "");
		fake_kvm_misuse();
		fake_kvm_end();
		free(trace);
	}
}

/* A page that is taken away before the guest's change is committed is DESTROYED for the guest. */
static void test_early_conversion_is_seen(void **state)
{
	(void)state;
	for (enum fake_generation i = FAKE_V7; i < FAKE_V15; i++) {
		struct fake_guest_op ops[] = {
			{.kind = FAKE_GUEST_PRIVATE, .at = HEAP},
			{.kind = FAKE_GUEST_RIPAS, .at = HEAP, .size = PAGE},
			{.kind = FAKE_GUEST_OFF},
		};
		struct realm_abi hasty;
		const char *misuse;

		start(i, ops);
		hasty = vm->host.abi;
		hasty.commits_late = false;
		vm->kvm.abi = &hasty;
		assert_int_equal(fake_realm_vm_run(vm, 0), VCPU_EXIT_POWEROFF);
		misuse = fake_kvm_misuse();
		assert_non_null(misuse);
		assert_string_equal(misuse, "the guest changes 0x81000000 and finds it DESTROYED");
		fake_realm_vm_done(vm);
		fake_kvm_end();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_launch),
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_replay),
		cmocka_unit_test(test_recorded),
		cmocka_unit_test(test_recorded_elsewhere),
		cmocka_unit_test(test_early_conversion_is_seen),
	};

	log_init(LOG_ERROR);
	return cmocka_run_group_tests(tests, begin, end);
}
