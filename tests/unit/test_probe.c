/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which realm interface has this host, and if none, why.
 *
 * links: arch/arm64/kvm/probe.c arch/arm64/kvm/realm_abi.c arch/arm64/kvm/host.c
 *	arch/arm64/kvm/report.c
 *	arch/arm64/kvm/vm.c
 *	arch/arm64/kvm/vcpu.c arch/arm64/kvm/features.c
 *	src/realm/features.c arch/arm64/kvm/realm_kvm.c arch/arm64/memmap.c
 *	src/kvm/kvm.c src/kvm/exit.c src/mem/backing.c
 *	src/mem/gmem.c src/realm/realm.c src/realm/plan.c
 *	src/util/err.c src/util/log.c src/util/hash.c src/util/parse.c
 *	tests/fake/fake_kvm.c tests/fake/fake_gic.c tests/fake/fake_vcpu.c
 *	tests/fake/fake_cpu.c tests/fake/fake_run.c
 *	src/kvm/describe.c tests/fake/fake_realm.c tests/fake/fake_realm_run.c
 *	tests/fake/fake_realm_files.c
 *	tests/fake/fake_realm_trace.c
 *	src/host/facts.c arch/arm64/kvm/offer.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "../fake/fake_realm.h"
#include "ccr/kvm.h"
#include "ccr/log.h"
#include "ccr/report.h"

#define IPA_BITS 33

#define TYPE_V1  (1ul << 8)
#define TYPE_V14 (1ul << 30)

/* What is to be found on each generation; the text is what people see. */
static const struct {
	struct realm_abi abi;
	const char *text;
} expected[FAKE_NR_REALM_GENERATIONS] = {
	[FAKE_V5] = {{REALM_FAMILY_EXPLICIT, TYPE_V1, REALM_ATTRIBUTES_VM, 300, 0, 8, false, false,
		      NULL},
		     "explicit life-cycle (series v1 to v11), capability 300, no REC feature (up "
		     "to v5)"},
	[FAKE_V7] = {{REALM_FAMILY_EXPLICIT, TYPE_V1, REALM_ATTRIBUTES_VM, 300, 8, 8, false, true,
		      NULL},
		     "explicit life-cycle (series v1 to v11), capability 300, REC feature 8 (v6 to "
		     "v8)"},
	[FAKE_V8] = {{REALM_FAMILY_EXPLICIT, TYPE_V1, REALM_ATTRIBUTES_VM, 240, 8, 8, false, true,
		      NULL},
		     "explicit life-cycle (series v1 to v11), capability 240, REC feature 8 (v6 to "
		     "v8)"},
	[FAKE_V9] = {{REALM_FAMILY_EXPLICIT, TYPE_V1, REALM_ATTRIBUTES_VM, 243, 9, 9, false, true,
		      NULL},
		     "explicit life-cycle (series v1 to v11), capability 243, REC feature 9 (v9 "
		     "on)"},
	[FAKE_V10] = {{REALM_FAMILY_EXPLICIT, TYPE_V1, REALM_ATTRIBUTES_VM, 244, 9, 9, false, true,
		       NULL},
		      "explicit life-cycle (series v1 to v11), capability 244, REC feature 9 (v9 "
		      "on)"},
	[FAKE_V11] = {{REALM_FAMILY_EXPLICIT, TYPE_V1, REALM_ATTRIBUTES_VM, 245, 9, 9, false, true,
		       NULL},
		      "explicit life-cycle (series v1 to v11), capability 245, REC feature 9 (v9 "
		      "on)"},
	[FAKE_V12] = {{REALM_FAMILY_IMPLICIT, TYPE_V1, REALM_ATTRIBUTES_VM, 0, 0, 0, true, true,
		       NULL},
		      "implicit life-cycle (series v12), attributes of the VM"},
	[FAKE_V13] = {{REALM_FAMILY_IMPLICIT, TYPE_V1, REALM_ATTRIBUTES_VM, 0, 0, 0, false, true,
		       NULL},
		      "implicit life-cycle (series v13), attributes of the VM"},
	[FAKE_V14] = {{REALM_FAMILY_IMPLICIT, TYPE_V14, REALM_ATTRIBUTES_VM, 0, 0, 0, false, true,
		       NULL},
		      "implicit life-cycle (series v14), attributes of the VM"},
	[FAKE_V15] = {{REALM_FAMILY_IMPLICIT_GMEM, TYPE_V14, REALM_ATTRIBUTES_GMEM, 0, 0, 0, false,
		       false, NULL},
		      "implicit life-cycle (series v15 on), attributes of the guest_memfd"},
	[FAKE_V16] = {{REALM_FAMILY_IMPLICIT_GMEM, TYPE_V14, REALM_ATTRIBUTES_GMEM, 0, 0, 0, false,
		       false, NULL},
		      "implicit life-cycle (series v15 on), attributes of the guest_memfd"},
};

static bool is_same(const struct realm_abi *a, const struct realm_abi *b)
{
	return a->family == b->family && a->vm_type == b->vm_type &&
	       a->attributes == b->attributes && a->cap == b->cap &&
	       a->rec_feature == b->rec_feature && a->rec_finalize == b->rec_finalize &&
	       a->populate_v12 == b->populate_v12 && a->commits_late == b->commits_late;
}

static int probe(const struct fake_realm_host *host, struct realm_abi *abi, struct ccr_err *err)
{
	int kvm_fd, ret;

	fake_realm_begin(host);
	kvm_fd = kvm_sys_open("/dev/kvm");
	assert_true(kvm_fd >= 0);
	err_clear(err);
	ret = realm_probe(kvm_fd, IPA_BITS, abi, err);
	kvm_sys_close(kvm_fd);
	return ret;
}

/* Exactly one: no line breaks, no full stop in it or behind it. */
static void assert_sentence(const struct ccr_err *err)
{
	assert_true(strlen(err->msg) > 20);
	assert_null(strpbrk(err->msg, "\n\r\t"));
	assert_null(strstr(err->msg, ". "));
	assert_int_not_equal(err->msg[strlen(err->msg) - 1], '.');
}

static void assert_generation(const struct fake_realm_host *host, const struct realm_abi *wanted)
{
	struct realm_abi abi;
	struct ccr_err err;

	if (probe(host, &abi, &err))
		fail_msg("%s: %s", fake_generation_name(host->generation), err.msg);
	if (!is_same(&abi, wanted))
		fail_msg("%s: probed wrongly", fake_generation_name(host->generation));
	assert_int_equal(err.code, 0);
	fake_kvm_end();
}

static void test_each_generation(void **state)
{
	(void)state;
	for (enum fake_generation i = 0; i < FAKE_NR_REALM_GENERATIONS; i++) {
		const struct fake_realm_host host = {.generation = i};
		char text[128];

		assert_generation(&host, &expected[i].abi);
		assert_string_equal(realm_abi_describe(&expected[i].abi, text), expected[i].text);
	}
}

static void test_family_names(void **state)
{
	(void)state;
	assert_string_equal(plan_family_name(REALM_FAMILY_EXPLICIT), "explicit");
	assert_string_equal(plan_family_name(REALM_FAMILY_IMPLICIT), "implicit");
	assert_string_equal(plan_family_name(REALM_FAMILY_IMPLICIT_GMEM), "implicit-gmem");
}

/* Only on throw-away VMs, and with null pointers; nothing that makes a realm. */
static void test_is_harmless(void **state)
{
	(void)state;
	for (enum fake_generation i = 0; i < FAKE_NR_REALM_GENERATIONS; i++) {
		const struct fake_realm_host host = {.generation = i};
		struct realm_abi abi;
		struct ccr_err err;
		unsigned nr_steps;

		assert_int_equal(probe(&host, &abi, &err), 0);
		fake_realm_steps(&nr_steps);
		assert_int_equal(nr_steps, 0);
		assert_int_equal(fake_kvm_nr_open(), 0);
		fake_kvm_end();
	}
}

/* A rebase moves the number; the kernel may tell it. */
static void test_moved_capability(void **state)
{
	struct fake_realm_host host = {.generation = FAKE_V9, .cap = 260, .cap_file = "260\n"};
	struct realm_abi wanted = expected[FAKE_V9].abi;

	(void)state;
	wanted.cap = 260;
	assert_generation(&host, &wanted);

	/* A file that is wrong, empty or nonsense does not lead astray. */
	wanted.cap = 300;
	host.cap = 300;
	assert_generation(&host, &wanted);
	host.cap_file = "";
	assert_generation(&host, &wanted);
	host.cap_file = "many\n";
	assert_generation(&host, &wanted);
	host.cap_file = "99999999999999999999999999999999\n";
	assert_generation(&host, &wanted);
	host.cap_file = "65836\n";
	assert_generation(&host, &wanted);
}

static void assert_refused(const struct fake_realm_host *host, int code, const char *sentence)
{
	struct realm_abi abi = {.cap = 77};
	struct ccr_err err;

	assert_int_equal(probe(host, &abi, &err), code);
	assert_int_equal(err.code, code);
	assert_string_equal(err.msg, sentence);
	assert_sentence(&err);
	assert_int_equal(abi.cap, 77);
	fake_kvm_end();
}

static const char no_cca[] =
	"this host cannot run realms: its kernel has no CCA support, or there is no RMM it can use "
	"(these kernels do not tell which); --realm=emulated works without either";
static const char no_rmm[] =
	"this kernel can run realms, but found no RMM it can use: boot it on firmware with RME and "
	"an RMM, on a CPU (or emulator) that has RME";

/* There 240, 243, 244 and 245 are other capabilities, and there. */
static void test_no_cca(void **state)
{
	const struct fake_realm_host host = {.generation = FAKE_UPSTREAM};

	(void)state;
	assert_refused(&host, -EINVAL, no_cca);
}

static void test_no_rmm(void **state)
{
	(void)state;
	for (enum fake_generation i = 0; i < FAKE_NR_REALM_GENERATIONS; i++) {
		const struct fake_realm_host host = {.generation = i, .has_no_rmm = true};

		/* v7 to v11 tell it apart. */
		if (i >= FAKE_V7 && i <= FAKE_V11)
			assert_refused(&host, -EPERM, no_rmm);
		else
			assert_refused(&host, -EINVAL, no_cca);
	}
}

static void test_narrow_ipa(void **state)
{
	(void)state;
	for (enum fake_generation i = 0; i < FAKE_NR_REALM_GENERATIONS; i++) {
		const struct fake_realm_host host = {.generation = i, .ipa_bits = 32};

		assert_refused(&host, -E2BIG,
			       "realms of this host have 32 bits of guest address, 33 are needed: "
			       "use less memory");
	}
}

static void test_no_guest_memfd(void **state)
{
	(void)state;
	for (enum fake_generation i = 0; i < FAKE_NR_REALM_GENERATIONS; i++) {
		const struct fake_realm_host host = {.generation = i, .has_no_gmem = true};

		assert_refused(&host, -EOPNOTSUPP,
			       "this kernel creates realm VMs, but has no guest_memfd for their "
			       "memory: build it with CONFIG_KVM_GUEST_MEMFD");
	}
}

/* v15 on: the guest_memfd keeps the attributes, but only if the kernel is told to. */
static void test_no_attributes(void **state)
{
	struct fake_realm_host host = {.in_place_file = "N\n"};

	(void)state;
	for (enum fake_generation i = FAKE_V15; i < FAKE_NR_REALM_GENERATIONS; i++) {
		host.generation = i;
		assert_refused(&host, -EOPNOTSUPP,
			       "this kernel creates realm VMs, but keeps no private memory for "
			       "them: boot it with kvm.gmem_in_place_conversion=1");
	}
	host.in_place_file = "Y\n";
	host.generation = FAKE_V16;
	assert_generation(&host, &expected[FAKE_V16].abi);
	/* Where the VM keeps them, the choice means nothing. */
	host.in_place_file = "N\n";
	host.generation = FAKE_V14;
	assert_generation(&host, &expected[FAKE_V14].abi);
}

/* The number has moved to where nobody looks; 245 can be enabled, which means nothing. */
static void test_unknown_interface(void **state)
{
	const struct fake_realm_host host = {.generation = FAKE_V10, .cap = 270};

	(void)state;
	assert_refused(&host, -EOPNOTSUPP,
		       "this kernel creates realm VMs, but answers to none of the known realm "
		       "interfaces (series v1 to v16)");
}

/* Return: what realm_abi_check() does. */
static int check_name(const struct fake_realm_host *host, const char *name, struct ccr_err *err)
{
	struct realm_abi abi;
	int kvm_fd, ret;

	err_clear(err);
	assert_int_equal(realm_abi_from_name(name, &abi, err), 0);
	fake_realm_begin(host);
	kvm_fd = kvm_sys_open("/dev/kvm");
	ret = realm_abi_check(kvm_fd, IPA_BITS, &abi, err);
	kvm_sys_close(kvm_fd);
	assert_int_equal(err->code, ret);
	fake_kvm_end();
	return ret;
}

/* Refused by the probe, not by who knows better. */
static void test_post_v16(void **state)
{
	const struct fake_realm_host host = {.generation = FAKE_POST_V16};
	struct ccr_err err;

	(void)state;
	assert_refused(&host, -EOPNOTSUPP,
		       "this kernel has a request for realms that came after series v16 "
		       "(0xc040aeda, probably the one that makes memory RAM), which this program "
		       "cannot make; --realm-abi v16 tries without it");
	assert_int_equal(check_name(&host, "v16", &err), 0);
}

/* Errors that say nothing about realms are not taken for an answer. */
static void test_other_errors(void **state)
{
	const struct fake_realm_host host = {.generation = FAKE_V7};
	struct realm_abi abi;
	struct ccr_err err = {0};
	int kvm_fd;

	(void)state;
	fake_realm_begin(&host);
	kvm_fd = kvm_sys_open("/dev/kvm");
	fake_kvm_fail_call(1, -ENOMEM);
	assert_int_equal(realm_probe(kvm_fd, IPA_BITS, &abi, &err), -ENOMEM);
	assert_string_equal(err.msg, "KVM: cannot create a realm VM: Cannot allocate memory");
	kvm_sys_close(kvm_fd);
	fake_kvm_end();
}

/*
 * Each call fails once. Then the probe fails, with a sentence, or has found the right thing
 * nevertheless: never a wrong one.
 */
static void sweep(enum fake_generation generation, int error)
{
	const struct fake_realm_host host = {.generation = generation};

	for (unsigned call = 1;; call++) {
		struct realm_abi abi;
		struct ccr_err err = {0};
		int kvm_fd, ret;

		fake_realm_begin(&host);
		kvm_fd = kvm_sys_open("/dev/kvm");
		fake_kvm_fail_call(call, error);
		ret = realm_probe(kvm_fd, IPA_BITS, &abi, &err);
		kvm_sys_close(kvm_fd);
		if (ret) {
			assert_int_equal(err.code, ret);
			assert_sentence(&err);
		} else if (!is_same(&abi, &expected[generation].abi)) {
			fail_msg("%s: %s failed, and another interface was found",
				 host.generation < FAKE_NR_REALM_GENERATIONS
					 ? fake_generation_name(generation)
					 : "?",
				 fake_kvm_failed_call());
		}
		if (fake_kvm_failed_call()[0] == '\0') {
			assert_int_equal(ret, 0);
			fake_kvm_end();
			break;
		}
		fake_kvm_end();
	}
}

static void test_each_call_fails(void **state)
{
	(void)state;
	for (enum fake_generation i = 0; i < FAKE_NR_REALM_GENERATIONS; i++) {
		sweep(i, -EIO);
		sweep(i, -ENOMEM);
	}
}

/* Chosen by name. */

static const char *const names[FAKE_NR_REALM_GENERATIONS] = {
	[FAKE_V5] = "v5",   [FAKE_V7] = "v7",   [FAKE_V8] = "v8",   [FAKE_V9] = "v9",
	[FAKE_V10] = "v10", [FAKE_V11] = "v11", [FAKE_V12] = "v12", [FAKE_V13] = "v13",
	[FAKE_V14] = "v14", [FAKE_V15] = "v15", [FAKE_V16] = "v16",
};

static void test_names(void **state)
{
	static const char *const bad[] = {
		"",          "v",           "v0",         "v17",       "V10",           "v5x",
		"explicit",  "v10,",        "v10,cap=",   "v10,cap=0", "v10,cap=65536", "v10,cap=x",
		"v10,rec=8", "v14,cap=249", "auto,cap=3", "v1\n"};
	struct realm_abi abi;
	struct ccr_err err;

	(void)state;
	for (enum fake_generation i = 0; i < FAKE_NR_REALM_GENERATIONS; i++) {
		err_clear(&err);
		assert_int_equal(realm_abi_from_name(names[i], &abi, &err), 0);
		assert_string_equal(abi.series, names[i]);
		if (!is_same(&abi, &expected[i].abi))
			fail_msg("%s is another interface than the probe's", names[i]);
		assert_int_equal(realm_abi_rmm(&abi), i <= FAKE_V12 ? RMM_1_0 : RMM_2_0_TFRMM);
	}
	/* Those that nobody has a model of are their neighbours. */
	assert_int_equal(realm_abi_from_name("v1", &abi, &err), 0);
	assert_true(is_same(&abi, &expected[FAKE_V5].abi));
	assert_int_equal(realm_abi_from_name("v6", &abi, &err), 0);
	assert_true(is_same(&abi, &expected[FAKE_V7].abi));

	assert_int_equal(realm_abi_from_name("v10,cap=0x104", &abi, &err), 0);
	assert_int_equal(abi.cap, 260);
	assert_string_equal(abi.series, "v10");
	assert_int_equal(realm_abi_from_name("auto", &abi, &err), 0);
	assert_null(abi.series);

	abi.cap = 77;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		err_clear(&err);
		assert_int_equal(realm_abi_from_name(bad[i], &abi, &err), -EINVAL);
		assert_int_equal(err.code, -EINVAL);
		assert_sentence(&err);
		assert_int_equal(abi.cap, 77);
	}
}

/*
 * A choice is refused where KVM would refuse it, and the sentence says what the kernel has. What
 * no request tells apart passes: v5 on v7's kernel (but its RECs will be refused), v14 on v15's.
 */
static void test_choices(void **state)
{
	static const char passes[FAKE_NR_REALM_GENERATIONS][FAKE_NR_REALM_GENERATIONS + 1] = {
		[FAKE_V5] = "y----------",  [FAKE_V7] = "yy---------",  [FAKE_V8] = "--y--------",
		[FAKE_V9] = "---y-------",  [FAKE_V10] = "----y------", [FAKE_V11] = "-----y-----",
		[FAKE_V12] = "------y----", [FAKE_V13] = "-------y---", [FAKE_V14] = "--------yyy",
		[FAKE_V15] = "--------yyy", [FAKE_V16] = "--------yyy",
	};

	(void)state;
	for (enum fake_generation i = 0; i < FAKE_NR_REALM_GENERATIONS; i++) {
		const struct fake_realm_host host = {.generation = i};

		for (enum fake_generation j = 0; j < FAKE_NR_REALM_GENERATIONS; j++) {
			struct ccr_err err;
			const int ret = check_name(&host, names[j], &err);

			if (ret != (passes[i][j] == 'y' ? 0 : -EOPNOTSUPP))
				fail_msg("%s on %s: %d %s", names[j], names[i], ret, err.msg);
			if (!ret)
				continue;
			assert_sentence(&err);
			assert_non_null(strstr(err.msg, "--realm-abi v"));
			assert_non_null(strstr(err.msg, expected[i].text));
		}
	}
}

static void test_choices_in_words(void **state)
{
	struct fake_realm_host host = {.generation = FAKE_V10, .cap = 270};
	struct ccr_err err;

	(void)state;
	/* Moved to where the probe does not look: what the option is for. */
	assert_int_equal(check_name(&host, "v10,cap=270", &err), 0);
	assert_int_equal(check_name(&host, "v10", &err), -EOPNOTSUPP);
	assert_string_equal(err.msg,
			    "--realm-abi v10: capability 244 is not what this kernel makes realms "
			    "with (where a rebase has moved it: v10,cap=N); asked without it: this "
			    "kernel creates realm VMs, but answers to none of the known realm "
			    "interfaces (series v1 to v16)");
	host = (struct fake_realm_host){.generation = FAKE_V7};
	assert_int_equal(check_name(&host, "v9,cap=300", &err), -EOPNOTSUPP);
	assert_string_equal(
		err.msg, "--realm-abi v9: a vCPU cannot be initialised as this series does (No "
			 "such file or directory); leave the option out: what this kernel has is "
			 "the explicit life-cycle (series v1 to v11), capability 300, REC feature "
			 "8 (v6 to v8)");
	assert_int_equal(check_name(&host, "v13", &err), -EOPNOTSUPP);
	assert_non_null(strstr(err.msg, "does not know its request for population"));
	assert_int_equal(check_name(&host, "v14", &err), -EOPNOTSUPP);
	assert_non_null(strstr(err.msg, "creates no VM of its type (Invalid argument)"));

	/* No choice makes realms where there are none. */
	host.has_no_rmm = true;
	assert_int_equal(check_name(&host, "v7", &err), -EPERM);
	assert_non_null(strstr(err.msg, no_rmm));
	host = (struct fake_realm_host){.generation = FAKE_UPSTREAM};
	assert_int_equal(check_name(&host, "v16", &err), -EINVAL);
	assert_non_null(strstr(err.msg, no_cca));
	host = (struct fake_realm_host){.generation = FAKE_V7, .has_no_gmem = true};
	assert_int_equal(check_name(&host, "v7", &err), -EOPNOTSUPP);
	assert_non_null(strstr(err.msg, "has no guest_memfd"));
}

static void test_choice_each_call_fails(void **state)
{
	(void)state;
	for (enum fake_generation i = 0; i < FAKE_NR_REALM_GENERATIONS; i++) {
		const struct fake_realm_host host = {.generation = i};
		bool has_failed = true;

		for (unsigned call = 1; has_failed; call++) {
			struct ccr_err err = {0};
			struct realm_abi abi;
			int kvm_fd, ret;

			assert_int_equal(realm_abi_from_name(names[i], &abi, &err), 0);
			fake_realm_begin(&host);
			kvm_fd = kvm_sys_open("/dev/kvm");
			fake_kvm_fail_call(call, -EIO);
			ret = realm_abi_check(kvm_fd, IPA_BITS, &abi, &err);
			has_failed = fake_kvm_failed_call()[0];
			assert_int_equal(err.code, ret);
			if (ret)
				assert_sentence(&err);
			else
				assert_true(!has_failed || strstr(fake_kvm_failed_call(), "233"));
			kvm_sys_close(kvm_fd);
			fake_kvm_end();
		}
	}
}

/* The whole report of `ccr-run check`. */

static void report(const struct fake_realm_host *host, struct report *ret_report)
{
	fake_realm_begin(host);
	report_make(ret_report);
	fake_kvm_end();
}

static void test_report(void **state)
{
	(void)state;
	for (enum fake_generation i = 0; i < FAKE_NR_REALM_GENERATIONS; i++) {
		const struct fake_realm_host host = {.generation = i};
		struct report found;

		report(&host, &found);
		assert_int_equal(found.found[REPORT_KVM].code, 0);
		assert_int_equal(found.found[REPORT_GICV3].code, 0);
		assert_int_equal(found.found[REPORT_EMULATED].code, 0);
		if (found.found[REPORT_REALM].code)
			fail_msg("%s: %s", fake_generation_name(i), found.found[REPORT_REALM].msg);
		assert_int_equal(found.ipa_bits, 48);
		assert_int_equal(found.found[REPORT_GUEST_MEMFD].code, 0);
		assert_true(is_same(&found.abi, &expected[i].abi));
		assert_int_equal(found.realm_host.family, expected[i].abi.family);
		assert_int_equal(found.realm_host.rmm, i <= FAKE_V12 ? RMM_1_0 : RMM_2_0_TFRMM);
		assert_int_equal(found.realm_host.max_ipa_bits, 48);
		assert_int_equal(found.realm_host.num_bps, 5);
		assert_int_equal(found.realm_host.num_wps, 3);
		assert_false(found.realm_host.pmu || found.realm_host.sve || found.realm_host.lpa2);
	}
}

/* Whatever the family: what the kernel takes at a vCPU's initialisation is there. */
static void test_report_of_offers(void **state)
{
	(void)state;
	for (enum fake_generation i = 0; i < FAKE_NR_REALM_GENERATIONS; i++) {
		const struct fake_realm_host rich = {
			.generation = i, .sve_vls = 0xb, .pmu_counters = 6};
		const struct fake_realm_host poor = {.generation = i, .has_no_sha512 = true};
		const bool has_choice = expected[i].abi.family == REALM_FAMILY_EXPLICIT;
		struct report found;

		report(&rich, &found);
		assert_int_equal(found.offer.cpu.sve_vls, 0xb);
		assert_true(found.offer.cpu.has_pmu);
		assert_int_equal(found.offer.cpu.nr_counters, 6);
		assert_int_equal(found.offer.hashes, has_choice ? 3 : 1);
		/* An offer that is not taken is not in the RIM. */
		assert_false(found.realm_host.pmu || found.realm_host.sve);

		report(&poor, &found);
		assert_int_equal(found.offer.cpu.sve_vls, 0);
		assert_false(found.offer.cpu.has_pmu);
		assert_int_equal(found.offer.cpu.nr_counters, 0);
		assert_int_equal(found.offer.hashes, 1);
	}
}

static void test_report_of_plain_hosts(void **state)
{
	static const struct {
		enum report_item item;
		int code;
		const char *way_out;
	} cases[] = {
		{REPORT_GICV3, -ENODEV, "GICv3"},
		{REPORT_ITS, -ENODEV, "--no-pci"},
		{REPORT_IRQFD, -EOPNOTSUPP, "CONFIG_EVENTFD"},
		{REPORT_IOEVENTFD, -EOPNOTSUPP, "CONFIG_EVENTFD"},
		{REPORT_SMCCC_FILTER, -EOPNOTSUPP, "Linux 6.4"},
		{REPORT_EMULATED, -EOPNOTSUPP, "Linux 6.4"},
		{REPORT_GUEST_MEMFD, -EOPNOTSUPP, "CONFIG_KVM_GUEST_MEMFD"},
		{REPORT_ATTRIBUTES, -EOPNOTSUPP, "realm series"},
		{REPORT_REALM, -EINVAL, "--realm=emulated"},
	};
	struct fake_host host = fake_host_default;
	struct report found;

	(void)state;
	host.has_filter = host.has_gicv3 = host.has_eventfds = false;
	fake_kvm_begin(&host);
	report_make(&found);
	fake_kvm_end();
	assert_int_equal(found.found[REPORT_KVM].code, 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct ccr_err *err = &found.found[cases[i].item];

		assert_int_equal(err->code, cases[i].code);
		assert_non_null(strstr(err->msg, cases[i].way_out));
		assert_sentence(err);
	}

	fake_kvm_begin(&fake_host_default);
	report_make(&found);
	fake_kvm_end();
	for (enum report_item i = REPORT_KVM; i <= REPORT_EMULATED; i++)
		assert_int_equal(found.found[i].code, 0);
}

/* Nothing below KVM is claimed; who may use it is said. */
static void test_report_without_kvm(void **state)
{
	static const struct {
		int error;
		const char *way_out;
	} cases[] = {{-ENOENT, "EL2"}, {-EACCES, "run as root"}, {-EPERM, "run as root"}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fake_host host = fake_host_default;
		struct report found;

		host.open_error = cases[i].error;
		fake_kvm_begin(&host);
		report_make(&found);
		fake_kvm_end();
		assert_true(found.found[REPORT_KVM].code < 0);
		assert_non_null(strstr(found.found[REPORT_KVM].msg, "/dev/kvm"));
		assert_non_null(strstr(found.found[REPORT_KVM].msg, cases[i].way_out));
	}
}

static void test_report_of_narrow_realms(void **state)
{
	(void)state;
	for (enum fake_generation i = 0; i < FAKE_NR_REALM_GENERATIONS; i++) {
		const struct fake_realm_host host = {.generation = i, .ipa_bits = 36};
		struct report found;

		report(&host, &found);
		assert_int_equal(found.ipa_bits, 48);
		assert_int_equal(found.realm_host.max_ipa_bits, 36);
	}
}

static void test_report_without_realms(void **state)
{
	static const struct fake_realm_host hosts[] = {
		{.generation = FAKE_UPSTREAM},
		{.generation = FAKE_V5, .has_no_rmm = true},
		{.generation = FAKE_V14, .has_no_rmm = true},
	};
	const struct fake_realm_host v7 = {.generation = FAKE_V7, .has_no_rmm = true};
	struct report found;

	(void)state;
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		report(&hosts[i], &found);
		assert_int_equal(found.found[REPORT_KVM].code, 0);
		assert_int_equal(found.found[REPORT_EMULATED].code, 0);
		assert_int_equal(found.found[REPORT_REALM].code, -EINVAL);
		assert_string_equal(found.found[REPORT_REALM].msg, no_cca);
	}
	report(&v7, &found);
	assert_int_equal(found.found[REPORT_REALM].code, -EPERM);
	assert_string_equal(found.found[REPORT_REALM].msg, no_rmm);
}

static void test_report_each_call_fails(void **state)
{
	static const enum fake_generation generations[] = {FAKE_V5, FAKE_V7, FAKE_V13, FAKE_V16};

	(void)state;
	for (size_t i = 0; i < sizeof(generations) / sizeof(generations[0]); i++) {
		const struct fake_realm_host host = {.generation = generations[i]};
		bool has_failed = true;

		for (unsigned call = 1; has_failed; call++) {
			struct report found;

			fake_realm_begin(&host);
			fake_kvm_fail_call(call, -EIO);
			report_make(&found);
			has_failed = fake_kvm_failed_call()[0];
			for (enum report_item item = 0; item < REPORT_NR; item++) {
				if (found.found[item].code)
					assert_sentence(&found.found[item]);
			}
			fake_kvm_end();
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_generation),
		cmocka_unit_test(test_family_names),
		cmocka_unit_test(test_is_harmless),
		cmocka_unit_test(test_moved_capability),
		cmocka_unit_test(test_no_cca),
		cmocka_unit_test(test_no_rmm),
		cmocka_unit_test(test_narrow_ipa),
		cmocka_unit_test(test_no_guest_memfd),
		cmocka_unit_test(test_no_attributes),
		cmocka_unit_test(test_unknown_interface),
		cmocka_unit_test(test_post_v16),
		cmocka_unit_test(test_other_errors),
		cmocka_unit_test(test_each_call_fails),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_choices),
		cmocka_unit_test(test_choices_in_words),
		cmocka_unit_test(test_choice_each_call_fails),
		cmocka_unit_test(test_report),
		cmocka_unit_test(test_report_of_offers),
		cmocka_unit_test(test_report_of_plain_hosts),
		cmocka_unit_test(test_report_without_kvm),
		cmocka_unit_test(test_report_of_narrow_realms),
		cmocka_unit_test(test_report_without_realms),
		cmocka_unit_test(test_report_each_call_fails),
	};

	log_init(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
