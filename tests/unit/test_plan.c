/* SPDX-License-Identifier: Apache-2.0 */
/* links: src/realm/plan.c src/util/hash.c src/util/err.c */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "ccr/plan.h"

#define RAM_BASE 0x80000000ull
#define RAM_SIZE 0x10000000ull
#define RAM_TOP  (RAM_BASE + RAM_SIZE)

static const struct realm_host explicit_host = {
	.family = REALM_FAMILY_EXPLICIT,
	.rmm = RMM_1_0,
	.num_bps = 5,
	.num_wps = 3,
};

static const struct realm_host implicit_host = {
	.family = REALM_FAMILY_IMPLICIT,
	.rmm = RMM_1_0,
	.num_bps = 5,
	.num_wps = 3,
};

static const struct realm_host gmem_host = {
	.family = REALM_FAMILY_IMPLICIT_GMEM,
	.rmm = RMM_2_0_TFRMM,
};

static uint8_t bytes[3 * GRANULE_SIZE];

static struct plan make_plan(void)
{
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i % 255 + 1);
	return (struct plan){
		.hash_algo = HASH_SHA256,
		.ipa_bits = 33,
		.nr_vcpus = 1,
		.ram_base = ipa_at(RAM_BASE),
		.ram_size = RAM_SIZE,
	};
}

static int add(struct plan *plan, const char *name, uint64_t base, uint64_t size,
	       struct ccr_err *err)
{
	return plan_add(plan, name, ipa_at(base), bytes, size, 0, true, err);
}

static void assert_refused(const struct plan *plan, const struct realm_host *host, int code,
			   const char *words)
{
	struct plan_step steps[PLAN_MAX_STEPS];
	struct ccr_err err = {0};
	unsigned nr_steps = 77;

	assert_int_equal(plan_steps(plan, host, steps, &nr_steps, &err), code);
	assert_int_equal(err.code, code);
	assert_non_null(strstr(err.msg, words));
	assert_int_equal(nr_steps, 77);
}

static void test_add_rounds_to_granules(void **state)
{
	struct plan plan = make_plan();
	struct ccr_err err = {0};
	const struct plan_segment *segment = &plan.segments[0];

	(void)state;
	assert_int_equal(add(&plan, "initrd", RAM_BASE + 0x1ffd, 4, &err), 0);
	assert_int_equal(plan.nr_segments, 1);
	assert_string_equal(segment->name, "initrd");
	assert_int_equal(segment->base.v, RAM_BASE + 0x1000);
	assert_int_equal(segment->size, 0x2000);
	assert_int_equal(segment->lead_size, 0xffd);
	assert_int_equal(segment->data_size, 4);
	assert_ptr_equal(segment->data, bytes);
	assert_true(segment->measured);
}

static void test_add_min_size(void **state)
{
	struct plan plan = make_plan();

	(void)state;
	assert_int_equal(plan_add(&plan, "kernel", ipa_at(RAM_BASE), bytes, 5, 0x2001, false, NULL),
			 0);
	assert_int_equal(plan.segments[0].size, 0x3000);
	assert_int_equal(plan.segments[0].data_size, 5);
	assert_false(plan.segments[0].measured);
	/* Nothing but zeros is a segment too. */
	assert_int_equal(plan_add(&plan, "z", ipa_at(RAM_BASE + 0x3000), NULL, 0, 1, true, NULL),
			 0);
	assert_int_equal(plan.segments[1].size, 0x1000);
	/* A smaller wish does not cut the data. */
	assert_int_equal(
		plan_add(&plan, "d", ipa_at(RAM_BASE + 0x4000), bytes, 0x1001, 1, true, NULL), 0);
	assert_int_equal(plan.segments[2].size, 0x2000);
}

static void test_add_sorts(void **state)
{
	struct plan plan = make_plan();

	(void)state;
	assert_int_equal(add(&plan, "c", RAM_BASE + 0x5000, 0x1000, NULL), 0);
	assert_int_equal(add(&plan, "a", RAM_BASE, 0x1000, NULL), 0);
	assert_int_equal(add(&plan, "d", RAM_BASE + 0x6000, 0x1000, NULL), 0);
	assert_int_equal(add(&plan, "b", RAM_BASE + 0x1000, 0x1000, NULL), 0);
	assert_int_equal(plan.nr_segments, 4);
	assert_string_equal(plan.segments[0].name, "a");
	assert_string_equal(plan.segments[1].name, "b");
	assert_string_equal(plan.segments[2].name, "c");
	assert_string_equal(plan.segments[3].name, "d");
}

static void assert_add_refused(struct plan *plan, uint64_t base, uint64_t size, const char *words)
{
	const struct plan before = *plan;
	struct ccr_err err = {0};

	assert_int_equal(add(plan, "initrd", base, size, &err), -EINVAL);
	assert_int_equal(err.code, -EINVAL);
	assert_non_null(strstr(err.msg, "initrd: "));
	assert_non_null(strstr(err.msg, words));
	assert_memory_equal(plan, &before, sizeof(before));
}

static void test_add_outside_ram(void **state)
{
	struct plan plan = make_plan();

	(void)state;
	assert_add_refused(&plan, RAM_BASE - 1, 2, "not inside RAM");
	assert_add_refused(&plan, RAM_BASE, RAM_SIZE + 1, "not inside RAM");
	assert_add_refused(&plan, RAM_TOP - 1, 2, "not inside RAM");
	assert_add_refused(&plan, RAM_TOP, 1, "not inside RAM");
	assert_add_refused(&plan, 0, 1, "not inside RAM");
	assert_add_refused(&plan, UINT64_MAX, 1, "not inside RAM");
	assert_add_refused(&plan, UINT64_MAX, UINT64_MAX, "not inside RAM");
	assert_add_refused(&plan, RAM_BASE, UINT64_MAX, "not inside RAM");
	assert_add_refused(&plan, RAM_BASE, 0, "empty");
	assert_int_equal(add(&plan, "last byte", RAM_TOP - 1, 1, NULL), 0);
	assert_int_equal(plan.segments[0].base.v + plan.segments[0].size, RAM_TOP);
}

static void test_add_overlap(void **state)
{
	struct plan plan = make_plan();

	(void)state;
	assert_int_equal(add(&plan, "kernel", RAM_BASE + 0x2000, 0x1001, NULL), 0);
	assert_add_refused(&plan, RAM_BASE + 0x2000, 0x1001, "overlap the kernel");
	assert_add_refused(&plan, RAM_BASE + 0x1000, 0x1001, "overlap the kernel");
	assert_add_refused(&plan, RAM_BASE, 0x10000, "overlap the kernel");
	/* Not the same bytes, but the same granule. */
	assert_add_refused(&plan, RAM_BASE + 0x3fff, 1, "overlap the kernel");
	assert_int_equal(add(&plan, "below", RAM_BASE + 0x1000, 0x1000, NULL), 0);
	assert_int_equal(add(&plan, "above", RAM_BASE + 0x4000, 1, NULL), 0);
}

static void test_add_too_many(void **state)
{
	struct plan plan = make_plan();

	(void)state;
	for (unsigned i = 0; i < PLAN_MAX_SEGMENTS; i++)
		assert_int_equal(add(&plan, "s", RAM_BASE + i * 0x1000ull, 1, NULL), 0);
	assert_add_refused(&plan, RAM_BASE + 0x100000, 1, "at most 8");
}

static void test_add_needs_ram(void **state)
{
	static const struct {
		uint64_t base, size;
	} bad[] = {
		{RAM_BASE, 0},         {RAM_BASE, RAM_SIZE + 0x1000}, {RAM_BASE + 0x1000, RAM_SIZE},
		{0ull - SZ_2M, SZ_2M}, {SZ_2M, 0ull - SZ_2M},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct plan plan = make_plan();
		struct ccr_err err = {0};

		plan.ram_base = ipa_at(bad[i].base);
		plan.ram_size = bad[i].size;
		assert_int_equal(add(&plan, "x", bad[i].base, 1, &err), -EINVAL);
		assert_non_null(strstr(err.msg, "whole 2 MiB blocks"));
		assert_refused(&plan, &explicit_host, -EINVAL, "whole 2 MiB blocks");
	}
}

static void assert_filled(const uint8_t *page, size_t from, size_t to, const uint8_t *expected)
{
	for (size_t i = 0; i < GRANULE_SIZE; i++) {
		const uint8_t value = i >= from && i < to ? expected[i - from] : 0;

		assert_int_equal(page[i], value);
	}
}

static void test_page_content(void **state)
{
	struct plan plan = make_plan();
	const struct plan_segment *segment = &plan.segments[0];
	uint8_t page[GRANULE_SIZE];

	(void)state;
	assert_int_equal(
		plan_add(&plan, "x", ipa_at(RAM_BASE + 100), bytes, 5000, 13000, true, NULL), 0);
	assert_int_equal(segment->size, 4 * GRANULE_SIZE);
	plan_page(segment, 0, page);
	assert_filled(page, 100, GRANULE_SIZE, bytes);
	plan_page(segment, 1, page);
	assert_filled(page, 0, 5100 - GRANULE_SIZE, bytes + GRANULE_SIZE - 100);
	for (uint64_t i = 2; i < 4; i++) {
		memset(page, 0xa5, sizeof(page));
		plan_page(segment, i, page);
		assert_filled(page, 0, 0, NULL);
	}
}

/* Data that begins and ends inside one granule that is not the segment's first. */
static void test_page_with_long_lead(void **state)
{
	const struct plan_segment segment = {.name = "x",
					     .size = 3 * GRANULE_SIZE,
					     .lead_size = GRANULE_SIZE + 7,
					     .data = bytes,
					     .data_size = 9};
	uint8_t page[GRANULE_SIZE];

	(void)state;
	make_plan();
	plan_page(&segment, 0, page);
	assert_filled(page, 0, 0, NULL);
	plan_page(&segment, 1, page);
	assert_filled(page, 7, 16, bytes);
	plan_page(&segment, 2, page);
	assert_filled(page, 0, 0, NULL);
}

static struct plan make_full_plan(void)
{
	struct plan plan = make_plan();

	plan.nr_vcpus = 2;
	assert_int_equal(add(&plan, "device tree", RAM_BASE + 0x8000, 1, NULL), 0);
	assert_int_equal(add(&plan, "kernel", RAM_BASE, 0x1800, NULL), 0);
	return plan;
}

static void assert_step(const struct plan_step *step, enum plan_step_kind kind, uint64_t base,
			uint64_t size, const struct plan_segment *segment, unsigned vcpu)
{
	assert_int_equal(step->kind, kind);
	assert_int_equal(step->base.v, base);
	assert_int_equal(step->size, size);
	assert_ptr_equal(step->segment, segment);
	assert_int_equal(step->vcpu, vcpu);
}

static void test_order_explicit(void **state)
{
	const struct plan plan = make_full_plan();
	struct plan_step steps[PLAN_MAX_STEPS];
	unsigned nr_steps = 0;

	(void)state;
	assert_int_equal(plan_steps(&plan, &explicit_host, steps, &nr_steps, NULL), 0);
	assert_int_equal(nr_steps, 7);
	assert_step(&steps[0], PLAN_CREATE, 0, 0, NULL, 0);
	assert_step(&steps[1], PLAN_INIT_RIPAS, RAM_BASE, RAM_SIZE, NULL, 0);
	assert_step(&steps[2], PLAN_DATA, RAM_BASE, 0x2000, &plan.segments[0], 0);
	assert_step(&steps[3], PLAN_DATA, RAM_BASE + 0x8000, 0x1000, &plan.segments[1], 0);
	assert_step(&steps[4], PLAN_REC, 0, 0, NULL, 0);
	assert_step(&steps[5], PLAN_REC, 0, 0, NULL, 1);
	assert_step(&steps[6], PLAN_ACTIVATE, 0, 0, NULL, 0);
}

static void test_order_implicit(void **state)
{
	const struct realm_host *hosts[] = {&implicit_host, &gmem_host};
	const struct plan plan = make_full_plan();

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct plan_step steps[PLAN_MAX_STEPS];
		unsigned nr_steps = 0;

		assert_int_equal(plan_steps(&plan, hosts[i], steps, &nr_steps, NULL), 0);
		assert_int_equal(nr_steps, 7);
		assert_step(&steps[0], PLAN_CREATE, 0, 0, NULL, 0);
		assert_step(&steps[1], PLAN_DATA, RAM_BASE, 0x2000, &plan.segments[0], 0);
		assert_step(&steps[2], PLAN_DATA, RAM_BASE + 0x8000, 0x1000, &plan.segments[1], 0);
		assert_step(&steps[3], PLAN_REC, 0, 0, NULL, 0);
		assert_step(&steps[4], PLAN_REC, 0, 0, NULL, 1);
		assert_step(&steps[5], PLAN_INIT_RIPAS, RAM_BASE, RAM_SIZE, NULL, 0);
		assert_step(&steps[6], PLAN_ACTIVATE, 0, 0, NULL, 0);
	}
}

/* Where the VMM orders the steps, what is not measured comes after the RECs. */
static void test_order_unmeasured(void **state)
{
	struct plan plan = make_full_plan();
	struct plan_step steps[PLAN_MAX_STEPS];
	unsigned nr_steps = 0;

	(void)state;
	plan.segments[0].measured = false;
	assert_int_equal(plan_steps(&plan, &explicit_host, steps, &nr_steps, NULL), 0);
	assert_int_equal(nr_steps, 7);
	assert_step(&steps[2], PLAN_DATA, RAM_BASE + 0x8000, 0x1000, &plan.segments[1], 0);
	assert_step(&steps[3], PLAN_REC, 0, 0, NULL, 0);
	assert_step(&steps[4], PLAN_REC, 0, 0, NULL, 1);
	assert_step(&steps[5], PLAN_DATA, RAM_BASE, 0x2000, &plan.segments[0], 0);
	assert_step(&steps[6], PLAN_ACTIVATE, 0, 0, NULL, 0);

	assert_int_equal(plan_steps(&plan, &gmem_host, steps, &nr_steps, NULL), 0);
	assert_int_equal(nr_steps, 7);
	assert_step(&steps[1], PLAN_DATA, RAM_BASE + 0x8000, 0x1000, &plan.segments[1], 0);
	assert_step(&steps[2], PLAN_DATA, RAM_BASE, 0x2000, &plan.segments[0], 0);
	assert_step(&steps[3], PLAN_REC, 0, 0, NULL, 0);
}

static void test_most_steps(void **state)
{
	struct plan plan = make_plan();
	struct plan_step steps[PLAN_MAX_STEPS];
	unsigned nr_steps = 0;

	(void)state;
	plan.nr_vcpus = PLAN_MAX_VCPUS;
	for (unsigned i = 0; i < PLAN_MAX_SEGMENTS; i++)
		assert_int_equal(add(&plan, "s", RAM_BASE + i * 0x1000ull, 1, NULL), 0);
	assert_int_equal(plan_steps(&plan, &explicit_host, steps, &nr_steps, NULL), 0);
	assert_int_equal(nr_steps, PLAN_MAX_STEPS);
	assert_int_equal(steps[PLAN_MAX_STEPS - 1].kind, PLAN_ACTIVATE);
	assert_int_equal(steps[PLAN_MAX_STEPS - 2].vcpu, PLAN_MAX_VCPUS - 1);
}

static void test_family_lacks(void **state)
{
	struct realm_host explicit_rmm2 = explicit_host;
	struct plan plan = make_plan();
	struct plan_step steps[PLAN_MAX_STEPS];
	unsigned nr_steps;

	(void)state;
	explicit_rmm2.rmm = RMM_2_0_TFRMM;

	plan.rpv[PLAN_RPV_SIZE - 1] = 1;
	assert_int_equal(plan_steps(&plan, &explicit_host, steps, &nr_steps, NULL), 0);
	assert_refused(
		&plan, &implicit_host, -EOPNOTSUPP,
		"--realm-pv: KVM's implicit realm interface (series v12 on) takes no "
		"personalisation value; leave it out, or use a host with the explicit one (up to v11)");
	assert_refused(&plan, &gmem_host, -EOPNOTSUPP,
		       "KVM's implicit-gmem realm interface (series v12 on) takes no person");

	plan = make_plan();
	plan.hash_algo = HASH_SHA512;
	assert_int_equal(plan_steps(&plan, &explicit_host, steps, &nr_steps, NULL), 0);
	assert_refused(
		&plan, &implicit_host, -EOPNOTSUPP,
		"--measurement-algo sha-512: KVM's implicit realm interface (series v12 on) has "
		"no choice of the hash; choose sha256, or use a host with the explicit one (up to v11)");
	assert_refused(&plan, &gmem_host, -EOPNOTSUPP,
		       "KVM's implicit-gmem realm interface (series v12 on) has no choice");

	plan.hash_algo = HASH_SHA384;
	assert_refused(&plan, &explicit_host, -EOPNOTSUPP, "RMM 1.0 has no sha-384");
	assert_refused(&plan, &implicit_host, -EOPNOTSUPP, "RMM 1.0 has no sha-384");
	assert_int_equal(plan_steps(&plan, &explicit_rmm2, steps, &nr_steps, NULL), 0);
	assert_refused(&plan, &gmem_host, -EOPNOTSUPP,
		       "sha-384: KVM's implicit-gmem realm interface");
}

static void test_plan_out_of_range(void **state)
{
	struct plan plan = make_plan();

	(void)state;
	plan.hash_algo = (enum hash_algo)9;
	assert_refused(&plan, &explicit_host, -EINVAL, "no hash algorithm has number 9");

	plan = make_plan();
	plan.ipa_bits = 32;
	assert_refused(&plan, &explicit_host, -EINVAL, "has 32 bits");
	plan.ipa_bits = 53;
	assert_refused(&plan, &explicit_host, -EINVAL, "has 53 bits");
	plan.ipa_bits = 0;
	assert_refused(&plan, &explicit_host, -EINVAL, "has 0 bits");
	plan.ipa_bits = 49;
	assert_refused(&plan, &explicit_host, -EINVAL, "needs LPA2");

	plan = make_plan();
	plan.nr_vcpus = 0;
	assert_refused(&plan, &explicit_host, -EINVAL, "0 vCPUs");
	plan.nr_vcpus = PLAN_MAX_VCPUS + 1;
	assert_refused(&plan, &explicit_host, -EINVAL, "513 vCPUs");

	/* The protected half of 33 bits ends at 4 GiB. */
	plan = make_plan();
	plan.ram_size = 0x80000000ull;
	assert_int_equal(plan_steps(&plan, &explicit_host, (struct plan_step[PLAN_MAX_STEPS]){{0}},
				    &(unsigned){0}, NULL),
			 0);
	plan.ram_size += SZ_2M;
	assert_refused(&plan, &explicit_host, -EINVAL, "protected half of an IPA space of 33 bits");
}

static void test_host_with_narrow_ipa_space(void **state)
{
	struct realm_host host = explicit_host;
	struct plan plan = make_plan();

	(void)state;
	host.max_ipa_bits = 34;
	plan.ipa_bits = 34;
	assert_int_equal(plan_check_params(&plan, &host, NULL), 0);
	plan.ipa_bits = 35;
	assert_refused(&plan, &host, -EINVAL, "of 35 bits, and this host's realms can have 34");
	host.max_ipa_bits = 32;
	plan.ipa_bits = 33;
	assert_refused(&plan, &host, -EINVAL, "of 33 bits, and this host's realms can have 32");
}

static void test_names(void **state)
{
	static const char *const variants[] = {"1.0", "2.0-tfrmm", "2.0-spec"};
	static const char *const families[] = {"explicit", "implicit", "implicit-gmem"};
	enum realm_family family = REALM_FAMILY_IMPLICIT;
	enum rmm_variant rmm = RMM_2_0_TFRMM;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		assert_string_equal(plan_rmm_name((enum rmm_variant)i), variants[i]);
		assert_int_equal(plan_rmm_from_name(variants[i], &rmm), 0);
		assert_int_equal(rmm, i);
		assert_string_equal(plan_family_name((enum realm_family)i), families[i]);
		assert_int_equal(plan_family_from_name(families[i], &family), 0);
		assert_int_equal(family, i);
	}
	assert_int_equal(plan_rmm_from_name("2.0", &rmm), -EINVAL);
	assert_int_equal(rmm, RMM_2_0_SPEC);
	assert_int_equal(plan_family_from_name("Explicit", &family), -EINVAL);
	assert_int_equal(family, REALM_FAMILY_IMPLICIT_GMEM);
}

static void test_widest_ipa_space(void **state)
{
	struct realm_host host = explicit_host;
	struct plan plan = make_plan();

	(void)state;
	host.lpa2 = true;
	for (plan.ipa_bits = 33; plan.ipa_bits <= 52; plan.ipa_bits++)
		assert_int_equal(plan_check_params(&plan, &host, NULL), 0);
	host.lpa2 = false;
	for (plan.ipa_bits = 33; plan.ipa_bits <= 48; plan.ipa_bits++)
		assert_int_equal(plan_check_params(&plan, &host, NULL), 0);
}

static void test_host_out_of_range(void **state)
{
	const struct plan plan = make_plan();
	struct realm_host host = explicit_host;

	(void)state;
	host.family = (enum realm_family)3;
	assert_refused(&plan, &host, -EINVAL, "no interface family has number 3");
	host = explicit_host;
	host.rmm = (enum rmm_variant)3;
	assert_refused(&plan, &host, -EINVAL, "no RMM variant has number 3");
	host = explicit_host;
	host.num_bps = 64;
	assert_refused(&plan, &host, -EINVAL, "breakpoints minus 1 is 64");
	host = explicit_host;
	host.num_wps = 64;
	assert_refused(&plan, &host, -EINVAL, "watchpoints minus 1 is 64");
	host = explicit_host;
	host.pmu_num_ctrs = 32;
	assert_refused(&plan, &host, -EINVAL, "PMU counters is 32");
	host = explicit_host;
	host.sve_vl = 16;
	assert_refused(&plan, &host, -EINVAL, "SVE vector length code is 16");
	host.sve_vl = 15;
	host.num_bps = 63;
	host.num_wps = 63;
	host.pmu_num_ctrs = 31;
	assert_int_equal(plan_check_params(&plan, &host, NULL), 0);
}

/* Segments that plan_add() would not have made. */
static void test_bad_segments(void **state)
{
	struct plan plan = make_full_plan();
	struct plan_segment *kernel = &plan.segments[0], *dtb = &plan.segments[1];

	(void)state;
	plan.nr_segments = PLAN_MAX_SEGMENTS + 1;
	assert_refused(&plan, &explicit_host, -EINVAL, "9 initial images");

	plan = make_full_plan();
	kernel->size = 0;
	assert_refused(&plan, &explicit_host, -EINVAL, "kernel: 0x0 bytes");
	kernel->size = 0x1801;
	assert_refused(&plan, &explicit_host, -EINVAL, "not whole granules");

	plan = make_full_plan();
	kernel->base.v += 0x800;
	assert_refused(&plan, &explicit_host, -EINVAL, "not whole granules");

	plan = make_full_plan();
	dtb->size = 0x10000000;
	assert_refused(&plan, &explicit_host, -EINVAL, "device tree: 0x10000000 bytes");
	dtb->size = 0ull - 0x1000;
	assert_refused(&plan, &explicit_host, -EINVAL, "not inside RAM");

	plan = make_full_plan();
	kernel->lead_size = 0x2001;
	assert_refused(&plan, &explicit_host, -EINVAL, "do not fit");
	kernel->lead_size = 0x2000 - 0x1800 + 1;
	assert_refused(&plan, &explicit_host, -EINVAL, "do not fit");
	kernel->lead_size = UINT64_MAX;
	kernel->data_size = 2;
	assert_refused(&plan, &explicit_host, -EINVAL, "do not fit");
	kernel->lead_size = 2;
	kernel->data_size = UINT64_MAX;
	assert_refused(&plan, &explicit_host, -EINVAL, "do not fit");

	plan = make_full_plan();
	dtb->base = kernel->base;
	assert_refused(&plan, &explicit_host, -EINVAL, "overlap the kernel");
	plan = make_full_plan();
	kernel->base.v = dtb->base.v + 0x1000;
	assert_refused(&plan, &explicit_host, -EINVAL, "overlap the kernel");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add_rounds_to_granules),
		cmocka_unit_test(test_add_min_size),
		cmocka_unit_test(test_add_sorts),
		cmocka_unit_test(test_add_outside_ram),
		cmocka_unit_test(test_add_overlap),
		cmocka_unit_test(test_add_too_many),
		cmocka_unit_test(test_add_needs_ram),
		cmocka_unit_test(test_page_content),
		cmocka_unit_test(test_page_with_long_lead),
		cmocka_unit_test(test_order_explicit),
		cmocka_unit_test(test_order_implicit),
		cmocka_unit_test(test_order_unmeasured),
		cmocka_unit_test(test_most_steps),
		cmocka_unit_test(test_family_lacks),
		cmocka_unit_test(test_plan_out_of_range),
		cmocka_unit_test(test_widest_ipa_space),
		cmocka_unit_test(test_host_with_narrow_ipa_space),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_host_out_of_range),
		cmocka_unit_test(test_bad_segments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
