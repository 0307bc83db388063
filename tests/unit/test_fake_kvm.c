/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Other tests are worth as much as the model of KVM that they run on: it must refuse what the
 * kernel refuses.
 *
 * links: src/kvm/kvm.c src/kvm/exit.c tests/fake/fake_kvm.c tests/fake/fake_gic.c
 *	tests/fake/fake_vcpu.c tests/fake/fake_cpu.c tests/fake/fake_run.c src/kvm/describe.c
 *	src/util/err.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "../fake/fake_kvm.h"
#include "ccr/kvm.h"

/* Numbers of the kernel's ABI. */
#define VCPU_INIT      0x4020aeaeul
#define VGIC_V3        7
#define GROUP_ADDR     0
#define GROUP_NR_IRQS  3
#define GROUP_CTRL     4
#define DIST           2
#define REDIST_REGION  5
#define NO_SUCH_DEVICE 99
#define ID_X0          0x6030000000100000ull

struct vcpu_init {
	uint32_t target, features[7];
};

struct filter {
	uint32_t base, nr;
	uint8_t action, pad[15];
};

struct bench {
	int kvm, vm, vcpu, gic;
	struct kvm_run *page;
	struct fake_op ops[4];
};

static int begin(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));

	assert_non_null(bench);
	fake_kvm_begin(&fake_host_default);
	fake_kvm_set_guest(1, 0, bench->ops);
	bench->kvm = kvm_sys_open("/dev/kvm");
	bench->vm = kvm_vm_create(bench->kvm, 36);
	assert_true(bench->vm >= 0);
	bench->vcpu = kvm_vm_create_vcpu(bench->vm, 0);
	bench->gic = kvm_vm_create_device(bench->vm, VGIC_V3);
	assert_int_equal(kvm_sys_map_run(bench->vcpu, 4096, &bench->page), 0);
	*state = bench;
	return 0;
}

static int end(void **state)
{
	struct bench *bench = *state;

	kvm_sys_unmap_run(bench->page, 4096);
	kvm_sys_close(bench->gic);
	kvm_sys_close(bench->vcpu);
	kvm_sys_close(bench->vm);
	kvm_sys_close(bench->kvm);
	free(bench);
	fake_kvm_end();
	return 0;
}

static int init(struct bench *bench, uint32_t target, uint32_t features)
{
	struct vcpu_init wanted = {target, {features}};

	return kvm_sys_ioctl(bench->vcpu, VCPU_INIT, &wanted);
}

static void make_ready(struct bench *bench)
{
	const uint64_t dist = 0x3fff0000, redist = 1ull << 52 | 0x3ffd0000;

	assert_int_equal(init(bench, 5, 4), 0);
	assert_int_equal(kvm_set_attr(bench->gic, GROUP_ADDR, DIST, &dist), 0);
	assert_int_equal(kvm_set_attr(bench->gic, GROUP_ADDR, REDIST_REGION, &redist), 0);
	assert_int_equal(kvm_set_attr(bench->gic, GROUP_CTRL, 0, NULL), 0);
}

static void test_vm_types(void **state)
{
	struct bench *bench = *state;

	assert_int_equal(kvm_vm_create(bench->kvm, 31), -EINVAL);
	assert_int_equal(kvm_vm_create(bench->kvm, 49), -EINVAL);
	assert_int_equal(kvm_vm_create(bench->kvm, 0x100 | 36), -EINVAL);
	assert_int_equal(kvm_vm_create(bench->kvm, 1ul << 30 | 36), -EINVAL);
}

static void test_slots(void **state)
{
	static const struct {
		unsigned slot;
		uint64_t base, size, host;
		int ret;
	} calls[] = {
		{0, 0x80000000, 0x10000, 0x10000, 0},
		{0, 0x80000000, 0x10000, 0x10000, 0},       /* no change */
		{0, 0x80000000, 0x20000, 0x10000, -EINVAL}, /* cannot grow */
		{0, 0x80000000, 0x10000, 0x20000, -EINVAL}, /* nor be backed otherwise */
		{1, 0x8000f000, 0x1000, 0x10000, -EEXIST},
		{1, 0x7ffff000, 0x2000, 0x10000, -EEXIST},
		{1, 0x80010000, 0x1000, 0x10000, 0},
		{2, 0x90000800, 0x1000, 0x10000, -EINVAL},
		{2, 0x90000000, 0x1800, 0x10000, -EINVAL},
		{2, 0x90000000, 0x1000, 0x10800, -EINVAL},
		{2, ~0xfffull, 0x2000, 0x10000, -EINVAL},
		{2, 0xfffff0000, 0x20000, 0x10000, -EFAULT}, /* beyond 36 bits */
		{32767, 0x90000000, 0x1000, 0x10000, -EINVAL},
		{2, 0, 0, 0, -EINVAL}, /* there is none to delete */
		{1, 0, 0, 0, 0},
	};
	struct bench *bench = *state;

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		assert_int_equal(kvm_vm_set_memory(bench->vm, calls[i].slot, ipa_at(calls[i].base),
						   calls[i].size, calls[i].host),
				 calls[i].ret);
}

static void test_filter(void **state)
{
	static const struct {
		struct filter filter;
		int ret;
	} calls[] = {
		{{0xc4000190, 0x20, 2, {0}}, 0},
		{{0xc40001af, 1, 2, {0}}, -EEXIST},
		{{0xc4000100, 0x1000, 1, {0}}, -EEXIST},
		{{0xc40001b0, 0, 2, {0}}, -EINVAL},
		{{0xfffffff0, 0x20, 2, {0}}, -EINVAL},
		{{0xc40001b0, 1, 3, {0}}, -EINVAL},
		{{0xc40001b0, 1, 2, {[14] = 1}}, -EINVAL},
		{{0x80000000, 1, 1, {0}}, -EEXIST}, /* the architecture's own */
		{{0xc000ffff, 1, 1, {0}}, -EEXIST},
		{{0x86000000, 0x10000, 1, {0}}, 0},
	};
	struct bench *bench = *state;

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		assert_int_equal(kvm_set_attr(bench->vm, 0, 0, &calls[i].filter), calls[i].ret);
	assert_int_equal(kvm_set_attr(bench->vm, 0, 1, &calls[0].filter), -ENXIO);
	assert_int_equal(kvm_set_attr(bench->vm, 0, 0, NULL), -EFAULT);
	assert_int_equal(kvm_has_attr(bench->vm, 0, 0), 0);
	assert_int_equal(kvm_has_attr(bench->vm, 1, 0), -ENXIO);
}

static void test_after_the_first_run(void **state)
{
	const struct filter filter = {0xc4000190, 0x20, 2, {0}};
	struct bench *bench = *state;

	make_ready(bench);
	kvm_run_set_immediate_exit(bench->page, true);
	assert_int_equal(kvm_vcpu_run(bench->vcpu), -EINTR);
	assert_int_equal(kvm_set_attr(bench->vm, 0, 0, &filter), -EBUSY);
}

static void test_vcpus(void **state)
{
	struct bench *bench = *state;
	uint64_t value;

	assert_int_equal(kvm_vm_create_vcpu(bench->vm, 0), -EEXIST);
	assert_int_equal(kvm_vm_create_vcpu(bench->vm, 512), -EINVAL);
	/* Nothing works before the initialisation. */
	assert_int_equal(kvm_vcpu_run(bench->vcpu), -ENOEXEC);
	assert_int_equal(kvm_vcpu_get_reg(bench->vcpu, ID_X0, &value), -ENOEXEC);
	assert_int_equal(init(bench, 4, 4), -EINVAL);
	assert_int_equal(init(bench, 5, 1u << 9), -ENOENT);
	assert_int_equal(init(bench, 5, 4), 0);
	assert_int_equal(init(bench, 5, 5), 0);
	assert_int_equal(kvm_vcpu_is_stopped(bench->vcpu), 1);
	assert_int_equal(init(bench, 5, 0), -EINVAL);
	assert_int_equal(kvm_vcpu_get_reg(bench->vcpu, ID_X0 + 1, &value), -ENOENT);
	assert_int_equal(kvm_vcpu_get_reg(bench->vcpu, 0, &value), -ENOENT);
}

static void test_gic(void **state)
{
	const uint64_t dist = 0x3fff0000, odd = 0x3fff8000, far = 1ull << 36;
	const uint64_t redist = 1ull << 52 | 0x3ffd0000, none = 0x3ffd0000;
	const uint64_t over = 1ull << 52 | 0x3ffe0000;
	const uint32_t nr = 128, few = 32, uneven = 100;
	struct bench *bench = *state;

	assert_int_equal(kvm_vm_create_device(bench->vm, NO_SUCH_DEVICE), -ENODEV);
	assert_int_equal(kvm_vm_create_device(bench->vm, VGIC_V3), -EEXIST);
	assert_int_equal(kvm_vm_irq_line(bench->vm, 0, true), -EBUSY);
	assert_int_equal(kvm_set_attr(bench->gic, GROUP_NR_IRQS, 0, &few), -EINVAL);
	assert_int_equal(kvm_set_attr(bench->gic, GROUP_NR_IRQS, 0, &uneven), -EINVAL);
	assert_int_equal(kvm_set_attr(bench->gic, GROUP_NR_IRQS, 0, &nr), 0);
	assert_int_equal(kvm_set_attr(bench->gic, GROUP_NR_IRQS, 0, &nr), -EBUSY);
	assert_int_equal(kvm_set_attr(bench->gic, GROUP_ADDR, DIST, &odd), -EINVAL);
	assert_int_equal(kvm_set_attr(bench->gic, GROUP_ADDR, DIST, &far), -E2BIG);
	assert_int_equal(kvm_set_attr(bench->gic, GROUP_ADDR, DIST, &dist), 0);
	assert_int_equal(kvm_set_attr(bench->gic, GROUP_ADDR, DIST, &dist), -EEXIST);
	assert_int_equal(kvm_set_attr(bench->gic, GROUP_ADDR, REDIST_REGION, &none), -EINVAL);
	assert_int_equal(kvm_set_attr(bench->gic, GROUP_ADDR, REDIST_REGION, &over), -EINVAL);
	assert_int_equal(kvm_set_attr(bench->gic, GROUP_CTRL, 0, NULL), -ENXIO);
	assert_int_equal(init(bench, 5, 4), 0);
	assert_int_equal(kvm_vcpu_run(bench->vcpu), -EBUSY);
	assert_int_equal(kvm_set_attr(bench->gic, GROUP_ADDR, REDIST_REGION, &redist), 0);
	assert_int_equal(kvm_set_attr(bench->gic, GROUP_CTRL, 0, NULL), 0);
	assert_int_equal(kvm_set_attr(bench->gic, GROUP_CTRL, 9, NULL), -ENXIO);
	assert_int_equal(kvm_vm_create_vcpu(bench->vm, 1), -EBUSY);
	assert_int_equal(kvm_vm_irq_line(bench->vm, 95, true), 0);
	assert_true(fake_kvm_irq_level(95));
	assert_int_equal(kvm_vm_irq_line(bench->vm, 96, true), -EINVAL);
}

static void test_unknown_requests(void **state)
{
	struct bench *bench = *state;

	assert_int_equal(kvm_sys_ioctl(bench->kvm, 0xaeff, NULL), -EINVAL);
	assert_int_equal(kvm_sys_ioctl(bench->vm, 0xaeff, NULL), -EINVAL);
	assert_int_equal(kvm_sys_ioctl(bench->vcpu, 0xaeff, NULL), -EINVAL);
	assert_int_equal(kvm_sys_ioctl(bench->gic, 0xaeff, NULL), -ENOTTY);
	assert_int_equal(kvm_sys_open("/dev/kvmm"), -ENOENT);
}

static void assert_misused(const char *what)
{
	const char *misuse = fake_kvm_misuse();

	assert_non_null(misuse);
	if (!strstr(misuse, what))
		fail_msg("\"%s\" is not about \"%s\"", misuse, what);
	assert_null(fake_kvm_misuse());
}

/* What the kernel cannot tell, or tells too late. */
static void test_misuses(void **state)
{
	struct bench *bench = *state;

	assert_null(fake_kvm_misuse());
	kvm_sys_close(1000);
	assert_misused("not KVM's");
	assert_int_equal(kvm_sys_ioctl(1000, 0xaeff, NULL), -EBADF);
	assert_misused("not KVM's");
	kvm_sys_close(-1);
	assert_null(fake_kvm_misuse());
	kvm_sys_unmap_run(bench->page, 8192);
	assert_misused("unmapped");
	make_ready(bench);
	assert_int_equal(kvm_vcpu_inject_abort(bench->vcpu), 0);
	assert_misused("abort without an access");
	assert_int_equal(kvm_vm_set_memory(bench->vm, 0, ipa_at(0x3fff0000), 0x1000, 0x10000), 0);
	assert_misused("over the GIC");
}

static void test_early_abort(void **state)
{
	struct bench *bench = *state;

	bench->ops[0] = (struct fake_op){.kind = FAKE_LOAD, .at = 0x1000, .size = 4};
	make_ready(bench);
	assert_int_equal(kvm_vcpu_run(bench->vcpu), 0);
	assert_int_equal(kvm_vcpu_inject_abort(bench->vcpu), 0);
	assert_misused("still to be finished");
}

static void test_leaks_are_counted(void **state)
{
	struct bench *bench = *state;
	const unsigned nr = fake_kvm_nr_open();
	int vm;

	/* System, VM, vCPU and its page, GIC. */
	assert_int_equal(nr, 5);
	vm = kvm_vm_create(bench->kvm, 36);
	assert_int_equal(fake_kvm_nr_open(), nr + 1);
	kvm_sys_close(vm);
	assert_int_equal(fake_kvm_nr_open(), nr);
}

static void test_fault_switch(void **state)
{
	struct bench *bench = *state;

	fake_kvm_fail_call(2, -EIO);
	assert_int_equal(kvm_api_version(bench->kvm), 12);
	assert_string_equal(fake_kvm_failed_call(), "");
	assert_int_equal(kvm_api_version(bench->kvm), -EIO);
	assert_string_equal(fake_kvm_failed_call(), "ioctl kvm KVM_GET_API_VERSION");
	assert_int_equal(kvm_api_version(bench->kvm), 12);
}

/* A guest's accesses go where the slots say, and see what a system call would. */
static void test_guest_memory(void **state)
{
	struct bench *bench = *state;
	uint8_t *ram = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(ram != MAP_FAILED);
	bench->ops[0] =
		(struct fake_op){.kind = FAKE_STORE, .at = 0x80000ffe, .size = 2, .value = 0x1234};
	bench->ops[1] = (struct fake_op){.kind = FAKE_LOAD, .at = 0x80000fff, .size = 1};
	bench->ops[2] = (struct fake_op){.kind = FAKE_LOAD, .at = 0x80001000, .size = 4};
	make_ready(bench);
	assert_int_equal(
		kvm_vm_set_memory(bench->vm, 0, ipa_at(0x80000000), 8192, (uint64_t)(uintptr_t)ram),
		0);
	assert_int_equal(mprotect(ram + 4096, 4096, PROT_NONE), 0);
	assert_int_equal(kvm_vcpu_run(bench->vcpu), -EFAULT);
	assert_int_equal(kvm_exit_decode(bench->page, -EFAULT).kind, VCPU_EXIT_FAULT);
	assert_int_equal(ram[4094], 0x34);
	assert_int_equal(bench->ops[1].value, 0x12);
	/* It is tried again until it works, or an abort is injected. */
	assert_int_equal(kvm_vcpu_run(bench->vcpu), -EFAULT);
	assert_int_equal(bench->ops[2].nr_done, 0);
	kvm_run_set_immediate_exit(bench->page, true);
	assert_int_equal(kvm_vcpu_inject_abort(bench->vcpu), 0);
	assert_int_equal(kvm_vcpu_run(bench->vcpu), -EINTR);
	assert_int_equal(bench->ops[2].nr_aborts, 1);
	munmap(ram, 8192);
}

#define bench_test(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		bench_test(test_vm_types),
		bench_test(test_slots),
		bench_test(test_filter),
		bench_test(test_after_the_first_run),
		bench_test(test_vcpus),
		bench_test(test_gic),
		bench_test(test_unknown_requests),
		bench_test(test_misuses),
		bench_test(test_early_abort),
		bench_test(test_leaks_are_counted),
		bench_test(test_fault_switch),
		bench_test(test_guest_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
