/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is asked of KVM, in which order. The order is part of what works on a real host, and of the
 * contract with people who trace it.
 *
 * links: whole-machine
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "../fake/fake_machine.h"
#include "ccr/log.h"

static const char *line_end(const char *line)
{
	const char *end = strchr(line, '\n');

	return end ? end : line + strlen(line);
}

/* The first line that differs says more than two long texts. */
static void assert_lines(const char *lines, const char *expected)
{
	for (unsigned number = 1; *lines || *expected; number++) {
		const char *end = line_end(lines), *expected_end = line_end(expected);
		const size_t size = (size_t)(end - lines);
		const size_t expected_size = (size_t)(expected_end - expected);

		if (size != expected_size || memcmp(lines, expected, size) != 0)
			fail_msg("line %u is \"%.*s\" and not \"%.*s\"", number, (int)size, lines,
				 (int)expected_size, expected);
		lines = *end ? end + 1 : end;
		expected = *expected_end ? expected_end + 1 : expected_end;
	}
}

static void assert_trace(enum machine_kind kind, unsigned nr_vcpus, bool has_pci,
			 const char *expected)
{
	struct fake_op ops[] = {
		{.kind = FAKE_SMC, .x = {FAKE_PSCI_SYSTEM_OFF}},
		{.kind = FAKE_END},
	};
	struct fake_machine *machine = malloc(sizeof(*machine));

	assert_non_null(machine);
	fake_machine_load(machine, kind, nr_vcpus, has_pci);
	fake_kvm_begin(&fake_host_default);
	fake_kvm_set_guest(1, 0, ops);
	fake_machine_run(machine);
	assert_int_equal(machine->ret, 0);
	assert_int_equal(machine->outcome, VM_POWEROFF);
	assert_lines(fake_kvm_trace(), expected);
	fake_kvm_end();
	fake_machine_done(machine);
	free(machine);
}

static void test_plain(void **state)
{
	(void)state;
	assert_trace(
		MACHINE_PLAIN, 2, false,
		"open /dev/kvm = kvm\n"
		"ioctl kvm KVM_GET_API_VERSION = 12\n"
		"ioctl kvm KVM_CHECK_EXTENSION MAX_VCPUS = 512\n"
		"ioctl kvm KVM_CHECK_EXTENSION ARM_VM_IPA_SIZE = 48\n"
		"ioctl kvm KVM_CHECK_EXTENSION IMMEDIATE_EXIT = 1\n"
		"ioctl kvm KVM_CHECK_EXTENSION ARM_INJECT_EXT_DABT = 1\n"
		"ioctl kvm KVM_GET_VCPU_MMAP_SIZE = 4096\n"
		"ioctl kvm KVM_CREATE_VM type=0x21 = vm1\n"
		"ioctl vm1 KVM_CHECK_EXTENSION ARM_NISV_TO_USER = 1\n"
		"ioctl vm1 KVM_ENABLE_CAP ARM_NISV_TO_USER = 0\n"
		"ioctl vm1 KVM_SET_USER_MEMORY_REGION slot=0 gpa=0x80000000 size=0x4000000 = 0\n"
		"ioctl vm1 KVM_CREATE_VCPU id=0x0 = vcpu0\n"
		"map vcpu0 size=0x1000 = 0\n"
		"ioctl vm1 KVM_ARM_PREFERRED_TARGET = 0\n"
		"ioctl vm1 KVM_CHECK_EXTENSION ARM_PTRAUTH_ADDRESS = 1\n"
		"ioctl vm1 KVM_CHECK_EXTENSION ARM_PTRAUTH_GENERIC = 1\n"
		"ioctl vcpu0 KVM_ARM_VCPU_INIT target=5 features=0x64 = 0\n"
		"ioctl vm1 KVM_CREATE_VCPU id=0x1 = vcpu1\n"
		"map vcpu1 size=0x1000 = 0\n"
		"ioctl vm1 KVM_ARM_PREFERRED_TARGET = 0\n"
		"ioctl vm1 KVM_CHECK_EXTENSION ARM_PTRAUTH_ADDRESS = 1\n"
		"ioctl vm1 KVM_CHECK_EXTENSION ARM_PTRAUTH_GENERIC = 1\n"
		"ioctl vcpu1 KVM_ARM_VCPU_INIT target=5 features=0x65 = 0\n"
		"ioctl vcpu0 KVM_GET_ONE_REG MMFR0 = 0\n"
		"ioctl vm1 KVM_CREATE_DEVICE type=7 = 0\n"
		"ioctl gic KVM_SET_DEVICE_ATTR group=3 attr=0 value=128 = 0\n"
		"ioctl gic KVM_SET_DEVICE_ATTR group=0 attr=2 value=0x3fff0000 = 0\n"
		"ioctl gic KVM_SET_DEVICE_ATTR group=0 attr=5 value=0x2000003ffb0000 = 0\n"
		"ioctl gic KVM_SET_DEVICE_ATTR group=4 attr=0 = 0\n"
		"ioctl vcpu0 KVM_SET_ONE_REG PC=0x80000000 = 0\n"
		"ioctl vcpu0 KVM_SET_ONE_REG X0=0x83e00000 = 0\n"
		"ioctl vcpu0 KVM_SET_ONE_REG X1=0x0 = 0\n"
		"ioctl vcpu0 KVM_SET_ONE_REG X2=0x0 = 0\n"
		"ioctl vcpu0 KVM_SET_ONE_REG X3=0x0 = 0\n"
		"ioctl vcpu0 KVM_SET_ONE_REG X4=0x0 = 0\n"
		"ioctl vcpu0 KVM_SET_ONE_REG X5=0x0 = 0\n"
		"ioctl vcpu0 KVM_SET_ONE_REG X6=0x0 = 0\n"
		"ioctl vcpu0 KVM_SET_ONE_REG X7=0x0 = 0\n"
		"unmap vcpu0\n"
		"close vcpu0\n"
		"unmap vcpu1\n"
		"close vcpu1\n"
		"close gic\n"
		"close vm1\n"
		"close kvm\n");
}

/* The filters are last: nothing forwards a call to us before we can answer it. */
static void test_emulated_realm(void **state)
{
	(void)state;
	assert_trace(
		MACHINE_EMULATED, 1, true,
		"open /dev/kvm = kvm\n"
		"ioctl kvm KVM_GET_API_VERSION = 12\n"
		"ioctl kvm KVM_CHECK_EXTENSION MAX_VCPUS = 512\n"
		"ioctl kvm KVM_CHECK_EXTENSION ARM_VM_IPA_SIZE = 48\n"
		"ioctl kvm KVM_CHECK_EXTENSION IMMEDIATE_EXIT = 1\n"
		"ioctl kvm KVM_CHECK_EXTENSION ARM_INJECT_EXT_DABT = 1\n"
		"ioctl kvm KVM_CREATE_VM type=0x21 = vm1\n"
		"ioctl vm1 KVM_HAS_DEVICE_ATTR group=0 attr=0 = 0\n"
		"close vm1\n"
		"ioctl kvm KVM_GET_VCPU_MMAP_SIZE = 4096\n"
		"ioctl kvm KVM_CREATE_VM type=0x21 = vm2\n"
		"ioctl vm2 KVM_CHECK_EXTENSION ARM_NISV_TO_USER = 1\n"
		"ioctl vm2 KVM_ENABLE_CAP ARM_NISV_TO_USER = 0\n"
		"ioctl vm2 KVM_SET_USER_MEMORY_REGION slot=0 gpa=0x80000000 size=0x4000000 = 0\n"
		"ioctl vm2 KVM_SET_USER_MEMORY_REGION slot=1 gpa=0x180000000 size=0x4000000 = 0\n"
		"ioctl vm2 KVM_CREATE_VCPU id=0x0 = vcpu0\n"
		"map vcpu0 size=0x1000 = 0\n"
		"ioctl vm2 KVM_ARM_PREFERRED_TARGET = 0\n"
		"ioctl vm2 KVM_CHECK_EXTENSION ARM_PTRAUTH_ADDRESS = 1\n"
		"ioctl vm2 KVM_CHECK_EXTENSION ARM_PTRAUTH_GENERIC = 1\n"
		"ioctl vcpu0 KVM_ARM_VCPU_INIT target=5 features=0x64 = 0\n"
		"ioctl vcpu0 KVM_SET_ONE_REG PSCI=0x10001 = 0\n"
		"ioctl vcpu0 KVM_GET_ONE_REG MMFR0 = 0\n"
		"ioctl vm2 KVM_CREATE_DEVICE type=7 = 0\n"
		"ioctl gic KVM_SET_DEVICE_ATTR group=3 attr=0 value=128 = 0\n"
		"ioctl gic KVM_SET_DEVICE_ATTR group=0 attr=2 value=0x13fff0000 = 0\n"
		"ioctl gic KVM_SET_DEVICE_ATTR group=0 attr=5 value=0x1000013ffd0000 = 0\n"
		"ioctl gic KVM_SET_DEVICE_ATTR group=4 attr=0 = 0\n"
		"ioctl vm2 KVM_CREATE_DEVICE type=8 = 0\n"
		"ioctl its KVM_SET_DEVICE_ATTR group=0 attr=4 value=0x13ffb0000 = 0\n"
		"ioctl its KVM_SET_DEVICE_ATTR group=4 attr=0 = 0\n"
		"ioctl vm2 KVM_CHECK_EXTENSION IRQFD = 1\n"
		"ioctl vm2 KVM_CHECK_EXTENSION IRQ_ROUTING = 4096\n"
		/* A vector for the configuration and one a queue: console, entropy source. */
		"ioctl vm2 KVM_IRQFD gsi=0 flags=0 = 0\n"
		"ioctl vm2 KVM_IRQFD gsi=1 flags=0 = 0\n"
		"ioctl vm2 KVM_IRQFD gsi=2 flags=0 = 0\n"
		"ioctl vm2 KVM_IRQFD gsi=3 flags=0 = 0\n"
		"ioctl vm2 KVM_IRQFD gsi=4 flags=0 = 0\n"
		"ioctl vcpu0 KVM_SET_ONE_REG PC=0x80000000 = 0\n"
		"ioctl vcpu0 KVM_SET_ONE_REG X0=0x83e00000 = 0\n"
		"ioctl vcpu0 KVM_SET_ONE_REG X1=0x0 = 0\n"
		"ioctl vcpu0 KVM_SET_ONE_REG X2=0x0 = 0\n"
		"ioctl vcpu0 KVM_SET_ONE_REG X3=0x0 = 0\n"
		"ioctl vcpu0 KVM_SET_ONE_REG X4=0x0 = 0\n"
		"ioctl vcpu0 KVM_SET_ONE_REG X5=0x0 = 0\n"
		"ioctl vcpu0 KVM_SET_ONE_REG X6=0x0 = 0\n"
		"ioctl vcpu0 KVM_SET_ONE_REG X7=0x0 = 0\n"
		"ioctl vm2 KVM_SET_DEVICE_ATTR group=0 attr=0 base=0xc4000190 nr=32 action=2 = 0\n"
		"ioctl vm2 KVM_SET_DEVICE_ATTR group=0 attr=0 base=0x8400000a nr=1 action=2 = 0\n"
		"ioctl vm2 KVM_SET_DEVICE_ATTR group=0 attr=0 base=0x84000005 nr=3 action=1 = 0\n"
		"ioctl vm2 KVM_SET_DEVICE_ATTR group=0 attr=0 base=0xc4000005 nr=3 action=1 = 0\n"
		"ioctl vm2 KVM_SET_DEVICE_ATTR group=0 attr=0 base=0x8400000b nr=22 action=1 = 0\n"
		"ioctl vm2 KVM_SET_DEVICE_ATTR group=0 attr=0 base=0xc400000b nr=22 action=1 = 0\n"
		"ioctl vm2 KVM_SET_DEVICE_ATTR group=0 attr=0 base=0x84000050 nr=4 action=1 = 0\n"
		"ioctl vm2 KVM_SET_DEVICE_ATTR group=0 attr=0 base=0xc4000053 nr=1 action=1 = 0\n"
		"ioctl vm2 KVM_SET_DEVICE_ATTR group=0 attr=0 base=0xc5000020 nr=2 action=1 = 0\n"
		"ioctl vm2 KVM_SET_DEVICE_ATTR group=0 attr=0 base=0x86000000 nr=65536 action=1 = 0\n"
		"ioctl vm2 KVM_SET_DEVICE_ATTR group=0 attr=0 base=0xc6000000 nr=65536 action=1 = 0\n"
		"ioctl vcpu0 KVM_GET_ONE_REG PC = 0\n"
		"ioctl vcpu0 KVM_GET_ONE_REG X0 = 0\n"
		"ioctl vcpu0 KVM_GET_ONE_REG X1 = 0\n"
		"ioctl vcpu0 KVM_GET_ONE_REG X2 = 0\n"
		"ioctl vcpu0 KVM_GET_ONE_REG X3 = 0\n"
		"ioctl vcpu0 KVM_GET_ONE_REG X4 = 0\n"
		"ioctl vcpu0 KVM_GET_ONE_REG X5 = 0\n"
		"ioctl vcpu0 KVM_GET_ONE_REG X6 = 0\n"
		"ioctl vcpu0 KVM_GET_ONE_REG X7 = 0\n"
		"unmap vcpu0\n"
		"close vcpu0\n"
		"close its\n"
		"close gic\n"
		"close vm2\n"
		"close kvm\n");
}

/* KVM cannot reset a GIC, so a reset is a new machine, made as the first one was. */
static void test_reset(void **state)
{
	struct fake_op first[] = {
		{.kind = FAKE_SMC, .x = {FAKE_PSCI_SYSTEM_RESET}},
		{.kind = FAKE_END},
	};
	struct fake_op second[] = {
		{.kind = FAKE_SMC, .x = {FAKE_PSCI_SYSTEM_OFF}},
		{.kind = FAKE_END},
	};
	struct fake_machine *machine = malloc(sizeof(*machine));
	const char *lives[2], *end;
	char *text;

	(void)state;
	assert_non_null(machine);
	fake_machine_load(machine, MACHINE_PLAIN, 1, false);
	fake_kvm_begin(&fake_host_default);
	fake_kvm_set_guest(1, 0, first);
	fake_kvm_set_guest(2, 0, second);
	fake_machine_run(machine);
	assert_int_equal(machine->outcome, VM_POWEROFF);

	text = strdup(fake_kvm_trace());
	assert_non_null(text);
	for (char *name = text; (name = strstr(name, "vm2")); name++)
		name[2] = '1';
	lives[0] = strstr(text, "ioctl kvm KVM_CREATE_VM");
	assert_non_null(lives[0]);
	lives[1] = strstr(lives[0] + 1, "ioctl kvm KVM_CREATE_VM");
	assert_non_null(lives[1]);
	end = strstr(lives[1], "close kvm\n");
	assert_non_null(end);
	assert_int_equal(end - lives[1], lives[1] - lives[0]);
	assert_memory_equal(lives[0], lives[1], (size_t)(end - lives[1]));
	free(text);
	fake_kvm_end();
	fake_machine_done(machine);
	free(machine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_emulated_realm),
		cmocka_unit_test(test_reset),
	};

	log_init(LOG_ERROR);
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
