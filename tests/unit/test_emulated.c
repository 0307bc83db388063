/* SPDX-License-Identifier: Apache-2.0 */
/*
 * links: arch/arm64/kvm/emulated.c arch/arm64/kvm/vm.c arch/arm64/kvm/vcpu.c
 *	arch/arm64/kvm/features.c
 *	src/realm/features.c
 *	arch/arm64/kvm/host.c arch/arm64/kvm/probe.c arch/arm64/kvm/realm_abi.c
 *	arch/arm64/memmap.c
 *	src/kvm/kvm.c
 *	src/kvm/exit.c src/mem/backing.c
 *	src/mem/gmem.c src/realm/realm.c src/realm/plan.c src/realm/measure.c
 *	src/realm/rsi.c src/realm/token.c src/realm/cose.c src/util/cbor.c src/util/err.c
 *	src/util/log.c src/util/hash.c src/util/file.c src/util/parse.c tests/fake/fake_kvm.c
 *	tests/fake/fake_gic.c tests/fake/fake_vcpu.c tests/fake/fake_cpu.c tests/fake/fake_run.c
 *	src/kvm/describe.c
 *	src/host/facts.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "../fake/fake_kvm.h"
#include "ccr/emulated.h"
#include "ccr/log.h"

#define RAM         MEMMAP_RAM_BASE
#define RAM_SIZE    (128ull << 20)
#define RAM_TOP     (RAM + RAM_SIZE)
#define SHARED_BIT  (1ull << 32)
#define KERNEL      (RAM + 0x80200) /* not on a granule's border */
#define KERNEL_SIZE 10000
#define DTB         (RAM + 0x400000)
#define DTB_SIZE    GRANULE_SIZE
#define HEAP        (RAM + 0x1000000) /* RAM without initial contents */
#define ALL_ONES    UINT64_MAX

/* A realm with one vCPU, ready to be built; its guest is one call that the tests fill in. */
struct bench {
	struct memmap map;
	struct arch_host host;
	struct gmem *gmem;
	struct arch_vm vm;
	struct arch_vcpu vcpu;
	struct plan plan;
	struct emulated emulated;
	struct realm realm;
	struct ccr_err err;
	struct fake_op ops[2];
	uint8_t kernel[KERNEL_SIZE], dtb[DTB_SIZE];
};

static void make_plan(struct bench *bench)
{
	struct plan *plan = &bench->plan;

	*plan = (struct plan){
		.hash_algo = HASH_SHA256,
		.ipa_bits = bench->map.ipa_bits,
		.nr_vcpus = 1,
		.ram_base = ipa_at(RAM),
		.ram_size = RAM_SIZE,
		.pc = KERNEL,
		.gprs = {DTB, 0, 0, 0, 5, 6, 7, 8},
	};
	memset(plan->rpv, 0x42, sizeof(plan->rpv));
	for (size_t i = 0; i < sizeof(bench->kernel); i++)
		bench->kernel[i] = (uint8_t)(13 * i + 1);
	memset(bench->dtb, 0xd0, sizeof(bench->dtb));
	assert_int_equal(plan_add(plan, "kernel", ipa_at(KERNEL), bench->kernel, KERNEL_SIZE, 20000,
				  true, &bench->err),
			 0);
	assert_int_equal(plan_add(plan, "device tree", ipa_at(DTB), bench->dtb, DTB_SIZE, 0, true,
				  &bench->err),
			 0);
}

static int bench_begin(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));

	assert_non_null(bench);
	*state = bench;
	bench->ops[0] = (struct fake_op){.kind = FAKE_SMC, .times = UINT_MAX};
	fake_kvm_begin(&fake_host_default);
	fake_kvm_set_guest(1, 0, bench->ops);
	assert_int_equal(memmap_init(&bench->map, RAM_SIZE, 1, &bench->err), 0);
	assert_int_equal(
		arch_host_open(&bench->host, MACHINE_EMULATED, &bench->map, NULL, &bench->err), 0);
	assert_int_equal(gmem_create(&bench->gmem, GMEM_SPLIT, ipa_at(RAM), RAM_SIZE, SHARED_BIT,
				     &bench->err),
			 0);
	assert_int_equal(arch_vm_create(&bench->vm, &bench->host, MACHINE_EMULATED, &bench->map,
					bench->gmem, &bench->err),
			 0);
	assert_int_equal(arch_vcpu_create(&bench->vcpu, &bench->vm, &bench->host, 0, &bench->err),
			 0);
	assert_int_equal(arch_vm_finish(&bench->vm, false, &bench->err), 0);
	make_plan(bench);
	assert_int_equal(
		arch_vcpu_set_entry(&bench->vcpu, bench->plan.pc, bench->plan.gprs, &bench->err),
		0);
	emulated_init(&bench->emulated, bench->gmem, &bench->vm, &bench->vcpu);
	realm_init(&bench->realm, &emulated_backend, &bench->emulated);
	return 0;
}

static int bench_end(void **state)
{
	struct bench *bench = *state;

	emulated_done(&bench->emulated);
	arch_vcpu_destroy(&bench->vcpu);
	arch_vm_destroy(&bench->vm);
	gmem_destroy(bench->gmem);
	arch_host_close(&bench->host);
	free(bench);
	fake_kvm_end();
	return 0;
}

static void build(struct bench *bench)
{
	assert_int_equal(
		realm_build(&bench->realm, &bench->plan, &realm_emulated_host, &bench->err), 0);
	assert_int_equal(bench->realm.state, REALM_SEALED);
	assert_true(bench->emulated.sealed);
}

/* All steps but the seal. */
static void build_open(struct bench *bench)
{
	struct plan_step *steps = calloc(PLAN_MAX_STEPS, sizeof(*steps));
	unsigned nr = 0;

	assert_non_null(steps);
	assert_int_equal(plan_steps(&bench->plan, &realm_emulated_host, steps, &nr, &bench->err),
			 0);
	assert_int_equal(steps[nr - 1].kind, PLAN_ACTIVATE);
	for (unsigned i = 0; i < nr - 1; i++)
		assert_int_equal(realm_step(&bench->realm, &bench->plan, &steps[i], &bench->err),
				 0);
	free(steps);
}

static int seal(struct bench *bench)
{
	const struct plan_step step = {.kind = PLAN_ACTIVATE};

	return realm_step(&bench->realm, &bench->plan, &step, &bench->err);
}

static bool is_as_measured(struct bench *bench)
{
	uint8_t rim[HASH_MAX_SIZE];

	assert_int_equal(
		measure_plan(&bench->plan, &realm_emulated_host, NULL, NULL, rim, &bench->err), 0);
	return memcmp(rim, bench->emulated.rim, sizeof(rim)) == 0;
}

/* Building and measuring. */

static void test_life(void **state)
{
	struct bench *bench = *state;
	static const uint8_t zero[HASH_MAX_SIZE];
	uint8_t bytes[KERNEL_SIZE];

	build(bench);
	assert_true(is_as_measured(bench));
	assert_memory_not_equal(bench->emulated.rim, zero, 32);
	assert_memory_equal(bench->emulated.rim + 32, zero, 32);

	assert_int_equal(gmem_rmm_read(bench->gmem, ipa_at(KERNEL), bytes, KERNEL_SIZE), 0);
	assert_memory_equal(bytes, bench->kernel, KERNEL_SIZE);
	assert_int_equal(gmem_nr_shared_pages(bench->gmem), 0);
}

static void test_other_hash(void **state)
{
	struct bench *bench = *state;

	bench->plan.hash_algo = HASH_SHA512;
	build(bench);
	assert_true(is_as_measured(bench));
}

/* Whatever changes between loading and seal is in the RIM. */
static void test_flipped_byte(void **state)
{
	static const uint64_t places[] = {
		KERNEL,
		KERNEL + KERNEL_SIZE - 1,
		DTB,
		DTB + DTB_SIZE - 1,
		KERNEL - 1,           /* zeros before the data, on its granule */
		KERNEL + KERNEL_SIZE, /* and behind it */
		KERNEL + 19999,       /* and up to the end of what it asked for */
	};

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		struct bench *bench = *state;
		uint8_t byte;

		build_open(bench);
		assert_int_equal(gmem_rmm_read(bench->gmem, ipa_at(places[i]), &byte, 1), 0);
		byte ^= 0x10;
		assert_int_equal(gmem_rmm_write(bench->gmem, ipa_at(places[i]), &byte, 1), 0);
		assert_int_equal(seal(bench), 0);
		assert_false(is_as_measured(bench));
		bench_end(state);
		bench_begin(state);
	}
}

/* RAM that the plan gives no contents is not measured. */
static void test_flipped_byte_elsewhere(void **state)
{
	struct bench *bench = *state;

	build_open(bench);
	assert_int_equal(gmem_rmm_write(bench->gmem, ipa_at(HEAP), "x", 1), 0);
	assert_int_equal(seal(bench), 0);
	assert_true(is_as_measured(bench));
}

static void test_unmeasured_segment(void **state)
{
	struct bench *bench = *state;

	bench->plan.segments[1].measured = false;
	build_open(bench);
	assert_int_equal(gmem_rmm_write(bench->gmem, ipa_at(DTB), "x", 1), 0);
	assert_int_equal(seal(bench), 0);
	assert_true(is_as_measured(bench));
}

static void test_changed_registers(void **state)
{
	for (unsigned i = 0; i <= PLAN_NR_GPRS; i++) {
		struct bench *bench = *state;
		uint64_t pc = bench->plan.pc, gprs[PLAN_NR_GPRS];

		memcpy(gprs, bench->plan.gprs, sizeof(gprs));
		if (i < PLAN_NR_GPRS)
			gprs[i]++;
		else
			pc += 4;
		build_open(bench);
		assert_int_equal(arch_vcpu_set_entry(&bench->vcpu, pc, gprs, &bench->err), 0);
		assert_int_equal(seal(bench), 0);
		assert_false(is_as_measured(bench));
		bench_end(state);
		bench_begin(state);
	}
}

static void test_page_taken_before_seal(void **state)
{
	struct bench *bench = *state;

	build_open(bench);
	assert_int_equal(gmem_set_shared(bench->gmem, ipa_at(DTB), GRANULE_SIZE), 0);
	assert_int_equal(seal(bench), -EFAULT);
	assert_int_equal(bench->realm.state, REALM_DEAD);
	assert_non_null(strstr(bench->err.msg, "measurement failed"));
	assert_false(bench->emulated.sealed);
}

static void test_segment_that_is_not_private(void **state)
{
	struct bench *bench = *state;
	const struct plan_segment *kernel = &bench->plan.segments[0];
	struct plan_step step = {.kind = PLAN_CREATE};

	assert_int_equal(realm_step(&bench->realm, &bench->plan, &step, &bench->err), 0);
	assert_int_equal(gmem_set_shared(bench->gmem, kernel->base, GRANULE_SIZE), 0);
	step = (struct plan_step){.kind = PLAN_DATA, .segment = kernel};
	assert_int_equal(realm_step(&bench->realm, &bench->plan, &step, &bench->err), -EFAULT);
	assert_string_equal(bench->err.msg,
			    "emulated realm: kernel at 0x80080200 is not private RAM");
}

static void test_too_many_segments(void **state)
{
	struct bench *bench = *state;
	const struct plan_segment *dtb = &bench->plan.segments[1];

	for (unsigned i = 0; i < PLAN_MAX_SEGMENTS; i++)
		assert_int_equal(emulated_backend.populate(&bench->emulated, dtb, &bench->err), 0);
	assert_int_equal(emulated_backend.populate(&bench->emulated, dtb, &bench->err), -ENOSPC);
	assert_int_equal(bench->err.code, -ENOSPC);
}

/* The filters are the first step, and KVM has a say. */
static void test_filter_refused(void **state)
{
	struct bench *bench = *state;

	fake_kvm_fail_call(2, -ENOMEM);
	assert_int_equal(
		realm_build(&bench->realm, &bench->plan, &realm_emulated_host, &bench->err),
		-ENOMEM);
	assert_non_null(strstr(bench->err.msg, "SMCCC filter for 0x8400000a refused"));
	assert_int_equal(bench->realm.state, REALM_DEAD);
	assert_false(bench->emulated.sealed);
}

static void test_entry_unreadable(void **state)
{
	struct bench *bench = *state;

	build_open(bench);
	fake_kvm_fail_call(1, -EPERM);
	assert_int_equal(seal(bench), -EPERM);
	assert_non_null(strstr(bench->err.msg, "cannot read the entry point of vCPU 0"));
	assert_false(bench->emulated.sealed);
}

/* Calls. */

static int hypercall(struct bench *bench, const struct kvm_exit *exit)
{
	return emulated_hypercall(&bench->emulated, &bench->vcpu, exit->hypercall.fid,
				  exit->hypercall.smc);
}

/* Let the guest make a call; @x goes there and back. Return: what emulated_hypercall() did. */
static int call(struct bench *bench, enum fake_op_kind kind, uint64_t x[FAKE_NR_X])
{
	struct kvm_exit exit;
	int ret;

	bench->ops[0].kind = kind;
	memcpy(bench->ops[0].x, x, sizeof(bench->ops[0].x));
	ret = kvm_vcpu_run(bench->vcpu.fd);
	exit = kvm_exit_decode(bench->vcpu.run, ret);
	assert_int_equal(exit.kind, VCPU_EXIT_HYPERCALL);
	assert_int_equal(exit.hypercall.fid, (uint32_t)x[0]);
	ret = hypercall(bench, &exit);
	if (ret)
		return ret;
	/* The guest goes on, but no further. */
	kvm_run_set_immediate_exit(bench->vcpu.run, true);
	assert_int_equal(kvm_vcpu_run(bench->vcpu.fd), -EINTR);
	kvm_run_set_immediate_exit(bench->vcpu.run, false);
	memcpy(x, bench->ops[0].x, sizeof(bench->ops[0].x));
	return 0;
}

static void smc(struct bench *bench, uint64_t x[FAKE_NR_X])
{
	assert_int_equal(call(bench, FAKE_SMC, x), 0);
}

static void assert_rest_is(const uint64_t x[FAKE_NR_X], unsigned from)
{
	for (unsigned i = from; i < FAKE_NR_X; i++)
		assert_int_equal(x[i], 0x1000 + i);
}

/* X0 is the call, X1 to X10 what the caller would be surprised to lose. */
static void fill(uint64_t x[FAKE_NR_X], uint64_t fid)
{
	x[0] = fid;
	for (unsigned i = 1; i < FAKE_NR_X; i++)
		x[i] = 0x1000 + i;
}

static void test_version(void **state)
{
	struct bench *bench = *state;
	uint64_t x[FAKE_NR_X];

	build(bench);
	fill(x, RSI_VERSION);
	x[1] = RSI_ABI_1_0;
	smc(bench, x);
	assert_int_equal(x[0], RSI_SUCCESS);
	assert_int_equal(x[1], RSI_ABI_1_0);
	assert_int_equal(x[2], RSI_ABI_1_0);
	assert_int_equal(x[3], 0);
	assert_rest_is(x, 4);

	/* Only W0 is the identifier. */
	fill(x, 0xdead000000000000ull | RSI_VERSION);
	smc(bench, x);
	assert_int_equal(x[0], RSI_ERROR_INPUT);
	assert_int_equal(x[1], RSI_ABI_1_0);
	assert_rest_is(x, 4);
}

static void test_hvc(void **state)
{
	struct bench *bench = *state;
	uint64_t x[FAKE_NR_X];

	build(bench);
	fill(x, RSI_VERSION);
	assert_int_equal(call(bench, FAKE_HVC, x), 0);
	assert_int_equal(x[0], ALL_ONES);
	assert_rest_is(x, 1);
}

static void test_unknown_calls(void **state)
{
	struct bench *bench = *state;
	uint64_t x[FAKE_NR_X];

	build(bench);
	for (uint64_t fid = RSI_HOST_CALL + 1; fid < RSI_FID_BASE + RSI_FID_COUNT; fid++) {
		fill(x, fid);
		smc(bench, x);
		assert_int_equal(x[0], ALL_ONES);
		assert_rest_is(x, 4);
	}
}

static void test_measurements(void **state)
{
	struct bench *bench = *state;
	uint64_t x[FAKE_NR_X], rem[8];

	build(bench);
	fill(x, RSI_MEASUREMENT_READ);
	x[1] = 0;
	smc(bench, x);
	assert_int_equal(x[0], RSI_SUCCESS);
	assert_memory_equal(&x[1], bench->emulated.rim, HASH_MAX_SIZE);
	assert_rest_is(x, 9);

	/* All eight data registers reach the RMM: X10 is the last. */
	for (unsigned last = 0; last < 2; last++) {
		fill(x, RSI_MEASUREMENT_EXTEND);
		x[1] = 1 + last;
		x[2] = 64;
		x[10] += last;
		smc(bench, x);
		assert_int_equal(x[0], RSI_SUCCESS);
		assert_int_equal(x[4], 0x1004);
		assert_int_equal(x[10], 0x100a + last);
	}
	fill(x, RSI_MEASUREMENT_READ);
	x[1] = 1;
	smc(bench, x);
	memcpy(rem, &x[1], sizeof(rem));
	assert_int_not_equal(rem[0], 0);
	fill(x, RSI_MEASUREMENT_READ);
	x[1] = 2;
	smc(bench, x);
	assert_memory_not_equal(rem, &x[1], 32);
	/* An error has no outputs. */
	fill(x, RSI_MEASUREMENT_READ);
	x[1] = 5;
	smc(bench, x);
	assert_int_equal(x[0], RSI_ERROR_INPUT);
	for (unsigned i = 1; i <= 8; i++)
		assert_int_equal(x[i], 0);
	assert_rest_is(x, 9);
}

static void test_realm_config(void **state)
{
	struct bench *bench = *state;
	uint8_t page[GRANULE_SIZE], rpv[PLAN_RPV_SIZE];
	uint64_t x[FAKE_NR_X], ipa_bits;

	build(bench);
	fill(x, RSI_REALM_CONFIG);
	x[1] = HEAP;
	smc(bench, x);
	assert_int_equal(x[0], RSI_SUCCESS);
	assert_int_equal(gmem_rmm_read(bench->gmem, ipa_at(HEAP), page, sizeof(page)), 0);
	memcpy(&ipa_bits, page, sizeof(ipa_bits));
	assert_int_equal(ipa_bits, 33);
	memset(rpv, 0x42, sizeof(rpv));
	assert_memory_equal(page + 0x200, rpv, sizeof(rpv));

	/* Not into shared memory, not outside RAM, not through the shared alias. */
	assert_int_equal(gmem_set_shared(bench->gmem, ipa_at(HEAP), GRANULE_SIZE), 0);
	for (unsigned i = 0; i < 3; i++) {
		static const uint64_t bad[] = {HEAP, RAM_TOP, HEAP | SHARED_BIT};

		fill(x, RSI_REALM_CONFIG);
		x[1] = bad[i];
		smc(bench, x);
		assert_int_equal(x[0], RSI_ERROR_INPUT);
	}
	assert_int_equal(gmem_read(bench->gmem, ipa_at(HEAP), page, sizeof(page)), 0);
	for (size_t i = 0; i < sizeof(page); i++)
		assert_int_equal(page[i], 0);
}

static void test_host_call(void **state)
{
	struct bench *bench = *state;
	uint64_t x[FAKE_NR_X], block[32] = {0x123};

	build(bench);
	for (unsigned i = 1; i < 32; i++)
		block[i] = i;
	assert_int_equal(gmem_rmm_write(bench->gmem, ipa_at(HEAP), block, sizeof(block)), 0);
	fill(x, RSI_HOST_CALL);
	x[1] = HEAP;
	smc(bench, x);
	assert_int_equal(x[0], RSI_SUCCESS);
	assert_int_equal(gmem_rmm_read(bench->gmem, ipa_at(HEAP), block, sizeof(block)), 0);
	assert_int_equal(block[1], ALL_ONES); /* X0: no such service */
	for (unsigned i = 2; i < 32; i++)
		assert_int_equal(block[i], i);
}

/* What KVM refuses ends the VM, and is told. */
static void test_registers_fail(void **state)
{
	struct bench *bench = *state;
	uint64_t x[FAKE_NR_X];

	build(bench);
	/* The run, eleven registers to read, the first to write. */
	for (unsigned number = 2; number <= 13; number += 11) {
		fill(x, RSI_VERSION);
		fake_kvm_fail_call(number, -EPERM);
		assert_int_equal(call(bench, FAKE_SMC, x), -EPERM);
		/* So that the model can go on. */
		kvm_run_set_immediate_exit(bench->vcpu.run, true);
		assert_int_equal(kvm_vcpu_run(bench->vcpu.fd), -EINTR);
		kvm_run_set_immediate_exit(bench->vcpu.run, false);
	}
}

/* What a realm does not have is denied by the kernel; PSCI is answered by it. */
static void test_other_services(void **state)
{
	static const uint64_t denied[] = {
		0x84000005, 0xC4000005, 0x84000006, 0xC4000007, /* PSCI MIGRATE and its INFO */
		0x8400000B, 0xC400000E, 0x84000012, 0xC4000012, /* SYSTEM_SUSPEND, SYSTEM_RESET2 */
		0x84000020, 0xC4000020, 0x84000050, 0x84000051, 0x84000053, 0xC4000053, /* TRNG */
		0xC5000020, 0xC5000021,                         /* paravirtual time */
		0x86000000, 0x8600ffff, 0xC6000000, 0xC600ffff, /* hypervisor */
	};
	struct fake_op *op;
	struct kvm_exit exit;
	struct bench *bench = *state;
	struct fake_op *ops = calloc(32, sizeof(*ops));
	unsigned nr = 0;

	assert_non_null(ops);
	/* A script of its own, on the second life; the first machine goes. */
	bench_end(state);
	bench_begin(state);
	bench = *state;
	arch_vcpu_destroy(&bench->vcpu);
	arch_vm_destroy(&bench->vm);
	for (; nr < sizeof(denied) / sizeof(denied[0]); nr++)
		ops[nr] = (struct fake_op){.kind = FAKE_SMC, .x = {denied[nr]}};
	ops[nr++] = (struct fake_op){.kind = FAKE_SMC, .x = {FAKE_PSCI_VERSION}};
	ops[nr++] = (struct fake_op){.kind = FAKE_HVC, .x = {FAKE_PSCI_VERSION}};
	ops[nr++] = (struct fake_op){.kind = FAKE_SMC, .x = {FAKE_PSCI_SYSTEM_OFF}};
	fake_kvm_set_guest(2, 0, ops);
	assert_int_equal(arch_vm_create(&bench->vm, &bench->host, MACHINE_EMULATED, &bench->map,
					bench->gmem, &bench->err),
			 0);
	assert_int_equal(arch_vcpu_create(&bench->vcpu, &bench->vm, &bench->host, 0, &bench->err),
			 0);
	assert_int_equal(arch_vm_finish(&bench->vm, false, &bench->err), 0);
	build(bench);

	exit = kvm_exit_decode(bench->vcpu.run, kvm_vcpu_run(bench->vcpu.fd));
	assert_int_equal(exit.kind, VCPU_EXIT_POWEROFF);
	for (op = ops; op < ops + sizeof(denied) / sizeof(denied[0]); op++)
		assert_int_equal(op->x[0], ALL_ONES);
	assert_int_equal(op[0].x[0], 0x10001);
	assert_int_equal(op[1].x[0], 0x10001);
	free(ops);
}

/* What KVM says of itself is not what an RMM has. */
static void test_psci_features(void **state)
{
	static const struct {
		uint32_t function;
		uint64_t expected;
	} cases[] = {
		{FAKE_PSCI_CPU_ON, 0},   {0x8400000A, 0}, /* PSCI_FEATURES */
		{0xC4000001, 0},                          /* CPU_SUSPEND */
		{0x84000006, ALL_ONES},                   /* MIGRATE_INFO_TYPE */
		{0xC4000012, ALL_ONES},                   /* SYSTEM_RESET2 */
		{RSI_VERSION, ALL_ONES},
	};
	struct bench *bench = *state;
	uint64_t x[FAKE_NR_X];

	build(bench);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fill(x, RSI_PSCI_FEATURES);
		x[1] = cases[i].function;
		smc(bench, x);
		assert_int_equal(x[0], cases[i].expected);
		assert_int_equal(x[1] | x[2] | x[3], 0);
		assert_int_not_equal(x[4], 0);
	}
}

/* RIPAS. */

static uint64_t state_get(struct bench *bench, uint64_t base, uint64_t top, uint64_t *ret_top)
{
	uint64_t x[FAKE_NR_X];

	fill(x, RSI_IPA_STATE_GET);
	x[1] = base;
	x[2] = top;
	smc(bench, x);
	assert_int_equal(x[0], RSI_SUCCESS);
	*ret_top = x[1];
	return x[2];
}

static void assert_state(struct bench *bench, uint64_t base, uint64_t top, enum rsi_ripas ripas,
			 uint64_t until)
{
	uint64_t end = 0;

	assert_int_equal(state_get(bench, base, top, &end), ripas);
	assert_int_equal(end, until);
}

/* Return: the response. */
static uint64_t state_set(struct bench *bench, uint64_t base, uint64_t top, enum rsi_ripas ripas,
			  uint64_t *ret_top)
{
	uint64_t x[FAKE_NR_X];

	fill(x, RSI_IPA_STATE_SET);
	x[1] = base;
	x[2] = top;
	x[3] = ripas;
	x[4] = 0;
	smc(bench, x);
	assert_int_equal(x[0], RSI_SUCCESS);
	*ret_top = x[1];
	return x[2];
}

static void assert_set(struct bench *bench, uint64_t base, uint64_t top, enum rsi_ripas ripas,
		       uint64_t response, uint64_t until)
{
	uint64_t end = 0;

	assert_int_equal(state_set(bench, base, top, ripas, &end), response);
	assert_int_equal(end, until);
}

static void test_ripas_get(void **state)
{
	struct bench *bench = *state;

	build(bench);
	assert_state(bench, RAM, RAM_TOP, RSI_RAM, RAM_TOP);
	assert_state(bench, RAM, RAM + GRANULE_SIZE, RSI_RAM, RAM + GRANULE_SIZE);
	/* Holes on both sides. */
	assert_state(bench, 0, SHARED_BIT, RSI_EMPTY, RAM);
	assert_state(bench, 0, RAM, RSI_EMPTY, RAM);
	assert_state(bench, 0x1000, 0x2000, RSI_EMPTY, 0x2000);
	assert_state(bench, RAM_TOP, SHARED_BIT, RSI_EMPTY, SHARED_BIT);
	assert_state(bench, RAM, SHARED_BIT, RSI_RAM, RAM_TOP);
	assert_state(bench, RAM_TOP - GRANULE_SIZE, SHARED_BIT, RSI_RAM, RAM_TOP);

	/* EMPTY pages in the middle. */
	assert_int_equal(gmem_set_shared(bench->gmem, ipa_at(HEAP), 2 * GRANULE_SIZE), 0);
	assert_state(bench, RAM, SHARED_BIT, RSI_RAM, HEAP);
	assert_state(bench, HEAP, SHARED_BIT, RSI_EMPTY, HEAP + 2 * GRANULE_SIZE);
	assert_state(bench, HEAP, HEAP + GRANULE_SIZE, RSI_EMPTY, HEAP + GRANULE_SIZE);
	assert_state(bench, HEAP + 2 * GRANULE_SIZE, RAM_TOP, RSI_RAM, RAM_TOP);
}

/* Where EMPTY RAM borders on a hole, they are one. */
static void test_ripas_get_at_borders(void **state)
{
	struct bench *bench = *state;

	build(bench);
	assert_int_equal(gmem_set_shared(bench->gmem, ipa_at(RAM), GRANULE_SIZE), 0);
	assert_int_equal(gmem_set_shared(bench->gmem, ipa_at(RAM_TOP - GRANULE_SIZE), GRANULE_SIZE),
			 0);
	assert_state(bench, 0, SHARED_BIT, RSI_EMPTY, RAM + GRANULE_SIZE);
	assert_state(bench, RAM - GRANULE_SIZE, RAM + 8 * GRANULE_SIZE, RSI_EMPTY,
		     RAM + GRANULE_SIZE);
	assert_state(bench, RAM + GRANULE_SIZE, SHARED_BIT, RSI_RAM, RAM_TOP - GRANULE_SIZE);
	assert_state(bench, RAM_TOP - GRANULE_SIZE, SHARED_BIT, RSI_EMPTY, SHARED_BIT);
	assert_state(bench, RAM_TOP - GRANULE_SIZE, RAM_TOP, RSI_EMPTY, RAM_TOP);

	assert_int_equal(gmem_set_shared(bench->gmem, ipa_at(RAM), RAM_SIZE), 0);
	assert_state(bench, 0, SHARED_BIT, RSI_EMPTY, SHARED_BIT);
	assert_state(bench, 0, RAM + GRANULE_SIZE, RSI_EMPTY, RAM + GRANULE_SIZE);
}

static void test_ripas_set(void **state)
{
	struct bench *bench = *state;
	char out[4];

	build(bench);
	assert_int_equal(gmem_rmm_write(bench->gmem, ipa_at(HEAP), "priv", 4), 0);
	/* The first call of a Linux guest: everything, to what it is already. */
	assert_set(bench, RAM, RAM_TOP, RSI_RAM, RSI_ACCEPT, RAM_TOP);
	assert_int_equal(gmem_rmm_read(bench->gmem, ipa_at(HEAP), out, 4), 0);
	assert_memory_equal(out, "priv", 4);

	assert_set(bench, HEAP, HEAP + GRANULE_SIZE, RSI_EMPTY, RSI_ACCEPT, HEAP + GRANULE_SIZE);
	assert_true(gmem_is_shared(bench->gmem, ipa_at(HEAP)));
	assert_int_equal(gmem_read(bench->gmem, ipa_at(HEAP), out, 4), 0);
	assert_memory_equal(out, "\0\0\0\0", 4);
	assert_set(bench, HEAP, HEAP + GRANULE_SIZE, RSI_RAM, RSI_ACCEPT, HEAP + GRANULE_SIZE);
	assert_false(gmem_is_shared(bench->gmem, ipa_at(HEAP)));
	assert_int_equal(gmem_rmm_read(bench->gmem, ipa_at(HEAP), out, 4), 0);
	assert_memory_equal(out, "\0\0\0\0", 4);
}

static void test_ripas_set_at_borders(void **state)
{
	struct bench *bench = *state;

	build(bench);
	/* A hole can stay EMPTY, and cannot become RAM. */
	assert_set(bench, 0, RAM, RSI_EMPTY, RSI_ACCEPT, RAM);
	assert_set(bench, RAM_TOP, SHARED_BIT, RSI_EMPTY, RSI_ACCEPT, SHARED_BIT);
	assert_set(bench, 0, GRANULE_SIZE, RSI_RAM, RSI_REJECT, 0);
	assert_set(bench, 0, RAM_TOP, RSI_RAM, RSI_REJECT, 0);
	assert_set(bench, RAM_TOP, SHARED_BIT, RSI_RAM, RSI_REJECT, RAM_TOP);
	assert_set(bench, RAM_TOP + GRANULE_SIZE, SHARED_BIT, RSI_RAM, RSI_REJECT,
		   RAM_TOP + GRANULE_SIZE);
	assert_int_equal(gmem_nr_shared_pages(bench->gmem), 0);

	/* Across a border: what is RAM changes. */
	assert_set(bench, RAM - GRANULE_SIZE, RAM + GRANULE_SIZE, RSI_EMPTY, RSI_ACCEPT,
		   RAM + GRANULE_SIZE);
	assert_set(bench, RAM_TOP - GRANULE_SIZE, RAM_TOP + GRANULE_SIZE, RSI_EMPTY, RSI_ACCEPT,
		   RAM_TOP + GRANULE_SIZE);
	assert_int_equal(gmem_nr_shared_pages(bench->gmem), 2);
	assert_set(bench, RAM_TOP - GRANULE_SIZE, SHARED_BIT, RSI_RAM, RSI_REJECT, RAM_TOP);
	assert_false(gmem_is_shared(bench->gmem, ipa_at(RAM_TOP - GRANULE_SIZE)));
	assert_true(gmem_is_shared(bench->gmem, ipa_at(RAM)));
	assert_set(bench, 0, SHARED_BIT, RSI_EMPTY, RSI_ACCEPT, SHARED_BIT);
	assert_int_equal(gmem_nr_shared_pages(bench->gmem), RAM_SIZE / GRANULE_SIZE);
}

/* A guest that shares every second page ends before the host runs out of mappings. */
static void test_too_fragmented(void **state)
{
	struct bench *bench = *state;
	uint64_t x[FAKE_NR_X];
	unsigned nr = 0;
	int ret = 0;

	build(bench);
	while (!ret && nr <= GMEM_MAX_RUNS) {
		fill(x, RSI_IPA_STATE_SET);
		x[1] = RAM + 2 * nr++ * GRANULE_SIZE;
		x[2] = x[1] + GRANULE_SIZE;
		x[3] = RSI_EMPTY;
		ret = call(bench, FAKE_SMC, x);
	}
	assert_int_equal(ret, -ENOSPC);
	assert_int_equal(nr, GMEM_MAX_RUNS + 1);
	assert_int_equal(gmem_nr_shared_pages(bench->gmem), GMEM_MAX_RUNS);
}

#define bench_test(f) cmocka_unit_test_setup_teardown(f, bench_begin, bench_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		bench_test(test_life),
		bench_test(test_other_hash),
		bench_test(test_flipped_byte),
		bench_test(test_flipped_byte_elsewhere),
		bench_test(test_unmeasured_segment),
		bench_test(test_changed_registers),
		bench_test(test_page_taken_before_seal),
		bench_test(test_segment_that_is_not_private),
		bench_test(test_too_many_segments),
		bench_test(test_filter_refused),
		bench_test(test_entry_unreadable),
		bench_test(test_version),
		bench_test(test_hvc),
		bench_test(test_unknown_calls),
		bench_test(test_measurements),
		bench_test(test_realm_config),
		bench_test(test_host_call),
		bench_test(test_registers_fail),
		bench_test(test_psci_features),
		bench_test(test_other_services),
		bench_test(test_ripas_get),
		bench_test(test_ripas_get_at_borders),
		bench_test(test_ripas_set),
		bench_test(test_ripas_set_at_borders),
		bench_test(test_too_fragmented),
	};

	log_init(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
