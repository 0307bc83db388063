/* SPDX-License-Identifier: Apache-2.0 */
/* links: src/kvm/exit.c tests/fake/fake_run.c */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../fake/fake_run.h"
#include "ccr/kvm.h"

/* Exit reasons are the kernel's ABI; numbers here check the headers that the code is built with. */
enum {
	UNKNOWN = 0,
	DEBUG = 4,
	SHUTDOWN = 8,
	FAIL_ENTRY = 9,
	INTR = 10,
	INTERNAL_ERROR = 17,
	SYSTEM_EVENT = 24,
	NO_SUCH = 12345,
};

#define EXIT_REASON_OFFSET 8 /* in the page */
#define FAULT_PRIVATE      8ull

static int begin(void **state)
{
	*state = fake_run_new();
	return *state ? 0 : -1;
}

static int end(void **state)
{
	free(*state);
	return 0;
}

static void assert_error(const struct kvm_exit *exit, int code, uint32_t reason, uint64_t detail)
{
	assert_int_equal(exit->kind, VCPU_EXIT_ERROR);
	assert_int_equal(exit->error.code, code);
	assert_int_equal(exit->error.reason, reason);
	assert_int_equal(exit->error.detail, detail);
}

static void test_mmio_write(void **state)
{
	static const struct {
		unsigned size;
		uint64_t value;
	} writes[] = {
		{1, 0x88},
		{2, 0x7788},
		{4, 0x55667788},
		{8, 0x1122334455667788ull},
	};
	struct kvm_run *run = *state;

	for (size_t i = 0; i < sizeof(writes) / sizeof(writes[0]); i++) {
		struct kvm_exit exit;

		fake_run_mmio(run, 0x101000004ull, 8, true, ~0ull);
		fake_run_mmio(run, 0x101000004ull, writes[i].size, true, 0x1122334455667788ull);
		exit = kvm_exit_decode(run, 0);
		assert_int_equal(exit.kind, VCPU_EXIT_MMIO);
		assert_int_equal(exit.mmio.at.v, 0x101000004ull);
		assert_int_equal(exit.mmio.size, writes[i].size);
		assert_true(exit.mmio.is_write);
		/* The rest of the page's eight bytes is not the guest's. */
		assert_int_equal(exit.mmio.value, writes[i].value);
	}
}

static void test_mmio_read(void **state)
{
	struct kvm_run *run = *state;
	struct kvm_exit exit;

	fake_run_mmio(run, 0x1000000, 4, false, ~0ull);
	exit = kvm_exit_decode(run, 0);
	assert_int_equal(exit.kind, VCPU_EXIT_MMIO);
	assert_false(exit.mmio.is_write);
	assert_int_equal(exit.mmio.size, 4);
	assert_int_equal(exit.mmio.value, 0);
}

static void test_mmio_reply(void **state)
{
	struct kvm_run *run = *state;

	fake_run_mmio(run, 0x1000000, 8, false, ~0ull);
	kvm_exit_mmio_reply(run, 2, 0x1122334455667788ull);
	assert_int_equal(fake_run_mmio_value(run, 2), 0x7788);
	/* No more than was asked for. */
	assert_int_equal(fake_run_mmio_value(run, 8), 0xffffffffffff7788ull);
	kvm_exit_mmio_reply(run, 8, 0x1122334455667788ull);
	assert_int_equal(fake_run_mmio_value(run, 8), 0x1122334455667788ull);
}

static void test_mmio_sizes_that_no_access_has(void **state)
{
	static const unsigned sizes[] = {0, 3, 5, 6, 7, 9, 16, 64, 0x80000000u, ~0u};
	struct kvm_run *run = *state;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct kvm_exit exit;

		fake_run_mmio(run, 0x1000000, sizes[i], i % 2, 0x55);
		exit = kvm_exit_decode(run, 0);
		assert_error(&exit, 0, 6, sizes[i]);
	}
}

static void test_hypercall(void **state)
{
	struct kvm_run *run = *state;
	struct kvm_exit exit;

	fake_run_hypercall(run, 0xC4000190, true);
	exit = kvm_exit_decode(run, 0);
	assert_int_equal(exit.kind, VCPU_EXIT_HYPERCALL);
	assert_int_equal(exit.hypercall.fid, 0xC4000190);
	assert_true(exit.hypercall.smc);

	fake_run_hypercall(run, 0xffffffffC4000197ull, false);
	exit = kvm_exit_decode(run, 0);
	assert_int_equal(exit.kind, VCPU_EXIT_HYPERCALL);
	assert_int_equal(exit.hypercall.fid, 0xC4000197);
	assert_false(exit.hypercall.smc);
}

static void test_system_events(void **state)
{
	static const struct {
		uint32_t type;
		enum kvm_exit_kind kind;
	} events[] = {
		{1, VCPU_EXIT_POWEROFF},
		{2, VCPU_EXIT_RESET},
		{3, VCPU_EXIT_CRASH},
	};
	static const uint32_t others[] = {0, 4, 5, ~0u};
	struct kvm_run *run = *state;
	struct kvm_exit exit;

	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		fake_run_system_event(run, events[i].type);
		exit = kvm_exit_decode(run, 0);
		assert_int_equal(exit.kind, events[i].kind);
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		fake_run_system_event(run, others[i]);
		exit = kvm_exit_decode(run, 0);
		assert_error(&exit, 0, SYSTEM_EVENT, others[i]);
	}
}

static void test_nisv(void **state)
{
	struct kvm_run *run = *state;
	struct kvm_exit exit;

	fake_run_nisv(run, 0x101000000ull);
	exit = kvm_exit_decode(run, 0);
	assert_int_equal(exit.kind, VCPU_EXIT_NISV);
	assert_int_equal(exit.fault_base.v, 0x101000000ull);
}

static void test_memory_fault(void **state)
{
	/* Series v5 returns 0, all later ones -EFAULT, poisoned memory -EHWPOISON. */
	static const int results[] = {0, -EFAULT, -EHWPOISON};
	struct kvm_run *run = *state;

	for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++) {
		struct kvm_exit exit;

		fake_run_memory_fault(run, FAULT_PRIVATE, 0x80001000, 0x3000);
		exit = kvm_exit_decode(run, results[i]);
		assert_int_equal(exit.kind, VCPU_EXIT_MEMORY_FAULT);
		assert_int_equal(exit.memory_fault.base.v, 0x80001000);
		assert_int_equal(exit.memory_fault.size, 0x3000);
		assert_true(exit.memory_fault.private_access);

		fake_run_memory_fault(run, ~FAULT_PRIVATE, ~0ull, ~0ull);
		exit = kvm_exit_decode(run, results[i]);
		assert_int_equal(exit.kind, VCPU_EXIT_MEMORY_FAULT);
		assert_int_equal(exit.memory_fault.base.v, ~0ull);
		assert_int_equal(exit.memory_fault.size, ~0ull);
		assert_false(exit.memory_fault.private_access);
	}
}

static void test_memory_fault_of_other_errors(void **state)
{
	static const int results[] = {-ENOMEM, -ENXIO, -EIO, -EPERM, -ENOSYS};
	struct kvm_run *run = *state;

	for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++) {
		struct kvm_exit exit;

		fake_run_memory_fault(run, 0, 0x80001000, 0x1000);
		exit = kvm_exit_decode(run, results[i]);
		assert_error(&exit, results[i], 39, 0);
	}
}

static void test_refused_access(void **state)
{
	struct kvm_run *run = *state;
	struct kvm_exit exit;

	fake_run_reason(run, UNKNOWN);
	exit = kvm_exit_decode(run, -EFAULT);
	assert_int_equal(exit.kind, VCPU_EXIT_FAULT);
	/* Broken memory is the host's trouble, and EFAULT of anything else is a bug. */
	exit = kvm_exit_decode(run, -EHWPOISON);
	assert_error(&exit, -EHWPOISON, UNKNOWN, 0);
	fake_run_mmio(run, 0x1000, 4, false, 0);
	exit = kvm_exit_decode(run, -EFAULT);
	assert_error(&exit, -EFAULT, 6, 0);
}

/* An interrupted entry has no exit: whatever the page still says is of an earlier one. */
static void test_interrupted(void **state)
{
	struct kvm_run *run = *state;
	struct kvm_exit exit;

	fake_run_mmio(run, 0x1000, 4, true, 0);
	exit = kvm_exit_decode(run, -EINTR);
	assert_int_equal(exit.kind, VCPU_EXIT_INTERRUPTED);
	exit = kvm_exit_decode(run, -EAGAIN);
	assert_int_equal(exit.kind, VCPU_EXIT_AGAIN);
	fake_run_memory_fault(run, 0, 0x80001000, 0x1000);
	exit = kvm_exit_decode(run, -EINTR);
	assert_int_equal(exit.kind, VCPU_EXIT_INTERRUPTED);
	fake_run_reason(run, INTR);
	exit = kvm_exit_decode(run, 0);
	assert_int_equal(exit.kind, VCPU_EXIT_INTERRUPTED);
}

static void test_errors(void **state)
{
	struct kvm_run *run = *state;
	struct kvm_exit exit;

	fake_run_fail_entry(run, 0xdead);
	exit = kvm_exit_decode(run, 0);
	assert_error(&exit, 0, FAIL_ENTRY, 0xdead);
	fake_run_internal_error(run, 4);
	exit = kvm_exit_decode(run, 0);
	assert_error(&exit, 0, INTERNAL_ERROR, 4);
	fake_run_reason(run, DEBUG);
	exit = kvm_exit_decode(run, 0);
	assert_error(&exit, 0, DEBUG, 0);
	fake_run_reason(run, NO_SUCH);
	exit = kvm_exit_decode(run, 0);
	assert_error(&exit, 0, NO_SUCH, 0);
	exit = kvm_exit_decode(run, -ENOMEM);
	assert_error(&exit, -ENOMEM, NO_SUCH, 0);
}

static void test_shutdown(void **state)
{
	struct kvm_run *run = *state;
	struct kvm_exit exit;

	fake_run_reason(run, SHUTDOWN);
	exit = kvm_exit_decode(run, 0);
	assert_int_equal(exit.kind, VCPU_EXIT_SHUTDOWN);
	/* How realms of the early series say it. */
	fake_run_reason(run, UNKNOWN);
	exit = kvm_exit_decode(run, 0);
	assert_int_equal(exit.kind, VCPU_EXIT_SHUTDOWN);
}

/* Whatever the page holds, decoding it stays within it and names a kind. */
static void test_any_page(void **state)
{
	uint8_t *bytes = *state;
	uint64_t seed = 5;

	for (unsigned i = 0; i < 20000; i++) {
		static const int results[] = {0, -EFAULT, -EINTR, -EAGAIN, -EHWPOISON, -EIO};
		struct kvm_exit exit;
		uint32_t reason;

		for (size_t at = 0; at < 96; at++) {
			seed = seed * 6364136223846793005ull + 1442695040888963407ull;
			bytes[at] = (uint8_t)(seed >> 40);
		}
		reason = (uint32_t)(seed >> 33) % 64;
		memcpy(bytes + EXIT_REASON_OFFSET, &reason, sizeof(reason));
		exit = kvm_exit_decode(*state, results[i % 6]);
		assert_true(exit.kind <= VCPU_EXIT_ERROR);
		assert_non_null(kvm_exit_name(exit.kind));
		if (exit.kind == VCPU_EXIT_MMIO)
			assert_true(exit.mmio.size <= 8);
	}
}

static void test_names(void **state)
{
	(void)state;
	for (int kind = VCPU_EXIT_INTERRUPTED; kind <= VCPU_EXIT_ERROR; kind++) {
		assert_non_null(kvm_exit_name((enum kvm_exit_kind)kind));
		assert_true(strlen(kvm_exit_name((enum kvm_exit_kind)kind)) > 1);
	}
	assert_string_equal(kvm_exit_name(VCPU_EXIT_MMIO), "MMIO");
}

static void test_immediate_exit(void **state)
{
	struct kvm_run *run = *state;

	assert_false(fake_run_immediate_exit(run));
	kvm_run_set_immediate_exit(run, true);
	assert_true(fake_run_immediate_exit(run));
	kvm_run_set_immediate_exit(run, false);
	assert_false(fake_run_immediate_exit(run));
}

#define page_test(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		page_test(test_mmio_write),
		page_test(test_mmio_read),
		page_test(test_mmio_reply),
		page_test(test_mmio_sizes_that_no_access_has),
		page_test(test_hypercall),
		page_test(test_system_events),
		page_test(test_nisv),
		page_test(test_memory_fault),
		page_test(test_memory_fault_of_other_errors),
		page_test(test_refused_access),
		page_test(test_interrupted),
		page_test(test_errors),
		page_test(test_shutdown),
		page_test(test_any_page),
		cmocka_unit_test(test_names),
		page_test(test_immediate_exit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
