/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The choice of CPU features: what owners write, what enters a realm's measurement, and what each
 * kind of machine asks of KVM for it.
 *
 * links: arch/arm64/kvm/host.c arch/arm64/kvm/probe.c arch/arm64/kvm/realm_abi.c
 *	arch/arm64/kvm/vm.c arch/arm64/kvm/vcpu.c arch/arm64/kvm/features.c
 *	arch/arm64/kvm/realm_kvm.c src/realm/features.c src/realm/plan.c src/realm/measure.c
 *	src/realm/realm.c src/kvm/kvm.c src/kvm/exit.c src/mem/backing.c
 *	src/mem/gmem.c arch/arm64/memmap.c
 *	src/util/err.c src/util/log.c src/util/hash.c src/util/parse.c
 *	tests/fake/fake_kvm.c tests/fake/fake_gic.c tests/fake/fake_vcpu.c tests/fake/fake_cpu.c
 *	tests/fake/fake_run.c tests/fake/fake_realm.c tests/fake/fake_realm_run.c
 *	tests/fake/fake_realm_files.c tests/fake/fake_realm_vm.c src/kvm/describe.c
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

#include "../fake/fake_realm_vm.h"
#include "ccr/arch.h"
#include "ccr/measure.h"
#include "ccr/parse.h"
#include "ccr/realm.h"

#define RAM_SIZE (64ull << 20)

static struct cpu_features parse(const char *text)
{
	struct cpu_features features = {0};
	struct ccr_err err = {0};

	if (features_parse(text, &features, &err))
		fail_msg("%s: %s", text, err.msg);
	return features;
}

static void assert_said(const struct ccr_err *err, int code, const char *what)
{
	if (err->code != code)
		fail_msg("code %d, not %d: %s", err->code, code, err->msg);
	if (!strstr(err->msg, what))
		fail_msg("\"%s\" does not say \"%s\"", err->msg, what);
	assert_null(strchr(err->msg, '\n'));
}

/* Words. */

static void test_words(void **state)
{
	static const char *const texts[] = {
		"sve=128",
		"sve=2048,pmu=0",
		"sve=off,pmu=off",
		"pmu=31,breakpoints=2,watchpoints=16",
		"pauth=off,lse=off,aes=on,bti=off",
	};
	char text[FEATURES_MAX_TEXT];

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		const struct cpu_features features = parse(texts[i]);

		assert_string_equal(features_format(&features, text), texts[i]);
	}
}

/* The longest text there can be fits, and says the same again. */
static void test_all_words(void **state)
{
	struct cpu_features features = {0}, again;
	char text[FEATURES_MAX_TEXT];

	(void)state;
	for (unsigned i = 0; i < NR_CPU_FEATURES; i++)
		features.choices[i].wish = FEATURE_OFF;
	features.choices[FEATURE_SVE] = (struct feature_choice){FEATURE_ON, 2048};
	features.choices[FEATURE_PMU] = (struct feature_choice){FEATURE_ON, 31};
	features.choices[FEATURE_BREAKPOINTS] = (struct feature_choice){FEATURE_ON, 16};
	features.choices[FEATURE_WATCHPOINTS] = (struct feature_choice){FEATURE_ON, 16};
	features_format(&features, text);
	assert_true(strlen(text) < sizeof(text) - 1);
	again = parse(text);
	assert_memory_equal(&again, &features, sizeof(features));
}

static void test_later_prevails(void **state)
{
	struct cpu_features features = parse("sve=256,sve=off,pmu=4");
	struct ccr_err err = {0};

	(void)state;
	assert_int_equal(features.choices[FEATURE_SVE].wish, FEATURE_OFF);
	assert_int_equal(features_parse("pmu=2", &features, &err), 0);
	assert_int_equal(features.choices[FEATURE_PMU].number, 2);
	/* All or nothing. */
	assert_int_equal(features_parse("sve=128,pmu=on", &features, &err), -EINVAL);
	assert_int_equal(features.choices[FEATURE_SVE].wish, FEATURE_OFF);
}

static void test_wrong_words(void **state)
{
	static const struct {
		const char *text, *said;
	} wrong[] = {
		{"", "--cpu-feature : not one of sve, pmu, "},
		{"neon=on", "--cpu-feature neon: not one of sve, pmu, "},
		{"sve", "--cpu-feature sve: behind sve= there must be a vector length in bits"},
		{"sve=on", "a multiple of 128 up to 2048, or off"},
		{"sve=0", "a multiple of 128"},
		{"sve=64", "a multiple of 128"},
		{"sve=129", "a multiple of 128"},
		{"sve=2176", "a multiple of 128"},
		{"sve=-128", "a multiple of 128"},
		{"pmu=32", "a number of counters from 0 to 31, or off"},
		{"pmu=18446744073709551616", "a number of counters"},
		{"pmu=00000000000000000000000000000001", "a number of counters"},
		{"breakpoints=1", "a number from 2 to 16"},
		{"breakpoints=off", "a number from 2 to 16"},
		{"watchpoints=17", "a number from 2 to 16"},
		{"pauth=1", "behind pauth= there must be on or off"},
		{"pauth=off,", "--cpu-feature : not one of"},
		{"pauth=off,,lse=off", "--cpu-feature : not one of"},
		{"LSE=off", "--cpu-feature LSE: not one of"},
		{"=off", "--cpu-feature : not one of"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct cpu_features features = {0};
		struct ccr_err err = {0};

		assert_int_equal(features_parse(wrong[i].text, &features, &err), -EINVAL);
		assert_said(&err, -EINVAL, wrong[i].said);
	}
}

static void test_kinds(void **state)
{
	const struct cpu_features without = parse("lse=off"), with = parse("lse=on,sve=128,pmu=2");
	struct ccr_err err = {0};

	(void)state;
	assert_int_equal(features_check(&without, MACHINE_PLAIN, &err), 0);
	assert_int_equal(features_check(&without, MACHINE_EMULATED, &err), 0);
	assert_int_equal(features_check(&with, MACHINE_REALM, &err), 0);
	assert_int_equal(features_check(&without, MACHINE_REALM, &err), -EINVAL);
	assert_said(&err, -EINVAL, "lse=off: a realm's ID registers are the RMM's");
}

/* The measurement. */

static void assert_rim(const char *choices, const struct realm_host *host, const char *expected)
{
	const struct cpu_features features = parse(choices);
	const struct plan plan = {.ipa_bits = 33, .hash_algo = HASH_SHA256};
	struct realm_host chosen = *host;
	char text[2 * HASH_MAX_SIZE + 1];
	struct measure m = {0};

	features_enter_realm(&features, &chosen);
	assert_int_equal(measure_create(&m, &plan, &chosen), 0);
	assert_string_equal(parse_format_hex(m.rim, hash_size(HASH_SHA256), text), expected);
	measure_done(&m);
}

/* Digests of 4096 bytes with the fields at 0x0, 0x8, 0x10, 0x18, 0x20, 0x28, made without us. */
static void test_rim(void **state)
{
	const struct realm_host rich = {.num_bps = 15,
					.num_wps = 15,
					.sve = true,
					.sve_vl = 15,
					.pmu = true,
					.pmu_num_ctrs = 31};

	(void)state;
	assert_rim("pauth=off", &realm_emulated_host,
		   "53de626e00bd6e56fdab0d092b7963081274c9b3d1cbbe5bbfe87ce9f2f294e8");
	assert_rim("sve=128", &realm_emulated_host,
		   "792e44fed2b559cfc0a351d886f8d57aa670c6160bdfe27a202b2d96fd124f27");
	assert_rim("sve=256", &realm_emulated_host,
		   "bf83db35cb24650be951a1b54f2e97d8ab7d0161e7322c64ead39d7143cd8eba");
	assert_rim("pmu=0", &realm_emulated_host,
		   "63f74bc2873181cbbda2183707432916a3b5a597560caa42ecc86a985d463ce9");
	assert_rim("sve=2048,pmu=6,breakpoints=4,watchpoints=2", &realm_emulated_host,
		   "40d436d263c7a4415abd61d7c32044686f67c65228c9250e714b11286311a434");
	assert_rim("lse=on", &rich,
		   "e2878b9016b46331c10d48de71758c08908ecf693670da4936041e86b27c550f");
	assert_rim("sve=off,pmu=off,breakpoints=6,watchpoints=4", &rich,
		   "53de626e00bd6e56fdab0d092b7963081274c9b3d1cbbe5bbfe87ce9f2f294e8");
}

/* What is asked of KVM. */

/* QEMU's "max" in what matters: 6 breakpoints, 4 watchpoints, all of these features but SM4. */
static struct fake_host rich_host(void)
{
	struct fake_host host = fake_host_default;

	host.sve_vls = 0xb;
	host.pmu_counters = 6;
	host.ids[FAKE_DFR0] = 5ull << 12 | 3ull << 20;
	host.ids[FAKE_ISAR0] = 0x1021111110212120ull & ~(0xfull << 40);
	host.ids[FAKE_ISAR1] = 0x11111111111111ull;
	host.ids[FAKE_PFR1] = 0x21;
	return host;
}

struct bench {
	struct memmap map;
	struct arch_host host;
	struct gmem *gmem;
	struct arch_vm vm;
	struct arch_vcpu vcpus[2];
	struct cpu_features features;
	struct ccr_err err;
};

/* Two vCPUs with the choices. Return: 0 or -errno. */
static int begin(struct bench *b, enum machine_kind kind, const struct fake_host *fake,
		 const char *choices)
{
	int ret = 0;

	memset(b, 0, sizeof(*b));
	b->vcpus[0].fd = b->vcpus[1].fd = -1;
	if (*choices)
		b->features = parse(choices);
	fake_kvm_begin(fake);
	assert_int_equal(memmap_init(&b->map, RAM_SIZE, 2, &b->err), 0);
	assert_int_equal(arch_host_open(&b->host, kind, &b->map, NULL, &b->err), 0);
	assert_int_equal(gmem_create(&b->gmem, kind == MACHINE_PLAIN ? GMEM_PLAIN : GMEM_SPLIT,
				     ipa_at(MEMMAP_RAM_BASE), RAM_SIZE, b->map.shared_bit, &b->err),
			 0);
	assert_int_equal(arch_vm_create(&b->vm, &b->host, kind, &b->map, b->gmem, &b->err), 0);
	b->vm.features = &b->features;
	for (unsigned i = 0; i < 2 && !ret; i++)
		ret = arch_vcpu_create(&b->vcpus[i], &b->vm, &b->host, i, &b->err);
	if (!ret)
		ret = arch_vm_finish(&b->vm, false, &b->err);
	for (unsigned i = 0; i < 2 && !ret; i++)
		ret = arch_vcpu_finish(&b->vcpus[i], &b->vm, &b->err);
	return ret;
}

static void end(struct bench *b)
{
	for (unsigned i = 0; i < 2; i++)
		arch_vcpu_destroy(&b->vcpus[i]);
	arch_vm_destroy(&b->vm);
	gmem_destroy(b->gmem);
	arch_host_close(&b->host);
	fake_kvm_end();
}

static void assert_traced(const char *line)
{
	if (!strstr(fake_kvm_trace(), line))
		fail_msg("the trace has no \"%s\":\n%s", line, fake_kvm_trace());
}

static void assert_not_traced(const char *line)
{
	if (strstr(fake_kvm_trace(), line))
		fail_msg("the trace has \"%s\"", line);
}

/* The first vCPU can be entered, with nothing left to be set up. */
static void assert_runs(const struct bench *b)
{
	kvm_run_set_immediate_exit(b->vcpus[0].run, true);
	assert_int_equal(kvm_vcpu_run(b->vcpus[0].fd), -EINTR);
}

static void test_defaults(void **state)
{
	struct fake_host fake = rich_host();
	struct bench b;

	(void)state;
	for (enum machine_kind kind = MACHINE_PLAIN; kind <= MACHINE_EMULATED; kind++) {
		assert_int_equal(begin(&b, kind, &fake, ""), 0);
		assert_traced("vcpu0 KVM_ARM_VCPU_INIT target=5 features=0x64 = 0\n");
		assert_not_traced("ISAR");
		assert_runs(&b);
		end(&b);
	}
	/* A CPU without pointer authentication is none to complain about. */
	fake.has_pauth = false;
	assert_int_equal(begin(&b, MACHINE_PLAIN, &fake, ""), 0);
	assert_traced("vcpu0 KVM_ARM_VCPU_INIT target=5 features=0x4 = 0\n");
	end(&b);
}

static void test_everything(void **state)
{
	const struct fake_host fake = rich_host();
	struct bench b;

	(void)state;
	assert_int_equal(begin(&b, MACHINE_PLAIN, &fake,
			       "sve=256,pmu=4,pauth=on,watchpoints=2,lse=off,aes=on,bti=off"),
			 0);
	assert_traced("ioctl vcpu1 KVM_ARM_VCPU_INIT target=5 features=0x7d = 0\n");
	/* Lengths of 128 and 256 bits, of 128, 256 and 512. */
	assert_traced("ioctl vcpu1 KVM_SET_ONE_REG 0x606000000015ffff=0x3 = 0\n"
		      "ioctl vcpu1 KVM_ARM_VCPU_FINALIZE feature=4 = 0\n"
		      "ioctl vcpu1 KVM_GET_ONE_REG PMCR = 0\n"
		      "ioctl vcpu1 KVM_SET_ONE_REG PMCR=0x2000 = 0\n"
		      "ioctl vcpu1 KVM_GET_ONE_REG PMCR = 0\n"
		      "ioctl vcpu1 KVM_GET_ONE_REG DFR0 = 0\n"
		      "ioctl vcpu1 KVM_SET_ONE_REG DFR0=0x105000 = 0\n"
		      "ioctl vcpu1 KVM_GET_ONE_REG ISAR0 = 0\n"
		      "ioctl vcpu1 KVM_GET_ONE_REG ISAR0 = 0\n"
		      "ioctl vcpu1 KVM_SET_ONE_REG ISAR0=0x1021101110012120 = 0\n"
		      "ioctl vcpu1 KVM_GET_ONE_REG ISAR0 = 0\n"
		      "ioctl vcpu1 KVM_GET_ONE_REG PFR1 = 0\n"
		      "ioctl vcpu1 KVM_GET_ONE_REG PFR1 = 0\n"
		      "ioctl vcpu1 KVM_SET_ONE_REG PFR1=0x20 = 0\n");
	assert_traced("ioctl vcpu0 KVM_SET_DEVICE_ATTR group=0 attr=0 value=0x17 = 0\n"
		      "ioctl vcpu0 KVM_SET_DEVICE_ATTR group=0 attr=1 = 0\n");
	assert_runs(&b);
	end(&b);
}

static void test_pauth_off(void **state)
{
	const struct fake_host fake = rich_host();
	struct bench b;

	(void)state;
	assert_int_equal(begin(&b, MACHINE_EMULATED, &fake, "pauth=off"), 0);
	assert_traced("ioctl vcpu0 KVM_ARM_VCPU_INIT target=5 features=0x4 = 0\n");
	end(&b);
}

/* What an emulated realm is measured with is not what its CPU has. */
static void test_emulated_debug(void **state)
{
	const struct fake_host fake = rich_host();
	struct bench b;

	(void)state;
	assert_int_equal(begin(&b, MACHINE_EMULATED, &fake, "breakpoints=16"), 0);
	assert_not_traced("DFR0");
	end(&b);
}

struct refusal {
	const char *choices;
	int code;
	const char *said;
};

static void assert_refused(const struct fake_host *fake, const struct refusal *refusal)
{
	struct bench b;

	assert_int_equal(begin(&b, MACHINE_PLAIN, fake, refusal->choices), refusal->code);
	assert_said(&b.err, refusal->code, refusal->said);
	end(&b);
}

static void test_refusals(void **state)
{
	static const struct refusal poor_ones[] = {
		{"sve=128", -EOPNOTSUPP,
		 "--cpu-feature sve=128: KVM has none for this guest: the CPU"},
		{"pmu=1", -EOPNOTSUPP, "--cpu-feature pmu=1: KVM has none"},
		{"pauth=on", -EOPNOTSUPP, "--cpu-feature pauth: KVM has none"},
		{"lse=on", -EOPNOTSUPP, "--cpu-feature lse: KVM has none"},
	};
	static const struct refusal rich_ones[] = {
		{"sve=384", -EOPNOTSUPP,
		 "sve=384: this host's guests have no vectors of that length"},
		{"sve=1024", -EOPNOTSUPP, "`ccr-run check` lists"},
		{"pmu=7", -EOPNOTSUPP, "pmu=7: this host gives a guest 6 counters at most"},
		{"breakpoints=7", -EOPNOTSUPP, "breakpoints=7: this host gives a guest 6 at most"},
		{"watchpoints=5", -EOPNOTSUPP, "watchpoints=5: this host gives a guest 4 at most"},
		{"breakpoints=2", -EINVAL, "does not let this guest have fewer than there are"},
		{"sm4=on", -EOPNOTSUPP, "--cpu-feature sm4: KVM has none"},
	};
	static const struct refusal old_ones[] = {
		{"lse=off", -EINVAL, "lse: this host's KVM does not let a guest be without"},
		{"pmu=4", -EOPNOTSUPP, "which Linux 6.8 can: write pmu=6"},
	};
	struct fake_host poor = fake_host_default, old = rich_host();
	const struct fake_host rich = rich_host();

	(void)state;
	poor.has_pauth = false;
	old.has_fixed_ids = true;
	for (size_t i = 0; i < sizeof(poor_ones) / sizeof(poor_ones[0]); i++)
		assert_refused(&poor, &poor_ones[i]);
	for (size_t i = 0; i < sizeof(rich_ones) / sizeof(rich_ones[0]); i++)
		assert_refused(&rich, &rich_ones[i]);
	for (size_t i = 0; i < sizeof(old_ones) / sizeof(old_ones[0]); i++)
		assert_refused(&old, &old_ones[i]);
}

/* Real realms. */

static void launch_realm(struct fake_realm_vm *vm, const struct fake_realm_host *host,
			 const char *choices)
{
	fake_realm_begin(host);
	fake_realm_vm_prepare(vm, 2);
	vm->features = parse(choices);
}

/* Whatever the series: the RMM is told what was chosen, and that is what is measured. */
static void test_realms(void **state)
{
	struct fake_realm_vm vm;

	(void)state;
	for (enum fake_generation i = 0; i < FAKE_NR_REALM_GENERATIONS; i++) {
		const struct fake_realm_host host = {
			.generation = i, .sve_vls = 0xb, .pmu_counters = 6};
		const bool has_pmu = i <= FAKE_V12;

		launch_realm(&vm, &host,
			     has_pmu ? "sve=256,pmu=4,breakpoints=2" : "sve=256,breakpoints=2");
		if (fake_realm_vm_launch(&vm))
			fail_msg("%s: %s", fake_generation_name(i), vm.err.msg);
		assert_true(vm.realm_host.sve);
		assert_int_equal(vm.realm_host.sve_vl, 1);
		assert_int_equal(vm.realm_host.pmu, has_pmu);
		assert_int_equal(vm.realm_host.pmu_num_ctrs, has_pmu ? 4 : 0);
		assert_int_equal(vm.realm_host.num_bps, 1);
		assert_int_equal(vm.realm_host.num_wps, 3);
		assert_traced("ioctl vcpu1 KVM_ARM_VCPU_FINALIZE feature=4 = 0\n");
		assert_traced("KVM_SET_ONE_REG DFR0=0x301000 = 0\n");
		fake_realm_vm_done(&vm);
		fake_kvm_end();
	}
}

/* From v13 on KVM gives realms no PMU. */
static void test_realm_refusals(void **state)
{
	static const struct {
		enum fake_generation generation;
		uint64_t sve_vls;
		const char *choices, *said;
	} refusals[] = {
		{FAKE_V5, 0, "sve=128", "the CPU, the host's kernel or its RMM lacks it"},
		{FAKE_V5, 1, "sve=256", "no vectors of that length"},
		{FAKE_V13, 1, "pmu=2", "pmu=2: KVM has none for this guest"},
		{FAKE_V10, 1, "breakpoints=7", "this host gives a guest 6 at most"},
	};
	struct fake_realm_vm vm;

	(void)state;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		const struct fake_realm_host host = {.generation = refusals[i].generation,
						     .sve_vls = refusals[i].sve_vls,
						     .pmu_counters = 6};

		launch_realm(&vm, &host, refusals[i].choices);
		assert_int_equal(fake_realm_vm_launch(&vm), -EOPNOTSUPP);
		assert_said(&vm.err, -EOPNOTSUPP, refusals[i].said);
		fake_realm_vm_done(&vm);
		fake_kvm_end();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),          cmocka_unit_test(test_all_words),
		cmocka_unit_test(test_later_prevails), cmocka_unit_test(test_wrong_words),
		cmocka_unit_test(test_kinds),          cmocka_unit_test(test_rim),
		cmocka_unit_test(test_defaults),       cmocka_unit_test(test_everything),
		cmocka_unit_test(test_pauth_off),      cmocka_unit_test(test_emulated_debug),
		cmocka_unit_test(test_refusals),       cmocka_unit_test(test_realms),
		cmocka_unit_test(test_realm_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
