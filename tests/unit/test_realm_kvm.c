/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Realms on every generation of KVM's interface: launch, refusals, failures, changes at run time.
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
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../fake/fake_realm_vm.h"
#include "ccr/log.h"

#define HEAP (FAKE_REALM_RAM + 0x1000000) /* RAM without initial contents */
#define PAGE GRANULE_SIZE

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

static void start(const struct fake_realm_host *host, unsigned nr_vcpus,
		  struct fake_guest_op *first, struct fake_guest_op *second)
{
	fake_realm_begin(host);
	if (first)
		fake_realm_set_guest(0, first);
	if (second)
		fake_realm_set_guest(1, second);
	fake_realm_vm_prepare(vm, nr_vcpus);
	/* The probe refuses it. */
	if (host->generation == FAKE_POST_V16)
		assert_int_equal(realm_abi_from_name("v16", &vm->chosen, NULL), 0);
	if (fake_realm_vm_launch(vm))
		fail_msg("%s: %s", fake_generation_name(host->generation), vm->err.msg);
}

static void finish(void)
{
	const char *misuse = fake_kvm_misuse();

	if (misuse)
		fail_msg("%s: misuse: %s", plan_family_name(vm->host.abi.family), misuse);
	fake_realm_vm_done(vm);
	fake_kvm_end();
}

static bool is_implicit(enum fake_generation generation)
{
	return generation >= FAKE_V12;
}

/* Linux's way. Only where a page can be left alone until the commit need guests not allow it. */
static bool allows_destroyed(enum fake_generation generation)
{
	return generation >= FAKE_V15;
}

/* Launch. */

static void assert_contents(const struct plan *plan)
{
	uint8_t wanted[PAGE], got[PAGE];

	for (unsigned i = 0; i < plan->nr_segments; i++) {
		const struct plan_segment *segment = &plan->segments[i];

		for (uint64_t page = 0; page < segment->size / PAGE; page++) {
			plan_page(segment, page, wanted);
			fake_realm_read(segment->base.v + page * PAGE, got, PAGE);
			assert_memory_equal(got, wanted, PAGE);
		}
	}
}

/* What the RMM has done is what the RIM engine hashes, in its order. */
static void assert_steps(void)
{
	struct plan_step *wanted = calloc(PLAN_MAX_STEPS, sizeof(*wanted));
	const struct fake_step *got;
	unsigned nr_wanted, nr_got;

	assert_non_null(wanted);
	assert_int_equal(plan_steps(&vm->plan, &vm->realm_host, wanted, &nr_wanted, NULL), 0);
	got = fake_realm_steps(&nr_got);
	assert_int_equal(nr_got, nr_wanted);
	for (unsigned i = 0; i < nr_got; i++) {
		assert_int_equal(got[i].kind, wanted[i].kind);
		assert_int_equal(got[i].base, wanted[i].base.v);
		assert_int_equal(got[i].size, wanted[i].size);
		assert_int_equal(got[i].vcpu, wanted[i].vcpu);
		if (got[i].kind == PLAN_DATA)
			assert_int_equal(got[i].is_measured, wanted[i].segment->measured);
	}
	free(wanted);
}

static void assert_launched(void)
{
	static const uint8_t zero[PAGE];
	uint8_t bytes[PAGE];

	assert_int_equal(vm->realm.state, REALM_SEALED);
	assert_contents(&vm->plan);
	assert_steps();
	assert_int_equal(fake_realm_entry(0, 0), FAKE_REALM_KERNEL);
	for (unsigned i = 0; i < PLAN_NR_GPRS; i++)
		assert_int_equal(fake_realm_entry(0, 1 + i), vm->plan.gprs[i]);
	/* The copies that KVM took the images from are gone. */
	assert_int_equal(gmem_set_shared(vm->gmem, ipa_at(FAKE_REALM_RAM), PAGE), 0);
	assert_int_equal(gmem_read(vm->gmem, ipa_at(FAKE_REALM_RAM), bytes, PAGE), 0);
	assert_memory_equal(bytes, zero, PAGE);
}

static void test_launch(void **state)
{
	(void)state;
	for (enum fake_generation i = 0; i < FAKE_POST_V16; i++) {
		const struct fake_realm_host host = {.generation = i};

		start(&host, 3, NULL, NULL);
		assert_launched();
		finish();
	}
}

/* KVM may do a part of a populate only. */
static void test_populate_in_parts(void **state)
{
	(void)state;
	for (enum fake_generation i = FAKE_V12; i < FAKE_POST_V16; i++) {
		const struct fake_realm_host host = {.generation = i, .populate_size = 2 * PAGE};

		start(&host, 1, NULL, NULL);
		assert_launched();
		finish();
	}
}

/* What has been asked up to the seal, without what closes it. */
static const char *launch_trace(const struct fake_realm_host *host)
{
	static char trace[16 * 1024];

	start(host, 1, NULL, NULL);
	snprintf(trace, sizeof(trace), "%s", fake_kvm_trace());
	finish();
	/* Closing does not count as a call. */
	for (char *at; (at = strstr(trace, "\nclose "));)
		memmove(at, strchr(at + 1, '\n'), strlen(strchr(at + 1, '\n')) + 1);
	return trace;
}

/* Interrupted or busy before anything is done: not an end, but not for ever either. */
static void test_populate_is_interrupted(void **state)
{
	(void)state;
	for (enum fake_generation i = FAKE_V12; i < FAKE_POST_V16; i++) {
		struct fake_realm_host host = {
			.generation = i, .populate_size = PAGE, .nr_interrupted = 15};

		start(&host, 1, NULL, NULL);
		assert_launched();
		finish();
	}
}

static void test_populate_is_stuck(void **state)
{
	const struct fake_realm_host host = {.generation = FAKE_V14, .nr_interrupted = 1000000};

	(void)state;
	fake_realm_begin(&host);
	fake_realm_vm_prepare(vm, 1);
	assert_int_equal(fake_realm_vm_launch(vm), -EIO);
	assert_string_equal(vm->err.msg,
			    "KVM: kernel at 0x80000000 cannot be populated: no progress");
	fake_realm_vm_done(vm);
	fake_kvm_end();
}

static unsigned count_calls(const struct fake_realm_host *host)
{
	unsigned nr_calls = 0;

	for (const char *at = launch_trace(host); (at = strchr(at, '\n')); at++)
		nr_calls++;
	return nr_calls;
}

/*
 * KVM_RUN with immediate_exit is the seal, and a population that must find the realm active its
 * proof: a realm that cannot be activated is a failed launch.
 */
static void test_seal_fails(void **state)
{
	static const char *const calls[] = {"ioctl vcpu0 KVM_RUN", "POPULATE"};

	(void)state;
	for (enum fake_generation i = FAKE_V12; i < FAKE_POST_V16; i++) {
		const struct fake_realm_host host = {.generation = i};
		const unsigned nr_calls = count_calls(&host);

		/* The last two calls but for closing. */
		for (unsigned j = 0; j < 2; j++) {
			fake_realm_begin(&host);
			fake_realm_vm_prepare(vm, 1);
			fake_kvm_fail_call(nr_calls - 1 + j, -ENXIO);
			assert_int_equal(fake_realm_vm_launch(vm), -ENXIO);
			assert_non_null(strstr(fake_kvm_failed_call(), calls[j]));
			assert_string_equal(vm->err.msg,
					    "KVM: the RMM refused to activate the realm: No such "
					    "device or address");
			assert_int_equal(vm->realm.state, REALM_DEAD);
			fake_realm_vm_done(vm);
			fake_kvm_end();
		}
	}
}

/*
 * An activation that fails with what means success, or "again". From v13 to v15 a second KVM_RUN
 * would say EINTR of the dead realm; so there is none, and EINTR alone is not believed.
 */
static void test_seal_is_not_believed(void **state)
{
	static const int errors[] = {-EINTR, -EAGAIN, -ENXIO, -ENOMEM};

	(void)state;
	for (enum fake_generation i = FAKE_V12; i < FAKE_POST_V16; i++) {
		for (size_t j = 0; j < sizeof(errors) / sizeof(errors[0]); j++) {
			const struct fake_realm_host host = {.generation = i,
							     .activation_error = errors[j]};
			const int dead = i >= FAKE_V16 ? -EIO : -ENXIO;
			const char *run;

			fake_realm_begin(&host);
			fake_realm_vm_prepare(vm, 1);
			assert_int_equal(fake_realm_vm_launch(vm),
					 errors[j] == -EINTR ? dead : errors[j]);
			assert_non_null(strstr(vm->err.msg, "refused to activate the realm"));
			assert_int_equal(vm->realm.state, REALM_DEAD);
			run = strstr(fake_kvm_trace(), "KVM_RUN");
			assert_non_null(run);
			assert_null(strstr(run + 1, "KVM_RUN"));
			fake_realm_vm_done(vm);
			fake_kvm_end();
		}
	}
}

/*
 * After v16 RIPAS is set by a request of its own, whose number nobody has seen: whoever insists on
 * v16's interface gets a launch that succeeds, and the guest finds no RAM but what was populated.
 */
static void test_post_v16_has_no_ripas(void **state)
{
	const struct fake_realm_host host = {.generation = FAKE_POST_V16};
	struct fake_guest_op ops[] = {
		{.kind = FAKE_GUEST_PRIVATE, .at = HEAP},
		{.kind = FAKE_GUEST_PRIVATE, .at = FAKE_REALM_TREE},
		{.kind = FAKE_GUEST_OFF},
	};

	(void)state;
	start(&host, 1, ops, NULL);
	assert_int_equal(fake_realm_vm_run(vm, 0), VCPU_EXIT_POWEROFF);
	assert_int_equal(ops[0].nr_aborts, 1);
	assert_int_equal(ops[1].nr_aborts, 0);
	finish();
}

static void test_personalisation_and_hash(void **state)
{
	(void)state;
	for (enum fake_generation i = 0; i < FAKE_V12; i++) {
		const struct fake_realm_host host = {.generation = i};

		fake_realm_begin(&host);
		fake_realm_vm_prepare(vm, 1);
		for (unsigned byte = 0; byte < PLAN_RPV_SIZE; byte++)
			vm->plan.rpv[byte] = (uint8_t)(byte + 1);
		vm->plan.hash_algo = HASH_SHA512;
		assert_int_equal(fake_realm_vm_launch(vm), 0);
		assert_memory_equal(fake_realm_rpv(), vm->plan.rpv, PLAN_RPV_SIZE);
		assert_int_equal(fake_realm_hash(), 1);
		assert_launched();
		finish();
	}
}

/* Refusals. */

static void assert_refused(const struct fake_realm_host *host, int code, const char *sentence)
{
	assert_int_equal(fake_realm_vm_launch(vm), code);
	assert_int_equal(vm->err.code, code);
	assert_string_equal(vm->err.msg, sentence);
	assert_int_equal(vm->realm.state, REALM_DEAD);
	assert_null(strstr(fake_kvm_trace(), "POPULATE base"));
	assert_null(strstr(fake_kvm_trace(), "KVM_RUN"));
	if (!is_implicit(host->generation))
		assert_null(strstr(fake_kvm_trace(), "CREATE ="));
	finish();
}

static void test_implicit_has_no_choice(void **state)
{
	static const char *const names[] = {"implicit", "implicit-gmem"};
	char sentence[256];

	(void)state;
	for (enum fake_generation i = FAKE_V12; i < FAKE_NR_REALM_GENERATIONS; i++) {
		const struct fake_realm_host host = {.generation = i};
		const char *name = names[i >= FAKE_V15];

		fake_realm_begin(&host);
		fake_realm_vm_prepare(vm, 1);
		vm->plan.rpv[63] = 1;
		snprintf(sentence, sizeof(sentence),
			 "--realm-pv: KVM's %s realm interface (series v12 on) takes no "
			 "personalisation value; leave it out, or use a host with the explicit one "
			 "(up to v11)",
			 name);
		assert_refused(&host, -EOPNOTSUPP, sentence);

		fake_realm_begin(&host);
		fake_realm_vm_prepare(vm, 1);
		vm->plan.hash_algo = HASH_SHA512;
		snprintf(
			sentence, sizeof(sentence),
			"--measurement-algo sha-512: KVM's %s realm interface (series v12 on) has "
			"no choice of the hash; choose sha256, or use a host with the explicit one "
			"(up to v11)",
			name);
		assert_refused(&host, -EOPNOTSUPP, sentence);
	}
}

static void test_rmm_without_sha512(void **state)
{
	(void)state;
	for (enum fake_generation i = 0; i < FAKE_V12; i++) {
		const struct fake_realm_host host = {.generation = i, .has_no_sha512 = true};

		fake_realm_begin(&host);
		fake_realm_vm_prepare(vm, 1);
		vm->plan.hash_algo = HASH_SHA512;
		assert_refused(&host, -EINVAL,
			       "--measurement-algo sha-512: this host's RMM does not have it "
			       "(Invalid argument)");
	}
}

/* Failures. */

static unsigned nr_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned nr = 0;

	assert_non_null(dir);
	while (readdir(dir))
		nr++;
	closedir(dir);
	return nr;
}

/* What the launch can do without: questions to which no answer is one. */
static bool is_optional(const char *call)
{
	static const char *const optional[] = {
		"ARM_NISV_TO_USER", "ARM_VM_IPA_SIZE", "POPULATE NULL", "POPULATE_V12 NULL",
		"0x4040aed",        "0xc040aed",       "IRQFD",         "IRQ_ROUTING"};
	const char *config = strstr(call, "CONFIG");

	for (size_t i = 0; i < sizeof(optional) / sizeof(optional[0]); i++) {
		if (strstr(call, optional[i]))
			return true;
	}
	return config && config[strlen("CONFIG")] == '\0';
}

/* Call n fails, for every n. Return: false when there were not so many calls. */
static bool launch_fails(const struct fake_realm_host *host, unsigned call, int error)
{
	const unsigned before = nr_fds();
	char failed[256];
	int ret;

	fake_realm_begin(host);
	fake_realm_vm_prepare(vm, 2);
	fake_kvm_fail_call(call, error);
	ret = fake_realm_vm_launch(vm);
	snprintf(failed, sizeof(failed), "%s", fake_kvm_failed_call());
	if (ret == 0 && failed[0] && !is_optional(failed))
		fail_msg("%s: launched although %s failed", fake_generation_name(host->generation),
			 failed);
	if (ret) {
		assert_int_equal(vm->err.code, ret);
		assert_true(strlen(vm->err.msg) > 10);
		assert_null(strchr(vm->err.msg, '\n'));
		assert_int_not_equal(vm->realm.state, REALM_SEALED);
	}
	finish();
	assert_int_equal(fake_kvm_nr_open(), 0);
	/* The model's own memory_fd comes and goes with it. */
	assert_int_equal(nr_fds(), before);
	return failed[0] != '\0';
}

static void test_each_call_fails(void **state)
{
	(void)state;
	for (enum fake_generation i = 0; i < FAKE_NR_REALM_GENERATIONS; i++) {
		const struct fake_realm_host host = {.generation = i};
		unsigned call = 1;

		while (launch_fails(&host, call, -EIO))
			call++;
		/* Fewer would mean that the launch is not what is swept. */
		assert_true(call > 40);
	}
}

/* A failed activation is a failed launch, with the RMM named. */
static void test_activation_fails(void **state)
{
	(void)state;
	for (enum fake_generation i = 0; i < FAKE_NR_REALM_GENERATIONS; i++) {
		const struct fake_realm_host host = {.generation = i};
		bool seen = false;

		for (unsigned call = 1; !seen; call++) {
			fake_realm_begin(&host);
			fake_realm_vm_prepare(vm, 1);
			fake_kvm_fail_call(call, -ENXIO);
			fake_realm_vm_launch(vm);
			seen = strstr(fake_kvm_failed_call(),
				      is_implicit(i) ? "KVM_RUN" : "ACTIVATE") != NULL;
			if (seen) {
				assert_int_equal(vm->err.code, -ENXIO);
				assert_string_equal(vm->err.msg,
						    "KVM: the RMM refused to activate the realm: "
						    "No such device or address");
				assert_int_equal(vm->realm.state, REALM_DEAD);
			}
			assert_true(fake_kvm_failed_call()[0]);
			finish();
		}
	}
}

/* Run time. */

/*
 * As Linux: declare all RAM, make some of it shared, use it, take it back, use that. What was
 * written on one side is not seen on the other.
 */
static void share_and_back(const struct fake_realm_host *host)
{
	const bool allows = allows_destroyed(host->generation);
	struct fake_guest_op ops[] = {
		{.kind = FAKE_GUEST_RIPAS,
		 .at = FAKE_REALM_RAM,
		 .size = FAKE_REALM_RAM_SIZE,
		 .to_ram = true},
		{.kind = FAKE_GUEST_PRIVATE, .at = HEAP, .is_write = true, .value = 0x1111},
		{.kind = FAKE_GUEST_PRIVATE, .at = HEAP + PAGE, .is_write = true, .value = 0x2222},
		{.kind = FAKE_GUEST_RIPAS,
		 .at = HEAP,
		 .size = 4 * PAGE,
		 .change_destroyed = allows},
		{.kind = FAKE_GUEST_SHARED, .at = HEAP, .value = 0xbad},
		{.kind = FAKE_GUEST_SHARED, .at = HEAP + 8, .is_write = true, .value = 0x3333},
		{.kind = FAKE_GUEST_PRIVATE, .at = HEAP},
		{.kind = FAKE_GUEST_WAIT},
		{.kind = FAKE_GUEST_RIPAS,
		 .at = HEAP,
		 .size = 2 * PAGE,
		 .to_ram = true,
		 .change_destroyed = allows},
		{.kind = FAKE_GUEST_PRIVATE, .at = HEAP, .value = 0xbad},
		{.kind = FAKE_GUEST_PRIVATE, .at = HEAP + PAGE, .is_write = true, .value = 0x4444},
		{.kind = FAKE_GUEST_OFF},
	};
	uint64_t value = 0;

	start(host, 1, ops, NULL);
	assert_int_equal(fake_realm_vm_run(vm, 0), VCPU_EXIT_INTERRUPTED);
	assert_int_equal(ops[4].value, 0);
	assert_int_equal(ops[6].nr_aborts, 1);
	assert_int_equal(gmem_read(vm->gmem, ipa_at(HEAP + 8), &value, sizeof(value)), 0);
	assert_int_equal(value, 0x3333);
	assert_int_equal(gmem_nr_shared_pages(vm->gmem), 4);

	assert_int_equal(fake_realm_vm_run(vm, 0), VCPU_EXIT_POWEROFF);
	assert_int_equal(ops[9].value, 0);
	assert_int_equal(ops[9].nr_aborts, 0);
	assert_int_equal(gmem_nr_shared_pages(vm->gmem), 2);
	assert_int_equal(gmem_read(vm->gmem, ipa_at(HEAP), &value, sizeof(value)), -EFAULT);
	/* Only the live side of a page costs memory. */
	assert_true(fake_realm_page(HEAP + PAGE).is_held);
	for (unsigned i = 2; i < 4; i++) {
		const struct fake_page page = fake_realm_page(HEAP + i * PAGE);

		assert_false(page.is_held || page.is_private);
		assert_int_equal(page.ripas, FAKE_EMPTY);
	}
	finish();
}

static void test_share_and_back(void **state)
{
	(void)state;
	for (enum fake_generation i = 0; i < FAKE_POST_V16; i++) {
		const struct fake_realm_host host = {.generation = i};

		share_and_back(&host);
	}
}

/* v5 does a part of a long change at a time. */
static void test_changes_in_parts(void **state)
{
	const struct fake_realm_host host = {.generation = FAKE_V5, .ripas_size = PAGE};

	(void)state;
	share_and_back(&host);
}

/* v16: a page may be pinned for a moment; and kernels after it say so with another result. */
static void test_attributes_are_busy(void **state)
{
	const struct fake_realm_host host = {.generation = FAKE_V16, .nr_busy = 20};
	struct fake_realm_host stuck = {.generation = FAKE_V16, .nr_busy = 1000000};
	struct fake_guest_op ops[] = {
		{.kind = FAKE_GUEST_RIPAS, .at = HEAP, .size = PAGE, .change_destroyed = true},
		{.kind = FAKE_GUEST_OFF},
	};
	struct kvm_exit fault;

	(void)state;
	share_and_back(&host);

	/* Neither one page that stays in use, nor one after another, is waited for without end. */
	for (unsigned i = 0; i < 2; i++) {
		stuck.busy_moves = i > 0;
		ops[0].nr_exits = 0;
		start(&stuck, 1, ops, NULL);
		fault = fake_realm_vm_step(vm, 0);
		assert_int_equal(fault.kind, VCPU_EXIT_MEMORY_FAULT);
		assert_int_equal(fake_realm_vm_answer(vm, 0, &fault), -EAGAIN);
		finish();
	}
}

/* v15 can do without the request. */
static void test_no_attributes2(void **state)
{
	const struct fake_realm_host host = {.generation = FAKE_V15, .has_no_attributes2 = true};
	struct fake_guest_op ops[] = {
		{.kind = FAKE_GUEST_RIPAS, .at = HEAP, .size = PAGE, .change_destroyed = true},
		{.kind = FAKE_GUEST_SHARED, .at = HEAP, .is_write = true, .value = 9},
		{.kind = FAKE_GUEST_RIPAS, .at = HEAP, .size = PAGE, .to_ram = true},
		{.kind = FAKE_GUEST_PRIVATE, .at = HEAP, .value = 1},
		{.kind = FAKE_GUEST_OFF},
	};

	(void)state;
	start(&host, 1, ops, NULL);
	assert_int_equal(fake_realm_vm_run(vm, 0), VCPU_EXIT_POWEROFF);
	assert_int_equal(ops[3].value, 0);
	finish();
}

/* After v16 an unsuitable attribute is reported with KVM_RUN's result 0. */
static void test_post_v16_changes(void **state)
{
	const struct fake_realm_host host = {.generation = FAKE_POST_V16};
	struct fake_guest_op ops[] = {
		{.kind = FAKE_GUEST_RIPAS, .at = HEAP, .size = PAGE, .to_ram = true},
		{.kind = FAKE_GUEST_RIPAS, .at = HEAP, .size = PAGE, .change_destroyed = true},
		{.kind = FAKE_GUEST_SHARED, .at = HEAP, .is_write = true, .value = 9},
		{.kind = FAKE_GUEST_OFF},
	};
	struct kvm_exit fault;

	(void)state;
	start(&host, 1, ops, NULL);
	fault = fake_realm_vm_step(vm, 0);
	assert_true(fault.memory_fault.private_access);
	assert_int_equal(fake_realm_vm_answer(vm, 0, &fault), 0);
	fault = fake_realm_vm_step(vm, 0);
	assert_false(fault.memory_fault.private_access);
	/* Not answered, so it comes again, whatever way it is told. */
	fault = fake_realm_vm_step(vm, 0);
	assert_int_equal(fault.kind, VCPU_EXIT_MEMORY_FAULT);
	assert_int_equal(fault.memory_fault.base.v, HEAP);
	assert_int_equal(fake_realm_vm_answer(vm, 0, &fault), 0);
	assert_int_equal(fake_realm_vm_run(vm, 0), VCPU_EXIT_POWEROFF);
	finish();
}

/*
 * Explicit families: an access through the shared alias to a page that is still private, and one
 * through the protected address to a page that is not, are reported.
 */
static void test_access_faults(void **state)
{
	(void)state;
	for (enum fake_generation i = 0; i < FAKE_V12; i++) {
		const struct fake_realm_host host = {.generation = i};
		struct fake_guest_op ops[] = {
			{.kind = FAKE_GUEST_SHARED, .at = HEAP, .is_write = true, .value = 5},
			{.kind = FAKE_GUEST_SHARED, .at = HEAP},
			{.kind = FAKE_GUEST_OFF},
		};

		start(&host, 1, ops, NULL);
		assert_int_equal(fake_realm_vm_run(vm, 0), VCPU_EXIT_POWEROFF);
		assert_int_equal(ops[1].value, 5);
		/* Late commits cost one more: nobody can tell this fault from a change. */
		assert_int_equal(ops[0].nr_exits, i == FAKE_V5 ? 1 : 2);
		assert_false(fake_realm_page(HEAP).is_private);
		finish();
	}
}

/* An entry that a signal stops has not committed anything. */
static void test_interrupted_before_commit(void **state)
{
	(void)state;
	for (enum fake_generation i = FAKE_V7; i < FAKE_V15; i++) {
		const struct fake_realm_host host = {.generation = i};
		struct fake_guest_op ops[] = {
			{.kind = FAKE_GUEST_PRIVATE, .at = HEAP, .is_write = true, .value = 1},
			{.kind = FAKE_GUEST_RIPAS, .at = HEAP, .size = PAGE},
			{.kind = FAKE_GUEST_WAIT},
			{.kind = FAKE_GUEST_OFF},
		};
		struct kvm_exit exit;

		start(&host, 1, ops, NULL);
		exit = fake_realm_vm_step(vm, 0);
		assert_int_equal(exit.kind, VCPU_EXIT_MEMORY_FAULT);
		assert_int_equal(fake_realm_vm_answer(vm, 0, &exit), 0);
		kvm_run_set_immediate_exit(vm->vcpus[0].run, true);
		assert_int_equal(fake_realm_vm_step(vm, 0).kind, VCPU_EXIT_INTERRUPTED);
		assert_int_equal(fake_realm_page(HEAP).ripas, FAKE_RAM);
		kvm_run_set_immediate_exit(vm->vcpus[0].run, false);
		assert_int_equal(fake_realm_vm_step(vm, 0).kind, VCPU_EXIT_INTERRUPTED);
		assert_int_equal(fake_realm_page(HEAP).ripas, FAKE_EMPTY);
		assert_int_equal(fake_realm_vm_step(vm, 0).kind, VCPU_EXIT_POWEROFF);
		assert_false(fake_realm_page(HEAP).is_held);
		finish();
	}
}

/* A page that one vCPU has made shared, and not looked back yet, is made private by another one. */
static void test_taken_back_by_another(void **state)
{
	(void)state;
	for (enum fake_generation i = 0; i < FAKE_POST_V16; i++) {
		const struct fake_realm_host host = {.generation = i};
		struct fake_guest_op first[] = {
			{.kind = FAKE_GUEST_PRIVATE, .at = HEAP, .is_write = true, .value = 1},
			{.kind = FAKE_GUEST_RIPAS,
			 .at = HEAP,
			 .size = 3 * PAGE,
			 .change_destroyed = allows_destroyed(i)},
			{.kind = FAKE_GUEST_WAIT},
			{.kind = FAKE_GUEST_OFF},
		};
		struct fake_guest_op second[] = {
			{.kind = FAKE_GUEST_RIPAS, .at = HEAP + PAGE, .size = PAGE, .to_ram = true},
			{.kind = FAKE_GUEST_PRIVATE,
			 .at = HEAP + PAGE,
			 .is_write = true,
			 .value = 0x77},
			{.kind = FAKE_GUEST_WAIT},
			{.kind = FAKE_GUEST_PRIVATE, .at = HEAP + PAGE},
			{.kind = FAKE_GUEST_OFF},
		};

		start(&host, 2, first, second);
		assert_int_equal(fake_realm_vm_run(vm, 0), VCPU_EXIT_INTERRUPTED);
		assert_int_equal(fake_realm_vm_run(vm, 1), VCPU_EXIT_INTERRUPTED);
		/* What the first one's exit does now must not touch the page. */
		assert_int_equal(fake_realm_vm_run(vm, 0), VCPU_EXIT_POWEROFF);
		assert_int_equal(fake_realm_vm_run(vm, 1), VCPU_EXIT_POWEROFF);
		assert_int_equal(second[3].value, 0x77);
		assert_true(fake_realm_page(HEAP + PAGE).is_held);
		assert_false(fake_realm_page(HEAP).is_held);
		assert_false(fake_realm_page(HEAP + 2 * PAGE).is_private);
		assert_int_equal(gmem_nr_shared_pages(vm->gmem), 2);
		finish();
	}
}

/* Two vCPUs make the same pages shared at once: none is taken away before it is committed. */
static void test_shared_by_two(void **state)
{
	(void)state;
	for (enum fake_generation i = FAKE_V7; i < FAKE_POST_V16; i++) {
		const struct fake_realm_host host = {.generation = i};
		const bool allows = allows_destroyed(i);
		struct fake_guest_op first[] = {
			{.kind = FAKE_GUEST_PRIVATE, .at = HEAP, .is_write = true, .value = 1},
			{.kind = FAKE_GUEST_PRIVATE, .at = HEAP + PAGE, .is_write = true},
			{.kind = FAKE_GUEST_RIPAS,
			 .at = HEAP,
			 .size = 2 * PAGE,
			 .change_destroyed = allows},
			{.kind = FAKE_GUEST_SHARED, .at = HEAP, .is_write = true, .value = 2},
			{.kind = FAKE_GUEST_OFF},
		};
		struct fake_guest_op second[] = {
			{.kind = FAKE_GUEST_RIPAS,
			 .at = HEAP + PAGE,
			 .size = 2 * PAGE,
			 .change_destroyed = allows},
			{.kind = FAKE_GUEST_OFF},
		};
		struct kvm_exit exits[2];

		start(&host, 2, first, second);
		exits[0] = fake_realm_vm_step(vm, 0);
		exits[1] = fake_realm_vm_step(vm, 1);
		assert_int_equal(fake_realm_vm_answer(vm, 0, &exits[0]), 0);
		assert_int_equal(fake_realm_vm_answer(vm, 1, &exits[1]), 0);
		assert_int_equal(fake_realm_vm_run(vm, 1), VCPU_EXIT_POWEROFF);
		assert_int_equal(fake_realm_vm_run(vm, 0), VCPU_EXIT_POWEROFF);
		for (unsigned page = 0; page < 3; page++) {
			assert_false(fake_realm_page(HEAP + page * PAGE).is_held);
			assert_int_equal(fake_realm_page(HEAP + page * PAGE).ripas, FAKE_EMPTY);
		}
		assert_int_equal(gmem_nr_shared_pages(vm->gmem), 3);
		finish();
	}
}

/* Every second page shared: at some point it ends, and nothing of that change has been made. */
static void test_too_many_pieces(void **state)
{
	static const enum fake_generation generations[] = {FAKE_V5, FAKE_V7, FAKE_V13, FAKE_V16};

	(void)state;
	for (size_t i = 0; i < sizeof(generations) / sizeof(generations[0]); i++) {
		const struct fake_realm_host host = {.generation = generations[i]};
		ipa_t at = ipa_at(HEAP);
		const char *before;

		start(&host, 1, NULL, NULL);
		for (unsigned run = 0; run < GMEM_MAX_RUNS; run++) {
			assert_int_equal(realm_kvm_convert(&vm->kvm, 0, at, PAGE, false), 0);
			assert_int_equal(realm_kvm_exited(&vm->kvm, 0), 0);
			at.v += 2 * PAGE;
		}
		before = strrchr(fake_kvm_trace(), 'i');
		assert_int_equal(realm_kvm_convert(&vm->kvm, 0, at, PAGE, false), -ENOSPC);
		assert_int_equal(realm_kvm_exited(&vm->kvm, 0), 0);
		assert_ptr_equal(strrchr(fake_kvm_trace(), 'i'), before);
		assert_true(fake_realm_page(at.v).is_private);
		assert_false(gmem_is_shared(vm->gmem, at));
		assert_int_equal(gmem_nr_shared_pages(vm->gmem), GMEM_MAX_RUNS);
		finish();
	}
}

/* What fails at run time is an error, not a realm that goes on with half a change. */
static void test_change_fails(void **state)
{
	(void)state;
	for (enum fake_generation i = 0; i < FAKE_POST_V16; i++) {
		const struct fake_realm_host host = {.generation = i};

		for (unsigned call = 1; call <= 3; call++) {
			int ret;

			start(&host, 1, NULL, NULL);
			fake_kvm_fail_call(call, -EIO);
			ret = realm_kvm_convert(&vm->kvm, 0, ipa_at(HEAP), PAGE, false);
			if (!ret)
				ret = realm_kvm_exited(&vm->kvm, 0);
			if (!ret)
				ret = realm_kvm_convert(&vm->kvm, 0, ipa_at(HEAP), PAGE, true);
			assert_int_equal(ret, -EIO);
			finish();
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_launch),
		cmocka_unit_test(test_populate_in_parts),
		cmocka_unit_test(test_populate_is_interrupted),
		cmocka_unit_test(test_populate_is_stuck),
		cmocka_unit_test(test_seal_fails),
		cmocka_unit_test(test_seal_is_not_believed),
		cmocka_unit_test(test_post_v16_has_no_ripas),
		cmocka_unit_test(test_personalisation_and_hash),
		cmocka_unit_test(test_implicit_has_no_choice),
		cmocka_unit_test(test_rmm_without_sha512),
		cmocka_unit_test(test_each_call_fails),
		cmocka_unit_test(test_activation_fails),
		cmocka_unit_test(test_share_and_back),
		cmocka_unit_test(test_changes_in_parts),
		cmocka_unit_test(test_attributes_are_busy),
		cmocka_unit_test(test_no_attributes2),
		cmocka_unit_test(test_post_v16_changes),
		cmocka_unit_test(test_access_faults),
		cmocka_unit_test(test_interrupted_before_commit),
		cmocka_unit_test(test_taken_back_by_another),
		cmocka_unit_test(test_shared_by_two),
		cmocka_unit_test(test_too_many_pieces),
		cmocka_unit_test(test_change_fails),
	};

	log_init(LOG_ERROR);
	return cmocka_run_group_tests(tests, begin, end);
}
