/* SPDX-License-Identifier: Apache-2.0 */
/*
 * links: src/vm/vcpu.c src/vm/affinity.c src/dev/bus.c arch/arm64/kvm/emulated.c
 *	arch/arm64/kvm/realm_kvm.c
 *	arch/arm64/kvm/vm.c arch/arm64/kvm/vcpu.c arch/arm64/kvm/features.c
 *	src/realm/features.c arch/arm64/kvm/host.c arch/arm64/kvm/probe.c
 *	arch/arm64/kvm/realm_abi.c
 *	arch/arm64/memmap.c src/kvm/kvm.c src/kvm/exit.c src/mem/backing.c
 *	src/mem/gmem.c src/realm/realm.c
 *	src/realm/plan.c src/realm/measure.c src/realm/rsi.c src/realm/token.c src/realm/cose.c
 *	src/util/cbor.c src/util/err.c src/util/log.c src/util/hash.c src/util/file.c
 *	src/util/parse.c tests/fake/fake_kvm.c tests/fake/fake_gic.c tests/fake/fake_vcpu.c
 *	tests/fake/fake_cpu.c
 *	tests/fake/fake_run.c src/kvm/describe.c
 *	src/host/facts.c src/sandbox/thread.c src/sandbox/filter.c build/generated/syscalls.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../fake/fake_kvm.h"
#include "ccr/vcpu.h"

#define RAM_SIZE   (64ull << 20)
#define RAM        MEMMAP_RAM_BASE
#define SHARED_BIT (1ull << 32)
#define VECTORS    (RAM + 0x10000)
#define HOLE       0x02000000ull

/* Devices of the test: one that counts, one whose register makes the vCPU pause the others. */
#define COUNTER 0x1000ull
#define PAUSER  0x2000ull /* writes of the vCPU's own number: pause now */
#define LATE    0x2010ull /* not before somebody else has asked for a pause */
#define SECOND  0x2030ull /* not before HOLD or LATE is waiting */
#define HOLD    0x2020ull /* do not pause, but keep the access waiting until the stop */

#define MAX_VCPUS 8
#define FOR_EVER  UINT_MAX

struct bench {
	struct memmap map;
	struct arch_host host;
	struct gmem *gmem;
	struct arch_vm vm;
	struct bus bus;
	struct vcpu_group group;
	struct emulated emulated;
	bool is_emulated;
	struct ccr_err err;
	struct fake_op ops[MAX_VCPUS][32];
	unsigned nr_ops[MAX_VCPUS];
	atomic_uint work[MAX_VCPUS]; /* guest code that was executed */
	atomic_uint nr_counted;
	atomic_uint nr_waiting;
	atomic_uint nr_pauses, nr_cancelled, nr_broken; /* of PAUSER */
	atomic_uint owners;
	atomic_uint nr_ended;
	enum vm_outcome outcome; /* these two are valid once nr_ended is 1 */
	struct ccr_err reason;
};

static void on_ended(void *ctx, enum vm_outcome outcome, const struct ccr_err *err)
{
	struct bench *bench = ctx;

	bench->outcome = outcome;
	if (err)
		bench->reason = *err;
	atomic_fetch_add(&bench->nr_ended, 1);
}

/* Devices. */

static uint64_t counter_read(void *dev, uint64_t offset, unsigned size)
{
	struct bench *bench = dev;

	atomic_fetch_add(&bench->nr_counted, 1);
	return 0x1122334455667788ull >> (8 * offset) & (size == 8 ? ~0ull : (1ull << 8 * size) - 1);
}

static void counter_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
	struct bench *bench = dev;

	(void)offset;
	(void)size;
	(void)value;
	atomic_fetch_add(&bench->nr_counted, 1);
}

static const struct bus_ops counter_ops = {counter_read, counter_write};

static unsigned total_work(struct bench *bench)
{
	unsigned sum = atomic_load(&bench->nr_counted);

	for (unsigned i = 0; i < MAX_VCPUS; i++)
		sum += atomic_load(&bench->work[i]);
	return sum;
}

/* While a pause is owned: nobody executes, and nobody else owns it. */
static void look_around(struct bench *bench)
{
	const unsigned before = total_work(bench);

	if (atomic_fetch_add(&bench->owners, 1) != 0 || fake_kvm_nr_running() != 0)
		atomic_fetch_add(&bench->nr_broken, 1);
	usleep(50);
	if (total_work(bench) != before || fake_kvm_nr_running() != 0)
		atomic_fetch_add(&bench->nr_broken, 1);
	atomic_fetch_sub(&bench->owners, 1);
}

static bool is_paused(const struct vcpu_group *group)
{
	return group->pause_depth > 0;
}

static bool is_paused_by_vcpu(const struct vcpu_group *group)
{
	return group->pause_depth > 0 && group->pause_owner;
}

static bool is_stopping(const struct vcpu_group *group)
{
	return group->stop;
}

static void wait_until(struct vcpu_group *group, bool (*is_so)(const struct vcpu_group *group))
{
	bool so = false;

	for (unsigned ms = 0; ms < 20000 && !so; ms++) {
		pthread_mutex_lock(&group->lock);
		so = is_so(group);
		pthread_mutex_unlock(&group->lock);
		if (!so)
			usleep(1000);
	}
}

static void pauser_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
	struct bench *bench = dev;
	struct vcpu *self = &bench->group.vcpus[value];

	(void)size;
	if (offset == HOLD - PAUSER) {
		atomic_fetch_add(&bench->nr_waiting, 1);
		wait_until(&bench->group, is_stopping);
		return;
	}
	while (offset == SECOND - PAUSER && atomic_load(&bench->nr_waiting) == 0)
		usleep(100);
	if (offset == LATE - PAUSER) {
		atomic_fetch_add(&bench->nr_waiting, 1);
		wait_until(&bench->group, is_paused);
	}
	if (vcpu_group_pause(&bench->group, self)) {
		atomic_fetch_add(&bench->nr_cancelled, 1);
		return;
	}
	look_around(bench);
	/* The owner may nest it. */
	if (vcpu_group_pause(&bench->group, self) == 0)
		vcpu_group_resume(&bench->group, self);
	else
		atomic_fetch_add(&bench->nr_broken, 1);
	vcpu_group_resume(&bench->group, self);
	atomic_fetch_add(&bench->nr_pauses, 1);
}

static const struct bus_ops pauser_ops = {counter_read, pauser_write};

/* Guests. */

static void add_op(struct bench *bench, unsigned vcpu, const struct fake_op *op)
{
	assert_true(bench->nr_ops[vcpu] < 31);
	bench->ops[vcpu][bench->nr_ops[vcpu]++] = *op;
}

static bool work(void *ctx)
{
	atomic_uint *count = ctx;

	atomic_fetch_add(count, 1);
	return true;
}

static void add_work(struct bench *bench, unsigned vcpu)
{
	add_op(bench, vcpu,
	       &(struct fake_op){.kind = FAKE_CALL, .call = work, .ctx = &bench->work[vcpu]});
}

static void add_store(struct bench *bench, unsigned vcpu, uint64_t at, uint64_t value,
		      unsigned times)
{
	add_op(bench, vcpu,
	       &(struct fake_op){
		       .kind = FAKE_STORE, .at = at, .size = 4, .value = value, .times = times});
}

static void add_call(struct bench *bench, unsigned vcpu, uint64_t fid, uint64_t x1)
{
	add_op(bench, vcpu, &(struct fake_op){.kind = FAKE_SMC, .x = {fid, x1, RAM}});
}

/* vCPU 0 wakes all others. */
static void add_wake_up(struct bench *bench, unsigned nr_vcpus)
{
	for (unsigned i = 1; i < nr_vcpus; i++)
		add_call(bench, 0, FAKE_PSCI_CPU_ON, i);
}

/* The machine. */

static struct bench *make(enum machine_kind kind)
{
	struct bench *bench = calloc(1, sizeof(*bench));

	assert_non_null(bench);
	bench->is_emulated = kind == MACHINE_EMULATED;
	fake_kvm_begin(&fake_host_default);
	for (unsigned i = 0; i < MAX_VCPUS; i++)
		fake_kvm_set_guest(1, i, bench->ops[i]);
	return bench;
}

static void create(struct bench *bench, unsigned nr_vcpus)
{
	const enum machine_kind kind = bench->is_emulated ? MACHINE_EMULATED : MACHINE_PLAIN;

	assert_int_equal(memmap_init(&bench->map, RAM_SIZE, nr_vcpus, &bench->err), 0);
	assert_int_equal(arch_host_open(&bench->host, kind, &bench->map, NULL, &bench->err), 0);
	assert_int_equal(gmem_create(&bench->gmem, bench->is_emulated ? GMEM_SPLIT : GMEM_PLAIN,
				     ipa_at(RAM), RAM_SIZE, SHARED_BIT, &bench->err),
			 0);
	assert_int_equal(arch_vm_create(&bench->vm, &bench->host, kind, &bench->map, bench->gmem,
					&bench->err),
			 0);
	assert_int_equal(vcpu_group_init(&bench->group, nr_vcpus), 0);
	for (unsigned i = 0; i < nr_vcpus; i++)
		assert_int_equal(arch_vcpu_create(&bench->group.arch[i], &bench->vm, &bench->host,
						  i, &bench->err),
				 0);
	assert_int_equal(arch_vm_finish(&bench->vm, false, &bench->err), 0);
	assert_int_equal(
		bus_add(&bench->bus, ipa_at(COUNTER), 0x100, "counter", &counter_ops, bench), 0);
	assert_int_equal(bus_add(&bench->bus, ipa_at(PAUSER), 0x100, "pauser", &pauser_ops, bench),
			 0);
	bench->group.bus = &bench->bus;
	bench->group.gmem = bench->gmem;
	bench->group.ended = on_ended;
	bench->group.ended_ctx = bench;
}

static void start(struct bench *bench, unsigned nr_vcpus)
{
	create(bench, nr_vcpus);
	assert_int_equal(vcpu_group_start(&bench->group, &bench->err), 0);
}

static void run(struct bench *bench, unsigned nr_vcpus)
{
	start(bench, nr_vcpus);
	vcpu_group_resume(&bench->group, NULL);
}

static void destroy(struct bench *bench)
{
	vcpu_group_stop(&bench->group);
	emulated_done(&bench->emulated);
	vcpu_group_done(&bench->group);
	arch_vm_destroy(&bench->vm);
	gmem_destroy(bench->gmem);
	arch_host_close(&bench->host);
	assert_int_equal(atomic_load(&bench->nr_broken), 0);
	fake_kvm_end();
	free(bench);
}

static void wait_for(const atomic_uint *count, unsigned at_least)
{
	for (unsigned ms = 0; ms < 20000 && atomic_load(count) < at_least; ms++)
		usleep(1000);
	assert_true(atomic_load(count) >= at_least);
}

static void wait_for_end(struct bench *bench, enum vm_outcome outcome)
{
	wait_for(&bench->nr_ended, 1);
	assert_int_equal(bench->outcome, outcome);
}

/* Starting and stopping. */

static void test_begins_paused(void **state)
{
	struct bench *bench = make(MACHINE_PLAIN);

	(void)state;
	add_work(bench, 0);
	start(bench, 2);
	usleep(5000);
	assert_int_equal(atomic_load(&bench->work[0]), 0);
	vcpu_group_resume(&bench->group, NULL);
	wait_for(&bench->work[0], 1);
	destroy(bench);
}

static void test_stop_before_start(void **state)
{
	struct bench *bench = make(MACHINE_PLAIN);

	(void)state;
	start(bench, 4);
	destroy(bench);

	bench = make(MACHINE_PLAIN);
	create(bench, 4);
	destroy(bench);
}

static void test_stop_reaches_every_vcpu(void **state)
{
	struct bench *bench = make(MACHINE_PLAIN);

	(void)state;
	/* One works, one makes exits, one sleeps in WFI, the others were never on. */
	add_call(bench, 0, FAKE_PSCI_CPU_ON, 1);
	add_call(bench, 0, FAKE_PSCI_CPU_ON, 2);
	add_work(bench, 0);
	add_store(bench, 1, COUNTER, 0, FOR_EVER);
	run(bench, MAX_VCPUS);
	wait_for(&bench->work[0], 1);
	wait_for(&bench->nr_counted, 1);
	vcpu_group_stop(&bench->group);
	assert_int_equal(fake_kvm_nr_running(), 0);
	assert_true(fake_kvm_is_off(3));
	assert_false(fake_kvm_is_off(2));
	assert_int_equal(atomic_load(&bench->nr_ended), 0);
	destroy(bench);
}

/* Pauses. */

static void test_pause(void **state)
{
	struct bench *bench = make(MACHINE_PLAIN);

	(void)state;
	add_wake_up(bench, 4);
	add_work(bench, 0);
	add_work(bench, 1);
	add_store(bench, 2, COUNTER, 0, FOR_EVER);
	run(bench, 6);
	wait_for(&bench->work[1], 1);
	for (unsigned i = 0; i < 100; i++) {
		unsigned before;

		assert_int_equal(vcpu_group_pause(&bench->group, NULL), 0);
		look_around(bench);
		before = total_work(bench);
		vcpu_group_resume(&bench->group, NULL);
		if (i % 10 == 0) {
			while (total_work(bench) == before)
				sched_yield();
		}
	}
	destroy(bench);
}

static void test_pause_nests(void **state)
{
	struct bench *bench = make(MACHINE_PLAIN);

	(void)state;
	add_work(bench, 0);
	run(bench, 2);
	assert_int_equal(vcpu_group_pause(&bench->group, NULL), 0);
	assert_int_equal(vcpu_group_pause(&bench->group, NULL), 0);
	vcpu_group_resume(&bench->group, NULL);
	look_around(bench);
	vcpu_group_resume(&bench->group, NULL);
	wait_for(&bench->work[0], 1);
	destroy(bench);
}

/* Where the vCPU stood can be read while it is paused, and PSCI's state asked for. */
static void test_look_at_paused(void **state)
{
	struct bench *bench = make(MACHINE_PLAIN);

	(void)state;
	add_op(bench, 0, &(struct fake_op){.kind = FAKE_FETCH, .at = RAM + 0x1000});
	add_work(bench, 0);
	run(bench, 2);
	wait_for(&bench->work[0], 1);
	assert_int_equal(vcpu_group_pause(&bench->group, NULL), 0);
	assert_int_equal(bench->group.vcpus[0].pc, RAM + 0x1004);
	assert_int_equal(kvm_vcpu_is_stopped(bench->group.arch[0].fd), 0);
	assert_int_equal(kvm_vcpu_is_stopped(bench->group.arch[1].fd), 1);
	vcpu_group_resume(&bench->group, NULL);
	destroy(bench);
}

static void test_vcpu_pauses_others(void **state)
{
	struct bench *bench = make(MACHINE_PLAIN);

	(void)state;
	add_wake_up(bench, 3);
	add_store(bench, 0, PAUSER, 0, 50);
	add_work(bench, 1);
	add_store(bench, 2, COUNTER, 0, FOR_EVER);
	run(bench, 5);
	wait_for(&bench->nr_pauses, 50);
	destroy(bench);
}

static void test_two_callers_at_once(void **state)
{
	struct bench *bench = make(MACHINE_PLAIN);

	(void)state;
	add_wake_up(bench, 4);
	add_store(bench, 0, PAUSER, 0, 60);
	add_store(bench, 1, PAUSER, 1, 60);
	add_store(bench, 2, PAUSER, 2, 60);
	add_work(bench, 3);
	run(bench, 5);
	/* And the loop as the fourth. */
	for (unsigned i = 0; i < 60; i++) {
		assert_int_equal(vcpu_group_pause(&bench->group, NULL), 0);
		look_around(bench);
		vcpu_group_resume(&bench->group, NULL);
	}
	wait_for(&bench->nr_pauses, 180);
	assert_int_equal(atomic_load(&bench->nr_cancelled), 0);
	destroy(bench);
}

/* A vCPU that waits for its turn when the machine is stopped gets no pause. */
static void test_stop_while_turn_is_waited_for(void **state)
{
	struct bench *bench = make(MACHINE_PLAIN);

	(void)state;
	add_store(bench, 0, LATE, 0, 1);
	run(bench, 2);
	wait_for(&bench->nr_waiting, 1);
	/* Returns once vCPU 0 waits behind it. */
	assert_int_equal(vcpu_group_pause(&bench->group, NULL), 0);
	assert_int_equal(atomic_load(&bench->nr_pauses), 0);
	vcpu_group_stop(&bench->group);
	assert_int_equal(atomic_load(&bench->nr_pauses), 0);
	assert_int_equal(atomic_load(&bench->nr_cancelled), 1);
	destroy(bench);
}

/* And it gets it, if the loop lets go instead. */
static void test_turn_comes(void **state)
{
	struct bench *bench = make(MACHINE_PLAIN);

	(void)state;
	add_store(bench, 0, LATE, 0, 1);
	run(bench, 2);
	wait_for(&bench->nr_waiting, 1);
	assert_int_equal(vcpu_group_pause(&bench->group, NULL), 0);
	look_around(bench);
	vcpu_group_resume(&bench->group, NULL);
	wait_for(&bench->nr_pauses, 1);
	destroy(bench);
}

/* So does one whose turn it is, but that still waits for another vCPU. */
static void test_stop_while_others_are_waited_for(void **state)
{
	struct bench *bench = make(MACHINE_PLAIN);

	(void)state;
	add_wake_up(bench, 2);
	add_store(bench, 0, SECOND, 0, 1);
	add_store(bench, 1, HOLD, 1, 1);
	run(bench, 2);
	wait_until(&bench->group, is_paused_by_vcpu);
	vcpu_group_stop(&bench->group);
	assert_int_equal(atomic_load(&bench->nr_pauses), 0);
	assert_int_equal(atomic_load(&bench->nr_cancelled), 1);
	/* Nobody can pause what has been stopped. */
	assert_int_equal(vcpu_group_pause(&bench->group, NULL), -ECANCELED);
	destroy(bench);
}

/* Whatever is going on when the stop comes, every thread ends. */
static void test_stop_at_any_time(void **state)
{
	unsigned nr_cancelled = 0, nr_pauses = 0;

	(void)state;
	for (unsigned i = 0; i < 150; i++) {
		struct bench *bench = make(MACHINE_PLAIN);

		add_wake_up(bench, 4);
		add_store(bench, 0, PAUSER, 0, FOR_EVER);
		add_store(bench, 1, PAUSER, 1, FOR_EVER);
		add_store(bench, 2, COUNTER, 0, FOR_EVER);
		add_work(bench, 3);
		run(bench, 5);
		usleep(i * 10);
		vcpu_group_stop(&bench->group);
		nr_cancelled += atomic_load(&bench->nr_cancelled);
		nr_pauses += atomic_load(&bench->nr_pauses);
		destroy(bench);
	}
	assert_true(nr_pauses > 0);
	/* It was hit in the middle of a pause at least once. */
	assert_true(nr_cancelled > 0);
}

static void test_start_fails(void **state)
{
	struct bench *bench = make(MACHINE_PLAIN);

	(void)state;
	create(bench, 3);
	/* As if the threads could not be created: the group is stopped all the same. */
	vcpu_group_stop(&bench->group);
	vcpu_group_stop(&bench->group);
	destroy(bench);
}

/* Exits. */

static void test_device_accesses(void **state)
{
	struct bench *bench = make(MACHINE_PLAIN);
	static const struct {
		uint64_t at;
		unsigned size;
		uint64_t value;
	} loads[] = {
		{COUNTER, 1, 0x88},
		{COUNTER + 1, 1, 0x77},
		{COUNTER, 2, 0x7788},
		{COUNTER, 4, 0x55667788},
		{COUNTER, 8, 0x1122334455667788ull},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(loads) / sizeof(loads[0]); i++)
		add_op(bench, 0,
		       &(struct fake_op){
			       .kind = FAKE_LOAD, .at = loads[i].at, .size = loads[i].size});
	add_store(bench, 0, COUNTER, 1, 3);
	add_call(bench, 0, FAKE_PSCI_SYSTEM_OFF, 0);
	run(bench, 1);
	wait_for_end(bench, VM_POWEROFF);
	vcpu_group_stop(&bench->group);
	for (size_t i = 0; i < sizeof(loads) / sizeof(loads[0]); i++)
		assert_int_equal(bench->ops[0][i].value, loads[i].value);
	assert_int_equal(atomic_load(&bench->nr_counted), 8);
	assert_int_equal(atomic_load(&bench->group.vcpus[0].stats.nr_exits[VCPU_EXIT_MMIO]), 8);
	assert_int_equal(atomic_load(&bench->group.vcpus[0].stats.nr_aborts), 0);
	destroy(bench);
}

static void test_unclaimed_access(void **state)
{
	struct bench *bench = make(MACHINE_PLAIN);

	(void)state;
	add_op(bench, 0, &(struct fake_op){.kind = FAKE_SET_VBAR, .at = VECTORS});
	add_op(bench, 0, &(struct fake_op){.kind = FAKE_FETCH, .at = RAM});
	add_op(bench, 0,
	       &(struct fake_op){.kind = FAKE_LOAD, .at = HOLE, .size = 4, .value = 0x99});
	add_op(bench, 0, &(struct fake_op){.kind = FAKE_ERET});
	/* Straddling the end of a device's window is a hole, too. */
	add_op(bench, 0, &(struct fake_op){.kind = FAKE_STORE, .at = COUNTER + 0xfe, .size = 4});
	add_op(bench, 0, &(struct fake_op){.kind = FAKE_ERET});
	add_op(bench, 0, &(struct fake_op){.kind = FAKE_LOAD_PAIR, .at = COUNTER});
	add_op(bench, 0, &(struct fake_op){.kind = FAKE_ERET});
	add_store(bench, 0, COUNTER, 0, 1);
	add_call(bench, 0, FAKE_PSCI_SYSTEM_OFF, 0);
	run(bench, 1);
	wait_for_end(bench, VM_POWEROFF);
	vcpu_group_stop(&bench->group);
	assert_int_equal(bench->ops[0][2].nr_aborts, 1);
	assert_int_equal(bench->ops[0][2].value, 0x99);
	assert_int_equal(bench->ops[0][4].nr_aborts, 1);
	assert_int_equal(bench->ops[0][6].nr_aborts, 1);
	assert_int_equal(bench->ops[0][8].nr_aborts, 0);
	assert_int_equal(atomic_load(&bench->nr_counted), 1);
	assert_int_equal(atomic_load(&bench->group.vcpus[0].stats.nr_aborts), 3);
	destroy(bench);
}

/* Handlers that fault a few times are no crash; vectors that always do are. */
static void test_vector_aborts(void **state)
{
	struct bench *bench = make(MACHINE_PLAIN);

	(void)state;
	add_op(bench, 0, &(struct fake_op){.kind = FAKE_SET_VBAR, .at = VECTORS});
	add_op(bench, 0, &(struct fake_op){.kind = FAKE_FETCH, .at = RAM});
	/* The first abort is not taken in the vectors. */
	add_op(bench, 0, &(struct fake_op){.kind = FAKE_LOAD, .at = HOLE, .size = 4, .times = 64});
	add_op(bench, 0, &(struct fake_op){.kind = FAKE_FETCH, .at = RAM});
	add_op(bench, 0, &(struct fake_op){.kind = FAKE_LOAD, .at = HOLE, .size = 4, .times = 65});
	add_call(bench, 0, FAKE_PSCI_SYSTEM_OFF, 0);
	run(bench, 1);
	wait_for_end(bench, VM_CRASH);
	assert_non_null(strstr(bench->reason.msg, "exception vectors of vCPU 0"));
	vcpu_group_stop(&bench->group);
	assert_int_equal(bench->ops[0][2].nr_done, 64);
	assert_int_equal(atomic_load(&bench->group.vcpus[0].stats.nr_aborts), 64 + 65);
	destroy(bench);
}

static void run_to_end(struct bench *bench, enum vm_outcome outcome, const char *what)
{
	run(bench, 2);
	wait_for_end(bench, outcome);
	if (!what)
		assert_int_equal(bench->reason.code, 0);
	else if (!strstr(bench->reason.msg, what))
		fail_msg("\"%s\" does not say \"%s\"", bench->reason.msg, what);
	destroy(bench);
}

static void test_reset(void **state)
{
	struct bench *bench = make(MACHINE_PLAIN);

	(void)state;
	add_call(bench, 0, FAKE_PSCI_SYSTEM_RESET, 0);
	run_to_end(bench, VM_RESET, NULL);
}

/* What KVM reports, and what becomes of it. */
static void test_ends(void **state)
{
	enum { CRASH = 3, SHUTDOWN_EVENT = 1 };
	struct kvm_run *page = fake_run_new();
	struct bench *bench;
	static const struct {
		int ret;
		const char *what;
	} errors[] = {
		{-ENOMEM, "vCPU 0: KVM_RUN failed: Cannot allocate memory"},
		{-ENXIO, "vCPU 0: KVM_RUN failed: No such device"},
	};

	(void)state;
	assert_non_null(page);
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		bench = make(MACHINE_PLAIN);
		fake_run_reason(page, 0);
		add_op(bench, 0,
		       &(struct fake_op){.kind = FAKE_EXIT, .exit = page, .ret = errors[i].ret});
		run_to_end(bench, VM_FAILED, errors[i].what);
	}
	bench = make(MACHINE_PLAIN);
	fake_run_reason(page, 0);
	add_op(bench, 0, &(struct fake_op){.kind = FAKE_EXIT, .exit = page, .ret = -EFAULT});
	run_to_end(bench, VM_FAILED, "vCPU 0: the host cannot provide guest memory");

	bench = make(MACHINE_PLAIN);
	fake_run_fail_entry(page, 0x77);
	add_op(bench, 0, &(struct fake_op){.kind = FAKE_EXIT, .exit = page});
	run_to_end(bench, VM_FAILED, "vCPU 0: KVM gave up: exit reason 9, detail 0x77");

	bench = make(MACHINE_PLAIN);
	fake_run_mmio(page, COUNTER, 3, false, 0);
	add_op(bench, 0, &(struct fake_op){.kind = FAKE_EXIT, .exit = page});
	run_to_end(bench, VM_FAILED, "exit reason 6, detail 0x3");

	bench = make(MACHINE_PLAIN);
	fake_run_system_event(page, CRASH);
	add_op(bench, 0, &(struct fake_op){.kind = FAKE_EXIT, .exit = page});
	run_to_end(bench, VM_CRASH, "guest crashed: it said so");

	bench = make(MACHINE_PLAIN);
	fake_run_memory_fault(page, 0, RAM, 4096);
	add_op(bench, 0, &(struct fake_op){.kind = FAKE_EXIT, .exit = page, .ret = -EFAULT});
	run_to_end(bench, VM_FAILED, "unexpected memory fault at 0x80000000");

	bench = make(MACHINE_PLAIN);
	fake_run_hypercall(page, 0xC4000190, true);
	add_op(bench, 0, &(struct fake_op){.kind = FAKE_EXIT, .exit = page});
	run_to_end(bench, VM_FAILED, "cannot answer call 0xc4000190");
	free(page);
}

/* A vCPU that was told of the end waits for the one that knows the reason. */
static void test_shutdown_has_no_reason(void **state)
{
	struct kvm_run *page = fake_run_new();
	struct bench *bench = make(MACHINE_PLAIN);

	(void)state;
	assert_non_null(page);
	fake_run_reason(page, 8);
	add_call(bench, 0, FAKE_PSCI_CPU_ON, 1);
	add_op(bench, 0, &(struct fake_op){.kind = FAKE_EXIT, .exit = page});
	add_store(bench, 1, COUNTER, 0, 100);
	add_call(bench, 1, FAKE_PSCI_SYSTEM_OFF, 0);
	run(bench, 2);
	wait_for_end(bench, VM_POWEROFF);
	/* It counts as paused meanwhile. */
	assert_int_equal(vcpu_group_pause(&bench->group, NULL), 0);
	vcpu_group_resume(&bench->group, NULL);
	destroy(bench);
	free(page);
}

static void test_again(void **state)
{
	struct kvm_run *page = fake_run_new();
	struct bench *bench = make(MACHINE_PLAIN);

	(void)state;
	assert_non_null(page);
	fake_run_reason(page, 0);
	add_op(bench, 0, &(struct fake_op){.kind = FAKE_EXIT, .exit = page, .ret = -EAGAIN});
	add_op(bench, 0, &(struct fake_op){.kind = FAKE_EXIT, .exit = page, .ret = -EINTR});
	add_call(bench, 0, FAKE_PSCI_SYSTEM_OFF, 0);
	run_to_end(bench, VM_POWEROFF, NULL);
	free(page);
}

/* vCPUs that end at the same time: one reason reaches the owner. */
static void test_first_reason_counts(void **state)
{
	struct kvm_run *page = fake_run_new();

	(void)state;
	assert_non_null(page);
	fake_run_fail_entry(page, 1);
	for (unsigned i = 0; i < 20; i++) {
		struct bench *bench = make(MACHINE_PLAIN);

		add_wake_up(bench, 4);
		for (unsigned vcpu = 0; vcpu < 4; vcpu++)
			add_op(bench, vcpu, &(struct fake_op){.kind = FAKE_EXIT, .exit = page});
		run(bench, 4);
		vcpu_group_end(&bench->group, VM_STOPPED, NULL);
		wait_for(&bench->nr_ended, 1);
		vcpu_group_stop(&bench->group);
		assert_int_equal(atomic_load(&bench->nr_ended), 1);
		destroy(bench);
	}
	free(page);
}

/* Emulated realms. */

static void make_realm(struct bench *bench)
{
	struct plan plan = {
		.ipa_bits = bench->map.ipa_bits,
		.nr_vcpus = 1,
		.ram_base = ipa_at(RAM),
		.ram_size = RAM_SIZE,
		.pc = RAM,
	};
	struct realm realm;

	assert_int_equal(plan_add(&plan, "kernel", ipa_at(RAM), (const uint8_t *)"k", 1, 0, true,
				  &bench->err),
			 0);
	emulated_init(&bench->emulated, bench->gmem, &bench->vm, bench->group.arch);
	realm_init(&realm, &emulated_backend, &bench->emulated);
	assert_int_equal(realm_build(&realm, &plan, &realm_emulated_host, &bench->err), 0);
	bench->group.emulated = &bench->emulated;
}

static void run_realm(struct bench *bench)
{
	create(bench, 1);
	make_realm(bench);
	assert_int_equal(vcpu_group_start(&bench->group, &bench->err), 0);
	vcpu_group_resume(&bench->group, NULL);
}

static void test_realm_devices(void **state)
{
	struct bench *bench = make(MACHINE_EMULATED);

	(void)state;
	add_op(bench, 0, &(struct fake_op){.kind = FAKE_SET_VBAR, .at = VECTORS});
	add_op(bench, 0, &(struct fake_op){.kind = FAKE_FETCH, .at = RAM});
	/* Devices are at shared addresses; protected ones are holes. */
	add_op(bench, 0, &(struct fake_op){.kind = FAKE_LOAD, .at = COUNTER, .size = 4});
	add_op(bench, 0, &(struct fake_op){.kind = FAKE_ERET});
	add_op(bench, 0,
	       &(struct fake_op){.kind = FAKE_LOAD, .at = COUNTER | SHARED_BIT, .size = 4});
	add_op(bench, 0, &(struct fake_op){.kind = FAKE_LOAD, .at = HOLE | SHARED_BIT, .size = 4});
	add_call(bench, 0, FAKE_PSCI_SYSTEM_OFF, 0);
	run_realm(bench);
	wait_for_end(bench, VM_POWEROFF);
	vcpu_group_stop(&bench->group);
	assert_int_equal(bench->ops[0][2].nr_aborts, 1);
	assert_int_equal(bench->ops[0][4].nr_aborts, 0);
	assert_int_equal(bench->ops[0][4].value, 0x55667788);
	assert_int_equal(bench->ops[0][5].nr_aborts, 1);
	assert_int_equal(atomic_load(&bench->nr_counted), 1);
	destroy(bench);
}

static void add_state_set(struct bench *bench, uint64_t base, enum rsi_ripas ripas)
{
	add_op(bench, 0,
	       &(struct fake_op){.kind = FAKE_SMC,
				 .x = {RSI_IPA_STATE_SET, base, base + GRANULE_SIZE, ripas}});
}

/* What a guest sees that shares a page and takes it back. */
static void test_realm_memory(void **state)
{
	const uint64_t page = RAM + 0x100000;
	struct bench *bench = make(MACHINE_EMULATED);
	struct fake_op *ops = bench->ops[0];
	char out[4];

	(void)state;
	add_op(bench, 0, &(struct fake_op){.kind = FAKE_SET_VBAR, .at = VECTORS});
	add_op(bench, 0, &(struct fake_op){.kind = FAKE_FETCH, .at = RAM});
	add_call(bench, 0, RSI_VERSION, RSI_ABI_1_0);
	add_store(bench, 0, page, 0x5ec2e7, 1);
	add_state_set(bench, page, RSI_EMPTY);
	/* 5: now the protected address aborts, the shared one is another memory. */
	add_op(bench, 0, &(struct fake_op){.kind = FAKE_LOAD, .at = page, .size = 4});
	add_op(bench, 0, &(struct fake_op){.kind = FAKE_ERET});
	add_op(bench, 0,
	       &(struct fake_op){
		       .kind = FAKE_LOAD, .at = page | SHARED_BIT, .size = 4, .value = 1});
	add_store(bench, 0, page | SHARED_BIT, 0x64636261, 1);
	add_op(bench, 0, &(struct fake_op){.kind = FAKE_FETCH, .at = page});
	/* 10: private again, and empty; the shared address aborts. */
	add_state_set(bench, page, RSI_RAM);
	add_op(bench, 0, &(struct fake_op){.kind = FAKE_LOAD, .at = page, .size = 4, .value = 1});
	add_op(bench, 0, &(struct fake_op){.kind = FAKE_LOAD, .at = page | SHARED_BIT, .size = 4});
	add_state_set(bench, page + GRANULE_SIZE, RSI_EMPTY);
	add_store(bench, 0, (page + GRANULE_SIZE) | SHARED_BIT, 0x64636261, 1);
	add_call(bench, 0, FAKE_PSCI_SYSTEM_OFF, 0);
	run_realm(bench);
	wait_for_end(bench, VM_POWEROFF);
	vcpu_group_stop(&bench->group);
	assert_int_equal(ops[2].x[0], RSI_SUCCESS);
	assert_int_equal(ops[4].x[0], RSI_SUCCESS);
	assert_int_equal(ops[5].nr_aborts, 1);
	assert_int_equal(ops[7].nr_aborts, 0);
	assert_int_equal(ops[7].value, 0);
	assert_int_equal(ops[9].nr_aborts, 1);
	assert_int_equal(ops[11].nr_aborts, 0);
	assert_int_equal(ops[11].value, 0);
	assert_int_equal(ops[12].nr_aborts, 1);
	/* What it shared a device can read. */
	assert_int_equal(gmem_read(bench->gmem, ipa_at(page + GRANULE_SIZE), out, 4), 0);
	assert_memory_equal(out, "abcd", 4);
	assert_true(atomic_load(&bench->group.vcpus[0].stats.knows_realm));
	assert_int_equal(atomic_load(&bench->group.vcpus[0].stats.nr_exits[VCPU_EXIT_HYPERCALL]),
			 4);
	assert_int_equal(atomic_load(&bench->group.vcpus[0].stats.last_fid), RSI_IPA_STATE_SET);
	destroy(bench);
}

/* Vectors in a page that was given away: every abort leads to the next one. */
static void test_realm_without_vectors(void **state)
{
	struct bench *bench = make(MACHINE_EMULATED);

	(void)state;
	add_op(bench, 0, &(struct fake_op){.kind = FAKE_SET_VBAR, .at = VECTORS});
	add_state_set(bench, VECTORS, RSI_EMPTY);
	add_op(bench, 0,
	       &(struct fake_op){.kind = FAKE_FETCH, .at = VECTORS + 0x200, .times = FOR_EVER});
	run_realm(bench);
	wait_for_end(bench, VM_CRASH);
	assert_non_null(strstr(bench->reason.msg, "guest crashed: the exception vectors"));
	destroy(bench);
}

static void test_realm_call_fails(void **state)
{
	struct bench *bench = make(MACHINE_EMULATED);

	(void)state;
	add_call(bench, 0, RSI_VERSION, 0);
	create(bench, 1);
	make_realm(bench);
	assert_int_equal(vcpu_group_start(&bench->group, &bench->err), 0);
	/* PC for the pause that the thread finds, the run, X0. */
	usleep(5000);
	fake_kvm_fail_call(2, -EPERM);
	vcpu_group_resume(&bench->group, NULL);
	wait_for_end(bench, VM_FAILED);
	assert_non_null(strstr(bench->reason.msg, "cannot answer call 0xc4000190"));
	destroy(bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_begins_paused),
		cmocka_unit_test(test_stop_before_start),
		cmocka_unit_test(test_stop_reaches_every_vcpu),
		cmocka_unit_test(test_pause),
		cmocka_unit_test(test_pause_nests),
		cmocka_unit_test(test_look_at_paused),
		cmocka_unit_test(test_vcpu_pauses_others),
		cmocka_unit_test(test_two_callers_at_once),
		cmocka_unit_test(test_stop_while_turn_is_waited_for),
		cmocka_unit_test(test_turn_comes),
		cmocka_unit_test(test_stop_while_others_are_waited_for),
		cmocka_unit_test(test_stop_at_any_time),
		cmocka_unit_test(test_start_fails),
		cmocka_unit_test(test_device_accesses),
		cmocka_unit_test(test_unclaimed_access),
		cmocka_unit_test(test_vector_aborts),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_shutdown_has_no_reason),
		cmocka_unit_test(test_again),
		cmocka_unit_test(test_first_reason_counts),
		cmocka_unit_test(test_realm_devices),
		cmocka_unit_test(test_realm_memory),
		cmocka_unit_test(test_realm_without_vectors),
		cmocka_unit_test(test_realm_call_fails),
	};

	log_init(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
